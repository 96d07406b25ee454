//! One persistent connection: a link, what is sent on it and what is received, held together.
//!
//! The session is the mediator of three parts that know nothing of each other: `uplink` the link, `outgoing` what is sent,
//! `delivery` what is received. An input goes to a part; then `settle` asks each part for its events and gives them to the
//! others, until there are none. The session touches no socket and no file. How it ends is decided in `lifecycle`, what
//! happens while no client holds it in `idle`; `spec`, `link_view` and `budget` are what parts are lent; `parts` restores the
//! parts from a journal, and `pointers` names what is looked for inside of messages.

mod budget;
mod delivery;
mod idle;
mod lifecycle;
mod link_view;
mod outgoing;
mod parts;
mod pointers;
mod spec;
mod uplink;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::wire::code::{Code, GapReason};
use crate::wire::message::{ClientFrame, CloseReport, Open, SessionReport, Subscribe};
use crate::wire::options::Options;
use crate::wire::record::{Body, Name, StateChange};

use super::context::{Context, error};
use super::dialect::Received;
use super::dialect::outlines::Unread;
use super::identity::{Identity, SessionKey};
use super::io::{DialId, LinkEnd, LinkEvent, Now, PortId};
use super::journal::{Damage, JournalId, RawRecord};
use super::journal_record::JournalRecord;
use super::outbox::Settled;
use super::recorded_log::Durable;

use self::budget::Budget;
use self::delivery::{Delivery, DeliveryContext, MIN_ROOM, ReadRequest};
use self::idle::{Idle, IdleStep};
use self::lifecycle::{ClosingStep, Lifecycle, close_report};
use self::outgoing::{Handover, Outgoing, OutgoingContext, OutgoingEvent};
use self::parts::Parts;
use self::spec::Spec;
use self::uplink::{Uplink, UplinkContext, UplinkEvent};

pub(crate) use self::budget::{SESSION_COST, over_budget};
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
}

/// What happens to a session.
#[derive(Debug)]
pub(crate) enum SessionInput {
    /// Something is due.
    Timeout,
    /// An event of a dial; that of another than the present one changes nothing.
    Link(DialId, LinkEvent),
    /// It may dial.
    DialGranted,
    /// The machine slept, or its network changed.
    Resumed,
    /// The settings have changed.
    RulesChanged,
    /// A frame of a port that holds it.
    Frame(PortId, ClientFrame),
    /// A port holds it no more; the client's position stays.
    Detach(PortId),
    /// A port that had no room for its records has room again.
    PortHasRoom,
    /// The broker as a whole holds too much, and this extension most.
    MemoryIsShort,
    /// It is to be closed with this code, for this reason.
    Close(u16, String, Unsent),
    /// Its journal failed, for this reason.
    JournalLost(String),
    /// The broker leaves.
    Leave(Leave),
}

