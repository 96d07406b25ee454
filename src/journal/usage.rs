//! How much the journals of a broker take on the disk: of each extension, and together.
//!
//! It reads no disk: its caller passes what each journal takes.

use std::collections::HashMap;

use super::quota::{Quota, SpaceLimit};
use crate::core::journal::JournalId;

/// Sums over all journals that are written.
#[derive(Debug, Default)]
pub(super) struct DiskUsage {
    bytes: u64,
    owners: HashMap<String, OwnerUsage>,
}

/// What one extension's journals take.
#[derive(Debug, Default)]
struct OwnerUsage {
    journals: usize,
    bytes: u64,
}

impl DiskUsage {
    /// Bytes of all journals.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many journals the extension has that this one is of.
    pub(super) fn journals_of(&self, id: &JournalId) -> usize {
        self.owners.get(id.owner()).map_or(0, |owner| owner.journals)
    }

    /// Another journal, which takes so many bytes.
    pub(super) fn add_journal(&mut self, id: &JournalId, bytes: u64) {
        let owner = self.owners.entry(id.owner().to_owned()).or_default();
        owner.journals += 1;
        owner.bytes += bytes;
        self.bytes += bytes;
    }

    /// A journal that took `before` bytes takes `now`.
    pub(super) fn resize(&mut self, id: &JournalId, before: u64, now: u64) {
        if before != now
            && let Some(owner) = self.owners.get_mut(id.owner())
        {
            owner.bytes = owner.bytes - before + now;
            self.bytes = self.bytes - before + now;
        }
    }

    /// A journal that takes so many bytes is not written any more.
    pub(super) fn remove_journal(&mut self, id: &JournalId, bytes: u64) {
        self.resize(id, bytes, 0);
        if let Some(owner) = self.owners.get_mut(id.owner()) {
            owner.journals -= 1;
            if owner.journals == 0 {
                self.owners.remove(id.owner());
            }
        }
    }

    /// What a journal that takes `bytes` may grow to, beside the others.
    pub(super) fn limit_beside(&self, id: &JournalId, bytes: u64, quota: Quota) -> SpaceLimit {
        let siblings = self.owners.get(id.owner()).map_or(0, |owner| owner.bytes);
        SpaceLimit {
            others: self.bytes - bytes,
            siblings: siblings - bytes,
            quota,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_usage_is_summed_per_extension_and_in_total() {
        let (mine, other) = (JournalId::new("a", "1"), JournalId::new("b", "1"));
        let mut usage = DiskUsage::default();
        usage.add_journal(&mine, 10);
        usage.add_journal(&JournalId::new("a", "2"), 0);
        usage.add_journal(&other, 5);
        usage.resize(&mine, 10, 30);
        assert_eq!((usage.bytes(), usage.journals_of(&mine)), (35, 2));
        let limit = usage.limit_beside(&mine, 30, Quota::default());
        assert_eq!((limit.others, limit.siblings), (5, 0));

        usage.remove_journal(&mine, 30);
        usage.remove_journal(&other, 5);
        assert_eq!((usage.bytes(), usage.journals_of(&mine)), (0, 1));
        assert_eq!(usage.journals_of(&other), 0);
    }
}
