//! The link's life: opening, liveness, loss, waiting for the next try.
//!
//! The diagram is in `core::link`. Where a dial leads is in `dialling`, with which credentials in `authorizing`. It sends
//! no message of the extension's; that is `sending`.

use std::time::Duration;

use crate::wire::code::{Code, GapReason};
use crate::wire::options::{CloseClass, Heartbeat as HeartbeatOptions, Protocol};
use crate::wire::record::{State, StateChange};

use crate::core::backoff;
use crate::core::context::{Context, error};
use crate::core::heartbeat::{Heartbeat, Pulse};
use crate::core::io::{DialId, Incoming, LinkEnd, LinkEvent, Output};
use crate::core::link::{Connection, Link};
use crate::core::policy;

use super::Session;

/// How long the server may take to satisfy the `ready` rule.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// Between a loss and the next dial.
const LEAST_DELAY: Duration = Duration::from_millis(1);
/// The longest a server is obeyed that asks to be left alone.
pub(super) const MOST_OBEYED: Duration = Duration::from_secs(24 * 60 * 60);
/// Nobody waits longer, whatever options and servers say.
const MOST_DELAY: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl Session {
    /// Whether a link is up or sought.
    pub(super) const fn wants_link(&self) -> bool {
        matches!(
            self.link,
            Link::Dialing(_) | Link::Up(_) | Link::Waiting(_) | Link::Queued
        )
    }

    /// Word from a dial. Anything but the current one is ignored.
    pub(crate) fn link_event(&mut self, ctx: &mut Context, dial: DialId, event: LinkEvent) {
        if self.link.dial() != Some(dial) {
            return;
        }
        let event = match event {
            LinkEvent::Ended(end) if self.awaits_close() => return self.finish_closing(ctx, Some(end)),
            event => event,
        };
        if self.is_socketio() {
            return self.socketio_event(ctx, dial, event);
        }
        match event {
            LinkEvent::Opened {
                subprotocol,
                extensions,
            } => self.opened(ctx, dial, subprotocol, extensions),
            LinkEvent::Ended(end) => self.lost(ctx, end),
            LinkEvent::Answered(answer) => self.answered(ctx, dial, *answer),
            other => {
                let Some(connection) = self.link.up() else { return };
                if let Some(heartbeat) = &mut connection.heartbeat
                    && !matches!(other, LinkEvent::Written(_))
                {
                    heartbeat.heard(ctx.now.boot);
                }
                match other {
                    LinkEvent::Messages(messages) => {
                        self.received(ctx, messages);
                    }
                    LinkEvent::Written(count) => self.written(ctx, count),
                    LinkEvent::Pong(token) => self.ponged(ctx, token),
                    LinkEvent::Chunk(bytes) => self.streamed(ctx, &bytes),
                    LinkEvent::Posted(count, answer) => self.posted(ctx, count, *answer),
                    LinkEvent::Answered(_)
                    | LinkEvent::Alive
                    | LinkEvent::Opened { .. }
                    | LinkEvent::Ended(_) => {}
                }
            }
        }
    }

    pub(super) fn opened(
        &mut self,
        ctx: &mut Context,
        dial: DialId,
        subprotocol: Option<String>,
        extensions: Option<String>,
    ) {
        if !matches!(self.link, Link::Dialing(_)) {
            return;
        }
        ctx.pace.end(dial);
        let mut connection = Box::new(Connection::new(dial, ctx.now.boot, ctx.now.wall));
        connection.heartbeat = self.new_heartbeat(ctx.now.boot);
        connection.subprotocol.clone_from(&subprotocol);
        connection.ready = self.options.ready.is_none();
        connection.ready_by = (!connection.ready).then(|| ctx.now.boot + READY_WITHIN);
        self.link = Link::Up(connection);
        self.counters.opens += 1;
        let mut change = StateChange::new(State::Open);
        change.dial = Some(self.counters.dials);
        change.attempt = Some(self.backoff.attempts());
        change.continuity = (self.counters.opens > 1 || self.restored).then(|| self.continuity());
        change.subprotocol = subprotocol;
        change.extensions = extensions;
        if !self.options.transports.is_empty() {
            change.transport = Some(self.protocol().as_str().to_owned());
            self.ladder.opened(ctx.now.boot);
        }
        self.tell_state(ctx, change);
        for payload in self.options.greeting.clone() {
            self.transmit_foreign(ctx, payload);
        }
        self.say_subscriptions(ctx);
        self.flow(ctx);
    }

    /// The heartbeat of a link on the present transport, if it is to have one.
    pub(super) fn new_heartbeat(&self, now: Duration) -> Option<Heartbeat> {
        let settings = self.options.heartbeat.as_ref()?;
        let beats = self.options.transports.is_empty() || self.protocol() == Protocol::WebSocket;
        beats.then(|| Heartbeat::new(settings, now))
    }

    /// Takes what came, and tells how many of them: the rest may belong to a link that is over.
    pub(super) fn received(&mut self, ctx: &mut Context, messages: Vec<Incoming>) -> usize {
        let mut taken = 0;
        for incoming in messages {
            if self.link.connection().is_none() {
                // The log's overflow policy hung up in the middle.
                return taken;
            }
            taken += 1;
            match incoming {
                Incoming::Message(payload) => {
                    self.counters.received.messages += 1;
                    self.counters.received.bytes += payload.len() as u64;
                    if self.looks_inside() && self.consumes(ctx, &payload) {
                        continue;
                    }
                    self.take_message(ctx, payload);
                }
                Incoming::TooLarge { .. } => self.lose_message(ctx, GapReason::TooLarge),
            }
        }
        self.deliver(ctx);
        taken
    }

    /// The link is gone, or never came to be.
    pub(super) fn lost(&mut self, ctx: &mut Context, end: LinkEnd) {
        let was_dialing = matches!(self.link, Link::Dialing(_));
        let was_stable = self.leave_link(ctx);
        if was_stable {
            self.backoff.reset();
        }
        let mut class = match (end.status, end.code) {
            (Some(status), _) => policy::status_class(&self.options, status),
            (None, Some(code)) => policy::close_class(&self.options, code),
            // An address that may not be dialled will not be allowed by trying again.
            (None, None)
                if end
                    .error
                    .as_ref()
                    .is_some_and(|error| error.code == Code::UrlDenied) =>
            {
                CloseClass::Stop
            }
            (None, None) => CloseClass::Retry,
        };
        let crowd = end.retry_after.is_some() || end.code.is_some_and(policy::closes_everybody);
        let mut change = StateChange::new(State::Waiting);
        change.dial = Some(self.counters.dials);
        change.code = end.code;
        change.status = end.status;
        change.reason = end.reason.filter(|reason| !reason.is_empty());
        change.error = end.error;
        if was_dialing && self.options.transports.len() > 1 && class != CloseClass::Auth {
            if self.ladder.failed(self.options.transports.len()) {
                self.tell_state(ctx, change);
                self.settle_lost(ctx, end.taken);
                return self.dial_in_turn(ctx, true);
            }
            // What this transport will never do, another may.
            class = CloseClass::Retry;
        }
        match class {
            CloseClass::Auth => return self.refused(ctx, change, end.taken),
            CloseClass::Stop => self.link = Link::Failed,
            CloseClass::Retry => self.wait(ctx, end.retry_after, crowd, &mut change),
        }
        change.state = self.link.state();
        self.tell_state(ctx, change);
        self.settle_lost(ctx, end.taken);
    }

    /// Schedules the next dial, or ends the link where there is none. `crowd`: others were sent away with us.
    fn wait(
        &mut self,
        ctx: &mut Context,
        retry_after: Option<Duration>,
        crowd: bool,
        change: &mut StateChange,
    ) {
        let alone = self.wants_to_be_left_alone();
        let Some(reconnect) = &self.options.reconnect else {
            self.link = Link::Closed;
            return;
        };
        let Some(delay) = self.backoff.next(reconnect, &mut ctx.random) else {
            self.link = Link::Failed;
            return;
        };
        let spread = if crowd {
            backoff::spread(&mut ctx.random)
        } else {
            Duration::ZERO
        };
        // What the server asks for is the least: everybody who was told the same must not come back together.
        let least = retry_after.unwrap_or_default().max(alone).min(MOST_OBEYED);
        // A jitter of nothing at all would be a deadline that has passed.
        let delay = least
            .saturating_add(delay)
            .saturating_add(spread)
            .clamp(LEAST_DELAY, MOST_DELAY);
        change.attempt = Some(self.backoff.attempts());
        change.retry_in = u64::try_from(delay.as_millis()).ok();
        self.link = Link::Waiting(ctx.now.boot + delay);
    }

    /// How long the server that is dialled next wants to be left alone after a loss.
    fn wants_to_be_left_alone(&self) -> Duration {
        let protocol = self.next_protocol();
        self.address(protocol)
            .map_or(Duration::ZERO, |address| self.memories.retry(protocol, &address))
    }

    /// Forgets the connection and all that lived on it; whether it had been stable.
    pub(super) fn leave_link(&mut self, ctx: &mut Context) -> bool {
        self.credit_credentials(ctx);
        let stable_after = self
            .options
            .reconnect
            .as_ref()
            .map_or(0, |reconnect| reconnect.stable_after);
        let was_stable = self.link.connection().is_some_and(|connection| {
            ctx.now.boot.saturating_sub(connection.opened) >= Duration::from_millis(stable_after)
        });
        if let Some(dial) = self.link.dial() {
            ctx.dials.remove(&dial);
            ctx.pace.end(dial);
        }
        self.link = Link::Paused;
        if let Some(dialect) = self.dialect.take() {
            self.memories.keep(*dialect);
        }
        self.ladder.left();
        self.subscriptions.link_lost();
        was_stable
    }

    /// Hangs up without wanting the link back for now.
    pub(super) fn pause_link(&mut self, ctx: &mut Context, code: u16) {
        if let Some(dial) = self.link.dial() {
            ctx.hang_up(dial, code, "");
            self.leave_link(ctx);
            self.settle_lost(ctx, u64::MAX);
        }
        ctx.pace.leave(self.key);
        self.link = Link::Paused;
    }

    /// Dials now because the extension asks for it: refusals of credentials count from the beginning again.
    pub(crate) fn start_over(&mut self, ctx: &mut Context) {
        self.credentials.refused_fresh = 0;
        self.reconnect(ctx);
    }

    /// Dials now: drops the link if there is one, clears the backoff and any failure.
    pub(crate) fn reconnect(&mut self, ctx: &mut Context) {
        self.backoff.reset();
        self.pause_link(ctx, 1000);
        self.dial(ctx);
    }

    /// The machine slept: ask at once, trust nothing.
    pub(crate) fn woke(&mut self, ctx: &mut Context) {
        let boot = ctx.now.boot;
        let has_pings = self.protocol() == Protocol::WebSocket;
        match &mut self.link {
            Link::Up(_) | Link::Dialing(_) if !has_pings => {
                // Nothing can be asked on a stream that only the other side writes.
                self.give_up(ctx, Code::LinkLost, "the machine slept");
                if let Link::Waiting(until) = &mut self.link {
                    *until = boot;
                }
            }
            Link::Up(connection) => {
                if let Some(heartbeat) = &mut connection.heartbeat {
                    heartbeat.probe(boot);
                    let token = connection.ping(boot, None);
                    ctx.out.push_back(Output::Ping(connection.dial, token));
                }
            }
            Link::Waiting(_) => self.dial_in_turn(ctx, true),
            _ => {}
        }
    }

    /// Does what the link's timers ask for.
    pub(super) fn link_timeout(&mut self, ctx: &mut Context) {
        match &mut self.link {
            Link::Dialing(_) => self.break_silence(ctx),
            Link::Waiting(until) if ctx.now.boot >= *until => self.dial_in_turn(ctx, true),
            Link::Up(connection) => {
                let not_ready = connection.ready_by.is_some_and(|by| ctx.now.boot >= by);
                let pulse = connection
                    .heartbeat
                    .as_mut()
                    .map_or(Pulse::Fine, |beat| beat.check(ctx.now.boot));
                if not_ready {
                    self.give_up(
                        ctx,
                        Code::Timeout,
                        "the server did not satisfy the `ready` rule in time",
                    );
                } else if pulse == Pulse::Dead {
                    self.give_up(ctx, Code::Heartbeat, "the server was silent for too long");
                } else if pulse == Pulse::Beat {
                    self.beat(ctx);
                } else {
                    self.ask_when_due(ctx);
                    self.break_silence(ctx);
                    self.look_for_better(ctx);
                }
            }
            _ => {}
        }
    }

    /// Leaves a transport that works to try the best one once, when it is time and nothing is under way.
    fn look_for_better(&mut self, ctx: &mut Context) {
        if self.ladder.look_at().is_none_or(|at| ctx.now.boot < at) || self.link.connection().is_none() {
            return;
        }
        if self.outbox.len() > 0 || !self.requests.is_empty() {
            return self.ladder.postpone(ctx.now.boot);
        }
        self.ladder.look_up();
        self.pause_link(ctx, 1000);
        self.dial_in_turn(ctx, true);
    }

    fn beat(&mut self, ctx: &mut Context) {
        if let Some(HeartbeatOptions {
            message: Some(message),
            ..
        }) = &self.options.heartbeat
        {
            let message = message.clone();
            return self.transmit_foreign(ctx, message);
        }
        if self.protocol() != Protocol::WebSocket {
            return;
        }
        if let Some(connection) = self.link.up() {
            let token = connection.ping(ctx.now.boot, None);
            ctx.out.push_back(Output::Ping(connection.dial, token));
        }
    }

    /// Ends a link that is of no use, as if it had been lost.
    pub(super) fn give_up(&mut self, ctx: &mut Context, code: Code, message: &str) {
        if let Some(dial) = self.link.dial() {
            ctx.hang_up(dial, 1000, "");
        }
        let end = LinkEnd {
            error: Some(error(code, message)),
            taken: u64::MAX,
            ..LinkEnd::default()
        };
        self.lost(ctx, end);
    }

    /// When the link's timers ask next, in boot time.
    pub(super) fn link_deadline(&self) -> Option<(Duration, &'static str)> {
        match &self.link {
            Link::Waiting(until) => Some((*until, "backoff")),
            Link::Dialing(_) => self.silence_ends().map(|at| (at, "silence")),
            Link::Up(connection) => {
                let beat = connection
                    .heartbeat
                    .as_ref()
                    .and_then(Heartbeat::deadline)
                    .map(|at| (at, "heartbeat"));
                let ready = connection.ready_by.map(|at| (at, "ready"));
                let ask = self.asks_at().map(|at| (at, "poll"));
                let silence = self.silence_ends().map(|at| (at, "silence"));
                let look = self.ladder.look_at().map(|at| (at, "transport"));
                [beat, ready, ask, silence, look]
                    .into_iter()
                    .flatten()
                    .min_by_key(|(at, _)| *at)
            }
            _ => None,
        }
    }

    /// Stops reading the socket: the log is full.
    pub(super) fn pause_reading(&mut self, ctx: &mut Context) {
        if self.awaits_close() {
            // The answer is still to be read.
            return;
        }
        let Some(connection) = self.link.up() else { return };
        if connection.paused {
            return;
        }
        connection.paused = true;
        if let Some(heartbeat) = &mut connection.heartbeat {
            heartbeat.rest();
        }
        ctx.out.push_back(Output::Pause(connection.dial));
    }

    /// Reads again: the log has room.
    pub(super) fn resume_reading(&mut self, ctx: &mut Context) {
        let Some(connection) = self.link.up() else { return };
        if !connection.paused {
            return;
        }
        connection.paused = false;
        if let Some(heartbeat) = &mut connection.heartbeat {
            heartbeat.wake(ctx.now.boot);
        }
        self.listen_anew(ctx.now.boot);
        let Some(connection) = self.link.up() else { return };
        ctx.out.push_back(Output::Resume(connection.dial));
        self.ask_when_due(ctx);
    }
}
