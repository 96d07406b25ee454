//! Closing a link because the session is closed: the close frame goes behind everything else, and the answer is awaited.

use crate::wire::message::CloseReport;
use crate::wire::record::StateChange;

use crate::core::io::Output;

use super::super::lifecycle::ClosingStep;
use super::connection::Connection;
use super::{Uplink, UplinkContext, UplinkEvent};

impl Uplink {
    /// Takes a step towards the end of the session. `proves`: up to which place of the outbox a ping is to prove.
    pub(in crate::core::session) fn take_closing_step(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        step: ClosingStep,
        proves: Option<u64>,
    ) {
        match step {
            ClosingStep::HangUp => {
                self.hang_up(ctx, 1000, "");
                let end = Some(Box::default());
                self.events.push_back(UplinkEvent::Closed(end));
            }
            ClosingStep::SendClose { code, reason } => self.send_close(ctx, code, reason, proves),
            ClosingStep::GiveUp => self.events.push_back(UplinkEvent::Closed(None)),
        }
    }

    /// Asks the server to close, behind everything that was handed over and a ping that proves it up to this place.
    /// The last event is `Closed`.
    pub(super) fn send_close(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        code: u16,
        reason: String,
        proves: Option<u64>,
    ) {
        // The answer cannot be read while reading is paused.
        self.resume_reading(ctx);
        let proves = proves.filter(|_| self.has_pings(ctx.options));
        let Some(connection) = self.state.connection_mut() else {
            return;
        };
        if proves.is_some() {
            let token = connection.ping(ctx.now.boot, proves);
            ctx.out.push_back(Output::Ping(connection.dial, token));
        }
        connection.begin_closing();
        let dial = connection.dial;
        if let Some(dialect) = &mut self.dialect {
            dialect.handler_mut().close();
        }
        ctx.out.push_back(Output::Close { dial, code, reason });
    }

    /// Whether the server has been asked to close, and only its answer is awaited.
    pub(super) fn awaits_close(&self) -> bool {
        self.state.connection().is_some_and(Connection::is_closing)
    }

    /// Ends the active dial, if there is one; its later events are ignored.
    pub(in crate::core::session) fn hang_up(&mut self, ctx: &mut UplinkContext<'_>, code: u16, reason: &str) {
        if let Some(dial) = self.state.dial_id() {
            ctx.hang_up(dial, code, reason);
            self.leave(ctx, u64::MAX);
        }
    }

    /// The session ends in this way.
    pub(in crate::core::session) fn close(&mut self, report: &CloseReport) -> StateChange {
        let mut change = self.state.close();
        change.code = report.code;
        change.reason.clone_from(&report.reason);
        change
    }
}
