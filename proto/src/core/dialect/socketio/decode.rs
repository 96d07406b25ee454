//! Decodes packets of a Socket.IO server into events, acknowledgements and disconnects.
//!
//! It keeps an event until its attachments are there, and the offset of a server that remembers connections. The dialect
//! decides what to do with an event.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::connection::SocketIoConnection;
use super::packet::{EventData, EventPacket, MAX_OFFSET_BYTES, SocketIoPacket};
use super::partial::{Partial, beginning, taken_apart};
use super::recovery::Recovery;
use crate::core::dialect::greeting::Greeting;
use crate::core::dialect::outlines::Outlines;
use crate::core::dialect::packet::{Head, bare};
use crate::wire::json::Document;
use crate::wire::payload::{Content, Event, Payload};
use crate::wire::rule::PARSED_WHOLE;

/// Bytes of JSON that are kept of a refusal; what is larger is left out.
const MAX_REFUSAL_BYTES: usize = 4096;

/// A packet of the server, decoded.
#[derive(Debug, PartialEq)]
pub(crate) enum ServerEvent {
    /// Its greeting: how long it may be silent, and how many bytes of one packet it takes.
    Greeting(Duration, usize),
    /// Asks whether we live.
    Ping,
    /// A namespace is open. `recovered`: the server went on where the last connection ended.
    Connected {
        namespace: String,
        recovered: Option<bool>,
    },
    /// A namespace was refused; `data` is JSON that came with it.
    Refused {
        namespace: String,
        why: String,
        data: Option<String>,
    },
    /// A namespace was closed.
    Dropped { namespace: String },
    /// An event, and the id that its acknowledgement carries.
    Event(Payload, Option<u64>),
    /// The acknowledgement of a message of ours, by its serial number.
    Acknowledged(u64, Payload),
    /// An event for which there was no room.
    TooLarge,
    /// It hangs up.
    Close,
    /// It uses Engine.IO 3.
    UnsupportedVersion,
    /// It makes no sense.
    Malformed(String),
}

impl SocketIoConnection {
    /// Decodes one Engine.IO packet. Most mean something, parts of an event nothing yet.
    pub(crate) fn decode(
        &mut self,
        packet: &Payload,
        recovery: &mut Recovery,
        outlines: &mut Outlines,
    ) -> Option<ServerEvent> {
        if let Payload::Binary(bytes) = packet {
            return self.attach(bytes, recovery, outlines);
        }
        let start = beginning(packet.bytes());
        let (kind, _) = start.split_at_checked(1)?;
        match kind {
            "0" => Some(greeting(packet)),
            "1" => Some(ServerEvent::Close),
            "2" => Some(ServerEvent::Ping),
            // A pong, the end of an upgrade, a no-op: nothing for the session.
            "3" | "5" | "6" => None,
            "4" => self.packet(packet.bytes(), recovery, outlines),
            _ if is_old(start) => Some(ServerEvent::UnsupportedVersion),
            _ => Some(ServerEvent::Malformed("it is not an Engine.IO packet".to_owned())),
        }
    }

    /// A packet came that was too large to be read: an event, or an attachment of one. An event is reported once.
    pub(crate) fn skip_packet(&mut self) -> Option<ServerEvent> {
        if let Some(left @ 1..) = self.skipping {
            self.skipping = Some(left - 1);
            return None;
        }
        let missing = self.partial.take().map_or(0, |partial| partial.missing);
        self.skipping = Some(missing.saturating_sub(1));
        Some(ServerEvent::TooLarge)
    }

    fn packet(
        &mut self,
        packet: &Bytes,
        recovery: &mut Recovery,
        outlines: &mut Outlines,
    ) -> Option<ServerEvent> {
        if self.partial.is_some() {
            return Some(ServerEvent::Malformed(
                "attachments of an event are missing".to_owned(),
            ));
        }
        self.skipping = None;
        let Some((head, data)) = taken_apart(packet) else {
            return Some(ServerEvent::Malformed("it is not a Socket.IO packet".to_owned()));
        };
        let begun = Partial::new(head, data);
        if begun.head.attachments > 0 {
            self.partial = Some(begun);
            return None;
        }
        Some(self.decode_packet(begun, recovery, outlines))
    }

