//! The bridge to an image generator: 500 panels, by socket, event stream and polling.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::System;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;

/// What came of a batch.
#[derive(Debug, Default)]
struct Batch {
    panels: BTreeSet<u64>,
    retried: BTreeSet<u64>,
    completed: bool,
}

impl Batch {
    /// Takes messages, acknowledged as they come, until the batch is complete or has so many panels.
    fn receive(&mut self, system: &mut System, session: &str, until: usize) {
        while !self.completed && self.panels.len() < until {
            let message = system.host.find("progress", |frame| {
                frame["type"] == "message" && frame["session"] == session
            });
            system.send(json!({"type":"ack","session":session,"seq":message["seq"]}));
            let panel = message["json"]["panel"].as_u64();
            match message["json"]["type"].as_str() {
                Some("progress") => drop(self.panels.insert(panel.unwrap())),
                Some("retry") => drop(self.retried.insert(panel.unwrap())),
                Some("completed") => self.completed = true,
                _ => {}
            }
        }
    }

    fn whole(system: &mut System, session: &str) {
        let mut batch = Self::default();
        batch.receive(system, session, usize::MAX);
        batch.is_whole();
    }

    fn is_whole(&self) {
        assert_eq!(self.panels, (1..=500).collect());
        assert_eq!(self.retried, [100, 200, 300, 400, 500].into());
    }
}

fn generate(batch: &str) -> Value {
    json!({"type":"generate","id":"g","batchId":batch,"panels":500})
}

#[test]
fn finishes_its_batch_despite_a_lost_link_and_a_terminated_worker() {
    let Some(mut system) = System::of("image-bridge", &[]) else {
        return;
    };
    let url = system.server.ws("/");
    let options = json!({"format":"json","reconnect":{"minDelay":5}});
    system.opens("batches", url.clone(), options.clone());
    system.send(json!({"type":"subscribe","session":"batches","id":"w","key":"b1",
        "send":[{"json":{"type":"watch","batchId":"b1"}}],"confirm":{"/type":"watching","/batchId":"b1"}}));
    system.send(
        json!({"type":"request","session":"batches","id":"g","json":generate("b1"),
        "match":{"out":"/id","in":"/id"},"ifLost":"resend"}),
    );
    assert_eq!(system.host.expect("response")["json"]["batchId"], "b1");
    let active = |system: &mut System| {
        system.host.find("an active subscription", |frame| {
            frame["type"] == "subscription" && frame["state"] == "active"
        })
    };
    active(&mut system);
    let mut batch = Batch::default();
    batch.receive(&mut system, "batches", 50);
    // The link breaks in the middle, the server continues.
    system.send(json!({"type":"send","session":"batches","json":{"type":"fault"}}));
    active(&mut system);
    assert_eq!(system.status()["sessions"][0]["reconnects"], 1);
    // The worker stops as well: the port closes, and another one continues at its position.
    system.host.kill();
    system.host = HostProcess::chromium(&system.scratch);
    system.host.hello();
    let opened = system.opens("batches", url, options);
    assert_eq!(
        (&opened["created"], &opened["resume"]),
        (&json!(false), &json!("exact"))
    );
    batch.receive(&mut system, "batches", usize::MAX);
    batch.is_whole();
}

#[test]
fn is_read_by_polling_and_by_event_stream() {
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
    system.send(json!({"type":"send","session":"socket","json":generate("b2")}));
    Batch::whole(&mut system, "poll");
    Batch::whole(&mut system, "stream");
    system.send(json!({"type":"send","session":"poll","id":"done","json":{"batchId":"b2"},"receipt":true}));
    assert_eq!(system.host.expect("outcome")["outcome"], "confirmed");
}

#[test]
fn uses_the_next_transport_if_one_is_unavailable_and_never_two() {
    for (down, expected) in [
        ("", vec!["websocket"]),
        ("websocket", vec!["websocket", "sse"]),
        ("websocket,sse", vec!["websocket", "sse", "poll"]),
    ] {
        let Some(mut system) = System::of("image-bridge", &[("DOWN", down)]) else {
            return;
        };
        let url = |path: &str| system.server.url(path);
        let options = json!({"format":"json","reconnect":{"minDelay":5},
            "transports":["websocket","sse","poll"],
            "urls":{"sse":url("/events"),"poll":url("/tasks/pending")},
            "poll":{"interval":5,"items":"/tasks","cursor":{"item":"/id","query":"after"}},
            "post":{"url":url("/tasks")}});
        let url = system.server.ws("/");
        system.opens("batches", url, options);
        // The same messages by every transport: written on the socket, or posted.
        system.send(json!({"type":"subscribe","session":"batches","id":"w","key":"b3",
            "send":[{"json":{"type":"watch","batchId":"b3"}}]}));
        system.send(json!({"type":"send","session":"batches","json":generate("b3")}));
        assert_eq!(
            system.state("open")["transport"].as_str(),
            expected.last().copied(),
            "{down}"
        );
        Batch::whole(&mut system, "batches");
        let transports = system.got("/transports");
        assert_eq!(
            (&transports["asked"], &transports["most"]),
            (&json!(expected), &json!(1)),
            "{down}"
        );
    }
}

#[test]
fn has_its_own_host_name() {
    const EXTENSION: &str = "hclnghhgacddobflaigcphghaobnpmjo";
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
        ])
        .args(["--json", "--extension", EXTENSION])
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
    let origin = format!("chrome-extension://{EXTENSION}/");
    assert_eq!(manifest["allowed_origins"], json!([origin]));
    // What the browser would start by it is a host that answers this extension.
    let mut command = std::process::Command::new(PathBuf::from(manifest["path"].as_str().unwrap()));
    scratch.apply_environment(&mut command);
    command.arg(&origin);
    let mut host = HostProcess::spawn(command);
    assert_eq!(host.hello()["origin"], json!(origin));
}
