//! Tests of `journal_record`.

use super::*;
use crate::wire::code::{Code, GapReason};
use crate::wire::payload::Payload;
use crate::wire::record::{
    Body, Continuity, ErrorInfo, Gap, OutcomeReport, ResponseReport, State, StateChange,
};

#[test]
fn version_1_records_decode_and_encode_to_the_same_bytes() {
    let lines = include_str!("../../../../tests/fixtures/journal-v1/records.txt").lines();
    let mut kinds = std::collections::BTreeSet::new();
    for line in lines {
        let [_, kind, seq, hex] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("four fields: {line}");
        };
        let bytes = (0..hex.len()).step_by(2);
        let record = RawRecord {
            kind: kind.parse().unwrap(),
            seq: seq.parse().unwrap(),
            data: bytes
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect(),
            content: Bytes::new(),
        };
        let note = JournalRecord::decode(&record).unwrap_or_else(|| panic!("it cannot be read: {line}"));
        assert_eq!(note.encode(), record, "{note:?}");
        kinds.insert(record.kind);
    }
    assert_eq!(kinds, (META..=FORGOTTEN).collect());
}

#[test]
fn every_journal_record_round_trips() {
    let message = |payload| Body::Message { payload, time: 1234 };
    let mut change = StateChange::new(State::Waiting);
    change.error = Some(ErrorInfo::new(Code::Refused, "nobody"));
    let gap = Gap {
        from: 1,
        to: 3,
        count: 2,
        reason: GapReason::TooLarge,
        exact: true,
    };
    let report = OutcomeReport {
        id: "1".into(),
        outcome: Outcome::Unknown,
        error: None,
    };
    let answer = ResponseReport {
        id: "2".into(),
        answer: Some(Payload::text("é")),
        error: None,
    };
    let bodies = [
        message(Payload::text("text")),
        message(Payload::Json(Bytes::from_static(b"[1]"))),
        message(Payload::Binary(Bytes::new())),
        message(Payload::args(Some("tick"), Some("/prices"), "[1]")),
        Body::State(change.into()),
        Body::Gap(gap),
        Body::Outcome(report.into()),
        Body::Response(answer.into()),
    ];
    let mut notes: Vec<JournalRecord> = bodies
        .into_iter()
        .zip(1..)
        .map(|(body, seq)| JournalRecord::Record {
            record: Record { seq, body },
            audience: Some(ClientId(7)),
        })
        .collect();
    notes.extend([
        JournalRecord::Reserved(4096),
        JournalRecord::Position {
            id: 1,
            name: "main".into(),
            acked: 9,
            lost_before: 3,
        },
        JournalRecord::Intent(5),
        JournalRecord::Settled {
            client: 1,
            id: "a".into(),
            outcome: Some(Outcome::Sent),
        },
        JournalRecord::Clean,
        JournalRecord::Last(9),
        JournalRecord::Forgotten(1),
    ]);
    for note in notes {
        assert_eq!(JournalRecord::decode(&note.encode()), Some(note));
    }
}

/// What a record of this kind holds, as text; of a log entry what follows its tag.
fn spelled(record: &JournalRecord) -> String {
    let raw = record.encode();
    let from = if raw.kind == RECORD { 13 } else { 0 };
    String::from_utf8(raw.data[from..].to_vec()).unwrap()
}

const fn entry(body: Body) -> JournalRecord {
    JournalRecord::Record {
        record: Record { seq: 1, body },
        audience: None,
    }
}