/// How the broker leaves a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// What is not on disk is lost.
    Stop,
    /// A session in memory gets a journal for the time until the next broker.
    HandOver,
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
        session.act_delivery(ctx, |delivery, scope| {
            delivery.shrink(scope);
            delivery.trim(scope);
        });
        session.settle(ctx);
        Ok(session)
    }

    fn with(parts: Parts, uplink: Uplink) -> Self {
        Self {
            spec: parts.spec,
            uplink,
            outgoing: parts.outgoing,
            delivery: parts.delivery,
            lifecycle: Lifecycle::default(),
        }
    }

    // What others may know of it.

    pub(crate) const fn spec(&self) -> &Spec {
        &self.spec
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.spec.identity
    }

    pub(crate) const fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    pub(crate) const fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    pub(crate) const fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// Counters.
    pub(crate) fn report(&self, now: Now) -> SessionReport {
        let mut report = self.spec.report();
        self.uplink.report(&mut report, &self.spec.options, now.boot);
        self.outgoing.report(&mut report);
        self.delivery.report(&mut report, now.awake);
        report
    }

    /// The state that a new segment of the journal begins with.
    pub(crate) fn snapshot(&self, now: Now, machine_boot: &str) -> Vec<RawRecord> {
        parts::snapshot(&self.spec, &self.outgoing, &self.delivery, now, machine_boot)
    }

    /// Bytes that it takes, fixed costs included: what counts for its extension's budget.
    pub(crate) fn held(&self) -> usize {
        SESSION_COST + self.spec.held() + self.uplink.held() + self.outgoing.held() + self.delivery.held()
    }

    fn budget(&self, ctx: &Context) -> Budget {
        Budget::new(ctx.budget, ctx.others, self.held())
    }

    /// Bytes that the log may take in all: the extension's budget, less what everything else takes.
    fn log_room(&self, ctx: &Context) -> usize {
        Budget::new(ctx.budget, ctx.others, self.held() - self.delivery.log().held()).left()
    }

    /// What an event of the dial holds that is large and will be asked about.
    pub(crate) fn unread(&mut self, event: &LinkEvent) -> Vec<Unread> {
        let options = &self.spec.options;
        pointers::unread(options, &mut self.uplink, &self.outgoing, &self.delivery, event)
    }

    /// The next deadline in boot time, and whose it is.
    pub(crate) fn boot_deadline(&self) -> Option<(Duration, &'static str)> {
        let proof = self.uplink.proof_due(&self.spec.options);
        let proof = proof.filter(|_| self.outgoing.wants_proof().is_some());
        [
            self.uplink.deadline(),
            self.outgoing.deadline(),
            proof.map(|at| (at, "proof")),
            self.delivery.stall_deadline().map(|at| (at, "stall")),
            self.lifecycle.deadline().map(|at| (at, "close")),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// The next deadline in awake time, and whose it is.
    pub(crate) fn awake_deadline(&self) -> Option<(Duration, &'static str)> {
        let aged = self.delivery.age_deadline(&self.spec.options);
        let aged = aged.map(|at| (at, "age"));
        let idle = self.idle().map(|idle| idle.deadline());
        [aged, idle].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Since when nobody holds it, and what is to come of that.
    fn idle(&self) -> Option<Idle> {
        let since = self.delivery.idle_since();
        let since = since.filter(|_| !self.lifecycle.is_closing())?;
        Some(Idle::new(since, &self.spec.options, self.uplink.is_wanted()))
    }

    // What happens to it.

    /// Handles an input, and everything that comes of it.
    pub(crate) fn handle(&mut self, ctx: &mut Context, input: SessionInput) {
        match input {
            SessionInput::Timeout => self.timeout(ctx),
            SessionInput::Link(dial, event) => {
                self.act_uplink(ctx, |uplink, scope| uplink.handle_event(scope, dial, event));
                self.settle(ctx);
                self.bound_partial(ctx);
            }
            SessionInput::DialGranted => self.act_uplink(ctx, Uplink::dial_granted),
            SessionInput::Resumed => self.act_uplink(ctx, Uplink::resumed),
            SessionInput::RulesChanged => self.act_uplink(ctx, Uplink::rules_changed),
            SessionInput::Frame(port, frame) => self.frame(ctx, port, frame),
            SessionInput::Detach(port) => {
                self.act_delivery(ctx, |delivery, scope| delivery.detach(scope, port));
            }
            SessionInput::PortHasRoom => self.delivery.begin_delivery(),
            SessionInput::MemoryIsShort => {
                self.bound_partial(ctx);
                self.act_delivery(ctx, Delivery::give_back);
            }
            SessionInput::Close(code, reason, unsent) => self.close(ctx, code, reason, unsent),
            SessionInput::JournalLost(why) => {
                self.delivery.lose_journal();
                let why = format!("the journal was lost, durability is `memory` now: {why}");
                self.uplink.report_problem(error(Code::Internal, why));
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
        let placed = self.act_delivery(ctx, |delivery, scope| {
            delivery.attach(scope, port, client, resume)
        });
        let mut opened = self.spec.opened(open, origin);
        opened.state = self.uplink.state_for_client(&self.spec.for_uplink(ctx));
        opened.subprotocol = self.uplink.subprotocol();
        opened.outbox = self.outgoing.items_of(placed.client);
        opened.subscriptions = self.outgoing.subscriptions();
        self.act_delivery(ctx, |delivery, scope| {
            delivery.welcome(scope, port, &placed, opened)
        });
        self.act_uplink(ctx, Uplink::client_attached);
        self.settle(ctx);
    }

    /// Other options, another URL: redials if the dial changes. `attach` must follow: whoever asked for it learns first what
    /// the log has dropped for it.
    pub(crate) fn update(&mut self, ctx: &mut Context, url: Option<Url>, options: Option<Options>) {
        let address = self.uplink.dial_address(self.identity(), &self.spec.options);
        if let Some(options) = options {
            let before = self.spec.replace_options(options);
            self.uplink.options_changed(&before, &self.spec.options);
            self.outgoing.options_changed(&before, &self.spec.options);
            self.delivery.options_changed(&before, &self.spec.options);
        }
        self.act_uplink(ctx, |uplink, scope| uplink.retarget(scope, url, &address));
        self.settle(ctx);
        let meta = self.spec.meta(&ctx.machine_boot, self.delivery.log());
        self.write(ctx, &JournalRecord::Meta(meta), Durable::Written);
        self.act_delivery(ctx, |delivery, scope| delivery.shrink(scope));
    }

    /// Does what the frame of a port that holds the session asks for.
    fn frame(&mut self, ctx: &mut Context, port: PortId, frame: ClientFrame) {
        match frame {
            ClientFrame::Send(_)
            | ClientFrame::Request(_)
            | ClientFrame::Cancel { .. }
            | ClientFrame::Unsubscribe { .. } => {
                self.act_outgoing(ctx, port, |outgoing, scope| outgoing.frame(scope, frame));
            }
            ClientFrame::Reply(_) | ClientFrame::Authorize(_) | ClientFrame::Reconnect { .. } => {
                self.act_uplink(ctx, |uplink, scope| uplink.frame(scope, port, frame));
            }
            ClientFrame::Ack { .. } | ClientFrame::Window { .. } | ClientFrame::Detach { .. } => {
                self.act_delivery(ctx, |delivery, scope| delivery.frame(scope, port, frame));
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
        let accepts = self.act_outgoing(ctx, port, |outgoing, scope| {
            outgoing.accepts_subscription(scope, &subscribe)
        });
        if accepts == Some(true) {
            let lines = std::mem::take(&mut subscribe.filter);
            let filter = self.delivery.set_filter(port, &subscribe.key, lines);
            self.act_outgoing(ctx, port, |outgoing, scope| {
                outgoing.subscribe(scope, subscribe, filter)
            });
        }
    }

    /// Does what is due.
    fn timeout(&mut self, ctx: &mut Context) {
        self.act_uplink(ctx, Uplink::timeout);
        self.settle(ctx);
        let load = self.outgoing.load();
        self.act_uplink(ctx, |uplink, scope| uplink.probe_better(scope, load));
        self.outgoing.timeout(ctx.now);
        self.act_delivery(ctx, Delivery::timeout);
        match self.idle().and_then(|idle| idle.step(ctx.now.awake)) {
            Some(IdleStep::Rest) => self.act_uplink(ctx, |uplink, scope| uplink.rest(scope, None)),
            Some(IdleStep::Expire) => {
                self.act_uplink(ctx, |uplink, scope| uplink.hang_up(scope, GOING_AWAY, ""));
                self.end(ctx, &CloseReport::default(), "expired");
            }
            None => {}
        }
    }

    /// Begins to close.
    fn close(&mut self, ctx: &Context, code: u16, reason: String, unsent: Unsent) {
        if unsent == Unsent::Discard {
            self.outgoing.cancel_queued(ctx.now);
        }
        let within = Duration::from_millis(self.spec.options.close_timeout);
        self.lifecycle
            .begin_closing(code, reason, ctx.now.boot.saturating_add(within));
    }

    /// The broker leaves: the link is closed, and the journal ends in order.
    fn leave(&mut self, ctx: &mut Context, leave: Leave) {
        if self.lifecycle.is_closing() {
            return self.finish_closing(ctx, None);
        }
        self.act_uplink(ctx, |uplink, scope| {
            uplink.pause(scope, GOING_AWAY);
        });
        self.settle(ctx);
        if leave == Leave::HandOver && !self.delivery.log().has_journal() {
            let id = self.spec.new_journal(&mut ctx.dialer.random);
            self.delivery.begin_handover(id);
            let snapshot = self.snapshot(ctx.now, &ctx.machine_boot);
            self.delivery.hand_over(&mut ctx.recorder(), snapshot);
        }
        self.write(ctx, &JournalRecord::Clean, Durable::OnDisk);
    }

    // What comes of it: events of the parts.

    /// Gives the events of each part to the others until there are none, hands clients their records, and takes the next step
    /// towards the end if the session is being closed.
    fn settle(&mut self, ctx: &mut Context) {
        while !self.lifecycle.is_over() {
            if self.outgoing.has_events() {
                self.route_outgoing(ctx);
            } else if let Some(request) = self.delivery.poll() {
                self.route_delivery(ctx, request);
            } else if let Some(event) = self.uplink.poll(&mut self.spec.for_uplink(ctx)) {
                self.route_uplink(ctx, event);
            } else if self.delivery.is_changed() {
                self.act_delivery(ctx, Delivery::advance);
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
                let greeting = &self.spec.options.greeting;
                self.outgoing.begin_connection(now, greeting, &link);
            }
            UplinkEvent::Ready => self.outgoing.begin_ready(now),
            UplinkEvent::Message(message) => self.receive(ctx, message),
            UplinkEvent::TooLarge => self.act_delivery(ctx, |delivery, scope| {
                delivery.lose_message(scope, GapReason::TooLarge);
            }),
            UplinkEvent::Written(place, proof) => self.outgoing.written(now, place, proof),
            UplinkEvent::Proven(place) => self.outgoing.proven(now, place),
            UplinkEvent::Acknowledged(serial, answer) => self.outgoing.acknowledged(now, serial, answer),
            UplinkEvent::Posted(place, failure) => self.outgoing.posted(now, place, failure),
            UplinkEvent::Refused(place, why) => self.outgoing.refused_at(now, place, why),
            UplinkEvent::ReplyRefused(why) => {
                self.act_delivery(ctx, |delivery, scope| delivery.report_error(scope, &why));
            }
            UplinkEvent::Beat(payload) | UplinkEvent::Login(payload) => {
                self.outgoing.send_untracked([payload]);
            }
            UplinkEvent::BeatAnswer(payload) => self.outgoing.answer_beat(payload),
            UplinkEvent::Left { taken } => self.outgoing.link_lost(now, taken),
            UplinkEvent::Closed(end) => self.finish_closing(ctx, Some(*end)),
            UplinkEvent::Redial => self.act_uplink(ctx, Uplink::redial),
            UplinkEvent::CredentialsWanted => {
                if let Some(question) = self.uplink.question() {
                    self.act_delivery(ctx, |delivery, scope| {
                        delivery.ask_for_credentials(scope, question)
                    });
                }
            }
        }
    }

    /// A message of the server's: the link and what is awaited use it first, then it is kept for the clients.
    fn receive(&mut self, ctx: &mut Context, received: Received) {
        self.delivery.count(received.payload.len());
        let asked = || pointers::received_pointers(&self.spec.options, &self.delivery, &self.outgoing);
        let message = received.look(asked);
        if pointers::looks_inside(&self.spec.options, &self.uplink, &self.outgoing) {
            let is_beat = self.uplink.use_message(&mut self.spec.for_uplink(ctx), &message);
            let is_used_up = is_beat || self.outgoing.answer(ctx.now, &message);
            // What it confirms is recorded before the message itself.
            self.route_outgoing(ctx);
            if is_used_up {
                return;
            }
        }
        let room = self.log_room(ctx);
        let scope = &mut self.spec.for_delivery(ctx, room);
        let Some(views) = self.delivery.admit(scope, &message) else {
            return;
        };
        let Received { payload, reply, .. } = received;
        let kept = self.delivery.keep(scope, payload, views);
        if let (Some(seq), Some(reply)) = (kept, reply) {
            self.uplink.kept(seq, reply);
        }
    }

    fn route_delivery(&mut self, ctx: &mut Context, request: ReadRequest) {
        let scope = &mut self.spec.for_uplink(ctx);
        match request {
            ReadRequest::Pause => self.uplink.pause_reading(scope),
            ReadRequest::Resume => self.uplink.resume_reading(scope),
            // A session that is being closed hangs up in its own way.
            ReadRequest::Stop if self.lifecycle.is_closing() => {}
            ReadRequest::Stop => self.uplink.rest_full(scope),
        }
    }

    fn route_outgoing(&mut self, ctx: &mut Context) {
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
                }
                OutgoingEvent::Subscription(key, state) => self.act_delivery(ctx, |delivery, scope| {
                    delivery.report_subscription(scope, &key, state);
                }),
                OutgoingEvent::Unsubscribed(key) => self.delivery.forget_filter(&key),
                OutgoingEvent::Prove(place) => {
                    self.act_uplink(ctx, |uplink, scope| uplink.prove(scope, place));
                }
            }
        }
    }

    /// Hands a message to the link, once the journal says so: after a crash nobody can say whether it was written.
    fn hand_over(&mut self, ctx: &mut Context, handover: Handover) {
        let serial = handover.serial;
        if let Some(serial) = serial.filter(|_| handover.is_named && self.delivery.log().has_journal()) {
            let durable = self.uplink.durability_of_intent();
            self.write(ctx, &JournalRecord::Intent(serial), durable);
        }
        let acknowledged = serial.filter(|_| handover.awaits_ack);
        let scope = &mut self.spec.for_uplink(ctx);
        let handed = self
            .uplink
            .transmit(scope, handover.payload, handover.place, acknowledged);
        if let Err(refusal) = handed {
            self.outgoing.refused(ctx.now, serial, refusal);
        }
    }

    /// Records how a message ended, for the client that sent it.
    fn record_settled(&mut self, ctx: &mut Context, settled: Settled) {
        self.uplink.forget(settled.serial);
        self.act_delivery(ctx, |delivery, scope| delivery.record_settled(scope, settled));
    }

    /// Appends a change of the link's state, and hands it out before anything that follows from it.
    fn report_state(&mut self, ctx: &mut Context, change: StateChange) {
        self.uplink.reported(&self.spec.identity, &change);
        let body = Body::State(Arc::new(change));
        self.act_delivery(ctx, |delivery, scope| {
            delivery.append(scope, body, None);
            delivery.advance(scope);
        });
    }

    /// Takes the next step towards the end, if it is time; `false` if there is none.
    fn advance_closing(&mut self, ctx: &mut Context) -> bool {
        if !self.lifecycle.is_closing() {
            return false;
        }
        let link = self.uplink.view(&self.spec.options);
        let unfinished = self.outgoing.unfinished();
        match self.lifecycle.next_step(ctx.now.boot, &link, unfinished) {
            ClosingStep::Wait => return false,
            ClosingStep::HangUp => {
                self.act_uplink(ctx, |uplink, scope| uplink.hang_up(scope, 1000, ""));
                self.finish_closing(ctx, Some(LinkEnd::default()));
            }
            ClosingStep::SendClose { code, reason } => {
                let proves = self.outgoing.wants_proof();
                self.act_uplink(ctx, |uplink, scope| {
                    uplink.send_close(scope, code, reason, proves)
                });
            }
            ClosingStep::GiveUp => self.finish_closing(ctx, None),
        }
        true
    }

    /// Closing is over: the link has ended, or nothing is worth waiting for any more.
    fn finish_closing(&mut self, ctx: &mut Context, end: Option<LinkEnd>) {
        let Some(closing) = self.lifecycle.end_closing() else {
            return;
        };
        let report = end.map_or_else(CloseReport::default, close_report);
        self.act_uplink(ctx, |uplink, scope| {
            uplink.hang_up(scope, closing.code, &closing.reason);
        });
        self.end(ctx, &report, "closed");
    }

    /// Ends the session for every client: everything is settled and reported, then nothing is left.
    fn end(&mut self, ctx: &mut Context, report: &CloseReport, why: &'static str) {
        let change = self.uplink.close(report);
        for settled in self.outgoing.end(ctx.now) {
            self.record_settled(ctx, settled);
        }
        self.report_state(ctx, change);
        self.act_delivery(ctx, |delivery, scope| delivery.end(scope, report, why));
        self.lifecycle.end();
    }

    /// What has come in part is given up when it does not fit the extension's budget: it counts as too large.
    fn bound_partial(&mut self, ctx: &Context) {
        if self.uplink.partial_held() > MIN_ROOM && self.held() > ctx.budget.saturating_sub(ctx.others) {
            self.uplink.give_up_partial();
        }
    }

    // What the parts are lent.

    fn act_uplink(&mut self, ctx: &mut Context, act: impl FnOnce(&mut Uplink, &mut UplinkContext<'_>)) {
        act(&mut self.uplink, &mut self.spec.for_uplink(ctx));
    }

    fn act_delivery<R>(
        &mut self,
        ctx: &mut Context,
        act: impl FnOnce(&mut Delivery, &mut DeliveryContext<'_>) -> R,
    ) -> R {
        let room = self.log_room(ctx);
        act(&mut self.delivery, &mut self.spec.for_delivery(ctx, room))
    }

    /// For the client at this port, if it holds the session.
    fn act_outgoing<R>(
        &mut self,
        ctx: &Context,
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
        Some(act(&mut self.outgoing, &scope))
    }

    fn write(&self, ctx: &mut Context, record: &JournalRecord, durable: Durable) {
        self.delivery.log().write(&mut ctx.recorder(), record, durable);
    }
}
