//! False events of servers and transports: of dials that are over or never were, of pings never sent, too early or twice.
//!
//! None of them may have an effect.

use longwire::core::io::{DialId, Incoming, Input, LinkEnd, LinkEvent};
use longwire::wire::options::Protocol;

use super::world::World;

impl World {
    /// Sends an event that must have no effect: of dials that are over or never were, of pings never sent.
    pub(super) fn misbehaves(&mut self) {
        let stale: Vec<DialId> = self
            .dialled
            .iter()
            .rev()
            .take(8)
            .filter(|dial| self.dials[&(self.incarnation, **dial)].over)
            .copied()
            .collect();
        let alive = self.dials_alive();
        match self.rng.below(6) {
            4 if !alive.is_empty() => {
                let dial = *self.rng.pick(&alive);
                self.misbehaves_in_time(dial);
            }
            0 if !alive.is_empty() => {
                let dial = *self.rng.pick(&alive);
                let newest = self.dials[&(self.incarnation, dial)]
                    .pings
                    .back()
                    .map_or(0, |(token, _)| *token);
                let token = newest + 1 + self.rng.next() % 5000;
                self.give(Input::Link(dial, LinkEvent::Pong(1_000_000 + token)));
            }
            1 => {
                let never = self.dialled.last().map_or(0, |dial| dial.0) + self.rng.between(1, 3);
                self.misbehaviour(DialId(never));
            }
            _ if !stale.is_empty() => {
                let dial = *self.rng.pick(&stale);
                self.misbehaviour(dial);
            }
            _ => {}
        }
    }

    /// Events that a link cannot have now: a second opening, or anything before the first.
    fn misbehaves_in_time(&mut self, dial: DialId) {
        if self.protocol_of(dial) != Protocol::WebSocket {
            return;
        }
        if self.dials[&(self.incarnation, dial)].open {
            return self.accepts(dial);
        }
        let slot = self.dials[&(self.incarnation, dial)].slot;
        let event = match self.rng.below(4) {
            0 => LinkEvent::Written(self.rng.below(10) as u64),
            1 => LinkEvent::Pong(self.rng.between(1, 4)),
            2 => LinkEvent::Alive,
            _ => {
                let (_, payload) = self.emits(slot, |number| format!("g{number}:early"));
                LinkEvent::Messages(vec![Incoming::Message(payload)])
            }
        };
        self.give(Input::Link(dial, event));
    }

    fn misbehaviour(&mut self, dial: DialId) {
        let event = match self.rng.below(6) {
            0 => LinkEvent::Opened {
                subprotocol: None,
                extensions: None,
            },
            1 | 2 => {
                let slot = self
                    .dials
                    .get(&(self.incarnation, dial))
                    .map_or(0, |dial| dial.slot);
                let (_, payload) = self.emits(slot, |number| format!("g{number}:never"));
                LinkEvent::Messages(vec![Incoming::Message(payload)])
            }
            3 => LinkEvent::Written(self.rng.below(10) as u64),
            4 => LinkEvent::Pong(self.rng.between(1, 4)),
            _ => LinkEvent::Ended(LinkEnd {
                code: Some(1006),
                taken: 0,
                ..LinkEnd::default()
            }),
        };
        self.give(Input::Link(dial, event));
    }
}
