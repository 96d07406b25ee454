//! A log and its journal as one: nothing is appended that is not journalled before anybody sees it.
//!
//! Order is the point: a block of numbers before any of them, a record before its delivery, an intent before its write.
//! What the records of a journal look like is in `core::journal_record`; files belong to the crate's `journal` module.

mod log;

use std::collections::VecDeque;
use std::ops::Deref;
use std::time::Duration;

use crate::wire::code::GapReason;
use crate::wire::record::{Body, Record};

use self::log::Log;
pub(crate) use self::log::{LogEntry, RECORD_COST};
use super::filter::View;
use super::identity::ClientId;
use super::io::Output;
use super::journal::{JournalEntry, JournalId, RawRecord};
use super::journal_record::{JournalRecord, encode_record};

/// Numbers reserved at a time.
const RESERVED_NUMBERS: u64 = 4096;
/// Finished records before the journal is trimmed.
const TRIM_INTERVAL: u64 = 1024;

/// What writing down needs: the awake time, and where outputs go.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    pub(crate) now: Duration,
    pub(crate) out: &'a mut VecDeque<Output>,
}

impl Recorder<'_> {
    fn write(&mut self, id: &JournalId, entry: JournalEntry) {
        self.out.push_back(Output::Journal(id.clone(), entry));
    }

    fn write_record(&mut self, id: &JournalId, entry: &LogEntry) {
        let record = encode_record(&entry.record, entry.audience);
        self.write(id, JournalEntry::Append { record, sync: false });
    }
}

/// A session's records, and the journal that they are in, if there is one. Reading goes to the log itself, which nothing
/// else can change.
///
/// `append` and `append_gap` write down what they append. The one exception is `append_lost`: losses that come one after
/// the other are one gap that grows. `write_losses` writes down what it has become: `Delivery::deliver` calls it before
/// anything goes out, and `append` before the next record. The numbers of losses are reserved in the journal before they
/// are used, like all others: a broker that ends in between gives none twice.
#[derive(Debug, Default)]
pub(crate) struct RecordedLog {
    log: Log,
    journal: Option<JournalState>,
}

/// How far a journal is.
#[derive(Debug)]
struct JournalState {
    id: JournalId,
    /// No `seq` above this may be used before a new block is reserved.
    reserved: u64,
    /// Records up to here are known to the journal to be unneeded.
    trimmed: u64,
    /// The session is in memory; the journal only carries it to the next broker.
    is_handing_over: bool,
}

impl Deref for RecordedLog {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}

impl RecordedLog {
    /// Appends a record; its `seq`. It and what came before it are written down.
    pub(crate) fn append(&mut self, to: &mut Recorder<'_>, body: Body, audience: Option<ClientId>) -> u64 {
        self.write_losses(to);
        self.reserve(to);
        let seq = self.log.append(to.now, body, audience);
        self.write_newest(to);
        seq
    }

    /// How clients with filters see the newest record. It is not written down, as filters are not.
    pub(crate) fn set_views(&mut self, views: Vec<(ClientId, View)>) {
        self.log.set_views(views);
    }

    /// Appends the loss of one message that was never kept. A run of losses that come together is written down as one:
    /// by the next record, or by `write_losses` before it is delivered.
    pub(crate) fn append_lost(&mut self, to: &mut Recorder<'_>, reason: GapReason) {
        if !self.log.ends_in_loss_for(reason) {
            self.write_losses(to);
        }
        self.reserve(to);
        self.log.append_lost(to.now, reason);
    }

    /// Appends a gap over numbers that were skipped, and writes it down.
    pub(crate) fn append_gap(&mut self, to: &mut Recorder<'_>, up_to: u64, reason: GapReason) {
        let last = self.log.last();
        self.log.append_gap(to.now, last + 1, up_to, up_to - last, reason);
        // Without it the numbers that it skips would be given again by the next broker.
        self.write_newest(to);
    }

    /// Writes down the loss behind everything else, if it has grown.
    pub(crate) fn write_losses(&mut self, to: &mut Recorder<'_>) {
        if self.journal.is_some() && self.log.ends_in_unkept_loss() {
            self.write_newest(to);
        }
    }

    /// Makes sure that the next number lies in a reserved block.
    fn reserve(&mut self, to: &mut Recorder<'_>) {
        let next = self.log.last() + 1;
        if let Some(journal) = &mut self.journal
            && next > journal.reserved
        {
            journal.reserved = next + RESERVED_NUMBERS - 1;
            let record = JournalRecord::Reserved(journal.reserved);
            self.write(to, &record, Durable::OnDisk);
        }
    }

    fn write_newest(&mut self, to: &mut Recorder<'_>) {
        let newest = self.log.index_after(self.log.last() - 1);
        self.write_at(to, newest);
    }

    /// Writes down the record at this index as it is now.
    fn write_at(&mut self, to: &mut Recorder<'_>, index: usize) {
        if let (Some(journal), Some(entry)) = (&self.journal, self.log.get(index)) {
            to.write_record(&journal.id, entry);
            self.log.mark_stored(index);
        }
    }

    /// The record at this index is about to be delivered: it is written down as it is, and never changes any more.
    pub(crate) fn mark_delivered(&mut self, to: &mut Recorder<'_>, index: usize) {
        if self.log.get(index).is_some_and(|entry| !entry.stored) {
            self.write_at(to, index);
        }
        self.log.mark_delivered(index);
    }

