//! Socket.IO as the hub decides about it, in virtual time: silence, old servers, early events, unknown outcomes after a lost link.

mod events;

use std::time::Duration;

use bytes::Bytes;
use longwire::core::io::{DialId, Incoming, Input, LinkEnd, LinkEvent, Output};
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

const GREETING: &str =
    r#"0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

/// A session that dials, and its dial.
fn dialling(options: Value) -> (Harness, DialId) {
    let mut harness = Harness::with_client();
    let mut all = json!({"protocol":"socket.io"});
    for (name, value) in options.as_object().unwrap() {
        all[name] = value.clone();
    }
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"http://127.0.0.1:1","options":all}),
    );
    let dial = harness.next_dial();
    harness.delivered.clear();
    (harness, dial)
}

/// An open session with the main namespace.
fn open(options: Value) -> (Harness, DialId) {
    let (mut harness, dial) = dialling(options);
    harness.server_sends(dial, &[GREETING]);
    assert_eq!(harness.next_transmit(), "40");
    harness.server_sends(dial, &[r#"40{"sid":"x"}"#]);
    assert_eq!(state(&mut harness)["state"], "open");
    (harness, dial)
}

#[track_caller]
fn state(harness: &mut Harness) -> Value {
    let index = harness
        .delivered
        .iter()
        .position(|(_, frame)| frame["type"] == "state");
    harness.delivered.remove(index.expect("a state")).unwrap().1
}

#[track_caller]
fn expect_hang_up(harness: &mut Harness) {
    let hung_up = harness
        .asked
        .iter()
        .any(|output| matches!(output, Output::HangUp { .. }));
    assert!(hung_up, "{:?}", harness.asked);
    harness.asked.clear();
}

#[test]
fn a_silent_server_is_disconnected_after_its_ping_timeout() {
    let (mut harness, dial) = open(json!({}));
    harness.passes(Duration::from_secs(44));
    harness.server_sends(dial, &["2"]);
    assert_eq!(harness.next_transmit(), "3");
    harness.passes(Duration::from_millis(44_999));
    assert!(harness.asked.is_empty() && harness.delivered.is_empty());
    harness.passes(Duration::from_millis(1));
    expect_hang_up(&mut harness);
    let waiting = state(&mut harness);
    assert_eq!(
        (&waiting["state"], &waiting["error"]["code"]),
        (&json!("waiting"), &json!("heartbeat"))
    );
}

#[test]
fn a_paused_link_does_not_count_as_silence() {
    let (mut harness, dial) = open(json!({"queue":{"messages":1,"overflow":"pause"}}));
    harness.server_sends(dial, &[r#"42["one"]"#]);
    let one = std::iter::from_fn(|| Some(harness.receive(PORT)))
        .find(|frame| frame["type"] == "message")
        .unwrap();
    assert!(matches!(harness.asked.pop_front(), Some(Output::Pause(_))));
    harness.passes(Duration::from_secs(600));
    assert!(harness.asked.is_empty(), "reading was paused");
    harness.send(PORT, json!({"type":"ack","session":"s","seq":one["seq"]}));
    assert!(matches!(harness.asked.pop_front(), Some(Output::Resume(_))));
    harness.passes(Duration::from_millis(44_999));
    assert!(
        harness.asked.is_empty(),
        "what it sent meanwhile is still to be read"
    );
    harness.passes(Duration::from_millis(1));
    expect_hang_up(&mut harness);
}

#[test]
fn an_unanswered_namespace_fails_at_the_connect_timeout() {
    let (mut harness, dial) = dialling(json!({"connectTimeout":5000}));
    harness.server_sends(dial, &[GREETING]);
    harness.passes(Duration::from_secs(5));
    expect_hang_up(&mut harness);
    assert_eq!(state(&mut harness)["state"], "waiting");
}

#[test]
fn an_unsupported_server_version_fails_with_advice_and_is_not_redialled() {
    for greeting in [
        r#"96:0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}2:40"#,
        r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":5000}"#,
    ] {
        let (mut harness, dial) = dialling(json!({}));
        harness.server_sends(dial, &[greeting, "40"]);
        expect_hang_up(&mut harness);
        let failed = state(&mut harness);
        assert_eq!(failed["state"], "failed");
        let advice = failed["error"]["message"].as_str().unwrap();
        assert!(
            advice.contains("Socket.IO 2") && advice.contains("update"),
            "{advice}"
        );
        harness.passes(Duration::from_secs(3600));
        assert!(harness.asked.is_empty());
    }
}

#[test]
fn a_lost_link_leaves_begun_messages_unknown_and_resends_the_others() {
    let (mut harness, dial) = open(json!({}));
    let bytes = json!([{"$base64":"AQI="}]);
    harness.send(
        PORT,
        json!({"type":"send","session":"s","id":"a","event":"up","args":bytes}),
    );
    harness.send(
        PORT,
        json!({"type":"request","session":"s","id":"b","event":"ask","match":{"ack":true},"ifLost":"resend"}),
    );
    harness.send(PORT, json!({"type":"send","session":"s","id":"c","event":"last"}));
    harness.asked.clear();
    harness.receive_types(PORT);
    // Of "40", the first message's two packets, and the request's one, three were begun.
    harness.link_ends(
        dial,
        LinkEnd {
            taken: 4,
            ..LinkEnd::default()
        },
    );
    let outcome = std::iter::from_fn(|| Some(harness.receive(PORT)))
        .find(|frame| frame["type"] == "outcome")
        .unwrap();
    assert_eq!(
        (&outcome["id"], &outcome["outcome"]),
        (&json!("a"), &json!("unknown"))
    );
    harness.passes(Duration::from_secs(1));
    let dial = harness.next_dial();
    harness.server_sends(dial, &[GREETING, r#"40{"sid":"y"}"#]);
    assert_eq!(harness.next_transmit(), "40");
    assert_eq!(harness.next_transmit(), r#"421["ask"]"#);
    assert_eq!(harness.next_transmit(), r#"42["last"]"#);
    harness.delivered.clear();
    harness.server_sends(dial, &[r#"431["yes"]"#]);
    assert_eq!(harness.receive(PORT)["args"], json!(["yes"]));
}

#[test]
fn a_connection_of_other_credentials_is_not_recovered() {
    let (mut harness, dial) = dialling(json!({"socketio":{"auth":{"user":"a"}}}));
    // A server that recovers looks at no credentials: whom it remembers is who comes back.
    let asks = |harness: &mut Harness, dial| {
        harness.server_sends(dial, &[GREETING]);
        let packet = harness.next_transmit();
        harness.server_sends(dial, &[r#"40{"sid":"x","pid":"p"}"#]);
        harness.delivered.clear();
        harness.asked.clear();
        packet
    };
    assert_eq!(asks(&mut harness, dial), r#"40{"user":"a"}"#);
    harness.link_ends(dial, LinkEnd::default());
    harness.passes(Duration::from_secs(1));
    let dial = harness.next_dial();
    assert_eq!(asks(&mut harness, dial), r#"40{"pid":"p","user":"a"}"#);
    harness.send(
        PORT,
        json!({"type":"authorize","session":"s","auth":{"user":"b"}}),
    );
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
    let dial = harness.next_dial();
    assert_eq!(asks(&mut harness, dial), r#"40{"user":"b"}"#);
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","options":{"protocol":"socket.io","socketio":{"auth":{"user":"c"}}}}),
    );
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
    let dial = harness.next_dial();
    assert_eq!(asks(&mut harness, dial), r#"40{"user":"c"}"#);
}

/// The cases of the Engine.IO protocol's suite for servers, turned round: what a client must bear from a server.
#[test]
fn server_errors_end_only_the_link() {
    let binary = || Incoming::Message(Payload::Binary(Bytes::from_static(&[1, 2, 3])));
    let text = |text: &str| Incoming::Message(Payload::text(text));
    for (what, packets) in [
        ("an unknown type", vec![text("abc")]),
        ("a second greeting that cannot be read", vec![text("0{}")]),
        ("bytes for nothing", vec![binary()]),
        (
            "an event without its attachments",
            vec![
                text(r#"451-["x",{"_placeholder":true,"num":0}]"#),
                text(r#"42["y"]"#),
            ],
        ),
        ("an event that is no array", vec![text(r#"42{"a":1}"#)]),
        ("an acknowledgement that is no array", vec![text("431{}")]),
    ] {
        let (mut harness, dial) = open(json!({}));
        harness.give(Input::Link(dial, LinkEvent::Messages(packets)));
        expect_hang_up(&mut harness);
        let waiting = state(&mut harness);
        assert_eq!(waiting["error"]["code"], "server-protocol", "{what}");
        assert_eq!(waiting["state"], "waiting", "{what}");
    }
    for fine in ["6", "3", "3probe", r#"439["late"]"#, "2"] {
        let (mut harness, dial) = open(json!({}));
        harness.server_sends(dial, &[fine, r#"42["still"]"#]);
        assert_eq!(harness.receive(PORT)["event"], "still", "{fine}");
    }
    let (mut harness, dial) = open(json!({}));
    harness.server_sends(dial, &["1"]);
    let left = state(&mut harness);
    assert_eq!(
        (&left["state"], &left["error"]["code"]),
        (&json!("waiting"), &json!("closed-by-server"))
    );
}

#[test]
fn no_ping_is_answered_after_the_close_packet() {
    let (mut harness, dial) = open(json!({}));
    harness.send(
        PORT,
        json!({"type":"request","session":"s","id":"r","event":"ask","match":{"ack":true}}),
    );
    assert_eq!(harness.next_transmit(), r#"421["ask"]"#);
    harness.give(Input::Link(dial, LinkEvent::Written(2)));
    harness.send(PORT, json!({"type":"close","session":"s"}));
    assert!(matches!(harness.asked.pop_front(), Some(Output::Close { .. })));
    harness.server_sends(dial, &["2"]);
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
}
