//! Tests of `recorded_log`.

use super::*;
use crate::wire::payload::Payload;

fn message(text: &'static str) -> Body {
    Body::Message {
        payload: Payload::text(text),
        time: 0,
    }
}

/// What was written down meanwhile, as kinds and numbers.
fn written(act: impl FnOnce(&mut Recorder<'_>)) -> Vec<(Option<u8>, u64)> {
    let mut out = VecDeque::new();
    act(&mut Recorder {
        now: Duration::ZERO,
        out: &mut out,
    });
    let entry = |output| match output {
        Output::Journal(_, JournalEntry::Append { record, .. }) => (Some(record.kind), record.seq),
        Output::Journal(_, JournalEntry::Trim { seq }) => (None, seq),
        other => panic!("{other:?}"),
    };
    out.into_iter().map(entry).collect()
}

fn log() -> RecordedLog {
    let mut log = RecordedLog::default();
    log.begin_journal(JournalId::new("origin", "1"));
    log
}

const RECORD: Option<u8> = Some(2);
const RESERVED: Option<u8> = Some(3);

#[test]
fn a_block_of_sequence_numbers_is_reserved_before_use() {
    let mut log = log();
    let first = written(|to| {
        log.append(to, message("a"), None);
    });
    assert_eq!(first, [(RESERVED, 0), (RECORD, 1)]);
    let second = written(|to| {
        log.append(to, message("b"), None);
    });
    assert_eq!(second, [(RECORD, 2)], "the block has room");
    assert_eq!(log.reserved(), RESERVED_NUMBERS);
}

#[test]
fn consecutive_losses_are_recorded_as_one_gap_before_the_next_record() {
    let mut log = log();
    written(|to| {
        log.append(to, message("a"), None);
    });
    let losses = written(|to| {
        log.append_lost(to, GapReason::TooLarge);
        log.append_lost(to, GapReason::TooLarge);
    });
    assert_eq!(losses, [], "they were not delivered");
    let next = written(|to| {
        log.append(to, message("b"), None);
    });
    assert_eq!(next, [(RECORD, 3), (RECORD, 4)]);
}

#[test]
fn a_gap_replacing_a_message_is_recorded_before_delivery() {
    let mut log = log();
    written(|to| {
        log.append(to, message("a"), None);
    });
    log.drop_oldest(GapReason::Overflow);
    let delivered = written(|to| log.mark_delivered(to, 0));
    assert_eq!(delivered, [(RECORD, 1)]);
    assert_eq!(written(|to| log.mark_delivered(to, 0)), []);
}

#[test]
fn without_a_journal_nothing_is_recorded() {
    let mut log = RecordedLog::default();
    let nothing = written(|to| {
        log.append(to, message("a"), None);
        log.append_lost(to, GapReason::TooLarge);
        log.mark_delivered(to, 0);
        log.write_drops(to);
        log.trim(to, |_| true);
        log.remove_journal(to);
    });
    assert_eq!(nothing, []);
    assert_eq!(log.last(), 2);
}

#[test]
fn the_journal_is_trimmed_in_large_steps_or_when_empty() {
    let mut log = log();
    written(|to| {
        log.append(to, message("a"), None);
        log.append(to, message("b"), None);
    });
    assert_eq!(written(|to| log.trim(to, |entry| entry.record.seq == 1)), []);
    assert_eq!(written(|to| log.trim(to, |_| true)), [(None, 2)]);
}
