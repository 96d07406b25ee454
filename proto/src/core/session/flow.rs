//! The outgoing direction and the link brought together: what is handed over, what proves it, how it ended.
//!
//! Bounds and verdicts are `outgoing`'s.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::{BrokerFrame, SubscriptionState};
use crate::wire::payload::Payload;
use crate::wire::record::{Body, ErrorInfo, Name, OutcomeReport, ResponseReport};
use crate::wire::rule::ParsedMessage;

use crate::core::context::{Context, error};
use crate::core::dialect::Received;
use crate::core::outbox::{MessageResult, Proof, Settled};

use super::Session;
use super::outgoing::{Answered, Handover, OutgoingStep};
use super::uplink::BeatReply;

/// Bytes of answers that nobody has acknowledged, at most; one answer may be larger.
const MAX_ANSWER_BYTES: usize = 16 << 20;

impl Session {
    /// Transmits what is no message of the outbox: greeting, subscription, beat.
    pub(super) fn transmit_untracked(&mut self, ctx: &mut Context, payload: Payload) {
        if !self.uplink.takes_anything(&self.options) {
            return;
        }
        let handover = self.outgoing.hand_untracked(payload);
        if let Err(why) = self.hand_over(ctx, handover) {
            // One for a namespace that is not open goes nowhere, as it would on the server.
            tracing::debug!(session = %self.identity.name, why = why.message, "message dropped: its namespace is not open");
        }
    }

    /// Hands a message to the link. What the link cannot take has no place on it.
    fn hand_over(&mut self, ctx: &mut Context, handover: Handover) -> Result<(), ErrorInfo> {
        let Handover {
            payload,
            place,
            serial,
            awaits_ack,
        } = handover;
        let acknowledged = serial.filter(|_| awaits_ack);
        let taken = self.with_uplink(ctx, |uplink, scope| {
            uplink.transmit(scope, payload, place, acknowledged)
        });
        if let Err(why) = &taken {
            if let Some(serial) = serial {
                let settled = self.outgoing.refuse(ctx.now, serial, why.clone());
                self.settle(ctx, settled);
            }
            if let Some(place) = self.uplink.skip(self.outgoing.handed()) {
                let settled = self.outgoing.written(ctx.now, place, Proof::Written);
                self.settle(ctx, settled);
            }
        }
        taken
    }

    /// Lets the outbox flow as far as the link takes it.
    pub(super) fn flow(&mut self, ctx: &mut Context) {
        if !self.uplink.takes_messages(&self.options) {
            return;
        }
        while let Some(step) = self.outgoing.next(ctx.now) {
            match step {
                OutgoingStep::Settled(settled) => self.settle(ctx, [settled]),
                OutgoingStep::Transmit(handover) => {
                    if let Some(serial) = handover.serial {
                        self.journal_intent(ctx, serial);
                    }
                    // What the link does not take has ended.
                    let _ = self.hand_over(ctx, handover);
                }
            }
        }
        self.prove(ctx);
    }

    /// Sends a proving ping if one is wanted and due.
    fn prove(&mut self, ctx: &mut Context) {
        if let Some(place) = self.outgoing.wants_proof() {
            self.with_uplink(ctx, |uplink, scope| uplink.prove(scope, place));
        }
    }

    /// The link has written so many messages.
    pub(super) fn written(&mut self, ctx: &mut Context, count: u64) {
        let proof = if self.uplink.has_pings(&self.options) {
            Proof::Pong
        } else {
            Proof::Written
        };
        let settled = self.outgoing.written(ctx.now, count, proof);
        self.settle(ctx, settled);
        self.flow(ctx);
    }

    /// The far endpoint has read everything up to this place.
    pub(super) fn proven(&mut self, ctx: &mut Context, place: u64) {
        let settled = self.outgoing.proven(ctx.now, place);
        self.settle(ctx, settled);
        self.prove(ctx);
    }

    /// Lets an incoming message answer, confirm and make ready what it can; whether nothing of it is left for the clients.
    pub(super) fn use_message(&mut self, ctx: &mut Context, received: &Received) -> bool {
        if !self.looks_inside() {
            return false;
        }
        let message = received.look(|| self.received_pointers());
        self.uplink.adjust_beat(&self.options, &message);
        self.log_in(ctx, &message);
        if self.uplink.make_ready(&self.options, &message) {
            self.begin_flow(ctx);
        }
        self.answer_beat(ctx, &message) || self.answer_messages(ctx, &message)
    }

