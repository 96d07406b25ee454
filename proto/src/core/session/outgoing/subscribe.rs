//! The outgoing direction's subscriptions: which there are, and what the server is sent for them.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::filter::FilterLine;
use crate::wire::message::{Subscribe, SubscriptionState};
use crate::wire::record::{ErrorInfo, Name};

use crate::core::context::error;
use crate::core::subscriptions::held_by;

use super::super::budget::too_many_subscriptions;
use super::{Outgoing, OutgoingContext, OutgoingEvent};

impl Outgoing {
    /// Whether the server can be sent this, and the budget has room for it; an error answers the frame.
    pub(in crate::core::session) fn accepts_subscription(
        &mut self,
        ctx: &OutgoingContext<'_>,
        subscribe: &Subscribe,
    ) -> bool {
        let checked = check(ctx, subscribe);
        let is_accepted = checked.is_ok();
        if let Err(why) = checked {
            self.refuse_frame(ctx, why, Some(subscribe.id.clone()));
        }
        is_accepted
    }

    /// Remembers a subscription that was accepted, and sends it if the link is open. `filter`: whether its filter was set.
    pub(in crate::core::session) fn subscribe(
        &mut self,
        ctx: &OutgoingContext<'_>,
        subscribe: Subscribe,
        filter: Result<(), ErrorInfo>,
    ) {
        let (id, key) = (subscribe.id.clone(), subscribe.key.clone());
        // A restarted worker subscribes as the one before it did; the server has received that on this connection.
        let active = self
            .subscriptions
            .known_state(&subscribe)
            .filter(|_| ctx.link.is_ready);
        let kept = filter.and_then(|()| match active {
            Some(_) => Ok(()),
            None => self.remember(subscribe),
        });
        if let Err(why) = kept {
            return self.refuse_frame(ctx, why, Some(id));
        }
        self.send_ok(ctx, id);
        match active {
            Some(state) => self.push(OutgoingEvent::Subscription(key, state)),
            None if ctx.link.is_ready => self.send_subscription(ctx.now.boot, &key),
            None => self.push(OutgoingEvent::Subscription(key, SubscriptionState::Pending)),
        }
    }

    fn remember(&mut self, subscribe: Subscribe) -> Result<(), ErrorInfo> {
        if self.subscriptions.remember(subscribe) {
            return Ok(());
        }
        Err(too_many_subscriptions())
    }

    /// Forgets a subscription, undoing it if the link is open.
    pub(super) fn unsubscribe(&mut self, ctx: &OutgoingContext<'_>, id: Name, key: Name) {
        let Some(undo) = self.subscriptions.forget(&key) else {
            let why = format!("field `key`: there is no subscription `{key}`");
            return self.refuse_frame(ctx, error(Code::BadFrame, why), Some(id));
        };
        if ctx.link.is_ready {
            self.send_untracked(undo);
        }
        self.send_ok(ctx, id);
        self.push(OutgoingEvent::Unsubscribed(key));
    }

    /// Sends the server what this subscription wants on every connection.
    pub(super) fn send_subscription(&mut self, boot: Duration, key: &Name) {
        let Some((payloads, state)) = self.subscriptions.payloads_for(key, boot) else {
            return;
        };
        self.send_untracked(payloads);
        self.push(OutgoingEvent::Subscription(key.clone(), state));
    }

    /// Keys and states, in order.
    pub(in crate::core::session) fn subscriptions(&self) -> Vec<(Name, SubscriptionState)> {
        self.subscriptions.states()
    }
}

fn check(ctx: &OutgoingContext<'_>, subscribe: &Subscribe) -> Result<(), ErrorInfo> {
    let Subscribe {
        key,
        send,
        undo,
        confirm,
        filter,
        ..
    } = subscribe;
    let mut payloads = send.iter().chain(undo);
    payloads.try_for_each(|payload| ctx.link.check_payload(ctx.options, payload))?;
    let filters = filter.iter().map(FilterLine::held).sum::<usize>();
    ctx.budget
        .check(held_by(key, send, undo, confirm.as_ref()) + filters)
}
