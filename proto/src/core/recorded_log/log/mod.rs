//! A session's records by `seq`: append, drop, trim. What is dropped becomes a gap in its place, never nothing.
//!
//! Only `RecordedLog` changes it; others read. It knows no clients, windows or links; its caller says who a record is for and what has been delivered. How losses become gaps
//! is in `gaps`.

mod gaps;

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::code::{Code, GapReason};
use crate::wire::record::{Body, ErrorInfo, Record, StateChange};

use crate::core::filter::View;
use crate::core::identity::ClientId;

/// What a record takes by itself, with the room that a growing log has to spare.
pub(crate) const RECORD_COST: usize = 256;

/// Entries that are moved for one that leaves.
const MAX_MOVED: usize = 4096;

/// One record and what the log knows of it.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    pub(crate) record: Record,
    /// Only this client receives it; `None`: all do.
    pub(crate) audience: Option<ClientId>,
    /// How clients with filters see it.
    pub(crate) views: Vec<(ClientId, View)>,
    /// Awake time of its append.
    appended_at: Duration,
    /// Somebody has seen it: it never changes any more.
    pub(crate) delivered: bool,
    /// It stands in the journal as it is.
    pub(crate) stored: bool,
}

impl LogEntry {
    /// Whether this client receives it.
    pub(crate) fn is_for(&self, client: ClientId) -> bool {
        self.audience.is_none_or(|audience| audience == client) && self.view(client) != Some(&View::Not)
    }

    /// A state of the link that was delivered to no client: it does not matter once another follows.
    fn is_superseded(&self) -> bool {
        !self.delivered && matches!(&self.record.body, Body::State(change) if is_of_the_link(change))
    }

    /// How this client sees it, if a filter decides.
    pub(crate) fn view(&self, client: ClientId) -> Option<&View> {
        self.views
            .iter()
            .find(|(id, _)| *id == client)
            .map(|(_, view)| view)
    }
}

/// Whether it is about the link: not a fault of our own, and not about a namespace.
fn is_of_the_link(change: &StateChange) -> bool {
    let is_fault = |error: &ErrorInfo| error.code == Code::Internal;
    !change.error.as_ref().is_some_and(is_fault) && change.namespace.is_none()
}

/// The records of one session, in order of `seq`. A `seq` is given once and never again.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<LogEntry>,
    last: u64,
    /// Messages held, and their bytes.
    messages: usize,
    bytes: usize,
    /// Bytes of the answers held.
    answers: usize,
    /// Bytes of what messages carry beside their payload: names, ids.
    extras: usize,
    /// Messages before this index: none. Only a hint that saves looking again.
    scanned: usize,
    /// Newest gap still held or ever made.
    newest_gap: u64,
    /// Messages dropped since the beginning.
    dropped: u64,
}

impl Log {
    /// The newest `seq` ever given; 0 before the first.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// The oldest `seq` still held, or the next to be given.
    pub(crate) fn first(&self) -> u64 {
        self.entries
            .front()
            .map_or(self.last + 1, |entry| match entry.record.body {
                Body::Gap(gap) => gap.from,
                _ => entry.record.seq,
            })
    }

    /// Messages held.
    pub(crate) const fn messages(&self) -> usize {
        self.messages
    }

    /// Records held that are no messages.
    pub(crate) fn others(&self) -> usize {
        self.entries.len() - self.messages
    }

    /// Payload bytes of the messages held.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Payload bytes of the answers held.
    pub(crate) const fn answers(&self) -> usize {
        self.answers
    }

    /// Bytes that the whole log takes, with what each record costs by itself.
    pub(crate) fn held(&self) -> usize {
        self.bytes + self.answers + self.extras + self.entries.len() * RECORD_COST
    }

    /// Messages dropped since the beginning.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether a gap stands after `seq`.
    pub(crate) const fn has_gap_after(&self, seq: u64) -> bool {
        self.newest_gap > seq
    }

    /// Whether the newest entry is a gap that the journal does not have as it is.
    pub(crate) fn ends_in_unkept_loss(&self) -> bool {
        self.entries
            .back()
            .is_some_and(|entry| !entry.stored && matches!(entry.record.body, Body::Gap(_)))
    }

