//! Journals on a real disk: written, cut, bent, filled up, and read again.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::disk::faults;
use super::*;

const LOG: u8 = 1;
const STATE: u8 = 2;

fn id() -> JournalId {
    JournalId("0a1b".to_owned())
}

fn entry(seq: u64) -> RawRecord {
    RawRecord {
        kind: LOG,
        seq,
        data: Bytes::from(format!("message {seq}")),
    }
}

fn state(text: &str) -> RawRecord {
    RawRecord {
        kind: STATE,
        seq: 0,
        data: Bytes::from(text.to_owned()),
    }
}

fn append(kept: RawRecord) -> Entry {
    Entry::Append { kept, sync: false }
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
    let mut ids: Vec<JournalId> = journals.journals.keys().cloned().collect();
    ids.sort();
    let mut lost = Vec::new();
    for id in ids {
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
fn ten() -> TempDir {
    let (dir, mut journals) = empty();
    for seq in 1..=10 {
        journals.apply(&id(), append(entry(seq))).unwrap();
    }
    flush(&mut journals);
    dir
}

fn segment_path(dir: &TempDir, number: u32) -> PathBuf {
    segment::path(&dir.path().join(&id().0), number)
}

fn segments(dir: &TempDir) -> Vec<u32> {
    segment::list(&dir.path().join(&id().0)).unwrap().0
}

fn bend(path: &Path, at: usize) {
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
        let kept = RawRecord {
            kind: LOG,
            seq,
            data: Bytes::from(vec![b'x'; 1 << 20]),
        };
        journals.apply(&id(), append(kept)).unwrap();
        let lost = flush_with(journals, |_| vec![state(snapshot)]);
        assert!(lost.is_empty(), "{lost:?}");
    }
}

#[test]
fn what_is_flushed_comes_back_in_order() {
    let (dir, mut journals) = empty();
    let written = [state("a"), entry(1), entry(2), state("b"), entry(1)];
    for kept in &written {
        journals.apply(&id(), append(kept.clone())).unwrap();
    }
    flush(&mut journals);
    drop(journals);
    let (_journals, recovered) = reopen(&dir);
    assert_eq!(recovered.id, id());
    assert_eq!(recovered.kept, written);
    assert_eq!(recovered.damage, None);
}

#[test]
fn a_sync_entry_is_written_before_apply_returns() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(state("a"))).unwrap();
    let kept = state("reserved");
    journals.apply(&id(), Entry::Append { kept, sync: true }).unwrap();
    drop(journals);
    assert_eq!(reopen(&dir).1.kept, [state("a"), state("reserved")]);
}

#[test]
fn what_was_not_flushed_is_not_there() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(entry(1))).unwrap();
    flush(&mut journals);
    journals.apply(&id(), append(entry(2))).unwrap();
    drop(journals);
    assert_eq!(reopen(&dir).1.kept, entries([1]));
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
    let folder = dir.join(&id().0);
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&segment::path(&folder, 1)), 0o600);
    assert_eq!(mode(&dir.join("lock")), 0o600);
}

#[test]
fn two_brokers_never_have_one_journal() {
    let (dir, journals) = empty();
    let error = Journals::open(dir.path(), Quota::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(journals);
    Journals::open(dir.path(), Quota::default()).unwrap();
}

#[test]
fn a_tail_torn_at_any_byte_is_told_and_the_rest_is_kept() {
    let dir = ten();
    let path = segment_path(&dir, 1);
    let whole = fs::read(&path).unwrap();
    let last = record::size(&entry(10));
    for cut in 1..last {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let (_, recovered) = reopen(&dir);
        assert_eq!(recovered.kept, entries(1..=9), "{cut} bytes missing");
        assert_eq!(recovered.damage, Some(Damage::Torn), "{cut} bytes missing");
    }
}

#[test]
fn a_loss_is_found_again_until_something_is_written_in_its_place() {
    let dir = ten();
    let path = segment_path(&dir, 1);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let (mut journals, recovered) = reopen(&dir);
    assert_eq!(recovered.damage, Some(Damage::Torn));
    flush(&mut journals);
    drop(journals);
    let (mut journals, recovered) = reopen(&dir);
    assert_eq!(
        recovered.damage,
        Some(Damage::Torn),
        "nobody has answered for it yet"
    );
    journals.apply(&id(), append(state("gap"))).unwrap();
    flush(&mut journals);
    drop(journals);
    let (_, recovered) = reopen(&dir);
    assert_eq!(recovered.damage, None);
    let mut expected = entries(1..=9);
    expected.push(state("gap"));
    assert_eq!(recovered.kept, expected);
}

#[test]
fn a_tail_of_zeros_is_no_record() {
    let dir = ten();
    let path = segment_path(&dir, 1);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&[0; 10_000]).unwrap();
    let (mut journals, recovered) = reopen(&dir);
    assert_eq!(recovered.kept, entries(1..=10));
    assert_eq!(recovered.damage, Some(Damage::Torn));
    journals.apply(&id(), append(entry(11))).unwrap();
    flush(&mut journals);
    drop(journals);
    let (_, recovered) = reopen(&dir);
    assert_eq!((recovered.kept, recovered.damage), (entries(1..=11), None));
}

