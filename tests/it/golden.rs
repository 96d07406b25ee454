//! Journals of version 1, as the first released format wrote them: they load for ever, with the same meaning.
//!
//! `tests/fixtures/journal-v1/README.md` says how they were made. They are never regenerated.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longwire::core::io::{Caller, Input, LinkEvent, Output, PortId};
use longwire::core::journal::RawRecord;
use longwire::journal::{Journals, Quota, Recovered};
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

const ORIGIN: &str = "chrome-extension://abcdefghijklmnopabcdefghijklmnop/";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-v1")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The journals of one folder, read from a copy; by name, so that their order is always the same.
fn recovered(name: &str) -> Vec<Recovered> {
    let scratch = tempfile::tempdir().unwrap();
    let journals = scratch.path().join("journal");
    copy(&folder().join(name), &journals);
    let (_journals, mut recovered) = Journals::open(&journals, Quota::default()).unwrap();
    recovered.sort_by(|one, other| one.id.0.cmp(&other.id.0));
    recovered
}

/// Which boot of the machine wrote this journal.
fn machine_boot(records: &[RawRecord]) -> String {
    let meta = records
        .iter()
        .find(|record| record.kind == 1)
        .expect("it has a name");
    let meta: Value = serde_json::from_slice(&meta.data).unwrap();
    meta["machine_boot"].as_str().unwrap().to_owned()
}

/// What a hub delivers to each client of the sessions that it restores, on the same boot of the machine or on another.
fn restored(name: &str, same_boot: bool) -> Value {
    let recovered = recovered(name);
    let boot = machine_boot(&recovered[0].records);
    let mut harness = Harness::on(if same_boot { &boot } else { "another boot" }, 1);
    for journal in &recovered {
        assert_eq!(journal.damage, None);
        harness
            .hub
            .restore(harness.now, journal.id.clone(), &journal.records, journal.damage)
            .expect("it can be used");
    }
    let mut received = serde_json::Map::new();
    for (port, client) in [(PORT, "main"), (PortId(2), "popup")] {
        let caller = Caller::Extension {
            origin: ORIGIN.into(),
        };
        harness.give(Input::PortOpened(port, caller));
        harness.send(port, json!({"type": "hello", "protocol": 1, "client": client}));
        let welcome = harness.receive(port);
        for session in welcome["sessions"].as_array().unwrap() {
            harness.send(
                port,
                json!({"type": "open", "id": "o", "session": session["session"]}),
            );
        }
        let frames: Vec<Value> = std::iter::from_fn(|| harness.delivered.pop_front())
            .map(|(_, frame)| frame)
            .collect();
        received.insert(
            client.to_owned(),
            json!({"sessions": welcome["sessions"], "told": frames}),
        );
    }
    // Requests end when their time is over: what they waited for was kept as well.
    harness.passes(Duration::from_secs(3600));
    let frames: Vec<Value> = std::iter::from_fn(|| harness.delivered.pop_front())
        .map(|(_, frame)| frame)
        .collect();
    received.insert("an hour later".to_owned(), frames.into());
    Value::Object(received)
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn version_1_journals_are_restored_unchanged() {
    let expected = fs::read_to_string(folder().join("expected.json")).unwrap_or_default();
    let expected: Value = serde_json::from_str(&expected).unwrap_or_default();
    assert_eq!(names().len(), 8);
    for name in names() {
        for (boot, same) in [("same boot", true), ("another boot", false)] {
            let received = restored(&name, same);
            assert_eq!(received, expected[&name][boot], "{name}, {boot}: {received}");
        }
    }
}

#[test]
fn version_1_journals_contain_every_record_kind() {
    let mut kinds: Vec<u8> = names()
        .iter()
        .flat_map(|name| recovered(name))
        .flat_map(|journal| journal.records)
        .map(|record| record.kind)
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn restored_messages_are_sent_in_order_and_settled() {
    let recovered = recovered("outbox");
    let mut harness = Harness::on(&machine_boot(&recovered[0].records), 1);
    let journal = &recovered[0];
    harness
        .hub
        .restore(harness.now, journal.id.clone(), &journal.records, None)
        .unwrap();
    let caller = Caller::Extension {
        origin: ORIGIN.into(),
    };
    harness.give(Input::PortOpened(PORT, caller));
    harness.send(PORT, json!({"type": "hello", "protocol": 1}));
    harness.asked.clear();
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"out","url":"ws://127.0.0.1:1"}),
    );
    let dials = harness.asked.iter().find_map(|output| match output {
        Output::Dial(dial, _) => Some(*dial),
        _ => None,
    });
    let dial = dials.expect("it dials");
    harness.asked.clear();
    harness.give(Input::Link(
        dial,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    let written: Vec<String> = harness
        .asked
        .iter()
        .filter_map(|output| match output {
            Output::Transmit(_, payload) => Some(String::from_utf8_lossy(payload.bytes()).into_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(
        written,
        [
            "ttl",
            "first",
            r#"{"z": [1, {"y": null}]}"#,
            r#"{"n": 9}"#,
            r#"{"id": 3}"#,
            r#"{"id": 4, "jsonrpc": "2.0", "method": "x"}"#,
            "\0\u{1}\u{2}\u{3}\u{4}\u{fffd}",
        ]
    );
    harness.delivered.clear();
    harness.server_sends(dial, &[r#"{"re":3.0}"#, r#"{"id":4,"result":1}"#, r#"{"ok":9}"#]);
    let ends: Vec<Value> = std::iter::from_fn(|| harness.delivered.pop_front())
        .map(|(_, frame)| json!([frame["type"], frame["id"], frame["outcome"]]))
        .collect();
    assert_eq!(
        ends[..3],
        [
            json!(["response", "f", null]),
            json!(["response", "g", null]),
            json!(["outcome", "e", "confirmed"])
        ]
    );
}
