//! The hub: ports, sessions, and which port is attached to which session.
//!
//! It does no I/O: the shell calls `handle`, then `poll` until `None`, then waits for `deadline`. What the frames of a port
//! ask for is in `frames`.
//!
//! What holds after every drain (the simulation asserts it):
//!
//! 1. A session never has two active dials; events of any other dial are ignored.
//! 2. Link-scoped state is in `session::uplink::connection` and is dropped with it.
//! 3. An accepted message has exactly one outcome.
//! 4. A `seq` never identifies two records in an epoch; every loss is a record in its place.
//! 5. Limits are checked on every append, in every state.
//! 6. No deadline is in the past; an early or repeated `Timeout` is harmless.
//! 7. A new attachment fences the old one at once.
//! 8. Same inputs and seed, same outputs.

mod admin;
mod frames;
mod journaled_outputs;
mod leaving;
mod memory;
mod open;
mod sessions;
mod status;
mod timers;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Weak;
use std::time::Duration;

use crate::wire::message::{ClientFrame, Open};
use crate::wire::options::Options;
use crate::wire::record::Name;

use self::journaled_outputs::JournaledOutputs;
use self::memory::Memory;
use self::timers::{Clock, Timers};
use super::context::{ClientIdentity, Context, Dialer, Port};
use super::dialect::outlines::{Outlines, Unread};
use super::identity::{Identity, Owner, SessionKey};
use super::io::{Caller, DialId, Input, LinkEvent, Now, Output, PortId};
use super::journal::{Damage, JournalId, RawRecord};
use super::session::{DeliveryInput, Session, SessionInput, UplinkInput};

/// What this broker supports: listed in `welcome`, and required by `hello.needs`.
pub const CAPABILITIES: &[&str] = &[
    "websocket",
    "sse",
    "poll",
    "socket.io",
    "ack",
    "json",
    "binary",
    "batch",
    "messages",
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

/// How long an exiting broker may take to close its links, in milliseconds.
pub const SHUTDOWN_MS: u64 = 2000;

/// The reason with which every session is handed over to the next broker.
pub const UPGRADE: &str = "upgrade";

/// How often memory is taken back from the largest holder.
const RELIEF_INTERVAL: Duration = Duration::from_millis(100);

/// What the hub is created with.
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
    started: Duration,
    ctx: Context,
    /// What the newest session was opened with.
    options: Weak<Options>,
    /// Boxed: a node of the map has room for twice what it holds.
    sessions: BTreeMap<SessionKey, Box<Session>>,
    names: HashMap<(Owner, Name), SessionKey>,
    counts: HashMap<Owner, usize>,
    memory: Memory,
    /// The session that has been sent messages just now: its memory and its timers are not up to date.
    touched: Option<SessionKey>,
    /// Boot time from which memory may be taken back from the largest holder again.
    relieve_from: Duration,
    /// Profiles with sessions, of each extension.
    profiles: HashMap<Name, usize>,
    journals: HashMap<JournalId, SessionKey>,
    last_session: u64,
    timers: Timers,
    was_idle: Option<bool>,
    /// Requests to open a name whose session is still being closed.
    deferred: Vec<Deferred>,
    /// What extensions needed last that this broker lacks.
    unmet: BTreeMap<Name, Vec<String>>,
    /// The broker is exiting: nothing new is begun.
    is_leaving: bool,
    journaled: JournaledOutputs,
}

/// An `open` that waits for the end of a session.
#[derive(Debug)]
struct Deferred {
    closing: SessionKey,
    port: PortId,
    identity: ClientIdentity,
    open: Open,
}

