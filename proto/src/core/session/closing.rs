//! Closing a session: what was accepted is written first, then the close frame, then the server answers it.
//!
//! All of that within option `closeTimeout`. Until it is over the session keeps its name, and takes no new messages.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::CloseReport;
use crate::wire::record::ErrorInfo;

use crate::core::context::{Context, error};
use crate::core::io::LinkEnd;

use super::Session;

/// A session that somebody has closed.
#[derive(Debug)]
pub(super) struct Closing {
    code: u16,
    reason: String,
    /// Boot time at which waiting ends.
    by: Duration,
}

/// What becomes of messages that wait when a session is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// They are written first.
    Write,
    /// They are cancelled.
    Discard,
}

impl Session {
    /// Begins to close.
    pub(crate) fn close(&mut self, ctx: &mut Context, code: u16, reason: String, unsent: Unsent) {
        if unsent == Unsent::Discard {
            let cancelled = self.outgoing.cancel_queued(ctx.now);
            self.settle(ctx, cancelled);
        }
        let within = Duration::from_millis(self.options.close_timeout);
        self.closing.get_or_insert_with(|| {
            Box::new(Closing {
                code,
                reason,
                by: ctx.now.boot.saturating_add(within),
            })
        });
        self.closing_timeout(ctx);
    }

    /// Whether somebody has closed it.
    pub(crate) const fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether it takes anything new.
    ///
    /// # Errors
    /// `session-closed` once somebody has closed it.
    pub(crate) fn check_closing(&self) -> Result<(), ErrorInfo> {
        if self.is_closing() {
            return Err(error(Code::SessionClosed, "the session is being closed"));
        }
        Ok(())
    }

    /// When closing is given up, in boot time.
    pub(super) fn close_deadline(&self) -> Option<Duration> {
        self.closing.as_ref().map(|closing| closing.by)
    }

    /// Gives up waiting when the time is over.
    pub(super) fn closing_timeout(&mut self, ctx: &mut Context) {
        if self.close_deadline().is_some_and(|by| ctx.now.boot >= by) {
            self.finish_closing(ctx, None);
        }
    }

    /// Takes the next step towards the end, if it is time. To be called after everything that happens to the session.
    pub(crate) fn advance_closing(&mut self, ctx: &mut Context) {
        if self.closing.is_none() {
            return;
        }
        let waits = self.outgoing.waits();
        if self.uplink.is_open() {
            if self.outgoing.len() == 0 && !self.uplink.abilities(&self.options).pings {
                // No close frame and nothing to prove: there is nothing to wait for.
                let end = LinkEnd::default();
                self.with_uplink(ctx, |uplink, scope| uplink.hang_up(scope, 1000, ""));
                self.finish_closing(ctx, Some(end));
            } else if !self.uplink.awaits_close() && !waits && self.outgoing.is_written() {
                self.send_close_frame(ctx);
            }
        } else if !(waits && self.uplink.may_come_up()) {
            self.finish_closing(ctx, None);
        }
    }

    /// Everything is written: one more ping to prove it, and the close frame behind that.
    fn send_close_frame(&mut self, ctx: &mut Context) {
        let Some(Closing { code, reason, .. }) = self.closing.as_deref() else {
            return;
        };
        let (code, reason) = (*code, reason.clone());
        let proves = self.outgoing.wants_proof();
        self.with_uplink(ctx, |uplink, scope| {
            uplink.send_close(scope, code, reason, proves)
        });
    }

    /// It is over: the link has ended, or nothing is worth waiting for any more.
    pub(super) fn finish_closing(&mut self, ctx: &mut Context, end: Option<LinkEnd>) {
        let Some(closing) = self.closing.take() else {
            return;
        };
        let report = match end {
            Some(end) => CloseReport {
                clean: end.error.is_none() && end.code != Some(1006),
                code: end.code,
                reason: end.reason.filter(|reason| !reason.is_empty()),
            },
            None => {
                self.with_uplink(ctx, |uplink, scope| {
                    uplink.hang_up(scope, closing.code, &closing.reason)
                });
                CloseReport::default()
            }
        };
        self.end(ctx, &report, "closed");
    }
}
