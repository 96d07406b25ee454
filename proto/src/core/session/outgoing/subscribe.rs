//! The outgoing direction's subscriptions: which there are, and what is said of them.

use std::time::Duration;

use crate::wire::message::{Subscribe, SubscriptionState};
use crate::wire::payload::Payload;
use crate::wire::record::Name;
use crate::wire::rule::ParsedMessage;

use super::Outgoing;

impl Outgoing {
    /// The state of a subscription that is this very one, unless it has failed.
    pub(in crate::core::session) fn standing(&self, subscribe: &Subscribe) -> Option<SubscriptionState> {
        self.subscriptions.stands(subscribe)
    }

    /// Remembers a subscription; `false` when there are too many.
    pub(in crate::core::session) fn subscribe(&mut self, subscribe: Subscribe) -> bool {
        self.subscriptions.remember(subscribe)
    }

    /// Forgets a subscription; what to say to the server, `None` when there is none of that key.
    pub(in crate::core::session) fn unsubscribe(&mut self, key: &str) -> Option<Vec<Payload>> {
        self.subscriptions.forget(key)
    }

    /// Keys and states, in order.
    pub(in crate::core::session) fn subscriptions(&self) -> Vec<(Name, SubscriptionState)> {
        self.subscriptions.states()
    }

    /// What to say for this one now, and its state once it is said.
    pub(in crate::core::session) fn say_subscription(
        &mut self,
        key: &str,
        boot: Duration,
    ) -> Option<(Vec<Payload>, SubscriptionState)> {
        self.subscriptions.say(key, boot)
    }

    /// Those that this message confirms.
    pub(in crate::core::session) fn confirm_subscriptions(
        &mut self,
        message: &ParsedMessage<'_>,
    ) -> Vec<Name> {
        self.subscriptions.confirm(message)
    }

    /// Those that were not confirmed in time.
    pub(in crate::core::session) fn expire_subscriptions(&mut self, boot: Duration) -> Vec<Name> {
        self.subscriptions.expire(boot)
    }
}
