//! Fallback between transports: to the next after failures, back to a better one now and then, never two at once.
//!
//! It dials nothing; the uplink does.

use std::time::Duration;

/// Dials that may come to nothing before the next transport is tried.
const MAX_FAILURES: u32 = 2;
/// How often a better transport is looked for while a worse one works.
const PROBE_INTERVAL: Duration = Duration::from_secs(300);
/// How soon it is looked for again when messages are under way just then.
const RETRY_PROBE: Duration = Duration::from_secs(10);

/// A place in the list of transports; the first is the best.
#[derive(Debug, Default)]
pub(crate) struct Fallback {
    index: usize,
    failures: u32,
    /// This index has carried a link: a failure says nothing about it any more.
    proven: bool,
    /// A better one is being tried; this one worked.
    from: Option<usize>,
    /// Boot time of the next look for a better one.
    probe_at: Option<Duration>,
}

impl Fallback {
    /// The transport to dial.
    pub(crate) const fn index(&self) -> usize {
        self.index
    }

    /// A dial came to nothing; `true`: dial at once, it is another transport's turn.
    pub(crate) fn failed(&mut self, count: usize) -> bool {
        if let Some(from) = self.from.take() {
            self.index = from;
            return true;
        }
        self.failures += 1;
        if self.proven || self.failures < MAX_FAILURES {
            return false;
        }
        self.failures = 0;
        self.index = (self.index + 1) % count.max(1);
        self.index != 0
    }

    /// A link is open.
    pub(crate) fn opened(&mut self, now: Duration) {
        self.failures = 0;
        self.from = None;
        self.proven = true;
        self.probe_at = (self.index > 0).then_some(now + PROBE_INTERVAL);
    }

    /// The link is gone.
    pub(crate) const fn left(&mut self) {
        self.probe_at = None;
    }

    /// When a better transport is to be looked for, in boot time.
    pub(crate) const fn probe_at(&self) -> Option<Duration> {
        self.probe_at
    }

    /// Not now.
    pub(crate) fn postpone(&mut self, now: Duration) {
        self.probe_at = Some(now + RETRY_PROBE);
    }

    /// The link is given up to try the best transport once.
    pub(crate) const fn probe_better(&mut self) {
        self.from = Some(self.index);
        self.index = 0;
        self.probe_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(9);

    #[test]
    fn two_failures_select_the_next_transport_and_the_last_returns_to_the_first() {
        let mut fallback = Fallback::default();
        let steps: Vec<(bool, usize)> = (0..6).map(|_| (fallback.failed(3), fallback.index())).collect();
        assert_eq!(
            steps,
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
    fn a_transport_that_opened_is_not_abandoned_while_the_server_is_down() {
        let mut fallback = Fallback::default();
        fallback.opened(NOW);
        assert_eq!(fallback.probe_at(), None, "there is nothing better");
        assert!((0..9).all(|_| !fallback.failed(3) && fallback.index() == 0));
    }

    #[test]
    fn a_better_transport_is_probed_once_before_returning_to_the_working_one() {
        let mut fallback = Fallback::default();
        fallback.failed(2);
        fallback.failed(2);
        fallback.opened(NOW);
        assert_eq!(fallback.probe_at(), Some(NOW + PROBE_INTERVAL));
        fallback.probe_better();
        assert_eq!((fallback.index(), fallback.probe_at()), (0, None));
        assert!(fallback.failed(2));
        assert_eq!(fallback.index(), 1);
    }

    #[test]
    fn a_better_transport_is_not_probed_without_a_link() {
        let mut fallback = Fallback::default();
        fallback.failed(2);
        fallback.failed(2);
        fallback.opened(NOW);
        fallback.left();
        assert_eq!(fallback.probe_at(), None);
    }

    #[test]
    fn a_postponed_probe_is_due_later() {
        let mut fallback = Fallback::default();
        fallback.failed(2);
        fallback.failed(2);
        fallback.opened(NOW);
        let due = NOW + PROBE_INTERVAL;
        fallback.postpone(due);
        assert_eq!(fallback.probe_at(), Some(due + Duration::from_secs(10)));
        assert_eq!(fallback.index(), 1);
    }
}
