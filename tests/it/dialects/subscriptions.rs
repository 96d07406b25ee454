//! Subscriptions: said on every connection in their place, confirmed by rules, undone when they are not wanted any more.

use std::time::Duration;

use longwire::core::io::{DialId, Input, LinkEnd, LinkEvent, Output};
use serde_json::{Value, json};

use crate::stage::{PORT, Stage};

/// Opens a session with these options and does not let its link come yet.
fn dialling(options: Value) -> (Stage, DialId) {
    let mut stage = Stage::with_client();
    stage.says(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":options}),
    );
    let dial = stage.dials();
    stage.told.clear();
    (stage, dial)
}

fn link_opens(stage: &mut Stage, dial: DialId) {
    stage.give(Input::Link(
        dial,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
}

fn subscribe(stage: &mut Stage, key: &str, more: Value) {
    let mut frame = json!({"type":"subscribe","session":"s","id":key,"key":key,
        "send":[{"json":{"subscribe":key}}],"undo":[{"json":{"leave":key}}]});
    for (name, value) in more.as_object().unwrap() {
        frame[name] = value.clone();
    }
    stage.says(PORT, frame);
}

/// Everything written up to now.
fn written(stage: &mut Stage) -> Vec<String> {
    std::iter::from_fn(|| stage.asked.pop_front())
        .filter_map(|output| match output {
            Output::Transmit(_, payload) => Some(payload.as_str().unwrap().to_owned()),
            _ => None,
        })
        .collect()
}

/// What is said of subscriptions, as `key state`.
fn told(stage: &mut Stage) -> Vec<String> {
    stage
        .told
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
fn they_are_said_on_every_connection_that_is_ready_before_anything_that_waits() {
    let (mut stage, dial) = dialling(json!({"greeting":[{"text":"hello"}],"ready":{"/type":"ready"}}));
    stage.says(PORT, json!({"type":"send","session":"s","text":"waits"}));
    subscribe(&mut stage, "a", json!({}));
    assert_eq!(told(&mut stage), ["a pending"]);
    link_opens(&mut stage, dial);
    // A server that is not ready would take it for an error.
    subscribe(&mut stage, "b", json!({"send":[{"text":"b1"},{"text":"b2"}]}));
    assert_eq!(written(&mut stage), ["hello"]);
    assert_eq!(told(&mut stage), ["b pending"]);
    stage.server_says(dial, &[r#"{"type":"ready"}"#]);
    let said = [r#"{"subscribe":"a"}"#, "b1", "b2", "waits"];
    assert_eq!(written(&mut stage), said);
    assert_eq!(told(&mut stage), ["a active", "b active"]);
    // The same again after a loss, and nothing waits any more.
    stage.told.clear();
    stage.link_ends(dial, LinkEnd::default());
    stage.passes(Duration::from_secs(1));
    let dial = stage.dials();
    link_opens(&mut stage, dial);
    assert_eq!(written(&mut stage), ["hello"]);
    stage.server_says(dial, &[r#"{"type":"ready"}"#]);
    assert_eq!(written(&mut stage)[..3], said[..3]);
    assert_eq!(told(&mut stage), ["a active", "b active"]);
}

#[test]
fn what_is_not_said_yet_need_not_be_undone() {
    let (mut stage, dial) = dialling(json!({"ready":{"/type":"ready"}}));
    link_opens(&mut stage, dial);
    subscribe(&mut stage, "a", json!({}));
    stage.says(
        PORT,
        json!({"type":"unsubscribe","session":"s","id":"u","key":"a"}),
    );
    stage.server_says(dial, &[r#"{"type":"ready"}"#]);
    assert!(written(&mut stage).is_empty());
}

#[test]
fn a_rule_confirms_them_anew_on_every_connection_or_they_have_failed() {
    let (mut stage, dial) = dialling(json!({}));
    subscribe(&mut stage, "a", json!({"confirm":{"/ok":"a"}}));
    subscribe(&mut stage, "b", json!({"confirm":{"/ok":["b","c"]}}));
    stage.told.clear();
    link_opens(&mut stage, dial);
    assert_eq!(told(&mut stage), ["a pending", "b pending"]);
    stage.server_says(dial, &[r#"{"ok":"x"}"#, r#"{"ok":"c"}"#]);
    assert_eq!(told(&mut stage), ["b active"]);
    stage.passes(Duration::from_millis(9_999));
    assert!(told(&mut stage).is_empty());
    stage.passes(Duration::from_millis(1));
    assert_eq!(told(&mut stage), ["a failed"]);
    written(&mut stage);
    stage.link_ends(dial, LinkEnd::default());
    stage.passes(Duration::from_secs(1));
    let dial = stage.dials();
    link_opens(&mut stage, dial);
    assert_eq!(
        written(&mut stage),
        [r#"{"subscribe":"a"}"#, r#"{"subscribe":"b"}"#]
    );
    assert_eq!(told(&mut stage), ["a pending", "b pending"]);
    stage.server_says(dial, &[r#"{"ok":"a"}"#, r#"{"ok":"b"}"#]);
    assert_eq!(told(&mut stage), ["a active", "b active"]);
    // A worker that comes back is told how they stand.
    stage.give(Input::PortClosed(PORT));
    stage.comes(PORT, "main");
    stage.says(PORT, json!({"type":"open","id":"o2","session":"s"}));
    assert_eq!(
        stage.hears(PORT)["subscriptions"],
        json!([{"key":"a","state":"active"},{"key":"b","state":"active"}])
    );
}

#[test]
fn a_worker_that_comes_back_says_nothing_twice_on_one_connection() {
    let (mut stage, dial) = dialling(json!({}));
    let confirm = json!({"confirm":{"/ok":"b"}});
    let both = |stage: &mut Stage| {
        subscribe(stage, "a", json!({}));
        subscribe(stage, "b", confirm.clone());
    };
    both(&mut stage);
    link_opens(&mut stage, dial);
    assert_eq!(written(&mut stage).len(), 2);
    stage.told.clear();
    stage.give(Input::PortClosed(PORT));
    stage.comes(PORT, "main");
    stage.says(PORT, json!({"type":"open","id":"o2","session":"s"}));
    stage.told.clear();
    both(&mut stage);
    assert_eq!(told(&mut stage), ["a active", "b pending"]);
    assert!(
        written(&mut stage).is_empty(),
        "a server may refuse to be told twice"
    );
    stage.passes(Duration::from_secs(10));
    assert_eq!(told(&mut stage), ["b failed"]);
    written(&mut stage);
    // What is new, and what has failed, is said.
    subscribe(&mut stage, "a", json!({"send":[{"text":"other"}]}));
    subscribe(&mut stage, "b", confirm);
    assert_eq!(written(&mut stage), ["other", r#"{"subscribe":"b"}"#]);
}

#[test]
fn one_that_is_left_is_undone_and_said_no_more() {
    let (mut stage, dial) = dialling(json!({}));
    subscribe(&mut stage, "a", json!({}));
    subscribe(&mut stage, "b", json!({}));
    link_opens(&mut stage, dial);
    assert_eq!(written(&mut stage).len(), 2);
    stage.told.clear();
    stage.says(
        PORT,
        json!({"type":"unsubscribe","session":"s","id":"u","key":"a"}),
    );
    assert_eq!(stage.hears(PORT)["type"], "ok");
    assert_eq!(written(&mut stage), [r#"{"leave":"a"}"#]);
    stage.link_ends(dial, LinkEnd::default());
    stage.passes(Duration::from_secs(1));
    // While nothing is connected there is nobody to tell.
    let dial = stage.dials();
    stage.says(
        PORT,
        json!({"type":"unsubscribe","session":"s","id":"u2","key":"b"}),
    );
    link_opens(&mut stage, dial);
    let said = written(&mut stage);
    assert!(said.is_empty(), "{said:?}");
}
