//! Checks every frame for a client, at the moment the hub sends it.
//!
//! `reader` models what the client knows once it has read it.

mod attaching;
mod outcomes;
mod records;

use longwire::core::io::PortId;
use longwire::wire::code::Code;
use longwire::wire::message::BrokerFrame;
use longwire::wire::options::Protocol;
use longwire::wire::record::{Name, Outcome};

use super::model::{About, Queued};
use super::sent::{Asks, MessageResult};
use super::session::Alive;
use super::world::{ADMIN, World, token_of};

impl World {
    pub(super) fn deliver(&mut self, port: PortId, frame: BrokerFrame, cost: usize) {
        if port == ADMIN {
            assert!(
                matches!(frame, BrokerFrame::Goaway { .. }),
                "{frame:?} for the command line"
            );
            return;
        }
        assert!(
            self.ports.contains_key(&port),
            "{port:?} is closed, and receives a frame"
        );
        let about = match &frame {
            BrokerFrame::Opened(opened) => Some(self.opened(port, opened)),
            BrokerFrame::Record {
                session,
                record,
                redelivered: _,
            } => {
                let slot = self.must_hold(port, session);
                self.mix(record.seq);
                self.record(port, slot, record, cost);
                Some(self.about(port, slot))
            }
            BrokerFrame::Detached {
                session,
                reason,
                close_report,
            } => {
                assert_eq!(*reason == "closed", close_report.is_some());
                let slot = self.must_hold(port, session);
                assert!(
                    self.cause.ends_cleanly
                        || !self.awaits_close(slot)
                        || close_report
                            .as_ref()
                            .is_none_or(|close_report| !close_report.clean),
                    "a close without the server's answer is called clean"
                );
                let about = self.about(port, slot);
                self.release(port, slot);
                if *reason != "superseded"
                    && let Some(session) = self.session(slot)
                {
                    // As long as its journal is there it may come back, should the broker die now.
                    session.alive = match session.journal {
                        Some(_) => Alive::Perhaps,
                        None => Alive::No,
                    };
                }
                Some(about)
            }
            BrokerFrame::Live { session, .. }
            | BrokerFrame::Stalled { session, .. }
            | BrokerFrame::Subscription { session, .. }
            | BrokerFrame::AuthNeeded { session, .. } => {
                let slot = self.must_hold(port, session);
                Some(self.about(port, slot))
            }
            BrokerFrame::Accepted {
                session,
                id,
                durability,
                duplicate,
                outcome,
            } => {
                let slot = self.must_hold(port, session);
                self.accepted(port, slot, id, durability, *duplicate, *outcome);
                Some(self.about(port, slot))
            }
            BrokerFrame::Error(refusal)
                if refusal.id.as_deref() == Some("o")
                    && self.cause.opening.is_none()
                    && self.has_deferred(port) =>
            {
                // What it was to attach to has ended, and it cannot be made anew.
                let slot = refusal
                    .session
                    .as_ref()
                    .and_then(|name| self.slot_named(port, name));
                self.deferred
                    .retain(|(asked, of, _)| (*asked, Some(*of)) != (port, slot));
                None
            }
            BrokerFrame::Error(refusal)
                if refusal.error.code == Code::BadFrame
                    && refusal.id.as_ref().is_some_and(|id| id.starts_with('i')) =>
            {
                self.may_refuse(token_of(refusal.id.as_ref().unwrap()));
                None
            }
            BrokerFrame::Error(refusal) if refusal.error.code == Code::OutboxFull => {
                let token = token_of(refusal.id.as_ref().unwrap_or(&"i0".into()));
                let slot = self.cause.slot.unwrap();
                let session = self.slots[slot].incarnations.last();
                let connected = session.is_some_and(|session| session.dial.is_some());
                assert!(
                    connected || !self.sent[token].volatile || refusal.id.is_none(),
                    "message {token} does not wait, and there is no room for it"
                );
                None
            }
            BrokerFrame::Ok { id } if id.starts_with('c') => {
                self.brought();
                None
            }
            BrokerFrame::Welcome(welcome) => {
                let known = &self.ports[&port];
                assert_eq!(
                    welcome.origin, self.owners[known.origin].origin,
                    "welcomed as another"
                );
                for summary in &welcome.sessions {
                    let slot = self.slot_named(port, &summary.session);
                    assert!(
                        slot.is_some_and(|slot| !self.slots[slot].incarnations.is_empty()),
                        "receives a frame of another owner's session"
                    );
                }
                None
            }
            _ => None,
        };
        let known = self.ports.get_mut(&port).unwrap();
        known.queue.push_back(Queued { frame, cost, about });
    }

    /// Whether the last dial of a slot was asked to close; only a WebSocket answers that.
    fn awaits_close(&self, slot: usize) -> bool {
        let dials = self
            .dialled
            .iter()
            .rev()
            .map(|id| &self.dials[&(self.incarnation, *id)]);
        let mut dials = dials.filter(|dial| dial.slot == slot);
        dials
            .next()
            .is_some_and(|dial| dial.closing && dial.protocol == Protocol::WebSocket)
    }

    fn has_deferred(&self, port: PortId) -> bool {
        self.deferred.iter().any(|(asked, ..)| *asked == port)
    }

    /// The slot of a session that this port must be attached to for a frame about it.
    pub(super) fn must_hold(&self, port: PortId, name: &Name) -> usize {
        let slot = self
            .slot_named(port, name)
            .expect("a session of the port's owner");
        assert!(
            self.ports[&port].holds.contains(&slot),
            "{port:?} does not hold `{name}` and receives a frame about it"
        );
        slot
    }

    fn about(&self, port: PortId, slot: usize) -> About {
        let client = self.ports[&port].client.unwrap();
        About {
            generation: self.client_sessions[self.client_session(client, slot)].generation,
            client,
            slot,
            incarnation: self.slots[slot].incarnations.len() - 1,
            taken: self.slots[slot].incarnations.last().unwrap().taken.len(),
        }
    }

    /// Whether the reported outcome of a message is true.
    pub(super) fn check_status(&self, token: usize) {
        let sent = &self.sent[token];
        let Some((_, result)) = &sent.result else { return };
        let session = &self.slots[sent.slot].incarnations[sent.incarnation];
        let is_true = match result {
            MessageResult::Outcome(Outcome::Sent) => {
                let trusts_writes = session.trusts_writes || self.ends_beats(sent.slot);
                sent.reads > 0 || (trusts_writes && sent.written)
            }
            MessageResult::Outcome(Outcome::Confirmed) => sent.confirmed,
            MessageResult::Outcome(Outcome::Unknown) => true,
            MessageResult::Outcome(Outcome::Cancelled) => sent.cancelled || sent.reads == 0,
            MessageResult::Outcome(Outcome::Failed | Outcome::Expired | Outcome::Dropped)
            | MessageResult::Error(Code::NotSent) => sent.reads == 0,
            MessageResult::Answer(number) => sent.answer == Some(*number) || sent.rolled_back,
            MessageResult::Error(_) => true,
        };
        let asks = sent.asks.map_or("", |asks| match asks {
            Asks::Pointers => "pointers",
            Asks::JsonRpc => "jsonrpc",
            Asks::Ack => "ack",
        });
        assert!(
            is_true,
            "message {token} ended as {result:?}, and that is not so: read {} times, written: {}, confirmed: {}, {asks}",
            sent.reads, sent.written, sent.confirmed
        );
    }
}
