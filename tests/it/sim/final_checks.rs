//! The end of a run: all clients reconnect and behave correctly, and nothing may be outstanding.
//!
//! It checks what takes time to be true: every message ended, every loss reported, every journal gone with its session.

use std::time::Duration;

use longwire::core::io::{DialId, Input, PortId};
use longwire::wire::message::{ClientFrame, Conflict, Open};
use longwire::wire::options::{Durability, Options};
use longwire::wire::record::Name;

use super::dial::Item;
use super::filters::Action;
use super::session::Alive;
use super::world::World;

/// Rounds in which everything must have come to rest. Deadlines of requests and proofs are the longest waits.
const ROUNDS: usize = 200;

impl World {
    /// Reconnects all clients, lets everything flow, and checks that nothing is outstanding.
    pub(super) fn check_end(&mut self) {
        self.trace_line(|| "--- everything comes to rest".to_owned());
        let ports: Vec<PortId> = self.ports.keys().copied().collect();
        for port in ports {
            self.give(Input::PortClosed(port));
        }
        self.give(Input::Rules(std::sync::Arc::default()));
        // What is being closed ends, and its name is free.
        self.passes(Duration::from_secs(60));
        self.timeout();
        let held = self.all_clients_open();
        self.becomes_idle();
        self.is_sent_in_the_end(&held);
        for (port, client, slot) in &held {
            self.has_received_all(*port, *client, *slot);
        }
        for (port, _, slot) in held {
            if self.ports[&port].holds.contains(&slot) {
                let session = self.slots[slot].name.clone();
                let (id, code, reason, discard) = (None, None, None, false);
                self.give(Input::Frame(
                    port,
                    ClientFrame::Close {
                        session,
                        id,
                        code,
                        reason,
                        discard,
                    },
                ));
            }
        }
        self.everything_closes();
        assert!(
            self.disk.is_empty(),
            "a session has ended, and its journal is there"
        );
    }

    fn becomes_idle(&mut self) {
        let mut owed = String::new();
        for _ in 0..ROUNDS {
            self.everything_flows();
            owed = self.missing_outcome();
            if owed.is_empty() {
                return;
            }
            let span = self.deadline().unwrap_or_default();
            self.passes(span.clamp(Duration::from_millis(1), Duration::from_secs(60)));
            self.timeout();
        }
        panic!("does not come to rest: {owed}");
    }

    /// A message that filters hold back goes out with the next one, or when the filter changes.
    fn is_sent_in_the_end(&mut self, held: &[(PortId, usize, usize)]) {
        let key: Name = "k0".into();
        for (port, _, slot) in held {
            if self.ports[port].holds.contains(slot) {
                self.subscribes_to(*port, *slot, &key, Some(vec![Action::Hold]));
            }
        }
        for dial in self.dials_alive() {
            if self.dials[&(self.incarnation, dial)].open {
                self.sends_for(dial, Action::Hold);
            }
        }
        if self.rng.percent(50) {
            for dial in self.dials_alive() {
                if self.dials[&(self.incarnation, dial)].open {
                    self.server_sends(dial, 1, true);
                }
            }
        } else {
            for (port, _, slot) in held {
                if self.ports[port].holds.contains(slot) {
                    self.subscribes_to(*port, *slot, &key, Some(Vec::new()));
                }
            }
        }
        self.becomes_idle();
    }

    /// Half of the servers answer the close frame; the others are given up in time.
    fn everything_closes(&mut self) {
        for dial in self.dials_alive() {
            if self.dials[&(self.incarnation, dial)].closing && self.rng.percent(50) {
                self.ends(dial);
            }
        }
        self.passes(Duration::from_secs(60));
        self.timeout();
        let left = self.status().iter().flatten().count();
        assert_eq!(left, 0, "sessions were closed, and are still there");
    }

    /// Everybody opens every session that is there, with options that hinder nothing.
    fn all_clients_open(&mut self) -> Vec<(PortId, usize, usize)> {
        let mut held = Vec::new();
        for client in 0..self.clients.len() {
            let owner = self.clients[client].owner;
            let port = self.port_for(client);
            self.hello_as(port, client);
            for slot in 0..self.slots.len() {
                let is_there = self.slots[slot]
                    .incarnations
                    .last()
                    .is_some_and(|session| session.alive != Alive::No);
                if self.slots[slot].owner != owner || !is_there {
                    continue;
                }
                let disk = self.slots[slot].disk;
                let open = Open {
                    id: "rest".into(),
                    session: self.slots[slot].name.clone(),
                    url: Some(self.slots[slot].addresses[0].clone()),
                    options: Some(Options {
                        durability: if disk {
                            Durability::Disk
                        } else {
                            Durability::Memory
                        },
                        ..Options::default()
                    }),
                    ignored: Vec::new(),
                    resume: None,
                    conflict: Conflict::Update,
                };
                self.give(Input::Frame(port, ClientFrame::Open(Box::new(open))));
                let (session, id) = (self.slots[slot].name.clone(), None);
                self.give(Input::Frame(port, ClientFrame::Reconnect { session, id }));
                held.push((port, client, slot));
            }
        }
        held
    }

