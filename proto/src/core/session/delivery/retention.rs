//! Retention: which of the server's messages the log keeps, and which it drops to stay within its limits.
//!
//! What is dropped becomes a gap in its place; that is the log's. How many bytes there are in all, the session knows.

use std::time::Duration;

use crate::wire::code::GapReason;
use crate::wire::options::{Options, Overflow};
use crate::wire::payload::Payload;
use crate::wire::record::Body;

use crate::core::recorded_log::{RECORD_COST, RecordedLog};

use super::views::Views;
use super::{Delivery, DeliveryContext, ReadRequest};

/// What the socket may have read before it noticed that reading was paused.
const PAUSE_SLACK_MESSAGES: usize = 2048;
const PAUSE_SLACK_BYTES: usize = 2 * 1024 * 1024;
/// A message of this size fits whatever else the extension holds.
pub(in crate::core::session) const MIN_ROOM: usize = 4096;

impl Delivery {
    /// Takes a message of the server's into the log, within its bounds; its `seq`, unless it was lost. `admit` has said how
    /// clients see it.
    pub(in crate::core::session) fn append_message(
        &mut self,
        ctx: &mut DeliveryContext<'_>,
        payload: Payload,
        views: Views,
    ) -> Option<u64> {
        self.drop_aged(ctx);
        let cost = RECORD_COST + payload.len() + payload.extras();
        if cost > ctx.room.max(MIN_ROOM) {
            // Not even alone: the extension holds as much as it may.
            self.lose_message(ctx, GapReason::Overflow);
            return None;
        }
        if !self.make_room(ctx.options, payload.len(), cost, ctx.room) {
            self.lose_message(ctx, GapReason::Overflow);
            return None;
        }
        let body = Body::Message {
            payload,
            time: ctx.now.wall,
        };
        let seq = self.append_viewed(ctx, body, views);
        self.log.write_drops(&mut ctx.recorder());
        self.bound_reading(ctx.options, ctx.room);
        Some(seq)
    }

    /// Drops what must go for a message of `size` bytes that costs `cost`; `false` when it is the message that must go.
    fn make_room(&mut self, options: &Options, size: usize, cost: usize, room: usize) -> bool {
        let overflow = options.queue.overflow;
        let (max_messages, max_bytes) = max_held(options);
        let size = match overflow {
            // The last of what was under way may be as large as messages get.
            Overflow::Pause | Overflow::Close => 0,
            Overflow::DropOldest | Overflow::DropNewest => size,
        };
        let is_over = |log: &RecordedLog| {
            log.messages() > 0
                && (log.messages() + 1 > max_messages
                    || log.bytes() + size > max_bytes
                    || log.held() + cost > room)
        };
        while is_over(&self.log) {
            if overflow == Overflow::DropNewest && !self.only_absent_clients_need_the_oldest() {
                return false;
            }
            if !self.log.drop_oldest(GapReason::Overflow) {
                break;
            }
        }
        true
    }

    /// Asks the link to read no more if the log is full now that it holds another message.
    fn bound_reading(&mut self, options: &Options, room: usize) {
        let queue = &options.queue;
        let request = match queue.overflow {
            Overflow::Pause => ReadRequest::Pause,
            Overflow::Close => ReadRequest::Stop,
            Overflow::DropOldest | Overflow::DropNewest => return,
        };
        let is_full = self.log.messages() >= queue.messages
            || self.log.bytes() >= queue.bytes
            || self.log.held() + PAUSE_SLACK_BYTES / 2 >= room;
        if is_full && !self.only_absent_clients_need_the_oldest() {
            // No next message comes with which those that filters hold back would go out.
            self.clients.release_held(None, self.log.last());
            self.is_pausing = request == ReadRequest::Pause;
            self.request = Some(request);
        }
    }

    /// Whether a link that reads no more because the log was full may read on.
    pub(super) fn has_room_again(&mut self, options: &Options, room: usize) -> bool {
        let queue = &options.queue;
        let has_room = self.log.messages() <= queue.messages / 2
            && self.log.bytes() <= queue.bytes / 2
            && self.log.held() <= room / 2;
        has_room || self.only_absent_clients_need_the_oldest()
    }

    /// Drops what is more than the log may hold now; one oversize message may stay.
    pub(in crate::core::session) fn shrink(&mut self, ctx: &DeliveryContext<'_>) {
        let (messages, bytes) = max_held(ctx.options);
        self.begin_delivery();
        while self.log.messages() > messages
            || (self.log.bytes() > bytes && self.log.messages() > 1)
            || (self.log.held() > ctx.room && self.log.messages() > 0)
        {
            if !self.log.drop_oldest(GapReason::Overflow) {
                break;
            }
        }
    }

    /// The broker as a whole holds too much, and this extension most: drops what does not fit its budget any more.
    pub(in crate::core::session) fn give_back(&mut self, ctx: &mut DeliveryContext<'_>) {
        self.shrink(ctx);
        self.log.write_drops(&mut ctx.recorder());
    }

    /// A message was too large to be kept, or the newest had to go: it is lost in its place, which
    /// is written down when it is delivered.
    pub(in crate::core::session) fn lose_message(
        &mut self,
        ctx: &mut DeliveryContext<'_>,
        reason: GapReason,
    ) {
        self.log.append_lost(&mut ctx.recorder(), reason);
        self.begin_delivery();
        self.show_newest(ctx);
        self.clients.release_held(None, self.log.last());
    }

    /// Whether no attached client needs the oldest message any more.
    fn only_absent_clients_need_the_oldest(&mut self) -> bool {
        let Some(oldest) = self.log.oldest_message() else {
            return false;
        };
        let mut here = self
            .clients
            .iter()
            .filter(|client| client.attachment.is_some())
            .peekable();
        here.peek().is_some()
            && here.all(|client| client.acked >= oldest.record.seq || !oldest.is_for(client.id))
    }

    /// Drops messages that are older than the log keeps.
    pub(super) fn drop_aged(&mut self, ctx: &DeliveryContext<'_>) {
        let age = Duration::from_millis(ctx.options.queue.age);
        while self.log.oldest_message_is_older(ctx.now.awake, age) && self.log.drop_oldest(GapReason::Age) {
            self.begin_delivery();
        }
    }

    /// When the oldest message is older than the log keeps, in awake time.
    pub(in crate::core::session) fn age_deadline(&self, options: &Options) -> Option<Duration> {
        let age = Duration::from_millis(options.queue.age);
        self.log.oldest_message_appended_at().map(|at| at + age)
    }

    /// Forgets what every client has finished.
    pub(in crate::core::session) fn trim(&mut self, ctx: &mut DeliveryContext<'_>) {
        self.begin_delivery();
        let clients = &self.clients;
        self.log.trim(&mut ctx.recorder(), |entry| {
            clients
                .iter()
                .all(|client| client.acked >= entry.record.seq || !entry.is_for(client.id))
        });
    }
}

/// Messages and bytes that the log may hold, with what comes before a pause is felt.
fn max_held(options: &Options) -> (usize, usize) {
    let queue = &options.queue;
    match queue.overflow {
        Overflow::DropOldest | Overflow::DropNewest => (queue.messages, queue.bytes),
        Overflow::Pause | Overflow::Close => (
            queue.messages.saturating_add(PAUSE_SLACK_MESSAGES),
            queue.bytes.saturating_add(PAUSE_SLACK_BYTES),
        ),
    }
}
