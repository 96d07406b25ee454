//! THE loop: one task owns the hub; whatever happens outside wakes it, and it does what the hub says.
//!
//! It never waits for a port or a dial. It decides nothing but when the broker leaves.

use std::collections::VecDeque;
use std::fs::File;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::clock::Reading;
use crate::core::hub::{Hub, LEAVES_WITHIN, UPGRADE};
use crate::core::io::{DialId, Input, LinkEvent, Now, Output, PortId};
use crate::crash;
use crate::local::{Endpoint, LocalError};
use crate::transport::credit;
use crate::transport::route::Route;
use crate::wire::code::Code;
use crate::wire::message::{BrokerFrame, Refusal};
use crate::wire::record::ErrorInfo;

use super::clients::{self, Heard, NewConnection};
use super::descriptors::Descriptors;
use super::dials::Dials;
use super::idle::{Idle, Step};
use super::instance::{Claim, launch_lock};
use super::journals::{JournalFailure, JournalStore};
use super::listener::PortListener;
use super::live_settings::LiveSettings;
use super::memory;
use super::ports::Ports;
use super::signals;

/// Wake-ups that may wait; whoever brings more waits itself.
const WAITING: usize = 1024;

/// Wake-ups taken in one go.
const AT_ONCE: usize = 256;

/// Frames of one port after which their answers are handed over: a batch may hold many thousands.
const HEARD_AT_ONCE: usize = 256;

/// Clocks that part by more than this say that the machine slept.
const SLEPT: Duration = Duration::from_secs(5);

/// How often the loop looks whether its socket and lock are still in place.
const ROUND: Duration = Duration::from_secs(60);

/// How often the loop looks at the clocks and the routes while sessions are held: a machine that slept, or another
/// network, is noticed this soon.
const GLANCE: Duration = Duration::from_secs(10);

/// How long leaving may take: the last frames to ports, close frames to servers.
const FAREWELL: Duration = Duration::from_millis(LEAVES_WITHIN);

/// What can wake the loop.
#[derive(Debug)]
pub(super) enum WakeUp {
    /// A connection was accepted; it has not said who it is.
    Accepted,
    /// A port has said who it is.
    Came(NewConnection),
    /// A connection did not say who it is, and was closed.
    Rejected,
    /// Frames from a port.
    Heard(PortId, Vec<Heard>),
    /// A port has gone.
    Gone(PortId),
    /// A port's writing task has done what it held.
    Written(PortId),
    /// Word from a dial.
    Link(DialId, LinkEvent),
    /// The system asks the broker to leave.
    Signal(&'static str),
    /// The system asks the broker to read its settings again. Windows has no way to.
    #[cfg_attr(windows, expect(dead_code, reason = "only Unix has SIGHUP"))]
    Reload,
}

impl From<(DialId, LinkEvent)> for WakeUp {
    fn from((dial, event): (DialId, LinkEvent)) -> Self {
        Self::Link(dial, event)
    }
}

/// The time, as the core wants it.
pub(super) fn now() -> Now {
    told(Reading::now())
}

const fn told(reading: Reading) -> Now {
    Now {
        awake: reading.awake,
        boot: reading.boot,
        wall: reading.wall,
    }
}

fn journal_lost(lost: JournalFailure) -> Input {
    tracing::warn!(
        journal = lost.journal.0,
        why = lost.why,
        "a session is kept in memory only from here on"
    );
    Input::JournalLost {
        journal: lost.journal,
        why: lost.why,
    }
}

/// The broker at work.
#[derive(Debug)]
pub(super) struct Server {
    hub: Hub,
    journals: JournalStore,
    ports: Ports,
    dials: Dials<WakeUp>,
    listener: PortListener,
    endpoint: Endpoint,
    claim: Claim,
    wakes: mpsc::Receiver<WakeUp>,
    clock: Reading,
    /// What the hub has said and nobody has done yet.
    outputs: VecDeque<Output>,
    settings: LiveSettings,
    idle: Idle,
    /// The hub says that it needs no broker.
    hub_idle: bool,
    /// Held from the last call on: nobody starts another broker meanwhile.
    last_call: Option<File>,
    /// When to look after socket and lock, awake time.
    round: Duration,
    /// When to look at the routes, awake time; and how they were.
    glance: Duration,
    route: Route,
    /// Dials that have not ended.
    links: usize,
    leaving: Option<&'static str>,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the socket cannot be bound.
    pub(super) async fn open(
        hub: Hub,
        journals: JournalStore,
        claim: Claim,
        endpoint: Endpoint,
        settings: LiveSettings,
        descriptors: Descriptors,
    ) -> Result<Self, LocalError> {
        let (wake, wakes) = mpsc::channel(WAITING);
        let listener = PortListener::open(endpoint.clone(), wake.clone(), descriptors.connections).await?;
        listener.set_rules(settings.rules.clone());
        tokio::spawn(signals::watch(wake.clone()));
        tokio::spawn(signals::watch_reload(wake.clone()));
        let clock = Reading::now();
        Ok(Self {
            hub,
            journals,
            ports: Ports::default(),
            dials: Dials::new(settings.network.clone(), wake, descriptors.dials),
            listener,
            endpoint,
            claim,
            wakes,
            clock,
            outputs: VecDeque::new(),
            idle: Idle::new(settings.idle),
            settings,
            hub_idle: true,
            last_call: None,
            round: clock.awake + ROUND,
            glance: clock.awake + GLANCE,
            route: Route::now(),
            links: 0,
            leaving: None,
        })
    }

