//! Events of the machine: it sleeps, its disk fills up.

use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;

use serde_json::json;
use tokio_tungstenite::tungstenite::{Message, accept};

use super::observer::Observer;
use super::server::NumberServer;
use crate::support::scratch::Scratch;

/// A server whose first connection stays silent, as if a router had dropped it during sleep; later
/// ones answer. The number of each connection is reported when it opens.
fn silent_after_first() -> (String, mpsc::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (message_sender, connections) = mpsc::channel();
    std::thread::spawn(move || {
        let mut forgotten = Vec::new();
        for (number, stream) in (1..).zip(listener.incoming()) {
            let mut socket = accept(stream.unwrap()).unwrap();
            if message_sender.send(number).is_err() {
                return;
            }
            if number == 1 {
                forgotten.push(socket);
                continue;
            }
            socket.send(Message::text(r#"{"n":1}"#)).unwrap();
            // Reading answers pings.
            while socket.read().is_ok() {}
        }
    });
    (url, connections)
}

#[test]
fn after_sleep_links_are_probed_and_redialled() {
    let scratch = Scratch::new();
    let slept = scratch.folder().join("night");
    let scratch = scratch.with("LONGWIRE_SLEPT_MS", slept.to_str().unwrap());
    let (url, connections) = silent_after_first();
    // By the heartbeat alone it would take an hour.
    let options = json!({
        "heartbeat": {"interval": 3_600_000, "timeout": 3_600_000},
        "reconnect": {"minDelay": 1, "maxDelay": 20},
    });
    let mut observer = Observer::new(&url, options);
    let mut host = observer.attach(&scratch);
    host.find("the link", |frame| frame["state"] == "open");
    assert_eq!(connections.recv().unwrap(), 1);
    std::fs::write(&slept, "28800000").unwrap();
    // Any event makes the broker read the clocks.
    host.ping("resumed");
    let lost = host.find("the loss", |frame| frame["state"] == "waiting");
    assert_eq!(lost["error"]["code"], "heartbeat");
    observer.receive(&mut host, |seen| seen.newest == 1);
    assert_eq!(connections.recv().unwrap(), 2);
}

/// A small disk of its own, mounted over a folder; `None` where that is not allowed.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount_over(folder: std::path::PathBuf, kilobytes: u32) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(&folder)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_moves_a_session_to_memory_and_reports_it() {
    let scratch = Scratch::new();
    let paths = longwire::paths::Paths::within(scratch.home().to_owned());
    let Some(_disk) = SmallDisk::mount_over(paths.state().to_owned(), 600) else {
        eprintln!("not tried: this user may not mount a small disk");
        return;
    };
    let server = NumberServer::start();
    let mut observer = Observer::new(&server.url, json!({"durability": "disk"}));
    let mut host = observer.attach(&scratch);
    server.send_up_to(5, 10);
    observer.receive(&mut host, |seen| seen.newest == 5);
    // Far more than the disk holds, none of it acknowledged before all has come.
    server.send_up_to(200, 20_000);
    let (mut last, mut errors) = (0, Vec::new());
    while observer.newest < 200 {
        let frame = host.next().unwrap();
        last = observer.handle_frame(&frame).unwrap_or(last);
        errors.extend(frame["error"]["message"].as_str().map(str::to_owned));
    }
    assert!(
        errors.len() == 1 && errors[0].contains("durability is `memory` now"),
        "{errors:?}"
    );
    assert_eq!(
        (observer.reported_missing, observer.gaps),
        (0, 0),
        "memory has it all"
    );
    observer.ack(&mut host, last);
    // It continues, and a returning worker receives everything.
    host.kill();
    server.send_up_to(300, 10);
    let mut host = observer.attach(&scratch);
    observer.receive(&mut host, |seen| seen.newest == 300);
    assert_eq!(observer.reported_missing, 0);
    host.send(&json!({"type": "send", "session": "s", "id": "up", "text": "up", "receipt": true}));
    let accepted = host.expect("accepted");
    assert_eq!(accepted["durability"], "memory");
}
