//! Servers that refuse, hang, break off or break the rules: each fault has its own error, without secrets.

mod frames;
mod handshake;

use std::time::Duration;

use longwire::core::io::{EngineTransports, Fetch, Incoming, LinkEnd, LinkEvent, ProxyChoice, TransportKind};
use longwire::wire::code::Code;
use longwire::wire::payload::Payload;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::servers::{close, frame, listen, scripted, switching, upgraded};
use super::{DIAL, TEST_TIMEOUT, TestLink, target, text};

/// A URL whose secrets must not be repeated.
fn secret_url(port: u16) -> String {
    format!("ws://canary:canary@127.0.0.1:{port}/canary?token=canary")
}

/// Dials, and expects the dial to fail.
async fn refused(port: u16) -> LinkEnd {
    let mut target = target(secret_url(port));
    target.headers = vec![
        ("Cookie".to_owned(), "canary".to_owned()),
        ("X-Canary".to_owned(), "canary".to_owned()),
    ];
    failing(target, port).await
}

async fn failing(target: longwire::core::io::Target, port: u16) -> LinkEnd {
    let mut link = TestLink::dial(target);
    let end = match link.next().await {
        LinkEvent::Ended(end) => end,
        other => panic!("not refused: {other:?}"),
    };
    let message = &end.error.as_ref().expect("no error").message;
    assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
    assert!(!message.to_lowercase().contains("canary"), "{message}");
    assert_eq!((end.code, end.taken), (None, 0));
    end
}

fn code(end: &LinkEnd) -> Code {
    end.error.as_ref().expect("no error").code
}

/// A server that sends this in answer to any request, and closes.
async fn answering(answer: &'static str) -> u16 {
    let (port, _) = scripted(move |mut peer| async move {
        peer.head().await;
        peer.send(answer).await;
    })
    .await;
    port
}

/// What a person must not have to know: names of our own parts, and of the libraries inside.
const INTERNAL: &[&str] = &[
    "channel closed",
    "hyper",
    "rustls",
    "tungstenite",
    "tokio",
    "Elapsed",
    "::",
    "Some(",
    "Err(",
    "{ ",
    "InvalidContentType",
    "IncompleteMessage",
    "UnknownIssuer",
    "HandshakeFailure",
];

#[tokio::test]
async fn no_error_message_names_internals() {
    let answers = [
        "",
        "HTTP/1.1 101 Switch",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html><title>502 Bad Gateway</title></html>",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><title>Log in to the hotel</title></html>",
        "HTTP/1.1 302 Found\r\nLocation: https://login.test/\r\n\r\n",
        "HTTP/1.1 407 Proxy\r\nProxy-Authenticate: NTLM\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip at all",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64",
        "\x15\x03\x01\0\x02\x02\x28",
        "220 mail.test ESMTP\r\n",
    ];
    let mut received = Vec::new();
    for answer in answers {
        for (scheme, kind) in [
            ("ws", TransportKind::WebSocket),
            ("wss", TransportKind::WebSocket),
            ("http", TransportKind::Http { post: None }),
            ("http", TransportKind::Engine(EngineTransports::default())),
            ("proxied", TransportKind::WebSocket),
        ] {
            let (listener, port) = listen().await;
            // It answers every request.
            let server = tokio::spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut got = [0; 1024];
                    let _ = stream.read(&mut got).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
            let here = format!("127.0.0.1:{port}");
            let mut target = match scheme {
                "proxied" => target("ws://server.test/"),
                scheme => target(format!("{scheme}://{here}/")),
            };
            if scheme == "proxied" {
                target.proxy = ProxyChoice::Url(format!("http://{here}"));
            }
            target.transport = kind;
            let url = target.url.clone();
            let is_http = matches!(target.transport, TransportKind::Http { .. });
            let mut link = TestLink::dial(target);
            if is_http {
                let fetch = Fetch {
                    url,
                    headers: Vec::new(),
                    timeout: TEST_TIMEOUT,
                    streaming: true,
                };
                link.dials.fetch(DIAL, Box::new(fetch));
            }
            loop {
                match link.next().await {
                    LinkEvent::Ended(end) => {
                        let error = end.error.map(|error| error.message).unwrap_or_default();
                        received.push(format!("{error} {}", end.reason.unwrap_or_default()));
                        break;
                    }
                    LinkEvent::Answered(answer) if answer.status != 200 || !answer.body.is_empty() => break,
                    _ => {}
                }
            }
            server.abort();
        }
    }
    assert!(received.len() > 30, "{}", received.len());
    for message in &received {
        let found = INTERNAL.iter().find(|word| message.contains(**word));
        assert_eq!(found, None, "{message}");
        assert!(!message.contains('<'), "no markup: {message}");
    }
    let of_length = received
        .iter()
        .filter(|message| message.contains("`Content-Length`"));
    assert!(of_length.count() >= 4, "{received:#?}");
    for title in ["502 Bad Gateway", "Log in to the hotel"] {
        assert!(
            received
                .iter()
                .any(|message| message.contains(&format!("HTML page titled `{title}`"))),
            "{received:#?}"
        );
    }
}

#[tokio::test]
async fn international_names_are_dialled_as_in_browsers() {
    let (port, server) = scripted(|mut peer| async move { peer.accept("").await }).await;
    let mut link = TestLink::dial(target(format!("ws://bücher.localhost:{port}/")));
    link.opened().await;
    let head = server.await.unwrap();
    assert!(
        head.contains(&format!("Host: xn--bcher-kva.localhost:{port}\r\n")),
        "{head}"
    );
}

#[tokio::test]
async fn a_port_without_listener_is_refused() {
    let (listener, port) = listen().await;
    drop(listener);
    assert_eq!(code(&refused(port).await), Code::Refused);
}

#[tokio::test]
async fn an_unknown_host_name_is_a_dns_error() {
    let mut link = TestLink::dial(target("ws://no-such-host.invalid:1/?token=canary"));
    let (_, end) = link.ended().await;
    let error = end.error.unwrap();
    assert_eq!(error.code, Code::Dns);
    assert!(
        error.message.contains("no-such-host.invalid"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn a_dial_ends_exactly_once() {
    let (port, _) = upgraded(|mut peer| async move { peer.send(frame(0x88, close(1000, ""))).await }).await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.ended().await;
    link.dials.settle().await;
    drop(link.dials);
    assert!(link.events.recv().await.is_none());
}

#[tokio::test]
async fn a_dial_closed_while_dialling_emits_no_event() {
    let (port, server) = scripted(|mut peer| async move {
        peer.head().await;
        peer.stream.read_u8().await.is_err()
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    while server.is_finished() {
        tokio::task::yield_now().await;
    }
    link.dials.hang_up(DIAL, 1000, String::new());
    tokio::time::timeout(TEST_TIMEOUT, link.dials.settle())
        .await
        .unwrap();
    drop(link.dials);
    assert!(link.events.recv().await.is_none());
}
