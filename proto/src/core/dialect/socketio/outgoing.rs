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

use super::SocketIo;
use super::encoder::{Handed, Owner};

impl SocketIo {
    /// A message becomes packets, at once or outside of the core.
    pub(super) fn begin_event(
        &mut self,
        ctx: &mut DialContext<'_>,
        payload: Payload,
        place: u64,
        serial: Option<u64>,
    ) -> Result<(), ErrorInfo> {
        let namespace = payload.namespace().unwrap_or("/");
        if !self.connection.is_connected(namespace) {
            let why = format!("the namespace `{namespace}` is not open on this connection");
            return Err(ErrorInfo::new(Code::NotSent, why));
        }
        let id = serial.map(|serial| self.connection.ack_id(serial));
        let message = UnencodedMessage::event(payload, id);
        self.write(ctx, message, Owner::Event { place, serial })
    }

    pub(super) fn begin_reply(
        &mut self,
        ctx: &mut DialContext<'_>,
        seq: u64,
        args: Bytes,
    ) -> Result<(), ErrorInfo> {
        let Some((namespace, id)) = self.connection.take_reply_id(seq) else {
            let why = format!("record {seq} does not expect a reply on this connection, or has had one");
            return Err(ErrorInfo::new(Code::NotSent, why));
        };
        let message = UnencodedMessage::reply(namespace.clone(), id, args);
        let begun = self.write(ctx, message, Owner::Reply { seq });
        if begun.is_err() {
            // A smaller one may follow.
            self.connection.keep_reply_id(seq, namespace, id);
        }
        begun
    }

    fn write(
        &mut self,
        ctx: &mut DialContext<'_>,
        message: UnencodedMessage,
        owner: Owner,
    ) -> Result<(), ErrorInfo> {
        if self.encoder.takes(owner, message.len()) {
            ctx.out.push_back(Output::Encode(ctx.dial, message));
            return Ok(());
        }
        self.finish(ctx, message.encode(), owner)
    }

    /// Hands over what a message has become.
    fn finish(
        &mut self,
        ctx: &mut DialContext<'_>,
        packets: Result<Vec<Payload>, ErrorInfo>,
        owner: Owner,
    ) -> Result<(), ErrorInfo> {
        let (place, serial) = match owner {
            Owner::Event { place, serial } => (Some(place), serial),
            Owner::Reply { .. } => (None, None),
        };
        let packets = packets.and_then(|packets| self.check_size(&packets).map(|()| packets));
        match packets {
            Ok(packets) => {
                self.hand(ctx, packets, place);
                Ok(())
            }
            Err(refusal) => {
                serial.inspect(|serial| self.connection.forget(*serial));
                Err(refusal)
            }
        }
    }

    /// A large message has become packets: they go, and what waits behind them.
    pub(super) fn encoded(&mut self, ctx: &mut DialContext<'_>, packets: Result<Vec<Payload>, ErrorInfo>) {
        let Some(owner) = self.encoder.finish() else {
            return;
        };
        if let Err(why) = self.finish(ctx, packets, owner) {
            self.refuse(owner, why);
        }
        while let Some(handed) = self.encoder.next() {
            let (owner, begun) = match handed {
                Handed::Event {
                    payload,
                    place,
                    serial,
                } => {
                    let owner = Owner::Event { place, serial };
                    (owner, self.begin_event(ctx, payload, place, serial))
                }
                Handed::Reply { seq, args } => (Owner::Reply { seq }, self.begin_reply(ctx, seq, args)),
            };
            if let Err(why) = begun {
                self.refuse(owner, why);
            }
        }
    }

    /// A message that had to wait cannot go to this server.
    fn refuse(&mut self, owner: Owner, why: ErrorInfo) {
        match owner {
            Owner::Event { place, .. } => {
                self.events.push_back(DialectEvent::Refused(place, why));
                let written = self.connection.handed_nothing(place);
                self.events.extend(written.map(DialectEvent::Written));
            }
            Owner::Reply { .. } => self.events.push_back(DialectEvent::ReplyRefused(why)),
        }
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
