//! A client's filter at work: what becomes of each message before it is delivered to that client.
//!
//! It judges messages as they arrive, once. It removes nothing itself; the session and its log do. `values` remembers what
//! came before with the same key, `view` has what a client sees of a message.

mod values;
mod view;

use std::time::Duration;

use crate::wire::filter::{FilterAction, FilterLine};
use crate::wire::json::Pointers;
use crate::wire::record::Name;
use crate::wire::rule::ParsedMessage;

use self::values::{KeyValues, value_at};
use self::view::part;
pub(crate) use self::view::{View, seen};

/// Lines one client may have in one session, over all its subscriptions.
const MAX_LINES: usize = 1024;
/// Terms of these lines: each message is held against them.
const MAX_TERMS: usize = 1024;

/// A filter's decision about a message that has just arrived.
#[derive(Debug, Default)]
pub(crate) struct FilterDecision {
    pub(crate) view: Option<View>,
    pub(crate) why: Option<FilterReason>,
    /// Where to note its number.
    slot: Option<(usize, String)>,
    /// The number of the message it replaces, if that one still waits.
    pub(crate) replaces: Option<u64>,
}

impl FilterDecision {
    /// What the client has seen up to here cannot be taken back.
    pub(crate) fn spare_up_to(&mut self, delivered: u64) {
        self.replaces = self.replaces.filter(|seq| *seq > delivered);
    }

    /// How the client sees the message, once.
    pub(crate) const fn take_view(&mut self) -> Option<View> {
        self.view.take()
    }
}

/// What to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilterReason {
    Dropped,
    Sampled,
    Held,
    Projected,
}

/// The lines of one client, in order of subscription.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    lines: Vec<SubscribedLine>,
    /// Bytes of the lines, and values that they remember.
    held: usize,
    values: usize,
}

#[derive(Debug)]
struct SubscribedLine {
    key: Name,
    line: FilterLine,
    values: KeyValues,
}

impl Filter {
    /// Sets the lines of one subscription, in place of those it had. `false` when there are too many.
    pub(crate) fn set(&mut self, key: &Name, lines: Vec<FilterLine>) -> bool {
        let others = self
            .lines
            .iter()
            .filter(|subscribed| subscribed.key != *key)
            .count();
        if others + lines.len() > MAX_LINES {
            return false;
        }
        let terms = self
            .lines
            .iter()
            .filter(|subscribed| subscribed.key != *key)
            .map(|subscribed| &subscribed.line);
        if terms.chain(&lines).map(|line| line.when.terms()).sum::<usize>() > MAX_TERMS {
            return false;
        }
        let at = self
            .lines
            .iter()
            .position(|subscribed| subscribed.key == *key)
            .unwrap_or(self.lines.len());
        self.lines.retain(|subscribed| subscribed.key != *key);
        let new = lines.into_iter().map(|line| SubscribedLine {
            key: key.clone(),
            line,
            values: KeyValues::default(),
        });
        self.lines.splice(at..at, new);
        self.count();
        true
    }

    /// Forgets the lines of one subscription; whether there were any.
    pub(crate) fn forget(&mut self, key: &str) -> bool {
        let before = self.lines.len();
        self.lines.retain(|subscribed| &*subscribed.key != key);
        let had_some = before != self.lines.len();
        if had_some {
            self.count();
        }
        had_some
    }

    /// Bytes that all this takes.
    pub(crate) const fn held(&self) -> usize {
        self.held + self.values * values::COST
    }

    fn count(&mut self) {
        self.held = self
            .lines
            .iter()
            .map(|subscribed| 64 + subscribed.line.held())
            .sum();
        self.values = self.lines.iter().map(|subscribed| subscribed.values.len()).sum();
    }

    /// Adds the pointers that it asks for.
    pub(crate) fn add_pointers(&self, pointers: &mut Pointers) {
        for subscribed in &self.lines {
            subscribed.line.add_pointers(pointers);
        }
    }

