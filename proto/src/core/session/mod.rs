//! One persistent connection: its log, its clients, its outbox and its link, held together.
//!
//! The link is `uplink`'s, and what happens on it is handed on in `routing`. Who attaches is in `attach`; the outgoing
//! direction in `accepting`, `subscribing` and `sending`, the incoming in `taking`; the journal in `journaling` and
//! `restoring`, what clients do not want in `filtering`. It touches no socket and no file.

mod accepting;
mod attach;
mod closing;
mod filtering;
mod journaling;
mod restoring;
mod routing;
mod sending;
mod subscribing;
mod taking;
mod uplink;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::wire::code::Code;
use crate::wire::message::{CloseReport, Filtered, SessionReport, Totals};
use crate::wire::options::Options;
use crate::wire::record::{Body, ErrorInfo, Name, State};

use super::client::Client;
use super::context::{Context, error};
use super::guard::Guard;
use super::identity::{Identity, Owner, SessionKey};
use super::io::{Now, PortId};
use super::journal::JournalId;
use super::log::ClientId;
use super::outbox::Outbox;
use super::recorded_log::RecordedLog;
use super::requests::Requests;
use super::subscriptions::Subscriptions;

use self::closing::Closing;
use self::uplink::Uplink;

/// What a session takes by itself, and its connection.
pub(crate) const SESSION_COST: usize = 8 << 10;
/// What a client takes by itself.
const CLIENT_COST: usize = 512;
/// Clients one session remembers; the longest absent one is forgotten for a new one.
const MOST_CLIENTS: usize = 64;
/// The close code for a server whose client does not come back.
const GOING_AWAY: u16 = 1001;

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    identity: Identity,
    /// Shared with sessions that were opened alike.
    options: Arc<Options>,
    log: RecordedLog,
    clients: Vec<Client>,
    last_client: u32,
    uplink: Uplink,
    outbox: Outbox,
    requests: Requests,
    subscriptions: Subscriptions,
    guard: Guard,
    /// Somebody has closed it.
    closing: Option<Box<Closing>>,
    /// Awake time since which no client is attached.
    idle_since: Option<Duration>,
    counters: Counters,
    /// Bytes that its options take.
    options_held: usize,
    /// Bytes it took when the hub last looked.
    pub(crate) held: usize,
    /// It has ended and is to be removed.
    pub(crate) over: bool,
}

/// For `status`.
#[derive(Debug, Default)]
struct Counters {
    received: Totals,
    sent: Totals,
    filtered: Filtered,
}

