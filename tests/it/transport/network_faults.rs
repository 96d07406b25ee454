//! Network faults between broker and server: how soon they are noticed, how soon the link is restored, what is lost.
//!
//! Real host, real broker, a relay that misbehaves on demand. `--no-capture` prints the table of `docs/LINKS.md`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually};

/// What the relay does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum RelayMode {
    /// Passes everything on.
    Clear,
    /// Keeps connections open and passes nothing on: a half-open link, a server that hangs.
    Frozen,
    /// Ends every connection, with a reset, and new ones as soon as they come.
    Resetting,
    /// Ends every connection in order.
    Ending,
}

/// The relay.
struct Relay {
    port: u16,
    mode: Arc<AtomicU8>,
}

impl Relay {
    fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicU8::new(RelayMode::Clear as u8));
        let shared = mode.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let mode = shared.clone();
                    std::thread::spawn(move || pass(from, to, &mode));
                }
            }
        });
        Self { port, mode }
    }

    fn set_mode(&self, mode: RelayMode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mode: &AtomicU8) {
    let mut chunk = [0; 16 << 10];
    from.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    loop {
        let now = mode.load(Ordering::SeqCst);
        if now == RelayMode::Frozen as u8 {
            // Not read either: what the kernels take is all that moves.
            std::thread::sleep(Duration::from_millis(10));
            continue;
        }
        if now == RelayMode::Resetting as u8 || now == RelayMode::Ending as u8 {
            if now == RelayMode::Resetting as u8 {
                let _ = rustix::net::sockopt::set_socket_linger(&from, Some(Duration::ZERO));
                let _ = rustix::net::sockopt::set_socket_linger(&to, Some(Duration::ZERO));
            } else {
                let _ = from.shutdown(std::net::Shutdown::Both);
                let _ = to.shutdown(std::net::Shutdown::Both);
            }
            return;
        }
        match from.read(&mut chunk) {
            Ok(0) => {
                let _ = to.shutdown(std::net::Shutdown::Write);
                return;
            }
            Ok(count) => {
                if to.write_all(&chunk[..count]).is_err() {
                    return;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

/// A server that reports what it receives, and closes all connections when it gets a code.
struct Server {
    port: u16,
    received: Receiver<String>,
    closing: tokio::sync::watch::Sender<u16>,
}

fn server() -> Server {
    let (sender, received) = channel();
    let (port_sender, port) = channel();
    let (closing, closed) = tokio::sync::watch::channel(0);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            port_sender.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let mut closed = closed.clone();
                closed.mark_unchanged();
                tokio::spawn(serve(stream, sender.clone(), closed));
            }
        });
    });
    Server {
        port: port.recv().unwrap(),
        received,
        closing,
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    received: Sender<String>,
    mut closed: tokio::sync::watch::Receiver<u16>,
) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let _ = received.send(text.to_string());
                }
                Some(Ok(_)) => {}
                _ => return,
            },
            Ok(()) = closed.changed() => {
                let code = (*closed.borrow()).into();
                let frame = CloseFrame { code, reason: "".into() };
                let _ = socket.send(Message::Close(Some(frame))).await;
            }
        }
    }
}

/// Messages sent from the beginning of each fault on.
const MESSAGES: usize = 40;

