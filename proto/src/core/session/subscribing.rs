//! Subscriptions: remembered, said on every connection, undone.
//!
//! Which there are, and whether the server has confirmed one, is for `core::subscriptions` to know.

use crate::wire::code::Code;
use crate::wire::filter::Line;
use crate::wire::message::{BrokerFrame, Subscribe, SubscriptionState};
use crate::wire::record::Name;

use crate::core::context::{Context, error};
use crate::core::io::PortId;
use crate::core::subscriptions::held_by;

use super::Session;

impl Session {
    /// Remembers a subscription and says it if the link is open.
    pub(crate) fn subscribe(&mut self, ctx: &mut Context, port: PortId, mut subscribe: Subscribe) {
        let (id, key) = (subscribe.id.clone(), subscribe.key.clone());
        let said = subscribe.send.iter().chain(&subscribe.undo);
        if let Some(why) = said
            .filter_map(|payload| self.uplink.cannot_carry(&self.options, payload))
            .next()
        {
            return ctx.refuse(port, why, Some(&id), Some(&self.identity.name));
        }
        let filter = std::mem::take(&mut subscribe.filter);
        let more = held_by(&key, &subscribe.send, &subscribe.undo, subscribe.confirm.as_ref())
            + filter.iter().map(Line::held).sum::<usize>();
        if let Err(why) = self.check_budget(ctx, more) {
            return ctx.refuse(port, why, Some(&id), Some(&self.identity.name));
        }
        let is_open = self.uplink.is_ready();
        // A worker that comes back subscribes as the one before it did; the server has heard that on this connection.
        let stands = self.subscriptions.stands(&subscribe).filter(|_| is_open);
        if !self.set_filter(port, &key, filter)
            || (stands.is_none() && !self.subscriptions.remember(subscribe))
        {
            let why = error(
                Code::RateLimited,
                "the session holds as many subscriptions, or as many lines of filters, as it may",
            );
            return ctx.refuse(port, why, Some(&id), Some(&self.identity.name));
        }
        ctx.ok(port, Some(id));
        match stands {
            Some(state) => self.tell_subscription(ctx, key, state),
            None if is_open => self.say_subscription(ctx, &key),
            None => self.tell_subscription(ctx, key, SubscriptionState::Pending),
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
            return ctx.refuse(port, why, Some(&id), Some(&self.identity.name));
        };
        self.forget_filter(key);
        if self.uplink.is_ready() {
            for payload in undo {
                self.transmit_foreign(ctx, payload);
            }
        }
        ctx.ok(port, Some(id));
        self.deliver(ctx);
    }

    /// Once the connection is ready: says every subscription, then lets the outbox flow.
    pub(super) fn begin_flow(&mut self, ctx: &mut Context) {
        if !self.uplink.is_ready() {
            return;
        }
        for key in self.subscriptions.keys() {
            self.say_subscription(ctx, &key);
        }
        self.flow(ctx);
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

    pub(super) fn tell_subscription(&mut self, ctx: &mut Context, key: Name, state: SubscriptionState) {
        for client in &self.clients {
            if let Some(attachment) = &client.attachment {
                let (session, key) = (self.identity.name.clone(), key.clone());
                ctx.say(attachment.port, BrokerFrame::Subscription { session, key, state });
            }
        }
    }
}
