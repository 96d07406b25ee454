//! Restarts of the broker: it is killed, loses power or its disk, or exits in order, and another replaces it.

use std::time::Duration;

use longwire::core::io::{Caller, Input};
use longwire::core::journal::{Damage, JournalId};
use longwire::wire::options::{Options, Overflow, QueueOptions};

use super::cause::Cause;
use super::client_session::{ClientSession, Progress};
use super::session::{Alive, Content, Reach, Session};
use super::steps::{Step, StepWeights};
use super::world::{ADMIN, World, hub};

/// In the middle of which the broker may be killed: each gives the hub one input, and looks at nothing afterwards.
const LAST_STEPS: &[Step] = &[
    Step::Open,
    Step::Send,
    Step::Send,
    Step::Request,
    Step::Acknowledge,
    Step::ServerSends,
    Step::ServerSends,
    Step::Pongs,
    Step::ServerProgresses,
    Step::Ends,
    Step::Detach,
    Step::Cancel,
    Step::Close,
    Step::Deadline,
];

impl World {
    /// The broker is killed: between two inputs, or while the hub's outputs are executed.
    pub(super) fn is_killed(&mut self, weights: &StepWeights) {
        if self.rng.percent(60) {
            self.kill_after = Some(self.rng.below(10));
            self.submitted = None;
            let last = *self.rng.pick(LAST_STEPS);
            self.does(last, weights);
            self.kill_after = None;
        }
        if std::mem::take(&mut self.was_killed) {
            if let Some(token) = self.submitted.take()
                && !self.sent[token].accepted
            {
                // It was not delivered, but the journal may hold it.
                self.sent[token].accepted = true;
                self.sent[token].rolled_back = true;
            }
            for slot in 0..self.slots.len() {
                self.mark_uncertain(slot);
            }
            if self.cause.opening.is_some()
                && let (Some(port), Some(slot)) = (self.cause.port, self.cause.slot)
                && let Some(client) = self.ports[&port].client
            {
                // It may have been put anywhere, before that could be known.
                let client_session = self.client_session(client, slot);
                let client_session = &mut self.client_sessions[client_session];
                client_session.highest = u64::MAX;
                client_session.attachment_unknown = true;
                client_session.history.clear();
                client_session.placed = [(0, Progress::UNKNOWN)].into();
            }
        }
        self.restart(false, None);
    }

    /// The machine stops at once: what was not synced may be gone.
    pub(super) fn loses_power(&mut self) {
        self.disk.power_fails(&mut self.rng);
        self.rolls_back(None);
        self.restart(true, None);
    }

    /// The broker leaves in order; another comes, perhaps after a reboot.
    pub(super) fn leaves(&mut self) {
        self.give(Input::Leave { reason: "test" });
        let reboot = self.rng.percent(50);
        self.restart(reboot, None);
    }

    /// Bytes of a journal change while no broker runs.
    pub(super) fn damages_journal(&mut self) {
        if let Some(id) = self.disk.damages_journal(&mut self.rng) {
            self.rolls_back(Some(&id));
            self.restart(false, Some(&id));
        }
    }

    /// A journal can be written no more.
    pub(super) fn loses_journal(&mut self) {
        let slot = self.rng.below(self.slots.len());
        let Some(journal) = self.session(slot).and_then(|session| session.journal.clone()) else {
            return;
        };
        self.disk.lose(&journal);
        let why = "the disk is full".to_owned();
        self.give(Input::JournalLost { journal, why });
    }

    /// Another broker in the place of this one, on the same machine or after a reboot, with what the disk holds.
    pub(super) fn restart(&mut self, reboot: bool, damaged: Option<&JournalId>) {
        self.incarnation += 1;
        if reboot {
            self.boot += 1;
            let millis = self.rng.between(1, 100_000);
            self.now.awake = Duration::from_millis(millis);
            self.now.boot = self.now.awake + Duration::from_millis(self.rng.below(1000) as u64);
        }
        let incarnation = self.incarnation;
        self.trace_line(|| format!("--- life {incarnation}, reboot: {reboot}, damaged: {damaged:?}"));
        self.dialled.clear();
        self.dial_times.clear();
        self.max_retry_wait = None;
        self.allowed = true;
        self.given_at = self.now;
        self.ports.clear();
        for slot in 0..self.slots.len() {
            self.outlives(slot, damaged);
        }
        self.deferred.clear();
        for client_session in &mut self.client_sessions {
            client_session.leave();
            client_session.filters.clear();
            client_session.beginnings += 1;
        }
        self.hub = hub(&mut self.rng, self.incarnation, self.boot, self.now);
        self.cause = Cause::default();
        for (id, records) in self.disk.recover() {
            let torn = self.rng.percent(30).then_some(Damage::Torn);
            let damage = if damaged == Some(&id) {
                Some(Damage::Corrupt)
            } else {
                torn
            };
            if let Err(why) = self.hub.restore(self.now, id.clone(), &records, damage) {
                panic!("{id:?} cannot be restored: {why}");
            }
        }
        while let Some(output) = self.hub.poll() {
            self.act(output);
        }
        let hub = &self.hub;
        self.disk.flush(|id| hub.snapshot(id));
        self.give(Input::PortOpened(ADMIN, Caller::Admin));
        let reports = self.status();
        for (slot, report) in reports.iter().enumerate() {
            let must = self
                .session(slot)
                .is_some_and(|session| session.alive == Alive::Yes);
            assert!(report.is_some() || !must, "slot {slot} did not come back");
        }
    }

