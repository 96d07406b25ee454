//! The protocols of servers: one module each, all behind one interface, `ProtocolHandler`.
//!
//! A dialect is made with its dial. It holds its protocol, its URL, its options and the resume position, and ends with the
//! dial; options that change meanwhile change nothing of that. Bytes and answers go in (`handle_event`), what they mean comes out
//! (`poll`). It decides nothing about the link: `session::uplink` does.
//!
//! A further protocol is a module with a `ProtocolDescriptor`, a variant of `Protocol` with its name, and a line in `descriptor`.

mod dial_key;
pub mod engine;
mod eventsource;
mod greeting;
pub mod html;
mod http;
pub mod outlines;
mod packet;
mod poll;
mod received;
mod resume;
mod socketio;
pub mod unencoded;
mod websocket;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::wire::code::Code;
use crate::wire::options::{Options, Protocol};
use crate::wire::payload::Payload;
use crate::wire::record::{Continuity, ErrorInfo, StateChange};

use super::io::{DialId, LinkEnd, LinkEvent, Now, Output, TransportKind};
pub(crate) use dial_key::{DialKey, ProtocolTerms};
pub(crate) use eventsource::{EventStreamChunk, ReadChunk};
use outlines::{Outlines, Unparsed};
pub(crate) use poll::{LargeAnswer, ReadAnswer};
pub(crate) use received::{AwaitedReply, Received};
pub(crate) use resume::{ResumeToken, ResumeTokens};
pub(crate) use socketio::{ReadPacket, SocketIoPacket};

/// What a dialect may touch while it does something.
#[derive(Debug)]
pub(crate) struct DialContext<'a> {
    pub(crate) now: Now,
    pub(crate) dial: DialId,
    pub(crate) options: &'a Options,
    pub(crate) out: &'a mut VecDeque<Output>,
    /// Of large contents in the event at hand.
    pub(crate) outlines: &'a mut Outlines,
}

impl DialContext<'_> {
    fn transmit(&mut self, payload: Payload) {
        self.out.push_back(Output::Transmit(self.dial, payload));
    }
}

/// What a dialect begins with.
#[derive(Debug)]
pub(crate) struct Beginning {
    /// Where the dial leads.
    pub(crate) url: Url,
    /// The resume position that the server gave on an earlier dial.
    pub(crate) token: ResumeToken,
    /// Credentials that are sent inside the connection.
    pub(crate) auth: Option<String>,
}

/// What a protocol can do on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// The far endpoint answers pings, and by that proves what it has read.
    pub(crate) pings: bool,
    /// Messages can be sent.
    pub(crate) sends: bool,
    /// The server acknowledges events, and wants some of its own acknowledged.
    pub(crate) acknowledges: bool,
    /// Its URLs are shown with `http:` or `https:`.
    pub(crate) is_http: bool,
    /// Until it opens others wait with their dials to the same host.
    pub(crate) has_handshake: bool,
}

/// A protocol, before anything is dialled.
#[derive(Debug)]
pub(crate) struct ProtocolDescriptor {
    pub(crate) protocol: Protocol,
    /// The option that only this protocol uses, for error messages; empty if there is none.
    pub(crate) own_option: &'static str,
    pub(crate) begin: fn(&mut DialContext<'_>, Beginning) -> Box<dyn ProtocolHandler>,
    pub(crate) abilities: fn(&Options) -> Abilities,
    /// What the dial is to become.
    pub(crate) transport: fn(&Options) -> TransportKind,
    /// Its own options that the dial depends on, and that a token is good for.
    pub(crate) terms: fn(&Options) -> ProtocolTerms,
    /// The URL that is requested of a server at this one.
    pub(crate) requested_url: fn(&Options, Url) -> Url,
    /// Headers that its own option adds to requests.
    pub(crate) extra_headers: fn(&Options) -> Vec<(String, String)>,
    /// Credentials in the options that are sent inside the connection, unless a provider gives others.
    pub(crate) auth: fn(&Options) -> Option<&str>,
    /// Whether a server of this kind can be sent this at all.
    pub(crate) check: fn(&Options, &Payload) -> Result<(), ErrorInfo>,
}

/// The module of each protocol.
pub(crate) const fn descriptor(protocol: Protocol) -> &'static ProtocolDescriptor {
    match protocol {
        Protocol::WebSocket => &websocket::DESCRIPTOR,
        Protocol::EventStream => &eventsource::DESCRIPTOR,
        Protocol::Poll => &poll::DESCRIPTOR,
        Protocol::SocketIo => &socketio::DESCRIPTOR,
    }
}

