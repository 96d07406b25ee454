//! The steps and their random choice.
//!
//! Every seed draws its own weights, so that some runs have no restarts, some no acknowledgements, some nothing else.

use std::time::Duration;

use longwire::core::io::{Input, PortId};
use longwire::wire::message::ClientFrame;
use longwire::wire::record::Name;

use super::rng::Rng;
use super::world::World;

/// Everything that can happen, and how often by default.
const STEPS: &[(Step, u32)] = &[
    (Step::OpenPort, 20),
    (Step::ClosePort, 8),
    (Step::Hello, 4),
    (Step::Open, 40),
    (Step::Read, 120),
    (Step::Acknowledge, 120),
    (Step::AckWrongly, 20),
    (Step::Window, 15),
    (Step::Send, 90),
    (Step::Request, 25),
    (Step::Repeat, 20),
    (Step::Cancel, 12),
    (Step::Subscribe, 14),
    (Step::Authorize, 15),
    (Step::Reconnect, 6),
    (Step::Detach, 6),
    (Step::Close, 2),
    (Step::PingOrStatus, 5),
    (Step::Accept, 40),
    (Step::ServerSends, 150),
    (Step::ServerSendsReady, 15),
    (Step::Answers, 40),
    (Step::ServerProgresses, 70),
    (Step::Pongs, 60),
    (Step::Ends, 12),
    (Step::Alive, 5),
    (Step::ServerMisbehaves, 30),
    (Step::Time, 100),
    (Step::Deadline, 60),
    (Step::Sleep, 4),
    (Step::WallClock, 2),
    (Step::Kill, 3),
    (Step::PowerFailure, 2),
    (Step::Leave, 1),
    (Step::DamageJournal, 1),
    (Step::JournalLost, 1),
    (Step::Rules, 2),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    OpenPort,
    ClosePort,
    Hello,
    Open,
    Read,
    Acknowledge,
    AckWrongly,
    Window,
    Send,
    Request,
    Repeat,
    Cancel,
    Subscribe,
    Authorize,
    Reconnect,
    Detach,
    Close,
    PingOrStatus,
    Accept,
    ServerSends,
    ServerSendsReady,
    Answers,
    ServerProgresses,
    Pongs,
    Ends,
    Alive,
    ServerMisbehaves,
    Time,
    Deadline,
    Sleep,
    WallClock,
    Kill,
    PowerFailure,
    Leave,
    DamageJournal,
    JournalLost,
    Rules,
}

/// How often what happens in one run.
pub(super) struct StepWeights {
    weights: Vec<u32>,
    /// How often in a hundred a port's queue is emptied at once.
    prompt: u64,
    /// How often in a hundred options are the default ones.
    pub(super) plain: u64,
}

impl StepWeights {
    /// `strict`: servers want credentials, and refuse most of them.
    pub(super) fn new(rng: &mut Rng, strict: bool) -> Self {
        let weights = STEPS.iter().map(|(step, weight)| match step {
            Step::OpenPort | Step::Open | Step::Accept | Step::Time => *weight,
            Step::Authorize | Step::Ends | Step::Reconnect if strict => *weight * 8,
            _ => *weight * *rng.pick(&[0, 1, 1, 1, 1, 2, 4]),
        });
        Self {
            weights: weights.collect(),
            prompt: *rng.pick(&[0, 30, 90, 100]),
            plain: *rng.pick(&[0, 30, 70, 100]),
        }
    }
}

impl World {
    /// One step, chosen by chance.
    pub(super) fn step(&mut self, weights: &StepWeights) {
        let step = STEPS[self.rng.weighted(&weights.weights)].0;
        self.trace_line(|| format!("{step:?}"));
        self.does(step, weights);
        if self.rng.percent(weights.prompt) {
            let ports: Vec<PortId> = self.ports.keys().copied().collect();
            for port in ports {
                self.reads(port, usize::MAX);
            }
        }
    }

