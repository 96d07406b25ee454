//! Responses to the WebSocket handshake: refusals, redirects, invalid ones, and odd ones that browsers read.

use super::*;

#[tokio::test]
async fn a_refusal_reports_status_and_body() {
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
async fn only_the_beginning_of_an_endless_refusal_is_read() {
    let (port, server) = scripted(|mut peer| async move {
        peer.head().await;
        peer.send("HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n")
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
        peer.send(format!(
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
async fn responses_that_are_not_a_handshake_are_reported() {
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
async fn response_heads_that_browsers_accept_are_accepted() {
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
        let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}/")));
        match link.next().await {
            LinkEvent::Opened { .. } => {}
            other => panic!("{shown}: {other:?}"),
        }
        server.await.unwrap();
    }
}

#[tokio::test]
async fn an_endless_response_head_is_reported() {
    let (port, _server) = scripted(|mut peer| async move {
        peer.head().await;
        peer.send("HTTP/1.1 101 Switching Protocols\r\n").await;
        for _ in 0..5000 {
            peer.send(format!("X-Long: {}\r\n", "a".repeat(100))).await;
        }
        peer.until_end().await;
    })
    .await;
    let end = refused(port).await;
    let message = end.error.unwrap().message;
    assert!(message.contains("256 KB"), "{message}");
}

#[tokio::test]
async fn unrequested_extensions_and_subprotocols_are_refused() {
    for header_line in [
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Protocol: surprise\r\n",
    ] {
        let (port, _) = scripted(move |mut peer| async move { peer.accept(header_line).await }).await;
        assert_eq!(code(&refused(port).await), Code::Handshake, "{header_line}");
    }
}

#[tokio::test]
async fn a_connection_token_list_and_early_messages_are_accepted() {
    let (port, server) = scripted(|mut peer| async move {
        let head = peer.head().await;
        let answer = switching(&head, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n")
            .replace("Connection: Upgrade", "Connection: keep-alive, Upgrade");
        // The first frame and a half in the same packet as the answer.
        let frames = [frame(0x81, "early"), frame(0x81, "later")].concat();
        let (now, later) = frames.split_at(9);
        peer.send([answer.as_bytes(), now].concat()).await;
        peer.send(later).await;
        peer.until_end().await;
    })
    .await;
    let mut link = TestLink::dial(target(format!("ws://127.0.0.1:{port}")));
    link.opened().await;
    assert_eq!(link.messages(2).await, [text("early"), text("later")]);
    drop(link);
    server.await.unwrap();
}
