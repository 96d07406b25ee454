//! Messages accepted and not yet settled: bounded, in order, exactly one verdict each.
//!
//! It keeps and settles; it does not write to a link, and it appends no record: the session does both.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::message::USUAL_LANE;
use crate::wire::options::OutboxBounds;
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name, Outcome};

use super::lanes::Lanes;
use super::log::ClientId;

/// Messages that may wait while a link takes them as they come.
const FLOWING_MESSAGES: usize = 65_536;
/// Messages written and not yet proven.
const FLYING_MESSAGES: usize = 65_536;
/// Bytes of written messages that are kept because they may have to be written again.
const FLYING_BYTES: usize = 64 << 20;
/// Settled ids remembered, and for how long (awake).
const REMEMBERED: usize = 4096;
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// One accepted message.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) client: ClientId,
    pub(crate) id: Option<Name>,
    pub(crate) payload: Payload,
    pub(crate) volatile: bool,
    /// Which lane it waits in.
    pub(crate) lane: u8,
    pub(crate) resend: bool,
    pub(crate) receipt: bool,
    /// It waits for a rule to confirm it.
    pub(crate) confirms: bool,
    /// It waits for an answer.
    pub(crate) is_request: bool,
    /// Boot time after which it is not written any more; for a request, after which no answer is awaited.
    pub(crate) deadline: Duration,
    /// An earlier link may have carried it to the far end.
    tried: bool,
    /// Its place among the messages of the current link, once handed over.
    place: Option<u64>,
    /// The far endpoint has answered a ping sent after it.
    proven: bool,
    /// Handed to the current link, and somebody waits for that answer.
    unproven: bool,
}

/// How a message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// For a `send`.
    Outcome(Outcome, Option<ErrorInfo>),
    /// For a `request`.
    Response(Result<Payload, ErrorInfo>),
}

/// A message that ended just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) serial: u64,
    pub(crate) client: ClientId,
    pub(crate) id: Option<Name>,
    pub(crate) receipt: bool,
    pub(crate) verdict: Verdict,
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Accepted, not settled.
    Open(u64),
    /// Settled; requests have no outcome.
    Settled(Option<Outcome>),
}

/// The next step of the outgoing direction.
#[derive(Debug)]
pub(crate) enum Next {
    /// Transmit this; it is counted as handed over.
    Transmit { serial: u64, payload: Payload },
    /// It waited too long.
    Settled(Settled),
}

/// The outgoing direction of one session.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    items: BTreeMap<u64, Item>,
    /// Not handed over yet, in order.
    queue: Lanes,
    queue_bytes: usize,
    /// Handed to the current link, in order.
    flying: VecDeque<u64>,
    /// How many of `flying` are written.
    flying_written: usize,
    /// Bytes of written messages still kept.
    flying_bytes: usize,
    /// Items that are `unproven`.
    unproven: usize,
    handed: u64,
    written: u64,
    /// Sizes of what was handed over and is not written.
    unwritten: VecDeque<usize>,
    unwritten_bytes: usize,
    deadlines: BTreeSet<(Duration, u64)>,
    fates: HashMap<(ClientId, Name), Fate>,
    remembered: VecDeque<(Duration, ClientId, Name)>,
    serial: u64,
}

impl Item {
    /// A message just taken from the extension.
    pub(crate) const fn new(
        client: ClientId,
        id: Option<Name>,
        payload: Payload,
        deadline: Duration,
    ) -> Self {
        Self {
            client,
            id,
            payload,
            volatile: false,
            lane: USUAL_LANE,
            resend: false,
            receipt: false,
            confirms: false,
            is_request: false,
            deadline,
            tried: false,
            place: None,
            proven: false,
            unproven: false,
        }
    }

    /// Whether anybody wants to know how it ends.
    const fn needs_proof(&self) -> bool {
        self.id.is_some() || self.resend
    }

    /// Whether it was handed to a link.
    pub(crate) const fn is_handed(&self) -> bool {
        self.place.is_some()
    }

