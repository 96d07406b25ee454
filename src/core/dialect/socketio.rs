//! Socket.IO 5 on Engine.IO 4: packets to events and back, acknowledgements, namespaces, recovery.
//!
//! It decides nothing about the link: `session::eventing` does. How a packet is written is in `packet`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::packet::{Head, bare, packets, prefix, restored, taken_apart};
use crate::wire::payload::{Content, Event, Payload};

/// Events that may still be answered; the oldest is forgotten for a new one.
const MOST_REPLIES: usize = 65_536;
/// Bytes of JSON that are kept of a refusal; what is larger is left out.
const MOST_REFUSAL: usize = 4096;
/// Events that may come before every namespace was answered.
const MOST_EARLY: usize = 4096;
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

/// What a server that remembers connections needs to know to go on; by namespace.
#[derive(Debug, Default)]
pub(crate) struct Recovery(HashMap<String, (String, Option<String>)>);

/// One connection.
#[derive(Debug)]
pub(crate) struct SocketIo {
    /// As they were named when the session was opened; the first is the one that matters.
    pub(crate) namespaces: Vec<String>,
    /// Boot time until which the server must have asked again.
    pub(crate) alive_by: Option<Duration>,
    pub(crate) patience: Duration,
    /// Bytes of one packet that the server takes; it ends the connection at more.
    pub(crate) most: usize,
    /// Boot time until which every namespace must have been answered.
    pub(crate) connect_by: Option<Duration>,
    /// Namespaces not answered yet, and those that are open.
    unanswered: Vec<String>,
    open: Vec<String>,
    /// Events that came before every namespace was answered.
    pub(crate) early: Vec<(Payload, Option<u64>)>,
    /// Packets handed to the link, and those of them that were written.
    packets: u64,
    written: u64,
    /// First and last packet of messages not written yet, and their places in the outbox.
    places: VecDeque<(u64, u64, u64)>,
    last_ack: u64,
    /// Serial numbers of messages that await an acknowledgement, by its id.
    acks: HashMap<u64, u64>,
    /// Records that the server awaits an answer to: namespace and id.
    replies: BTreeMap<u64, (Option<String>, u64)>,
    /// An event whose attachments are still to come.
    partial: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
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
    pub(crate) fn new(namespaces: Vec<String>) -> Self {
        Self {
            connect_by: None,
            unanswered: namespaces.clone(),
            open: Vec::new(),
            early: Vec::new(),
            namespaces,
            alive_by: None,
            patience: Duration::ZERO,
            most: usize::MAX,
            packets: 0,
            written: 0,
            places: VecDeque::new(),
            last_ack: 0,
            acks: HashMap::new(),
            replies: BTreeMap::new(),
            partial: None,
        }
    }

    /// The one that the session stands and falls with.
    pub(crate) fn is_main(&self, namespace: &str) -> bool {
        self.namespaces
            .first()
            .is_some_and(|main| bare(main) == namespace)
    }

    pub(crate) fn connected(&mut self, namespace: &str) {
        self.answered(namespace);
        if !self.is_connected(namespace) {
            self.open.push(namespace.to_owned());
        }
    }

    pub(crate) fn disconnected(&mut self, namespace: &str) {
        self.open.retain(|open| open != namespace);
    }

    pub(crate) fn answered(&mut self, namespace: &str) {
        self.unanswered.retain(|asked| bare(asked) != namespace);
    }

    /// Whether every namespace was answered, and the main one is open.
    pub(crate) fn all_answered(&self) -> bool {
        self.unanswered.is_empty() && self.open.iter().any(|open| self.is_main(open))
    }

    pub(crate) fn is_connected(&self, namespace: &str) -> bool {
        self.open.iter().any(|open| open == namespace)
    }

    /// Keeps an event until the session is open; `true` when it is too many.
    pub(crate) fn is_early(&mut self, payload: Payload, id: Option<u64>) -> bool {
        self.early.push((payload, id));
        self.early.len() > MOST_EARLY
    }

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
        if let Some((_, offset)) = recovery.0.get_mut(namespace)
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

    /// The packets that ask for a namespace.
    pub(crate) fn connect(&self, namespace: &str, auth: Option<&Value>, recovery: &Recovery) -> Payload {
        let mut data = Map::new();
        if let Some((pid, offset)) = recovery.0.get(bare(namespace)) {
            data.insert("pid".to_owned(), json!(pid));
            data.extend(offset.as_ref().map(|offset| ("offset".to_owned(), json!(offset))));
        }
        if let Some(Value::Object(auth)) = auth {
            data.extend(auth.clone());
        }
        let data = if data.is_empty() {
            String::new()
        } else {
            Value::Object(data).to_string()
        };
        Payload::text(format!("40{}{data}", prefix(namespace)))
    }