    /// Writes down something else about the session.
    pub(crate) fn write(&self, to: &mut Recorder<'_>, record: &JournalRecord, durable: Durable) {
        if let Some(journal) = &self.journal {
            let record = record.encode();
            let sync = durable == Durable::OnDisk;
            to.write(&journal.id, JournalEntry::Append { record, sync });
        }
    }

    /// Drops the oldest message; a gap takes its place. `false` when there is none.
    pub(crate) fn drop_oldest(&mut self, reason: GapReason) -> bool {
        self.log.drop_oldest(reason)
    }

    /// The oldest message held.
    pub(crate) fn oldest_message(&mut self) -> Option<&LogEntry> {
        self.log.oldest_message()
    }

    /// Whether the oldest message was appended at least `age` ago.
    pub(crate) fn oldest_message_is_older(&mut self, now: Duration, age: Duration) -> bool {
        self.log.oldest_message_is_older(now, age)
    }

    /// Takes a message from a client that has not seen it; `false` when there is none of that number any more.
    pub(crate) fn withdraw(
        &mut self,
        seq: u64,
        client: ClientId,
        wanted: impl FnOnce(&LogEntry) -> bool,
    ) -> bool {
        self.log.withdraw(seq, client, wanted)
    }

    /// Removes what `done` says no client needs, from the oldest on, from the log and the journal.
    pub(crate) fn trim(&mut self, to: &mut Recorder<'_>, done: impl FnMut(&LogEntry) -> bool) {
        let Some(seq) = self.log.trim(done) else { return };
        let last = self.log.last();
        if let Some(journal) = &mut self.journal
            && (seq >= journal.trimmed + TRIM_INTERVAL || seq == last)
        {
            journal.trimmed = seq;
            to.write(&journal.id, JournalEntry::Trim { seq });
        }
    }

    /// Lets the journal forget messages that were dropped. What stands before the oldest message is written once more,
    /// in one segment with the newest record, so that the segments of the dropped ones may go.
    pub(crate) fn write_drops(&mut self, to: &mut Recorder<'_>) {
        let Some(journal) = &mut self.journal else { return };
        let Some(oldest) = self.log.oldest_message().map(|entry| entry.record.seq) else {
            return;
        };
        let before = self.log.index_after(oldest - 1);
        if oldest <= journal.trimmed + TRIM_INTERVAL.max(2 * before as u64) {
            return;
        }
        journal.trimmed = oldest - 1;
        for index in 0..before {
            self.write_at(to, index);
        }
        if let Some(journal) = &self.journal {
            to.write(&journal.id, JournalEntry::Trim { seq: oldest - 1 });
        }
    }

    /// Begins a journal.
    pub(crate) fn begin_journal(&mut self, id: JournalId) {
        self.journal = Some(JournalState {
            id,
            reserved: 0,
            trimmed: 0,
            is_handing_over: false,
        });
    }

    /// Goes on with the journal that it was taken back from, in which numbers up to `reserved` are reserved.
    pub(crate) fn resume_journal(&mut self, id: JournalId, reserved: u64) {
        self.begin_journal(id);
        if let Some(journal) = &mut self.journal {
            journal.reserved = reserved;
        }
    }

    /// Begins a journal that carries a session in memory to the next broker.
    pub(crate) fn begin_handover(&mut self, id: JournalId) {
        let last = self.log.last();
        self.resume_journal(id, last);
        if let Some(journal) = &mut self.journal {
            journal.is_handing_over = true;
        }
    }

    /// Writes down `snapshot` and every record that is held: the last thing that is done with a session in memory.
    pub(crate) fn hand_over(&self, to: &mut Recorder<'_>, snapshot: Vec<RawRecord>) {
        let Some(journal) = &self.journal else { return };
        for record in snapshot {
            to.write(&journal.id, JournalEntry::Append { record, sync: false });
        }
        for entry in (0..).map_while(|index| self.log.get(index)) {
            to.write_record(&journal.id, entry);
        }
    }

    /// The session is over: nothing of it stays on disk.
    pub(crate) fn remove_journal(&mut self, to: &mut Recorder<'_>) {
        if let Some(journal) = self.journal.take() {
            to.write(&journal.id, JournalEntry::Remove);
        }
    }

    /// The journal failed: from here on nothing is written down.
    pub(crate) fn lose_journal(&mut self) {
        self.journal = None;
    }

    /// The journal's name, if there is one.
    pub(crate) fn journal(&self) -> Option<&JournalId> {
        self.journal.as_ref().map(|journal| &journal.id)
    }

    /// Whether there is a journal.
    pub(crate) const fn has_journal(&self) -> bool {
        self.journal.is_some()
    }

    /// Whether the journal only carries the session to the next broker.
    pub(crate) fn is_handing_over(&self) -> bool {
        self.journal
            .as_ref()
            .is_some_and(|journal| journal.is_handing_over)
    }

    /// Numbers up to here may have been used, as the journal knows.
    pub(crate) fn reserved(&self) -> u64 {
        self.journal.as_ref().map_or(0, |journal| journal.reserved)
    }

    /// Puts back a record from the journal: a later one with the same `seq` replaces an earlier.
    pub(crate) fn restore(&mut self, now: Duration, record: Record, audience: Option<ClientId>) {
        self.log.restore(now, record, audience);
    }

    /// Numbers up to `seq` were given once; their records are finished and gone, or come back later.
    pub(crate) fn skip_to(&mut self, seq: u64) {
        self.log.skip_to(seq);
    }
}

/// How sure a record must be on the disk before what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// On the disk itself.
    OnDisk,
    /// With the system: it outlives the broker, not the machine.
    Written,
}

#[cfg(test)]
mod tests;
