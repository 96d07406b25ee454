//! Credentials for proxies: those of the settings and of the URL, missing ones and wrong ones.

use super::*;

#[tokio::test]
async fn http_connect_works_with_and_without_credentials() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let (port, requests) = connect_proxy(server.port).await;
    echoes(TestLink::dial(through(
        format!("http://127.0.0.1:{port}"),
        "ws://server.invalid:81/echo",
    )))
    .await;
    echoes(TestLink::dial(through(
        format!("http://us%40er:pass@127.0.0.1:{port}"),
        "ws://server.invalid/echo",
    )))
    .await;
    let requests = requests.lock().unwrap();
    assert!(
        requests[0].starts_with("CONNECT server.invalid:81 HTTP/1.1\r\n"),
        "{}",
        requests[0]
    );
    assert!(!requests[0].to_lowercase().contains("proxy-authorization"));
    assert!(
        requests[1].starts_with("CONNECT server.invalid:80 HTTP/1.1\r\n"),
        "{}",
        requests[1]
    );
    assert!(
        requests[1].contains("Proxy-Authorization: Basic dXNAZXI6cGFzcw==\r\n"),
        "{}",
        requests[1]
    );
}

#[tokio::test]
async fn credentials_with_special_characters_are_encoded_correctly() {
    for (given, meant) in [
        ("us@er:p@ss", "us@er:p@ss"),
        ("us%40er:p%3Aa%25ss", "us@er:p:a%ss"),
        ("user:100%", "user:100%"),
        ("user:%zz%4", "user:%zz%4"),
        ("user", "user:"),
        ("\u{fc}ser:\u{4e2d}", "\u{fc}ser:\u{4e2d}"),
        ("user:a:b", "user:a:b"),
    ] {
        let (port, proxy) = scripted(|mut peer: Peer| async move { peer.head().await }).await;
        failure(through(
            format!("http://{given}@127.0.0.1:{port}"),
            "ws://server.invalid/",
        ))
        .await;
        let head = proxy.await.unwrap();
        let encoded = BASE64_STANDARD.encode(meant);
        let line = format!("Proxy-Authorization: Basic {encoded}\r\n");
        assert!(head.contains(&line), "{given}: {head}");
    }
}

#[tokio::test]
async fn socks5_with_and_without_credentials_resolves_at_the_proxy() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let (port, requests) = socks_proxy(server.port, None).await;
    for scheme in ["socks5", "socks5h"] {
        echoes(TestLink::dial(through(
            format!("{scheme}://127.0.0.1:{port}"),
            "ws://server.invalid:81/echo",
        )))
        .await;
    }
    echoes(TestLink::dial(through(
        format!("socks5://127.0.0.1:{port}"),
        "ws://192.0.2.1:82/echo",
    )))
    .await;
    assert_eq!(
        *requests.lock().unwrap(),
        ["server.invalid:81", "server.invalid:81", "192.0.2.1:82"]
    );
    let (port, requests) = socks_proxy(server.port, Some(("user", "p:ss"))).await;
    echoes(TestLink::dial(through(
        format!("socks5://user:p%3Ass@127.0.0.1:{port}"),
        "ws://server.invalid:83/echo",
    )))
    .await;
    assert_eq!(*requests.lock().unwrap(), ["server.invalid:83"]);
}

#[tokio::test]
async fn missing_or_wrong_proxy_credentials_are_reported() {
    let (port, _) = socks_proxy(1, Some(("user", "right"))).await;
    for credentials in ["", "user:canary@"] {
        let end = failure(through(
            format!("socks5://{credentials}127.0.0.1:{port}"),
            "ws://server.invalid/",
        ))
        .await;
        assert_eq!(end.error.unwrap().code, Code::Proxy);
    }
}
