//! Filters: a sleeping worker gets what it asked for, and nothing is lost without being counted.

use std::time::Duration;

use longwire::core::io::{DialId, Input, PortId};
use serde_json::{Value, json};

use crate::stage::{PORT, Stage};

const POPUP: PortId = PortId(2);

/// An open session whose client `main` has this filter.
fn filtered(options: Value, filter: Value) -> (Stage, DialId) {
    let mut stage = Stage::with_client();
    let dial = stage.opens(options);
    subscribe(&mut stage, PORT, filter);
    (stage, dial)
}

fn subscribe(stage: &mut Stage, port: PortId, filter: Value) {
    stage.says(
        port,
        json!({"type":"subscribe","session":"s","id":"u","key":"k","filter":filter}),
    );
    let answers = stage.hears_types(port);
    assert!(answers.starts_with(&["ok".to_owned()]), "{answers:?}");
}

/// What this port is told of messages, and nothing else.
fn messages(stage: &mut Stage, port: PortId) -> Vec<Value> {
    let mut messages = Vec::new();
    while stage.told.iter().any(|(to, _)| *to == port) {
        let frame = stage.hears(port);
        assert_ne!(frame["type"], "gap", "what a filter keeps back is no loss");
        if frame["type"] == "message" {
            messages.push(frame);
        }
    }
    messages
}

fn texts(stage: &mut Stage, port: PortId) -> Vec<String> {
    let told = messages(stage, port);
    told.iter()
        .map(|frame| frame["text"].as_str().expect("text").to_owned())
        .collect()
}

fn report(stage: &mut Stage) -> Value {
    stage.says(PORT, json!({"type": "status", "id": "q"}));
    let total = stage.hears(PORT)["total"].clone();
    assert_eq!(stage.told.len(), 0);
    total
}

fn sleeps_and_comes_back(stage: &mut Stage, meanwhile: impl FnOnce(&mut Stage)) {
    stage.give(Input::PortClosed(PORT));
    meanwhile(stage);
    stage.comes(PORT, "main");
    stage.says(PORT, json!({"type": "open", "id": "o2", "session": "s"}));
}