    /// Whether everything is delivered.
    pub(crate) const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What becomes of this message.
    pub(crate) fn decide(&mut self, message: &ParsedMessage<'_>, awake: Duration) -> FilterDecision {
        let mut decision = FilterDecision::default();
        let Some((index, subscribed)) = self
            .lines
            .iter_mut()
            .enumerate()
            .find(|(_, subscribed)| subscribed.line.when.matches(message))
        else {
            return decision;
        };
        match &subscribed.line.action {
            FilterAction::Deliver => {}
            FilterAction::Hold => {
                (decision.view, decision.why) = (Some(View::Held), Some(FilterReason::Held))
            }
            FilterAction::Drop => {
                (decision.view, decision.why) = (Some(View::Not), Some(FilterReason::Dropped))
            }
            FilterAction::Project { keep } => {
                decision.view = part(message, keep.as_slice().into());
                decision.why = decision.view.is_some().then_some(FilterReason::Projected);
            }
            FilterAction::Conflate { key } => {
                if let Some(value) = value_at(message, key.as_deref()) {
                    decision.replaces = subscribed.values.number_of(&value);
                    decision.slot = Some((index, value));
                }
            }
            FilterAction::Sample { key, rate } => {
                let value = value_at(message, key.as_deref());
                let (rate, before) = (*rate, subscribed.values.len());
                let passes = value.is_none_or(|value| subscribed.values.count_sample(value, rate, awake));
                self.values = self.values - before + subscribed.values.len();
                if !passes {
                    (decision.view, decision.why) = (Some(View::Not), Some(FilterReason::Sampled));
                }
            }
        }
        decision
    }

    /// The message that was judged got this number.
    pub(crate) fn numbered(&mut self, decision: FilterDecision, seq: u64) {
        if let Some((index, value)) = decision.slot
            && let Some(subscribed) = self.lines.get_mut(index)
        {
            let before = subscribed.values.len();
            subscribed.values.note(value, seq);
            self.values = self.values - before + subscribed.values.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::Payload;

    fn filter(lines: &[&str]) -> Filter {
        let mut filter = Filter::default();
        let lines = lines
            .iter()
            .map(|line| FilterLine::from_json(line).unwrap())
            .collect();
        assert!(filter.set(&"k".into(), lines));
        filter
    }

    fn decide(filter: &mut Filter, text: &str, second: u64) -> FilterDecision {
        let payload = Payload::text(text);
        filter.decide(&ParsedMessage::at(&payload), Duration::from_secs(second))
    }

    #[test]
    fn the_first_matching_line_decides() {
        let mut filter = filter(&[
            r#"{"when":{"/type":"alarm"},"do":"deliver"}"#,
            r#"{"when":{"/type":["alarm","tick"]},"do":"hold"}"#,
            r#"{"do":"drop"}"#,
        ]);
        assert_eq!(decide(&mut filter, r#"{"type":"alarm"}"#, 0).view, None);
        assert_eq!(
            decide(&mut filter, r#"{"type":"tick"}"#, 0).view,
            Some(View::Held)
        );
        assert_eq!(decide(&mut filter, "no JSON", 0).view, Some(View::Not));
    }

    #[test]
    fn a_conflated_message_refers_to_the_previous_one_of_its_key() {
        let mut filter = filter(&[r#"{"when":{"/t":"p"},"do":"conflate","key":"/s"}"#]);
        for (text, seq, replaces) in [
            (r#"{"t":"p","s":"eur"}"#, 1, None),
            (r#"{"t":"p","s":"usd"}"#, 2, None),
            (r#"{"t":"p","s":"eur"}"#, 3, Some(1)),
            (r#"{"t":"x","s":"eur"}"#, 4, None),
            (r#"{"t":"p","s":"eur"}"#, 5, Some(3)),
        ] {
            let decision = decide(&mut filter, text, 0);
            assert_eq!(decision.replaces, replaces, "{seq}");
            filter.numbered(decision, seq);
        }
    }

    #[test]
    fn samples_count_or_time_each_key_separately() {
        let mut by_count = filter(&[r#"{"do":"sample","every":3,"key":"/s"}"#]);
        let mut passed = |text: &str| decide(&mut by_count, text, 0).view.is_none();
        let seen: Vec<bool> = (0..5).map(|_| passed(r#"{"s":1}"#)).collect();
        assert_eq!(seen, [true, false, false, true, false]);
        assert!(passed(r#"{"s":2}"#));
        let mut by_time = filter(&[r#"{"do":"sample","interval":2000}"#]);
        let seen = [0, 1, 2, 3, 5].map(|second| decide(&mut by_time, "x", second).view.is_none());
        assert_eq!(seen, [true, false, true, false, true]);
    }

    #[test]
    fn a_resent_subscription_keeps_its_position() {
        let mut filter = filter(&[r#"{"do":"drop"}"#]);
        let deliver = || vec![FilterLine::from_json(r#"{"do":"deliver"}"#).unwrap()];
        assert!(filter.set(&"later".into(), deliver()));
        assert_eq!(decide(&mut filter, "x", 0).view, Some(View::Not));
        assert!(filter.set(&"k".into(), deliver()));
        assert_eq!(decide(&mut filter, "x", 0).view, None);
        assert!(filter.forget("k") && filter.forget("later") && filter.is_empty());
    }
}
