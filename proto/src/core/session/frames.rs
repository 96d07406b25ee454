//! What a port asks of the session: to hold it, to send, to subscribe, to authorize, and to be other than it is.

use std::sync::Arc;

use url::Url;

use crate::wire::code::Code;
use crate::wire::filter::Line;
use crate::wire::message::{
    Authorize, BrokerFrame, Match, Open, Opened, Reply, Request, Resumed, Send, Subscribe, SubscriptionState,
};
use crate::wire::options::{Options, Window};
use crate::wire::record::{ErrorInfo, Name, Outcome, State};

use crate::core::context::{Context, error};
use crate::core::io::PortId;
use crate::core::outbox::{Flow, MESSAGE_COST, MessageStatus};
use crate::core::rules::Rule;
use crate::core::subscriptions::held_by;

use super::Session;
use super::outgoing::Offer;
use super::uplink::Uplink;

/// Outcomes and responses that nobody has acknowledged, at most.
const MAX_UNACKNOWLEDGED_OUTCOMES: usize = 65_536;

/// Whether `open` made the session that it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Created,
    Existing,
}

/// Whether a message has been accepted just now, or was before.
#[derive(Debug, Clone, Copy)]
enum Acceptance {
    New,
    Duplicate(Option<Outcome>),
}

impl Session {
    /// Attaches a client through a port, fencing any attachment it had before, and answers `opened`.
    pub(crate) fn attach(
        &mut self,
        ctx: &mut Context,
        port: PortId,
        client: &Name,
        open: Open,
        origin: Origin,
    ) {
        let placed = self.with_delivery(ctx, |delivery, scope| {
            delivery.attach(scope, port, client, open.resume.as_ref())
        });
        let mut state = self.state();
        if state == State::Paused {
            state = self.with_uplink(ctx, |uplink, scope| uplink.state_of_next_dial(scope));
        }
        let opened = Opened {
            id: open.id,
            session: self.identity.name.clone(),
            created: origin == Origin::Created,
            epoch: self.identity.epoch.clone(),
            // Where it goes on is for `welcome` to say.
            resume: Resumed::Fresh,
            seq: 0,
            last: 0,
            state,
            subprotocol: self.uplink.subprotocol(),
            outbox: self.outgoing.items_of(placed.client),
            subscriptions: self.outgoing.subscriptions(),
            ignored: open.ignored,
        };
        self.with_delivery(ctx, |delivery, scope| {
            delivery.welcome(scope, port, &placed, opened);
        });
        match self.state() {
            State::Paused => self.drive(ctx, Uplink::dial),
            State::Unauthorized => self.ask_for_credentials(ctx),
            State::Open if self.uplink.asks_to_log_in() => self.ask_for_credentials(ctx),
            _ => {}
        }
        self.trim(ctx);
        self.deliver(ctx);
    }

    /// A client leaves, or its port has gone; its position stays.
    pub(crate) fn detach(&mut self, ctx: &mut Context, port: PortId) {
        self.with_delivery(ctx, |delivery, scope| delivery.detach(scope, port));
        self.read_on(ctx);
    }

    /// Everything up to `seq` has been processed.
    pub(crate) fn ack(&mut self, ctx: &mut Context, port: PortId, seq: u64) {
        if self.with_delivery(ctx, |delivery, scope| delivery.acknowledge(scope, port, seq)) {
            self.read_on(ctx);
            self.deliver(ctx);
        }
    }

    /// Changes the in-flight window.
    pub(crate) fn set_window(&mut self, ctx: &mut Context, port: PortId, window: Window) {
        self.delivery.set_window(port, window);
        self.deliver(ctx);
    }

    /// Takes a message, or says why not.
    pub(crate) fn send(&mut self, ctx: &mut Context, port: PortId, send: Send) {
        let id = send.id.clone();
        match Offer::of_send(ctx.now, &self.options, &ctx.outlines, send) {
            Ok(offer) => self.accept(ctx, port, id, offer),
            Err(why) => self.send_error(ctx, port, why, id.as_ref()),
        }
    }

    /// Takes a message that expects an answer.
    pub(crate) fn request(&mut self, ctx: &mut Context, port: PortId, request: Request) {
        let id = request.send.id.clone();
        if request.matching == Match::Ack && !self.uplink.abilities(&self.options).acknowledges {
            let why = error(
                Code::Unsupported,
                "field `match`: `ack` needs a server with acknowledgements (Socket.IO)",
            );
            return self.send_error(ctx, port, why, id.as_ref());
        }
        match Offer::of_request(ctx.now, &ctx.outlines, request) {
            Ok(offer) => self.accept(ctx, port, id, offer),
            Err(why) => self.send_error(ctx, port, why, id.as_ref()),
        }
    }

