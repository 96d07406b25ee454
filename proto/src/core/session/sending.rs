//! The outgoing direction: transmitting what was accepted, proving, answering, settling.
//!
//! Bounds and verdicts are the outbox's; this file connects it with the link, the log and the ports.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::json::Pointers;
use crate::wire::message::SubscriptionState;
use crate::wire::payload::Payload;
use crate::wire::record::{Body, ErrorInfo, OutcomeReport, ResponseReport};
use crate::wire::rule::Look;

use crate::core::context::{Context, error};
use crate::core::outbox::{Next, Settled, Verdict};
use crate::core::requests::Found;

use super::Session;
use super::uplink::BeatReply;

/// Messages and bytes handed to a link and not yet written, at most; one oversize message may exceed the bytes.
const UNWRITTEN: usize = 256;
const UNWRITTEN_BYTES: usize = 1 << 20;
/// Bytes of answers that nobody has acknowledged, at most; one answer may be larger.
const ANSWERS: usize = 16 << 20;

impl Session {
    /// Transmits what is no message of the outbox: greeting, subscription, beat.
    pub(super) fn transmit_foreign(&mut self, ctx: &mut Context, payload: Payload) {
        if !self.uplink.takes_anything(&self.options) {
            return;
        }
        self.outbox.count_foreign(payload.len());
        if let Err(why) = self.hand_over_to_link(ctx, payload, None) {
            // One for a namespace that is not open goes nowhere, as it would on the server.
            tracing::debug!(session = %self.identity.name, why = why.message, "not said");
            self.count_nothing(ctx);
        }
    }

    fn hand_over_to_link(
        &mut self,
        ctx: &mut Context,
        payload: Payload,
        serial: Option<u64>,
    ) -> Result<(), ErrorInfo> {
        let place = self.outbox.handed();
        let mut taken = Ok(());
        self.with_uplink(ctx, |uplink, scope| {
            taken = uplink.transmit(scope, payload, place, serial)
        });
        taken
    }

    /// Nothing was written for the newest message handed over: it takes no place on the link.
    fn count_nothing(&mut self, ctx: &mut Context) {
        if let Some(place) = self.uplink.skip(self.outbox.handed()) {
            let settled = self.outbox.written(ctx.now.awake, place, true);
            self.settle_all(ctx, settled);
        }
    }

    /// Lets the outbox flow as far as the link takes it.
    pub(super) fn flow(&mut self, ctx: &mut Context) {
        if !self.uplink.takes_messages(&self.options) {
            return;
        }
        loop {
            let (messages, bytes) = self.outbox.unwritten();
            if messages >= UNWRITTEN || bytes >= UNWRITTEN_BYTES {
                break;
            }
            match self.outbox.next(ctx.now.boot, ctx.now.awake) {
                None => break,
                Some(Next::Settled(settled)) => self.settle_all(ctx, Some(settled)),
                Some(Next::Transmit { serial, payload }) => {
                    self.journal_intent(ctx, serial);
                    self.counters.sent.messages += 1;
                    self.counters.sent.bytes += payload.len() as u64;
                    let awaits = self.requests.wants_ack(serial).then_some(serial);
                    if let Err(why) = self.hand_over_to_link(ctx, payload, awaits) {
                        let settled = self.outbox.refuse(ctx.now.awake, serial, why);
                        self.settle_all(ctx, settled);
                        self.count_nothing(ctx);
                    }
                }
            }
        }
        self.prove(ctx);
    }

    /// Sends a proving ping if one is wanted and due.
    fn prove(&mut self, ctx: &mut Context) {
        if self.outbox.wants_proof() {
            let place = self.outbox.handed();
            self.with_uplink(ctx, |uplink, scope| uplink.prove(scope, place));
        }
    }

    /// The link has written so many messages.
    pub(super) fn written(&mut self, ctx: &mut Context, count: u64) {
        let is_final = !self.uplink.has_pings(&self.options);
        let settled = self.outbox.written(ctx.now.awake, count, is_final);
        self.settle_all(ctx, settled);
        self.flow(ctx);
    }

    /// The far endpoint has read everything up to this place.
    pub(super) fn proven(&mut self, ctx: &mut Context, place: u64) {
        let settled = self.outbox.proven(ctx.now.awake, place);
        self.settle_all(ctx, settled);
        self.prove(ctx);
    }

    /// Whether incoming messages have to be looked into.
    pub(super) fn looks_inside(&self) -> bool {
        !self.requests.is_empty() || self.subscriptions.awaits() || self.uplink.looks_inside(&self.options)
    }

    /// All pointers that are asked for when a message comes.
    pub(crate) fn received_pointers(&self) -> Pointers {
        let mut pointers = Pointers::NONE;
        for line in &self.options.guard.receive {
            line.add_pointers(&mut pointers);
        }
        for client in &self.clients {
            client.filter.add_pointers(&mut pointers);
        }
        self.requests.add_pointers(&mut pointers);
        self.subscriptions.add_pointers(&mut pointers);
        self.options.add_pointers(&mut pointers);
        pointers
    }

    /// All pointers that are asked for when a message is sent.
    pub(crate) fn sent_pointers(&self) -> Pointers {
        let mut pointers = Pointers::NONE;
        for line in &self.options.guard.send {
            line.add_pointers(&mut pointers);
        }
        pointers
    }

