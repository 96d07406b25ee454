//! Transmission on the link: messages, acknowledgements, and the pings that prove what the server has read.

use std::time::Duration;

use bytes::Bytes;

use crate::wire::code::Code;
use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;

use crate::core::dialect::AwaitedReply;
use crate::core::io::Output;

use super::super::link_view::Refusal;
use super::{Uplink, UplinkContext};

/// Proving pings keep this distance.
pub(super) const PROOF_INTERVAL: Duration = Duration::from_millis(500);

impl Uplink {
    /// Hands a message to the link; a serial number names one that awaits an acknowledgement.
    ///
    /// # Errors
    /// The server does not take it on this connection: it has no place on the link.
    pub(in crate::core::session) fn transmit(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        payload: Payload,
        place: u64,
        serial: Option<u64>,
    ) -> Result<(), Refusal> {
        let (Some(dial), Some(dialect)) = (self.state.dial_id(), &mut self.dialect) else {
            return Ok(());
        };
        let handler = dialect.handler_mut();
        let Err(why) = handler.encode(&mut ctx.dial(dial), payload, place, serial) else {
            return Ok(());
        };
        // One for a namespace that is not open goes nowhere, as it would on the server.
        tracing::debug!(session = %ctx.who.name, why = why.message, "message not sent");
        let written = handler.skip(place);
        Err(Refusal { why, written })
    }

    /// No acknowledgement is awaited for this message any more.
    pub(in crate::core::session) fn forget(&mut self, serial: u64) {
        if let Some(dialect) = &mut self.dialect {
            dialect.handler_mut().forget(serial);
        }
    }

    /// The message with this reply was kept as this record.
    pub(in crate::core::session) fn kept(&mut self, seq: u64, reply: AwaitedReply) {
        if let Some(dialect) = self
            .dialect
            .as_mut()
            .filter(|_| self.state.connection().is_some())
        {
            dialect.handler_mut().message_stored(seq, reply);
        }
    }

    /// Acknowledges a record of the server's, on the connection it came from.
    ///
    /// # Errors
    /// The server awaits nothing; it does not take it.
    pub(super) fn reply(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        seq: u64,
        args: Bytes,
    ) -> Result<(), ErrorInfo> {
        if !self.abilities(ctx.options).acknowledges {
            let why = "`reply` needs a server with acknowledgements (Socket.IO)";
            return Err(ErrorInfo::new(Code::Unsupported, why));
        }
        match (self.state.dial_id(), &mut self.dialect) {
            (Some(dial), Some(dialect)) => dialect.handler_mut().reply(&mut ctx.dial(dial), seq, args),
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
            .filter(|up| !up.is_closing() && self.has_pings(options))?;
        (!connection.is_proving()).then(|| connection.proof_due(PROOF_INTERVAL))
    }

    /// Whether a ping can prove what was written before it.
    pub(super) fn has_pings(&self, options: &Options) -> bool {
        options.heartbeat.is_some() && self.abilities(options).pings
    }
}
