//! The local socket from both ends: a broker of the test's own, and a caller of the test's own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use longwire::wire::frame::{FROM_BROWSER, Frames, Taken, framed};
use serde_json::{Value, json};

use super::SOON;
use super::scratch::Scratch;

/// A socket where hosts look for the broker.
pub(crate) struct FakeBroker(UnixListener);

impl FakeBroker {
    /// Listens in this home.
    pub(crate) fn listen(scratch: &Scratch) -> Self {
        let socket = scratch.socket();
        let folder = socket.parent().unwrap();
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700).create(folder).unwrap();
        let _ = fs::remove_file(&socket);
        Self(UnixListener::bind(&socket).unwrap())
    }

    /// The next host, and its first frame.
    pub(crate) fn accept(&self) -> (RawPort, Value) {
        let mut wire = RawPort::new(self.0.accept().unwrap().0);
        let preamble = wire.next().expect("a preamble");
        (wire, preamble)
    }
}

/// One end of a local connection.
pub(crate) struct RawPort {
    stream: UnixStream,
    frames: Frames,
}

impl RawPort {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        Self {
            stream,
            frames: Frames::new(FROM_BROWSER),
        }
    }

    /// Connects to the broker of this home and sends nothing.
    pub(crate) fn connect(scratch: &Scratch) -> Self {
        Self::at(&scratch.socket())
    }

    /// Connects to a socket.
    pub(crate) fn at(socket: &Path) -> Self {
        Self::new(UnixStream::connect(socket).unwrap())
    }

    /// Calls the broker of this home as the command line.
    pub(crate) fn admin(scratch: &Scratch) -> Self {
        let mut wire = Self::connect(scratch);
        wire.send(&json!({"longwire": 1, "kind": "admin", "pid": 1, "version": "test"}));
        wire
    }

    pub(crate) fn send(&mut self, frame: &Value) {
        self.send_bytes(&framed(frame.to_string().as_bytes()));
    }

    /// Writes bytes, whatever they are; the other side may have hung up.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        match self.stream.write_all(bytes) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => panic!("{error}"),
            Ok(()) | Err(_) => {}
        }
    }

    /// Some if the other side has hung up already; does not wait.
    pub(crate) fn try_end(&mut self) -> Option<()> {
        self.stream.set_nonblocking(true).unwrap();
        let read = self.stream.read(&mut [0; 1]);
        self.stream.set_nonblocking(false).unwrap();
        match read {
            Ok(0) => Some(()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Some(()),
            _ => None,
        }
    }

    /// The next frame, `Null` for an empty one; `None` when the other side has hung up.
    pub(crate) fn next(&mut self) -> Option<Value> {
        let mut chunk = [0; 4096];
        loop {
            match self.frames.take() {
                Some(Taken::Frame(frame)) if frame.is_empty() => return Some(Value::Null),
                Some(Taken::Frame(frame)) => return Some(serde_json::from_slice(&frame).unwrap()),
                Some(Taken::TooLarge(length)) => panic!("a frame of {length} bytes"),
                None => {}
            }
            match self.stream.read(&mut chunk) {
                Ok(count @ 1..) => self.frames.push(&chunk[..count]),
                Ok(0) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no frame arrived: {error}"),
            }
        }
    }
}