    /// Takes the answer to our beat, and answers the server's. Both are used up: they are not the extension's.
    fn takes_beat(&mut self, ctx: &mut Context, message: &Look<'_>) -> bool {
        let mut reply = BeatReply::NoBeat;
        self.with_uplink(ctx, |uplink, scope| reply = uplink.take_beat(scope, message));
        match reply {
            BeatReply::NoBeat => return false,
            // A server that asks faster than it reads is not answered every time.
            BeatReply::Send(answer) if self.outbox.unwritten().0 < UNWRITTEN => {
                self.transmit_foreign(ctx, answer);
            }
            BeatReply::Send(_) | BeatReply::Nothing => {}
        }
        true
    }

    /// Lets an incoming message answer, confirm and make ready what it can; whether it is used up by that.
    pub(super) fn consumes(&mut self, ctx: &mut Context, payload: &Payload) -> bool {
        let message = ctx.look(payload).for_pointers(|| self.received_pointers());
        self.uplink.adjust_beat(&self.options, &message);
        self.log_in(ctx, &message);
        self.make_ready(ctx, &message);
        if self.takes_beat(ctx, &message) {
            return true;
        }
        for key in self.subscriptions.confirm(&message) {
            self.tell_subscription(ctx, key, SubscriptionState::Active);
        }
        match self.requests.find(&message) {
            None => false,
            Some(Found::Answer(serial)) => {
                let verdict = Verdict::Response(Ok(payload.clone()));
                let settled = self.outbox.settle(ctx.now.awake, serial, verdict);
                self.settle_all(ctx, settled);
                true
            }
            Some(Found::Confirmation(serial)) => {
                let verdict = Verdict::Outcome(crate::wire::record::Outcome::Confirmed, None);
                let settled = self.outbox.settle(ctx.now.awake, serial, verdict);
                self.settle_all(ctx, settled);
                false
            }
        }
    }

    fn log_in(&mut self, ctx: &mut Context, message: &Look<'_>) {
        if self.options.login.is_empty() {
            return;
        }
        let mut answers = Vec::new();
        self.with_uplink(ctx, |uplink, scope| answers = uplink.log_in(scope, message));
        for answer in answers {
            self.transmit_foreign(ctx, answer);
        }
    }

    fn make_ready(&mut self, ctx: &mut Context, message: &Look<'_>) {
        if self.uplink.make_ready(&self.options, message) {
            self.begin_flow(ctx);
        }
    }

    /// The link is gone: unproven messages end or wait again.
    pub(super) fn settle_lost(&mut self, ctx: &mut Context, taken: u64) {
        let settled = self.outbox.link_lost(ctx.now.awake, taken);
        self.settle_all(ctx, settled);
        // What waits again may have waited too long.
        let overdue = self.outbox.expire(ctx.now.boot, ctx.now.awake);
        self.settle_all(ctx, overdue);
    }

    pub(super) fn settle_all(&mut self, ctx: &mut Context, settled: impl IntoIterator<Item = Settled>) {
        let mut any = false;
        for settled in settled {
            any = true;
            self.record_settled(ctx, settled);
        }
        if any {
            self.deliver(ctx);
        }
    }

    /// Writes down how a message ended, for the client that sent it.
    pub(super) fn record_settled(&mut self, ctx: &mut Context, settled: Settled) {
        let Settled {
            serial,
            client,
            id,
            receipt,
            verdict,
        } = settled;
        self.requests.forget(serial);
        self.uplink.forget(serial);
        let Some(id) = id else { return };
        let verdict = match verdict {
            Verdict::Response(Ok(answer)) => Verdict::Response(self.room_for(ctx, answer)),
            other => other,
        };
        let body = match verdict {
            Verdict::Outcome(outcome, _) if outcome.is_good() && !receipt => {
                return self.journal_settled(ctx, client, id, outcome);
            }
            Verdict::Outcome(outcome, error) => Body::Outcome(OutcomeReport { id, outcome, error }.into()),
            Verdict::Response(Ok(answer)) => Body::Response(
                ResponseReport {
                    id,
                    answer: Some(answer),
                    error: None,
                }
                .into(),
            ),
            Verdict::Response(Err(error)) => Body::Response(
                ResponseReport {
                    id,
                    answer: None,
                    error: Some(error),
                }
                .into(),
            ),
        };
        self.append(ctx, body, Some(client));
    }

    /// The answer, if the log has room for it. A server cannot fill the memory with answers that nobody takes.
    fn room_for(&self, ctx: &Context, answer: Payload) -> Result<Payload, ErrorInfo> {
        let held = self.log.answers();
        let fits = held == 0 || held + answer.len() <= ANSWERS;
        let fits_beside = self.check_budget(ctx, answer.len()).is_ok();
        if fits && fits_beside {
            return Ok(answer);
        }
        let why = format!(
            "the server answered with {} bytes, and {held} bytes of answers are not acknowledged yet: it is lost",
            answer.len()
        );
        Err(error(Code::Overflow, why))
    }

    /// Does what the outgoing direction's timers ask for.
    pub(super) fn sending_timeout(&mut self, ctx: &mut Context) {
        for key in self.subscriptions.expire(ctx.now.boot) {
            self.tell_subscription(ctx, key, SubscriptionState::Failed);
        }
        let settled = self.outbox.expire(ctx.now.boot, ctx.now.awake);
        self.settle_all(ctx, settled);
        self.prove(ctx);
    }

    /// When the outgoing direction's timers ask next, in boot time.
    pub(super) fn sending_deadline(&self) -> Option<(Duration, &'static str)> {
        let overdue = self.outbox.deadline().map(|at| (at, "outbox"));
        let confirm = self.subscriptions.deadline().map(|at| (at, "subscription"));
        let proof = self
            .uplink
            .proof_due(&self.options)
            .filter(|_| self.outbox.wants_proof());
        let proof = proof.map(|at| (at, "proof"));
        [overdue, confirm, proof]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}