    /// Works until nothing needs the broker any more, or it is asked to leave.
    pub(super) async fn run(mut self) {
        tracing::info!(version = crate::version::own(), endpoint = %self.endpoint, "broker is up");
        self.tell(Input::Rules(self.settings.rules.clone()));
        self.drain();
        self.settle();
        let mut taken = Vec::with_capacity(AT_ONCE);
        while self.leaving.is_none() {
            // An elapsed time is no event of its own: what is due is asked for below, by the clock.
            let _ = timeout(self.patience(), self.wakes.recv_many(&mut taken, AT_ONCE)).await;
            self.look_at_the_clock();
            for wake in taken.drain(..) {
                self.take(wake);
            }
            if self.due().is_some_and(|(due, _)| due.is_zero()) {
                self.tell(Input::Timeout);
            }
            self.settle();
            self.check_listener().await;
        }
        self.leave(&mut taken).await;
    }

    fn due(&self) -> Option<(Duration, &'static str)> {
        self.hub.deadline(told(self.clock))
    }

    /// How long nothing needs to be done unless something happens.
    fn patience(&self) -> Duration {
        let mut least = self.round.saturating_sub(self.clock.awake);
        if let Some((due, timer)) = self.due() {
            tracing::trace!(?due, timer, "waiting");
            least = least.min(due);
        }
        if let Some(until) = self.idle.due() {
            least = least.min(until.saturating_sub(self.clock.awake));
        }
        if self.links > 0 || !self.hub_idle {
            least = least.min(self.glance.saturating_sub(self.clock.awake));
        }
        least
    }

    fn look_at_the_clock(&mut self) {
        let before = std::mem::replace(&mut self.clock, Reading::now());
        let slept = self.clock.slept_since(&before);
        if slept > SLEPT {
            tracing::info!(seconds = slept.as_secs(), "the machine slept");
            self.tell(Input::Woke);
        }
        if self.clock.awake >= self.glance {
            self.glance = self.clock.awake + GLANCE;
            let before = std::mem::replace(&mut self.route, Route::now());
            if self.route.is_new_since(&before) {
                tracing::info!("the network has changed");
                self.tell(Input::Woke);
            }
        }
    }

