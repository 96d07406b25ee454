//! Closing a session: what was accepted is written first, then the close frame, then the server answers it.
//!
//! All of that within option `closeTimeout`. Until it is over the session keeps its name, and takes no new messages.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::CloseReport;
use crate::wire::record::ErrorInfo;

use crate::core::context::{Context, error};
use crate::core::io::{LinkEnd, Output};
use crate::core::link::Link;

use super::Session;

/// A session that somebody has closed.
#[derive(Debug)]
pub(super) struct Closing {
    code: u16,
    reason: String,
    /// Boot time at which waiting ends.
    by: Duration,
    /// The link has been told to write the close frame.
    pub(super) is_frame_sent: bool,
}

impl Session {
    /// Begins to close. With `discard` what still waits is cancelled instead of written.
    pub(crate) fn close(&mut self, ctx: &mut Context, code: u16, reason: String, discard: bool) {
        if discard {
            let cancelled = self.outbox.cancel_queued(ctx.now.awake);
            self.settle_all(ctx, cancelled);
        }
        let within = Duration::from_millis(self.options.close_timeout);
        self.closing.get_or_insert_with(|| {
            Box::new(Closing {
                code,
                reason,
                by: ctx.now.boot.saturating_add(within),
                is_frame_sent: false,
            })
        });
        self.closing_timeout(ctx);
    }

    /// Whether somebody has closed it.
    pub(crate) const fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Why it takes nothing new.
    pub(crate) fn refused_by_closing(&self) -> Option<ErrorInfo> {
        self.is_closing()
            .then(|| error(Code::SessionClosed, "the session is being closed"))
    }

    /// Whether the server has been asked to close, and only its answer is awaited.
    pub(super) fn awaits_close(&self) -> bool {
        self.closing.as_ref().is_some_and(|closing| closing.is_frame_sent)
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
        let Some(closing) = &self.closing else { return };
        let waits = self.outbox.waits();
        match &self.link {
            Link::Up(_) if closing.is_frame_sent || waits || self.outbox.unwritten().0 > 0 => {}
            Link::Up(_) => self.send_close_frame(ctx),
            // A link may still come up in time.
            Link::Dialing(_) | Link::Waiting(_) | Link::Queued | Link::Unauthorized
                if waits && !closing.is_frame_sent => {}
            _ => self.finish_closing(ctx, None),
        }
    }

    /// Everything is written: one more ping to prove it, and the close frame behind that.
    fn send_close_frame(&mut self, ctx: &mut Context) {
        // The answer cannot be read while reading is paused.
        self.resume_reading(ctx);
        self.prove_all(ctx);
        let (Some(closing), Some(dial)) = (&mut self.closing, self.link.dial()) else {
            return;
        };
        closing.is_frame_sent = true;
        ctx.out.push_back(Output::Close {
            dial,
            code: closing.code,
            reason: closing.reason.clone(),
        });
    }

    /// It is over: the link has ended, or nothing is worth waiting for any more.
    pub(super) fn finish_closing(&mut self, ctx: &mut Context, end: Option<LinkEnd>) {
        let Some(closing) = self.closing.take() else {
            return;
        };
        let report = match end {
            Some(end) => {
                self.leave_link(ctx);
                CloseReport {
                    clean: end.error.is_none() && end.code != Some(1006),
                    code: end.code,
                    reason: end.reason.filter(|reason| !reason.is_empty()),
                }
            }
            None => {
                if let Some(dial) = self.link.dial() {
                    ctx.hang_up(dial, closing.code, &closing.reason);
                }
                CloseReport::default()
            }
        };
        self.end(ctx, report, "closed");
    }
}
