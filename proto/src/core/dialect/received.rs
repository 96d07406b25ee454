//! A message as a dialect passes it on: with the reply that it awaits, and what was found in it before.

use std::sync::Arc;

use crate::wire::json::{Outline, Pointers};
use crate::wire::payload::Payload;
use crate::wire::rule::ParsedMessage;

use crate::core::dialect::outlines::Outlines;

/// What a message of the server's awaits from us: the namespace and id of its acknowledgement.
pub(crate) type AwaitedReply = (Option<String>, u64);

/// A message of the server's.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) payload: Payload,
    pub(crate) reply: Option<AwaitedReply>,
    /// What was found in a large one before it came in; nothing in what is no JSON.
    outline: Option<Option<Arc<Outline>>>,
}

impl Received {
    /// A message of the event at hand.
    pub(crate) fn new(payload: Payload, outlines: &Outlines) -> Self {
        Self {
            outline: outlines.of(payload.bytes()),
            payload,
            reply: None,
        }
    }

    /// A message in which this was found before.
    pub(crate) const fn with(payload: Payload, outline: Option<Option<Arc<Outline>>>) -> Self {
        Self {
            payload,
            reply: None,
            outline,
        }
    }

    /// It awaits this.
    #[must_use]
    pub(crate) fn awaiting(mut self, reply: Option<AwaitedReply>) -> Self {
        self.reply = reply;
        self
    }

    /// A look at it.
    pub(crate) fn parse(&self, pointers: impl FnOnce() -> Pointers) -> ParsedMessage<'_> {
        ParsedMessage::at(&self.payload)
            .known(self.outline.clone())
            .for_pointers(pointers)
    }
}
