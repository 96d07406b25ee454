//! One Socket.IO connection: its namespaces, acknowledgements and recovery, and what it writes.
//!
//! Packets of the server are decoded in `decode`; how a packet is written is in `packet`. The dialect decides when
//! to do something.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::json;

use super::partial::Partial;
use super::recovery::Recovery;
use crate::core::dialect::packet::{bare, prefix};
use crate::wire::payload::Payload;

/// Events that may still be answered; the oldest is forgotten for a new one.
const MAX_REPLIES: usize = 65_536;

/// One connection.
#[derive(Debug)]
pub(super) struct SocketIoConnection {
    /// As they were named when the session was opened; the first is the one that matters.
    pub(crate) namespaces: Vec<String>,
    /// Bytes of one packet that the server takes; it ends the connection at more.
    pub(super) max_payload: usize,
    /// Bytes travel as base64.
    pub(super) base64: bool,
    /// Namespaces not answered yet, and those that are open.
    unanswered: Vec<String>,
    open: Vec<String>,
    /// Packets handed to the link, and those of them that were written.
    packets: u64,
    written: u64,
    /// First and last packet of messages not written yet, and their places in the outbox.
    places: VecDeque<(u64, u64, u64)>,
    last_ack: u64,
    /// Serial numbers of messages that await an acknowledgement, by its id.
    pub(super) acks: HashMap<u64, u64>,
    /// Records that the server awaits an answer to: namespace and id.
    replies: BTreeMap<u64, (Option<String>, u64)>,
    /// Bytes of one event with its attachments.
    pub(super) max_event: usize,
    /// An event whose attachments are still to come.
    pub(super) partial: Option<Partial>,
    /// A packet was too large to be read, and no text has come since: attachments are those of its event. So many are known to
    /// be still to come.
    pub(super) skipping: Option<usize>,
}