    /// Tells the hub, and notes what it says.
    fn tell(&mut self, input: Input) {
        self.hub.handle(told(self.clock), input);
        self.drain();
    }

    fn drain(&mut self) {
        let mut lost = Vec::new();
        loop {
            while let Some(output) = self.hub.poll() {
                match output {
                    Output::Journal(journal, entry) => lost.extend(self.journals.apply(&journal, entry)),
                    Output::Idle(idle) => self.hub_idle = idle,
                    output => self.outputs.push_back(output),
                }
            }
            match lost.pop() {
                Some(lost) => self.hub.handle(told(self.clock), journal_lost(lost)),
                None => return,
            }
        }
    }

    /// Writes journals, then does what the hub has said, then hands every port what was packed for it.
    fn settle(&mut self) {
        loop {
            for lost in self.journals.flush(&self.hub) {
                self.tell(journal_lost(lost));
            }
            while let Some(output) = self.outputs.pop_front() {
                self.act(output);
            }
            for port in self.ports.flush() {
                tracing::warn!(port = port.0, "dropped: it takes nothing of what waits for it");
                self.gone(port);
            }
            if self.outputs.is_empty() {
                return;
            }
        }
    }

    fn take(&mut self, wake: WakeUp) {
        match wake {
            // The listener counts them; the loop looks whether it is needed.
            WakeUp::Accepted | WakeUp::Rejected => {}
            WakeUp::Came(connection) => {
                connection.place.arrived();
                tracing::debug!(port = connection.port.0, caller = ?connection.caller, "a port has come");
                let (port, caller) = (connection.port, connection.caller.clone());
                self.ports.come(connection);
                self.tell(Input::Came(port, caller));
            }
            WakeUp::Heard(port, heard) => {
                for (index, heard) in heard.into_iter().enumerate() {
                    // What many frames ask for at once is not all held at once.
                    if index > 0 && index.is_multiple_of(HEARD_AT_ONCE) {
                        self.settle();
                    }
                    self.hear(port, heard);
                }
            }
            WakeUp::Gone(port) => self.gone(port),
            WakeUp::Written(port) => {
                if let Some(cost) = self.ports.written(port) {
                    self.tell(Input::Written(port, cost));
                }
            }
            WakeUp::Link(dial, event) => {
                crash::point("broker.link");
                if matches!(event, LinkEvent::Ended(_)) {
                    self.links = self.links.saturating_sub(1);
                }
                if let LinkEvent::Messages(messages) = &event {
                    self.dials.took(dial, credit::cost(messages));
                }
                if let LinkEvent::Chunk(bytes) = &event {
                    self.dials.took(dial, credit::cost_of(bytes));
                }
                self.tell(Input::Link(dial, event));
            }
            WakeUp::Signal(reason) => self.leaving = Some(reason),
            WakeUp::Reload => {
                // What is wrong stands in the log; nobody waits for an answer.
                let _ = self.reload();
            }
        }
    }

    /// Reads the settings again. Links that are open stay, unless the rules do not allow them any more.
    fn reload(&mut self) -> Result<(), String> {
        if let Err(problem) = self.settings.reload() {
            tracing::warn!(problem, "the new settings cannot be used; the old ones stay");
            return Err(problem);
        }
        tracing::info!("the settings were read again");
        self.listener.set_rules(self.settings.rules.clone());
        self.dials.set_network(self.settings.network.clone());
        self.idle.set(self.settings.idle);
        self.tell(Input::Rules(self.settings.rules.clone()));
        Ok(())
    }

    fn gone(&mut self, port: PortId) {
        if self.ports.gone(port) {
            tracing::debug!(port = port.0, "a port has gone");
            self.tell(Input::Gone(port));
        }
    }

