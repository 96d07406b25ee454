//! What a session may touch while it handles one input: the time, the ports, the outputs, the random numbers.
//!
//! It holds no session; the hub makes one for every input.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::{BrokerFrame, ErrorFrame};
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name, Record};

use super::dial_limiter::{DialKind, DialLimiter, DialSlot};
use super::dialect::outlines::Outlines;
use super::identity::SessionKey;
use super::io::{Caller, DialId, Now, Output, PortId};
use super::random::Random;
use super::recorded_log::Recorder;
use super::rules::Rules;

/// Bytes that may wait in a port's queue before record delivery to it pauses.
const PORT_ROOM: usize = 2 * 1024 * 1024;
/// What a record costs beyond its payload.
pub(crate) const RECORD_OVERHEAD: usize = 128;

/// Sessions that a port remembers as released, at most.
const MAX_RELEASED: usize = 256;

/// One port and what it holds.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) caller: Caller,
    /// Profile and client, once `hello` was received.
    pub(crate) identity: Option<ClientIdentity>,
    /// Sessions attached through this port.
    pub(crate) attached: BTreeMap<Name, SessionKey>,
    /// Sessions that were attached through it, most of them: acknowledgements of theirs may still be on the way.
    released: BTreeSet<Name>,
    /// Sessions with records for this port that its queue had no room for.
    pub(crate) starved: BTreeSet<SessionKey>,
    /// Cost of what is in its queue.
    queued: usize,
}

/// Who uses a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientIdentity {
    pub(crate) profile: Name,
    pub(crate) client: Name,
}

impl Port {
    pub(crate) const fn new(caller: Caller) -> Self {
        Self {
            caller,
            identity: None,
            attached: BTreeMap::new(),
            released: BTreeSet::new(),
            starved: BTreeSet::new(),
            queued: 0,
        }
    }

    /// A session is held through this port.
    pub(crate) fn hold(&mut self, name: Name, session: SessionKey) {
        self.released.remove(&name);
        self.attached.insert(name, session);
    }

    /// A session is held through it no more.
    pub(crate) fn release(&mut self, name: &Name, session: SessionKey) {
        if let Some((name, _)) = self.attached.remove_entry(name) {
            if self.released.len() >= MAX_RELEASED {
                self.released.clear();
            }
            self.released.insert(name);
        }
        self.starved.remove(&session);
    }

    /// Whether a session was held through it before.
    pub(crate) fn has_released(&self, name: &Name) -> bool {
        self.released.contains(name)
    }

    /// A session has records for it that its queue has no room for.
    pub(crate) fn starve(&mut self, session: SessionKey) {
        self.starved.insert(session);
    }

    /// Whether another record may be queued.
    pub(crate) const fn has_room(&self) -> bool {
        self.queued < PORT_ROOM
    }

    pub(crate) const fn queue(&mut self, cost: usize) {
        self.queued += cost;
    }

    pub(crate) const fn written(&mut self, cost: usize) {
        self.queued = self.queued.saturating_sub(cost);
    }
}

/// Everything around a session.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) now: Now,
    pub(crate) out: VecDeque<Output>,
    pub(crate) ports: BTreeMap<PortId, Port>,
    pub(crate) dialer: Dialer,
    /// Bytes that the extension at work may take in all.
    pub(crate) budget: usize,
    /// Bytes that the extension's other sessions take.
    pub(crate) others: usize,
    /// Which boot of the machine this is.
    pub(crate) machine_boot: String,
    /// Ports that watch a session without holding it.
    pub(crate) watchers: Vec<Watcher>,
    /// Of the messages in the input at hand.
    pub(crate) outlines: Outlines,
}

/// A port that watches a session without holding it.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) port: PortId,
    pub(crate) session: SessionKey,
    /// It is shown what goes out as well.
    pub(crate) sees_outgoing: bool,
    /// Records that it did not receive because it did not keep up, and that are not reported yet.
    pub(crate) missed: u64,
}

/// What dialling needs of everything around a session.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) random: Random,
    /// Active dials, and their sessions.
    dials: HashMap<DialId, SessionKey>,
    last_dial: u64,
    /// What the settings allow.
    rules: Arc<Rules>,
    /// Whose turn it is to dial.
    limiter: DialLimiter,
}

