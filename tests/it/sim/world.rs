//! The world around a hub: clocks, ports, a disk, servers. Only `give` passes the hub an input, drains it, and checks
//! every output against the model.
//!
//! It chooses nothing: which step comes next is `steps`, what a client reads is `reader`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use longwire::core::hub::{Hub, HubConfig};
use longwire::core::io::{Caller, DialId, Input, Now, Output, PortId};
use longwire::core::journal::JournalId;
use longwire::wire::message::{BrokerFrame, ClientFrame, SessionReport};
use longwire::wire::options::Overflow;
use longwire::wire::record::{Name, State};

use super::cause::{Cause, Kind, Opening};
use super::client_session::ClientSession;
use super::dial::Dial;
use super::disk::Disk;
use super::model::{Emitted, Link, Owner, Port, SimClient, Slot};
use super::rng::Rng;
use super::sent::Sent;
use super::session::{Alive, Session};
use super::socketio::Offsets;
use super::views::View;

/// The command line, which may query all counters.
pub(super) const ADMIN: PortId = PortId(0);

/// Everything outside the hub, and the hub.
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) hub: Hub,
    pub(super) now: Now,
    /// Awake time over all boots of the machine.
    pub(super) elapsed: Duration,
    /// Restarts of the broker, boots of the machine.
    pub(super) incarnation: u32,
    pub(super) boot: u32,
    pub(super) disk: Disk,
    pub(super) owners: Vec<Owner>,
    pub(super) clients: Vec<SimClient>,
    pub(super) slots: Vec<Slot>,
    /// By person and slot.
    pub(super) client_sessions: Vec<ClientSession>,
    pub(super) ports: BTreeMap<PortId, Port>,
    pub(super) last_port: u64,
    pub(super) dials: HashMap<Link, Dial>,
    /// Dials of this life of the broker, in order.
    pub(super) dialled: Vec<DialId>,
    pub(super) emitted: Vec<Emitted>,
    pub(super) sent: Vec<Sent>,
    /// Credentials that were brought, by number: the slot they were for.
    pub(super) credentials: Vec<usize>,
    /// Servers are on other machines: dials take turns.
    pub(super) remote: bool,
    /// Servers want credentials, and refuse most of them.
    pub(super) strict: bool,
    /// Sessions use all protocols, most of them others than WebSocket alone.
    pub(super) mixed: bool,
    /// When dials began, in boot time; the newest last.
    pub(super) dial_times: VecDeque<Duration>,
    pub(super) allowed: bool,
    pub(super) order: u64,
    /// A hash of all outputs of the hub.
    pub(super) digest: u64,
    pub(super) trace: Option<Vec<String>>,
    pub(super) cause: Cause,
    /// A journal that was begun before `opened` of its session was delivered, and its slot.
    pub(super) fresh: Option<(JournalId, usize)>,
    /// The broker is to be killed after so many outputs of the next input; whether it was.
    pub(super) kill_after: Option<usize>,
    pub(super) was_killed: bool,
    /// The message handed over last.
    pub(super) submitted: Option<usize>,
    /// Messages written to journals since the last input.
    pub(super) appended: usize,
    /// The hub hung up since the last input.
    pub(super) hung_up: bool,
    /// The message that is just sent, if filters match it, and how they show it.
    pub(super) expected_views: Option<(usize, Vec<View>)>,
    /// Offsets that the hub is about to receive from a Socket.IO server.
    pub(super) offsets: Offsets,
    /// A message was accepted without a link, by an outbox with this bound.
    pub(super) bounded_outbox: Option<(usize, usize)>,
    pub(super) inputs: u64,
    /// The time at which the hub was last given anything.
    pub(super) given_at: Now,
    /// The longest that a slot may wait for its next dial, after the end of its link.
    pub(super) max_retry_wait: Option<(usize, Duration)>,
    /// Asked for while a session of that name was being closed.
    pub(super) deferred: Vec<(PortId, usize, Opening)>,
}

