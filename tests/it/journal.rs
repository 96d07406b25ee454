//! Journals whose process is killed: at every named point, and at random moments.
//!
//! The child is this test binary again, running `journal::append_until_killed`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use longwire::core::journal::{Damage, JournalEntry, JournalId, RawRecord};
use longwire::journal::{Journals, Quota};
use tempfile::TempDir;

const DIR: &str = "LONGWIRE_TEST_JOURNAL";
/// What the child does at most; far more than any test lets it.
const ENTRIES: u64 = 200_000;
/// Some rolls of the segment within a few hundred entries.
const SIZE: usize = 40 << 10;
/// How many entries are kept before they are trimmed.
const WANTED: u64 = 150;

fn id() -> JournalId {
    JournalId("00ff".into())
}

/// Not a test of its own: what the others run as a child. Appends numbered entries, and writes down each number
/// whose entry is flushed, as a broker would deliver it then.
#[test]
fn append_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let dir = Path::new(&dir);
    let mut reported_file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(dir.join("told"))
        .unwrap();
    let (mut journals, _) = Journals::open(&dir.join("journal"), Quota::default()).unwrap();
    for seq in 1..=ENTRIES {
        let state = RawRecord {
            kind: 2,
            seq: 0,
            data: Bytes::copy_from_slice(&seq.to_le_bytes()),
            content: Bytes::new(),
        };
        let entry = RawRecord {
            kind: 1,
            seq,
            data: Bytes::from(vec![u8::try_from(seq % 251).unwrap(); SIZE]),
            content: Bytes::new(),
        };
        let sync = seq % 20 == 0;
        let state = JournalEntry::Append { record: state, sync };
        journals.apply(&id(), state).unwrap();
        let entry = JournalEntry::Append {
            record: entry,
            sync: false,
        };
        journals.apply(&id(), entry).unwrap();
        let seq_trimmed = seq.saturating_sub(WANTED);
        journals
            .apply(&id(), JournalEntry::Trim { seq: seq_trimmed })
            .unwrap();
        journals.flush(&id(), None).unwrap();
        if journals.wants_snapshot(&id()) {
            let snapshot = RawRecord {
                kind: 2,
                seq: 0,
                data: Bytes::copy_from_slice(&seq.to_le_bytes()),
                content: Bytes::new(),
            };
            journals.flush(&id(), Some(&[snapshot])).unwrap();
        }
        reported_file.write_all(&seq.to_le_bytes()).unwrap();
    }
}

fn child(dir: &Path, crash_at: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "journal::append_until_killed"])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(point) = crash_at {
        command.env("LONGWIRE_CRASH_AT", point);
    }
    command.spawn().unwrap()
}

/// The last number the child wrote down.
fn reported(dir: &Path) -> u64 {
    let bytes = fs::read(dir.join("told")).unwrap_or_default();
    bytes
        .as_chunks::<8>()
        .0
        .last()
        .map_or(0, |number| u64::from_le_bytes(*number))
}

/// Everything confirmed and not trimmed is there, once, in order, unchanged; and the state is as new as what was confirmed.
fn check(dir: &Path, what: &str) -> u64 {
    let reported_seq = reported(dir);
    let (_journals, recovered) = Journals::open(&dir.join("journal"), Quota::default()).unwrap();
    let Some(recovered) = recovered.into_iter().next() else {
        assert_eq!(reported_seq, 0, "{what}: nothing recovered");
        return 0;
    };
    assert_ne!(recovered.damage, Some(Damage::Corrupt), "{what}");
    let log: Vec<_> = recovered.records.iter().filter(|record| record.seq > 0).collect();
    let last = log.last().map_or(0, |record| record.seq);
    assert!(
        last >= reported_seq,
        "{what}: reported {reported_seq}, recovered up to {last}"
    );
    for pair in log.windows(2) {
        assert_eq!(pair[0].seq + 1, pair[1].seq, "{what}: a hole or a repetition");
    }
    if let Some(first) = log.first() {
        assert!(
            // It may have been killed after the next flush and before it reported it.
            first.seq <= (reported_seq + 1).saturating_sub(WANTED) + 1,
            "{what}: {} was still wanted",
            first.seq - 1
        );
    }
    for record in &log {
        let byte = u8::try_from(record.seq % 251).unwrap();
        assert!(
            record.data.len() == SIZE && record.data.iter().all(|b| *b == byte),
            "{what}"
        );
    }
    let state = recovered
        .records
        .iter()
        .rev()
        .find(|record| record.kind == 2)
        .map_or(0, |record| u64::from_le_bytes((*record.data).try_into().unwrap()));
    assert!(
        state >= reported_seq,
        "{what}: state of {state}, reported {reported_seq}"
    );
    reported_seq
}

#[cfg(any(debug_assertions, feature = "crash-points"))]
#[test]
fn a_process_that_crashes_at_any_point_loses_no_reported_entry() {
    for point in [
        "journal.append.before",
        "journal.append.after",
        "journal.flush.before",
        "journal.flush.after",
        "journal.sync.before",
        "journal.sync.after",
        "journal.roll.before",
        "journal.roll.after",
    ] {
        let crossings: &[u32] = if point.contains("roll") {
            &[1, 2, 3]
        } else {
            &[1, 2, 41, 330]
        };
        for crossing in crossings {
            let dir = TempDir::new().unwrap();
            let crash_at = format!("{point}:{crossing}");
            let status = child(dir.path(), Some(&crash_at)).wait().unwrap();
            assert!(!status.success(), "{crash_at} was never crossed");
            check(dir.path(), &crash_at);
        }
    }
}

#[test]
fn a_process_killed_at_any_moment_loses_no_reported_entry() {
    let mut most = 0;
    for round in 1..=8u64 {
        let dir = TempDir::new().unwrap();
        let mut child = child(dir.path(), None);
        let deadline = Instant::now() + Duration::from_secs(30);
        while reported(dir.path()) < round * 60 {
            assert!(Instant::now() < deadline, "the child does not get on");
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        most = most.max(check(dir.path(), &format!("round {round}")));
    }
    assert!(most >= 480);
}