#[test]
fn a_flipped_bit_ends_the_log_there_and_the_next_flush_repairs() {
    let dir = ten();
    let path = segment_path(&dir, 1);
    bend(&path, segment::HEADER + 4 * record::size(&entry(1)) + 20);
    let (mut journals, recovered) = reopen(&dir);
    assert_eq!(recovered.kept, entries(1..=4));
    assert_eq!(recovered.damage, Some(Damage::Corrupt));
    let gap = RawRecord {
        kind: LOG,
        seq: 10,
        data: Bytes::from_static(b"gap 5..10"),
    };
    let kept = gap.clone();
    journals.apply(&id(), Entry::Append { kept, sync: true }).unwrap();
    assert!(flush_with(&mut journals, |_| vec![state("new epoch")]).is_empty());
    drop(journals);
    let (_, recovered) = reopen(&dir);
    let mut expected = entries(1..=4);
    expected.extend([state("new epoch"), gap]);
    assert_eq!((recovered.kept, recovered.damage), (expected, None));
}

#[test]
fn a_bad_middle_segment_ends_the_log_but_not_the_state() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(state("first"))).unwrap();
    fill(&mut journals, 1..=9, "third");
    assert_eq!(segments(&dir), [1, 2, 3]);
    journals.apply(&id(), append(state("newest"))).unwrap();
    flush(&mut journals);
    drop(journals);
    // Entries 5 to 8 are in the second segment; 6 is bent.
    bend(&segment_path(&dir, 2), 2 << 20);
    let (mut journals, recovered) = reopen(&dir);
    let seqs: Vec<_> = recovered
        .kept
        .iter()
        .map(|kept| kept.seq)
        .filter(|seq| *seq > 0)
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    let states: Vec<_> = recovered
        .kept
        .iter()
        .filter(|kept| kept.seq == 0)
        .cloned()
        .collect();
    assert_eq!(states, [state("third"), state("newest")]);
    assert_eq!(recovered.damage, Some(Damage::Corrupt));

    assert!(flush_with(&mut journals, |_| vec![state("new epoch")]).is_empty());
    assert_eq!(segments(&dir), [1, 2, 4]);
    drop(journals);
    let (_, again) = reopen(&dir);
    let seqs: Vec<_> = again.kept.iter().map(|kept| kept.seq).collect();
    assert_eq!(
        (seqs.as_slice(), again.damage),
        ([1, 2, 3, 4, 5, 0].as_slice(), None)
    );
}

#[test]
fn a_bent_snapshot_falls_back_to_the_state_before_it() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(state("first"))).unwrap();
    fill(&mut journals, 1..=4, "second");
    assert_eq!(segments(&dir), [1, 2]);
    drop(journals);
    bend(&segment_path(&dir, 2), segment::HEADER + 18);
    let (_, recovered) = reopen(&dir);
    assert_eq!(recovered.kept[0], state("first"));
    assert_eq!(recovered.damage, Some(Damage::Corrupt));
}

