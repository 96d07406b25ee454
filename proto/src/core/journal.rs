//! What a disk session stores, as opaque records: a kind, a number and bytes.
//!
//! It knows no file; the `journal` module keeps these records and gives them back after a crash.

use std::sync::Arc;

use bytes::Bytes;

/// Names a session's journal: stable over restarts, safe as a folder name (lower-case hex). The first sixteen digits
/// stand for the origin, whose journals share a quota.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JournalId(pub Arc<str>);

impl JournalId {
    /// A name for a journal of this origin; `random` makes it its own.
    pub fn new(origin: &str, random: &str) -> Self {
        // FNV-1a: the same in every version, which a standard hasher does not promise.
        let owner = origin.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(format!("{owner:016x}{random}").into())
    }

    /// What all journals of one origin have in common.
    pub fn owner(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

/// One record of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// What `data` means; the core's own numbering.
    pub kind: u8,
    /// For entries of the session's log their `seq`: the record may go once `Trim` has passed it.
    /// 0 for state, which the snapshot at the head of a later segment repeats.
    pub seq: u64,
    /// Its contents.
    pub data: Bytes,
    /// The end of `data`, if that is large: it is not copied together with the rest. Empty in what is read.
    pub content: Bytes,
}

impl RawRecord {
    /// Bytes of data and content.
    pub const fn len(&self) -> usize {
        self.data.len() + self.content.len()
    }

    /// Whether it is empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One thing to do to a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEntry {
    /// Append; with `sync`, on the disk itself before anything that follows.
    Append { record: RawRecord, sync: bool },
    /// Log entries with a number up to `seq` are no longer needed.
    Trim { seq: u64 },
    /// The session has ended: remove its journal.
    Remove,
}

impl JournalEntry {
    /// Bytes that it appends.
    pub const fn appended_bytes(&self) -> usize {
        match self {
            Self::Append { record, .. } => record.len(),
            Self::Trim { .. } | Self::Remove => 0,
        }
    }
}

/// What a journal has lost, as its recovery found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The last append was interrupted. What was written with `sync` is all there: numbers reserved that way are safe,
    /// and nothing was delivered that is not there, unless the power failed.
    Torn,
    /// Bytes changed on the disk, or went missing from the middle. Log entries after the place are not given; state may
    /// be older than what others have seen, so neither reserved numbers nor outcomes can be relied upon.
    Corrupt,
}
