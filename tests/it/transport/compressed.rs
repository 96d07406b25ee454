//! permessage-deflate against the two implementations that most servers run, in every mode they offer.
//!
//! The same messages are read compressed and uncompressed; they must not differ.

use longwire::core::io::Incoming;
use longwire::wire::code::Code;
use longwire::wire::payload::Payload;

use super::servers::{Server, frame, payload, upgraded};
use super::{TestLink, expected_message, target, text};

/// What `ws` calls the modes, and what must have been agreed to.
const MODES: [(&str, &str); 5] = [
    // Everything kept between messages.
    (r#"{"threshold":0}"#, "permessage-deflate"),
    (
        r#"{"threshold":0,"serverNoContextTakeover":true}"#,
        "permessage-deflate; server_no_context_takeover",
    ),
    (
        r#"{"threshold":0,"clientNoContextTakeover":true,"clientMaxWindowBits":9,"serverMaxWindowBits":9}"#,
        "permessage-deflate; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
    ),
    (
        r#"{"threshold":0,"serverMaxWindowBits":8}"#,
        "permessage-deflate; server_max_window_bits=8",
    ),
    // The configuration of its manual: small messages stay as they are.
    (
        r#"{"zlibDeflateOptions":{"chunkSize":1024,"memLevel":7,"level":3},"clientNoContextTakeover":true,"serverNoContextTakeover":true,"serverMaxWindowBits":10,"concurrencyLimit":10,"threshold":1024}"#,
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
    ),
];

fn offered(url: String) -> longwire::core::io::Target {
    let mut target = target(url);
    target.compression = true;
    target
}

/// Parameters without regard to their order.
fn parameters(extensions: &str) -> Vec<&str> {
    let mut parameters: Vec<_> = extensions.split(';').map(str::trim).collect();
    parameters.sort_unstable();
    parameters
}

async fn agreed(link: &mut TestLink) -> String {
    link.opened().await.1.expect("no compression was agreed to")
}

/// Every kind of message, in both directions.
async fn differential(server: &Server, expected: Option<&str>) {
    let mut flood = TestLink::dial(offered(server.url("/flood?count=3000&size=900")));
    let extensions = agreed(&mut flood).await;
    if let Some(expected) = expected {
        assert_eq!(parameters(&extensions), parameters(expected));
    }
    let (messages, end) = flood.ended().await;
    let expected: Vec<_> = (0..3000)
        .map(|n| text(expected_message(n, 900 + n % 50)))
        .collect();
    assert!(messages == expected, "{extensions}: messages differ");
    assert_eq!((end.code, end.error), (Some(1000), None));

    let mut fragments = TestLink::dial(offered(server.url("/fragments?parts=9&size=20000")));
    agreed(&mut fragments).await;
    let expected: String = (0..9).map(|n| expected_message(n, 20_000)).collect();
    assert_eq!(fragments.messages(1).await, [text(expected)]);

    let mut echo = TestLink::dial(offered(server.url("/echo")));
    agreed(&mut echo).await;
    for (index, size) in [
        0, 1, 2, 125, 126, 1023, 1024, 4096, 65_535, 65_536, 1_048_577, 0, 300,
    ]
    .into_iter()
    .enumerate()
    {
        // Something that compresses well, and something that does not at all.
        let mut noise = vec![0; size];
        getrandom::fill(&mut noise).unwrap();
        for payload in [payload(size, index % 2 == 0), Payload::Binary(noise.into())] {
            echo.transmit(payload.clone());
            assert!(
                echo.message().await == payload,
                "{extensions}: {size} bytes were echoed changed"
            );
        }
    }
}

#[tokio::test]
async fn ws_compresses_in_every_mode() {
    for (mode, expected) in MODES {
        let Some(server) = Server::ws(&format!(r#"{{"deflate":{mode}}}"#)).await else {
            return;
        };
        differential(&server, Some(expected)).await;
    }
}

#[tokio::test]
async fn websockets_compresses_with_its_own_parameters() {
    let Some(server) = Server::websockets(true).await else {
        return;
    };
    differential(&server, None).await;
}

#[tokio::test]
async fn without_the_offer_nothing_is_compressed() {
    let Some(server) = Server::ws(r#"{"deflate":{"threshold":0}}"#).await else {
        return;
    };
    let mut link = TestLink::dial(target(server.url("/flood?count=10")));
    assert_eq!(link.opened().await, (None, None));
    assert_eq!(link.messages(1).await[0], text(expected_message(0, 100)));
}

#[tokio::test]
async fn a_server_without_compression_is_accepted() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let mut link = TestLink::dial(offered(server.url("/flood?count=10")));
    assert_eq!(link.opened().await, (None, None));
    assert_eq!(link.messages(1).await[0], text(expected_message(0, 100)));
}

#[tokio::test]
async fn a_message_inflating_above_the_limit_is_skipped_and_the_link_stays_open() {
    let Some(server) = Server::ws(r#"{"deflate":{"threshold":0}}"#).await else {
        return;
    };
    let mut target = offered(server.url("/fragments?parts=1&size=5000"));
    target.max_message = 4999;
    let mut link = TestLink::dial(target);
    link.opened().await;
    assert_eq!(link.messages(1).await, [Incoming::TooLarge { bytes: None }]);
    link.dials.ping(super::DIAL, 7);
    assert_eq!(link.pong().await, 7);
}

/// A server that agreed to compress and sends these frames.
async fn sending(frames: Vec<u8>) -> TestLink {
    let (listener, port) = super::servers::listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = super::servers::Peer { stream };
        peer.accept("Sec-WebSocket-Extensions: permessage-deflate\r\n")
            .await;
        peer.send(frames).await;
        peer.until_end().await;
    });
    TestLink::dial(offered(format!("ws://127.0.0.1:{port}")))
}

#[tokio::test]
async fn invalid_compressed_data_ends_only_the_link() {
    for rubbish in [
        frame(0xc2, [0x03, 0x80]),
        frame(0xc2, [0xff; 20]),
        frame(0xc1, [0x07]),
    ] {
        let mut link = sending(
            [
                rubbish,
                frame(0xc1, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
                frame(0x88, ""),
            ]
            .concat(),
        )
        .await;
        // Either it is an error, or valid by accident; it must never hang.
        link.ended().await;
    }
    let mut link = sending(frame(0xc2, [0x07; 20])).await;
    let (_, end) = link.ended().await;
    assert_eq!(end.error.unwrap().code, Code::ServerProtocol);
}

#[tokio::test]
async fn invalid_compression_parameters_fail_the_handshake() {
    for answer in [
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; unheard_of",
        "permessage-deflate, permessage-deflate",
        "x-webkit-deflate-frame",
    ] {
        let (listener, port) = super::servers::listen().await;
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut peer = super::servers::Peer { stream };
            peer.accept(&format!("Sec-WebSocket-Extensions: {answer}\r\n"))
                .await;
            peer.until_end().await;
        });
        let (_, end) = TestLink::dial(offered(format!("ws://127.0.0.1:{port}")))
            .ended()
            .await;
        assert_eq!(end.error.unwrap().code, Code::Handshake, "{answer}");
    }
    let (port, _server) = upgraded(|mut peer| async move { peer.until_end().await }).await;
    TestLink::dial(offered(format!("ws://127.0.0.1:{port}")))
        .opened()
        .await;
}
