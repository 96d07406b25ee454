//! One persistent connection: a link, what is sent on it and what is received, held together.
//!
//! The session is the mediator of three parts that know nothing of each other: `uplink` the link, `outgoing` what is sent,
//! `delivery` what is received. An input goes to a part; then `settle` asks each part for its events and gives them to the
//! others, until there are none. The session touches no socket and no file. How it ends is decided in `lifecycle`, what
//! happens while no client holds it in `idle`; `parts` holds the three and lends each what it needs (`spec`,
//! `link_view`, `budget`), `restore` makes them anew or from a journal, and `pointers` names what is looked for inside of
//! messages.

mod budget;
mod delivery;
mod idle;
mod input;
mod lifecycle;
mod link_view;
mod outgoing;
mod parts;
mod pointers;
mod restore;
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
use super::io::{LinkEnd, LinkEvent, PortId};
use super::journal::{Damage, JournalId, RawRecord};
use super::journal_record::JournalRecord;
use super::outbox::Settled;
use super::recorded_log::Durable;

use self::delivery::{Delivery, ReadRequest};
use self::idle::IdleStep;
use self::input::{SessionPart, part_of};
use self::lifecycle::{Lifecycle, close_report};
use self::outgoing::{Handover, OutgoingEvent};
use self::parts::Parts;
use self::uplink::{Uplink, UplinkEvent};

pub(crate) use self::budget::{SESSION_COST, over_budget};
pub(crate) use self::input::{DeliveryInput, Leave, SessionInput, UplinkInput};
pub(crate) use self::lifecycle::Unsent;
pub(crate) use self::spec::Origin;

/// The close code for a server whose client does not come back.
const GOING_AWAY: u16 = 1001;

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    parts: Parts,
    lifecycle: Lifecycle,
}

