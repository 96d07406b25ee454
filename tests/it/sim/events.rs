//! Events of Socket.IO, both ways: packets and the attachments that follow them.
//!
//! A message is an event whose first argument has its number; its attachments are made of that.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use longwire::core::io::{DialId, Incoming, Input, LinkEvent};
use longwire::wire::options::Protocol;
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use super::dial::Item;
use super::model::number_in;
use super::protocols::protocols;
use super::sent::{Asks, Sent};
use super::socketio::{Namespace, NamespaceState, PLAIN, in_namespace, taken_apart};
use super::world::World;

/// A namespace that no session asks for.
const NEVER: &str = "/never";

/// An event that is being written: its message, and the attachments that must follow.
pub(super) type Unfinished = (usize, VecDeque<Payload>);

/// The bytes of an attachment of the message with this number.
fn attachment(number: usize, at: usize) -> Vec<u8> {
    format!("bytes {at} of {number}").into_bytes()
}

fn placeholders(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|at| format!(r#"{{"_placeholder":true,"num":{at}}}"#))
}

/// Attachments as extensions get and give them.
fn marked(number: usize, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |at| format!(r#"{{"$base64":"{}"}}"#, BASE64.encode(attachment(number, at))))
}

fn list(first: String, more: impl Iterator<Item = String>) -> String {
    std::iter::once(first).chain(more).collect::<Vec<_>>().join(",")
}

/// How a message is sent as an event.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) namespace: &'static str,
    pub(super) attachments: usize,
    text: String,
}

impl Event {
    /// As the extension gives it.
    pub(super) fn payload(&self, token: usize) -> Payload {
        let args = list(self.text.clone(), marked(token, self.attachments));
        Payload::args(Some("message"), Some(self.namespace), format!("[{args}]"))
    }

    /// As the server must get it: a packet, and the attachments that it announces. `ack`: the id of its acknowledgement.
    fn packets(&self, token: usize, ack: &str) -> Unfinished {
        let args = list(self.text.clone(), placeholders(self.attachments));
        let kind = match self.attachments {
            0 => "2".to_owned(),
            count => format!("5{count}-"),
        };
        let packet = in_namespace(&kind, self.namespace, &format!(r#"{ack}["message",{args}]"#));
        let attachments = (0..self.attachments).map(|at| Payload::Binary(attachment(token, at).into()));
        (
            token,
            std::iter::once(Payload::text(packet))
                .chain(attachments)
                .collect(),
        )
    }
}

impl World {
    /// Whether a session uses Socket.IO and nothing else.
    pub(super) fn is_socketio(&self, slot: usize) -> bool {
        let session = self.slots[slot].incarnations.last();
        session.is_some_and(|session| protocols(&session.options) == [Protocol::SocketIo])
    }

    /// The server acknowledges a request, if its namespace is still open on that connection. It may do so twice.
    pub(super) fn acknowledges_event(&mut self, id: DialId, token: usize) {
        let Some((on, name, ack)) = self.sent[token].ack.clone() else {
            return;
        };
        let is_open = |known: &Namespace| known.name == name && known.state == NamespaceState::Open;
        if on != id || !self.dials[&(self.incarnation, id)].namespaces.iter().any(is_open) {
            return;
        }
        let slot = self.sent[token].slot;
        let attachments = self.rng.below(4).saturating_sub(2);
        let (number, payload) = self.emits(slot, |number| format!("{{\"g\":{number}}}"));
        let first = payload.as_str().unwrap_or_default().to_owned();
        let args = list(first.clone(), marked(number, attachments));
        self.emitted[number].content = format!("[{args}]").into();
        if self.sent[token].answer.is_none() && self.sent[token].result.is_none() {
            self.sent[token].answer = Some(number);
        }
        let kind = match attachments {
            0 => "3".to_owned(),
            count => format!("6{count}-"),
        };
        let args = list(first, placeholders(attachments));
        let packet = in_namespace(&kind, &name, &format!("{ack}[{args}]"));
        let mut packets = vec![Incoming::Message(Payload::text(packet))];
        packets.extend(
            (0..attachments).map(|at| Incoming::Message(Payload::Binary(attachment(number, at).into()))),
        );
        self.give(Input::Link(id, LinkEvent::Messages(packets)));
    }

    /// How a message of this text is sent to a session that may use Socket.IO: mostly as an event.
    pub(super) fn some_event(&mut self, slot: usize, text: &str) -> Option<Event> {
        let session = self.slots[slot].incarnations.last()?;
        let uses_socketio = protocols(&session.options).contains(&Protocol::SocketIo);
        (uses_socketio && self.rng.percent(60)).then(|| Event {
            namespace: [PLAIN, PLAIN, "/n", "/n", "/m", NEVER][self.rng.below(6)],
            attachments: self.rng.below(5).saturating_sub(2),
            text: text.to_owned(),
        })
    }

    /// Messages as events, in any namespace that is open, some with attachments that may come later.
    pub(super) fn as_events(&mut self, id: DialId, batch: Vec<Incoming>) -> Vec<Incoming> {
        let mut packets = Vec::new();
        for message in batch {
            match message {
                Incoming::Message(payload) => self.as_packets(id, &payload, &mut packets),
                too_large => self.as_too_large(too_large, &mut packets),
            }
        }
        let is_begun = |packet: &Incoming| matches!(packet, Incoming::Message(packet) if packet.as_str().is_some_and(|text| text.starts_with("45")));
        if packets.first().is_some_and(is_begun) && self.rng.percent(50) {
            // Its attachments come later.
            let rest = packets.split_off(1);
            self.give(Input::Link(id, LinkEvent::Messages(packets)));
            return rest;
        }
        packets
    }

    fn as_packets(&mut self, id: DialId, payload: &Payload, packets: &mut Vec<Incoming>) {
        let number = number_in(payload).expect("a message of the model's");
        let text = payload.as_str().unwrap_or_default();
        let open = self.namespaces(id, NamespaceState::Open);
        let at = *self.rng.pick(&open);
        let known = &self.dials[&(self.incarnation, id)].namespaces[at];
        let (name, pid) = (known.name.clone(), known.pid.clone());
        // Large ones with attachments are given up, and their offsets with them.
        let attachments = match text.len() {
            0..80 => self.rng.below(12).saturating_sub(9),
            _ => 0,
        };
        let first = match text.starts_with('{') {
            true => text.to_owned(),
            false => json!(text).to_string(),
        };
        let offset = pid.map(|pid| {
            let offset = format!("o{number}");
            self.offsets.push((pid, offset.clone()));
            json!(offset).to_string()
        });
        let kind = match attachments {
            0 => "2".to_owned(),
            count => format!("5{count}-"),
        };
        let args = list(first.clone(), placeholders(attachments).chain(offset.clone()));
        let packet = in_namespace(&kind, &name, &format!(r#"["message",{args}]"#));
        packets.push(Incoming::Message(Payload::text(packet)));
        packets.extend(
            (0..attachments).map(|at| Incoming::Message(Payload::Binary(attachment(number, at).into()))),
        );
        let args = list(first, marked(number, attachments).chain(offset));
        let emitted = &mut self.emitted[number];
        emitted.content = format!("[{args}]").into();
        emitted.namespace = Some(name);
    }

    /// Of an event that is too large to be read, its text or an attachment.
    fn as_too_large(&mut self, too_large: Incoming, packets: &mut Vec<Incoming>) {
        let bytes = || Incoming::Message(Payload::Binary("rest".into()));
        let begins = r#"452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
        match self.rng.below(5) {
            4 => packets.extend([
                Incoming::Message(Payload::text(begins)),
                too_large.clone(),
                too_large,
            ]),
            0 => packets.extend([too_large, bytes(), bytes()]),
            1 => packets.extend([Incoming::Message(Payload::text(begins)), too_large, bytes()]),
            2 => packets.extend([Incoming::Message(Payload::text(begins)), bytes(), too_large]),
            _ => packets.push(too_large),
        }
    }

    /// A packet goes out. What it is as an item of its dial: of a message with attachments, the last packet.
    pub(super) fn writes_packet(&mut self, id: DialId, packet: &Payload) -> Item {
        if let Some(connect) = packet.as_str().and_then(|text| text.strip_prefix("40")) {
            self.connects(id, connect);
            return Item::Other;
        }
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        assert!(
            packet.len() <= dial.max_payload,
            "a packet of {} bytes for a server that takes {}",
            packet.len(),
            dial.max_payload
        );
        if let Some((token, mut rest)) = dial.unfinished.take() {
            assert_eq!(
                rest.pop_front().as_ref(),
                Some(packet),
                "an attachment of message {token}"
            );
            return self.goes_on(id, token, rest);
        }
        let text = packet.as_str().expect("attachments of no event");
        let event = text.strip_prefix("42").or_else(|| text.strip_prefix("45"));
        let Some(event) = event else { return Item::Other };
        let event = event
            .split_once('-')
            .filter(|_| text.starts_with("45"))
            .map_or(event, |(_, rest)| rest);
        let (name, data) = taken_apart(event);
        let is_open = |known: &Namespace| known.name == name && known.state == NamespaceState::Open;
        assert!(
            dial.namespaces.iter().any(is_open),
            "`{text}` goes to `{name}`, which is not open: {:?}",
            dial.namespaces
        );
        let (ack, data) = data.split_at(data.find('[').expect("an event's data"));
        if let Some(object) = data.strip_prefix(r#"["message",{"t":"#) {
            let token = number_in(&Payload::text(object.to_owned())).unwrap();
            let event = self.sent[token].event.clone();
            let event = event.expect("a message that was sent as an event");
            let (_, mut rest) = event.packets(token, ack);
            assert_eq!(rest.pop_front().as_ref(), Some(packet), "message {token}");
            self.awaits_ack(id, token, name, ack);
            return self.goes_on(id, token, rest);
        }
        let args: Value = serde_json::from_str(data).expect("an event's data");
        let text = args[1].as_str().unwrap_or_default().to_owned();
        let item = self.item_of(id, &Payload::text(text));
        if let Item::Token(token) = item {
            self.awaits_ack(id, token, name, ack);
        }
        item
    }

    /// Whether a dial can carry a message: events go to namespaces that are open, in packets of the size that the server
    /// takes.
    pub(super) fn is_carried(&self, id: DialId, sent: &Sent) -> bool {
        let dial = &self.dials[&(self.incarnation, id)];
        let is_open =
            |known: &Namespace| known.name == sent.namespace() && known.state == NamespaceState::Open;
        match dial.protocol {
            Protocol::SocketIo => {
                dial.namespaces.iter().any(is_open) && 2 * sent.payload.len() < dial.max_payload
            }
            _ => sent.event.is_none(),
        }
    }

    /// An event that goes out asks for an acknowledgement if its sender does.
    fn awaits_ack(&mut self, id: DialId, token: usize, name: String, ack: &str) {
        let sent = &mut self.sent[token];
        assert_eq!(
            sent.asks == Some(Asks::Ack),
            !ack.is_empty(),
            "message {token} goes out with the id `{ack}`"
        );
        sent.ack = (!ack.is_empty()).then(|| (id, name, ack.to_owned()));
    }

    /// An event is refused only if its namespace is none of the session's, or the session may use another protocol.
    pub(super) fn may_refuse(&self, token: usize) {
        let sent = &self.sent[token];
        let Some(event) = &sent.event else { return };
        let options = &self.slots[sent.slot].incarnations[sent.incarnation].options;
        let names = options
            .socketio
            .namespaces
            .iter()
            .map(|name| name.split('?').next());
        let is_known = names.flatten().any(|name| name == event.namespace);
        assert!(
            !is_known || sent.banned || protocols(options) != [Protocol::SocketIo],
            "event {token} is refused, and its namespace is asked for"
        );
    }

    /// What waits and an open link cannot carry may have ended.
    pub(super) fn may_end_uncarried(&mut self, id: DialId) {
        let dial = &self.dials[&(self.incarnation, id)];
        let of = (dial.slot, dial.incarnation);
        for token in 0..self.sent.len() {
            let sent = &self.sent[token];
            if (sent.slot, sent.incarnation) == of && sent.waits.is_some() && !self.is_carried(id, sent) {
                self.sent[token].waits = None;
            }
        }
    }

    fn goes_on(&mut self, id: DialId, token: usize, rest: VecDeque<Payload>) -> Item {
        if rest.is_empty() {
            return Item::Token(token);
        }
        self.dials.get_mut(&(self.incarnation, id)).unwrap().unfinished = Some((token, rest));
        Item::Other
    }
}

impl Sent {
    /// Where it is sent as an event.
    pub(super) fn namespace(&self) -> &str {
        self.event.as_ref().map_or(PLAIN, |event| event.namespace)
    }
}
