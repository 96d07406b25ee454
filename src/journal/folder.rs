//! One session's journal: a folder of segments, the last of which grows.
//!
//! It keeps no sums over sessions and decides no quota's height; `Journals` does.
//!
//! A segment after the first is written under another name, with a whole snapshot at its head, synced, and only then
//! renamed. So the last segment alone is enough to know the state, and an older one is needed only for log entries.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use crate::core::journal::{Damage, JournalEntry, RawRecord};
use crate::crash;

use super::disk;
use super::quota::{JournalError, SpaceLimit};
use super::record;
use super::record_buffer::RecordBuffer;
use super::recovery;
use super::segment::{self, Segment};

/// A segment that has grown by this many bytes is followed by a new one.
const MAX_SEGMENT_BYTES: u64 = 4 << 20;

/// A journal's folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    segments: Vec<Segment>,
    /// The last segment, if open.
    file: Option<File>,
    /// Appended and not yet written.
    pending: RecordBuffer,
    /// Highest `seq` no longer needed.
    trimmed: u64,
    /// Size of the last segment's snapshot.
    snapshot: u64,
    /// Whether the names of folder and segment are on the disk itself.
    names_synced: bool,
    /// Something was written since `close_idle` was last called.
    is_busy: bool,
    /// What recovery found, until it is repaired.
    damage: Option<Damage>,
}

