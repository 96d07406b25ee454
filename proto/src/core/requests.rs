//! Which incoming message answers or confirms which outgoing one.
//!
//! It finds serial numbers by pointer and value; deadlines and verdicts belong to the outbox.

use std::collections::{BTreeMap, HashMap};

use crate::wire::code::Code;
use crate::wire::json::{Pointers, Value};
use crate::wire::message::Match;
use crate::wire::record::ErrorInfo;
use crate::wire::rule::{Correlation, ParsedMessage};

/// Bytes of a value that is looked for.
const MAX_VALUE_BYTES: usize = 4096;
/// Different pointers at which something is looked for: every message is looked at there.
const MAX_POINTERS: usize = 64;

/// What a call of JSON-RPC has and an answer has not.
const METHOD: &str = "/method";

/// What an incoming message did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundRequest {
    /// It answers this request and is not delivered as a message.
    Answer(u64),
    /// It confirms this message and is delivered as well.
    Confirmation(u64),
}

#[derive(Debug, Clone, Copy)]
struct PendingAnswer {
    serial: u64,
    kind: AnswerKind,
}

/// What a message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    /// The answer to a request.
    Answer,
    /// The answer to a JSON-RPC call: a call of the server's with the same id is none.
    JsonRpc,
    /// A message that confirms it, and is delivered as well.
    Confirmation,
}

/// A correlation made ready: where to look, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwaitedAnswer {
    pub(crate) pointer: String,
    pub(crate) value: String,
    pub(crate) kind: AnswerKind,
    /// The server's own acknowledgement, found by the dialect.
    pub(crate) ack: bool,
}

/// Everything that waits for a message of the server.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    waiting: BTreeMap<String, HashMap<String, Vec<PendingAnswer>>>,
    wanted: BTreeMap<u64, AwaitedAnswer>,
    held: usize,
}

impl AwaitedAnswer {
    /// What answers a request with this payload.
    ///
    /// # Errors
    /// `bad-frame` when the payload is no JSON or lacks the value.
    pub(crate) fn answer(matching: &Match, message: &ParsedMessage<'_>) -> Result<Self, ErrorInfo> {
        match matching {
            Match::Pointers(correlation) => Self::find("match", correlation, message, AnswerKind::Answer),
            Match::JsonRpc => {
                let id = Correlation {
                    out: "/id".to_owned(),
                    incoming: "/id".to_owned(),
                };
                Self::find("match", &id, message, AnswerKind::JsonRpc)
            }
            Match::Ack => Ok(Self::ack(AnswerKind::Answer)),
        }
    }

    /// An acknowledgement: it answers a request, or confirms a message.
    pub(crate) const fn ack(kind: AnswerKind) -> Self {
        Self {
            pointer: String::new(),
            value: String::new(),
            kind,
            ack: true,
        }
    }