    /// The packets of an event. `serial`: of a message that awaits its acknowledgement.
    pub(crate) fn emit(&mut self, event: &Event, serial: Option<u64>) -> Vec<Payload> {
        let id = serial.map(|serial| {
            self.last_ack += 1;
            self.acks.insert(self.last_ack, serial);
            self.last_ack
        });
        let (args, attachments) = taken_apart(event.content.bytes());
        let name = json!(event.name.as_deref().unwrap_or_default());
        let inner = args.trim().trim_start_matches('[').trim_start();
        let comma = if inner.starts_with(']') { "" } else { "," };
        let data = format!("[{name}{comma}{inner}");
        packets(b'2', event.namespace.as_deref(), id, &data, attachments)
    }

    /// The packet among these that is too large for the server: its bytes.
    pub(crate) fn too_large(&self, packets: &[Payload]) -> Option<usize> {
        packets.iter().map(Payload::len).find(|bytes| *bytes > self.most)
    }

    /// The packets that acknowledge a record; `None` if it cannot be any more.
    pub(crate) fn reply(&self, seq: u64, args: &[u8]) -> Option<Vec<Payload>> {
        let (namespace, id) = self.replies.get(&seq)?;
        let (args, attachments) = taken_apart(args);
        Some(packets(b'3', namespace.as_deref(), Some(*id), &args, attachments))
    }

    /// This record has been acknowledged: once is enough.
    pub(crate) fn replied(&mut self, seq: u64) {
        self.replies.remove(&seq);
    }

    /// This record is awaited an answer to.
    pub(crate) fn awaits_reply(&mut self, seq: u64, namespace: Option<String>, id: u64) {
        self.replies.insert(seq, (namespace, id));
        if self.replies.len() > MOST_REPLIES {
            self.replies.pop_first();
        }
    }

    /// Nothing is awaited for this message any more.
    pub(crate) fn forget(&mut self, serial: u64) {
        if !self.acks.is_empty() {
            self.acks.retain(|_, waiting| *waiting != serial);
        }
    }

    /// So many packets were handed over which are the message at this place of the outbox, or none of its.
    pub(crate) fn handed(&mut self, count: u64, place: Option<u64>) {
        let first = self.packets + 1;
        self.packets += count;
        self.places
            .extend(place.map(|place| (first, self.packets, place)));
    }

    /// Nothing was handed over for the message at this place: it counts as written with those before it.
    pub(crate) fn handed_nothing(&mut self, place: u64) -> Option<u64> {
        self.handed(0, Some(place));
        self.written(self.written)
    }

    /// So many packets have been written: everything up to the place that comes out.
    pub(crate) fn written(&mut self, packets: u64) -> Option<u64> {
        self.written = self.written.max(packets);
        let mut place = None;
        while let Some((_, _, done)) = self
            .places
            .front()
            .copied()
            .filter(|(_, last, _)| *last <= packets)
        {
            self.places.pop_front();
            place = Some(done);
        }
        place
    }

