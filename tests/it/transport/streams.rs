//! Event streams as `EventSource` opens them: behind redirects, and behind proxies that keep the head.

use std::time::Duration;

use longwire::core::io::{Fetch, LinkEvent, Road};

use super::servers::{Peer, listen, scripted};
use super::{DIAL, Line, target};

const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: x\n\n";

/// Asks for a stream with a key and a cookie of this server's.
fn asks(port: u16, patience: Duration) -> Line {
    let url: url::Url = format!("http://127.0.0.1:{port}/first").parse().unwrap();
    let mut target = target(&url);
    target.connect_timeout = patience;
    target.headers = [("X-Key", "k"), ("Cookie", "a=1"), ("User-Agent", "mine/1")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    target.road = Road::Http { post: None };
    let mut line = Line::dial(target);
    let fetch = Fetch {
        url,
        headers: vec![("Last-Event-ID".to_owned(), "5".to_owned())],
        timeout: patience,
        streaming: true,
    };
    line.dials.fetch(DIAL, Box::new(fetch));
    line
}

async fn status(line: &mut Line) -> u16 {
    match line.next().await {
        LinkEvent::Answered(answer) => answer.status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_redirect_on_the_same_server_is_followed_with_everything() {
    let (port, peer) = scripted(|mut peer: Peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 307 Over there\r\nLocation: /second?x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
        // The answer to the next request comes on another connection.
        drop(peer);
    })
    .await;
    let mut line = asks(port, super::PATIENCE);
    peer.await.unwrap();
    // Nobody listens there any more: it was followed.
    let (_, end) = line.ended().await;
    assert!(end.error.is_some() && end.status.is_none(), "{end:?}");
}

#[tokio::test]
async fn a_redirect_to_another_server_takes_no_secrets_along() {
    let (listener, there) = listen().await;
    let second = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = Peer { stream };
        let head = peer.head().await;
        peer.say(STREAM).await;
        head
    });
    let (port, _first) = scripted(move |mut peer: Peer| async move {
        peer.head().await;
        let to = format!("http://127.0.0.1:{there}/second");
        peer.say(format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        peer.until_end().await;
    })
    .await;
    let mut line = asks(port, super::PATIENCE);
    assert_eq!(status(&mut line).await, 200);
    let head = second.await.unwrap();
    assert!(
        head.starts_with("GET /second ") && head.contains("User-Agent: mine/1"),
        "{head}"
    );
    assert!(head.contains("Last-Event-ID: 5"), "{head}");
    assert!(!head.contains("X-Key") && !head.contains("Cookie"), "{head}");
}

#[tokio::test]
async fn a_redirect_without_end_is_told_as_one() {
    let (listener, port) = listen().await;
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut peer = Peer { stream };
            peer.head().await;
            peer.say(
                "HTTP/1.1 301 Again\r\nLocation: /first\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )
            .await;
        }
    });
    let mut line = asks(port, super::PATIENCE);
    assert_eq!(status(&mut line).await, 301);
    server.abort();
}

#[tokio::test]
async fn a_head_that_is_kept_back_names_buffering() {
    let (port, peer) = scripted(|mut peer: Peer| async move {
        peer.head().await;
        peer.until_end().await;
    })
    .await;
    let mut line = asks(port, Duration::from_millis(100));
    let (_, end) = line.ended().await;
    let message = end.error.unwrap().message;
    assert!(
        message.contains("buffer") && message.contains("X-Accel-Buffering"),
        "{message}"
    );
    peer.await.unwrap();
}