    fn attach(
        &mut self,
        bytes: &Bytes,
        recovery: &mut Recovery,
        outlines: &mut Outlines,
    ) -> Option<ServerEvent> {
        let Some(partial) = &mut self.partial else {
            if let Some(left) = &mut self.skipping {
                *left = left.saturating_sub(1);
                return None;
            }
            return Some(ServerEvent::Malformed(
                "bytes that do not belong to an event".to_owned(),
            ));
        };
        if !partial.attach(bytes, self.max_event) {
            return None;
        }
        let whole = self.partial.take()?;
        if whole.is_given_up {
            return Some(ServerEvent::TooLarge);
        }
        Some(self.decode_packet(whole, recovery, outlines))
    }

    fn decode_packet(
        &mut self,
        packet: Partial,
        recovery: &mut Recovery,
        outlines: &mut Outlines,
    ) -> ServerEvent {
        let Head {
            kind, id, namespace, ..
        } = packet.head.clone();
        let named = namespace.clone().unwrap_or_else(|| "/".to_owned());
        match kind {
            // A server of version 2 opens the main namespace by itself and sends nothing about it.
            b'0' if packet.data.is_empty() => return ServerEvent::UnsupportedVersion,
            b'0' => return self.connect_answered(named, small(&packet.data), recovery),
            b'1' => return ServerEvent::Dropped { namespace: named },
            b'4' => return refused(named, small(&packet.data)),
            _ => {}
        }
        // What is large was read before it came in.
        let read = outlines
            .take_packet(&packet.data)
            .or_else(|| Some(SocketIoPacket::of(packet)?.read()));
        match read.map(|read| read.said) {
            None => ServerEvent::Malformed("an unknown type of packet".to_owned()),
            Some(EventPacket::NoMemory) => ServerEvent::TooLarge,
            Some(EventPacket::Event(None)) => ServerEvent::Malformed("an event without a name".to_owned()),
            Some(EventPacket::Event(Some(event))) => event_of(event, namespace, id, recovery),
            Some(EventPacket::Answer(args)) => {
                let serial = id.and_then(|id| self.acks.remove(&id));
                match (serial, args) {
                    (_, None) => ServerEvent::Malformed("an acknowledgement without arguments".to_owned()),
                    // It came too late, or was never asked for.
                    (None, _) => ServerEvent::Acknowledged(0, Payload::args(None, None, "[]")),
                    (Some(serial), Some(args)) => {
                        ServerEvent::Acknowledged(serial, Payload::args(None, namespace.as_deref(), args))
                    }
                }
            }
        }
    }

    /// A namespace is open; whether the server goes on with the connection before.
    fn connect_answered(
        &self,
        namespace: String,
        data: Option<&str>,
        recovery: &mut Recovery,
    ) -> ServerEvent {
        let data = data.and_then(|data| Document::parse(data).ok());
        let pid = data.and_then(|data| Some(data.root().get(b"pid")?.to_text()?.into_owned()));
        // What was not requested is not remembered.
        let is_asked = self.namespaces.iter().any(|asked| bare(asked) == namespace);
        let pid = pid.filter(|pid| is_asked && pid.len() <= MAX_OFFSET_BYTES);
        let before = recovery.0.remove(&namespace);
        let recovered = before.as_ref().map(|(known, _)| Some(known) == pid.as_ref());
        if let Some(pid) = pid {
            let offset = before
                .filter(|_| recovered == Some(true))
                .and_then(|(_, offset)| offset);
            recovery.0.insert(namespace.clone(), (pid, offset));
        }
        ServerEvent::Connected { namespace, recovered }
    }
}

fn greeting(packet: &Payload) -> ServerEvent {
    let said = small(packet.bytes()).and_then(|text| text.get(1..));
    match said
        .ok_or_else(|| "it is too large".to_owned())
        .and_then(Greeting::read)
    {
        Ok(Greeting {
            ping_timeout: Some(ping_timeout),
            max_payload,
            ..
        }) => ServerEvent::Greeting(ping_timeout, max_payload.unwrap_or(usize::MAX)),
        Ok(_) => ServerEvent::Malformed(
            "its handshake cannot be parsed: `pingInterval` or `pingTimeout` is missing".to_owned(),
        ),
        Err(error) => ServerEvent::Malformed(format!("its handshake cannot be parsed: {error}")),
    }
}

fn refused(namespace: String, data: Option<&str>) -> ServerEvent {
    let refusal = data.and_then(|data| Document::parse(data).ok());
    let root = refusal.as_ref().map(Document::root);
    // A server of version 2 sends a mere text.
    let why = root.and_then(|root| root.get(b"message").unwrap_or(root).to_text());
    let why = why.map_or_else(|| "no reason given".to_owned(), std::borrow::Cow::into_owned);
    let data = root
        .and_then(|root| root.get(b"data"))
        .map(|data| data.raw().to_owned())
        .filter(|data| data.len() <= MAX_REFUSAL_BYTES);
    ServerEvent::Refused { namespace, why, data }
}

