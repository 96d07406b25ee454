//! Losses: messages that leave the log become gaps, and neighbouring gaps become one.
//!
//! A gap that was delivered never changes any more.

use std::time::Duration;

use super::{Log, LogEntry, is_of_the_link};
use crate::core::filter::View;
use crate::core::identity::ClientId;
use crate::wire::code::GapReason;
use crate::wire::record::{Body, Gap, Record, State};

impl Log {
    /// Appends the loss of one message that was never kept; its `seq`.
    pub(in crate::core::recorded_log) fn append_lost(&mut self, now: Duration, reason: GapReason) -> u64 {
        self.last += 1;
        self.dropped += 1;
        let gap = Gap {
            from: self.last,
            to: self.last,
            count: 1,
            reason,
            exact: true,
        };
        let index = self.entries.len();
        if !self.extend_gap_before(index, gap, &[]) {
            self.insert(
                now,
                Record {
                    seq: self.last,
                    body: Body::Gap(gap),
                },
                None,
            );
        }
        self.newest_gap = self.last;
        self.last
    }

    /// Appends a gap over numbers that were skipped; its `seq`.
    pub(in crate::core::recorded_log) fn append_gap(
        &mut self,
        now: Duration,
        from: u64,
        to: u64,
        count: u64,
        reason: GapReason,
    ) {
        self.last = self.last.max(to);
        self.newest_gap = self.last;
        let gap = Gap {
            from,
            to,
            count,
            reason,
            exact: false,
        };
        self.insert(
            now,
            Record {
                seq: to,
                body: Body::Gap(gap),
            },
            None,
        );
    }

    /// Drops the oldest message; a gap takes its place. `false` when there is none.
    pub(in crate::core::recorded_log) fn drop_oldest(&mut self, reason: GapReason) -> bool {
        let Some(index) = self.oldest_message_index() else {
            return false;
        };
        let Some(entry) = self.entries.get_mut(index) else {
            return false;
        };
        let seq = entry.record.seq;
        let (cost, extras) = (entry.record.body.cost(), entry.record.body.extras());
        // A client that has lost nothing by it gets no gap.
        entry.views.retain(|(_, view)| *view == View::Not);
        let hidden = std::mem::take(&mut entry.views);
        let gap = Gap {
            from: seq,
            to: seq,
            count: 1,
            reason,
            exact: hidden.is_empty(),
        };
        self.messages -= 1;
        self.bytes -= cost;
        self.extras -= extras;
        self.dropped += 1;
        self.newest_gap = self.newest_gap.max(seq);
        if self.extend_gap_before(index, gap, &hidden) {
            self.entries.remove(index);
            self.forget_state_before(index - 1);
        } else if let Some(entry) = self.entries.get_mut(index) {
            entry.record.body = Body::Gap(gap);
            entry.views = hidden;
            entry.delivered = false;
            entry.stored = false;
            self.scanned = index + 1;
            self.forget_state_before(index);
        }
        true
    }

    /// A state that was not delivered is superseded when nothing but a gap is between it and the next: it is removed, and the
    /// gaps around it may become one. Otherwise a flapping link would fill a log that is not read.
    pub(super) fn forget_state_before(&mut self, gap: usize) {
        let Some(index) = gap.checked_sub(1) else { return };
        // A client that continues after it must still learn that the link is another.
        let replaces_it = |entry: &LogEntry| {
            matches!(&entry.record.body, Body::State(next)
                if is_of_the_link(next) && (next.state != State::Open || next.continuity.is_some()))
        };
        if !self.entries.get(index).is_some_and(LogEntry::is_superseded)
            || !self.entries.get(gap + 1).is_some_and(replaces_it)
        {
            return;
        }
        let Some((Body::Gap(lost), hidden)) = self
            .entries
            .get(gap)
            .map(|entry| (entry.record.body.clone(), entry.views.clone()))
        else {
            return;
        };
        self.entries.remove(index);
        self.scanned = self.scanned.saturating_sub(1);
        if self.extend_gap_before(index, lost, &hidden) {
            self.entries.remove(index);
            self.scanned = self.scanned.saturating_sub(1);
        }
    }

    /// Lets the entry before `index` grow over `lost`, if it is a gap for the same reason that was not delivered. A client
    /// from which both are hidden gets neither: `hidden` are those that do not get `lost`. To the others that lost less,
    /// the count is an upper bound; otherwise filters could fill the log with gaps.
    fn extend_gap_before(&mut self, index: usize, lost: Gap, hidden: &[(ClientId, View)]) -> bool {
        let Some(before) = index.checked_sub(1).and_then(|index| self.entries.get_mut(index)) else {
            return false;
        };
        let Body::Gap(gap) = &mut before.record.body else {
            return false;
        };
        if before.delivered || gap.reason != lost.reason {
            return false;
        }
        let is_same =
            before.views.len() == hidden.len() && before.views.iter().all(|view| hidden.contains(view));
        gap.exact &= lost.exact && is_same;
        before.views.retain(|view| hidden.contains(view));
        gap.to = lost.to;
        gap.count += lost.count;
        before.record.seq = lost.to;
        before.stored = false;
        true
    }
}
