//! Signals: the system asks the broker to exit, or, by SIGHUP, to read its settings again.
//!
//! It does not exit itself, unless asked twice.

use tokio::sync::mpsc;

use super::wakeup::WakeUp;

/// Waits for the system to ask the broker to exit; asked twice, it exits at once.
pub(super) async fn watch(wake: mpsc::Sender<WakeUp>) {
    let name = asked().await;
    let _ = wake.send(WakeUp::Signal(name)).await;
    asked().await;
    std::process::exit(1);
}

/// Waits for SIGHUP, again and again.
#[cfg(unix)]
pub(super) async fn watch_reload(wake: mpsc::Sender<WakeUp>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    while hangup.recv().await.is_some() {
        if wake.send(WakeUp::Reload).await.is_err() {
            return;
        }
    }
}

/// Windows has no such signal; `longwire config --reload` does the same.
#[cfg(windows)]
pub(super) async fn watch_reload(_wake: mpsc::Sender<WakeUp>) {}

#[cfg(unix)]
async fn asked() -> &'static str {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn received(kind: std::io::Result<Signal>) {
        match kind {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    }
    tokio::select! {
        () = received(signal(SignalKind::terminate())) => "terminated",
        () = received(signal(SignalKind::interrupt())) => "interrupted",
    }
}

#[cfg(windows)]
async fn asked() -> &'static str {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
    macro_rules! received {
        ($signal:expr) => {
            async {
                match $signal {
                    Ok(mut signal) => drop(signal.recv().await),
                    Err(_) => std::future::pending().await,
                }
            }
        };
    }
    tokio::select! {
        () = received!(ctrl_c()) => "interrupted",
        () = received!(ctrl_break()) => "interrupted",
        () = received!(ctrl_close()) => "closed",
        () = received!(ctrl_logoff()) => "logged off",
        () = received!(ctrl_shutdown()) => "shut down",
    }
}
