//! Which incoming message answers or confirms which outgoing one.
//!
//! It finds serial numbers by pointer and value; deadlines and verdicts belong to the outbox.

use std::collections::{BTreeMap, HashMap};

use crate::wire::code::Code;
use crate::wire::json::Value;
use crate::wire::message::Match;
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;
use crate::wire::rule::Correlation;

/// Bytes of a value that is looked for.
const MAX_VALUE_BYTES: usize = 4096;
/// Different pointers at which something is looked for: every message is looked at there.
const MAX_POINTERS: usize = 64;

/// What an incoming message did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It answers this request and is not delivered as a message.
    Answer(u64),
    /// It confirms this message and is delivered as well.
    Confirmation(u64),
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    serial: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Answer,
    JsonRpc,
    Confirmation,
}

/// A correlation made ready: where to look, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) pointer: String,
    pub(crate) value: String,
    pub(crate) json_rpc: bool,
    pub(crate) answer: bool,
    /// The server's own acknowledgement, found by the dialect.
    pub(crate) ack: bool,
}

/// Everything that waits for a word from the server.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    waiting: BTreeMap<String, HashMap<String, Vec<Waiting>>>,
    wanted: HashMap<u64, Wanted>,
    held: usize,
}

impl Wanted {
    /// What answers a request with this payload.
    ///
    /// # Errors
    /// `bad-frame` when the payload is no JSON or lacks the value.
    pub(crate) fn answer(matching: &Match, payload: &Payload) -> Result<Self, ErrorInfo> {
        match matching {
            Match::Pointers(correlation) => Self::find("match", correlation, payload, false, true),
            Match::JsonRpc => {
                let id = Correlation {
                    out: "/id".to_owned(),
                    incoming: "/id".to_owned(),
                };
                Self::find("match", &id, payload, true, true)
            }
            Match::Ack => Ok(Self::ack(true)),
        }
    }

    /// An acknowledgement: it answers a request, or confirms a message.
    pub(crate) const fn ack(answer: bool) -> Self {
        Self {
            pointer: String::new(),
            value: String::new(),
            json_rpc: false,
            answer,
            ack: true,
        }
    }

    /// What confirms a message with this payload.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub(crate) fn confirmation(correlation: &Correlation, payload: &Payload) -> Result<Self, ErrorInfo> {
        Self::find("confirm", correlation, payload, false, false)
    }

    /// Bytes that it takes, kept twice.
    const fn held(&self) -> usize {
        256 + 2 * (self.pointer.len() + self.value.len())
    }

    fn find(
        field: &str,
        correlation: &Correlation,
        payload: &Payload,
        json_rpc: bool,
        answer: bool,
    ) -> Result<Self, ErrorInfo> {
        let document = payload.document();
        let value = document
            .as_ref()
            .and_then(|document| document.root().pointer(&correlation.out))
            .map(Value::canonical);
        let value = value.ok_or_else(|| {
            let message = format!(
                "field `{field}`: the payload is no JSON with a value at `{}`",
                correlation.out
            );
            ErrorInfo::new(Code::BadFrame, message)
        })?;
        if value.len() > MAX_VALUE_BYTES {
            let message = format!(
                "field `{field}`: the value at `{}` has {} bytes; {MAX_VALUE_BYTES} can be looked for",
                correlation.out,
                value.len()
            );
            return Err(ErrorInfo::new(Code::BadFrame, message));
        }
        Ok(Self {
            pointer: correlation.incoming.clone(),
            value,
            json_rpc,
            answer,
            ack: false,
        })
    }
}

impl Requests {
    /// Whether nothing waits: incoming messages need not be looked into.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether this message awaits the server's own acknowledgement.
    pub(crate) fn wants_ack(&self, serial: u64) -> bool {
        self.wanted.get(&serial).is_some_and(|wanted| wanted.ack)
    }

    /// Whether one more may be awaited: messages are looked at in only so many places.
    pub(crate) fn has_room_for(&self, wanted: &Wanted) -> bool {
        wanted.ack || self.waiting.len() < MAX_POINTERS || self.waiting.contains_key(&wanted.pointer)
    }

    /// Bytes that all this takes.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// Waits for `wanted` on behalf of this message.
    pub(crate) fn wait(&mut self, serial: u64, wanted: Wanted) {
        self.held += wanted.held();
        if wanted.ack {
            self.wanted.insert(serial, wanted);
            return;
        }
        let kind = match (wanted.answer, wanted.json_rpc) {
            (false, _) => Kind::Confirmation,
            (true, false) => Kind::Answer,
            (true, true) => Kind::JsonRpc,
        };
        self.waiting
            .entry(wanted.pointer.clone())
            .or_default()
            .entry(wanted.value.clone())
            .or_default()
            .push(Waiting { serial, kind });
        self.wanted.insert(serial, wanted);
    }

