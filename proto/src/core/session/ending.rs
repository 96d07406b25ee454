//! How a session ends: the broker leaves, or it is closed and every client is told.
//!
//! Which step comes next is `lifecycle`'s to say; here it is taken.

use std::time::Duration;

use crate::wire::message::CloseReport;

use crate::core::context::Context;
use crate::core::io::LinkEnd;
use crate::core::journal_record::JournalRecord;
use crate::core::recorded_log::Durable;

use super::lifecycle::{ClosingStep, Unsent, close_report};
use super::{GOING_AWAY, Session};

/// How the broker leaves a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// What is not on disk is lost.
    Stop,
    /// A session in memory gets a journal for the time until the next broker.
    HandOver,
}

impl Session {
    /// The broker leaves: the link is closed, and the journal ends in order.
    pub(crate) fn leave(&mut self, ctx: &mut Context, leave: Leave) {
        if self.lifecycle.is_closing() {
            return self.finish_closing(ctx, None);
        }
        self.drive(ctx, |uplink, scope| {
            uplink.pause(scope, GOING_AWAY);
        });
        if leave == Leave::HandOver && !self.delivery.log().has_journal() {
            let id = self.spec.new_journal(&mut ctx.dialer.random);
            self.delivery.begin_handover(id);
            let snapshot = self.snapshot(ctx.now, &ctx.machine_boot);
            self.delivery.hand_over(&mut ctx.recorder(), snapshot);
        }
        self.write(ctx, &JournalRecord::Clean, Durable::OnDisk);
    }

    /// Begins to close.
    pub(crate) fn close(&mut self, ctx: &mut Context, code: u16, reason: String, unsent: Unsent) {
        if unsent == Unsent::Discard {
            self.outgoing.cancel_queued(ctx.now);
            self.route_outgoing(ctx);
        }
        let within = Duration::from_millis(self.spec.options.close_timeout);
        self.lifecycle
            .begin_closing(code, reason, ctx.now.boot.saturating_add(within));
    }

    /// Takes the next step towards the end, if it is time. To be called after everything that happens to the session.
    pub(crate) fn advance_closing(&mut self, ctx: &mut Context) {
        if !self.lifecycle.is_closing() {
            return;
        }
        let link = self.uplink.view(&self.spec.options);
        match self
            .lifecycle
            .next_step(ctx.now.boot, &link, self.outgoing.unfinished())
        {
            ClosingStep::Wait => {}
            ClosingStep::HangUp => {
                let scope = &mut self.spec.for_uplink(ctx);
                self.uplink.hang_up(scope, 1000, "");
                self.finish_closing(ctx, Some(LinkEnd::default()));
            }
            ClosingStep::SendClose { code, reason } => {
                let proves = self.outgoing.wants_proof();
                let scope = &mut self.spec.for_uplink(ctx);
                self.uplink.send_close(scope, code, reason, proves);
            }
            ClosingStep::GiveUp => self.finish_closing(ctx, None),
        }
    }

    /// Closing is over: the link has ended, or nothing is worth waiting for any more.
    pub(super) fn finish_closing(&mut self, ctx: &mut Context, end: Option<LinkEnd>) {
        let Some(closing) = self.lifecycle.end_closing() else {
            return;
        };
        let report = end.map_or_else(CloseReport::default, close_report);
        let scope = &mut self.spec.for_uplink(ctx);
        self.uplink.hang_up(scope, closing.code, &closing.reason);
        self.end(ctx, &report, "closed");
    }

    /// Ends the session for every client: everything is settled and reported, then nothing is left.
    pub(super) fn end(&mut self, ctx: &mut Context, report: &CloseReport, why: &'static str) {
        let change = self.uplink.close(report);
        for settled in self.outgoing.end(ctx.now) {
            self.record_settled(ctx, settled);
        }
        self.report_state(ctx, change);
        let scope = &mut self.spec.for_delivery(ctx);
        self.delivery.end(scope, report, why);
        self.lifecycle.end();
    }
}
