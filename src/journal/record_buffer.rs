//! Encoded records in memory, to be written in one go, and the newest entry among them.

use super::quota::JournalError;
use super::record;
use super::segment;
use crate::core::journal::{JournalEntry, RawRecord};

/// A buffer above this size is not kept between writes: most sessions are idle most of the time.
const MAX_IDLE_BUFFER_BYTES: usize = 16 << 10;

/// Records in the order in which they are written.
#[derive(Debug)]
pub(super) struct RecordBuffer {
    bytes: Vec<u8>,
    /// Highest `seq` among them.
    top: u64,
}

impl RecordBuffer {
    pub(super) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            top: 0,
        }
    }

    /// What a segment begins with, before a snapshot of so many bytes.
    pub(super) fn with_header(snapshot: u64) -> Self {
        let mut bytes = Vec::with_capacity(segment::HEADER + usize::try_from(snapshot).unwrap_or(0));
        segment::header(&mut bytes, snapshot);
        Self { bytes, top: 0 }
    }

    /// Makes room for entries that are to be added, so that the buffer does not grow several times.
    pub(super) fn reserve(&mut self, entries: &[JournalEntry]) {
        let bytes = |entry: &JournalEntry| record::OVERHEAD + entry.appended_bytes();
        self.bytes.reserve(entries.iter().map(bytes).sum());
    }

    /// Adds a record.
    ///
    /// # Errors
    /// It is larger than a journal can hold; nothing was added.
    pub(super) fn push(&mut self, record: &RawRecord) -> Result<(), JournalError> {
        if !record::encode(&mut self.bytes, record) {
            return Err(JournalError::RecordTooLarge { bytes: record.len() });
        }
        self.top = self.top.max(record.seq);
        Ok(())
    }

    /// Adds what another holds.
    pub(super) fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.top = self.top.max(other.top);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Highest `seq` of an entry in it; 0 if there is none.
    pub(super) const fn top(&self) -> u64 {
        self.top
    }

    /// What it held has been written.
    pub(super) fn clear(&mut self) {
        self.top = 0;
        self.bytes.clear();
        if self.bytes.capacity() > MAX_IDLE_BUFFER_BYTES {
            self.bytes = Vec::new();
        }
    }
}
