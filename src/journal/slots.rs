//! Which journals there are and whether each can be written, with the sums of what they take: bytes, and open files.
//!
//! It decides who may have another journal; what becomes of a journal that fails is its caller's to decide.

use std::collections::HashMap;

use super::folder::Folder;
use super::quota::{JournalError, Quota, SpaceLimit};
use super::usage::DiskUsage;
use crate::core::journal::JournalId;

/// The journals of one broker by their ids.
#[derive(Debug)]
pub(super) struct Slots {
    quota: Quota,
    journals: HashMap<JournalId, Slot>,
    usage: DiskUsage,
    open_files: usize,
}

#[derive(Debug)]
enum Slot {
    Open(Box<Folder>),
    /// Given up, and reported.
    Lost,
    /// Could not be read, say because a later version wrote it; its files are not touched. Holds what is not yet reported.
    Refused(Option<JournalError>),
}

impl Slots {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            quota,
            journals: HashMap::new(),
            usage: DiskUsage::default(),
            open_files: 0,
        }
    }

    /// Bytes of all journals on disk.
    pub(super) const fn bytes(&self) -> u64 {
        self.usage.bytes()
    }

    /// Whether there is a journal with this id, or was one that failed.
    pub(super) fn contains(&self, id: &JournalId) -> bool {
        self.journals.contains_key(id)
    }

    /// How many journals are refused.
    pub(super) fn count_refused(&self) -> usize {
        let slots = self.journals.values();
        slots.filter(|slot| matches!(slot, Slot::Refused(_))).count()
    }

    /// Whether the next flush of a journal is to be given the session's state.
    pub(super) fn wants_snapshot(&self, id: &JournalId) -> bool {
        matches!(self.journals.get(id), Some(Slot::Open(folder)) if folder.wants_snapshot())
    }

    /// Whether the extension that this journal is of may have another one.
    pub(super) fn check_count(&self, id: &JournalId) -> Result<(), JournalError> {
        let limit = self.quota.journals;
        if self.usage.journals_of(id) >= limit {
            return Err(JournalError::TooMany { limit });
        }
        Ok(())
    }

    /// A journal was made, and nothing written yet.
    pub(super) fn add_new(&mut self, id: &JournalId, folder: Folder) {
        self.usage.add_journal(id, 0);
        self.journals.insert(id.clone(), Slot::Open(Box::new(folder)));
    }

    /// A journal was found on the disk.
    ///
    /// # Errors
    /// It is beyond the quota, and not taken in.
    pub(super) fn add_recovered(&mut self, id: &JournalId, folder: Folder) -> Result<(), JournalError> {
        let bytes = folder.bytes();
        let limit = self.usage.limit_beside(id, 0, self.quota);
        limit.check_shared(bytes)?;
        self.usage.add_journal(id, bytes);
        self.journals.insert(id.clone(), Slot::Open(Box::new(folder)));
        Ok(())
    }

    /// A journal cannot be used, and its files are not touched. `report`: what the next work on it is to return.
    pub(super) fn refuse(&mut self, id: JournalId, report: Option<JournalError>) {
        self.journals.insert(id, Slot::Refused(report));
    }

    /// A journal was given up, and that is reported: later work on it is ignored.
    pub(super) fn lose(&mut self, id: &JournalId) {
        self.journals.insert(id.clone(), Slot::Lost);
    }

    /// Forgets a journal that was given up; whether there was one.
    pub(super) fn forget_lost(&mut self, id: &JournalId) -> bool {
        let is_lost = matches!(self.journals.get(id), Some(Slot::Lost));
        if is_lost {
            self.journals.remove(id);
        }
        is_lost
    }

    /// Takes out a journal that is written.
    pub(super) fn take(&mut self, id: &JournalId) -> Option<Folder> {
        match self.journals.remove(id)? {
            Slot::Open(folder) => {
                self.usage.remove_journal(id, folder.bytes());
                self.open_files -= usize::from(folder.is_open());
                Some(*folder)
            }
            other => {
                self.journals.insert(id.clone(), other);
                None
            }
        }
    }

    /// Has a journal do something, and keeps the sums.
    pub(super) fn work(
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
        done
    }

    /// Closes the files of journals that nothing was written to since this was last called.
    pub(super) fn close_idle(&mut self) {
        self.close_each(Folder::close_idle);
    }

    /// Closes files if there are more open than the quota has.
    pub(super) fn close_surplus(&mut self) {
        if self.open_files > self.quota.open_files {
            self.close_files();
        }
    }

    /// Closes the files of journals with nothing to write.
    fn close_files(&mut self) {
        self.close_each(Folder::close);
    }

    fn close_each(&mut self, close: fn(&mut Folder)) {
        let mut still_open = 0;
        for slot in self.journals.values_mut() {
            let Slot::Open(folder) = slot else { continue };
            if !folder.is_dirty() {
                close(folder);
            }
            still_open += usize::from(folder.is_open());
        }
        self.open_files = still_open;
    }
}

#[cfg(test)]
impl Slots {
    pub(super) fn ids(&self) -> Vec<JournalId> {
        let mut ids: Vec<JournalId> = self.journals.keys().cloned().collect();
        ids.sort();
        ids
    }

    pub(super) const fn open_files(&self) -> usize {
        self.open_files
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn full() -> JournalError {
        JournalError::AllFull { limit: 1 }
    }

    fn work(slots: &mut Slots, id: &JournalId) -> String {
        format!("{:?}", slots.work(id, |_, _| Err(full())))
    }

    #[test]
    fn a_refused_journal_reports_its_error_once_and_stays_refused() {
        let (mut slots, id) = (Slots::new(Quota::default()), JournalId::new("a", "1"));
        slots.refuse(id.clone(), Some(JournalError::TooMany { limit: 7 }));
        assert_eq!(work(&mut slots, &id), "Err(TooMany { limit: 7 })");
        assert_eq!(work(&mut slots, &id), "Ok(())");
        assert!(!slots.forget_lost(&id) && slots.take(&id).is_none());
        assert_eq!((slots.count_refused(), slots.contains(&id)), (1, true));
    }

    #[test]
    fn work_on_a_lost_journal_is_ignored_until_it_is_forgotten() {
        let (mut slots, id) = (Slots::new(Quota::default()), JournalId::new("a", "1"));
        slots.lose(&id);
        assert_eq!(work(&mut slots, &id), "Ok(())");
        assert!(slots.forget_lost(&id) && !slots.contains(&id));
    }

    #[test]
    fn an_extension_has_as_many_journals_as_the_quota_allows() {
        let quota = Quota {
            journals: 1,
            ..Quota::default()
        };
        let (mut slots, id) = (Slots::new(quota), JournalId::new("a", "1"));
        slots.add_new(&id, Folder::new(PathBuf::new()));
        assert!(slots.check_count(&JournalId::new("a", "2")).is_err());
        assert!(slots.check_count(&JournalId::new("b", "1")).is_ok());
        assert_eq!(work(&mut slots, &id), format!("{:?}", Err::<(), _>(full())));
        assert!(slots.take(&id).is_some());
        assert!(slots.check_count(&JournalId::new("a", "2")).is_ok());
    }
}
