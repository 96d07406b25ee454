//! The idle timer: how long the broker was not needed, and when it exits.
//!
//! It opens and closes nothing. Exiting takes two steps: the socket is removed, then, after a pause, the broker exits,
//! so that a connection at that moment is either accepted or finds no socket.

use std::time::Duration;

/// Between removing the socket and exiting.
const CLOSE_GRACE_PERIOD: Duration = Duration::from_millis(100);

/// Decides when an idle broker exits. Times are awake time.
#[derive(Debug)]
pub(super) struct IdleTimer {
    after: Duration,
    phase: IdlePhase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IdlePhase {
    Needed,
    /// Not needed; the socket is removed then.
    Waiting(Duration),
    /// The socket was removed; the broker exits then.
    Closing(Duration),
}

/// What the broker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdleAction {
    Nothing,
    /// Remove the socket, unless a connection is being opened; then `postpone`.
    Close,
    /// A connection came during the pause: put the socket back.
    Reopen,
    Leave,
}

impl IdleTimer {
    /// A broker that exits when it was not needed for `after`.
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            phase: IdlePhase::Needed,
        }
    }

    /// Waits this long from now on.
    pub(super) fn set(&mut self, after: Duration) {
        if self.after != after {
            self.after = after;
            if matches!(self.phase, IdlePhase::Waiting(_)) {
                self.phase = IdlePhase::Needed;
            }
        }
    }

    /// Moves to the phase of this moment.
    pub(super) fn check(&mut self, now: Duration, needed: bool) -> IdleAction {
        let (phase, step) = match self.phase {
            IdlePhase::Closing(_) if needed => (IdlePhase::Needed, IdleAction::Reopen),
            _ if needed => (IdlePhase::Needed, IdleAction::Nothing),
            IdlePhase::Needed => (IdlePhase::Waiting(now + self.after), IdleAction::Nothing),
            IdlePhase::Waiting(until) if now >= until => {
                (IdlePhase::Closing(now + CLOSE_GRACE_PERIOD), IdleAction::Close)
            }
            IdlePhase::Closing(until) if now >= until => (self.phase, IdleAction::Leave),
            IdlePhase::Waiting(_) | IdlePhase::Closing(_) => (self.phase, IdleAction::Nothing),
        };
        self.phase = phase;
        step
    }

    /// The socket could not be removed just now.
    pub(super) fn postpone(&mut self, now: Duration) {
        self.phase = IdlePhase::Waiting(now + CLOSE_GRACE_PERIOD);
    }

    /// Whether the socket was removed.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.phase, IdlePhase::Closing(_))
    }

    /// When to check again.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.phase {
            IdlePhase::Needed => None,
            IdlePhase::Waiting(until) | IdlePhase::Closing(until) => Some(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn idle_shutdown_takes_two_steps() {
        let mut idle = IdleTimer::new(10 * SECOND);
        assert_eq!(idle.check(SECOND, false), IdleAction::Nothing);
        assert_eq!(idle.due(), Some(11 * SECOND));
        assert_eq!(idle.check(10 * SECOND, false), IdleAction::Nothing);
        assert_eq!(idle.check(11 * SECOND, false), IdleAction::Close);
        assert!(idle.is_closing());
        assert_eq!(idle.check(11 * SECOND, false), IdleAction::Nothing);
        assert_eq!(idle.check(12 * SECOND, false), IdleAction::Leave);
    }

    #[test]
    fn a_new_port_resets_the_timer() {
        let mut idle = IdleTimer::new(10 * SECOND);
        idle.check(Duration::ZERO, false);
        assert_eq!(idle.check(9 * SECOND, true), IdleAction::Nothing);
        assert_eq!(idle.due(), None);
        idle.check(9 * SECOND, false);
        assert_eq!(idle.check(19 * SECOND, false), IdleAction::Close);
        assert_eq!(idle.check(19 * SECOND, true), IdleAction::Reopen);
        assert_eq!(idle.check(19 * SECOND, false), IdleAction::Nothing);
        assert_eq!(idle.due(), Some(29 * SECOND));
    }

    #[test]
    fn a_postponed_step_is_due_again() {
        let mut idle = IdleTimer::new(SECOND);
        idle.check(Duration::ZERO, false);
        assert_eq!(idle.check(SECOND, false), IdleAction::Close);
        idle.postpone(SECOND);
        assert!(!idle.is_closing());
        assert_eq!(idle.check(SECOND, false), IdleAction::Nothing);
        assert_eq!(idle.check(2 * SECOND, false), IdleAction::Close);
    }
}
