//! The bytes of a payload: a tag, for events a head, and the content.
//!
//! The tags are below those of other log entries, which stand in the same place.

use bytes::{BufMut as _, Bytes};

use super::{MAX_COPIED, json};
use crate::wire::json::is_valid;
use crate::wire::payload::{Content, Event, Payload};

const TEXT: u8 = 0;
const JSON: u8 = 1;
const BINARY: u8 = 2;
const EVENT: u8 = 3;

/// Appends a payload; the content of a large one is not copied, it comes out and belongs behind `data`.
pub(super) fn put_payload(data: &mut Vec<u8>, payload: &Payload) -> Bytes {
    data.put_u8(match payload {
        Payload::Text(_) => TEXT,
        Payload::Json(_) => JSON,
        Payload::Binary(_) => BINARY,
        Payload::Event(_) => EVENT,
    });
    if let Payload::Event(event) = payload {
        let form = match event.content {
            Content::Text(_) => TEXT,
            Content::Json(_) => JSON,
            Content::Args(_) => EVENT,
        };
        let head = json(&(&event.name, &event.namespace, &event.last_event_id, form));
        data.put_u32_le(u32::try_from(head.len()).unwrap_or(0));
        data.put_slice(&head);
    }
    let content = payload.bytes();
    if content.len() > MAX_COPIED {
        return content.clone();
    }
    data.put_slice(content);
    Bytes::new()
}

/// A payload without the buffer it lay in.
pub(super) fn take_payload(data: Bytes) -> Option<Payload> {
    let form = *data.first()?;
    if form == EVENT {
        return take_event(&data[1..]);
    }
    let bytes = Bytes::copy_from_slice(&data[1..]);
    match form {
        TEXT => Payload::text_from_utf8(bytes),
        JSON => Payload::json_from_slice(bytes),
        BINARY => Some(Payload::Binary(bytes)),
        _ => None,
    }
}

/// An event without the buffer it lay in. Whether it may be answered was known to its connection only.
fn take_event(data: &[u8]) -> Option<Payload> {
    let length = u32::from_le_bytes(data.get(..4)?.try_into().ok()?) as usize;
    let (name, namespace, last_event_id, form) =
        serde_json::from_slice(data.get(4..4usize.checked_add(length)?)?).ok()?;
    let bytes = Bytes::copy_from_slice(data.get(4 + length..)?);
    let content = match form {
        TEXT => Content::Text(std::str::from_utf8(&bytes).is_ok().then_some(bytes)?),
        JSON | EVENT => {
            if !is_valid(&bytes) {
                return None;
            }
            if form == JSON {
                Content::Json(bytes)
            } else {
                Content::Args(bytes)
            }
        }
        _ => return None,
    };
    Some(Payload::Event(
        Event {
            name,
            namespace,
            last_event_id,
            reply: false,
            content,
        }
        .into(),
    ))
}