    /// So many packets were begun: everything up to the place that comes out may have been read.
    pub(crate) fn taken(&self, packets: u64) -> u64 {
        let before_all = self.places.front().map_or(u64::MAX, |(_, _, place)| place - 1);
        self.places
            .iter()
            .take_while(|(first, ..)| *first <= packets)
            .last()
            .map_or(before_all, |(_, _, place)| *place)
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

    fn event(name: &str, namespace: Option<&str>, args: &str) -> Event {
        match Payload::args(Some(name), namespace, args.to_owned()) {
            Payload::Event(event) => Event::clone(&event),
            other => panic!("{other:?}"),
        }
    }

    fn texts(packets: &[Payload]) -> Vec<&str> {
        packets
            .iter()
            .map(|packet| packet.as_str().unwrap_or("bytes"))
            .collect()
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

    #[test]
    fn events_are_written_as_servers_expect_them() {
        let mut socketio = socketio();
        assert_eq!(
            texts(&socketio.emit(&event("a", None, "[]"), None)),
            [r#"42["a"]"#]
        );
        assert_eq!(
            texts(&socketio.emit(&event("a", Some("/n"), r#"[1,{"b":2.0}]"#), Some(9))),
            [r#"42/n,1["a",1,{"b":2.0}]"#]
        );
        let answered = socketio.hear(&Payload::text(r#"43/n,1["ok"]"#), &mut Recovery::default());
        assert_eq!(
            answered,
            Some(Heard::Acknowledged(
                9,
                Payload::args(None, Some("/n"), r#"["ok"]"#)
            ))
        );
        let again = socketio.hear(&Payload::text(r#"43/n,1["ok"]"#), &mut Recovery::default());
        assert!(matches!(again, Some(Heard::Acknowledged(0, _))));
    }

    #[test]
    fn bytes_travel_as_attachments_and_user_keys_survive() {
        let mut socketio = socketio();
        let sent = r#"[{"x":{"$base64":"AQI="},"y":{"$$base64":"me"}},{"$base64":"Aw=="}]"#;
        let packets = socketio.emit(&event("up", None, sent), None);
        assert_eq!(
            packets[0].as_str().unwrap(),
            r#"452-["up",{"x":{"_placeholder":true,"num":0},"y":{"$base64":"me"}},{"_placeholder":true,"num":1}]"#
        );
        assert_eq!(packets[2], Payload::Binary(Bytes::from_static(&[3])));
        let mut recovery = Recovery::default();
        let heard: Vec<Heard> = packets
            .iter()
            .filter_map(|packet| socketio.hear(packet, &mut recovery))
            .collect();
        let Some(Heard::Event(payload, None)) = heard.first() else {
            panic!("{heard:?}")
        };
        assert_eq!(
            payload.as_str(),
            Some(sent),
            "what a server echoes comes back as it was"
        );
    }

    #[test]
    fn a_server_cannot_make_it_keep_without_end() {
        assert!(matches!(hear(r#"451025-["a"]"#), Some(Heard::Nonsense(_))));
        assert_eq!(hear(r#"451024-["a"]"#), None, "it waits for these");
        let mut socketio = socketio();
        for seq in 0..=MOST_REPLIES as u64 {
            socketio.awaits_reply(seq, None, seq);
        }
        assert_eq!(socketio.reply(0, b"[]"), None, "the oldest is forgotten");
        assert!(socketio.reply(1, b"[]").is_some());
        let early = || Payload::args(Some("early"), None, "[]");
        assert!((0..MOST_EARLY).all(|_| !socketio.is_early(early(), None)));
        assert!(socketio.is_early(early(), None), "one too many");
    }

    #[test]
    fn a_namespace_may_have_a_query_of_its_own() {
        let mut socketio = SocketIo::new(vec!["/main?a=1".to_owned(), "/other".to_owned()]);
        assert_eq!(
            socketio.connect("/main?a=1", None, &Recovery::default()),
            Payload::text("40/main?a=1,")
        );
        assert!(socketio.is_main("/main") && !socketio.is_main("/other"));
        socketio.connected("/main");
        assert!(!socketio.all_answered());
        socketio.answered("/other");
        assert!(socketio.all_answered());
    }

    #[test]
    fn a_reply_goes_out_once_in_its_namespace() {
        let mut socketio = socketio();
        socketio.awaits_reply(5, Some("/n".to_owned()), 7);
        assert_eq!(
            texts(&socketio.reply(5, br#"["yes"]"#).unwrap()),
            [r#"43/n,7["yes"]"#]
        );
        socketio.replied(5);
        assert_eq!(socketio.reply(5, b"[]"), None);
    }

    #[test]
    fn a_server_that_remembers_is_told_where_to_go_on() {
        let mut recovery = Recovery::default();
        let mut first = socketio();
        assert_eq!(first.connect("/", None, &recovery), Payload::text("40"));
        let auth = json!({"token": "t"});
        assert_eq!(
            first.connect("/n", Some(&auth), &recovery),
            Payload::text(r#"40/n,{"token":"t"}"#)
        );
        let connected = |socketio: &mut SocketIo, text: &str, recovery: &mut Recovery| match socketio
            .hear(&Payload::text(text), recovery)
        {
            Some(Heard::Connected { recovered, .. }) => recovered,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            connected(&mut first, r#"40{"sid":"a","pid":"p1"}"#, &mut recovery),
            None
        );
        first.hear(&Payload::text(r#"42["e",1,"o1"]"#), &mut recovery);
        let mut second = socketio();
        assert_eq!(
            second.connect("/", None, &recovery),
            Payload::text(r#"40{"offset":"o1","pid":"p1"}"#)
        );
        assert_eq!(
            connected(&mut second, r#"40{"sid":"b","pid":"p1"}"#, &mut recovery),
            Some(true)
        );
        assert_eq!(
            connected(&mut socketio(), r#"40{"sid":"c","pid":"p2"}"#, &mut recovery),
            Some(false)
        );
    }

    #[test]
    fn packets_are_counted_back_into_messages() {
        let mut socketio = socketio();
        assert_eq!(socketio.taken(7), u64::MAX);
        socketio.handed(1, None);
        socketio.handed(3, Some(1));
        socketio.handed(1, Some(2));
        assert_eq!(socketio.written(3), None);
        assert_eq!(
            (socketio.taken(1), socketio.taken(2), socketio.taken(5)),
            (0, 1, 2)
        );
        assert_eq!(socketio.written(5), Some(2));
    }
}
