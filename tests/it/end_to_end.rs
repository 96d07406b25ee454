//! The whole path with real processes: extension's frames, host, broker, a WebSocket server, and back.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use longwire::wire::frame::framed;
use longwire::wire::part::split;
use serde_json::{Value, json};

use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::kill;
use crate::support::scratch::Scratch;

/// Opens a session and waits until its link is up.
fn open(host: &mut HostProcess, session: &str, server: &Echo) -> Value {
    host.send(&json!({"type": "open", "id": session, "session": session, "url": server.url()}));
    let opened = host.find("opened", |frame| {
        frame["type"] == "opened" && frame["id"] == session
    });
    let state = host.find("open", |frame| {
        frame["type"] == "state" && frame["session"] == session && frame["state"] == "open"
    });
    ack(host, &state);
    opened
}

fn ack(host: &mut HostProcess, message: &Value) {
    host.send(&json!({"type": "ack", "session": message["session"], "seq": message["seq"]}));
}

#[test]
fn messages_of_every_size_are_echoed() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    open(&mut host, "s", &server);
    // Text that doubles when it is escaped, and characters at which a part must not be cut.
    let awkward = r#"\"\\é€😀"#.repeat(150_000);
    for text in ["x", "é", "\"\\\n\u{7f}\u{2028}", awkward.as_str()] {
        host.send(&json!({"type": "send", "session": "s", "text": text}));
        let message = host.expect("message");
        assert!(
            message["text"] == text,
            "{} bytes were echoed differently",
            text.len()
        );
        ack(&mut host, &message);
    }
    for size in [1, 786_432, 3 << 20] {
        let bytes: Vec<u8> = (0..size)
            .map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let base64 = BASE64.encode(&bytes);
        host.send(&json!({"type": "send", "session": "s", "base64": base64}));
        let message = host.expect("message");
        assert!(
            message["base64"] == base64,
            "{size} bytes were echoed differently"
        );
        ack(&mut host, &message);
    }
}

#[test]
fn the_largest_message_is_sent_in_parts_both_ways() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    open(&mut host, "s", &server);
    // 64 MiB; a debug build takes its time over every byte.
    let size = if cfg!(debug_assertions) {
        12 << 20
    } else {
        64 << 20
    };
    let text = "0123456789abcdef".repeat(size / 16);
    let frame = json!({"type": "send", "session": "s", "id": "1", "text": text}).to_string();
    let mut parts = Vec::new();
    split(&frame, 1, &mut parts);
    host.send_bytes(&parts);
    host.ping("meanwhile");
    let message = host.expect("message");
    assert!(message["text"] == text, "it was echoed differently");
}

#[test]
fn many_small_messages_arrive_completely_and_in_order() {
    const LAST: u64 = 20_000;
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    open(&mut host, "s", &server);
    host.send_bytes(&framed(
        json!({"type": "send", "session": "s", "text": format!("count {LAST}")})
            .to_string()
            .as_bytes(),
    ));
    for number in 1..=LAST {
        let message = host.expect("message");
        assert_eq!(message["text"], number.to_string());
        if number % 500 == 0 {
            ack(&mut host, &message);
        }
    }
}

#[test]
fn consecutive_messages_share_a_frame_while_the_port_accepts_it() {
    const LAST: u64 = 3000;
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = HostProcess::chromium(&scratch);
    host.send(&json!({"type": "hello", "protocol": 1, "accepts": ["messages", "telepathy"]}));
    host.expect("welcome");
    open(&mut host, "s", &server);
    host.send(&json!({"type": "send", "session": "s", "text": format!("count {LAST}")}));
    let (mut frames, mut number, mut next) = (0, 0, None);
    while number < LAST {
        let frame = host.find("messages", |frame| {
            assert_ne!(frame["type"], "message", "the port accepts `messages`");
            frame["type"] == "messages"
        });
        let seq = frame["seq"].as_u64().unwrap();
        assert!(next.is_none_or(|next| next == seq), "{seq} after {next:?}");
        for text in frame["text"].as_array().unwrap() {
            number += 1;
            assert_eq!(*text, number.to_string());
        }
        next = Some(seq + frame["text"].as_array().unwrap().len() as u64);
        frames += 1;
    }
    assert!(frames < LAST, "{frames} frames for {LAST} messages");
    let last = json!({"session": "s", "seq": next.unwrap() - 1});
    ack(&mut host, &last);

    host.hello();
    host.send(&json!({"type": "send", "session": "s", "text": "x"}));
    let message = host.find("message", |frame| {
        frame["type"] == "message" || frame["type"] == "messages"
    });
    assert_eq!(
        (&message["type"], &message["text"]),
        (&json!("message"), &json!("x"))
    );
}

#[test]
fn a_killed_host_loses_no_message() {
    const LAST: u64 = 5000;
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let epoch = open(&mut host, "s", &server)["epoch"].clone();
    host.send(&json!({"type": "send", "session": "s", "text": format!("count {LAST}")}));
    let mut got = 0;
    let mut seq = json!(0);
    while got < LAST {
        for _ in 0..1000.min(LAST - got) {
            let message = host.expect("message");
            got += 1;
            assert_eq!(message["text"], got.to_string());
            seq = message["seq"].clone();
        }
        kill(i32::try_from(host.id()).unwrap());
        host = HostProcess::chromium(&scratch);
        host.hello();
        host.send(&json!({
            "type": "open", "id": "again", "session": "s", "url": server.url(),
            "resume": {"epoch": epoch, "seq": seq},
        }));
        assert_eq!(host.expect("opened")["resume"], "exact");
    }
}

#[test]
fn one_port_serves_a_hundred_sessions() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let names: Vec<String> = (0..100).map(|number| format!("session {number}")).collect();
    for name in &names {
        open(&mut host, name, &server);
    }
    for name in &names {
        host.send(&json!({"type": "send", "session": name, "text": name}));
    }
    for name in &names {
        let message = host.find("message", |frame| {
            frame["type"] == "message" && frame["session"] == *name
        });
        assert_eq!(message["text"], *name);
    }
}

#[test]
fn one_broker_serves_a_thousand_sessions() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut hosts: Vec<HostProcess> = (0..5)
        .map(|number| {
            let mut host = HostProcess::chromium(&scratch);
            let profile = format!("profile {number}");
            host.send(&json!({"type": "hello", "protocol": 1, "profile": profile}));
            host.expect("welcome");
            host
        })
        .collect();
    let names: Vec<String> = (0..200).map(|number| format!("session {number}")).collect();
    for (number, host) in hosts.iter_mut().enumerate() {
        for name in &names {
            host.send(&json!({"type": "open", "id": name, "session": name, "url": server.url()}));
            // Equal names in different profiles are different sessions.
            let text = format!("{name} of {number}");
            host.send(&json!({"type": "send", "session": name, "text": text}));
        }
    }
    for (number, host) in hosts.iter_mut().enumerate() {
        let mut missing: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        while !missing.is_empty() {
            let message = host.expect("message");
            let name = message["session"].as_str().unwrap();
            assert_eq!(message["text"], format!("{name} of {number}"));
            assert!(missing.remove(name), "{name} was reported twice");
        }
    }
    hosts[0].send(&json!({"type": "status", "id": "q"}));
    assert_eq!(
        hosts[0].expect("status")["sessions"].as_array().unwrap().len(),
        200
    );
    assert_eq!(scratch.brokers().len(), 1);
}