impl World {
    pub(super) fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let (owners, clients) = (owners(), clients());
        let (remote, strict, mixed) = (rng.percent(25), rng.percent(15), rng.percent(35));
        let slots = slots(&mut rng, remote);
        let now = Now {
            awake: Duration::from_secs(1000),
            boot: Duration::from_secs(2000),
            wall: 1_700_000_000_000,
        };
        let segment = rng.between(8, 300) as usize;
        let mut world = Self {
            hub: hub(&mut rng, 0, 0, now),
            rng,
            now,
            elapsed: Duration::ZERO,
            incarnation: 0,
            boot: 0,
            disk: Disk::new(segment),
            client_sessions: (0..clients.len() * slots.len())
                .map(|_| ClientSession::new())
                .collect(),
            owners,
            clients,
            slots,
            ports: BTreeMap::new(),
            last_port: 0,
            dials: HashMap::new(),
            dialled: Vec::new(),
            emitted: Vec::new(),
            sent: Vec::new(),
            credentials: Vec::new(),
            remote,
            strict,
            mixed,
            dial_times: VecDeque::new(),
            allowed: true,
            order: 0,
            digest: 0,
            trace: trace.then(Vec::new),
            cause: Cause::default(),
            fresh: None,
            kill_after: None,
            was_killed: false,
            submitted: None,
            appended: 0,
            hung_up: false,
            expected_views: None,
            offsets: Offsets::new(),
            bounded_outbox: None,
            inputs: 0,
            given_at: now,
            max_retry_wait: None,
            deferred: Vec::new(),
        };
        world.give(Input::PortOpened(ADMIN, Caller::Admin));
        world
    }

    /// Adds a line to the trace, if there is one.
    pub(super) fn trace_line(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    /// Passes the hub an input, applies its outputs, and checks them. The one place where a hub is driven. A broker that is
    /// `kill_after` is killed after so many outputs, and `was_killed` then.
    pub(super) fn give(&mut self, input: Input) {
        let limit = self.kill_after.take().unwrap_or(usize::MAX);
        self.inputs += 1;
        self.appended = 0;
        self.hung_up = false;
        self.fresh = None;
        self.trace_input(&input);
        if self.remote && !matches!(input, Input::PortOpened(ADMIN, _)) {
            // Their turn may come with any input.
            self.note_waiting();
        }
        self.cause = self.cause_of(&input);
        let was_due = matches!(self.hub.deadline(self.now), Some((Duration::ZERO, _)));
        self.before(&input);
        self.given_at = self.now;
        self.hub.handle(self.now, input);
        let mut done = 0;
        while let Some(output) = self.hub.poll() {
            if done == limit {
                self.was_killed = true;
                self.bounded_outbox = None;
                return;
            }
            done += 1;
            self.act(output);
        }
        self.after();
        let hub = &self.hub;
        self.disk.flush(|id| hub.snapshot(id));
        let due = self.hub.deadline(self.now);
        let must_wait = self.cause.kind == Kind::Timeout || (self.cause.kind == Kind::Quiet && !was_due);
        if must_wait && let Some((Duration::ZERO, whose)) = due {
            // A beat that was due while a probe was awaited goes out at once when that is answered.
            let is_late_beat = whose == "heartbeat" && self.cause.kind == Kind::Quiet;
            assert!(
                is_late_beat,
                "a deadline (`{whose}`) lies in the past after {:?}",
                self.cause.kind
            );
        }
    }

    /// Gives `Timeout` or `Resumed`. Only sessions that waited for it may dial.
    pub(super) fn give_time(&mut self, input: Input) {
        self.note_waiting();
        self.give(input);
    }

    fn note_waiting(&mut self) {
        let reports = self.status();
        let waiting = reports.iter().enumerate().filter_map(|(slot, report)| {
            (report.as_ref()?.state == Some(State::Waiting.as_str())).then_some(slot)
        });
        self.cause.waiting = waiting.collect();
    }

    pub(super) fn timeout(&mut self) {
        self.give_time(Input::Timeout);
    }

    /// Until the hub's next deadline.
    pub(super) fn deadline(&mut self) -> Option<Duration> {
        self.hub.deadline(self.now).map(|(span, _)| span)
    }

    /// Every session's counters, as the command line gets them, by slot. Bounds are checked on the way.
    pub(super) fn status(&mut self) -> Vec<Option<SessionReport>> {
        let id: Name = "status".into();
        // At the time of the last input: whose turn comes with time is nothing that a question should bring about.
        self.hub
            .handle(self.given_at, Input::Frame(ADMIN, ClientFrame::Status { id }));
        let mut reports: Vec<Option<SessionReport>> = self.slots.iter().map(|_| None).collect();
        while let Some(output) = self.hub.poll() {
            let Output::Deliver {
                port: ADMIN,
                frame: BrokerFrame::Status(status),
                ..
            } = output
            else {
                panic!("a question for counters had an effect: {output:?}");
            };
            for report in status.sessions {
                let slot = self.slots.iter().position(|slot| {
                    let owner = &self.owners[slot.owner];
                    report.session.as_deref() == Some(&*slot.name)
                        && report.origin.as_deref() == Some(&*owner.origin)
                        && report.profile.as_deref() == Some(&*owner.profile)
                });
                let slot = slot.expect("a session that nobody opened");
                self.check_bounds(slot, &report);
                reports[slot] = Some(report);
            }
        }
        reports
    }

    fn check_bounds(&self, slot: usize, report: &SessionReport) {
        let Some(session) = self.slots[slot].incarnations.last() else {
            return;
        };
        let queue = &session.options.queue;
        let slack = match queue.overflow {
            Overflow::Pause | Overflow::Close => 1024,
            Overflow::DropOldest | Overflow::DropNewest => 0,
        };
        assert!(
            report.queued <= queue.messages.saturating_add(slack) as u64,
            "the log of slot {slot} holds {} messages of {} it may",
            report.queued,
            queue.messages
        );
        let open = session
            .dial
            .and_then(|dial| self.dials.get(&(self.incarnation, dial)))
            .is_some_and(|dial| dial.open);
        let alive = report.state == Some("open") || report.state == Some("connecting");
        assert!(
            alive == session.dial.is_some() && (report.state == Some("open")) == open,
            "slot {slot} reports its link as {:?}, and that is wrong",
            report.state
        );
    }

    pub(super) fn client_session(&self, client: usize, slot: usize) -> usize {
        client * self.slots.len() + slot
    }

    /// The session that bears a slot's name now.
    pub(super) fn session(&mut self, slot: usize) -> Option<&mut Session> {
        self.slots[slot].incarnations.last_mut()
    }

    /// Whether the session of a slot is being closed.
    pub(super) fn is_closing(&self, slot: usize) -> bool {
        let session = self.slots[slot].incarnations.last();
        session.is_some_and(|session| session.closing.is_some() && session.alive == Alive::Yes)
    }

    pub(super) fn slot_named(&self, port: PortId, name: &str) -> Option<usize> {
        let client = self.ports.get(&port)?.client?;
        let owner = self.clients[client].owner;
        self.slots
            .iter()
            .position(|slot| slot.owner == owner && &*slot.name == name)
    }

    fn trace_input(&mut self, input: &Input) {
        if self.trace.is_none() {
            return;
        }
        let mut line = String::new();
        let _ = write!(line, "{} boot {:?} {input:?}", self.inputs, self.now.boot);
        if let Some((at, _)) = line.char_indices().nth(700) {
            line.truncate(at);
        }
        self.trace_line(|| line);
    }
}

