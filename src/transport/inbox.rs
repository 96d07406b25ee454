//! What was read from a WebSocket and not yet sent as an event: messages, pings and their answers, the close frame.
//!
//! It reads nothing itself; `reader` fills it and `link` empties it.

use std::collections::VecDeque;

use super::frame::{Opcode, Violation, read_close};
use crate::core::io::Incoming;
use crate::wire::payload::Payload;

/// Pings of one server that are answered at most, if they come faster than answers leave.
pub(crate) const MAX_PENDING_PINGS: usize = 32;

/// What has been read and not yet been sent as an event.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// In order.
    pub(crate) messages: Vec<Incoming>,
    /// Payload bytes of `messages`.
    pub(crate) bytes: usize,
    /// Payloads of pings that are not answered yet.
    pub(crate) pings: VecDeque<Vec<u8>>,
    /// Tokens of our own pings that were answered.
    pub(crate) pongs: VecDeque<u64>,
    /// Work done since the link looked, in bytes: the link yields to other tasks when it is much. What was inflated, and what reading
    /// a frame costs beside its bytes.
    pub(crate) work: usize,
    /// The server's close frame. Whatever follows it is ignored.
    pub(crate) close: Option<(u16, String)>,
}

impl Inbox {
    /// Whether this many messages or bytes are waiting.
    pub(crate) fn holds(&self, messages: usize, bytes: usize) -> bool {
        self.messages.len() >= messages || self.bytes.max(self.work) >= bytes
    }

    pub(super) fn push(&mut self, payload: Payload) {
        self.bytes += payload.len();
        self.messages.push(Incoming::Message(payload));
    }

    /// Takes a control frame.
    ///
    /// # Errors
    /// A close frame is malformed.
    pub(super) fn push_control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Violation> {
        match opcode {
            Opcode::Ping => {
                // Answering the latest would be enough (RFC 6455, 5.5.3), but some servers count.
                if self.pings.len() == MAX_PENDING_PINGS {
                    self.pings.pop_front();
                }
                self.pings.push_back(payload.to_vec());
            }
            Opcode::Pong => {
                if let Ok(token) = payload.try_into() {
                    self.pongs.push_back(u64::from_be_bytes(token));
                }
            }
            _ => self.close = Some(read_close(payload)?),
        }
        Ok(())
    }
}

/// How much a reader may put into the inbox in one go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InboxLimit {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}
