//! The connection to the server: whether there is one, its messages, and when the next one is tried.
//!
//! The states are in `state`, what is dropped with a connection in `connection`, transmission in `transmit`, the end of a
//! link in `loss`, the target of a dial in `dialling`, its credentials in `credentials`, deadlines in `timers`. Protocols are
//! `core::dialect`'s. It knows no log, no client and no outbox: what concerns them comes out of `poll`.

mod beats;
mod closing;
mod connection;
mod context;
mod credentials;
mod dialling;
mod fallback;
mod frames;
mod heartbeat;
mod login;
mod loss;
mod outage;
mod queries;
mod readiness;
mod reading;
mod state;
#[cfg(test)]
mod tests;
mod timers;
mod transmit;

use std::collections::VecDeque;

use url::Url;

use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, StateChange};
use crate::wire::rule::ParsedMessage;

use crate::core::backoff::Backoff;
use crate::core::dialect::outlines::Unparsed;
use crate::core::dialect::{Dialect, DialectEvent, Received, ResumeTokens};
use crate::core::identity::Identity;
use crate::core::io::{DialId, LinkEnd, LinkEvent};
use crate::core::outbox::Proof;
use crate::core::recorded_log::Durable;

use super::link_view::LinkView;

use self::beats::BeatReply;
use self::connection::{Connection, RoundTrips};
pub(super) use self::context::UplinkContext;
use self::credentials::Credentials;
use self::fallback::Fallback;
use self::heartbeat::Heartbeat;
use self::outage::Outage;
use self::state::LinkState;

/// What the rest of the session has to do with.
#[derive(Debug)]
pub(super) enum UplinkEvent {
    /// The link's state changed, or something else is to be reported as a state.
    State(Box<StateChange>),
    /// A connection is open; the link as it is then.
    Opened(LinkView),
    /// A message.
    Message(Received),
    /// A message that was too large to be kept.
    TooLarge,
    /// Everything up to this place of the outbox has been written, which may prove that it has been read.
    Written(u64, Proof),
    /// The far endpoint has read everything up to this place.
    Proven(u64),
    /// The server's acknowledgement of a message, by its serial number.
    Acknowledged(u64, Payload),
    /// The message at this place was posted and answered; with why it was not taken, if so.
    Posted(u64, Option<ErrorInfo>),
    /// The server does not take the message at this place.
    Refused(u64, ErrorInfo),
    /// The server does not take a reply.
    ReplyRefused(ErrorInfo),
    /// The server has met the `ready` rule.
    Ready,
    /// This is to be sent as a beat.
    Beat(Payload),
    /// This answers a beat of the server's.
    BeatAnswer(Payload),
    /// This is to be sent to log in.
    Login(Payload),
    /// The dial has ended; it had begun to hand over so many messages.
    Left { taken: u64 },
    /// The link has ended because the session is being closed; `None`: nothing was worth waiting for any more.
    Closed(Option<Box<LinkEnd>>),
    /// Another transport is to be dialled at once.
    Redial,
    /// Somebody is to be asked for credentials.
    CredentialsWanted,
}

/// The connection of one session to its server.
#[derive(Debug, Default)]
pub(crate) struct Uplink {
    /// Unknown after a restart until a client opens the session with a URL again: secrets never reach the disk.
    url: Option<Url>,
    credentials: Credentials,
    state: LinkState,
    backoff: Backoff,
    fallback: Fallback,
    /// The protocol of the active dial.
    dialect: Option<Dialect>,
    tokens: ResumeTokens,
    events: VecDeque<UplinkEvent>,
    outage: Outage,
    dials: u64,
    opens: u64,
    round_trips: RoundTrips,
    /// The session was taken back from its journal: it is older than its first link.
    is_restored: bool,
}

impl Uplink {
    /// An uplink that has not dialled yet.
    pub(super) fn new(url: Url) -> Self {
        Self {
            url: Some(url),
            ..Self::default()
        }
    }

    /// The uplink of a session restored from its journal: its URL is not known yet.
    pub(super) fn restored() -> Self {
        Self {
            is_restored: true,
            ..Self::default()
        }
    }

    /// What of an event of the current dial is to be read before it is handled.
    pub(super) fn unread(&mut self, options: &Options, event: &LinkEvent) -> Vec<Unparsed> {
        match &mut self.dialect {
            Some(dialect) => dialect.handler_mut().unread(options, event),
            None => Vec::new(),
        }
    }

    /// Handles an event of a dial. Anything but the current one is ignored. `poll` must follow.
    pub(super) fn handle_event(&mut self, ctx: &mut UplinkContext<'_>, dial: DialId, event: LinkEvent) {
        if self.state.dial_id() != Some(dial) {
            return;
        }
        let is_sign_of_life = !matches!(
            event,
            LinkEvent::Written(_) | LinkEvent::Encoded(_) | LinkEvent::Opened { .. } | LinkEvent::Ended(_)
        );
        if is_sign_of_life && let Some(heartbeat) = self.heartbeat_mut() {
            heartbeat.saw_traffic(ctx.now.boot);
        }
        if let Some(dialect) = &mut self.dialect {
            dialect.handler_mut().handle_event(&mut ctx.dial(dial), event);
        }
    }

