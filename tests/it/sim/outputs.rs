//! Applies the hub's outputs to the model, and checks dials, messages on links, and pings.
//!
//! Frames for clients are checked in `frames`, journals in `journals`.

use std::time::Duration;

use longwire::core::io::{DialId, Output, Target};
use longwire::wire::options::Protocol;
use longwire::wire::payload::Payload;

use super::cause::Kind;
use super::dial::{Dial, Item};
use super::model::number_in;
use super::world::World;

impl World {
    pub(super) fn mix(&mut self, number: u64) {
        self.digest = (self.digest ^ number)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(5);
    }

    /// Applies one output of the hub.
    pub(super) fn act(&mut self, output: Output) {
        self.trace_output(&output);
        match output {
            Output::Deliver { port, frame, cost } => {
                self.mix(port.0 + cost as u64);
                self.deliver(port, frame, cost);
            }
            Output::Dial(dial, target) => {
                self.mix(dial.0 + 3);
                self.dial(dial, &target);
            }
            Output::Transmit(dial, payload) => {
                self.mix(dial.0 + 5 + payload.len() as u64);
                self.transmit(dial, &payload);
            }
            Output::Encode(..) => unreachable!("the messages of a simulation are small"),
            Output::Ping(dial, token) => {
                self.mix(token + 7);
                self.is_pinged(dial, token);
            }
            Output::Pause(dial) => {
                let dial = self.open_dial(dial);
                assert!(!dial.paused, "paused twice");
                dial.paused = true;
            }
            Output::Resume(dial) => {
                let dial = self.open_dial(dial);
                assert!(dial.paused, "resumed without a pause");
                dial.paused = false;
            }
            Output::Fetch(dial, fetch) => {
                self.mix(dial.0 + 17);
                self.asks(dial, &fetch);
            }
            Output::Close { dial, code, .. } => {
                self.mix(dial.0 + u64::from(code) + 13);
                self.closes(dial);
            }
            Output::HangUp { dial, code, .. } => {
                self.mix(dial.0 + u64::from(code));
                self.hung_up = true;
                self.gives_up(dial);
                assert!(
                    self.dials
                        .get(&(self.incarnation, dial))
                        .is_some_and(|dial| !dial.over),
                    "hangs up {dial:?}, which is not alive"
                );
                self.over(dial);
                if !self.dials[&(self.incarnation, dial)].refused {
                    self.read_rest(dial, true);
                }
            }
            Output::Journal(id, entry) => self.journal(&id, entry),
            Output::Idle(idle) => self.mix(u64::from(idle) + 11),
        }
    }

    fn trace_output(&mut self, output: &Output) {
        if self.trace.is_none() {
            return;
        }
        let mut line = format!("    {output:?}");
        if let Some((at, _)) = line.char_indices().nth(400) {
            line.truncate(at);
            line.push('…');
        }
        self.trace_line(|| line);
    }

    /// The close frame comes after everything that was accepted.
    fn closes(&mut self, id: DialId) {
        let dial = self.open_dial(id);
        assert!(!dial.closing, "closed twice");
        assert!(
            !dial.paused,
            "closes a link that is not read: the answer would not be read"
        );
        // A message that is not written yet; packets of Socket.IO's own are none.
        let unwritten = dial
            .items
            .iter()
            .skip(dial.reported_written)
            .find(|item| matches!(item, Item::Token(_)));
        assert_eq!(unwritten, None, "closes before everything is written");
        dial.closing = true;
        let (slot, incarnation) = (dial.slot, dial.incarnation);
        assert!(
            self.session(slot)
                .is_some_and(|session| session.closing.is_some()),
            "slot {slot} is closed, and nobody has asked for that"
        );
        let boot = self.now.boot;
        let still_waits =
            |(incarnation, until): (u32, Duration)| incarnation == self.incarnation && boot < until;
        let left = self.sent.iter().position(|sent| {
            (sent.slot, sent.incarnation) == (slot, incarnation)
                && sent.has_id
                && !sent.rolled_back
                && !sent.cancelled
                && sent.waits.is_some_and(still_waits)
                && sent.transmitted == 0
                && sent.result.is_none()
                && self.is_carried(id, sent)
        });
        assert_eq!(
            left, None,
            "a message was accepted, and is not written before the close frame"
        );
    }

