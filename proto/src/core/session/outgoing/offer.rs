//! A message that an extension wants to send, and what it waits for.

use std::time::Duration;

use crate::wire::message::{Request, Send};
use crate::wire::options::Options;
use crate::wire::record::ErrorInfo;

use crate::core::dialect::outlines::Outlines;
use crate::core::identity::ClientId;
use crate::core::io::Now;
use crate::core::outbox::{Awaiting, Item, Terms};
use crate::core::requests::{AnswerKind, AwaitedAnswer};

/// A message that is offered to the outbox.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) send: Send,
    /// Boot time after which it is not written any more; for a request, after which no answer is awaited.
    deadline: Duration,
    wanted: Option<AwaitedAnswer>,
}

impl Offer {
    /// A message, as `send` has it.
    ///
    /// # Errors
    /// `bad-frame` when the payload lacks the value by which a confirmation is recognised.
    pub(super) fn of_send(
        now: Now,
        options: &Options,
        outlines: &Outlines,
        send: Send,
    ) -> Result<Self, ErrorInfo> {
        let wanted = match &send.confirm {
            None => send.ack.then(|| AwaitedAnswer::ack(AnswerKind::Confirmation)),
            Some(correlation) => Some(AwaitedAnswer::confirmation(
                correlation,
                &outlines.parsed(&send.payload),
            )?),
        };
        let ttl = Duration::from_millis(send.ttl.unwrap_or(options.outbox.ttl));
        Ok(Self {
            deadline: now.boot.saturating_add(ttl),
            send,
            wanted,
        })
    }

    /// A message that expects an answer, as `request` has it.
    ///
    /// # Errors
    /// `bad-frame` when the payload lacks the value by which the answer is recognised.
    pub(super) fn of_request(now: Now, outlines: &Outlines, request: Request) -> Result<Self, ErrorInfo> {
        let Request {
            send,
            matching,
            timeout,
            ..
        } = request;
        let wanted = Some(AwaitedAnswer::answer(&matching, &outlines.parsed(&send.payload))?);
        let deadline = now.boot.saturating_add(Duration::from_millis(timeout));
        Ok(Self {
            send,
            deadline,
            wanted,
        })
    }

    pub(super) const fn wanted(&self) -> Option<&AwaitedAnswer> {
        self.wanted.as_ref()
    }

    /// What goes into the outbox, and what is waited for.
    pub(super) fn into_item(self, client: ClientId) -> (Item, Option<AwaitedAnswer>) {
        let awaits = match &self.wanted {
            None => Awaiting::Nothing,
            Some(wanted) if wanted.kind == AnswerKind::Confirmation => Awaiting::Confirmation,
            Some(_) => Awaiting::Answer,
        };
        let terms = Terms {
            volatile: self.send.volatile,
            resend: self.send.resend,
            receipt: self.send.receipt,
            lane: self.send.lane,
            awaits,
        };
        let item = Item::new(client, self.send.id, self.send.payload, self.deadline, terms);
        (item, self.wanted)
    }
}
