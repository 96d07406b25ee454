//! Socket.IO 5 on Engine.IO 4: the greeting, namespaces, events, acknowledgements, and the server's silence.
//!
//! Packets are decoded in `decode`, written by `connection` and `packet`.

mod connection;
mod decode;
mod descriptor;
mod encoder;
mod outgoing;
mod packet;
mod partial;
pub(super) mod recovery;
mod silence;

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::record::{Continuity, ErrorInfo, State, StateChange};
use crate::wire::rule::PARSED_WHOLE;
use bytes::Bytes;

use crate::core::dialect::outlines::{Outlines, Unparsed};
use crate::core::io::{Incoming, LinkEvent, Output};

use self::connection::SocketIoConnection;
use self::decode::ServerEvent;
pub(super) use self::descriptor::DESCRIPTOR;
use self::descriptor::transports;
use self::encoder::{Encoder, Handed};
use self::packet::large_packets;
pub(crate) use self::packet::{ReadPacket, SocketIoPacket};
use self::partial::Partial;
use self::recovery::Recovery;
use self::silence::Silence;
use super::{
    AwaitedReply, Beginning, DialContext, DialectEnd, DialectEvent, ProtocolHandler, Received, ResumeToken,
};

/// Events that may come before every namespace was answered.
const MAX_EARLY: usize = 4096;

/// Characters of a refusal that are reported.
const MAX_REFUSAL_CHARS: usize = 200;

/// One dial.
#[derive(Debug)]
struct SocketIoSession {
    connection: SocketIoConnection,
    token: ResumeToken,
    auth: Option<String>,
    is_open: bool,
    is_closing: bool,
    silence: Silence,
    /// Whether the server went on where the last connection ended, if it was asked to.
    recovered: Option<bool>,
    packets: std::vec::IntoIter<Incoming>,
    /// Events that came before every namespace was answered; nothing for those that had no room.
    early: VecDeque<Option<Received>>,
    encoder: Encoder,
    events: VecDeque<DialectEvent>,
}

impl SocketIoSession {
    fn begin(options: &Options, Beginning { token, auth, .. }: Beginning) -> Self {
        Self {
            connection: SocketIoConnection::new(
                options.socketio.namespaces.clone(),
                options.max_message.saturating_mul(2),
            ),
            token,
            auth,
            is_open: false,
            is_closing: false,
            silence: Silence::default(),
            recovered: None,
            packets: Vec::new().into_iter(),
            early: VecDeque::new(),
            encoder: Encoder::default(),
            events: VecDeque::new(),
        }
    }

    /// What a packet of the server's comes to.
    fn act(&mut self, ctx: &mut DialContext<'_>, said: ServerEvent) -> Option<DialectEvent> {
        match said {
            ServerEvent::Greeting(ping_timeout, max_payload) => self.start(ctx, ping_timeout, max_payload),
            ServerEvent::Ping => {
                self.silence.broken(ctx.now.boot);
                if !self.is_closing {
                    self.connection.handed(1, None);
                    ctx.transmit(Payload::text("3"));
                }
            }
            ServerEvent::Connected { namespace, recovered } => {
                self.connection.connected(&namespace);
                if self.connection.is_main(&namespace) {
                    self.recovered = recovered;
                }
            }
            ServerEvent::Refused { namespace, why, data } => {
                return Some(self.refused(namespace, &why, data));
            }
            ServerEvent::Dropped { namespace } => return Some(self.dropped(namespace)),
            ServerEvent::Event(payload, id) => return self.event(message(payload, id, ctx.outlines)),
            ServerEvent::TooLarge => return Some(DialectEvent::TooLarge),
            ServerEvent::Acknowledged(serial, args) => return Some(DialectEvent::Acknowledged(serial, args)),
            ServerEvent::Close => {
                return Some(DialectEnd::given_up(
                    Code::ClosedByServer,
                    "the server closed the connection",
                ));
            }
            ServerEvent::UnsupportedVersion => {
                let why = "the server uses Socket.IO 2 (Engine.IO 3); Longwire supports 3 and 4: update the server's `socket.io`";
                return Some(DialectEnd::failed(Code::ServerProtocol, why));
            }
            ServerEvent::Malformed(why) => {
                let why = format!("the server's message is invalid: {why}");
                return Some(DialectEnd::given_up(Code::ServerProtocol, why));
            }
        }
        None
    }