impl Context {
    /// For what is written down.
    pub(crate) const fn recorder(&mut self) -> Recorder<'_> {
        Recorder {
            now: self.now.awake,
            out: &mut self.out,
        }
    }

    /// For what goes to ports.
    pub(crate) const fn ports(&mut self) -> PortWriter<'_> {
        PortWriter {
            out: &mut self.out,
            ports: &mut self.ports,
            watchers: &mut self.watchers,
        }
    }

    /// A frame that no window or send buffer holds back: small, and an answer or a warning.
    pub(crate) fn send(&mut self, port: PortId, frame: BrokerFrame) {
        self.ports().send(port, frame);
    }

    /// An error about a frame.
    pub(crate) fn send_error(
        &mut self,
        port: PortId,
        error: ErrorInfo,
        id: Option<&Name>,
        session: Option<&Name>,
    ) {
        self.ports().send_error(port, error, id, session);
    }

    /// `ok`, if anybody wants to hear it.
    pub(crate) fn send_ok(&mut self, port: PortId, id: Option<Name>) {
        self.ports().send_ok(port, id);
    }
}

/// What goes to ports: what delivery needs of everything around a session.
#[derive(Debug)]
pub(crate) struct PortWriter<'a> {
    pub(crate) out: &'a mut VecDeque<Output>,
    pub(crate) ports: &'a mut BTreeMap<PortId, Port>,
    watchers: &'a mut Vec<Watcher>,
}

impl PortWriter<'_> {
    /// A frame that no window or send buffer holds back: small, and an answer or a warning.
    pub(crate) fn send(&mut self, port: PortId, frame: BrokerFrame) {
        self.out.push_back(Output::Deliver { port, frame, cost: 0 });
    }

    /// An error about a frame.
    pub(crate) fn send_error(
        &mut self,
        port: PortId,
        error: ErrorInfo,
        id: Option<&Name>,
        session: Option<&Name>,
    ) {
        let frame = ErrorFrame::new(error, id.cloned(), session.cloned());
        self.send(port, BrokerFrame::Error(Box::new(frame)));
    }

    /// `ok`, if anybody wants to hear it.
    pub(crate) fn send_ok(&mut self, port: PortId, id: Option<Name>) {
        if let Some(id) = id {
            self.send(port, BrokerFrame::Ok { id });
        }
    }

    /// A frame that takes room in its port's queue.
    pub(crate) fn send_queued(&mut self, port: PortId, frame: BrokerFrame, cost: usize) {
        if let Some(known) = self.ports.get_mut(&port) {
            known.queue(cost);
        }
        self.out.push_back(Output::Deliver { port, frame, cost });
    }

    /// Whether a port watches a session without being attached.
    pub(crate) const fn has_watchers(&self) -> bool {
        !self.watchers.is_empty()
    }

    /// A record for everybody who watches its session.
    pub(crate) fn show_newest(&mut self, key: SessionKey, session: &Name, record: &Record) {
        let mut watchers = std::mem::take(self.watchers);
        for watcher in watchers.iter_mut().filter(|watcher| watcher.session == key) {
            self.show_to(watcher, session, shown(session, record), cost(record));
        }
        *self.watchers = watchers;
    }

    /// A message that goes out, for everybody who watches both directions of its session.
    pub(crate) fn show_outgoing(&mut self, key: SessionKey, session: &Name, payload: &Payload, time: u64) {
        let mut watchers = std::mem::take(self.watchers);
        let sees = |watcher: &&mut Watcher| watcher.session == key && watcher.sees_outgoing;
        for watcher in watchers.iter_mut().filter(sees) {
            let frame = BrokerFrame::Outgoing {
                session: session.clone(),
                time,
                payload: payload.clone(),
            };
            self.show_to(watcher, session, frame, payload.len() + RECORD_OVERHEAD);
        }
        *self.watchers = watchers;
    }

    /// Sends something to a watching port. One that does not keep up misses it, and gets the number of missed records.
    fn show_to(&mut self, watcher: &mut Watcher, session: &Name, frame: BrokerFrame, cost: usize) {
        if !self.ports.get(&watcher.port).is_some_and(Port::has_room) {
            watcher.missed += 1;
            return;
        }
        if watcher.missed > 0 {
            let missed = BrokerFrame::Missed {
                session: session.clone(),
                count: std::mem::take(&mut watcher.missed),
            };
            self.send(watcher.port, missed);
        }
        self.send_queued(watcher.port, frame, cost);
    }

    /// A record for one that begins to watch; `false` when there is no room for more.
    pub(crate) fn show_held(&mut self, to: PortId, session: &Name, record: &Record) -> bool {
        let has_room = self.ports.get(&to).is_some_and(Port::has_room);
        if has_room {
            self.send_queued(to, shown(session, record), cost(record));
        }
        has_room
    }
}

