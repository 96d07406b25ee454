//! What passes in each direction, and what goes first.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{PORT, Stage};

fn send(stage: &mut Stage, id: &str, json: Value) -> Value {
    stage.says(PORT, json!({"type":"send","session":"s","id":id,"json":json}));
    stage.hears(PORT)
}

#[test]
fn only_what_the_guard_knows_is_sent_and_not_too_often() {
    let mut stage = Stage::with_client();
    stage.opens(json!({"guard":{"send":[
        {"when":{"/type":"typing"},"rate":{"messages":2,"per":1000}},
        {"when":{"/type":"ask"},"types":{"/text":"string"}},
        {"do":"deny"}]}}));
    let ask = json!({"type":"ask","text":7});
    let refused = send(&mut stage, "a", ask);
    assert_eq!(refused["code"], "bad-frame");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("`/text` is a number")
    );
    assert_eq!(
        send(&mut stage, "b", json!({"type":"admin"}))["code"],
        "bad-frame"
    );
    let typing = || json!({"type":"typing"});
    for (id, answer) in [("1", "accepted"), ("2", "accepted"), ("3", "error")] {
        assert_eq!(send(&mut stage, id, typing())["type"], answer, "{id}");
    }
    stage.passes(Duration::from_millis(500));
    stage.told.clear();
    assert_eq!(send(&mut stage, "4", typing())["type"], "accepted");
    let limited = send(&mut stage, "5", typing());
    assert_eq!(
        (&limited["code"], &limited["retry"]),
        (&json!("rate-limited"), &json!("later"))
    );
}

#[test]
fn what_the_server_says_out_of_shape_is_counted_and_told_now_and_then() {
    let mut stage = Stage::with_client();
    let dial =
        stage.opens(json!({"guard":{"receive":[{"when":{"/type":"combat"},"types":{"/round":"integer"}}]}}));
    let (good, bad) = (
        r#"{"type":"combat","round":1}"#,
        r#"{"type":"combat","round":"x"}"#,
    );
    stage.server_says(dial, &[good, bad, bad, good]);
    let types = stage.hears_types(PORT);
    assert_eq!(
        types,
        ["error", "message", "message"],
        "once, and nothing else is in the way"
    );
    stage.passes(Duration::from_secs(1));
    stage.server_says(dial, &[bad]);
    let told = stage.hears(PORT);
    assert_eq!(told["code"], "server-protocol");
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .contains("`/round` is a string; it must be an integer")
    );
    stage.says(PORT, json!({"type":"status","id":"q"}));
    let total = stage.hears(PORT)["total"].clone();
    assert_eq!(
        (&total["filtered"]["refused"], &total["queued"]),
        (&json!(3), &json!(2))
    );
}

#[test]
fn urgent_messages_overtake_while_they_wait() {
    let mut stage = Stage::with_client();
    stage.says(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1"}),
    );
    let dial = stage.dials();
    for (lane, text) in [(2, "later"), (1, "one"), (0, "now"), (1, "two")] {
        stage.says(PORT, json!({"type":"send","session":"s","lane":lane,"text":text}));
    }
    stage.says(PORT, json!({"type":"send","session":"s","text":"usual"}));
    stage.give(longwire::core::io::Input::Link(
        dial,
        longwire::core::io::LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    let order: Vec<String> = (0..5).map(|_| stage.transmits()).collect();
    assert_eq!(order, ["now", "one", "two", "usual", "later"]);
    // There are four, and no fifth.
    let fifth = json!({"type":"send","session":"s","id":"5","lane":4,"text":"x"}).to_string();
    let refused = longwire::wire::message::ClientFrame::parse(fifth.as_bytes()).expect_err("refused");
    assert!(refused.error.message.contains("`lane`"), "{refused:?}");
}
