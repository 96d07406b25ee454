//! What is sent: from an accepted message to its one result.
//!
//! Messages are in `core::outbox`, what they wait for in `core::requests`, what is said on every connection in
//! `core::subscriptions`. It knows no link, no log and no port: what concerns them comes back as a value, and the session
//! hands it on.

mod offer;
mod restore;
mod subscribe;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::json::Pointers;
use crate::wire::message::{OutboxItem, Totals};
use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name, Outcome};
use crate::wire::rule::ParsedMessage;

use crate::core::context::error;
use crate::core::guard::SendGuard;
use crate::core::io::Now;
use crate::core::log::ClientId;
use crate::core::outbox::{Flow, MessageResult, MessageStatus, NextMessage, Outbox, Proof, Settled};
use crate::core::requests::{FoundRequest, Requests};
use crate::core::subscriptions::Subscriptions;

pub(super) use self::offer::Offer;
pub(super) use self::restore::Reach;

/// Messages and bytes handed to a link and not yet written, at most; one oversize message may exceed the bytes.
const MAX_UNWRITTEN: usize = 256;
const MAX_UNWRITTEN_BYTES: usize = 1 << 20;

/// The outgoing direction of one session.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    outbox: Outbox,
    requests: Requests,
    subscriptions: Subscriptions,
    guard: SendGuard,
    sent: Totals,
}

/// What an incoming message was for messages on their way out.
#[derive(Debug)]
pub(super) enum Answered {
    /// Nothing: it is delivered.
    Nothing,
    /// The answer to a request: it is used up.
    Request(Option<Settled>),
    /// It confirms a message, and is delivered as well.
    Confirmation(Option<Settled>),
}

/// The next step of a flowing outbox.
#[derive(Debug)]
pub(super) enum OutgoingStep {
    /// It ended before it was handed over.
    Settled(Settled),
    /// This is to be handed to the link.
    Transmit(Handover),
}

/// A message that is to be handed to the link.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) payload: Payload,
    /// Its place among the messages of this link.
    pub(super) place: u64,
    /// Names a message of the outbox.
    pub(super) serial: Option<u64>,
    /// It awaits the server's own acknowledgement.
    pub(super) awaits_ack: bool,
}

impl Outgoing {
    /// Bytes that all this takes.
    pub(super) fn held(&self) -> usize {
        self.outbox.held() + self.requests.held() + self.subscriptions.held()
    }

    /// Messages accepted and not ended.
    pub(super) fn len(&self) -> usize {
        self.outbox.len()
    }

    /// Whether messages wait that no link has been given.
    pub(super) fn waits(&self) -> bool {
        self.outbox.waits()
    }

    /// Whether everything that was handed over is written.
    pub(super) fn is_written(&self) -> bool {
        self.outbox.unwritten().0 == 0
    }

    /// Whether messages are under way, or answers awaited.
    pub(super) fn is_idle(&self) -> bool {
        self.outbox.len() == 0 && self.requests.is_empty()
    }

    /// Messages that were handed over, with those that were not taken.
    pub(super) const fn sent(&self) -> Totals {
        self.sent
    }

    /// Whether incoming messages have to be looked into.
    pub(super) fn looks_inside(&self) -> bool {
        !self.requests.is_empty() || self.subscriptions.awaits()
    }

    /// Adds the pointers that are asked for when a message comes.
    pub(super) fn add_pointers(&self, pointers: &mut Pointers) {
        self.requests.add_pointers(pointers);
        self.subscriptions.add_pointers(pointers);
    }

    /// The guard's lines are others: its rates count anew.
    pub(super) fn restart_guard(&mut self) {
        self.guard = SendGuard::default();
    }

    /// Lets a message pass the session's guard; it counts for the rates.
    ///
    /// # Errors
    /// `bad-frame` with the line's reason, `rate-limited`.
    pub(super) fn pass_guard(
        &mut self,
        now: Now,
        options: &Options,
        message: &ParsedMessage<'_>,
    ) -> Result<(), ErrorInfo> {
        self.guard.pass(&options.guard, message, now.boot)
    }

