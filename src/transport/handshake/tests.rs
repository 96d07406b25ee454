//! Tests of `handshake`.

use super::*;
use crate::core::io::ProxyChoice;

fn target(url: &str) -> Target {
    Target {
        jar: None,
        origin: None,
        url: url::Url::parse(url).unwrap(),
        subprotocols: vec!["chat".to_owned(), "superchat".to_owned()],
        headers: Vec::new(),
        connect_timeout: Duration::from_secs(5),
        proxy: ProxyChoice::None,
        compression: false,
        json: false,
        max_message: 1 << 20,
        transport: crate::core::io::TransportKind::WebSocket,
    }
}

fn place() -> Place {
    Place {
        host: "example.org".to_owned(),
        port: 80,
    }
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn answer(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

const GOOD: [(&str, &str); 3] = [
    ("upgrade", "WebSocket"),
    ("connection", "keep-alive, Upgrade"),
    ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
];

#[test]
fn a_valid_response_with_a_token_list_is_accepted() {
    let agreed = check(&answer(&GOOD), &target("ws://example.org/"), KEY).unwrap();
    assert_eq!(
        (agreed.subprotocol, agreed.extensions, agreed.deflate),
        (None, None, None)
    );
    let chosen = [&GOOD[..], &[("sec-websocket-protocol", "superchat")]].concat();
    let agreed = check(&answer(&chosen), &target("ws://example.org/"), KEY).unwrap();
    assert_eq!(agreed.subprotocol.as_deref(), Some("superchat"));
}

#[test]
fn invalid_handshake_responses_are_refused() {
    let without = |name: &str| -> Vec<_> { GOOD.into_iter().filter(|(n, _)| *n != name).collect() };
    let with = |line: (&'static str, &'static str)| -> Vec<_> {
        without(line.0).into_iter().chain([line]).collect()
    };
    for lines in [
        without("upgrade"),
        without("connection"),
        without("sec-websocket-accept"),
        with(("upgrade", "h2c")),
        with(("connection", "keep-alive")),
        with(("sec-websocket-accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        with(("sec-websocket-protocol", "unheard")),
        with(("sec-websocket-protocol", "chat, superchat")),
        with(("sec-websocket-extensions", "permessage-deflate")),
    ] {
        assert!(
            check(&answer(&lines), &target("ws://example.org/"), KEY).is_err(),
            "{lines:?}"
        );
    }
}

#[test]
fn the_handshake_request_reflects_the_target() {
    let mut target = target("ws://us%40er:p%3Ass@example.org/a%20b/{c}?q=\"1|2\"");
    target.headers = vec![
        ("Origin".to_owned(), "chrome-extension://abc".to_owned()),
        ("Cookie".to_owned(), "a=1; b=ü".to_owned()),
    ];
    target.compression = true;
    let request = request(&target, &place(), KEY).unwrap();
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    assert_eq!(request.uri().path(), "/a%20b/%7Bc%7D");
    assert_eq!(header("host").as_deref(), Some("example.org"));
    assert_eq!(header("origin").as_deref(), Some("chrome-extension://abc"));
    assert_eq!(header("cookie").as_deref(), Some("a=1; b=ü"));
    assert_eq!(header("authorization").as_deref(), Some("Basic dXNAZXI6cDpzcw=="));
    assert_eq!(
        header("sec-websocket-protocol").as_deref(),
        Some("chat, superchat")
    );
    assert_eq!(
        header("sec-websocket-extensions").as_deref(),
        Some(deflate::OFFER)
    );
    assert!(!format!("{request:?}").contains("a=1"));
}

#[test]
fn handshake_headers_cannot_be_overridden() {
    for name in ["host", "Connection", "UPGRADE", "Sec-WebSocket-Key"] {
        let mut target = target("ws://example.org/");
        target.headers = vec![(name.to_owned(), "x".to_owned())];
        assert!(request(&target, &place(), KEY).is_err(), "{name}");
    }
}

#[test]
fn a_body_excerpt_is_one_line_or_nothing() {
    assert_eq!(excerpt(b"no\r\nentry\n").as_deref(), Some("no  entry"));
    assert_eq!(
        excerpt("h\u{e9}".as_bytes().split_last().unwrap().1).as_deref(),
        Some("h")
    );
    assert_eq!(excerpt(&[0xff, 0xfe]), None);
    assert_eq!(excerpt(b"\n"), None);
    let page = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>";
    assert_eq!(
        excerpt(page).as_deref(),
        Some("an HTML page titled `502 Bad Gateway`")
    );
}
