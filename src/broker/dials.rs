//! The dials of a broker: one task each, which gets commands through a queue.
//!
//! It decides nothing and limits nothing itself; the core hands out no more than a link may hold.

use std::collections::HashMap;
use std::sync::Arc;

use futures_channel::mpsc as queue;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::core::io::{DialId, Fetch, LinkEnd, LinkEvent, Target, TransportKind};
use crate::transport::cookies::Jars;
use crate::transport::credit::Credit;
use crate::transport::events::{DialCommand, Events};
use crate::transport::incoming::IncomingBytes;
use crate::transport::link;
use crate::transport::{Network, engine, http};
use crate::wire::code::Code;
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;

/// Commands that may wait for one dial. The core hands out at most 256 messages and a few pings that are not written.
const MAX_COMMANDS: usize = 1024;
/// Packets of Engine.IO that may wait: a message may be many, and replies count for none.
const MAX_PACKETS: usize = 65_536;

/// Every dial that is active or closing. Dropping it ends them all at once.
///
/// Events come out of the channel given to `new`, made into the receiver's own type. A dial that was not hung up reports
/// exactly one `Ended`, as its last event.
#[derive(Debug)]
pub struct Dials<W> {
    network: Arc<Network>,
    events: mpsc::Sender<W>,
    alive: HashMap<DialId, Dial>,
    tasks: JoinSet<()>,
    jars: Jars,
    /// The memory of incomplete messages.
    incoming: IncomingBytes,
    /// How many may be active: each has a descriptor, and other parts need some too.
    max: usize,
    /// How many may stand in `alive` before those that have ended are removed.
    sweep_above: usize,
}

#[derive(Debug)]
struct Dial {
    commands: queue::Sender<DialCommand>,
    credit: Credit,
    task: AbortHandle,
}

impl<W: From<(DialId, LinkEvent)> + Send + 'static> Dials<W> {
    /// No dials yet, and never more than `max`. Their events will go into `events`; while it is full, links are not read.
    pub fn new(network: Arc<Network>, events: mpsc::Sender<W>, max: usize) -> Self {
        Self {
            network,
            events,
            alive: HashMap::new(),
            tasks: JoinSet::new(),
            jars: Jars::default(),
            incoming: IncomingBytes::default(),
            max,
            sweep_above: 16,
        }
    }

    /// Counts incomplete messages here, together with incomplete frames.
    pub fn count_in(&mut self, incoming: IncomingBytes) {
        self.incoming = incoming;
    }

    /// Uses other settings for dials from now on; open links stay.
    pub fn set_network(&mut self, network: Arc<Network>) {
        self.network = network;
    }

    /// Starts a dial. Its number must be new.
    pub fn dial(&mut self, id: DialId, target: Box<Target>) {
        self.sweep();
        if self.tasks.len() >= self.max {
            let why = format!(
                "the limit of {} links on this machine is reached; close some",
                self.max
            );
            return self.fail(id, Code::Unreachable, why, 0);
        }
        let room = if matches!(target.transport, TransportKind::Engine(_)) {
            MAX_PACKETS
        } else {
            MAX_COMMANDS
        };
        let (commands, inbox) = queue::channel(room);
        let origin = target.origin.clone().unwrap_or_else(|| "".into());
        let credit = Credit::counted(&self.incoming, &origin);
        let events = Events::new(id, self.events.clone(), credit.clone());
        let network = self.network.clone();
        let jar = self.jars.of(target.jar, &target.url, &target.headers);
        let task = match target.transport {
            TransportKind::WebSocket => self.tasks.spawn(link::run(network, target, jar, inbox, events)),
            TransportKind::Engine(_) => self.tasks.spawn(engine::run(network, target, jar, inbox, events)),
            TransportKind::Http { .. } => self.tasks.spawn(http::run(network, target, jar, inbox, events)),
        };
        self.alive.insert(
            id,
            Dial {
                commands,
                credit,
                task,
            },
        );
    }

    /// The loop has taken messages of this dial: more may come.
    pub fn took(&self, id: DialId, cost: usize) {
        if let Some(dial) = self.alive.get(&id) {
            dial.credit.give_back(cost);
        }
    }

    /// Sends a message on an open dial.
    pub fn transmit(&mut self, id: DialId, payload: Payload) {
        self.command(id, DialCommand::Transmit(payload));
    }

    /// Sends a request on a dial over HTTP.
    pub fn fetch(&mut self, id: DialId, fetch: Box<Fetch>) {
        self.command(id, DialCommand::Fetch(fetch));
    }

    /// Sends a ping behind everything transmitted so far.
    pub fn ping(&mut self, id: DialId, token: u64) {
        self.command(id, DialCommand::Ping(token));
    }

    /// Reports no more messages of this dial and stops reading it, except a little, so that pings are seen.
    pub fn pause(&mut self, id: DialId) {
        self.command(id, DialCommand::Pause);
    }

    /// Goes on after `pause`.
    pub fn resume(&mut self, id: DialId) {
        self.command(id, DialCommand::Resume);
    }

    /// Closes a dial in order; its events still count, and `Ended` is the last of them.
    pub fn close(&mut self, id: DialId, code: u16, reason: String) {
        self.command(id, DialCommand::Close { code, reason });
    }

    /// Ends a dial: what was transmitted is still written, then a close frame; all that may take two seconds.
    /// An event of this dial that is already queued is ignored.
    pub fn hang_up(&mut self, id: DialId, code: u16, reason: String) {
        let Some(mut dial) = self.alive.remove(&id) else {
            return;
        };
        if dial
            .commands
            .try_send(DialCommand::HangUp { code, reason })
            .is_err()
        {
            dial.task.abort();
        }
        dial.credit.end();
    }

    /// Waits until every dial that was hung up has ended, for a broker that exits.
    pub async fn settle(&mut self) {
        for (_, dial) in self.alive.drain() {
            dial.credit.end();
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn command(&mut self, id: DialId, command: DialCommand) {
        let Some(dial) = self.alive.get_mut(&id) else {
            return;
        };
        if let Err(refused) = dial.commands.try_send(command)
            && refused.is_full()
        {
            // The core breaks its own bound. The link cannot be kept whole: end it, and say so.
            tracing::warn!(dial = id.0, "the send buffer of the dial is full");
            dial.task.abort();
            self.alive.remove(&id);
            let why = "the send buffer of the link is full".to_owned();
            self.fail(id, Code::Internal, why, u64::MAX);
        }
    }

    /// Reports that a dial is over.
    fn fail(&mut self, id: DialId, code: Code, why: String, taken: u64) {
        let end = LinkEnd {
            error: Some(ErrorInfo::new(code, why)),
            taken,
            ..LinkEnd::default()
        };
        let events = self.events.clone();
        self.tasks.spawn(async move {
            let _ = events.send(W::from((id, LinkEvent::Ended(end)))).await;
        });
    }

    /// Removes dials that have ended, now and then.
    fn sweep(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        if self.alive.len() >= self.sweep_above {
            self.alive.retain(|_, dial| !dial.commands.is_closed());
            self.sweep_above = (self.alive.len() * 2).max(16);
        }
    }
}