impl Dialer {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            dials: HashMap::new(),
            last_dial: 0,
            rules: Arc::default(),
            limiter: DialLimiter::default(),
        }
    }

    /// What the settings allow.
    pub(crate) const fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// The settings allow this from now on.
    pub(crate) fn set_rules(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
    }

    /// A number for a new dial; from now on only its events count for this session.
    pub(crate) fn new_dial(&mut self, session: SessionKey) -> DialId {
        self.last_dial += 1;
        let dial = DialId(self.last_dial);
        self.dials.insert(dial, session);
        dial
    }

    /// The session of a dial, while it is active.
    pub(crate) fn session_of(&self, dial: DialId) -> Option<SessionKey> {
        self.dials.get(&dial).copied()
    }

    /// A dial is over; its later events are ignored.
    pub(crate) fn forget(&mut self, dial: DialId) {
        self.dials.remove(&dial);
        self.limiter.end(dial);
    }

    /// Whether a session may dial at this moment. If so, `begin` must follow.
    pub(crate) fn may_dial(&self, now: Duration, slot: &DialSlot, kind: DialKind) -> bool {
        self.limiter.may(now, &self.rules, slot, kind)
    }

    /// A dial begins that takes its turn.
    pub(crate) fn begin(&mut self, now: Duration, slot: DialSlot, dial: DialId) {
        self.limiter.begin(now, &self.rules, slot, dial);
    }

    /// The handshake of a dial is over, or it has none: others may dial the same host.
    pub(crate) fn end_handshake(&mut self, dial: DialId) {
        self.limiter.end(dial);
    }

    /// A session waits for its turn to dial. One that waits already keeps its place.
    pub(crate) fn wait(&mut self, session: SessionKey, slot: DialSlot, kind: DialKind) {
        self.limiter.wait(session, slot, kind);
    }

    /// A session does not wait any more.
    pub(crate) fn stop_waiting(&mut self, session: SessionKey) {
        self.limiter.leave(session);
    }

    /// When to ask `next_granted` again, in boot time.
    pub(crate) fn next_turn(&self) -> Option<Duration> {
        self.limiter.due()
    }

    /// The next session whose turn it is to dial.
    pub(crate) fn next_granted(&mut self, now: Duration) -> Option<SessionKey> {
        self.limiter.next(now, &self.rules)
    }
}

/// What a record weighs in a port's queue.
fn cost(record: &Record) -> usize {
    record.body.cost() + RECORD_OVERHEAD
}

fn shown(session: &Name, record: &Record) -> BrokerFrame {
    BrokerFrame::Record {
        session: session.clone(),
        record: record.clone(),
        redelivered: false,
    }
}

/// Shorthand for an error.
pub(crate) fn error(code: Code, message: impl Into<String>) -> ErrorInfo {
    ErrorInfo::new(code, message)
}

#[cfg(test)]
impl Context {
    /// A context for the units of a session's parts, with two ports of one extension.
    pub(crate) fn for_tests() -> Self {
        let port = || {
            Port::new(Caller::Extension {
                origin: "chrome-extension://a/".into(),
            })
        };
        Self {
            now: Now::default(),
            out: VecDeque::new(),
            ports: BTreeMap::from([(PortId(1), port()), (PortId(2), port())]),
            dialer: Dialer::new(1),
            budget: usize::MAX,
            others: 0,
            machine_boot: "boot".to_owned(),
            watchers: Vec::new(),
            outlines: Outlines::default(),
        }
    }

    /// The outputs so far.
    pub(crate) fn take_outputs(&mut self) -> Vec<Output> {
        self.out.drain(..).collect()
    }
}
