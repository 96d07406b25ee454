//! Socket.IO servers: the greeting, namespaces, events, acknowledgements, and their silence.
//!
//! Packets are understood in `core::dialect::socketio`; the link's life stays in `linking`.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::wire::code::{Code, GapReason};
use crate::wire::message::Reply;
use crate::wire::options::Protocol;
use crate::wire::payload::{Content, Event, Payload};
use crate::wire::record::{Continuity, ErrorInfo, Outcome, State, StateChange};

use crate::core::context::{Context, error};
use crate::core::dialect::socketio::{Heard, SocketIo};
use crate::core::dialect::{Dialect, Speech};
use crate::core::io::{DialId, Incoming, LinkEnd, LinkEvent, Output, PortId};
use crate::core::link::Link;
use crate::core::outbox::Verdict;

use super::Session;

impl Session {
    pub(super) fn is_socketio(&self) -> bool {
        matches!(self.protocol(), Protocol::SocketIo)
    }

    fn socketio(&mut self) -> Option<&mut SocketIo> {
        match self.dialect.as_deref_mut().map(|dialect| &mut dialect.speech) {
            Some(Speech::SocketIo(socketio)) => Some(socketio),
            _ => None,
        }
    }

    /// Word from the present dial of a Socket.IO session.
    pub(super) fn socketio_event(&mut self, ctx: &mut Context, dial: DialId, event: LinkEvent) {
        match event {
            LinkEvent::Messages(packets) => self.packets(ctx, dial, packets),
            LinkEvent::Written(packets) => {
                if let Some(place) = self.socketio().and_then(|socketio| socketio.written(packets)) {
                    self.written(ctx, place);
                }
            }
            LinkEvent::Ended(mut end) => {
                end.taken = self.socketio().map_or(0, |socketio| socketio.taken(end.taken));
                self.lost(ctx, end);
            }
            // The way is open; the server has not said anything yet.
            _ => {}
        }
    }

    fn packets(&mut self, ctx: &mut Context, dial: DialId, packets: Vec<Incoming>) {
        if let Some(heartbeat) = self
            .link
            .up()
            .and_then(|connection| connection.heartbeat.as_mut())
        {
            heartbeat.heard(ctx.now.boot);
        }
        for packet in packets {
            if self.link.dial() != Some(dial) {
                // What was just heard ended the link: the rest belongs to nobody.
                return;
            }
            match packet {
                Incoming::TooLarge { .. } => self.lose_message(ctx, GapReason::TooLarge),
                Incoming::Message(packet) => {
                    let Some((socketio, memory)) = self.dialect.as_deref_mut().and_then(Dialect::socketio)
                    else {
                        return;
                    };
                    if let Some(heard) = socketio.hear(&packet, &mut memory.recovery) {
                        self.socketio_heard(ctx, dial, heard);
                    }
                }
            }
        }
        self.deliver(ctx);
    }

    fn socketio_heard(&mut self, ctx: &mut Context, dial: DialId, heard: Heard) {
        match heard {
            Heard::Greeting(patience, most) => self.greeted(ctx, dial, patience, most),
            Heard::Ping => {
                if let Some(socketio) = self.socketio() {
                    socketio.alive_by = Some(ctx.now.boot + socketio.patience);
                    socketio.handed(1, None);
                    ctx.out.push_back(Output::Transmit(dial, Payload::text("3")));
                }
            }
            Heard::Connected { namespace, recovered } => {
                self.namespace_connected(ctx, dial, &namespace, recovered);
            }
            Heard::Refused { namespace, why, data } => {
                self.namespace_refused(ctx, dial, namespace, &why, data)
            }
            Heard::Dropped { namespace } => self.namespace_dropped(ctx, dial, namespace),
            Heard::Event(payload, id) => self.event_came(ctx, dial, payload, id),
            Heard::Acknowledged(serial, args) => self.acknowledged(ctx, serial, args),
            Heard::Goodbye => self.server_left(ctx, dial),
            Heard::Old => {
                let why = "the server speaks Socket.IO 2 (Engine.IO 3), this is 3 and 4: update the server's `socket.io`";
                self.fail(ctx, dial, error(Code::ServerProtocol, why));
            }
            Heard::Nonsense(why) => {
                let why = format!("what the server said cannot be understood: {why}");
                self.give_up(ctx, Code::ServerProtocol, &why);
            }
        }
    }

