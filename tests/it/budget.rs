//! The memory of all extensions together: the largest user loses data first, and large contents cost only their size.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longwire::core::dialect::outlines::Outlines;
use longwire::core::io::{Answer, Caller, DialId, Incoming, Input, LinkEvent, PortId};
use longwire::core::rules::{MemoryRule, Rules};
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use crate::counting::peak;
use crate::harness::{Harness, PORT};

const OTHER: PortId = PortId(2);

/// Another extension at a port of its own, with a session that is open.
fn other_opens(harness: &mut Harness) -> DialId {
    let origin = "chrome-extension://b/".into();
    harness.give(Input::PortOpened(OTHER, Caller::Extension { origin }));
    harness.send(OTHER, json!({"type": "hello", "protocol": 1}));
    harness.send(
        OTHER,
        json!({"type": "open", "id": "o", "session": "s", "url": "ws://127.0.0.1:1",
               "options": {"window": {"messages": 0, "bytes": 0}}}),
    );
    let dial = harness.next_dial();
    harness.give(Input::Link(
        dial,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    harness.receive_types(OTHER);
    dial
}

fn messages(harness: &mut Harness, dial: DialId, count: usize, bytes: usize) {
    for _ in 0..count {
        let message = Incoming::Message(Payload::text("x".repeat(bytes)));
        harness.give(Input::Link(dial, LinkEvent::Messages(vec![message])));
    }
}

/// Everything a client gets that opens its window: the types, and the sum of what gaps count.
fn drained(harness: &mut Harness, port: PortId) -> (usize, u64) {
    harness.send(
        port,
        json!({"type": "window", "session": "s", "messages": 1_000_000, "bytes": 1_u64 << 40}),
    );
    let (mut messages, mut lost) = (0, 0);
    while harness.delivered.iter().any(|(to, _)| *to == port) {
        let frame = harness.receive(port);
        match frame["type"].as_str() {
            Some("message") => messages += 1,
            Some("gap") => lost += frame["count"].as_u64().unwrap(),
            _ => {}
        }
    }
    (messages, lost)
}

#[test]
fn above_the_total_budget_the_largest_holder_loses_its_oldest_messages() {
    let mut harness = Harness::with_client();
    let total = 8 << 20;
    harness.give(Input::Rules(Arc::new(Rules {
        memory: MemoryRule { total },
        ..Rules::default()
    })));
    let large = harness.opens(json!({"window": {"messages": 0, "bytes": 0}}));
    let small = other_opens(&mut harness);
    messages(&mut harness, small, 20, 32 << 10);
    messages(&mut harness, large, 400, 32 << 10);
    messages(&mut harness, small, 20, 32 << 10);
    harness.passes(Duration::from_secs(1));
    assert_eq!(
        drained(&mut harness, OTHER),
        (40, 0),
        "who holds little loses nothing"
    );
    let (kept, lost) = drained(&mut harness, PORT);
    assert_eq!(kept as u64 + lost, 400, "every message is there or counted");
    assert!(
        lost > 100 && kept * (32 << 10) <= total,
        "{kept} kept, {lost} lost"
    );
}

/// Values in a large array.
const VALUES: usize = 1 << 19;

/// A large array of very small values: as a document it would take many times its text.
fn dense(members: &str) -> String {
    let values = vec!["1"; VALUES].join(",");
    format!("{{{members}\"values\":[{values}]}}")
}

#[test]
fn a_large_message_is_matched_without_building_a_document() {
    let mut harness = Harness::with_client();
    let options = json!({
        "format": "json",
        "guard": {"receive": [{"when": {"/never": 1}, "do": "deny"}]},
        "queue": {"bytes": 64 << 20},
        "window": {"messages": 100, "bytes": 64 << 20},
    });
    let dial = harness.opens(options);
    harness.send(
        PORT,
        json!({"type": "request", "session": "s", "id": "r", "json": {"id": 7}, "match": {"jsonrpc": true}}),
    );
    harness.asked.clear();
    harness.receive_types(PORT);
    let text = Bytes::from(dense("\"id\":7,"));
    let bytes = text.len();
    let event = LinkEvent::Messages(vec![Incoming::Message(Payload::Text(text))]);
    let most = peak(|| {
        harness.hub.handle(harness.now, Input::Link(dial, event.clone()));
    });
    assert!(most < bytes, "{most} bytes for a message of {bytes}");
    let mut answers = 0;
    while let Some(output) = harness.hub.poll() {
        if let longwire::core::io::Output::Deliver { frame, .. } = output {
            let mut json = Vec::new();
            frame.encode(&mut json);
            let frame: Value = serde_json::from_slice(&json).unwrap();
            answers += usize::from(frame["type"] == "response" && frame["json"]["id"] == 7);
        }
    }
    assert_eq!(answers, 1, "it is the answer all the same");
}

#[test]
fn messages_parsed_outside_the_loop_are_not_parsed_again() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({
        "format": "json",
        "guard": {"receive": [{"when": {"/id": 7}, "do": "deny"}]},
    }));
    let text = Bytes::from(dense("\"id\":7,"));
    let input = Input::Link(
        dial,
        LinkEvent::Messages(vec![Incoming::Message(Payload::Text(text))]),
    );
    let unread = harness.hub.unread(&input);
    assert_eq!(unread.len(), 1, "a large text is to be read");
    let outlines = Outlines::read(unread);
    harness.hub.handle_read(harness.now, input, outlines);
    while harness.hub.poll().is_some() {}
    harness.send(PORT, json!({"type": "status", "id": "s"}));
    let status = harness.receive(PORT);
    assert_eq!(status["sessions"][0]["filtered"]["refused"], 1, "{status}");
    let small = LinkEvent::Messages(vec![Incoming::Message(Payload::text(r#"{"id":7}"#))]);
    assert!(harness.hub.unread(&Input::Link(dial, small)).is_empty());
}

#[test]
fn elements_of_a_large_poll_response_arrive_in_batches_within_its_size() {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type": "open", "id": "o", "session": "s", "url": "http://127.0.0.1:1",
               "options": {"protocol": "poll", "poll": {"items": "/values", "interval": 60_000},
                           "queue": {"messages": 1000}, "window": {"messages": 0, "bytes": 0}}}),
    );
    let dial = harness.next_dial();
    harness.asked.clear();
    let body = Bytes::from(dense(""));
    let bytes = body.len();
    let answer = Answer {
        status: 200,
        body,
        ..Answer::default()
    };
    let event = LinkEvent::Answered(Box::new(answer));
    let mut turns = 0;
    let most = peak(|| {
        harness.give(Input::Link(dial, event.clone()));
        while harness
            .hub
            .deadline(harness.now)
            .is_some_and(|(_, what)| what == "more of a response")
        {
            turns += 1;
            harness.passes(Duration::from_millis(1));
        }
    });
    assert!(turns > 1000, "{turns} turns for {VALUES} elements");
    assert!(most < bytes, "{most} bytes for an answer of {bytes}");
    let (kept, lost) = drained(&mut harness, PORT);
    assert_eq!(
        kept as u64 + lost,
        VALUES as u64,
        "every element is there or counted"
    );
}
