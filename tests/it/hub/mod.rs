//! The hub through its public interface: conversations between an extension, the hub and a link.

mod retention;

use std::time::Duration;

use longwire::core::io::{Caller, Incoming, Input, LinkEnd, LinkEvent, Output, PortId};
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

#[test]
fn nothing_is_answered_before_hello() {
    let mut harness = Harness::new();
    harness.give(Input::PortOpened(PORT, Caller::Extension { origin: "x".into() }));
    harness.send(PORT, json!({"type": "ping", "id": "1"}));
    let error = harness.receive(PORT);
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("hello-required"), &json!("1"))
    );
}

#[test]
fn an_acknowledged_message_is_removed() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    harness.server_sends(dial, &["one", "two"]);
    let one = harness.receive(PORT);
    assert_eq!((&one["type"], &one["text"]), (&json!("message"), &json!("one")));
    let seq = harness.receive(PORT)["seq"].as_u64().unwrap();
    harness.send(PORT, json!({"type": "ack", "session": "s", "seq": seq}));
    harness.send(PORT, json!({"type": "status", "id": "1"}));
    assert_eq!(harness.receive(PORT)["total"]["queued"], 0);
    harness.send(PORT, json!({"type": "ack", "session": "s", "seq": seq + 1}));
    assert_eq!(
        harness.receive(PORT)["code"],
        "bad-frame",
        "what was never delivered cannot be acknowledged"
    );
}

#[test]
fn a_new_port_receives_unacknowledged_messages_and_the_old_one_is_fenced() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    harness.server_sends(dial, &["one", "two", "three"]);
    let first = harness.receive(PORT)["seq"].as_u64().unwrap();
    harness.send(PORT, json!({"type": "ack", "session": "s", "seq": first}));
    let new = PortId(2);
    harness.open_port(new, "main");
    harness.send(new, json!({"type": "open", "id": "o2", "session": "s"}));
    harness.receive_types(PORT);
    let opened = harness.receive(new);
    assert_eq!(
        (&opened["resume"], &opened["seq"], &opened["created"]),
        (&json!("exact"), &json!(first), &json!(false))
    );
    let two = harness.receive(new);
    assert_eq!((&two["text"], &two["redelivered"]), (&json!("two"), &json!(true)));
    assert_eq!(harness.receive_types(new), ["message", "live"]);
    harness.send(PORT, json!({"type": "ack", "session": "s", "seq": first + 2}));
    assert_eq!(harness.receive_types(PORT), [""; 0], "it counts for nothing");
}

#[test]
fn an_acknowledgement_in_flight_at_the_end_of_its_attachment_is_ignored() {
    for ends in ["superseded", "closed", "detached"] {
        let mut harness = Harness::with_client();
        let dial = harness.opens(json!({}));
        harness.server_sends(dial, &["one"]);
        let one = harness.receive(PORT)["seq"].as_u64().unwrap();
        match ends {
            "superseded" => {
                harness.open_port(PortId(2), "main");
                harness.send(PortId(2), json!({"type": "open", "id": "o2", "session": "s"}));
            }
            "closed" => {
                harness.send(PORT, json!({"type": "close", "session": "s", "discard": true}));
                harness.link_ends(dial, LinkEnd::default());
                harness.passes(Duration::from_secs(20));
            }
            _ => harness.send(PORT, json!({"type": "detach", "session": "s"})),
        }
        harness.receive_types(PORT);
        harness.send(PORT, json!({"type": "ack", "session": "s", "seq": one}));
        assert_eq!(harness.receive_types(PORT), [""; 0], "{ends}");
        harness.send(PORT, json!({"type": "ack", "session": "other", "seq": one}));
        assert_eq!(harness.receive(PORT)["code"], "no-session");
        harness.send(PORT, json!({"type": "send", "session": "s", "text": "late"}));
        assert_eq!(harness.receive_types(PORT), ["error"], "{ends}");
    }
}

#[test]
fn a_dial_that_waits_for_a_rate_limit_names_it() {
    let mut harness = Harness::with_client();
    let local = (0..17).map(|port| {
        (
            format!("ws://localhost:{}/", 9000 + port),
            "loopback-ports-per-minute",
        )
    });
    let remote = (0..2).map(|_| ("wss://example.com/".to_owned(), "another dial to this host"));
    let last_of_each = [16, 18];
    for (index, (url, limit)) in local.chain(remote).enumerate() {
        let session = format!("s{index}");
        harness.send(
            PORT,
            json!({"type": "open", "id": "o", "session": session, "url": url}),
        );
        let state = std::iter::from_fn(|| Some(harness.receive(PORT)))
            .find(|frame| frame["type"] == "state")
            .unwrap();
        if last_of_each.contains(&index) {
            let reason = state["reason"].as_str().unwrap_or_default();
            assert_eq!(state["state"], "waiting", "{state}");
            assert!(reason.contains(limit), "{state}");
        } else {
            assert_eq!(
                (&state["state"], &state["reason"]),
                (&json!("connecting"), &Value::Null)
            );
        }
    }
}

