//! The last check before a connection: whatever the core requests, the transport refuses what the settings do not allow.

use std::sync::Arc;
use std::time::Duration;

use longwire::core::io::{Fetch, LinkEnd, ProxyChoice, Target, TransportKind};
use longwire::core::rules::{ExtensionRule, Pattern, Rules};
use longwire::transport::NetworkSettings;
use longwire::wire::code::Code;
use tokio::net::TcpListener;

use super::servers::listen;
use super::{DIAL, TestLink, target};

const ORIGIN: &str = "chrome-extension://a/";

fn network(rule: ExtensionRule) -> NetworkSettings {
    NetworkSettings {
        rules: Arc::new(Rules {
            default: rule,
            ..Rules::default()
        }),
        ..NetworkSettings::default()
    }
}

fn allowing(allow: &[&str]) -> ExtensionRule {
    ExtensionRule {
        allow: allow.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        ..ExtensionRule::default()
    }
}

fn of_an_extension(url: &str) -> Target {
    let mut target = target(url);
    target.origin = Some(ORIGIN.into());
    target
}

async fn end(rule: ExtensionRule, target: Target) -> LinkEnd {
    TestLink::dial_by(network(rule), target, 64).ended().await.1
}

fn code(end: &LinkEnd) -> Code {
    end.error.as_ref().unwrap().code
}

/// Checks that nobody has connected: the connection made here is the first.
async fn no_connection(listener: TcpListener, port: u16) {
    let ours = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (_, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, ours.local_addr().unwrap());
}

#[tokio::test]
async fn a_forbidden_url_or_header_opens_no_connection() {
    let (listener, port) = listen().await;
    let rule = || allowing(&["ws://loopback/feed/*"]);
    let path = of_an_extension(&format!("ws://127.0.0.1:{port}/admin"));
    assert_eq!(code(&end(rule(), path).await), Code::UrlDenied);
    for header in [
        "Host",
        "Transfer-Encoding",
        "Proxy-Authorization",
        "Sec-Fetch-Site",
        "Origin",
    ] {
        let mut forged = of_an_extension(&format!("ws://127.0.0.1:{port}/feed/a"));
        forged
            .headers
            .push((header.to_owned(), "https://bank.example".to_owned()));
        assert_eq!(code(&end(rule(), forged).await), Code::HeaderDenied, "{header}");
    }
    let off = ExtensionRule {
        enabled: false,
        ..rule()
    };
    let any = of_an_extension(&format!("ws://127.0.0.1:{port}/feed/a"));
    assert_eq!(code(&end(off, any).await), Code::OriginDenied);
    no_connection(listener, port).await;
}

#[tokio::test]
async fn each_http_request_is_checked_by_itself() {
    let (listener, port) = listen().await;
    let base = format!("ws://127.0.0.1:{port}");
    for (path, header, expected) in [
        ("/admin", "X-Since", Code::UrlDenied),
        ("/feed/a", "Host", Code::HeaderDenied),
        ("/feed/a", "Origin", Code::HeaderDenied),
    ] {
        let mut target = of_an_extension(&format!("{base}/feed/a"));
        target.transport = TransportKind::Http { post: None };
        let mut link = TestLink::dial_by(network(allowing(&["ws://loopback/feed/*"])), target, 64);
        link.dials.fetch(
            DIAL,
            Box::new(Fetch {
                url: format!("{base}{path}").parse().unwrap(),
                headers: vec![(header.to_owned(), "https://bank.example".to_owned())],
                timeout: Duration::from_secs(5),
                streaming: false,
            }),
        );
        assert_eq!(code(&link.ended().await.1), expected, "{path} {header}");
    }
    no_connection(listener, port).await;
}

#[tokio::test]
async fn an_extensions_own_proxy_is_checked_before_it_receives_anything() {
    let (listener, port) = listen().await;
    for (rule, expected) in [
        (allowing(&["wss://only.example"]), Code::UrlDenied),
        (
            ExtensionRule {
                own_proxy: true,
                ..allowing(&["wss://only.example"])
            },
            Code::UrlDenied,
        ),
    ] {
        for scheme in ["http", "socks5"] {
            let mut target = of_an_extension("wss://only.example/");
            target.proxy = ProxyChoice::Url(format!("{scheme}://data:1@127.0.0.1:{port}"));
            assert_eq!(code(&end(rule.clone(), target).await), expected);
        }
    }
    no_connection(listener, port).await;
}
