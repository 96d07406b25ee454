//! `close` behind a flood: the server gets every message that was accepted, in order, and each has one outcome.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::server::NumberServer;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;

/// Sends `count` messages of `size` bytes and `close` in one batch; what the server received, and the outcome of each id.
fn flood(count: usize, size: usize, options: Value) -> (Vec<String>, BTreeMap<String, Vec<String>>, Value) {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    host.send(&json!({"type": "open", "id": "o", "session": "s", "url": server.url, "options": options}));
    host.find("open", |frame| frame["state"] == "open");
    let text = |number: usize| format!("{number:06}{}", "x".repeat(size - 6));
    let mut frames: Vec<Value> = (0..count)
        .map(|number| {
            let id = format!("{number:06}");
            json!({"type": "send", "session": "s", "id": id, "text": text(number), "receipt": true})
        })
        .collect();
    frames.push(json!({"type": "close", "session": "s", "id": "c"}));
    host.send(&json!({"type": "batch", "frames": frames}));
    let detached = host.expect("detached");
    let mut reported: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for frame in host.passed() {
        let word = match frame["type"].as_str() {
            Some("outcome") => &frame["outcome"],
            Some("error") => &frame["code"],
            _ => continue,
        };
        let id = frame["id"].as_str().unwrap().to_owned();
        reported
            .entry(id)
            .or_default()
            .push(word.as_str().unwrap().to_owned());
    }
    let received = server.received();
    assert!(
        received.iter().all(|text| text.len() == size),
        "a message was cut"
    );
    let ids = received.into_iter().map(|text| text[..6].to_owned()).collect();
    (ids, reported, detached)
}

#[test]
fn a_flood_of_small_messages_is_written_before_the_close_frame() {
    let (received, reported, detached) = flood(20_000, 10, json!({"outbox": {"messages": 20_000}}));
    let all: Vec<String> = (0..20_000).map(|number| format!("{number:06}")).collect();
    assert_eq!(received.len(), all.len());
    assert_eq!(received, all);
    assert_eq!(reported.len(), 20_000);
    assert!(reported.values().all(|words| words == &["sent"]));
    assert_eq!(
        (&detached["reason"], &detached["clean"]),
        (&json!("closed"), &json!(true))
    );
}

#[test]
fn a_flood_of_large_messages_is_written_or_refused_before_it_is_accepted() {
    let (received, reported, detached) = flood(100, 100_000, json!({}));
    assert_eq!(reported.len(), 100);
    let with = |word: &str| -> Vec<String> {
        let those = reported.iter().filter(|(_, words)| words == &&[word]);
        those.map(|(id, _)| id.clone()).collect()
    };
    assert_eq!(received, with("sent"), "in order, and nothing else");
    assert_eq!(received.len() + with("outbox-full").len(), 100, "{reported:?}");
    assert!(received.len() >= 80, "8 MiB fit: {}", received.len());
    assert_eq!(detached["clean"], true);
}