/// What is said when an extension's budget is spent.
pub(crate) fn over_budget(budget: usize) -> ErrorInfo {
    let why = format!(
        "this extension holds as much as it may ({} MB; `megabytes` and `memory.total` in the settings): acknowledge records, \
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
            log: RecordedLog::default(),
            clients: Vec::new(),
            last_client: 0,
            uplink,
            outbox: Outbox::default(),
            requests: Requests::default(),
            subscriptions: Subscriptions::default(),
            guard: Guard::default(),
            closing: None,
            idle_since: None,
            counters: Counters::default(),
            held: 0,
            over: false,
        }
    }

    /// Bytes that it takes, fixed costs included: what counts for its extension's budget.
    pub(crate) fn holds(&self) -> usize {
        let clients = self
            .clients
            .iter()
            .map(|client| CLIENT_COST + client.filter.held());
        SESSION_COST
            + self.options_held
            + self.uplink.held()
            + self.log.held()
            + self.outbox.held()
            + self.requests.held()
            + self.subscriptions.held()
            + clients.sum::<usize>()
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

    /// The broker leaves: the link is closed, and the journal ends in order. With `hand_over` a session in memory gets
    /// a journal for the time until the next broker.
    pub(crate) fn leave(&mut self, ctx: &mut Context, hand_over: bool) {
        if self.is_closing() {
            return self.finish_closing(ctx, None);
        }
        self.drive(ctx, |uplink, scope| {
            uplink.pause(scope, 1001);
        });
        if hand_over && !self.log.has_journal() {
            self.hand_over(ctx);
        }
        self.journal_clean(ctx);
    }

    /// The journal's name, if there is one.
    pub(crate) fn journal(&self) -> Option<&JournalId> {
        self.log.journal()
    }

    /// Whether the broker could leave without losing anything of it: it is on disk and wants no link.
    pub(crate) const fn can_wait_on_disk(&self) -> bool {
        self.log.has_journal() && matches!(self.state(), State::Paused | State::Failed | State::Closed)
    }

    /// Records waiting for this client.
    pub(crate) fn pending(&self, client: &str) -> usize {
        self.clients
            .iter()
            .find(|known| &*known.name == client)
            .map_or(0, |known| {
                let start = self.log.index_after(known.acked);
                (start..)
                    .map_while(|index| self.log.get(index))
                    .filter(|entry| entry.is_for(known.id))
                    .count()
            })
    }

    /// Appends a record for everybody, or for one client, and writes it down.
    fn append(&mut self, ctx: &mut Context, body: Body, audience: Option<ClientId>) {
        self.log.append(&mut ctx.recorder(), body, audience);
        self.show_newest(ctx);
        self.release_held(audience);
    }

    /// Shows the newest record to those who watch.
    fn show_newest(&self, ctx: &mut Context) {
        if ctx.watchers.is_empty() {
            return;
        }
        let newest = self.log.index_after(self.log.last() - 1);
        if let Some(entry) = self.log.get(newest) {
            ctx.show_newest(self.identity.key, &self.identity.name, &entry.record);
        }
    }

    /// Shows the last records still held to one who begins to watch; how many had no room.
    pub(crate) fn show_last(&self, ctx: &mut Context, port: PortId, count: usize) -> u64 {
        let end = self.log.index_after(self.log.last());
        let held = (end.saturating_sub(count)..end).filter_map(|index| self.log.get(index));
        let left_out = held.filter(|entry| !ctx.show_held(port, &self.identity.name, &entry.record));
        left_out.count() as u64
    }

    /// What filters hold goes out before the newest record, to those who hear that one.
    fn release_held(&mut self, audience: Option<ClientId>) {
        for client in &mut self.clients {
            if audience.is_none_or(|audience| audience == client.id) {
                client.release(self.log.last());
            }
        }
    }

    /// Does what is due.
    pub(crate) fn timeout(&mut self, ctx: &mut Context) {
        self.link_timeout(ctx);
        self.sending_timeout(ctx);
        self.drop_aged(ctx);
        self.tell_stalls(ctx);
        self.idle_timeout(ctx);
        self.closing_timeout(ctx);
    }

    /// The next deadline in boot time, and whose it is.
    pub(crate) fn boot_deadline(&self) -> Option<(Duration, &'static str)> {
        [
            self.uplink.deadline(),
            self.sending_deadline(),
            self.stall_deadline().map(|at| (at, "stall")),
            self.close_deadline().map(|at| (at, "close")),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// The next deadline in awake time, and whose it is.
    pub(crate) fn awake_deadline(&self) -> Option<(Duration, &'static str)> {
        let age = Duration::from_millis(self.options.queue.age);
        let aged = self.log.oldest_message_born().map(|born| (born + age, "age"));
        let idle = self.idle_since.filter(|_| !self.is_closing()).map(|since| {
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
        let Some(since) = self.idle_since.filter(|_| !self.is_closing()) else {
            return;
        };
        let idle = ctx.now.awake.saturating_sub(since);
        if idle >= Duration::from_millis(self.options.expire) {
            self.with_uplink(ctx, |uplink, scope| uplink.hang_up(scope, GOING_AWAY, ""));
            self.end(ctx, CloseReport::default(), "expired");
        } else if self.uplink.is_wanted() && idle >= Duration::from_millis(self.options.linger) {
            self.drive(ctx, |uplink, scope| uplink.rest(scope, None));
        }
    }

    /// Counters.
    pub(crate) fn report(&self, now: Now) -> SessionReport {
        let (dials, opens) = self.uplink.counters();
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
            received: self.counters.received,
            sent: self.counters.sent,
            queued: self.log.messages() as u64,
            unacknowledged: self
                .clients
                .iter()
                .map(|client| client.unacknowledged() as u64)
                .sum(),
            dropped: self.log.dropped(),
            outbox: self.outbox.len() as u64,
            rtt: self.uplink.round_trips(),
            clients: self
                .clients
                .iter()
                .filter(|client| client.attachment.is_some())
                .count() as u64,
            filtered: self.counters.filtered,
            insecure: false,
            error: self.uplink.last_error().cloned(),
            retry_in: self.uplink.retry_in(now.boot).map(in_millis),
            oldest: self.oldest_unacknowledged(now.awake).map(in_millis),
        }
    }

    /// The age of the oldest record that somebody attached has not acknowledged.
    fn oldest_unacknowledged(&self, awake: Duration) -> Option<Duration> {
        self.clients
            .iter()
            .filter(|client| client.attachment.is_some())
            .filter_map(|client| self.log.oldest_after(client.acked, client.id))
            .min()
            .map(|appended| awake.saturating_sub(appended))
    }

    fn client_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    /// The client with this name, made if there is none.
    fn client_named(&mut self, ctx: &mut Context, name: &Name, position: u64) -> ClientId {
        if let Some(known) = self.clients.iter().find(|client| client.name == *name) {
            return known.id;
        }
        if self.clients.len() >= MOST_CLIENTS {
            let absent = self.clients.iter().filter(|client| client.attachment.is_none());
            if let Some(longest) = absent
                .min_by_key(|client| client.absent_since)
                .map(|client| client.id)
            {
                self.clients.retain(|client| client.id != longest);
                self.journal_forgotten(ctx, longest);
            }
        }
        self.last_client += 1;
        let id = ClientId(self.last_client);
        // Most sessions have one; the usual room for four would be a fifth of an idle session.
        self.clients.reserve_exact(1);
        self.clients
            .push(Client::new(id, name.clone(), position, ctx.now.awake));
        id
    }

    /// Who holds this session through that port.
    fn client_at(&self, port: super::io::PortId) -> Option<ClientId> {
        self.clients
            .iter()
            .find(|client| {
                client
                    .attachment
                    .as_ref()
                    .is_some_and(|attachment| attachment.port == port)
            })
            .map(|client| client.id)
    }
}
