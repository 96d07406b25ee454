//! Executes the hub's outputs: frames to ports, commands to dials, in order and never before the journals are written.
//!
//! It decides nothing and never waits.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::core::io::{DialId, LinkEvent, Output, PortId};
use crate::core::journal::JournalId;
use crate::crash;
use crate::transport::{Network, credit};
use crate::wire::message::BrokerFrame;

use super::dials::Dials;
use super::gate::{Effect, FlushGate, Progress};
use super::live_settings::LiveSettings;
use super::memory;
use super::ports::Ports;
use super::wakeup::{NewConnection, WakeUp};

/// Ports and dials, and the effects that wait for them.
#[derive(Debug)]
pub(super) struct Effects {
    ports: Ports,
    dials: Dials<WakeUp>,
    /// Dials that have not ended.
    links: usize,
    /// Effects that wait, with the journal of their session.
    queue: VecDeque<(Effect, Option<JournalId>)>,
    gate: FlushGate,
}

impl Effects {
    pub(super) fn new(dials: Dials<WakeUp>) -> Self {
        Self {
            ports: Ports::default(),
            dials,
            links: 0,
            queue: VecDeque::new(),
            gate: FlushGate::default(),
        }
    }

    /// Has something done with the next `run`. `journal` is that of the session it is of.
    pub(super) fn push(&mut self, output: Output, journal: Option<JournalId>) {
        self.queue.push_back((Effect::Output(output), journal));
    }

    /// Answers a port outside of any session.
    pub(super) fn answer(&mut self, port: PortId, frame: BrokerFrame) {
        let cost = 0;
        self.push(Output::Deliver { port, frame, cost }, None);
    }

    /// Notes an event of a dial before the hub handles it; its cost until the hub is done with it.
    pub(super) fn link_event(&mut self, event: &LinkEvent) -> usize {
        match event {
            LinkEvent::Ended(_) => {
                self.links = self.links.saturating_sub(1);
                0
            }
            LinkEvent::Messages(messages) => credit::cost(messages),
            LinkEvent::Chunk(bytes) => credit::cost_of(bytes),
            _ => 0,
        }
    }

    /// The hub is done with messages of a dial; more may come once the journal has them.
    pub(super) fn took(&mut self, dial: DialId, cost: usize, journal: Option<JournalId>) {
        if cost > 0 {
            self.queue.push_back((Effect::Took(dial, cost), journal));
        }
    }

    /// Does what is to be done and may be. Gives the ports that hold far too much, and are to be dropped.
    pub(super) fn run(&mut self, progress: &Progress, settings: &LiveSettings) -> Vec<PortId> {
        let mut held = BTreeSet::new();
        let mut newest = progress.newest_work();
        while let Some((effect, journal)) = self.queue.pop_front() {
            let port = match &effect {
                Effect::Output(Output::Deliver { port, .. }) => Some(*port),
                _ => None,
            };
            match self.gate.pass(effect, journal, &mut newest) {
                Some(effect) => self.act(effect, settings),
                None => held.extend(port),
            }
        }
        for port in held {
            self.ports.set_held(port, self.gate.held_for(port));
        }
        self.ports.flush()
    }

    /// Does what waited for journals that are written now.
    pub(super) fn release(&mut self, progress: &Progress, settings: &LiveSettings) {
        if self.gate.is_empty() {
            return;
        }
        let mut ports = BTreeSet::new();
        for effect in self.gate.release(progress) {
            if let Effect::Output(Output::Deliver { port, .. }) = &effect {
                ports.insert(*port);
            }
            self.act(effect, settings);
        }
        for port in ports {
            self.ports.set_held(port, self.gate.held_for(port));
        }
    }

    fn act(&mut self, effect: Effect, settings: &LiveSettings) {
        let output = match effect {
            Effect::Output(output) => output,
            Effect::Took(dial, cost) => return self.dials.took(dial, cost),
        };
        match output {
            Output::Deliver {
                port,
                mut frame,
                cost,
            } => {
                complete(&mut frame, settings);
                crash::point("broker.deliver");
                self.ports.deliver(port, &frame, cost);
            }
            Output::Dial(dial, target) => {
                self.links += 1;
                self.dials.dial(dial, target);
            }
            Output::Fetch(dial, fetch) => self.dials.fetch(dial, fetch),
            Output::Transmit(dial, payload) => {
                crash::point("broker.transmit");
                self.dials.transmit(dial, payload);
            }
            Output::Ping(dial, token) => self.dials.ping(dial, token),
            Output::Pause(dial) => self.dials.pause(dial),
            Output::Resume(dial) => self.dials.resume(dial),
            Output::Close { dial, code, reason } => self.dials.close(dial, code, reason),
            Output::HangUp { dial, code, reason } => {
                self.links = self.links.saturating_sub(1);
                self.dials.hang_up(dial, code, reason);
            }
            // Done while draining.
            Output::Journal(..) | Output::Encode(..) | Output::Idle(_) => {}
        }
    }

    pub(super) fn open_port(&mut self, connection: NewConnection) {
        self.ports.open(connection);
    }

    /// Forgets a port; `false` if it was not open.
    pub(super) fn close_port(&mut self, port: PortId) -> bool {
        self.ports.close(port)
    }

    pub(super) fn is_open(&self, port: PortId) -> bool {
        self.ports.is_open(port)
    }

    /// A port's writing task is done; what that cost.
    pub(super) fn written(&mut self, port: PortId) -> Option<usize> {
        self.ports.written(port)
    }

    pub(super) fn set_network(&mut self, network: Arc<Network>) {
        self.dials.set_network(network);
    }

    /// Whether any port is open.
    pub(super) fn has_ports(&self) -> bool {
        !self.ports.is_empty()
    }

    /// Whether any dial is active.
    pub(super) const fn has_links(&self) -> bool {
        self.links > 0
    }

    /// Whether nothing waits to be written, for a port or for a journal.
    pub(super) fn is_settled(&self) -> bool {
        self.ports.is_settled() && self.gate.is_empty()
    }

    /// Waits for the dials to end, until then.
    pub(super) async fn end_dials(&mut self, deadline: Instant) {
        if timeout_at(deadline, self.dials.settle()).await.is_err() {
            tracing::info!("some servers did not accept their last frames in time");
        }
    }
}

/// Adds to a report what only this process knows.
fn complete(frame: &mut BrokerFrame, settings: &LiveSettings) {
    let BrokerFrame::Status(report) = frame else {
        return;
    };
    report.pid = std::process::id();
    report.rss = memory::resident();
    report.insecure.clone_from(&settings.insecure);
    for session in &mut report.sessions {
        let url = session.url.as_deref().and_then(|url| url.parse().ok());
        session.insecure = url.is_some_and(|url| settings.network.is_insecure(&url));
    }
}
