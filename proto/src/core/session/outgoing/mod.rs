//! What is sent: from an accepted message to its one result.
//!
//! Messages are in `core::outbox`, what they wait for in `core::requests`, what is sent on every connection in
//! `core::subscriptions`. How a message is accepted is in `accept`, how it ends in `settle`. It knows no link, no log and no
//! port: what concerns them comes out of `poll`, and the session passes it on.

mod accept;
mod offer;
mod restore;
mod settle;
mod subscribe;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::wire::json::Pointers;
use crate::wire::message::{BrokerFrame, ErrorFrame, OutboxItem, SessionReport, SubscriptionState, Totals};
use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name};

use crate::core::dialect::outlines::Outlines;
use crate::core::guard::SendGuard;
use crate::core::identity::ClientId;
use crate::core::io::{Now, PortId};
use crate::core::journal_record::JournalRecord;
use crate::core::outbox::{NextMessage, Outbox, Settled};
use crate::core::requests::Requests;
use crate::core::subscriptions::Subscriptions;

use super::budget::Budget;
use super::lifecycle::{Lifecycle, Unfinished};
use super::link_view::{LinkView, Load};

use self::offer::Offer;
pub(super) use self::restore::Reach;

/// Messages and bytes handed to a link and not yet written, at most; one oversize message may exceed the bytes.
const MAX_UNWRITTEN: usize = 256;
const MAX_UNWRITTEN_BYTES: usize = 1 << 20;

/// What the outgoing direction may know while it handles a frame.
#[derive(Debug)]
pub(super) struct OutgoingContext<'a> {
    pub(super) now: Now,
    pub(super) session: &'a Name,
    pub(super) options: &'a Options,
    pub(super) outlines: &'a Outlines,
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) link: LinkView,
    pub(super) budget: Budget,
    /// What new messages are promised.
    pub(super) durability: &'static str,
    /// There is a journal to write messages to.
    pub(super) has_journal: bool,
    /// Unacknowledged outcomes and responses.
    pub(super) unacknowledged_outcomes: usize,
    /// Who has sent the frame, through which port.
    pub(super) client: ClientId,
    pub(super) port: PortId,
}

/// The outgoing direction of one session.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    outbox: Outbox,
    requests: Requests,
    subscriptions: Subscriptions,
    guard: SendGuard,
    sent: Totals,
    queue: VecDeque<Queued>,
    next: Next,
}

/// What the rest of the session has to do with.
#[derive(Debug)]
pub(super) enum OutgoingEvent {
    /// This is to be written down before anything else is done.
    Journal(Box<JournalRecord>),
    /// This is for a port.
    Frame(PortId, BrokerFrame),
    /// This is to be handed to the link.
    Transmit(Handover),
    /// Messages have ended.
    Settled(Vec<Settled>),
    /// The state of a subscription, for every client.
    Subscription(Name, SubscriptionState),
    /// A subscription was forgotten.
    Unsubscribed(Name),
    /// A ping is wanted that proves everything up to this place.
    Prove(u64),
}

/// What waits to be polled.
#[derive(Debug)]
enum Queued {
    Event(OutgoingEvent),
    /// What is no message of the outbox: greeting, subscription, beat. Without a link that carries it, it is dropped.
    Untracked(Payload),
}

/// What follows once nothing is queued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    #[default]
    Nothing,
    /// A proving ping, if one is wanted.
    Prove,
    /// The outbox flows as far as the link takes it; then as `Prove`.
    Flow,
}

/// A message that is to be handed to the link.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) payload: Payload,
    /// Its place among the messages of this link.
    pub(super) place: u64,
    /// Names a message of the outbox.
    pub(super) serial: Option<u64>,
    /// It awaits the server's own acknowledgement.
    pub(super) awaits_ack: bool,
    /// It comes from a journal.
    pub(super) is_named: bool,
}

impl Outgoing {
    /// The next thing that concerns others, with this link; after every call until `None`.
    pub(super) fn poll(&mut self, now: Now, options: &Options, link: &LinkView) -> Option<OutgoingEvent> {
        while let Some(queued) = self.queue.pop_front() {
            match queued {
                Queued::Event(event) => return Some(event),
                Queued::Untracked(payload)
                    if link.takes_anything() && link.check_carried(options, &payload).is_ok() =>
                {
                    return Some(OutgoingEvent::Transmit(self.hand_untracked(payload)));
                }
                Queued::Untracked(_) => {}
            }
        }
        if self.next == Next::Flow {
            if !link.takes_messages() {
                self.next = Next::Nothing;
            } else if let Some(event) = self.hand_next(now, options, link) {
                return Some(event);
            }
        }
        let wants_proof = std::mem::take(&mut self.next) != Next::Nothing;
        if wants_proof && let Some(place) = self.wants_proof() {
            return Some(OutgoingEvent::Prove(place));
        }
        if self.outbox.len() == 0 {
            // An idle session needs no room for it.
            self.queue = VecDeque::new();
        }
        None
    }

    /// Whether `poll` may have something.
    pub(super) fn has_events(&self) -> bool {
        !self.queue.is_empty() || self.next != Next::Nothing
    }

    fn push(&mut self, event: OutgoingEvent) {
        self.queue.push_back(Queued::Event(event));
    }

    /// Answers a frame with an error.
    fn refuse_frame(&mut self, ctx: &OutgoingContext<'_>, why: ErrorInfo, id: Option<Name>) {
        let frame = ErrorFrame::new(why, id, Some(ctx.session.clone()));
        self.push(OutgoingEvent::Frame(
            ctx.port,
            BrokerFrame::Error(Box::new(frame)),
        ));
    }

