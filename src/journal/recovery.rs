//! Reads a journal's folder after a restart, whatever state it was left in.
//!
//! It repairs nothing: should the process crash again before the core has recorded a loss, the next start must find
//! the same loss. `folder` repairs with the first write.

use std::fs;
use std::path::Path;

use crate::core::journal::{Damage, RawRecord};

use super::quota::JournalError;
use super::segment::{self, Contents, Segment, SegmentFault};

/// What a folder held.
#[derive(Debug)]
pub(super) struct RecoveredFolder {
    /// The segments that stay, in order.
    pub(super) segments: Vec<Segment>,
    /// Log entries up to the first loss, and the state of the last whole snapshot onwards, in the order written.
    pub(super) records: Vec<RawRecord>,
    pub(super) damage: Option<Damage>,
}

/// Reads all segments of a folder.
///
/// # Errors
/// `Newer` when a later version wrote any of them; `Io` when the disk fails.
pub(super) fn recover(folder: &Path) -> Result<RecoveredFolder, JournalError> {
    let (numbers, leftovers) =
        segment::list(folder).map_err(JournalError::io("list the segments in", folder))?;
    for path in leftovers {
        fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
    }
    let last = numbers.last().copied();
    let mut read = Vec::with_capacity(numbers.len());
    for number in numbers {
        let path = segment::path(folder, number);
        let bytes = fs::read(&path).map_err(JournalError::io("read", &path))?;
        let contents = segment::read(&bytes);
        if contents.flaw == Some(SegmentFault::Newer) {
            return Err(JournalError::Newer {
                path: folder.to_owned(),
            });
        }
        read.push((number, bytes.len() as u64, contents));
    }
    Ok(put_together(read, last))
}

fn put_together(read: Vec<(u32, u64, Contents)>, last: Option<u32>) -> RecoveredFolder {
    // State before this segment is repeated by its snapshot.
    let state_from = read
        .iter()
        .rev()
        .find(|(_, _, contents)| contents.whole_snapshot)
        .map_or(0, |(number, _, _)| *number);
    let mut damage = None;
    let mut segments = Vec::with_capacity(read.len());
    let mut records = Vec::new();
    // A log entry lost in the middle ends the log: what follows is reported as lost too, rather than out of order.
    let mut log_ended = false;
    for (number, size, contents) in read {
        let in_last = Some(number) == last;
        let top = contents
            .records
            .iter()
            .map(|record| record.seq)
            .max()
            .unwrap_or(0);
        records.extend(contents.records.into_iter().filter(|record| match record.seq {
            0 => number >= state_from,
            _ => !log_ended,
        }));
        match contents.flaw {
            None => {}
            // A later segment gets its name only once its snapshot is on the disk.
            Some(SegmentFault::Cut) if in_last && (contents.whole_snapshot || segments.is_empty()) => {
                damage = damage.or(Some(Damage::Torn));
            }
            Some(_) => {
                damage = Some(Damage::Corrupt);
                log_ended = true;
            }
        }
        segments.push(Segment {
            number,
            bytes: size,
            good: contents.good,
            top,
        });
    }
    RecoveredFolder {
        segments,
        records,
        damage,
    }
}

/// Whether a text may name a journal: lower-case hex, as a folder name safe everywhere.
pub(super) fn is_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
