//! Subscriptions: sent on every connection in order, confirmed by rules, undone when they are removed.

use std::time::Duration;

use longwire::core::io::{DialId, Input, LinkEnd, LinkEvent, Output};
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

/// Opens a session with these options and does not let its link come yet.
fn dialling(options: Value) -> (Harness, DialId) {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":options}),
    );
    let dial = harness.next_dial();
    harness.delivered.clear();
    (harness, dial)
}

fn open_link(harness: &mut Harness, dial: DialId) {
    harness.give(Input::Link(
        dial,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
}

fn subscribe(harness: &mut Harness, key: &str, more: Value) {
    let mut frame = json!({"type":"subscribe","session":"s","id":key,"key":key,
        "send":[{"json":{"subscribe":key}}],"undo":[{"json":{"leave":key}}]});
    for (name, value) in more.as_object().unwrap() {
        frame[name] = value.clone();
    }
    harness.send(PORT, frame);
}

/// Everything written up to now.
fn written(harness: &mut Harness) -> Vec<String> {
    std::iter::from_fn(|| harness.asked.pop_front())
        .filter_map(|output| match output {
            Output::Transmit(_, payload) => Some(payload.as_str().unwrap().to_owned()),
            _ => None,
        })
        .collect()
}

/// The reported states of subscriptions, as `key state`.
fn delivered(harness: &mut Harness) -> Vec<String> {
    harness
        .delivered
        .drain(..)
        .filter(|(_, frame)| frame["type"] == "subscription")
        .map(|(_, frame)| {
            format!(
                "{} {}",
                frame["key"].as_str().unwrap(),
                frame["state"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn subscriptions_are_sent_on_every_ready_connection_before_waiting_messages() {
    let (mut harness, dial) = dialling(json!({"greeting":[{"text":"hello"}],"ready":{"/type":"ready"}}));
    harness.send(PORT, json!({"type":"send","session":"s","text":"waits"}));
    subscribe(&mut harness, "a", json!({}));
    assert_eq!(delivered(&mut harness), ["a pending"]);
    open_link(&mut harness, dial);
    // A server that is not ready would take it for an error.
    subscribe(&mut harness, "b", json!({"send":[{"text":"b1"},{"text":"b2"}]}));
    assert_eq!(written(&mut harness), ["hello"]);
    assert_eq!(delivered(&mut harness), ["b pending"]);
    harness.server_sends(dial, &[r#"{"type":"ready"}"#]);
    let sent = [r#"{"subscribe":"a"}"#, "b1", "b2", "waits"];
    assert_eq!(written(&mut harness), sent);
    assert_eq!(delivered(&mut harness), ["a active", "b active"]);
    // The same again after a loss, and nothing waits any more.
    harness.delivered.clear();
    harness.link_ends(dial, LinkEnd::default());
    harness.passes(Duration::from_secs(1));
    let dial = harness.next_dial();
    open_link(&mut harness, dial);
    assert_eq!(written(&mut harness), ["hello"]);
    harness.server_sends(dial, &[r#"{"type":"ready"}"#]);
    assert_eq!(written(&mut harness)[..3], sent[..3]);
    assert_eq!(delivered(&mut harness), ["a active", "b active"]);
}

#[test]
fn an_unsent_subscription_needs_no_unsubscribe() {
    let (mut harness, dial) = dialling(json!({"ready":{"/type":"ready"}}));
    open_link(&mut harness, dial);
    subscribe(&mut harness, "a", json!({}));
    harness.send(
        PORT,
        json!({"type":"unsubscribe","session":"s","id":"u","key":"a"}),
    );
    harness.server_sends(dial, &[r#"{"type":"ready"}"#]);
    assert!(written(&mut harness).is_empty());
}

#[test]
fn a_rule_confirms_subscriptions_on_every_connection_or_they_fail() {
    let (mut harness, dial) = dialling(json!({}));
    subscribe(&mut harness, "a", json!({"confirm":{"/ok":"a"}}));
    subscribe(&mut harness, "b", json!({"confirm":{"/ok":["b","c"]}}));
    harness.delivered.clear();
    open_link(&mut harness, dial);
    assert_eq!(delivered(&mut harness), ["a pending", "b pending"]);
    harness.server_sends(dial, &[r#"{"ok":"x"}"#, r#"{"ok":"c"}"#]);
    assert_eq!(delivered(&mut harness), ["b active"]);
    harness.passes(Duration::from_millis(9_999));
    assert!(delivered(&mut harness).is_empty());
    harness.passes(Duration::from_millis(1));
    assert_eq!(delivered(&mut harness), ["a failed"]);
    written(&mut harness);
    harness.link_ends(dial, LinkEnd::default());
    harness.passes(Duration::from_secs(1));
    let dial = harness.next_dial();
    open_link(&mut harness, dial);
    assert_eq!(
        written(&mut harness),
        [r#"{"subscribe":"a"}"#, r#"{"subscribe":"b"}"#]
    );
    assert_eq!(delivered(&mut harness), ["a pending", "b pending"]);
    harness.server_sends(dial, &[r#"{"ok":"a"}"#, r#"{"ok":"b"}"#]);
    assert_eq!(delivered(&mut harness), ["a active", "b active"]);
    // A worker that comes back is delivered how they stand.
    harness.give(Input::PortClosed(PORT));
    harness.open_port(PORT, "main");
    harness.send(PORT, json!({"type":"open","id":"o2","session":"s"}));
    assert_eq!(
        harness.receive(PORT)["subscriptions"],
        json!([{"key":"a","state":"active"},{"key":"b","state":"active"}])
    );
}

#[test]
fn a_returning_worker_does_not_resend_subscriptions_on_one_connection() {
    let (mut harness, dial) = dialling(json!({}));
    let confirm = json!({"confirm":{"/ok":"b"}});
    let both = |harness: &mut Harness| {
        subscribe(harness, "a", json!({}));
        subscribe(harness, "b", confirm.clone());
    };
    both(&mut harness);
    open_link(&mut harness, dial);
    assert_eq!(written(&mut harness).len(), 2);
    harness.delivered.clear();
    harness.give(Input::PortClosed(PORT));
    harness.open_port(PORT, "main");
    harness.send(PORT, json!({"type":"open","id":"o2","session":"s"}));
    harness.delivered.clear();
    both(&mut harness);
    assert_eq!(delivered(&mut harness), ["a active", "b pending"]);
    assert!(
        written(&mut harness).is_empty(),
        "a server may refuse to be delivered twice"
    );
    harness.passes(Duration::from_secs(10));
    assert_eq!(delivered(&mut harness), ["b failed"]);
    written(&mut harness);
    // New and failed subscriptions are reported.
    subscribe(&mut harness, "a", json!({"send":[{"text":"other"}]}));
    subscribe(&mut harness, "b", confirm);
    assert_eq!(written(&mut harness), ["other", r#"{"subscribe":"b"}"#]);
}

#[test]
fn a_removed_subscription_is_unsubscribed_and_not_sent_again() {
    let (mut harness, dial) = dialling(json!({}));
    subscribe(&mut harness, "a", json!({}));
    subscribe(&mut harness, "b", json!({}));
    open_link(&mut harness, dial);
    assert_eq!(written(&mut harness).len(), 2);
    harness.delivered.clear();
    harness.send(
        PORT,
        json!({"type":"unsubscribe","session":"s","id":"u","key":"a"}),
    );
    assert_eq!(harness.receive(PORT)["type"], "ok");
    assert_eq!(written(&mut harness), [r#"{"leave":"a"}"#]);
    harness.link_ends(dial, LinkEnd::default());
    harness.passes(Duration::from_secs(1));
    // Without a link there is no server to send it to.
    let dial = harness.next_dial();
    harness.send(
        PORT,
        json!({"type":"unsubscribe","session":"s","id":"u2","key":"b"}),
    );
    open_link(&mut harness, dial);
    let sent = written(&mut harness);
    assert!(sent.is_empty(), "{sent:?}");
}