    fn start(&mut self, ctx: &mut DialContext<'_>, ping_timeout: Duration, max_payload: usize) {
        if self.silence.has_begun() {
            return;
        }
        self.connection.max_payload = max_payload;
        self.connection.base64 = transports(ctx.options).has_text_only();
        let connect_timeout = Duration::from_millis(ctx.options.connect_timeout);
        self.silence.begin(ctx.now.boot, ping_timeout, connect_timeout);
        let asked: Vec<Payload> = self
            .connection
            .namespaces
            .iter()
            .map(|namespace| {
                self.connection
                    .connect(namespace, self.auth.as_deref(), &self.token.recovery)
            })
            .collect();
        self.hand(ctx, asked, None);
    }

    /// The session is open once every namespace was answered: a packet for one that is not open ends the connection.
    fn opened(&mut self) -> Option<DialectEvent> {
        if self.is_open || !self.connection.all_answered() {
            return None;
        }
        self.is_open = true;
        self.silence.all_answered();
        Some(DialectEvent::Opened {
            subprotocol: None,
            extensions: None,
        })
    }

    fn refused(&mut self, namespace: String, why: &str, data: Option<String>) -> DialectEvent {
        self.connection.answered(&namespace);
        let shown: String = why.chars().take(MAX_REFUSAL_CHARS).collect();
        let refusal = ErrorInfo::new(
            Code::Handshake,
            format!("the server refused the namespace `{namespace}`: {shown}"),
        );
        let mut change = StateChange::new(State::Failed);
        change.error = Some(refusal);
        change.reason = Some(shown);
        change.data = data;
        if self.connection.is_main(&namespace) {
            return DialectEvent::End(Box::new(DialectEnd::Refused(change)));
        }
        change.namespace = Some(namespace);
        DialectEvent::State(Box::new(change))
    }

    fn dropped(&mut self, namespace: String) -> DialectEvent {
        self.connection.disconnected(&namespace);
        let dropped = ErrorInfo::new(
            Code::ClosedByServer,
            format!("the server disconnected the namespace `{namespace}`"),
        );
        if self.connection.is_main(&namespace) {
            return DialectEvent::End(Box::new(DialectEnd::Failed(dropped)));
        }
        let mut change = StateChange::new(State::Closed);
        change.namespace = Some(namespace);
        change.error = Some(dropped);
        DialectEvent::State(Box::new(change))
    }

    fn event(&mut self, event: Received) -> Option<DialectEvent> {
        if self.is_open {
            return Some(DialectEvent::Message(event));
        }
        self.early.push_back(Some(event));
        (self.early.len() > MAX_EARLY).then(|| {
            let why = "the server sends events but has not answered for every namespace";
            DialectEnd::given_up(Code::ServerProtocol, why)
        })
    }

    fn hand(&mut self, ctx: &mut DialContext<'_>, packets: Vec<Payload>, place: Option<u64>) {
        self.connection.handed(packets.len() as u64, place);
        let dial = ctx.dial;
        ctx.out
            .extend(packets.into_iter().map(|packet| Output::Transmit(dial, packet)));
    }
}

impl ProtocolHandler for SocketIoSession {
    fn unread(&mut self, _: &Options, event: &LinkEvent) -> Vec<Unparsed> {
        let LinkEvent::Messages(packets) = event else {
            return Vec::new();
        };
        let come = packets.iter().map(|packet| match packet {
            Incoming::Message(packet) => packet.len(),
            Incoming::TooLarge { .. } => 0,
        });
        let partial = &self.connection.partial;
        if come.sum::<usize>() + partial.as_ref().map_or(0, Partial::held) <= PARSED_WHOLE {
            return Vec::new();
        }
        let large = large_packets(partial.clone(), packets, self.connection.max_event);
        large.into_iter().map(Unparsed::Packet).collect()
    }

    fn handle_event(&mut self, ctx: &mut DialContext<'_>, event: LinkEvent) {
        match event {
            LinkEvent::Messages(packets) => self.packets = packets.into_iter(),
            LinkEvent::Written(packets) => {
                let place = self.connection.written(packets);
                self.events.extend(place.map(DialectEvent::Written));
            }
            LinkEvent::Encoded(packets) => self.encoded(ctx, packets),
            LinkEvent::Ended(mut end) => {
                end.taken = self.connection.taken(end.taken);
                self.events.push_back(DialectEvent::Ended(Box::new(end)));
            }
            // The transport is open; the server has sent nothing yet.
            LinkEvent::Opened { .. }
            | LinkEvent::Alive
            | LinkEvent::Pong(_)
            | LinkEvent::Chunk(_)
            | LinkEvent::Answered(_)
            | LinkEvent::Posted(..) => {}
        }
    }