    /// This message has ended: nothing is awaited for it any more.
    pub(crate) fn forget(&mut self, serial: u64) {
        let Some(wanted) = self.wanted.remove(&serial) else {
            return;
        };
        self.held -= wanted.held();
        let Wanted { pointer, value, .. } = wanted;
        let Some(values) = self.waiting.get_mut(&pointer) else {
            return;
        };
        if let Some(waiting) = values.get_mut(&value) {
            waiting.retain(|waiting| waiting.serial != serial);
            if waiting.is_empty() {
                values.remove(&value);
            }
        }
        if values.is_empty() {
            self.waiting.remove(&pointer);
        }
    }

    /// What is awaited for this message.
    pub(crate) fn wanted(&self, serial: u64) -> Option<Wanted> {
        self.wanted.get(&serial).cloned()
    }

    /// The oldest message that this incoming one answers or confirms.
    pub(crate) fn find(&self, message: Value<'_>) -> Option<Found> {
        self.waiting
            .iter()
            .filter_map(|(pointer, values)| {
                let found = message.pointer(pointer)?;
                // An escaped character takes six bytes: what is longer is none of those looked for.
                let canonical = (found.raw().len() <= 6 * MAX_VALUE_BYTES).then(|| found.canonical())?;
                let found = values.get(&canonical)?;
                found
                    .iter()
                    .find(|waiting| waiting.kind != Kind::JsonRpc || message.get(b"method").is_none())
            })
            .min_by_key(|waiting| waiting.serial)
            .map(|waiting| match waiting.kind {
                Kind::Answer | Kind::JsonRpc => Found::Answer(waiting.serial),
                Kind::Confirmation => Found::Confirmation(waiting.serial),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    fn found(requests: &Requests, message: &str) -> Option<Found> {
        requests.find(Document::parse(message).unwrap().root())
    }

    fn pointers(out: &str, incoming: &str) -> Match {
        Match::Pointers(Correlation {
            out: out.to_owned(),
            incoming: incoming.to_owned(),
        })
    }

    #[test]
    fn an_answer_is_found_by_its_value_and_type() {
        let mut requests = Requests::default();
        let wanted = Wanted::answer(&pointers("/id", "/re"), &Payload::text(r#"{"id":7}"#)).unwrap();
        requests.wait(1, wanted);
        assert_eq!(found(&requests, r#"{"re": "7"}"#), None);
        assert_eq!(found(&requests, r#"{"id": 7}"#), None);
        assert_eq!(found(&requests, r#"{"re": 7}"#), Some(Found::Answer(1)));
        // As servers answer that keep every number as a float.
        assert_eq!(found(&requests, r#"{"re": 7.0}"#), Some(Found::Answer(1)));
        requests.forget(1);
        assert_eq!(
            (found(&requests, r#"{"re": 7}"#), requests.is_empty()),
            (None, true)
        );
    }

    #[test]
    fn a_json_rpc_call_of_the_servers_is_no_answer() {
        let mut requests = Requests::default();
        requests.wait(
            1,
            Wanted::answer(&Match::JsonRpc, &Payload::text(r#"{"id":1}"#)).unwrap(),
        );
        assert_eq!(found(&requests, r#"{"id": 1, "method": "x"}"#), None);
        assert_eq!(
            found(&requests, r#"{"id": 1, "result": null}"#),
            Some(Found::Answer(1))
        );
    }

    #[test]
    fn equal_values_are_answered_in_order() {
        let mut requests = Requests::default();
        for serial in [1, 2] {
            requests.wait(
                serial,
                Wanted::answer(&pointers("", ""), &Payload::text("5")).unwrap(),
            );
        }
        assert_eq!(found(&requests, r#"5"#), Some(Found::Answer(1)));
        requests.forget(1);
        assert_eq!(found(&requests, r#"5"#), Some(Found::Answer(2)));
    }

    #[test]
    fn a_payload_without_the_value_is_refused() {
        for payload in [
            Payload::text("no json"),
            Payload::text("{}"),
            Payload::Binary(b"{\"id\":1}"[..].into()),
        ] {
            assert_eq!(
                Wanted::answer(&Match::JsonRpc, &payload).unwrap_err().code,
                Code::BadFrame
            );
        }
    }
}
