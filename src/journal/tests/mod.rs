//! Journals on a real disk: written, truncated, corrupted, filled up, and read again.

mod damage;
mod limits;

use std::fs;
use std::io::Write as _;

use bytes::Bytes;
use tempfile::TempDir;

use super::disk::faults;
use super::*;

const LOG: u8 = 1;
const STATE: u8 = 2;

fn id() -> JournalId {
    JournalId("0a1b".into())
}

fn entry(seq: u64) -> RawRecord {
    RawRecord {
        kind: LOG,
        seq,
        data: Bytes::from(format!("message {seq}")),
        content: Bytes::new(),
    }
}

fn state(text: &str) -> RawRecord {
    RawRecord {
        kind: STATE,
        seq: 0,
        data: Bytes::from(text.to_owned()),
        content: Bytes::new(),
    }
}

fn append(record: RawRecord) -> JournalEntry {
    JournalEntry::Append { record, sync: false }
}

fn no_snapshot(_: &JournalId) -> Vec<RawRecord> {
    panic!("no snapshot was expected to be needed")
}

fn empty() -> (TempDir, Journals) {
    let dir = TempDir::new().unwrap();
    let (journals, recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    assert!(recovered.is_empty());
    (dir, journals)
}

/// Flushes every journal; those that want a snapshot at once with it.
fn flush_with(
    journals: &mut Journals,
    mut snapshot: impl FnMut(&JournalId) -> Vec<RawRecord>,
) -> Vec<(JournalId, JournalError)> {
    let mut lost = Vec::new();
    for id in journals.slots.ids() {
        let mut flushed = journals.flush(&id, None);
        if flushed.is_ok() && journals.wants_snapshot(&id) {
            flushed = journals.flush(&id, Some(&snapshot(&id)));
        }
        lost.extend(flushed.err().map(|error| (id, error)));
    }
    lost
}

fn flush(journals: &mut Journals) {
    let lost = flush_with(journals, no_snapshot);
    assert!(lost.is_empty(), "{lost:?}");
}

/// The only journal, read as after a crash.
fn reopen(dir: &TempDir) -> (Journals, Recovered) {
    let (journals, mut recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    assert_eq!(recovered.len(), 1);
    (journals, recovered.remove(0))
}

/// A journal of ten log entries, closed.
fn with_ten_entries() -> TempDir {
    let (dir, mut journals) = empty();
    for seq in 1..=10 {
        journals.apply(&id(), append(entry(seq))).unwrap();
    }
    flush(&mut journals);
    dir
}

fn segment_path(dir: &TempDir, number: u32) -> PathBuf {
    segment::path(&dir.path().join(&*id().0), number)
}

fn segments(dir: &TempDir) -> Vec<u32> {
    segment::list(&dir.path().join(&*id().0)).unwrap().0
}

fn corrupt(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn entries(seqs: impl IntoIterator<Item = u64>) -> Vec<RawRecord> {
    seqs.into_iter().map(entry).collect()
}

/// Entries that fill a segment, in flushes of one each.
fn fill(journals: &mut Journals, seqs: impl IntoIterator<Item = u64>, snapshot: &str) {
    for seq in seqs {
        let record = RawRecord {
            kind: LOG,
            seq,
            data: Bytes::from(vec![b'x'; 1 << 20]),
            content: Bytes::new(),
        };
        journals.apply(&id(), append(record)).unwrap();
        let lost = flush_with(journals, |_| vec![state(snapshot)]);
        assert!(lost.is_empty(), "{lost:?}");
    }
}

#[test]
fn flushed_records_are_recovered_in_order() {
    let (dir, mut journals) = empty();
    let written = [state("a"), entry(1), entry(2), state("b"), entry(1)];
    for record in &written {
        journals.apply(&id(), append(record.clone())).unwrap();
    }
    flush(&mut journals);
    drop(journals);
    let (_journals, recovered) = reopen(&dir);
    assert_eq!(recovered.id, id());
    assert_eq!(recovered.records, written);
    assert_eq!(recovered.damage, None);
}

#[test]
fn a_sync_entry_is_written_before_apply_returns() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(state("a"))).unwrap();
    let record = state("reserved");
    journals
        .apply(&id(), JournalEntry::Append { record, sync: true })
        .unwrap();
    drop(journals);
    assert_eq!(reopen(&dir).1.records, [state("a"), state("reserved")]);
}

#[test]
fn unflushed_records_are_not_recovered() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(entry(1))).unwrap();
    flush(&mut journals);
    journals.apply(&id(), append(entry(2))).unwrap();
    drop(journals);
    assert_eq!(reopen(&dir).1.records, entries([1]));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("state").join("journal");
    let (mut journals, _) = Journals::open(&dir, Quota::default()).unwrap();
    journals.apply(&id(), append(entry(1))).unwrap();
    flush(&mut journals);
    let folder = dir.join(&*id().0);
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&segment::path(&folder, 1)), 0o600);
    assert_eq!(mode(&dir.join("lock")), 0o600);
}