#[test]
fn a_full_segment_is_followed_by_one_with_a_snapshot() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(state("old"))).unwrap();
    fill(&mut journals, 1..=5, "now");
    assert_eq!(segments(&dir), [1, 2]);
    drop(journals);
    let (_, recovered) = reopen(&dir);
    let seqs: Vec<_> = recovered.kept.iter().map(|kept| kept.seq).collect();
    assert_eq!(
        seqs,
        [1, 2, 3, 4, 0, 5],
        "the snapshot stands for all state before it"
    );
    assert_eq!(recovered.kept[4], state("now"));
}

#[test]
fn a_large_snapshot_does_not_make_every_flush_a_new_segment() {
    let (dir, mut journals) = empty();
    let large = "s".repeat(9 << 20);
    let mut snapshots = 0;
    for seq in 1..=20 {
        let kept = RawRecord {
            kind: LOG,
            seq,
            data: Bytes::from(vec![b'x'; 1 << 20]),
        };
        journals.apply(&id(), append(kept)).unwrap();
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
    journals.apply(&id(), Entry::Trim { seq: 7 }).unwrap();
    flush(&mut journals);
    assert_eq!(segments(&dir), [2, 3], "entry 8 is in the second");
    assert!(journals.bytes() < before - (4 << 20));
    journals.apply(&id(), Entry::Trim { seq: 1000 }).unwrap();
    flush(&mut journals);
    assert_eq!(segments(&dir), [3]);
    drop(journals);
    let (_, recovered) = reopen(&dir);
    assert_eq!(recovered.damage, None, "a trimmed beginning is no loss");
    assert_eq!(recovered.kept[0], state("now"));
}

#[test]
fn remove_leaves_nothing_and_the_name_may_be_used_again() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(entry(1))).unwrap();
    flush(&mut journals);
    journals.apply(&id(), append(entry(2))).unwrap();
    journals.apply(&id(), Entry::Remove).unwrap();
    flush(&mut journals);
    assert_eq!(journals.bytes(), 0);
    assert!(!dir.path().join(&id().0).exists());
    journals.apply(&id(), append(entry(3))).unwrap();
    flush(&mut journals);
    drop(journals);
    assert_eq!(reopen(&dir).1.kept, entries([3]));
}