    /// It was not sent on this link; whether it was on another, nobody may be able to say.
    fn unsent(&self, outcome: Outcome, error: ErrorInfo) -> Verdict {
        if self.tried {
            let error = ErrorInfo::new(
                Code::LinkLost,
                "an earlier link was lost after it was written: it may have been processed",
            );
            return self.end(Outcome::Unknown, error);
        }
        self.end(outcome, error)
    }

    /// Whether this link or an earlier one may have carried it.
    pub(crate) const fn may_have_gone(&self) -> bool {
        self.is_handed() || self.tried
    }

    fn expired(&self) -> Verdict {
        let error = ErrorInfo::new(Code::Timeout, "it waited longer than its `ttl`");
        self.unsent(Outcome::Expired, error)
    }

    fn end(&self, outcome: Outcome, error: ErrorInfo) -> Verdict {
        if self.is_request {
            Verdict::Response(Err(error))
        } else if outcome.is_good() {
            Verdict::Outcome(outcome, None)
        } else {
            Verdict::Outcome(outcome, Some(error))
        }
    }
}

impl Outbox {
    /// Whether another message of this size fits. One oversize message always fits an empty outbox.
    pub(crate) fn has_room(&self, bounds: &OutboxBounds, size: usize, flowing: bool) -> bool {
        let most = if flowing {
            bounds.messages.max(FLOWING_MESSAGES)
        } else {
            bounds.messages
        };
        let fits = self.queue.is_empty() || self.queue_bytes + size <= bounds.bytes;
        let flies = self.flying.len() < FLYING_MESSAGES && self.flying_bytes < FLYING_BYTES;
        self.queue.len() < most && fits && flies
    }

    /// What is known of this client's id.
    pub(crate) fn fate(&self, client: ClientId, id: &Name) -> Option<Fate> {
        self.fates.get(&(client, id.clone())).copied()
    }

    /// Takes responsibility for a message; its serial number.
    pub(crate) fn accept(&mut self, item: Item) -> u64 {
        self.serial += 1;
        let serial = self.serial;
        if let Some(id) = &item.id {
            self.fates.insert((item.client, id.clone()), Fate::Open(serial));
        }
        if item.id.is_some() || item.is_request {
            self.deadlines.insert((item.deadline, serial));
        }
        self.queue_bytes += item.payload.len();
        self.queue.push_back(item.lane, serial);
        self.items.insert(serial, item);
        serial
    }

    /// Takes back a message from the journal; `handed` if it may have been written.
    pub(crate) fn take_back(&mut self, serial: u64, item: Item, handed: bool) {
        self.serial = serial - 1;
        self.accept(item);
        if handed && let Some(item) = self.items.get_mut(&serial) {
            item.place = Some(1);
            self.queue.remove(item.lane, serial);
            self.queue_bytes -= item.payload.len();
        }
    }

    /// Remembers how an id ended.
    pub(crate) fn remember(&mut self, now: Duration, client: ClientId, id: Name, outcome: Option<Outcome>) {
        self.fates.insert((client, id.clone()), Fate::Settled(outcome));
        self.remembered.push_back((now, client, id));
        while self.remembered.front().is_some_and(|(when, ..)| {
            self.remembered.len() > REMEMBERED || now.saturating_sub(*when) > REMEMBERED_FOR
        }) {
            if let Some((_, client, id)) = self.remembered.pop_front() {
                self.fates.remove(&(client, id));
            }
        }
    }

