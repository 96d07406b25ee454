//! How a link ends, and what comes after: another dial after a while, other credentials, or nothing.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::options::CloseClass;
use crate::wire::record::{ErrorInfo, State, StateChange};

use crate::core::backoff::{self, MAX_RETRY_AFTER};
use crate::core::dialect::DialectEnd;
use crate::core::io::LinkEnd;
use crate::core::policy;

use super::{Uplink, UplinkContext, UplinkEvent};

/// Between a loss and the next dial.
const MIN_DELAY: Duration = Duration::from_millis(1);
/// Nobody waits longer, whatever options and servers say.
const MAX_DELAY: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl Uplink {
    /// The link is gone, or never came to be.
    pub(super) fn lost(&mut self, ctx: &mut UplinkContext<'_>, end: LinkEnd) {
        let was_dialing = self.state.is_dialing();
        if self.was_stable(ctx) {
            self.backoff.reset();
        }
        let taken = self.leave(ctx, end.taken);
        let mut class = class_of(ctx, &end);
        let transports = ctx.options.transports.len();
        if was_dialing && transports > 1 && class != CloseClass::Auth {
            if self.fallback.failed(transports) {
                let mut change = StateChange::new(State::Waiting);
                self.explain(&mut change, end);
                self.report_change(change);
                self.events.push_back(UplinkEvent::Left { taken });
                return self.events.push_back(UplinkEvent::Redial);
            }
            // What this transport will never do, another may.
            class = CloseClass::Retry;
        }
        let mut change = match class {
            CloseClass::Auth => {
                let mut change = StateChange::new(State::Unauthorized);
                self.explain(&mut change, end);
                return self.refused(ctx, change, taken);
            }
            CloseClass::Stop => self.state.fail(),
            CloseClass::Retry => self.wait(ctx, &end),
        };
        self.explain(&mut change, end);
        self.report_change(change);
        self.events.push_back(UplinkEvent::Left { taken });
    }

    /// Says of a change how the link ended.
    fn explain(&self, change: &mut StateChange, end: LinkEnd) {
        change.dial = Some(self.dials);
        change.code = end.code;
        change.status = end.status;
        change.reason = end.reason.filter(|reason| !reason.is_empty());
        change.error = end.error;
    }

    /// Schedules the next dial, or ends the link where there is none.
    fn wait(&mut self, ctx: &mut UplinkContext<'_>, end: &LinkEnd) -> StateChange {
        let Some(reconnect) = &ctx.options.reconnect else {
            return self.state.close();
        };
        let Some(delay) = self.backoff.next(reconnect, &mut ctx.dialer.random) else {
            return self.state.fail();
        };
        // Others were sent away with us: they must not all come back together.
        let closes_everybody = end.retry_after.is_some() || end.code.is_some_and(policy::closes_everybody);
        let spread = if closes_everybody {
            backoff::spread(&mut ctx.dialer.random)
        } else {
            Duration::ZERO
        };
        // What the server asks for is the least.
        let least = end
            .retry_after
            .unwrap_or_default()
            .max(self.server_delay(ctx))
            .min(MAX_RETRY_AFTER);
        // A jitter of nothing at all would be a deadline that has passed.
        let delay = least
            .saturating_add(delay)
            .saturating_add(spread)
            .clamp(MIN_DELAY, MAX_DELAY);
        let mut change = self.state.wait(ctx.now.boot + delay);
        change.attempt = Some(self.backoff.attempts());
        change.retry_in = u64::try_from(delay.as_millis()).ok();
        change
    }

    /// How long the server that is dialled next wants to be left alone after a loss.
    fn server_delay(&self, ctx: &UplinkContext<'_>) -> Duration {
        let protocol = self.next_protocol(ctx.options);
        let address = self.address(ctx.options, protocol);
        let key = address.map(|address| protocol.dial_key(ctx.options, address));
        key.map_or(Duration::ZERO, |key| self.tokens.retry(&key))
    }

    /// A dialect wants its link to end.
    pub(super) fn end_link(&mut self, ctx: &mut UplinkContext<'_>, over: DialectEnd) {
        if let Some(dial) = self.state.dial_id() {
            ctx.hang_up(dial, 1000, "");
        }
        if let DialectEnd::Lost(end) = over {
            return self.lost(ctx, end);
        }
        let taken = self.leave(ctx, u64::MAX);
        let mut change = match over {
            DialectEnd::Refused(mut change) => {
                change.dial = Some(self.dials);
                return self.refused(ctx, change, taken);
            }
            DialectEnd::Closed(status) => {
                let mut change = self.state.close();
                change.status = Some(status);
                change
            }
            DialectEnd::Failed(why) => {
                let mut change = self.state.fail();
                change.error = Some(why);
                change
            }
            DialectEnd::Lost(_) => return,
        };
        change.dial = Some(self.dials);
        self.report_change(change);
        self.events.push_back(UplinkEvent::Left { taken });
    }

    /// Ends a link that is of no use, as if it had been lost.
    pub(super) fn give_up(&mut self, ctx: &mut UplinkContext<'_>, code: Code, message: &str) {
        let end = LinkEnd {
            error: Some(ErrorInfo::new(code, message)),
            taken: u64::MAX,
            ..LinkEnd::default()
        };
        self.end_link(ctx, DialectEnd::Lost(end));
    }

    /// Whether the connection has stood for long enough that the backoff may begin anew.
    fn was_stable(&self, ctx: &UplinkContext<'_>) -> bool {
        let reconnect = ctx.options.reconnect.as_ref();
        let stable_after = reconnect.map_or(0, |reconnect| reconnect.stable_after);
        self.state.connection().is_some_and(|connection| {
            ctx.now.boot.saturating_sub(connection.opened) >= Duration::from_millis(stable_after)
        })
    }

    /// Drops the connection and its state. The state to report, and `Left`, are for the caller. `taken`: so many
    /// messages may have reached the link; fewer come out if some were still being written.
    pub(super) fn leave(&mut self, ctx: &mut UplinkContext<'_>, taken: u64) -> u64 {
        if let Some(connection) = self.state.connection() {
            self.credentials
                .link_lasted(ctx.now.boot.saturating_sub(connection.opened));
        }
        if self.asks_to_log_in() {
            // An answer would come too late.
            self.credentials.answered();
        }
        if let Some(dial) = self.state.dial_id() {
            ctx.dialer.forget(dial);
        }
        let _ = self.state.pause();
        let mut taken = taken;
        if let Some(dialect) = self.dialect.take() {
            if let Some(place) = dialect.handler().first_unhanded() {
                taken = taken.min(place - 1);
            }
            dialect.end(&mut self.tokens);
        }
        self.fallback.left();
        taken
    }

    /// Hangs up without redialling for now; the change to report, if any.
    pub(in crate::core::session) fn pause(&mut self, ctx: &mut UplinkContext<'_>, code: u16) -> StateChange {
        if let Some(dial) = self.state.dial_id() {
            ctx.hang_up(dial, code, "");
            let taken = self.leave(ctx, u64::MAX);
            self.events.push_back(UplinkEvent::Left { taken });
        }
        ctx.dialer.stop_waiting(ctx.who.key);
        self.state.pause()
    }

    /// The log is full: gives up the link until a client attaches.
    pub(in crate::core::session) fn rest_full(&mut self, ctx: &mut UplinkContext<'_>) {
        let why = "the log is full: the link is paused until a client attaches";
        self.rest(ctx, Some(ErrorInfo::new(Code::Overflow, why)));
    }

    /// As `pause`, and reports it, with the reason if there is one.
    pub(in crate::core::session) fn rest(&mut self, ctx: &mut UplinkContext<'_>, why: Option<ErrorInfo>) {
        let mut change = self.pause(ctx, 1000);
        change.error = why;
        self.report_change(change);
    }
}

/// What the end of a link means for the next dial.
fn class_of(ctx: &UplinkContext<'_>, end: &LinkEnd) -> CloseClass {
    let is_denied = |error: &ErrorInfo| error.code == Code::UrlDenied;
    match (end.status, end.code) {
        (Some(status), _) => policy::status_class(ctx.options, status),
        (None, Some(code)) => policy::close_class(ctx.options, code),
        // An address that may not be dialled will not be allowed by trying again.
        (None, None) if end.error.as_ref().is_some_and(is_denied) => CloseClass::Stop,
        (None, None) => CloseClass::Retry,
    }
}
