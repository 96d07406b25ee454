//! Any bytes as a journal's segments: recovered without a panic, writable afterwards, and then undamaged.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use longwire::core::journal::{JournalEntry, JournalId, RawRecord};
use longwire::journal::{Journals, Quota};

fuzz_target!(|data: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let folder = dir.path().join("00");
    if std::fs::create_dir(&folder).is_err() {
        return;
    }
    // The first byte says where the second segment begins.
    let (at, data) = data
        .split_first()
        .map_or((0, data), |(at, rest)| (usize::from(*at), rest));
    let (first, second) = data.split_at((at * 4).min(data.len()));
    let _ = std::fs::write(folder.join("00000001.seg"), first);
    if !second.is_empty() {
        let _ = std::fs::write(folder.join("00000002.seg"), second);
    }
    let record = RawRecord {
        kind: 1,
        seq: 0,
        data: "state".into(),
        content: Bytes::new(),
    };
    let id = JournalId("00".into());
    {
        let Ok((mut journals, _)) = Journals::open(dir.path(), Quota::default()) else {
            return;
        };
        let entry = JournalEntry::Append {
            record: record.clone(),
            sync: false,
        };
        if journals.apply(&id, entry).is_err() {
            return;
        }
        let snapshot = [record.clone()];
        let snapshot = journals.wants_snapshot(&id).then_some(&snapshot[..]);
        journals.flush(&id, snapshot).expect("it is written");
    }
    let Ok((_, recovered)) = Journals::open(dir.path(), Quota::default()) else {
        return;
    };
    let found = &recovered[0];
    assert_eq!(found.damage, None);
    assert_eq!(found.records.last(), Some(&record));
});
