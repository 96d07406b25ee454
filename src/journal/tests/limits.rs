//! Full disks, failed writes, quotas and limits of files.

use bytes::Bytes;
use tempfile::TempDir;

use super::*;

/// Whatever fails, the error comes once, the files are set aside, and go with the session.
fn assert_given_up(operation: &'static str, sync: bool) {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(entry(1))).unwrap();
    flush(&mut journals);
    faults::fail(operation, 1);
    let record = entry(2);
    let applied = journals.apply(&id(), JournalEntry::Append { record, sync });
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
    journals.apply(&id(), append(entry(3))).expect("reported once");
    flush(&mut journals);
    assert_eq!(journals.bytes(), 0);
    assert!(!dir.path().join(&*id().0).exists());
    let stale = dir.path().join(format!("{}.stale", id().0));
    assert!(stale.exists());
    journals.apply(&id(), JournalEntry::Remove).unwrap();
    assert!(!stale.exists());
    journals.apply(&id(), append(entry(4))).unwrap();
    flush(&mut journals);
    drop(journals);
    assert_eq!(reopen(&dir).1.records, entries([4]), "back on the disk");
}

#[test]
fn a_full_disk_at_a_write_fails_the_journal() {
    assert_given_up("write", false);
}

#[test]
fn a_full_disk_at_a_synced_write_fails_the_journal() {
    assert_given_up("write", true);
}

#[test]
fn a_failed_sync_is_final() {
    assert_given_up("sync", true);
}

#[test]
fn records_lost_to_a_full_disk_are_reported_and_the_others_recovered() {
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
        (recovered.records, recovered.damage),
        (entries([1]), Some(Damage::Corrupt))
    );
    assert!(flush_with(&mut journals, |_| vec![state("now")]).is_empty());
    drop(journals);
    assert_eq!(reopen(&dir).1.damage, None, "answered for");
}

#[test]
fn the_number_of_journals_per_extension_is_limited() {
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
    journals.apply(&third, append(state("x"))).expect("reported once");
    journals
        .apply(&journal("chrome-extension://b/", "4"), append(state("x")))
        .unwrap();
    journals
        .apply(&journal("chrome-extension://a/", "1"), JournalEntry::Remove)
        .unwrap();
    journals
        .apply(&journal("chrome-extension://a/", "5"), append(state("x")))
        .unwrap();
}

#[test]
fn journals_above_the_quota_at_start_are_ignored_and_not_deleted() {
    let dir = TempDir::new().unwrap();
    let (mut journals, _) = Journals::open(dir.path(), Quota::default()).unwrap();
    let owned_id = |random: &str| JournalId::new("chrome-extension://a/", random);
    let other = JournalId::new("chrome-extension://b/", "4");
    for id in [&owned_id("1"), &owned_id("2"), &owned_id("3"), &other] {
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
        let refused = [owned_id("1"), owned_id("2"), owned_id("3")]
            .into_iter()
            .find(|id| recovered.iter().all(|found| found.id != *id))
            .unwrap();
        assert!(
            journals.apply(&refused, append(state("y"))).is_err(),
            "the session learns that it is in memory"
        );
        journals.apply(&refused, JournalEntry::Remove).unwrap();
    }
    let (_, recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    assert_eq!(recovered.len(), 4, "nothing was removed");
}

#[test]
fn open_files_are_bounded_and_idle_journals_use_none() {
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
        assert!(
            journals.slots.open_files() <= 4,
            "{}",
            journals.slots.open_files()
        );
    }
    journals.close_idle();
    journals.close_idle();
    assert_eq!(journals.slots.open_files(), 0);
    drop(journals);
    let (_, recovered) = Journals::open(dir.path(), quota).unwrap();
    assert_eq!(recovered.len(), 50);
    assert!(recovered.iter().all(|found| found.records == entries([1, 2, 3])));
}