fn in_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Session {
    /// A session that has no client, no link and no record yet.
    pub(crate) fn new(identity: Identity, url: Url, options: Arc<Options>, ctx: &mut Context) -> Self {
        Self {
            parts: Parts::new(identity, url, options, ctx),
            lifecycle: Lifecycle::default(),
        }
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
        let mut session = Self {
            parts: Parts::from_journal(key, id, kept, damage, ctx)?,
            lifecycle: Lifecycle::default(),
        };
        session.settle(ctx);
        Ok(session)
    }

    // What others may know of it.

    pub(crate) const fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.parts.spec.identity
    }

    pub(crate) const fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// What an event of the dial holds that is large and will be asked about.
    pub(crate) fn unread(&mut self, event: &LinkEvent) -> Vec<Unread> {
        self.parts.unread(event)
    }

    // What happens to it.

    /// Handles an input, and everything that comes of it.
    pub(crate) fn handle(&mut self, ctx: &mut Context, input: SessionInput) {
        match input {
            SessionInput::Timeout => self.timeout(ctx),
            SessionInput::Uplink(input) => {
                self.parts
                    .act_uplink(ctx, |uplink, scope| uplink.handle(scope, input));
                self.settle(ctx);
                self.parts.bound_partial(ctx);
            }
            SessionInput::Delivery(input) => {
                self.parts
                    .act_delivery(ctx, |delivery, scope| delivery.handle(scope, input));
            }
            SessionInput::Frame(port, frame) => self.frame(ctx, port, frame),
            SessionInput::MemoryIsShort => {
                self.parts.bound_partial(ctx);
                self.parts.act_delivery(ctx, Delivery::give_back);
            }
            SessionInput::Close(code, reason, unsent) => self.close(ctx, code, reason, unsent),
            SessionInput::JournalLost(why) => {
                self.parts.delivery.lose_journal();
                let why = format!("the journal was lost, durability is `memory` now: {why}");
                self.parts.uplink.report_problem(error(Code::Internal, why));
            }
            SessionInput::Leave(leave) => self.leave(ctx, leave),
        }
        self.settle(ctx);
    }

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
        let placed = self.parts.act_delivery(ctx, |delivery, scope| {
            delivery.attach(scope, port, client, resume)
        });
        let opened = self.parts.opened(ctx, open, origin, placed.client);
        self.parts.act_delivery(ctx, |delivery, scope| {
            delivery.welcome(scope, port, &placed, opened)
        });
        self.parts.act_uplink(ctx, Uplink::client_attached);
        self.settle(ctx);
    }

    /// Other options, another URL: redials if the dial changes. `attach` must follow: whoever asked for it learns first what
    /// the log has dropped for it.
    pub(crate) fn update(&mut self, ctx: &mut Context, url: Option<Url>, options: Option<Options>) {
        let parts = &mut self.parts;
        let address = parts
            .uplink
            .dial_address(&parts.spec.identity, &parts.spec.options);
        if let Some(options) = options {
            parts.replace_options(options);
        }
        parts.act_uplink(ctx, |uplink, scope| uplink.retarget(scope, url, &address));
        self.settle(ctx);
        self.parts.journal_meta(ctx, Durable::Written);
        self.parts
            .act_delivery(ctx, |delivery, scope| delivery.shrink(scope));
    }

    /// Does what the frame of a port that holds the session asks for.
    fn frame(&mut self, ctx: &mut Context, port: PortId, frame: ClientFrame) {
        match (part_of(&frame), frame) {
            (Some(SessionPart::Outgoing), frame) => {
                self.parts
                    .act_outgoing(ctx, &self.lifecycle, port, |outgoing, scope| {
                        outgoing.frame(scope, frame)
                    });
            }
            (Some(SessionPart::Uplink), frame) => {
                self.parts
                    .act_uplink(ctx, |uplink, scope| uplink.frame(scope, port, frame));
            }
            (Some(SessionPart::Delivery), frame) => {
                self.parts
                    .act_delivery(ctx, |delivery, scope| delivery.frame(scope, port, frame));
            }
            (None, ClientFrame::Subscribe(subscribe)) => self.subscribe(ctx, port, *subscribe),
            (None, _) => {}
        }
    }

    /// Remembers a subscription with its filter, and sends it if the link is open.
    fn subscribe(&mut self, ctx: &mut Context, port: PortId, mut subscribe: Subscribe) {
        let accepts = self
            .parts
            .act_outgoing(ctx, &self.lifecycle, port, |outgoing, scope| {
                outgoing.accepts_subscription(scope, &subscribe)
            });
        if accepts == Some(true) {
            let lines = std::mem::take(&mut subscribe.filter);
            let filter = self.parts.delivery.set_filter(port, &subscribe.key, lines);
            self.parts
                .act_outgoing(ctx, &self.lifecycle, port, |outgoing, scope| {
                    outgoing.subscribe(scope, subscribe, filter)
                });
        }
    }

    /// Does what is due.
    fn timeout(&mut self, ctx: &mut Context) {
        self.parts.act_uplink(ctx, Uplink::timeout);
        self.settle(ctx);
        let load = self.parts.outgoing.load();
        self.parts
            .act_uplink(ctx, |uplink, scope| uplink.probe_better(scope, load));
        self.parts.outgoing.timeout(ctx.now);
        self.parts.act_delivery(ctx, Delivery::timeout);
        let idle = self.parts.idle(&self.lifecycle);
        match idle.and_then(|idle| idle.step(ctx.now.awake)) {
            Some(IdleStep::Rest) => self
                .parts
                .act_uplink(ctx, |uplink, scope| uplink.rest(scope, None)),
            Some(IdleStep::Expire) => {
                self.parts
                    .act_uplink(ctx, |uplink, scope| uplink.hang_up(scope, GOING_AWAY, ""));
                self.end(ctx, &CloseReport::default(), "expired");
            }
            None => {}
        }
    }

    /// Begins to close.
    fn close(&mut self, ctx: &Context, code: u16, reason: String, unsent: Unsent) {
        if unsent == Unsent::Discard {
            self.parts.outgoing.cancel_queued(ctx.now);
        }
        let within = Duration::from_millis(self.parts.spec.options.close_timeout);
        self.lifecycle
            .begin_closing(code, reason, ctx.now.boot.saturating_add(within));
    }

    /// The broker leaves: the link is closed, and the journal ends in order.
    fn leave(&mut self, ctx: &mut Context, leave: Leave) {
        if self.lifecycle.is_closing() {
            return self.finish_closing(ctx, None);
        }
        self.parts.act_uplink(ctx, |uplink, scope| {
            uplink.pause(scope, GOING_AWAY);
        });
        self.settle(ctx);
        if leave == Leave::HandOver {
            self.parts.begin_handover(ctx);
        }
        self.parts.write(ctx, &JournalRecord::Clean, Durable::OnDisk);
    }

    // What comes of it: events of the parts.

    /// Gives the events of each part to the others until there are none, hands clients their records, and takes the next step
    /// towards the end if the session is being closed.
    fn settle(&mut self, ctx: &mut Context) {
        while !self.lifecycle.is_over() {
            if self.parts.outgoing.has_events() {
                self.route_outgoing(ctx);
            } else if let Some(request) = self.parts.delivery.poll() {
                self.route_delivery(ctx, request);
            } else if let Some(event) = self.parts.uplink.poll(&mut self.parts.spec.for_uplink(ctx)) {
                self.route_uplink(ctx, event);
            } else if self.parts.delivery.is_changed() {
                self.parts.act_delivery(ctx, Delivery::advance);
            } else if !self.advance_closing(ctx) {
                return;
            }
        }
    }

    fn route_uplink(&mut self, ctx: &mut Context, event: UplinkEvent) {
        let now = ctx.now;
        match event {
            UplinkEvent::State(change) => self.report_state(ctx, *change),
            UplinkEvent::Opened(link) => {
                let greeting = &self.parts.spec.options.greeting;
                self.parts.outgoing.begin_connection(now, greeting, &link);
            }
            UplinkEvent::Ready => self.parts.outgoing.begin_ready(now),
            UplinkEvent::Message(message) => self.receive(ctx, message),
            UplinkEvent::TooLarge => self.parts.act_delivery(ctx, |delivery, scope| {
                delivery.lose_message(scope, GapReason::TooLarge);
            }),
            UplinkEvent::Written(place, proof) => self.parts.outgoing.written(now, place, proof),
            UplinkEvent::Proven(place) => self.parts.outgoing.proven(now, place),
            UplinkEvent::Acknowledged(serial, answer) => {
                self.parts.outgoing.acknowledged(now, serial, answer)
            }
            UplinkEvent::Posted(place, failure) => self.parts.outgoing.posted(now, place, failure),
            UplinkEvent::Refused(place, why) => self.parts.outgoing.refused_at(now, place, why),
            UplinkEvent::ReplyRefused(why) => {
                self.parts
                    .act_delivery(ctx, |delivery, scope| delivery.report_error(scope, &why));
            }
            UplinkEvent::Beat(payload) | UplinkEvent::Login(payload) => {
                self.parts.outgoing.send_untracked([payload]);
            }
            UplinkEvent::BeatAnswer(payload) => self.parts.outgoing.answer_beat(payload),
            UplinkEvent::Left { taken } => self.parts.outgoing.link_lost(now, taken),
            UplinkEvent::Closed(end) => self.finish_closing(ctx, end.map(|end| *end)),
            UplinkEvent::Redial => self.parts.act_uplink(ctx, Uplink::redial),
            UplinkEvent::CredentialsWanted => {
                if let Some(question) = self.parts.uplink.question() {
                    self.parts.act_delivery(ctx, |delivery, scope| {
                        delivery.ask_for_credentials(scope, question)
                    });
                }
            }
        }
    }

    /// A message of the server's: the link and what is awaited use it first, then it is kept for the clients.
    fn receive(&mut self, ctx: &mut Context, received: Received) {
        self.parts.delivery.count(received.payload.len());
        let asked = || {
            pointers::received_pointers(
                &self.parts.spec.options,
                &self.parts.delivery,
                &self.parts.outgoing,
            )
        };
        let message = received.parse(asked);
        if pointers::looks_inside(&self.parts.spec.options, &self.parts.uplink, &self.parts.outgoing) {
            let is_beat = self
                .parts
                .uplink
                .use_message(&mut self.parts.spec.for_uplink(ctx), &message);
            let is_used_up = is_beat || self.parts.outgoing.answer(ctx.now, &message);
            // What it confirms is recorded before the message itself.
            self.route_outgoing(ctx);
            if is_used_up {
                return;
            }
        }
        let room = self.parts.log_room(ctx);
        let scope = &mut self.parts.spec.for_delivery(ctx, room);
        let Some(views) = self.parts.delivery.admit(scope, &message) else {
            return;
        };
        let Received { payload, reply, .. } = received;
        let kept = self.parts.delivery.append_message(scope, payload, views);
        if let (Some(seq), Some(reply)) = (kept, reply) {
            self.parts.uplink.kept(seq, reply);
        }
    }

    fn route_delivery(&mut self, ctx: &mut Context, request: ReadRequest) {
        let scope = &mut self.parts.spec.for_uplink(ctx);
        match request {
            ReadRequest::Pause => self.parts.uplink.pause_reading(scope),
            ReadRequest::Resume => self.parts.uplink.resume_reading(scope),
            // A session that is being closed hangs up in its own way.
            ReadRequest::Stop if self.lifecycle.is_closing() => {}
            ReadRequest::Stop => self.parts.uplink.rest_full(scope),
        }
    }

    fn route_outgoing(&mut self, ctx: &mut Context) {
        let link = self.parts.uplink.view(&self.parts.spec.options);
        while let Some(event) = self.parts.outgoing.poll(ctx.now, &self.parts.spec.options, &link) {
            match event {
                OutgoingEvent::Journal(record) => self.parts.write(ctx, &record, Durable::Written),
                OutgoingEvent::Frame(port, frame) => ctx.send(port, frame),
                OutgoingEvent::Transmit(handover) => self.hand_over(ctx, handover),
                OutgoingEvent::Settled(settled) => {
                    for settled in settled {
                        self.record_settled(ctx, settled);
                    }
                }
                OutgoingEvent::Subscription(key, state) => self.parts.act_delivery(ctx, |delivery, scope| {
                    delivery.report_subscription(scope, &key, state);
                }),
                OutgoingEvent::Unsubscribed(key) => self.parts.delivery.forget_filter(&key),
                OutgoingEvent::Prove(place) => {
                    self.parts
                        .act_uplink(ctx, |uplink, scope| uplink.prove(scope, place));
                }
            }
        }
    }

    /// Hands a message to the link, once the journal says so: after a crash nobody can say whether it was written.
    fn hand_over(&mut self, ctx: &mut Context, handover: Handover) {
        let serial = handover.serial;
        if let Some(serial) = serial.filter(|_| handover.is_named) {
            self.parts.write_intent(ctx, serial);
        }
        let acknowledged = serial.filter(|_| handover.awaits_ack);
        let scope = &mut self.parts.spec.for_uplink(ctx);
        let handed = self
            .parts
            .uplink
            .transmit(scope, handover.payload, handover.place, acknowledged);
        if let Err(refusal) = handed {
            self.parts.outgoing.refused(ctx.now, serial, refusal);
        }
    }

    /// Records how a message ended, for the client that sent it.
    fn record_settled(&mut self, ctx: &mut Context, settled: Settled) {
        self.parts.uplink.forget(settled.serial);
        self.parts
            .act_delivery(ctx, |delivery, scope| delivery.record_settled(scope, settled));
    }

    /// Appends a change of the link's state, and hands it out before anything that follows from it.
    fn report_state(&mut self, ctx: &mut Context, change: StateChange) {
        self.parts.uplink.reported(&self.parts.spec.identity, &change);
        let body = Body::State(Arc::new(change));
        self.parts.act_delivery(ctx, |delivery, scope| {
            delivery.append(scope, body, None);
            delivery.advance(scope);
        });
    }

    /// Takes the next step towards the end, if it is time; `false` if there is none.
    fn advance_closing(&mut self, ctx: &mut Context) -> bool {
        if !self.lifecycle.is_closing() {
            return false;
        }
        let link = self.parts.uplink.view(&self.parts.spec.options);
        let unfinished = self.parts.outgoing.unfinished();
        let Some(step) = self.lifecycle.next_step(ctx.now.boot, &link, unfinished) else {
            return false;
        };
        let proves = self.parts.outgoing.wants_proof();
        self.parts
            .act_uplink(ctx, |uplink, scope| uplink.take_closing_step(scope, step, proves));
        true
    }

    /// Closing is over: the link has ended, or nothing is worth waiting for any more.
    fn finish_closing(&mut self, ctx: &mut Context, end: Option<LinkEnd>) {
        let Some(closing) = self.lifecycle.end_closing() else {
            return;
        };
        let report = end.map_or_else(CloseReport::default, close_report);
        self.parts.act_uplink(ctx, |uplink, scope| {
            uplink.hang_up(scope, closing.code, &closing.reason);
        });
        self.end(ctx, &report, "closed");
    }

    /// Ends the session for every client: everything is settled and reported, then nothing is left.
    fn end(&mut self, ctx: &mut Context, report: &CloseReport, why: &'static str) {
        let change = self.parts.uplink.close(report);
        for settled in self.parts.outgoing.end(ctx.now) {
            self.record_settled(ctx, settled);
        }
        self.report_state(ctx, change);
        self.parts
            .act_delivery(ctx, |delivery, scope| delivery.end(scope, report, why));
        self.lifecycle.end();
    }
}
