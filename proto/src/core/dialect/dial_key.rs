//! What a dial is for: the protocol, the URL, and the options that only this protocol uses.
//!
//! Keys are compared as a whole. Two that differ need two dials, and a resume token belongs to one key.

use url::Url;

use crate::wire::options::Protocol;
use crate::wire::socketio::SocketIoOptions;

use super::poll::position::PositionTerms;

/// What a dial is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DialKey {
    pub(super) protocol: Protocol,
    /// Where the session's options lead for this protocol. Credentials may lead the dial itself to another URL of the
    /// same server.
    pub(super) address: Url,
    pub(super) terms: ProtocolTerms,
}

/// Options of one protocol that a dial, or the token that it leaves, depends on, beside what every `Target` has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProtocolTerms {
    /// There are none.
    None,
    Poll(Box<PositionTerms>),
    SocketIo(Box<SocketIoOptions>),
}
