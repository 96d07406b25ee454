//! Proxies: scripted ones that relay or refuse, and Debian's tinyproxy and microsocks where they are installed.
//!
//! The server's name resolves nowhere, so a link proves that the proxy resolved it.

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
use super::{Line, target};

/// What a proxy was asked for.
type Asked = Arc<Mutex<Vec<String>>>;

/// A CONNECT proxy that leads everywhere to `server`.
async fn connect_proxy(server: u16) -> (u16, Asked) {
    let (listener, port) = listen().await;
    let asked = Asked::default();
    let log = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut peer = Peer { stream };
            let log = log.clone();
            tokio::spawn(async move {
                let head = peer.head().await;
                log.lock().unwrap().push(head);
                peer.say("HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
                    .await;
                relay(peer.stream, server).await;
            });
        }
    });
    (port, asked)
}

/// A SOCKS5 proxy that leads everywhere to `server`; with credentials, it wants them.
async fn socks_proxy(server: u16, credentials: Option<(&'static str, &'static str)>) -> (u16, Asked) {
    let (listener, port) = listen().await;
    let asked = Asked::default();
    let log = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let log = log.clone();
            tokio::spawn(async move {
                // The client may leave at any point.
                let _ = socks(stream, server, credentials, &log).await;
            });
        }
    });
    (port, asked)
}

async fn socks(
    mut stream: TcpStream,
    server: u16,
    credentials: Option<(&str, &str)>,
    log: &Asked,
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

async fn echoes(mut line: Line) {
    line.opened().await;
    for size in [5, 300_000] {
        line.transmit(payload(size, true));
        assert!(line.message().await == payload(size, true));
    }
}

/// How a dial through this proxy fails.
async fn failure(target: Target) -> LinkEnd {
    let (_, end) = Line::dial(target).ended().await;
    let message = &end.error.as_ref().unwrap().message;
    assert!(!message.contains("canary"), "{message}");
    // A proxy's status must not pass for the server's.
    assert_eq!((end.status, end.retry_after), (None, None));
    end
}

#[tokio::test]
async fn connect_with_and_without_credentials() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let (port, asked) = connect_proxy(server.port).await;
    echoes(Line::dial(through(
        format!("http://127.0.0.1:{port}"),
        "ws://server.invalid:81/echo",
    )))
    .await;
    echoes(Line::dial(through(
        format!("http://us%40er:pass@127.0.0.1:{port}"),
        "ws://server.invalid/echo",
    )))
    .await;
    let asked = asked.lock().unwrap();
    assert!(
        asked[0].starts_with("CONNECT server.invalid:81 HTTP/1.1\r\n"),
        "{}",
        asked[0]
    );
    assert!(!asked[0].to_lowercase().contains("proxy-authorization"));
    assert!(
        asked[1].starts_with("CONNECT server.invalid:80 HTTP/1.1\r\n"),
        "{}",
        asked[1]
    );
    assert!(
        asked[1].contains("Proxy-Authorization: Basic dXNAZXI6cGFzcw==\r\n"),
        "{}",
        asked[1]
    );
}

#[tokio::test]
async fn replies_to_connect_are_read_as_browsers_read_them() {
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
            peer.say(reply).await;
            peer.accept("").await;
        })
        .await;
        let target = through(format!("http://127.0.0.1:{port}"), "ws://server.invalid/");
        match Line::dial(target).next().await {
            LinkEvent::Opened { .. } => {}
            other => panic!("{shown:?}: {other:?}"),
        }
        proxy.await.unwrap();
    }
}

#[tokio::test]
async fn credentials_of_any_letters_are_sent_as_they_are_meant() {
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
    let (port, asked) = socks_proxy(server.port, None).await;
    for scheme in ["socks5", "socks5h"] {
        echoes(Line::dial(through(
            format!("{scheme}://127.0.0.1:{port}"),
            "ws://server.invalid:81/echo",
        )))
        .await;
    }
    echoes(Line::dial(through(
        format!("socks5://127.0.0.1:{port}"),
        "ws://192.0.2.1:82/echo",
    )))
    .await;
    assert_eq!(
        *asked.lock().unwrap(),
        ["server.invalid:81", "server.invalid:81", "192.0.2.1:82"]
    );
    let (port, asked) = socks_proxy(server.port, Some(("user", "p:ss"))).await;
    echoes(Line::dial(through(
        format!("socks5://user:p%3Ass@127.0.0.1:{port}"),
        "ws://server.invalid:83/echo",
    )))
    .await;
    assert_eq!(*asked.lock().unwrap(), ["server.invalid:83"]);
}

#[tokio::test]
async fn the_settings_proxy_is_for_hosts_it_does_not_exclude() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let (port, asked) = connect_proxy(server.port).await;
    let dial = |url: String| {
        let settings = NetworkSettings {
            proxy: ProxySettings::Fixed {
                url: format!("http://127.0.0.1:{port}"),
                no_proxy: "spared.invalid".to_owned(),
            },
            ..NetworkSettings::default()
        };
        Line::dial_by(settings, target(url), 64)
    };
    echoes(dial("ws://server.invalid/echo".to_owned())).await;
    assert_eq!(asked.lock().unwrap().len(), 1);
    // Loopback is reached directly, and what is spared is resolved here.
    echoes(dial(server.url("/echo"))).await;
    let (_, end) = dial("ws://spared.invalid/echo".to_owned()).ended().await;
    assert_eq!(end.error.unwrap().code, Code::Dns);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn no_proxy_is_asked_for_an_address_that_is_never_dialled() {
    let (proxy, asked) = connect_proxy(1).await;
    for url in ["ws://169.254.169.254/latest", "ws://[::ffff:169.254.169.254]/"] {
        let end = failure(through(format!("http://127.0.0.1:{proxy}"), url)).await;
        assert_eq!(end.error.unwrap().code, Code::UrlDenied, "{url}");
    }
    assert!(asked.lock().unwrap().is_empty());
    // And no session makes a proxy of such an address.
    let end = failure(through("http://169.254.169.254:80", "ws://server.example/")).await;
    assert_eq!(end.error.unwrap().code, Code::Proxy);
}

