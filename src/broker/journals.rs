//! The journals of this broker, or none: a disk that cannot be used never keeps a broker from running.
//!
//! It knows no record; the hub gives them and takes them back. Nothing here waits for the disk once the broker runs.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;

use tokio::sync::mpsc;

use crate::core::hub::Hub;
use crate::core::io::{Input, Now};
use crate::core::journal::{JournalEntry, JournalId};
use crate::journal::{JournalWriter, Journals, Quota, Work, Written};

use super::gate::Progress;
use super::wakeup::WakeUp;

/// The journals as they were found, before anything is written to them.
#[derive(Debug)]
pub(super) struct FoundJournals {
    journals: Option<Journals>,
    wants_snapshot: HashSet<JournalId>,
}

/// The journals of sessions with `durability: "disk"`.
#[derive(Debug)]
pub(super) struct JournalStore {
    writer: Option<JournalWriter>,
    /// What is to be written with the next `send`.
    work: UnsentWork,
    /// Those whose next work is to bring the session's state.
    wants_snapshot: HashSet<JournalId>,
    /// The number of the last work.
    last: u64,
    progress: Progress,
}

impl FoundJournals {
    /// Opens the journals in `dir` and gives the hub what they hold.
    pub(super) fn open(dir: &Path, quota: Quota, hub: &mut Hub, now: Now) -> Self {
        let mut wants_snapshot = HashSet::new();
        let opened = Journals::open_each(dir, quota, |journals, found| {
            if let Some(damage) = found.damage {
                tracing::warn!(journal = %found.id.0, ?damage, "a journal is damaged");
            }
            let restored = hub.restore(now, found.id.clone(), &found.records, found.damage);
            if let Err(problem) = restored {
                tracing::warn!(
                    journal = %found.id.0,
                    problem,
                    "a journal cannot be used, and is set aside"
                );
                // Nothing may be appended to it under a session of the same name.
                match put_aside(dir, &found.id) {
                    Ok(()) => drop(journals.apply(&found.id, JournalEntry::Remove)),
                    // It is not removed for want of room or descriptors.
                    Err(problem) => {
                        tracing::warn!(journal = %found.id.0, %problem, "cannot put a journal aside: it stays");
                        journals.refuse(&found.id);
                    }
                }
            } else if journals.wants_snapshot(&found.id) {
                wants_snapshot.insert(found.id);
            }
        });
        let journals = match opened {
            Ok(opened) => opened,
            Err(problem) => {
                tracing::warn!(%problem, "cannot use journals: disk sessions stay in memory only");
                return Self {
                    journals: None,
                    wants_snapshot: HashSet::new(),
                };
            }
        };
        Self {
            journals: Some(journals),
            wants_snapshot,
        }
    }

    /// Starts the thread that writes. `wake` is called for all that is written.
    pub(super) fn start(self, wake: mpsc::Sender<WakeUp>) -> JournalStore {
        let written = move |written| {
            // Without a receiver the broker is exiting, and nothing waits for it.
            let _ = wake.blocking_send(WakeUp::Journal(written));
        };
        let writer = self
            .journals
            .and_then(|journals| match JournalWriter::start(journals, written) {
                Ok(writer) => Some(writer),
                Err(problem) => {
                    tracing::warn!(%problem, "cannot start the journal thread: disk sessions stay in memory only");
                    None
                }
            });
        JournalStore {
            writer,
            // A damaged journal is repaired even if its session writes nothing.
            work: UnsentWork::of(&self.wants_snapshot),
            wants_snapshot: self.wants_snapshot,
            last: 0,
            progress: Progress::default(),
        }
    }
}

/// Entries that no `send` has handed over yet, by journal.
#[derive(Debug, Default)]
struct UnsentWork {
    entries: Vec<(JournalId, Vec<JournalEntry>)>,
    /// Where in `entries` the entries of a journal are.
    indexes: HashMap<JournalId, usize>,
}

