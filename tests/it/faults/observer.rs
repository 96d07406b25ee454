//! A client that checks everything it receives.
//!
//! It checks with every record: nothing lost without a gap, order kept, duplicates marked, and a `seq` identifies
//! one record.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually};

/// The extension's side of one session, over many ports.
pub(crate) struct Observer {
    url: String,
    options: Value,
    /// Epoch and the last record finished.
    position: Option<(String, u64)>,
    /// What each `seq` of an epoch was.
    names: BTreeMap<(String, u64), u64>,
    /// The newest number of the server's.
    pub(crate) newest: u64,
    /// A record since the newest number has reported that numbers may be missing.
    loss_reported: bool,
    /// Numbers that never came, all of them in gaps.
    pub(crate) reported_missing: u64,
    /// Messages that gaps have counted.
    pub(crate) gaps: u64,
    /// Why there were gaps.
    pub(crate) reasons: BTreeSet<String>,
    pub(crate) redelivered: u64,
    /// Every epoch received.
    pub(crate) epochs: BTreeSet<String>,
    /// Resume verdicts, in order.
    pub(crate) resumes: Vec<String>,
    /// Outcomes by id.
    pub(crate) outcomes: BTreeMap<String, Vec<String>>,
    pub(crate) live: u32,
}

impl Observer {
    pub(crate) fn new(url: &str, options: Value) -> Self {
        Self {
            url: url.to_owned(),
            options,
            position: None,
            names: BTreeMap::new(),
            newest: 0,
            loss_reported: false,
            reported_missing: 0,
            gaps: 0,
            reasons: BTreeSet::new(),
            redelivered: 0,
            epochs: BTreeSet::new(),
            resumes: Vec::new(),
            outcomes: BTreeMap::new(),
            live: 0,
        }
    }

    /// A new host: sends hello, opens the session at the stored position.
    pub(crate) fn attach(&mut self, scratch: &Scratch) -> HostProcess {
        let mut host = HostProcess::chromium(scratch);
        self.open(&mut host);
        host
    }

    /// Sends hello and opens the session on an existing port.
    pub(crate) fn open(&mut self, host: &mut HostProcess) {
        host.hello();
        host.send(&self.open_frame());
        let opened = host.expect("opened");
        self.opened(&opened);
    }

    /// The frame that opens the session at the stored position.
    pub(crate) fn open_frame(&self) -> Value {
        let mut open = json!({
            "type": "open", "id": "open", "session": "s", "url": self.url, "options": self.options,
        });
        if let Some((epoch, seq)) = &self.position {
            open["resume"] = json!({"epoch": epoch, "seq": seq});
        }
        open
    }

    /// Handles the answer to that.
    pub(crate) fn opened(&mut self, opened: &Value) {
        let resume = opened["resume"].as_str().unwrap().to_owned();
        if resume == "reset" {
            // Reported once, for everything before it.
            self.loss_reported = true;
        }
        let epoch = opened["epoch"].as_str().unwrap().to_owned();
        self.epochs.insert(epoch.clone());
        self.position = Some((epoch, opened["seq"].as_u64().unwrap()));
        self.resumes.push(resume);
    }

    /// Handles one frame; its `seq` if it is a record.
    pub(crate) fn handle_frame(&mut self, frame: &Value) -> Option<u64> {
        let seq = frame["seq"].as_u64();
        match frame["type"].as_str().unwrap() {
            "message" => self.handle_number(frame),
            "gap" => {
                self.reasons.insert(frame["reason"].as_str().unwrap().to_owned());
                self.loss_reported = true;
                self.gaps += frame["count"].as_u64().unwrap();
            }
            "state" => self.loss_reported = true,
            "outcome" => {
                let id = frame["id"].as_str().unwrap().to_owned();
                let outcomes = self.outcomes.entry(id).or_default();
                if frame["redelivered"] != true || outcomes.is_empty() {
                    outcomes.push(frame["outcome"].as_str().unwrap().to_owned());
                }
            }
            "live" => {
                self.live += 1;
                return None;
            }
            _ => return None,
        }
        seq
    }

    fn handle_number(&mut self, frame: &Value) {
        let seq = frame["seq"].as_u64().unwrap();
        let text: Value = serde_json::from_str(frame["text"].as_str().unwrap()).unwrap();
        let number = text["n"].as_u64().unwrap();
        let epoch = self.position.as_ref().unwrap().0.clone();
        let named = *self.names.entry((epoch, seq)).or_insert(number);
        assert_eq!(named, number, "seq {seq} names two messages");
        if number <= self.newest {
            assert_eq!(
                frame["redelivered"], true,
                "number {number} was delivered twice without a mark"
            );
            self.redelivered += 1;
            return;
        }
        let missing = number - self.newest - 1;
        assert!(
            missing == 0 || self.loss_reported,
            "numbers {}..{number} are missing without a report",
            self.newest + 1
        );
        self.reported_missing += missing;
        self.newest = number;
        self.loss_reported = false;
    }

    /// Acknowledges up to `seq`.
    pub(crate) fn ack(&mut self, host: &mut HostProcess, seq: u64) {
        host.send(&json!({"type": "ack", "session": "s", "seq": seq}));
        self.position.as_mut().unwrap().1 = seq;
    }

    /// Handles frames in flight until the host reports that there is a broker again.
    pub(crate) fn wait_for_broker(&mut self, host: &mut HostProcess) {
        loop {
            let frame = host.next().expect("the port stays open");
            if frame["type"] == "host" && frame["state"] == "back" {
                return;
            }
            self.handle_frame(&frame);
        }
    }

    /// Waits until the session has a link to the server. The server uses one connection at a time: from here on
    /// it sends nothing more to one whose client has ended.
    pub(crate) fn wait_for_link(&self, host: &mut HostProcess) {
        eventually(SOON, "the session is open", || {
            host.send(&json!({"type": "status", "id": "state"}));
            let status = host.expect("status");
            (status["sessions"][0]["state"] == "open").then_some(())
        });
    }

    /// Receives and acknowledges until `done`.
    pub(crate) fn receive(&mut self, host: &mut HostProcess, mut done: impl FnMut(&Self) -> bool) {
        while !done(self) {
            let frame = host.next().expect("the port is open");
            if let Some(seq) = self.handle_frame(&frame) {
                self.ack(host, seq);
            }
        }
    }
}
