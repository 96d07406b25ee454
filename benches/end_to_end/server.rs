//! A WebSocket server that costs next to nothing: its messages are encoded before a client connects.
//!
//! It implements just enough of the protocol for one correct client; compression is not among it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The server; a thread a connection.
pub(crate) struct Server {
    address: SocketAddr,
    /// Connections that wait for `tick`.
    listeners: Arc<Mutex<Vec<TcpStream>>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listeners = Arc::new(Mutex::new(Vec::new()));
        let waiting = listeners.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let waiting = waiting.clone();
                std::thread::spawn(move || {
                    // A client that goes away ends its thread.
                    let _ = stream.and_then(|stream| serve(stream, &waiting));
                });
            }
        });
        Self { address, listeners }
    }

    /// Says `count` messages of `size` bytes as fast as they are taken.
    pub(crate) fn flood(&self, size: usize, count: u64, json: bool) -> String {
        let form = if json { "json" } else { "text" };
        format!("ws://{}/flood/{form}/{size}/{count}", self.address)
    }

    /// Takes messages, and says how many there were after every `every`, and when `end` comes.
    pub(crate) fn sink(&self, every: u64) -> String {
        format!("ws://{}/sink/{every}", self.address)
    }

    /// Hears once a second from `tick` on.
    pub(crate) fn ticks(&self) -> String {
        format!("ws://{}/ticks", self.address)
    }

    /// Begins to send once a second to the clients that wait for it.
    pub(crate) fn tick(&self) {
        let listeners = std::mem::take(&mut *self.listeners.lock().unwrap());
        std::thread::spawn(move || tick(&listeners));
    }

    pub(crate) fn echo(&self) -> String {
        format!("ws://{}/echo", self.address)
    }
}

fn serve(mut stream: TcpStream, listeners: &Mutex<Vec<TcpStream>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 << 10, stream.try_clone()?);
    let (mut path, mut key) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().unwrap_or_default().to_owned();
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("sec-websocket-key")
        {
            value.trim().clone_into(&mut key);
        }
        if line == "\r\n" {
            break;
        }
    }
    stream.write_all(accepted(&key).as_bytes())?;
    match *path.split('/').skip(1).collect::<Vec<_>>() {
        ["flood", form, size, count] => flood(
            stream,
            size.parse().unwrap(),
            count.parse().unwrap(),
            form == "json",
        ),
        ["sink", every] => sink(stream, reader, every.parse().unwrap()),
        ["ticks"] => {
            drop(reader);
            listeners.lock().unwrap().push(stream);
            Ok(())
        }
        _ => echo(stream, reader),
    }
}

