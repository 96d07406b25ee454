//! Limits on connections: of the user, of one process, of one extension.
//!
//! It accepts and closes nothing itself; the listener and each connection's task hold a `ConnectionSlot` and ask it.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::core::io::Caller;
use crate::core::rules::Rules;
use crate::transport::incoming::{IncomingBytes, IncomingShare};
use crate::wire::record::Name;

use super::read_permits::ReadPermits;

/// What a port may keep of a frame without being counted: most frames are smaller.
const UNCOUNTED_BYTES: usize = 256 << 10;

/// The limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Connections that have sent no preamble. When there are more, the oldest is closed.
    pub(super) pending: usize,
    /// The same of one process. When there are more, the newest is closed.
    pub(super) pending_per_process: usize,
    /// Ports of this user.
    pub(super) ports: usize,
    pub(super) ports_per_process: usize,
    pub(super) ports_per_extension: usize,
}

/// Every connection of a broker.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    counts: Arc<Mutex<Counts>>,
    incoming: IncomingBytes,
    read_permits: ReadPermits,
}

#[derive(Debug)]
struct Counts {
    limits: Limits,
    last: u64,
    /// By age.
    pending: BTreeMap<u64, Option<AbortHandle>>,
    ports: usize,
    pending_of: HashMap<u32, usize>,
    ports_of: HashMap<u32, usize>,
    extensions: HashMap<Name, usize>,
}

/// One connection among them, until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    connections: Connections,
    number: u64,
    process: Option<u32>,
    /// Admitted as a port; of this extension, if it is one's.
    port: Option<Option<Name>>,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Self {
        let counts = Arc::new(Mutex::new(Counts {
            limits,
            last: 0,
            pending: BTreeMap::new(),
            ports: 0,
            pending_of: HashMap::new(),
            ports_of: HashMap::new(),
            extensions: HashMap::new(),
        }));
        Self {
            counts,
            incoming: IncomingBytes::default(),
            read_permits: ReadPermits::default(),
        }
    }

    /// These rules hold from now on.
    pub(super) fn set_rules(&self, rules: Arc<Rules>) {
        self.incoming.set_rules(rules);
    }

    /// What is counted of unfinished frames, for the messages of links as well.
    pub(super) fn incoming(&self) -> IncomingBytes {
        self.incoming.clone()
    }

    /// Permits to have large contents read.
    pub(super) fn read_permits(&self) -> ReadPermits {
        self.read_permits.clone()
    }

    /// A connection has been accepted; `None` when its process has too many without a preamble.
    pub(super) fn accepted(&self, process: Option<u32>) -> Option<ConnectionSlot> {
        let mut counts = self.counts();
        if process
            .is_some_and(|process| of(&counts.pending_of, &process) >= counts.limits.pending_per_process)
        {
            return None;
        }
        if counts.pending.len() >= counts.limits.pending {
            // A host sends its preamble at once: the oldest has sent nothing for longest.
            let oldest = counts
                .pending
                .iter()
                .find_map(|(number, task)| Some((*number, task.clone()?)));
            if let Some((number, task)) = oldest {
                counts.pending.remove(&number);
                task.abort();
            }
        }
        counts.last += 1;
        let number = counts.last;
        counts.pending.insert(number, None);
        if let Some(process) = process {
            *counts.pending_of.entry(process).or_default() += 1;
        }
        drop(counts);
        Some(ConnectionSlot {
            connections: self.clone(),
            number,
            process,
            port: None,
        })
    }

    /// The task that serves a pending connection.
    pub(super) fn served_by(&self, number: u64, task: AbortHandle) {
        if let Some(known) = self.counts().pending.get_mut(&number) {
            *known = Some(task);
        }
    }

    /// How many have not become ports yet.
    pub(super) fn pending(&self) -> usize {
        self.counts().pending.len()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing in here can panic halfway.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionSlot {
    /// The connection's number, for `served_by`.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The connection has sent its preamble, and becomes a port.
    ///
    /// # Errors
    /// A sentence that names the limit.
    pub(super) fn admit(&mut self, caller: &Caller) -> Result<(), &'static str> {
        let mut counts = self.connections.counts();
        let origin = match caller {
            Caller::Extension { origin } => Some(origin.clone()),
            Caller::Admin => None,
        };
        if counts.ports >= counts.limits.ports {
            return Err("too many ports are open; close some");
        }
        if self
            .process
            .is_some_and(|process| of(&counts.ports_of, &process) >= counts.limits.ports_per_process)
        {
            return Err("this process has too many ports open; close some");
        }
        if origin
            .as_ref()
            .is_some_and(|origin| of(&counts.extensions, origin) >= counts.limits.ports_per_extension)
        {
            return Err("this extension has too many ports open; close some");
        }
        counts.ports += 1;
        if let Some(process) = self.process {
            *counts.ports_of.entry(process).or_default() += 1;
        }
        if let Some(origin) = &origin {
            *counts.extensions.entry(origin.clone()).or_default() += 1;
        }
        // From here on it is not closed in favour of a newer one; it counts as pending until the loop knows the port.
        if let Some(task) = counts.pending.get_mut(&self.number) {
            *task = None;
        }
        drop(counts);
        self.port = Some(origin);
        Ok(())
    }

    /// What the port's unfinished frames are counted by.
    pub(super) fn incoming(&self, caller: &Caller) -> IncomingShare {
        self.connections.incoming.of(&origin_of(caller), UNCOUNTED_BYTES)
    }

    /// Large frames of this caller are read one at a time.
    pub(super) fn read_permit(&self, caller: &Caller) -> Arc<Semaphore> {
        self.connections.read_permits.of(&origin_of(caller))
    }

    /// The loop knows the port.
    pub(super) fn arrived(&self) {
        self.connections.counts().leave_pending(self.number, self.process);
    }
}

