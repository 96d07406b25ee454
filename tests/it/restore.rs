//! Restoring a disk session: what a second broker reads from the records that a first one wrote.
//!
//! Files are in `journal.rs`; what happens in any order at all is in `sim`.

use longwire::core::io::{DialId, Incoming, Input, LinkEvent, Output, PortId};
use longwire::core::journal::{Damage, JournalEntry, JournalId, RawRecord};
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

/// A broker with a disk session whose link is open, and everything it has journaled.
struct FirstBroker {
    harness: Harness,
    dial: DialId,
    records: Vec<RawRecord>,
    journal: JournalId,
    /// Log entries up to here are not needed any more.
    trimmed: u64,
}

impl FirstBroker {
    fn opened() -> Self {
        Self::with(json!({"durability": "disk"}))
    }

    fn with(options: Value) -> Self {
        let mut first = Self {
            harness: Harness::with_client(),
            dial: DialId(0),
            records: Vec::new(),
            journal: JournalId("".into()),
            trimmed: 0,
        };
        first.send(json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":options}));
        let opened = LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        };
        first.link(opened);
        first
    }

    fn send(&mut self, frame: Value) {
        self.harness.send(PORT, frame);
        self.listen();
    }

    fn link(&mut self, event: LinkEvent) {
        self.harness.give(Input::Link(self.dial, event));
        self.listen();
    }

    fn listen(&mut self) {
        for output in std::mem::take(&mut self.harness.asked) {
            match output {
                Output::Dial(dial, _) => self.dial = dial,
                Output::Journal(journal, JournalEntry::Append { record, .. }) => {
                    self.journal = journal;
                    self.records.push(record);
                }
                Output::Journal(_, JournalEntry::Trim { seq }) => self.trimmed = seq,
                _ => {}
            }
        }
    }

    /// A new broker, which opens the session for the same client; the frames it delivers.
    fn restart(self, damage: Option<Damage>, machine: &str) -> (Harness, Vec<Value>) {
        self.restart_after(0, damage, machine)
    }

    /// As `restart`, when there was no broker for so many milliseconds.
    fn restart_after(self, away: u64, damage: Option<Damage>, machine: &str) -> (Harness, Vec<Value>) {
        let mut harness = Harness::on(machine, 2);
        harness.now.wall = self.harness.now.wall + away;
        harness
            .hub
            .restore(harness.now, self.journal, &self.records, damage)
            .expect("a journal that can be used");
        harness.open_port(PORT, "main");
        harness.send(
            PORT,
            json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1"}),
        );
        let frames = std::mem::take(&mut harness.delivered)
            .into_iter()
            .map(|(_, frame)| frame)
            .collect();
        (harness, frames)
    }
}

fn find<'a>(frames: &'a [Value], kind: &str) -> &'a Value {
    frames
        .iter()
        .find(|frame| frame["type"] == kind)
        .unwrap_or_else(|| panic!("no `{kind}` in {frames:?}"))
}

#[test]
fn sequence_numbers_are_not_reused_after_their_records_were_removed() {
    let mut first = FirstBroker::opened();
    first.link(LinkEvent::Messages(vec![Incoming::TooLarge { bytes: None }; 3]));
    let last = first.harness.delivered.back().unwrap().1["seq"].as_u64().unwrap();
    first.send(json!({"type":"ack","session":"s","seq":last}));
    // The journal has begun another segment and removed those that are not needed.
    first.records = first.harness.hub.snapshot(&first.journal);
    let (_, frames) = first.restart(None, "machine");
    assert!(
        frames[0]["last"].as_u64().unwrap() > last,
        "{frames:?} after {last}"
    );
}

#[test]
fn a_damaged_journal_begins_a_new_epoch() {
    let first = FirstBroker::opened();
    let epoch = find(
        &first
            .harness
            .delivered
            .iter()
            .map(|(_, frame)| frame.clone())
            .collect::<Vec<_>>(),
        "opened",
    )["epoch"]
        .clone();
    let (_, frames) = first.restart(Some(Damage::Corrupt), "machine");
    assert_ne!(frames[0]["epoch"], epoch);
}