    /// Takes the answer to our beat, and answers the server's; `false` when the message is neither.
    fn answer_beat(&mut self, ctx: &mut Context, message: &ParsedMessage<'_>) -> bool {
        let reply = self.with_uplink(ctx, |uplink, scope| uplink.take_beat(scope, message));
        if let BeatReply::Send(answer) = reply {
            if self.outgoing.has_room_for_beats() {
                self.transmit_untracked(ctx, answer);
            }
            return true;
        }
        matches!(reply, BeatReply::Nothing)
    }

    /// Settles what the message answers or confirms; `true` when it is an answer, which clients get as such.
    fn answer_messages(&mut self, ctx: &mut Context, message: &ParsedMessage<'_>) -> bool {
        for key in self.outgoing.confirm_subscriptions(message) {
            self.tell_subscription(ctx, &key, SubscriptionState::Active);
        }
        match self.outgoing.answer(ctx.now, message) {
            Answered::Nothing => false,
            Answered::Request(settled) => {
                self.settle(ctx, settled);
                true
            }
            Answered::Confirmation(settled) => {
                self.settle(ctx, settled);
                false
            }
        }
    }

    fn log_in(&mut self, ctx: &mut Context, message: &ParsedMessage<'_>) {
        if self.options.login.is_empty() {
            return;
        }
        let answers = self.with_uplink(ctx, |uplink, scope| uplink.log_in(scope, message));
        for answer in answers {
            self.transmit_untracked(ctx, answer);
        }
    }

    /// Once the connection is ready: says every subscription, then lets the outbox flow.
    pub(super) fn begin_flow(&mut self, ctx: &mut Context) {
        if !self.uplink.is_ready() {
            return;
        }
        for (key, _) in self.outgoing.subscriptions() {
            self.say_subscription(ctx, &key);
        }
        self.flow(ctx);
    }

    pub(super) fn say_subscription(&mut self, ctx: &mut Context, key: &Name) {
        let Some((payloads, state)) = self.outgoing.say_subscription(key, ctx.now.boot) else {
            return;
        };
        for payload in payloads {
            self.transmit_untracked(ctx, payload);
        }
        self.tell_subscription(ctx, key, state);
    }

    pub(super) fn tell_subscription(&self, ctx: &mut Context, key: &Name, state: SubscriptionState) {
        self.delivery
            .send_to_all(&mut ctx.ports(), || BrokerFrame::Subscription {
                session: self.identity.name.clone(),
                key: key.clone(),
                state,
            });
    }

    /// Writes down how messages ended, and hands it to the clients that sent them.
    pub(super) fn settle(&mut self, ctx: &mut Context, settled: impl IntoIterator<Item = Settled>) {
        let mut has_settled = false;
        for settled in settled {
            has_settled = true;
            self.record_settled(ctx, settled);
        }
        if has_settled {
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
            result,
        } = settled;
        self.uplink.forget(serial);
        let Some(id) = id else { return };
        let body = match result {
            MessageResult::Outcome(outcome, _) if outcome.is_good() && !receipt => {
                return self.journal_settled(ctx, client, id, outcome);
            }
            MessageResult::Outcome(outcome, error) => {
                Body::Outcome(OutcomeReport { id, outcome, error }.into())
            }
            MessageResult::Response(answer) => {
                let (answer, error) = match answer.and_then(|answer| self.room_for(ctx, answer)) {
                    Ok(answer) => (Some(answer), None),
                    Err(why) => (None, Some(why)),
                };
                Body::Response(ResponseReport { id, answer, error }.into())
            }
        };
        self.append(ctx, body, Some(client));
    }

    /// The answer, if the log has room for it. A server cannot fill the memory with answers that nobody takes.
    fn room_for(&self, ctx: &Context, answer: Payload) -> Result<Payload, ErrorInfo> {
        let held = self.delivery.log().answers();
        let fits = held == 0 || held + answer.len() <= MAX_ANSWER_BYTES;
        if fits && self.check_budget(ctx, answer.len()).is_ok() {
            return Ok(answer);
        }
        let why = format!(
            "the server answered with {} bytes, and {held} bytes of answers are unacknowledged: the answer was dropped",
            answer.len()
        );
        Err(error(Code::Overflow, why))
    }

    /// Does what the outgoing direction's timers ask for.
    pub(super) fn flow_timeout(&mut self, ctx: &mut Context) {
        for key in self.outgoing.expire_subscriptions(ctx.now.boot) {
            self.tell_subscription(ctx, &key, SubscriptionState::Failed);
        }
        let settled = self.outgoing.expire(ctx.now);
        self.settle(ctx, settled);
        self.prove(ctx);
    }

    /// When a proving ping is due, in boot time.
    pub(super) fn proof_deadline(&self) -> Option<(Duration, &'static str)> {
        let due = self.uplink.proof_due(&self.options)?;
        self.outgoing.wants_proof().map(|_| (due, "proof"))
    }
}