    /// Takes what `send` and `request` have in common.
    fn accept(&mut self, ctx: &mut Context, port: PortId, id: Option<Name>, offer: Offer) {
        let Some(client) = self.delivery.client_at(port) else {
            return;
        };
        if let Some(id) = &id
            && let Some(status) = self.outgoing.status(client, id)
        {
            let outcome = match status {
                MessageStatus::Open(_) => None,
                MessageStatus::Settled(outcome) => outcome,
            };
            return self.say_accepted(ctx, port, id, Acceptance::Duplicate(outcome));
        }
        let flow = if self.uplink.takes_messages(&self.options) {
            Flow::Flowing
        } else {
            Flow::Waiting
        };
        // It is not going to wait, so it needs no room.
        let is_dropped = offer.send.volatile && flow == Flow::Waiting;
        let room = (!is_dropped).then_some(flow);
        if let Err(why) = self.check_offer(ctx, &offer, room) {
            return self.send_error(ctx, port, why, id.as_ref());
        }
        let serial = self.outgoing.accept(client, offer);
        self.journal_accepted(ctx, serial);
        if let Some(id) = &id {
            self.say_accepted(ctx, port, id, Acceptance::New);
        }
        if is_dropped {
            let dropped = self.outgoing.drop_volatile(ctx.now, serial);
            self.settle(ctx, dropped);
        } else {
            self.flow(ctx);
        }
    }

    /// Why a message cannot be accepted now; `room`: how it would wait, if it would.
    fn check_offer(&mut self, ctx: &Context, offer: &Offer, room: Option<Flow>) -> Result<(), ErrorInfo> {
        let payload = &offer.send.payload;
        self.check_closing()?;
        if let Some(why) = self.uplink.cannot_carry(&self.options, payload) {
            return Err(why);
        }
        let message = ctx.parsed(payload).for_pointers(|| self.sent_pointers());
        self.outgoing.pass_guard(ctx.now, &self.options, &message)?;
        if self.state() == State::Closed {
            let why = "the session's link has ended; send `reconnect` to dial again";
            return Err(error(Code::SessionClosed, why));
        }
        if payload.len() > self.options.max_message {
            let most = self.options.max_message;
            let why = format!("the message exceeds `maxMessage` ({most} bytes)");
            return Err(error(Code::TooLarge, why));
        }
        if let Some(flow) = room {
            self.outgoing.check_room(&self.options, payload.len(), flow)?;
            if self.check_budget(ctx, MESSAGE_COST + payload.len()).is_err() {
                let why = "the sessions of this extension use all memory that the settings allow";
                return Err(error(Code::OutboxFull, why));
            }
        }
        if offer.send.id.is_some() && self.delivery.log().others() > MAX_UNACKNOWLEDGED_OUTCOMES {
            return Err(error(Code::OutboxFull, "too many outcomes are not acknowledged"));
        }
        self.outgoing.check_answers(offer)
    }

    /// Says that a message is in the session's care, or was before.
    fn say_accepted(&self, ctx: &mut Context, port: PortId, id: &Name, acceptance: Acceptance) {
        let (duplicate, outcome) = match acceptance {
            Acceptance::New => (false, None),
            Acceptance::Duplicate(outcome) => (true, outcome),
        };
        let accepted = BrokerFrame::Accepted {
            session: self.identity.name.clone(),
            id: id.clone(),
            durability: self.durability(),
            duplicate,
            outcome,
        };
        ctx.send(port, accepted);
    }

    /// Withdraws a message, or stops waiting for its answer.
    pub(crate) fn cancel(&mut self, ctx: &mut Context, port: PortId, id: &Name) {
        let Some(client) = self.delivery.client_at(port) else {
            return;
        };
        match self.outgoing.status(client, id) {
            Some(MessageStatus::Open(serial)) => {
                let settled = self.outgoing.cancel(ctx.now, serial);
                self.settle(ctx, settled);
            }
            Some(MessageStatus::Settled(outcome)) => {
                self.say_accepted(ctx, port, id, Acceptance::Duplicate(outcome));
            }
            None => {
                let why = error(
                    Code::NotSent,
                    "no message with this id was accepted from this client",
                );
                self.send_error(ctx, port, why, Some(id));
            }
        }
    }