    /// What confirms a message with this payload.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub(crate) fn confirmation(
        correlation: &Correlation,
        message: &ParsedMessage<'_>,
    ) -> Result<Self, ErrorInfo> {
        Self::find("confirm", correlation, message, AnswerKind::Confirmation)
    }

    /// Bytes that it takes, kept twice.
    const fn held(&self) -> usize {
        256 + 2 * (self.pointer.len() + self.value.len())
    }

    fn find(
        field: &str,
        correlation: &Correlation,
        message: &ParsedMessage<'_>,
        kind: AnswerKind,
    ) -> Result<Self, ErrorInfo> {
        let out = &correlation.out;
        let refused = |what: String| ErrorInfo::new(Code::BadFrame, format!("field `{field}`: {what}"));
        let too_long = |bytes: usize| {
            refused(format!(
                "the value at `{out}` has {bytes} bytes; the limit is {MAX_VALUE_BYTES}"
            ))
        };
        let value = message.pointer(out.as_bytes(), |found| match found {
            None => Err(refused(format!(
                "the payload is not JSON with a value at `{out}`"
            ))),
            Some(found) => match found.value.map(Value::canonical) {
                Some(value) if value.len() <= MAX_VALUE_BYTES => Ok(value),
                value => Err(too_long(value.map_or(found.raw.len(), |value| value.len()))),
            },
        })?;
        Ok(Self {
            pointer: correlation.incoming.clone(),
            value,
            kind,
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
    pub(crate) fn has_room_for(&self, wanted: &AwaitedAnswer) -> bool {
        wanted.ack || self.waiting.len() < MAX_POINTERS || self.waiting.contains_key(&wanted.pointer)
    }

    /// Bytes that all this takes.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// Waits for `wanted` on behalf of this message.
    pub(crate) fn wait(&mut self, serial: u64, wanted: AwaitedAnswer) {
        self.held += wanted.held();
        if wanted.ack {
            self.wanted.insert(serial, wanted);
            return;
        }
        let kind = wanted.kind;
        self.waiting
            .entry(wanted.pointer.clone())
            .or_default()
            .entry(wanted.value.clone())
            .or_default()
            .push(PendingAnswer { serial, kind });
        self.wanted.insert(serial, wanted);
    }

    /// This message has ended: nothing is awaited for it any more.
    pub(crate) fn forget(&mut self, serial: u64) {
        let Some(wanted) = self.wanted.remove(&serial) else {
            return;
        };
        self.held -= wanted.held();
        let AwaitedAnswer { pointer, value, .. } = wanted;
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
    pub(crate) fn wanted(&self, serial: u64) -> Option<AwaitedAnswer> {
        self.wanted.get(&serial).cloned()
    }

    /// Adds the pointers that are asked for.
    pub(crate) fn add_pointers(&self, pointers: &mut Pointers) {
        for pointer in self.waiting.keys() {
            pointers.add(pointer);
        }
        if !self.waiting.is_empty() {
            pointers.add(METHOD);
        }
    }

    /// The oldest message that this incoming one answers or confirms.
    pub(crate) fn find(&self, message: &ParsedMessage<'_>) -> Option<FoundRequest> {
        let waiting = self.waiting.iter().filter_map(|(pointer, values)| {
            // An escaped character takes six bytes: what is longer is none of those looked for.
            let canonical = message.pointer(pointer.as_bytes(), |found| {
                let value = found
                    .filter(|found| found.raw.len() <= 6 * MAX_VALUE_BYTES)?
                    .value;
                value.map(Value::canonical)
            })?;
            let is_call = || message.pointer(METHOD.as_bytes(), |found| found.is_some());
            values
                .get(&canonical)?
                .iter()
                .find(|waiting| waiting.kind != AnswerKind::JsonRpc || !is_call())
        });
        let oldest = waiting.min_by_key(|waiting| waiting.serial)?;
        Some(match oldest.kind {
            AnswerKind::Answer | AnswerKind::JsonRpc => FoundRequest::Answer(oldest.serial),
            AnswerKind::Confirmation => FoundRequest::Confirmation(oldest.serial),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::Payload;

    fn found(requests: &Requests, message: &str) -> Option<FoundRequest> {
        requests.find(&ParsedMessage::at(&Payload::text(message)))
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
        let wanted = AwaitedAnswer::answer(
            &pointers("/id", "/re"),
            &ParsedMessage::at(&Payload::text(r#"{"id":7}"#)),
        )
        .unwrap();
        requests.wait(1, wanted);
        assert_eq!(found(&requests, r#"{"re": "7"}"#), None);
        assert_eq!(found(&requests, r#"{"id": 7}"#), None);
        assert_eq!(found(&requests, r#"{"re": 7}"#), Some(FoundRequest::Answer(1)));
        // As servers answer that keep every number as a float.
        assert_eq!(found(&requests, r#"{"re": 7.0}"#), Some(FoundRequest::Answer(1)));
        requests.forget(1);
        assert_eq!(
            (found(&requests, r#"{"re": 7}"#), requests.is_empty()),
            (None, true)
        );
    }

    #[test]
    fn a_json_rpc_call_from_the_server_is_not_an_answer() {
        let mut requests = Requests::default();
        requests.wait(
            1,
            AwaitedAnswer::answer(&Match::JsonRpc, &ParsedMessage::at(&Payload::text(r#"{"id":1}"#)))
                .unwrap(),
        );
        assert_eq!(found(&requests, r#"{"id": 1, "method": "x"}"#), None);
        assert_eq!(
            found(&requests, r#"{"id": 1, "result": null}"#),
            Some(FoundRequest::Answer(1))
        );
    }

    #[test]
    fn requests_with_equal_values_are_answered_in_order() {
        let mut requests = Requests::default();
        for serial in [1, 2] {
            requests.wait(
                serial,
                AwaitedAnswer::answer(&pointers("", ""), &ParsedMessage::at(&Payload::text("5"))).unwrap(),
            );
        }
        assert_eq!(found(&requests, r#"5"#), Some(FoundRequest::Answer(1)));
        requests.forget(1);
        assert_eq!(found(&requests, r#"5"#), Some(FoundRequest::Answer(2)));
    }

    #[test]
    fn a_payload_without_the_value_is_refused() {
        for payload in [
            Payload::text("no json"),
            Payload::text("{}"),
            Payload::Binary(b"{\"id\":1}"[..].into()),
        ] {
            assert_eq!(
                AwaitedAnswer::answer(&Match::JsonRpc, &ParsedMessage::at(&payload))
                    .unwrap_err()
                    .code,
                Code::BadFrame
            );
        }
    }
}