#[test]
fn a_removal_cut_short_is_finished_at_the_next_start() {
    let dir = ten();
    let folder = dir.path().join(&id().0);
    fs::rename(&folder, folder.with_extension("gone")).unwrap();
    let (_journals, recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    assert!(recovered.is_empty());
    assert!(!folder.with_extension("gone").exists());
}

#[test]
fn a_segment_cut_short_in_its_making_does_not_count() {
    let dir = ten();
    let new = segment_path(&dir, 2).with_extension("new");
    fs::write(&new, b"longwire half").unwrap();
    let (_, recovered) = reopen(&dir);
    assert_eq!((recovered.kept, recovered.damage), (entries(1..=10), None));
    assert!(!new.exists());
}

#[test]
fn a_journal_of_a_later_version_is_refused_and_kept() {
    let dir = ten();
    let path = segment_path(&dir, 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    fs::write(&path, &bytes).unwrap();
    let (mut journals, recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    assert!(recovered.is_empty());
    let refused = journals.apply(&id(), append(entry(1)));
    assert!(matches!(refused, Err(JournalError::Newer { .. })), "{refused:?}");
    journals.apply(&id(), append(entry(2))).expect("told once");
    journals.apply(&id(), Entry::Remove).unwrap();
    flush(&mut journals);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

/// Whatever fails, the error comes once, the files are set aside, and go with the session.
fn given_up(operation: &'static str, sync: bool) {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(entry(1))).unwrap();
    flush(&mut journals);
    faults::fail(operation, 1);
    let kept = entry(2);
    let applied = journals.apply(&id(), Entry::Append { kept, sync });
    let lost = flush_with(&mut journals, no_snapshot);
    faults::stop();
    let error = match (applied, lost.into_iter().next()) {
        (Err(error), None) if sync => error,
        (Ok(()), Some((lost, error))) if !sync && lost == id() => error,
        other => panic!("{other:?}"),
    };
    assert!(
        matches!(&error, JournalError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull),
        "{error:?}"
    );
    journals.apply(&id(), append(entry(3))).expect("told once");
    flush(&mut journals);
    assert_eq!(journals.bytes(), 0);
    assert!(!dir.path().join(&id().0).exists());
    let stale = dir.path().join(format!("{}.stale", id().0));
    assert!(stale.exists());
    journals.apply(&id(), Entry::Remove).unwrap();
    assert!(!stale.exists());
    journals.apply(&id(), append(entry(4))).unwrap();
    flush(&mut journals);
    drop(journals);
    assert_eq!(reopen(&dir).1.kept, entries([4]), "back on the disk");
}

#[test]
fn a_full_disk_at_a_write() {
    given_up("write", false);
}

#[test]
fn a_full_disk_at_a_write_with_sync() {
    given_up("write", true);
}

#[test]
fn a_failed_sync_is_final() {
    given_up("sync", true);
}

#[test]
fn what_a_full_disk_kept_from_being_written_is_told_as_lost_and_the_rest_is_there() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(entry(1))).unwrap();
    flush(&mut journals);
    faults::fail("write", 1);
    journals.apply(&id(), append(entry(2))).unwrap();
    assert_eq!(flush_with(&mut journals, no_snapshot).len(), 1);
    faults::stop();
    drop(journals);
    let (mut journals, recovered) = reopen(&dir);
    assert_eq!(
        (recovered.kept, recovered.damage),
        (entries([1]), Some(Damage::Corrupt))
    );
    assert!(flush_with(&mut journals, |_| vec![state("now")]).is_empty());
    drop(journals);
    assert_eq!(reopen(&dir).1.damage, None, "answered for");
}

#[test]
fn an_extension_has_a_number_of_journals() {
    let dir = TempDir::new().unwrap();
    let quota = Quota {
        journals: 2,
        ..Quota::default()
    };
    let (mut journals, _) = Journals::open(dir.path(), quota).unwrap();
    let journal = |origin: &str, random: &str| JournalId::new(origin, random);
    for random in ["1", "2"] {
        journals
            .apply(&journal("chrome-extension://a/", random), append(state("x")))
            .unwrap();
    }
    let third = journal("chrome-extension://a/", "3");
    let refused = journals.apply(&third, append(state("x")));
    assert!(
        matches!(refused, Err(JournalError::TooMany { limit: 2 })),
        "{refused:?}"
    );
    journals.apply(&third, append(state("x"))).expect("told once");
    journals
        .apply(&journal("chrome-extension://b/", "4"), append(state("x")))
        .unwrap();
    journals
        .apply(&journal("chrome-extension://a/", "1"), Entry::Remove)
        .unwrap();
    journals
        .apply(&journal("chrome-extension://a/", "5"), append(state("x")))
        .unwrap();
}

#[test]
fn what_is_beyond_the_quota_at_the_start_is_not_used_and_stays() {
    let dir = TempDir::new().unwrap();
    let (mut journals, _) = Journals::open(dir.path(), Quota::default()).unwrap();
    let own = |random: &str| JournalId::new("chrome-extension://a/", random);
    let other = JournalId::new("chrome-extension://b/", "4");
    for id in [&own("1"), &own("2"), &own("3"), &other] {
        journals.apply(id, append(state(&"x".repeat(600)))).unwrap();
    }
    flush(&mut journals);
    drop(journals);
    for quota in [
        Quota {
            journals: 2,
            ..Quota::default()
        },
        Quota {
            origin: 1500,
            ..Quota::default()
        },
    ] {
        let (mut journals, recovered) = Journals::open(dir.path(), quota).unwrap();
        assert_eq!(recovered.len(), 3, "two of one extension, one of the other");
        let refused = [own("1"), own("2"), own("3")]
            .into_iter()
            .find(|id| recovered.iter().all(|found| found.id != *id))
            .unwrap();
        assert!(
            journals.apply(&refused, append(state("y"))).is_err(),
            "the session is told that it is in memory"
        );
        journals.apply(&refused, Entry::Remove).unwrap();
    }
    let (_, recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    assert_eq!(recovered.len(), 4, "nothing was removed");
}

#[test]
fn many_journals_need_few_descriptors_and_idle_ones_none() {
    let dir = TempDir::new().unwrap();
    let quota = Quota {
        open_files: 4,
        ..Quota::default()
    };
    let (mut journals, _) = Journals::open(dir.path(), quota).unwrap();
    let all: Vec<JournalId> = (0..50)
        .map(|index| JournalId::new("a", &format!("{index:x}")))
        .collect();
    for round in 1..=3 {
        for id in &all {
            journals.apply(id, append(entry(round))).unwrap();
        }
        assert!(flush_with(&mut journals, no_snapshot).is_empty());
        assert!(journals.open_files <= 4, "{}", journals.open_files);
    }
    journals.close_idle();
    journals.close_idle();
    assert_eq!(journals.open_files, 0);
    drop(journals);
    let (_, recovered) = Journals::open(dir.path(), quota).unwrap();
    assert_eq!(recovered.len(), 50);
    assert!(recovered.iter().all(|found| found.kept == entries([1, 2, 3])));
}

#[test]
fn a_full_disk_at_a_new_segment() {
    let (dir, mut journals) = empty();
    fill(&mut journals, 1..=3, "unused");
    faults::fail("create", 1);
    let kept = RawRecord {
        kind: LOG,
        seq: 4,
        data: Bytes::from(vec![b'x'; 1 << 20]),
    };
    journals.apply(&id(), append(kept)).unwrap();
    let lost = flush_with(&mut journals, |_| vec![state("now")]);
    faults::stop();
    assert_eq!(lost.len(), 1);
    assert!(!dir.path().join(&id().0).exists());
}

#[cfg(unix)]
#[test]
fn a_folder_removed_behind_our_back_is_noticed_at_the_next_sync() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(entry(1))).unwrap();
    flush(&mut journals);
    fs::remove_dir_all(dir.path().join(&id().0)).unwrap();
    let kept = entry(2);
    let done = journals.apply(&id(), Entry::Append { kept, sync: true });
    assert!(matches!(done, Err(JournalError::Io { .. })), "{done:?}");
}

#[test]
fn a_session_has_a_quota_and_trimming_makes_room() {
    let dir = TempDir::new().unwrap();
    let quota = Quota {
        session: 10 << 20,
        origin: 100 << 20,
        total: 100 << 20,
        ..Quota::default()
    };
    let (mut journals, _) = Journals::open(dir.path(), quota).unwrap();
    fill(&mut journals, 1..=9, "now");
    journals.apply(&id(), Entry::Trim { seq: 8 }).unwrap();
    fill(&mut journals, 10..=12, "now");
    fill(&mut journals, 13..=16, "now");
    let kept = RawRecord {
        kind: LOG,
        seq: 17,
        data: Bytes::from(vec![b'x'; 4 << 20]),
    };
    journals.apply(&id(), append(kept)).unwrap();
    let lost = flush_with(&mut journals, |_| vec![state("now")]);
    assert!(
        matches!(lost.as_slice(), [(lost, JournalError::SessionFull { .. })] if *lost == id()),
        "{lost:?}"
    );
}

#[test]
fn the_sessions_of_one_extension_have_a_quota_together() {
    let dir = TempDir::new().unwrap();
    let quota = Quota {
        session: 1 << 20,
        origin: 1000,
        total: 1 << 20,
        ..Quota::default()
    };
    let (mut journals, _) = Journals::open(dir.path(), quota).unwrap();
    let [first, second] = ["1", "2"].map(|random| JournalId::new("chrome-extension://a/", random));
    let stranger = JournalId::new("chrome-extension://b/", "3");
    for id in [&first, &stranger, &second] {
        journals.apply(id, append(state(&"x".repeat(600)))).unwrap();
    }
    let lost = flush_with(&mut journals, no_snapshot);
    assert!(
        matches!(lost.as_slice(), [(lost, JournalError::OriginFull { .. })] if *lost == second),
        "{lost:?}"
    );
    // What was given up makes room again.
    let third = JournalId::new("chrome-extension://a/", "4");
    journals.apply(&third, append(state("x"))).unwrap();
    assert!(flush_with(&mut journals, no_snapshot).is_empty());
}

#[test]
fn all_sessions_have_a_quota_together() {
    let dir = TempDir::new().unwrap();
    let quota = Quota {
        session: 1 << 20,
        origin: 1 << 20,
        total: 1000,
        ..Quota::default()
    };
    let (mut journals, _) = Journals::open(dir.path(), quota).unwrap();
    let other = JournalId("ff".to_owned());
    for (id, size) in [(&id(), 600), (&other, 600)] {
        let kept = state(&"x".repeat(size));
        journals.apply(id, append(kept)).unwrap();
    }
    let lost = flush_with(&mut journals, no_snapshot);
    assert!(
        matches!(lost.as_slice(), [(lost, JournalError::AllFull { .. })] if *lost == other),
        "{lost:?}"
    );
    assert!(journals.bytes() < 1000);
}

#[test]
fn a_name_that_is_no_folder_name_is_refused() {
    let (dir, mut journals) = empty();
    for name in ["", "../x", "A", "con", "lock"] {
        let done = journals.apply(&JournalId(name.to_owned()), append(entry(1)));
        assert!(matches!(done, Err(JournalError::BadName(_))), "{name}: {done:?}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 1, "the lock alone");
}

#[test]
fn many_journals_do_not_hold_as_many_files() {
    let (dir, mut journals) = empty();
    let count = Quota::default().open_files * 2;
    for round in 1..=2 {
        for index in 0..count {
            let id = JournalId(format!("{index:04x}"));
            journals.apply(&id, append(entry(round))).unwrap();
        }
        flush(&mut journals);
        assert!(journals.open_files <= Quota::default().open_files);
    }
    drop(journals);
    let (_, recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    assert_eq!(recovered.len(), count);
    assert!(
        recovered
            .iter()
            .all(|found| found.kept == entries(1..=2) && found.damage.is_none())
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Any bytes in place of a segment: no panic, and every record given back is one whose checksum holds.
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let contents = segment::read(&bytes);
        prop_assert!(contents.good <= bytes.len() as u64);
    }

    /// Any change to a good segment: what comes back is a beginning of what was written.
    #[test]
    fn a_changed_segment_gives_back_a_beginning(
        at in 0usize..400,
        to in any::<u8>(),
        cut in 0usize..400,
    ) {
        let written = entries(1..=10);
        let mut bytes = Vec::new();
        segment::header(&mut bytes, 0);
        for kept in &written {
            record::encode(&mut bytes, kept);
        }
        let changed = at < bytes.len() && bytes[at] != to;
        if at < bytes.len() {
            bytes[at] = to;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        let contents = segment::read(&bytes);
        prop_assert!(written.starts_with(&contents.kept));
        if changed && at < bytes.len() {
            prop_assert!(contents.flaw.is_some() || contents.kept.len() < written.len());
        }
    }

    /// Any two segments, bent and cut: recovered, written to, and from then on undamaged, with what was written last.
    #[test]
    fn any_folder_can_be_written_to_again(
        flips in proptest::collection::vec((0usize..700, any::<u8>()), 0..4),
        (first, second) in (0usize..400, 0usize..400),
        sync in any::<bool>(),
    ) {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join(&id().0);
        fs::create_dir(&folder).unwrap();
        let mut bytes = Vec::new();
        for (number, length) in [(1u32, first), (2, second)] {
            let start = bytes.len();
            segment::header(&mut bytes, if number == 1 { 0 } else { record::size(&state("s")) as u64 });
            record::encode(&mut bytes, &state("s"));
            for seq in 1..=10 {
                record::encode(&mut bytes, &entry(u64::from(number) * 10 + seq));
            }
            for (at, to) in &flips {
                if let Some(byte) = bytes[start..].get_mut(at - (at / 350) * 350) {
                    *byte = if at / 350 == number as usize - 1 { *to } else { *byte };
                }
            }
            bytes.truncate(start + length.max(1));
            fs::write(segment::path(&folder, number), &bytes[start..]).unwrap();
        }
        let (mut journals, found) = Journals::open(dir.path(), Quota::default()).unwrap();
        let refused = found.is_empty() && !journals.journals.is_empty();
        let done = journals.apply(&id(), Entry::Append { kept: state("last"), sync });
        prop_assert_eq!(done.is_err(), refused);
        if !refused {
            prop_assert!(flush_with(&mut journals, |_| vec![state("snapshot")]).is_empty());
            drop(journals);
            let (_, recovered) = reopen(&dir);
            prop_assert_eq!(recovered.damage, None);
            prop_assert_eq!(recovered.kept.last(), Some(&state("last")));
        }
    }
}
