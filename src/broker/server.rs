//! The event loop: one task owns the hub; every external event wakes it, and it executes the hub's outputs.
//!
//! It never waits for a port, a dial or the disk, and decides nothing.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::core::dialect::outlines::Outlines;
use crate::core::hub::{Hub, SHUTDOWN_MS, UPGRADE};
use crate::core::io::{Input, Output, PortId};
use crate::crash;
use crate::local::{Endpoint, LocalError};
use crate::wire::code::Code;
use crate::wire::message::{BrokerFrame, RefusedFrame};
use crate::wire::record::ErrorInfo;

use super::decoder;
use super::descriptors::Descriptors;
use super::dials::Dials;
use super::effects::Effects;
use super::instance::Claim;
use super::journals::{FoundJournals, JournalStore};
use super::large::{LargeContents, WaitingInput};
use super::lifecycle::{BrokerLifecycle, Upkeep};
use super::listener::PortListener;
use super::live_settings::LiveSettings;
use super::machine::MachineWatch;
use super::signals;
use super::wakeup::{PortInput, WakeUp};

/// Wake-ups that may wait; whoever brings more waits itself.
const MAX_WAITING: usize = 1024;

/// Wake-ups taken in one go.
const MAX_WAKEUPS: usize = 256;

/// Frames of one port after which their answers are handed over: a batch may hold many thousands.
const MAX_FRAMES: usize = 256;

/// Timeout for the last frames to ports and close frames to servers.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(SHUTDOWN_MS);

/// The running broker.
#[derive(Debug)]
pub(super) struct Server {
    hub: Hub,
    /// The hub does not need the broker.
    is_hub_idle: bool,
    journals: JournalStore,
    effects: Effects,
    lifecycle: BrokerLifecycle,
    machine: MachineWatch,
    settings: LiveSettings,
    large: LargeContents,
    wakes: mpsc::Receiver<WakeUp>,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the socket cannot be bound.
    pub(super) async fn open(
        hub: Hub,
        journals: FoundJournals,
        claim: Claim,
        endpoint: Endpoint,
        settings: LiveSettings,
        descriptors: Descriptors,
    ) -> Result<Self, LocalError> {
        let (wake, wakes) = mpsc::channel(MAX_WAITING);
        let listener = PortListener::open(endpoint.clone(), wake.clone(), descriptors.connections).await?;
        listener.set_rules(settings.rules.clone());
        tokio::spawn(signals::watch(wake.clone()));
        tokio::spawn(signals::watch_reload(wake.clone()));
        let machine = MachineWatch::new();
        let mut dials = Dials::new(settings.network.clone(), wake.clone(), descriptors.dials);
        dials.count_in(listener.connections().incoming());
        let large = LargeContents::new(wake.clone(), listener.connections().read_permits());
        Ok(Self {
            hub,
            is_hub_idle: true,
            journals: journals.start(wake),
            effects: Effects::new(dials),
            lifecycle: BrokerLifecycle::new(listener, endpoint, claim, settings.idle, machine.awake()),
            machine,
            settings,
            large,
            wakes,
        })
    }

    /// Works until nothing needs the broker any more, or it is asked to leave.
    pub(super) async fn run(mut self) {
        let endpoint = self.lifecycle.endpoint();
        tracing::info!(version = crate::version::own(), %endpoint, "broker started");
        self.handle_input(Input::Rules(self.settings.rules.clone()));
        self.flush();
        let mut taken = Vec::with_capacity(MAX_WAKEUPS);
        let reason = loop {
            if let Some(reason) = self.lifecycle.leaving() {
                break reason;
            }
            // An elapsed time is no event of its own: what is due is asked for below, by the clock.
            let _ = timeout(self.next_wakeup(), self.wakes.recv_many(&mut taken, MAX_WAKEUPS)).await;
            if self.machine.check() {
                self.handle_input(Input::Resumed);
            }
            for wake in taken.drain(..) {
                self.handle_wakeup(wake);
            }
            if self.hub_deadline().is_some_and(|(due, _)| due.is_zero()) {
                self.handle_input(Input::Timeout);
            }
            self.flush();
            let is_needed = !self.is_hub_idle || self.effects.has_ports();
            if self.lifecycle.check(self.machine.awake(), is_needed).await == Upkeep::Due {
                self.journals.close_idle();
            }
        };
        self.leave(reason, &mut taken).await;
    }