    /// Whether a message of this size may wait.
    ///
    /// # Errors
    /// `outbox-full`.
    pub(super) fn check_room(&self, options: &Options, size: usize, flow: Flow) -> Result<(), ErrorInfo> {
        if self.outbox.has_room(&options.outbox, size, flow) {
            return Ok(());
        }
        let why = "the outbox is full; send again when outcomes have come";
        Err(error(Code::OutboxFull, why))
    }

    /// Whether what this message waits for can be looked for.
    ///
    /// # Errors
    /// `bad-frame` when answers are awaited in too many places already.
    pub(super) fn check_answers(&self, offer: &Offer) -> Result<(), ErrorInfo> {
        if offer
            .wanted()
            .is_none_or(|wanted| self.requests.has_room_for(wanted))
        {
            return Ok(());
        }
        let why = "answers are awaited at too many different pointers; use one for all requests";
        Err(error(Code::BadFrame, why))
    }

    /// What is known of this client's id.
    pub(super) fn status(&self, client: ClientId, id: &Name) -> Option<MessageStatus> {
        self.outbox.status(client, id)
    }

    /// Takes responsibility for a message; its serial number.
    pub(super) fn accept(&mut self, client: ClientId, offer: Offer) -> u64 {
        let (item, wanted) = offer.into_item(client);
        let serial = self.outbox.accept(item);
        if let Some(wanted) = wanted {
            self.requests.wait(serial, wanted);
        }
        serial
    }

    /// A client's messages that have not ended, for `opened`.
    pub(super) fn items_of(&self, client: ClientId) -> Vec<OutboxItem> {
        self.outbox
            .iter()
            .filter(|(_, item)| item.client == client)
            .filter_map(|(_, item)| {
                let state = if item.is_handed() { "written" } else { "queued" };
                item.id.clone().map(|id| OutboxItem { id, state })
            })
            .collect()
    }

    /// The next step of an outbox that a link takes; `None` when nothing waits, or enough is under way.
    pub(super) fn next(&mut self, now: Now) -> Option<OutgoingStep> {
        let (messages, bytes) = self.outbox.unwritten();
        if messages >= MAX_UNWRITTEN || bytes >= MAX_UNWRITTEN_BYTES {
            return None;
        }
        match self.outbox.next(now.boot, now.awake)? {
            NextMessage::Settled(settled) => Some(OutgoingStep::Settled(self.ended(settled))),
            NextMessage::Transmit { serial, payload } => {
                self.sent.messages += 1;
                self.sent.bytes += payload.len() as u64;
                Some(OutgoingStep::Transmit(Handover {
                    payload,
                    place: self.outbox.handed(),
                    serial: Some(serial),
                    awaits_ack: self.requests.wants_ack(serial),
                }))
            }
        }
    }

    /// What is no message of the outbox goes to the link: greeting, subscription, beat.
    pub(super) fn hand_untracked(&mut self, payload: Payload) -> Handover {
        self.outbox.count_untracked(payload.len());
        Handover {
            payload,
            place: self.outbox.handed(),
            serial: None,
            awaits_ack: false,
        }
    }

    /// Whether the link has room for what can be left out: a server that asks faster than it reads is not answered.
    pub(super) fn has_room_for_beats(&self) -> bool {
        self.outbox.unwritten().0 < MAX_UNWRITTEN
    }

    /// Everything handed over up to now, if a ping is wanted that proves it.
    pub(super) fn wants_proof(&self) -> Option<u64> {
        self.outbox.wants_proof().then(|| self.outbox.handed())
    }

    /// Everything handed over up to now.
    pub(super) const fn handed(&self) -> u64 {
        self.outbox.handed()
    }

    /// Nothing is awaited any more for a message that has ended.
    fn ended(&mut self, settled: Settled) -> Settled {
        self.requests.forget(settled.serial);
        settled
    }

    fn all_ended(&mut self, settled: Vec<Settled>) -> Vec<Settled> {
        for settled in &settled {
            self.requests.forget(settled.serial);
        }
        settled
    }

    /// The link could not take this message.
    pub(super) fn refuse(&mut self, now: Now, serial: u64, why: ErrorInfo) -> Option<Settled> {
        let settled = self.outbox.refuse(now.awake, serial, why)?;
        Some(self.ended(settled))
    }

