//! WebSocket: messages as they are, pings that prove what was read.

use bytes::Bytes;

use crate::wire::json::is_valid;
use crate::wire::options::{Options, Protocol};
use crate::wire::payload::Payload;
use crate::wire::rule::PARSED_WHOLE;

use crate::core::io::{Incoming, LinkEvent, TransportKind};

use super::{Abilities, Beginning, DialContext, DialectEvent, ProtocolDescriptor, ProtocolHandler, Received};

/// The protocol.
pub(super) const DESCRIPTOR: ProtocolDescriptor = ProtocolDescriptor::new(
    Protocol::WebSocket,
    |_, _: Beginning| Box::new(WebSocket::default()),
    |_: &Options| Abilities {
        pings: true,
        sends: true,
        acknowledges: false,
        is_http: false,
        has_handshake: true,
    },
    |_| TransportKind::WebSocket,
);

/// One connection.
#[derive(Debug, Default)]
struct WebSocket {
    messages: std::vec::IntoIter<Incoming>,
    next: Option<DialectEvent>,
}

impl ProtocolHandler for WebSocket {
    fn handle_event(&mut self, _: &mut DialContext<'_>, event: LinkEvent) {
        self.next = match event {
            LinkEvent::Messages(messages) => {
                self.messages = messages.into_iter();
                None
            }
            LinkEvent::Opened {
                subprotocol,
                extensions,
            } => Some(DialectEvent::Opened {
                subprotocol,
                extensions,
            }),
            LinkEvent::Written(count) => Some(DialectEvent::Written(count)),
            LinkEvent::Pong(token) => Some(DialectEvent::Pong(token)),
            LinkEvent::Ended(end) => Some(DialectEvent::Ended(Box::new(end))),
            LinkEvent::Alive
            | LinkEvent::Encoded(_)
            | LinkEvent::Chunk(_)
            | LinkEvent::Answered(_)
            | LinkEvent::Posted(..) => None,
        };
    }

    fn poll(&mut self, ctx: &mut DialContext<'_>) -> Option<DialectEvent> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        Some(match self.messages.next()? {
            // Whether a large text is JSON is not found out where it is received.
            Incoming::Message(Payload::Text(text))
                if ctx.options.json && text.len() > PARSED_WHOLE && is_json(ctx, &text) =>
            {
                DialectEvent::Message(Received::new(Payload::Json(text), ctx.outlines))
            }
            Incoming::Message(payload) => DialectEvent::Message(Received::new(payload, ctx.outlines)),
            Incoming::TooLarge { .. } => DialectEvent::TooLarge,
        })
    }
}

/// Whether a large text is JSON, as was found out before it came in.
fn is_json(ctx: &DialContext<'_>, text: &Bytes) -> bool {
    match ctx.outlines.of(text) {
        Some(outline) => outline.is_some(),
        None => is_valid(text),
    }
}