#[test]
fn two_brokers_cannot_open_one_journal() {
    let (dir, journals) = empty();
    let error = Journals::open(dir.path(), Quota::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(journals);
    Journals::open(dir.path(), Quota::default()).unwrap();
}

#[test]
fn a_full_segment_is_followed_by_one_with_a_snapshot() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(state("old"))).unwrap();
    fill(&mut journals, 1..=5, "now");
    assert_eq!(segments(&dir), [1, 2]);
    drop(journals);
    let (_, recovered) = reopen(&dir);
    let seqs: Vec<_> = recovered.records.iter().map(|record| record.seq).collect();
    assert_eq!(
        seqs,
        [1, 2, 3, 4, 0, 5],
        "the snapshot replaces all earlier state"
    );
    assert_eq!(recovered.records[4], state("now"));
}

#[test]
fn a_large_snapshot_does_not_make_every_flush_a_new_segment() {
    let (dir, mut journals) = empty();
    let large = "s".repeat(9 << 20);
    let mut snapshots = 0;
    for seq in 1..=20 {
        let record = RawRecord {
            kind: LOG,
            seq,
            data: Bytes::from(vec![b'x'; 1 << 20]),
            content: Bytes::new(),
        };
        journals.apply(&id(), append(record)).unwrap();
        let lost = flush_with(&mut journals, |_| {
            snapshots += 1;
            vec![state(&large)]
        });
        assert!(lost.is_empty(), "{lost:?}");
    }
    assert_eq!(
        snapshots, 2,
        "one after 4 MiB, one after as much as the snapshot has"
    );
    assert_eq!(segments(&dir), [1, 2, 3]);
}

#[test]
fn trim_removes_whole_segments_and_never_the_last() {
    let (dir, mut journals) = empty();
    fill(&mut journals, 1..=9, "now");
    assert_eq!(segments(&dir), [1, 2, 3]);
    let before = journals.bytes();
    journals.apply(&id(), JournalEntry::Trim { seq: 7 }).unwrap();
    flush(&mut journals);
    assert_eq!(segments(&dir), [2, 3], "entry 8 is in the second");
    assert!(journals.bytes() < before - (4 << 20));
    journals.apply(&id(), JournalEntry::Trim { seq: 1000 }).unwrap();
    flush(&mut journals);
    assert_eq!(segments(&dir), [3]);
    drop(journals);
    let (_, recovered) = reopen(&dir);
    assert_eq!(recovered.damage, None, "a trimmed beginning is no loss");
    assert_eq!(recovered.records[0], state("now"));
}

#[test]
fn remove_deletes_everything_and_the_id_is_reusable() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(entry(1))).unwrap();
    flush(&mut journals);
    journals.apply(&id(), append(entry(2))).unwrap();
    journals.apply(&id(), JournalEntry::Remove).unwrap();
    flush(&mut journals);
    assert_eq!(journals.bytes(), 0);
    assert!(!dir.path().join(&*id().0).exists());
    journals.apply(&id(), append(entry(3))).unwrap();
    flush(&mut journals);
    drop(journals);
    assert_eq!(reopen(&dir).1.records, entries([3]));
}

#[test]
fn an_invalid_folder_name_is_refused() {
    let (dir, mut journals) = empty();
    for name in ["", "../x", "A", "con", "lock"] {
        let done = journals.apply(&JournalId(name.into()), append(entry(1)));
        assert!(matches!(done, Err(JournalError::BadName(_))), "{name}: {done:?}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 1, "the lock alone");
}
