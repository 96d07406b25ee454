//! WebSocket: messages as they are, pings that prove what was read.

use crate::wire::json::Pointers;
use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::rule::PARSED_WHOLE;

use crate::core::io::{Incoming, LinkEvent, TransportKind};

use super::{Abilities, Beginning, DialContext, DialectEvent, DialectFace, Speech, check_no_event};

/// The protocol.
pub(super) const FACE: DialectFace = DialectFace {
    begin: |_, _: Beginning| Box::new(WebSocket::default()),
    abilities: |_: &Options| Abilities {
        pings: true,
        sends: true,
        acknowledges: false,
        is_http: false,
        has_handshake: true,
    },
    transport: |_| TransportKind::WebSocket,
    check: check_no_event,
};

/// One connection.
#[derive(Debug, Default)]
struct WebSocket {
    messages: std::vec::IntoIter<Incoming>,
    next: Option<DialectEvent>,
}

impl Speech for WebSocket {
    fn hear(&mut self, _: &mut DialContext<'_>, event: LinkEvent) {
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
            LinkEvent::Alive | LinkEvent::Chunk(_) | LinkEvent::Answered(_) | LinkEvent::Posted(..) => None,
        };
    }

    fn poll(&mut self, ctx: &mut DialContext<'_>) -> Option<DialectEvent> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        Some(match self.messages.next()? {
            // Whether a large text is JSON is not found out where it is received.
            Incoming::Message(Payload::Text(text))
                if ctx.options.json
                    && text.len() > PARSED_WHOLE
                    && ctx.outlines.of_or_read(&text, || Pointers::NONE).is_some() =>
            {
                DialectEvent::Message(Payload::Json(text), None)
            }
            Incoming::Message(payload) => DialectEvent::Message(payload, None),
            Incoming::TooLarge { .. } => DialectEvent::TooLarge,
        })
    }
}
