//! The outgoing direction: accepting, transmitting, proving, answering, settling.
//!
//! Bounds and verdicts are the outbox's; this file connects it with the link, the log and the ports.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::{BrokerFrame, Match, Request, Send, Subscribe, SubscriptionState};
use crate::wire::options::Protocol;
use crate::wire::payload::Payload;
use crate::wire::record::{Body, ErrorInfo, Name, OutcomeReport, ResponseReport};
use crate::wire::rule::Look;

use crate::core::context::{Context, error};
use crate::core::heartbeat::Heartbeat;
use crate::core::io::{Output, PortId};
use crate::core::link::Link;
use crate::core::outbox::{Fate, Item, Next, Settled, Verdict};
use crate::core::requests::{Found, Wanted};

use super::Session;

/// Messages and bytes handed to a link and not yet written, at most; one oversize message may exceed the bytes.
const UNWRITTEN: usize = 256;
const UNWRITTEN_BYTES: usize = 1 << 20;
/// Proving pings keep this distance.
const PROOF_SPACING: Duration = Duration::from_millis(500);
/// Outcomes and responses that nobody has acknowledged, at most.
const UNHEARD: usize = 65_536;
/// Bytes of answers that nobody has acknowledged, at most; one answer may be larger.
const ANSWERS: usize = 16 << 20;

