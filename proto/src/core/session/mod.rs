//! One persistent connection: a link, what is sent on it and what is received, held together.
//!
//! The session is the mediator of three parts that know nothing of each other: `uplink` the link, `outgoing` what is sent,
//! `delivery` what is received. It asks a part, the part returns what happened, and the session hands it on: what ports ask
//! in `frames`, what happens on the link in `routing`, what is sent in `flow`; what is looked for inside of messages in `inside`; the end in
//! `closing`, the journal in `journaling` and `restoring`. It touches no socket and no file.

mod closing;
mod delivery;
mod flow;
mod frames;
mod inside;
mod journaling;
mod outgoing;
mod restoring;
mod routing;
mod uplink;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::wire::code::Code;
use crate::wire::message::{CloseReport, SessionReport};
use crate::wire::options::Options;
use crate::wire::record::{Body, ErrorInfo, Name, State};

use super::context::{Context, error};
use super::identity::{Identity, Owner, SessionKey};
use super::io::{Now, PortId};
use super::journal::JournalId;
use super::log::ClientId;

use self::closing::Closing;
use self::delivery::Delivery;
use self::outgoing::Outgoing;
use self::uplink::Uplink;

pub(crate) use self::closing::Unsent;
pub(crate) use self::frames::Origin;

/// What a session takes by itself, and its connection.
pub(crate) const SESSION_COST: usize = 8 << 10;
/// The close code for a server whose client does not come back.
const GOING_AWAY: u16 = 1001;

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    identity: Identity,
    /// Shared with sessions that were opened alike.
    options: Arc<Options>,
    uplink: Uplink,
    outgoing: Outgoing,
    delivery: Delivery,
    /// Somebody has closed it.
    closing: Option<Box<Closing>>,
    /// Bytes that its options take.
    options_held: usize,
    /// Bytes it took when the hub last looked.
    pub(crate) held: usize,
    /// It has ended and is to be removed.
    pub(crate) over: bool,
}

/// How the broker leaves a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// What is not on disk is lost.
    Stop,
    /// A session in memory gets a journal for the time until the next broker.
    HandOver,
}

/// What is said when an extension's budget is spent.
pub(crate) fn over_budget(budget: usize) -> ErrorInfo {
    let why = format!(
        "this extension has reached its memory limit ({} MB; `megabytes` and `memory.total` in the settings): acknowledge records, \
         or close sessions and subscriptions",
        budget >> 20
    );
    error(Code::Overflow, why)
}

