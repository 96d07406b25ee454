//! A client of a session: its position in the log, and its attachment with window and fence.
//!
//! It decides what may be delivered now; the session delivers it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::options::Window;
use crate::wire::record::Name;

use crate::core::filter::Filter;
use crate::core::identity::ClientId;
use crate::core::io::PortId;
use crate::core::journal_record::JournalRecord;

/// How long more must wait behind the window than is acknowledged before the client gets `stalled`.
const STALL_AFTER: Duration = Duration::from_secs(2);
/// How long until it gets it again, while that lasts.
const STALL_REPEAT: Duration = Duration::from_secs(30);

/// A named consumer of one session.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) name: Name,
    /// Everything up to here is processed.
    pub(crate) acked: u64,
    /// It went behind its own acknowledgement: records up to here are gone, and it has not acknowledged that.
    pub(crate) lost_before: u64,
    /// The highest `seq` ever delivered, over all attachments.
    pub(crate) delivered: u64,
    /// Held records up to here go out.
    pub(crate) release_upto: u64,
    pub(crate) filter: Filter,
    /// The one attachment that counts; an older one is fenced by its absence.
    pub(crate) attachment: Option<Attachment>,
    /// Awake time since which it is not attached.
    pub(crate) absent_since: Duration,
}

/// A client holding a session through a port.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) port: PortId,
    /// Everything up to here was delivered, or is not for this client.
    pub(crate) cursor: u64,
    /// Records up to here may have been seen before.
    pub(crate) redelivered_to: u64,
    /// Say `live` once the cursor gets here.
    pub(crate) live_at: Option<u64>,
    window: Window,
    in_flight: VecDeque<(u64, u32)>,
    in_flight_bytes: usize,
    /// Records wait behind the window.
    backlog: Option<Backlog>,
}

/// What is measured while records wait behind a window: whether the client works them off.
#[derive(Debug, Clone, Copy)]
struct Backlog {
    /// Boot time at which it is judged.
    checked_at: Duration,
    /// Records acknowledged since it was last judged.
    acknowledged: usize,
}

impl Client {
    pub(crate) fn new(id: ClientId, name: Name, position: u64, now: Duration) -> Self {
        Self {
            id,
            name,
            acked: position,
            lost_before: 0,
            delivered: position,
            release_upto: position,
            filter: Filter::default(),
            attachment: None,
            absent_since: now,
        }
    }

    /// A client that was known before the broker started.
    pub(crate) fn restored(id: ClientId, name: Name, acked: u64, lost_before: u64, now: Duration) -> Self {
        let mut client = Self::new(id, name, acked, now);
        client.lost_before = lost_before;
        client
    }

    /// Holds the session through a port from here on: everything up to `position` counts as processed, and what was lost
    /// before that up to `lost_before`. Held records wait for the next.
    pub(crate) fn attach(&mut self, attachment: Attachment, lost_before: u64, last: u64) {
        self.acked = attachment.cursor;
        self.lost_before = lost_before;
        self.release_upto = last;
        self.seen_up_to(attachment.redelivered_to);
        self.attachment = Some(attachment);
    }

    /// Holds the session no more; the port that it held it through.
    pub(crate) fn detach(&mut self, now: Duration) -> Option<PortId> {
        let attachment = self.attachment.take()?;
        self.absent_since = now;
        Some(attachment.port)
    }

    /// The port that it holds the session through.
    pub(crate) fn port(&self) -> Option<PortId> {
        self.attachment.as_ref().map(|attachment| attachment.port)
    }

    /// Everything up to `seq` has been processed; `false` when that is no news.
    pub(crate) fn acknowledge(&mut self, seq: u64) -> bool {
        let Some(attachment) = self.attachment.as_mut().filter(|_| seq > self.acked) else {
            return false;
        };
        attachment.acked(seq);
        self.acked = seq;
        true
    }

    /// Records up to here may have been delivered to it.
    pub(crate) fn seen_up_to(&mut self, seq: u64) {
        self.delivered = self.delivered.max(seq);
    }

    /// Held records up to here go out.
    pub(crate) const fn release(&mut self, seq: u64) {
        self.release_upto = seq;
    }

    /// Its filter, to change or to ask.
    pub(crate) const fn filter_mut(&mut self) -> &mut Filter {
        &mut self.filter
    }

    /// What a journal keeps of it.
    pub(crate) fn position(&self) -> JournalRecord {
        JournalRecord::Position {
            id: self.id.0,
            name: self.name.clone(),
            acked: self.acked,
            lost_before: self.lost_before,
        }
    }

    /// Records delivered and not yet acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.attachment
            .as_ref()
            .map_or(0, |attachment| attachment.in_flight.len())
    }
}

impl Attachment {
    pub(crate) const fn new(
        port: PortId,
        position: u64,
        redelivered_to: u64,
        live_at: u64,
        window: Window,
    ) -> Self {
        Self {
            port,
            cursor: position,
            redelivered_to,
            live_at: Some(live_at),
            window,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            backlog: None,
        }
    }

    /// The record is not for this client.
    pub(crate) const fn pass(&mut self, seq: u64) {
        self.cursor = seq;
    }