    fn greeted(&mut self, ctx: &mut Context, dial: DialId, patience: Duration, most: usize) {
        let auth = self
            .credentials
            .auth
            .as_deref()
            .or(self.options.socketio.auth.as_deref());
        let within = Duration::from_millis(self.options.connect_timeout);
        let encodes = self.engine_roads().stay_with_polling();
        let Some((socketio, memory)) = self.dialect.as_deref_mut().and_then(Dialect::socketio) else {
            return;
        };
        if socketio.alive_by.is_some() {
            return;
        }
        socketio.patience = patience;
        socketio.most = most;
        socketio.encodes = encodes;
        socketio.alive_by = Some(ctx.now.boot + patience);
        socketio.connect_by = Some(ctx.now.boot + within);
        let asked: Vec<Payload> = socketio
            .namespaces
            .iter()
            .map(|namespace| socketio.connect(namespace, auth, &memory.recovery))
            .collect();
        socketio.handed(asked.len() as u64, None);
        ctx.out
            .extend(asked.into_iter().map(|packet| Output::Transmit(dial, packet)));
    }

    fn namespace_connected(
        &mut self,
        ctx: &mut Context,
        dial: DialId,
        namespace: &str,
        recovered: Option<bool>,
    ) {
        let Some(socketio) = self.socketio() else { return };
        socketio.connected(namespace);
        if socketio.is_main(namespace) {
            self.recovered(recovered);
        }
        self.open_when_answered(ctx, dial);
    }

    fn recovered(&mut self, recovered: Option<bool>) {
        if let Some(dialect) = &mut self.dialect {
            dialect.memory.recovered = recovered;
        }
    }

    /// The session is open once every namespace was answered: a packet for one that is not open ends the connection.
    fn open_when_answered(&mut self, ctx: &mut Context, dial: DialId) {
        let is_dialing = matches!(self.link, Link::Dialing(_));
        let Some(socketio) = self.socketio() else { return };
        if !is_dialing || !socketio.all_answered() {
            return;
        }
        socketio.connect_by = None;
        let early = std::mem::take(&mut socketio.early);
        self.opened(ctx, dial, None, None);
        for (payload, id) in early {
            self.event_came(ctx, dial, payload, id);
        }
    }

    fn namespace_refused(
        &mut self,
        ctx: &mut Context,
        dial: DialId,
        namespace: String,
        why: &str,
        data: Option<String>,
    ) {
        let Some(socketio) = self.socketio() else { return };
        socketio.answered(&namespace);
        let shown: String = why.chars().take(200).collect();
        let refusal = error(
            Code::Handshake,
            format!("the server refused the namespace `{namespace}`: {shown}"),
        );
        if socketio.is_main(&namespace) {
            ctx.hang_up(dial, 1000, "");
            let taken = u64::MAX;
            let mut change = StateChange::new(State::Failed);
            change.dial = Some(self.counters.dials);
            change.error = Some(refusal);
            change.reason = Some(shown);
            change.data = data;
            self.leave_link(ctx);
            return self.refused(ctx, change, taken);
        }
        self.tell_namespace(ctx, State::Failed, namespace, refusal);
        self.open_when_answered(ctx, dial);
    }

    fn namespace_dropped(&mut self, ctx: &mut Context, dial: DialId, namespace: String) {
        let Some(socketio) = self.socketio() else { return };
        socketio.disconnected(&namespace);
        let dropped = error(
            Code::ClosedByServer,
            format!("the server disconnected the namespace `{namespace}`"),
        );
        if socketio.is_main(&namespace) {
            return self.fail(ctx, dial, dropped);
        }
        self.tell_namespace(ctx, State::Closed, namespace, dropped);
    }

    fn tell_namespace(&mut self, ctx: &mut Context, state: State, namespace: String, why: ErrorInfo) {
        let mut change = StateChange::new(state);
        change.namespace = Some(namespace);
        change.error = Some(why);
        self.tell_state(ctx, change);
    }

