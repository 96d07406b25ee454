//! Who is here, which sessions live, who hears which.
//!
//! It does no I/O: the shell calls `handle`, then `poll` until `None`, then waits for `deadline`.
//!
//! What holds after every drain (the simulation asserts it):
//!
//! 1. Never two dials alive for a session; word from any other dial is ignored.
//! 2. Link-scoped state lives in `link::Connection` and dies with it.
//! 3. A message accepted has exactly one verdict.
//! 4. A `seq` never names another record in its epoch; every loss is a record in its place.
//! 5. Bounds are checked on every append, in every state.
//! 6. No deadline lies in the past; an early or repeated `Timeout` is harmless.
//! 7. A new attachment fences the old one at once.
//! 8. Same inputs and seed, same outputs.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::{
    BrokerFrame, ClientFrame, Conflict, Hello, Open, SessionReport, SessionSummary, StatusReport, Welcome,
};
use crate::wire::record::{ErrorInfo, Name};

use super::context::{Context, Port, Seat, SessionKey, error};
use super::io::{Caller, DialId, Input, LinkEvent, Now, Output, PortId, Watch};
use super::journal::{Damage, JournalId, Kept};
use super::pace::Pace;
use super::policy;
use super::random::Random;
use super::session::{Owner, Session};

/// What this broker can do, as `welcome` says and `hello.needs` may ask.
pub const CAPABILITIES: &[&str] = &[
    "websocket",
    "sse",
    "poll",
    "socket.io",
    "ack",
    "json",
    "binary",
    "batch",
    "part",
    "request",
    "subscribe",
    "filter",
    "guard",
    "lane",
    "auth",
    "disk",
    "window",
    "presets",
];
/// Limits, as `welcome` states them unless the settings say otherwise: bytes and counts.
pub const LIMITS: &[(&str, u64)] = &[
    ("frame", 1_048_576),
    ("incomingFrame", 67_108_864),
    ("message", 67_108_864),
    ("sessions", 256),
    ("name", 128),
];

/// The reason for leaving with which every session is handed over to the broker that comes after.
pub const UPGRADE: &str = "upgrade";

/// What the hub is told once, at its birth.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Longwire's version.
    pub version: &'static str,
    /// This broker's boot id.
    pub boot: String,
    /// Which boot of the machine this is: what the page cache holds survives until the next.
    pub machine_boot: String,
    /// Seed of the hub's own generator: same inputs and seed, same outputs.
    pub seed: u64,
}

/// Every session of one broker.
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
    born: Duration,
    ctx: Context,
    /// Boxed: a node of the map has room for twice what it holds.
    sessions: BTreeMap<SessionKey, Box<Session>>,
    names: HashMap<(Owner, Name), SessionKey>,
    counts: HashMap<Owner, usize>,
    /// Payload bytes that each extension's sessions hold.
    held: HashMap<Name, usize>,
    journals: HashMap<JournalId, SessionKey>,
    last_session: u64,
    timers: Timers,
    was_idle: Option<bool>,
}

/// When each session wants to be asked, on both clocks.
#[derive(Debug, Default)]
struct Timers {
    boot: BTreeSet<(Duration, SessionKey)>,
    awake: BTreeSet<(Duration, SessionKey)>,
    set: HashMap<SessionKey, (Option<Duration>, Option<Duration>)>,
}

impl Hub {
    /// An empty hub.
    pub fn new(config: HubConfig, now: Now) -> Self {
        let ctx = Context {
            now,
            out: VecDeque::new(),
            random: Random::new(config.seed),
            ports: BTreeMap::new(),
            dials: HashMap::new(),
            last_dial: 0,
            rules: Arc::default(),
            pace: Pace::default(),
            others: 0,
            machine_boot: config.machine_boot.clone(),
            watchers: Vec::new(),
        };
        Self {
            config,
            born: now.boot,
            ctx,
            sessions: BTreeMap::new(),
            names: HashMap::new(),
            counts: HashMap::new(),
            held: HashMap::new(),
            journals: HashMap::new(),
            last_session: 0,
            timers: Timers::default(),
            was_idle: None,
        }
    }

