//! The rate limiter for dials: one dial at a time for an extension and a host, and only so many a second.
//!
//! It holds who waits and counts; it dials nothing. On this machine first dials are free, redials have a rate, and an
//! extension reaches only so many ports a minute that are new to it: users' own servers live there, and so does much else.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::wire::record::Name;

use super::identity::SessionKey;
use super::io::DialId;
use super::rules::Rules;

/// Where a dial leads, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DialSlot {
    pub(crate) origin: Name,
    /// A host with its port, with which one handshake goes on at a time; `None`: this machine.
    pub(crate) host: Option<String>,
    /// The ports of this machine that it reaches.
    pub(crate) local_ports: Vec<u16>,
}

/// Dials an extension may make at once, whatever its rate.
const EXTENSION_BURST: u32 = 32;
/// Time between two redials of an extension to this machine, in the long run.
const LOCAL_REDIAL_INTERVAL: Duration = Duration::from_millis(10);
/// Redials it may make at once.
const LOCAL_BURST: u32 = 100;
/// The time in which ports that are new to an extension are counted.
const NEW_PORT_INTERVAL: Duration = Duration::from_secs(60);
/// How long a port stays known after it was dialled.
const PORT_TTL: Duration = Duration::from_secs(3600);

/// What an extension has dialled on this machine.
#[derive(Debug, Default)]
struct Local {
    /// When its next redial would be due if they came evenly.
    next: Duration,
    /// Ports and when they were dialled last.
    known: HashMap<u16, Duration>,
    /// When ports were dialled that were new then, the oldest first.
    new: VecDeque<Duration>,
}

impl Local {
    fn begin(&mut self, now: Duration, ports: &[u16]) {
        // First dials are free: they postpone redials by no more than a burst.
        self.next =
            (self.next.max(now) + LOCAL_REDIAL_INTERVAL).min(now + LOCAL_REDIAL_INTERVAL * LOCAL_BURST);
        for port in ports {
            if self.known.insert(*port, now).is_none() {
                self.new.push_back(now);
            }
        }
        while self.new.front().is_some_and(|at| *at + NEW_PORT_INTERVAL <= now) {
            self.new.pop_front();
        }
    }

    /// When it may reach these ports, if so many new ones are allowed a minute.
    fn free_at(&self, ports: &[u16], limit: usize, kind: DialKind) -> Duration {
        let mut at = Duration::ZERO;
        if kind == DialKind::Redial {
            at = self
                .next
                .saturating_sub(LOCAL_REDIAL_INTERVAL * (LOCAL_BURST - 1));
        }
        let fresh = ports.iter().filter(|port| !self.known.contains_key(port)).count();
        if fresh > 0
            && let Some(last) = (self.new.len() + fresh.min(limit)).checked_sub(limit + 1)
            && let Some(oldest) = self.new.get(last)
        {
            at = at.max(*oldest + NEW_PORT_INTERVAL);
        }
        at
    }

    /// Drops what is no longer needed; `true` if nothing is left.
    fn forget(&mut self, now: Duration) -> bool {
        self.known.retain(|_, at| *at + PORT_TTL > now);
        self.known.is_empty() && self.next <= now
    }
}

/// Why a session dials. Those that dial for the first time go before the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DialKind {
    /// Somebody has just asked for it.
    First,
    /// The link was lost.
    Redial,
}

/// Who may dial, and when.
#[derive(Debug, Default)]
pub(crate) struct DialLimiter {
    /// When the next dial is due if dials came evenly, in boot time: of the broker, and of each extension.
    broker: Duration,
    extensions: HashMap<Name, Duration>,
    /// What each has dialled on this machine.
    local: HashMap<Name, Local>,
    /// Those that wait for this machine.
    waiting_locally: HashMap<Name, usize>,
    /// Handshakes under way.
    under_way: HashMap<(Name, String), DialId>,
    slots: HashMap<DialId, (Name, String)>,
    /// First those that a client has just asked for, then redials; each in the order they came.
    waiting: BTreeMap<(DialKind, u64), (SessionKey, DialSlot)>,
    places: HashMap<SessionKey, (DialKind, u64)>,
    last_place: u64,
    /// When to look again; `None` while only a handshake's end can change anything.
    due: Option<Duration>,
    changed: bool,
}

impl DialLimiter {
    /// Whether a session may dial at this moment. If so, `begin` must follow.
    pub(crate) fn may(&self, now: Duration, rules: &Rules, slot: &DialSlot, kind: DialKind) -> bool {
        // Nobody overtakes those of the same kind who wait already.
        let first_in_line = match slot.host {
            Some(_) => self
                .waiting
                .iter()
                .find(|(_, (_, waiting))| waiting.host.is_some())
                .is_none_or(|((waiting, _), _)| *waiting == DialKind::Redial && kind == DialKind::First),
            None => !self.waiting_locally.contains_key(&slot.origin),
        };
        first_in_line && !self.is_under_way(slot) && self.free_at(rules, slot, kind) <= now
    }

