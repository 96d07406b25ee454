//! What others may know of the link. It changes nothing.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::Rtt;
use crate::wire::options::{Options, Protocol};
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, State};

use crate::core::dialect::{Abilities, face};

use super::Uplink;

impl Uplink {
    /// Bytes of messages that have come in part.
    pub(in crate::core::session) fn partial_held(&self) -> usize {
        self.dialect.as_ref().map_or(0, |dialect| dialect.said().held())
    }

    /// Whether it was the log that kept it from reading.
    pub(in crate::core::session) fn is_reading_paused(&self) -> bool {
        self.state.connection().is_some_and(|up| up.paused)
    }

    /// What can be done on this link: the one that is alive, otherwise the one that would come next.
    pub(in crate::core::session) fn abilities(&self, options: &Options) -> Abilities {
        (face(self.protocol(options)).abilities)(options)
    }

    /// Why a message cannot be sent to this server at all.
    pub(in crate::core::session) fn cannot_carry(
        &self,
        options: &Options,
        payload: &Payload,
    ) -> Option<ErrorInfo> {
        let protocol = face(self.protocol(options));
        if let Err(why) = (protocol.check)(options, payload) {
            return Some(why);
        }
        let only_listens = !(protocol.abilities)(options).sends && options.transports.is_empty();
        only_listens.then(|| {
            let why = "this session only listens; to send, open it with option `post`";
            ErrorInfo::new(Code::Unsupported, why)
        })
    }

    /// What is spoken: on the dial that is alive, otherwise on the one that would come next.
    pub(in crate::core::session) fn protocol(&self, options: &Options) -> Protocol {
        match &self.dialect {
            Some(dialect) => dialect.protocol(),
            None => self.next_protocol(options),
        }
    }

    /// The link's state.
    pub(in crate::core::session) const fn state(&self) -> State {
        self.state.name()
    }

    /// Whether a connection is open.
    pub(in crate::core::session) fn is_open(&self) -> bool {
        self.state.connection().is_some()
    }

    /// Whether a link is up or sought.
    pub(in crate::core::session) const fn is_wanted(&self) -> bool {
        self.state.is_wanted()
    }

    /// What was negotiated.
    pub(in crate::core::session) fn subprotocol(&self) -> Option<String> {
        self.state.connection()?.subprotocol.clone()
    }

    /// Wall clock of the connection's opening.
    pub(in crate::core::session) fn connected_since(&self) -> Option<u64> {
        self.state.connection().map(|connection| connection.since)
    }

    /// Dials, and those of them that opened.
    pub(in crate::core::session) const fn counters(&self) -> (u64, u64) {
        (self.dials, self.opens)
    }

    /// Recent round trips.
    pub(in crate::core::session) fn round_trips(&self) -> Option<Rtt> {
        self.round_trips.report()
    }

    /// The last failure.
    pub(in crate::core::session) fn last_error(&self) -> Option<&ErrorInfo> {
        self.outage.error()
    }

    /// How long until the next dial, while it waits for a known time.
    pub(in crate::core::session) fn retry_in(&self, boot: Duration) -> Option<Duration> {
        self.state.waits_until().map(|until| until.saturating_sub(boot))
    }
}
