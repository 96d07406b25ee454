//! A port as a browser opens it: a real host process on pipes, and frames through it.
//!
//! It unpacks batches and joins parts; it knows no session and acknowledges nothing.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::paths;
use crate::wire::batch::Shape;
use crate::wire::frame::{FROM_BROWSER, Frames, Taken, framed};
use crate::wire::part::Joiner;

/// Bytes read from the host at a time.
const CHUNK: usize = 64 << 10;

/// A host process and its pipes. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    host: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    frames: Frames,
    joiner: Joiner,
    ready: VecDeque<Value>,
}

impl Port {
    /// Starts `program` as a browser does, with its arguments; its own folder is the current one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(program: &Path, arguments: &[&str], home: Option<&OsStr>) -> io::Result<Self> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(folder) = program.parent() {
            command.current_dir(folder);
        }
        if let Some(home) = home {
            command.env(paths::HOME, home);
        }
        // A ^C is for us: the host is still needed to say goodbye.
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(windows)]
        command.creation_flags(windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP);
        let mut host = command.spawn()?;
        let (Some(stdin), Some(stdout)) = (host.stdin.take(), host.stdout.take()) else {
            return Err(io::Error::other("the host has no pipes"));
        };
        let frames = Frames::new(FROM_BROWSER);
        Ok(Self {
            host,
            stdin,
            stdout,
            frames,
            joiner: Joiner::default(),
            ready: VecDeque::new(),
        })
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the host has exited.
    pub(crate) async fn send(&mut self, frame: &Value) -> io::Result<()> {
        self.stdin
            .write_all(&framed(frame.to_string().as_bytes()))
            .await?;
        self.stdin.flush().await
    }

    /// The next frame; `None` when the host has closed the port. Cancelling it loses nothing.
    ///
    /// # Errors
    /// When the pipe fails or what came is no frame.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Value>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(Some(frame));
            }
            while let Some(taken) = self.frames.take() {
                match taken {
                    Taken::Frame(bytes) => self.unpack(&bytes)?,
                    Taken::TooLarge(_) => {
                        return Err(io::Error::other("the host sent a frame above the size limit"));
                    }
                }
            }
            if self.ready.is_empty() && self.stdout.read_buf(self.frames.room(CHUNK)).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn unpack(&mut self, bytes: &[u8]) -> io::Result<()> {
        let broken =
            |error: &dyn std::fmt::Display| io::Error::other(format!("the host sent no frame: {error}"));
        match Shape::of(bytes).map_err(|error| broken(&error.message))? {
            Shape::Single => {
                self.ready
                    .push_back(serde_json::from_slice(bytes).map_err(|error| broken(&error))?);
            }
            Shape::Batch(frames) => {
                for frame in frames {
                    self.ready
                        .push_back(serde_json::from_str(frame.get()).map_err(|error| broken(&error))?);
                }
            }
            Shape::Part(part) => {
                if let Some(frame) = self.joiner.join(&part).map_err(|error| broken(&error.message))? {
                    self.ready
                        .push_back(serde_json::from_str(&frame).map_err(|error| broken(&error))?);
                }
            }
        }
        Ok(())
    }

    /// Ends the host without a warning.
    ///
    /// # Errors
    /// When the process cannot be killed.
    pub(crate) async fn kill(mut self) -> io::Result<()> {
        self.host.kill().await
    }
}