    fn open_dial(&mut self, id: DialId) -> &mut Dial {
        let dial = self
            .dials
            .get_mut(&(self.incarnation, id))
            .expect("a dial that was made");
        assert!(dial.open && !dial.over, "{id:?} is not open");
        dial
    }

    /// A dial that may be given something to send: Socket.IO sends a little before it is open.
    fn sending_dial(&mut self, id: DialId) -> &mut Dial {
        let dial = self
            .dials
            .get_mut(&(self.incarnation, id))
            .expect("a dial that was made");
        assert!(
            (dial.open || dial.greeted) && !dial.over,
            "{id:?} is not open, and is given something to send"
        );
        dial
    }

    fn dial(&mut self, id: DialId, target: &Target) {
        let slot = self.leads(target);
        let is_asked =
            matches!(self.cause.kind, Kind::Open | Kind::Dialling) && self.cause.slot == Some(slot);
        let is_due = self.remote || matches!(self.cause.kind, Kind::Timeout | Kind::Resumed);
        let may = is_asked
            || (is_due && self.cause.waiting.contains(&slot))
            || self.cause.opened_late.contains(&slot)
            // Another of its transports is tried at once, or a better one now and then.
            || self.options_for(slot).transports.len() > 1;
        assert!(may, "slot {slot} dials for no reason ({:?})", self.cause.kind);
        let owner = self.slots[slot].owner;
        let origin = &self.owners[owner].origin;
        let header = target.headers.iter().find(|(name, _)| name == "Origin");
        let is_web = origin.contains("://").then(|| origin.trim_end_matches('/'));
        assert!(
            target.origin.as_ref() == Some(origin) && header.map(|(_, header)| header.as_str()) == is_web,
            "a dial in another's name: {header:?}"
        );
        let protocol = self.protocol_for(slot, &target.transport);
        let mut base = target.url.clone();
        base.set_query(None);
        let host = format!("{:?}", target.url.host_str());
        let lane = (self.owners[owner].origin.clone(), host);
        self.gets_dial_slot(slot, &lane);
        let incarnation = self.slots[slot].incarnations.len() - 1;
        let session = self.session(slot).unwrap();
        assert!(session.dial.is_none(), "slot {slot} has two dials alive");
        // There are no pings on it that could prove anything.
        session.trusts_writes |= protocol != Protocol::WebSocket;
        session.dial = Some(id);
        let dial = Dial::new(slot, incarnation, lane, protocol, base.into());
        assert!(
            self.dials.insert((self.incarnation, id), dial).is_none(),
            "{id:?} was used before"
        );
        self.dialled.push(id);
    }

    /// What a message is that goes out.
    pub(super) fn item_of(&mut self, id: DialId, payload: &Payload) -> Item {
        let bytes = payload.bytes();
        let dial = self.sending_dial(id);
        let (slot, is_first) = (dial.slot, dial.last_order == [0; 4]);
        let greetings = &self.slots[slot].incarnations.last().unwrap().options.greeting;
        if is_first && greetings.contains(payload) {
            Item::Greeting
        } else if bytes.starts_with(b"sub") {
            Item::Subscription(number_in(payload).unwrap())
        } else if bytes.starts_with(b"{\"t\":") {
            Item::Token(number_in(payload).unwrap())
        } else if bytes.starts_with(b"{\"login\":") {
            Item::Login(number_in(payload).unwrap())
        } else {
            Item::Other
        }
    }

