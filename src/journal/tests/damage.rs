//! What is read back of journals that were cut or changed.

use std::fs::{self, OpenOptions};

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

#[test]
fn a_tail_torn_at_any_byte_is_reported_and_earlier_records_survive() {
    let dir = with_ten_entries();
    let path = segment_path(&dir, 1);
    let whole = fs::read(&path).unwrap();
    let last = record::size(&entry(10));
    for cut in 1..last {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let (_, recovered) = reopen(&dir);
        assert_eq!(recovered.records, entries(1..=9), "{cut} bytes missing");
        assert_eq!(recovered.damage, Some(Damage::Torn), "{cut} bytes missing");
    }
}

#[test]
fn damage_is_reported_until_its_place_is_overwritten() {
    let dir = with_ten_entries();
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
    assert_eq!(recovered.records, expected);
}

#[test]
fn a_tail_of_zeros_is_not_a_record() {
    let dir = with_ten_entries();
    let path = segment_path(&dir, 1);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&[0; 10_000]).unwrap();
    let (mut journals, recovered) = reopen(&dir);
    assert_eq!(recovered.records, entries(1..=10));
    assert_eq!(recovered.damage, Some(Damage::Torn));
    journals.apply(&id(), append(entry(11))).unwrap();
    flush(&mut journals);
    drop(journals);
    let (_, recovered) = reopen(&dir);
    assert_eq!((recovered.records, recovered.damage), (entries(1..=11), None));
}

#[test]
fn a_flipped_bit_ends_the_log_and_the_next_flush_repairs_it() {
    let dir = with_ten_entries();
    let path = segment_path(&dir, 1);
    corrupt(&path, segment::HEADER + 4 * record::size(&entry(1)) + 20);
    let (mut journals, recovered) = reopen(&dir);
    assert_eq!(recovered.records, entries(1..=4));
    assert_eq!(recovered.damage, Some(Damage::Corrupt));
    let gap = RawRecord {
        kind: LOG,
        seq: 10,
        data: Bytes::from_static(b"gap 5..10"),
        content: Bytes::new(),
    };
    let record = gap.clone();
    journals
        .apply(&id(), JournalEntry::Append { record, sync: true })
        .unwrap();
    assert!(flush_with(&mut journals, |_| vec![state("new epoch")]).is_empty());
    drop(journals);
    let (_, recovered) = reopen(&dir);
    let mut expected = entries(1..=4);
    expected.extend([state("new epoch"), gap]);
    assert_eq!((recovered.records, recovered.damage), (expected, None));
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
    // Entries 5 to 8 are in the second segment; 6 is corrupt.
    corrupt(&segment_path(&dir, 2), 2 << 20);
    let (mut journals, recovered) = reopen(&dir);
    let seqs: Vec<_> = recovered
        .records
        .iter()
        .map(|record| record.seq)
        .filter(|seq| *seq > 0)
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
    let states: Vec<_> = recovered
        .records
        .iter()
        .filter(|record| record.seq == 0)
        .cloned()
        .collect();
    assert_eq!(states, [state("third"), state("newest")]);
    assert_eq!(recovered.damage, Some(Damage::Corrupt));

    assert!(flush_with(&mut journals, |_| vec![state("new epoch")]).is_empty());
    assert_eq!(segments(&dir), [1, 2, 4]);
    drop(journals);
    let (_, again) = reopen(&dir);
    let seqs: Vec<_> = again.records.iter().map(|record| record.seq).collect();
    assert_eq!(
        (seqs.as_slice(), again.damage),
        ([1, 2, 3, 4, 5, 0].as_slice(), None)
    );
}

#[test]
fn a_corrupt_snapshot_falls_back_to_the_previous_state() {
    let (dir, mut journals) = empty();
    journals.apply(&id(), append(state("first"))).unwrap();
    fill(&mut journals, 1..=4, "second");
    assert_eq!(segments(&dir), [1, 2]);
    drop(journals);
    corrupt(&segment_path(&dir, 2), segment::HEADER + 18);
    let (_, recovered) = reopen(&dir);
    assert_eq!(recovered.records[0], state("first"));
    assert_eq!(recovered.damage, Some(Damage::Corrupt));
}

#[test]
fn an_interrupted_removal_is_finished_at_the_next_start() {
    let dir = with_ten_entries();
    let folder = dir.path().join(&*id().0);
    fs::rename(&folder, folder.with_extension("gone")).unwrap();
    let (_journals, recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    assert!(recovered.is_empty());
    assert!(!folder.with_extension("gone").exists());
}

#[test]
fn an_incompletely_created_segment_is_ignored() {
    let dir = with_ten_entries();
    let new = segment_path(&dir, 2).with_extension("new");
    fs::write(&new, b"longwire half").unwrap();
    let (_, recovered) = reopen(&dir);
    assert_eq!((recovered.records, recovered.damage), (entries(1..=10), None));
    assert!(!new.exists());
}

#[test]
fn a_journal_of_a_later_version_is_refused_and_not_deleted() {
    let dir = with_ten_entries();
    let path = segment_path(&dir, 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    fs::write(&path, &bytes).unwrap();
    let (mut journals, recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    assert!(recovered.is_empty());
    let refused = journals.apply(&id(), append(entry(1)));
    assert!(matches!(refused, Err(JournalError::Newer { .. })), "{refused:?}");
    journals.apply(&id(), append(entry(2))).expect("reported once");
    journals.apply(&id(), JournalEntry::Remove).unwrap();
    flush(&mut journals);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Any bytes in place of a segment: no panic, and every record given back is one whose checksum holds.
    #[test]
    fn arbitrary_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let contents = segment::read(&bytes);
        prop_assert!(contents.good <= bytes.len() as u64);
    }

    /// Any change to a good segment: what comes back is a beginning of what was written.
    #[test]
    fn a_modified_segment_yields_a_prefix_of_its_records(
        at in 0usize..400,
        to in any::<u8>(),
        cut in 0usize..400,
    ) {
        let written = entries(1..=10);
        let mut bytes = Vec::new();
        segment::header(&mut bytes, 0);
        for record in &written {
            record::encode(&mut bytes, record);
        }
        let changed = at < bytes.len() && bytes[at] != to;
        if at < bytes.len() {
            bytes[at] = to;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        let contents = segment::read(&bytes);
        prop_assert!(written.starts_with(&contents.records));
        if changed && at < bytes.len() {
            prop_assert!(contents.flaw.is_some() || contents.records.len() < written.len());
        }
    }

    /// Any two segments, corrupted and truncated: recovered, written to, and then undamaged, with the last entries.
    #[test]
    fn any_damaged_folder_is_recovered_and_writable(
        flips in proptest::collection::vec((0usize..700, any::<u8>()), 0..4),
        (first, second) in (0usize..400, 0usize..400),
        sync in any::<bool>(),
    ) {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join(&*id().0);
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
        let refused = found.is_empty() && !journals.slots.ids().is_empty();
        let done = journals.apply(&id(), JournalEntry::Append { record: state("last"), sync });
        prop_assert_eq!(done.is_err(), refused);
        if !refused {
            prop_assert!(flush_with(&mut journals, |_| vec![state("snapshot")]).is_empty());
            drop(journals);
            let (_, recovered) = reopen(&dir);
            prop_assert_eq!(recovered.damage, None);
            prop_assert_eq!(recovered.records.last(), Some(&state("last")));
        }
    }
}
