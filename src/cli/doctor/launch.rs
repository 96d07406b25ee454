//! Starts a host as a browser does, sends `hello`, and checks that it exits when it should.
//!
//! It opens no session and evaluates nothing.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use installer::browsers::Family;
use tokio::io::AsyncReadExt as _;
use tokio::process::Child;
use tokio::time::timeout;

use super::facts::{LaunchFacts, Launched};
use crate::cli::host_process::{self, HostClient};
use crate::cli::protocol_client::ReadError;
use crate::wire::frame::TO_BROWSER;

/// After this Chromium kills a host whose pipes it has closed.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a host that is over may take to be gone.
const EXIT_TIMEOUT: Duration = Duration::from_millis(500);
/// Bytes of stderr that are kept.
const MAX_STDERR_BYTES: usize = 2048;

/// Starts `program` for an extension of this family; it has `within` for its answer.
pub(super) async fn launch(
    program: &Path,
    family: Family,
    manifest: &Path,
    entry: &str,
    within: Duration,
) -> LaunchFacts {
    let started = Instant::now();
    let end = match start(program, family, manifest, entry) {
        Err(error) => Launched::NotStarted(error.to_string()),
        Ok(host) => converse(host, within).await,
    };
    LaunchFacts {
        program: program.to_path_buf(),
        family,
        took: started.elapsed(),
        end,
    }
}

/// Greets the host, and closes its pipes once it has answered.
async fn converse(mut host: Child, within: Duration) -> Launched {
    let mut client = match host_process::client(&mut host, TO_BROWSER) {
        Ok(client) => client,
        Err(error) => return Launched::NotStarted(error.to_string()),
    };
    match timeout(within, send_hello(&mut host, &mut client)).await {
        Ok(Ok(version)) => {
            drop(client);
            Launched::Welcomed {
                version,
                lingers: lingers(&mut host).await,
            }
        }
        Ok(Err(end)) => end,
        Err(_) => Launched::Silent(drain_stderr(&mut host).await),
    }
}

/// The arguments and environment that a browser gives; killed when it is dropped.
fn start(program: &Path, family: Family, manifest: &Path, entry: &str) -> std::io::Result<Child> {
    let mut command = host_process::command(program);
    match family {
        Family::Chromium => command.arg(entry),
        Family::App => command.arg(format!("app://{entry}")),
        Family::Firefox => command.arg(manifest).arg(entry),
    };
    if family == Family::Chromium && cfg!(windows) {
        command.arg("--parent-window=0");
    }
    command
        // As browsers without a session bus have it.
        .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
        .stderr(Stdio::piped())
        .spawn()
}

/// Says hello and waits for the welcome: its version, or how it went instead.
async fn send_hello(host: &mut Child, client: &mut HostClient) -> Result<String, Launched> {
    let name = format!("doctor-{}", std::process::id());
    // A host that has ended does not read: what it wrote before it ended says more than the broken pipe.
    let _ = client.hello(&name, Some(&name)).await;
    loop {
        let frame = match client.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(ReadError::Io(_)) => return Err(ended(host).await),
            Err(ReadError::TooLarge(length)) => return Err(garbled(length)),
            Err(ReadError::Malformed(why)) => return Err(Launched::Garbled(why)),
        };
        match (frame["type"].as_str(), frame["state"].as_str()) {
            (Some("welcome"), _) => {
                let version = frame["version"].as_str().unwrap_or("?");
                return Ok(version.to_owned());
            }
            // The broker exited in this moment, and another has started.
            (Some("host"), Some("back")) => {
                let _ = client.hello(&name, Some(&name)).await;
            }
            (Some("host"), Some("failed")) | (Some("error"), _) => {
                let message = frame["message"].as_str().unwrap_or("without output");
                // A host advises to ask doctor, which is what is being done.
                let message = message.split(';').next().unwrap_or_default();
                return Err(Launched::NoBroker(message.to_owned()));
            }
            _ => {}
        }
    }
}

/// A length above what browsers take is mostly text where a frame should be.
fn garbled(length: usize) -> Launched {
    let bytes = u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes();
    let text: String = bytes
        .iter()
        .map(|byte| char::from(*byte).escape_default().to_string())
        .collect();
    Launched::Garbled(format!("it wrote `{text}` instead of a frame length"))
}

/// What a host that ended by itself has left.
async fn ended(host: &mut Child) -> Launched {
    let exit = match timeout(EXIT_TIMEOUT, host.wait()).await {
        Ok(Ok(status)) => status.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it closed its output and kept running".to_owned(),
    };
    Launched::Ended {
        exit,
        stderr: drain_stderr(host).await,
    }
}

/// Kills it, if it still runs, and takes the last line of its stderr.
async fn drain_stderr(host: &mut Child) -> String {
    let _ = host.start_kill();
    let mut stderr = Vec::new();
    if let Some(mut pipe) = host.stderr.take() {
        // A child of it may hold the pipe open.
        let _ = timeout(EXIT_TIMEOUT, async {
            while let Ok(1..) = pipe.read_buf(&mut stderr).await {
                let above = stderr.len().saturating_sub(MAX_STDERR_BYTES);
                stderr.drain(..above);
            }
        })
        .await;
    }
    let output = String::from_utf8_lossy(&stderr);
    output
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned()
}

/// Does it stay although its pipes were closed?
async fn lingers(host: &mut Child) -> bool {
    timeout(KILL_TIMEOUT, host.wait()).await.is_err()
}
