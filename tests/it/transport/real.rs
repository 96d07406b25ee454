//! Other people's servers, uncompressed: npm `ws` and Python `websockets`.

use longwire::core::io::LinkEvent;
use longwire::wire::code::Code;
use longwire::wire::payload::Payload;

use super::servers::{Server, payload};
use super::{DIAL, TestLink, expected_message, target, text};

/// Sizes at which a frame's form changes, and the largest.
const SIZES: [usize; 8] = [0, 1, 125, 126, 65_535, 65_536, 1_048_577, 64 * 1024 * 1024];

async fn echo(server: &Server) {
    let mut link = TestLink::dial(target(server.url("/echo")));
    link.opened().await;
    for size in SIZES {
        for is_text in [true, false] {
            let payload = payload(size, is_text);
            link.transmit(payload.clone());
            assert!(
                link.message().await == payload,
                "{size} bytes were echoed changed"
            );
        }
    }
    let (count, window) = (2000, 200);
    for n in 0..count {
        link.transmit(Payload::text(n.to_string()));
        if n % window == window - 1 {
            let expected: Vec<_> = (n + 1 - window..=n).map(|n| text(n.to_string())).collect();
            assert_eq!(link.messages(window).await, expected);
        }
    }
    link.dials.ping(DIAL, 99);
    assert_eq!(link.pong().await, 99);
}

async fn flood(server: &Server) {
    let mut link = TestLink::dial(target(server.url("/flood?count=20000&size=100")));
    link.opened().await;
    let (messages, end) = link.ended().await;
    let expected: Vec<_> = (0..20_000)
        .map(|n| text(expected_message(n, 100 + n % 50)))
        .collect();
    assert!(messages == expected);
    assert_eq!(
        (end.code, end.reason.as_deref(), end.error),
        (Some(1000), Some("all sent"), None)
    );
}

async fn fragments(server: &Server) {
    let mut link = TestLink::dial(target(server.url("/fragments?parts=7&size=30000")));
    link.opened().await;
    let expected: String = (0..7).map(|n| expected_message(n, 30_000)).collect();
    assert_eq!(link.messages(1).await, [text(expected)]);
}

#[tokio::test]
async fn ws_echoes_every_size() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    echo(&server).await;
}

#[tokio::test]
async fn ws_floods_and_fragments() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    flood(&server).await;
    fragments(&server).await;
}

#[tokio::test]
async fn websockets_echoes_every_size() {
    let Some(server) = Server::websockets(false).await else {
        return;
    };
    echo(&server).await;
}

#[tokio::test]
async fn websockets_floods_and_fragments() {
    let Some(server) = Server::websockets(false).await else {
        return;
    };
    flood(&server).await;
    fragments(&server).await;
}

#[tokio::test]
async fn ws_receives_the_headers_and_chooses_a_subprotocol() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let mut target = target(server.url("/headers?a=b"));
    target.json = true;
    target.subprotocols = vec!["first".to_owned(), "second".to_owned()];
    target.headers = vec![
        ("Origin".to_owned(), "chrome-extension://abcdef/".to_owned()),
        ("Cookie".to_owned(), "session=1; other=2".to_owned()),
        ("Authorization".to_owned(), "Bearer xyz".to_owned()),
    ];
    let mut link = TestLink::dial(target);
    assert_eq!(link.opened().await, (Some("second".to_owned()), None));
    let Payload::Json(json) = link.message().await else {
        panic!("not JSON")
    };
    let content: serde_json::Value = serde_json::from_slice(&json).unwrap();
    for (name, value) in [
        ("origin", "chrome-extension://abcdef/"),
        ("cookie", "session=1; other=2"),
        ("authorization", "Bearer xyz"),
        ("sec-websocket-protocol", "first, second"),
        ("host", &format!("127.0.0.1:{}", server.port)),
    ] {
        assert_eq!(content["headers"][name], value, "{name}");
    }
}

#[tokio::test]
async fn ws_refuses_closes_and_terminates_links() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let (_, end) = TestLink::dial(target(server.url("/refuse?status=403")))
        .ended()
        .await;
    assert_eq!((end.status, end.reason.as_deref()), (Some(403), Some("go away")));
    let (_, end) = TestLink::dial(target(server.url("/close?code=4001&reason=moved")))
        .ended()
        .await;
    assert_eq!(
        (end.code, end.reason.as_deref(), end.error),
        (Some(4001), Some("moved"), None)
    );
    let (_, end) = TestLink::dial(target(server.url("/close"))).ended().await;
    assert_eq!((end.code, end.error), (Some(1005), None));
    let (_, end) = TestLink::dial(target(server.url("/terminate"))).ended().await;
    assert_eq!(
        (end.code, end.error.map(|error| error.code)),
        (Some(1006), Some(Code::LinkLost))
    );
}

#[tokio::test]
async fn ws_receives_the_last_messages_and_the_close_code() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let mut link = TestLink::dial(target(server.url("/closed")));
    link.opened().await;
    link.transmit(Payload::text("last words"));
    link.dials.hang_up(DIAL, 4000, "bye".to_owned());
    link.dials.settle().await;
    let mut link = TestLink::dial(target(server.url("/closed?ask")));
    loop {
        if let LinkEvent::Messages(messages) = link.next().await {
            let expected = r#"{"code":4000,"reason":"bye","heard":["last words"]}"#;
            assert_eq!(messages, [text(expected)]);
            break;
        }
    }
}
