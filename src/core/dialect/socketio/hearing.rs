//! What a Socket.IO server says: packets become events, answers and ends.
//!
//! It keeps an event until its attachments are there, and how far a server that remembers has come. What becomes of what
//! was heard is up to `session::eventing`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Recovery, SocketIo};
use crate::core::dialect::packet::{Head, restored};
use crate::wire::payload::{Content, Event, Payload};

/// Bytes of JSON that are kept of a refusal; what is larger is left out.
const MOST_REFUSAL: usize = 4096;

/// What the server says.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
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
    /// It hangs up.
    Goodbye,
    /// It speaks Engine.IO 3.
    Old,
    /// It makes no sense.
    Nonsense(String),
}

#[derive(Debug)]
pub(super) struct Partial {
    head: Head,
    data: String,
    attachments: Vec<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Greeting {
    ping_interval: u64,
    ping_timeout: u64,
    max_payload: Option<usize>,
}

#[derive(Deserialize)]
struct Connected {
    pid: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    message: Option<String>,
    data: Option<Box<RawValue>>,
}

impl SocketIo {
    /// Understands one Engine.IO packet. Most mean something, parts of an event nothing yet.
    pub(crate) fn hear(&mut self, packet: &Payload, recovery: &mut Recovery) -> Option<Heard> {
        if let Payload::Binary(bytes) = packet {
            return self.attach(bytes, recovery);
        }
        let text = packet.as_str().unwrap_or_default();
        let (kind, rest) = text.split_at_checked(1)?;
        match kind {
            "0" => Some(match serde_json::from_str::<Greeting>(rest) {
                Ok(greeting) => {
                    let patience = greeting.ping_interval.saturating_add(greeting.ping_timeout);
                    let patience = Duration::from_millis(patience.min(86_400_000));
                    Heard::Greeting(patience, greeting.max_payload.unwrap_or(usize::MAX))
                }
                Err(error) => Heard::Nonsense(format!("its greeting cannot be read: {error}")),
            }),
            "1" => Some(Heard::Goodbye),
            "2" => Some(Heard::Ping),
            // A pong, the end of an upgrade, nothing: no word for us.
            "3" | "5" | "6" => None,
            "4" => self.packet(rest, recovery),
            _ if is_old(text) => Some(Heard::Old),
            _ => Some(Heard::Nonsense("it is no Engine.IO packet".to_owned())),
        }
    }

    fn packet(&mut self, text: &str, recovery: &mut Recovery) -> Option<Heard> {
        if self.partial.is_some() {
            return Some(Heard::Nonsense("attachments of an event are missing".to_owned()));
        }
        let Some((head, data)) = Head::read(text) else {
            return Some(Heard::Nonsense("it is no Socket.IO packet".to_owned()));
        };
        if head.attachments > 0 && matches!(head.kind, b'5' | b'6') {
            let data = data.to_owned();
            self.partial = Some(Partial {
                head,
                data,
                attachments: Vec::new(),
            });
            return None;
        }
        Some(self.understand(head, data, &[], recovery))
    }

    fn attach(&mut self, bytes: &Bytes, recovery: &mut Recovery) -> Option<Heard> {
        let Some(partial) = &mut self.partial else {
            return Some(Heard::Nonsense("bytes that belong to no event".to_owned()));
        };
        partial.attachments.push(bytes.clone());
        if partial.attachments.len() < partial.head.attachments {
            return None;
        }
        let partial = self.partial.take()?;
        Some(self.understand(partial.head, &partial.data, &partial.attachments, recovery))
    }

    fn understand(&mut self, head: Head, data: &str, bytes: &[Bytes], recovery: &mut Recovery) -> Heard {
        let namespace = head.namespace.clone().unwrap_or_else(|| "/".to_owned());
        match head.kind {
            // A server of version 2 opens the main namespace by itself and says nothing about it.
            b'0' if data.is_empty() => Heard::Old,
            b'0' => {
                let pid = serde_json::from_str::<Connected>(data)
                    .ok()
                    .and_then(|data| data.pid);
                let before = recovery.0.remove(&namespace);
                let recovered = before.as_ref().map(|(known, _)| Some(known) == pid.as_ref());
                if let Some(pid) = pid {
                    let offset = before
                        .filter(|_| recovered == Some(true))
                        .and_then(|(_, offset)| offset);
                    recovery.0.insert(namespace.clone(), (pid, offset));
                }
                Heard::Connected { namespace, recovered }
            }
            b'1' => Heard::Dropped { namespace },
            b'2' | b'5' => match self.event(&head, data, bytes, recovery) {
                Some((payload, id)) => Heard::Event(payload, id),
                None => Heard::Nonsense("an event without a name".to_owned()),
            },
            b'3' | b'6' => {
                let serial = head.id.and_then(|id| self.acks.remove(&id));
                let args = serde_json::from_str::<&RawValue>(data)
                    .ok()
                    .filter(|raw| raw.get().starts_with('['));
                match (serial, args) {
                    (_, None) => Heard::Nonsense("an acknowledgement without arguments".to_owned()),
                    // It came too late, or was never asked for.
                    (None, _) => Heard::Acknowledged(0, Payload::args(None, None, "[]")),
                    (Some(serial), Some(args)) => {
                        let args = restored(args.get(), bytes);
                        Heard::Acknowledged(serial, Payload::args(None, head.namespace.as_deref(), args))
                    }
                }
            }
            b'4' => {
                let (why, more) = serde_json::from_str::<Refusal>(data)
                    .map_or((None, None), |refusal| (refusal.message, refusal.data));
                let why = why
                    .or_else(|| serde_json::from_str(data).ok())
                    .unwrap_or_else(|| "no reason given".to_owned());
                let data = more
                    .map(|more| String::from(Box::<str>::from(more)))
                    .filter(|more| more.len() <= MOST_REFUSAL);
                Heard::Refused { namespace, why, data }
            }
            _ => Heard::Nonsense("an unknown kind of packet".to_owned()),
        }
    }