impl SocketIoConnection {
    pub(crate) fn new(namespaces: Vec<String>, max_event: usize) -> Self {
        Self {
            max_event,
            unanswered: namespaces.clone(),
            open: Vec::new(),
            namespaces,
            max_payload: usize::MAX,
            base64: false,
            packets: 0,
            written: 0,
            places: VecDeque::new(),
            last_ack: 0,
            acks: HashMap::new(),
            replies: BTreeMap::new(),
            partial: None,
            skipping: None,
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
        // What was not requested is not remembered.
        let is_asked = self.namespaces.iter().any(|asked| bare(asked) == namespace);
        if is_asked && !self.is_connected(namespace) {
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

    /// The namespaces that were not answered, for people.
    pub(crate) fn unanswered(&self) -> String {
        let names: Vec<String> = self.unanswered.iter().map(|name| format!("`{name}`")).collect();
        match names.as_slice() {
            [one] => format!("the namespace {one}"),
            _ => format!("the namespaces {}", names.join(", ")),
        }
    }

    pub(crate) fn is_connected(&self, namespace: &str) -> bool {
        self.open.iter().any(|open| open == namespace)
    }

    /// The packets that ask for a namespace.
    pub(crate) fn connect(&self, namespace: &str, auth: Option<&str>, recovery: &Recovery) -> Payload {
        let mut members = Vec::new();
        if let Some((pid, offset)) = recovery.0.get(bare(namespace)) {
            members.push(format!("\"pid\":{}", json!(pid)));
            members.extend(
                offset
                    .as_ref()
                    .map(|offset| format!("\"offset\":{}", json!(offset))),
            );
        }
        // As the extension wrote them; theirs count where both have one.
        let auth = auth.and_then(|auth| auth.trim().strip_prefix('{')?.strip_suffix('}'));
        let auth = auth.unwrap_or_default().trim();
        members.extend((!auth.is_empty()).then(|| auth.to_owned()));
        let data = if members.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", members.join(","))
        };
        Payload::text(format!("40{}{data}", prefix(namespace)))
    }

    /// The id by which the server acknowledges the message with this serial number.
    pub(crate) fn ack_id(&mut self, serial: u64) -> u64 {
        self.last_ack += 1;
        self.acks.insert(self.last_ack, serial);
        self.last_ack
    }

    /// The packet among these that is too large for the server: its bytes.
    pub(crate) fn too_large(&self, packets: &[Payload]) -> Option<usize> {
        let length = |packet: &Payload| match packet {
            // A letter, and four of them for each three bytes.
            Payload::Binary(bytes) if self.base64 => 1 + bytes.len().div_ceil(3) * 4,
            packet => packet.len(),
        };
        packets.iter().map(length).find(|bytes| *bytes > self.max_payload)
    }

    /// Namespace and id of a record that awaits an answer; once is enough.
    pub(crate) fn take_reply_id(&mut self, seq: u64) -> Option<(Option<String>, u64)> {
        self.replies.remove(&seq)
    }

    /// This record is awaited an answer to.
    pub(crate) fn store_reply_id(&mut self, seq: u64, namespace: Option<String>, id: u64) {
        self.replies.insert(seq, (namespace, id));
        if self.replies.len() > MAX_REPLIES {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::decode::ServerEvent;
    use super::*;
    use crate::core::dialect::outlines::Outlines;
    use crate::core::dialect::unencoded::{UnencodedMessage, encode_event};
    use crate::wire::payload::Event;

    impl SocketIoConnection {
        fn decode_plain(&mut self, packet: &Payload, recovery: &mut Recovery) -> Option<ServerEvent> {
            self.decode(packet, recovery, &mut Outlines::default())
        }
    }

    fn socketio() -> SocketIoConnection {
        SocketIoConnection::new(vec!["/".to_owned()], usize::MAX)
    }

    fn decoded(packet: &str) -> Option<ServerEvent> {
        socketio().decode_plain(&Payload::text(packet), &mut Recovery::default())
    }

    fn event(name: &str, namespace: Option<&str>, args: &str) -> Event {
        match Payload::args(Some(name), namespace, args.to_owned()) {
            Payload::Event(event) => Event::clone(&event),
            other => panic!("{other:?}"),
        }
    }

    fn emit(socketio: &mut SocketIoConnection, event: &Event, serial: Option<u64>) -> Vec<Payload> {
        let id = serial.map(|serial| socketio.ack_id(serial));
        encode_event(event, id).unwrap()
    }

    fn texts(packets: &[Payload]) -> Vec<&str> {
        packets
            .iter()
            .map(|packet| packet.as_str().unwrap_or("bytes"))
            .collect()
    }

    #[test]
    fn events_are_encoded_as_servers_expect() {
        let mut socketio = socketio();
        assert_eq!(
            texts(&emit(&mut socketio, &event("a", None, "[]"), None)),
            [r#"42["a"]"#]
        );
        assert_eq!(
            texts(&emit(
                &mut socketio,
                &event("a", Some("/n"), r#"[1,{"b":2.0}]"#),
                Some(9)
            )),
            [r#"42/n,1["a",1,{"b":2.0}]"#]
        );
        let answered = socketio.decode_plain(&Payload::text(r#"43/n,1["ok"]"#), &mut Recovery::default());
        assert_eq!(
            answered,
            Some(ServerEvent::Acknowledged(
                9,
                Payload::args(None, Some("/n"), r#"["ok"]"#)
            ))
        );
        let again = socketio.decode_plain(&Payload::text(r#"43/n,1["ok"]"#), &mut Recovery::default());
        assert!(matches!(again, Some(ServerEvent::Acknowledged(0, _))));
    }

    #[test]
    fn bytes_become_attachments_and_user_keys_are_escaped() {
        let mut socketio = socketio();
        let sent = r#"[{"x":{"$base64":"AQI="},"y":{"$$base64":"me"}},{"$base64":"Aw=="}]"#;
        let packets = emit(&mut socketio, &event("up", None, sent), None);
        assert_eq!(
            packets[0].as_str().unwrap(),
            r#"452-["up",{"x":{"_placeholder":true,"num":0},"y":{"$base64":"me"}},{"_placeholder":true,"num":1}]"#
        );
        assert_eq!(packets[2], Payload::Binary(Bytes::from_static(&[3])));
        let mut recovery = Recovery::default();
        let events: Vec<ServerEvent> = packets
            .iter()
            .filter_map(|packet| socketio.decode_plain(packet, &mut recovery))
            .collect();
        let Some(ServerEvent::Event(payload, None)) = events.first() else {
            panic!("{events:?}")
        };
        assert_eq!(
            payload.as_str(),
            Some(sent),
            "what a server echoes comes back as it was"
        );
    }

    #[test]
    fn stored_attachments_and_reply_ids_are_bounded() {
        assert!(matches!(
            decoded(r#"451025-["a"]"#),
            Some(ServerEvent::Malformed(_))
        ));
        assert_eq!(decoded(r#"451024-["a"]"#), None, "it waits for these");
        let mut socketio = socketio();
        for seq in 0..=MAX_REPLIES as u64 {
            socketio.store_reply_id(seq, None, seq);
        }
        assert_eq!(socketio.take_reply_id(0), None, "the oldest is forgotten");
        assert_eq!(socketio.take_reply_id(1), Some((None, 1)));
    }

    #[test]
    fn a_namespace_may_have_its_own_query() {
        let mut socketio =
            SocketIoConnection::new(vec!["/main?a=1".to_owned(), "/other".to_owned()], usize::MAX);
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
    fn a_reply_is_sent_once_in_its_namespace() {
        let mut socketio = socketio();
        socketio.store_reply_id(5, Some("/n".to_owned()), 7);
        let (namespace, id) = socketio.take_reply_id(5).unwrap();
        let reply = UnencodedMessage::reply(namespace, id, Bytes::from_static(br#"["yes"]"#));
        assert_eq!(texts(&reply.encode().unwrap()), [r#"43/n,7["yes"]"#]);
        assert_eq!(socketio.take_reply_id(5), None);
    }

    #[test]
    fn a_server_with_recovery_receives_the_resume_position() {
        let mut recovery = Recovery::default();
        let mut first = socketio();
        assert_eq!(first.connect("/", None, &recovery), Payload::text("40"));
        let auth = json!({"token": "t"});
        assert_eq!(
            first.connect("/n", Some(&auth.to_string()), &recovery),
            Payload::text(r#"40/n,{"token":"t"}"#)
        );
        let connected =
            |socketio: &mut SocketIoConnection, text: &str, recovery: &mut Recovery| match socketio
                .decode_plain(&Payload::text(text), recovery)
            {
                Some(ServerEvent::Connected { recovered, .. }) => recovered,
                other => panic!("{other:?}"),
            };
        assert_eq!(
            connected(&mut first, r#"40{"sid":"a","pid":"p1"}"#, &mut recovery),
            None
        );
        first.decode_plain(&Payload::text(r#"42["e",1,"o1"]"#), &mut recovery);
        first.decode_plain(&Payload::text(r#"427["awaited","no offset"]"#), &mut recovery);
        let mut second = socketio();
        assert_eq!(
            second.connect("/", None, &recovery),
            Payload::text(r#"40{"pid":"p1","offset":"o1"}"#)
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
    fn packet_counts_are_converted_to_message_counts() {
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
