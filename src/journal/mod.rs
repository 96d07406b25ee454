//! The journals of disk sessions: writes the core's records to disk, and reads them after a crash.
//!
//! It does not know what a record means, and keeps no secrets out: the core gives it none. `Journals` waits for the
//! disk; `writer` gives it a thread of its own, so that no other thread does.
//!
//! What is promised, and when:
//! - `apply` only fills a buffer, unless the entry asks for `sync`: then everything up to it is on the disk itself
//!   when `apply` returns, and survives a power cut.
//! - After `flush` everything applied is with the operating system, and survives the process.
//! - A journal that fails is given up as a whole: the error is returned once, and later entries for it are ignored until
//!   `Remove`. Beyond a quota its files are removed. When the system fails (disk full, no descriptors, I/O error) they are
//!   set aside as `<id>.stale`, and the next start recovers them as damaged, unless the session has ended meanwhile. A
//!   failed sync is never tried again.
//!
//! ```text
//! <state>/journal/lock             held by the broker that has them open
//! <state>/journal/<id>/00000001.seg
//! <state>/journal/<id>/00000002.seg    begins with a snapshot of the state
//! ```

mod disk;
mod folder;
mod quota;
mod record;
mod record_buffer;
mod recovery;
mod segment;
mod slots;
mod usage;
mod writer;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::core::journal::{Damage, JournalEntry, JournalId, RawRecord};

use folder::Folder;
use quota::SpaceLimit;
pub use quota::{JournalError, Quota};
use recovery::is_name;
use slots::Slots;
pub use writer::{JournalWriter, Work, Written};

/// What is added to the name of a journal that could not be written any more.
const STALE: &str = ".stale";

/// All journals of one broker.
#[derive(Debug)]
pub struct Journals {
    dir: PathBuf,
    slots: Slots,
    /// Held as long as this lives; the system releases it when the process ends.
    _lock: File,
}

/// Whether what a journal holds is all that others have seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    Current,
    /// The last broker could not write any more: others have seen newer.
    Stale,
}

/// A journal found at the start.
#[derive(Debug)]
pub struct Recovered {
    /// Its name.
    pub id: JournalId,
    /// What it holds, in the order written: log entries up to the first loss, and state from the last whole snapshot
    /// on. Of two entries with one `seq` the later counts. Entries that were trimmed may still be there.
    pub records: Vec<RawRecord>,
    /// What was lost after these. `None` says only that nothing written is missing: what the process had not written
    /// yet when it was killed leaves no trace.
    pub damage: Option<Damage>,
}

impl Journals {
    /// Takes the lock and reads every journal in `dir`, making it if need be. Repairs nothing yet: that happens with
    /// each journal's first flush, so that a loss is found again until the core has answered for it.
    ///
    /// # Errors
    /// `WouldBlock` when another broker has them open; anything else when the folder cannot be used at all. A single
    /// journal that cannot be read is left out, with a warning in the log.
    pub fn open(dir: &Path, quota: Quota) -> io::Result<(Self, Vec<Recovered>)> {
        let mut all = Vec::new();
        let journals = Self::open_each(dir, quota, |_, recovered| all.push(recovered))?;
        Ok((journals, all))
    }

