//! What a session may touch while it handles one input: the time, the ports, the outputs, the random numbers.
//!
//! It holds no session; the hub makes one for every input. What it knows of a port is in `port`, of dials in `dialer`.

mod dialer;
mod port;

use std::collections::{BTreeMap, VecDeque};

use crate::wire::code::Code;
use crate::wire::message::{BrokerFrame, ErrorFrame};
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name, Record};

use super::dialect::outlines::Outlines;
use super::identity::SessionKey;
use super::io::{Now, Output, PortId};
use super::recorded_log::Recorder;

pub(crate) use self::dialer::Dialer;
pub(crate) use self::port::{ClientIdentity, Port};

/// What a record costs beyond its payload.
pub(crate) const RECORD_OVERHEAD: usize = 128;

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

    /// Sends `ok` to a frame that has an `id`.
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

    /// Sends `ok` to a frame that has an `id`.
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
            Port::new(super::io::Caller::Extension {
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
