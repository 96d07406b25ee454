//! The outgoing direction: transmitting what was accepted, proving, answering, settling.
//!
//! Bounds and verdicts are the outbox's; this file connects it with the link, the log and the ports.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::SubscriptionState;
use crate::wire::options::Protocol;
use crate::wire::payload::Payload;
use crate::wire::record::{Body, ErrorInfo, OutcomeReport, ResponseReport};
use crate::wire::rule::Look;

use crate::core::context::{Context, error};
use crate::core::heartbeat::Heartbeat;
use crate::core::io::Output;
use crate::core::outbox::{Next, Settled, Verdict};
use crate::core::requests::Found;

use super::Session;

/// Messages and bytes handed to a link and not yet written, at most; one oversize message may exceed the bytes.
const UNWRITTEN: usize = 256;
const UNWRITTEN_BYTES: usize = 1 << 20;
/// Proving pings keep this distance.
const PROOF_SPACING: Duration = Duration::from_millis(500);
/// Bytes of answers that nobody has acknowledged, at most; one answer may be larger.
const ANSWERS: usize = 16 << 20;

impl Session {
    /// Transmits what is no message of the outbox: greeting, subscription, beat.
    pub(super) fn transmit_foreign(&mut self, ctx: &mut Context, payload: Payload) {
        if let Some(connection) = self.link.connection()
            && !self.is_deaf()
            && !self.awaits_close()
        {
            let dial = connection.dial;
            self.outbox.count_foreign(payload.len());
            if self.is_socketio() {
                // One for a namespace that is not open goes nowhere, as it would on the server.
                self.emit_foreign(ctx, dial, &payload);
            } else {
                ctx.out.push_back(Output::Transmit(dial, payload));
            }
        }
    }

    /// Lets the outbox flow as far as the link takes it.
    pub(super) fn flow(&mut self, ctx: &mut Context) {
        let Some(connection) = self.link.connection() else {
            return;
        };
        if !connection.ready || self.is_deaf() || self.awaits_close() {
            return;
        }
        let dial = connection.dial;
        loop {
            let (messages, bytes) = self.outbox.unwritten();
            if messages >= UNWRITTEN || bytes >= UNWRITTEN_BYTES {
                break;
            }
            match self.outbox.next(ctx.now.boot, ctx.now.awake) {
                None => break,
                Some(Next::Settled(settled)) => self.settle_all(ctx, Some(settled)),
                Some(Next::Transmit { serial, payload }) => {
                    self.keep_intent(ctx, serial);
                    self.counters.sent.messages += 1;
                    self.counters.sent.bytes += payload.len() as u64;
                    if !self.is_socketio() {
                        ctx.out.push_back(Output::Transmit(dial, payload));
                    } else if let Err(why) = self.emit_item(ctx, dial, &payload, serial) {
                        let settled = self.outbox.refuse(ctx.now.awake, serial, why);
                        self.settle_all(ctx, settled);
                        self.count_nothing(ctx);
                    }
                }
            }
        }
        self.prove(ctx);
    }

    /// Whether a ping can prove what was written before it.
    fn has_pings(&self) -> bool {
        self.options.heartbeat.is_some() && self.protocol() == Protocol::WebSocket
    }

    /// Sends a proving ping if one is wanted and due.
    fn prove(&mut self, ctx: &mut Context) {
        if !self.has_pings() || !self.outbox.wants_proof() || self.awaits_close() {
            return;
        }
        let place = self.outbox.handed();
        let Some(connection) = self.link.up() else { return };
        if !connection.is_proving() && ctx.now.boot >= connection.proof_due(PROOF_SPACING) {
            let token = connection.ping(ctx.now.boot, Some(place));
            ctx.out.push_back(Output::Ping(connection.dial, token));
        }
    }

    /// Sends a ping behind all that was written, whenever the last one went, if any of it still wants proof.
    pub(super) fn prove_all(&mut self, ctx: &mut Context) {
        if !self.has_pings() || !self.outbox.wants_proof() {
            return;
        }
        let place = self.outbox.handed();
        let Some(connection) = self.link.up() else { return };
        let token = connection.ping(ctx.now.boot, Some(place));
        ctx.out.push_back(Output::Ping(connection.dial, token));
    }