/// The handshake's answer for this key.
pub(crate) fn accepted(key: &str) -> String {
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// Says 200 bytes to each once a second, evenly over the second, until one of them is gone.
fn tick(listeners: &[TcpStream]) {
    const STEPS: usize = 100;
    let mut one = Vec::new();
    encode(&mut one, TEXT, &message(200, false));
    let start = Instant::now();
    for step in 0_u32.. {
        let due = Duration::from_millis(10) * step;
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let first = usize::try_from(step).unwrap() % STEPS;
        for mut listener in listeners.iter().skip(first).step_by(STEPS) {
            if listener.write_all(&one).is_err() {
                return;
            }
        }
    }
}

fn flood(mut stream: TcpStream, size: usize, count: u64, json: bool) -> std::io::Result<()> {
    let mut one = Vec::new();
    encode(&mut one, TEXT, &message(size, json));
    let batch = (64 << 10) / one.len() as u64 + 1;
    let many = one.repeat(usize::try_from(batch).unwrap());
    let mut left = count;
    while left > 0 {
        let now = batch.min(left);
        stream.write_all(&many[..usize::try_from(now).unwrap() * one.len()])?;
        left -= now;
    }
    // The other side closes.
    while stream.read(&mut [0; 1024])? > 0 {}
    Ok(())
}

fn message(size: usize, json: bool) -> Vec<u8> {
    if json {
        let head = br#"{"type":"tick","symbol":"EURUSD","bid":1.0842,"ask":1.0843,"text":""#;
        let mut text = head.to_vec();
        text.resize(size - 2, b'j');
        text.extend_from_slice(b"\"}");
        text
    } else {
        vec![b'm'; size]
    }
}

fn sink(mut stream: TcpStream, mut reader: BufReader<TcpStream>, every: u64) -> std::io::Result<()> {
    let (mut payload, mut out) = (Vec::new(), Vec::new());
    let mut counted = 0;
    loop {
        let is_end = match read(&mut reader, &mut payload)? {
            PING => {
                encode(&mut out, PONG, &payload);
                false
            }
            CLOSE => return Ok(()),
            _ => payload == b"end",
        };
        if is_end || out.is_empty() {
            counted += u64::from(!is_end);
            if is_end || counted % every == 0 {
                encode(&mut out, TEXT, counted.to_string().as_bytes());
            }
        }
        if !out.is_empty() {
            stream.write_all(&out)?;
            out.clear();
        }
    }
}

fn echo(mut stream: TcpStream, mut reader: BufReader<TcpStream>) -> std::io::Result<()> {
    let (mut payload, mut out) = (Vec::new(), Vec::new());
    loop {
        let opcode = match read(&mut reader, &mut payload)? {
            PING => PONG,
            CLOSE => return Ok(()),
            other => other,
        };
        encode(&mut out, opcode, &payload);
        stream.write_all(&out)?;
        out.clear();
    }
}

/// One unmasked frame.
fn encode(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..126 => out.push(u8::try_from(short).unwrap()),
        middle @ 126..65_536 => {
            out.push(126);
            out.extend_from_slice(&u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            out.push(127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// One whole frame, masked or not; its opcode.
fn read(reader: &mut BufReader<TcpStream>, payload: &mut Vec<u8>) -> std::io::Result<u8> {
    let mut head = [0; 2];
    reader.read_exact(&mut head)?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut bytes = [0; 2];
            reader.read_exact(&mut bytes)?;
            u64::from(u16::from_be_bytes(bytes))
        }
        127 => {
            let mut bytes = [0; 8];
            reader.read_exact(&mut bytes)?;
            u64::from_be_bytes(bytes)
        }
        short => u64::from(short),
    };
    let mut mask = [0; 4];
    if head[1] & 0x80 != 0 {
        reader.read_exact(&mut mask)?;
    }
    payload.resize(usize::try_from(length).unwrap(), 0);
    reader.read_exact(payload)?;
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[index & 3];
    }
    Ok(head[0] & 0xf)
}

fn connect(url: &str) -> TcpStream {
    let rest = url.strip_prefix("ws://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The floor: the flood's bytes, read by this process only.
pub(crate) fn read_directly(server: &Server, size: usize, count: u64, json: bool) -> Duration {
    let mut stream = connect(&server.flood(size, count, json));
    let mut one = Vec::new();
    encode(&mut one, TEXT, &message(size, json));
    let mut left = count * one.len() as u64;
    let mut bytes = vec![0; 256 << 10];
    let start = Instant::now();
    while left > 0 {
        let more = stream.read(&mut bytes).unwrap() as u64;
        left = left.saturating_sub(more);
    }
    start.elapsed()
}

/// The floor: round trips without host and broker.
pub(crate) fn echo_directly(server: &Server, count: usize) -> Vec<Duration> {
    let mut stream = connect(&server.echo());
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
    }
    // A mask of zeros: the server cannot tell, and the client saves a pass.
    let mut frame = vec![0x80 | TEXT, 0x80 | 126, 0, 200, 0, 0, 0, 0];
    frame.extend_from_slice(&[b'e'; 200]);
    let mut payload = Vec::new();
    (0..count)
        .map(|_| {
            let start = Instant::now();
            stream.write_all(&frame).unwrap();
            read(&mut reader, &mut payload).unwrap();
            start.elapsed()
        })
        .collect()
}
