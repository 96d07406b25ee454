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
mod usage;
mod writer;

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::core::journal::{Damage, JournalEntry, JournalId, RawRecord};

use folder::Folder;
use quota::SpaceLimit;
pub use quota::{JournalError, Quota};
use recovery::is_name;
use usage::DiskUsage;
pub use writer::{JournalWriter, Work, Written};

/// What is added to the name of a journal that could not be written any more.
const STALE: &str = ".stale";

/// All journals of one broker.
#[derive(Debug)]
pub struct Journals {
    dir: PathBuf,
    quota: Quota,
    journals: HashMap<JournalId, Slot>,
    usage: DiskUsage,
    open_files: usize,
    /// Held as long as this lives; the system releases it when the process ends.
    _lock: File,
}

#[derive(Debug)]
enum Slot {
    Open(Box<Folder>),
    /// Given up, and reported.
    Lost,
    /// Could not be read, say because a later version wrote it; its files are not touched. Holds what is not yet reported.
    Refused(Option<JournalError>),
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
            quota,
            journals: HashMap::new(),
            usage: DiskUsage::default(),
            open_files: 0,
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
        let slots = journals.journals.values();
        let count = slots.filter(|slot| matches!(slot, Slot::Refused(_))).count();
        if count > 0 {
            tracing::warn!(count, "some journals are not used; their files stay as they are");
        }
        Ok(journals)
    }

    /// A journal cannot be used after all; its files are not touched.
    pub fn refuse(&mut self, id: &JournalId) {
        if self.take(id).is_some() {
            self.journals.insert(id.clone(), Slot::Refused(None));
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
        if self.usage.journals_of(&id) >= self.quota.journals {
            let limit = self.quota.journals;
            self.journals
                .insert(id, Slot::Refused(Some(JournalError::TooMany { limit })));
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
                let bytes = folder.bytes();
                let limit = self.usage.limit_beside(&id, 0, self.quota);
                if let Err(full) = limit.check_shared(bytes) {
                    tracing::debug!(journal = %id.0, %full, "a journal beyond the quota is not used");
                    self.journals.insert(id, Slot::Refused(Some(full)));
                    return None;
                }
                self.usage.add_journal(&id, bytes);
                self.journals.insert(id.clone(), Slot::Open(Box::new(folder)));
                Some(Recovered { id, records, damage })
            }
            Err(error) => {
                tracing::warn!(journal = %id.0, %error, "cannot use a journal; its files are not changed");
                self.journals.insert(id, Slot::Refused(Some(error)));
                None
            }
        }
    }

    /// Bytes of all journals on disk.
    pub const fn bytes(&self) -> u64 {
        self.usage.bytes()
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
        if !matches!(entry, JournalEntry::Append { .. }) || self.journals.contains_key(id) {
            return Ok(());
        }
        if !is_name(&id.0) {
            return Err(JournalError::BadName(id.0.to_string()));
        }
        if self.usage.journals_of(id) >= self.quota.journals {
            self.journals.insert(id.clone(), Slot::Lost);
            return Err(JournalError::TooMany {
                limit: self.quota.journals,
            });
        }
        self.usage.add_journal(id, 0);
        let folder = Box::new(Folder::new(self.dir.join(&*id.0)));
        self.journals.insert(id.clone(), Slot::Open(folder));
        Ok(())
    }

    /// Writes everything applied to a journal, in one write. `snapshot` is the session's state behind all that was
    /// applied; it is needed when `wants_snapshot` says so, and not used otherwise.
    ///
    /// # Errors
    /// Why the journal has just been given up. Told once.
    pub fn flush(&mut self, id: &JournalId, snapshot: Option<&[RawRecord]>) -> Result<(), JournalError> {
        let flushed = self.work(id, |folder, limit| folder.flush(limit, snapshot));
        if self.open_files > self.quota.open_files {
            self.close_files();
        }
        flushed
    }

    /// Whether the next flush of a journal is to be given the session's state: its segment is full, or its files are
    /// damaged and nothing is written to them before that.
    pub fn wants_snapshot(&self, id: &JournalId) -> bool {
        matches!(self.journals.get(id), Some(Slot::Open(folder)) if folder.wants_snapshot())
    }

    /// Closes the files of journals that nothing was written to since this was last called.
    pub fn close_idle(&mut self) {
        for slot in self.journals.values_mut() {
            if let Slot::Open(folder) = slot
                && !folder.is_dirty()
            {
                folder.close_idle();
            }
        }
        self.count_open();
    }

    /// Has a journal do something, keeps the sums, and gives it up if it fails.
    fn work(
        &mut self,
        id: &JournalId,
        work: impl FnOnce(&mut Folder, SpaceLimit) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        if self.open_files >= self.quota.open_files {
            self.close_files();
        }
        let folder = match self.journals.get_mut(id) {
            None | Some(Slot::Lost) => return Ok(()),
            Some(Slot::Refused(error)) => return error.take().map_or(Ok(()), Err),
            Some(Slot::Open(folder)) => folder,
        };
        let (bytes, open) = (folder.bytes(), folder.is_open());
        let limit = self.usage.limit_beside(id, bytes, self.quota);
        let done = work(folder, limit);
        let now = folder.bytes();
        self.open_files = self.open_files + usize::from(folder.is_open()) - usize::from(open);
        self.usage.resize(id, bytes, now);
        if let Err(error) = &done {
            self.give_up(id, error);
        }
        done
    }

    /// The session is memory only from here on; a journal that stops in the middle must not be recovered as it is.
    /// What the system could not write is not lost for that: it is set aside.
    fn give_up(&mut self, id: &JournalId, error: &JournalError) {
        let done = match self.take(id) {
            Some(folder) if matches!(error, JournalError::Io { .. }) => folder.set_aside(STALE),
            Some(folder) => folder.remove(),
            None => Ok(()),
        };
        if let Err(error) = done {
            tracing::warn!(journal = %id.0, %error, "cannot set a failed journal aside");
        }
        self.journals.insert(id.clone(), Slot::Lost);
    }

    fn remove(&mut self, id: &JournalId) -> Result<(), JournalError> {
        match self.journals.remove(id) {
            None => Ok(()),
            // The session has ended: what was set aside of it is not wanted any more.
            Some(Slot::Lost) => match fs::remove_dir_all(self.dir.join(format!("{}{STALE}", id.0))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(JournalError::io("remove", &self.dir)(error))
                }
                _ => Ok(()),
            },
            Some(refused @ Slot::Refused(_)) => {
                self.journals.insert(id.clone(), refused);
                Ok(())
            }
            Some(Slot::Open(folder)) => self.let_go(id, *folder).remove(),
        }
    }

    fn take(&mut self, id: &JournalId) -> Option<Folder> {
        match self.journals.remove(id)? {
            Slot::Open(folder) => Some(self.let_go(id, *folder)),
            other => {
                self.journals.insert(id.clone(), other);
                None
            }
        }
    }

    /// A journal is not among those that are written any more.
    fn let_go(&mut self, id: &JournalId, folder: Folder) -> Folder {
        self.usage.remove_journal(id, folder.bytes());
        self.open_files -= usize::from(folder.is_open());
        folder
    }

    /// Closes the files of journals with nothing to write.
    fn close_files(&mut self) {
        for slot in self.journals.values_mut() {
            if let Slot::Open(folder) = slot
                && !folder.is_dirty()
            {
                folder.close();
            }
        }
        self.count_open();
    }

    fn count_open(&mut self) {
        self.open_files = self
            .journals
            .values()
            .filter(|slot| matches!(slot, Slot::Open(folder) if folder.is_open()))
            .count();
    }
}

#[cfg(test)]
mod tests;
