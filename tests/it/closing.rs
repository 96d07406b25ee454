//! Closing a session: everything accepted before it is written or has an outcome, then the close handshake, then its end.

use std::time::Duration;

use longwire::core::io::{DialId, Input, LinkEnd, LinkEvent, Output, PortId};
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

fn sends(harness: &mut Harness, id: &str) {
    harness.send(
        PORT,
        json!({"type": "send", "session": "s", "id": id, "text": id, "receipt": true}),
    );
}

fn closes(harness: &mut Harness) {
    harness.send(
        PORT,
        json!({"type": "close", "session": "s", "id": "c", "code": 4000, "reason": "done"}),
    );
}

fn written(harness: &mut Harness, dial: DialId, count: u64) {
    harness.give(Input::Link(dial, LinkEvent::Written(count)));
}

/// Every frame delivered up to now.
fn delivered(harness: &mut Harness) -> Vec<Value> {
    harness.delivered.drain(..).map(|(_, frame)| frame).collect()
}

fn outcomes(frames: &[Value]) -> Vec<(&str, &str)> {
    frames
        .iter()
        .filter(|frame| frame["type"] == "outcome")
        .map(|frame| (frame["id"].as_str().unwrap(), frame["outcome"].as_str().unwrap()))
        .collect()
}

/// The code and reason of the close frame that the link is delivered to write now.
fn close_frame(harness: &mut Harness) -> Option<(u16, String)> {
    harness.asked.drain(..).find_map(|output| match output {
        Output::Close { code, reason, .. } => Some((code, reason)),
        _ => None,
    })
}

fn answered(code: u16, reason: &str) -> LinkEnd {
    LinkEnd {
        code: Some(code),
        reason: Some(reason.to_owned()),
        ..LinkEnd::default()
    }
}

#[test]
fn the_close_frame_follows_accepted_messages_and_the_end_follows_the_answer() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    for number in 0..1000 {
        sends(&mut harness, &format!("m{number}"));
    }
    closes(&mut harness);
    let first = delivered(&mut harness);
    assert_eq!(first.last().unwrap(), &json!({"type": "ok", "id": "c"}));
    for count in (256..1000).step_by(31) {
        written(&mut harness, dial, count);
        assert_eq!(close_frame(&mut harness), None, "after {count} messages");
    }
    written(&mut harness, dial, 1000);
    let token = harness.asked.iter().rev().find_map(|output| match output {
        Output::Ping(_, token) => Some(*token),
        _ => None,
    });
    assert_eq!(close_frame(&mut harness), Some((4000, "done".to_owned())));
    assert_eq!(outcomes(&delivered(&mut harness)), [], "nothing is proven yet");
    harness.give(Input::Link(dial, LinkEvent::Pong(token.unwrap())));
    harness.link_ends(dial, answered(4000, "bye"));
    let last = delivered(&mut harness);
    assert_eq!(outcomes(&last).len(), 1000);
    assert!(outcomes(&last).iter().all(|(_, outcome)| *outcome == "sent"));
    assert_eq!(
        last.last().unwrap(),
        &json!({"type": "detached", "session": "s", "reason": "closed", "code": 4000, "closeReason": "bye", "clean": true})
    );
    harness.passes(Duration::from_secs(60));
    assert_eq!(harness.hub.deadline(harness.now), None, "nothing is left");
}

#[test]
fn unwritten_messages_are_reported_as_failed_or_unknown_at_the_close_timeout() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({"closeTimeout": 3000}));
    for number in 0..300 {
        sends(&mut harness, &format!("m{number}"));
    }
    closes(&mut harness);
    harness.delivered.clear();
    written(&mut harness, dial, 10);
    harness.asked.clear();
    harness.passes(Duration::from_millis(2999));
    assert!(delivered(&mut harness).is_empty());
    harness.passes(Duration::from_millis(1));
    assert!(matches!(harness.asked.back(), Some(Output::HangUp { .. })));
    let frames = delivered(&mut harness);
    let unknown = outcomes(&frames)
        .iter()
        .filter(|(_, word)| *word == "unknown")
        .count();
    let cancelled = outcomes(&frames)
        .iter()
        .filter(|(_, word)| *word == "cancelled")
        .count();
    assert_eq!((unknown, cancelled), (266, 34));
    assert_eq!(
        frames.last().unwrap(),
        &json!({"type": "detached", "session": "s", "reason": "closed", "clean": false})
    );
}

