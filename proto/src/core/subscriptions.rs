//! Subscriptions: messages that are sent on every connection, and whether the server has confirmed them.
//!
//! It keeps the list; the session transmits it.

use std::time::Duration;

use crate::wire::json::Pointers;
use crate::wire::message::{Subscribe, SubscriptionState};
use crate::wire::payload::Payload;
use crate::wire::record::Name;
use crate::wire::rule::{ParsedMessage, Rule};

/// Subscriptions one session may hold.
pub(crate) const MAX_SUBSCRIPTIONS: usize = 1024;
/// How long a `confirm` rule may wait on a connection before the subscription has failed there.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// One remembered subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) key: Name,
    send: Vec<Payload>,
    undo: Vec<Payload>,
    confirm: Option<Rule>,
    /// On the current connection.
    pub(crate) state: SubscriptionState,
    /// Boot time until which the rule must match.
    until: Option<Duration>,
}

impl Subscription {
    fn held(&self) -> usize {
        held_by(&self.key, &self.send, &self.undo, self.confirm.as_ref())
    }
}

/// Bytes that a subscription takes.
pub(crate) fn held_by(key: &Name, send: &[Payload], undo: &[Payload], confirm: Option<&Rule>) -> usize {
    let payloads = send.iter().chain(undo);
    256 + key.len() + payloads.map(Payload::held).sum::<usize>() + confirm.map_or(0, Rule::held)
}

/// Every subscription of one session, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    list: Vec<Subscription>,
    held: usize,
}

impl Subscriptions {
    /// Bytes that all this takes.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// The state of one that is this very one, unless it has failed.
    pub(crate) fn known_state(&self, subscribe: &Subscribe) -> Option<SubscriptionState> {
        let known = self.list.iter().find(|known| known.key == subscribe.key)?;
        let is_same = known.send == subscribe.send
            && known.undo == subscribe.undo
            && known.confirm == subscribe.confirm;
        (is_same && known.state != SubscriptionState::Failed).then_some(known.state)
    }

    /// Remembers one; the same key again replaces it in its place. `false` when there are too many.
    pub(crate) fn remember(&mut self, subscribe: Subscribe) -> bool {
        let Subscribe {
            key,
            send,
            undo,
            confirm,
            ..
        } = subscribe;
        let new = Subscription {
            key,
            send,
            undo,
            confirm,
            state: SubscriptionState::Pending,
            until: None,
        };
        if let Some(known) = self.list.iter_mut().find(|known| known.key == new.key) {
            self.held = self.held - known.held() + new.held();
            *known = new;
        } else if self.list.len() < MAX_SUBSCRIPTIONS {
            self.held += new.held();
            self.list.push(new);
        } else {
            return false;
        }
        true
    }

    /// Forgets one; what to say to the server, `None` when there is none of that key.
    pub(crate) fn forget(&mut self, key: &str) -> Option<Vec<Payload>> {
        let index = self.list.iter().position(|known| &*known.key == key)?;
        let known = self.list.remove(index);
        self.held -= known.held();
        Some(known.undo)
    }

    /// Keys and states.
    pub(crate) fn states(&self) -> Vec<(Name, SubscriptionState)> {
        self.list
            .iter()
            .map(|known| (known.key.clone(), known.state))
            .collect()
    }

    /// What to send for this one now, and its state after that.
    pub(crate) fn payloads_for(
        &mut self,
        key: &str,
        boot: Duration,
    ) -> Option<(Vec<Payload>, SubscriptionState)> {
        let known = self.list.iter_mut().find(|known| &*known.key == key)?;
        if known.confirm.is_some() {
            known.state = SubscriptionState::Pending;
            known.until = Some(boot + CONFIRM_TIMEOUT);
        } else {
            known.state = SubscriptionState::Active;
        }
        Some((known.send.clone(), known.state))
    }

    /// The link is gone: nothing stands any more.
    pub(crate) fn link_lost(&mut self) {
        for known in &mut self.list {
            known.state = SubscriptionState::Pending;
            known.until = None;
        }
    }

    /// Whether an incoming message may confirm something.
    pub(crate) fn awaits(&self) -> bool {
        self.list.iter().any(|known| known.until.is_some())
    }

    /// Adds the pointers that are asked for.
    pub(crate) fn add_pointers(&self, pointers: &mut Pointers) {
        let awaited = self.list.iter().filter(|known| known.until.is_some());
        for rule in awaited.filter_map(|known| known.confirm.as_ref()) {
            rule.add_pointers(pointers);
        }
    }

    /// Those that this message confirms.
    pub(crate) fn confirm(&mut self, message: &ParsedMessage<'_>) -> Vec<Name> {
        self.list
            .iter_mut()
            .filter(|known| {
                known.until.is_some() && known.confirm.as_ref().is_some_and(|rule| rule.matches(message))
            })
            .map(|known| {
                known.state = SubscriptionState::Active;
                known.until = None;
                known.key.clone()
            })
            .collect()
    }

    /// Those that were not confirmed in time.
    pub(crate) fn expire(&mut self, boot: Duration) -> Vec<Name> {
        self.list
            .iter_mut()
            .filter(|known| known.until.is_some_and(|until| boot >= until))
            .map(|known| {
                known.state = SubscriptionState::Failed;
                known.until = None;
                known.key.clone()
            })
            .collect()
    }

    /// When the next one is overdue, in boot time.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.list.iter().filter_map(|known| known.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn subscribe(key: &str, confirm: Option<Value>) -> Subscribe {
        Subscribe {
            session: "s".into(),
            id: "1".into(),
            key: key.into(),
            send: vec![Payload::text("on")],
            undo: vec![Payload::text("off")],
            confirm: confirm.map(|rule| Rule::from_json(&rule.to_string()).unwrap()),
            filter: Vec::new(),
        }
    }

    #[test]
    fn a_subscription_with_a_rule_is_pending_on_every_connection() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.remember(subscribe("a", Some(json!({"/ok": "a"}))));
        let (_, state) = subscriptions.payloads_for("a", Duration::ZERO).unwrap();
        assert_eq!(state, SubscriptionState::Pending);
        let mut confirm = |text: &str| subscriptions.confirm(&ParsedMessage::at(&Payload::text(text)));
        assert!(confirm(r#"{"ok":"b"}"#).is_empty());
        assert_eq!(confirm(r#"{"ok":"a"}"#), ["a".into()]);
        subscriptions.link_lost();
        assert_eq!(subscriptions.states(), [("a".into(), SubscriptionState::Pending)]);
        subscriptions.payloads_for("a", Duration::ZERO);
        assert_eq!(subscriptions.expire(CONFIRM_TIMEOUT), ["a".into()]);
        assert_eq!(subscriptions.states(), [("a".into(), SubscriptionState::Failed)]);
    }

    #[test]
    fn the_same_key_replaces_and_removal_returns_the_unsubscribe_payload() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.remember(subscribe("a", None));
        subscriptions.remember(subscribe("a", None));
        assert_eq!(subscriptions.states().len(), 1);
        assert_eq!(subscriptions.forget("a"), Some(vec![Payload::text("off")]));
        assert_eq!(subscriptions.forget("a"), None);
    }
}
