//! One persistent connection: a link, what is sent on it and what is received, held together.
//!
//! The session is the mediator of three parts that know nothing of each other: `uplink` the link, `outgoing` what is sent,
//! `delivery` what is received. An input goes to a part, the part returns events, and the session passes them on to the
//! others; it touches no socket and no file. What it decides by itself is in `lifecycle` (the end) and `idle` (nobody is
//! there); `spec`, `link_view` and `budget` are what parts are lent; `parts` brings the parts back from a journal.

mod budget;
mod delivery;
mod ending;
mod idle;
mod lifecycle;
mod link_view;
mod outgoing;
mod parts;
mod pointers;
mod queries;
mod spec;
mod uplink;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::wire::code::{Code, GapReason};
use crate::wire::message::{ClientFrame, CloseReport, Open, Subscribe};
use crate::wire::options::Options;
use crate::wire::record::{Body, Name, StateChange};

use super::context::{Context, error};
use super::dialect::Received;
use super::dialect::outlines::Unread;
use super::identity::{Identity, SessionKey};
use super::io::{DialId, LinkEvent, PortId};
use super::journal::{Damage, JournalId, RawRecord};
use super::journal_record::JournalRecord;
use super::outbox::Settled;
use super::recorded_log::Durable;

use self::delivery::{Delivery, MIN_ROOM, Pressure};
use self::idle::IdleStep;
use self::lifecycle::Lifecycle;
use self::outgoing::{Handover, Outgoing, OutgoingContext, OutgoingEvent};
use self::parts::Parts;
use self::spec::Spec;
use self::uplink::{BeatReply, Uplink, UplinkContext, UplinkEvent};

pub(crate) use self::budget::{SESSION_COST, over_budget};
pub(crate) use self::ending::Leave;
pub(crate) use self::lifecycle::Unsent;
pub(crate) use self::spec::Origin;

/// The close code for a server whose client does not come back.
const GOING_AWAY: u16 = 1001;

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    spec: Spec,
    uplink: Uplink,
    outgoing: Outgoing,
    delivery: Delivery,
    lifecycle: Lifecycle,
    /// Bytes it took when the hub last looked.
    pub(crate) held: usize,
}

