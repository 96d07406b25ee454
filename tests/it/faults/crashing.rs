//! The broker aborts at a named point of its own code; another takes over the disk session.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::observer::Observer;
use super::rounds;
use super::server::NumberServer;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually};

/// Messages sent on the way.
const SENT: usize = 60;

/// One run of a broker that may crash: the extension's end of it, until the host reports that the broker is lost.
struct CrashingRun<'a> {
    host: HostProcess,
    observer: &'a mut Observer,
    is_lost: bool,
}

impl CrashingRun<'_> {
    /// The next frame; `None` once the broker has crashed.
    fn next(&mut self) -> Option<Value> {
        let frame = (!self.is_lost).then(|| self.host.next())??;
        self.is_lost = frame["type"] == "host" && frame["state"] == "lost";
        (!self.is_lost).then_some(frame)
    }

    /// Handles frames until one satisfies `wanted`; `None` if the broker crashes first.
    fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        loop {
            let frame = self.next()?;
            if let Some(seq) = self.observer.handle_frame(&frame) {
                // Some are finished at once, some late, some never.
                if seq % 7 < 3 {
                    self.observer.ack(&mut self.host, seq);
                }
            }
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }

    fn send(&mut self, id: &str) {
        self.host
            .send(&json!({"type": "send", "session": "s", "id": id, "text": id, "receipt": true}));
    }

    /// Everything an extension does; ends early when the broker does.
    fn exchange(&mut self, server: &NumberServer, padding: usize) -> Option<()> {
        self.host.send(&json!({"type": "hello", "protocol": 1}));
        self.find(|frame| frame["type"] == "welcome")?;
        let open = self.observer.open_frame();
        self.host.send(&open);
        let opened = self.find(|frame| frame["type"] == "opened")?;
        self.observer.opened(&opened);
        server.send_up_to(400, padding);
        for number in 0..SENT {
            self.send(&number.to_string());
            if number % 6 == 0 {
                self.find(|frame| frame["type"] == "accepted")?;
            }
        }
        while self.observer.newest < 400 || self.observer.outcomes.len() < SENT {
            self.find(|frame| frame["seq"].is_number())?;
        }
        Some(())
    }
}

/// A broker that aborts when it passes this point for the given time. The next one does not.
fn spawn_crashing_broker(scratch: &Scratch, point: &str, crossing: u64) -> Child {
    let broker = scratch
        .command()
        .arg("broker")
        .env("LONGWIRE_CRASH_AT", format!("{point}:{crossing}"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually(SOON, "the broker listens", || {
        scratch.socket().exists().then_some(())
    });
    broker
}

/// Makes a broker crash there, and checks the next one. Whether it crashed before its work was done.
fn crash_at(point: &str, crossing: u64, padding: usize) -> bool {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let options =
        json!({"durability": "disk", "reconnect": {"minDelay": 1, "maxDelay": 20}, "proxy": "none"});
    let mut observer = Observer::new(&server.url, options);
    let mut broker = spawn_crashing_broker(&scratch, point, crossing);
    let mut run = CrashingRun {
        host: HostProcess::chromium(&scratch),
        observer: &mut observer,
        is_lost: false,
    };
    run.exchange(&server, padding);
    let has_died = run.is_lost;
    drop(run);
    let _ = broker.kill();
    broker.wait().unwrap();

    let mut host = observer.attach(&scratch);
    let place = format!("after a death at {point}:{crossing}");
    assert_ne!(observer.resumes.last().unwrap(), "reset", "{place}");
    assert!(observer.epochs.len() == 1, "{place}: {:?}", observer.epochs);
    // What was not accepted may be sent again under the same id; what was accepted is not.
    for number in 0..SENT {
        if !observer.outcomes.contains_key(&number.to_string()) {
            let id = number.to_string();
            host.send(&json!({"type": "send", "session": "s", "id": id, "text": id, "receipt": true}));
        }
    }
    observer.wait_for_link(&mut host);
    server.send_up_to(400, 10);
    let last = server.send_one_more();
    observer.receive(&mut host, |seen| {
        seen.newest == last && seen.outcomes.len() == SENT
    });
    assert!(
        observer.reasons.iter().all(|reason| reason == "crash"),
        "{place}: {:?}",
        observer.reasons
    );
    let mut counts = BTreeMap::new();
    for text in server.received() {
        *counts.entry(text).or_insert(0) += 1;
    }
    for (id, outcomes) in &observer.outcomes {
        let count = counts.get(id).copied().unwrap_or(0);
        assert!(
            outcomes.len() == 1 && count <= 1 && (outcomes[0] != "sent" || count == 1),
            "{place}: {id} ended as {outcomes:?}, and the server has it {count} times"
        );
    }
    has_died
}

/// Dies at these points, at the first crossings and at later ones.
fn crash_at_each(points: &[&str], crossings: &[u64], padding: usize) {
    for point in points {
        let mut deaths = 0;
        for round in 0..rounds(1) {
            for crossing in crossings {
                deaths += u32::from(crash_at(point, crossing + round * 3, padding));
            }
        }
        assert!(deaths > 0, "nothing ever reaches {point}");
    }
}

#[test]
fn a_crash_while_appending_to_the_journal_loses_no_message() {
    crash_at_each(
        &["journal.append.before", "journal.append.after"],
        &[1, 3, 90, 431],
        10,
    );
}

#[test]
fn a_crash_while_writing_the_journal_loses_no_message() {
    crash_at_each(
        &["journal.flush.before", "journal.flush.after"],
        &[1, 2, 7, 19],
        10,
    );
}

#[test]
fn a_crash_while_syncing_the_journal_loses_no_message() {
    crash_at_each(&["journal.sync.before", "journal.sync.after"], &[1, 2], 10);
}

#[test]
fn a_crash_while_starting_a_new_segment_loses_no_message() {
    crash_at_each(&["journal.roll.before", "journal.roll.after"], &[1], 20_000);
}

#[test]
fn a_crash_between_receiving_and_handling_loses_no_message() {
    crash_at_each(&["broker.receive", "broker.link"], &[2, 5, 40], 10);
}

#[test]
fn a_crash_between_handling_and_delivery_loses_no_message() {
    crash_at_each(&["broker.deliver", "broker.transmit"], &[1, 30, 55], 10);
}

#[test]
fn a_crash_inside_or_after_a_frame_loses_no_message() {
    crash_at_each(&["port.write.middle", "port.write.after"], &[2, 5, 12], 10);
}

#[test]
fn a_crash_in_the_middle_of_parts_loses_no_message() {
    crash_at_each(&["port.write.middle"], &[4, 6], 3_000_000 / 400);
}
