//! The journals of this broker, or none: a disk that cannot be used never keeps a broker from running.
//!
//! It knows no record; the hub gives them and takes them back.

use std::fs;
use std::path::Path;

use crate::core::hub::Hub;
use crate::core::io::Now;
use crate::core::journal::{Entry, JournalId};
use crate::journal::{Journals, Quota};

/// The journals of sessions with `durability: "disk"`.
#[derive(Debug)]
pub(super) struct JournalStore {
    journals: Option<Journals>,
}

impl JournalStore {
    /// Opens the journals in `dir` and gives the hub what they hold.
    pub(super) fn open(dir: &Path, quota: Quota, hub: &mut Hub, now: Now) -> Self {
        let (mut journals, recovered) = match Journals::open(dir, quota) {
            Ok(opened) => opened,
            Err(problem) => {
                tracing::warn!(%problem, "no journals: disk sessions are kept in memory only");
                return Self { journals: None };
            }
        };
        for found in recovered {
            if let Some(damage) = found.damage {
                tracing::warn!(journal = found.id.0, ?damage, "a journal is damaged");
            }
            let restored = hub.restore(now, found.id.clone(), &found.kept, found.damage);
            if let Err(problem) = restored {
                tracing::warn!(
                    journal = found.id.0,
                    problem,
                    "a journal cannot be used, and is put aside"
                );
                put_aside(dir, &found.id);
                // Nothing may be appended to it under a session of the same name.
                let _ = journals.apply(&found.id, Entry::Remove);
            }
        }
        Self {
            journals: Some(journals),
        }
    }

    /// Does one thing to a journal; says why it has just been given up, if it has.
    pub(super) fn apply(&mut self, journal: &JournalId, entry: Entry) -> Option<JournalFailure> {
        let problem = match &mut self.journals {
            Some(journals) => journals.apply(journal, entry).err()?.to_string(),
            None if matches!(entry, Entry::Append { .. }) => "the journals cannot be used".to_owned(),
            None => return None,
        };
        Some(JournalFailure {
            journal: journal.clone(),
            why: problem,
        })
    }

    /// Closes files that were not written to for a while.
    pub(super) fn close_idle(&mut self) {
        if let Some(journals) = &mut self.journals {
            journals.close_idle();
        }
    }

    /// Writes down everything applied; the hub has been drained. Gives the journals that have just been given up.
    pub(super) fn flush(&mut self, hub: &Hub) -> Vec<JournalFailure> {
        let Some(journals) = &mut self.journals else {
            return Vec::new();
        };
        journals
            .flush(|journal| hub.snapshot(journal))
            .into_iter()
            .map(|(journal, problem)| JournalFailure {
                journal,
                why: problem.to_string(),
            })
            .collect()
    }
}

/// A journal that can be written no more; its session lives on in memory.
#[derive(Debug)]
pub(super) struct JournalFailure {
    pub(super) journal: JournalId,
    pub(super) why: String,
}

/// Moves a journal that this version cannot use out of the way; a person may want to look at it.
fn put_aside(dir: &Path, journal: &JournalId) {
    let aside = dir.with_file_name("journal-unusable");
    let moved =
        fs::create_dir_all(&aside).and_then(|()| fs::rename(dir.join(&journal.0), aside.join(&journal.0)));
    if let Err(problem) = moved {
        tracing::warn!(journal = journal.0, %problem, "cannot put a journal aside: it is removed");
    }
}
