//! What the other parts of a session may know of the link: a value that the uplink gives, and that changes nothing.

use crate::wire::code::Code;
use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, State};

use crate::core::dialect::{Abilities, ProtocolDescriptor};
use crate::core::outbox::{Flow, Proof};

/// The link at this moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkView {
    pub(super) state: State,
    /// The protocol of the active dial, otherwise of the next one.
    pub(super) protocol: &'static ProtocolDescriptor,
    pub(super) abilities: Abilities,
    /// A connection is open.
    pub(super) is_open: bool,
    /// A connection is open and has met the `ready` rule.
    pub(super) is_ready: bool,
    /// The server has been asked to close, and only its answer is awaited.
    pub(super) awaits_close: bool,
    /// A ping can prove what was written before it.
    pub(super) has_pings: bool,
    /// Messages are being written outside of the core, and are handed over later.
    pub(super) is_encoding: bool,
}

/// Whether messages are under way on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Idle,
    Busy,
}

/// A message that the link did not take.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: ErrorInfo,
    /// Everything up to this place counts as written, since nothing was handed over for it.
    pub(super) written: Option<u64>,
}

impl LinkView {
    /// Whether messages of the outbox may be handed over now.
    pub(super) const fn takes_messages(&self) -> bool {
        self.is_ready && !self.awaits_close && self.abilities.sends
    }

    /// Whether anything may be handed over now.
    pub(super) const fn takes_anything(&self) -> bool {
        self.is_open && !self.awaits_close && self.abilities.sends
    }

    /// How a message that is accepted now would wait.
    pub(super) const fn flow(&self) -> Flow {
        if self.takes_messages() {
            Flow::Flowing
        } else {
            Flow::Waiting
        }
    }

    /// What proves that a message has reached the server.
    pub(super) const fn proof(&self) -> Proof {
        if self.has_pings {
            Proof::Pong
        } else {
            Proof::Written
        }
    }

    /// Whether no link is up, and one may come up without a client's request.
    pub(super) const fn may_come_up(&self) -> bool {
        matches!(
            self.state,
            State::Connecting | State::Waiting | State::Unauthorized
        )
    }

    /// Whether a message can be sent to this server at all.
    ///
    /// # Errors
    /// `bad-frame`, `unsupported`: the protocol cannot carry it, or the session only listens.
    pub(super) fn check_payload(&self, options: &Options, payload: &Payload) -> Result<(), ErrorInfo> {
        (self.protocol.check)(options, payload)?;
        if self.abilities.sends || !options.transports.is_empty() {
            return Ok(());
        }
        let why = "this session only listens; to send, open it with option `post`";
        Err(ErrorInfo::new(Code::Unsupported, why))
    }

    /// Whether the link can carry a message that was accepted when the options, or the transport, were others.
    ///
    /// # Errors
    /// `not-sent`, with the reason.
    pub(super) fn check_carried(&self, options: &Options, payload: &Payload) -> Result<(), ErrorInfo> {
        (self.protocol.check)(options, payload).map_err(|why| ErrorInfo::new(Code::NotSent, why.message))
    }
}

#[cfg(test)]
impl LinkView {
    /// An open WebSocket, for the units of a session's parts.
    pub(super) fn for_tests() -> Self {
        let options = Options::default();
        let protocol = crate::core::dialect::descriptor(options.protocol);
        Self {
            state: State::Open,
            protocol,
            abilities: (protocol.abilities)(&options),
            is_open: true,
            is_ready: true,
            awaits_close: false,
            has_pings: true,
            is_encoding: false,
        }
    }

    /// No connection, and one is dialled.
    pub(super) fn dialling_for_tests() -> Self {
        Self {
            state: State::Connecting,
            is_open: false,
            is_ready: false,
            ..Self::for_tests()
        }
    }
}
