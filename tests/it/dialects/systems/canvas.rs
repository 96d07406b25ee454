//! The AI canvas: a token in the query, subscriptions, batches, large and compressed messages, pings that must be answered.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::System;
use crate::support::scratch::Scratch;
use crate::support::server::Server;
use crate::support::{SOON, eventually};

/// Stands in the token, and in nothing else.
const SECRET: &str = "c4n4ry";

const SOCKET: &str = "/ws?userId=u1&sessionId=s1&token=a.c4n4ry.token";

fn canvas(variables: &[(&str, &str)]) -> Option<System> {
    System::of("canvas", variables)
}

fn kinds(batch: &Value) -> Vec<&str> {
    let messages = batch["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["type"].as_str().unwrap())
        .collect()
}

impl System {
    fn canvas(&mut self, message: Value) {
        self.send(json!({"type":"send","session":"canvas","json":message}));
    }
}

#[test]
fn accepts_its_token_with_greeting_and_batches() {
    let Some(mut system) = canvas(&[]) else {
        return;
    };
    let (bare, good) = (system.server.ws("/ws"), system.server.ws(SOCKET));
    let options = json!({"format":"json","auth":"provider","closeCodes":{"1008":"auth"},"reconnect":{"minDelay":5},
        "ready":{"/type":"connection"},
        "heartbeat":{"interval":50,"timeout":10000,"message":{"json":{"type":"ping"}},"expect":{"/type":"pong"}}});
    system.opens("canvas", bare.clone(), options);
    let auth_needed = system.host.expect("auth-needed");
    system.send(json!({"type":"authorize","session":"canvas","nonce":auth_needed["nonce"],"url":bare}));
    let auth_needed = system.host.expect("auth-needed");
    assert_eq!(
        auth_needed["why"], "refused",
        "1008 means that credentials are wanted"
    );
    system.send(json!({"type":"authorize","session":"canvas","nonce":auth_needed["nonce"],"url":good}));
    let greeting = system.message_of_type("connection");
    assert_eq!(greeting["status"], "connected");
    system.send(json!({"type":"subscribe","session":"canvas","id":"d","key":"s1",
        "send":[{"json":{"type":"subscribe","sessionId":"s1"}}],
        "undo":[{"json":{"type":"unsubscribe"}}],
        "confirm":{"/type":"subscribed","/sessionId":"s1"},
        "filter":[{"when":{"/type":"subscribed"},"do":"drop"}]}));
    system.host.find("active", |frame| {
        frame["type"] == "subscription" && frame["state"] == "active"
    });
    system.canvas(json!({"type":"generate","sessionId":"s1","chunks":3,"chunk":2000}));
    let batch = system.message_of_type("batch_update");
    assert_eq!(
        kinds(&batch),
        [
            "ai_start",
            "ai_progress",
            "ai_progress",
            "ai_progress",
            "ai_complete"
        ]
    );
    let progress = json!({"chunksReceived":2,"contentLength":4000});
    assert_eq!(batch["messages"][2]["progress"], progress);
    system.canvas(json!({"type":"generate","sessionId":"s1","chunks":-1}));
    let failed = system.message_of_type("batch_update");
    assert_eq!(kinds(&failed), ["ai_start", "ai_error"]);
    assert_eq!(failed["messages"][1]["error"]["type"], "rate_limit_error");
    // The statistics have the original's shape, and come to the extension by a session of their own.
    let statistics = system.server.url("/api/ws/stats");
    let options = json!({"protocol":"poll","format":"json","poll":{"interval":20}});
    system.opens("statistics", statistics, options);
    let statistics = system.host.find("statistics", |frame| {
        frame["session"] == "statistics" && frame["type"] == "message"
    });
    let client = json!({"id":greeting["clientId"],"userId":"u1","sessionId":"s1","isAlive":true,"state":1});
    assert_eq!(
        statistics["json"],
        json!({"totalConnections":1,"activeConnections":1,"clients":[client]})
    );
    system.send(json!({"type":"close","session":"statistics"}));
    // The application's own beats arrive; their answers are used up.
    for _ in 0..5 {
        system
            .server
            .wait_for("a beat", |line| line["ping"] == greeting["clientId"]);
    }
    system.canvas(json!({"type":"vanish"}));
    system.state("waiting");
    assert_ne!(
        system.message_of_type("connection")["clientId"],
        greeting["clientId"]
    );
    system.host.find("active again", |frame| {
        frame["type"] == "subscription" && frame["state"] == "active"
    });
    system.send(json!({"type":"unsubscribe","session":"canvas","id":"u","key":"s1"}));
    assert_eq!(system.message_of_type("unsubscribed")["type"], "unsubscribed");
    assert_eq!(
        system.got("/api/ws/stats")["clients"][0]["sessionId"],
        Value::Null
    );
    let pong = system.host.passed().find(|frame| frame["json"]["type"] == "pong");
    assert_eq!(pong, None, "a heartbeat answer is not delivered");
}

#[test]
fn does_not_expose_its_token() {
    let Some(server) = Server::example("canvas", &[]) else {
        return;
    };
    let mut system = System::within(Scratch::new().with("LONGWIRE_LOG", "trace"), server, "");
    let url = system.server.ws(SOCKET);
    system.opens("canvas", url, json!({"format":"json","reconnect":{"minDelay":5}}));
    system.message_of_type("connection");
    system.canvas(json!({"type":"vanish"}));
    system.state("waiting");
    system.message_of_type("connection");
    // One without a server, for an error with its URL.
    let nobody = format!("ws://127.0.0.1:1{SOCKET}");
    system.opens("nobody", nobody, json!({}));
    system.host.find("refused", |frame| {
        frame["session"] == "nobody" && frame["error"].is_object()
    });
    let status = system.status().to_string();
    let mut shown = vec![("the status", status), ("the log", system.scratch.log())];
    for arguments in [["status", "--json"], ["doctor", "--json"]] {
        let output = system.scratch.command().args(arguments).output().unwrap();
        shown.push((arguments[0], String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    shown.extend(system.host.passed().map(|frame| ("a frame", frame.to_string())));
    for (what, text) in shown {
        assert!(!text.contains(SECRET), "{what} shows the token: {text}");
    }
}

#[test]
fn transfers_large_messages_both_ways_and_reports_oversize_ones() {
    let Some(mut system) = canvas(&[]) else {
        return;
    };
    let url = system.server.ws(SOCKET);
    let most = 128 << 20;
    system.opens(
        "canvas",
        url,
        json!({"format":"json","queue":{"bytes":most},"outbox":{"bytes":most},"window":{"bytes":most}}),
    );
    let extensions = system.state("open")["extensions"].clone();
    let extensions = extensions.as_str().expect("compression").to_owned();
    for wanted in [
        "permessage-deflate",
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits=10",
    ] {
        assert!(extensions.contains(wanted), "{extensions}");
    }
    // Down and up, near the 64 MiB that one message may have.
    let large = 60_000_000;
    system.canvas(json!({"type":"snapshot","bytes":large}));
    let snapshot = system.message_of_type("snapshot");
    assert_eq!(snapshot["image"].as_str().map(str::len), Some(large));
    let image = "y".repeat(large);
    system.canvas(json!({"type":"snapshot","image":image}));
    assert!(system.message_of_type("snapshot")["received"].as_u64() > Some(60_000_000));
    // Above it the loss is a gap in its place, and the same link continues.
    system.canvas(json!({"type":"snapshot","bytes":70_000_000}));
    let gap = system.host.expect("gap");
    assert_eq!(
        (&gap["reason"], &gap["count"], &gap["exact"]),
        (&json!("too-large"), &json!(1), &json!(true))
    );
    system.canvas(json!({"type":"snapshot","bytes":1}));
    assert_eq!(system.message_of_type("snapshot")["image"], "x");
    assert_eq!(system.status()["total"]["dials"], 1);
    // Asking for more than that is refused with the limit.
    system.send(
        json!({"type":"open","id":"more","session":"more","url":"ws://127.0.0.1:1",
        "options":{"maxMessage":100 << 20}}),
    );
    let refused = system.host.find("refusal", |frame| frame["id"] == "more");
    assert_eq!(refused["code"], "bad-option");
    assert!(
        refused["message"].as_str().unwrap().contains("67108864"),
        "{refused}"
    );
}

#[test]
fn closes_silent_connections_but_not_this_one() {
    let Some(mut system) = canvas(&[("PING", "1000")]) else {
        return;
    };
    let url = system.server.ws(SOCKET);
    system.opens("canvas", url, json!({"format":"json","heartbeat":false}));
    let id = system.message_of_type("connection")["clientId"].clone();
    // Another client that never answers a ping.
    let mut silent = TcpStream::connect(("127.0.0.1", system.server.port)).unwrap();
    silent.set_read_timeout(Some(SOON)).unwrap();
    write!(
        silent,
        "GET {SOCKET} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut received = Vec::new();
    silent.read_to_end(&mut received).expect("the server ends it");
    let terminated = system
        .server
        .wait_for("the end", |line| line["terminated"].is_string());
    assert_ne!(terminated["terminated"], id);
    system.server.wait_for("a pong", |line| line["pong"] == id);
    eventually(SOON, "it is alone", || {
        (system.got("/api/ws/stats")["activeConnections"] == 1).then_some(())
    });
    assert_eq!(system.status()["total"]["dials"], 1);
}
