//! The server of every dial: it accepts, refuses, sends messages, answers and closes.
//!
//! What it reads is in `transit`, the false events that it sends in `misbehaving`.

use std::time::Duration;

use longwire::core::io::{DialId, Incoming, Input, LinkEnd, LinkEvent};
use longwire::core::rules::Rules;
use longwire::wire::code::Code;
use longwire::wire::options::{Overflow, Protocol};
use longwire::wire::payload::Payload;
use longwire::wire::record::ErrorInfo;

use super::dial::Item;
use super::model::Emitted;
use super::sent::Asks;
use super::world::World;

impl World {
    /// Dials of this life that are not over, in order.
    pub(super) fn dials_alive(&self) -> Vec<DialId> {
        let alive = |dial: &&DialId| {
            self.dials
                .get(&(self.incarnation, **dial))
                .is_some_and(|dial| !dial.over)
        };
        self.dialled
            .iter()
            .rev()
            .take(64)
            .filter(alive)
            .copied()
            .collect()
    }

    pub(super) fn accepts(&mut self, dial: DialId) {
        if self.protocol_of(dial) != Protocol::WebSocket {
            return self.accepts_dial(dial);
        }
        let event = LinkEvent::Opened {
            subprotocol: self.rng.percent(10).then(|| "chat".to_owned()),
            extensions: None,
        };
        self.give(Input::Link(dial, event));
    }

    /// A dial ends: refused, closed, or simply gone.
    pub(super) fn ends(&mut self, dial: DialId) {
        let mut end = LinkEnd {
            taken: self.read_rest(dial, false) as u64,
            ..LinkEnd::default()
        };
        let (slot, open) = (
            self.dials[&(self.incarnation, dial)].slot,
            self.dials[&(self.incarnation, dial)].open,
        );
        // A hostile server closes before it has opened, and refuses with statuses and codes that nobody has defined.
        if self.strict && self.rng.percent(70) {
            if open {
                end.code = Some(*self.rng.pick(&[4401, 4403]));
            } else {
                end.status = Some(*self.rng.pick(&[401, 403]));
            }
        } else if open || self.rng.percent(10) {
            match self.rng.below(4) {
                0 => {}
                1 => end.error = Some(ErrorInfo::new(Code::LinkLost, "reset")),
                _ => end.code = Some(self.some_code()),
            }
        } else if self.rng.percent(70) {
            end.status = Some(if self.rng.percent(10) {
                u16::try_from(self.rng.below(1000)).unwrap()
            } else {
                *self
                    .rng
                    .pick(&[200, 302, 400, 401, 401, 403, 404, 429, 500, 502, 503, 503])
            });
        } else {
            let code = *self
                .rng
                .pick(&[Code::Refused, Code::Refused, Code::Dns, Code::UrlDenied]);
            end.error = Some(ErrorInfo::new(code, "nobody there"));
        }
        if self.rng.percent(20) {
            end.retry_after = Some(self.random_retry_after());
        }
        let allowed = self.expected_states(dial, &end);
        let was_closing = self.is_closing(slot);
        self.give(Input::Link(dial, LinkEvent::Ended(end.clone())));
        if !self.was_killed {
            self.has_become(slot, &end, allowed, was_closing);
        }
    }

    /// A close code of any range, defined or not.
    fn some_code(&mut self) -> u16 {
        match self.rng.below(8) {
            0 => u16::try_from(self.rng.below(65_536)).unwrap(),
            1 => u16::try_from(self.rng.between(999, 1016)).unwrap(),
            2 => *self.rng.pick(&[4401, 4403]),
            _ => *self
                .rng
                .pick(&[1000, 1001, 1005, 1006, 1006, 1008, 1012, 1013, 4000, 3999]),
        }
    }

    /// What a server may ask for with `Retry-After`.
    fn random_retry_after(&mut self) -> Duration {
        match self.rng.below(6) {
            0 => Duration::MAX,
            1 => Duration::from_secs(u64::MAX),
            2 => Duration::from_secs(self.rng.between(0, 1_000_000)),
            3 => Duration::ZERO,
            _ => Duration::from_millis(self.rng.between(0, 5000)),
        }
    }