#[test]
fn a_full_disk_at_a_new_segment_fails_the_journal() {
    let (dir, mut journals) = empty();
    fill(&mut journals, 1..=3, "unused");
    faults::fail("create", 1);
    let record = RawRecord {
        kind: LOG,
        seq: 4,
        data: Bytes::from(vec![b'x'; 1 << 20]),
        content: Bytes::new(),
    };
    journals.apply(&id(), append(record)).unwrap();
    let lost = flush_with(&mut journals, |_| vec![state("now")]);
    faults::stop();
    assert_eq!(lost.len(), 1);
    assert!(!dir.path().join(&*id().0).exists());
}

#[cfg(unix)]
#[test]
fn an_externally_removed_folder_is_detected_at_the_next_sync() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(entry(1))).unwrap();
    flush(&mut journals);
    std::fs::remove_dir_all(dir.path().join(&*id().0)).unwrap();
    let record = entry(2);
    let done = journals.apply(&id(), JournalEntry::Append { record, sync: true });
    assert!(matches!(done, Err(JournalError::Io { .. })), "{done:?}");
}

#[test]
fn each_session_has_a_quota_and_trimming_frees_space() {
    let dir = TempDir::new().unwrap();
    let quota = Quota {
        session: 10 << 20,
        origin: 100 << 20,
        total: 100 << 20,
        ..Quota::default()
    };
    let (mut journals, _) = Journals::open(dir.path(), quota).unwrap();
    fill(&mut journals, 1..=9, "now");
    journals.apply(&id(), JournalEntry::Trim { seq: 8 }).unwrap();
    fill(&mut journals, 10..=12, "now");
    fill(&mut journals, 13..=16, "now");
    let record = RawRecord {
        kind: LOG,
        seq: 17,
        data: Bytes::from(vec![b'x'; 4 << 20]),
        content: Bytes::new(),
    };
    journals.apply(&id(), append(record)).unwrap();
    let lost = flush_with(&mut journals, |_| vec![state("now")]);
    assert!(
        matches!(lost.as_slice(), [(lost, JournalError::SessionFull { .. })] if *lost == id()),
        "{lost:?}"
    );
}

#[test]
fn the_sessions_of_one_extension_share_a_quota() {
    let dir = TempDir::new().unwrap();
    let quota = Quota {
        session: 1 << 20,
        origin: 1000,
        total: 1 << 20,
        ..Quota::default()
    };
    let (mut journals, _) = Journals::open(dir.path(), quota).unwrap();
    let [first, second] = ["1", "2"].map(|random| JournalId::new("chrome-extension://a/", random));
    let of_other_extension = JournalId::new("chrome-extension://b/", "3");
    for id in [&first, &of_other_extension, &second] {
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
fn all_sessions_share_a_quota() {
    let dir = TempDir::new().unwrap();
    let quota = Quota {
        session: 1 << 20,
        origin: 1 << 20,
        total: 1000,
        ..Quota::default()
    };
    let (mut journals, _) = Journals::open(dir.path(), quota).unwrap();
    let other = JournalId("ff".into());
    for (id, size) in [(&id(), 600), (&other, 600)] {
        let record = state(&"x".repeat(size));
        journals.apply(id, append(record)).unwrap();
    }
    let lost = flush_with(&mut journals, no_snapshot);
    assert!(
        matches!(lost.as_slice(), [(lost, JournalError::AllFull { .. })] if *lost == other),
        "{lost:?}"
    );
    assert!(journals.bytes() < 1000);
}

#[test]
fn many_journals_do_not_hold_as_many_open_files() {
    let (dir, mut journals) = empty();
    let count = Quota::default().open_files * 2;
    for round in 1..=2 {
        for index in 0..count {
            let id = JournalId(format!("{index:04x}").into());
            journals.apply(&id, append(entry(round))).unwrap();
        }
        flush(&mut journals);
        assert!(journals.slots.open_files() <= Quota::default().open_files);
    }
    drop(journals);
    let (_, recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    assert_eq!(recovered.len(), count);
    assert!(
        recovered
            .iter()
            .all(|found| found.records == entries(1..=2) && found.damage.is_none())
    );
}
