//! Debian's tinyproxy and microsocks, where they are installed.

use super::*;

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
        let until = std::time::Instant::now() + crate::transport::TEST_TIMEOUT;
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
    echoes(TestLink::dial(through(
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
    echoes(TestLink::dial_by(settings, target, 64)).await;
    for credentials in ["", "user:canary@"] {
        let end = failure(through(format!("{scheme}://{credentials}127.0.0.1:{port}"), &url)).await;
        assert_eq!(end.error.unwrap().code, Code::Proxy, "{scheme} `{credentials}`");
    }
}

#[tokio::test]
async fn tinyproxy_forwards_a_link() {
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
async fn microsocks_forwards_a_link() {
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
