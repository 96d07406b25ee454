//! The idle timer: how long the broker was not needed, and when it exits.
//!
//! It opens and closes nothing. Exiting takes two steps: the socket is removed, then, after a pause, the broker exits,
//! so that a connection at that moment is either accepted or finds no socket.

use std::time::Duration;

/// Between removing the socket and exiting.
const LAST_CALL: Duration = Duration::from_millis(100);

/// The idle clock. Times are awake time.
#[derive(Debug)]
pub(super) struct Idle {
    after: Duration,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Needed,
    /// Not needed; the socket is removed then.
    Waiting(Duration),
    /// The socket was removed; the broker exits then.
    LastCall(Duration),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Remove the socket, unless a connection is being opened; then `postpone`.
    Close,
    /// A connection came during the pause: put the socket back.
    Reopen,
    Leave,
}

impl Idle {
    /// A broker that exits when it was not needed for `after`.
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            phase: Phase::Needed,
        }
    }

    /// Waits this long from now on.
    pub(super) fn set(&mut self, after: Duration) {
        if self.after != after {
            self.after = after;
            if matches!(self.phase, Phase::Waiting(_)) {
                self.phase = Phase::Needed;
            }
        }
    }

    /// Looks at the clock.
    pub(super) fn look(&mut self, now: Duration, needed: bool) -> Step {
        let (phase, step) = match self.phase {
            Phase::LastCall(_) if needed => (Phase::Needed, Step::Reopen),
            _ if needed => (Phase::Needed, Step::Nothing),
            Phase::Needed => (Phase::Waiting(now + self.after), Step::Nothing),
            Phase::Waiting(until) if now >= until => (Phase::LastCall(now + LAST_CALL), Step::Close),
            Phase::LastCall(until) if now >= until => (self.phase, Step::Leave),
            Phase::Waiting(_) | Phase::LastCall(_) => (self.phase, Step::Nothing),
        };
        self.phase = phase;
        step
    }

    /// The socket could not be removed just now.
    pub(super) fn postpone(&mut self, now: Duration) {
        self.phase = Phase::Waiting(now + LAST_CALL);
    }

    /// Whether the socket was removed.
    pub(super) fn is_last_call(&self) -> bool {
        matches!(self.phase, Phase::LastCall(_))
    }

    /// When to look again.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.phase {
            Phase::Needed => None,
            Phase::Waiting(until) | Phase::LastCall(until) => Some(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn leaving_takes_two_steps() {
        let mut idle = Idle::new(10 * SECOND);
        assert_eq!(idle.look(SECOND, false), Step::Nothing);
        assert_eq!(idle.due(), Some(11 * SECOND));
        assert_eq!(idle.look(10 * SECOND, false), Step::Nothing);
        assert_eq!(idle.look(11 * SECOND, false), Step::Close);
        assert!(idle.is_last_call());
        assert_eq!(idle.look(11 * SECOND, false), Step::Nothing);
        assert_eq!(idle.look(12 * SECOND, false), Step::Leave);
    }

    #[test]
    fn who_comes_starts_the_clock_anew() {
        let mut idle = Idle::new(10 * SECOND);
        idle.look(Duration::ZERO, false);
        assert_eq!(idle.look(9 * SECOND, true), Step::Nothing);
        assert_eq!(idle.due(), None);
        idle.look(9 * SECOND, false);
        assert_eq!(idle.look(19 * SECOND, false), Step::Close);
        assert_eq!(idle.look(19 * SECOND, true), Step::Reopen);
        assert_eq!(idle.look(19 * SECOND, false), Step::Nothing);
        assert_eq!(idle.due(), Some(29 * SECOND));
    }

    #[test]
    fn a_postponed_step_comes_again() {
        let mut idle = Idle::new(SECOND);
        idle.look(Duration::ZERO, false);
        assert_eq!(idle.look(SECOND, false), Step::Close);
        idle.postpone(SECOND);
        assert!(!idle.is_last_call());
        assert_eq!(idle.look(SECOND, false), Step::Nothing);
        assert_eq!(idle.look(2 * SECOND, false), Step::Close);
    }
}