#[test]
fn an_unreported_loss_is_reported_by_the_next_broker() {
    let mut first = FirstBroker::opened();
    first.harness.give(Input::PortClosed(PORT));
    first.link(LinkEvent::Messages(vec![Incoming::TooLarge { bytes: None }; 3]));
    let (_, frames) = first.restart(None, "machine");
    assert_eq!(find(&frames, "gap")["count"], 3);
}

#[test]
fn after_a_power_failure_possibly_sent_messages_are_unknown_and_not_resent() {
    let mut first = FirstBroker::opened();
    first.send(json!({"type":"send","session":"s","id":"a","text":"pay"}));
    // The intent to write it had not reached the disk.
    let intent = first.records.pop().unwrap();
    assert!(intent.data.len() == 8, "the last word is the intent");
    let (mut harness, frames) = first.restart(None, "another boot");
    assert_eq!(find(&frames, "outcome")["outcome"], "unknown");
    harness
        .asked
        .retain(|output| matches!(output, Output::Transmit(..)));
    assert!(harness.asked.is_empty());
}

#[test]
fn an_outcome_is_reported_although_the_broker_died_before_delivering_it() {
    let mut first = FirstBroker::opened();
    first.send(json!({"type":"send","session":"s","id":"a","text":"x","volatile":true,"receipt":true}));
    first.link(LinkEvent::Ended(longwire::core::io::LinkEnd {
        taken: 1,
        ..Default::default()
    }));
    let written = first
        .records
        .iter()
        .rposition(|record| record.seq != 0 && String::from_utf8_lossy(&record.data).contains("unknown"));
    first
        .records
        .truncate(written.expect("the outcome is written down") + 1);
    let (_, frames) = first.restart(None, "machine");
    let outcomes = frames.iter().filter(|frame| frame["type"] == "outcome").count();
    assert_eq!(outcomes, 1);
}

#[test]
fn a_journal_does_not_grow_with_what_the_log_has_dropped() {
    let mut first = FirstBroker::with(json!({"durability": "disk", "queue": {"messages": 100}}));
    first.harness.give(Input::PortClosed(PORT));
    for batch in 0..200 {
        let texts = (0..50).map(|number| Incoming::Message(Payload::text((batch * 50 + number).to_string())));
        first.link(LinkEvent::Messages(texts.collect()));
    }
    assert!(first.trimmed > 8000, "{} of 10,000", first.trimmed);
    // A segment is removed when nothing in it is needed; its state is repeated by the next.
    let trimmed = first.trimmed;
    let needed = |segment: &&[RawRecord]| {
        segment
            .iter()
            .any(|record| record.seq == 0 || record.seq > trimmed)
    };
    first.records = first
        .records
        .chunks(500)
        .filter(needed)
        .flatten()
        .cloned()
        .collect();
    assert!(first.records.len() < 5000);
    let (_, frames) = first.restart(None, "machine");
    let of = |kind: &'static str| frames.iter().filter(move |frame| frame["type"] == kind);
    assert_eq!(
        of("gap").map(|gap| gap["count"].as_u64().unwrap()).sum::<u64>(),
        9900
    );
    let texts: Vec<_> = of("message")
        .map(|message| message["text"].as_str().unwrap())
        .collect();
    assert_eq!((texts.len(), texts[0], texts[99]), (100, "9900", "9999"));
}