    /// A message that bears the next number; its place is set once it was taken.
    pub(super) fn emits(&mut self, slot: usize, text: impl FnOnce(usize) -> String) -> (usize, Payload) {
        let number = self.emitted.len();
        let payload = Payload::text(text(number));
        let incarnation = self.slots[slot].incarnations.len().saturating_sub(1);
        self.emitted.push(Emitted {
            slot,
            incarnation,
            index: None,
            content: payload.bytes().clone(),
            namespace: None,
        });
        (number, payload)
    }

    fn sends_something(&mut self, slot: usize, ready: bool) -> (usize, Payload) {
        let length = match self.rng.below(100) {
            0 => 60_000,
            1..=4 => self.rng.below(2000),
            _ => self.rng.below(20),
        };
        self.emits(slot, |number| {
            if ready {
                format!("{{\"g\":{number},\"type\":\"ready\"}}")
            } else {
                format!("g{number}:{}", "x".repeat(length))
            }
        })
    }

    /// The server sends messages, some of them perhaps too large.
    pub(super) fn server_sends(&mut self, dial: DialId, count: usize, ready: bool) {
        let slot = self.dials[&(self.incarnation, dial)].slot;
        let mut batch = Vec::new();
        let mut numbers = Vec::new();
        let protocol = self.protocol_of(dial);
        if protocol == Protocol::Poll && !self.dials[&(self.incarnation, dial)].question {
            return;
        }
        if !ready && self.rng.percent(20) {
            return self.sends_filtered(dial);
        }
        let count = if protocol == Protocol::Poll { 1 } else { count };
        let most = self
            .session(slot)
            .map_or(0, |session| session.options.max_message);
        let guarded = self
            .session(slot)
            .is_some_and(|session| !session.options.guard.receive.is_empty());
        for _ in 0..count {
            if !ready && guarded && self.rng.percent(20) {
                // It does not pass, and so bears no number of the session's.
                let (_, payload) = self.emits(slot, |number| format!("{{\"g\":{number},\"rude\":true}}"));
                batch.push(Incoming::Message(payload));
            } else if !ready
                && self.rng.percent(2)
                && matches!(protocol, Protocol::WebSocket | Protocol::SocketIo)
            {
                batch.push(Incoming::TooLarge { bytes: None });
                numbers.push(None);
            } else {
                let (number, payload) = self.sends_something(slot, ready);
                // A stream's parser skips what is too large, and reports the place.
                let is_skipped = protocol == Protocol::EventStream && payload.len() > most;
                batch.push(Incoming::Message(payload));
                numbers.push((!is_skipped).then_some(number));
            }
        }
        if ready && let Some(dial) = self.dials.get_mut(&(self.incarnation, dial)) {
            dial.ready = true;
        }
        self.gives_messages(dial, batch, &numbers);
    }

    /// Hands messages to the hub, and finds out which of them it took.
    pub(super) fn gives_messages(&mut self, id: DialId, batch: Vec<Incoming>, numbers: &[Option<usize>]) {
        let dial = &self.dials[&(self.incarnation, id)];
        let (slot, listens) = (dial.slot, dial.open && !dial.over);
        let session = self.session(slot).unwrap();
        let options = &session.options;
        // It may hang up since the log is full, to try a better transport, or since the session ends.
        let closes = options.queue.overflow == Overflow::Close
            || options.transports.len() > 1
            || session.closing.is_some()
            || session.rolled_back;
        let has_journal = session.journal.is_some();
        let Some(event) = self.told_by(id, batch) else {
            return;
        };
        let before = closes.then(|| self.messages_of(slot));
        let incarnations = self.slots[slot].incarnations.len();
        self.tells(id, event);
        if self.slots[slot].incarnations.len() > incarnations {
            // It was being closed, and another has its name.
            return;
        }
        // A poll's first answer opens the link that carries it.
        let listens = listens || self.protocol_of(id) == Protocol::Poll;
        if !listens {
            return;
        }
        let taken = if self.was_killed {
            self.appended
        } else if !self.hung_up {
            numbers.len()
        } else if self.status()[slot].is_none() {
            // It was being closed, and is over. Only its journal, should it come back, has a use for the exact number.
            if has_journal { self.appended } else { numbers.len() }
        } else {
            self.messages_of(slot) - before.expect("hangs up on a server that did nothing wrong")
        };
        let link = (self.incarnation, id);
        let session = self.session(slot).unwrap();
        let first = session.taken.len();
        session.taken.extend(std::iter::repeat_n(link, taken));
        for (offset, number) in numbers.iter().take(taken).enumerate() {
            if let Some(number) = number {
                self.emitted[*number].index = Some(first + offset);
            }
        }
    }

