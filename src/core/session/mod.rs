//! One persistent connection: its log, its clients, its outbox and its link, held together.
//!
//! Who attaches is in `attach`, where a dial leads in `dialling`, with which credentials in `authorizing`, the link's life
//! in `linking`; the outgoing direction in `accepting`, `subscribing` and `sending`, the incoming in `taking`; servers on
//! HTTP in `asking`, Socket.IO in `eventing`; the journal in `keeping` and `restoring`, what clients do not want in
//! `filtering`. It touches no socket and no file.

mod accepting;
mod asking;
mod attach;
mod authorizing;
mod closing;
mod dialling;
mod eventing;
mod filtering;
mod keeping;
mod linking;
mod outage;
mod restoring;
mod sending;
mod subscribing;
mod taking;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::wire::code::Code;
use crate::wire::message::{CloseReport, Filtered, SessionReport, Totals};
use crate::wire::options::{Options, Protocol};
use crate::wire::record::{Body, ErrorInfo, Name, State, StateChange};

use self::closing::Closing;
use super::backoff::Backoff;
use super::client::Client;
use super::context::{Context, SessionKey, error};
use super::dialect::{Dialect, Memories};
use super::guard::Guard;
use super::io::{Now, PortId};
use super::journal::JournalId;
use super::ladder::Ladder;
use super::link::{Link, RoundTrips};
use super::log::{ClientId, Log};
use super::outbox::Outbox;
use super::requests::Requests;
use super::subscriptions::Subscriptions;

use self::outage::Outage;

/// What a session takes by itself, and its connection.
pub(crate) const SESSION_COST: usize = 8 << 10;
/// What a client takes by itself.
const CLIENT_COST: usize = 512;
/// Clients one session remembers; the longest absent one is forgotten for a new one.
const MOST_CLIENTS: usize = 64;
/// The close code for a server whose client does not come back.
const GOING_AWAY: u16 = 1001;

/// Who a session belongs to: nobody else can name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) origin: Name,
    pub(crate) profile: Name,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) key: SessionKey,
    pub(crate) owner: Owner,
    pub(crate) name: Name,
    pub(crate) epoch: Name,
    /// Unknown after a restart until somebody opens it with a URL again: secrets never reach the disk.
    url: Option<Url>,
    /// Shared with sessions that were opened alike.
    options: Arc<Options>,
    log: Log,
    clients: Vec<Client>,
    last_client: u32,
    link: Link,
    backoff: Backoff,
    /// Which of its transports it is on.
    ladder: Ladder,
    /// What the dial speaks that is alive.
    dialect: Option<Box<Dialect>>,
    /// What servers said that outlives dials.
    memories: Memories,
    credentials: Credentials,
    outbox: Outbox,
    requests: Requests,
    subscriptions: Subscriptions,
    guard: Guard,
    keeping: Option<Keeping>,
    /// Somebody has closed it.
    closing: Option<Box<Closing>>,
    /// Awake time since which no client is attached.
    idle_since: Option<Duration>,
    counters: Counters,
    outage: Outage,
    /// It was taken back from its journal: its log is older than its first link.
    restored: bool,
    /// Bytes that its options take.
    options_held: usize,
    /// Bytes it took when the hub last looked.
    pub(crate) held: usize,
    /// It has ended and is to be removed.
    pub(crate) over: bool,
}

/// Its journal, while there is one.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(crate) id: JournalId,
    /// No `seq` above this may be used before a new block is reserved.
    reserved: u64,
    /// Records up to here are known to the journal to be unneeded.
    trimmed: u64,
    /// The session lives in memory; the journal only carries it to the next broker.
    is_handing_over: bool,
}

/// What the provider gave, in memory only.
#[derive(Default)]
struct Credentials {
    url: Option<Url>,
    headers: Option<Vec<(String, String)>>,
    subprotocols: Option<Vec<String>>,
    /// A JSON object.
    auth: Option<String>,
    given: bool,
    /// Given since the server last accepted or refused some.
    fresh: bool,
    refused_fresh: u32,
    /// The server refused those that were brought last.
    is_refused: bool,
    nonce: Option<String>,
    asked: u32,
    why: &'static str,
    status: Option<u16>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("given", &self.given)
            .field("fresh", &self.fresh)
            .finish_non_exhaustive()
    }
}

/// For `status`.
#[derive(Debug, Default)]
struct Counters {
    dials: u64,
    opens: u64,
    received: Totals,
    sent: Totals,
    round_trips: RoundTrips,
    filtered: Filtered,
}

