//! Event streams and polls as browsers make them: behind redirects, and behind proxies that keep the head.

use std::io::Write as _;
use std::time::Duration;

use longwire::core::io::{Fetch, LinkEvent, TransportKind};

use super::servers::{Peer, listen, scripted};
use super::{DIAL, TestLink, target};

const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: x\n\n";

/// Asks for a stream with a key and a cookie of this server's.
fn dial_stream(port: u16, timeout: Duration) -> TestLink {
    dial_http(port, true, timeout)
}

fn dial_http(port: u16, streaming: bool, timeout: Duration) -> TestLink {
    let url: url::Url = format!("http://127.0.0.1:{port}/first").parse().unwrap();
    let mut target = target(&url);
    target.connect_timeout = timeout;
    target.headers = [("X-Key", "k"), ("Cookie", "a=1"), ("User-Agent", "mine/1")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    target.transport = TransportKind::Http { post: None };
    let mut link = TestLink::dial(target);
    let fetch = Fetch {
        url,
        headers: vec![("Last-Event-ID".to_owned(), "5".to_owned())],
        timeout,
        streaming,
    };
    link.dials.fetch(DIAL, Box::new(fetch));
    link
}

async fn status(link: &mut TestLink) -> u16 {
    match link.next().await {
        LinkEvent::Answered(answer) => answer.status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_compressed_stream_is_delivered_event_by_event() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut flushed = |text: &str| {
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.flush().unwrap();
        std::mem::take(encoder.get_mut())
    };
    let (first, second) = (flushed("data: one\n\n"), flushed("data: two\n\n"));
    let (received, go_on) = tokio::sync::oneshot::channel();
    let (port, peer) = scripted(move |mut peer: Peer| async move {
        let head = peer.head().await;
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n";
        peer.send([answer.as_bytes(), &first].concat()).await;
        // The second is not sent before the first was received.
        go_on.await.unwrap();
        peer.send(&second).await;
        peer.until_end().await;
        head
    })
    .await;
    let mut link = dial_stream(port, super::TEST_TIMEOUT);
    assert_eq!(status(&mut link).await, 200);
    assert_eq!(chunk(&mut link).await, b"data: one\n\n");
    received.send(()).unwrap();
    assert_eq!(chunk(&mut link).await, b"data: two\n\n");
    drop(link);
    let head = peer.await.unwrap();
    assert!(head.contains("Accept-Encoding: gzip, deflate, br\r\n"), "{head}");
}

async fn chunk(link: &mut TestLink) -> Vec<u8> {
    match link.next().await {
        LinkEvent::Chunk(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unrequested_content_coding_is_a_clear_error() {
    let (port, _peer) = scripted(|mut peer: Peer| async move {
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: zstd\r\n\r\n")
            .await;
        peer.until_end().await;
    })
    .await;
    let mut link = dial_stream(port, super::TEST_TIMEOUT);
    let (_, end) = link.ended().await;
    let error = end.error.unwrap();
    assert!(error.message.contains("content coding"), "{error:?}");
}

#[tokio::test]
async fn cookies_of_a_websocket_handshake_are_sent_with_the_next_dial() {
    let (listener, port) = listen().await;
    let server = tokio::spawn(async move {
        let mut heads = Vec::new();
        for more in ["Set-Cookie: LB=b; Path=/\r\nSet-Cookie: gone=; Max-Age=0\r\n", ""] {
            let (stream, _) = listener.accept().await.unwrap();
            let mut peer = Peer { stream };
            heads.push(peer.accept(more).await);
            if more.is_empty() {
                peer.until_end().await;
            }
        }
        heads
    });
    let mut target = target(format!("ws://127.0.0.1:{port}/"));
    target.jar = Some(1);
    let cookies = "user=me; LB=stale; gone=x".to_owned();
    target.headers.push(("Cookie".to_owned(), cookies));
    let mut link = TestLink::dial(target.clone());
    link.opened().await;
    link.ended().await;
    link.dials.dial(DIAL, Box::new(target));
    link.opened().await;
    drop(link);
    let heads = server.await.unwrap();
    assert!(
        heads[0].contains("\r\nCookie: user=me; LB=stale; gone=x\r\n"),
        "{}",
        heads[0]
    );
    assert!(heads[1].contains("\r\nCookie: user=me; LB=b\r\n"), "{}", heads[1]);
}

#[tokio::test]
async fn a_redirect_on_the_same_server_is_followed() {
    let (port, peer) = scripted(|mut peer: Peer| async move {
        peer.head().await;
        peer.send("HTTP/1.1 307 Over there\r\nLocation: /second?x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
        // The answer to the next request comes on another connection.
        drop(peer);
    })
    .await;
    let mut link = dial_stream(port, super::TEST_TIMEOUT);
    peer.await.unwrap();
    // Nobody listens there any more: it was followed.
    let (_, end) = link.ended().await;
    assert!(end.error.is_some() && end.status.is_none(), "{end:?}");
}

/// Serves one connection for each of these responses; gives the requests' heads.
async fn answering(responses: Vec<String>) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
    let (listener, port) = listen().await;
    let server = tokio::spawn(async move {
        let mut heads = Vec::new();
        for response in responses {
            let (stream, _) = listener.accept().await.unwrap();
            let mut peer = Peer { stream };
            heads.push(peer.head().await);
            peer.send(response).await;
        }
        heads
    });
    (port, server)
}

fn redirect(status: u16, location: &str) -> String {
    format!(
        "HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn locations_are_parsed_as_in_browsers() {
    let locations = [
        "second?\u{fc}#part",
        "  /a b  ",
        "//HOST/c",
        "http://HOST/d",
        "?e",
    ];
    let (listener, port) = listen().await;
    let host = format!("127.0.0.1:{port}");
    let server = tokio::spawn(async move {
        let mut requested = Vec::new();
        for location in locations.iter().map(Some).chain([None]) {
            let (stream, _) = listener.accept().await.unwrap();
            let mut peer = Peer { stream };
            let head = peer.head().await;
            requested.push(head.split(' ').nth(1).unwrap().to_owned());
            match location {
                Some(location) => peer.send(redirect(302, &location.replace("HOST", &host))).await,
                None => peer.send(STREAM).await,
            }
        }
        requested
    });
    let mut link = dial_stream(port, super::TEST_TIMEOUT);
    assert_eq!(status(&mut link).await, 200);
    let requested = server.await.unwrap();
    assert_eq!(
        requested,
        ["/first", "/second?%C3%BC", "/a%20b", "/c", "/d", "/d?e"]
    );
}

#[tokio::test]
async fn a_poll_follows_redirects_as_fetch_does() {
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    for moved in [301, 302, 303, 307, 308] {
        let (port, server) = answering(vec![redirect(moved, "/second"), body.to_owned()]).await;
        let mut link = dial_http(port, false, super::TEST_TIMEOUT);
        assert_eq!(status(&mut link).await, 200, "{moved}");
        let heads = server.await.unwrap();
        assert!(
            heads[1].starts_with("GET /second ") && heads[1].contains("X-Key: k"),
            "{heads:?}"
        );
    }
    for other in [
        redirect(304, "/x"),
        redirect(300, "/x"),
        redirect(302, ""),
        redirect(302, "ftp://a/"),
    ] {
        let (port, server) = answering(vec![other.clone()]).await;
        let mut link = dial_http(port, false, super::TEST_TIMEOUT);
        assert!((300..305).contains(&status(&mut link).await), "{other}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_post_is_repeated_only_for_307_and_308() {
    for (moved, posted) in [(307, 200), (308, 200), (301, 301), (302, 302), (303, 303)] {
        let mut responses = vec![redirect(moved, "/second")];
        if posted == 200 {
            responses.push("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned());
        }
        let (port, server) = answering(responses).await;
        let mut target = target(format!("http://127.0.0.1:{port}/"));
        target.transport = TransportKind::Http {
            post: Some((target.url.clone(), Vec::new())),
        };
        let mut link = TestLink::dial(target);
        link.transmit(longwire::wire::payload::Payload::Text("word".into()));
        let LinkEvent::Posted(1, answer) = link.next().await else {
            panic!("not posted");
        };
        assert_eq!(answer.status, posted, "{moved}");
        assert!(server.await.unwrap().iter().all(|head| head.starts_with("POST ")));
    }
}

#[tokio::test]
async fn a_redirect_to_another_server_carries_no_secrets() {
    let (listener, there) = listen().await;
    let second = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = Peer { stream };
        let head = peer.head().await;
        peer.send(STREAM).await;
        head
    });
    let (port, _first) = scripted(move |mut peer: Peer| async move {
        peer.head().await;
        let to = format!("http://127.0.0.1:{there}/second");
        peer.send(format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        peer.until_end().await;
    })
    .await;
    let mut link = dial_stream(port, super::TEST_TIMEOUT);
    assert_eq!(status(&mut link).await, 200);
    let head = second.await.unwrap();
    assert!(
        head.starts_with("GET /second ") && head.contains("User-Agent: mine/1"),
        "{head}"
    );
    assert!(head.contains("Last-Event-ID: 5"), "{head}");
    assert!(!head.contains("X-Key") && !head.contains("Cookie"), "{head}");
}

#[tokio::test]
async fn an_endless_redirect_is_reported() {
    let (listener, port) = listen().await;
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut peer = Peer { stream };
            peer.head().await;
            peer.send(
                "HTTP/1.1 301 Again\r\nLocation: /first\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )
            .await;
        }
    });
    let mut link = dial_stream(port, super::TEST_TIMEOUT);
    let (_, end) = link.ended().await;
    let message = end.error.unwrap().message;
    assert!(message.contains("redirect"), "{message}");
    server.abort();
}

#[tokio::test]
async fn a_withheld_response_head_is_reported_as_buffering() {
    let (port, peer) = scripted(|mut peer: Peer| async move {
        peer.head().await;
        peer.until_end().await;
    })
    .await;
    let mut link = dial_stream(port, Duration::from_millis(100));
    let (_, end) = link.ended().await;
    let message = end.error.unwrap().message;
    assert!(
        message.contains("buffer") && message.contains("X-Accel-Buffering"),
        "{message}"
    );
    peer.await.unwrap();
}
