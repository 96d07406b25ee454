//! Filters: a stopped worker receives what it requested, and every dropped message is counted.

use std::time::Duration;

use longwire::core::io::{DialId, Input, Output, PortId};
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

const POPUP: PortId = PortId(2);

/// An open session whose client `main` has this filter.
fn filtered(options: Value, filter: Value) -> (Harness, DialId) {
    let mut harness = Harness::with_client();
    let dial = harness.opens(options);
    subscribe(&mut harness, PORT, filter);
    (harness, dial)
}

fn subscribe(harness: &mut Harness, port: PortId, filter: Value) {
    harness.send(
        port,
        json!({"type":"subscribe","session":"s","id":"u","key":"k","filter":filter}),
    );
    let answers = harness.receive_types(port);
    assert!(answers.starts_with(&["ok".to_owned()]), "{answers:?}");
}

/// The messages and gaps that this port received, and nothing else.
fn messages(harness: &mut Harness, port: PortId) -> Vec<Value> {
    let mut messages = Vec::new();
    while harness.delivered.iter().any(|(to, _)| *to == port) {
        let frame = harness.receive(port);
        assert_ne!(frame["type"], "gap", "what a filter keeps back is no loss");
        if frame["type"] == "message" {
            messages.push(frame);
        }
    }
    messages
}

fn texts(harness: &mut Harness, port: PortId) -> Vec<String> {
    let frames = messages(harness, port);
    frames
        .iter()
        .map(|frame| frame["text"].as_str().expect("text").to_owned())
        .collect()
}

fn report(harness: &mut Harness) -> Value {
    harness.send(PORT, json!({"type": "status", "id": "q"}));
    let total = harness.receive(PORT)["total"].clone();
    assert_eq!(harness.delivered.len(), 0);
    total
}

fn detach_and_return(harness: &mut Harness, meanwhile: impl FnOnce(&mut Harness)) {
    harness.give(Input::PortClosed(PORT));
    meanwhile(harness);
    harness.open_port(PORT, "main");
    harness.send(PORT, json!({"type": "open", "id": "o2", "session": "s"}));
}

