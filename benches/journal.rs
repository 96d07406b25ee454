//! How fast journals are written and read back. Prints a line per measure; `cargo bench --bench journal`.
//!
//! It compares no results: the numbers go to `docs/PERFORMANCE.md`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends where it fails and prints"
)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use longwire::core::journal::{JournalEntry, JournalId, RawRecord};
use longwire::journal::{Journals, Quota};

/// Bytes of one message.
const MESSAGE_BYTES: usize = 200;
/// Messages kept before they are trimmed.
const RETAINED_MESSAGES: u64 = 65_536;

fn main() {
    println!("append, {MESSAGE_BYTES} B, trimmed {RETAINED_MESSAGES} behind, one thread");
    for (batch, count, sync) in [
        (1, 1_000_000, false),
        (100, 4_000_000, false),
        (1, 20_000, true),
        (100, 1_000_000, true),
    ] {
        let took = append(batch, count, sync);
        let rate = count as f64 / took.as_secs_f64();
        let how = if sync { "each batch synced" } else { "no sync" };
        println!("  batches of {batch:>3}, {how:<17}  {rate:>12.0} records/s");
    }
    recover(100_000);
}

fn id() -> JournalId {
    JournalId("be4c".into())
}

fn entry(seq: u64, data: &Bytes, sync: bool) -> JournalEntry {
    let record = RawRecord {
        kind: 1,
        seq,
        data: data.clone(),
        content: Bytes::new(),
    };
    JournalEntry::Append { record, sync }
}

fn append(batch: u64, count: u64, sync: bool) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let (mut journals, _) = Journals::open(dir.path(), Quota::default()).unwrap();
    let (id, data) = (id(), Bytes::from(vec![b'x'; MESSAGE_BYTES]));
    let start = Instant::now();
    let mut seq = 0;
    while seq < count {
        for index in 1..=batch {
            seq += 1;
            journals
                .apply(&id, entry(seq, &data, sync && index == batch))
                .unwrap();
        }
        let trim = JournalEntry::Trim {
            seq: seq.saturating_sub(RETAINED_MESSAGES),
        };
        journals.apply(&id, trim).unwrap();
        journals.flush(&id, Some(&[])).unwrap();
    }
    start.elapsed()
}

fn recover(count: u64) {
    let dir = tempfile::tempdir().unwrap();
    let (mut journals, _) = Journals::open(dir.path(), Quota::default()).unwrap();
    let (id, data) = (id(), Bytes::from(vec![b'x'; MESSAGE_BYTES]));
    for seq in 1..=count {
        journals.apply(&id, entry(seq, &data, false)).unwrap();
        if seq % 100 == 0 {
            journals.flush(&id, Some(&[])).unwrap();
        }
    }
    drop(journals);
    let start = Instant::now();
    let (_journals, recovered) = Journals::open(dir.path(), Quota::default()).unwrap();
    let took = start.elapsed();
    assert_eq!(recovered[0].records.len() as u64, count);
    println!(
        "recovery of {count} records of {MESSAGE_BYTES} B: {:.1} ms",
        took.as_secs_f64() * 1e3
    );
}
