//! Units of the log. What clients make of gaps is tested in `tests/it`.

use super::*;
use crate::wire::payload::Payload;
use crate::wire::record::{Continuity, Gap, State};
use std::sync::Arc;

fn message(size: usize) -> Body {
    Body::Message {
        payload: Payload::text("x".repeat(size)),
        time: 0,
    }
}

fn state() -> Body {
    Body::State(Arc::new(StateChange::new(State::Open)))
}

fn at(second: u64) -> Duration {
    Duration::from_secs(second)
}

fn gaps(log: &Log) -> Vec<(u64, u64, u64)> {
    log.iter()
        .filter_map(|entry| match entry.record.body {
            Body::Gap(gap) => Some((gap.from, gap.to, gap.count)),
            _ => None,
        })
        .collect()
}

#[test]
fn dropped_messages_become_one_gap_at_their_position() {
    let mut log = Log::default();
    for _ in 0..5 {
        log.append(at(0), message(10), None);
    }
    for _ in 0..3 {
        assert!(log.drop_oldest(GapReason::Overflow));
    }
    assert_eq!(gaps(&log), [(1, 3, 3)]);
    assert_eq!(
        (log.messages(), log.bytes(), log.first(), log.last()),
        (2, 20, 1, 5)
    );
}

#[test]
fn a_delivered_gap_never_changes() {
    let mut log = Log::default();
    for _ in 0..4 {
        log.append(at(0), message(1), None);
    }
    log.drop_oldest(GapReason::Overflow);
    log.mark_delivered(0);
    log.drop_oldest(GapReason::Overflow);
    log.drop_oldest(GapReason::Overflow);
    assert_eq!(gaps(&log), [(1, 1, 1), (2, 3, 2)]);
}

#[test]
fn a_state_between_messages_keeps_its_position() {
    let mut log = Log::default();
    log.append(at(0), message(1), None);
    log.append(at(0), state(), None);
    log.append(at(0), message(1), None);
    log.drop_oldest(GapReason::Overflow);
    log.drop_oldest(GapReason::Overflow);
    assert!(!log.drop_oldest(GapReason::Overflow));
    let seqs: Vec<_> = log.iter().map(|entry| entry.record.seq).collect();
    assert_eq!(
        (seqs.as_slice(), gaps(&log)),
        ([1, 2, 3].as_slice(), vec![(1, 1, 1), (3, 3, 1)])
    );
}

#[test]
fn undelivered_states_merge_only_when_adjacent() {
    let state = |state| Body::State(Arc::new(StateChange::new(state)));
    let mut log = Log::default();
    log.append(at(0), state(State::Waiting), None);
    log.append(at(0), state(State::Open), None);
    log.append(at(0), message(1), None);
    log.append(at(0), state(State::Waiting), None);
    assert_eq!(
        log.iter().map(|entry| entry.record.seq).collect::<Vec<_>>(),
        [2, 3, 4]
    );
    log.mark_delivered(2);
    log.append(at(0), state(State::Open), None);
    assert_eq!(log.iter().count(), 4);
}

#[test]
fn an_error_within_an_unchanged_state_does_not_replace_it() {
    let mut log = Log::default();
    let mut fault = StateChange::new(State::Open);
    fault.error = Some(ErrorInfo::new(Code::Internal, "the journal was lost"));
    log.append(at(0), state(), None);
    log.append(at(0), Body::State(Arc::new(fault)), None);
    log.append(
        at(0),
        Body::State(Arc::new(StateChange::new(State::Waiting))),
        None,
    );
    assert_eq!(log.iter().count(), 3);
}

#[test]
fn refused_messages_merge_into_a_gap_at_the_end() {
    let mut log = Log::default();
    log.append(at(0), message(1), None);
    log.append_lost(at(0), GapReason::Overflow);
    log.append_lost(at(0), GapReason::Overflow);
    log.append_lost(at(0), GapReason::TooLarge);
    assert_eq!(gaps(&log), [(2, 3, 2), (4, 4, 1)]);
    assert!(log.has_gap_after(3) && !log.has_gap_after(4));
}

