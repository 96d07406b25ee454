//! The peers: a scripted one over plain TCP, npm `ws`, Python `websockets`.
//!
//! Real servers are installed at their first use, print their port on stdout, and end when their stdin does.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use longwire::wire::payload::Payload;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A listener on a port of its own, and that port.
pub(super) async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Serves one connection by a script.
pub(super) async fn scripted<F, T>(script: impl FnOnce(Peer) -> F + Send + 'static) -> (u16, JoinHandle<T>)
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let (listener, port) = listen().await;
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(Peer { stream }).await
    });
    (port, task)
}

/// Serves one connection by a script that starts after a valid handshake.
pub(super) async fn upgraded<F, T>(script: impl FnOnce(Peer) -> F + Send + 'static) -> (u16, JoinHandle<T>)
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    scripted(|mut peer| async move {
        peer.accept("").await;
        script(peer).await
    })
    .await
}

/// A frame from the client, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) first: u8,
    pub(super) payload: Vec<u8>,
}

/// The server's end of a connection, driven by the test.
pub(super) struct Peer<S = TcpStream> {
    pub(super) stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// Reads a request's head.
    pub(super) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.expect("no whole request head"));
        }
        String::from_utf8(head).unwrap()
    }

    /// Sends these bytes. It is no error if the client has disconnected meanwhile.
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Accepts the handshake, with these additional header lines; gives the request's head.
    pub(super) async fn accept(&mut self, more: &str) -> String {
        let head = self.head().await;
        self.send(switching(&head, more)).await;
        head
    }

    /// Reads one frame; `None` at the end of the stream.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        let first = self.stream.read_u8().await.ok()?;
        let second = self.stream.read_u8().await.ok()?;
        assert_eq!(second & 0x80, 0x80, "clients mask");
        let len = match second & 0x7f {
            126 => self.stream.read_u16().await.ok()? as usize,
            127 => self.stream.read_u64().await.ok()? as usize,
            short => short as usize,
        };
        let mut mask = [0; 4];
        self.stream.read_exact(&mut mask).await.ok()?;
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).await.ok()?;
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        Some(Frame { first, payload })
    }

    /// Reads until the client ends the connection.
    pub(super) async fn until_end(&mut self) {
        let mut bin = [0; 4096];
        while self.stream.read(&mut bin).await.is_ok_and(|n| n > 0) {}
    }
}

/// The answer that accepts a handshake.
pub(super) fn switching(head: &str, more: &str) -> String {
    let key = head
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
        })
        .expect("no key in the request");
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// A frame as a server writes it.
pub(super) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut out = vec![first];
    match payload.len() {
        len @ 0..126 => out.push(len as u8),
        len @ 126..65_536 => {
            out.push(126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

/// A close frame's payload.
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// A server in a process of its own. It ends with this value.
pub(super) struct Server {
    pub(super) port: u16,
    _child: Child,
}

impl Server {
    /// npm `ws`; see `ws.mjs` for the options. `None` where there is no Node and it is not required.
    pub(super) async fn ws(options: &str) -> Option<Self> {
        let folder = fixtures();
        if !installed(&folder.join("node_modules/ws/package.json"), || {
            Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
                .args(["ci", "--no-audit", "--no-fund"])
                .current_dir(&folder)
                .stdout(Stdio::null())
                .status()
        }) {
            return None;
        }
        let mut command = tokio::process::Command::new("node");
        command.arg("ws.mjs").arg(options).current_dir(&folder);
        Self::start(command).await
    }

    /// Python `websockets`, with or without compression.
    pub(super) async fn websockets(compression: bool) -> Option<Self> {
        let folder = fixtures();
        let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("websockets-venv");
        let python = venv.join(if cfg!(windows) {
            "Scripts/python.exe"
        } else {
            "bin/python"
        });
        if !installed(&venv.join("complete"), || {
            let python3 = if cfg!(windows) { "python" } else { "python3" };
            let made = Command::new(python3).args(["-m", "venv"]).arg(&venv).status()?;
            if !made.success() {
                return Ok(made);
            }
            let filled = Command::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "-r",
                ])
                .arg(folder.join("requirements.txt"))
                .status()?;
            if filled.success() {
                std::fs::write(venv.join("complete"), "")?;
            }
            Ok(filled)
        }) {
            return None;
        }
        let mut command = tokio::process::Command::new(python);
        command
            .arg("websockets_server.py")
            .arg(if compression { "deflate" } else { "plain" })
            .current_dir(&folder);
        Self::start(command).await
    }

    async fn start(mut command: tokio::process::Command) -> Option<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .await
            .unwrap();
        Some(Self {
            port: line.trim().parse().expect("the server printed no port"),
            _child: child,
        })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/servers")
}

/// Sees to it that something is installed once, however many tests want it at the same time. Where it cannot be, the
/// test is skipped on a developer's machine and fails under CI.
fn installed(proof: &Path, install: impl FnOnce() -> io::Result<std::process::ExitStatus>) -> bool {
    let lock = std::fs::File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("install.lock")).unwrap();
    lock.lock().unwrap();
    if proof.exists() {
        return true;
    }
    if crate::skip::may_not_install() {
        crate::skip::skip(&format!(
            "{} is missing, and nothing may be installed",
            proof.display()
        ));
        return false;
    }
    let why = match install() {
        Ok(status) if status.success() => return true,
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    crate::skip::skip(&format!("{} cannot be installed: {why}", proof.display()));
    false
}

/// Text or bytes of this size that are not all the same.
pub(super) fn payload(size: usize, is_text: bool) -> Payload {
    let bytes = (0..size).map(|n| b'a' + (n % 23) as u8).collect::<Vec<_>>();
    if is_text {
        Payload::Text(bytes.into())
    } else {
        Payload::Binary(bytes.into())
    }
}
