//! Servers that refuse, hang, break off or break the rules: each fault has its own error, without secrets.

use std::time::Duration;

use longwire::core::io::{EngineTransports, Fetch, Incoming, LinkEnd, LinkEvent, ProxyChoice, TransportKind};
use longwire::wire::code::Code;
use longwire::wire::payload::Payload;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::servers::{close, frame, listen, scripted, switching, upgraded};
use super::{DIAL, Line, TEST_TIMEOUT, target, text};

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
    let mut line = Line::dial(target);
    let end = match line.next().await {
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

/// A server that says this to whatever is asked, and hangs up.
async fn answering(answer: &'static str) -> u16 {
    let (port, _) = scripted(move |mut peer| async move {
        peer.head().await;
        peer.say(answer).await;
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
async fn no_failure_names_internals() {
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
            // It answers whatever it is asked, as often as it is.
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
            let mut line = Line::dial(target);
            if is_http {
                let fetch = Fetch {
                    url,
                    headers: Vec::new(),
                    timeout: TEST_TIMEOUT,
                    streaming: true,
                };
                line.dials.fetch(DIAL, Box::new(fetch));
            }
            loop {
                match line.next().await {
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
async fn international_names_are_dialled_as_browsers_do() {
    let (port, server) = scripted(|mut peer| async move { peer.accept("").await }).await;
    let mut line = Line::dial(target(format!("ws://bücher.localhost:{port}/")));
    line.opened().await;
    let head = server.await.unwrap();
    assert!(
        head.contains(&format!("Host: xn--bcher-kva.localhost:{port}\r\n")),
        "{head}"
    );
}

#[tokio::test]
async fn no_listener() {
    let (listener, port) = listen().await;
    drop(listener);
    assert_eq!(code(&refused(port).await), Code::Refused);
}

#[tokio::test]
async fn the_name_does_not_exist() {
    let mut line = Line::dial(target("ws://no-such-host.invalid:1/?token=canary"));
    let (_, end) = line.ended().await;
    let error = end.error.unwrap();
    assert_eq!(error.code, Code::Dns);
    assert!(
        error.message.contains("no-such-host.invalid"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn a_refusal_gives_status_and_body() {
    let port = answering(
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 15\r\nSet-Cookie: canary=1\r\n\r\ntoken\r\nexpired!\r\n",
    )
    .await;
    let end = refused(port).await;
    assert_eq!(
        (code(&end), end.status, end.reason.as_deref()),
        (Code::HttpStatus, Some(401), Some("token  expired!"))
    );
    assert_eq!(end.retry_after, None);
}

#[tokio::test]
async fn retry_after_is_read_as_seconds_and_as_a_date() {
    let port = answering("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n").await;
    let end = refused(port).await;
    assert_eq!(
        (end.status, end.retry_after),
        (Some(503), Some(Duration::from_secs(7)))
    );
    let port = answering(
        "HTTP/1.1 429 Slow Down\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let end = refused(port).await;
    assert_eq!(
        (end.status, end.retry_after),
        (Some(429), Some(Duration::from_secs(60)))
    );
}

#[tokio::test]
async fn of_an_endless_refusal_only_the_beginning_is_read() {
    let (port, server) = scripted(|mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n")
            .await;
        for _ in 0..100_000 {
            if tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &[b'x'; 10_000])
                .await
                .is_err()
            {
                return true;
            }
        }
        false
    })
    .await;
    let end = refused(port).await;
    assert_eq!(
        (end.status, end.reason.map(|reason| reason.len())),
        (Some(500), Some(500))
    );
    assert!(server.await.unwrap(), "everything was read");
}

#[tokio::test]
async fn a_redirect_is_reported_and_not_followed() {
    let (elsewhere, elsewhere_port) = listen().await;
    let (port, _) = scripted(move |mut peer| async move {
        peer.head().await;
        peer.say(format!(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{elsewhere_port}/canary\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        peer.until_end().await;
    })
    .await;
    let end = refused(port).await;
    assert_eq!((code(&end), end.status), (Code::HttpStatus, Some(302)));
    assert!(futures_util::FutureExt::now_or_never(elsewhere.accept()).is_none());
}

#[tokio::test]
async fn a_server_that_never_answers_times_out_and_the_stage_is_named() {
    for (scheme, harness) in [("ws", "the WebSocket handshake"), ("wss", "TLS")] {
        let (port, _server) = scripted(|mut peer| async move { peer.until_end().await }).await;
        let mut target = target(format!("{scheme}://127.0.0.1:{port}/?token=canary"));
        target.connect_timeout = Duration::from_millis(200);
        let end = failing(target, port).await;
        assert_eq!(code(&end), Code::Timeout);
        assert!(end.error.unwrap().message.contains(harness), "{scheme}");
    }
}

#[tokio::test]
async fn answers_that_are_no_handshake() {
    for answer in [
        "",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: d3Jvbmc=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let port = answering(answer).await;
        let end = refused(port).await;
        assert_eq!((code(&end), end.status), (Code::Handshake, None), "{answer}");
    }
}

/// Each is a response that Chromium and Firefox read (`tests/browser/edges.test.mjs` asks Chromium).
#[tokio::test]
async fn heads_that_browsers_read_are_read() {
    let many = "X-Many: 1\r\n".repeat(600);
    let long = format!("X-Long: {}\r\n", "a".repeat(200_000));
    for lines in [
        "X-Folded: a\r\n\tb\r\n",
        "X-Blank : a\r\n",
        "Nonsense\r\n",
        ": without a name\r\n",
        "A name with blanks: a\r\n",
        "X-Control: a\u{1}b\r\n",
        "X-Latin: \u{fc}\r\n",
        "Set-Cookie: \u{4e2d}=\u{fc}\r\n",
        &many,
        &long,
    ] {
        let lines = lines.to_owned();
        let shown: String = lines.chars().take(40).collect();
        let (port, server) = scripted(move |mut peer| async move { peer.accept(&lines).await }).await;
        let mut line = Line::dial(target(format!("ws://127.0.0.1:{port}/")));
        match line.next().await {
            LinkEvent::Opened { .. } => {}
            other => panic!("{shown}: {other:?}"),
        }
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_head_without_end_is_reported_as_one() {
    let (port, _server) = scripted(|mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 101 Switching Protocols\r\n").await;
        for _ in 0..5000 {
            peer.say(format!("X-Long: {}\r\n", "a".repeat(100))).await;
        }
        peer.until_end().await;
    })
    .await;
    let end = refused(port).await;
    let message = end.error.unwrap().message;
    assert!(message.contains("256 KB"), "{message}");
}

#[tokio::test]
async fn extensions_and_subprotocols_that_were_not_asked_for_are_refused() {
    for line in [
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Protocol: surprise\r\n",
    ] {
        let (port, _) = scripted(move |mut peer| async move { peer.accept(line).await }).await;
        assert_eq!(code(&refused(port).await), Code::Handshake, "{line}");
    }
}

#[tokio::test]
async fn a_token_list_in_connection_is_fine_and_so_are_early_messages() {
    let (port, server) = scripted(|mut peer| async move {
        let head = peer.head().await;
        let answer = switching(&head, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n")
            .replace("Connection: Upgrade", "Connection: keep-alive, Upgrade");
        // The first frame and a half in the same packet as the answer.
        let frames = [frame(0x81, "early"), frame(0x81, "later")].concat();
        let (now, later) = frames.split_at(9);
        peer.say([answer.as_bytes(), now].concat()).await;
        peer.say(later).await;
        peer.until_end().await;
    })
    .await;
    let mut line = Line::dial(target(format!("ws://127.0.0.1:{port}")));
    line.opened().await;
    assert_eq!(line.messages(2).await, [text("early"), text("later")]);
    drop(line);
    server.await.unwrap();
}

#[tokio::test]
async fn the_end_in_the_middle_of_a_frame_is_a_lost_link_behind_the_messages() {
    let (port, _) = upgraded(|mut peer| async move {
        peer.say(frame(0x81, "whole")).await;
        peer.say(&frame(0x81, "never finished")[..5]).await;
    })
    .await;
    let mut line = Line::dial(target(secret_url(port)));
    line.opened().await;
    let (messages, end) = line.ended().await;
    assert_eq!(messages, [text("whole")]);
    assert_eq!((end.code, code(&end)), (Some(1006), Code::LinkLost));
    assert!(!end.error.unwrap().message.contains("canary"));
}

#[tokio::test]
async fn a_reset_is_a_lost_link() {
    let (port, _) = upgraded(|mut peer| async move {
        peer.frame().await;
        peer.stream.set_zero_linger().unwrap();
    })
    .await;
    let mut line = Line::dial(target(format!("ws://127.0.0.1:{port}")));
    line.opened().await;
    line.transmit(longwire::wire::payload::Payload::text("x"));
    let (_, end) = line.ended().await;
    assert_eq!((end.code, code(&end), end.taken), (Some(1006), Code::LinkLost, 1));
}

#[tokio::test]
async fn close_codes_and_reasons_arrive_and_are_answered() {
    for (payload, expected, reason) in [
        (close(1000, "done"), 1000, Some("done")),
        (close(1001, ""), 1001, None),
        (close(4321, "because"), 4321, Some("because")),
        (Vec::new(), 1005, None),
    ] {
        let sent = payload.clone();
        let (port, server) = upgraded(move |mut peer| async move {
            peer.say([frame(0x81, "last"), frame(0x88, sent)].concat()).await;
            let answer = peer.frame().await;
            // The client waits for us to end the connection.
            drop(peer);
            answer
        })
        .await;
        let mut line = Line::dial(target(format!("ws://127.0.0.1:{port}")));
        line.opened().await;
        let (messages, end) = line.ended().await;
        assert_eq!(messages, [text("last")]);
        assert_eq!(
            (end.code, end.reason.as_deref(), end.error),
            (Some(expected), reason, None)
        );
        let answer = server.await.unwrap().expect("no close frame came back");
        assert_eq!((answer.first, answer.payload.get(..2)), (0x88, payload.get(..2)));
    }
}

#[tokio::test]
async fn a_server_that_breaks_the_rules_is_reported_and_left() {
    for (bytes, answer) in [
        (vec![0x81, 0x81, 0, 0, 0, 0, b'x'], 1002),
        (frame(0x83, ""), 1002),
        (frame(0xc1, "not agreed"), 1002),
        (frame(0x81, [0xff]), 1007),
        (frame(0x88, close(1006, "")), 1002),
    ] {
        let (port, server) = upgraded(move |mut peer| async move {
            peer.say([frame(0x81, "fine"), bytes].concat()).await;
            peer.frame().await
        })
        .await;
        let mut line = Line::dial(target(format!("ws://127.0.0.1:{port}")));
        line.opened().await;
        let (messages, end) = line.ended().await;
        assert_eq!(messages, [text("fine")]);
        assert_eq!((end.code, code(&end)), (Some(1006), Code::ServerProtocol));
        let frame = server.await.unwrap().expect("no close frame came");
        assert_eq!(
            (frame.first, &frame.payload[..2]),
            (0x88, &u16::to_be_bytes(answer)[..])
        );
    }
}

#[tokio::test]
async fn a_message_too_large_is_reported_in_its_place_and_the_link_goes_on() {
    let (port, server) = upgraded(|mut peer| async move {
        peer.say(
            [
                frame(0x81, "fine"),
                frame(0x82, vec![0; 3_000_000]),
                frame(0x81, "behind"),
            ]
            .concat(),
        )
        .await;
        peer.frame().await
    })
    .await;
    let mut target = target(format!("ws://127.0.0.1:{port}"));
    target.max_message = 1000;
    let mut line = Line::dial(target);
    line.opened().await;
    let skipped = Incoming::TooLarge {
        bytes: Some(3_000_000),
    };
    assert_eq!(line.messages(3).await, [text("fine"), skipped, text("behind")]);
    line.dials.transmit(super::DIAL, Payload::text("still here"));
    let frame = server.await.unwrap().expect("the link is open");
    assert_eq!(frame.payload, b"still here");
}

#[tokio::test]
async fn a_dial_ends_exactly_once() {
    let (port, _) = upgraded(|mut peer| async move { peer.say(frame(0x88, close(1000, ""))).await }).await;
    let mut line = Line::dial(target(format!("ws://127.0.0.1:{port}")));
    line.ended().await;
    line.dials.settle().await;
    drop(line.dials);
    assert!(line.events.recv().await.is_none());
}

#[tokio::test]
async fn a_dial_that_is_hung_up_while_it_dials_says_nothing() {
    let (port, server) = scripted(|mut peer| async move {
        peer.head().await;
        peer.stream.read_u8().await.is_err()
    })
    .await;
    let mut line = Line::dial(target(format!("ws://127.0.0.1:{port}")));
    while server.is_finished() {
        tokio::task::yield_now().await;
    }
    line.dials.hang_up(super::DIAL, 1000, String::new());
    tokio::time::timeout(TEST_TIMEOUT, line.dials.settle())
        .await
        .unwrap();
    drop(line.dials);
    assert!(line.events.recv().await.is_none());
}
