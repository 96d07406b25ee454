//! The command line's own way to the broker: its status, what a session records, and the request to leave.
//!
//! It starts no broker and holds no session.

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::local::{self, Endpoint, LocalError, ReadHalf, Stream, WriteHalf};
use crate::paths::Paths;
use crate::wire::batch::Shape;
use crate::wire::frame::{FROM_BROWSER, Frames, Taken, framed};
use crate::wire::part::Joiner;
use crate::wire::preamble::{Kind, Preamble};
use crate::wire::record::ErrorInfo;

use super::error::{Exit, Failure};

/// How long the broker may take to answer.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a broker that was asked to leave may take.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// How often a condition is looked at again.
const GLANCE: Duration = Duration::from_millis(5);

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
        let answer = timeout(ANSWER_WITHIN, exchange(stream, request)).await;
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

    /// Asks the broker to leave and waits until it has; `false` when none ran.
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
                sleep(GLANCE).await;
            }
        };
        timeout(LEAVE_WITHIN, gone).await.map_err(|_| {
            Failure::new(format!(
                "the broker did not exit within {} s",
                LEAVE_WITHIN.as_secs()
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
                sleep(GLANCE).await;
            }
        };
        timeout(ANSWER_WITHIN, received)
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
    pub(crate) async fn watch(&self, request: &Value) -> Result<Option<Wire>, Failure> {
        let broken = |error: io::Error| {
            Failure::because("cannot communicate with the broker", &error).exit(Exit::Unreachable)
        };
        match self.connect().await {
            Ok(stream) => Wire::open(stream, request).await.map(Some).map_err(broken),
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

/// A broker that is there and says nothing.
pub(crate) fn unanswered() -> Failure {
    Failure::new(format!(
        "the broker did not answer within {} s",
        ANSWER_WITHIN.as_secs()
    ))
    .hint("longwire doctor")
    .exit(Exit::Unreachable)
}

/// Whether a process holds this lock.
fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

async fn exchange(stream: Stream, request: &Value) -> io::Result<Value> {
    let mut wire = Wire::open(stream, request).await?;
    loop {
        match wire.next().await? {
            Some(frame) if frame["id"] == "1" => return Ok(frame),
            Some(_) => {}
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A connection to the broker on which it goes on talking.
#[derive(Debug)]
pub(crate) struct Wire {
    reader: ReadHalf,
    /// Kept: the broker takes a closed half for the end.
    _writer: WriteHalf,
    frames: Frames,
    joiner: Joiner,
    ready: VecDeque<Value>,
}

impl Wire {
    async fn open(stream: Stream, request: &Value) -> io::Result<Self> {
        let (reader, mut writer) = local::split(stream);
        let preamble = Preamble::new(Kind::Admin, None, crate::version::own()).to_json();
        writer.write_all(&framed(&preamble)).await?;
        writer.write_all(&framed(request.to_string().as_bytes())).await?;
        writer.flush().await?;
        Ok(Self {
            reader,
            _writer: writer,
            frames: Frames::new(FROM_BROWSER),
            joiner: Joiner::default(),
            ready: VecDeque::new(),
        })
    }

    /// The next frame; `None` when the broker has hung up. Cancelling it loses nothing.
    ///
    /// # Errors
    /// When the connection fails or what came is no frame.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Value>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(Some(frame));
            }
            while let Some(taken) = self.frames.take() {
                if let Taken::Frame(bytes) = taken
                    && !bytes.is_empty()
                {
                    self.unpack(&bytes)?;
                }
            }
            if self.ready.is_empty() && self.reader.read_buf(self.frames.room(8 << 10)).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn unpack(&mut self, bytes: &[u8]) -> io::Result<()> {
        let broken = |error: ErrorInfo| io::Error::other(error.message);
        match Shape::of(bytes).map_err(broken)? {
            Shape::Single => self.ready.push_back(serde_json::from_slice(bytes)?),
            Shape::Batch(all) => {
                for frame in all {
                    self.ready.push_back(serde_json::from_str(frame.get())?);
                }
            }
            Shape::Part(part) => {
                if let Some(whole) = self.joiner.join(&part).map_err(broken)? {
                    self.ready.push_back(serde_json::from_str(&whole)?);
                }
            }
        }
        Ok(())
    }
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