#[test]
fn a_dropped_message_is_counted_and_not_stored() {
    let (mut harness, dial) = filtered(json!({}), json!([{"when":{"/type":"noise"},"do":"drop"}]));
    harness.server_sends(dial, &[r#"{"type":"noise"}"#, r#"{"type":"news"}"#, "no JSON"]);
    assert_eq!(texts(&mut harness, PORT), [r#"{"type":"news"}"#, "no JSON"]);
    let total = report(&mut harness);
    assert_eq!(
        (&total["filtered"]["dropped"], &total["queued"], &total["dropped"]),
        (&json!(1), &json!(2), &json!(0))
    );
    harness.send(
        PORT,
        json!({"type":"unsubscribe","session":"s","id":"v","key":"k"}),
    );
    harness.receive_types(PORT);
    harness.server_sends(dial, &[r#"{"type":"noise"}"#]);
    assert_eq!(texts(&mut harness, PORT), [r#"{"type":"noise"}"#]);
}

#[test]
fn a_returning_worker_receives_the_last_message_of_each_key() {
    let (mut harness, dial) = filtered(
        json!({"queue": {"messages": 10}}),
        json!([{"when":{"/t":"p"},"do":"conflate","key":"/s"}]),
    );
    detach_and_return(&mut harness, |harness| {
        harness.server_sends(dial, &["first"]);
        for price in 0..1000 {
            let both = ["eur", "usd"].map(|s| json!({"t": "p", "s": s, "v": price}).to_string());
            harness.server_sends(dial, &[&both[0], &both[1]]);
        }
        harness.server_sends(dial, &["last"]);
    });
    let frames = texts(&mut harness, PORT);
    assert_eq!(frames.len(), 4, "{frames:?}");
    assert_eq!((frames[0].as_str(), frames[3].as_str()), ("first", "last"));
    assert!(frames[1].contains(r#""s":"eur""#) && frames[1].contains("999"));
    assert!(frames[2].contains(r#""s":"usd""#) && frames[2].contains("999"));
    let total = report(&mut harness);
    assert_eq!(
        (&total["filtered"]["conflated"], &total["dropped"]),
        (&json!(1998), &json!(0))
    );
}

#[test]
fn a_delivered_message_is_never_replaced() {
    let (mut harness, dial) = filtered(json!({}), json!([{"do":"conflate"}]));
    let window = |harness: &mut Harness, size: u32| {
        harness.send(
            PORT,
            json!({"type":"window","session":"s","messages":size,"bytes":size}),
        );
    };
    harness.server_sends(dial, &["one"]);
    window(&mut harness, 0);
    harness.server_sends(dial, &["two", "three"]);
    window(&mut harness, 1000);
    assert_eq!(texts(&mut harness, PORT), ["one", "three"]);
    assert_eq!(report(&mut harness)["filtered"]["conflated"], 1);
}

#[test]
fn held_messages_are_delivered_in_order_before_the_next_unheld_one() {
    let (mut harness, dial) = filtered(json!({}), json!([{"when":{"/low":true},"do":"hold"}]));
    harness.server_sends(dial, &[r#"{"low":true,"n":1}"#, r#"{"low":true,"n":2}"#]);
    assert!(
        messages(&mut harness, PORT).is_empty(),
        "no client receives anything"
    );
    harness.server_sends(dial, &[r#"{"n":3}"#]);
    let frames = messages(&mut harness, PORT);
    let seqs: Vec<u64> = frames
        .iter()
        .map(|frame| frame["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(frames.len(), 3);
    assert!(seqs.is_sorted(), "{seqs:?}");
    harness.server_sends(dial, &[r#"{"low":true,"n":4}"#]);
    assert!(messages(&mut harness, PORT).is_empty());
    harness.passes(Duration::from_secs(5));
    assert_eq!(harness.receive_types(PORT), [""; 0], "holding is no stall");
    detach_and_return(&mut harness, |_| ());
    let frames = messages(&mut harness, PORT);
    assert_eq!(
        frames.last().unwrap()["text"],
        r#"{"low":true,"n":4}"#,
        "who attaches is awake"
    );
    assert_eq!(report(&mut harness)["filtered"]["held"], 3);
}

#[test]
fn held_messages_are_delivered_when_a_full_log_pauses_the_server() {
    let queue = json!({"queue":{"messages":2,"overflow":"pause"}});
    let (mut harness, dial) = filtered(queue, json!([{"do":"hold"}]));
    harness.server_sends(dial, &["one", "two"]);
    assert!(matches!(harness.asked.pop_front(), Some(Output::Pause(_))));
    assert_eq!(texts(&mut harness, PORT), ["one", "two"]);
}

#[test]
fn new_filter_lines_release_held_messages() {
    let (mut harness, dial) = filtered(json!({}), json!([{"do":"hold"}]));
    harness.server_sends(dial, &["one"]);
    assert!(messages(&mut harness, PORT).is_empty());
    harness.send(
        PORT,
        json!({"type":"subscribe","session":"s","id":"u2","key":"k","filter":[]}),
    );
    assert_eq!(texts(&mut harness, PORT), ["one"]);
}

#[test]
fn each_client_has_its_own_filter() {
    let (mut harness, dial) = filtered(json!({}), json!([{"when":{"/p":1},"do":"project","keep":["/a"]}]));
    harness.open_port(POPUP, "popup");
    harness.send(POPUP, json!({"type": "open", "id": "o", "session": "s"}));
    harness.receive_types(POPUP);
    harness.send(
        POPUP,
        json!({"type":"subscribe","session":"s","id":"u","key":"other","filter":[{"when":{"/p":2},"do":"drop"}]}),
    );
    harness.receive_types(POPUP);
    harness.receive_types(PORT);
    harness.server_sends(dial, &[r#"{"p":1,"a":2}"#, r#"{"p":2}"#]);
    let main = messages(&mut harness, PORT);
    assert_eq!(
        (&main[0]["json"], &main[1]["text"]),
        (&json!({"a": 2}), &json!(r#"{"p":2}"#))
    );
    assert_eq!(texts(&mut harness, POPUP), [r#"{"p":1,"a":2}"#]);
    let filtered = report(&mut harness)["filtered"].clone();
    assert_eq!(
        (&filtered["projected"], &filtered["dropped"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn a_sample_reduces_a_stream() {
    let (mut harness, dial) = filtered(json!({}), json!([{"do":"sample","interval":1000}]));
    for number in 0..10 {
        harness.server_sends(dial, &[&number.to_string()]);
        harness.passes(Duration::from_millis(400));
    }
    assert_eq!(texts(&mut harness, PORT), ["0", "3", "6", "9"]);
    assert_eq!(report(&mut harness)["filtered"]["sampled"], 6);
}

#[test]
fn an_invalid_filter_line_is_refused_with_its_number() {
    let mut harness = Harness::with_client();
    harness.opens(json!({}));
    let frame = json!({"type":"subscribe","session":"s","id":"u","key":"k",
        "filter":[{"do":"drop"},{"do":"explode"}]});
    let refusal =
        longwire::wire::message::ClientFrame::parse(frame.to_string().as_bytes()).expect_err("refused");
    assert!(refusal.error.message.contains("line 2"), "{refusal:?}");
}

#[test]
fn filtered_messages_do_not_pause_the_server() {
    let options = json!({"queue":{"messages":2,"overflow":"pause"}});
    let (mut harness, dial) = filtered(options, json!([{"when":{"/type":"noise"},"do":"drop"}]));
    harness.open_port(POPUP, "popup");
    harness.send(POPUP, json!({"type": "open", "id": "o", "session": "s"}));
    harness.give(Input::PortClosed(POPUP));
    harness.server_sends(dial, &[r#"{"type":"noise"}"#; 5]);
    assert!(
        harness.asked.is_empty(),
        "only the popup wants it, and is away: {:?}",
        harness.asked
    );
}
