//! The bytes of a log entry: to whom it goes, then a message with its time, or a tag and what else it is.

use bytes::{BufMut as _, Bytes};
use serde::Serialize;

use super::forms::{ErrorForm, GapForm, ReportForm, StateForm};
use super::payload::{put_payload, take_payload};
use super::{JournalRecord, MAX_COPIED, RECORD, json, number};
use crate::core::identity::ClientId;
use crate::core::journal::RawRecord;
use crate::wire::payload::Payload;
use crate::wire::record::{Body, ErrorInfo, OutcomeReport, Record, ResponseReport, StateChange};

const GAP: u8 = 10;
const STATE: u8 = 11;
const OUTCOME: u8 = 12;
const RESPONSE: u8 = 13;

/// The bytes of a log entry.
pub(crate) fn encode_record(record: &Record, audience: Option<ClientId>) -> RawRecord {
    let mut data = Vec::with_capacity(size_hint(&record.body));
    let mut content = Bytes::new();
    data.put_u32_le(audience.map_or(0, |client| client.0));
    match &record.body {
        Body::Message { payload, time } => {
            data.put_u64_le(*time);
            content = put_payload(&mut data, payload);
        }
        Body::Gap(gap) => put_json(&mut data, GAP, &GapForm::from(gap)),
        Body::State(change) => put_json(&mut data, STATE, &StateForm::from(&**change)),
        Body::Outcome(report) => put_json(&mut data, OUTCOME, &ReportForm::from(&**report)),
        Body::Response(report) => {
            let error = report.error.as_ref().map(ErrorForm::from);
            let head = json(&(&report.id, error, report.answer.is_some()));
            data.put_u64_le(0);
            data.put_u8(RESPONSE);
            data.put_u32_le(u32::try_from(head.len()).unwrap_or(0));
            data.put_slice(&head);
            if let Some(answer) = &report.answer {
                content = put_payload(&mut data, answer);
            }
        }
    }
    RawRecord {
        kind: RECORD,
        seq: record.seq,
        data: data.into(),
        content,
    }
}

/// Bytes of a log entry, exactly for the usual message: a buffer without room to spare is not allocated anew.
fn size_hint(body: &Body) -> usize {
    match body {
        Body::Message { payload, .. } if payload.len() > MAX_COPIED => 64,
        Body::Message {
            payload: Payload::Event(_),
            ..
        } => 128 + body.cost(),
        Body::Message { payload, .. } => 13 + payload.len(),
        _ => 64 + body.cost().min(MAX_COPIED),
    }
}

pub(super) fn decode_record(record: &RawRecord) -> Option<JournalRecord> {
    let data = &record.data;
    let audience = u32::from_le_bytes(data.get(..4)?.try_into().ok()?);
    let time = number(data.get(4..12)?)?;
    let rest = data.get(13..)?;
    let body = match *data.get(12)? {
        GAP => Body::Gap(serde_json::from_slice::<GapForm>(rest).ok()?.into()),
        STATE => {
            let form: StateForm = serde_json::from_slice(rest).ok()?;
            Body::State(StateChange::from(form).into())
        }
        OUTCOME => {
            let form: ReportForm = serde_json::from_slice(rest).ok()?;
            Body::Outcome(OutcomeReport::from(form).into())
        }
        RESPONSE => {
            let length = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize;
            let (id, error, answered): (_, Option<ErrorForm>, _) =
                serde_json::from_slice(rest.get(4..4 + length)?).ok()?;
            let error = error.map(ErrorInfo::from);
            let answer = if answered {
                Some(take_payload(data.slice(17 + length..))?)
            } else {
                None
            };
            Body::Response(ResponseReport { id, answer, error }.into())
        }
        _ => Body::Message {
            payload: take_payload(data.slice(12..))?,
            time,
        },
    };
    let audience = (audience != 0).then_some(ClientId(audience));
    Some(JournalRecord::Record {
        record: Record {
            seq: record.seq,
            body,
        },
        audience,
    })
}

fn put_json(data: &mut Vec<u8>, tag: u8, value: &impl Serialize) {
    data.put_u64_le(0);
    data.put_u8(tag);
    // Strings, numbers and flags in memory: this cannot fail.
    let _ = serde_json::to_writer(data, value);
}