    /// Whether another loss for this reason would be counted with the newest entry.
    pub(crate) fn ends_in_loss_for(&self, reason: GapReason) -> bool {
        self.entries.back().is_some_and(
            |entry| matches!(entry.record.body, Body::Gap(gap) if !entry.delivered && gap.reason == reason),
        )
    }

    /// The index of the first entry after `seq`.
    pub(crate) fn index_after(&self, seq: u64) -> usize {
        let seq_at = |index: usize| self.entries.get(index).map(|entry| entry.record.seq);
        // Most look for the end, or into a log without gaps: those do not search.
        let guess = seq_at(0).map_or(0, |first| {
            usize::try_from((seq + 1).saturating_sub(first)).unwrap_or(usize::MAX)
        });
        let guess = guess.min(self.entries.len());
        let is_right = (guess == 0 || seq_at(guess - 1).is_some_and(|before| before <= seq))
            && seq_at(guess).is_none_or(|after| after > seq);
        if is_right {
            return guess;
        }
        self.entries.partition_point(|entry| entry.record.seq <= seq)
    }

    /// When the oldest record after `seq` that this client receives was appended.
    pub(crate) fn oldest_after(&self, seq: u64, client: ClientId) -> Option<Duration> {
        self.entries
            .iter()
            .skip(self.index_after(seq))
            .find(|entry| entry.is_for(client))
            .map(|entry| entry.appended_at)
    }

    /// The entry at this index.
    pub(crate) fn get(&self, index: usize) -> Option<&LogEntry> {
        self.entries.get(index)
    }

