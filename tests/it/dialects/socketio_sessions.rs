//! Socket.IO as the hub decides about it, in virtual time: silence, old servers, early events, what a loss leaves open.

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
    let dial = harness.dials();
    harness.delivered.clear();
    (harness, dial)
}

/// An open session with the main namespace.
fn open(options: Value) -> (Harness, DialId) {
    let (mut harness, dial) = dialling(options);
    harness.server_says(dial, &[GREETING]);
    assert_eq!(harness.transmits(), "40");
    harness.server_says(dial, &[r#"40{"sid":"x"}"#]);
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
fn hangs_up(harness: &mut Harness) {
    let hung_up = harness
        .asked
        .iter()
        .any(|output| matches!(output, Output::HangUp { .. }));
    assert!(hung_up, "{:?}", harness.asked);
    harness.asked.clear();
}

#[test]
fn a_silent_server_is_left_when_its_own_time_is_up() {
    let (mut harness, dial) = open(json!({}));
    harness.passes(Duration::from_secs(44));
    harness.server_says(dial, &["2"]);
    assert_eq!(harness.transmits(), "3");
    harness.passes(Duration::from_millis(44_999));
    assert!(harness.asked.is_empty() && harness.delivered.is_empty());
    harness.passes(Duration::from_millis(1));
    hangs_up(&mut harness);
    let waiting = state(&mut harness);
    assert_eq!(
        (&waiting["state"], &waiting["error"]["code"]),
        (&json!("waiting"), &json!("heartbeat"))
    );
}

#[test]
fn a_server_that_was_not_read_was_not_silent() {
    let (mut harness, dial) = open(json!({"queue":{"messages":1,"overflow":"pause"}}));
    harness.server_says(dial, &[r#"42["one"]"#]);
    let one = std::iter::from_fn(|| Some(harness.receive(PORT)))
        .find(|frame| frame["type"] == "message")
        .unwrap();
    assert!(matches!(harness.asked.pop_front(), Some(Output::Pause(_))));
    harness.passes(Duration::from_secs(600));
    assert!(harness.asked.is_empty(), "nobody listened");
    harness.send(PORT, json!({"type":"ack","session":"s","seq":one["seq"]}));
    assert!(matches!(harness.asked.pop_front(), Some(Output::Resume(_))));
    harness.passes(Duration::from_millis(44_999));
    assert!(
        harness.asked.is_empty(),
        "what it said meanwhile is still to be read"
    );
    harness.passes(Duration::from_millis(1));
    hangs_up(&mut harness);
}

#[test]
fn a_namespace_that_is_never_answered_for_is_not_waited_for() {
    let (mut harness, dial) = dialling(json!({"connectTimeout":5000}));
    harness.server_says(dial, &[GREETING]);
    harness.passes(Duration::from_secs(5));
    hangs_up(&mut harness);
    assert_eq!(state(&mut harness)["state"], "waiting");
}

#[test]
fn an_old_server_fails_with_advice_and_is_not_dialled_again() {
    for greeting in [
        r#"96:0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}2:40"#,
        r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":5000}"#,
    ] {
        let (mut harness, dial) = dialling(json!({}));
        harness.server_says(dial, &[greeting, "40"]);
        hangs_up(&mut harness);
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
fn events_wait_until_every_namespace_was_answered_for() {
    let (mut harness, dial) = dialling(json!({"socketio":{"namespaces":["/","/b"]},
        "greeting":[{"event":"hi","namespace":"/b"}]}));
    harness.server_says(dial, &[GREETING]);
    assert_eq!([harness.transmits(), harness.transmits()], ["40", "40/b,"]);
    harness.server_says(dial, &[r#"40{"sid":"x"}"#, r#"420["early",1]"#]);
    assert!(
        harness.delivered.is_empty() && harness.asked.is_empty(),
        "a packet to `/b` would end the connection"
    );
    harness.server_says(dial, &[r#"40/b,{"sid":"y"}"#]);
    assert_eq!(harness.transmits(), r#"42/b,["hi"]"#);
    assert_eq!(state(&mut harness)["state"], "open");
    let early = harness.receive(PORT);
    assert_eq!(
        (&early["event"], &early["reply"]),
        (&json!("early"), &json!(true))
    );
    harness.send(
        PORT,
        json!({"type":"reply","session":"s","seq":early["seq"],"args":[2],"id":"r"}),
    );
    assert_eq!(harness.receive(PORT)["type"], "ok");
    assert_eq!(harness.transmits(), "430[2]");
}

#[test]
fn a_loss_leaves_unknown_what_was_begun_and_sends_the_rest_again() {
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
    let dial = harness.dials();
    harness.server_says(dial, &[GREETING, r#"40{"sid":"y"}"#]);
    assert_eq!(harness.transmits(), "40");
    assert_eq!(harness.transmits(), r#"421["ask"]"#);
    assert_eq!(harness.transmits(), r#"42["last"]"#);
    harness.delivered.clear();
    harness.server_says(dial, &[r#"431["yes"]"#]);
    assert_eq!(harness.receive(PORT)["args"], json!(["yes"]));
}

#[test]
fn what_a_server_remembers_of_others_is_not_asked_for() {
    let (mut harness, dial) = dialling(json!({"socketio":{"auth":{"user":"a"}}}));
    // A server that recovers looks at no credentials: whom it remembers is who comes back.
    let asks = |harness: &mut Harness, dial| {
        harness.server_says(dial, &[GREETING]);
        let asked = harness.transmits();
        harness.server_says(dial, &[r#"40{"sid":"x","pid":"p"}"#]);
        harness.delivered.clear();
        harness.asked.clear();
        asked
    };
    assert_eq!(asks(&mut harness, dial), r#"40{"user":"a"}"#);
    harness.link_ends(dial, LinkEnd::default());
    harness.passes(Duration::from_secs(1));
    let dial = harness.dials();
    assert_eq!(asks(&mut harness, dial), r#"40{"pid":"p","user":"a"}"#);
    harness.send(
        PORT,
        json!({"type":"authorize","session":"s","auth":{"user":"b"}}),
    );
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
    let dial = harness.dials();
    assert_eq!(asks(&mut harness, dial), r#"40{"user":"b"}"#);
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","options":{"protocol":"socket.io","socketio":{"auth":{"user":"c"}}}}),
    );
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
    let dial = harness.dials();
    assert_eq!(asks(&mut harness, dial), r#"40{"user":"c"}"#);
}

#[test]
fn a_record_of_another_connection_is_not_answered() {
    let (mut harness, dial) = open(json!({}));
    harness.server_says(dial, &[r#"427["question"]"#]);
    let question = harness.receive(PORT);
    harness.link_ends(dial, LinkEnd::default());
    harness.passes(Duration::from_secs(1));
    let dial = harness.dials();
    harness.server_says(dial, &[GREETING, r#"40{"sid":"y"}"#]);
    harness.asked.clear();
    harness.delivered.clear();
    harness.send(
        PORT,
        json!({"type":"reply","session":"s","seq":question["seq"],"args":[]}),
    );
    assert_eq!(harness.receive(PORT)["code"], "not-sent");
    assert!(harness.asked.is_empty());
}

#[test]
fn rules_and_filters_know_events() {
    let (mut harness, dial) = open(json!({}));
    harness.send(PORT, json!({"type":"subscribe","session":"s","id":"u","key":"k",
        "send":[{"event":"join","args":["a"]}],"confirm":{"event":"joined","/0":"a"},
        "filter":[{"when":{"event":"tick"},"do":"conflate","key":"/0/s"}, {"when":{"kind":"text"},"do":"drop"}]}));
    assert_eq!(harness.transmits(), r#"42["join","a"]"#);
    harness.receive_types(PORT);
    harness.server_says(dial, &[r#"42["joined","b"]"#]);
    assert_eq!(harness.receive_types(PORT), ["message"]);
    harness.server_says(dial, &[r#"42["joined","a"]"#]);
    assert_eq!(harness.receive_types(PORT), ["subscription", "message"]);
    harness.give(Input::PortClosed(PORT));
    harness.server_says(
        dial,
        &[
            r#"42["tick",{"s":1,"v":1}]"#,
            r#"42["tick",{"s":1,"v":2}]"#,
            r#"42["other"]"#,
        ],
    );
    harness.comes(PORT, "main");
    harness.send(PORT, json!({"type":"open","id":"o2","session":"s"}));
    let ticks: Vec<Value> = harness
        .delivered
        .iter()
        .filter(|(_, frame)| frame["event"] == "tick")
        .map(|(_, frame)| frame["args"].clone())
        .collect();
    assert_eq!(ticks, [json!([{"s": 1, "v": 2}])]);
}

/// The cases of the Engine.IO protocol's suite for servers, turned round: what a client must bear from a server.
#[test]
fn what_servers_may_do_wrong_ends_the_link_and_nothing_else() {
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
        hangs_up(&mut harness);
        let waiting = state(&mut harness);
        assert_eq!(waiting["error"]["code"], "server-protocol", "{what}");
        assert_eq!(waiting["state"], "waiting", "{what}");
    }
    for fine in ["6", "3", "3probe", r#"439["late"]"#, "2"] {
        let (mut harness, dial) = open(json!({}));
        harness.server_says(dial, &[fine, r#"42["still"]"#]);
        assert_eq!(harness.receive(PORT)["event"], "still", "{fine}");
    }
    let (mut harness, dial) = open(json!({}));
    harness.server_says(dial, &["1"]);
    let left = state(&mut harness);
    assert_eq!(
        (&left["state"], &left["error"]["code"]),
        (&json!("waiting"), &json!("closed-by-server"))
    );
}

#[test]
fn an_event_with_a_packet_above_the_limit_is_one_gap_and_the_next_one_is_delivered() {
    let text = |text: &str| Incoming::Message(Payload::text(text));
    let bytes = || Incoming::Message(Payload::Binary(Bytes::from_static(&[1, 2, 3])));
    let too_large = || Incoming::TooLarge { bytes: Some(1 << 30) };
    let two = r#"452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    for (what, packets) in [
        ("its text", vec![too_large(), bytes(), bytes()]),
        ("its first attachment", vec![text(two), too_large(), bytes()]),
        ("its last attachment", vec![text(two), bytes(), too_large()]),
        ("both", vec![text(two), too_large(), too_large()]),
        ("an answer that held both", vec![text(two), too_large()]),
    ] {
        let (mut harness, dial) = open(json!({}));
        harness.give(Input::Link(dial, LinkEvent::Messages(packets)));
        let one = r#"451-["next",{"_placeholder":true,"num":0}]"#;
        let next = vec![text(one), bytes()];
        harness.give(Input::Link(dial, LinkEvent::Messages(next)));
        let gap = harness.receive(PORT);
        assert_eq!(
            (&gap["type"], &gap["reason"]),
            (&json!("gap"), &json!("too-large")),
            "{what}"
        );
        assert_eq!(gap["count"], 1, "{what}");
        let next = harness.receive(PORT);
        assert_eq!(next["event"], "next", "{what}: {next}");
        assert!(harness.asked.is_empty(), "the link stays open: {what}");
    }
}

#[test]
fn an_event_that_the_next_connection_cannot_carry_fails() {
    let (mut harness, _) = dialling(json!({}));
    harness.send(
        PORT,
        json!({"type":"send","session":"s","id":"event","event":"e"}),
    );
    harness.send(PORT, json!({"type":"send","session":"s","id":"text","text":"t"}));
    harness.send(
        PORT,
        json!({"type":"open","id":"o2","session":"s","url":"ws://127.0.0.1:1","options":{}}),
    );
    hangs_up(&mut harness);
    harness.send(PORT, json!({"type":"reconnect","session":"s"}));
    let dial = std::iter::from_fn(|| harness.asked.pop_front()).find_map(|output| match output {
        Output::Dial(dial, _) => Some(dial),
        _ => None,
    });
    harness.delivered.clear();
    let opened = LinkEvent::Opened {
        subprotocol: None,
        extensions: None,
    };
    harness.give(Input::Link(dial.unwrap(), opened));
    assert_eq!(harness.transmits(), "t", "an event is no message of a WebSocket");
    let frames: Vec<Value> = harness.delivered.iter().map(|(_, frame)| frame.clone()).collect();
    let outcome = frames
        .iter()
        .find(|frame| frame["type"] == "outcome")
        .expect("an outcome");
    assert_eq!(
        (&outcome["id"], &outcome["outcome"], &outcome["error"]["code"]),
        (&json!("event"), &json!("failed"), &json!("not-sent"))
    );
}

#[test]
fn events_name_a_namespace_without_the_query_that_it_was_asked_for_with() {
    let (mut harness, dial) = dialling(json!({"socketio":{"namespaces":["/n?a=1"]}}));
    harness.server_says(dial, &[GREETING]);
    assert_eq!(harness.transmits(), "40/n?a=1,");
    harness.server_says(dial, &[r#"40/n,{"sid":"x"}"#]);
    harness.send(
        PORT,
        json!({"type":"send","session":"s","event":"e","namespace":"/n"}),
    );
    assert_eq!(harness.transmits(), r#"42/n,["e"]"#);
}

#[test]
fn a_servers_event_is_acknowledged_once() {
    let (mut harness, dial) = open(json!({}));
    harness.server_says(dial, &[r#"427["question"]"#]);
    let seq = harness
        .delivered
        .iter()
        .find_map(|(_, frame)| frame["seq"].as_u64().filter(|_| frame["reply"] == true));
    let reply = json!({"type":"reply","session":"s","id":"r","seq":seq.unwrap(),"args":["yes"]});
    harness.send(PORT, reply.clone());
    assert_eq!(harness.transmits(), r#"437["yes"]"#);
    harness.delivered.clear();
    harness.send(PORT, reply);
    assert_eq!(harness.receive(PORT)["code"], "not-sent");
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
}

#[test]
fn no_ping_is_answered_behind_the_close_packet() {
    let (mut harness, dial) = open(json!({}));
    harness.send(
        PORT,
        json!({"type":"request","session":"s","id":"r","event":"ask","match":{"ack":true}}),
    );
    assert_eq!(harness.transmits(), r#"421["ask"]"#);
    harness.give(Input::Link(dial, LinkEvent::Written(2)));
    harness.send(PORT, json!({"type":"close","session":"s"}));
    assert!(matches!(harness.asked.pop_front(), Some(Output::Close { .. })));
    harness.server_says(dial, &["2"]);
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
}
