//! The parts of a session, and what each of them is lent while it does something: the time, the options, and of everything
//! around the session what it needs.
//!
//! It passes nothing on from one part to another; the session does.

use std::time::Duration;

use crate::wire::message::{Open, Opened, SessionReport};
use crate::wire::options::Options;

use crate::core::context::Context;
use crate::core::dialect::outlines::Unread;
use crate::core::identity::ClientId;
use crate::core::io::{LinkEvent, Now, PortId};
use crate::core::journal::RawRecord;
use crate::core::journal_record::JournalRecord;
use crate::core::recorded_log::Durable;

use super::budget::{Budget, SESSION_COST};
use super::delivery::{Delivery, DeliveryContext, MIN_ROOM};
use super::idle::Idle;
use super::lifecycle::Lifecycle;
use super::outgoing::{Outgoing, OutgoingContext};
use super::pointers;
use super::spec::{Origin, Spec};
use super::uplink::{Uplink, UplinkContext};

/// When something is due, and whose it is.
pub(crate) type Deadline = (Duration, &'static str);

fn earliest(deadlines: impl IntoIterator<Item = Option<Deadline>>) -> Option<Deadline> {
    deadlines.into_iter().flatten().min_by_key(|(at, _)| *at)
}

/// What a session is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) spec: Spec,
    pub(crate) uplink: Uplink,
    pub(super) outgoing: Outgoing,
    pub(crate) delivery: Delivery,
}

impl Parts {
    pub(super) fn act_uplink(
        &mut self,
        ctx: &mut Context,
        act: impl FnOnce(&mut Uplink, &mut UplinkContext<'_>),
    ) {
        act(&mut self.uplink, &mut self.spec.for_uplink(ctx));
    }

    pub(super) fn act_delivery<R>(
        &mut self,
        ctx: &mut Context,
        act: impl FnOnce(&mut Delivery, &mut DeliveryContext<'_>) -> R,
    ) -> R {
        let room = self.log_room(ctx);
        act(&mut self.delivery, &mut self.spec.for_delivery(ctx, room))
    }

    /// For the client at this port, if it holds the session.
    pub(super) fn act_outgoing<R>(
        &mut self,
        ctx: &Context,
        lifecycle: &Lifecycle,
        port: PortId,
        act: impl FnOnce(&mut Outgoing, &OutgoingContext<'_>) -> R,
    ) -> Option<R> {
        let scope = OutgoingContext {
            now: ctx.now,
            session: &self.spec.identity.name,
            options: &self.spec.options,
            outlines: &ctx.outlines,
            lifecycle,
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

    /// What a client learns of the session when it opens it, but for what the log has for it.
    pub(super) fn opened(
        &mut self,
        ctx: &mut Context,
        open: Open,
        origin: Origin,
        client: ClientId,
    ) -> Opened {
        let mut opened = self.spec.opened(open, origin);
        opened.state = self.uplink.state_for_client(&self.spec.for_uplink(ctx));
        opened.subprotocol = self.uplink.subprotocol();
        opened.outbox = self.outgoing.items_of(client);
        opened.subscriptions = self.outgoing.subscriptions();
        opened
    }

    /// What has come in part is given up when it does not fit the extension's budget: it counts as too large.
    pub(super) fn bound_partial(&mut self, ctx: &Context) {
        let budget = ctx.budget.saturating_sub(ctx.others);
        if self.uplink.partial_held() > MIN_ROOM && self.held() > budget {
            self.uplink.give_up_partial();
        }
    }

    /// Writes down that a message is about to be handed to the link.
    pub(super) fn write_intent(&mut self, ctx: &mut Context, serial: u64) {
        if self.delivery.log().has_journal() {
            let durable = self.uplink.durability_of_intent();
            self.write(ctx, &JournalRecord::Intent(serial), durable);
        }
    }

    pub(super) fn write(&self, ctx: &mut Context, record: &JournalRecord, durable: Durable) {
        self.delivery.log().write(&mut ctx.recorder(), record, durable);
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
        let log = self.delivery.log();
        if !log.has_journal() {
            return Vec::new();
        }
        let mut records = vec![JournalRecord::Meta(self.spec.meta(machine_boot, log))];
        records.extend(self.delivery.snapshot());
        records.extend(self.outgoing.snapshot(now));
        records.iter().map(JournalRecord::encode).collect()
    }

    /// Bytes that it takes, fixed costs included: what counts for its extension's budget.
    pub(crate) fn held(&self) -> usize {
        SESSION_COST + self.spec.held() + self.uplink.held() + self.outgoing.held() + self.delivery.held()
    }

    pub(super) fn budget(&self, ctx: &Context) -> Budget {
        Budget::new(ctx.budget, ctx.others, self.held())
    }

    /// Bytes that the log may take in all: the extension's budget, less what everything else takes.
    pub(super) fn log_room(&self, ctx: &Context) -> usize {
        Budget::new(ctx.budget, ctx.others, self.held() - self.delivery.log().held()).left()
    }

    /// What an event of the dial holds that is large and will be asked about.
    pub(super) fn unread(&mut self, event: &LinkEvent) -> Vec<Unread> {
        let options = &self.spec.options;
        pointers::unread(options, &mut self.uplink, &self.outgoing, &self.delivery, event)
    }

    /// The next deadline in boot time, and whose it is.
    pub(crate) fn boot_deadline(&self, lifecycle: &Lifecycle) -> Option<Deadline> {
        let proof = self.uplink.proof_due(&self.spec.options);
        let proof = proof.filter(|_| self.outgoing.wants_proof().is_some());
        earliest([
            self.uplink.deadline(),
            self.outgoing.deadline(),
            proof.map(|at| (at, "proof")),
            self.delivery.stall_deadline().map(|at| (at, "stall")),
            lifecycle.deadline().map(|at| (at, "close")),
        ])
    }

    /// The next deadline in awake time, and whose it is.
    pub(crate) fn awake_deadline(&self, lifecycle: &Lifecycle) -> Option<Deadline> {
        let aged = self.delivery.age_deadline(&self.spec.options);
        let idle = self.idle(lifecycle).map(|idle| idle.deadline());
        earliest([aged.map(|at| (at, "age")), idle])
    }

    /// Since when nobody holds it, and what is to come of that.
    pub(super) fn idle(&self, lifecycle: &Lifecycle) -> Option<Idle> {
        let since = self.delivery.idle_since();
        let since = since.filter(|_| !lifecycle.is_closing())?;
        Some(Idle::new(since, &self.spec.options, self.uplink.is_wanted()))
    }

    /// Replaces the options, and lets each part follow.
    pub(super) fn replace_options(&mut self, options: Options) {
        let before = self.spec.replace_options(options);
        self.uplink.options_changed(&before, &self.spec.options);
        self.outgoing.options_changed(&before, &self.spec.options);
        self.delivery.options_changed(&before, &self.spec.options);
    }

    /// Writes down what has changed of what the session is.
    pub(super) fn journal_meta(&self, ctx: &mut Context, durable: Durable) {
        let meta = self.spec.meta(&ctx.machine_boot, self.delivery.log());
        self.write(ctx, &JournalRecord::Meta(meta), durable);
    }

    /// A session in memory gets a journal that carries it to the next broker.
    pub(super) fn begin_handover(&mut self, ctx: &mut Context) {
        if self.delivery.log().has_journal() {
            return;
        }
        let id = self.spec.new_journal(&mut ctx.dialer.random);
        self.delivery.begin_handover(id);
        let snapshot = self.snapshot(ctx.now, &ctx.machine_boot);
        self.delivery.hand_over(&mut ctx.recorder(), snapshot);
    }
}
