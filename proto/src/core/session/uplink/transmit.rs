//! What goes out on the link: messages, acknowledgements, and the pings that prove what the server has read.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;

use crate::core::dialect::AwaitedReply;
use crate::core::io::Output;

use super::{PROOF_INTERVAL, Uplink, UplinkContext};

impl Uplink {
    /// Hands a message to the link; a serial number names one that awaits an acknowledgement.
    ///
    /// # Errors
    /// The server does not take it on this connection.
    pub(in crate::core::session) fn transmit(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        payload: Payload,
        place: u64,
        serial: Option<u64>,
    ) -> Result<(), ErrorInfo> {
        match (self.state.dial_id(), &mut self.dialect) {
            (Some(dial), Some(dialect)) => {
                dialect
                    .speech()
                    .encode(&mut ctx.dial(dial), payload, place, serial)
            }
            _ => Ok(()),
        }
    }

    /// Nothing was handed over for this place: everything up to the place that comes out counts as written.
    pub(in crate::core::session) fn skip(&mut self, place: u64) -> Option<u64> {
        self.dialect.as_mut()?.speech().skip(place)
    }

    /// No acknowledgement is awaited for this message any more.
    pub(in crate::core::session) fn forget(&mut self, serial: u64) {
        if let Some(dialect) = &mut self.dialect {
            dialect.speech().forget(serial);
        }
    }

    /// The message with this reply was kept as this record.
    pub(in crate::core::session) fn kept(&mut self, seq: u64, reply: AwaitedReply) {
        if let Some(dialect) = self
            .dialect
            .as_mut()
            .filter(|_| self.state.connection().is_some())
        {
            dialect.speech().kept(seq, reply);
        }
    }

    /// Acknowledges a record of the server's, on the connection it came from.
    ///
    /// # Errors
    /// The server awaits nothing; it does not take it.
    pub(in crate::core::session) fn reply(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        seq: u64,
        args: &[u8],
    ) -> Result<(), ErrorInfo> {
        if !self.abilities(ctx.options).acknowledges {
            let why = "`reply` needs a server with acknowledgements (Socket.IO)";
            return Err(ErrorInfo::new(Code::Unsupported, why));
        }
        match (self.state.dial_id(), &mut self.dialect) {
            (Some(dial), Some(dialect)) => dialect.speech().reply(&mut ctx.dial(dial), seq, args),
            _ => {
                let why = format!("record {seq} does not expect a reply on this connection, or has had one");
                Err(ErrorInfo::new(Code::NotSent, why))
            }
        }
    }

    /// Sends a ping behind everything up to this place, if one is due and none is under way.
    pub(in crate::core::session) fn prove(&mut self, ctx: &mut UplinkContext<'_>, place: u64) {
        if !self.has_pings(ctx.options) || self.awaits_close() {
            return;
        }
        if let Some(connection) = self.state.connection_mut()
            && !connection.is_proving()
            && ctx.now.boot >= connection.proof_due(PROOF_INTERVAL)
        {
            let token = connection.ping(ctx.now.boot, Some(place));
            ctx.out.push_back(Output::Ping(connection.dial, token));
        }
    }

    /// When the next proving ping may go, in boot time; `None` while one is under way, or none can be sent.
    pub(in crate::core::session) fn proof_due(&self, options: &Options) -> Option<Duration> {
        let connection = self
            .state
            .connection()
            .filter(|up| !up.is_closing && self.has_pings(options))?;
        (!connection.is_proving()).then(|| connection.proof_due(PROOF_INTERVAL))
    }

    /// Whether a ping can prove what was written before it.
    pub(in crate::core::session) fn has_pings(&self, options: &Options) -> bool {
        options.heartbeat.is_some() && self.abilities(options).pings
    }

    /// Whether a connection is open and has met the `ready` rule.
    pub(in crate::core::session) fn is_ready(&self) -> bool {
        self.state.connection().is_some_and(|up| up.ready)
    }

    /// Whether messages of the outbox may be handed over now.
    pub(in crate::core::session) fn takes_messages(&self, options: &Options) -> bool {
        self.is_ready() && !self.awaits_close() && self.abilities(options).sends
    }

    /// Whether anything may be handed over now.
    pub(in crate::core::session) fn takes_anything(&self, options: &Options) -> bool {
        self.is_open() && !self.awaits_close() && self.abilities(options).sends
    }
}