    /// The link has written so many messages.
    pub(super) fn written(&mut self, ctx: &mut Context, count: u64) {
        let is_final = !self.has_pings();
        let settled = self.outbox.written(ctx.now.awake, count, is_final);
        self.settle_all(ctx, settled);
        self.flow(ctx);
    }

    /// A pong came.
    pub(super) fn ponged(&mut self, ctx: &mut Context, token: u64) {
        let Some((proves, took)) = self
            .link
            .up()
            .and_then(|connection| connection.pong(ctx.now.boot, token))
        else {
            return;
        };
        self.counters.round_trips.add(took);
        if let Some(place) = proves {
            let settled = self.outbox.proven(ctx.now.awake, place);
            self.settle_all(ctx, settled);
        }
        self.prove(ctx);
    }

    /// Whether incoming messages have to be looked into.
    pub(super) fn looks_inside(&self) -> bool {
        !self.requests.is_empty()
            || self.subscriptions.awaits()
            || self
                .link
                .connection()
                .is_some_and(|connection| connection.ready_by.is_some())
            || self.awaits_beat()
    }

    /// Whether an incoming message may be a beat, or the answer to one.
    fn awaits_beat(&self) -> bool {
        self.options.heartbeat.as_ref().is_some_and(|settings| {
            let beat = self.link.connection().and_then(|up| up.heartbeat.as_ref());
            !settings.answers.is_empty() || beat.is_some_and(Heartbeat::awaits)
        })
    }

    /// Takes the answer to our beat, and answers the server's. Both are used up: they are not the extension's.
    fn takes_beat(&mut self, ctx: &mut Context, message: &Look<'_>) -> bool {
        let Some(settings) = &self.options.heartbeat else {
            return false;
        };
        let now = ctx.now.boot;
        if let Some(beat) = self.link.up().and_then(|up| up.heartbeat.as_mut())
            && beat.awaits()
            && settings.expect.as_ref().is_some_and(|rule| rule.matches(message))
        {
            return beat.answered(now);
        }
        let Some((_, answer)) = settings.answers.iter().find(|(when, _)| when.matches(message)) else {
            return false;
        };
        // A server that asks faster than it reads is not answered every time.
        if let Some(answer) = answer.clone()
            && self.outbox.unwritten().0 < UNWRITTEN
        {
            self.transmit_foreign(ctx, answer);
        }
        true
    }

    /// Lets an incoming message answer, confirm and make ready what it can; whether it is used up by that.
    pub(super) fn consumes(&mut self, ctx: &mut Context, payload: &Payload) -> bool {
        let message = Look::at(payload);
        if self.takes_beat(ctx, &message) {
            return true;
        }
        for key in self.subscriptions.confirm(&message) {
            self.tell_subscription(ctx, key, SubscriptionState::Active);
        }
        self.make_ready(ctx, &message);
        match message.value().and_then(|value| self.requests.find(value)) {
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

    fn make_ready(&mut self, ctx: &mut Context, message: &Look<'_>) {
        let Some(rule) = &self.options.ready else { return };
        let Some(connection) = self.link.up() else { return };
        if connection.ready_by.is_some() && rule.matches(message) {
            connection.ready_by = None;
            connection.ready = true;
            self.flow(ctx);
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
        self.forget_ack(serial);
        let Some(id) = id else { return };
        let verdict = match verdict {
            Verdict::Response(Ok(answer)) => Verdict::Response(self.room_for(ctx, answer)),
            other => other,
        };
        let body = match verdict {
            Verdict::Outcome(outcome, _) if outcome.is_good() && !receipt => {
                return self.keep_settled(ctx, client, id, outcome);
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
        let proof = self.link.connection().filter(|connection| {
            self.has_pings() && !connection.is_proving() && self.outbox.wants_proof() && !self.awaits_close()
        });
        let proof = proof.map(|connection| (connection.proof_due(PROOF_SPACING), "proof"));
        [overdue, confirm, proof]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}