    fn event_came(&mut self, ctx: &mut Context, dial: DialId, payload: Payload, id: Option<u64>) {
        if self.link.connection().is_none() {
            if let Some(socketio) = self.socketio()
                && socketio.is_early(payload, id)
            {
                let why = "the server sends events and does not answer for every namespace";
                self.give_up(ctx, Code::ServerProtocol, why);
            }
            return;
        }
        self.counters.received.messages += 1;
        self.counters.received.bytes += payload.len() as u64;
        if self.looks_inside() && self.consumes(ctx, &payload) {
            return;
        }
        let namespace = match &payload {
            Payload::Event(event) => event.namespace.clone(),
            _ => None,
        };
        let before = self.log.last();
        self.take_message(ctx, payload);
        let seq = self.log.last();
        let is_kept = seq > before && self.log.is_message(seq);
        if let Some(id) = id
            && is_kept
            && self.link.dial() == Some(dial)
            && let Some(socketio) = self.socketio()
        {
            socketio.awaits_reply(seq, namespace, id);
        }
    }

    fn acknowledged(&mut self, ctx: &mut Context, serial: u64, args: Payload) {
        let Some(item) = self.outbox.get(serial) else {
            return;
        };
        let verdict = if item.is_request {
            Verdict::Response(Ok(args))
        } else {
            Verdict::Outcome(Outcome::Confirmed, None)
        };
        let settled = self.outbox.settle(ctx.now.awake, serial, verdict);
        self.settle_all(ctx, settled);
    }

    fn server_left(&mut self, ctx: &mut Context, dial: DialId) {
        ctx.hang_up(dial, 1000, "");
        let end = LinkEnd {
            error: Some(error(Code::ClosedByServer, "the server closed the connection")),
            taken: u64::MAX,
            ..LinkEnd::default()
        };
        self.lost(ctx, end);
    }

    /// Acknowledges an event of the server's, on the connection it came from.
    pub(crate) fn reply(&mut self, ctx: &mut Context, port: PortId, reply: Reply) {
        let Reply { seq, args, id, .. } = reply;
        let refusal = if !self.is_socketio() {
            error(
                Code::Unsupported,
                "`reply` needs a server with acknowledgements (Socket.IO)",
            )
        } else {
            let packets = self.socketio().and_then(|socketio| socketio.reply(seq, &args));
            if let (Some(packets), Some(dial)) = (packets, self.link.dial()) {
                match self.refuse_large(&packets) {
                    None => {
                        self.hand_packets(ctx, dial, packets, None);
                        if let Some(socketio) = self.socketio() {
                            socketio.replied(seq);
                        }
                        return ctx.ok(port, id);
                    }
                    Some(refusal) => refusal,
                }
            } else {
                let why = format!("record {seq} awaits no reply on this connection, or has had one");
                error(Code::NotSent, why)
            }
        };
        let name = self.name.clone();
        ctx.refuse(port, refusal, id.as_ref(), Some(&name));
    }

    /// Why an event, or its namespace, cannot go to this server.
    pub(super) fn cannot_emit(&self, payload: &Payload) -> Option<ErrorInfo> {
        let Payload::Event(_) = payload else { return None };
        if !self.is_socketio() {
            let why = "field `event`: this session's server knows no events; use `text`, `json` or `base64`";
            return Some(error(Code::BadFrame, why));
        }
        let namespace = payload.namespace().unwrap_or("/");
        let known = self
            .options
            .socketio
            .namespaces
            .iter()
            .any(|known| known == namespace);
        (!known).then(|| {
            let why = format!("field `namespace`: `{namespace}` is not among the session's `namespaces`");
            error(Code::BadFrame, why)
        })
    }

    /// Hands an item of the outbox to a Socket.IO link.
    ///
    /// # Errors
    /// Its namespace is not open on this connection; it is more than the server takes.
    pub(super) fn emit_item(
        &mut self,
        ctx: &mut Context,
        dial: DialId,
        payload: &Payload,
        serial: u64,
    ) -> Result<(), ErrorInfo> {
        let wants_ack = self.requests.wants_ack(serial);
        self.emit(ctx, dial, payload, wants_ack.then_some(serial))
    }

    /// Hands over what is no item: a greeting, a subscription.
    pub(super) fn emit_foreign(&mut self, ctx: &mut Context, dial: DialId, payload: &Payload) {
        if let Err(why) = self.emit(ctx, dial, payload, None) {
            tracing::debug!(session = %self.name, why = why.message, "not said");
            self.count_nothing(ctx);
        }
    }