impl Folder {
    /// A journal that is not on the disk yet.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            segments: Vec::new(),
            file: None,
            pending: RecordBuffer::new(),
            trimmed: 0,
            snapshot: 0,
            names_synced: false,
            is_busy: false,
            damage: None,
        }
    }

    /// A journal that is there already, and what it holds. Changes nothing on the disk.
    pub(super) fn recover(path: PathBuf) -> Result<(Self, Vec<RawRecord>, Option<Damage>), JournalError> {
        let found = recovery::recover(&path)?;
        let mut folder = Self::new(path);
        folder.segments = found.segments;
        if found.damage == Some(Damage::Torn) {
            // The very first write was interrupted within the header: begin again.
            folder.segments.retain(|segment| segment.good > 0);
        }
        folder.damage = found.damage;
        folder.names_synced = true;
        Ok((folder, found.records, found.damage))
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Whether it holds a file open.
    pub(super) const fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Lets go of the file; the next write opens it again.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Lets go of the file unless something was written since the last call.
    pub(super) fn close_idle(&mut self) {
        if !std::mem::take(&mut self.is_busy) {
            self.file = None;
        }
    }

    /// What it holds is not what was true last: the next flush begins anew.
    pub(super) const fn distrust(&mut self) {
        self.damage = Some(Damage::Corrupt);
    }

    /// Puts the folder under another name, where the next start finds it. That needs no descriptor and no room.
    pub(super) fn set_aside(mut self, suffix: &str) -> Result<(), JournalError> {
        self.file = None;
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        match fs::rename(&self.path, self.path.with_file_name(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed.map_err(JournalError::io("rename", &self.path)),
        }
    }

    /// Whether the next flush has something to do.
    pub(super) fn is_dirty(&self) -> bool {
        !self.pending.is_empty() || self.damage == Some(Damage::Corrupt) || self.has_idle_segments()
    }

    /// Appends in memory.
    pub(super) fn append(&mut self, record: &RawRecord) -> Result<(), JournalError> {
        self.is_busy = true;
        crash::point("journal.append.before");
        self.pending.push(record)?;
        crash::point("journal.append.after");
        Ok(())
    }

    /// Makes room for entries that are to be applied.
    pub(super) fn reserve(&mut self, entries: &[JournalEntry]) {
        self.pending.reserve(entries);
    }

    /// Appends or trims, as an entry says.
    pub(super) fn apply(&mut self, limit: SpaceLimit, entry: &JournalEntry) -> Result<(), JournalError> {
        match entry {
            JournalEntry::Append { record, sync } => {
                self.append(record)?;
                if *sync { self.sync(limit) } else { Ok(()) }
            }
            JournalEntry::Trim { seq } => {
                // Log entries up to it are no longer needed.
                self.trimmed = self.trimmed.max(*seq);
                Ok(())
            }
            JournalEntry::Remove => Ok(()),
        }
    }

    /// Writes what is pending and has it on the disk itself. A journal with damage in its middle does so with the
    /// next flush instead, which brings the snapshot it needs first.
    pub(super) fn sync(&mut self, limit: SpaceLimit) -> Result<(), JournalError> {
        if self.damage == Some(Damage::Corrupt) {
            return Ok(());
        }
        self.write(limit)?;
        self.sync_file()
    }

    /// Writes what is pending, in one write; begins a new segment with `snapshot` if it is given and wanted, and removes
    /// those not needed.
    pub(super) fn flush(
        &mut self,
        limit: SpaceLimit,
        snapshot: Option<&[RawRecord]>,
    ) -> Result<(), JournalError> {
        if self.damage == Some(Damage::Corrupt) {
            let Some(snapshot) = snapshot else { return Ok(()) };
            self.rebuild(limit, snapshot)?;
        } else {
            self.write(limit)?;
            if self.is_full()
                && let Some(snapshot) = snapshot
            {
                self.sync_file()?;
                self.roll(limit, snapshot)?;
            }
        }
        if self.has_idle_segments() {
            // The entries that made them needless must not be younger than their absence.
            self.sync_file()?;
            self.remove_idle_segments()?;
        }
        Ok(())
    }

    /// Removes the folder. The name goes first, so that a crash leaves no half journal to be recovered.
    pub(super) fn remove(mut self) -> Result<(), JournalError> {
        self.file = None;
        let removed = self.path.with_extension("gone");
        match fs::rename(&self.path, &removed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(JournalError::io("rename", &self.path))?,
        }
        fs::remove_dir_all(&removed).map_err(JournalError::io("remove", &removed))
    }

    /// Whether it cannot go on as it is for long: the next flush is to be given the session's state.
    pub(super) fn wants_snapshot(&self) -> bool {
        self.damage == Some(Damage::Corrupt) || self.is_full()
    }

    fn is_full(&self) -> bool {
        self.segments.last().is_some_and(|last| {
            last.bytes.saturating_sub(self.snapshot) >= MAX_SEGMENT_BYTES.max(self.snapshot)
        })
    }

    fn has_idle_segments(&self) -> bool {
        self.segments
            .split_last()
            .is_some_and(|(_, older)| older.iter().any(|segment| segment.top <= self.trimmed))
    }

    /// One write of all that is pending.
    fn write(&mut self, limit: SpaceLimit) -> Result<(), JournalError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let more = self.pending.bytes().len() as u64;
        if let Err(full) = limit.check(self.bytes() + more) {
            if !self.has_idle_segments() {
                return Err(full);
            }
            self.sync_file()?;
            self.remove_idle_segments()?;
            limit.check(self.bytes() + more)?;
        }
        if self.segments.is_empty() {
            return self.write_first();
        }
        let path = self.last_path();
        let Some(last) = self.segments.last_mut() else {
            return Ok(());
        };
        let file = match self.file.take() {
            Some(file) => file,
            None => disk::open_at(&path, last.good).map_err(JournalError::io("open", &path))?,
        };
        crash::point("journal.flush.before");
        disk::write(&file, self.pending.bytes()).map_err(JournalError::io("write to", &path))?;
        last.good += more;
        if self.damage.take().is_some() && last.bytes > last.good {
            // What an interrupted append left behind reaches further than what has now replaced it.
            file.set_len(last.good)
                .map_err(JournalError::io("shorten", &path))?;
        }
        crash::point("journal.flush.after");
        last.bytes = last.good;
        last.top = last.top.max(self.pending.top());
        self.file = Some(file);
        self.pending.clear();
        Ok(())
    }

    /// Makes the folder and its first segment.
    fn write_first(&mut self) -> Result<(), JournalError> {
        disk::make_folder(&self.path).map_err(JournalError::io("make the folder", &self.path))?;
        let path = segment::path(&self.path, 1);
        let file = disk::create(&path).map_err(JournalError::io("create", &path))?;
        self.segments.push(Segment {
            number: 1,
            bytes: 0,
            good: 0,
            top: self.pending.top(),
        });
        let mut bytes = Vec::with_capacity(segment::HEADER + self.pending.bytes().len());
        segment::header(&mut bytes, 0);
        bytes.extend_from_slice(self.pending.bytes());
        crash::point("journal.flush.before");
        disk::write(&file, &bytes).map_err(JournalError::io("write to", &path))?;
        crash::point("journal.flush.after");
        if let Some(first) = self.segments.last_mut() {
            first.bytes = bytes.len() as u64;
            first.good = first.bytes;
        }
        self.file = Some(file);
        self.damage = None;
        self.pending.clear();
        Ok(())
    }

    /// Has the last segment, and the names that lead to it, on the disk itself. A failure is final: the system may
    /// have dropped the bytes, and a second attempt would falsely succeed.
    fn sync_file(&mut self) -> Result<(), JournalError> {
        let path = self.last_path();
        let Some(file) = &self.file else {
            return match self.segments.last() {
                Some(last) => {
                    let file = disk::open_at(&path, last.good).map_err(JournalError::io("open", &path))?;
                    self.file = Some(file);
                    self.sync_file()
                }
                None => Ok(()),
            };
        };
        crash::point("journal.sync.before");
        disk::sync(file).map_err(JournalError::io("sync", &path))?;
        if disk::is_removed(file).map_err(JournalError::io("look at", &path))? {
            return Err(JournalError::io("sync", &path)(io::ErrorKind::NotFound.into()));
        }
        if !self.names_synced {
            disk::sync_folder(&self.path).map_err(JournalError::io("sync the folder", &self.path))?;
            if let Some(parent) = self.path.parent() {
                disk::sync_folder(parent).map_err(JournalError::io("sync the folder", parent))?;
            }
            self.names_synced = true;
        }
        crash::point("journal.sync.after");
        Ok(())
    }

    /// Begins a new segment with a snapshot, and what is pending behind it.
    fn roll(&mut self, limit: SpaceLimit, snapshot: &[RawRecord]) -> Result<(), JournalError> {
        let size: u64 = snapshot.iter().map(|record| record::size(record) as u64).sum();
        let mut new_segment = RecordBuffer::with_header(size);
        for record in snapshot {
            new_segment.push(record)?;
        }
        new_segment.append(&self.pending);
        let bytes = new_segment.bytes();
        limit.check(self.bytes() + bytes.len() as u64)?;
        let number = self.segments.last().map_or(1, |last| last.number + 1);
        let path = segment::path(&self.path, number);
        let new = path.with_extension("new");
        crash::point("journal.roll.before");
        let file = disk::create(&new).map_err(JournalError::io("create", &new))?;
        disk::write(&file, bytes).map_err(JournalError::io("write to", &new))?;
        disk::sync(&file).map_err(JournalError::io("sync", &new))?;
        fs::rename(&new, &path).map_err(JournalError::io("rename", &new))?;
        disk::sync_folder(&self.path).map_err(JournalError::io("sync the folder", &self.path))?;
        crash::point("journal.roll.after");
        self.segments.push(Segment {
            number,
            bytes: bytes.len() as u64,
            good: bytes.len() as u64,
            top: new_segment.top(),
        });
        self.snapshot = size;
        self.file = Some(file);
        self.pending.clear();
        Ok(())
    }

    /// After damage that no append left: a new segment with the core's snapshot, then removes what is not in it.
    fn rebuild(&mut self, limit: SpaceLimit, snapshot: &[RawRecord]) -> Result<(), JournalError> {
        let flawed = self
            .segments
            .iter()
            .position(|segment| segment.good < segment.bytes || segment.good == 0)
            .unwrap_or(self.segments.len());
        self.roll(limit, snapshot)?;
        let (folder, last) = (&self.path, self.segments.len() - 1);
        let mut failed = None;
        let mut index = 0;
        self.segments.retain_mut(|segment| {
            let at = index;
            index += 1;
            if at < flawed || at == last || failed.is_some() {
                return true;
            }
            let path = segment::path(folder, segment.number);
            let is_repaired = at == flawed && segment.good > 0;
            let done = if is_repaired {
                segment.bytes = segment.good;
                disk::open_at(&path, 0).and_then(|file| file.set_len(segment.good))
            } else {
                fs::remove_file(&path)
            };
            failed = done.err().map(JournalError::io("repair", &path));
            is_repaired
        });
        self.damage = None;
        failed.map_or(Ok(()), Err)
    }

    fn remove_idle_segments(&mut self) -> Result<(), JournalError> {
        let last = self.segments.last().map(|segment| segment.number);
        let mut failed = None;
        let (folder, trimmed) = (&self.path, self.trimmed);
        self.segments.retain(|segment| {
            if Some(segment.number) == last || segment.top > trimmed || failed.is_some() {
                return true;
            }
            let path = segment::path(folder, segment.number);
            match fs::remove_file(&path) {
                Ok(()) => false,
                Err(error) => {
                    failed = Some(JournalError::io("remove", &path)(error));
                    true
                }
            }
        });
        failed.map_or(Ok(()), Err)
    }

    fn last_path(&self) -> PathBuf {
        segment::path(&self.path, self.segments.last().map_or(1, |last| last.number))
    }
}
