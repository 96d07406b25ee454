//! What clients send, by chance: messages and requests, the same once more, and cancellations.

use std::time::Duration;

use longwire::core::io::{Input, PortId};
use longwire::wire::message::{ClientFrame, Match, Request, Send};
use longwire::wire::payload::Payload;
use longwire::wire::record::Name;
use longwire::wire::rule::Correlation;

use super::sent::{Asks, Sent};
use super::world::World;

impl World {
    pub(super) fn sends(&mut self, request: bool) {
        let Some((port, slot)) = self.some_session() else {
            return;
        };
        if self.slots[slot].incarnations.is_empty() {
            return;
        }
        let token = self.sent.len();
        let has_acks = self.is_socketio(slot);
        let rng = &mut self.rng;
        let asks = request.then(|| match has_acks && rng.percent(50) {
            true => Asks::Ack,
            false => *rng.pick(&[Asks::Pointers, Asks::JsonRpc]),
        });
        let confirms = !request && rng.percent(10);
        let padding = if rng.percent(10) { rng.below(400) } else { 0 };
        let forbidden = rng.percent(10);
        let text = format!(
            "{{\"t\":{token},\"id\":{token},\"rude\":{forbidden},\"pad\":\"{}\"}}",
            "p".repeat(padding)
        );
        let event = match matches!(asks, None | Some(Asks::Ack)) && !confirms {
            true => self.some_event(slot, &text),
            false => None,
        };
        let payload = match &event {
            Some(event) => event.payload(token),
            None => Payload::text(text),
        };
        let incarnation = self.slots[slot].incarnations.len() - 1;
        let client = self.ports[&port].client.unwrap();
        let rng = &mut self.rng;
        let sent = Sent {
            has_id: request || rng.percent(85),
            resend: rng.percent(20),
            volatile: !request && rng.percent(10),
            lane: if rng.percent(70) {
                longwire::wire::message::USUAL_LANE
            } else {
                u8::try_from(rng.below(4)).unwrap()
            },
            receipt: rng.percent(50),
            confirms,
            asks,
            ttl: rng.percent(30).then(|| {
                if rng.percent(10) {
                    0
                } else {
                    rng.between(1, 20_000)
                }
            }),
            event,
            forbidden,
            ..Sent::new(slot, incarnation, client, payload, self.elapsed)
        };
        self.sent.push(sent);
        self.submits(port, token);
    }

    /// The frame of a message, for the first time or again.
    pub(super) fn frame_of(&self, token: usize) -> ClientFrame {
        let sent = &self.sent[token];
        let pointers = |incoming: &str| Correlation {
            out: "/id".to_owned(),
            incoming: incoming.to_owned(),
        };
        let id: Name = format!("i{token}").into();
        let send = Send {
            session: self.slots[sent.slot].name.clone(),
            id: sent.has_id.then(|| id.clone()),
            payload: sent.payload.clone(),
            confirm: sent.confirms.then(|| pointers("/ok")),
            ttl: sent.ttl,
            volatile: sent.volatile,
            resend: sent.resend,
            ack: false,
            lane: sent.lane,
            receipt: sent.receipt,
        };
        let Some(asks) = sent.asks else {
            return ClientFrame::Send(send);
        };
        ClientFrame::Request(Request {
            id,
            send,
            matching: match asks {
                Asks::Pointers => Match::Pointers(pointers("/re")),
                Asks::JsonRpc => Match::JsonRpc,
                Asks::Ack => Match::Ack,
            },
            timeout: sent.ttl.unwrap_or(30_000),
        })
    }

    pub(super) fn submits(&mut self, port: PortId, token: usize) {
        self.submitted = Some(token);
        self.order += 1;
        let order = self.order;
        let slot = self.sent[token].slot;
        let guarded = self.slots[slot]
            .incarnations
            .last()
            .is_some_and(|session| !session.options.guard.send.is_empty());
        let sent = &mut self.sent[token];
        if !sent.accepted {
            sent.order = order;
            sent.banned = sent.forbidden && guarded;
        }
        let frame = self.frame_of(token);
        self.give(Input::Frame(port, frame));
    }

    /// A recent message of the person at some port, in a session that still is the one it was sent to.
    fn some_sent(&mut self) -> Option<(PortId, usize)> {
        let port = self.some_port()?;
        let known = &self.ports[&port];
        let client = known.client?;
        if self.sent.is_empty() {
            return None;
        }
        let back = 1 + self.rng.below(self.sent.len().min(12));
        let token = self.sent.len() - back;
        let sent = &self.sent[token];
        let fits = sent.client == client
            && self.ports[&port].holds.contains(&sent.slot)
            && sent.incarnation + 1 == self.slots[sent.slot].incarnations.len();
        fits.then_some((port, token))
    }

    /// The same id again. What the broker may have forgotten is not repeated: the right reply would be unknown.
    pub(super) fn repeats(&mut self) {
        let Some((port, token)) = self.some_sent() else {
            return;
        };
        let sent = &self.sent[token];
        let is_remembered = self.elapsed < sent.given + Duration::from_secs(20 * 60 * 60);
        if sent.has_id && !sent.rolled_back && is_remembered {
            self.submits(port, token);
        }
    }

    pub(super) fn cancels(&mut self) {
        let Some((port, token)) = self.some_sent() else {
            return;
        };
        let sent = &mut self.sent[token];
        sent.cancelled = true;
        let frame = ClientFrame::Cancel {
            session: self.slots[sent.slot].name.clone(),
            id: format!("i{token}").into(),
        };
        self.give(Input::Frame(port, frame));
    }
}