#[test]
fn consecutive_losses_are_one_journal_record() {
    let mut first =
        FirstBroker::with(json!({"durability": "disk", "queue": {"messages": 1, "overflow": "drop-newest"}}));
    first.harness.give(Input::PortClosed(PORT));
    let restored = first.records.len();
    for _ in 0..10 {
        first.link(LinkEvent::Messages(vec![
            Incoming::Message(Payload::text("x"));
            1000
        ]));
    }
    let records = first.records[restored..]
        .iter()
        .filter(|record| record.seq != 0)
        .count();
    assert!(records <= 11, "{records} for 1 message and 10 batches of losses");
    // Another reason begins another record.
    let both = [
        Incoming::TooLarge { bytes: None },
        Incoming::Message(Payload::text("x")),
    ];
    first.link(LinkEvent::Messages(
        both.iter().cycle().take(6).cloned().collect(),
    ));
    let (_, frames) = first.restart(None, "machine");
    let gaps = frames.iter().filter(|frame| frame["type"] == "gap");
    let counts: Vec<_> = gaps.map(|gap| gap["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [9999, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn a_volatile_message_is_dropped_by_the_next_broker() {
    let mut first = FirstBroker::opened();
    first.link(LinkEvent::Ended(longwire::core::io::LinkEnd::default()));
    first.send(json!({"type":"send","session":"s","id":"a","text":"x","volatile":true}));
    // The broker was killed before it could report that.
    first.records.pop();
    let (_, frames) = first.restart(None, "machine");
    assert_eq!(find(&frames, "outcome")["outcome"], "dropped");
}

#[test]
fn a_forgotten_client_does_not_resume_exactly() {
    let mut first = FirstBroker::opened();
    first.link(LinkEvent::Messages(vec![
        Incoming::Message(Payload::text("x"));
        3
    ]));
    first.harness.give(Input::PortClosed(PORT));
    // More clients than a session knows come and go; the messages are not needed any more.
    for number in 2..=66 {
        let port = PortId(number);
        first.harness.open_port(port, &number.to_string());
        let open = json!({"type":"open","id":"o","session":"s"});
        first.harness.send(port, open);
        first.harness.give(Input::PortClosed(port));
        first.listen();
    }
    let (_, frames) = first.restart(None, "machine");
    assert_eq!(frames[0]["resume"], "fresh");
}

#[test]
fn waiting_messages_expire_while_no_broker_runs() {
    let mut first = FirstBroker::opened();
    first.link(LinkEvent::Ended(longwire::core::io::LinkEnd::default()));
    first.send(json!({"type":"send","session":"s","id":"stale","text":"x","ttl":2000}));
    first.send(
        json!({"type":"request","session":"s","id":"asked","json":{"id":1},"match":{"jsonrpc":true},"timeout":2000}),
    );
    first.send(json!({"type":"send","session":"s","id":"fresh","text":"x","ttl":20_000}));
    let (_, frames) = first.restart_after(2000, None, "machine");
    let outcome = find(&frames, "outcome");
    assert_eq!(
        (&outcome["id"], &outcome["outcome"]),
        (&json!("stale"), &json!("expired"))
    );
    let response = find(&frames, "response");
    assert_eq!(
        (&response["id"], &response["error"]["code"]),
        (&json!("asked"), &json!("timeout"))
    );
    assert_eq!(frames[0]["outbox"], json!([{"id": "fresh", "state": "queued"}]));
}

#[test]
fn credentials_cause_no_dial_before_a_restored_session_has_a_url() {
    let first = FirstBroker::opened();
    let mut harness = Harness::on("machine", 2);
    harness
        .hub
        .restore(harness.now, first.journal, &first.records, None)
        .expect("a journal that can be used");
    harness.open_port(PORT, "main");
    harness.send(PORT, json!({"type":"open","id":"o","session":"s"}));
    harness.delivered.clear();
    harness.send(
        PORT,
        json!({"type":"authorize","id":"a","session":"s","url":"wss://elsewhere.example/?ticket=1"}),
    );
    assert_eq!(harness.receive(PORT)["code"], "bad-url");
    assert!(
        !harness
            .asked
            .iter()
            .any(|output| matches!(output, Output::Dial(..))),
        "{:?}",
        harness.asked
    );
}

#[test]
fn a_clean_end_mark_is_removed_before_any_other_write() {
    let mut first = FirstBroker::opened();
    first.harness.give(Input::Leave { reason: "stop" });
    first.listen();
    let (harness, _) = first.restart(None, "machine");
    let earliest = harness.asked.iter().find_map(|output| match output {
        Output::Journal(_, JournalEntry::Append { sync, .. }) => Some(*sync),
        _ => None,
    });
    // Otherwise a power failure leaves a journal that claims to be complete, and numbers are reused.
    assert_eq!(earliest, Some(true), "{:?}", harness.asked);
}