    /// Whether `live` is to be sent now, before this record, or because there is no other; once.
    pub(crate) fn take_live(&mut self, next: Option<u64>) -> bool {
        let is_reached = |live: &mut u64| next.is_none_or(|seq| seq > *live);
        self.live_at.take_if(is_reached).is_some()
    }

    /// Whether a record of `cost` bytes may go now. One oversize record always fits when nothing is in flight.
    pub(crate) fn has_room(&self, cost: usize) -> bool {
        if self.window.messages == 0 || self.window.bytes == 0 {
            return false;
        }
        self.in_flight.is_empty()
            || (self.in_flight.len() < self.window.messages
                && self.in_flight_bytes + cost <= self.window.bytes)
    }

    /// A record has been handed to the port.
    pub(crate) fn delivered(&mut self, seq: u64, cost: usize) {
        self.cursor = seq;
        self.in_flight
            .push_back((seq, u32::try_from(cost).unwrap_or(u32::MAX)));
        self.in_flight_bytes += cost;
    }

    /// Everything up to `seq` is processed.
    pub(crate) fn acked(&mut self, seq: u64) {
        let before = self.in_flight.len();
        while let Some((_, cost)) = self.in_flight.front().copied().filter(|(first, _)| *first <= seq) {
            self.in_flight.pop_front();
            self.in_flight_bytes -= cost as usize;
        }
        if let Some(backlog) = &mut self.backlog {
            backlog.acknowledged += before - self.in_flight.len();
        }
        if self.in_flight.is_empty() && self.in_flight.capacity() > 1024 {
            self.in_flight = VecDeque::new();
        }
    }

    pub(crate) const fn set_window(&mut self, window: Window) {
        self.window = window;
        self.backlog = None;
    }

    /// Records wait because the window is full. A window of 0 was asked for and is no stall.
    pub(crate) fn falls_behind(&mut self, now: Duration) {
        if self.window.messages > 0 && self.window.bytes > 0 {
            self.backlog.get_or_insert(Backlog {
                checked_at: now + STALL_AFTER,
                acknowledged: 0,
            });
        }
    }

    /// Nothing waits behind the window any more.
    pub(crate) const fn catches_up(&mut self) {
        self.backlog = None;
    }

    /// When it is to be judged whether the client is slower than the stream, in boot time.
    pub(crate) fn stall_deadline(&self) -> Option<Duration> {
        self.backlog.map(|backlog| backlog.checked_at)
    }

    /// Judges, with so many records waiting behind the window; `true`: more wait than were acknowledged since.
    pub(crate) fn check_backlog(&mut self, now: Duration, waiting: usize) -> bool {
        let Some(backlog) = &mut self.backlog else {
            return false;
        };
        let is_stalled = waiting > backlog.acknowledged;
        let next = if is_stalled { STALL_REPEAT } else { STALL_AFTER };
        *backlog = Backlog {
            checked_at: now + next,
            acknowledged: 0,
        };
        is_stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(messages: usize, bytes: usize) -> Attachment {
        Attachment::new(PortId(1), 0, 0, 0, Window { messages, bytes })
    }

    #[test]
    fn an_empty_window_accepts_one_oversize_record() {
        let mut attachment = attachment(10, 100);
        assert!(attachment.has_room(1000));
        attachment.delivered(1, 1000);
        assert!(!attachment.has_room(0));
        attachment.acked(1);
        assert!(attachment.has_room(0));
    }

    #[test]
    fn a_zero_window_pauses_delivery() {
        for (messages, bytes) in [(0, 1), (1, 0)] {
            let mut attachment = attachment(messages, bytes);
            assert!(!attachment.has_room(0));
            attachment.falls_behind(Duration::ZERO);
            assert_eq!(attachment.stall_deadline(), None);
        }
    }

    #[test]
    fn an_acknowledgement_is_cumulative() {
        let mut attachment = attachment(2, 100);
        attachment.delivered(3, 10);
        attachment.delivered(7, 10);
        assert!(!attachment.has_room(0));
        attachment.acked(6);
        assert!(attachment.has_room(90) && !attachment.has_room(91));
    }

    #[test]
    fn a_stall_is_reported_while_more_waits_than_was_acknowledged() {
        let mut attachment = attachment(4, 100);
        for seq in 1..=4 {
            attachment.delivered(seq, 1);
        }
        attachment.falls_behind(Duration::ZERO);
        attachment.falls_behind(Duration::from_secs(1));
        assert_eq!(
            attachment.stall_deadline(),
            Some(STALL_AFTER),
            "it counts from the first"
        );
        attachment.acked(2);
        assert!(
            attachment.check_backlog(STALL_AFTER, 3),
            "three wait, two were acknowledged"
        );
        assert_eq!(attachment.stall_deadline(), Some(STALL_AFTER + STALL_REPEAT));
        attachment.acked(4);
        assert!(
            !attachment.check_backlog(STALL_AFTER + STALL_REPEAT, 2),
            "it keeps up"
        );
        assert_eq!(attachment.stall_deadline(), Some(2 * STALL_AFTER + STALL_REPEAT));
        attachment.catches_up();
        assert_eq!(attachment.stall_deadline(), None);
    }
}
