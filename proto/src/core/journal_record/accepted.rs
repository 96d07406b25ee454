//! The bytes of an accepted message: a head in JSON behind its length, then the payload.

use bytes::{BufMut as _, Bytes};
use serde::Deserialize;

use super::MAX_COPIED;
use super::forms::WantedForm;
use super::payload::{put_payload, take_payload};
use crate::wire::json::write_string;
use crate::wire::message::USUAL_LANE;
use crate::wire::payload::Payload;
use crate::wire::record::Name;

/// What the head takes at most in most records, its length and the payload's form included.
const USUAL_HEAD_BYTES: usize = 256;
/// Bytes of the head's length.
const LENGTH_BYTES: usize = size_of::<u32>();

/// An accepted message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Accepted {
    pub(crate) head: AcceptedHead,
    pub(crate) payload: Payload,
}

/// What is known of an accepted message besides its payload. `write` has to follow when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(crate) struct AcceptedHead {
    pub(crate) serial: u64,
    pub(crate) client: u32,
    pub(crate) id: Name,
    pub(crate) resend: bool,
    #[serde(default)]
    pub(crate) volatile: bool,
    pub(crate) receipt: bool,
    #[serde(default = "usual_lane")]
    pub(crate) lane: u8,
    pub(crate) is_request: bool,
    /// Milliseconds it may still wait.
    pub(crate) ttl: u64,
    /// Wall clock after which it may wait no more: time passes for it while there is no broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
    pub(crate) wanted: Option<WantedForm>,
}

const fn usual_lane() -> u8 {
    USUAL_LANE
}

impl AcceptedHead {
    /// Appends it as JSON. This is done for each message, and serde_json takes as long for that as all else that is done to
    /// record one.
    fn write(&self, out: &mut Vec<u8>) {
        let Self {
            serial,
            client,
            id,
            resend,
            volatile,
            receipt,
            lane,
            is_request,
            ttl,
            until,
            wanted,
        } = self;
        let mut digits = itoa::Buffer::new();
        let mut number = |out: &mut Vec<u8>, key: &str, value: u64| {
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(digits.format(value).as_bytes());
        };
        number(out, r#"{"serial":"#, *serial);
        number(out, r#","client":"#, u64::from(*client));
        out.extend_from_slice(br#","id":"#);
        write_string(out, id.as_bytes());
        flag(out, r#","resend":"#, *resend);
        flag(out, r#","volatile":"#, *volatile);
        flag(out, r#","receipt":"#, *receipt);
        number(out, r#","lane":"#, u64::from(*lane));
        flag(out, r#","is_request":"#, *is_request);
        number(out, r#","ttl":"#, *ttl);
        if let Some(until) = until {
            number(out, r#","until":"#, *until);
        }
        out.extend_from_slice(br#","wanted":"#);
        // Strings and flags in memory: this cannot fail.
        let _ = serde_json::to_writer(&mut *out, wanted);
        out.push(b'}');
    }
}

fn flag(out: &mut Vec<u8>, key: &str, value: bool) {
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// The bytes of an accepted message; the content of a large one is not copied, it comes apart.
pub(super) fn encode_accepted(Accepted { head, payload }: &Accepted) -> (Bytes, Bytes) {
    let copied = payload.len().min(MAX_COPIED);
    let mut data = Vec::with_capacity(USUAL_HEAD_BYTES + copied);
    data.put_u32_le(0);
    head.write(&mut data);
    let length = u32::try_from(data.len() - LENGTH_BYTES).unwrap_or(0);
    data[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    let content = put_payload(&mut data, payload);
    (data.into(), content)
}

/// Reads an accepted message; `None` when it makes no sense.
pub(super) fn decode_accepted(data: &Bytes) -> Option<Accepted> {
    let (length, rest) = data.split_first_chunk::<LENGTH_BYTES>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let head = serde_json::from_slice(rest.get(..length)?).ok()?;
    let payload = take_payload(data.slice(LENGTH_BYTES + length..))?;
    Some(Accepted { head, payload })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::requests::{AnswerKind, AwaitedAnswer};

    #[test]
    fn the_head_is_written_as_serde_json_writes_it() {
        let mut head = AcceptedHead {
            serial: u64::MAX,
            client: u32::MAX,
            id: "a \"name\"\n\u{1f600}".into(),
            resend: true,
            volatile: false,
            receipt: true,
            lane: 7,
            is_request: false,
            ttl: 0,
            until: None,
            wanted: None,
        };
        let check = |head: &AcceptedHead| {
            let mut written = Vec::new();
            head.write(&mut written);
            let text = String::from_utf8(written).unwrap();
            assert_eq!(text, serde_json::to_string(head).unwrap());
        };
        check(&head);
        head.until = Some(1 << 40);
        (head.volatile, head.is_request) = (true, true);
        let wanted = AwaitedAnswer {
            pointer: "/id".to_owned(),
            value: "\"1\"".to_owned(),
            kind: AnswerKind::JsonRpc,
            ack: true,
        };
        head.wanted = Some(wanted.into());
        check(&head);
    }
}