impl Session {
    /// What new messages are promised.
    pub(super) const fn durability(&self) -> &'static str {
        if self.keeping.is_some() { "disk" } else { "memory" }
    }

    /// Takes a message, or says why not.
    pub(crate) fn send(&mut self, ctx: &mut Context, port: PortId, send: Send) {
        let wanted = match &send.confirm {
            None => send.ack.then(|| Wanted::ack(false)),
            Some(correlation) => match Wanted::confirmation(correlation, &send.payload) {
                Ok(wanted) => Some(wanted),
                Err(why) => return ctx.refuse(port, why, send.id.as_ref(), Some(&self.name)),
            },
        };
        let ttl = Duration::from_millis(send.ttl.unwrap_or(self.options.outbox.ttl));
        let deadline = ctx.now.boot.saturating_add(ttl);
        self.take(ctx, port, send, deadline, false, wanted);
    }

    /// Takes a message that expects an answer.
    pub(crate) fn request(&mut self, ctx: &mut Context, port: PortId, request: Request) {
        let Request {
            send,
            matching,
            timeout,
            ..
        } = request;
        if matching == Match::Ack && !self.is_socketio() {
            let why = error(
                Code::Unsupported,
                "field `match`: `ack` needs a server with acknowledgements (Socket.IO)",
            );
            return ctx.refuse(port, why, send.id.as_ref(), Some(&self.name));
        }
        let wanted = match Wanted::answer(&matching, &send.payload) {
            Ok(wanted) => wanted,
            Err(why) => return ctx.refuse(port, why, send.id.as_ref(), Some(&self.name)),
        };
        let deadline = ctx.now.boot.saturating_add(Duration::from_millis(timeout));
        self.take(ctx, port, send, deadline, true, Some(wanted));
    }

    fn take(
        &mut self,
        ctx: &mut Context,
        port: PortId,
        send: Send,
        deadline: Duration,
        is_request: bool,
        wanted: Option<Wanted>,
    ) {
        let Some(client) = self.client_at(port) else {
            return;
        };
        let Send {
            id,
            payload,
            volatile,
            resend,
            receipt,
            lane,
            ..
        } = send;
        if let Some(id) = &id
            && let Some(fate) = self.outbox.fate(client, id)
        {
            let outcome = match fate {
                Fate::Open(_) => None,
                Fate::Settled(outcome) => outcome,
            };
            let (session, id) = (self.name.clone(), id.clone());
            let durability = self.durability();
            return ctx.say(
                port,
                BrokerFrame::Accepted {
                    session,
                    id,
                    durability,
                    duplicate: true,
                    outcome,
                },
            );
        }
        let flowing = self.link.connection().is_some_and(|connection| connection.ready);
        // It is not going to wait, so it needs no room.
        let is_dropped = volatile && !flowing;
        let refusal = if let Some(why) = self.cannot_carry(&payload) {
            Some(why)
        } else if let Err(why) = self
            .guard
            .may_send(&self.options.guard, &Look::at(&payload), ctx.now.boot)
        {
            Some(why)
        } else if matches!(self.link, Link::Closed) {
            Some(error(
                Code::SessionClosed,
                "the session's link has ended; send `reconnect` to dial again",
            ))
        } else if payload.len() > self.options.max_message {
            Some(error(
                Code::TooLarge,
                format!(
                    "the message exceeds `maxMessage` ({} bytes)",
                    self.options.max_message
                ),
            ))
        } else if !is_dropped && !self.outbox.has_room(&self.options.outbox, payload.len(), flowing) {
            Some(error(
                Code::OutboxFull,
                "the outbox is full; send again when outcomes have come",
            ))
        } else if !is_dropped && !flowing && self.holds() + payload.len() > self.share(ctx) {
            let why = "all sessions of this extension together hold as much as the settings allow";
            Some(error(Code::OutboxFull, why))
        } else if id.is_some() && self.log.others() > UNHEARD {
            Some(error(Code::OutboxFull, "too many outcomes are not acknowledged"))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return ctx.refuse(port, refusal, id.as_ref(), Some(&self.name));
        }
        let mut item = Item::new(client, id.clone(), payload, deadline);
        item.volatile = volatile;
        item.resend = resend;
        item.receipt = receipt;
        item.lane = lane;
        item.is_request = is_request;
        item.confirms = wanted.is_some() && !is_request;
        let serial = self.outbox.accept(item);
        self.keep_accepted(ctx, serial, wanted.as_ref());
        if let Some(id) = id {
            let accepted = BrokerFrame::Accepted {
                session: self.name.clone(),
                id,
                durability: self.durability(),
                duplicate: false,
                outcome: None,
            };
            ctx.say(port, accepted);
        }
        if let Some(wanted) = wanted {
            self.requests.wait(serial, wanted);
        }
        if is_dropped {
            let dropped = self.outbox.drop_volatile(ctx.now.awake, serial);
            self.settle_all(ctx, dropped);
        } else {
            self.flow(ctx);
        }
    }

    /// Withdraws a message, or stops waiting for its answer.
    pub(crate) fn cancel(&mut self, ctx: &mut Context, port: PortId, id: &Name) {
        let Some(client) = self.client_at(port) else {
            return;
        };
        match self.outbox.fate(client, id) {
            Some(Fate::Open(serial)) => {
                let settled = self.outbox.cancel(ctx.now.awake, serial);
                self.settle_all(ctx, settled);
            }
            Some(Fate::Settled(outcome)) => {
                let (session, id) = (self.name.clone(), id.clone());
                let durability = self.durability();
                ctx.say(
                    port,
                    BrokerFrame::Accepted {
                        session,
                        id,
                        durability,
                        duplicate: true,
                        outcome,
                    },
                );
            }
            None => {
                let why = error(
                    Code::NotSent,
                    "no message with this id was accepted from this client",
                );
                ctx.refuse(port, why, Some(id), Some(&self.name));
            }
        }
    }

    /// Remembers a subscription and says it if the link is open.
    pub(crate) fn subscribe(&mut self, ctx: &mut Context, port: PortId, mut subscribe: Subscribe) {
        let (id, key) = (subscribe.id.clone(), subscribe.key.clone());
        let said = subscribe.send.iter().chain(&subscribe.undo);
        if let Some(why) = said.filter_map(|payload| self.cannot_carry(payload)).next() {
            return ctx.refuse(port, why, Some(&id), Some(&self.name));
        }
        let filter = std::mem::take(&mut subscribe.filter);
        if !self.set_filter(port, &key, filter) || !self.subscriptions.remember(subscribe) {
            let why = error(
                Code::RateLimited,
                "the session holds as many subscriptions, or as many lines of filters, as it may",
            );
            return ctx.refuse(port, why, Some(&id), Some(&self.name));
        }
        ctx.ok(port, Some(id));
        if self.link.connection().is_some() {
            self.say_subscription(ctx, &key);
        } else {
            self.tell_subscription(ctx, key, SubscriptionState::Pending);
        }
        self.deliver(ctx);
    }

    /// Forgets a subscription, undoing it if the link is open.
    pub(crate) fn unsubscribe(&mut self, ctx: &mut Context, port: PortId, id: Name, key: &Name) {
        let Some(undo) = self.subscriptions.forget(key) else {
            let why = error(
                Code::BadFrame,
                format!("field `key`: there is no subscription `{key}`"),
            );
            return ctx.refuse(port, why, Some(&id), Some(&self.name));
        };
        self.forget_filter(key);
        if self.link.connection().is_some() {
            for payload in undo {
                self.transmit_foreign(ctx, payload);
            }
        }
        ctx.ok(port, Some(id));
        self.deliver(ctx);
    }

    /// Says every subscription on a new connection.
    pub(super) fn say_subscriptions(&mut self, ctx: &mut Context) {
        for key in self.subscriptions.keys() {
            self.say_subscription(ctx, &key);
        }
    }

    fn say_subscription(&mut self, ctx: &mut Context, key: &Name) {
        let Some((payloads, state)) = self.subscriptions.say(key, ctx.now.boot) else {
            return;
        };
        for payload in payloads {
            self.transmit_foreign(ctx, payload);
        }
        self.tell_subscription(ctx, key.clone(), state);
    }

    fn tell_subscription(&mut self, ctx: &mut Context, key: Name, state: SubscriptionState) {
        for client in &self.clients {
            if let Some(attachment) = &client.attachment {
                let (session, key) = (self.name.clone(), key.clone());
                ctx.say(attachment.port, BrokerFrame::Subscription { session, key, state });
            }
        }
    }

    /// Transmits what is no message of the outbox: greeting, subscription, beat.
    pub(super) fn transmit_foreign(&mut self, ctx: &mut Context, payload: Payload) {
        if let Some(connection) = self.link.connection()
            && !self.is_deaf()
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
        if !connection.ready || self.is_deaf() {
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
        if !self.has_pings() || !self.outbox.wants_proof() {
            return;
        }
        let place = self.outbox.handed();
        let Some(connection) = self.link.up() else { return };
        if !connection.is_proving() && ctx.now.boot >= connection.proof_due(PROOF_SPACING) {
            let token = connection.ping(ctx.now.boot, Some(place));
            ctx.out.push_back(Output::Ping(connection.dial, token));
        }
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
        let fits_beside = held == 0 || self.holds() + answer.len() <= self.share(ctx);
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
            .link
            .connection()
            .filter(|connection| self.has_pings() && !connection.is_proving() && self.outbox.wants_proof());
        let proof = proof.map(|connection| (connection.proof_due(PROOF_SPACING), "proof"));
        [overdue, confirm, proof]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}
