//! Which of several transports a session is on: down after failures, up again now and then, never on two.
//!
//! It dials nothing; `session::linking` does what it says.

use std::time::Duration;

/// Dials that may come to nothing before the next transport is tried.
const FAILURES: u32 = 2;
/// How often a better transport is looked for while a worse one works.
const LOOK_UP: Duration = Duration::from_secs(300);
/// How soon it is looked for again when messages are under way just then.
const NOT_NOW: Duration = Duration::from_secs(10);

/// A place in the list of transports; the first is the best.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    rung: usize,
    failures: u32,
    /// This rung has carried a link: a failure says nothing about it any more.
    proven: bool,
    /// A better one is being tried; this one worked.
    from: Option<usize>,
    /// Boot time of the next look for a better one.
    look_at: Option<Duration>,
}

impl Ladder {
    /// The transport to dial.
    pub(crate) const fn rung(&self) -> usize {
        self.rung
    }

    /// A dial came to nothing; `true`: dial at once, it is another transport's turn.
    pub(crate) fn failed(&mut self, rungs: usize) -> bool {
        if let Some(from) = self.from.take() {
            self.rung = from;
            return true;
        }
        self.failures += 1;
        if self.proven || self.failures < FAILURES {
            return false;
        }
        self.failures = 0;
        self.rung = (self.rung + 1) % rungs.max(1);
        self.rung != 0
    }

    /// A link is open.
    pub(crate) fn opened(&mut self, now: Duration) {
        self.failures = 0;
        self.from = None;
        self.proven = true;
        self.look_at = (self.rung > 0).then_some(now + LOOK_UP);
    }

    /// The link is gone.
    pub(crate) const fn left(&mut self) {
        self.look_at = None;
    }

    /// When a better transport is to be looked for, in boot time.
    pub(crate) const fn look_at(&self) -> Option<Duration> {
        self.look_at
    }

    /// Not now.
    pub(crate) fn postpone(&mut self, now: Duration) {
        self.look_at = Some(now + NOT_NOW);
    }

    /// The link is given up to try the best transport once.
    pub(crate) const fn look_up(&mut self) {
        self.from = Some(self.rung);
        self.rung = 0;
        self.look_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(9);

    #[test]
    fn two_failures_lead_down_and_the_end_leads_back_without_haste() {
        let mut ladder = Ladder::default();
        let told: Vec<(bool, usize)> = (0..6).map(|_| (ladder.failed(3), ladder.rung())).collect();
        assert_eq!(
            told,
            [
                (false, 0),
                (true, 1),
                (false, 1),
                (true, 2),
                (false, 2),
                (false, 0)
            ]
        );
    }

    #[test]
    fn what_has_worked_is_not_left_because_the_server_is_down() {
        let mut ladder = Ladder::default();
        ladder.opened(NOW);
        assert_eq!(ladder.look_at(), None, "there is nothing better");
        assert!((0..9).all(|_| !ladder.failed(3) && ladder.rung() == 0));
    }

    #[test]
    fn a_better_one_is_tried_once_and_what_worked_comes_back() {
        let mut ladder = Ladder::default();
        ladder.failed(2);
        ladder.failed(2);
        ladder.opened(NOW);
        assert_eq!(ladder.look_at(), Some(NOW + LOOK_UP));
        ladder.look_up();
        assert_eq!((ladder.rung(), ladder.look_at()), (0, None));
        assert!(ladder.failed(2));
        assert_eq!(ladder.rung(), 1);
    }
}