#[test]
fn a_message_is_sent_once_a_pong_proves_it() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    harness.send(
        PORT,
        json!({"type": "send", "session": "s", "id": "m1", "text": "hi", "receipt": true}),
    );
    assert_eq!(harness.receive(PORT)["type"], "accepted");
    assert_eq!(harness.next_transmit(), "hi");
    let token = harness.next_ping();
    harness.give(Input::Link(dial, LinkEvent::Written(1)));
    assert!(harness.delivered.is_empty());
    harness.give(Input::Link(dial, LinkEvent::Pong(token)));
    assert_eq!(harness.receive(PORT)["outcome"], "sent");
    harness.send(
        PORT,
        json!({"type": "send", "session": "s", "id": "m1", "text": "hi"}),
    );
    let again = harness.receive(PORT);
    assert_eq!(
        (&again["duplicate"], &again["outcome"]),
        (&json!(true), &json!("sent"))
    );
    assert!(harness.asked.is_empty(), "it is not sent twice");
}

#[test]
fn a_lost_link_leaves_unknown_outcomes_and_is_redialled() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    harness.send(
        PORT,
        json!({"type": "send", "session": "s", "id": "m1", "text": "hi"}),
    );
    harness.asked.clear();
    harness.link_ends(
        dial,
        LinkEnd {
            code: Some(1006),
            taken: 1,
            ..LinkEnd::default()
        },
    );
    harness.send(
        PORT,
        json!({"type": "send", "session": "s", "id": "m2", "text": "later"}),
    );
    assert_eq!(
        harness.receive_types(PORT),
        ["accepted", "state", "outcome", "accepted"]
    );
    harness.passes(Duration::from_secs(1));
    let next = harness.next_dial();
    harness.server_sends(dial, &["a voice from the past"]);
    harness.give(Input::Link(
        next,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    assert_eq!(harness.receive(PORT)["state"], "connecting");
    assert_eq!(harness.receive(PORT)["continuity"], "unknown");
    assert_eq!(harness.next_transmit(), "later");
    assert!(harness.delivered.is_empty(), "{:?}", harness.delivered);
}

#[test]
fn a_request_is_answered_once_and_its_answer_survives_the_worker() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    let request =
        json!({"type": "request", "session": "s", "id": "r", "json": {"id": 7}, "match": {"jsonrpc": true}});
    harness.send(PORT, request);
    harness.give(Input::PortClosed(PORT));
    harness.delivered.clear();
    harness.server_sends(dial, &[r#"{"id":7,"result":1}"#, r#"{"id":7,"result":2}"#]);
    harness.passes(Duration::from_secs(60));
    harness.open_port(PORT, "main");
    harness.send(PORT, json!({"type": "open", "id": "o2", "session": "s"}));
    harness.receive(PORT);
    let all: Vec<Value> = harness.delivered.drain(..).map(|(_, frame)| frame).collect();
    let responses: Vec<&Value> = all.iter().filter(|frame| frame["type"] == "response").collect();
    assert_eq!(responses.len(), 1, "{all:?}");
    assert_eq!(responses[0]["text"], r#"{"id":7,"result":1}"#);
    assert_eq!(all.iter().filter(|frame| frame["type"] == "message").count(), 1);
}

#[test]
fn a_confirmation_is_recorded_before_the_message_that_contains_it() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    harness.send(
        PORT,
        json!({"type": "send", "session": "s", "id": "c", "json": {"n": 3}, "confirm": {"out": "/n", "in": "/ack"}, "receipt": true}),
    );
    harness.delivered.clear();
    harness.server_sends(dial, &[r#"{"ack":3}"#]);
    let all: Vec<Value> = harness.delivered.drain(..).map(|(_, frame)| frame).collect();
    let types: Vec<&Value> = all.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(types, ["outcome", "message"], "{all:?}");
    assert_eq!(all[0]["outcome"], "confirmed");
    assert!(all[0]["seq"].as_u64() < all[1]["seq"].as_u64(), "{all:?}");
}

#[test]
fn two_refusals_of_fresh_credentials_fail_the_link() {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":{"auth":"provider"}}),
    );
    for round in 1..=2 {
        let auth_needed = std::iter::from_fn(|| Some(harness.receive(PORT)))
            .find(|frame| frame["type"] == "auth-needed")
            .unwrap();
        assert!(harness.asked.is_empty(), "no dialling without credentials");
        let headers = json!({"Authorization": format!("Bearer {round}")});
        harness.send(
            PORT,
            json!({"type":"authorize","session":"s","nonce":auth_needed["nonce"],"headers":headers}),
        );
        let dial = harness.next_dial();
        harness.link_ends(
            dial,
            LinkEnd {
                status: Some(401),
                ..LinkEnd::default()
            },
        );
    }
    let last = std::iter::from_fn(|| harness.delivered.pop_front())
        .last()
        .unwrap()
        .1;
    assert_eq!(
        (&last["type"], &last["state"]),
        (&json!("state"), &json!("failed"))
    );
    harness.passes(Duration::from_secs(3600));
    assert!(harness.asked.is_empty());
}

#[test]
fn one_origin_cannot_access_the_sessions_of_another() {
    let mut harness = Harness::with_client();
    harness.opens(json!({}));
    let other = PortId(2);
    harness.give(Input::PortOpened(
        other,
        Caller::Extension {
            origin: "chrome-extension://b/".into(),
        },
    ));
    harness.send(other, json!({"type": "hello", "protocol": 1}));
    assert_eq!(harness.receive(other)["sessions"], json!([]));
    harness.send(other, json!({"type": "close", "session": "s", "id": "1"}));
    assert_eq!(harness.receive(other)["code"], "no-session");
}

#[test]
fn a_silent_server_is_given_up_and_a_paused_link_is_not() {
    let mut harness = Harness::with_client();
    harness.opens(json!({}));
    harness.passes(Duration::from_secs(20));
    harness.next_ping();
    harness.passes(Duration::from_secs(10));
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
    let state = harness.receive(PORT);
    assert_eq!(
        (&state["state"], &state["error"]["code"]),
        (&json!("waiting"), &json!("heartbeat"))
    );
}

#[test]
fn a_volatile_message_without_a_link_needs_no_outbox_space() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({"outbox": {"messages": 1}}));
    harness.link_ends(dial, LinkEnd::default());
    harness.receive_types(PORT);
    harness.send(PORT, json!({"type":"send","session":"s","id":"waits","text":"1"}));
    harness.send(PORT, json!({"type":"send","session":"s","id":"full","text":"2"}));
    harness.send(
        PORT,
        json!({"type":"send","session":"s","id":"now or never","text":"3","volatile":true}),
    );
    assert_eq!(harness.receive(PORT)["type"], "accepted");
    assert_eq!(harness.receive(PORT)["code"], "outbox-full");
    assert_eq!(harness.receive(PORT)["type"], "accepted");
    assert_eq!(harness.receive(PORT)["outcome"], "dropped");
}

#[test]
fn an_endless_retry_after_is_honoured_without_overflow() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({"reconnect": {"minDelay": u64::MAX, "maxDelay": u64::MAX}}));
    harness.link_ends(
        dial,
        LinkEnd {
            status: Some(503),
            retry_after: Some(std::time::Duration::MAX),
            ..LinkEnd::default()
        },
    );
    let state = harness.receive(PORT);
    assert_eq!(state["state"], "waiting");
    assert!(state["retryIn"].as_u64().unwrap() < 1 << 53, "{state}");
    harness.send(PORT, json!({"type":"ping","id":"p"}));
    assert_eq!(harness.receive(PORT)["type"], "pong");
}