fn event_of(
    data: EventData,
    namespace: Option<String>,
    id: Option<u64>,
    recovery: &mut Recovery,
) -> ServerEvent {
    let EventData { name, args, last } = data;
    // An event that awaits an answer carries no offset: its last argument is the application's.
    if id.is_none()
        && let Some((_, offset)) = recovery.0.get_mut(namespace.as_deref().unwrap_or("/"))
        && last.is_some()
    {
        *offset = last;
    }
    let event = Event {
        name: Some(name),
        namespace,
        last_event_id: None,
        reply: id.is_some(),
        content: Content::Args(args),
    };
    ServerEvent::Event(Payload::Event(Arc::new(event)), id)
}

/// Data of a packet that is no event, unless it is larger than any server's.
fn small(data: &Bytes) -> Option<&str> {
    std::str::from_utf8(data)
        .ok()
        .filter(|data| data.len() <= PARSED_WHOLE)
}

/// How Engine.IO 3 begins a body: the length of a packet, a colon, the packet.
fn is_old(text: &str) -> bool {
    text.split_once(':').is_some_and(|(length, packet)| {
        length.bytes().all(|byte| byte.is_ascii_digit()) && packet.starts_with("0{")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socketio() -> SocketIoConnection {
        SocketIoConnection::new(vec!["/".to_owned()], usize::MAX)
    }

    fn decoded(packet: &str) -> Option<ServerEvent> {
        socketio().decode(
            &Payload::text(packet),
            &mut Recovery::default(),
            &mut Outlines::default(),
        )
    }

    #[test]
    fn the_examples_of_the_protocol_are_decoded() {
        let plain = |name, namespace, args: &'static str| Payload::args(Some(name), namespace, args);
        assert_eq!(
            decoded(r#"42["foo"]"#),
            Some(ServerEvent::Event(plain("foo", None, "[]"), None))
        );
        assert_eq!(
            decoded(r#"42/admin,["bar", {"a": 1.0}]"#),
            Some(ServerEvent::Event(
                plain("bar", Some("/admin"), r#"[{"a": 1.0}]"#),
                None
            ))
        );
        let Some(ServerEvent::Event(awaited, Some(12))) = decoded(r#"4212["foo",1]"#) else {
            panic!("no event")
        };
        assert!(matches!(awaited, Payload::Event(event) if event.reply));
        assert_eq!(
            decoded(r#"44/admin,{"message":"Not authorized","data":{"a": 1}}"#),
            Some(ServerEvent::Refused {
                namespace: "/admin".to_owned(),
                why: "Not authorized".to_owned(),
                data: Some(r#"{"a": 1}"#.to_owned())
            })
        );
        let large = format!(
            r#"44{{"message":"no","data":"{}"}}"#,
            "x".repeat(MAX_REFUSAL_BYTES)
        );
        assert!(matches!(
            decoded(&large),
            Some(ServerEvent::Refused { data: None, .. })
        ));
        assert_eq!(
            decoded("41/admin,"),
            Some(ServerEvent::Dropped {
                namespace: "/admin".to_owned()
            })
        );
        assert_eq!(decoded("2"), Some(ServerEvent::Ping));
        assert_eq!(decoded("6"), None);
    }

    #[test]
    fn malformed_packets_are_reported_and_never_panic() {
        for packet in [
            "",
            "4",
            "4x",
            "42",
            "42[]",
            "42[{}]",
            "42nonsense",
            "45",
            "45-",
            "4599999-[\"a\"]",
            "0nonsense",
            "43[1]",
            "43",
            "4399999999999999999999[1]",
            "é",
            "42/ns",
            "40",
            "9",
            "451-[\"a\"]",
        ] {
            let _ = decoded(packet);
        }
        assert!(matches!(decoded("42[]"), Some(ServerEvent::Malformed(_))));
        assert!(matches!(
            socketio().decode(
                &Payload::Binary(Bytes::new()),
                &mut Recovery::default(),
                &mut Outlines::default()
            ),
            Some(ServerEvent::Malformed(_))
        ));
    }

    #[test]
    fn an_unsupported_protocol_version_is_recognised() {
        let polling =
            r#"96:0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}2:40"#;
        assert_eq!(decoded(polling), Some(ServerEvent::UnsupportedVersion));
        assert_eq!(decoded("40"), Some(ServerEvent::UnsupportedVersion));
    }
}