impl UnsentWork {
    /// Nothing yet for any of these journals.
    fn of(journals: &HashSet<JournalId>) -> Self {
        let mut unsent = Self::default();
        for journal in journals {
            unsent.of_journal(journal.clone());
        }
        unsent
    }

    fn push(&mut self, journal: JournalId, entry: JournalEntry) {
        // Entries of one journal come in runs.
        match self.entries.last_mut() {
            Some((last, entries)) if *last == journal => entries.push(entry),
            _ => self.of_journal(journal).push(entry),
        }
    }

    fn of_journal(&mut self, journal: JournalId) -> &mut Vec<JournalEntry> {
        let index = *self.indexes.entry(journal.clone()).or_insert_with(|| {
            self.entries.push((journal, Vec::new()));
            self.entries.len() - 1
        });
        &mut self.entries[index].1
    }

    const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries, in the order of their first.
    fn take(&mut self) -> Vec<(JournalId, Vec<JournalEntry>)> {
        self.indexes.clear();
        std::mem::take(&mut self.entries)
    }
}

impl JournalStore {
    /// Queues one operation on a journal for the next `send`; returns why it has just been given up, if it has.
    pub(super) fn apply(&mut self, journal: JournalId, entry: JournalEntry) -> Option<JournalFailure> {
        if self.writer.is_some() {
            self.work.push(journal, entry);
            return None;
        }
        matches!(entry, JournalEntry::Append { .. }).then(|| JournalFailure {
            journal,
            why: "the journals cannot be used".to_owned(),
        })
    }

    /// Hands everything applied to the thread that writes; the hub has been drained.
    pub(super) fn send(&mut self, hub: &Hub) {
        let Some(writer) = &self.writer else { return };
        if self.work.is_empty() {
            return;
        }
        self.last += 1;
        for (journal, entries) in self.work.take() {
            self.progress.sent(&journal, self.last);
            let snapshot = self
                .wants_snapshot
                .remove(&journal)
                .then(|| hub.snapshot(&journal));
            writer.write(Work {
                journal,
                number: self.last,
                entries,
                snapshot,
            });
        }
    }

    /// Work is done; returns why its journal has just been given up, if it has.
    pub(super) fn written(&mut self, written: Written) -> Option<JournalFailure> {
        let Written {
            journal,
            number,
            failure,
            wants_snapshot,
            entries: _,
        } = written;
        self.progress.done(&journal, number);
        if wants_snapshot {
            self.wants_snapshot.insert(journal.clone());
        }
        Some(JournalFailure {
            why: with_causes(&failure?),
            journal,
        })
    }

    /// What is written and what is not.
    pub(super) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Has files closed that were not written to for a while.
    pub(super) fn close_idle(&self) {
        if let Some(writer) = &self.writer {
            writer.close_idle();
        }
    }

    /// Waits until everything is written.
    pub(super) async fn finish(self) {
        if let Some(writer) = self.writer {
            let _ = tokio::task::spawn_blocking(move || writer.finish()).await;
        }
    }
}

/// What went wrong and why: the cause names the full or faulty disk.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A journal that can no longer be written; its session continues in memory.
#[derive(Debug)]
pub(super) struct JournalFailure {
    journal: JournalId,
    why: String,
}

impl JournalFailure {
    /// As input for the hub.
    pub(super) fn into_input(self) -> Input {
        tracing::warn!(
            journal = %self.journal.0,
            why = self.why,
            "a session continues in memory only"
        );
        Input::JournalLost {
            journal: self.journal,
            why: self.why,
        }
    }
}

/// Moves a journal that this version cannot use out of the way; a person may want to look at it.
fn put_aside(dir: &Path, journal: &JournalId) -> io::Result<()> {
    let aside = dir.with_file_name("journal-unusable");
    fs::create_dir_all(&aside)?;
    fs::rename(dir.join(&*journal.0), aside.join(&*journal.0))
}