    /// The next thing that concerns others; after every call to the uplink until `None`.
    pub(super) fn poll(&mut self, ctx: &mut UplinkContext<'_>) -> Option<UplinkEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let event = self.state.dial_id().and_then(|dial| {
                let dialect = self.dialect.as_mut()?;
                Some((dial, dialect.handler_mut().poll(&mut ctx.dial(dial))?))
            });
            let Some((dial, event)) = event else {
                // Links change their state seldom: an idle session needs no room for it.
                self.events = VecDeque::new();
                return None;
            };
            if let Some(event) = self.handle_dialect_event(ctx, dial, event) {
                return Some(event);
            }
        }
    }

    fn handle_dialect_event(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        dial: DialId,
        event: DialectEvent,
    ) -> Option<UplinkEvent> {
        match event {
            DialectEvent::Opened {
                subprotocol,
                extensions,
            } => self.opened(ctx, dial, subprotocol, extensions),
            DialectEvent::State(change) => self.events.push_back(UplinkEvent::State(change)),
            DialectEvent::Ended(end) if self.awaits_close() => {
                self.leave(ctx, u64::MAX);
                return Some(UplinkEvent::Closed(Some(end)));
            }
            DialectEvent::Ended(end) => self.lost(ctx, *end),
            DialectEvent::End(over) => self.end_link(ctx, *over),
            // All other events belong to a connection.
            _ if self.state.connection().is_none() => {}
            DialectEvent::Message(message) => return Some(UplinkEvent::Message(message)),
            DialectEvent::TooLarge => return Some(UplinkEvent::TooLarge),
            DialectEvent::Written(place) => {
                return Some(UplinkEvent::Written(place, self.view(ctx.options).proof()));
            }
            DialectEvent::Pong(token) => return self.ponged(ctx, token),
            DialectEvent::Acknowledged(serial, answer) => {
                return Some(UplinkEvent::Acknowledged(serial, answer));
            }
            DialectEvent::Refused(place, why) => return Some(UplinkEvent::Refused(place, why)),
            DialectEvent::ReplyRefused(why) => return Some(UplinkEvent::ReplyRefused(why)),
            DialectEvent::Posted(place, failure) => return Some(UplinkEvent::Posted(place, failure)),
        }
        None
    }

    fn opened(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        dial: DialId,
        subprotocol: Option<String>,
        extensions: Option<String>,
    ) {
        if !self.state.is_dialing() {
            return;
        }
        ctx.dialer.end_handshake(dial);
        let mut connection = Connection::new(dial, ctx.now.boot, ctx.now.wall);
        connection.set_heartbeat(self.new_heartbeat(ctx));
        connection.subprotocol.clone_from(&subprotocol);
        if ctx.options.ready.is_some() {
            connection.readiness.await_rule(ctx.now.boot);
        }
        let mut change = self.state.open(connection);
        self.opens += 1;
        change.dial = Some(self.dials);
        change.attempt = Some(self.backoff.attempts());
        let continuity = self
            .dialect
            .as_ref()
            .map(|dialect| dialect.handler().continuity());
        change.continuity = continuity.filter(|_| self.opens > 1 || self.is_restored);
        change.subprotocol = subprotocol;
        change.extensions = extensions;
        if !ctx.options.transports.is_empty() {
            change.transport = Some(self.protocol(ctx.options).protocol.as_str().to_owned());
            self.fallback.opened(ctx.now.boot);
        }
        self.report_change(change);
        let link = self.view(ctx.options);
        self.events.push_back(UplinkEvent::Opened(link));
    }

    /// Reports a problem in place, with the state as it is.
    pub(super) fn report_problem(&mut self, why: ErrorInfo) {
        let mut change = StateChange::new(self.state());
        change.error = Some(why);
        self.report_change(change);
    }

    fn report_change(&mut self, change: StateChange) {
        self.events.push_back(UplinkEvent::State(Box::new(change)));
    }

    /// Whether incoming messages may be beats, say how often to beat, or make the link ready.
    pub(super) fn looks_inside(&self, options: &Options) -> bool {
        let up = self.state.connection();
        let awaits_beat = options.heartbeat.as_ref().is_some_and(|settings| {
            let beat = up.and_then(Connection::heartbeat);
            let has_rules = !settings.answers.is_empty() || settings.interval_from.is_some();
            has_rules || beat.is_some_and(Heartbeat::awaits)
        });
        awaits_beat || up.is_some_and(|up| !up.readiness.is_ready())
    }

    /// Lets the link use an incoming message: as a beat, for logging in, to become ready. `true` when nothing of it is left
    /// for the clients.
    pub(super) fn use_message(&mut self, ctx: &mut UplinkContext<'_>, message: &ParsedMessage<'_>) -> bool {
        self.adjust_beat(ctx.options, message);
        let login = self.log_in(ctx, message);
        self.events.extend(login.into_iter().map(UplinkEvent::Login));
        if self.make_ready(ctx.options, message) {
            self.events.push_back(UplinkEvent::Ready);
        }
        match self.take_beat(ctx, message) {
            BeatReply::NoBeat => return false,
            BeatReply::Nothing => {}
            BeatReply::Send(answer) => self.events.push_back(UplinkEvent::BeatAnswer(answer)),
        }
        true
    }

    /// A message is about to be written: how sure the journal must be of that. The first on a connection goes to the disk
    /// itself, so that even after a power cut it is known that this link was open.
    pub(super) fn durability_of_intent(&mut self) -> Durable {
        let up = self.state.connection_mut();
        match up.is_some_and(Connection::journal_first) {
            true => Durable::OnDisk,
            false => Durable::Written,
        }
    }

    /// Takes a change that is reported to clients: what `status` and the log say of failures.
    pub(super) fn reported(&mut self, who: &Identity, change: &StateChange) {
        if let Some(event) = self.outage.changed(change) {
            self.outage.log(event, &who.owner, &who.name);
        }
    }
}