    /// A dial begins.
    pub(crate) fn begin(&mut self, now: Duration, rules: &Rules, slot: DialSlot, dial: DialId) {
        if slot.host.is_none() || !slot.local_ports.is_empty() {
            let local = self.local.entry(slot.origin.clone()).or_default();
            local.begin(now, &slot.local_ports);
        }
        self.changed = true;
        let Some(host) = slot.host else { return };
        let (step, extension_step) = steps(rules, &slot.origin);
        self.broker = self.broker.max(now) + step;
        let extension = self.extensions.entry(slot.origin.clone()).or_default();
        *extension = (*extension).max(now) + extension_step;
        let key = (slot.origin, host);
        self.slots.insert(dial, key.clone());
        self.under_way.insert(key, dial);
    }

    /// A handshake is over, well or not; any other dial means nothing here.
    pub(crate) fn end(&mut self, dial: DialId) {
        if let Some(slot) = self.slots.remove(&dial) {
            self.under_way.remove(&slot);
            self.changed = true;
        }
    }

    /// A session waits for its turn. One that waits already keeps its place.
    pub(crate) fn wait(&mut self, session: SessionKey, slot: DialSlot, kind: DialKind) {
        if let Some(place) = self.places.remove(&session) {
            if place.0 <= kind && self.waiting.get(&place).is_some_and(|(_, known)| *known == slot) {
                self.places.insert(session, place);
                return;
            }
            self.remove(place);
        }
        self.last_place += 1;
        let place = (kind, self.last_place);
        if slot.host.is_none() {
            *self.waiting_locally.entry(slot.origin.clone()).or_default() += 1;
        }
        self.waiting.insert(place, (session, slot));
        self.places.insert(session, place);
        self.changed = true;
    }

    /// A session does not wait any more.
    pub(crate) fn leave(&mut self, session: SessionKey) {
        if let Some(place) = self.places.remove(&session) {
            self.remove(place);
            self.changed = true;
        }
    }

    fn remove(&mut self, place: (DialKind, u64)) {
        let Some((_, slot)) = self.waiting.remove(&place) else {
            return;
        };
        if slot.host.is_none()
            && let Some(count) = self.waiting_locally.get_mut(&slot.origin)
        {
            *count -= 1;
            if *count == 0 {
                self.waiting_locally.remove(&slot.origin);
            }
        }
    }

    fn is_under_way(&self, slot: &DialSlot) -> bool {
        let key = slot.host.as_ref().map(|host| (slot.origin.clone(), host.clone()));
        key.is_some_and(|key| self.under_way.contains_key(&key))
    }

    /// The next session whose turn it is; it waits no longer. `None`: nobody's, until `due` or a handshake's end.
    pub(crate) fn next(&mut self, now: Duration, rules: &Rules) -> Option<SessionKey> {
        if !self.changed && self.due.is_none_or(|due| due > now) {
            return None;
        }
        let mut due: Option<Duration> = None;
        let mut found = None;
        for (place, (session, slot)) in &self.waiting {
            if self.is_under_way(slot) {
                continue;
            }
            let at = self.free_at(rules, slot, place.0);
            if at <= now {
                found = Some(*session);
                break;
            }
            due = Some(due.map_or(at, |due| due.min(at)));
        }
        if let Some(session) = found {
            self.leave(session);
            return Some(session);
        }
        self.due = due;
        self.changed = false;
        // An extension that is not ahead of its rate needs no entry.
        self.extensions.retain(|_, at| *at > now);
        self.local.retain(|_, local| !local.forget(now));
        None
    }

    /// When to ask `next` again, in boot time.
    pub(crate) const fn due(&self) -> Option<Duration> {
        self.due
    }

    /// When the rates let this slot dial.
    fn free_at(&self, rules: &Rules, slot: &DialSlot, kind: DialKind) -> Duration {
        let limit = rules.of(&slot.origin).loopback_ports_per_minute.max(1) as usize;
        let local = self.local.get(&slot.origin).map_or(Duration::ZERO, |local| {
            local.free_at(
                &slot.local_ports,
                limit,
                if slot.host.is_none() {
                    kind
                } else {
                    DialKind::First
                },
            )
        });
        if slot.host.is_none() {
            return local;
        }
        let (step, extension_step) = steps(rules, &slot.origin);
        let burst = match kind {
            DialKind::First => rules.dials.burst.max(1),
            DialKind::Redial => 1,
        };
        let broker = self.broker.saturating_sub(step * (burst - 1));
        let extension = self.extensions.get(&slot.origin).copied().unwrap_or_default();
        let extension = extension.saturating_sub(extension_step * (EXTENSION_BURST - 1));
        local.max(broker).max(extension)
    }
}

/// Time between two dials: of the broker, and of this extension.
fn steps(rules: &Rules, origin: &str) -> (Duration, Duration) {
    let broker = Duration::from_secs(1) / rules.dials.per_second.max(1);
    let extension = Duration::from_secs(60) / rules.of(origin).dials_per_minute.max(1);
    (broker, extension)
}

#[cfg(test)]
mod tests;
