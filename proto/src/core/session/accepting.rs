//! Messages on their way in from a client: taken into the outbox, refused, or withdrawn.
//!
//! When they go out is `sending`'s.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::{BrokerFrame, Match, Request, Send};
use crate::wire::record::{ErrorInfo, Name, Outcome, State};

use crate::core::context::{Context, error};
use crate::core::io::PortId;
use crate::core::outbox::{Fate, Item, MESSAGE_COST, Terms};
use crate::core::requests::Wanted;

use super::Session;

/// Outcomes and responses that nobody has acknowledged, at most.
const UNHEARD: usize = 65_536;

impl Session {
    /// What new messages are promised.
    pub(super) const fn durability(&self) -> &'static str {
        if self.log.has_journal() { "disk" } else { "memory" }
    }

    /// Takes a message, or says why not.
    pub(crate) fn send(&mut self, ctx: &mut Context, port: PortId, send: Send) {
        let wanted = match &send.confirm {
            None => send.ack.then(|| Wanted::ack(false)),
            Some(correlation) => match Wanted::confirmation(correlation, &ctx.look(&send.payload)) {
                Ok(wanted) => Some(wanted),
                Err(why) => return ctx.refuse(port, why, send.id.as_ref(), Some(&self.identity.name)),
            },
        };
        let ttl = Duration::from_millis(send.ttl.unwrap_or(self.options.outbox.ttl));
        let deadline = ctx.now.boot.saturating_add(ttl);
        self.take(ctx, port, send, deadline, false, wanted);
    }

    /// Takes a message that expects an answer.
    pub(crate) fn request(&mut self, ctx: &mut Context, port: PortId, request: Request) {
        let Request {
            send,
            matching,
            timeout,
            ..
        } = request;
        if matching == Match::Ack && !self.uplink.abilities(&self.options).acknowledges {
            let why = error(
                Code::Unsupported,
                "field `match`: `ack` needs a server with acknowledgements (Socket.IO)",
            );
            return ctx.refuse(port, why, send.id.as_ref(), Some(&self.identity.name));
        }
        let wanted = match Wanted::answer(&matching, &ctx.look(&send.payload)) {
            Ok(wanted) => wanted,
            Err(why) => return ctx.refuse(port, why, send.id.as_ref(), Some(&self.identity.name)),
        };
        let deadline = ctx.now.boot.saturating_add(Duration::from_millis(timeout));
        self.take(ctx, port, send, deadline, true, Some(wanted));
    }

    /// Takes what `send` and `request` have in common.
    fn take(
        &mut self,
        ctx: &mut Context,
        port: PortId,
        send: Send,
        deadline: Duration,
        is_request: bool,
        wanted: Option<Wanted>,
    ) {
        let Some(client) = self.client_at(port) else {
            return;
        };
        if let Some(id) = &send.id
            && let Some(fate) = self.outbox.fate(client, id)
        {
            let outcome = match fate {
                Fate::Open(_) => None,
                Fate::Settled(outcome) => outcome,
            };
            return self.say_accepted(ctx, port, id, true, outcome);
        }
        let flowing = self.uplink.is_ready();
        // It is not going to wait, so it needs no room.
        let is_dropped = send.volatile && !flowing;
        if let Some(why) = self.refusal(ctx, &send, flowing, is_dropped) {
            return ctx.refuse(port, why, send.id.as_ref(), Some(&self.identity.name));
        }
        if wanted
            .as_ref()
            .is_some_and(|wanted| !self.requests.has_room_for(wanted))
        {
            let why = error(
                Code::BadFrame,
                "answers are awaited at too many different pointers; use one for all requests",
            );
            return ctx.refuse(port, why, send.id.as_ref(), Some(&self.identity.name));
        }
        let Send {
            id,
            payload,
            volatile,
            resend,
            receipt,
            lane,
            ..
        } = send;
        let terms = Terms {
            volatile,
            resend,
            receipt,
            lane,
            is_request,
            confirms: wanted.is_some() && !is_request,
        };
        let item = Item::new(client, id.clone(), payload, deadline, terms);
        let serial = self.outbox.accept(item);
        self.journal_accepted(ctx, serial, wanted.as_ref());
        if let Some(id) = &id {
            self.say_accepted(ctx, port, id, false, None);
        }
        if let Some(wanted) = wanted {
            self.requests.wait(serial, wanted);
        }
        if is_dropped {
            let dropped = self.outbox.drop_volatile(ctx.now.awake, serial);
            self.settle_all(ctx, dropped);
        } else {
            self.flow(ctx);
        }
    }

    /// Why a message cannot be accepted now.
    fn refusal(&mut self, ctx: &Context, send: &Send, flowing: bool, is_dropped: bool) -> Option<ErrorInfo> {
        if let Some(why) = self.refused_by_closing() {
            return Some(why);
        }
        let Send { id, payload, .. } = send;
        if let Some(why) = self.uplink.cannot_carry(&self.options, payload) {
            return Some(why);
        }
        let look = ctx.look(payload).for_pointers(|| self.sent_pointers());
        if let Err(why) = self.guard.may_send(&self.options.guard, &look, ctx.now.boot) {
            return Some(why);
        }
        if self.uplink.state() == State::Closed {
            let why = "the session's link has ended; send `reconnect` to dial again";
            return Some(error(Code::SessionClosed, why));
        }
        if payload.len() > self.options.max_message {
            let most = self.options.max_message;
            return Some(error(
                Code::TooLarge,
                format!("the message exceeds `maxMessage` ({most} bytes)"),
            ));
        }
        if !is_dropped && !self.outbox.has_room(&self.options.outbox, payload.len(), flowing) {
            let why = "the outbox is full; send again when outcomes have come";
            return Some(error(Code::OutboxFull, why));
        }
        if !is_dropped && self.check_budget(ctx, MESSAGE_COST + payload.len()).is_err() {
            let why = "all sessions of this extension together hold as much as the settings allow";
            return Some(error(Code::OutboxFull, why));
        }
        (id.is_some() && self.log.others() > UNHEARD)
            .then(|| error(Code::OutboxFull, "too many outcomes are not acknowledged"))
    }

    /// Says that a message is in the session's care, or was before.
    fn say_accepted(
        &self,
        ctx: &mut Context,
        port: PortId,
        id: &Name,
        duplicate: bool,
        outcome: Option<Outcome>,
    ) {
        let accepted = BrokerFrame::Accepted {
            session: self.identity.name.clone(),
            id: id.clone(),
            durability: self.durability(),
            duplicate,
            outcome,
        };
        ctx.say(port, accepted);
    }

    /// Withdraws a message, or stops waiting for its answer.
    pub(crate) fn cancel(&mut self, ctx: &mut Context, port: PortId, id: &Name) {
        let Some(client) = self.client_at(port) else {
            return;
        };
        match self.outbox.fate(client, id) {
            Some(Fate::Open(serial)) => {
                let settled = self.outbox.cancel(ctx.now.awake, serial);
                self.settle_all(ctx, settled);
            }
            Some(Fate::Settled(outcome)) => {
                self.say_accepted(ctx, port, id, true, outcome);
            }
            None => {
                let why = error(
                    Code::NotSent,
                    "no message with this id was accepted from this client",
                );
                ctx.refuse(port, why, Some(id), Some(&self.identity.name));
            }
        }
    }
}
