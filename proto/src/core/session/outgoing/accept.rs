//! From `send`, `request` and `cancel` to an accepted message, or to why it is not.

use crate::wire::code::Code;
use crate::wire::message::{BrokerFrame, ClientFrame, Match, Request, Send};
use crate::wire::record::{ErrorInfo, Name, Outcome, State};

use crate::core::context::error;
use crate::core::outbox::{Flow, MESSAGE_COST, MessageStatus};

use super::{Offer, Outgoing, OutgoingContext, OutgoingEvent, sent_pointers};

/// Unacknowledged outcomes and responses, at most.
const MAX_UNACKNOWLEDGED_OUTCOMES: usize = 65_536;

/// Whether a message has been accepted just now, or was before.
#[derive(Debug, Clone, Copy)]
enum Acceptance {
    New,
    Duplicate(Option<Outcome>),
}

impl Outgoing {
    /// Does what this frame asks of the outgoing direction, and answers it.
    pub(in crate::core::session) fn frame(&mut self, ctx: &OutgoingContext<'_>, frame: ClientFrame) {
        match frame {
            ClientFrame::Send(send) => self.send(ctx, send),
            ClientFrame::Request(request) => self.request(ctx, request),
            ClientFrame::Cancel { id, .. } => self.cancel(ctx, id),
            ClientFrame::Unsubscribe { id, key, .. } => self.unsubscribe(ctx, id, key),
            _ => {}
        }
    }

    /// Accepts a message, or returns why not.
    fn send(&mut self, ctx: &OutgoingContext<'_>, send: Send) {
        let id = send.id.clone();
        if send.ack && !ctx.link.abilities.acknowledges {
            let why = "field `confirm`: `ack` needs a server with acknowledgements (Socket.IO)";
            return self.refuse_frame(ctx, error(Code::Unsupported, why), id);
        }
        let offer = Offer::of_send(ctx.now, ctx.options, ctx.outlines, send);
        if let Err(why) = offer.and_then(|offer| self.offer(ctx, offer)) {
            self.refuse_frame(ctx, why, id);
        }
    }

    /// Accepts a message that expects an answer, or returns why not.
    fn request(&mut self, ctx: &OutgoingContext<'_>, request: Request) {
        let id = request.send.id.clone();
        if let Err(why) = self.offer_request(ctx, request) {
            self.refuse_frame(ctx, why, id);
        }
    }

    fn offer_request(&mut self, ctx: &OutgoingContext<'_>, request: Request) -> Result<(), ErrorInfo> {
        if request.matching == Match::Ack && !ctx.link.abilities.acknowledges {
            let why = "field `match`: `ack` needs a server with acknowledgements (Socket.IO)";
            return Err(error(Code::Unsupported, why));
        }
        let offer = Offer::of_request(ctx.now, ctx.outlines, request)?;
        self.offer(ctx, offer)
    }

    /// Takes what `send` and `request` have in common.
    fn offer(&mut self, ctx: &OutgoingContext<'_>, offer: Offer) -> Result<(), ErrorInfo> {
        let id = offer.send.id.clone();
        if let Some(id) = &id
            && let Some(status) = self.outbox.status(ctx.client, id)
        {
            let outcome = match status {
                MessageStatus::Open(_) => None,
                MessageStatus::Settled(outcome) => outcome,
            };
            self.report_accepted(ctx, id.clone(), Acceptance::Duplicate(outcome));
            return Ok(());
        }
        let flow = ctx.link.flow();
        // It is not going to wait, so it needs no room.
        let is_dropped = offer.send.volatile && flow == Flow::Waiting;
        let room = (!is_dropped).then_some(flow);
        self.check_offer(ctx, &offer, room)?;
        let serial = self.accept(ctx.client, offer);
        if ctx.has_journal
            && let Some(record) = self.accepted(ctx.now, serial)
        {
            self.push(OutgoingEvent::Journal(Box::new(record)));
        }
        if let Some(id) = id {
            self.report_accepted(ctx, id, Acceptance::New);
        }
        if is_dropped {
            let dropped = self.outbox.drop_volatile(ctx.now.awake, serial);
            self.settled(dropped);
        } else {
            self.begin_flow();
        }
        Ok(())
    }

    /// Whether a message can be accepted now; `room`: how it would wait, if it would.
    fn check_offer(
        &mut self,
        ctx: &OutgoingContext<'_>,
        offer: &Offer,
        room: Option<Flow>,
    ) -> Result<(), ErrorInfo> {
        let payload = &offer.send.payload;
        ctx.lifecycle.check()?;
        ctx.link.check_payload(ctx.options, payload)?;
        let message = ctx.outlines.parsed(payload);
        let message = message.for_pointers(|| sent_pointers(ctx.options));
        self.guard.pass(&ctx.options.guard, &message, ctx.now.boot)?;
        if ctx.link.state == State::Closed {
            let why = "the session's link has ended; send `reconnect` to dial again";
            return Err(error(Code::SessionClosed, why));
        }
        if payload.len() > ctx.options.max_message {
            let most = ctx.options.max_message;
            let why = format!("the message exceeds `maxMessage` ({most} bytes)");
            return Err(error(Code::TooLarge, why));
        }
        if let Some(flow) = room {
            if !self.outbox.has_room(&ctx.options.outbox, payload.len(), flow) {
                let why = "the outbox is full; send again after outcomes have arrived";
                return Err(error(Code::OutboxFull, why));
            }
            if ctx.budget.check(MESSAGE_COST + payload.len()).is_err() {
                let why = "the sessions of this extension use all memory that the settings allow";
                return Err(error(Code::OutboxFull, why));
            }
        }
        if offer.send.id.is_some() && ctx.unacknowledged_outcomes > MAX_UNACKNOWLEDGED_OUTCOMES {
            return Err(error(Code::OutboxFull, "too many outcomes are not acknowledged"));
        }
        if offer
            .wanted()
            .is_some_and(|wanted| !self.requests.has_room_for(wanted))
        {
            let why = "answers are awaited at too many different pointers; use one for all requests";
            return Err(error(Code::BadFrame, why));
        }
        Ok(())
    }

    /// Withdraws a message, or stops waiting for its answer.
    fn cancel(&mut self, ctx: &OutgoingContext<'_>, id: Name) {
        match self.outbox.status(ctx.client, &id) {
            Some(MessageStatus::Open(serial)) => {
                let settled = self.outbox.cancel(ctx.now.awake, serial);
                self.settled(settled);
            }
            Some(MessageStatus::Settled(outcome)) => {
                self.report_accepted(ctx, id, Acceptance::Duplicate(outcome));
            }
            None => {
                let why = "no message with this id was accepted from this client";
                self.refuse_frame(ctx, error(Code::NotSent, why), Some(id));
            }
        }
    }

    /// Says that a message is in the session's care, or was before.
    fn report_accepted(&mut self, ctx: &OutgoingContext<'_>, id: Name, acceptance: Acceptance) {
        let (duplicate, outcome) = match acceptance {
            Acceptance::New => (false, None),
            Acceptance::Duplicate(outcome) => (true, outcome),
        };
        let accepted = BrokerFrame::Accepted {
            session: ctx.session.clone(),
            id,
            durability: ctx.durability,
            duplicate,
            outcome,
        };
        self.push(OutgoingEvent::Frame(ctx.port, accepted));
    }
}
