//! Proxies that cannot be reached, refuse or break the rules: the error says whether the proxy or the server is at fault.

use super::*;

#[tokio::test]
async fn an_unreachable_proxy_is_reported_as_a_proxy_error() {
    let (listener, port) = listen().await;
    drop(listener);
    for proxy in [
        format!("http://canary:canary@127.0.0.1:{port}"),
        format!("socks5://canary:canary@127.0.0.1:{port}"),
        "http://no-such-proxy.invalid:1".to_owned(),
        "https://127.0.0.1:1".to_owned(),
        "nonsense canary".to_owned(),
    ] {
        let end = failure(through(proxy.clone(), "ws://server.invalid/?canary")).await;
        assert_eq!(end.error.unwrap().code, Code::Proxy, "{proxy}");
    }
}

#[tokio::test]
async fn a_proxy_refusal_is_distinguished_from_a_server_refusal() {
    for (status, word) in [
        ("407 Proxy Authentication Required", "user and a password"),
        ("403 Forbidden", "403"),
        ("502 Bad Gateway", "502"),
    ] {
        let (port, _) = scripted(move |mut peer| async move {
            peer.head().await;
            peer.send(format!(
                "HTTP/1.1 {status}\r\nRetry-After: 5\r\nContent-Length: 6\r\n\r\ncanary"
            ))
            .await;
        })
        .await;
        let end = failure(through(
            format!("http://127.0.0.1:{port}"),
            "ws://server.invalid/?canary",
        ))
        .await;
        let error = end.error.unwrap();
        assert_eq!(error.code, Code::Proxy);
        assert!(error.message.contains(word), "{}", error.message);
    }
    // The same from the server behind it is the server's.
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let (port, _) = connect_proxy(server.port).await;
    let target = through(
        format!("http://127.0.0.1:{port}"),
        "ws://server.invalid/refuse?status=403",
    );
    let (_, end) = TestLink::dial(target).ended().await;
    assert_eq!(
        (end.status, end.error.unwrap().code),
        (Some(403), Code::HttpStatus)
    );
}

#[tokio::test]
async fn an_unsupported_proxy_authentication_method_is_named() {
    let (port, _) = scripted(|mut peer| async move {
        peer.head().await;
        peer.send(
            "HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\
             Proxy-Authenticate: Digest realm=\"canary\", nonce=\"x\"\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
    })
    .await;
    let end = failure(through(
        format!("http://127.0.0.1:{port}"),
        "ws://server.invalid/",
    ))
    .await;
    let message = end.error.unwrap().message;
    assert!(
        message.contains("Negotiate, NTLM, Digest") && !message.contains("canary"),
        "{message}"
    );
}

#[tokio::test]
async fn socks_reply_codes_are_attributed_to_proxy_or_server() {
    for (reply, code) in [
        (1, Code::Proxy),
        (2, Code::Proxy),
        (3, Code::Unreachable),
        (4, Code::Unreachable),
        (5, Code::Refused),
        (9, Code::Proxy),
    ] {
        let (port, _) = scripted(move |mut peer| async move {
            let mut greeting = [0; 3];
            peer.stream.read_exact(&mut greeting).await.unwrap();
            peer.send([5, 0]).await;
            let mut request = [0; 5];
            peer.stream.read_exact(&mut request).await.unwrap();
            peer.send([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await;
            peer.until_end().await;
        })
        .await;
        let end = failure(through(
            format!("socks5://127.0.0.1:{port}"),
            "ws://server.invalid/?canary",
        ))
        .await;
        assert_eq!(end.error.unwrap().code, code, "reply {reply}");
    }
}

#[tokio::test]
async fn malformed_closed_and_silent_proxies_are_reported() {
    for (proxy, answer) in [
        ("http", "SSH-2.0-x\r\n\r\n"),
        ("http", ""),
        ("http", "HTTP/1.1 200 OK\r\n\r\nout of turn"),
        ("socks5", "HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("socks5", ""),
        ("socks5", "\x05"),
    ] {
        let (port, _) = scripted(move |mut peer| async move {
            peer.stream.read_u8().await.unwrap();
            peer.send(answer).await;
        })
        .await;
        let end = failure(through(
            format!("{proxy}://127.0.0.1:{port}"),
            "ws://server.invalid/",
        ))
        .await;
        assert_eq!(end.error.unwrap().code, Code::Proxy, "{proxy} {answer:?}");
    }
    let (port, _server) = scripted(|mut peer| async move { peer.until_end().await }).await;
    let mut target = through(format!("http://127.0.0.1:{port}"), "ws://server.invalid/");
    target.connect_timeout = Duration::from_millis(200);
    let error = failure(target).await.error.unwrap();
    assert_eq!(error.code, Code::Proxy, "{}", error.message);
    assert!(
        error.message.contains(&format!("127.0.0.1:{port}")),
        "{}",
        error.message
    );
}
