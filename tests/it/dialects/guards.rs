//! Messages that pass in each direction, and their order.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

fn send(harness: &mut Harness, id: &str, json: Value) -> Value {
    harness.send(PORT, json!({"type":"send","session":"s","id":id,"json":json}));
    harness.receive(PORT)
}

#[test]
fn only_messages_the_guard_allows_are_sent_within_its_rate() {
    let mut harness = Harness::with_client();
    harness.opens(json!({"guard":{"send":[
        {"when":{"/type":"typing"},"rate":{"messages":2,"per":1000}},
        {"when":{"/type":"ask"},"types":{"/text":"string"}},
        {"do":"deny"}]}}));
    let ask = json!({"type":"ask","text":7});
    let refused = send(&mut harness, "a", ask);
    assert_eq!(refused["code"], "bad-frame");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("`/text` is a number")
    );
    assert_eq!(
        send(&mut harness, "b", json!({"type":"admin"}))["code"],
        "bad-frame"
    );
    let typing = || json!({"type":"typing"});
    for (id, answer) in [("1", "accepted"), ("2", "accepted"), ("3", "error")] {
        assert_eq!(send(&mut harness, id, typing())["type"], answer, "{id}");
    }
    harness.passes(Duration::from_millis(500));
    harness.delivered.clear();
    assert_eq!(send(&mut harness, "4", typing())["type"], "accepted");
    let limited = send(&mut harness, "5", typing());
    assert_eq!(
        (&limited["code"], &limited["retry"]),
        (&json!("rate-limited"), &json!("later"))
    );
}

#[test]
fn malformed_server_messages_are_counted_and_reported_periodically() {
    let mut harness = Harness::with_client();
    let dial = harness
        .opens(json!({"guard":{"receive":[{"when":{"/type":"combat"},"types":{"/round":"integer"}}]}}));
    let (good, bad) = (
        r#"{"type":"combat","round":1}"#,
        r#"{"type":"combat","round":"x"}"#,
    );
    harness.server_sends(dial, &[good, bad, bad, good]);
    let types = harness.receive_types(PORT);
    assert_eq!(
        types,
        ["error", "message", "message"],
        "once, and nothing else is in the way"
    );
    harness.passes(Duration::from_secs(1));
    harness.server_sends(dial, &[bad]);
    let frames = harness.receive(PORT);
    assert_eq!(frames["code"], "server-protocol");
    assert!(
        frames["message"]
            .as_str()
            .unwrap()
            .contains("`/round` is a string; it must be an integer")
    );
    harness.send(PORT, json!({"type":"status","id":"q"}));
    let total = harness.receive(PORT)["total"].clone();
    assert_eq!(
        (&total["filtered"]["refused"], &total["queued"]),
        (&json!(3), &json!(2))
    );
}

#[test]
fn urgent_messages_overtake_waiting_ones() {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1"}),
    );
    let dial = harness.next_dial();
    for (lane, text) in [(2, "later"), (1, "one"), (0, "now"), (1, "two")] {
        harness.send(PORT, json!({"type":"send","session":"s","lane":lane,"text":text}));
    }
    harness.send(PORT, json!({"type":"send","session":"s","text":"usual"}));
    harness.give(longwire::core::io::Input::Link(
        dial,
        longwire::core::io::LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    let order: Vec<String> = (0..5).map(|_| harness.next_transmit()).collect();
    assert_eq!(order, ["now", "one", "two", "usual", "later"]);
    // There are four, and no fifth.
    let fifth = json!({"type":"send","session":"s","id":"5","lane":4,"text":"x"}).to_string();
    let refused = longwire::wire::message::ClientFrame::parse(fifth.as_bytes()).expect_err("refused");
    assert!(refused.error.message.contains("`lane`"), "{refused:?}");
}
