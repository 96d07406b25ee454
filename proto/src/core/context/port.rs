//! A port: who uses it, which sessions it holds or has held, and how full its queue is.

use std::collections::{BTreeMap, BTreeSet};

use crate::wire::record::Name;

use crate::core::identity::SessionKey;
use crate::core::io::Caller;

/// Bytes that may wait in a port's queue before record delivery to it pauses.
const PORT_ROOM: usize = 2 * 1024 * 1024;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_session_is_remembered_until_it_is_attached_again() {
        let (mut port, name, session) = (Port::new(Caller::Admin), Name::from("s"), SessionKey(1));
        port.release(&name, session);
        assert!(!port.has_released(&name), "it was never attached");
        port.hold(name.clone(), session);
        port.starve(session);
        port.release(&name, session);
        assert!(port.has_released(&name) && port.attached.is_empty() && port.starved.is_empty());
        port.hold(name.clone(), session);
        assert!(!port.has_released(&name));
    }

    #[test]
    fn a_port_has_room_until_its_queue_is_full() {
        let mut port = Port::new(Caller::Admin);
        port.queue(PORT_ROOM - 1);
        assert!(port.has_room());
        port.queue(1);
        assert!(!port.has_room());
        port.written(usize::MAX);
        assert!(port.has_room());
    }
}