    /// The entry at this index stands in the journal as it is now.
    pub(super) fn mark_stored(&mut self, index: usize) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.stored = true;
        }
    }

    /// Somebody sees the entry at this index: it never changes any more.
    pub(super) fn mark_delivered(&mut self, index: usize) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.delivered = true;
        }
    }

    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &LogEntry> {
        self.entries.iter()
    }

    /// The oldest message held.
    pub(super) fn oldest_message(&mut self) -> Option<&LogEntry> {
        let index = self.oldest_message_index()?;
        self.entries.get(index)
    }

    /// Whether the oldest message was appended at least `age` ago.
    pub(super) fn oldest_message_is_older(&mut self, now: Duration, age: Duration) -> bool {
        self.oldest_message()
            .is_some_and(|entry| now.saturating_sub(entry.appended_at) >= age)
    }

    /// When the oldest message was appended.
    pub(crate) fn oldest_message_appended_at(&self) -> Option<Duration> {
        self.entries
            .iter()
            .skip(self.scanned)
            .find(|entry| entry.record.body.is_message())
            .map(|entry| entry.appended_at)
    }

    /// Appends a record; its `seq`. A state that was not delivered is replaced by the state that follows it directly.
    pub(super) fn append(&mut self, now: Duration, body: Body, audience: Option<ClientId>) -> u64 {
        if let Body::State(change) = &body
            && self.newest_yields_to(change)
        {
            self.entries.pop_back();
        }
        self.last += 1;
        let is_state = matches!(body, Body::State(_));
        self.insert(now, Record { seq: self.last, body }, audience);
        if is_state && let Some(before) = self.entries.len().checked_sub(2) {
            self.forget_state_before(before);
        }
        self.last
    }

    /// Says how clients with filters see the newest record.
    pub(super) fn set_views(&mut self, views: Vec<(ClientId, View)>) {
        if let Some(newest) = self.entries.back_mut() {
            newest.views = views;
        }
    }

    /// Takes a message from a client that has not seen it; `false` when there is none of that number any more.
    /// If no other client wants it, as `wanted` says, it is removed from the log without a gap.
    pub(super) fn withdraw(
        &mut self,
        seq: u64,
        client: ClientId,
        wanted: impl FnOnce(&LogEntry) -> bool,
    ) -> bool {
        let index = self.index_after(seq - 1);
        let len = self.entries.len();
        let Some(entry) = self
            .entries
            .get_mut(index)
            .filter(|entry| entry.record.seq == seq && entry.record.body.is_message())
        else {
            return false;
        };
        entry.views.retain(|(id, _)| *id != client);
        entry.views.push((client, View::Not));
        // Others move up when one leaves; in the middle of very many it stays until its turn to be forgotten comes.
        let moved = index.min(len - index);
        if !wanted(entry)
            && moved <= MAX_MOVED
            && let Some(entry) = self.entries.remove(index)
        {
            self.forget(&entry);
        }
        true
    }

    /// Puts back a record from the journal: a later one with the same `seq` replaces an earlier.
    pub(super) fn restore(&mut self, now: Duration, record: Record, audience: Option<ClientId>) {
        let from = match record.body {
            Body::Gap(gap) => gap.from,
            _ => record.seq,
        };
        let start = self.entries.partition_point(|entry| entry.record.seq < from);
        let end = self.index_after(record.seq);
        let replaced: Vec<LogEntry> = self.entries.drain(start..end.max(start)).collect();
        for entry in &replaced {
            self.forget(entry);
        }
        self.last = self.last.max(record.seq);
        self.count(&record.body);
        self.entries.insert(
            start,
            LogEntry {
                record,
                audience,
                views: Vec::new(),
                appended_at: now,
                delivered: true,
                stored: true,
            },
        );
        self.scanned = self.scanned.min(start);
    }

    /// Numbers up to `seq` were given once; their records are finished and gone, or come back later.
    pub(super) fn skip_to(&mut self, seq: u64) {
        self.last = self.last.max(seq);
    }

    /// Removes the oldest entry as long as `done` says that no client needs it; the newest `seq` removed.
    pub(super) fn trim(&mut self, mut done: impl FnMut(&LogEntry) -> bool) -> Option<u64> {
        let mut trimmed = None;
        while self.entries.front().is_some_and(&mut done) {
            if let Some(entry) = self.entries.pop_front() {
                self.forget(&entry);
                self.scanned = self.scanned.saturating_sub(1);
                trimmed = Some(entry.record.seq);
            }
        }
        if self.entries.is_empty() && self.entries.capacity() > 1024 {
            self.entries = VecDeque::new();
        }
        trimmed
    }

    fn insert(&mut self, now: Duration, record: Record, audience: Option<ClientId>) {
        self.count(&record.body);
        self.entries.push_back(LogEntry {
            record,
            audience,
            views: Vec::new(),
            appended_at: now,
            delivered: false,
            stored: false,
        });
    }

    fn count(&mut self, body: &Body) {
        match body {
            Body::Message { .. } => {
                self.messages += 1;
                self.bytes += body.cost();
                self.extras += body.extras();
            }
            Body::Gap(gap) => self.newest_gap = self.newest_gap.max(gap.to),
            Body::Response(_) => self.answers += body.cost(),
            Body::State(_) | Body::Outcome(_) => {}
        }
    }

    fn forget(&mut self, entry: &LogEntry) {
        let body = &entry.record.body;
        match body {
            Body::Message { .. } => {
                self.messages -= 1;
                self.bytes -= body.cost();
                self.extras -= body.extras();
            }
            Body::Response(_) => self.answers -= body.cost(),
            Body::Gap(_) | Body::State(_) | Body::Outcome(_) => {}
        }
    }

    /// Whether the newest record is a state that was not delivered and that `next` supersedes. The same state twice is two
    /// events, and an internal error is reported whatever follows.
    fn newest_yields_to(&self, next: &StateChange) -> bool {
        let Some(entry) = self.entries.back().filter(|entry| entry.is_superseded()) else {
            return false;
        };
        // A state of a namespace says nothing about the link.
        is_of_the_link(next)
            && matches!(&entry.record.body, Body::State(newest) if newest.state != next.state)
    }

    fn oldest_message_index(&mut self) -> Option<usize> {
        if self.messages == 0 {
            return None;
        }
        while let Some(entry) = self.entries.get(self.scanned) {
            if entry.record.body.is_message() {
                return Some(self.scanned);
            }
            self.scanned += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests;