/// One session under one kind of fault. Prints its row of the table.
#[expect(clippy::print_stdout, reason = "the table of the documentation is made of it")]
fn row(name: &str, lasts: Duration, if_lost: &str, fault: impl FnOnce(&Relay, &Server)) {
    let (server, scratch) = (server(), Scratch::new());
    let relay = Relay::before(server.port);
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let url = format!("ws://127.0.0.1:{}/", relay.port);
    host.send(
        &json!({"type": "open", "id": "o", "session": "s", "url": url, "options": {
            "heartbeat": {"interval": 1000, "timeout": 500}, "connectTimeout": 1000, "reconnect": {"maxDelay": 2000},
        }}),
    );
    let is_state = |frame: &Value, state: &str| frame["type"] == "state" && frame["state"] == state;
    let opened = host.find("open", |frame| is_state(frame, "open"));
    assert_eq!(opened["continuity"], Value::Null);

    let begun = Instant::now();
    fault(&relay, &server);
    for n in 0..MESSAGES {
        host.send(&json!({"type": "send", "session": "s", "id": format!("m{n}"), "text": format!("m{n}"), "receipt": true, "ifLost": if_lost}));
    }
    let lost = host.find("waiting", |frame| is_state(frame, "waiting"));
    let noticed = begun.elapsed();
    // Not a wait for something to happen: this is how long the fault lasts.
    std::thread::sleep(lasts.saturating_sub(begun.elapsed()));
    relay.set_mode(RelayMode::Clear);
    let healed = Instant::now();
    let back = host.find("open again", |frame| is_state(frame, "open"));
    let took = healed.elapsed();
    assert_eq!(
        back["continuity"], "unknown",
        "messages the server sent meanwhile cannot be counted, which is reported"
    );

    let mut outcomes = Vec::new();
    while outcomes.len() < MESSAGES {
        outcomes.push(host.find("an outcome", |frame| frame["type"] == "outcome"));
    }
    let ended = |how: &str| -> Vec<&str> {
        let these = outcomes.iter().filter(|outcome| outcome["outcome"] == how);
        these.map(|outcome| outcome["id"].as_str().unwrap()).collect()
    };
    let (sent, unknown) = (ended("sent"), ended("unknown"));
    assert_eq!(sent.len() + unknown.len(), MESSAGES, "{outcomes:?}");
    let mut received = Vec::new();
    eventually(SOON, "everything reported as sent was received", || {
        received.extend(server.received.try_iter());
        sent.iter()
            .all(|id| received.iter().any(|text| text == id))
            .then_some(())
    });
    let mut once = received.clone();
    once.sort();
    once.dedup();
    match if_lost {
        "resend" => assert_eq!(
            once.len(),
            MESSAGES,
            "everything arrives, some of it perhaps twice"
        ),
        _ => assert_eq!(once.len(), received.len(), "nothing is sent twice: {received:?}"),
    }
    println!(
        "| {name} | {} | {:.2} s | {:.2} s | {} sent, {} told as `unknown`, 0 lost in silence |",
        lost["error"]["code"]
            .as_str()
            .map_or_else(|| lost["code"].to_string(), str::to_owned),
        noticed.as_secs_f64(),
        took.as_secs_f64(),
        sent.len(),
        unknown.len()
    );
}

#[test]
fn a_gracefully_restarted_server_is_redialled() {
    row(
        "the server closes everybody with 1012",
        Duration::ZERO,
        "report",
        |_, server| {
            server.closing.send(1012).unwrap();
        },
    );
}

#[test]
fn a_connection_ended_by_the_server_is_reestablished() {
    row(
        "the server's process ends (FIN)",
        Duration::ZERO,
        "report",
        |relay, _| {
            relay.set_mode(RelayMode::Ending);
        },
    );
}

#[test]
fn a_reset_connection_is_reestablished() {
    row(
        "something on the way resets the connection (RST)",
        Duration::ZERO,
        "report",
        |relay, _| {
            relay.set_mode(RelayMode::Resetting);
        },
    );
}

#[test]
fn an_unreachable_server_is_redialled_until_it_returns() {
    row(
        "the server hangs up on everybody for 3 s",
        Duration::from_secs(3),
        "report",
        |relay, _| {
            relay.set_mode(RelayMode::Resetting);
        },
    );
}

#[test]
fn a_half_open_link_is_replaced() {
    row(
        "nothing comes through any more, both ends keep the connection",
        Duration::ZERO,
        "report",
        |relay, _| {
            relay.set_mode(RelayMode::Frozen);
        },
    );
}

#[test]
fn hanging_handshakes_time_out_until_the_server_recovers() {
    row(
        "the same for 4 s: dials hang as well",
        Duration::from_secs(4),
        "report",
        |relay, _| {
            relay.set_mode(RelayMode::Frozen);
        },
    );
}

#[test]
fn resent_messages_all_arrive() {
    row(
        "the same, and every message with `ifLost: \"resend\"`",
        Duration::ZERO,
        "resend",
        |relay, _| {
            relay.set_mode(RelayMode::Frozen);
        },
    );
}
