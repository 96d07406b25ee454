//! Our pings on a link: those that were sent, and those whose answers are to be reported.
//!
//! It keeps no time.

use std::collections::VecDeque;

/// Tokens of pings, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Pings {
    unanswered: VecDeque<u64>,
    /// Answers that were not reported yet.
    unreported: VecDeque<u64>,
}

impl Pings {
    pub(super) fn sent(&mut self, token: u64) {
        self.unanswered.push_back(token);
    }

    /// A pong with this token has come. A server may answer the latest only; then the earlier ones have been read as well.
    pub(super) fn answered(&mut self, token: u64) {
        if let Some(at) = self.unanswered.iter().position(|ping| *ping == token) {
            self.unreported.extend(self.unanswered.drain(..=at));
        }
        if self.unanswered.is_empty() {
            self.unanswered = VecDeque::new();
        }
    }

    /// Whether there is an answer to report.
    pub(super) fn has_answered(&self) -> bool {
        !self.unreported.is_empty()
    }

    /// The next answer to report.
    pub(super) fn next_answered(&mut self) -> Option<u64> {
        self.unreported.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_answers_its_ping_and_those_before_it() {
        let mut pings = Pings::default();
        (1..=4).for_each(|token| pings.sent(token));
        pings.answered(3);
        pings.answered(9);
        pings.answered(1);
        let reported: Vec<u64> = std::iter::from_fn(|| pings.next_answered()).collect();
        assert_eq!(reported, [1, 2, 3]);
        assert!(!pings.has_answered());
        pings.answered(4);
        assert_eq!(pings.next_answered(), Some(4));
    }
}
