//! Starts a host as a browser does, says hello, and sees whether it ends when it should.
//!
//! It opens no session and judges nothing.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use installer::browsers::Family;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::facts::{LaunchFacts, Launched};
use crate::wire::batch::Shape;
use crate::wire::frame::{Frames, TO_BROWSER, Taken, framed};

/// After this Chromium kills a host whose pipes it has closed.
const LINGER: Duration = Duration::from_secs(2);
/// How long a host that is over may take to be gone.
const GRACE: Duration = Duration::from_millis(500);
/// Bytes of stderr that are kept.
const STDERR: usize = 2048;

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
        Ok(mut host) => match timeout(within, greet(&mut host)).await {
            Ok(Ok(version)) => Launched::Welcomed {
                version,
                lingers: lingers(&mut host).await,
            },
            Ok(Err(end)) => end,
            Err(_) => Launched::Silent(last_words(&mut host).await),
        },
    };
    LaunchFacts {
        program: program.to_path_buf(),
        family,
        took: started.elapsed(),
        end,
    }
}

/// The arguments, pipes and folder that a browser gives; killed when it is dropped.
fn start(program: &Path, family: Family, manifest: &Path, entry: &str) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    match family {
        Family::Chromium => command.arg(entry),
        Family::App => command.arg(format!("app://{entry}")),
        Family::Firefox => command.arg(manifest).arg(entry),
    };
    if family == Family::Chromium && cfg!(windows) {
        command.arg("--parent-window=0");
    }
    if let Some(folder) = program.parent() {
        command.current_dir(folder);
    }
    command
        // As browsers without a session bus have it.
        .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Says hello and waits for the welcome: its version, or how it went instead.
async fn greet(host: &mut Child) -> Result<String, Launched> {
    let (Some(stdin), Some(mut stdout)) = (host.stdin.as_mut(), host.stdout.take()) else {
        return Err(Launched::NotStarted("it has no pipes".to_owned()));
    };
    let client = format!("doctor-{}", std::process::id());
    let hello = json!({"type": "hello", "protocol": 1, "profile": client, "client": client});
    let hello = framed(hello.to_string().as_bytes());
    // A host that has ended does not read: what it said before it ended says more than the broken pipe.
    let _ = stdin.write_all(&hello).await;
    let _ = stdin.flush().await;
    let mut frames = Frames::new(TO_BROWSER);
    loop {
        while let Some(taken) = frames.take() {
            let frame = match taken {
                Taken::Frame(frame) => frame,
                Taken::TooLarge(length) => return Err(garbled(length)),
            };
            for frame in unpack(&frame)? {
                match (frame["type"].as_str(), frame["state"].as_str()) {
                    (Some("welcome"), _) => {
                        let version = frame["version"].as_str().unwrap_or("?");
                        return Ok(version.to_owned());
                    }
                    // The broker left in this moment, and another has come.
                    (Some("host"), Some("back")) => {
                        let _ = stdin.write_all(&hello).await;
                        let _ = stdin.flush().await;
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
        match read(&mut stdout, &mut frames).await {
            Ok(0) | Err(_) => return Err(ended(host).await),
            Ok(_) => {}
        }
    }
}

async fn read(stdout: &mut ChildStdout, frames: &mut Frames) -> std::io::Result<usize> {
    stdout.read_buf(frames.room(4 << 10)).await
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

fn unpack(bytes: &[u8]) -> Result<Vec<Value>, Launched> {
    let broken = |why: String| Launched::Garbled(why);
    let parse = |text: &[u8]| serde_json::from_slice(text).map_err(|error| broken(error.to_string()));
    match Shape::of(bytes).map_err(|error| broken(error.message))? {
        Shape::Single => Ok(vec![parse(bytes)?]),
        Shape::Batch(frames) => frames.iter().map(|frame| parse(frame.get().as_bytes())).collect(),
        Shape::Part(_) => Ok(Vec::new()),
    }
}

/// What a host that ended by itself has left.
async fn ended(host: &mut Child) -> Launched {
    let exit = match timeout(GRACE, host.wait()).await {
        Ok(Ok(status)) => status.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it closed its output and kept running".to_owned(),
    };
    Launched::Ended {
        exit,
        stderr: last_words(host).await,
    }
}

/// Kills it, if it still runs, and takes the last line of its stderr.
async fn last_words(host: &mut Child) -> String {
    let _ = host.start_kill();
    let mut stderr = Vec::new();
    if let Some(mut pipe) = host.stderr.take() {
        // A child of it may hold the pipe open.
        let _ = timeout(GRACE, async {
            while let Ok(1..) = pipe.read_buf(&mut stderr).await {
                let above = stderr.len().saturating_sub(STDERR);
                stderr.drain(..above);
            }
        })
        .await;
    }
    let said = String::from_utf8_lossy(&stderr);
    said.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned()
}

/// Closes the pipes as a browser does: does it stay?
async fn lingers(host: &mut Child) -> bool {
    drop(host.stdin.take());
    timeout(LINGER, host.wait()).await.is_err()
}
