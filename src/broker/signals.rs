//! The system asks the broker to leave.
//!
//! It does not leave itself, unless asked twice.

use tokio::sync::mpsc;

use super::server::WakeUp;

/// Waits for the system to ask the broker to leave; asked twice, it leaves at once.
pub(super) async fn watch(wake: mpsc::Sender<WakeUp>) {
    let name = asked().await;
    let _ = wake.send(WakeUp::Signal(name)).await;
    asked().await;
    std::process::exit(1);
}

#[cfg(unix)]
async fn asked() -> &'static str {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn came(kind: std::io::Result<Signal>) {
        match kind {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    }
    tokio::select! {
        () = came(signal(SignalKind::terminate())) => "terminated",
        () = came(signal(SignalKind::interrupt())) => "interrupted",
        () = came(signal(SignalKind::hangup())) => "hung up",
    }
}

#[cfg(windows)]
async fn asked() -> &'static str {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
    macro_rules! came {
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
        () = came!(ctrl_c()) => "interrupted",
        () = came!(ctrl_break()) => "interrupted",
        () = came!(ctrl_close()) => "closed",
        () = came!(ctrl_logoff()) => "logged off",
        () = came!(ctrl_shutdown()) => "shut down",
    }
}
