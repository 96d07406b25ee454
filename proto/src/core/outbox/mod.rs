//! Messages accepted and not yet settled: bounded, in order, exactly one result each.
//!
//! It keeps and settles; it does not write to a link, and it appends no record: the session does both. What one message is
//! and how it may end is in `item`.

mod item;
mod settle;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::options::OutboxBounds;
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name, Outcome};

pub(crate) use self::item::{Awaiting, Item, MessageResult, MessageStatus, NextMessage, Settled, Terms};
use super::identity::ClientId;
use super::lane_queues::LaneQueues;

/// Messages that may wait while a link takes them as they come.
const MAX_FLOWING_MESSAGES: usize = 65_536;
/// Messages written and not yet proven.
const MAX_IN_FLIGHT_MESSAGES: usize = 65_536;
/// Bytes of written messages that are kept because they may have to be written again.
const MAX_IN_FLIGHT_BYTES: usize = 64 << 20;
/// What a message takes by itself, and what an id does that is remembered.
pub(crate) const MESSAGE_COST: usize = 512;
const ID_COST: usize = 320;
/// Settled ids remembered, and for how long (awake).
const MAX_REMEMBERED: usize = 4096;
const REMEMBER_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a link takes messages as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Flowing,
    Waiting,
}

/// What proves that a message has reached the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The answer to a ping sent after it.
    Pong,
    /// That it was written: there are no pings.
    Written,
}

/// The messages of one session that were accepted and have not ended.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    items: BTreeMap<u64, Item>,
    /// Not handed over yet, in order.
    queue: LaneQueues,
    queue_bytes: usize,
    /// Handed to the current link, in order.
    in_flight: VecDeque<u64>,
    /// How many of `in_flight` are written.
    in_flight_written: usize,
    /// Bytes of written messages still kept.
    in_flight_bytes: usize,
    /// Items that are `unproven`.
    unproven: usize,
    handed: u64,
    written: u64,
    /// Sizes of what was handed over and is not written.
    unwritten: VecDeque<usize>,
    unwritten_bytes: usize,
    deadlines: BTreeSet<(Duration, u64)>,
    statuses: HashMap<(ClientId, Name), MessageStatus>,
    remembered: VecDeque<(Duration, ClientId, Name)>,
    serial: u64,
}

impl Outbox {
    /// Whether another message of this size fits. One oversize message always fits an empty outbox.
    pub(crate) fn has_room(&self, bounds: &OutboxBounds, size: usize, flow: Flow) -> bool {
        let max_messages = match flow {
            Flow::Flowing => bounds.messages.max(MAX_FLOWING_MESSAGES),
            Flow::Waiting => bounds.messages,
        };
        let fits = self.queue.is_empty() || self.queue_bytes + size <= bounds.bytes;
        let is_taken =
            self.in_flight.len() < MAX_IN_FLIGHT_MESSAGES && self.in_flight_bytes < MAX_IN_FLIGHT_BYTES;
        self.queue.len() < max_messages && fits && is_taken
    }

    /// What is known of this client's id.
    pub(crate) fn status(&self, client: ClientId, id: &Name) -> Option<MessageStatus> {
        self.statuses.get(&(client, id.clone())).copied()
    }

    /// Takes responsibility for a message; its serial number.
    pub(crate) fn accept(&mut self, item: Item) -> u64 {
        self.serial += 1;
        let serial = self.serial;
        if let Some(id) = &item.id {
            self.statuses
                .insert((item.client, id.clone()), MessageStatus::Open(serial));
        }
        if item.id.is_some() || item.is_request() {
            self.deadlines.insert((item.deadline, serial));
        }
        self.queue_bytes += item.payload.len();
        self.queue.push_back(item.lane, serial);
        self.items.insert(serial, item);
        serial
    }

    /// Takes back a message from the journal.
    pub(crate) fn restore(&mut self, serial: u64, item: Item) {
        self.serial = serial - 1;
        self.accept(item);
    }

    /// A message that was taken back may have been written.
    pub(crate) fn restore_handed(&mut self, serial: u64) {
        if let Some(item) = self.items.get_mut(&serial) {
            item.place = Some(1);
            self.queue.remove(item.lane, serial);
            self.queue_bytes -= item.payload.len();
        }
    }

    /// Remembers how an id ended.
    pub(crate) fn remember(&mut self, now: Duration, client: ClientId, id: Name, outcome: Option<Outcome>) {
        self.statuses
            .insert((client, id.clone()), MessageStatus::Settled(outcome));
        self.remembered.push_back((now, client, id));
        while self.remembered.front().is_some_and(|(when, ..)| {
            self.remembered.len() > MAX_REMEMBERED || now.saturating_sub(*when) > REMEMBER_FOR
        }) {
            if let Some((_, client, id)) = self.remembered.pop_front() {
                self.statuses.remove(&(client, id));
            }
        }
    }