impl Hub {
    /// An empty hub.
    pub fn new(config: HubConfig, now: Now) -> Self {
        let ctx = Context {
            now,
            out: VecDeque::new(),
            ports: BTreeMap::new(),
            budget: usize::MAX,
            dialer: Dialer::new(config.seed),
            others: 0,
            machine_boot: config.machine_boot.clone(),
            watchers: Vec::new(),
            outlines: Outlines::default(),
        };
        Self {
            config,
            started: now.boot,
            ctx,
            options: Weak::new(),
            sessions: BTreeMap::new(),
            names: HashMap::new(),
            counts: HashMap::new(),
            memory: Memory::default(),
            touched: None,
            relieve_from: Duration::ZERO,
            profiles: HashMap::new(),
            journals: HashMap::new(),
            last_session: 0,
            timers: Timers::default(),
            was_idle: None,
            deferred: Vec::new(),
            unmet: BTreeMap::new(),
            is_leaving: false,
            journaled: JournaledOutputs::default(),
        }
    }

    /// What the next input holds that is large, and takes long to understand. Until `handle_read` has got that input, no
    /// other of the same port or dial may come.
    pub fn unread(&mut self, input: &Input) -> Vec<Unread> {
        match input {
            Input::Link(dial, event) => {
                let key = self.ctx.dialer.session_of(*dial);
                let session = key.and_then(|key| self.sessions.get_mut(&key));
                session.map_or_else(Vec::new, |session| session.unread(event))
            }
            Input::Frame(port, frame) => self.unread_frame(*port, frame),
            _ => Vec::new(),
        }
    }

    /// The extension whose dial it is.
    pub fn origin_of(&self, dial: DialId) -> Option<Name> {
        let session = self.sessions.get(&self.ctx.dialer.session_of(dial)?)?;
        Some(session.identity().owner.origin.clone())
    }

    /// The extension that an input is about.
    pub fn origin(&self, input: &Input) -> Option<Name> {
        match input {
            Input::Link(dial, _) => self.origin_of(*dial),
            Input::Frame(port, _) => match &self.ctx.ports.get(port)?.caller {
                Caller::Extension { origin } => Some(origin.clone()),
                Caller::Admin => None,
            },
            _ => None,
        }
    }

    /// Takes one input whose large contents have been read, as `unread` names them.
    pub fn handle_read(&mut self, now: Now, input: Input, outlines: Outlines) {
        self.ctx.outlines = outlines;
        self.handle(now, input);
        self.ctx.outlines = Outlines::default();
    }

