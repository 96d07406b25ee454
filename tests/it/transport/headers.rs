//! Headers of requests: names as RFCs and extensions write them, and User-Agent.

use bytes::Bytes;
use longwire::core::io::EngineTransports;
use longwire::core::io::{Fetch, ProxyChoice, Target, TransportKind};
use longwire::wire::payload::Payload;

use super::servers::{Peer, listen, scripted};
use super::{DIAL, TEST_TIMEOUT, TestLink, target};

const OWN: &str = concat!("User-Agent: longwire/", env!("CARGO_PKG_VERSION"));

/// Headers as an extension gives them.
fn with_headers(mut target: Target) -> Target {
    target.headers = [("X-API-KEY", "k"), ("DNT", "1"), ("x-lower", "l")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    target
}

fn assert_has(head: &str, lines: &[&str]) {
    for wanted in lines {
        let found = head.lines().any(|line| line.starts_with(wanted));
        assert!(found, "no `{wanted}` in {head}");
    }
}

#[tokio::test]
async fn handshake_header_names_are_spelled_as_in_rfc_6455() {
    let (port, peer) = scripted(|mut peer: Peer| async move { peer.accept("").await }).await;
    let mut target = with_headers(target(format!("ws://127.0.0.1:{port}/")));
    target.subprotocols = vec!["v1".to_owned()];
    target.compression = true;
    let _line = TestLink::dial(target);
    let head = peer.await.unwrap();
    assert_has(
        &head,
        &[
            "Sec-WebSocket-Key: ",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: ",
            "Sec-WebSocket-Extensions: ",
            "X-API-KEY: k",
            "DNT: 1",
            "x-lower: l",
            "Cache-Control: no-cache",
            "Pragma: no-cache",
            OWN,
        ],
    );
}

#[tokio::test]
async fn header_names_are_spelled_alike_in_every_request_of_a_connection() {
    let (port, peer) = scripted(|mut peer: Peer| async move {
        let mut heads = Vec::new();
        for _ in 0..2 {
            heads.push(peer.head().await);
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
        heads
    })
    .await;
    let url: url::Url = format!("http://127.0.0.1:{port}/").parse().unwrap();
    let mut target = with_headers(target(&url));
    target.transport = TransportKind::Http {
        post: Some((url.clone(), vec![("X-POST".to_owned(), "p".to_owned())])),
    };
    let mut link = TestLink::dial(target);
    let fetch = Fetch {
        url,
        headers: vec![("Last-Event-ID".to_owned(), "5".to_owned())],
        timeout: TEST_TIMEOUT,
        streaming: false,
    };
    link.dials.fetch(DIAL, Box::new(fetch));
    link.next().await;
    link.transmit(Payload::Text(Bytes::from_static(b"DNT: not a header\r\n\r\n")));
    link.next().await;
    let heads = peer.await.unwrap();
    assert_has(
        &heads[0],
        &["Last-Event-ID: 5", "X-API-KEY: k", "DNT: 1", "Accept: */*", OWN],
    );
    assert_has(&heads[1], &["X-POST: p", "X-API-KEY: k", "x-lower: l", OWN]);
}

#[tokio::test]
async fn engine_io_requests_use_the_configured_user_agent() {
    let (port, peer) = scripted(|mut peer: Peer| async move { peer.head().await }).await;
    let mut target = with_headers(target(format!("http://127.0.0.1:{port}/")));
    target
        .headers
        .push(("User-Agent".to_owned(), "mine/1".to_owned()));
    target.transport = TransportKind::Engine(EngineTransports {
        websocket: false,
        ..EngineTransports::default()
    });
    let _line = TestLink::dial(target);
    let head = peer.await.unwrap();
    assert_has(&head, &["X-API-KEY: k", "User-Agent: mine/1"]);
    assert!(!head.contains(OWN), "{head}");
}

#[tokio::test]
async fn a_proxy_receives_the_user_agent_only() {
    let (listener, port) = listen().await;
    let mut target = with_headers(target("ws://server.invalid/"));
    target.proxy = ProxyChoice::Url(format!("http://127.0.0.1:{port}"));
    let _line = TestLink::dial(target);
    let (stream, _) = listener.accept().await.unwrap();
    let head = Peer { stream }.head().await;
    assert_has(
        &head,
        &[
            "CONNECT server.invalid:80 ",
            "Host: server.invalid:80",
            "Proxy-Connection: ",
            OWN,
        ],
    );
    assert!(!head.contains("X-API-KEY"), "{head}");
}
