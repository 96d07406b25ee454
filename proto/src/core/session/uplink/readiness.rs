//! Whether the outbox flows on a connection: not before the server has met the `ready` rule.

use std::time::Duration;

use crate::wire::options::Options;
use crate::wire::rule::ParsedMessage;

use super::Uplink;

/// How long the server may take to satisfy the `ready` rule.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a connection waits for the `ready` rule. At first it does not.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// Boot time until which the rule must match; `None`: the outbox flows.
    until: Option<Duration>,
}

impl Readiness {
    /// Nothing of the outbox goes out before `become_ready`. The time for that begins at this boot time.
    pub(super) fn await_rule(&mut self, from: Duration) {
        self.until = Some(from + READY_TIMEOUT);
    }

    /// The outbox flows from here on.
    const fn become_ready(&mut self) {
        self.until = None;
    }

    /// Whether the outbox flows.
    pub(super) const fn is_ready(&self) -> bool {
        self.until.is_none()
    }

    /// Boot time by which the server must have met the rule, until it has.
    pub(super) const fn deadline(&self) -> Option<Duration> {
        self.until
    }

    /// Whether the server should have met the rule by now.
    pub(super) fn is_late(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

impl Uplink {
    /// Lets a message make the link ready; whether it did.
    pub(super) fn make_ready(&mut self, options: &Options, message: &ParsedMessage<'_>) -> bool {
        let (Some(rule), Some(connection)) = (&options.ready, self.state.connection_mut()) else {
            return false;
        };
        let is_ready_now = !connection.readiness.is_ready() && rule.matches(message);
        if is_ready_now {
            connection.readiness.become_ready();
        }
        is_ready_now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_rule_must_match_within_its_timeout() {
        let mut readiness = Readiness::default();
        assert!(readiness.is_ready() && readiness.deadline().is_none());
        assert!(!readiness.is_late(Duration::MAX));
        let asked = Duration::from_secs(5);
        readiness.await_rule(asked);
        assert_eq!(readiness.deadline(), Some(asked + READY_TIMEOUT));
        assert!(!readiness.is_ready() && !readiness.is_late(asked));
        assert!(readiness.is_late(asked + READY_TIMEOUT));
        readiness.become_ready();
        assert!(readiness.is_ready() && !readiness.is_late(Duration::MAX));
    }
}
