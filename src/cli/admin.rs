//! The command line's connection to the broker: its status, what a session records, and the request to exit.
//!
//! It starts no broker and holds no session.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::local::{self, Endpoint, LocalError, ReadHalf, Stream, WriteHalf};
use crate::paths::Paths;
use crate::wire::frame::FROM_BROWSER;
use crate::wire::preamble::{PeerKind, Preamble};

use super::error::{Exit, Failure};
use super::protocol_client::ProtocolClient;

/// How long the broker may take to answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a broker that was asked to exit may take.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a condition is looked at again.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// A connection to the broker on which frames go on coming.
pub(crate) type AdminClient = ProtocolClient<ReadHalf, WriteHalf>;

/// Where the broker is asked.
#[derive(Debug)]
pub(crate) struct Admin {
    paths: Paths,
}

impl Admin {
    pub(crate) const fn new(paths: Paths) -> Self {
        Self { paths }
    }

    /// The broker's `status`; `None` when no broker runs.
    pub(crate) async fn status(&self) -> Result<Option<Value>, Failure> {
        self.ask("status").await
    }

    /// The answer to a request whose `id` is `"1"`; `None` when no broker runs.
    pub(crate) async fn request(&self, request: &Value) -> Result<Option<Value>, Failure> {
        let stream = match self.connect().await {
            Ok(stream) => stream,
            Err(LocalError::Absent(_)) => return Ok(None),
            Err(error) => return Err(unreachable(&error)),
        };
        let answer = timeout(ANSWER_TIMEOUT, exchange(stream, request)).await;
        let answer = answer.map_err(|_| unanswered())?;
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => {
                Err(Failure::because("cannot communicate with the broker", &error).exit(Exit::Unreachable))
            }
        }
    }

    /// Has the broker read its settings again; its answer, or `None` when no broker runs.
    pub(crate) async fn reload(&self) -> Result<Option<Value>, Failure> {
        self.ask("reload").await
    }

    /// Asks the broker to exit and waits until it has; `false` when none ran.
    pub(crate) async fn stop(&self) -> Result<bool, Failure> {
        if self.ask("stop").await?.is_none() {
            return Ok(false);
        }
        let gone = async {
            // Not by connecting: where a service manager keeps the socket, that would start the next one.
            let Ok(endpoint) = Endpoint::of(&self.paths) else {
                return;
            };
            while is_locked(&endpoint.broker_lock()) {
                sleep(CHECK_INTERVAL).await;
            }
        };
        timeout(EXIT_TIMEOUT, gone).await.map_err(|_| {
            Failure::new(format!(
                "the broker did not exit within {} s",
                EXIT_TIMEOUT.as_secs()
            ))
            .hint("longwire status")
        })?;
        Ok(true)
    }

    /// Waits until the broker's sessions have received this many messages.
    pub(crate) async fn wait_for_received(&self, messages: u64) -> Result<(), Failure> {
        let received = async {
            loop {
                let status = self
                    .status()
                    .await?
                    .ok_or_else(|| Failure::new("the broker is not running"))?;
                if status["total"]["received"]["messages"]
                    .as_u64()
                    .is_some_and(|count| count >= messages)
                {
                    return Ok(());
                }
                sleep(CHECK_INTERVAL).await;
            }
        };
        timeout(ANSWER_TIMEOUT, received)
            .await
            .map_err(|_| Failure::new(format!("the broker has not received {messages} messages")))?
    }

    /// Kills the broker without a warning.
    pub(crate) async fn kill(&self) -> Result<(), Failure> {
        let status = self
            .status()
            .await?
            .ok_or_else(|| Failure::new("the broker is not running"))?;
        let pid = status["pid"]
            .as_u64()
            .and_then(|pid| i32::try_from(pid).ok())
            .filter(|pid| *pid > 0);
        let pid = pid.ok_or_else(|| Failure::new("the broker does not report its process id"))?;
        kill(pid).map_err(|error| Failure::because(format!("cannot kill the broker (process {pid})"), &error))
    }

    /// Watches a session: its last `last` records, then each as it comes. `None` when no broker runs.
    pub(crate) async fn watch(&self, request: &Value) -> Result<Option<AdminClient>, Failure> {
        let broken = |error: io::Error| {
            Failure::because("cannot communicate with the broker", &error).exit(Exit::Unreachable)
        };
        match self.connect().await {
            Ok(stream) => open(stream, request).await.map(Some).map_err(broken),
            Err(LocalError::Absent(_)) => Ok(None),
            Err(error) => Err(unreachable(&error)),
        }
    }

    async fn ask(&self, what: &str) -> Result<Option<Value>, Failure> {
        self.request(&json!({"type": what, "id": "1"})).await
    }

    async fn connect(&self) -> Result<Stream, LocalError> {
        local::connect(&Endpoint::of(&self.paths)?).await
    }
}

fn unreachable(error: &LocalError) -> Failure {
    Failure::because("cannot reach the broker", error)
        .hint("longwire doctor")
        .exit(Exit::Unreachable)
}

/// The error for a broker that does not answer.
pub(crate) fn unanswered() -> Failure {
    Failure::new(format!(
        "the broker did not answer within {} s",
        ANSWER_TIMEOUT.as_secs()
    ))
    .hint("longwire doctor")
    .exit(Exit::Unreachable)
}

/// Whether a process holds this lock.
fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

async fn exchange(stream: Stream, request: &Value) -> io::Result<Value> {
    let mut client = open(stream, request).await?;
    loop {
        match next(&mut client).await? {
            Some(frame) if frame["id"] == "1" => return Ok(frame),
            Some(_) => {}
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Introduces itself and sends a request.
async fn open(stream: Stream, request: &Value) -> io::Result<AdminClient> {
    let (reader, writer) = local::split(stream);
    let mut client = ProtocolClient::new(reader, writer, FROM_BROWSER);
    let preamble = Preamble::new(PeerKind::Admin, None, crate::version::own()).to_json();
    client.send_bytes(&preamble).await?;
    client.send(request).await?;
    Ok(client)
}

/// The broker's next frame; `None` when it has hung up. Cancelling it loses nothing.
///
/// # Errors
/// When the connection fails or what came is no frame.
pub(crate) async fn next(client: &mut AdminClient) -> io::Result<Option<Value>> {
    client.next().await.map_err(|error| error.of("the broker"))
}

#[cfg(unix)]
fn kill(pid: i32) -> io::Result<()> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
}

#[cfg(windows)]
fn kill(pid: i32) -> io::Result<()> {
    let done = std::process::Command::new("taskkill")
        .args(["/F", "/PID", &pid.to_string()])
        .output()?;
    if done.status.success() {
        Ok(())
    } else {
        Err(io::Error::other("taskkill refused"))
    }
}