    /// Remembers a subscription and says it if the link is open.
    pub(crate) fn subscribe(&mut self, ctx: &mut Context, port: PortId, mut subscribe: Subscribe) {
        let (id, key) = (subscribe.id.clone(), subscribe.key.clone());
        if let Err(why) = self.check_subscription(ctx, &subscribe) {
            return self.send_error(ctx, port, why, Some(&id));
        }
        let filter = std::mem::take(&mut subscribe.filter);
        let is_open = self.uplink.is_ready();
        // A worker that comes back subscribes as the one before it did; the server has heard that on this connection.
        let stands = self.outgoing.standing(&subscribe).filter(|_| is_open);
        if !self.delivery.set_filter(port, &key, filter)
            || (stands.is_none() && !self.outgoing.subscribe(subscribe))
        {
            let why = error(
                Code::RateLimited,
                "the session has reached the limit of subscriptions or filter lines",
            );
            return self.send_error(ctx, port, why, Some(&id));
        }
        ctx.send_ok(port, Some(id));
        match stands {
            Some(state) => self.tell_subscription(ctx, &key, state),
            None if is_open => self.say_subscription(ctx, &key),
            None => self.tell_subscription(ctx, &key, SubscriptionState::Pending),
        }
        self.deliver(ctx);
    }

    /// Whether the server can be told this, and the budget has room for it.
    fn check_subscription(&self, ctx: &Context, subscribe: &Subscribe) -> Result<(), ErrorInfo> {
        let Subscribe {
            key,
            send,
            undo,
            confirm,
            filter,
            ..
        } = subscribe;
        let mut said = send.iter().chain(undo);
        if let Some(why) = said.find_map(|payload| self.uplink.cannot_carry(&self.options, payload)) {
            return Err(why);
        }
        let filters = filter.iter().map(Line::held).sum::<usize>();
        self.check_budget(ctx, held_by(key, send, undo, confirm.as_ref()) + filters)
    }

    /// Forgets a subscription, undoing it if the link is open.
    pub(crate) fn unsubscribe(&mut self, ctx: &mut Context, port: PortId, id: Name, key: &Name) {
        let Some(undo) = self.outgoing.unsubscribe(key) else {
            let why = format!("field `key`: there is no subscription `{key}`");
            return self.send_error(ctx, port, error(Code::BadFrame, why), Some(&id));
        };
        self.delivery.forget_filter(key);
        if self.uplink.is_ready() {
            for payload in undo {
                self.transmit_untracked(ctx, payload);
            }
        }
        ctx.send_ok(port, Some(id));
        self.deliver(ctx);
    }

    /// Credentials came, asked for or not.
    pub(crate) fn authorize(&mut self, ctx: &mut Context, port: PortId, authorize: Authorize) {
        let id = authorize.id.clone();
        let checked = self.with_uplink(ctx, |uplink, scope| uplink.check_credentials(scope, &authorize));
        match checked {
            Err(why) => self.send_error(ctx, port, why, id.as_ref()),
            Ok(url) => {
                ctx.send_ok(port, id);
                self.drive(ctx, |uplink, scope| uplink.authorize(scope, url, authorize));
            }
        }
    }

    /// Asks the client that came last for credentials; one that comes later is asked when it attaches.
    pub(super) fn ask_for_credentials(&mut self, ctx: &mut Context) {
        let (Some(question), Some(port)) = (self.uplink.question(), self.delivery.newest_port()) else {
            return;
        };
        let frame = BrokerFrame::AuthNeeded {
            session: self.identity.name.clone(),
            question: Box::new(question),
        };
        ctx.send(port, frame);
    }

    /// Acknowledges an event of the server's, on the connection it came from.
    pub(crate) fn reply(&mut self, ctx: &mut Context, port: PortId, reply: Reply) {
        let replied = self.with_uplink(ctx, |uplink, scope| uplink.reply(scope, reply.seq, &reply.args));
        match replied {
            Ok(()) => ctx.send_ok(port, reply.id),
            Err(why) => self.send_error(ctx, port, why, reply.id.as_ref()),
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
            self.set_options(options);
        }
        let is_another = had_no_url || before != self.uplink.dial_address(&self.identity, &self.options);
        if is_another {
            self.uplink.forget_credentials();
        }
        if had_no_url || (is_another && !self.is_paused()) {
            self.drive(ctx, Uplink::reconnect);
        } else if self.uplink.is_open() {
            self.with_uplink(ctx, |uplink, scope| uplink.renew_heartbeat(scope));
            // Without pings what is written waits for no proof any more.
            self.written(ctx, 0);
        }
        self.journal_meta(ctx);
        self.shrink(ctx);
        self.read_on(ctx);
    }

    fn set_options(&mut self, options: Options) {
        if options.guard != self.options.guard {
            self.outgoing.restart_guard();
            self.delivery.restart_guard();
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

    fn send_error(&self, ctx: &mut Context, port: PortId, why: ErrorInfo, id: Option<&Name>) {
        ctx.send_error(port, why, id, Some(&self.identity.name));
    }
}