fn in_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Session {
    /// A session that has no client, no link and no record yet.
    pub(crate) fn new(
        key: SessionKey,
        owner: Owner,
        name: Name,
        url: Url,
        options: Arc<Options>,
        ctx: &mut Context,
    ) -> Self {
        let identity = Identity {
            key,
            owner,
            name,
            epoch: ctx.dialer.random.word().into(),
        };
        let mut session = Self::empty(identity, Uplink::new(url), options);
        session.start_journal(ctx);
        session
    }

    fn empty(identity: Identity, uplink: Uplink, options: Arc<Options>) -> Self {
        Self {
            identity,
            options_held: options.held(),
            options,
            uplink,
            outgoing: Outgoing::default(),
            delivery: Delivery::default(),
            closing: None,
            held: 0,
            over: false,
        }
    }

    /// Bytes that it takes, fixed costs included: what counts for its extension's budget.
    pub(crate) fn holds(&self) -> usize {
        SESSION_COST + self.options_held + self.uplink.held() + self.outgoing.held() + self.delivery.held()
    }

    /// Bytes that the log may take in all: the extension's budget, less what everything else takes.
    fn log_room(&self, ctx: &Context) -> usize {
        let rest = self.holds() - self.delivery.log().held();
        self.share(ctx).saturating_sub(rest)
    }

    /// Bytes it may take beside its extension's other sessions.
    fn share(&self, ctx: &Context) -> usize {
        ctx.budget.saturating_sub(ctx.others)
    }

    /// Bytes that it would take more with these options.
    pub(crate) fn grows_by(&self, options: &Options) -> usize {
        options.held().saturating_sub(self.options_held)
    }

    /// Whether its extension's budget has room for so many bytes more.
    ///
    /// # Errors
    /// `overflow`.
    fn check_budget(&self, ctx: &Context, more: usize) -> Result<(), ErrorInfo> {
        if self.holds() + more <= self.share(ctx) {
            return Ok(());
        }
        Err(over_budget(ctx.budget))
    }

    /// The link's state.
    pub(crate) const fn state(&self) -> State {
        self.uplink.state()
    }

    /// Names it within this broker's life.
    pub(crate) const fn key(&self) -> SessionKey {
        self.identity.key
    }

    /// Whose it is.
    pub(crate) const fn owner(&self) -> &Owner {
        &self.identity.owner
    }

    /// Its name, among those of its owner.
    pub(crate) const fn name(&self) -> &Name {
        &self.identity.name
    }

    /// Whether no link is wanted for now.
    fn is_paused(&self) -> bool {
        self.state() == State::Paused
    }

    /// Whether it knows where to dial; one taken back from disk does not until it is opened again.
    pub(crate) const fn has_url(&self) -> bool {
        self.uplink.url().is_some()
    }

    /// The broker leaves: the link is closed, and the journal ends in order.
    pub(crate) fn leave(&mut self, ctx: &mut Context, leave: Leave) {
        if self.is_closing() {
            return self.finish_closing(ctx, None);
        }
        self.drive(ctx, |uplink, scope| {
            uplink.pause(scope, 1001);
        });
        if leave == Leave::HandOver && !self.delivery.log().has_journal() {
            self.hand_over_to_next_broker(ctx);
        }
        self.journal_clean(ctx);
    }

    /// The journal's name, if there is one.
    pub(crate) fn journal(&self) -> Option<&JournalId> {
        self.delivery.log().journal()
    }

    /// Whether the broker could leave without losing anything of it: it is on disk and wants no link.
    pub(crate) const fn can_wait_on_disk(&self) -> bool {
        self.delivery.log().has_journal()
            && matches!(self.state(), State::Paused | State::Failed | State::Closed)
    }

    /// Records waiting for this client.
    pub(crate) fn pending(&self, client: &str) -> usize {
        self.delivery.pending(client)
    }

    /// What new messages are promised.
    const fn durability(&self) -> &'static str {
        if self.delivery.log().has_journal() {
            "disk"
        } else {
            "memory"
        }
    }

    /// Appends a record for everybody, or for one client, and writes it down.
    fn append(&mut self, ctx: &mut Context, body: Body, audience: Option<ClientId>) {
        self.with_delivery(ctx, |delivery, scope| delivery.append(scope, body, audience));
    }

    /// Hands every client what its window and its port have room for.
    pub(crate) fn deliver(&mut self, ctx: &mut Context) {
        self.with_delivery(ctx, Delivery::deliver);
    }

    /// Forgets what every client has finished.
    fn trim(&mut self, ctx: &mut Context) {
        self.with_delivery(ctx, Delivery::trim);
        self.read_on(ctx);
    }

    /// Drops what is more than the log may hold now.
    fn shrink(&mut self, ctx: &Context) {
        let room = self.log_room(ctx);
        self.delivery.shrink(&self.options, room);
    }

    /// The broker as a whole holds too much, and this extension most: drops what does not fit its budget any more.
    pub(crate) fn give_back(&mut self, ctx: &mut Context) {
        self.bound_partial(ctx);
        let room = self.log_room(ctx);
        self.with_delivery(ctx, |delivery, scope| delivery.give_back(scope, room));
    }

    /// Drops messages that are older than the log keeps.
    fn drop_aged(&mut self, ctx: &mut Context) {
        if self.with_delivery(ctx, Delivery::drop_aged) {
            self.read_on(ctx);
            self.deliver(ctx);
        }
    }

    /// Shows the last records still held to one who begins to watch; how many had no room.
    pub(crate) fn show_last(&self, ctx: &mut Context, port: PortId, count: usize) -> u64 {
        self.delivery
            .show_last(&mut ctx.ports(), &self.identity.name, port, count)
    }

    /// Does what is due.
    pub(crate) fn timeout(&mut self, ctx: &mut Context) {
        self.link_timeout(ctx);
        self.flow_timeout(ctx);
        self.drop_aged(ctx);
        self.with_delivery(ctx, Delivery::tell_stalls);
        self.idle_timeout(ctx);
        self.closing_timeout(ctx);
    }

    /// The next deadline in boot time, and whose it is.
    pub(crate) fn boot_deadline(&self) -> Option<(Duration, &'static str)> {
        [
            self.uplink.deadline(),
            self.outgoing.deadline(),
            self.proof_deadline(),
            self.delivery.stall_deadline().map(|at| (at, "stall")),
            self.close_deadline().map(|at| (at, "close")),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// The next deadline in awake time, and whose it is.
    pub(crate) fn awake_deadline(&self) -> Option<(Duration, &'static str)> {
        let aged = self.delivery.age_deadline(&self.options).map(|at| (at, "age"));
        let idle = self.delivery.idle_since().filter(|_| !self.is_closing());
        let idle = idle.map(|since| {
            let linger = since + Duration::from_millis(self.options.linger);
            let expire = since + Duration::from_millis(self.options.expire);
            if self.uplink.is_wanted() {
                (linger.min(expire), "linger")
            } else {
                (expire, "expire")
            }
        });
        [aged, idle].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Gives up the link, and then the session, when nobody has come for long enough.
    fn idle_timeout(&mut self, ctx: &mut Context) {
        let Some(since) = self.delivery.idle_since().filter(|_| !self.is_closing()) else {
            return;
        };
        let idle = ctx.now.awake.saturating_sub(since);
        if idle >= Duration::from_millis(self.options.expire) {
            self.with_uplink(ctx, |uplink, scope| uplink.hang_up(scope, GOING_AWAY, ""));
            self.end(ctx, &CloseReport::default(), "expired");
        } else if self.uplink.is_wanted() && idle >= Duration::from_millis(self.options.linger) {
            self.drive(ctx, |uplink, scope| uplink.rest(scope, None));
        }
    }

    /// Counters.
    pub(crate) fn report(&self, now: Now) -> SessionReport {
        let (dials, opens) = self.uplink.counters();
        let delivery = self.delivery.report(now.awake);
        SessionReport {
            session: Some(self.identity.name.to_string()),
            origin: Some(self.identity.owner.origin.to_string()),
            profile: Some(self.identity.owner.profile.to_string()),
            url: self.uplink.shown_url(&self.options),
            state: Some(self.state().as_str()),
            durability: Some(self.durability()),
            dials,
            reconnects: opens.saturating_sub(1),
            connected_since: self.uplink.connected_since(),
            received: delivery.received,
            sent: self.outgoing.sent(),
            queued: delivery.queued,
            unacknowledged: delivery.unacknowledged,
            dropped: delivery.dropped,
            outbox: self.outgoing.len() as u64,
            rtt: self.uplink.round_trips(),
            clients: delivery.attached,
            filtered: delivery.filtered,
            insecure: false,
            error: self.uplink.last_error().cloned(),
            retry_in: self.uplink.retry_in(now.boot).map(in_millis),
            oldest: delivery.oldest.map(in_millis),
        }
    }

    /// Ends the session for every client: everything is settled and told, then nothing is left.
    fn end(&mut self, ctx: &mut Context, report: &CloseReport, why: &'static str) {
        let mut change = self.uplink.close();
        change.code = report.code;
        change.reason.clone_from(&report.reason);
        for settled in self.outgoing.end(ctx.now) {
            self.record_settled(ctx, settled);
        }
        self.tell_state(ctx, change);
        self.with_delivery(ctx, |delivery, scope| delivery.end(scope, report, why));
        self.delivery.remove_journal(&mut ctx.recorder());
        self.over = true;
    }
}