impl Credentials {
    /// Bytes that they take.
    fn held(&self) -> usize {
        let headers = self.headers.iter().flatten();
        headers
            .map(|(name, value)| 64 + name.len() + value.len())
            .sum::<usize>()
            + self.url.as_ref().map_or(0, |url| url.as_str().len())
            + self.auth.as_ref().map_or(0, String::len)
    }
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
        let epoch: Name = ctx.random.word().into();
        let mut session = Self::empty(key, owner, name, epoch, options);
        session.url = Some(url);
        session.start_keeping(ctx);
        session
    }

    fn empty(key: SessionKey, owner: Owner, name: Name, epoch: Name, options: Arc<Options>) -> Self {
        Self {
            key,
            owner,
            name,
            epoch,
            url: None,
            options_held: options.held(),
            options,
            log: Log::default(),
            clients: Vec::new(),
            last_client: 0,
            link: Link::Paused,
            backoff: Backoff::default(),
            ladder: Ladder::default(),
            dialect: None,
            memories: Memories::default(),
            credentials: Credentials::default(),
            outbox: Outbox::default(),
            requests: Requests::default(),
            subscriptions: Subscriptions::default(),
            guard: Guard::default(),
            keeping: None,
            closing: None,
            idle_since: None,
            counters: Counters::default(),
            outage: Outage::default(),
            restored: false,
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
            + self.credentials.held()
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

    /// What the server speaks: on the dial that is alive, otherwise on the one that would come next.
    fn protocol(&self) -> Protocol {
        match &self.dialect {
            Some(dialect) => dialect.protocol,
            None => self.next_protocol(),
        }
    }

    /// What the next dial would speak.
    fn next_protocol(&self) -> Protocol {
        match self
            .options
            .transports
            .as_slice()
            .split_at_checked(self.ladder.rung())
        {
            Some((_, [protocol, ..])) => *protocol,
            _ => self.options.protocol,
        }
    }

    /// The link's state.
    pub(crate) const fn state(&self) -> State {
        self.link.state()
    }

    /// Whether it knows where to dial; one taken back from disk does not until it is opened again.
    pub(crate) const fn has_url(&self) -> bool {
        self.url.is_some()
    }

    /// The broker leaves: the link is closed, and the journal ends in order. With `hand_over` a session in memory gets
    /// a journal for the time until the next broker.
    pub(crate) fn leave(&mut self, ctx: &mut Context, hand_over: bool) {
        if self.is_closing() {
            return self.finish_closing(ctx, None);
        }
        self.pause_link(ctx, 1001);
        if hand_over && self.keeping.is_none() {
            self.hand_over(ctx);
        }
        self.keep_clean(ctx);
    }

    /// The journal's name, if there is one.
    pub(crate) fn journal(&self) -> Option<&JournalId> {
        self.keeping.as_ref().map(|keeping| &keeping.id)
    }

    /// Whether the broker could leave without losing anything of it: it is on disk and wants no link.
    pub(crate) const fn can_wait_on_disk(&self) -> bool {
        self.keeping.is_some() && matches!(self.link, Link::Paused | Link::Failed | Link::Closed)
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
        self.keep_losses(ctx);
        self.reserve(ctx);
        self.log.append(ctx.now.awake, body, audience);
        self.keep_newest(ctx);
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
            ctx.show_newest(self.key, &self.name, &entry.record);
        }
    }

    /// Shows the last records still held to one who begins to watch; how many had no room.
    pub(crate) fn show_last(&self, ctx: &mut Context, port: PortId, count: usize) -> u64 {
        let end = self.log.index_after(self.log.last());
        let held = (end.saturating_sub(count)..end).filter_map(|index| self.log.get(index));
        let left_out = held.filter(|entry| !ctx.show_held(port, &self.name, &entry.record));
        left_out.count() as u64
    }

    /// What filters hold goes out before the newest record, to those who hear that one.
    fn release_held(&mut self, audience: Option<ClientId>) {
        for client in &mut self.clients {
            if audience.is_none_or(|audience| audience == client.id) {
                client.due = self.log.last();
            }
        }
    }

    /// Appends a change of the link's state.
    fn tell_state(&mut self, ctx: &mut Context, change: StateChange) {
        if let Some(news) = self.outage.changed(&change) {
            self.outage.log(news, &self.owner, &self.name);
        }
        self.append(ctx, Body::State(Arc::new(change)), None);
        self.deliver(ctx);
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
            self.link_deadline(),
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
            if self.wants_link() {
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
            if let Some(dial) = self.link.dial() {
                ctx.hang_up(dial, GOING_AWAY, "");
            }
            self.end(ctx, CloseReport::default(), "expired");
        } else if self.wants_link() && idle >= Duration::from_millis(self.options.linger) {
            self.pause_link(ctx, 1000);
            self.tell_state(ctx, StateChange::new(State::Paused));
        }
    }

    /// Counters.
    pub(crate) fn report(&self, now: Now) -> SessionReport {
        SessionReport {
            session: Some(self.name.to_string()),
            origin: Some(self.owner.origin.to_string()),
            profile: Some(self.owner.profile.to_string()),
            url: self.url.as_ref().map(|url| self.shown_url(url)),
            state: Some(self.state().as_str()),
            durability: Some(self.durability()),
            dials: self.counters.dials,
            reconnects: self.counters.opens.saturating_sub(1),
            connected_since: self.link.connection().map(|connection| connection.since),
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
            rtt: self.counters.round_trips.report(),
            clients: self
                .clients
                .iter()
                .filter(|client| client.attachment.is_some())
                .count() as u64,
            filtered: self.counters.filtered,
            insecure: false,
            error: self.outage.error().cloned(),
            retry_in: self.link.retry_in(now.boot).map(in_millis),
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
                self.keep_forgotten(ctx, longest);
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