    /// What happens to a slot's session when the broker is killed.
    fn outlives(&mut self, slot: usize, damaged: Option<&JournalId>) {
        let awake = self.now.awake;
        let fresh = self.fresh.take().filter(|(id, _)| self.disk.holds(id));
        if let Some((id, at)) = fresh {
            // No client knows this session, but its journal is there.
            let late = self.deferred.iter().position(|(_, slot, _)| *slot == at);
            let late = late.map(|index| self.deferred.remove(index).2);
            let opening = self.cause.opening.take().or(late);
            let options = opening.and_then(|opening| opening.options).unwrap_or_default();
            let mut session = Session::new(options, Some(id));
            session.alive = Alive::Perhaps;
            session.reach.moves(0, self.credentials.len());
            self.slots[at].incarnations.push(session);
            for client in 0..self.clients.len() {
                let client_session = self.client_session(client, at);
                let generation = self.client_sessions[client_session].generation + 1;
                self.client_sessions[client_session] = ClientSession {
                    generation,
                    ..ClientSession::new()
                };
            }
            self.mark_uncertain(at);
        }
        // An update that was not confirmed may be in the journal.
        let torn = self
            .cause
            .opening
            .as_ref()
            .filter(|_| self.cause.slot == Some(slot));
        let torn = torn.and_then(|opening| Some(opening.options.as_ref()?.queue.clone()));
        let disk = &self.disk;
        let credentials = self.credentials.len();
        let Some(session) = self.slots[slot].incarnations.last_mut() else {
            return;
        };
        session.reach = Reach::default();
        session.reach.moves(0, credentials);
        session.dial = None;
        session.journaled_gap = None;
        session.closing = None;
        session.resume_positions.clear();
        session.remembered.clear();
        session.recoverable.clear();
        session.has_url = false;
        session.subscriptions.clear();
        let stored = session.journal.as_ref().filter(|id| disk.holds(id));
        let Some(stored) = stored else {
            session.alive = Alive::No;
            session.journal = None;
            return;
        };
        if Some(stored) == damaged {
            session.may_change_epoch = true;
            session.rolled_back = true;
        }
        let before = &session.options;
        let options = Options {
            durability: before.durability,
            expire: if session.rolled_back {
                session.shortest_expire
            } else {
                before.expire
            },
            queue: match torn {
                _ if session.rolled_back => QueueOptions::default(),
                Some(torn) => either_queue(&before.queue, torn),
                None => before.queue.clone(),
            },
            ..Options::default()
        };
        session.options = options;
        session.idle_since = Some(awake);
    }

    /// What the broker knew may be older than what others know.
    pub(super) fn rolls_back(&mut self, only: Option<&JournalId>) {
        for slot in 0..self.slots.len() {
            let incarnation = self.slots[slot].incarnations.len();
            let Some(session) = self.slots[slot].incarnations.last_mut() else {
                continue;
            };
            if only.is_some() && session.journal.as_ref() != only {
                continue;
            }
            session.rolled_back = true;
            // What was reported as lost may be there again.
            session.gaps.clear();
            session
                .contents
                .retain(|_, content| !matches!(content, Content::Gap(_)));
            self.mark_uncertain(slot);
            for sent in &mut self.sent {
                if sent.slot == slot && sent.incarnation + 1 == incarnation {
                    sent.rolled_back = true;
                    // Its outcome was reported, and may be forgotten.
                    sent.result = None;
                    sent.answer = None;
                }
            }
        }
    }

    /// What was not yet written down of a session may be missing.
    pub(super) fn mark_uncertain(&mut self, slot: usize) {
        for client in 0..self.clients.len() {
            let client_session = self.client_session(client, slot);
            let client_session = &mut self.client_sessions[client_session];
            client_session.is_known = false;
            if !client_session.may_be_known {
                // It may just have been taken in, before that could be known.
                client_session.may_be_known = true;
                client_session.attachment_unknown = true;
                client_session.position = u64::MAX;
            }
        }
    }
}

/// What holds for a log with either of two bounds.
fn either_queue(before: &QueueOptions, after: QueueOptions) -> QueueOptions {
    QueueOptions {
        messages: before.messages.max(after.messages),
        bytes: before.bytes.max(after.bytes),
        overflow: if before.overflow == after.overflow {
            after.overflow
        } else {
            Overflow::Close
        },
        ..after
    }
}
