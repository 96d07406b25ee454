//! One file of a journal: its header, and what can be read from it.
//!
//! It does not decide which segments are needed; `folder` does.
//!
//! ```text
//! 8 bytes "longwire"
//! u16 LE  format version, 1
//! u16 LE  0
//! u64 LE  bytes of the snapshot that follows: state, complete in itself
//! u32 LE  CRC-32 of the 20 bytes above
//! records, the snapshot first
//! ```

use std::io;
use std::path::{Path, PathBuf};

use crate::core::journal::RawRecord;

use super::record::{self, ScannedRecord};

/// The format this version writes, and the newest it reads.
pub(super) const VERSION: u16 = 1;
/// Bytes of the header.
pub(super) const HEADER: usize = 24;
const MAGIC: &[u8; 8] = b"longwire";

/// A segment on disk.
#[derive(Debug)]
pub(super) struct Segment {
    /// From 1, increasing; not every number need be there.
    pub(super) number: u32,
    /// Its size.
    pub(super) bytes: u64,
    /// How much of it is good: less than its size only after damage, until that is repaired.
    pub(super) good: u64,
    /// Highest `seq` in it: once that is trimmed, the segment may go, unless it is the last.
    pub(super) top: u64,
}

/// A segment's path.
pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}.seg"))
}

/// The number in a segment's file name; `None` for other files.
pub(super) fn number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg")?;
    if digits.len() < 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| *number > 0)
}

/// Appends the header of a segment that begins with `snapshot` bytes of state.
pub(super) fn header(out: &mut Vec<u8>, snapshot: u64) {
    let start = out.len();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&snapshot.to_le_bytes());
    let sum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// What a segment holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Its good records, up to the first that is not.
    pub(super) records: Vec<RawRecord>,
    /// Bytes that are good.
    pub(super) good: u64,
    /// Why reading stopped before the end of the file.
    pub(super) flaw: Option<SegmentFault>,
    /// Whether the snapshot at its head is whole.
    pub(super) whole_snapshot: bool,
}

/// Why a segment could not be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SegmentFault {
    /// An append was interrupted.
    Cut,
    /// Bytes changed after they were written.
    Bad,
    /// A later version wrote it.
    Newer,
}

/// Reads a segment's bytes. Any bytes at all may be given.
pub(super) fn read(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let snapshot = match read_header(bytes) {
        Ok(snapshot) => snapshot,
        Err(flaw) => {
            contents.flaw = Some(flaw);
            return contents;
        }
    };
    let mut at = HEADER;
    loop {
        match record::decode(&bytes[at..]) {
            ScannedRecord::Record(record, size) => {
                contents.records.push(record);
                at += size;
            }
            ScannedRecord::End => break,
            ScannedRecord::Cut => {
                contents.flaw = Some(SegmentFault::Cut);
                break;
            }
            ScannedRecord::Bad => {
                contents.flaw = Some(SegmentFault::Bad);
                break;
            }
        }
    }
    contents.good = at as u64;
    contents.whole_snapshot = (at - HEADER) as u64 >= snapshot;
    contents
}

/// The snapshot's size in bytes.
fn read_header(bytes: &[u8]) -> Result<u64, SegmentFault> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(SegmentFault::Cut);
    };
    if header.iter().all(|byte| *byte == 0) {
        return Err(SegmentFault::Cut);
    }
    let Some(rest) = header.strip_prefix(MAGIC) else {
        return Err(SegmentFault::Bad);
    };
    // The version stands outside the checksum's judgement: a later one may check differently.
    if let [low, high, ..] = rest
        && u16::from_le_bytes([*low, *high]) > VERSION
    {
        return Err(SegmentFault::Newer);
    }
    let (Some(sum), Some(snapshot)) = (header.last_chunk::<4>(), rest[4..].first_chunk::<8>()) else {
        return Err(SegmentFault::Bad);
    };
    if crc32fast::hash(&header[..HEADER - 4]) != u32::from_le_bytes(*sum) {
        return Err(SegmentFault::Bad);
    }
    Ok(u64::from_le_bytes(*snapshot))
}

/// The segments in a folder, in order, and files left over from a segment's making.
pub(super) fn list(folder: &Path) -> io::Result<(Vec<u32>, Vec<PathBuf>)> {
    let mut numbers = Vec::new();
    let mut leftovers = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if let Some(found) = number(&name) {
            numbers.push(found);
        } else if name.ends_with(".new") {
            leftovers.push(entry.path());
        }
    }
    numbers.sort_unstable();
    Ok((numbers, leftovers))
}
