//! Which outputs are of sessions with a journal: what is in that journal must be written before they are acted upon.
//!
//! It holds no outputs, only their numbers, counted from the first of all.

use std::collections::VecDeque;
use std::ops::Range;

use crate::core::journal::JournalId;

/// Outputs that are not polled yet, or were polled last, of sessions with a journal.
#[derive(Debug, Default)]
pub(super) struct JournaledOutputs {
    /// Outputs taken by `poll` so far.
    polled: u64,
    spans: VecDeque<(Range<u64>, JournalId)>,
}

impl JournaledOutputs {
    /// `poll` takes one.
    pub(super) const fn count_polled(&mut self) {
        self.polled += 1;
    }

    /// The number of the next output, when so many wait to be polled.
    pub(super) const fn next_number(&self, waiting: usize) -> u64 {
        self.polled + waiting as u64
    }

    /// These outputs, which follow all that were added before, are of a session with this journal.
    pub(super) fn add(&mut self, outputs: Range<u64>, journal: JournalId) {
        self.spans.push_back((outputs, journal));
    }

    /// The journal of the session that the output which was polled last is of, if it has one.
    pub(super) fn journal_of_polled(&mut self) -> Option<&JournalId> {
        let last = self.polled.checked_sub(1)?;
        while self.spans.front().is_some_and(|(outputs, _)| outputs.end <= last) {
            self.spans.pop_front();
        }
        let (outputs, journal) = self.spans.front()?;
        outputs.contains(&last).then_some(journal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_outputs_of_journaled_sessions_name_a_journal() {
        let mut outputs = JournaledOutputs::default();
        assert_eq!(outputs.journal_of_polled(), None);
        let first = outputs.next_number(1);
        let journal = JournalId("a".into());
        outputs.add(first..outputs.next_number(3), journal.clone());
        let polled: Vec<bool> = (0..4)
            .map(|_| {
                outputs.count_polled();
                outputs.journal_of_polled() == Some(&journal)
            })
            .collect();
        assert_eq!(polled, [false, true, true, false]);
        assert!(outputs.spans.is_empty());
    }
}