#[test]
fn disabling_the_heartbeat_ends_it_and_pending_proofs_immediately() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    for id in ["pinged", "not yet pinged"] {
        harness.send(
            PORT,
            json!({"type":"send","session":"s","id":id,"text":"x","receipt":true}),
        );
    }
    harness.give(Input::Link(dial, LinkEvent::Written(2)));
    harness.asked.clear();
    harness.receive_types(PORT);
    let options = json!({"heartbeat": false});
    harness.send(
        PORT,
        json!({"type":"open","id":"o2","session":"s","url":"ws://127.0.0.1:1","options":options}),
    );
    let received = std::iter::from_fn(|| harness.delivered.pop_front()).map(|(_, frame)| frame);
    let outcomes: Vec<_> = received
        .filter(|frame| frame["type"] == "outcome" && frame["redelivered"] != true)
        .collect();
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    harness.passes(Duration::from_secs(60));
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
}

#[test]
fn status_reports_the_last_failure_the_next_dial_and_the_oldest_record() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    let status = |harness: &mut Harness| {
        harness.receive_types(PORT);
        harness.send(PORT, json!({"type": "status", "id": "1"}));
        harness.receive(PORT)["sessions"][0].clone()
    };
    harness.server_sends(dial, &["one"]);
    harness.passes(Duration::from_millis(1200));
    let up = status(&mut harness);
    assert_eq!((&up["error"], &up["retryIn"]), (&json!(null), &json!(null)));
    assert!(up["oldest"].as_u64().is_some_and(|age| age >= 1200), "{up}");
    let end = LinkEnd {
        code: Some(1012),
        ..LinkEnd::default()
    };
    harness.give(Input::Link(dial, LinkEvent::Ended(end)));
    let down = status(&mut harness);
    assert_eq!(down["state"], "waiting");
    assert_eq!(down["error"]["code"], "closed-by-server");
    assert_eq!(down["error"]["retry"], "later");
    assert!(down["retryIn"].is_u64(), "{down}");
    let last = down["oldest"].as_u64().unwrap();
    harness.send(PORT, json!({"type": "ack", "session": "s", "seq": 3}));
    let later = status(&mut harness);
    assert!(later["oldest"].as_u64().is_none_or(|age| age < last), "{later}");
}