#[test]
fn gap_reasons_and_overflow_modes_have_stable_names_on_disk() {
    let reasons = [
        (GapReason::Overflow, "overflow"),
        (GapReason::Age, "age"),
        (GapReason::TooLarge, "too-large"),
        (GapReason::Crash, "crash"),
        (GapReason::Journal, "journal"),
        (GapReason::Acknowledged, "acknowledged"),
    ];
    for (reason, word) in reasons {
        let gap = Gap {
            from: 1,
            to: 3,
            count: 2,
            reason,
            exact: true,
        };
        let expected = format!(r#"{{"from":1,"to":3,"count":2,"reason":"{word}","exact":true}}"#);
        assert_eq!(spelled(&entry(Body::Gap(gap))), expected);
    }
    let overflows = [
        (OverflowForm::DropOldest, r#""drop-oldest""#),
        (OverflowForm::DropNewest, r#""drop-newest""#),
        (OverflowForm::Pause, r#""pause""#),
        (OverflowForm::Close, r#""close""#),
    ];
    for (overflow, word) in overflows {
        assert_eq!(json(&overflow), word);
    }
}

#[test]
fn outcomes_have_stable_names_on_disk() {
    let outcomes = [
        (Outcome::Sent, "sent"),
        (Outcome::Confirmed, "confirmed"),
        (Outcome::Unknown, "unknown"),
        (Outcome::Failed, "failed"),
        (Outcome::Expired, "expired"),
        (Outcome::Dropped, "dropped"),
        (Outcome::Cancelled, "cancelled"),
    ];
    for (outcome, word) in outcomes {
        let settled = JournalRecord::Settled {
            client: 1,
            id: "a".into(),
            outcome: Some(outcome),
        };
        assert_eq!(spelled(&settled), format!(r#"[1,"a","{word}"]"#));
        let report = OutcomeReport {
            id: "a".into(),
            outcome,
            error: Some(ErrorInfo::new(Code::NotSent, "why")),
        };
        let error = r#"{"code":"not-sent","message":"why"}"#;
        let expected = format!(r#"{{"id":"a","outcome":"{word}","error":{error}}}"#);
        assert_eq!(spelled(&entry(Body::Outcome(report.into()))), expected);
    }
}

#[test]
fn states_have_stable_names_on_disk() {
    let states = [
        (State::Connecting, Continuity::Server, "connecting", "server"),
        (State::Open, Continuity::None, "open", "none"),
        (State::Waiting, Continuity::Unknown, "waiting", "unknown"),
        (
            State::Unauthorized,
            Continuity::Unknown,
            "unauthorized",
            "unknown",
        ),
        (State::Paused, Continuity::Unknown, "paused", "unknown"),
        (State::Failed, Continuity::Unknown, "failed", "unknown"),
        (State::Closed, Continuity::Unknown, "closed", "unknown"),
    ];
    for (state, continuity, word, continued) in states {
        let change = StateChange {
            dial: Some(1),
            attempt: Some(2),
            retry_in: Some(3),
            code: Some(1000),
            status: Some(503),
            reason: Some("r".to_owned()),
            error: Some(ErrorInfo::new(Code::Tls, "why")),
            continuity: Some(continuity),
            subprotocol: Some("p".to_owned()),
            extensions: Some("e".to_owned()),
            namespace: Some("/n".to_owned()),
            transport: Some("poll".to_owned()),
            data: Some("1".to_owned()),
            ..StateChange::new(state)
        };
        let expected = format!(
            r#"{{"state":"{word}","dial":1,"attempt":2,"retry_in":3,"code":1000,"status":503,"reason":"r","error":{{"code":"tls","message":"why"}},"continuity":"{continued}","subprotocol":"p","extensions":"e","namespace":"/n","transport":"poll"}}"#
        );
        assert_eq!(spelled(&entry(Body::State(change.into()))), expected);
    }
}

#[test]
fn truncated_records_are_rejected_without_panic() {
    let record = Record {
        seq: 1,
        body: Body::Message {
            payload: Payload::text("text"),
            time: 1,
        },
    };
    let whole = encode_record(&record, None);
    for length in 0..whole.data.len() {
        for kind in 0..=10 {
            let _ = JournalRecord::decode(&RawRecord {
                kind,
                seq: 1,
                data: whole.data.slice(..length),
                content: Bytes::new(),
            });
        }
    }
}

#[test]
fn a_large_payload_is_not_copied() {
    let content = Bytes::from("x".repeat(MAX_COPIED + 1));
    for payload in [
        Payload::Text(content.clone()),
        Payload::Binary(content.clone()),
        Payload::args(None, None, format!("[\"{}\"]", "x".repeat(MAX_COPIED))),
    ] {
        let at = payload.bytes().as_ptr();
        let record = Record {
            seq: 7,
            body: Body::Message { payload, time: 3 },
        };
        let raw = encode_record(&record, None);
        assert_eq!(raw.content.as_ptr(), at);
        assert!(raw.data.len() < 100);
        let read = JournalRecord::decode(&raw);
        assert_eq!(
            read,
            Some(JournalRecord::Record {
                record,
                audience: None
            })
        );
    }
}