#[tokio::test]
async fn an_unreachable_proxy_is_reported_as_the_fault_of_the_proxy() {
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
async fn a_proxy_that_says_no_is_distinguished_from_a_server_that_does() {
    for (status, word) in [
        ("407 Proxy Authentication Required", "user and a password"),
        ("403 Forbidden", "403"),
        ("502 Bad Gateway", "502"),
    ] {
        let (port, _) = scripted(move |mut peer| async move {
            peer.head().await;
            peer.say(format!(
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
    let (_, end) = Line::dial(target).ended().await;
    assert_eq!(
        (end.status, end.error.unwrap().code),
        (Some(403), Code::HttpStatus)
    );
}

#[tokio::test]
async fn a_proxy_that_requires_an_unsupported_method_is_reported_with_it() {
    let (port, _) = scripted(|mut peer| async move {
        peer.head().await;
        peer.say(
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
async fn a_socks_proxy_says_whose_fault_it_is() {
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
            peer.say([5, 0]).await;
            let mut request = [0; 5];
            peer.stream.read_exact(&mut request).await.unwrap();
            peer.say([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await;
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
async fn credentials_that_are_missing_or_wrong() {
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

#[tokio::test]
async fn proxies_that_talk_nonsense_hang_up_or_never_answer() {
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
            peer.say(answer).await;
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

#[tokio::test]
async fn a_long_link_through_a_proxy_closes_as_usual() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let (port, _) = socks_proxy(server.port, None).await;
    let mut line = Line::dial(through(
        format!("socks5://127.0.0.1:{port}"),
        "ws://server.invalid/close?code=4002&reason=x",
    ));
    let (_, end) = line.ended().await;
    assert_eq!((end.code, end.error), (Some(4002), None));
    line.transmit(Payload::text("nobody hears this"));
}

/// A proxy in a process of its own. `None` where it is not installed and not required.
async fn installed_proxy(
    program: &str,
    arguments: impl Fn(u16) -> Vec<String>,
) -> Option<(tokio::process::Child, u16)> {
    // These proxies cannot say which port they were given, so they get one that was free a moment ago.
    for _ in 0..10 {
        let (listener, port) = listen().await;
        drop(listener);
        let spawned = tokio::process::Command::new(program)
            .args(arguments(port))
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                crate::skip::skip(&format!("{program} is not installed: {error}"));
                return None;
            }
        };
        let until = std::time::Instant::now() + super::TEST_TIMEOUT;
        loop {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some((child, port));
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            assert!(std::time::Instant::now() < until, "{program} did not come up");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    panic!("{program} does not stay up")
}

/// A link that is good with `user:pass`, and the proxy's fault without or with other credentials.
async fn with_credentials(scheme: &str, port: u16, server: &Server) {
    let url = format!("ws://localhost:{}/echo", server.port);
    echoes(Line::dial(through(
        format!("{scheme}://user:pass@127.0.0.1:{port}"),
        &url,
    )))
    .await;
    // The settings know them too, so that no URL has to.
    let settings = NetworkSettings {
        proxy_credentials: vec![ProxyCredentials {
            place: format!("127.0.0.1:{port}"),
            user: "user".to_owned(),
            password: "pass".to_owned(),
        }],
        ..NetworkSettings::default()
    };
    let target = through(format!("{scheme}://127.0.0.1:{port}"), &url);
    echoes(Line::dial_by(settings, target, 64)).await;
    for credentials in ["", "user:canary@"] {
        let end = failure(through(format!("{scheme}://{credentials}127.0.0.1:{port}"), &url)).await;
        assert_eq!(end.error.unwrap().code, Code::Proxy, "{scheme} `{credentials}`");
    }
}

#[tokio::test]
async fn tinyproxy_lets_us_through() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let folder = tempfile::TempDir::new().unwrap();
    let config = folder.path().join("tinyproxy.conf");
    let Some((_proxy, port)) = installed_proxy("tinyproxy", |port| {
        let text = format!("Port {port}\nListen 127.0.0.1\nBasicAuth user pass\nTimeout 600\n");
        std::fs::write(&config, text).unwrap();
        vec!["-d".to_owned(), "-c".to_owned(), config.display().to_string()]
    })
    .await
    else {
        return;
    };
    with_credentials("http", port, &server).await;
}

#[tokio::test]
async fn microsocks_lets_us_through() {
    let Some(server) = Server::ws("{}").await else {
        return;
    };
    let Some((_proxy, port)) = installed_proxy("microsocks", |port| {
        [
            "-i",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-u",
            "user",
            "-P",
            "pass",
        ]
        .map(str::to_owned)
        .to_vec()
    })
    .await
    else {
        return;
    };
    with_credentials("socks5", port, &server).await;
}
