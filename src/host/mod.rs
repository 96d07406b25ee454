//! The short-lived process that a browser starts: forwards whole frames between it and the broker.
//!
//! It keeps no state and acknowledges nothing. It ends when the browser closes stdin, when its parent has gone, or when
//! the broker drops it.

mod caller;
mod host_frames;
mod launch;
mod memory;
mod parent;
mod relay;
mod stdio;

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;

use crate::hardening;
use crate::log;
use crate::paths::Paths;

pub use caller::{CallerError, HostCaller};
#[cfg(windows)]
pub use stdio::prevent_inheritance;

/// The exit code when the arguments make no sense.
const USAGE: u8 = 2;
/// The exit code when no broker can be reached.
const UNREACHABLE: u8 = 3;
/// The exit code of a fault of our own.
const BUG: u8 = 70;

/// How long a host whose parent has gone may take to hand over what it has read.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);

/// Serves one port to its end.
pub fn run(caller: Result<HostCaller, CallerError>) -> ExitCode {
    log::to_stderr();
    hardening::apply();
    let caller = match caller {
        Ok(caller) => caller,
        Err(problem) => {
            tracing::error!(%problem, "unknown caller");
            return USAGE.into();
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(problem) => {
            tracing::error!(%problem, "cannot start");
            return BUG.into();
        }
    };
    let code = runtime.block_on(serve(&caller));
    // A thread may hang in a read of stdin; it must not keep the process.
    runtime.shutdown_background();
    code
}

/// Has a running broker of an older version make room for `program`, which is started in its place. Open ports and
/// sessions go over to it. Gives `false` when there was nothing to do, or the older broker stays.
///
/// # Errors
/// A sentence, when the new broker does not come up. The next host that starts tries again.
pub async fn renew_broker(paths: &Paths, program: &std::path::Path) -> Result<bool, String> {
    launch::renew(paths, program.to_path_buf())
        .await
        .map_err(|problem| problem.to_string())
}

async fn serve(caller: &HostCaller) -> ExitCode {
    let opened = Paths::from_env()
        .map_err(|problem| problem.to_string())
        .and_then(|paths| {
            let (input, output) = stdio::take().map_err(|problem| problem.to_string())?;
            Ok(relay::Relay::new(caller, paths, input, output))
        });
    let mut relay = match opened {
        Ok(relay) => relay,
        Err(problem) => {
            tracing::error!(problem, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let served = relay.run();
    tokio::pin!(served);
    let end = tokio::select! {
        end = &mut served => Some(end),
        () = parent::exited() => timeout(CLOSE_TIMEOUT, served).await.ok(),
    };
    tracing::debug!(?end, "port closed");
    match end {
        Some(relay::PortEnd::Unreachable) => UNREACHABLE.into(),
        Some(relay::PortEnd::Browser | relay::PortEnd::Dropped) | None => ExitCode::SUCCESS,
    }
}
