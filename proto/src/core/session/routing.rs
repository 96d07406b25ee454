//! What happens on the link, handed to those whom it concerns: the log and its clients on one side, the outbox on the
//! other.

use std::sync::Arc;

use crate::wire::code::GapReason;
use crate::wire::message::{Authorize, BrokerFrame, Reply};
use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::record::{Body, ErrorInfo, Outcome, StateChange};

use crate::core::context::Context;
use crate::core::dialect::AwaitedReply;
use crate::core::guard::Guard;
use crate::core::io::{DialId, Incoming, LinkEvent, PortId};
use crate::core::outbox::Verdict;
use crate::core::outlines::Unread;
use crate::core::rules::Rule;

use url::Url;

use super::Session;
use super::taking::LEAST_ROOM;
use super::uplink::{Uplink, UplinkContext, UplinkEvent};

impl Session {
    /// Lets the uplink do something, then hands on what comes of it.
    pub(super) fn with_uplink(
        &mut self,
        ctx: &mut Context,
        act: impl FnOnce(&mut Uplink, &mut UplinkContext<'_>),
    ) {
        let mut scope = UplinkContext {
            now: ctx.now,
            who: &self.identity,
            options: &self.options,
            dialer: &mut ctx.dialer,
            out: &mut ctx.out,
            outlines: &ctx.outlines,
        };
        act(&mut self.uplink, &mut scope);
    }

    /// As `with_uplink`, and hands on what came of it.
    pub(super) fn drive(&mut self, ctx: &mut Context, act: impl FnOnce(&mut Uplink, &mut UplinkContext<'_>)) {
        self.with_uplink(ctx, act);
        self.route(ctx);
    }

    /// Hands on what the uplink has to say.
    pub(super) fn route(&mut self, ctx: &mut Context) {
        let mut has_messages = false;
        loop {
            let mut event = None;
            self.with_uplink(ctx, |uplink, scope| event = uplink.poll(scope));
            let Some(event) = event else { break };
            has_messages |= matches!(event, UplinkEvent::Message(..) | UplinkEvent::TooLarge);
            self.handle(ctx, event);
        }
        if has_messages {
            self.deliver(ctx);
        }
    }

    fn handle(&mut self, ctx: &mut Context, event: UplinkEvent) {
        match event {
            UplinkEvent::State(change) => self.tell_state(ctx, *change),
            UplinkEvent::Opened => self.begin_connection(ctx),
            UplinkEvent::Message(payload, reply) => self.receive(ctx, payload, reply),
            UplinkEvent::TooLarge => self.lose_message(ctx, GapReason::TooLarge),
            UplinkEvent::Written(place) => self.written(ctx, place),
            UplinkEvent::Proven(place) => self.proven(ctx, place),
            UplinkEvent::Acknowledged(serial, answer) => self.acknowledged(ctx, serial, answer),
            UplinkEvent::Posted(place, failure) => {
                let settled = self.outbox.answered(ctx.now.awake, place, failure);
                self.settle_all(ctx, settled);
                self.flow(ctx);
            }
            UplinkEvent::Beat(payload) | UplinkEvent::Login(payload) => self.transmit_foreign(ctx, payload),
            UplinkEvent::Left { taken } => {
                self.subscriptions.link_lost();
                self.settle_lost(ctx, taken);
            }
            UplinkEvent::Closed(end) => self.finish_closing(ctx, Some(*end)),
            UplinkEvent::Redial => self.with_uplink(ctx, Uplink::redial),
            UplinkEvent::CredentialsWanted => self.ask_for_credentials(ctx),
        }
    }

    /// A connection is open: the greeting, and unless the server must be ready first, subscriptions and the outbox.
    fn begin_connection(&mut self, ctx: &mut Context) {
        for payload in self.options.greeting.clone() {
            self.transmit_foreign(ctx, payload);
        }
        self.begin_flow(ctx);
    }

    fn receive(&mut self, ctx: &mut Context, payload: Payload, reply: Option<AwaitedReply>) {
        self.counters.received.messages += 1;
        self.counters.received.bytes += payload.len() as u64;
        if self.looks_inside() && self.consumes(ctx, &payload) {
            return;
        }
        let before = self.log.last();
        self.take_message(ctx, payload);
        let seq = self.log.last();
        if let Some(reply) = reply
            && seq > before
            && self.log.is_message(seq)
        {
            self.uplink.kept(seq, reply);
        }
    }

    fn acknowledged(&mut self, ctx: &mut Context, serial: u64, answer: Payload) {
        let Some(item) = self.outbox.get(serial) else {
            return;
        };
        let verdict = if item.is_request {
            Verdict::Response(Ok(answer))
        } else {
            Verdict::Outcome(Outcome::Confirmed, None)
        };
        let settled = self.outbox.settle(ctx.now.awake, serial, verdict);
        self.settle_all(ctx, settled);
    }

    /// Appends a change of the link's state.
    pub(super) fn tell_state(&mut self, ctx: &mut Context, change: StateChange) {
        self.uplink.told(&self.identity, &change);
        self.append(ctx, Body::State(Arc::new(change)), None);
        self.deliver(ctx);
    }

    /// What an event of the dial holds that is large and will be asked about.
    pub(crate) fn unread(&self, event: &LinkEvent) -> Vec<Unread> {
        let is_asked = self.options.json
            || self.looks_inside()
            || !self.options.guard.receive.is_empty()
            || self.clients.iter().any(|client| !client.filter.is_empty());
        match event {
            LinkEvent::Messages(messages) if is_asked => {
                let contents = messages.iter().filter_map(|message| match message {
                    Incoming::Message(payload) if payload.text_bytes().is_some() => {
                        Unread::new(payload.bytes(), || self.received_pointers())
                    }
                    _ => None,
                });
                contents.collect()
            }
            LinkEvent::Answered(answer) => {
                let content = answer.content();
                let pointers = || {
                    let mut pointers = self.received_pointers();
                    self.options.poll.add_pointers(&mut pointers);
                    pointers
                };
                Unread::new(&content, pointers).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Word from a dial. Anything but the current one is ignored.
    pub(crate) fn link_event(&mut self, ctx: &mut Context, dial: DialId, event: LinkEvent) {
        self.drive(ctx, |uplink, scope| uplink.hear(scope, dial, event));
        self.bound_partial(ctx);
    }

    /// What has come in part is given up when it does not fit the extension's budget: it counts as too large.
    pub(super) fn bound_partial(&mut self, ctx: &mut Context) {
        if self.uplink.partial_held() > LEAST_ROOM && self.holds() > self.share(ctx) {
            self.drive(ctx, |uplink, _| uplink.give_up_partial());
        }
    }

    /// Dials now: drops the link if there is one, clears the backoff and any failure.
    fn reconnect(&mut self, ctx: &mut Context) {
        self.drive(ctx, Uplink::reconnect);
    }

    /// Dials now because the extension asks for it.
    pub(crate) fn start_over(&mut self, ctx: &mut Context) {
        self.drive(ctx, Uplink::start_over);
    }

    /// It is this session's turn to dial.
    pub(crate) fn take_turn(&mut self, ctx: &mut Context) {
        self.drive(ctx, Uplink::take_turn);
    }

    /// The machine slept, or its network changed.
    pub(crate) fn resumed(&mut self, ctx: &mut Context) {
        self.drive(ctx, Uplink::resumed);
    }

    /// The settings have changed.
    pub(crate) fn rules_changed(&mut self, ctx: &mut Context) {
        self.drive(ctx, Uplink::rules_changed);
    }

    /// Does what the link's timers ask for.
    pub(super) fn link_timeout(&mut self, ctx: &mut Context) {
        self.drive(ctx, Uplink::timeout);
        let is_busy = self.outbox.len() > 0 || !self.requests.is_empty();
        self.drive(ctx, |uplink, scope| uplink.probe_better(scope, is_busy));
    }

    /// Asks the client that came last for credentials; one that comes later is asked when it attaches.
    pub(super) fn ask_for_credentials(&mut self, ctx: &mut Context) {
        let Some(question) = self.uplink.question() else {
            return;
        };
        let newest = self
            .clients
            .iter()
            .filter_map(|client| client.attachment.as_ref())
            .map(|attachment| attachment.port)
            .max();
        let Some(port) = newest else { return };
        let frame = BrokerFrame::AuthNeeded {
            session: self.identity.name.clone(),
            nonce: question.nonce,
            why: question.why,
            attempt: question.attempt,
            deadline: question.deadline,
            status: question.status,
            values: question.values,
        };
        ctx.say(port, frame);
    }

    /// Credentials came, asked for or not.
    pub(crate) fn authorize(&mut self, ctx: &mut Context, port: PortId, authorize: Authorize) {
        let id = authorize.id.clone();
        let mut judged = Ok(None);
        self.with_uplink(ctx, |uplink, scope| {
            judged = uplink.check_credentials(scope, &authorize);
        });
        match judged {
            Err(why) => ctx.refuse(port, why, id.as_ref(), Some(&self.identity.name)),
            Ok(url) => {
                ctx.ok(port, id);
                self.drive(ctx, |uplink, scope| uplink.authorize(scope, url, authorize));
            }
        }
    }

    /// Acknowledges an event of the server's, on the connection it came from.
    pub(crate) fn reply(&mut self, ctx: &mut Context, port: PortId, reply: Reply) {
        let mut replied = Ok(());
        self.with_uplink(ctx, |uplink, scope| {
            replied = uplink.reply(scope, reply.seq, &reply.args);
        });
        match replied {
            Ok(()) => ctx.ok(port, reply.id),
            Err(why) => ctx.refuse(port, why, reply.id.as_ref(), Some(&self.identity.name)),
        }
    }

    /// Whether this URL or these options differ from the session's own.
    pub(crate) fn differs(&self, url: Option<&Url>, options: Option<&Options>) -> bool {
        url.is_some_and(|url| self.uplink.url() != Some(url))
            || options.is_some_and(|options| *self.options != *options)
    }

    /// Whether the settings allow it with another URL or other options.
    pub(crate) fn may_become(
        &self,
        rule: &Rule,
        url: Option<&Url>,
        options: Option<&Options>,
    ) -> Result<(), ErrorInfo> {
        let options = options.unwrap_or(&self.options);
        self.uplink.may_become(&self.identity, rule, url, options)
    }

    /// Other options, another URL: redials if the dial changes.
    pub(crate) fn update(&mut self, ctx: &mut Context, url: Option<Url>, options: Option<Options>) {
        let before = self.uplink.dial_address(&self.identity, &self.options);
        let had_no_url = self.uplink.url().is_none();
        if let Some(url) = url {
            self.uplink.set_url(url);
        }
        if let Some(options) = options {
            if options.guard != self.options.guard {
                self.guard = Guard::default();
            }
            if options.transports != self.options.transports {
                self.uplink.restart_fallback();
            }
            // What a session survives is settled when it is made.
            self.options = Arc::new(Options {
                durability: self.options.durability,
                ..options
            });
            self.options_held = self.options.held();
        }
        let is_another = had_no_url || before != self.uplink.dial_address(&self.identity, &self.options);
        if is_another {
            self.uplink.forget_credentials();
        }
        if had_no_url || (is_another && !self.is_paused()) {
            self.reconnect(ctx);
        } else if self.uplink.is_open() {
            self.with_uplink(ctx, |uplink, scope| uplink.renew_heartbeat(scope));
            // Without pings what is written waits for no proof any more.
            self.written(ctx, 0);
        }
        self.journal_meta(ctx);
        self.shrink(ctx);
        self.listen_again(ctx);
    }
}
