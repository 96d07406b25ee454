//! Tests of `dial`.

use super::*;
use crate::core::rules::Pattern;
use crate::wire::servers::Poll;
use serde_json::json;

const ORIGIN: &str = "chrome-extension://a/";

fn rule(allow: &[&str]) -> ExtensionRule {
    ExtensionRule {
        allow: allow.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        ..ExtensionRule::default()
    }
}

fn options(json: serde_json::Value) -> Options {
    let raw = serde_json::value::to_raw_value(&json).unwrap();
    Options::from_json(&raw).unwrap().0
}

fn refused(json: serde_json::Value, url: &str, rule: &ExtensionRule) -> Option<Code> {
    let url = read_url(url).unwrap();
    check_dial(&options(json), Some(&url), rule, ORIGIN)
        .err()
        .map(|error| error.code)
}

#[test]
fn a_forbidden_header_is_refused_in_every_option() {
    let rule = ExtensionRule::default();
    for name in [
        "Host",
        "SEC-WebSocket-Key",
        "connection",
        "Transfer-Encoding",
        "Proxy-Any",
        "Content-Length",
    ] {
        for options in [
            json!({"headers": {name: "x"}}),
            json!({"protocol": "sse", "post": {"url": "http://localhost/", "headers": {name: "x"}}}),
            json!({"protocol": "poll", "poll": {"cursor": {"header": "x", "requestHeader": name, "start": "1"}}}),
        ] {
            let shown = options.to_string();
            assert_eq!(
                refused(options, "http://localhost/", &rule),
                Some(Code::HeaderDenied),
                "{shown}"
            );
        }
    }
    for (name, value) in [("A", "a\r\nB: c"), ("a b", "c"), ("", "c")] {
        for options in [
            json!({"headers": {name: value}}),
            json!({"protocol": "poll", "poll": {"cursor": {"header": "x", "requestHeader": name, "start": value}}}),
        ] {
            assert_eq!(
                refused(options, "http://localhost/", &rule),
                Some(Code::BadOption),
                "{name}: {value}"
            );
        }
    }
    let fine = Poll::from_json(r#"{"cursor":{"header":"x","requestHeader":"X-Since"}}"#);
    assert!(fine.is_ok());
    assert_eq!(
        refused(
            json!({"headers": {"Origin": "chrome-extension://a"}}),
            "wss://a.b",
            &rule
        ),
        None
    );
}

#[test]
fn the_servers_own_origin_is_allowed_and_others_need_the_settings() {
    let mut rule = ExtensionRule::default();
    let origin = |value: &str| json!({"headers": {"origin": value}});
    for (url, value, fine) in [
        ("wss://app.example/socket", "https://app.example", true),
        ("wss://app.example:8443/socket", "https://app.example:8443", true),
        ("ws://localhost:8000/", "http://localhost:8000", true),
        ("wss://app.example/", "http://app.example", false),
        ("wss://app.example/", "https://app.example:8443", false),
        ("wss://app.example/", "https://app.example.evil", false),
        ("wss://app.example/", "https://bank.example", false),
        ("wss://app.example/", "null", false),
    ] {
        let code = refused(origin(value), url, &rule);
        assert_eq!(code, (!fine).then_some(Code::HeaderDenied), "{url} {value}");
    }
    let two = json!({"protocol": "sse", "headers": {"Origin": "https://a.example"},
        "post": {"url": "https://b.example/"}});
    assert_eq!(
        refused(two, "https://a.example/", &rule),
        Some(Code::HeaderDenied)
    );
    rule.any_origin = true;
    assert_eq!(
        refused(origin("https://bank.example"), "wss://app.example/", &rule),
        None
    );
}

#[test]
fn an_add_on_may_use_its_page_origin_and_its_id_is_not_an_origin() {
    let may = |value: &str, own: &str| may_be_origin(value, own, &[]);
    let page = "moz-extension://12345678-9abc-def0-1234-56789abcdef0";
    assert!(may(page, "addon@example"));
    assert!(!may(page, ORIGIN));
    assert!(!may("moz-extension://x", "addon@example"));
    assert_eq!(default_origin("addon@example"), None);
    assert_eq!(default_origin(ORIGIN), Some("chrome-extension://a"));
}

#[test]
fn every_path_that_is_requested_must_be_allowed() {
    let rule = rule(&["ws://loopback/feed/*"]);
    let socketio = |path: &str| json!({"protocol": "socket.io", "socketio": {"path": path}});
    for path in ["/admin", "/feed/../admin", "/feed/%2e%2e/admin", "/", "/feedx"] {
        assert_eq!(
            refused(socketio(path), "ws://localhost/feed/x", &rule),
            Some(Code::UrlDenied),
            "{path}"
        );
    }
    assert_eq!(
        refused(socketio("/feed/io"), "ws://localhost/", &rule),
        None,
        "only this path is requested"
    );
    for options in [
        json!({"urls": {"sse": "http://localhost/admin"}}),
        json!({"transports": ["sse"], "urls": {"sse": "http://localhost/admin"}}),
        json!({"protocol": "sse", "post": {"url": "http://localhost/admin"}}),
        json!({"transports": ["websocket", "socket.io"], "socketio": {"path": "/admin"}}),
    ] {
        let shown = options.to_string();
        assert_eq!(
            refused(options, "ws://localhost/feed/x", &rule),
            Some(Code::UrlDenied),
            "{shown}"
        );
    }
}

#[test]
fn a_proxy_needs_permission_and_must_be_in_the_allow_list() {
    let proxy = |url: &str| json!({"proxy": url});
    let target = "wss://only.example/";
    let mut only = rule(&["wss://only.example", "wss://proxy.example:3128"]);
    let listed = proxy("http://proxy.example:3128");
    assert_eq!(
        refused(listed.clone(), target, &ExtensionRule::default()),
        Some(Code::UrlDenied),
        "off by default"
    );
    only.own_proxy = false;
    assert_eq!(
        refused(listed.clone(), target, &only),
        Some(Code::UrlDenied),
        "switched off"
    );
    only.own_proxy = true;
    assert_eq!(refused(listed, target, &only), None);
    for other in [
        "http://127.0.0.1:22",
        "socks5://user:pw@[::1]:25",
        "http://proxy.example",
        "http://proxy.example:3129",
        "socks5://10.0.0.1:3128",
    ] {
        assert_eq!(
            refused(proxy(other), target, &only),
            Some(Code::UrlDenied),
            "{other}"
        );
    }
    let all = ExtensionRule {
        own_proxy: true,
        ..ExtensionRule::default()
    };
    for (target, proxy_url, fine) in [
        ("wss://a.example/", "socks5://proxy.example", true),
        ("ws://localhost/", "http://127.0.0.1:3128", true),
        ("ws://localhost/", "http://192.0.2.7:3128", false),
        ("ws://a.example/", "http://127.0.0.1:3128", false),
        ("wss://a.example/", "http://169.254.169.254:80", false),
    ] {
        let code = refused(proxy(proxy_url), target, &all);
        assert_eq!(code, (!fine).then_some(Code::UrlDenied), "{target} {proxy_url}");
    }
    assert_eq!(refused(proxy("ftp://a"), target, &all), Some(Code::BadOption));
}

#[test]
fn each_request_is_checked_against_the_rules() {
    let rule = rule(&["ws://loopback/feed/*"]);
    let ask = |url: &str, name: &str, value: &str| {
        let header = (name.to_owned(), value.to_owned());
        check_request(&Url::parse(url).unwrap(), [&header], &rule, ORIGIN)
            .err()
            .map(|error| error.code)
    };
    assert_eq!(ask("ws://localhost/feed/a?b=c", "Last-Event-ID", "7"), None);
    assert_eq!(ask("ws://localhost/admin", "A", "b"), Some(Code::UrlDenied));
    assert_eq!(
        ask("ws://localhost/feed/a", "Host", "b"),
        Some(Code::HeaderDenied)
    );
    assert_eq!(
        ask("ws://localhost/feed/a", "Origin", "https://b"),
        Some(Code::HeaderDenied)
    );
    let off = ExtensionRule {
        enabled: false,
        ..rule.clone()
    };
    let url = Url::parse("ws://localhost/feed/a").unwrap();
    assert_eq!(
        check_request(&url, [], &off, ORIGIN).unwrap_err().code,
        Code::OriginDenied
    );
}

#[test]
fn a_refusal_names_the_offending_option() {
    let rule = rule(&["wss://a.b/socket.io/*", "wss://a.b/data"]);
    let message = |json: serde_json::Value, url: &str| {
        let url = read_url(url).unwrap();
        let refused = check_dial(&options(json), Some(&url), &rule, ORIGIN);
        refused.err().map(|error| error.message).unwrap_or_default()
    };
    for (name, value) in [("Host", "x"), ("a b", "x"), ("A", "x\ny")] {
        let header = json!({"headers": {name: value}});
        assert!(message(header, "wss://a.b/data").starts_with("option `headers`: "));
    }
    let header = json!({"poll": {"cursor": {"header": "x", "requestHeader": "a b"}}});
    assert!(message(header, "wss://a.b/data").starts_with("option `poll`: "));
    let header = json!({"poll": {"cursor": {"header": "x", "requestHeader": "Host"}}});
    assert!(message(header, "wss://a.b/data").starts_with("option `poll`: "));
    let header = json!({"socketio": {"transportOptions": {"polling": {"extraHeaders": {"Host": "x"}}}}});
    assert!(message(header, "wss://a.b/data").starts_with("option `socketio`: "));
    // The path that is requested is the option's, whatever the URL has.
    let path = |path: &str| json!({"protocol": "socket.io", "socketio": {"path": path}});
    assert_eq!(message(path("/socket.io"), "wss://a.b/other"), "");
    let elsewhere = message(path("/other"), "wss://a.b/data");
    assert!(elsewhere.starts_with("option `socketio`: "), "{elsewhere}");
    // A URL that is requested as it was given needs no option to explain it.
    let denied = message(json!({"protocol": "poll"}), "wss://a.b/other");
    assert!(denied.starts_with("the settings"), "{denied}");
}
