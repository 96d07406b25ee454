//! How messages end: by events of the link and messages of the server about those that were handed over.

use std::time::Duration;

use crate::wire::message::SubscriptionState;
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name, Outcome};
use crate::wire::rule::ParsedMessage;

use crate::core::io::Now;
use crate::core::outbox::{MessageResult, Proof, Settled};
use crate::core::requests::FoundRequest;

use super::super::link_view::Refusal;
use super::{Next, Outgoing, OutgoingEvent};

impl Outgoing {
    /// Messages have ended: nothing is awaited any more for them.
    pub(super) fn settled(&mut self, settled: impl IntoIterator<Item = Settled>) {
        let settled = self.all_ended(settled);
        if !settled.is_empty() {
            self.push(OutgoingEvent::Settled(settled));
        }
    }

    pub(super) fn all_ended(&mut self, settled: impl IntoIterator<Item = Settled>) -> Vec<Settled> {
        let settled: Vec<Settled> = settled.into_iter().collect();
        for settled in &settled {
            self.requests.forget(settled.serial);
        }
        settled
    }

    /// The link did not take a message. One that has no serial number goes nowhere, as it would on the server.
    pub(in crate::core::session) fn refused(&mut self, now: Now, serial: Option<u64>, refusal: Refusal) {
        if let Some(serial) = serial {
            let settled = self.outbox.refuse(now.awake, serial, refusal.why);
            self.settled(settled);
        }
        if let Some(place) = refusal.written {
            let settled = self.outbox.written(now.awake, place, Proof::Written);
            self.settled(settled);
        }
    }

    /// The server does not take the message that was handed over at this place.
    pub(in crate::core::session) fn refused_at(&mut self, now: Now, place: u64, why: ErrorInfo) {
        if let Some(serial) = self.outbox.serial_at(place) {
            let settled = self.outbox.refuse(now.awake, serial, why);
            self.settled(settled);
        }
    }

    /// The link has written so many messages.
    pub(in crate::core::session) fn written(&mut self, now: Now, count: u64, proof: Proof) {
        let settled = self.outbox.written(now.awake, count, proof);
        self.settled(settled);
        self.begin_flow();
    }

    /// The far endpoint has read everything up to this place.
    pub(in crate::core::session) fn proven(&mut self, now: Now, place: u64) {
        let settled = self.outbox.proven(now.awake, place);
        self.settled(settled);
        self.next = self.next.max(Next::Prove);
    }

    /// The message at this place was posted and answered; `failure` if it was not taken.
    pub(in crate::core::session) fn posted(&mut self, now: Now, place: u64, failure: Option<ErrorInfo>) {
        let settled = self.outbox.answered(now.awake, place, failure);
        self.settled(settled);
        self.begin_flow();
    }

    /// The server's own acknowledgement of a message.
    pub(in crate::core::session) fn acknowledged(&mut self, now: Now, serial: u64, answer: Payload) {
        let Some(item) = self.outbox.get(serial) else {
            return;
        };
        let result = if item.is_request() {
            MessageResult::Response(Ok(answer))
        } else {
            MessageResult::Outcome(Outcome::Confirmed, None)
        };
        self.settle(now, serial, result);
    }

    fn settle(&mut self, now: Now, serial: u64, result: MessageResult) {
        let settled = self.outbox.settle(now.awake, serial, result);
        self.settled(settled);
    }

    /// Lets an incoming message answer or confirm what it can; `true` when it is an answer, which clients get as such.
    pub(in crate::core::session) fn answer(&mut self, now: Now, message: &ParsedMessage<'_>) -> bool {
        let confirmed = self.subscriptions.confirm(message);
        self.report_subscriptions(confirmed, SubscriptionState::Active);
        match self.requests.find(message) {
            None => false,
            Some(FoundRequest::Answer(serial)) => {
                self.settle(
                    now,
                    serial,
                    MessageResult::Response(Ok(message.payload().clone())),
                );
                true
            }
            Some(FoundRequest::Confirmation(serial)) => {
                self.settle(now, serial, MessageResult::Outcome(Outcome::Confirmed, None));
                false
            }
        }
    }

    fn report_subscriptions(&mut self, keys: Vec<Name>, state: SubscriptionState) {
        for key in keys {
            self.push(OutgoingEvent::Subscription(key, state));
        }
    }

    /// The link is gone, and had begun to hand over so many messages: unproven ones end or wait again, and what waits
    /// again may have waited too long.
    pub(in crate::core::session) fn link_lost(&mut self, now: Now, taken: u64) {
        self.subscriptions.link_lost();
        let mut settled = self.outbox.link_lost(now.awake, taken);
        settled.extend(self.outbox.expire(now.boot, now.awake));
        self.settled(settled);
    }

    /// Does what is due: messages and subscriptions that are overdue end.
    pub(in crate::core::session) fn timeout(&mut self, now: Now) {
        let failed = self.subscriptions.expire(now.boot);
        self.report_subscriptions(failed, SubscriptionState::Failed);
        let settled = self.outbox.expire(now.boot, now.awake);
        self.settled(settled);
        self.next = self.next.max(Next::Prove);
    }

    /// Withdraws everything that no link has been given.
    pub(in crate::core::session) fn cancel_queued(&mut self, now: Now) {
        let settled = self.outbox.cancel_queued(now.awake);
        self.settled(settled);
    }

    /// The session ends: everything is settled, truthfully.
    pub(in crate::core::session) fn end(&mut self, now: Now) -> Vec<Settled> {
        let settled = self.outbox.end(now.awake);
        self.all_ended(settled)
    }

    /// When messages or subscriptions are overdue next, in boot time, and what.
    pub(in crate::core::session) fn deadline(&self) -> Option<(Duration, &'static str)> {
        let overdue = self.outbox.deadline().map(|at| (at, "outbox"));
        let confirm = self.subscriptions.deadline().map(|at| (at, "subscription"));
        [overdue, confirm].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}
