//! Socket.IO as the hub decides about it, in virtual time: silence, old servers, early events, what a loss leaves open.

use std::time::Duration;

use bytes::Bytes;
use longwire::core::io::{DialId, Incoming, Input, LinkEnd, LinkEvent, Output};
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use crate::stage::{PORT, Stage};

const GREETING: &str =
    r#"0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

/// A session that dials, and its dial.
fn dialling(options: Value) -> (Stage, DialId) {
    let mut stage = Stage::with_client();
    let mut all = json!({"protocol":"socket.io"});
    for (name, value) in options.as_object().unwrap() {
        all[name] = value.clone();
    }
    stage.says(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"http://127.0.0.1:1","options":all}),
    );
    let dial = stage.dials();
    stage.told.clear();
    (stage, dial)
}

/// An open session with the main namespace.
fn open(options: Value) -> (Stage, DialId) {
    let (mut stage, dial) = dialling(options);
    stage.server_says(dial, &[GREETING]);
    assert_eq!(stage.transmits(), "40");
    stage.server_says(dial, &[r#"40{"sid":"x"}"#]);
    assert_eq!(state(&mut stage)["state"], "open");
    (stage, dial)
}

#[track_caller]
fn state(stage: &mut Stage) -> Value {
    let index = stage.told.iter().position(|(_, frame)| frame["type"] == "state");
    stage.told.remove(index.expect("a state")).unwrap().1
}

#[track_caller]
fn hangs_up(stage: &mut Stage) {
    let hung_up = stage
        .asked
        .iter()
        .any(|output| matches!(output, Output::HangUp { .. }));
    assert!(hung_up, "{:?}", stage.asked);
    stage.asked.clear();
}

#[test]
fn a_silent_server_is_left_when_its_own_time_is_up() {
    let (mut stage, dial) = open(json!({}));
    stage.passes(Duration::from_secs(44));
    stage.server_says(dial, &["2"]);
    assert_eq!(stage.transmits(), "3");
    stage.passes(Duration::from_millis(44_999));
    assert!(stage.asked.is_empty() && stage.told.is_empty());
    stage.passes(Duration::from_millis(1));
    hangs_up(&mut stage);
    let waiting = state(&mut stage);
    assert_eq!(
        (&waiting["state"], &waiting["error"]["code"]),
        (&json!("waiting"), &json!("heartbeat"))
    );
}

#[test]
fn a_server_that_was_not_read_was_not_silent() {
    let (mut stage, dial) = open(json!({"queue":{"messages":1,"overflow":"pause"}}));
    stage.server_says(dial, &[r#"42["one"]"#]);
    let one = std::iter::from_fn(|| Some(stage.hears(PORT)))
        .find(|frame| frame["type"] == "message")
        .unwrap();
    assert!(matches!(stage.asked.pop_front(), Some(Output::Pause(_))));
    stage.passes(Duration::from_secs(600));
    assert!(stage.asked.is_empty(), "nobody listened");
    stage.says(PORT, json!({"type":"ack","session":"s","seq":one["seq"]}));
    assert!(matches!(stage.asked.pop_front(), Some(Output::Resume(_))));
    stage.passes(Duration::from_millis(44_999));
    assert!(
        stage.asked.is_empty(),
        "what it said meanwhile is still to be read"
    );
    stage.passes(Duration::from_millis(1));
    hangs_up(&mut stage);
}

#[test]
fn a_namespace_that_is_never_answered_for_is_not_waited_for() {
    let (mut stage, dial) = dialling(json!({"connectTimeout":5000}));
    stage.server_says(dial, &[GREETING]);
    stage.passes(Duration::from_secs(5));
    hangs_up(&mut stage);
    assert_eq!(state(&mut stage)["state"], "waiting");
}

#[test]
fn an_old_server_fails_with_advice_and_is_not_dialled_again() {
    for greeting in [
        r#"96:0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}2:40"#,
        r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":5000}"#,
    ] {
        let (mut stage, dial) = dialling(json!({}));
        stage.server_says(dial, &[greeting, "40"]);
        hangs_up(&mut stage);
        let failed = state(&mut stage);
        assert_eq!(failed["state"], "failed");
        let advice = failed["error"]["message"].as_str().unwrap();
        assert!(
            advice.contains("Socket.IO 2") && advice.contains("update"),
            "{advice}"
        );
        stage.passes(Duration::from_secs(3600));
        assert!(stage.asked.is_empty());
    }
}

#[test]
fn events_wait_until_every_namespace_was_answered_for() {
    let (mut stage, dial) = dialling(json!({"socketio":{"namespaces":["/","/b"]},
        "greeting":[{"event":"hi","namespace":"/b"}]}));
    stage.server_says(dial, &[GREETING]);
    assert_eq!([stage.transmits(), stage.transmits()], ["40", "40/b,"]);
    stage.server_says(dial, &[r#"40{"sid":"x"}"#, r#"420["early",1]"#]);
    assert!(
        stage.told.is_empty() && stage.asked.is_empty(),
        "a packet to `/b` would end the connection"
    );
    stage.server_says(dial, &[r#"40/b,{"sid":"y"}"#]);
    assert_eq!(stage.transmits(), r#"42/b,["hi"]"#);
    assert_eq!(state(&mut stage)["state"], "open");
    let early = stage.hears(PORT);
    assert_eq!(
        (&early["event"], &early["reply"]),
        (&json!("early"), &json!(true))
    );
    stage.says(
        PORT,
        json!({"type":"reply","session":"s","seq":early["seq"],"args":[2],"id":"r"}),
    );
    assert_eq!(stage.hears(PORT)["type"], "ok");
    assert_eq!(stage.transmits(), "430[2]");
}

#[test]
fn a_loss_leaves_unknown_what_was_begun_and_sends_the_rest_again() {
    let (mut stage, dial) = open(json!({}));
    let bytes = json!([{"$base64":"AQI="}]);
    stage.says(
        PORT,
        json!({"type":"send","session":"s","id":"a","event":"up","args":bytes}),
    );
    stage.says(
        PORT,
        json!({"type":"request","session":"s","id":"b","event":"ask","match":{"ack":true},"ifLost":"resend"}),
    );
    stage.says(PORT, json!({"type":"send","session":"s","id":"c","event":"last"}));
    stage.asked.clear();
    stage.hears_types(PORT);
    // Of "40", the first message's two packets, and the request's one, three were begun.
    stage.link_ends(
        dial,
        LinkEnd {
            taken: 4,
            ..LinkEnd::default()
        },
    );
    let outcome = std::iter::from_fn(|| Some(stage.hears(PORT)))
        .find(|frame| frame["type"] == "outcome")
        .unwrap();
    assert_eq!(
        (&outcome["id"], &outcome["outcome"]),
        (&json!("a"), &json!("unknown"))
    );
    stage.passes(Duration::from_secs(1));
    let dial = stage.dials();
    stage.server_says(dial, &[GREETING, r#"40{"sid":"y"}"#]);
    assert_eq!(stage.transmits(), "40");
    assert_eq!(stage.transmits(), r#"421["ask"]"#);
    assert_eq!(stage.transmits(), r#"42["last"]"#);
    stage.told.clear();
    stage.server_says(dial, &[r#"431["yes"]"#]);
    assert_eq!(stage.hears(PORT)["args"], json!(["yes"]));
}

#[test]
fn what_a_server_remembers_of_others_is_not_asked_for() {
    let (mut stage, dial) = dialling(json!({"socketio":{"auth":{"user":"a"}}}));
    // A server that recovers looks at no credentials: whom it remembers is who comes back.
    let asks = |stage: &mut Stage, dial| {
        stage.server_says(dial, &[GREETING]);
        let asked = stage.transmits();
        stage.server_says(dial, &[r#"40{"sid":"x","pid":"p"}"#]);
        stage.told.clear();
        stage.asked.clear();
        asked
    };
    assert_eq!(asks(&mut stage, dial), r#"40{"user":"a"}"#);
    stage.link_ends(dial, LinkEnd::default());
    stage.passes(Duration::from_secs(1));
    let dial = stage.dials();
    assert_eq!(asks(&mut stage, dial), r#"40{"pid":"p","user":"a"}"#);
    stage.says(
        PORT,
        json!({"type":"authorize","session":"s","auth":{"user":"b"}}),
    );
    assert!(matches!(stage.asked.pop_front(), Some(Output::HangUp { .. })));
    let dial = stage.dials();
    assert_eq!(asks(&mut stage, dial), r#"40{"user":"b"}"#);
    stage.says(
        PORT,
        json!({"type":"open","id":"o","session":"s","options":{"protocol":"socket.io","socketio":{"auth":{"user":"c"}}}}),
    );
    assert!(matches!(stage.asked.pop_front(), Some(Output::HangUp { .. })));
    let dial = stage.dials();
    assert_eq!(asks(&mut stage, dial), r#"40{"user":"c"}"#);
}

#[test]
fn a_record_of_another_connection_is_not_answered() {
    let (mut stage, dial) = open(json!({}));
    stage.server_says(dial, &[r#"427["question"]"#]);
    let question = stage.hears(PORT);
    stage.link_ends(dial, LinkEnd::default());
    stage.passes(Duration::from_secs(1));
    let dial = stage.dials();
    stage.server_says(dial, &[GREETING, r#"40{"sid":"y"}"#]);
    stage.asked.clear();
    stage.told.clear();
    stage.says(
        PORT,
        json!({"type":"reply","session":"s","seq":question["seq"],"args":[]}),
    );
    assert_eq!(stage.hears(PORT)["code"], "not-sent");
    assert!(stage.asked.is_empty());
}

#[test]
fn rules_and_filters_know_events() {
    let (mut stage, dial) = open(json!({}));
    stage.says(PORT, json!({"type":"subscribe","session":"s","id":"u","key":"k",
        "send":[{"event":"join","args":["a"]}],"confirm":{"event":"joined","/0":"a"},
        "filter":[{"when":{"event":"tick"},"do":"conflate","key":"/0/s"}, {"when":{"kind":"text"},"do":"drop"}]}));
    assert_eq!(stage.transmits(), r#"42["join","a"]"#);
    stage.hears_types(PORT);
    stage.server_says(dial, &[r#"42["joined","b"]"#]);
    assert_eq!(stage.hears_types(PORT), ["message"]);
    stage.server_says(dial, &[r#"42["joined","a"]"#]);
    assert_eq!(stage.hears_types(PORT), ["subscription", "message"]);
    stage.give(Input::PortClosed(PORT));
    stage.server_says(
        dial,
        &[
            r#"42["tick",{"s":1,"v":1}]"#,
            r#"42["tick",{"s":1,"v":2}]"#,
            r#"42["other"]"#,
        ],
    );
    stage.comes(PORT, "main");
    stage.says(PORT, json!({"type":"open","id":"o2","session":"s"}));
    let ticks: Vec<Value> = stage
        .told
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
        let (mut stage, dial) = open(json!({}));
        stage.give(Input::Link(dial, LinkEvent::Messages(packets)));
        hangs_up(&mut stage);
        let waiting = state(&mut stage);
        assert_eq!(waiting["error"]["code"], "server-protocol", "{what}");
        assert_eq!(waiting["state"], "waiting", "{what}");
    }
    for fine in ["6", "3", "3probe", r#"439["late"]"#, "2"] {
        let (mut stage, dial) = open(json!({}));
        stage.server_says(dial, &[fine, r#"42["still"]"#]);
        assert_eq!(stage.hears(PORT)["event"], "still", "{fine}");
    }
    let (mut stage, dial) = open(json!({}));
    stage.server_says(dial, &["1"]);
    let left = state(&mut stage);
    assert_eq!(
        (&left["state"], &left["error"]["code"]),
        (&json!("waiting"), &json!("closed-by-server"))
    );
}