    /// Servers accept, read and answer everything; clients read and acknowledge everything.
    fn everything_flows(&mut self) {
        for dial in self.dials_alive() {
            if !self.dials[&(self.incarnation, dial)].open {
                self.accepts(dial);
            }
            self.moves_on(dial, true);
            self.pongs(dial, true);
            self.answers_all(dial);
        }
        let ports: Vec<PortId> = self.ports.keys().copied().collect();
        for port in ports {
            self.reads(port, usize::MAX);
            let Some(client) = self.ports[&port].client else {
                continue;
            };
            for slot in self.ports[&port].holds.clone() {
                let seq = self.client_sessions[self.client_session(client, slot)].processed;
                let session = self.slots[slot].name.clone();
                self.give(Input::Frame(port, ClientFrame::Ack { session, seq }));
            }
        }
    }

    fn answers_all(&mut self, id: DialId) {
        let Some(dial) = self.dials.get(&(self.incarnation, id)).filter(|dial| dial.open) else {
            return;
        };
        let slot = dial.slot;
        let tokens: Vec<usize> = dial
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Token(token) => Some(*token),
                _ => None,
            })
            .collect();
        for token in tokens {
            let sent = &self.sent[token];
            // What a server has confirmed and reads again is confirmed again: a power cut may have taken that back.
            let is_confirmed = sent.confirms && sent.confirmed && !sent.has_id;
            let waits = sent.result.is_none() && !is_confirmed && sent.answer.is_none();
            if waits {
                self.answers_token(id, slot, token);
            }
        }
    }

    fn missing_outcome(&mut self) -> String {
        let reports = self.status();
        let mut owed = String::new();
        for (slot, report) in reports.iter().enumerate() {
            if let Some(report) = report
                && report.outbox + report.queued > 0
            {
                owed += &format!(
                    "slot {slot} is {:?} with {} in its outbox and {} in its log; ",
                    report.state, report.outbox, report.queued
                );
            }
        }
        for slot in (0..reports.len()).filter(|slot| self.is_closing(*slot)) {
            owed += &format!("slot {slot} is being closed; ");
        }
        for (port, known) in &self.ports {
            if !known.queue.is_empty() {
                owed += &format!("{port:?} has {} frames to read; ", known.queue.len());
            }
        }
        owed
    }

    /// A client that is back knows how everything ended that it sent, and where messages were lost.
    fn has_received_all(&mut self, port: PortId, client: usize, slot: usize) {
        if !self.ports[&port].holds.contains(&slot) {
            // It was being closed when all clients reconnected.
            return;
        }
        let incarnation = self.slots[slot].incarnations.len() - 1;
        let taken = self.slots[slot].incarnations[incarnation].taken.len();
        let mut progress = self.client_sessions[self.client_session(client, slot)].progress;
        progress.hi = self.slots[slot].incarnations[incarnation].after_withheld(progress.hi, client);
        assert!(
            progress.lo <= taken && taken <= progress.hi,
            "client {client} has messages up to {}..{} of {taken} in slot {slot}, and got no report of a loss",
            progress.lo,
            progress.hi
        );
        for token in 0..self.sent.len() {
            let sent = &self.sent[token];
            let is_owed = (sent.client, sent.slot, sent.incarnation) == (client, slot, incarnation)
                && sent.has_id
                && sent.accepted
                && !sent.rolled_back
                && sent.result.is_none();
            if !is_owed {
                continue;
            }
            assert!(
                sent.asks.is_none() && !sent.receipt,
                "no client got the result of message {token}"
            );
            if self.elapsed >= sent.given + Duration::from_secs(20 * 60 * 60) {
                continue;
            }
            self.submits(port, token);
            let outcome = self.sent[token].remembered;
            assert!(
                outcome.is_some_and(|outcome| outcome.is_good()),
                "message {token} ended as {outcome:?}, and no client got that"
            );
        }
    }
}