impl ProtocolDescriptor {
    /// A protocol that reads nothing of the options but what all do.
    const fn new(
        protocol: Protocol,
        begin: fn(&mut DialContext<'_>, Beginning) -> Box<dyn ProtocolHandler>,
        abilities: fn(&Options) -> Abilities,
        transport: fn(&Options) -> TransportKind,
    ) -> Self {
        Self {
            protocol,
            own_option: "",
            begin,
            abilities,
            transport,
            terms: |_| ProtocolTerms::None,
            requested_url: |_, url| url,
            extra_headers: |_| Vec::new(),
            auth: |_| None,
            check: check_no_event,
        }
    }

    /// What a dial is for that uses this protocol with the server at this URL.
    pub(crate) fn dial_key(&self, options: &Options, address: Url) -> DialKey {
        DialKey {
            protocol: self.protocol,
            address,
            terms: (self.terms)(options),
        }
    }
}

/// What an event of the dial meant.
#[derive(Debug)]
pub(crate) enum DialectEvent {
    /// The server is there: messages may go both ways.
    Opened {
        subprotocol: Option<String>,
        extensions: Option<String>,
    },
    /// A message.
    Message(Received),
    /// A message that was too large to be kept.
    TooLarge,
    /// Everything up to this place of the outbox has been written.
    Written(u64),
    /// The answer to the ping with this token.
    Pong(u64),
    /// The server's acknowledgement of a message, by its serial number.
    Acknowledged(u64, Payload),
    /// The message at this place was posted and answered; with why it was not taken, if so.
    Posted(u64, Option<ErrorInfo>),
    /// The message at this place was handed over, and this server does not take it.
    Refused(u64, ErrorInfo),
    /// This server does not take a reply.
    ReplyRefused(ErrorInfo),
    /// Something is to be reported that changes nothing about the link.
    State(Box<StateChange>),
    /// The dial has ended.
    Ended(Box<LinkEnd>),
    /// The link is of no use any more.
    End(Box<DialectEnd>),
}

/// Why a dialect wants its link to end, and what is to come of that.
#[derive(Debug)]
pub(crate) enum DialectEnd {
    /// As if it had been lost: its status or code says whether it is dialled again.
    Lost(LinkEnd),
    /// It would end the same way the next time.
    Failed(ErrorInfo),
    /// The server wants no more of it, and answered with this status.
    Closed(u16),
    /// The credentials were refused.
    Refused(StateChange),
}

impl DialectEnd {
    /// The link is given up: dialling again may help.
    fn given_up(code: Code, message: impl Into<String>) -> DialectEvent {
        let end = LinkEnd {
            error: Some(ErrorInfo::new(code, message)),
            taken: u64::MAX,
            ..LinkEnd::default()
        };
        DialectEvent::End(Box::new(Self::Lost(end)))
    }

    fn failed(code: Code, message: impl Into<String>) -> DialectEvent {
        DialectEvent::End(Box::new(Self::Failed(ErrorInfo::new(code, message))))
    }
}

/// One protocol on one dial.
///
/// `handle_event` takes one event; then `poll` must be called until `None`, or the dialect dropped. What lies unpolled when it is
/// dropped counts as not received: the resume token is before it.
pub(crate) trait ProtocolHandler: std::fmt::Debug + Send {
    /// What of an event takes so long to understand that it is done before `handle_event` gets it, outside of the core.
    /// No other event of the dial may be handled in between.
    fn unread(&mut self, _options: &Options, _event: &LinkEvent) -> Vec<Unparsed> {
        Vec::new()
    }

