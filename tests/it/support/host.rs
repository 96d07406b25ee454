//! A host process as a browser starts it: arguments, folder, pipes; frames in and out with a deadline.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use longwire::wire::batch::Shape;
use longwire::wire::frame::{Frames, TO_BROWSER, Taken, framed};
use longwire::wire::part::Joiner;
use serde_json::{Value, json};

use super::scratch::Scratch;
use super::{ORIGIN, SOON, eventually};

/// A host and its pipes; killed when dropped.
pub(crate) struct HostProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    frames: Receiver<Value>,
    /// Received while looking for others.
    passed: VecDeque<Value>,
}

impl HostProcess {
    /// As Chromium starts it.
    pub(crate) fn chromium(scratch: &Scratch) -> Self {
        let mut command = scratch.command();
        command.arg(ORIGIN);
        Self::spawn(command)
    }

    /// For this extension, after hello and welcome.
    pub(crate) fn of(scratch: &Scratch, origin: &str) -> Self {
        let mut command = scratch.command();
        command.arg(origin);
        let mut host = Self::spawn(command);
        host.hello();
        host
    }

    /// As Firefox starts it.
    pub(crate) fn firefox(scratch: &Scratch, manifest: &str, add_on: &str) -> Self {
        let mut command = scratch.command();
        command.args([manifest, add_on]);
        Self::spawn(command)
    }

    /// As Chromium starts it, as the leader of a process group like a browser's.
    pub(crate) fn in_its_own_group(scratch: &Scratch) -> Self {
        let mut command = scratch.command();
        command.arg(ORIGIN).process_group(0);
        Self::spawn(command)
    }

    /// Any command, on pipes.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, frames) = channel();
        std::thread::spawn(move || read(stdout, |frame| sender.send(frame).is_ok()));
        Self {
            stdin: child.stdin.take(),
            child,
            frames,
            passed: VecDeque::new(),
        }
    }

    /// Spawned without a reader: the host's output is not read.
    pub(crate) fn without_reader(scratch: &Scratch) -> (Self, ChildStdout) {
        let mut command = scratch.command();
        let mut child = command
            .arg(ORIGIN)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let host = Self {
            stdin: child.stdin.take(),
            child,
            frames: channel().1,
            passed: VecDeque::new(),
        };
        (host, stdout)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends one frame.
    pub(crate) fn send(&mut self, frame: &Value) {
        self.send_bytes(&framed(frame.to_string().as_bytes()));
    }

    /// Writes bytes, whatever they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    /// The pipe into the host, for a thread of the test's own.
    pub(crate) fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().unwrap()
    }

    /// Closes stdin, as a browser does with a port.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// The next frame; `None` when the host has closed the port.
    pub(crate) fn next(&mut self) -> Option<Value> {
        if let Some(frame) = self.passed.pop_front() {
            return Some(frame);
        }
        match self.frames.recv_timeout(SOON) {
            Ok(frame) => Some(frame),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no frame within {SOON:?}"),
        }
    }

    /// A frame that has come already, if there is one; does not wait.
    pub(crate) fn try_next(&mut self) -> Option<Value> {
        self.passed.pop_front().or_else(|| self.frames.try_recv().ok())
    }

    /// The next frame of this type; others before it are kept for later.
    pub(crate) fn expect(&mut self, kind: &str) -> Value {
        self.find(kind, |frame| frame["type"] == kind)
    }

    /// The next frame that satisfies `wanted`; others before it are kept for later.
    pub(crate) fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.passed.iter().position(&wanted) {
            return self.passed.remove(at).unwrap();
        }
        loop {
            match self.frames.recv_timeout(SOON) {
                Ok(frame) if wanted(&frame) => return frame,
                Ok(frame) => self.passed.push_back(frame),
                Err(error) => panic!(
                    "`{what}` did not arrive ({error}); earlier frames: {:?}",
                    self.passed
                ),
            }
        }
    }

    /// Frames received and not consumed yet.
    pub(crate) fn passed(&self) -> impl Iterator<Item = &Value> {
        self.passed.iter()
    }

    /// Says hello; gives the welcome.
    pub(crate) fn hello(&mut self) -> Value {
        self.send(&json!({"type": "hello", "protocol": 1}));
        self.expect("welcome")
    }

    /// Whether the port answers.
    pub(crate) fn ping(&mut self, id: &str) {
        self.send(&json!({"type": "ping", "id": id}));
        self.find("pong", |frame| frame["type"] == "pong" && frame["id"] == id);
    }

    /// Waits until the host has exited.
    pub(crate) fn wait(&mut self, within: Duration) -> ExitStatus {
        eventually(within, "the host ends", || self.child.try_wait().unwrap())
    }

    /// Ends the host without a warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads native frames as a browser does, unpacks batches and joins parts.
fn read(mut stdout: ChildStdout, mut give: impl FnMut(Value) -> bool) {
    let mut frames = Frames::new(TO_BROWSER);
    let mut joiner = Joiner::default();
    let mut chunk = vec![0; 64 << 10];
    while let Ok(count @ 1..) = stdout.read(&mut chunk) {
        frames.push(&chunk[..count]);
        while let Some(taken) = frames.take() {
            let Taken::Frame(frame) = taken else {
                panic!("a browser drops the port at this frame: {taken:?}");
            };
            let given = match Shape::of(&frame).unwrap() {
                Shape::Single => give(serde_json::from_slice(&frame).unwrap()),
                Shape::Batch(inner) => inner
                    .iter()
                    .all(|frame| give(serde_json::from_str(frame.get()).unwrap())),
                Shape::Part(part) => joiner
                    .join(&part)
                    .unwrap()
                    .is_none_or(|whole| give(serde_json::from_str(&whole).unwrap())),
            };
            if !given {
                return;
            }
        }
    }
    assert!(!frames.is_torn(), "the host ended in the middle of a frame");
}
