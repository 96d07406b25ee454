//! From a message to the packets that are handed to the link, or the reason why this server cannot have it.
//!
//! How packets are written is in `unencoded`; what waits meanwhile in `encoder`.

use bytes::Bytes;

use crate::wire::code::Code;
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;

use crate::core::dialect::packet::MAX_ATTACHMENTS;
use crate::core::dialect::unencoded::UnencodedMessage;
use crate::core::dialect::{DialContext, DialectEvent};
use crate::core::io::Output;

use super::SocketIoSession;
use super::encoder::{Handed, PacketOwner, ReplyTo};

impl SocketIoSession {
    /// A message becomes packets, at once or outside of the core.
    pub(super) fn begin_event(
        &mut self,
        ctx: &mut DialContext<'_>,
        payload: Payload,
        place: u64,
        serial: Option<u64>,
    ) -> Result<(), ErrorInfo> {
        let namespace = payload.namespace().map(str::to_owned);
        self.check_namespace(namespace.as_deref())?;
        let id = serial.map(|serial| self.connection.ack_id(serial));
        let message = UnencodedMessage::event(payload, id);
        let owner = PacketOwner::Event {
            namespace,
            place,
            serial,
        };
        self.write(ctx, message, owner)
    }

    /// What a reply to this record answers; once is enough.
    pub(super) fn take_reply(&mut self, seq: u64) -> Result<ReplyTo, ErrorInfo> {
        let Some((namespace, id)) = self.connection.take_reply_id(seq) else {
            let why = format!("record {seq} does not expect a reply on this connection, or has had one");
            return Err(ErrorInfo::new(Code::NotSent, why));
        };
        Ok(ReplyTo { seq, namespace, id })
    }

    pub(super) fn begin_reply(
        &mut self,
        ctx: &mut DialContext<'_>,
        to: ReplyTo,
        args: Bytes,
    ) -> Result<(), ErrorInfo> {
        let message = UnencodedMessage::reply(to.namespace.clone(), to.id, args);
        self.write(ctx, message, PacketOwner::Reply(to))
    }

    fn check_namespace(&self, namespace: Option<&str>) -> Result<(), ErrorInfo> {
        let namespace = namespace.unwrap_or("/");
        if self.connection.is_connected(namespace) {
            return Ok(());
        }
        let why = format!("the namespace `{namespace}` is not open on this connection");
        Err(ErrorInfo::new(Code::NotSent, why))
    }

    fn write(
        &mut self,
        ctx: &mut DialContext<'_>,
        message: UnencodedMessage,
        owner: PacketOwner,
    ) -> Result<(), ErrorInfo> {
        match self.encoder.takes(owner, message.len()) {
            Some(owner) => self.finish(ctx, message.encode(), owner),
            None => {
                ctx.out.push_back(Output::Encode(ctx.dial, message));
                Ok(())
            }
        }
    }

    /// Hands over what a message has become.
    fn finish(
        &mut self,
        ctx: &mut DialContext<'_>,
        packets: Result<Vec<Payload>, ErrorInfo>,
        owner: PacketOwner,
    ) -> Result<(), ErrorInfo> {
        let packets = packets.and_then(|packets| self.check_size(&packets).map(|()| packets));
        let refusal = match (packets, &owner) {
            (Ok(packets), PacketOwner::Event { place, .. }) => {
                self.hand(ctx, packets, Some(*place));
                return Ok(());
            }
            (Ok(packets), PacketOwner::Reply(_)) => {
                self.hand(ctx, packets, None);
                return Ok(());
            }
            (Err(refusal), _) => refusal,
        };
        match owner {
            PacketOwner::Event { serial, .. } => {
                serial.inspect(|serial| self.connection.forget(*serial));
            }
            // A smaller one may follow.
            PacketOwner::Reply(to) => self.connection.store_reply_id(to.seq, to.namespace, to.id),
        }
        Err(refusal)
    }

    /// A large message has become packets: they go, and what waits behind them.
    pub(super) fn encoded(&mut self, ctx: &mut DialContext<'_>, packets: Result<Vec<Payload>, ErrorInfo>) {
        let Some(owner) = self.encoder.finish() else {
            return;
        };
        let place = match &owner {
            PacketOwner::Event { place, .. } => Some(*place),
            PacketOwner::Reply(_) => None,
        };
        // It may have closed meanwhile, and a packet for it would end the connection.
        let packets = self.check_namespace(owner.namespace().as_deref()).and(packets);
        if let Err(why) = self.finish(ctx, packets, owner) {
            self.refuse(place, why);
        }
        while let Some(handed) = self.encoder.next() {
            let (place, begun) = match handed {
                Handed::Event {
                    payload,
                    place,
                    serial,
                } => (Some(place), self.begin_event(ctx, payload, place, serial)),
                Handed::Reply { to, args } => (None, self.begin_reply(ctx, to, args)),
            };
            if let Err(why) = begun {
                self.refuse(place, why);
            }
        }
    }

    /// A message that had to wait cannot go to this server; a reply has no place.
    fn refuse(&mut self, place: Option<u64>, why: ErrorInfo) {
        let Some(place) = place else {
            return self.events.push_back(DialectEvent::ReplyRefused(why));
        };
        self.events.push_back(DialectEvent::Refused(place, why));
        let written = self.connection.handed_nothing(place);
        self.events.extend(written.map(DialectEvent::Written));
    }

    /// Why these packets are not for this server: it would end the connection, and another one at the same message again.
    fn check_size(&self, packets: &[Payload]) -> Result<(), ErrorInfo> {
        if packets.len() > MAX_ATTACHMENTS + 1 {
            let why = format!("a message has at most {MAX_ATTACHMENTS} attachments");
            return Err(ErrorInfo::new(Code::TooLarge, why));
        }
        let Some(bytes) = self.connection.too_large(packets) else {
            return Ok(());
        };
        let max = self.connection.max_payload;
        let why =
            format!("a packet of {bytes} bytes exceeds the server's limit: {max} (its `maxHttpBufferSize`)");
        Err(ErrorInfo::new(Code::TooLarge, why))
    }
}