    /// Messages a session has ever kept or dropped: how many it takes shows in the difference.
    pub(super) fn messages_of(&mut self, slot: usize) -> usize {
        let reports = self.status();
        let report = reports[slot].as_ref().expect("a session with a link");
        usize::try_from(report.queued + report.dropped).unwrap()
    }

    /// The server answers or confirms a message it has read.
    pub(super) fn answers(&mut self, dial: DialId) -> bool {
        let server_dial = &self.dials[&(self.incarnation, dial)];
        if !server_dial.open || server_dial.read == 0 {
            return false;
        }
        let slot = server_dial.slot;
        let (from, to) = (server_dial.read.saturating_sub(8), server_dial.read);
        let at = from + self.rng.below(to - from);
        let Item::Token(token) = self.dials[&(self.incarnation, dial)].items[at] else {
            return false;
        };
        self.answers_token(dial, slot, token);
        true
    }

    pub(super) fn answers_token(&mut self, dial: DialId, slot: usize, token: usize) {
        let sent = &self.sent[token];
        let (asks, confirms) = (sent.asks, sent.confirms);
        if asks.is_none() && !confirms {
            return;
        }
        if asks == Some(Asks::Ack) {
            return self.acknowledges_event(dial, token);
        }
        if self.protocol_of(dial) == Protocol::Poll && !self.dials[&(self.incarnation, dial)].question {
            return;
        }
        let (number, payload) = self.emits(slot, |number| match asks {
            Some(Asks::Pointers) => format!("{{\"g\":{number},\"re\":{token}}}"),
            Some(Asks::JsonRpc) => format!("{{\"g\":{number},\"id\":{token},\"result\":1}}"),
            Some(Asks::Ack) | None => format!("{{\"g\":{number},\"ok\":{token}}}"),
        });
        if confirms {
            self.sent[token].confirmed = true;
            self.gives_messages(dial, vec![Incoming::Message(payload)], &[Some(number)]);
            return;
        }
        let Some(event) = self.told_by(dial, vec![Incoming::Message(payload)]) else {
            return;
        };
        // Whether the hub uses the answer up or delivers it shows in its counters. It may do so once.
        let had = self.sent[token].answer;
        let before = self.messages_of(slot);
        if had.is_none() && self.sent[token].result.is_none() {
            self.sent[token].answer = Some(number);
        }
        let incarnations = self.slots[slot].incarnations.len();
        self.tells(dial, event);
        if self.slots[slot].incarnations.len() > incarnations || self.status()[slot].is_none() {
            // It was being closed, and is over.
            return;
        }
        let is_message = self.messages_of(slot) > before;
        if is_message {
            let link = (self.incarnation, dial);
            let session = self.session(slot).unwrap();
            self.emitted[number].index = Some(session.taken.len());
            let session = self.session(slot).unwrap();
            session.taken.push(link);
            self.sent[token].answer = had;
        } else {
            assert!(
                self.sent[token].answer == Some(number),
                "two answers to request {token} were used up"
            );
        }
    }

    /// The settings change: nothing may be dialled for a while, or little may be kept.
    pub(super) fn changes_rules(&mut self) {
        let mut rules = Rules::default();
        match self.rng.below(4) {
            0 => rules.default.allow.clear(),
            1 => rules.default.bytes = 60_000 + self.rng.below(30_000),
            2 => rules.dials.burst = 1,
            _ => {}
        }
        self.give(Input::Rules(std::sync::Arc::new(rules)));
    }
}
