//! The bridge to an image generator: 500 panels, by socket, event stream and polling.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::System;
use crate::support::scratch::Scratch;

/// Panels until the batch is complete, acknowledged as they come.
fn panels(system: &mut System, session: &str) -> BTreeSet<u64> {
    let mut panels = BTreeSet::new();
    loop {
        let message = system.host.find("progress", |frame| {
            frame["type"] == "message" && frame["session"] == session
        });
        system.says(json!({"type":"ack","session":session,"seq":message["seq"]}));
        match message["json"]["type"].as_str() {
            Some("progress") => {
                panels.insert(message["json"]["panel"].as_u64().unwrap());
            }
            Some("completed") => return panels,
            _ => {}
        }
    }
}

#[test]
fn finishes_its_batch_through_a_lost_link() {
    let Some(mut system) = System::of("image-bridge", &[]) else {
        return;
    };
    let url = system.server.ws("/");
    system.opens(
        "batches",
        url,
        json!({"format":"json","reconnect":{"minDelay":5}}),
    );
    system.says(json!({"type":"subscribe","session":"batches","id":"w","key":"b1",
        "send":[{"json":{"type":"watch","batchId":"b1"}}],"confirm":{"/type":"watching","/batchId":"b1"}}));
    system.says(json!({"type":"request","session":"batches","id":"g",
        "json":{"type":"generate","id":"g","batchId":"b1","panels":500},
        "match":{"out":"/id","in":"/id"},"ifLost":"resend"}));
    assert_eq!(system.host.expect("response")["json"]["batchId"], "b1");
    system.told("progress");
    // The link breaks in the middle, the server goes on.
    system.says(json!({"type":"send","session":"batches","json":{"type":"fault"}}));
    assert_eq!(panels(&mut system, "batches").len(), 500);
    system.host.find("active again", |frame| {
        frame["type"] == "subscription" && frame["state"] == "active"
    });
    assert_eq!(system.status()["sessions"][0]["reconnects"], 1);
}

#[test]
fn is_heard_by_polling_and_by_its_event_stream_too() {
    let Some(mut system) = System::of("image-bridge", &[]) else {
        return;
    };
    let (tasks, post) = (
        system.server.url("/tasks/pending"),
        system.server.url("/tasks/result"),
    );
    let poll = json!({"protocol":"poll","format":"json","post":{"url":post},
        "poll":{"interval":5,"items":"/tasks","cursor":{"item":"/id","query":"after"}}});
    system.opens("poll", tasks, poll);
    let events = system.server.url("/events");
    system.opens("stream", events, json!({"protocol":"sse","format":"json"}));
    let url = system.server.ws("/");
    system.opens("socket", url, json!({}));
    let generate = json!({"type":"generate","id":1,"batchId":"b2","panels":500});
    system.says(json!({"type":"send","session":"socket","json":generate}));
    assert_eq!(panels(&mut system, "poll").len(), 500);
    assert_eq!(panels(&mut system, "stream").len(), 500);
    system.says(json!({"type":"send","session":"poll","id":"done","json":{"batchId":"b2"},"receipt":true}));
    assert_eq!(system.host.expect("outcome")["outcome"], "confirmed");
}

#[test]
fn has_a_host_name_of_its_own() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.folder().join(".config/chromium")).unwrap();
    let output = scratch
        .command()
        .args([
            "install",
            "--name",
            "com.semantest.bridge",
            "--browser",
            "chromium",
            "--json",
        ])
        .args(["--extension", "hclnghhgacddobflaigcphghaobnpmjo"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let manifest = scratch
        .folder()
        .join(".config/chromium/NativeMessagingHosts/com.semantest.bridge.json");
    let manifest: Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    assert_eq!(manifest["name"], "com.semantest.bridge");
    assert_eq!(
        manifest["allowed_origins"],
        json!(["chrome-extension://hclnghhgacddobflaigcphghaobnpmjo/"])
    );
}