    fn event(
        &self,
        head: &Head,
        data: &str,
        bytes: &[Bytes],
        recovery: &mut Recovery,
    ) -> Option<(Payload, Option<u64>)> {
        let all: Vec<&RawValue> = serde_json::from_str(data).ok()?;
        let (name, args) = all.split_first()?;
        let name = match serde_json::from_str::<Value>(name.get()).ok()? {
            Value::String(name) => name,
            Value::Number(name) => name.to_string(),
            _ => return None,
        };
        let namespace = head.namespace.as_deref().unwrap_or("/");
        // An event that awaits an answer carries no offset: its last argument is the application's.
        if head.id.is_none()
            && let Some((_, offset)) = recovery.0.get_mut(namespace)
            && let Some(last) = args
                .last()
                .and_then(|last| serde_json::from_str::<String>(last.get()).ok())
        {
            *offset = Some(last);
        }
        let args: Vec<&str> = args.iter().map(|arg| arg.get()).collect();
        let event = Event {
            name: Some(name),
            namespace: head.namespace.clone(),
            last_event_id: None,
            reply: head.id.is_some(),
            content: Content::Args(restored(&format!("[{}]", args.join(",")), bytes)),
        };
        Some((Payload::Event(Arc::new(event)), head.id))
    }
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

    fn socketio() -> SocketIo {
        SocketIo::new(vec!["/".to_owned()])
    }

    fn hear(packet: &str) -> Option<Heard> {
        socketio().hear(&Payload::text(packet), &mut Recovery::default())
    }

    #[test]
    fn the_examples_of_the_protocol() {
        let plain = |name, namespace, args: &'static str| Payload::args(Some(name), namespace, args);
        assert_eq!(
            hear(r#"42["foo"]"#),
            Some(Heard::Event(plain("foo", None, "[]"), None))
        );
        assert_eq!(
            hear(r#"42/admin,["bar", {"a": 1.0}]"#),
            Some(Heard::Event(
                plain("bar", Some("/admin"), r#"[{"a": 1.0}]"#),
                None
            ))
        );
        let Some(Heard::Event(awaited, Some(12))) = hear(r#"4212["foo",1]"#) else {
            panic!("no event")
        };
        assert!(matches!(awaited, Payload::Event(event) if event.reply));
        assert_eq!(
            hear(r#"44/admin,{"message":"Not authorized","data":{"a": 1}}"#),
            Some(Heard::Refused {
                namespace: "/admin".to_owned(),
                why: "Not authorized".to_owned(),
                data: Some(r#"{"a": 1}"#.to_owned())
            })
        );
        let large = format!(r#"44{{"message":"no","data":"{}"}}"#, "x".repeat(MOST_REFUSAL));
        assert!(matches!(hear(&large), Some(Heard::Refused { data: None, .. })));
        assert_eq!(
            hear("41/admin,"),
            Some(Heard::Dropped {
                namespace: "/admin".to_owned()
            })
        );
        assert_eq!(hear("2"), Some(Heard::Ping));
        assert_eq!(hear("6"), None);
    }

    #[test]
    fn what_makes_no_sense_is_said_and_no_panic() {
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
            let _ = hear(packet);
        }
        assert!(matches!(hear("42[]"), Some(Heard::Nonsense(_))));
        assert!(matches!(
            socketio().hear(&Payload::Binary(Bytes::new()), &mut Recovery::default()),
            Some(Heard::Nonsense(_))
        ));
    }

    #[test]
    fn an_old_server_is_recognised() {
        let polling =
            r#"96:0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}2:40"#;
        assert_eq!(hear(polling), Some(Heard::Old));
        assert_eq!(hear("40"), Some(Heard::Old));
    }
}
