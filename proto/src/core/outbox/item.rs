//! One message on its way out: what is known of it, and how it may end.
//!
//! Which message is where, and when it ends, is the outbox's.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::USUAL_LANE;
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name, Outcome};

use crate::core::identity::ClientId;

/// One accepted message.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) client: ClientId,
    pub(crate) id: Option<Name>,
    pub(crate) payload: Payload,
    pub(crate) volatile: bool,
    /// Which lane it waits in.
    pub(crate) lane: u8,
    pub(crate) resend: bool,
    pub(crate) receipt: bool,
    pub(crate) awaits: Awaiting,
    /// Boot time after which it is not written any more; for a request, after which no answer is awaited.
    pub(crate) deadline: Duration,
    /// An earlier link may have carried it to the far end.
    pub(super) maybe_sent: bool,
    /// Its place among the messages of the current link, once handed over.
    pub(super) place: Option<u64>,
    /// The far endpoint has answered a ping sent after it.
    pub(super) proven: bool,
    /// Handed to the current link, and a client waits for that answer.
    pub(super) unproven: bool,
    /// Bytes of it that are kept since it was written: it may have to be written again.
    pub(super) counted_bytes: usize,
}

/// What a message waits for besides the proof that it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaiting {
    Nothing,
    /// Another message, or an acknowledgement, that confirms it.
    Confirmation,
    /// An answer: it is a request.
    Answer,
}

/// What the extension wants of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) volatile: bool,
    pub(crate) lane: u8,
    pub(crate) resend: bool,
    pub(crate) receipt: bool,
    pub(crate) awaits: Awaiting,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            volatile: false,
            lane: USUAL_LANE,
            resend: false,
            receipt: false,
            awaits: Awaiting::Nothing,
        }
    }
}

/// How a message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MessageResult {
    /// For a `send`.
    Outcome(Outcome, Option<ErrorInfo>),
    /// For a `request`.
    Response(Result<Payload, ErrorInfo>),
}

/// A message that ended just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) serial: u64,
    pub(crate) client: ClientId,
    pub(crate) id: Option<Name>,
    pub(crate) receipt: bool,
    pub(crate) result: MessageResult,
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageStatus {
    /// Accepted, not settled.
    Open(u64),
    /// Settled; requests have no outcome.
    Settled(Option<Outcome>),
}

/// The next step of the outgoing direction.
#[derive(Debug)]
pub(crate) enum NextMessage {
    /// Transmit this; it is counted as handed over.
    Transmit { serial: u64, payload: Payload },
    /// It waited too long.
    Settled(Settled),
}

impl Item {
    /// A message just taken from the extension.
    pub(crate) const fn new(
        client: ClientId,
        id: Option<Name>,
        payload: Payload,
        deadline: Duration,
        terms: Terms,
    ) -> Self {
        Self {
            client,
            id,
            payload,
            volatile: terms.volatile,
            lane: terms.lane,
            resend: terms.resend,
            receipt: terms.receipt,
            awaits: terms.awaits,
            deadline,
            maybe_sent: false,
            place: None,
            proven: false,
            unproven: false,
            counted_bytes: 0,
        }
    }

    /// Whether it waits for an answer.
    pub(crate) const fn is_request(&self) -> bool {
        matches!(self.awaits, Awaiting::Answer)
    }

    /// Whether a client wants to know how it ends.
    pub(super) const fn needs_proof(&self) -> bool {
        self.id.is_some() || self.resend
    }

    /// Whether it was handed to a link.
    pub(crate) const fn is_handed(&self) -> bool {
        self.place.is_some()
    }

    /// It was not sent on this link; whether it was on another may be unknown.
    pub(super) fn unsent(&self, outcome: Outcome, error: ErrorInfo) -> MessageResult {
        if self.maybe_sent {
            let error = ErrorInfo::new(
                Code::LinkLost,
                "an earlier link was lost after it was written: it may have been processed",
            );
            return self.end(Outcome::Unknown, error);
        }
        self.end(outcome, error)
    }

    /// Whether this link or an earlier one may have carried it.
    pub(crate) const fn may_have_gone(&self) -> bool {
        self.is_handed() || self.maybe_sent
    }

    pub(super) fn expired(&self) -> MessageResult {
        let error = ErrorInfo::new(Code::Timeout, "it waited longer than its `ttl`");
        self.unsent(Outcome::Expired, error)
    }

    pub(super) fn end(&self, outcome: Outcome, error: ErrorInfo) -> MessageResult {
        if self.is_request() {
            MessageResult::Response(Err(error))
        } else if outcome.is_good() {
            MessageResult::Outcome(outcome, None)
        } else {
            MessageResult::Outcome(outcome, Some(error))
        }
    }
}