#[test]
fn later_journal_records_replace_earlier_ones() {
    let mut log = Log::default();
    for seq in 1..=5 {
        log.restore(
            at(0),
            Record {
                seq,
                body: message(1),
            },
            None,
        );
    }
    let gap = Gap {
        from: 1,
        to: 3,
        count: 3,
        reason: GapReason::Overflow,
        exact: true,
    };
    log.restore(
        at(0),
        Record {
            seq: 3,
            body: Body::Gap(gap),
        },
        None,
    );
    assert_eq!((gaps(&log), log.messages(), log.last()), (vec![(1, 3, 3)], 2, 5));
    assert_eq!(log.append(at(0), message(1), None), 6);
    assert_eq!(
        log.iter().map(|entry| entry.record.seq).collect::<Vec<_>>(),
        [3, 4, 5, 6]
    );
}

#[test]
fn trimming_frees_the_memory() {
    let mut log = Log::default();
    for _ in 0..5000 {
        log.append(at(0), message(1), None);
    }
    assert_eq!(log.trim(|entry| entry.record.seq <= 4999), Some(4999));
    assert_eq!((log.messages(), log.first()), (1, 5000));
    log.trim(|_| true);
    assert_eq!((log.first(), log.entries.capacity()), (5001, 0));
}

/// The link is open again.
fn again() -> Body {
    let change = StateChange {
        continuity: Some(Continuity::Unknown),
        ..StateChange::new(State::Open)
    };
    Body::State(Arc::new(change))
}

#[test]
fn a_state_is_dropped_only_if_the_next_supersedes_it() {
    let fault = StateChange {
        error: Some(ErrorInfo::new(Code::Internal, "the journal was lost")),
        ..StateChange::new(State::Open)
    };
    for (next, goes) in [
        (again(), true),
        (Body::State(Arc::new(fault)), false),
        (state(), false),
    ] {
        let mut log = Log::default();
        log.append(Duration::ZERO, again(), None);
        log.append_lost(Duration::ZERO, GapReason::Overflow);
        log.append(Duration::ZERO, next, None);
        assert_eq!(log.others() == 2, goes);
    }
}

/// A log of messages that are dropped; each is hidden from one client, or from nobody.
fn dropped(hidden: &[Option<u32>]) -> Log {
    let mut log = Log::default();
    for hidden in hidden {
        log.append(at(0), message(1), None);
        log.set_views(
            hidden
                .map(|client| (ClientId(client), View::Not))
                .into_iter()
                .collect(),
        );
    }
    for _ in hidden {
        assert!(log.drop_oldest(GapReason::Overflow));
    }
    log
}

#[test]
fn a_gap_is_hidden_only_from_clients_that_lost_nothing() {
    let log = dropped(&[Some(1), Some(1), Some(2), None]);
    let gap = log.get(0).unwrap();
    assert_eq!(gaps(&log), [(1, 4, 4)]);
    assert!((1..4).all(|client| gap.is_for(ClientId(client))));
    assert!(matches!(gap.record.body, Body::Gap(gap) if !gap.exact));
    let log = dropped(&[Some(1), Some(1)]);
    let gap = log.get(0).unwrap();
    assert!(!gap.is_for(ClientId(1)) && gap.is_for(ClientId(2)));
    assert!(matches!(gap.record.body, Body::Gap(gap) if gap.count == 2));
}

#[test]
fn filters_do_not_fill_the_log_with_gaps() {
    let hidden: Vec<Option<u32>> = (0..1000).map(|number| (number % 2 == 0).then_some(1)).collect();
    assert_eq!(dropped(&hidden).entries.len(), 1);
}

#[test]
fn a_namespace_state_does_not_replace_the_link_state() {
    let namespace = StateChange {
        namespace: Some("/n".to_owned()),
        ..StateChange::new(State::Closed)
    };
    let mut log = Log::default();
    log.append(Duration::ZERO, again(), None);
    log.append(Duration::ZERO, Body::State(Arc::new(namespace)), None);
    assert_eq!(log.others(), 2);
}

#[test]
fn repeated_reconnects_do_not_fill_the_log_with_states() {
    let mut log = Log::default();
    for _ in 0..100 {
        log.append(Duration::ZERO, again(), None);
        log.append(Duration::ZERO, message(1), None);
        while log.messages() > 2 {
            log.drop_oldest(GapReason::Overflow);
        }
    }
    assert!(log.others() <= 4, "{} records", log.others());
    let bodies: Vec<_> = log.iter().map(|entry| &entry.record.body).collect();
    assert!(matches!(bodies[0], Body::Gap(gap) if gap.count == 98 && gap.exact));
    let mut log = Log::default();
    for _ in 0..100 {
        log.append(Duration::ZERO, again(), None);
        log.append_lost(Duration::ZERO, GapReason::Overflow);
    }
    assert!(log.others() <= 4, "{} records", log.others());
}