    /// Settled ids, oldest first.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = (ClientId, &Name, Option<Outcome>)> {
        self.remembered.iter().map(|(_, client, id)| {
            let outcome = match self.fates.get(&(*client, id.clone())) {
                Some(Fate::Settled(outcome)) => *outcome,
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

    /// Payload bytes that wait to be written.
    pub(crate) const fn bytes(&self) -> usize {
        self.queue_bytes
    }

    /// Messages handed to the current link and not yet written, and their bytes.
    pub(crate) fn unwritten(&self) -> (usize, usize) {
        (self.unwritten.len(), self.unwritten_bytes)
    }

    /// Hands over the next message of the queue, or settles it if it waited too long.
    pub(crate) fn next(&mut self, boot: Duration, awake: Duration) -> Option<Next> {
        while let Some(serial) = self.queue.pop_front() {
            let Some(item) = self.items.get_mut(&serial) else {
                continue;
            };
            self.queue_bytes -= item.payload.len();
            if boot >= item.deadline {
                let verdict = if item.is_request {
                    Verdict::Response(Err(ErrorInfo::new(
                        Code::Timeout,
                        "no link came up before the deadline",
                    )))
                } else {
                    item.expired()
                };
                return self.settle(awake, serial, verdict).map(Next::Settled);
            }
            let size = item.payload.len();
            self.handed += 1;
            self.unwritten.push_back(size);
            self.unwritten_bytes += size;
            item.place = Some(self.handed);
            item.unproven = item.needs_proof();
            self.unproven += usize::from(item.unproven);
            if !item.is_request && !item.confirms {
                self.deadlines.remove(&(item.deadline, serial));
            }
            let payload = item.payload.clone();
            self.flying.push_back(serial);
            return Some(Next::Transmit { serial, payload });
        }
        None
    }

    /// A message of this size that is no item (greeting, subscription, beat) was handed to the link.
    pub(crate) fn count_foreign(&mut self, size: usize) {
        self.handed += 1;
        self.unwritten.push_back(size);
        self.unwritten_bytes += size;
    }

    /// The link has written `count` messages since its start; with `final_word`, that is all the proof there is.
    pub(crate) fn written(&mut self, awake: Duration, count: u64, final_word: bool) -> Vec<Settled> {
        let count = count.clamp(self.written, self.handed);
        while self.written < count {
            self.written += 1;
            self.unwritten_bytes -= self.unwritten.pop_front().unwrap_or(0);
        }
        if final_word {
            return self.proven(awake, self.written);
        }
        self.let_go();
        while let Some(serial) = self.flying.front().copied() {
            let gone = match self.items.get(&serial) {
                None => true,
                Some(item) => !item.needs_proof() && item.place.is_some_and(|place| place <= self.written),
            };
            if !gone {
                break;
            }
            self.items.remove(&serial);
            self.pop_flying();
        }
        Vec::new()
    }

    /// The link could not take this message.
    pub(crate) fn refuse(&mut self, awake: Duration, serial: u64, error: ErrorInfo) -> Option<Settled> {
        let verdict = self.items.get(&serial)?.end(Outcome::Failed, error);
        self.settle(awake, serial, verdict)
    }

    /// The server has answered the message at this place, and by that every one before it: `error` if it did not take it.
    pub(crate) fn answered(&mut self, awake: Duration, place: u64, error: Option<ErrorInfo>) -> Vec<Settled> {
        let mut settled = Vec::new();
        let found = self.flying.iter().copied().find(|serial| {
            self.items
                .get(serial)
                .is_some_and(|item| item.place == Some(place))
        });
        if let Some(serial) = found
            && let Some(item) = self.items.get_mut(&serial)
        {
            let verdict = match error {
                Some(error) => Some(item.end(Outcome::Failed, error)),
                // The answer to a request comes by another way.
                None if item.is_request => None,
                None => Some(Verdict::Outcome(Outcome::Confirmed, None)),
            };
            match verdict {
                Some(verdict) => settled.extend(self.settle(awake, serial, verdict)),
                None => self.unproven -= usize::from(std::mem::take(&mut item.unproven)),
            }
        }
        self.written(awake, place, false);
        settled
    }

    /// Forgets the content of written messages that will not be written again.
    fn let_go(&mut self) {
        while let Some(serial) = self.flying.get(self.flying_written) {
            if let Some(item) = self.items.get_mut(serial) {
                if item.place.is_none_or(|place| place > self.written) {
                    break;
                }
                if item.resend {
                    self.flying_bytes += item.payload.len();
                } else {
                    item.payload = Payload::Binary(bytes::Bytes::new());
                }
            }
            self.flying_written += 1;
        }
    }

    fn pop_flying(&mut self) -> Option<u64> {
        self.flying_written = self.flying_written.saturating_sub(1);
        self.flying.pop_front()
    }

    /// Whether written messages wait for a ping to prove them.
    pub(crate) const fn wants_proof(&self) -> bool {
        self.unproven > 0
    }

    /// Everything handed over up to now: what a ping sent now will prove.
    pub(crate) const fn handed(&self) -> u64 {
        self.handed
    }

    /// The far endpoint has read everything up to this place.
    pub(crate) fn proven(&mut self, awake: Duration, place: u64) -> Vec<Settled> {
        let mut settled = Vec::new();
        while let Some(serial) = self.flying.front().copied() {
            let Some(item) = self.items.get_mut(&serial) else {
                self.pop_flying();
                continue;
            };
            if item.place.is_none_or(|at| at > place) {
                break;
            }
            item.proven = true;
            self.unproven -= usize::from(std::mem::take(&mut item.unproven));
            if item.resend {
                // The far endpoint has read it: it will not be written again.
                self.flying_bytes = self.flying_bytes.saturating_sub(item.payload.len());
            }
            self.pop_flying();
            let Some(item) = self.items.get(&serial) else {
                continue;
            };
            if item.is_request || item.confirms {
                continue;
            }
            settled.extend(self.settle(awake, serial, Verdict::Outcome(Outcome::Sent, None)));
        }
        settled
    }

    /// The link is gone; it had begun to hand `taken` messages to the socket. What is certainly unsent waits again.
    pub(crate) fn link_lost(&mut self, awake: Duration, taken: u64) -> Vec<Settled> {
        // What was written is kept without its content: it must never wait again, whatever the link says last.
        let taken = taken.max(self.written);
        let mut settled = Vec::new();
        let mut again = Vec::new();
        let handed: Vec<u64> = self
            .items
            .iter()
            .filter(|(_, item)| item.is_handed())
            .map(|(serial, _)| *serial)
            .collect();
        for serial in handed {
            let Some(item) = self.items.get_mut(&serial) else {
                continue;
            };
            let was_taken = item.place.is_some_and(|place| place <= taken);
            let verdict = match (was_taken, item.proven) {
                (false, _) if item.volatile => item.unsent(
                    Outcome::Dropped,
                    ErrorInfo::new(Code::NotSent, "the link was lost before it was written"),
                ),
                (false, _) => {
                    again.push(serial);
                    continue;
                }
                (true, true) if !item.is_request => Verdict::Outcome(Outcome::Sent, None),
                (true, proven) if item.resend && (!proven || item.is_request) => {
                    again.push(serial);
                    continue;
                }
                (true, _) => item.end(
                    Outcome::Unknown,
                    ErrorInfo::new(
                        Code::LinkLost,
                        "the link was lost after it was written: it may have been processed",
                    ),
                ),
            };
            settled.extend(self.settle(awake, serial, verdict));
        }
        for serial in again.into_iter().rev() {
            if let Some(item) = self.items.get_mut(&serial) {
                item.tried |= item.place.is_some_and(|place| place <= taken);
                item.place = None;
                item.proven = false;
                item.unproven = false;
                self.queue_bytes += item.payload.len();
                self.queue.push_front(item.lane, serial);
                self.deadlines.insert((item.deadline, serial));
            }
        }
        self.flying.clear();
        self.flying_written = 0;
        self.flying_bytes = 0;
        self.unproven = 0;
        self.handed = 0;
        self.written = 0;
        self.unwritten.clear();
        self.unwritten_bytes = 0;
        settled
    }

    /// Ends a message. Removal, verdict and memory of it are one step; `None` if it has ended before.
    pub(crate) fn settle(&mut self, awake: Duration, serial: u64, verdict: Verdict) -> Option<Settled> {
        let item = self.items.remove(&serial)?;
        self.unproven -= usize::from(item.unproven);
        self.deadlines.remove(&(item.deadline, serial));
        if !item.is_handed() && self.queue.remove(item.lane, serial) {
            self.queue_bytes -= item.payload.len();
        }
        if let Some(id) = &item.id {
            let outcome = match &verdict {
                Verdict::Outcome(outcome, _) => Some(*outcome),
                Verdict::Response(_) => None,
            };
            self.remember(awake, item.client, id.clone(), outcome);
        }
        Some(Settled {
            serial,
            client: item.client,
            id: item.id,
            receipt: item.receipt,
            verdict,
        })
    }

    /// Withdraws a message.
    pub(crate) fn cancel(&mut self, awake: Duration, serial: u64) -> Option<Settled> {
        let error = ErrorInfo::new(Code::Cancelled, "the extension withdrew it");
        let verdict = self.items.get(&serial)?.end(Outcome::Cancelled, error);
        self.settle(awake, serial, verdict)
    }

    /// A volatile message found no open link.
    pub(crate) fn drop_volatile(&mut self, awake: Duration, serial: u64) -> Option<Settled> {
        let error = ErrorInfo::new(Code::NotSent, "the link is not open");
        let verdict = self.items.get(&serial)?.end(Outcome::Dropped, error);
        self.settle(awake, serial, verdict)
    }

    /// The session ends: everything is settled, truthfully.
    pub(crate) fn end(&mut self, awake: Duration) -> Vec<Settled> {
        let serials: Vec<u64> = self.items.keys().copied().collect();
        let mut settled = Vec::new();
        for serial in serials {
            let Some(item) = self.items.get(&serial) else {
                continue;
            };
            let verdict = if !item.is_handed() {
                item.unsent(
                    Outcome::Cancelled,
                    ErrorInfo::new(Code::NotSent, "the session was closed before it was sent"),
                )
            } else if item.proven && !item.is_request {
                Verdict::Outcome(Outcome::Sent, None)
            } else {
                item.end(
                    Outcome::Unknown,
                    ErrorInfo::new(Code::LinkLost, "the session was closed before any proof"),
                )
            };
            settled.extend(self.settle(awake, serial, verdict));
        }
        settled
    }

    /// Settles what is overdue.
    pub(crate) fn expire(&mut self, boot: Duration, awake: Duration) -> Vec<Settled> {
        let mut settled = Vec::new();
        while let Some((deadline, serial)) = self
            .deadlines
            .first()
            .copied()
            .filter(|(deadline, _)| *deadline <= boot)
        {
            self.deadlines.remove(&(deadline, serial));
            let Some(item) = self.items.get_mut(&serial) else {
                continue;
            };
            let verdict = if item.is_request {
                Verdict::Response(Err(ErrorInfo::new(
                    Code::Timeout,
                    "no answer came before the deadline",
                )))
            } else if item.proven {
                Verdict::Outcome(Outcome::Sent, None)
            } else if item.is_handed() {
                // Not proven and not lost either: a pong or the link's end will tell, no confirmation is awaited any more.
                item.confirms = false;
                continue;
            } else {
                item.expired()
            };
            settled.extend(self.settle(awake, serial, verdict));
        }
        settled
    }

    /// When something is overdue next, in boot time.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientId = ClientId(1);
    const NOW: Duration = Duration::ZERO;
    const LATER: Duration = Duration::from_secs(60);

    fn item(id: &str) -> Item {
        Item::new(CLIENT, Some(id.into()), Payload::text("x"), LATER)
    }

    fn hand(outbox: &mut Outbox) -> u64 {
        match outbox.next(NOW, NOW) {
            Some(Next::Transmit { serial, .. }) => serial,
            other => panic!("{other:?}"),
        }
    }

    fn outcomes(settled: &[Settled]) -> Vec<(&str, Outcome)> {
        settled
            .iter()
            .map(|settled| match &settled.verdict {
                Verdict::Outcome(outcome, _) => (settled.id.as_deref().unwrap_or("-"), *outcome),
                Verdict::Response(_) => panic!("{settled:?}"),
            })
            .collect()
    }

    #[test]
    fn only_a_pong_proves_what_was_written_before_its_ping() {
        let mut outbox = Outbox::default();
        outbox.accept(item("a"));
        outbox.accept(item("b"));
        hand(&mut outbox);
        let covered = outbox.handed();
        hand(&mut outbox);
        assert!(outbox.written(NOW, 2, false).is_empty() && outbox.wants_proof());
        assert_eq!(outcomes(&outbox.proven(NOW, covered)), [("a", Outcome::Sent)]);
        assert_eq!(outcomes(&outbox.link_lost(NOW, 2)), [("b", Outcome::Unknown)]);
        assert_eq!(
            outbox.fate(CLIENT, &"b".into()),
            Some(Fate::Settled(Some(Outcome::Unknown)))
        );
    }

    #[test]
    fn what_the_link_never_took_waits_again_in_order() {
        let mut outbox = Outbox::default();
        for id in ["a", "b", "c", "d"] {
            outbox.accept(item(id));
        }
        for _ in 0..3 {
            hand(&mut outbox);
        }
        assert_eq!(outcomes(&outbox.link_lost(NOW, 1)), [("a", Outcome::Unknown)]);
        assert_eq!(
            [hand(&mut outbox), hand(&mut outbox), hand(&mut outbox)],
            [2, 3, 4]
        );
    }

    #[test]
    fn what_was_written_never_waits_again_without_its_content() {
        let mut outbox = Outbox::default();
        outbox.accept(item("a"));
        hand(&mut outbox);
        outbox.written(NOW, 1, false);
        assert_eq!(outcomes(&outbox.link_lost(NOW, 0)), [("a", Outcome::Unknown)]);
        assert!(outbox.next(NOW, NOW).is_none());
    }

    #[test]
    fn resend_goes_first_again_and_volatile_goes_nowhere() {
        let mut outbox = Outbox::default();
        outbox.accept(Item {
            resend: true,
            ..item("again")
        });
        outbox.accept(Item {
            volatile: true,
            ..item("brief")
        });
        outbox.accept(item("next"));
        hand(&mut outbox);
        hand(&mut outbox);
        assert_eq!(outcomes(&outbox.link_lost(NOW, 1)), [("brief", Outcome::Dropped)]);
        assert_eq!([hand(&mut outbox), hand(&mut outbox)], [1, 3]);
    }

    #[test]
    fn what_an_earlier_link_may_have_carried_is_never_called_unsent() {
        let mut outbox = Outbox::default();
        for id in ["waits", "ends"] {
            outbox.accept(Item {
                resend: true,
                ..item(id)
            });
            hand(&mut outbox);
        }
        assert!(outbox.link_lost(NOW, 2).is_empty());
        assert_eq!(
            outcomes(&outbox.end(NOW)),
            [("waits", Outcome::Unknown), ("ends", Outcome::Unknown)]
        );
    }

    #[test]
    fn an_unnamed_message_leaves_no_trace_once_written() {
        let mut outbox = Outbox::default();
        outbox.accept(Item { id: None, ..item("") });
        hand(&mut outbox);
        assert!(!outbox.wants_proof());
        assert!(outbox.written(NOW, 1, false).is_empty());
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn waiting_ends_with_its_time_and_only_once() {
        let mut outbox = Outbox::default();
        let serial = outbox.accept(item("a"));
        assert_eq!(outbox.deadline(), Some(LATER));
        assert_eq!(outcomes(&outbox.expire(LATER, NOW)), [("a", Outcome::Expired)]);
        assert!(outbox.cancel(NOW, serial).is_none());
        assert!(outbox.next(LATER, NOW).is_none());
        assert!(outbox.queue.is_empty());
    }

    #[test]
    fn bounds_hold_and_one_oversize_message_fits_an_empty_outbox() {
        let bounds = OutboxBounds {
            messages: 2,
            bytes: 10,
            ttl: 0,
        };
        let mut outbox = Outbox::default();
        assert!(outbox.has_room(&bounds, 1000, false));
        outbox.accept(item("a"));
        assert!(outbox.has_room(&bounds, 9, false) && !outbox.has_room(&bounds, 10, false));
        outbox.accept(item("b"));
        assert!(!outbox.has_room(&bounds, 0, false) && outbox.has_room(&bounds, 0, true));
    }

    #[test]
    fn only_so_many_settled_ids_are_remembered() {
        let mut outbox = Outbox::default();
        for number in 0..=REMEMBERED {
            let serial = outbox.accept(item(&number.to_string()));
            outbox.cancel(NOW, serial);
        }
        assert_eq!(outbox.fate(CLIENT, &"0".into()), None);
        assert!(outbox.fate(CLIENT, &"1".into()).is_some());
        outbox.remember(REMEMBERED_FOR * 2, CLIENT, "new".into(), None);
        assert_eq!(outbox.fate(CLIENT, &"1".into()), None);
    }
}