    /// Nothing was written for the newest message handed over: it takes no place on the link.
    pub(super) fn count_nothing(&mut self, ctx: &mut Context) {
        let place = self.outbox.handed();
        if let Some(place) = self
            .socketio()
            .and_then(|socketio| socketio.handed_nothing(place))
        {
            let settled = self.outbox.written(ctx.now.awake, place, true);
            self.settle_all(ctx, settled);
        }
    }

    /// No acknowledgement is awaited for this message any more.
    pub(super) fn forget_ack(&mut self, serial: u64) {
        if let Some(socketio) = self.socketio() {
            socketio.forget(serial);
        }
    }

    fn emit(
        &mut self,
        ctx: &mut Context,
        dial: DialId,
        payload: &Payload,
        serial: Option<u64>,
    ) -> Result<(), ErrorInfo> {
        let place = self.outbox.handed();
        let event = as_event(payload);
        let Some(socketio) = self.socketio() else {
            return Ok(());
        };
        let namespace = event.namespace.as_deref().unwrap_or("/");
        if !socketio.is_connected(namespace) {
            let why = format!("the namespace `{namespace}` is not open on this connection");
            return Err(error(Code::NotSent, why));
        }
        let packets = socketio.emit(&event, serial);
        if let Some(refusal) = self.refuse_large(&packets) {
            serial.inspect(|serial| self.forget_ack(*serial));
            return Err(refusal);
        }
        self.hand_packets(ctx, dial, packets, Some(place));
        Ok(())
    }

    /// Why these packets are not for this server: it would end the connection, and another one at the same message again.
    fn refuse_large(&mut self, packets: &[Payload]) -> Option<ErrorInfo> {
        let socketio = self.socketio()?;
        let (bytes, most) = (socketio.too_large(packets)?, socketio.most);
        let why = format!(
            "a packet of {bytes} bytes is more than the server takes: {most} (its `maxHttpBufferSize`)"
        );
        Some(error(Code::TooLarge, why))
    }

    fn hand_packets(&mut self, ctx: &mut Context, dial: DialId, packets: Vec<Payload>, place: Option<u64>) {
        if let Some(socketio) = self.socketio() {
            socketio.handed(packets.len() as u64, place);
        }
        ctx.out
            .extend(packets.into_iter().map(|packet| Output::Transmit(dial, packet)));
    }

    /// Whether the server went on where the last connection ended.
    pub(super) fn socketio_continuity(&self) -> Continuity {
        match self.dialect.as_ref().and_then(|dialect| dialect.memory.recovered) {
            Some(true) => Continuity::Server,
            Some(false) => Continuity::None,
            None => Continuity::Unknown,
        }
    }

    /// When the server's silence, or its slowness to open a namespace, is too long; in boot time.
    pub(super) fn silence_ends(&self) -> Option<Duration> {
        match self.speech() {
            Some(Speech::SocketIo(socketio)) if self.link.dial().is_some() => {
                let paused = self.link.connection().is_some_and(|connection| connection.paused);
                let alive = socketio.alive_by.filter(|_| !paused);
                [alive, socketio.connect_by].into_iter().flatten().min()
            }
            _ => None,
        }
    }

    /// Reading begins again: what the server said meanwhile is still to be read, its pings among it.
    pub(super) fn listen_anew(&mut self, boot: Duration) {
        if let Some(socketio) = self.socketio()
            && let Some(alive_by) = &mut socketio.alive_by
        {
            *alive_by = boot + socketio.patience;
        }
    }

    /// Gives a Socket.IO link up that has been silent for too long.
    pub(super) fn break_silence(&mut self, ctx: &mut Context) {
        if self.silence_ends().is_some_and(|until| ctx.now.boot >= until) {
            self.give_up(ctx, Code::Heartbeat, "the server was silent for too long");
        }
    }
}

/// A message as an event: what has no name is called `message`, as `socket.send()` does.
fn as_event(payload: &Payload) -> Event {
    let args = match payload {
        Payload::Event(event) => return Event::clone(event),
        Payload::Text(_) => json!([payload.as_str().unwrap_or_default()]).to_string(),
        Payload::Json(bytes) => format!("[{}]", String::from_utf8_lossy(bytes)),
        Payload::Binary(bytes) => {
            use base64::Engine as _;
            let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
            json!([{"$base64": encoded}]).to_string()
        }
    };
    Event {
        name: Some("message".into()),
        namespace: None,
        last_event_id: None,
        reply: false,
        content: Content::Args(Bytes::from(args)),
    }
}
