//! What happens on the link, handed to those whom it concerns: the log and its clients on one side, the outbox on the
//! other.

use std::sync::Arc;

use crate::wire::code::{Code, GapReason};
use crate::wire::record::{Body, StateChange};

use crate::core::context::{Context, error};
use crate::core::dialect::Received;
use crate::core::io::{DialId, LinkEvent};

use super::Session;
use super::delivery::{Delivery, DeliveryContext, MIN_ROOM, Pressure};
use super::uplink::{Load, Uplink, UplinkContext, UplinkEvent};

impl Session {
    /// Lets the uplink do something.
    pub(super) fn with_uplink<R>(
        &mut self,
        ctx: &mut Context,
        act: impl FnOnce(&mut Uplink, &mut UplinkContext<'_>) -> R,
    ) -> R {
        let mut scope = UplinkContext {
            now: ctx.now,
            who: &self.identity,
            options: &self.options,
            dialer: &mut ctx.dialer,
            out: &mut ctx.out,
            outlines: &mut ctx.outlines,
        };
        act(&mut self.uplink, &mut scope)
    }

    /// Lets delivery do something.
    pub(super) fn with_delivery<R>(
        &mut self,
        ctx: &mut Context,
        act: impl FnOnce(&mut Delivery, &mut DeliveryContext<'_>) -> R,
    ) -> R {
        let mut scope = DeliveryContext {
            now: ctx.now,
            who: &self.identity,
            options: &self.options,
            ports: ctx.ports(),
        };
        act(&mut self.delivery, &mut scope)
    }

    /// As `with_uplink`, and hands on what came of it.
    pub(super) fn drive(&mut self, ctx: &mut Context, act: impl FnOnce(&mut Uplink, &mut UplinkContext<'_>)) {
        self.with_uplink(ctx, act);
        self.route(ctx);
    }

    /// Hands on what the uplink has to say.
    fn route(&mut self, ctx: &mut Context) {
        let mut has_messages = false;
        while let Some(event) = self.with_uplink(ctx, |uplink, scope| uplink.poll(scope)) {
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
            UplinkEvent::Message(message) => self.receive(ctx, message),
            UplinkEvent::TooLarge => self.with_delivery(ctx, |delivery, scope| {
                delivery.lose_message(scope, GapReason::TooLarge);
            }),
            UplinkEvent::Written(place) => self.written(ctx, place),
            UplinkEvent::Proven(place) => self.proven(ctx, place),
            UplinkEvent::Acknowledged(serial, answer) => {
                let settled = self.outgoing.acknowledged(ctx.now, serial, answer);
                self.settle(ctx, settled);
            }
            UplinkEvent::Posted(place, failure) => {
                let settled = self.outgoing.posted(ctx.now, place, failure);
                self.settle(ctx, settled);
                self.flow(ctx);
            }
            UplinkEvent::Beat(payload) | UplinkEvent::Login(payload) => self.transmit_untracked(ctx, payload),
            UplinkEvent::Left { taken } => {
                let settled = self.outgoing.link_lost(ctx.now, taken);
                self.settle(ctx, settled);
            }
            UplinkEvent::Closed(end) => self.finish_closing(ctx, Some(*end)),
            UplinkEvent::Redial => self.with_uplink(ctx, Uplink::redial),
            UplinkEvent::CredentialsWanted => self.ask_for_credentials(ctx),
        }
    }

    /// A connection is open: the greeting, and unless the server must be ready first, subscriptions and the outbox.
    fn begin_connection(&mut self, ctx: &mut Context) {
        for payload in self.options.greeting.clone() {
            self.transmit_untracked(ctx, payload);
        }
        self.begin_flow(ctx);
    }

    fn receive(&mut self, ctx: &mut Context, received: Received) {
        self.delivery.count(received.payload.len());
        if self.use_message(ctx, &received) {
            return;
        }
        let message = received.look(|| self.received_pointers());
        let views = self.with_delivery(ctx, |delivery, scope| delivery.admit(scope, &message));
        let Some(views) = views else { return };
        let Received { payload, reply, .. } = received;
        self.drop_aged(ctx);
        let room = self.log_room(ctx);
        let (kept, pressure) =
            self.with_delivery(ctx, |delivery, scope| delivery.keep(scope, payload, views, room));
        match pressure {
            Pressure::Pause => self.with_uplink(ctx, Uplink::pause_reading),
            // A session that is being closed hangs up in its own way.
            Pressure::Close if !self.is_closing() => {
                let why = error(
                    Code::Overflow,
                    "the log is full: the link is paused until a client attaches",
                );
                self.with_uplink(ctx, |uplink, scope| uplink.rest(scope, Some(why)));
            }
            Pressure::Close | Pressure::None => {}
        }
        if let (Some(seq), Some(reply)) = (kept, reply) {
            self.uplink.kept(seq, reply);
        }
    }

    /// Appends a change of the link's state.
    pub(super) fn tell_state(&mut self, ctx: &mut Context, change: StateChange) {
        self.uplink.told(&self.identity, &change);
        self.append(ctx, Body::State(Arc::new(change)), None);
        self.deliver(ctx);
    }

    /// Word from a dial. Anything but the current one is ignored.
    pub(crate) fn link_event(&mut self, ctx: &mut Context, dial: DialId, event: LinkEvent) {
        self.drive(ctx, |uplink, scope| uplink.hear(scope, dial, event));
        self.bound_partial(ctx);
    }

    /// What has come in part is given up when it does not fit the extension's budget: it counts as too large.
    pub(super) fn bound_partial(&mut self, ctx: &mut Context) {
        if self.uplink.partial_held() > MIN_ROOM && self.holds() > self.share(ctx) {
            self.drive(ctx, |uplink, _| uplink.give_up_partial());
        }
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
        let load = if self.outgoing.is_idle() {
            Load::Idle
        } else {
            Load::Busy
        };
        self.drive(ctx, |uplink, scope| uplink.probe_better(scope, load));
    }

    /// Reads on if it was the log that kept the link from reading, and there is room again.
    pub(super) fn read_on(&mut self, ctx: &mut Context) {
        if !self.uplink.is_reading_paused() {
            return;
        }
        let room = self.log_room(ctx);
        if self.delivery.has_room_again(&self.options, room) {
            self.with_uplink(ctx, Uplink::resume_reading);
        }
    }
}