    fn send_ok(&mut self, ctx: &OutgoingContext<'_>, id: Name) {
        self.push(OutgoingEvent::Frame(ctx.port, BrokerFrame::Ok { id }));
    }

    /// A connection is open: the greeting goes out first, and unless the server must be ready first, what waits.
    pub(super) fn begin_connection(&mut self, now: Now, greeting: &[Payload], link: &LinkView) {
        self.send_untracked(greeting.iter().cloned());
        if link.is_ready {
            self.begin_ready(now);
        }
    }

    /// The connection is ready: every subscription goes out, then the outbox flows.
    pub(super) fn begin_ready(&mut self, now: Now) {
        for (key, _) in self.subscriptions.states() {
            self.send_subscription(now.boot, &key);
        }
        self.begin_flow();
    }

    /// Lets the outbox flow as far as the link takes it.
    const fn begin_flow(&mut self) {
        self.next = Next::Flow;
    }

    /// Sends what is no message of the outbox: greeting, subscription, beat.
    pub(super) fn send_untracked(&mut self, payloads: impl IntoIterator<Item = Payload>) {
        self.queue.extend(payloads.into_iter().map(Queued::Untracked));
    }

    /// Answers a beat, unless the link is full: a server that asks faster than it reads is not answered.
    pub(super) fn answer_beat(&mut self, answer: Payload) {
        if self.outbox.unwritten().0 < MAX_UNWRITTEN {
            self.send_untracked([answer]);
        }
    }

    /// Hands over the next message of the outbox; `None` when nothing waits, or enough is under way.
    fn hand_next(&mut self, now: Now, options: &Options, link: &LinkView) -> Option<OutgoingEvent> {
        let (messages, bytes) = self.outbox.unwritten();
        if messages >= MAX_UNWRITTEN || bytes >= MAX_UNWRITTEN_BYTES {
            return None;
        }
        let check = |payload: &Payload| link.check_carried(options, payload);
        match self.outbox.next(now.boot, now.awake, check)? {
            NextMessage::Settled(settled) => Some(OutgoingEvent::Settled(self.all_ended([settled]))),
            NextMessage::Transmit { serial, payload } => {
                self.sent.messages += 1;
                self.sent.bytes += payload.len() as u64;
                Some(OutgoingEvent::Transmit(Handover {
                    payload,
                    place: self.outbox.handed(),
                    serial: Some(serial),
                    awaits_ack: self.requests.wants_ack(serial),
                    is_named: self.is_named(serial),
                }))
            }
        }
    }

    fn hand_untracked(&mut self, payload: Payload) -> Handover {
        self.outbox.count_untracked(payload.len());
        Handover {
            payload,
            place: self.outbox.handed(),
            serial: None,
            awaits_ack: false,
            is_named: false,
        }
    }

    /// Takes responsibility for a message; its serial number.
    fn accept(&mut self, client: ClientId, offer: Offer) -> u64 {
        let (item, wanted) = offer.into_item(client);
        let serial = self.outbox.accept(item);
        if let Some(wanted) = wanted {
            self.requests.wait(serial, wanted);
        }
        serial
    }

    /// Other options: a guard with other lines counts its rates anew.
    pub(super) fn options_changed(&mut self, before: &Options, after: &Options) {
        if after.guard != before.guard {
            self.guard = SendGuard::default();
        }
    }

    /// Everything handed over up to now, if a ping is wanted that proves it.
    pub(super) fn wants_proof(&self) -> Option<u64> {
        self.outbox.wants_proof().then(|| self.outbox.handed())
    }

    /// Bytes that all this takes.
    pub(super) fn held(&self) -> usize {
        self.outbox.held() + self.requests.held() + self.subscriptions.held()
    }

    /// Messages that have not ended.
    pub(super) fn unfinished(&self) -> Unfinished {
        Unfinished {
            total: self.outbox.len(),
            waits: self.outbox.waits(),
            is_written: self.outbox.unwritten().0 == 0,
        }
    }

    /// Whether messages are in flight, or answers awaited. Messages that wait for a link that can carry them are neither.
    pub(super) fn load(&self) -> Load {
        if self.outbox.in_flight() == 0 && self.requests.is_empty() {
            Load::Idle
        } else {
            Load::Busy
        }
    }

    /// Counters, for `status`.
    pub(super) fn report(&self, report: &mut SessionReport) {
        report.sent = self.sent;
        report.outbox = self.outbox.len() as u64;
    }

    /// A client's messages that have not ended, for `opened`.
    pub(super) fn items_of(&self, client: ClientId) -> Vec<OutboxItem> {
        let items = self.outbox.iter().filter(|(_, item)| item.client == client);
        items
            .filter_map(|(_, item)| {
                let state = if item.is_handed() { "written" } else { "queued" };
                item.id.clone().map(|id| OutboxItem { id, state })
            })
            .collect()
    }

    /// Whether incoming messages have to be looked into.
    pub(super) fn looks_inside(&self) -> bool {
        !self.requests.is_empty() || self.subscriptions.awaits()
    }

    /// Adds the pointers that are asked for when a message comes.
    pub(super) fn add_pointers(&self, pointers: &mut Pointers) {
        self.requests.add_pointers(pointers);
        self.subscriptions.add_pointers(pointers);
    }
}

/// All pointers that are asked for when a message is sent.
pub(super) fn sent_pointers(options: &Options) -> Pointers {
    let mut pointers = Pointers::NONE;
    for line in &options.guard.send {
        line.add_pointers(&mut pointers);
    }
    pointers
}