    /// As `open`, and hands over each journal before the next is read: all together may be more than fits into memory.
    /// What is beyond the quota is left as it is.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_each(
        dir: &Path,
        quota: Quota,
        mut each: impl FnMut(&mut Self, Recovered),
    ) -> io::Result<Self> {
        disk::make_folder(dir)?;
        let lock = disk::open_lock(&dir.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("another broker uses the journals in {}", dir.display()),
            ),
            TryLockError::Error(error) => error,
        })?;
        let mut journals = Self {
            dir: dir.to_owned(),
            slots: Slots::new(quota),
            _lock: lock,
        };
        let mut paths = Vec::new();
        for entry in dir.read_dir()? {
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let recovered = if let Some(name) = name.strip_suffix(STALE).filter(|name| is_name(name)) {
                journals.recover_stale(JournalId(name.into()), &path)
            } else if name.ends_with(".gone") {
                // Left by a crash in the middle of a removal. Should it fail, the next start tries again.
                let _ = fs::remove_dir_all(&path);
                None
            } else if is_name(name) && path.is_dir() {
                journals.recover(JournalId(name.into()), path, Freshness::Current)
            } else {
                None
            };
            if let Some(recovered) = recovered {
                each(&mut journals, recovered);
            }
        }
        let count = journals.slots.count_refused();
        if count > 0 {
            tracing::warn!(count, "some journals are not used; their files stay as they are");
        }
        Ok(journals)
    }

    /// A journal cannot be used after all; its files are not touched.
    pub fn refuse(&mut self, id: &JournalId) {
        if self.slots.take(id).is_some() {
            self.slots.refuse(id.clone(), None);
        }
    }

    /// Reads a journal that the last broker could not write any more: what it holds is older than what others have seen.
    fn recover_stale(&mut self, id: JournalId, path: &Path) -> Option<Recovered> {
        let renamed = self.dir.join(&*id.0);
        if renamed.exists() || fs::rename(path, &renamed).is_err() {
            return None;
        }
        self.recover(id, renamed, Freshness::Stale)
    }

    fn recover(&mut self, id: JournalId, path: PathBuf, freshness: Freshness) -> Option<Recovered> {
        if let Err(too_many) = self.slots.check_count(&id) {
            self.slots.refuse(id, Some(too_many));
            return None;
        }
        match Folder::recover(path) {
            Ok((mut folder, records, mut damage)) => {
                if freshness == Freshness::Stale {
                    folder.distrust();
                    damage = Some(Damage::Corrupt);
                }
                if records.is_empty() && damage.is_none() {
                    // A folder that was made, and nothing written: no session depends on it.
                    if let Err(error) = folder.remove() {
                        tracing::warn!(journal = %id.0, %error, "cannot remove an empty journal");
                    }
                    return None;
                }
                if let Err(full) = self.slots.add_recovered(&id, folder) {
                    tracing::debug!(journal = %id.0, %full, "a journal beyond the quota is not used");
                    self.slots.refuse(id, Some(full));
                    return None;
                }
                Some(Recovered { id, records, damage })
            }
            Err(error) => {
                tracing::warn!(journal = %id.0, %error, "cannot use a journal; its files are not changed");
                self.slots.refuse(id, Some(error));
                None
            }
        }
    }

    /// Bytes of all journals on disk.
    pub const fn bytes(&self) -> u64 {
        self.slots.bytes()
    }

    /// Does one thing to a journal; the first `Append` makes it.
    ///
    /// # Errors
    /// Why the journal has just been given up. Told once.
    pub fn apply(&mut self, id: &JournalId, entry: JournalEntry) -> Result<(), JournalError> {
        self.apply_all(id, std::slice::from_ref(&entry))
    }

    /// Does several things to a journal, in order.
    ///
    /// # Errors
    /// Why the journal has just been given up. Told once.
    pub fn apply_all(&mut self, id: &JournalId, entries: &[JournalEntry]) -> Result<(), JournalError> {
        let all = entries;
        let mut entries = all.iter().peekable();
        let mut done = Ok(());
        while let Some(entry) = entries.next() {
            let step = match entry {
                JournalEntry::Remove => self.remove(id),
                entry => self.make_for(id, entry).and_then(|()| {
                    self.work(id, |folder, limit| {
                        folder.reserve(all);
                        folder.apply(limit, entry)?;
                        while let Some(next) = entries.next_if(|next| **next != JournalEntry::Remove) {
                            folder.apply(limit, next)?;
                        }
                        Ok(())
                    })
                }),
            };
            done = done.and(step);
        }
        done
    }

    /// Makes the journal that the first `Append` needs.
    fn make_for(&mut self, id: &JournalId, entry: &JournalEntry) -> Result<(), JournalError> {
        if !matches!(entry, JournalEntry::Append { .. }) || self.slots.contains(id) {
            return Ok(());
        }
        if !is_name(&id.0) {
            return Err(JournalError::BadName(id.0.to_string()));
        }
        if let Err(too_many) = self.slots.check_count(id) {
            self.slots.lose(id);
            return Err(too_many);
        }
        self.slots.add_new(id, Folder::new(self.dir.join(&*id.0)));
        Ok(())
    }

    /// Writes everything applied to a journal, in one write. `snapshot` is the session's state behind all that was
    /// applied; it is needed when `wants_snapshot` says so, and not used otherwise.
    ///
    /// # Errors
    /// Why the journal has just been given up. Told once.
    pub fn flush(&mut self, id: &JournalId, snapshot: Option<&[RawRecord]>) -> Result<(), JournalError> {
        let flushed = self.work(id, |folder, limit| folder.flush(limit, snapshot));
        self.slots.close_surplus();
        flushed
    }

    /// Whether the next flush of a journal is to be given the session's state: its segment is full, or its files are
    /// damaged and nothing is written to them before that.
    pub fn wants_snapshot(&self, id: &JournalId) -> bool {
        self.slots.wants_snapshot(id)
    }

    /// Closes the files of journals that nothing was written to since this was last called.
    pub fn close_idle(&mut self) {
        self.slots.close_idle();
    }

    /// Has a journal do something, and gives it up if it fails.
    fn work(
        &mut self,
        id: &JournalId,
        work: impl FnOnce(&mut Folder, SpaceLimit) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let done = self.slots.work(id, work);
        if let Err(error) = &done {
            self.give_up(id, error);
        }
        done
    }

    /// The session is memory only from here on; a journal that stops in the middle must not be recovered as it is.
    /// What the system could not write is not lost for that: it is set aside.
    fn give_up(&mut self, id: &JournalId, error: &JournalError) {
        let Some(folder) = self.slots.take(id) else {
            return;
        };
        let done = match error {
            JournalError::Io { .. } => folder.set_aside(STALE),
            _ => folder.remove(),
        };
        if let Err(error) = done {
            tracing::warn!(journal = %id.0, %error, "cannot set a failed journal aside");
        }
        self.slots.lose(id);
    }

    fn remove(&mut self, id: &JournalId) -> Result<(), JournalError> {
        if let Some(folder) = self.slots.take(id) {
            return folder.remove();
        }
        if !self.slots.forget_lost(id) {
            return Ok(());
        }
        // The session has ended: what was set aside of it is not wanted any more.
        match fs::remove_dir_all(self.dir.join(format!("{}{STALE}", id.0))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(JournalError::io("remove", &self.dir)(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