    /// The link has written so many messages.
    pub(super) fn written(&mut self, now: Now, count: u64, proof: Proof) -> Vec<Settled> {
        let settled = self.outbox.written(now.awake, count, proof);
        self.all_ended(settled)
    }

    /// The far endpoint has read everything up to this place.
    pub(super) fn proven(&mut self, now: Now, place: u64) -> Vec<Settled> {
        let settled = self.outbox.proven(now.awake, place);
        self.all_ended(settled)
    }

    /// The message at this place was posted and answered; `failure` if it was not taken.
    pub(super) fn posted(&mut self, now: Now, place: u64, failure: Option<ErrorInfo>) -> Vec<Settled> {
        let settled = self.outbox.answered(now.awake, place, failure);
        self.all_ended(settled)
    }

    /// The server's own acknowledgement of a message.
    pub(super) fn acknowledged(&mut self, now: Now, serial: u64, answer: Payload) -> Option<Settled> {
        let result = if self.outbox.get(serial)?.is_request() {
            MessageResult::Response(Ok(answer))
        } else {
            MessageResult::Outcome(Outcome::Confirmed, None)
        };
        self.settle(now, serial, result)
    }

    fn settle(&mut self, now: Now, serial: u64, result: MessageResult) -> Option<Settled> {
        let settled = self.outbox.settle(now.awake, serial, result)?;
        Some(self.ended(settled))
    }

    /// Lets an incoming message answer or confirm what it can.
    pub(super) fn answer(&mut self, now: Now, message: &ParsedMessage<'_>) -> Answered {
        match self.requests.find(message) {
            None => Answered::Nothing,
            Some(FoundRequest::Answer(serial)) => {
                let result = MessageResult::Response(Ok(message.payload().clone()));
                Answered::Request(self.settle(now, serial, result))
            }
            Some(FoundRequest::Confirmation(serial)) => {
                let result = MessageResult::Outcome(Outcome::Confirmed, None);
                Answered::Confirmation(self.settle(now, serial, result))
            }
        }
    }

    /// The link is gone, and had begun to hand over so many messages: unproven ones end or wait again, and what waits
    /// again may have waited too long.
    pub(super) fn link_lost(&mut self, now: Now, taken: u64) -> Vec<Settled> {
        self.subscriptions.link_lost();
        let mut settled = self.outbox.link_lost(now.awake, taken);
        settled.extend(self.outbox.expire(now.boot, now.awake));
        self.all_ended(settled)
    }

    /// Messages that are overdue.
    pub(super) fn expire(&mut self, now: Now) -> Vec<Settled> {
        let settled = self.outbox.expire(now.boot, now.awake);
        self.all_ended(settled)
    }

    /// Withdraws a message, or stops waiting for what becomes of it.
    pub(super) fn cancel(&mut self, now: Now, serial: u64) -> Option<Settled> {
        let settled = self.outbox.cancel(now.awake, serial)?;
        Some(self.ended(settled))
    }

    /// Withdraws everything that no link has been given.
    pub(super) fn cancel_queued(&mut self, now: Now) -> Vec<Settled> {
        let settled = self.outbox.cancel_queued(now.awake);
        self.all_ended(settled)
    }

    /// A volatile message found no open link.
    pub(super) fn drop_volatile(&mut self, now: Now, serial: u64) -> Option<Settled> {
        let settled = self.outbox.drop_volatile(now.awake, serial)?;
        Some(self.ended(settled))
    }

    /// The session ends: everything is settled, truthfully.
    pub(super) fn end(&mut self, now: Now) -> Vec<Settled> {
        let settled = self.outbox.end(now.awake);
        self.all_ended(settled)
    }

    /// When messages or subscriptions are overdue next, in boot time, and what.
    pub(super) fn deadline(&self) -> Option<(Duration, &'static str)> {
        let overdue = self.outbox.deadline().map(|at| (at, "outbox"));
        let confirm = self.subscriptions.deadline().map(|at| (at, "subscription"));
        [overdue, confirm].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}
