//! Large contents whose examination takes long: other sessions do not wait for it, and the session keeps its order.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message};

use super::stall::Stall;
use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::{ORIGIN, OTHER_ORIGIN};

/// Bytes of a large content.
const SIZE: usize = 512 << 10;

/// A server for one connection on a free port.
fn serve(serve: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    port
}

/// Reads the head of a request.
fn head(stream: &TcpStream) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.is_empty()), "the request ends");
}

/// A WebSocket server that sends this, and then reads until the connection ends.
fn socket(sent_count: Vec<Message>) -> u16 {
    serve(|stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        for message in sent_count {
            socket.send(message).unwrap();
        }
        while socket.read().is_ok() {}
    })
}

fn stream(kind: &'static str, body: String) -> u16 {
    serve(move |mut stream| {
        head(&stream);
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n{body}");
        let _ = stream.flush();
        // It stays open until the broker closes it.
        let _ = BufReader::new(&stream).lines().count();
    })
}

fn large() -> String {
    format!("[{}]", vec!["1"; SIZE / 2].join(","))
}

fn greeting() -> Vec<Message> {
    let greeting =
        r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    vec![Message::text(greeting), Message::text(r#"40{"sid":"x"}"#)]
}

fn socketio(packets: Vec<Message>) -> (u16, Value) {
    let mut sent_count = greeting();
    sent_count.extend(packets);
    let options = json!({"protocol": "socket.io", "socketio": {"transports": ["websocket"]}});
    (socket(sent_count), options)
}

/// Has a server send a large and then a small message, while examining takes as long as the test wants.
fn delays_no_other_session(port: u16, mut options: Value) {
    let (stall, scratch) = Stall::at("broker.examine");
    let echo = Echo::start();
    let mut other = HostProcess::of(&scratch, OTHER_ORIGIN);
    other.send(&json!({"type": "open", "id": "o", "session": "echo", "url": echo.url(), "options": {"proxy": "none"}}));
    other.find("the link", |frame| frame["state"] == "open");
    let mut busy = HostProcess::of(&scratch, ORIGIN);
    options["proxy"] = json!("none");
    options["queue"] = json!({"bytes": 64 << 20});
    let scheme = if options.get("protocol").is_some() {
        "http"
    } else {
        "ws"
    };
    let url = format!("{scheme}://127.0.0.1:{port}/");
    busy.send(&json!({"type": "open", "id": "o", "session": "s", "url": url, "options": options}));
    busy.find("the link", |frame| frame["state"] == "open");
    for number in 0..100 {
        let text = number.to_string();
        other.send(&json!({"type": "send", "session": "echo", "id": text, "text": text}));
        other.find("the echo", |frame| frame["text"] == text.as_str());
    }
    busy.ping("its port is not kept waiting either");
    assert!(
        busy.passed().all(|frame| frame["type"] != "message"),
        "nothing was examined yet"
    );
    let _on = stall.go_on();
    let first = busy.expect("message").to_string();
    assert!(first.len() > SIZE, "{first}");
    let second = busy.expect("message").to_string();
    assert!(second.contains("small"), "{second}");
}

#[test]
fn a_large_websocket_message_delays_no_other_session() {
    let sent_count = vec![Message::text(large()), Message::text("\"small\"")];
    delays_no_other_session(socket(sent_count), json!({"format": "json"}));
}

#[test]
fn a_large_socketio_event_delays_no_other_session() {
    let event = format!(r#"42["e",{}]"#, large());
    let (port, options) = socketio(vec![Message::text(event), Message::text(r#"42["small"]"#)]);
    delays_no_other_session(port, options);
}

#[test]
fn a_large_socketio_attachment_delays_no_other_session() {
    let packets = vec![
        Message::text(r#"451-["e",{"_placeholder":true,"num":0}]"#),
        Message::binary(vec![0; SIZE]),
        Message::text(r#"42["small"]"#),
    ];
    let (port, options) = socketio(packets);
    delays_no_other_session(port, options);
}

#[test]
fn a_large_stream_event_delays_no_other_session() {
    let body = format!("data: {}\n\ndata: small\n\n", large());
    let options = json!({"protocol": "sse", "format": "json"});
    delays_no_other_session(stream("text/event-stream", body), options);
}