    /// Settled ids, oldest first.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = (ClientId, &Name, Option<Outcome>)> {
        self.remembered.iter().map(|(_, client, id)| {
            let outcome = match self.statuses.get(&(*client, id.clone())) {
                Some(MessageStatus::Settled(outcome)) => *outcome,
                _ => None,
            };
            (*client, id, outcome)
        })
    }

    /// The message of this serial number.
    pub(crate) fn get(&self, serial: u64) -> Option<&Item> {
        self.items.get(&serial)
    }

    /// Unsettled messages in order of acceptance.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Item)> {
        self.items.iter().map(|(serial, item)| (*serial, item))
    }

    /// Unsettled messages.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Unsettled messages that a link has been given.
    pub(crate) fn in_flight(&self) -> usize {
        self.items.len().saturating_sub(self.queue.len())
    }

    /// Whether messages wait that no link has been given.
    pub(crate) fn waits(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Bytes that the whole outbox takes, with what each message and each remembered id costs by itself.
    pub(crate) fn held(&self) -> usize {
        self.queue_bytes
            + self.in_flight_bytes
            + self.unwritten_bytes
            + self.items.len() * MESSAGE_COST
            + self.statuses.len() * ID_COST
    }

    /// Messages handed to the current link and not yet written, and their bytes.
    pub(crate) fn unwritten(&self) -> (usize, usize) {
        (self.unwritten.len(), self.unwritten_bytes)
    }

    /// Hands over the next message of the queue, or settles it if it waited too long, or the link cannot carry it.
    pub(crate) fn next(
        &mut self,
        boot: Duration,
        awake: Duration,
        check: impl Fn(&Payload) -> Result<(), ErrorInfo>,
    ) -> Option<NextMessage> {
        while let Some(serial) = self.queue.pop_front() {
            let Some(item) = self.items.get_mut(&serial) else {
                continue;
            };
            self.queue_bytes -= item.payload.len();
            if boot >= item.deadline {
                let result = if item.is_request() {
                    MessageResult::Response(Err(ErrorInfo::new(
                        Code::Timeout,
                        "the link did not open before the timeout",
                    )))
                } else {
                    item.expired()
                };
                return self.settle(awake, serial, result).map(NextMessage::Settled);
            }
            if let Err(why) = check(&item.payload) {
                let result = item.unsent(Outcome::Failed, why);
                return self.settle(awake, serial, result).map(NextMessage::Settled);
            }
            let size = item.payload.len();
            self.handed += 1;
            self.unwritten.push_back(size);
            self.unwritten_bytes += size;
            item.place = Some(self.handed);
            item.unproven = item.needs_proof();
            self.unproven += usize::from(item.unproven);
            if item.awaits == Awaiting::Nothing {
                self.deadlines.remove(&(item.deadline, serial));
            }
            let payload = item.payload.clone();
            self.in_flight.push_back(serial);
            return Some(NextMessage::Transmit { serial, payload });
        }
        None
    }

    /// A message of this size that is no item (greeting, subscription, beat) was handed to the link.
    pub(crate) fn count_untracked(&mut self, size: usize) {
        self.handed += 1;
        self.unwritten.push_back(size);
        self.unwritten_bytes += size;
    }

    /// The link has written `count` messages since its start.
    pub(crate) fn written(&mut self, awake: Duration, count: u64, proof: Proof) -> Vec<Settled> {
        let count = count.clamp(self.written, self.handed);
        while self.written < count {
            self.written += 1;
            self.unwritten_bytes -= self.unwritten.pop_front().unwrap_or(0);
        }
        if proof == Proof::Written {
            return self.proven(awake, self.written);
        }
        self.release_payloads();
        while let Some(serial) = self.in_flight.front().copied() {
            let dropped = match self.items.get(&serial) {
                None => true,
                Some(item) => !item.needs_proof() && item.place.is_some_and(|place| place <= self.written),
            };
            if !dropped {
                break;
            }
            self.items.remove(&serial);
            self.pop_in_flight();
        }
        Vec::new()
    }

    /// The link could not take this message.
    pub(crate) fn refuse(&mut self, awake: Duration, serial: u64, error: ErrorInfo) -> Option<Settled> {
        let result = self.items.get(&serial)?.unsent(Outcome::Failed, error);
        self.settle(awake, serial, result)
    }

    /// The message handed to the current link at this place, if it has not ended.
    pub(crate) fn serial_at(&self, place: u64) -> Option<u64> {
        self.in_flight.iter().copied().find(|serial| {
            self.items
                .get(serial)
                .is_some_and(|item| item.place == Some(place))
        })
    }

    /// The server has answered the message at this place, and by that every one before it: `error` if it did not take it.
    pub(crate) fn answered(&mut self, awake: Duration, place: u64, error: Option<ErrorInfo>) -> Vec<Settled> {
        let mut settled = Vec::new();
        let found = self.serial_at(place);
        if let Some(serial) = found
            && let Some(item) = self.items.get_mut(&serial)
        {
            let result = match error {
                Some(error) => Some(item.unsent(Outcome::Failed, error)),
                // The answer to a request comes by another way.
                None if item.is_request() => None,
                None => Some(MessageResult::Outcome(Outcome::Confirmed, None)),
            };
            match result {
                Some(result) => settled.extend(self.settle(awake, serial, result)),
                None => self.unproven -= usize::from(std::mem::take(&mut item.unproven)),
            }
        }
        self.written(awake, place, Proof::Pong);
        settled
    }

    /// Forgets the content of written messages that will not be written again.
    fn release_payloads(&mut self) {
        while let Some(serial) = self.in_flight.get(self.in_flight_written) {
            if let Some(item) = self.items.get_mut(serial) {
                if item.place.is_none_or(|place| place > self.written) {
                    break;
                }
                if item.resend {
                    item.counted_bytes = item.payload.len();
                    self.in_flight_bytes += item.counted_bytes;
                } else {
                    item.payload = Payload::Binary(bytes::Bytes::new());
                }
            }
            self.in_flight_written += 1;
        }
    }

    fn pop_in_flight(&mut self) -> Option<u64> {
        self.in_flight_written = self.in_flight_written.saturating_sub(1);
        self.in_flight.pop_front()
    }

    /// Whether written messages wait for a ping to prove them.
    pub(crate) const fn wants_proof(&self) -> bool {
        self.unproven > 0
    }

    /// Everything handed over up to now: what a ping sent now will prove.
    pub(crate) const fn handed(&self) -> u64 {
        self.handed
    }
}

#[cfg(test)]
mod tests;