    /// Takes one input. `poll` must be drained to `None` afterwards.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.ctx.now = now;
        match input {
            Input::Came(port, caller) => {
                self.ctx.ports.insert(port, Port::new(caller));
            }
            Input::Frame(port, frame) => self.frame(port, frame),
            Input::Gone(port) => self.gone(port),
            Input::Written(port, cost) => self.written(port, cost),
            Input::Watch(port, watch) => self.watch(port, &watch),
            Input::Link(dial, event) => self.link(dial, event),
            Input::Woke => self.each(Session::woke),
            Input::Rules(rules) => {
                self.ctx.rules = rules;
                self.each(Session::rules_changed);
            }
            Input::JournalLost { journal, why } => {
                if let Some(key) = self.journals.remove(&journal) {
                    self.with(key, |session, ctx| session.journal_lost(ctx, &why));
                }
            }
            Input::Timeout => self.timeout(),
            Input::Leave { reason } => self.leave(reason),
        }
        self.take_turns();
        self.tell_idle();
    }

    /// The next thing to do, in order.
    pub fn poll(&mut self) -> Option<Output> {
        self.ctx.out.pop_front()
    }

    /// How long until `Input::Timeout` is due, and whose timer it is; `None` for never.
    pub fn deadline(&self, now: Now) -> Option<(Duration, &'static str)> {
        let boot = self
            .timers
            .boot
            .first()
            .map(|(at, key)| (at.saturating_sub(now.boot), *key, true));
        let awake = self
            .timers
            .awake
            .first()
            .map(|(at, key)| (at.saturating_sub(now.awake), *key, false));
        let turn = self.ctx.pace.due().map(|at| at.saturating_sub(now.boot));
        let timer = [boot, awake].into_iter().flatten().min_by_key(|(span, ..)| *span);
        if let Some(turn) = turn
            && timer.is_none_or(|(span, ..)| turn < span)
        {
            return Some((turn, "turn to dial"));
        }
        let (span, key, is_boot) = timer?;
        let session = self.sessions.get(&key)?;
        let whose = if is_boot {
            session.boot_deadline()
        } else {
            session.awake_deadline()
        };
        Some((span, whose.map_or("none", |(_, whose)| whose)))
    }

    /// The state a journal's new segment must begin with; empty for an unknown journal.
    pub fn snapshot(&self, journal: &JournalId) -> Vec<Kept> {
        let session = self.journals.get(journal).and_then(|key| self.sessions.get(key));
        session.map_or_else(Vec::new, |session| {
            session.snapshot(self.ctx.now.boot, &self.config.machine_boot)
        })
    }

    /// Takes a session back from its journal, in the order written, with what its recovery found lost.
    ///
    /// # Errors
    /// A sentence saying why the journal cannot be used; the shell puts it aside.
    pub fn restore(
        &mut self,
        now: Now,
        journal: JournalId,
        kept: &[Kept],
        damage: Option<Damage>,
    ) -> Result<(), String> {
        self.ctx.now = now;
        let key = self.new_key();
        let session = Session::restore(key, journal, kept, damage, &mut self.ctx)?;
        if self
            .names
            .contains_key(&(session.owner.clone(), session.name.clone()))
        {
            return Err("another journal holds the same session".to_owned());
        }
        self.add(session);
        self.retime(key);
        Ok(())
    }

    fn frame(&mut self, port: PortId, frame: ClientFrame) {
        let Some(known) = self.ctx.ports.get(&port) else {
            return;
        };
        let is_admin = known.caller == Caller::Admin;
        match frame {
            ClientFrame::Status { id } if is_admin => self.status(port, id, None),
            _ if is_admin => {
                let why = error(Code::Unsupported, "the command line may only ask for `status`");
                self.ctx.refuse(port, why, frame.id(), None);
            }
            ClientFrame::Hello(hello) => self.hello(port, hello),
            frame => match known.seat.clone() {
                None => {
                    let why = error(Code::HelloRequired, "the first frame on a port must be `hello`");
                    self.ctx.refuse(port, why, frame.id(), frame.session());
                }
                Some(seat) => self.seated_frame(port, &seat, frame),
            },
        }
    }

    fn hello(&mut self, port: PortId, hello: Hello) {
        let Hello {
            protocol,
            profile,
            client,
            needs,
            ..
        } = hello;
        if protocol != 1 {
            let why = error(
                Code::Unsupported,
                format!("protocol {protocol} is not spoken here; 1 is"),
            );
            return self.ctx.refuse(port, why, None, None);
        }
        let unmet: Vec<&str> = needs
            .iter()
            .map(String::as_str)
            .filter(|need| !CAPABILITIES.contains(need))
            .collect();
        if !unmet.is_empty() {
            let why = error(
                Code::Unsupported,
                format!("this broker lacks: {}", unmet.join(", ")),
            );
            return self.ctx.refuse(port, why, None, None);
        }
        let Some(known) = self.ctx.ports.get_mut(&port) else {
            return;
        };
        if let Caller::Extension { origin } = &known.caller
            && let Err(why) = policy::check_enabled(self.ctx.rules.of(origin))
        {
            return self.ctx.refuse(port, why, None, None);
        }
        let seat = Seat { profile, client };
        let moved = known.seat.as_ref().is_some_and(|before| *before != seat);
        known.seat = Some(seat.clone());
        if moved {
            self.detach_all(port);
        }
        let Some(owner) = self.owner(port, &seat) else {
            return;
        };
        let sessions = self
            .sessions
            .values()
            .filter(|session| session.owner == owner)
            .map(|session| SessionSummary {
                session: session.name.clone(),
                state: session.state(),
                pending: session.pending(&seat.client),
            })
            .collect();
        let welcome = Welcome {
            version: self.config.version,
            broker: self.config.boot.as_str().into(),
            limits: self.limits(&owner.origin),
            origin: owner.origin,
            capabilities: CAPABILITIES,
            sessions,
        };
        self.ctx.say(port, BrokerFrame::Welcome(Box::new(welcome)));
    }

    fn limits(&self, origin: &str) -> Vec<(&'static str, u64)> {
        let sessions = self.ctx.rules.of(origin).sessions as u64;
        let stated = |&(name, limit)| (name, if name == "sessions" { sessions } else { limit });
        LIMITS.iter().map(stated).collect()
    }

    fn seated_frame(&mut self, port: PortId, seat: &Seat, frame: ClientFrame) {
        match frame {
            ClientFrame::Open(open) => return self.open(port, seat, *open),
            ClientFrame::Status { id } => {
                let owner = self.owner(port, seat);
                return self.status(port, id, owner);
            }
            ClientFrame::Ping { id } => return self.ctx.say(port, BrokerFrame::Pong { id }),
            _ => {}
        }
        let Some(name) = frame.session().cloned() else {
            return;
        };
        let Some(key) = self
            .ctx
            .ports
            .get(&port)
            .and_then(|port| port.attached.get(&name).copied())
        else {
            let known = self
                .owner(port, seat)
                .is_some_and(|owner| self.names.contains_key(&(owner, name.clone())));
            let why = if known {
                error(
                    Code::NotAttached,
                    format!("this port does not hold session `{name}`; send `open` first"),
                )
            } else {
                error(
                    Code::NoSession,
                    format!("there is no session `{name}`; send `open` with a `url`"),
                )
            };
            return self.ctx.refuse(port, why, frame.id(), Some(&name));
        };
        self.with(key, |session, ctx| match frame {
            ClientFrame::Ack { seq, .. } => session.ack(ctx, port, seq),
            ClientFrame::Send(send) => session.send(ctx, port, send),
            ClientFrame::Request(request) => session.request(ctx, port, request),
            ClientFrame::Cancel { id, .. } => session.cancel(ctx, port, &id),
            ClientFrame::Subscribe(subscribe) => session.subscribe(ctx, port, *subscribe),
            ClientFrame::Unsubscribe { id, key, .. } => session.unsubscribe(ctx, port, id, &key),
            ClientFrame::Reply(reply) => session.reply(ctx, port, reply),
            ClientFrame::Authorize(authorize) => session.authorize(ctx, port, *authorize),
            ClientFrame::Window { window, id, .. } => {
                ctx.ok(port, id);
                session.set_window(ctx, port, window);
            }
            ClientFrame::Reconnect { id, .. } => {
                ctx.ok(port, id);
                session.reconnect(ctx);
            }
            ClientFrame::Detach { id, .. } => {
                ctx.ok(port, id);
                session.detach(ctx, port);
            }
            ClientFrame::Close { id, code, reason, .. } => {
                session.end(
                    ctx,
                    code.unwrap_or(1000),
                    reason.as_deref().unwrap_or_default(),
                    "closed",
                );
                ctx.ok(port, id);
            }
            ClientFrame::Hello(_)
            | ClientFrame::Open(_)
            | ClientFrame::Status { .. }
            | ClientFrame::Ping { .. } => {}
        });
    }

    fn open(&mut self, port: PortId, seat: &Seat, open: Open) {
        let Some(owner) = self.owner(port, seat) else {
            return;
        };
        let (id, name) = (open.id.clone(), open.session.clone());
        if let Err(why) = self.try_open(port, seat, owner, open) {
            self.ctx.refuse(port, why, Some(&id), Some(&name));
        }
    }

    fn try_open(&mut self, port: PortId, seat: &Seat, owner: Owner, mut open: Open) -> Result<(), ErrorInfo> {
        let rules = self.ctx.rules.clone();
        let rule = rules.of(&owner.origin);
        policy::check_enabled(rule)?;
        let url = open
            .url
            .take()
            .map(|url| policy::parse_url(&url, rule))
            .transpose()?;
        let options = open.options.take();
        if let Some(options) = &options {
            policy::check_dial(options, rule, &owner.origin)?;
        }
        if let Some(key) = self.names.get(&(owner.clone(), open.session.clone())).copied() {
            let differs = self
                .sessions
                .get(&key)
                .is_some_and(|session| session.has_url() && session.differs(url.as_ref(), options.as_ref()));
            if differs && open.conflict == Conflict::Error {
                let why = "the session exists with another URL or other options";
                return Err(error(Code::SessionConflict, why));
            }
            let update = open.conflict == Conflict::Update
                || !self.sessions.get(&key).is_some_and(|session| session.has_url());
            self.with(key, |session, ctx| {
                if update && session.differs(url.as_ref(), options.as_ref()) {
                    session.update(ctx, url, options);
                }
                session.attach(ctx, port, &seat.client, open, false);
            });
            return Ok(());
        }
        let url = url.ok_or_else(|| {
            error(
                Code::NoSession,
                format!(
                    "there is no session `{}`; a `url` is needed to create it",
                    open.session
                ),
            )
        })?;
        if self.counts.get(&owner).copied().unwrap_or(0) >= rule.sessions {
            let why = format!(
                "this extension holds {} sessions in this profile; close some",
                rule.sessions
            );
            return Err(error(Code::TooManySessions, why));
        }
        let key = self.new_key();
        let options = options.unwrap_or_default();
        let session = Session::new(key, owner, open.session.clone(), url, options, &mut self.ctx);
        self.add(session);
        self.with(key, |session, ctx| {
            session.attach(ctx, port, &seat.client, open, true)
        });
        Ok(())
    }

    fn status(&mut self, port: PortId, id: Name, owner: Option<Owner>) {
        let mut total = SessionReport::default();
        let mut sessions = Vec::new();
        for session in self.sessions.values() {
            if owner.as_ref().is_some_and(|owner| session.owner != *owner) {
                continue;
            }
            let report = session.report();
            total.dials += report.dials;
            total.reconnects += report.reconnects;
            total.received.messages += report.received.messages;
            total.received.bytes += report.received.bytes;
            total.sent.messages += report.sent.messages;
            total.sent.bytes += report.sent.bytes;
            total.queued += report.queued;
            total.unacknowledged += report.unacknowledged;
            total.dropped += report.dropped;
            total.outbox += report.outbox;
            total.clients += report.clients;
            total.filtered.add(report.filtered);
            sessions.push(report);
        }
        let ports = self
            .ctx
            .ports
            .values()
            .filter(|port| port.caller != Caller::Admin)
            .count() as u64;
        let uptime = self.ctx.now.boot.saturating_sub(self.born).as_millis();
        let report = StatusReport {
            id,
            version: self.config.version,
            uptime: u64::try_from(uptime).unwrap_or(u64::MAX),
            pid: 0,
            rss: 0,
            insecure: Vec::new(),
            ports,
            total,
            sessions,
        };
        self.ctx.say(port, BrokerFrame::Status(Box::new(report)));
    }

    /// Lets the command line see what a session records.
    fn watch(&mut self, port: PortId, watch: &Watch) {
        let is_meant = |owner: &Owner| {
            watch.origin.as_ref().is_none_or(|origin| *origin == owner.origin)
                && watch
                    .profile
                    .as_ref()
                    .is_none_or(|profile| *profile == owner.profile)
        };
        let mut meant = self
            .sessions
            .values()
            .filter(|session| session.name == watch.session && is_meant(&session.owner));
        let why = match (meant.next(), meant.next()) {
            (Some(session), None) => {
                self.ctx.say(port, BrokerFrame::Ok { id: watch.id.clone() });
                session.show_last(&mut self.ctx, port, watch.last);
                self.ctx.watchers.push((port, session.key));
                return;
            }
            (None, _) => error(
                Code::NoSession,
                format!("there is no session `{}`", watch.session),
            ),
            (Some(_), Some(_)) => error(
                Code::BadFrame,
                format!(
                    "several sessions are called `{}`; give `origin` or `profile` too",
                    watch.session
                ),
            ),
        };
        self.ctx.refuse(port, why, Some(&watch.id), Some(&watch.session));
    }

    fn gone(&mut self, port: PortId) {
        self.ctx.watchers.retain(|(watching, _)| *watching != port);
        self.detach_all(port);
        self.ctx.ports.remove(&port);
    }

    fn detach_all(&mut self, port: PortId) {
        let Some(known) = self.ctx.ports.get(&port) else {
            return;
        };
        let keys: Vec<SessionKey> = known.attached.values().copied().collect();
        for key in keys {
            self.with(key, |session, ctx| session.detach(ctx, port));
        }
    }

    fn written(&mut self, port: PortId, cost: usize) {
        let Some(known) = self.ctx.ports.get_mut(&port) else {
            return;
        };
        known.written(cost);
        if !known.has_room() {
            return;
        }
        // The one that was served last comes last: each starved session gets its turn.
        for key in std::mem::take(&mut known.starved) {
            self.with(key, Session::deliver);
        }
    }

    fn link(&mut self, dial: DialId, event: LinkEvent) {
        let Some(key) = self.ctx.dials.get(&dial).copied() else {
            return;
        };
        self.with(key, |session, ctx| session.link_event(ctx, dial, event));
    }

    fn timeout(&mut self) {
        let now = self.ctx.now;
        let boot = self.timers.boot.iter().take_while(|(at, _)| *at <= now.boot);
        let awake = self.timers.awake.iter().take_while(|(at, _)| *at <= now.awake);
        let due: BTreeSet<SessionKey> = boot.chain(awake).map(|(_, key)| *key).collect();
        for key in due {
            self.with(key, Session::timeout);
        }
    }

    /// Lets those dial whose turn it is.
    fn take_turns(&mut self) {
        let rules = self.ctx.rules.clone();
        while let Some(key) = self.ctx.pace.next(self.ctx.now.boot, &rules) {
            self.with(key, Session::take_turn);
        }
    }

    fn leave(&mut self, reason: &'static str) {
        let ports: Vec<PortId> = self.ctx.ports.keys().copied().collect();
        for port in ports {
            self.ctx.say(port, BrokerFrame::Goaway { reason, after: 0 });
        }
        self.each(|session, ctx| session.leave(ctx, reason == UPGRADE));
        for session in self.sessions.values() {
            if let Some(journal) = session.journal() {
                self.journals.insert(journal.clone(), session.key);
            }
        }
    }

    /// Lets `act` work on a session, then does what follows for the hub.
    fn with(&mut self, key: SessionKey, act: impl FnOnce(&mut Session, &mut Context)) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let held = session.held;
        let total = self.held.get(&session.owner.origin).copied().unwrap_or(0);
        self.ctx.others = total.saturating_sub(held);
        act(session, &mut self.ctx);
        if session.over {
            return self.remove(key);
        }
        session.held = session.holds();
        if session.held != held {
            let (origin, now) = (session.owner.origin.clone(), session.held);
            self.holds(&origin, held, now);
        }
        self.retime(key);
    }

    /// A session of this extension holds another number of bytes than before.
    fn holds(&mut self, origin: &Name, before: usize, now: usize) {
        let total = self.held.get(origin).copied().unwrap_or(0) + now - before;
        if total == 0 {
            self.held.remove(origin);
        } else if let Some(held) = self.held.get_mut(origin) {
            *held = total;
        } else {
            self.held.insert(origin.clone(), total);
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut Session, &mut Context)) {
        let keys: Vec<SessionKey> = self.sessions.keys().copied().collect();
        for key in keys {
            self.with(key, &mut act);
        }
    }

    const fn new_key(&mut self) -> SessionKey {
        self.last_session += 1;
        SessionKey(self.last_session)
    }

    fn add(&mut self, session: Session) {
        self.names
            .insert((session.owner.clone(), session.name.clone()), session.key);
        *self.counts.entry(session.owner.clone()).or_default() += 1;
        if let Some(journal) = session.journal() {
            self.journals.insert(journal.clone(), session.key);
        }
        self.sessions.insert(session.key, Box::new(session));
    }

    fn remove(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        self.names.remove(&(session.owner.clone(), session.name.clone()));
        if let Some(count) = self.counts.get_mut(&session.owner) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&session.owner);
            }
        }
        self.journals.retain(|_, held| *held != key);
        let watchers = std::mem::take(&mut self.ctx.watchers);
        let (over, on): (Vec<_>, Vec<_>) = watchers.into_iter().partition(|(_, watched)| *watched == key);
        self.ctx.watchers = on;
        for (port, _) in over {
            let session = session.name.clone();
            self.ctx.say(
                port,
                BrokerFrame::Detached {
                    session,
                    reason: "closed",
                },
            );
        }
        self.timers.set(key, None, None);
        self.ctx.pace.leave(key);
        self.holds(&session.owner.origin, session.held, 0);
    }

    fn retime(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let boot = session.boot_deadline().map(|(at, _)| at);
        let awake = session.awake_deadline().map(|(at, _)| at);
        self.timers.set(key, boot, awake);
    }

    fn owner(&self, port: PortId, seat: &Seat) -> Option<Owner> {
        match &self.ctx.ports.get(&port)?.caller {
            Caller::Extension { origin } => Some(Owner {
                origin: origin.clone(),
                profile: seat.profile.clone(),
            }),
            Caller::Admin => None,
        }
    }

    fn tell_idle(&mut self) {
        let is_idle =
            self.ctx.ports.is_empty() && self.sessions.values().all(|session| session.can_wait_on_disk());
        if self.was_idle != Some(is_idle) {
            self.was_idle = Some(is_idle);
            self.ctx.out.push_back(Output::Idle(is_idle));
        }
    }
}

impl Timers {
    fn set(&mut self, key: SessionKey, boot: Option<Duration>, awake: Option<Duration>) {
        let before = self.set.get(&key).copied().unwrap_or_default();
        if before == (boot, awake) {
            return;
        }
        if let Some(at) = before.0 {
            self.boot.remove(&(at, key));
        }
        if let Some(at) = before.1 {
            self.awake.remove(&(at, key));
        }
        self.boot.extend(boot.map(|at| (at, key)));
        self.awake.extend(awake.map(|at| (at, key)));
        if boot.is_none() && awake.is_none() {
            self.set.remove(&key);
        } else {
            self.set.insert(key, (boot, awake));
        }
    }
}