/// The number in an id.
pub(super) fn token_of(id: &str) -> usize {
    id.trim_start_matches('i')
        .parse()
        .expect("an id that somebody gave")
}

/// Two profiles of one origin, and one of another.
fn owners() -> Vec<Owner> {
    let origins = ["chrome-extension://a/", "b@example"];
    let owners = [(0, "default"), (0, "second"), (1, "default")];
    let owner = |(origin, profile): (usize, &str)| Owner {
        origin: origins[origin].into(),
        profile: profile.into(),
    };
    owners.map(owner).into()
}

/// Who consumes the sessions of each owner.
fn clients() -> Vec<SimClient> {
    let clients = [(0, "main"), (0, "popup"), (1, "main"), (2, "main"), (2, "popup")];
    let client = |(owner, client): (usize, &str)| SimClient {
        owner,
        client: client.into(),
    };
    clients.map(client).into()
}

/// The sessions that a run may have, by whom and where they lead.
fn slots(rng: &mut Rng, remote: bool) -> Vec<Slot> {
    // In some runs a few sessions are handled by many hands, in others many by few.
    let wanted = match rng.below(3) {
        0 => vec![(0, "s", false)],
        1 => vec![(0, "s", true)],
        _ => vec![
            (0, "s", true),
            (0, "t", false),
            (1, "s", true),
            (2, "s", false),
            (2, "t", true),
        ],
    };
    wanted
        .into_iter()
        .enumerate()
        .map(|(index, (owner, name, disk))| Slot {
            owner,
            name: name.into(),
            addresses: [1, 2].map(|place| {
                if remote {
                    format!("wss://host{place}.example/{index}")
                } else {
                    format!("ws://127.0.0.1:{place}/{index}")
                }
            }),
            disk,
            incarnations: Vec::new(),
        })
        .collect()
}

/// A broker of this life.
pub(super) fn hub(rng: &mut Rng, incarnation: u32, boot: u32, now: Now) -> Hub {
    let config = HubConfig {
        version: "0.0.0",
        boot: format!("life{incarnation}"),
        machine_boot: format!("boot{boot}"),
        seed: rng.next(),
    };
    Hub::new(config, now)
}