    fn transmit(&mut self, id: DialId, payload: &Payload) {
        let item = match self.protocol_of(id) {
            Protocol::SocketIo => self.writes_packet(id, payload),
            _ => self.item_of(id, payload),
        };
        let dial = self.sending_dial(id);
        assert!(!dial.closing, "something is sent behind the close frame");
        dial.items.push(item);
        let (slot, incarnation) = (dial.slot, dial.incarnation);
        let (disturbed, ready, last_order) = (dial.disturbed, dial.ready, dial.last_order);
        if let Item::Login(number) = item {
            self.logs_in(id, number);
        }
        let Item::Token(token) = item else { return };
        let sent = &mut self.sent[token];
        assert_eq!(
            (sent.slot, sent.incarnation),
            (slot, incarnation),
            "a message of another session"
        );
        assert!(
            sent.accepted || !sent.has_id,
            "message {token} is sent, and was never accepted"
        );
        assert!(
            sent.result.is_none() || (sent.rolled_back && sent.resend),
            "message {token} is sent after it ended: {:?}",
            sent.result
        );
        let lane = usize::from(sent.lane);
        assert!(
            sent.order > last_order[lane],
            "message {token} is sent after one that came later"
        );
        assert!(
            !sent.banned,
            "message {token} does not pass the guard, and is sent"
        );
        assert!(
            !sent.volatile || sent.resend || self.submitted == Some(token),
            "message {token} is volatile, and was kept for later"
        );
        sent.transmitted += 1;
        let order = sent.order;
        if let Some(dial) = self.dials.get_mut(&(self.incarnation, id)) {
            dial.last_order[lane] = order;
        }
        self.is_sent_first(id, token);
        if !disturbed && last_order == [0; 4] {
            self.check_may_flow(id, slot, ready);
        }
    }

    /// The first message of the outbox on a link comes after all that must come before it.
    fn check_may_flow(&self, id: DialId, slot: usize, ready: bool) {
        let session = self.slots[slot].incarnations.last().unwrap();
        assert!(
            ready || session.options.ready.is_none(),
            "the outbox flows before the server is ready"
        );
        let items = &self.dials[&(self.incarnation, id)].items;
        let greetings = items.iter().filter(|item| **item == Item::Greeting).count();
        assert_eq!(
            greetings,
            session.options.greeting.len(),
            "the outbox flows before the greeting"
        );
        let subscribed: Vec<usize> = session.subscriptions.iter().map(|(_, number)| *number).collect();
        for number in subscribed {
            assert!(
                items.contains(&Item::Subscription(number)),
                "the outbox flows before subscription {number}"
            );
        }
    }

    fn is_pinged(&mut self, dial: DialId, token: u64) {
        assert_eq!(
            self.protocol_of(dial),
            Protocol::WebSocket,
            "a ping where there are none"
        );
        self.must_request(dial);
        let is_proof = !matches!(self.cause.kind, Kind::Timeout | Kind::Resumed);
        let dial = self.open_dial(dial);
        if is_proof {
            dial.last_proof = token;
        }
        let at = dial.items.len();
        dial.pings.push_back((token, at));
    }

    /// A ping that no timer asks for must prove something: a message whose outcome a client wants to know.
    fn must_request(&self, id: DialId) {
        let dial = &self.dials[&(self.incarnation, id)];
        let is_wanted = |item: &Item| match item {
            Item::Token(token) => self.sent[*token].has_id || self.sent[*token].resend,
            _ => false,
        };
        assert!(
            matches!(self.cause.kind, Kind::Timeout | Kind::Resumed)
                || dial.items[dial.proven..].iter().any(is_wanted),
            "a ping that proves nothing on {id:?}"
        );
    }

    /// Nothing more urgent waits that was accepted by this broker, was never sent and cannot have ended.
    fn is_sent_first(&self, id: DialId, token: usize) {
        let sent = &self.sent[token];
        let urgent = self.sent.iter().enumerate().rev().take(64).find(|(_, other)| {
            let waits = other
                .waits
                .is_some_and(|(incarnation, until)| incarnation == self.incarnation && self.now.boot < until);
            other.lane < sent.lane
                && (other.slot, other.incarnation) == (sent.slot, sent.incarnation)
                && waits
                && other.transmitted == 0
                && other.result.is_none()
                && !other.cancelled
                && self.is_carried(id, other)
        });
        assert!(
            urgent.is_none(),
            "message {token} overtakes message {:?}, which is more urgent",
            urgent.map(|(token, _)| token)
        );
    }
}