#[test]
fn a_dropped_message_is_counted_and_not_kept() {
    let (mut stage, dial) = filtered(json!({}), json!([{"when":{"/type":"noise"},"do":"drop"}]));
    stage.server_says(dial, &[r#"{"type":"noise"}"#, r#"{"type":"news"}"#, "no JSON"]);
    assert_eq!(texts(&mut stage, PORT), [r#"{"type":"news"}"#, "no JSON"]);
    let total = report(&mut stage);
    assert_eq!(
        (&total["filtered"]["dropped"], &total["queued"], &total["dropped"]),
        (&json!(1), &json!(2), &json!(0))
    );
    stage.says(
        PORT,
        json!({"type":"unsubscribe","session":"s","id":"v","key":"k"}),
    );
    stage.hears_types(PORT);
    stage.server_says(dial, &[r#"{"type":"noise"}"#]);
    assert_eq!(texts(&mut stage, PORT), [r#"{"type":"noise"}"#]);
}

#[test]
fn a_sleeping_worker_wakes_to_the_last_of_each_key() {
    let (mut stage, dial) = filtered(
        json!({"queue": {"messages": 10}}),
        json!([{"when":{"/t":"p"},"do":"conflate","key":"/s"}]),
    );
    sleeps_and_comes_back(&mut stage, |stage| {
        stage.server_says(dial, &["first"]);
        for price in 0..1000 {
            let both = ["eur", "usd"].map(|s| json!({"t": "p", "s": s, "v": price}).to_string());
            stage.server_says(dial, &[&both[0], &both[1]]);
        }
        stage.server_says(dial, &["last"]);
    });
    let told = texts(&mut stage, PORT);
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!((told[0].as_str(), told[3].as_str()), ("first", "last"));
    assert!(told[1].contains(r#""s":"eur""#) && told[1].contains("999"));
    assert!(told[2].contains(r#""s":"usd""#) && told[2].contains("999"));
    let total = report(&mut stage);
    assert_eq!(
        (&total["filtered"]["conflated"], &total["dropped"]),
        (&json!(1998), &json!(0))
    );
}

#[test]
fn what_was_delivered_is_never_taken_back() {
    let (mut stage, dial) = filtered(json!({}), json!([{"do":"conflate"}]));
    let window = |stage: &mut Stage, size: u32| {
        stage.says(
            PORT,
            json!({"type":"window","session":"s","messages":size,"bytes":size}),
        );
    };
    stage.server_says(dial, &["one"]);
    window(&mut stage, 0);
    stage.server_says(dial, &["two", "three"]);
    window(&mut stage, 1000);
    assert_eq!(texts(&mut stage, PORT), ["one", "three"]);
    assert_eq!(report(&mut stage)["filtered"]["conflated"], 1);
}

#[test]
fn held_messages_go_out_in_order_before_the_next_that_is_not() {
    let (mut stage, dial) = filtered(json!({}), json!([{"when":{"/low":true},"do":"hold"}]));
    stage.server_says(dial, &[r#"{"low":true,"n":1}"#, r#"{"low":true,"n":2}"#]);
    assert!(messages(&mut stage, PORT).is_empty(), "nobody is woken for them");
    stage.server_says(dial, &[r#"{"n":3}"#]);
    let told = messages(&mut stage, PORT);
    let seqs: Vec<u64> = told.iter().map(|frame| frame["seq"].as_u64().unwrap()).collect();
    assert_eq!(told.len(), 3);
    assert!(seqs.is_sorted(), "{seqs:?}");
    stage.server_says(dial, &[r#"{"low":true,"n":4}"#]);
    assert!(messages(&mut stage, PORT).is_empty());
    stage.passes(Duration::from_secs(5));
    assert_eq!(stage.hears_types(PORT), [""; 0], "holding is no stall");
    sleeps_and_comes_back(&mut stage, |_| ());
    let told = messages(&mut stage, PORT);
    assert_eq!(
        told.last().unwrap()["text"],
        r#"{"low":true,"n":4}"#,
        "who attaches is awake"
    );
    assert_eq!(report(&mut stage)["filtered"]["held"], 3);
}

#[test]
fn other_lines_release_what_was_held() {
    let (mut stage, dial) = filtered(json!({}), json!([{"do":"hold"}]));
    stage.server_says(dial, &["one"]);
    assert!(messages(&mut stage, PORT).is_empty());
    stage.says(
        PORT,
        json!({"type":"subscribe","session":"s","id":"u2","key":"k","filter":[]}),
    );
    assert_eq!(texts(&mut stage, PORT), ["one"]);
}

#[test]
fn each_client_has_its_own_filter() {
    let (mut stage, dial) = filtered(json!({}), json!([{"when":{"/p":1},"do":"project","keep":["/a"]}]));
    stage.comes(POPUP, "popup");
    stage.says(POPUP, json!({"type": "open", "id": "o", "session": "s"}));
    stage.hears_types(POPUP);
    stage.says(
        POPUP,
        json!({"type":"subscribe","session":"s","id":"u","key":"other","filter":[{"when":{"/p":2},"do":"drop"}]}),
    );
    stage.hears_types(POPUP);
    stage.hears_types(PORT);
    stage.server_says(dial, &[r#"{"p":1,"a":2}"#, r#"{"p":2}"#]);
    let main = messages(&mut stage, PORT);
    assert_eq!(
        (&main[0]["json"], &main[1]["text"]),
        (&json!({"a": 2}), &json!(r#"{"p":2}"#))
    );
    assert_eq!(texts(&mut stage, POPUP), [r#"{"p":1,"a":2}"#]);
    let filtered = report(&mut stage)["filtered"].clone();
    assert_eq!(
        (&filtered["projected"], &filtered["dropped"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn a_sample_thins_a_stream_out() {
    let (mut stage, dial) = filtered(json!({}), json!([{"do":"sample","interval":1000}]));
    for number in 0..10 {
        stage.server_says(dial, &[&number.to_string()]);
        stage.passes(Duration::from_millis(400));
    }
    assert_eq!(texts(&mut stage, PORT), ["0", "3", "6", "9"]);
    assert_eq!(report(&mut stage)["filtered"]["sampled"], 6);
}

#[test]
fn a_bad_line_is_refused_by_number() {
    let mut stage = Stage::with_client();
    stage.opens(json!({}));
    let frame = json!({"type":"subscribe","session":"s","id":"u","key":"k",
        "filter":[{"do":"drop"},{"do":"explode"}]});
    let refusal =
        longwire::wire::message::ClientFrame::parse(frame.to_string().as_bytes()).expect_err("refused");
    assert!(refusal.error.message.contains("line 2"), "{refusal:?}");
}

#[test]
fn what_a_filter_keeps_back_is_not_waited_for() {
    let options = json!({"queue":{"messages":2,"overflow":"pause"}});
    let (mut stage, dial) = filtered(options, json!([{"when":{"/type":"noise"},"do":"drop"}]));
    stage.comes(POPUP, "popup");
    stage.says(POPUP, json!({"type": "open", "id": "o", "session": "s"}));
    stage.give(Input::PortClosed(POPUP));
    stage.server_says(dial, &[r#"{"type":"noise"}"#; 5]);
    assert!(
        stage.asked.is_empty(),
        "only the popup wants it, and is away: {:?}",
        stage.asked
    );
}
