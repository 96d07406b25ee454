//! A session without clients: first its link is closed, then it ends.

use std::time::Duration;

use crate::wire::options::Options;

/// A session that no client holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    /// Awake time after which the link is given up; `None` while none is wanted.
    rests_at: Option<Duration>,
    /// Awake time after which the session ends.
    expires_at: Duration,
}

/// What is due for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdleStep {
    /// To give up the link.
    Rest,
    /// To end the session.
    Expire,
}

impl Idle {
    /// No client holds it since then; `wants_link`: whether a link is up or sought.
    pub(super) fn new(since: Duration, options: &Options, wants_link: bool) -> Self {
        Self {
            rests_at: wants_link.then(|| since + Duration::from_millis(options.linger)),
            expires_at: since + Duration::from_millis(options.expire),
        }
    }

    /// When something is due, in awake time, and what.
    pub(super) fn deadline(&self) -> (Duration, &'static str) {
        match self.rests_at {
            Some(rests_at) => (rests_at.min(self.expires_at), "linger"),
            None => (self.expires_at, "expire"),
        }
    }

    /// What is due now.
    pub(super) fn step(&self, awake: Duration) -> Option<IdleStep> {
        if awake >= self.expires_at {
            return Some(IdleStep::Expire);
        }
        let rests = self.rests_at.is_some_and(|at| awake >= at);
        rests.then_some(IdleStep::Rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_closed_before_the_session_expires() {
        let options = Options {
            linger: 1000,
            expire: 5000,
            ..Options::default()
        };
        let second = Duration::from_secs;
        let idle = Idle::new(second(1), &options, true);
        assert_eq!(idle.deadline(), (second(2), "linger"));
        assert_eq!(idle.step(second(1)), None);
        assert_eq!(idle.step(second(2)), Some(IdleStep::Rest));
        assert_eq!(idle.step(second(6)), Some(IdleStep::Expire));
        let resting = Idle::new(second(1), &options, false);
        assert_eq!(resting.deadline(), (second(6), "expire"));
        assert_eq!(resting.step(second(2)), None);
    }
}