    fn poll(&mut self, ctx: &mut DialContext<'_>) -> Option<DialectEvent> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        loop {
            if let Some(opened) = self.opened() {
                return Some(opened);
            }
            if self.is_open
                && let Some(early) = self.early.pop_front()
            {
                return Some(early.map_or(DialectEvent::TooLarge, DialectEvent::Message));
            }
            let said = match self.packets.next()? {
                Incoming::TooLarge { .. } => self.connection.skip_packet(),
                Incoming::Message(packet) => {
                    self.connection
                        .decode(&packet, &mut self.token.recovery, ctx.outlines)
                }
            };
            let event = said.and_then(|said| self.act(ctx, said));
            if event.is_some() {
                return event;
            }
        }
    }

    fn encode(
        &mut self,
        ctx: &mut DialContext<'_>,
        payload: Payload,
        place: u64,
        serial: Option<u64>,
    ) -> Result<(), ErrorInfo> {
        if self.encoder.is_busy() {
            self.encoder.wait(Handed::Event {
                payload,
                place,
                serial,
            });
            return Ok(());
        }
        self.begin_event(ctx, payload, place, serial)
    }

    fn skip(&mut self, place: u64) -> Option<u64> {
        self.connection.handed_nothing(place)
    }

    fn held(&self) -> usize {
        let early = self.early.iter().flatten().map(|event| event.payload.held());
        self.connection.partial.as_ref().map_or(0, Partial::held) + early.sum::<usize>()
    }

    fn give_up_partial(&mut self) {
        if let Some(partial) = &mut self.connection.partial {
            partial.give_up();
        }
        self.early.iter_mut().for_each(|early| *early = None);
    }

    fn forget(&mut self, serial: u64) {
        self.connection.forget(serial);
        self.encoder.forget(serial);
    }

    fn encoding(&self) -> Option<usize> {
        self.encoder.held()
    }

    fn first_unhanded(&self) -> Option<u64> {
        self.encoder.first_place()
    }

    fn message_stored(&mut self, seq: u64, (namespace, id): AwaitedReply) {
        self.connection.store_reply_id(seq, namespace, id);
    }

    fn reply(&mut self, ctx: &mut DialContext<'_>, seq: u64, args: Bytes) -> Result<(), ErrorInfo> {
        let to = self.take_reply(seq)?;
        if self.encoder.is_busy() {
            self.encoder.wait(Handed::Reply { to, args });
            return Ok(());
        }
        self.begin_reply(ctx, to, args)
    }

    fn timeout(&mut self, ctx: &mut DialContext<'_>) {
        if self.silence.is_connecting_too_long(ctx.now.boot) {
            let why = format!(
                "the server did not answer for {} within `connectTimeout` ({} ms)",
                self.connection.unanswered(),
                ctx.options.connect_timeout
            );
            self.events.push_back(DialectEnd::given_up(Code::Timeout, why));
        } else if self.silence.ends_at().is_some_and(|until| ctx.now.boot >= until) {
            self.events.push_back(DialectEnd::given_up(
                Code::Heartbeat,
                "the server was silent for too long",
            ));
        }
    }

    fn deadline(&self) -> Option<(Duration, &'static str)> {
        self.silence.ends_at().map(|at| (at, "silence"))
    }

    fn close(&mut self) {
        self.is_closing = true;
    }

    fn pause(&mut self) {
        self.silence.pause();
    }

    fn resume(&mut self, ctx: &mut DialContext<'_>) {
        self.silence.resume(ctx.now.boot);
    }

    fn continuity(&self) -> Continuity {
        match self.recovered {
            Some(true) => Continuity::Server,
            Some(false) => Continuity::None,
            None => Continuity::Unknown,
        }
    }

    fn forget_recovery(&mut self) {
        self.token.recovery = Recovery::default();
    }

    fn end(self: Box<Self>) -> ResumeToken {
        self.token
    }
}

fn message(payload: Payload, id: Option<u64>, outlines: &Outlines) -> Received {
    let namespace = match &payload {
        Payload::Event(event) => event.namespace.clone(),
        _ => None,
    };
    Received::new(payload, outlines).awaiting(id.map(|id| (namespace, id)))
}
