//! How messages of the outbox end: by proof, by the loss of the link, on request, or because their time is over.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::record::{ErrorInfo, Outcome};

use super::{Awaiting, MessageResult, Outbox, Settled};

impl Outbox {
    /// The far endpoint has read everything up to this place.
    pub(crate) fn proven(&mut self, awake: Duration, place: u64) -> Vec<Settled> {
        let mut settled = Vec::new();
        while let Some(serial) = self.in_flight.front().copied() {
            let Some(item) = self.items.get_mut(&serial) else {
                self.pop_in_flight();
                continue;
            };
            if item.place.is_none_or(|at| at > place) {
                break;
            }
            item.proven = true;
            self.unproven -= usize::from(std::mem::take(&mut item.unproven));
            // The far endpoint has read it: it will not be written again.
            self.in_flight_bytes -= std::mem::take(&mut item.counted_bytes);
            self.pop_in_flight();
            let Some(item) = self.items.get(&serial) else {
                continue;
            };
            if item.awaits != Awaiting::Nothing {
                continue;
            }
            settled.extend(self.settle(awake, serial, MessageResult::Outcome(Outcome::Sent, None)));
        }
        settled
    }

    /// The link is gone; it had begun to hand `taken` messages to the socket. What is certainly unsent waits again.
    pub(crate) fn link_lost(&mut self, awake: Duration, taken: u64) -> Vec<Settled> {
        // What was written is kept without its content: it must never wait again, whatever the link reports last.
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
            let result = match (was_taken, item.proven) {
                (false, _) if item.volatile => item.unsent(
                    Outcome::Dropped,
                    ErrorInfo::new(Code::NotSent, "the link was lost before it was written"),
                ),
                (false, _) => {
                    again.push(serial);
                    continue;
                }
                (true, true) if !item.is_request() => MessageResult::Outcome(Outcome::Sent, None),
                (true, proven) if item.resend && (!proven || item.is_request()) => {
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
            settled.extend(self.settle(awake, serial, result));
        }
        for serial in again.into_iter().rev() {
            self.queue_again(serial, taken);
        }
        self.in_flight.clear();
        self.in_flight_written = 0;
        self.in_flight_bytes = 0;
        self.unproven = 0;
        self.handed = 0;
        self.written = 0;
        self.unwritten.clear();
        self.unwritten_bytes = 0;
        settled
    }

    /// A message waits again, before all others of its lane; `taken`: how many the link had begun to hand over.
    fn queue_again(&mut self, serial: u64, taken: u64) {
        if let Some(item) = self.items.get_mut(&serial) {
            item.maybe_sent |= item.place.is_some_and(|place| place <= taken);
            item.place = None;
            item.proven = false;
            item.unproven = false;
            item.counted_bytes = 0;
            self.queue_bytes += item.payload.len();
            self.queue.push_front(item.lane, serial);
            self.deadlines.insert((item.deadline, serial));
        }
    }

    /// Ends a message. Removal, result and memory of it are one step; `None` if it has ended before.
    pub(crate) fn settle(&mut self, awake: Duration, serial: u64, result: MessageResult) -> Option<Settled> {
        let item = self.items.remove(&serial)?;
        self.unproven -= usize::from(item.unproven);
        self.in_flight_bytes -= item.counted_bytes;
        self.deadlines.remove(&(item.deadline, serial));
        if !item.is_handed() && self.queue.remove(item.lane, serial) {
            self.queue_bytes -= item.payload.len();
        }
        if let Some(id) = &item.id {
            let outcome = match &result {
                MessageResult::Outcome(outcome, _) => Some(*outcome),
                MessageResult::Response(_) => None,
            };
            self.remember(awake, item.client, id.clone(), outcome);
        }
        Some(Settled {
            serial,
            client: item.client,
            id: item.id,
            receipt: item.receipt,
            result,
        })
    }

    /// Withdraws a message, or stops waiting for what becomes of it.
    pub(crate) fn cancel(&mut self, awake: Duration, serial: u64) -> Option<Settled> {
        let item = self.items.get(&serial)?;
        let why = if item.may_have_gone() {
            "the extension stopped waiting; it may have been written already"
        } else {
            "the extension withdrew it before it was written"
        };
        let result = item.end(Outcome::Cancelled, ErrorInfo::new(Code::Cancelled, why));
        self.settle(awake, serial, result)
    }

    /// Withdraws everything that no link has been given.
    pub(crate) fn cancel_queued(&mut self, awake: Duration) -> Vec<Settled> {
        let queued = self.items.iter().filter(|(_, item)| !item.is_handed());
        let serials: Vec<u64> = queued.map(|(serial, _)| *serial).collect();
        serials
            .into_iter()
            .filter_map(|serial| {
                let item = self.items.get(&serial)?;
                let why = "the session was closed before it was sent";
                let result = item.unsent(Outcome::Cancelled, ErrorInfo::new(Code::NotSent, why));
                self.settle(awake, serial, result)
            })
            .collect()
    }

    /// A volatile message found no open link.
    pub(crate) fn drop_volatile(&mut self, awake: Duration, serial: u64) -> Option<Settled> {
        let error = ErrorInfo::new(Code::NotSent, "the link is not open");
        let result = self.items.get(&serial)?.end(Outcome::Dropped, error);
        self.settle(awake, serial, result)
    }

    /// The session ends: everything is settled, truthfully.
    pub(crate) fn end(&mut self, awake: Duration) -> Vec<Settled> {
        let serials: Vec<u64> = self.items.keys().copied().collect();
        let mut settled = Vec::new();
        for serial in serials {
            let Some(item) = self.items.get(&serial) else {
                continue;
            };
            let result = if !item.is_handed() {
                item.unsent(
                    Outcome::Cancelled,
                    ErrorInfo::new(Code::NotSent, "the session was closed before it was sent"),
                )
            } else if item.proven && !item.is_request() {
                MessageResult::Outcome(Outcome::Sent, None)
            } else {
                item.end(
                    Outcome::Unknown,
                    ErrorInfo::new(Code::LinkLost, "the session was closed before any proof"),
                )
            };
            settled.extend(self.settle(awake, serial, result));
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
            let result = if item.is_request() {
                MessageResult::Response(Err(ErrorInfo::new(
                    Code::Timeout,
                    "no answer came before the deadline",
                )))
            } else if item.proven {
                MessageResult::Outcome(Outcome::Sent, None)
            } else if item.is_handed() {
                // Not proven and not lost either: a pong or the link's end will show, no confirmation is awaited any more.
                item.awaits = Awaiting::Nothing;
                continue;
            } else {
                item.expired()
            };
            settled.extend(self.settle(awake, serial, result));
        }
        settled
    }

    /// When something is overdue next, in boot time.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