    /// Handles an event of the dial.
    fn handle_event(&mut self, ctx: &mut DialContext<'_>, event: LinkEvent);

    /// The next event, in order.
    fn poll(&mut self, ctx: &mut DialContext<'_>) -> Option<DialectEvent>;

    /// Hands a message to the link. `place` is its place in the outbox; `serial` names it if it awaits an acknowledgement.
    ///
    /// # Errors
    /// The server does not take it on this connection.
    fn encode(
        &mut self,
        ctx: &mut DialContext<'_>,
        payload: Payload,
        _place: u64,
        _serial: Option<u64>,
    ) -> Result<(), ErrorInfo> {
        ctx.transmit(payload);
        Ok(())
    }

    /// Nothing was handed over for this place: everything up to the place that comes out counts as written.
    fn skip(&mut self, _place: u64) -> Option<u64> {
        None
    }

    /// No acknowledgement is awaited for this message any more.
    fn forget(&mut self, _serial: u64) {}

    /// Bytes of messages on their way to the link: something is handed over later. `None`: nothing is.
    fn encoding(&self) -> Option<usize> {
        None
    }

    /// The first place of the outbox for which that is so.
    fn first_unhanded(&self) -> Option<u64> {
        None
    }

    /// The message with this reply was kept as this record.
    fn message_stored(&mut self, _seq: u64, _reply: AwaitedReply) {}

    /// Acknowledges a record.
    ///
    /// # Errors
    /// It awaits nothing; the server does not take it.
    fn reply(&mut self, _ctx: &mut DialContext<'_>, _seq: u64, _args: Bytes) -> Result<(), ErrorInfo> {
        let why = "`reply` needs a server with acknowledgements (Socket.IO)";
        Err(ErrorInfo::new(Code::Unsupported, why))
    }

    /// Does what is due; what came of it is polled.
    fn timeout(&mut self, _ctx: &mut DialContext<'_>) {}

    /// When to do something next, in boot time, and what.
    fn deadline(&self) -> Option<(Duration, &'static str)> {
        None
    }

    /// The server has been asked to close: nothing more is written.
    fn close(&mut self) {}

    /// Nothing is read from now on.
    fn pause(&mut self) {}

    /// Reading goes on.
    fn resume(&mut self, _ctx: &mut DialContext<'_>) {}

    /// Bytes of what has come in part.
    fn held(&self) -> usize {
        0
    }

    /// Drops what has arrived in part: it is reported as too large.
    fn give_up_partial(&mut self) {}

    /// Whether the server continued where the last dial ended, or received a resume position.
    fn continuity(&self) -> Continuity {
        Continuity::Unknown
    }

    /// What the server remembers of this connection belongs to other credentials than those that come now.
    fn forget_recovery(&mut self) {}

    /// Where the server is to go on after this dial.
    fn end(self: Box<Self>) -> ResumeToken {
        ResumeToken::default()
    }
}

/// The protocol of the active dial, and its URL.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Whom the resume token belongs to.
    key: DialKey,
    handler: Box<dyn ProtocolHandler>,
}

impl Dialect {
    /// Begins the protocol on a new dial.
    pub(crate) fn begin(ctx: &mut DialContext<'_>, key: DialKey, beginning: Beginning) -> Self {
        let handler = (descriptor(key.protocol).begin)(ctx, beginning);
        Self { key, handler }
    }

    /// Which protocol it is.
    pub(crate) const fn protocol(&self) -> &'static ProtocolDescriptor {
        descriptor(self.key.protocol)
    }

    /// Its protocol handler.
    pub(crate) fn handler_mut(&mut self) -> &mut dyn ProtocolHandler {
        self.handler.as_mut()
    }

    /// Its protocol handler, read-only.
    pub(crate) fn handler(&self) -> &dyn ProtocolHandler {
        self.handler.as_ref()
    }

    /// Its dial is over.
    pub(crate) fn end(self, tokens: &mut ResumeTokens) {
        tokens.store(self.key, self.handler.end());
    }
}

/// Why a message with an event's name cannot go to a server that knows no events.
fn check_no_event(_: &Options, payload: &Payload) -> Result<(), ErrorInfo> {
    match payload {
        Payload::Event(_) => Err(ErrorInfo::new(
            Code::BadFrame,
            "field `event`: this session's protocol has no events; use `text`, `json` or `base64`",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_the_descriptor_of_its_module() {
        for protocol in Protocol::ALL {
            assert_eq!(descriptor(protocol).protocol, protocol);
        }
    }
}