    /// Takes one input. `poll` must be drained to `None` afterwards.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.ctx.now = now;
        // Of many messages in a row only the last is followed by what each would be followed by.
        let is_message = matches!(&input, Input::Frame(_, ClientFrame::Send(_)));
        if !is_message {
            self.update_touched();
        }
        match input {
            Input::PortOpened(port, caller) => {
                self.ctx.ports.insert(port, Port::new(caller));
            }
            Input::Frame(port, frame) => self.frame(port, frame),
            Input::PortClosed(port) => self.port_closed(port),
            Input::Written(port, cost) => self.written(port, cost),
            Input::Watch(port, watch) => self.watch(port, &watch),
            Input::EndSession(port, end) => self.end_session(port, end),
            Input::Link(dial, event) => self.link(dial, event),
            Input::Resumed => {
                self.each(|session, ctx| session.handle(ctx, SessionInput::Uplink(UplinkInput::Resumed)))
            }
            Input::Rules(rules) => {
                self.ctx.dialer.set_rules(rules);
                self.each(|session, ctx| {
                    session.handle(ctx, SessionInput::Uplink(UplinkInput::RulesChanged));
                    // Sessions of an earlier broker, or a smaller budget: what does not fit is dropped.
                    session.handle(ctx, SessionInput::MemoryIsShort);
                });
            }
            Input::JournalLost { journal, why } => {
                if let Some(key) = self.journals.remove(&journal) {
                    self.handle_session(key, SessionInput::JournalLost(why));
                }
            }
            Input::Timeout => self.timeout(),
            Input::Leave { reason } => self.leave(reason),
        }
        if !is_message {
            self.update_touched();
            self.relieve();
        }
        self.grant_dials();
        self.report_idle();
    }

    /// The next thing to do, in order.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.ctx.out.pop_front()?;
        self.journaled.count_polled();
        if !self.ctx.watchers.is_empty() {
            self.show_outgoing(&output);
        }
        Some(output)
    }

    /// The journal of the session that the output which `poll` gave last is of, if it has one. What is in that journal
    /// must be written before the output is acted upon.
    pub fn polled_journal(&mut self) -> Option<&JournalId> {
        self.journaled.journal_of_polled()
    }

    /// The journal of the session that a dial belongs to, if it has one.
    pub fn journal_of(&self, dial: DialId) -> Option<&JournalId> {
        let session = self.sessions.get(&self.ctx.dialer.session_of(dial)?)?;
        session.parts().delivery.journal()
    }

    /// How long until `Input::Timeout` is due, and whose timer it is; `None` for never.
    pub fn deadline(&mut self, now: Now) -> Option<(Duration, &'static str)> {
        self.update_touched();
        let next_slot = self.ctx.dialer.next_turn();
        let next_slot = next_slot.map(|at| at.saturating_sub(now.boot));
        let timer = self.timers.next(now);
        if let Some(next_slot) = next_slot
            && timer.is_none_or(|(span, ..)| next_slot < span)
        {
            return Some((next_slot, "turn to dial"));
        }
        let (span, key, clock) = timer?;
        let session = self.sessions.get(&key)?;
        let whose = match clock {
            Clock::Boot => session.parts().boot_deadline(session.lifecycle()),
            Clock::Awake => session.parts().awake_deadline(session.lifecycle()),
        };
        Some((span, whose.map_or("none", |(_, whose)| whose)))
    }

    /// The state a journal's new segment must begin with; empty for an unknown journal.
    pub fn snapshot(&self, journal: &JournalId) -> Vec<RawRecord> {
        let session = self.journals.get(journal).and_then(|key| self.sessions.get(key));
        session.map_or_else(Vec::new, |session| {
            session.parts().snapshot(self.ctx.now, &self.config.machine_boot)
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
        kept: &[RawRecord],
        damage: Option<Damage>,
    ) -> Result<(), String> {
        self.ctx.now = now;
        let key = self.new_key();
        let session = Session::restore(key, journal, kept, damage, &mut self.ctx)?;
        let Identity { owner, name, .. } = session.identity();
        if self.names.contains_key(&(owner.clone(), name.clone())) {
            return Err("another journal holds the same session".to_owned());
        }
        self.add(session);
        self.retime(key);
        Ok(())
    }

    fn port_closed(&mut self, port: PortId) {
        self.ctx.watchers.retain(|watcher| watcher.port != port);
        // First of all: a session that ends now must not be opened again for a port that is gone.
        self.deferred.retain(|deferred| deferred.port != port);
        self.detach_all(port);
        self.ctx.ports.remove(&port);
    }

    fn detach_all(&mut self, port: PortId) {
        let Some(known) = self.ctx.ports.get(&port) else {
            return;
        };
        let keys: Vec<SessionKey> = known.attached.values().copied().collect();
        for key in keys {
            self.handle_session(key, SessionInput::Delivery(DeliveryInput::Detach(port)));
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
            self.handle_session(key, SessionInput::Delivery(DeliveryInput::PortHasRoom));
        }
    }

    fn link(&mut self, dial: DialId, event: LinkEvent) {
        let Some(key) = self.ctx.dialer.session_of(dial) else {
            return;
        };
        self.handle_session(key, SessionInput::Uplink(UplinkInput::Link(dial, event)));
    }

    fn timeout(&mut self) {
        for key in self.timers.due(self.ctx.now) {
            self.handle_session(key, SessionInput::Timeout);
        }
    }

    /// Lets those dial whose turn it is.
    fn grant_dials(&mut self) {
        while let Some(key) = self.ctx.dialer.next_granted(self.ctx.now.boot) {
            self.handle_session(key, SessionInput::Uplink(UplinkInput::DialGranted));
        }
    }

    fn owner(&self, port: PortId, identity: &ClientIdentity) -> Option<Owner> {
        match &self.ctx.ports.get(&port)?.caller {
            Caller::Extension { origin } => Some(Owner {
                origin: origin.clone(),
                profile: identity.profile.clone(),
            }),
            Caller::Admin => None,
        }
    }
}
