//! `doctor --url`: servers that work, do not work, or cannot be reached.

use std::net::TcpListener;

use super::{DoctorHome, answering};

/// A WebSocket server for one connection.
fn websocket(
    serve: impl FnOnce(tokio_tungstenite::tungstenite::WebSocket<std::net::TcpStream>) + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/live?token=secret", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        serve(tokio_tungstenite::tungstenite::accept(stream).unwrap());
    });
    url
}

#[test]
fn a_healthy_server_passes() {
    use tokio_tungstenite::tungstenite::Message;
    let machine = DoctorHome::installed();
    let url = websocket(|mut socket| {
        socket.send(Message::text("hello")).unwrap();
        while socket.read().is_ok() {}
    });
    let document = machine.doctor(&["--url", &url]);
    assert_eq!(document["verdict"], "pass", "{document:#}");
    let ids: Vec<_> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    for id in ["url", "url.dns", "url.tcp", "url.upgrade", "url.message"] {
        assert!(ids.contains(&id), "{id} in {ids:?}");
    }
    assert!(
        !document.to_string().contains("secret"),
        "queries are never shown"
    );
}

#[test]
fn faulty_servers_are_diagnosed() {
    let machine = DoctorHome::installed();
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("ws://{}/", listener.local_addr().unwrap())
    };
    let silent = websocket(|mut socket| while socket.read().is_ok() {});
    let closing = websocket(|mut socket| {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        let frame = CloseFrame {
            code: 4401.into(),
            reason: "who are you".into(),
        };
        socket.close(Some(frame)).unwrap();
        while socket.read().is_ok() {}
    });
    let plain = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").replace("ws://", "wss://");
    let missing = answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let closed = answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let odd = answering(b"220 mail.example.org\r\n");
    for (url, id, verdict, words) in [
        ("nonsense", "url", "fail", "must begin with its scheme"),
        ("ws://example.org/", "url", "fail", "wss:"),
        (
            "wss://no-such-host.invalid/",
            "url.dns",
            "fail",
            "no-such-host.invalid",
        ),
        (&gone, "url.tcp", "fail", "refused"),
        (&plain, "url.tls", "fail", "does not use TLS"),
        (&missing, "url.upgrade", "fail", "404"),
        (&closed, "url.upgrade", "warn", "no credentials"),
        (&odd, "url.upgrade", "fail", "not HTTP"),
        (&closing, "url.message", "warn", "4401 who are you"),
        (&silent, "url.message", "skip", "sent no message"),
    ] {
        machine.expect(id, verdict, words, &["--url", url]);
    }
}

#[test]
fn a_refused_url_does_not_reveal_its_password() {
    let machine = DoctorHome::installed();
    for url in [
        "ws://user:secret@127.0.0.1/#part",
        "ftp://user:secret@127.0.0.1/?token=secret",
        "wss//user:secret@127.0.0.1/?token=secret",
    ] {
        let found = machine.expect("url", "fail", "127.0.0.1", &["--url", url]);
        assert!(!found.to_string().contains("secret"), "{found:#}");
    }
}

#[test]
fn a_url_forbidden_by_the_settings_is_diagnosed() {
    let machine = DoctorHome::installed();
    machine.0.settings("[default]\nallow = [\"wss://a\"]\n");
    let found = machine.expect("url", "fail", "allowed: `wss://a`", &["--url", "wss://b/"]);
    assert!(
        found["fix"].as_str().unwrap().contains("settings.toml"),
        "{found:#}"
    );
}

#[test]
fn an_unreachable_proxy_is_diagnosed() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let machine = DoctorHome(DoctorHome::installed().0.with("https_proxy", gone));
    machine.expect("url.proxy", "fail", "refused", &["--url", "wss://example.org/"]);
}
