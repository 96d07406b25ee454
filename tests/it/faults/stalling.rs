//! A disk that stalls: nothing is confirmed before it is written, and other sessions do not wait.

use serde_json::{Value, json};

use super::stall::Stall;
use crate::support::broker::RawPort;
use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::{ORIGIN, OTHER_ORIGIN, SOON, eventually, is_alive};

/// Sessions on disk that one extension opens: as many as it may in one profile, but for a few.
const SESSIONS: usize = 250;

fn open(url: &str, session: &str, durability: &str) -> Value {
    let options = json!({"durability": durability, "proxy": "none"});
    json!({"type": "open", "id": session, "session": session, "url": url, "options": options})
}

/// What has come from the broker already.
fn received(host: &mut HostProcess) -> Option<Value> {
    std::iter::from_fn(|| host.try_next()).find(|frame| frame["type"] != "host")
}

/// The status report of the broker.
fn status(admin: &mut RawPort) -> Value {
    admin.send(&json!({"type": "hello", "protocol": 1}));
    admin.send(&json!({"type": "status", "id": "s"}));
    loop {
        let frame = admin.next().expect("a status");
        let mut frames = frame["frames"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![frame])
            .into_iter();
        if let Some(status) = frames.find(|frame| frame["type"] == "status") {
            return status;
        }
    }
}

#[test]
fn a_stalled_disk_of_one_extension_does_not_block_others() {
    let (disk, scratch) = Stall::at("journal.sync.before");
    let echo = Echo::start();
    let mut other = HostProcess::of(&scratch, OTHER_ORIGIN);
    other.send(&open(&echo.url(), "echo", "memory"));
    other.find("the link", |frame| frame["state"] == "open");
    let mut busy = HostProcess::of(&scratch, ORIGIN);
    for number in 0..SESSIONS {
        busy.send(&open(&echo.url(), &format!("d{number}"), "disk"));
    }
    let mut admin = RawPort::admin(&scratch);
    eventually(SOON, "all sessions are there", || {
        (status(&mut admin)["sessions"].as_array()?.len() == SESSIONS + 1).then_some(())
    });
    for number in 0..100 {
        let text = number.to_string();
        other.send(&json!({"type": "send", "session": "echo", "id": text, "text": text}));
        other.find("the echo", |frame| frame["text"] == text.as_str());
    }
    assert_eq!(received(&mut busy), None, "reported before it was on disk");
    let _on = disk.go_on();
    for number in 0..SESSIONS {
        let name = format!("d{number}");
        busy.find("opened", |frame| {
            frame["type"] == "opened" && frame["session"] == name.as_str()
        });
    }
}

#[test]
fn a_message_is_neither_accepted_nor_sent_before_it_is_on_disk() {
    let (disk, scratch) = Stall::at("journal.sync.before");
    let echo = Echo::start();
    let mut extension = HostProcess::of(&scratch, ORIGIN);
    extension.send(&open(&echo.url(), "d", "disk"));
    extension.send(&json!({"type": "send", "session": "d", "id": "1", "text": "kept", "receipt": true}));
    extension.send(&json!({"type": "ping", "id": "behind"}));
    let mut admin = RawPort::admin(&scratch);
    // A status request is answered, and shows that the message waits.
    eventually(SOON, "the message is in the outbox", || {
        (status(&mut admin)["total"]["outbox"] == 1).then_some(())
    });
    assert_eq!(status(&mut admin)["sessions"][0]["state"], "connecting");
    assert_eq!(received(&mut extension), None, "nothing is reported");
    let _on = disk.go_on();
    let mut order = Vec::new();
    while order.last().is_none_or(|last| last != "pong") {
        let frame = extension.next().unwrap();
        if ["opened", "accepted", "pong"].contains(&frame["type"].as_str().unwrap()) {
            order.push(frame["type"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(order, ["opened", "accepted", "pong"], "a port keeps its order");
    extension.find("the echo", |frame| frame["text"] == "kept");
}

#[test]
fn a_broker_stopped_on_a_stalled_disk_exits_after_writing_everything() {
    let (disk, scratch) = Stall::at("journal.sync.before");
    let echo = Echo::start();
    let mut extension = HostProcess::of(&scratch, ORIGIN);
    extension.send(&open(&echo.url(), "d", "disk"));
    let mut admin = RawPort::admin(&scratch);
    let pid = eventually(SOON, "the session is there", || {
        let status = status(&mut admin);
        (status["sessions"].as_array()?.len() == 1).then(|| status["pid"].as_u64())?
    });
    let pid = u32::try_from(pid).unwrap();
    admin.send(&json!({"type": "stop", "id": "stop"}));
    eventually(SOON, "it waits for ports no more", || {
        scratch
            .log()
            .contains("did not accept their last frames")
            .then_some(())
    });
    assert!(is_alive(pid), "it waits for the disk");
    let _on = disk.go_on();
    eventually(SOON, "the broker has left", || (!is_alive(pid)).then_some(()));
    let mut next = HostProcess::of(&scratch, ORIGIN);
    next.send(&open(&echo.url(), "d", "disk"));
    let opened = next.expect("opened");
    assert_ne!(opened["resume"], "new", "{opened}");
}
