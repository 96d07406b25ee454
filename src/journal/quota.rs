//! Limits on the disk space of journals, and the reasons a journal is given up.
//!
//! It counts nothing itself; the caller holds the sums.

use std::io;
use std::path::{Path, PathBuf};

/// Bounds in bytes of files on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// For one session.
    pub session: u64,
    /// For all sessions of one extension.
    pub origin: u64,
    /// For all sessions together.
    pub total: u64,
    /// Journals of one extension.
    pub journals: usize,
    /// Files held open at a time; the least busy journals open theirs again when they write.
    pub open_files: usize,
}

impl Default for Quota {
    /// 128 MiB a session, 512 MiB and 1000 journals an extension, 1 GiB in all.
    fn default() -> Self {
        Self {
            session: 128 << 20,
            origin: 512 << 20,
            total: 1 << 30,
            journals: 1000,
            open_files: 256,
        }
    }
}

impl Quota {
    /// Whether a session of `session` bytes, `origin` with the others of its extension and `total` with all others, stays
    /// within bounds.
    const fn check(&self, session: u64, origin: u64, total: u64) -> Result<(), JournalError> {
        if session > self.session {
            return Err(JournalError::SessionFull { limit: self.session });
        }
        if origin > self.origin {
            return Err(JournalError::OriginFull { limit: self.origin });
        }
        if total > self.total {
            return Err(JournalError::AllFull { limit: self.total });
        }
        Ok(())
    }
}

/// The bytes all other journals take, those of the same extension among them, and the bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpaceLimit {
    pub(super) others: u64,
    pub(super) siblings: u64,
    pub(super) quota: Quota,
}

impl SpaceLimit {
    /// Whether this journal may take so many bytes.
    pub(super) const fn check(self, bytes: u64) -> Result<(), JournalError> {
        self.quota
            .check(bytes, self.siblings + bytes, self.others + bytes)
    }

    /// The same for a journal that is there already: whatever it takes itself, others must have room beside it.
    pub(super) const fn check_shared(self, bytes: u64) -> Result<(), JournalError> {
        self.quota.check(0, self.siblings + bytes, self.others + bytes)
    }
}

/// Why a journal was given up. Its session continues in memory only.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The session's own quota.
    #[error("the journal would exceed its {limit} bytes")]
    SessionFull {
        /// In bytes.
        limit: u64,
    },
    /// The quota of one extension's sessions.
    #[error("the journals of this extension would exceed {limit} bytes")]
    OriginFull {
        /// In bytes.
        limit: u64,
    },
    /// The number of one extension's journals.
    #[error("this extension already has {limit} journals")]
    TooMany {
        /// How many.
        limit: usize,
    },
    /// The quota of all sessions together.
    #[error("all journals together would exceed {limit} bytes")]
    AllFull {
        /// In bytes.
        limit: u64,
    },
    /// The disk or the file system failed: full, read-only, broken, or the folder was removed.
    #[error("cannot {attempt} {path}")]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// One record exceeds 4 GiB.
    #[error("a record of {bytes} bytes is too large for a journal")]
    RecordTooLarge {
        /// In bytes.
        bytes: usize,
    },
    /// A later version of Longwire wrote it; its files are left as they are.
    #[error("the journal in {path} was written by a later version")]
    Newer {
        /// Its folder.
        path: PathBuf,
    },
    /// The name cannot be a folder's.
    #[error("`{0}` is not a valid journal name")]
    BadName(String),
}

impl JournalError {
    /// An I/O error: what was attempted on what.
    pub(super) fn io(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            attempt,
            path,
            source,
        }
    }
}
