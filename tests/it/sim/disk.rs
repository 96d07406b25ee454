//! A disk in memory that does to journals what the `journal` module does, and forgets what was not synced.
//!
//! It writes no bytes: torn and damaged bytes are tested with the real files in `tests/it/journal.rs`.

use std::collections::{BTreeMap, BTreeSet};

use longwire::core::journal::{JournalEntry, JournalId, RawRecord};

use super::rng::Rng;

/// Every journal of one broker after another.
#[derive(Default)]
pub(super) struct Disk {
    journals: BTreeMap<JournalId, Journal>,
    /// Given up: nothing of them is kept any more.
    lost: BTreeSet<JournalId>,
    /// Records after which a segment is full.
    segment: usize,
    /// Journals written to since the last flush.
    dirty: BTreeSet<JournalId>,
}

#[derive(Default)]
struct Journal {
    segments: Vec<Vec<RawRecord>>,
    /// Records of the last segment that are on the disk itself; those of older segments all are.
    synced: usize,
    /// Records at the head of the last segment that are its snapshot.
    snapshot: usize,
    trimmed: u64,
    /// Found damaged: the next segment begins at once.
    damaged: bool,
}

impl Journal {
    fn sync(&mut self) {
        self.synced = self.segments.last().map_or(0, Vec::len);
    }

    fn remove_idle(&mut self) {
        let trimmed = self.trimmed;
        let Some(last) = self.segments.pop() else { return };
        let before = self.segments.len();
        let is_needed = |segment: &Vec<RawRecord>| segment.iter().any(|record| record.seq > trimmed);
        self.segments.retain(is_needed);
        let removed = self.segments.len() < before;
        self.segments.push(last);
        if removed {
            self.sync();
        }
    }
}

impl Disk {
    /// An empty disk whose segments are full after so many records.
    pub(super) fn new(segment: usize) -> Self {
        Self {
            segment,
            ..Self::default()
        }
    }

    pub(super) fn apply(&mut self, id: &JournalId, entry: JournalEntry) {
        if self.lost.contains(id) {
            return;
        }
        match entry {
            JournalEntry::Append { record, sync } => {
                let journal = self.journals.entry(id.clone()).or_default();
                if journal.segments.is_empty() {
                    journal.segments.push(Vec::new());
                }
                if let Some(last) = journal.segments.last_mut() {
                    last.push(record);
                }
                if sync {
                    journal.sync();
                }
                self.dirty.insert(id.clone());
            }
            JournalEntry::Trim { seq } => {
                if let Some(journal) = self.journals.get_mut(id) {
                    journal.trimmed = journal.trimmed.max(seq);
                    self.dirty.insert(id.clone());
                }
            }
            JournalEntry::Remove => {
                self.journals.remove(id);
            }
        }
    }

    /// Begins new segments where the last is full, and removes those that are not needed.
    pub(super) fn flush(&mut self, mut snapshot: impl FnMut(&JournalId) -> Vec<RawRecord>) {
        for id in std::mem::take(&mut self.dirty) {
            let Some(journal) = self.journals.get_mut(&id) else {
                continue;
            };
            let length = journal.segments.last().map_or(0, Vec::len);
            let is_full = length - journal.snapshot >= self.segment.max(journal.snapshot);
            if is_full || std::mem::take(&mut journal.damaged) {
                let head = snapshot(&id);
                journal.snapshot = head.len();
                journal.segments.push(head);
                journal.sync();
            }
            journal.remove_idle();
        }
    }

    /// This journal can be written no more.
    pub(super) fn lose(&mut self, id: &JournalId) {
        self.journals.remove(id);
        self.lost.insert(id.clone());
    }

    /// The power fails: of what was not synced, a part in order may have reached the disk.
    pub(super) fn power_fails(&mut self, rng: &mut Rng) {
        for journal in self.journals.values_mut() {
            let Some(last) = journal.segments.last_mut() else {
                continue;
            };
            let unsynced = last.len() - journal.synced;
            let survives = match rng.below(3) {
                0 => 0,
                1 => unsynced,
                _ => rng.below(unsynced + 1),
            };
            last.truncate(journal.synced + survives);
            journal.synced = last.len();
        }
        self.journals
            .retain(|_, journal| journal.segments.iter().any(|segment| !segment.is_empty()));
    }

    /// Bytes change in the middle of a journal, anywhere behind the last snapshot: what follows is gone.
    pub(super) fn damages_journal(&mut self, rng: &mut Rng) -> Option<JournalId> {
        let ids: Vec<JournalId> = self.journals.keys().cloned().collect();
        if ids.is_empty() {
            return None;
        }
        let id = rng.pick(&ids);
        let journal = self.journals.get_mut(id)?;
        let snapshot = journal.snapshot.max(1);
        let last = journal.segments.last_mut()?;
        if last.len() <= snapshot {
            return None;
        }
        let stays = snapshot + rng.below(last.len() - snapshot);
        last.truncate(stays);
        journal.synced = journal.synced.min(stays);
        journal.damaged = true;
        Some(id.clone())
    }

    pub(super) fn holds(&self, id: &JournalId) -> bool {
        self.journals.contains_key(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.journals.is_empty()
    }

    /// What a restarted broker finds, in order of the names. The state before the last snapshot is repeated by it.
    pub(super) fn recover(&mut self) -> Vec<(JournalId, Vec<RawRecord>)> {
        self.lost.clear();
        let damaged = self.journals.iter().filter(|(_, journal)| journal.damaged);
        self.dirty = damaged.map(|(id, _)| id.clone()).collect();
        self.journals
            .iter()
            .map(|(id, journal)| {
                let last = journal.segments.len() - 1;
                let records = journal
                    .segments
                    .iter()
                    .enumerate()
                    .flat_map(|(number, segment)| {
                        segment
                            .iter()
                            .filter(move |record| record.seq != 0 || number == last)
                            .cloned()
                    })
                    .collect();
                (id.clone(), records)
            })
            .collect()
    }
}