    fn hub_deadline(&mut self) -> Option<(Duration, &'static str)> {
        self.hub.deadline(self.machine.now())
    }

    /// How long nothing needs to be done unless something happens.
    fn next_wakeup(&mut self) -> Duration {
        let mut least = self.lifecycle.until_check(self.machine.awake());
        if let Some((due, timer)) = self.hub_deadline() {
            tracing::trace!(?due, timer, "waiting");
            least = least.min(due);
        }
        if self.effects.has_links() || !self.is_hub_idle {
            least = least.min(self.machine.until_check());
        }
        least
    }

    /// Passes an input to the hub, and collects its outputs.
    fn handle_input(&mut self, input: Input) {
        self.hub.handle(self.machine.now(), input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut lost = Vec::new();
        loop {
            while let Some(output) = self.hub.poll() {
                match output {
                    Output::Journal(journal, entry) => lost.extend(self.journals.apply(journal, entry)),
                    Output::Idle(idle) => self.is_hub_idle = idle,
                    Output::Encode(dial, message) => self.large.encode(&self.hub, dial, message),
                    output => self.effects.push(output, self.hub.polled_journal().cloned()),
                }
            }
            match lost.pop() {
                Some(failure) => self.hub.handle(self.machine.now(), failure.into_input()),
                None => return,
            }
        }
    }

    /// Passes entries to the journals, then executes the outputs that need not wait for them.
    fn flush(&mut self) {
        self.journals.send(&self.hub);
        loop {
            let swamped = self.effects.run(self.journals.progress(), &self.settings);
            if swamped.is_empty() {
                return;
            }
            for port in swamped {
                tracing::warn!(
                    port = port.0,
                    "closing port: client is not reading and its send buffer is full"
                );
                self.close_port(port);
            }
            self.journals.send(&self.hub);
        }
    }

    fn handle_wakeup(&mut self, wake: WakeUp) {
        match wake {
            // The listener counts them; the loop looks whether it is needed.
            WakeUp::Accepted | WakeUp::Rejected => {}
            WakeUp::PortOpened(connection) => {
                connection.slot.arrived();
                tracing::debug!(port = connection.port.0, caller = ?connection.caller, "port opened");
                let (port, caller) = (connection.port, connection.caller.clone());
                self.effects.open_port(connection);
                self.handle_input(Input::PortOpened(port, caller));
            }
            WakeUp::Received(port, inputs, handled) => {
                for (index, input) in inputs.into_iter().enumerate() {
                    // What many frames ask for at once is not all held at once.
                    if index > 0 && index.is_multiple_of(MAX_FRAMES) {
                        self.flush();
                    }
                    self.handle_in_order(WaitingInput::Port(port, input));
                }
                if let Some(handled) = handled {
                    self.large.hold(port, handled);
                }
            }
            WakeUp::Read(input, outlines) => self.handle_read(*input, outlines),
            WakeUp::PortClosed(port) => self.close_port(port),
            WakeUp::Written(port) => {
                if let Some(cost) = self.effects.written(port) {
                    self.handle_input(Input::Written(port, cost));
                }
            }
            WakeUp::Link(dial, event) => self.handle_in_order(WaitingInput::Link(dial, event)),
            WakeUp::Journal(written) => {
                let failure = self.journals.written(written);
                self.effects.release(self.journals.progress(), &self.settings);
                if let Some(failure) = failure {
                    self.handle_input(failure.into_input());
                }
            }
            WakeUp::Signal(reason) => self.lifecycle.leave(reason),
            WakeUp::Reload => {
                // The error is in the log; no client waits for an answer.
                let _ = self.reload();
            }
        }
    }

    /// Handles something, unless what came before it from the same port or dial is still being read.
    fn handle_in_order(&mut self, item: WaitingInput) {
        match self.large.pass(item) {
            Some(WaitingInput::Port(port, input)) => self.handle_port_input(port, input),
            Some(WaitingInput::Link(dial, event)) => {
                crash::point("broker.link");
                self.handle_or_read(Input::Link(dial, event));
            }
            None => {}
        }
    }

    /// Gives an input to the hub, once what is large in it has been read.
    fn handle_or_read(&mut self, input: Input) {
        if let Some(input) = self.large.read(&mut self.hub, input) {
            self.handle_large(input, Outlines::default());
        }
    }

    /// What is large in an input has been read: it is handled, and then what waits behind it.
    fn handle_read(&mut self, input: Input, outlines: Outlines) {
        let (waiting, handled) = self.large.release(&input);
        let port = match &input {
            Input::Frame(port, _) => Some(*port),
            _ => None,
        };
        self.handle_large(input, outlines);
        for item in waiting {
            self.handle_in_order(item);
        }
        for handled in handled {
            if let Some(port) = port {
                self.large.hold(port, handled);
            }
        }
    }

    fn handle_large(&mut self, input: Input, outlines: Outlines) {
        let cost = match &input {
            Input::Link(dial, event) => Some((*dial, self.effects.link_event(event))),
            _ => None,
        };
        self.hub.handle_read(self.machine.now(), input, outlines);
        self.drain();
        if let Some((dial, cost)) = cost {
            self.effects.took(dial, cost, self.hub.journal_of(dial).cloned());
        }
    }

    /// Reads the settings again. Links that are open stay, unless the rules do not allow them any more.
    fn reload(&mut self) -> Result<(), String> {
        if let Err(problem) = self.settings.reload() {
            tracing::warn!(
                problem,
                "the new settings cannot be used; the old ones stay in effect"
            );
            return Err(problem);
        }
        tracing::info!("settings reloaded");
        self.lifecycle
            .set(self.settings.rules.clone(), self.settings.idle);
        self.effects.set_network(self.settings.network.clone());
        self.handle_input(Input::Rules(self.settings.rules.clone()));
        Ok(())
    }

    fn close_port(&mut self, port: PortId) {
        if self.effects.close_port(port) {
            tracing::debug!(port = port.0, "port closed");
            self.handle_input(Input::PortClosed(port));
        }
    }

    fn handle_port_input(&mut self, port: PortId, input: PortInput) {
        if !self.effects.is_open(port) {
            return;
        }
        crash::point("broker.receive");
        // Answers of the shell's own take their turn among those of the hub.
        let answer = match input {
            PortInput::Frame(frame) => return self.handle_or_read(Input::Frame(port, frame)),
            PortInput::Watch(watch) => return self.handle_input(Input::Watch(port, watch)),
            PortInput::EndSession(end) => return self.handle_input(Input::EndSession(port, end)),
            PortInput::Refused(refusal) => decoder::answer(refusal),
            PortInput::Stop(id) => {
                self.lifecycle.leave("stop");
                BrokerFrame::Ok { id }
            }
            PortInput::Retire(id) => {
                self.lifecycle.leave(UPGRADE);
                BrokerFrame::Ok { id }
            }
            PortInput::Reload(id) => match self.reload() {
                Ok(()) => BrokerFrame::Ok { id },
                Err(problem) => decoder::answer(RefusedFrame {
                    error: ErrorInfo::new(Code::BadOption, problem),
                    id: Some(id),
                    session: None,
                }),
            },
        };
        self.effects.answer(port, answer);
    }

    /// Sends the last frames: to every port those of the hub, to every server a close frame. Journals are written
    /// however long that takes.
    async fn leave(mut self, reason: &'static str, taken: &mut Vec<WakeUp>) {
        tracing::info!(reason, "broker shutting down");
        self.lifecycle.close();
        self.handle_input(Input::Leave { reason });
        self.flush();
        let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
        let last_frames = async {
            while !self.effects.is_settled() {
                if self.wakes.recv_many(taken, MAX_WAKEUPS).await == 0 {
                    break;
                }
                for wake in taken.drain(..) {
                    if let WakeUp::Written(_) | WakeUp::PortClosed(_) | WakeUp::Journal(_) = wake {
                        self.handle_wakeup(wake);
                    }
                }
                self.flush();
            }
        };
        if timeout_at(deadline, last_frames).await.is_err() {
            tracing::info!("some ports did not accept their last frames in time");
        }
        // Later events of links are not read, and must not block them.
        self.wakes.close();
        self.effects.end_dials(deadline).await;
        self.journals.finish().await;
    }
}