#[test]
fn a_link_lost_while_closing_is_redialled_for_waiting_messages() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({"heartbeat": false}));
    for number in 0..300 {
        sends(&mut harness, &format!("m{number}"));
    }
    closes(&mut harness);
    written(&mut harness, dial, 100);
    harness.link_ends(
        dial,
        LinkEnd {
            code: Some(1006),
            taken: 120,
            ..LinkEnd::default()
        },
    );
    harness.asked.clear();
    harness.passes(Duration::from_secs(1));
    let dial = harness.next_dial();
    harness.give(Input::Link(
        dial,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    assert_eq!(harness.asked.len(), 180);
    written(&mut harness, dial, 180);
    assert!(close_frame(&mut harness).is_some());
    harness.link_ends(dial, answered(1000, ""));
    let frames = delivered(&mut harness);
    let sent = outcomes(&frames)
        .iter()
        .filter(|(_, word)| *word == "sent")
        .count();
    assert_eq!((sent, outcomes(&frames).len()), (280, 300));
    assert_eq!(frames.last().unwrap()["clean"], true);
}

#[test]
fn closing_without_messages_or_link_ends_immediately() {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1"}),
    );
    closes(&mut harness);
    assert!(matches!(harness.asked.back(), Some(Output::HangUp { .. })));
    assert_eq!(delivered(&mut harness).last().unwrap()["type"], "detached");
}

#[test]
fn with_discard_only_transmitted_messages_are_written() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    for number in 0..300 {
        sends(&mut harness, &format!("m{number}"));
    }
    harness.delivered.clear();
    harness.send(PORT, json!({"type": "close", "session": "s", "discard": true}));
    let frames = delivered(&mut harness);
    assert_eq!(outcomes(&frames).len(), 44);
    assert!(outcomes(&frames).iter().all(|(_, word)| *word == "cancelled"));
    assert_eq!(close_frame(&mut harness), None);
    written(&mut harness, dial, 256);
    assert_eq!(close_frame(&mut harness), Some((1000, String::new())));
}

#[test]
fn a_closing_session_refuses_messages_and_frees_its_name_at_the_end() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    sends(&mut harness, "m");
    closes(&mut harness);
    harness.delivered.clear();
    sends(&mut harness, "late");
    assert_eq!(harness.receive(PORT)["code"], "session-closed");
    sends(&mut harness, "m");
    assert_eq!(harness.receive(PORT)["duplicate"], true);
    harness.send(
        PORT,
        json!({"type":"subscribe","session":"s","id":"k","key":"k","send":[{"text":"more"}]}),
    );
    assert_eq!(harness.receive(PORT)["code"], "session-closed");
    harness.send(
        PORT,
        json!({"type":"open","id":"again","session":"s","url":"ws://127.0.0.1:2"}),
    );
    let other = PortId(2);
    harness.open_port(other, "popup");
    harness.send(other, json!({"type":"open","id":"mine","session":"s"}));
    assert!(
        harness.delivered.is_empty(),
        "the name is not free yet: {:?}",
        harness.delivered
    );
    written(&mut harness, dial, 1);
    harness.link_ends(dial, answered(1000, ""));
    let frames = delivered(&mut harness);
    let of_type = |kind: &str| frames.iter().position(|frame| frame["type"] == kind).unwrap();
    assert!(of_type("detached") < of_type("opened"), "{frames:?}");
    let opened: Vec<&Value> = frames.iter().filter(|frame| frame["type"] == "opened").collect();
    assert_eq!(opened.len(), 2);
    assert_eq!(
        (&opened[0]["id"], &opened[0]["created"]),
        (&json!("again"), &json!(true))
    );
    assert_eq!(
        (&opened[1]["id"], &opened[1]["created"]),
        (&json!("mine"), &json!(false))
    );
}

#[test]
fn a_broker_that_shuts_down_starts_no_new_work() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    sends(&mut harness, "m");
    written(&mut harness, dial, 1);
    closes(&mut harness);
    harness.send(
        PORT,
        json!({"type":"open","id":"again","session":"s","url":"ws://127.0.0.1:2"}),
    );
    harness.delivered.clear();
    harness.give(Input::Leave { reason: "stop" });
    let frames = delivered(&mut harness);
    let find = |kind: &str| frames.iter().find(|frame| frame["type"] == kind).unwrap();
    assert_eq!(find("error")["code"], "shutting-down");
    assert_eq!(find("detached")["reason"], "closed");
    harness.send(
        PORT,
        json!({"type":"open","id":"more","session":"t","url":"ws://127.0.0.1:2"}),
    );
    assert_eq!(harness.receive(PORT)["code"], "shutting-down");
}

#[test]
fn no_message_is_written_after_the_close_frame() {
    let mut harness = Harness::with_client();
    let beats = json!({"answers":[{"when":{"text":"hello?"},"send":{"text":"here"}}]});
    let dial = harness.opens(json!({ "heartbeat": beats }));
    harness.server_sends(dial, &["hello?"]);
    assert_eq!(harness.next_transmit(), "here");
    written(&mut harness, dial, 1);
    closes(&mut harness);
    assert_eq!(close_frame(&mut harness), Some((4000, "done".to_owned())));
    harness.server_sends(dial, &["hello?"]);
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
}

#[test]
fn a_paused_link_is_resumed_to_read_the_close_answer() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({"queue":{"messages":1,"overflow":"pause"}}));
    harness.server_sends(dial, &["one"]);
    assert!(matches!(harness.asked.pop_front(), Some(Output::Pause(_))));
    closes(&mut harness);
    assert!(matches!(harness.asked.pop_front(), Some(Output::Resume(_))));
    assert_eq!(close_frame(&mut harness), Some((4000, "done".to_owned())));
}
