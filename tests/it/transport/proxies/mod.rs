//! Proxies: scripted ones that relay or refuse, and Debian's tinyproxy and microsocks where they are installed.
//!
//! The server's name resolves nowhere, so a link proves that the proxy resolved it.

mod credentials;
mod faults;
mod installed;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use longwire::core::io::{LinkEnd, LinkEvent, ProxyChoice, Target};
use longwire::transport::{NetworkSettings, ProxyCredentials, ProxySettings};
use longwire::wire::code::Code;
use longwire::wire::payload::Payload;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::servers::{Peer, Server, listen, payload, scripted};
use super::{TestLink, target};

/// The requests to a proxy.
type RequestLog = Arc<Mutex<Vec<String>>>;

/// A CONNECT proxy that leads everywhere to `server`.
async fn connect_proxy(server: u16) -> (u16, RequestLog) {
    let (listener, port) = listen().await;
    let requests = RequestLog::default();
    let log = requests.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut peer = Peer { stream };
            let log = log.clone();
            tokio::spawn(async move {
                let head = peer.head().await;
                log.lock().unwrap().push(head);
                peer.send("HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
                    .await;
                relay(peer.stream, server).await;
            });
        }
    });
    (port, requests)
}

/// A SOCKS5 proxy that leads everywhere to `server`; with credentials, it wants them.
async fn socks_proxy(server: u16, credentials: Option<(&'static str, &'static str)>) -> (u16, RequestLog) {
    let (listener, port) = listen().await;
    let requests = RequestLog::default();
    let log = requests.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let log = log.clone();
            tokio::spawn(async move {
                // The client may disconnect at any point.
                let _ = socks(stream, server, credentials, &log).await;
            });
        }
    });
    (port, requests)
}

async fn socks(
    mut stream: TcpStream,
    server: u16,
    credentials: Option<(&str, &str)>,
    log: &RequestLog,
) -> std::io::Result<()> {
    assert_eq!(stream.read_u8().await?, 5);
    let methods = counted(&mut stream).await?;
    match credentials {
        Some((user, password)) if methods.contains(&2) => {
            stream.write_all(&[5, 2]).await?;
            assert_eq!(stream.read_u8().await?, 1);
            let given = (counted(&mut stream).await?, counted(&mut stream).await?);
            let right = given == (user.into(), password.into());
            stream.write_all(&[1, u8::from(!right)]).await?;
            if !right {
                return Ok(());
            }
        }
        Some(_) => return stream.write_all(&[5, 0xff]).await,
        None => stream.write_all(&[5, 0]).await?,
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    assert_eq!(head[..3], [5, 1, 0]);
    let host = match head[3] {
        1 => {
            let mut address = [0; 4];
            stream.read_exact(&mut address).await?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        3 => String::from_utf8(counted(&mut stream).await?).unwrap(),
        other => panic!("address type {other}"),
    };
    let port = stream.read_u16().await?;
    log.lock().unwrap().push(format!("{host}:{port}"));
    // Bound to a name, for a change.
    stream.write_all(&[5, 0, 0, 3, 4]).await?;
    stream.write_all(b"here").await?;
    stream.write_all(&[0, 0]).await?;
    relay(stream, server).await;
    Ok(())
}

async fn counted(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn relay(mut client: TcpStream, server: u16) {
    let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

fn through(proxy: impl Into<String>, url: &str) -> Target {
    let mut target = target(url);
    target.proxy = ProxyChoice::Url(proxy.into());
    target
}

async fn echoes(mut link: TestLink) {
    link.opened().await;
    for size in [5, 300_000] {
        link.transmit(payload(size, true));
        assert!(link.message().await == payload(size, true));
    }
}

/// How a dial through this proxy fails.
async fn failure(target: Target) -> LinkEnd {
    let (_, end) = TestLink::dial(target).ended().await;
    let message = &end.error.as_ref().unwrap().message;
    assert!(!message.contains("canary"), "{message}");
    // A proxy's status must not pass for the server's.
    assert_eq!((end.status, end.retry_after), (None, None));
    end
}

#[tokio::test]
async fn replies_to_connect_are_parsed_as_in_browsers() {
    let long = format!("HTTP/1.1 200 {}\r\n\r\n", "established ".repeat(500));
    for reply in [
        "HTTP/1.0 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.1 200 \u{fc}\r\n\r\n",
        "HTTP/1.1 200 OK\nVia: x\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nProxy-Agent : x\r\nNonsense\r\nX-Folded: a\r\n b\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        &long,
    ] {
        let shown: String = reply.chars().take(60).collect();
        let reply = reply.to_owned();
        let (port, proxy) = scripted(move |mut peer: Peer| async move {
            peer.head().await;
            peer.send(reply).await;
            peer.accept("").await;
        })
        .await;
        let target = through(format!("http://127.0.0.1:{port}"), "ws://server.invalid/");
        match TestLink::dial(target).next().await {
            LinkEvent::Opened { .. } => {}
            other => panic!("{shown:?}: {other:?}"),
        }
        proxy.await.unwrap();
    }
}

#[tokio::test]
async fn the_settings_proxy_is_for_hosts_it_does_not_exclude() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let (port, requests) = connect_proxy(server.port).await;
    let dial = |url: String| {
        let settings = NetworkSettings {
            proxy: ProxySettings::Fixed {
                url: format!("http://127.0.0.1:{port}"),
                no_proxy: "spared.invalid".to_owned(),
            },
            ..NetworkSettings::default()
        };
        TestLink::dial_by(settings, target(url), 64)
    };
    echoes(dial("ws://server.invalid/echo".to_owned())).await;
    assert_eq!(requests.lock().unwrap().len(), 1);
    // Loopback is reached directly, and what is spared is resolved here.
    echoes(dial(server.url("/echo"))).await;
    let (_, end) = dial("ws://spared.invalid/echo".to_owned()).ended().await;
    assert_eq!(end.error.unwrap().code, Code::Dns);
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn no_proxy_is_used_for_a_denied_address() {
    let (proxy, requests) = connect_proxy(1).await;
    for url in ["ws://169.254.169.254/latest", "ws://[::ffff:169.254.169.254]/"] {
        let end = failure(through(format!("http://127.0.0.1:{proxy}"), url)).await;
        assert_eq!(end.error.unwrap().code, Code::UrlDenied, "{url}");
    }
    assert!(requests.lock().unwrap().is_empty());
    // And no session makes a proxy of such an address.
    let end = failure(through("http://169.254.169.254:80", "ws://server.example/")).await;
    assert_eq!(end.error.unwrap().code, Code::Proxy);
}

#[tokio::test]
async fn a_long_link_through_a_proxy_closes_as_usual() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let (port, _) = socks_proxy(server.port, None).await;
    let mut link = TestLink::dial(through(
        format!("socks5://127.0.0.1:{port}"),
        "ws://server.invalid/close?code=4002&reason=x",
    ));
    let (_, end) = link.ended().await;
    assert_eq!((end.code, end.error), (Some(4002), None));
    link.transmit(Payload::text("nobody hears this"));
}