    pub(super) fn does(&mut self, step: Step, weights: &StepWeights) {
        match step {
            Step::OpenPort => self.opens_port(),
            Step::ClosePort => {
                if let Some(port) = self.some_port() {
                    self.give(Input::PortClosed(port));
                }
            }
            Step::Hello => {
                if let Some(port) = self.some_port() {
                    self.sends_hello(port);
                }
            }
            Step::Open => self.opens(weights),
            Step::Read => {
                if let Some(port) = self.some_port() {
                    let most = 1 + self.rng.below(20);
                    self.reads(port, most);
                }
            }
            Step::Acknowledge => self.acknowledges(),
            Step::AckWrongly => self.acknowledges_wrongly(),
            Step::Window => self.changes_window(),
            Step::Send => self.sends(false),
            Step::Request => self.sends(true),
            Step::Repeat => self.repeats(),
            Step::Cancel => self.cancels(),
            Step::Subscribe => self.subscribes(),
            Step::Authorize => self.authorizes(),
            Step::Reconnect => self.frame(|session| ClientFrame::Reconnect { session, id: None }),
            Step::Detach => self.frame(|session| ClientFrame::Detach { session, id: None }),
            Step::Close => {
                let discard = self.rng.percent(20);
                self.frame(|session| ClientFrame::Close {
                    session,
                    id: None,
                    code: None,
                    reason: None,
                    discard,
                });
            }
            Step::PingOrStatus => {
                if let Some(port) = self.some_port() {
                    let id: Name = "q".into();
                    let frame = if self.rng.percent(50) {
                        ClientFrame::Ping { id }
                    } else {
                        ClientFrame::Status { id }
                    };
                    self.give(Input::Frame(port, frame));
                }
            }
            Step::Accept
            | Step::ServerSends
            | Step::ServerSendsReady
            | Step::Answers
            | Step::ServerProgresses
            | Step::Pongs
            | Step::Ends
            | Step::Alive => self.server_step(step),
            Step::ServerMisbehaves => self.misbehaves(),
            Step::Time => {
                let millis = match self.rng.below(100) {
                    0 => self.rng.between(0, 40_000_000),
                    1..=4 => self.rng.between(0, 60_000),
                    5..=24 => self.rng.between(0, 2000),
                    _ => self.rng.between(0, 20),
                };
                self.passes(Duration::from_millis(millis));
                if self.rng.percent(80) {
                    self.timeout();
                }
            }
            Step::Deadline => {
                let span = self.deadline().unwrap_or_default();
                self.passes(span.min(Duration::from_secs(100_000)));
                self.timeout();
            }
            Step::Sleep => {
                let millis = self.rng.between(0, 30_000_000);
                self.now.boot += Duration::from_millis(millis);
                self.now.wall += millis;
                if self.rng.percent(80) {
                    self.give_time(Input::Resumed);
                }
                if self.rng.percent(50) {
                    self.timeout();
                }
            }
            Step::WallClock => self.now.wall = self.rng.next() % 4_000_000_000_000,
            Step::Kill => self.is_killed(weights),
            Step::PowerFailure => self.loses_power(),
            Step::Leave => self.leaves(),
            Step::DamageJournal => self.damages_journal(),
            Step::JournalLost => self.loses_journal(),
            Step::Rules => self.changes_rules(),
        }
    }

    pub(super) fn passes(&mut self, time: Duration) {
        self.now.awake += time;
        self.now.boot += time;
        self.elapsed += time;
        self.now.wall = self
            .now
            .wall
            .wrapping_add(u64::try_from(time.as_millis()).unwrap());
    }

    fn server_step(&mut self, step: Step) {
        let alive = self.dials_alive();
        if alive.is_empty() {
            return;
        }
        let dial = *self.rng.pick(&alive);
        let server_dial = &self.dials[&(self.incarnation, dial)];
        let (open, paused) = (server_dial.open, server_dial.paused);
        match step {
            Step::Accept if !open => {
                if self.rng.percent(75) {
                    self.accepts(dial);
                } else {
                    self.ends(dial);
                }
            }
            Step::ServerSends if open && (!paused || self.rng.percent(5)) => {
                let count = if self.rng.percent(80) {
                    1
                } else {
                    self.rng.below(12)
                };
                self.server_sends(dial, count, false);
            }
            Step::ServerSendsReady if open && self.rng.percent(40) => self.wants_login(dial),
            Step::ServerSendsReady if open => self.server_sends(dial, 1, true),
            Step::Answers => {
                self.answers(dial);
            }
            Step::ServerProgresses => self.moves_on(dial, false),
            Step::Pongs => {
                self.pongs(dial, false);
            }
            Step::Ends => self.ends(dial),
            Step::Alive if self.dials[&(self.incarnation, dial)].greeted => self.pings(dial),
            Step::Alive => {
                let event = longwire::core::io::LinkEvent::Alive;
                self.give(Input::Link(dial, event));
            }
            _ => {}
        }
    }
}
