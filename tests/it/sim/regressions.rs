//! Failures that the simulation has found, as scripted tests: a seed produces another run when the generator changes.
//!
//! What it found in journals is in `restore.rs`.

use std::time::Duration;

use longwire::core::io::{Input, LinkEnd, LinkEvent, Output};
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

/// All frames up to now, the newest last.
fn frames(harness: &mut Harness) -> Vec<Value> {
    harness.delivered.drain(..).map(|(_, frame)| frame).collect()
}

/// Brings credentials, lets the server take them, and gives the dial.
fn authorized(harness: &mut Harness) -> longwire::core::io::DialId {
    harness.send(
        PORT,
        json!({"type":"authorize","session":"s","headers":{"Authorization":"Bearer x"}}),
    );
    let dial = harness.asked.iter().rev().find_map(|output| match output {
        Output::Dial(dial, _) => Some(*dial),
        _ => None,
    });
    dial.expect("a dial with these credentials")
}

fn refused(harness: &mut Harness, dial: longwire::core::io::DialId) -> Value {
    let end = LinkEnd {
        status: Some(401),
        ..LinkEnd::default()
    };
    harness.link_ends(dial, end);
    let frames = frames(harness);
    let states = frames.iter().rfind(|frame| frame["type"] == "state");
    states.expect("a state")["state"].clone()
}

#[test]
fn a_server_is_obeyed_for_a_day_at_most() {
    for asked_for in [Duration::MAX, Duration::from_secs(u64::MAX)] {
        let mut harness = Harness::with_client();
        let dial = harness.opens(json!({}));
        let end = LinkEnd {
            retry_after: Some(asked_for),
            ..LinkEnd::default()
        };
        harness.link_ends(dial, end);
        let wait = frames(&mut harness)[0]["retryIn"].as_u64().unwrap();
        let day = 86_400_000;
        assert!((day..day + 35_000).contains(&wait), "{wait} ms");
    }
}

#[test]
fn a_link_that_stood_shows_that_its_credentials_were_good_however_it_ends() {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":{"auth":"provider"}}),
    );
    let dial = authorized(&mut harness);
    let opened = LinkEvent::Opened {
        subprotocol: None,
        extensions: None,
    };
    harness.give(Input::Link(dial, opened));
    harness.passes(Duration::from_secs(11));
    // Nobody has refused them: the extension wanted another link.
    harness.asked.clear();
    harness.send(PORT, json!({"type":"reconnect","session":"s"}));
    let dial = harness.asked.iter().find_map(|output| match output {
        Output::Dial(dial, _) => Some(*dial),
        _ => None,
    });
    // They have expired since; then two are refused that were never good for anything.
    assert_eq!(refused(&mut harness, dial.unwrap()), "unauthorized");
    for state in ["unauthorized", "failed"] {
        let dial = authorized(&mut harness);
        assert_eq!(refused(&mut harness, dial), state);
    }
}

/// A session that is being closed and is over by now, and an `open` of its name that waits for that.
fn overdue_with_deferred_open() -> Harness {
    let mut harness = Harness::with_client();
    harness.opens(json!({"closeTimeout": 1000}));
    harness.send(PORT, json!({"type":"send","session":"s","text":"unwritten"}));
    harness.send(PORT, json!({"type":"close","session":"s"}));
    harness.send(
        PORT,
        json!({"type":"open","id":"again","session":"s","url":"ws://127.0.0.1:1"}),
    );
    harness.delivered.clear();
    harness.asked.clear();
    // Any input may be the first after a deadline.
    harness.now.awake += Duration::from_secs(1);
    harness.now.boot += Duration::from_secs(1);
    harness
}

fn dials_again(harness: &Harness) -> bool {
    harness
        .asked
        .iter()
        .any(|output| matches!(output, Output::Dial(..)))
}

#[test]
fn a_session_is_not_opened_again_for_a_port_that_closes_at_its_end() {
    let mut harness = overdue_with_deferred_open();
    harness.give(Input::PortClosed(PORT));
    assert_eq!(frames(&mut harness), Vec::<Value>::new());
    assert!(!dials_again(&harness));
    assert_eq!(harness.hub.deadline(harness.now), None, "nothing is left");
}

#[test]
fn a_session_is_not_opened_again_for_a_client_that_another_replaces_at_its_end() {
    let mut harness = overdue_with_deferred_open();
    harness.send(PORT, json!({"type":"hello","protocol":1,"client":"other"}));
    let frames = frames(&mut harness);
    assert_eq!(
        (&frames[0]["type"], &frames[0]["code"], &frames[0]["id"]),
        (&json!("error"), &json!("session-closed"), &json!("again"))
    );
    assert_eq!(frames.last().unwrap()["type"], "welcome");
    assert!(frames.iter().all(|frame| frame["type"] != "opened"), "{frames:?}");
    assert!(!dials_again(&harness));
    assert_eq!(harness.hub.deadline(harness.now), None, "nothing is left");
}