fn origin_of(caller: &Caller) -> Name {
    match caller {
        Caller::Extension { origin } => origin.clone(),
        Caller::Admin => "".into(),
    }
}

impl Counts {
    fn leave_pending(&mut self, number: u64, process: Option<u32>) {
        self.pending.remove(&number);
        if let Some(process) = process {
            decrease(&mut self.pending_of, &process);
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        let Some(origin) = self.port.take() else {
            return counts.leave_pending(self.number, self.process);
        };
        if counts.pending.contains_key(&self.number) {
            counts.leave_pending(self.number, self.process);
        }
        counts.ports -= 1;
        if let Some(process) = self.process {
            decrease(&mut counts.ports_of, &process);
        }
        if let Some(origin) = origin {
            decrease(&mut counts.extensions, &origin);
        }
    }
}

fn of<K: Hash + Eq>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or(0)
}

fn decrease<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::broker) const LIMITS: Limits = Limits {
        pending: 4,
        pending_per_process: 2,
        ports: 3,
        ports_per_process: 2,
        ports_per_extension: 2,
    };

    fn extension(name: &str) -> Caller {
        Caller::Extension { origin: name.into() }
    }

    #[test]
    fn pending_connections_per_process_are_limited() {
        let connections = Connections::new(LIMITS);
        let first = connections.accepted(Some(1)).unwrap();
        let _second = connections.accepted(Some(1)).unwrap();
        assert!(connections.accepted(Some(1)).is_none());
        assert!(connections.accepted(Some(2)).is_some(), "another process");
        drop(first);
        assert!(connections.accepted(Some(1)).is_some(), "it has closed a port");
    }

    #[tokio::test]
    async fn the_oldest_pending_connection_is_closed_to_make_room() {
        let connections = Connections::new(LIMITS);
        let mut tasks = Vec::new();
        for process in 0..6 {
            let slot = connections.accepted(Some(process)).unwrap();
            let number = slot.number();
            let task = tokio::spawn(async move {
                let _slot = slot;
                std::future::pending::<()>().await;
            });
            connections.served_by(number, task.abort_handle());
            tasks.push(task);
        }
        assert_eq!(connections.pending(), 4);
        for task in tasks.drain(..2) {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert_eq!(connections.pending(), 4, "the closed ports have been released");
        assert!(!tasks.iter().any(tokio::task::JoinHandle::is_finished));
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[test]
    fn ports_are_counted_until_they_close() {
        let connections = Connections::new(LIMITS);
        let port = |process, name: &str| {
            let mut slot = connections.accepted(Some(process)).unwrap();
            let admitted = slot.admit(&extension(name));
            slot.arrived();
            admitted.map(|()| slot)
        };
        let first = port(1, "a").unwrap();
        let _second = port(2, "a").unwrap();
        assert!(port(3, "a").unwrap_err().contains("extension"));
        let _third = port(1, "b").unwrap();
        assert!(port(4, "c").unwrap_err().starts_with("too many"));
        drop(first);
        let _fourth = port(1, "a").unwrap();
        assert_eq!(connections.pending(), 0);
    }
}