fn in_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Session {
    /// A session that has no client, no link and no record yet.
    pub(crate) fn new(identity: Identity, url: Url, options: Arc<Options>, ctx: &mut Context) -> Self {
        Self::with(Parts::new(identity, options, ctx), Uplink::new(url))
    }

    /// Takes a session back from its journal, in the order written.
    ///
    /// # Errors
    /// A sentence saying why the journal cannot be used.
    pub(crate) fn restore(
        key: SessionKey,
        id: JournalId,
        kept: &[RawRecord],
        damage: Option<Damage>,
        ctx: &mut Context,
    ) -> Result<Self, String> {
        let parts = Parts::from_journal(key, id, kept, damage, ctx)?;
        let mut session = Self::with(parts, Uplink::restored());
        session.shrink(ctx);
        session.trim(ctx);
        session.route_outgoing(ctx);
        Ok(session)
    }

    fn with(parts: Parts, uplink: Uplink) -> Self {
        Self {
            spec: parts.spec,
            uplink,
            outgoing: parts.outgoing,
            delivery: parts.delivery,
            lifecycle: Lifecycle::default(),
            held: 0,
        }
    }

    /// Drops what is more than the log may hold now.
    fn shrink(&mut self, ctx: &Context) {
        let room = self.log_room(ctx);
        self.delivery.shrink(&self.spec.options, room);
    }

    /// The broker as a whole holds too much, and this extension most: drops what does not fit its budget any more.
    pub(crate) fn give_back(&mut self, ctx: &mut Context) {
        self.bound_partial(ctx);
        let room = self.log_room(ctx);
        self.delivery.give_back(&mut self.spec.for_delivery(ctx), room);
    }

    /// What has come in part is given up when it does not fit the extension's budget: it counts as too large.
    fn bound_partial(&mut self, ctx: &mut Context) {
        let is_over = || self.holds() > ctx.budget.saturating_sub(ctx.others);
        if self.uplink.partial_held() > MIN_ROOM && is_over() {
            self.drive(ctx, |uplink, _| uplink.give_up_partial());
        }
    }

    // Ports and their clients.

    /// Attaches a client through a port, fencing any attachment it had before, and answers `opened`.
    pub(crate) fn attach(
        &mut self,
        ctx: &mut Context,
        port: PortId,
        client: &Name,
        open: Open,
        origin: Origin,
    ) {
        let resume = open.resume.as_ref();
        let placed = self
            .delivery
            .attach(&mut self.spec.for_delivery(ctx), port, client, resume);
        let mut opened = self.spec.opened(open, origin);
        opened.state = self.uplink.state_for_client(&self.spec.for_uplink(ctx));
        opened.subprotocol = self.uplink.subprotocol();
        opened.outbox = self.outgoing.items_of(placed.client);
        opened.subscriptions = self.outgoing.subscriptions();
        self.delivery
            .welcome(&mut self.spec.for_delivery(ctx), port, &placed, opened);
        self.drive(ctx, Uplink::client_attached);
        self.trim(ctx);
        self.deliver(ctx);
    }

    /// A client leaves, or its port has gone; its position stays.
    pub(crate) fn detach(&mut self, ctx: &mut Context, port: PortId) {
        self.delivery.detach(&mut self.spec.for_delivery(ctx), port);
        self.read_on(ctx);
    }

    /// Does what the frame of a port that holds the session asks for.
    pub(crate) fn frame(&mut self, ctx: &mut Context, port: PortId, frame: ClientFrame) {
        match frame {
            ClientFrame::Send(_)
            | ClientFrame::Request(_)
            | ClientFrame::Cancel { .. }
            | ClientFrame::Unsubscribe { .. } => {
                self.ask_outgoing(ctx, port, |outgoing, scope| outgoing.frame(scope, frame));
            }
            ClientFrame::Reply(_) | ClientFrame::Authorize(_) | ClientFrame::Reconnect { .. } => {
                self.drive(ctx, |uplink, scope| uplink.frame(scope, port, frame));
            }
            ClientFrame::Ack { .. } | ClientFrame::Window { .. } | ClientFrame::Detach { .. } => {
                self.delivery.frame(&mut self.spec.for_delivery(ctx), port, frame);
                self.read_on(ctx);
                self.deliver(ctx);
            }
            ClientFrame::Subscribe(subscribe) => self.subscribe(ctx, port, *subscribe),
            ClientFrame::Close {
                id,
                code,
                reason,
                discard,
                ..
            } => {
                ctx.send_ok(port, id);
                let unsent = if discard { Unsent::Discard } else { Unsent::Write };
                self.close(ctx, code.unwrap_or(1000), reason.unwrap_or_default(), unsent);
            }
            ClientFrame::Hello(_)
            | ClientFrame::Open(_)
            | ClientFrame::Status { .. }
            | ClientFrame::Ping { .. } => {}
        }
    }

    /// Remembers a subscription with its filter, and sends it if the link is open.
    fn subscribe(&mut self, ctx: &mut Context, port: PortId, mut subscribe: Subscribe) {
        let accepts = self.ask_outgoing(ctx, port, |outgoing, scope| {
            outgoing.accepts_subscription(scope, &subscribe)
        });
        if accepts == Some(true) {
            let lines = std::mem::take(&mut subscribe.filter);
            let filter = self.delivery.set_filter(port, &subscribe.key, lines);
            self.ask_outgoing(ctx, port, |outgoing, scope| {
                outgoing.subscribe(scope, subscribe, filter)
            });
            self.deliver(ctx);
        }
    }

    // Another URL, other options.

    /// Other options, another URL: redials if the dial changes.
    pub(crate) fn update(&mut self, ctx: &mut Context, url: Option<Url>, options: Option<Options>) {
        let address = self.uplink.dial_address(self.identity(), &self.spec.options);
        if let Some(options) = options {
            let before = self.spec.replace_options(options);
            self.uplink.options_changed(&before, &self.spec.options);
            self.outgoing.options_changed(&before, &self.spec.options);
            self.delivery.options_changed(&before, &self.spec.options);
        }
        self.drive(ctx, |uplink, scope| uplink.retarget(scope, url, &address));
        self.journal_meta(ctx);
        self.shrink(ctx);
        self.read_on(ctx);
    }

    // The uplink.

    /// Lets the uplink do something, and passes on what came of it.
    fn drive(&mut self, ctx: &mut Context, act: impl FnOnce(&mut Uplink, &mut UplinkContext<'_>)) {
        act(&mut self.uplink, &mut self.spec.for_uplink(ctx));
        let mut has_messages = false;
        while let Some(event) = self.uplink.poll(&mut self.spec.for_uplink(ctx)) {
            has_messages |= matches!(event, UplinkEvent::Message(..) | UplinkEvent::TooLarge);
            self.route(ctx, event);
            self.route_outgoing(ctx);
        }
        if has_messages {
            self.deliver(ctx);
        }
    }

    fn route(&mut self, ctx: &mut Context, event: UplinkEvent) {
        let now = ctx.now;
        match event {
            UplinkEvent::State(change) => self.report_state(ctx, *change),
            UplinkEvent::Opened(link) => {
                let greeting = &self.spec.options.greeting;
                self.outgoing.begin_connection(now, greeting, &link);
            }
            UplinkEvent::Message(message) => self.receive(ctx, message),
            UplinkEvent::TooLarge => self
                .delivery
                .lose_message(&mut self.spec.for_delivery(ctx), GapReason::TooLarge),
            UplinkEvent::Written(place, proof) => self.outgoing.written(now, place, proof),
            UplinkEvent::Proven(place) => self.outgoing.proven(now, place),
            UplinkEvent::Acknowledged(serial, answer) => self.outgoing.acknowledged(now, serial, answer),
            UplinkEvent::Posted(place, failure) => self.outgoing.posted(now, place, failure),
            UplinkEvent::Refused(place, why) => self.outgoing.refused_at(now, place, why),
            UplinkEvent::ReplyRefused(why) => {
                self.delivery.report_error(&mut self.spec.for_delivery(ctx), &why)
            }
            UplinkEvent::Beat(payload) | UplinkEvent::Login(payload) => {
                self.outgoing.send_untracked([payload]);
            }
            UplinkEvent::Left { taken } => self.outgoing.link_lost(now, taken),
            UplinkEvent::Closed(end) => self.finish_closing(ctx, Some(*end)),
            UplinkEvent::Redial => self.uplink.redial(&mut self.spec.for_uplink(ctx)),
            UplinkEvent::CredentialsWanted => {
                if let Some(question) = self.uplink.question() {
                    let scope = &mut self.spec.for_delivery(ctx);
                    self.delivery.ask_for_credentials(scope, question);
                }
            }
        }
    }

    /// What an event of the dial holds that is large and will be asked about.
    pub(crate) fn unread(&mut self, event: &LinkEvent) -> Vec<Unread> {
        let options = &self.spec.options;
        pointers::unread(options, &mut self.uplink, &self.outgoing, &self.delivery, event)
    }

    /// Takes an event of a dial. Anything but the current one is ignored.
    pub(crate) fn link_event(&mut self, ctx: &mut Context, dial: DialId, event: LinkEvent) {
        self.drive(ctx, |uplink, scope| uplink.handle_event(scope, dial, event));
        self.bound_partial(ctx);
    }

    fn receive(&mut self, ctx: &mut Context, received: Received) {
        self.delivery.count(received.payload.len());
        if self.use_message(ctx, &received) {
            return;
        }
        let message = received.look(|| self.received_pointers());
        let views = self.delivery.admit(&mut self.spec.for_delivery(ctx), &message);
        let Some(views) = views else { return };
        let Received { payload, reply, .. } = received;
        self.drop_aged(ctx);
        let room = self.log_room(ctx);
        let scope = &mut self.spec.for_delivery(ctx);
        let (kept, pressure) = self.delivery.keep(scope, payload, views, room);
        match pressure {
            Pressure::Pause => self.uplink.pause_reading(&mut self.spec.for_uplink(ctx)),
            // A session that is being closed hangs up in its own way.
            Pressure::Close if !self.lifecycle.is_closing() => {
                self.uplink.rest_full(&mut self.spec.for_uplink(ctx));
            }
            Pressure::Close | Pressure::None => {}
        }
        if let (Some(seq), Some(reply)) = (kept, reply) {
            self.uplink.kept(seq, reply);
        }
    }

    /// Lets an incoming message answer, confirm and make ready what it can; whether nothing of it is left for the clients.
    fn use_message(&mut self, ctx: &mut Context, received: &Received) -> bool {
        if !pointers::looks_inside(&self.spec.options, &self.uplink, &self.outgoing) {
            return false;
        }
        let message = received.look(|| self.received_pointers());
        let scope = &mut self.spec.for_uplink(ctx);
        let used = self.uplink.use_message(scope, &message);
        self.outgoing.send_untracked(used.login);
        if used.makes_ready {
            self.outgoing.begin_ready(ctx.now);
        }
        self.route_outgoing(ctx);
        let is_used_up = match used.beat {
            BeatReply::NoBeat => self.outgoing.answer(ctx.now, &message),
            BeatReply::Nothing => true,
            BeatReply::Send(answer) => {
                self.outgoing.answer_beat(answer);
                true
            }
        };
        self.route_outgoing(ctx);
        is_used_up
    }

    /// Appends a change of the link's state.
    fn report_state(&mut self, ctx: &mut Context, change: StateChange) {
        self.uplink.reported(&self.spec.identity, &change);
        let body = Body::State(Arc::new(change));
        self.delivery.append(&mut self.spec.for_delivery(ctx), body, None);
        self.deliver(ctx);
    }

    // The outgoing direction.

    /// Lets the outgoing direction handle a frame of a port, and passes on what came of it.
    fn ask_outgoing<R>(
        &mut self,
        ctx: &mut Context,
        port: PortId,
        act: impl FnOnce(&mut Outgoing, &OutgoingContext<'_>) -> R,
    ) -> Option<R> {
        let scope = OutgoingContext {
            now: ctx.now,
            session: &self.spec.identity.name,
            options: &self.spec.options,
            outlines: &ctx.outlines,
            lifecycle: &self.lifecycle,
            link: self.uplink.view(&self.spec.options),
            budget: self.budget(ctx),
            durability: self.delivery.durability(),
            has_journal: self.delivery.log().has_journal(),
            unacknowledged_outcomes: self.delivery.log().others(),
            client: self.delivery.client_at(port)?,
            port,
        };
        let done = act(&mut self.outgoing, &scope);
        self.route_outgoing(ctx);
        Some(done)
    }

    /// Passes on what the outgoing direction has to say.
    fn route_outgoing(&mut self, ctx: &mut Context) {
        if !self.outgoing.has_events() {
            return;
        }
        let link = self.uplink.view(&self.spec.options);
        while let Some(event) = self.outgoing.poll(ctx.now, &self.spec.options, &link) {
            match event {
                OutgoingEvent::Journal(record) => self.write(ctx, &record, Durable::Written),
                OutgoingEvent::Frame(port, frame) => ctx.send(port, frame),
                OutgoingEvent::Transmit(handover) => self.hand_over(ctx, handover),
                OutgoingEvent::Settled(settled) => {
                    for settled in settled {
                        self.record_settled(ctx, settled);
                    }
                    self.deliver(ctx);
                }
                OutgoingEvent::Subscription(key, state) => {
                    let scope = &mut self.spec.for_delivery(ctx);
                    self.delivery.report_subscription(scope, &key, state);
                }
                OutgoingEvent::Unsubscribed(key) => {
                    self.delivery.forget_filter(&key);
                    self.deliver(ctx);
                }
                OutgoingEvent::Prove(place) => {
                    self.uplink.prove(&mut self.spec.for_uplink(ctx), place);
                }
            }
        }
    }

    /// Hands a message to the link, once the journal says so: after a crash nobody can say whether it was written. The
    /// first on a connection goes to the disk itself, so that even after a power cut it is known that this link was open.
    fn hand_over(&mut self, ctx: &mut Context, handover: Handover) {
        let Handover {
            payload,
            place,
            serial,
            ..
        } = handover;
        if let Some(serial) = serial.filter(|_| handover.is_named && self.delivery.log().has_journal()) {
            let durable = self.uplink.durability_of_intent();
            self.write(ctx, &JournalRecord::Intent(serial), durable);
        }
        let scope = &mut self.spec.for_uplink(ctx);
        let acknowledged = serial.filter(|_| handover.awaits_ack);
        if let Err(refusal) = self.uplink.transmit(scope, payload, place, acknowledged) {
            self.outgoing.refused(ctx.now, serial, refusal);
        }
    }

    /// Records how a message ended, for the client that sent it.
    fn record_settled(&mut self, ctx: &mut Context, settled: Settled) {
        self.uplink.forget(settled.serial);
        let budget = settled.is_answered().then(|| self.budget(ctx));
        let scope = &mut self.spec.for_delivery(ctx);
        self.delivery.record_settled(scope, settled, budget);
    }

    // Delivery and the journal.

    /// Hands every client what its window and its port have room for.
    pub(crate) fn deliver(&mut self, ctx: &mut Context) {
        self.delivery.deliver(&mut self.spec.for_delivery(ctx));
    }

    /// Forgets what every client has finished.
    fn trim(&mut self, ctx: &mut Context) {
        self.delivery.trim(&mut self.spec.for_delivery(ctx));
        self.read_on(ctx);
    }

    /// Drops messages that are older than the log keeps.
    fn drop_aged(&mut self, ctx: &mut Context) {
        if self.delivery.drop_aged(&mut self.spec.for_delivery(ctx)) {
            self.read_on(ctx);
            self.deliver(ctx);
        }
    }

    /// Reads on if it was the log that kept the link from reading, and there is room again.
    fn read_on(&mut self, ctx: &mut Context) {
        if self.uplink.is_reading_paused() {
            let room = self.log_room(ctx);
            if self.delivery.has_room_again(&self.spec.options, room) {
                self.uplink.resume_reading(&mut self.spec.for_uplink(ctx));
            }
        }
    }

    fn write(&self, ctx: &mut Context, record: &JournalRecord, durable: Durable) {
        self.delivery.log().write(&mut ctx.recorder(), record, durable);
    }

    /// Writes down what has changed of what the session is.
    fn journal_meta(&self, ctx: &mut Context) {
        let meta = self.spec.meta(&ctx.machine_boot, self.delivery.log());
        self.write(ctx, &JournalRecord::Meta(meta), Durable::Written);
    }

    /// The journal failed: the session lives on in memory, and says so in place.
    pub(crate) fn journal_lost(&mut self, ctx: &mut Context, why: &str) {
        self.delivery.lose_journal();
        let why = format!("the journal was lost, durability is `memory` now: {why}");
        let mut change = StateChange::new(self.state());
        change.error = Some(error(Code::Internal, why));
        self.report_state(ctx, change);
    }

    // Time.

    /// Dials because it is this session's turn.
    pub(crate) fn dial_granted(&mut self, ctx: &mut Context) {
        self.drive(ctx, Uplink::dial_granted);
    }

    /// The machine slept, or its network changed.
    pub(crate) fn resumed(&mut self, ctx: &mut Context) {
        self.drive(ctx, Uplink::resumed);
    }

    /// The settings have changed.
    pub(crate) fn rules_changed(&mut self, ctx: &mut Context) {
        self.drive(ctx, Uplink::rules_changed);
    }

    /// Does what is due.
    pub(crate) fn timeout(&mut self, ctx: &mut Context) {
        self.drive(ctx, Uplink::timeout);
        let load = self.outgoing.load();
        self.drive(ctx, |uplink, scope| uplink.probe_better(scope, load));
        self.outgoing.timeout(ctx.now);
        self.route_outgoing(ctx);
        self.drop_aged(ctx);
        self.delivery.report_stalls(&mut self.spec.for_delivery(ctx));
        match self.idle().and_then(|idle| idle.step(ctx.now.awake)) {
            Some(IdleStep::Rest) => self.drive(ctx, |uplink, scope| uplink.rest(scope, None)),
            Some(IdleStep::Expire) => {
                let scope = &mut self.spec.for_uplink(ctx);
                self.uplink.hang_up(scope, GOING_AWAY, "");
                self.end(ctx, &CloseReport::default(), "expired");
            }
            None => {}
        }
    }
}
