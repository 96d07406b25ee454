//! Which proxy a broker uses: the environment it was started in, the settings file, and their precedence.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::SOON;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;

/// A proxy that refuses every request, and reports it.
fn proxy() -> (u16, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut sent = vec![0; 4096];
            let count = stream.read(&mut sent).unwrap_or(0);
            sent.truncate(count);
            let _ = sender.send(sent);
            let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (port, requests)
}

/// How the first dial of a session in this home ends.
fn fails(scratch: &Scratch) -> Value {
    let mut host = HostProcess::chromium(scratch);
    host.hello();
    host.send(&json!({
        "type": "open", "id": "o", "session": "s", "url": "wss://server.invalid/",
        "options": {"connectTimeout": 3000, "reconnect": {"minDelay": 600_000, "maxDelay": 600_000}},
    }));
    let failed = host.find("waiting", |frame| {
        frame["type"] == "state" && frame["state"] == "waiting"
    });
    failed["error"]["code"].clone()
}

#[test]
fn the_environments_proxy_is_used_with_its_credentials() {
    let (port, requests) = proxy();
    let scratch = Scratch::new().with("HTTPS_PROXY", format!("http://me:secret@127.0.0.1:{port}"));
    assert_eq!(fails(&scratch), "proxy");
    let head = String::from_utf8(requests.recv_timeout(SOON).unwrap()).unwrap();
    assert!(
        head.starts_with("CONNECT server.invalid:443 HTTP/1.1\r\n"),
        "{head}"
    );
    // `me:secret` in base64.
    assert!(head.contains("Basic bWU6c2VjcmV0"), "{head}");
}

#[test]
fn all_proxy_may_be_a_socks_proxy() {
    let (port, requests) = proxy();
    let scratch = Scratch::new().with("ALL_PROXY", format!("socks5://127.0.0.1:{port}"));
    assert_eq!(fails(&scratch), "proxy");
    assert_eq!(
        requests.recv_timeout(SOON).unwrap()[0],
        5,
        "the greeting of SOCKS5"
    );
}

#[test]
fn the_environment_and_the_settings_may_exclude_hosts() {
    let (port, requests) = proxy();
    let url = format!("http://127.0.0.1:{port}");
    let scratch = Scratch::new()
        .with("HTTPS_PROXY", &url)
        .with("NO_PROXY", "server.invalid");
    assert_ne!(fails(&scratch), "proxy");
    let scratch = Scratch::new();
    scratch.settings(&format!("[proxy]\nurl = \"{url}\"\nexcept = [\".invalid\"]\n"));
    assert_ne!(fails(&scratch), "proxy");
    assert!(requests.try_recv().is_err(), "the proxy received no request");
}

#[test]
fn the_settings_override_the_environment() {
    let (port, requests) = proxy();
    let scratch = Scratch::new().with("HTTPS_PROXY", format!("http://127.0.0.1:{port}"));
    scratch.settings("[proxy]\nurl = \"none\"\n");
    assert_ne!(fails(&scratch), "proxy");
    assert!(requests.try_recv().is_err(), "the proxy received no request");
    let scratch = Scratch::new().with("HTTPS_PROXY", "http://127.0.0.1:1");
    scratch.settings(&format!("[proxy]\nurl = \"http://127.0.0.1:{port}\"\n"));
    assert_eq!(fails(&scratch), "proxy");
    requests.recv_timeout(SOON).unwrap();
}