    fn hear(&mut self, port: PortId, heard: Heard) {
        if !self.ports.is_here(port) {
            return;
        }
        crash::point("broker.hear");
        // Answers of the shell's own take their turn among those of the hub.
        let answer = match heard {
            Heard::Frame(frame) => return self.tell(Input::Frame(port, frame)),
            Heard::Watch(watch) => return self.tell(Input::Watch(port, watch)),
            Heard::EndSession(end) => return self.tell(Input::EndSession(port, end)),
            Heard::Refused(refusal) => clients::answer(refusal),
            Heard::Stop(id) => {
                self.leaving = Some("stop");
                BrokerFrame::Ok { id }
            }
            Heard::Retire(id) => {
                self.leaving = Some(UPGRADE);
                BrokerFrame::Ok { id }
            }
            Heard::Reload(id) => match self.reload() {
                Ok(()) => BrokerFrame::Ok { id },
                Err(problem) => clients::answer(Refusal {
                    error: ErrorInfo::new(Code::BadOption, problem),
                    id: Some(id),
                    session: None,
                }),
            },
        };
        self.outputs.push_back(Output::Deliver {
            port,
            frame: answer,
            cost: 0,
        });
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Deliver {
                port,
                mut frame,
                cost,
            } => {
                if let BrokerFrame::Status(report) = &mut frame {
                    report.pid = std::process::id();
                    report.rss = memory::resident();
                    report.insecure.clone_from(&self.settings.insecure);
                    for session in &mut report.sessions {
                        let url = session.url.as_deref().and_then(|url| url.parse().ok());
                        session.insecure = url.is_some_and(|url| self.settings.network.is_insecure(&url));
                    }
                }
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
            // Done while draining: both count before anything else does.
            Output::Journal(..) | Output::Idle(_) => {}
        }
    }

    /// Leaves when nothing needs the broker; puts the socket back when it has been removed.
    async fn check_listener(&mut self) {
        let needed = !self.hub_idle || !self.ports.is_empty() || self.listener.pending() > 0;
        match self.idle.look(self.clock.awake, needed) {
            Step::Nothing => {}
            Step::Close => match launch_lock(&self.endpoint) {
                Some(lock) => {
                    self.listener.close();
                    self.last_call = Some(lock);
                }
                // Somebody is about to start a broker, and will find this one.
                None => self.idle.postpone(self.clock.awake),
            },
            Step::Reopen => {
                self.open_again().await;
                self.last_call = None;
            }
            Step::Leave => self.leaving = Some("idle"),
        }
        if self.clock.awake >= self.round && !self.idle.is_last_call() {
            self.round = self.clock.awake + ROUND;
            self.journals.close_idle();
            if !self.claim.is_in_place() {
                tracing::warn!("the run folder has been removed");
                self.leaving = Some("removed");
            } else if !self.listener.is_in_place() {
                self.open_again().await;
            }
        }
    }

    async fn open_again(&mut self) {
        tracing::info!("opening the socket again");
        if let Err(problem) = self.listener.reopen().await {
            tracing::warn!(%problem, "cannot open the socket again");
            self.leaving = Some("removed");
        }
    }

    /// Says good-bye: to every port what the hub says, to every server a close frame.
    async fn leave(mut self, taken: &mut Vec<WakeUp>) {
        let reason = self.leaving.unwrap_or("stop");
        tracing::info!(reason, "broker leaves");
        self.listener.close();
        self.tell(Input::Leave { reason });
        self.settle();
        let farewell = async {
            while !self.ports.is_settled() {
                if self.wakes.recv_many(taken, AT_ONCE).await == 0 {
                    break;
                }
                for wake in taken.drain(..) {
                    if let WakeUp::Written(_) | WakeUp::Gone(_) = wake {
                        self.take(wake);
                    }
                }
                self.settle();
            }
            // The links' last words are not listened to, and must not keep them waiting.
            self.wakes.close();
            self.dials.settle().await;
        };
        if timeout(FAREWELL, farewell).await.is_err() {
            tracing::info!("some ports or servers did not take their last frames");
        }
    }
}
