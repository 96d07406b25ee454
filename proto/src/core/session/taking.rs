//! What the log takes of the server's messages, and what it drops to keep within its bounds.
//!
//! What is dropped becomes a gap in its place; that is the log's. Who is told of it is in `attach`.

use std::time::Duration;

use crate::wire::code::{Code, GapReason};
use crate::wire::options::Overflow;
use crate::wire::payload::Payload;
use crate::wire::record::Body;

use crate::core::context::{Context, error};
use crate::core::log::{Log, RECORD_COST};

use super::Session;
use super::uplink::Uplink;

/// What the socket may have read before it noticed that reading was paused.
const PAUSE_SLACK_MESSAGES: usize = 2048;
const PAUSE_SLACK_BYTES: usize = 2 * 1024 * 1024;
/// A message of this size fits whatever else the extension holds.
pub(super) const LEAST_ROOM: usize = 4096;

impl Session {
    /// Takes one message of the server's into the log, within its bounds.
    pub(super) fn take_message(&mut self, ctx: &mut Context, payload: Payload) {
        if !self.passes(ctx, &payload) {
            return;
        }
        let Some(views) = self.view(ctx, &payload) else {
            return;
        };
        let queue = self.options.queue.clone();
        let (most_messages, most_bytes) = self.most();
        let size = match queue.overflow {
            // The last of what was under way may be as large as messages get.
            Overflow::Pause | Overflow::Close => 0,
            Overflow::DropOldest | Overflow::DropNewest => payload.len(),
        };
        self.drop_aged(ctx);
        let room = self.room(ctx);
        let cost = RECORD_COST + payload.len() + payload.extras();
        if cost > room.max(LEAST_ROOM) {
            // Not even alone: the extension holds as much as it may.
            return self.lose_message(ctx, GapReason::Overflow);
        }
        let over = |log: &Log| {
            log.messages() > 0
                && (log.messages() + 1 > most_messages
                    || log.bytes() + size > most_bytes
                    || log.held() + cost > room)
        };
        while over(&self.log) {
            if queue.overflow == Overflow::DropNewest && !self.only_absent_clients_need_the_oldest() {
                return self.lose_message(ctx, GapReason::Overflow);
            }
            if !self.log.drop_oldest(GapReason::Overflow) {
                break;
            }
        }
        let body = Body::Message {
            payload,
            time: ctx.now.wall,
        };
        self.append_viewed(ctx, body, views);
        self.log.write_drops(&mut ctx.recorder());
        let full = self.log.messages() >= queue.messages
            || self.log.bytes() >= queue.bytes
            || self.log.held() + PAUSE_SLACK_BYTES / 2 >= room;
        match queue.overflow {
            Overflow::Pause if full && !self.only_absent_clients_need_the_oldest() => {
                self.with_uplink(ctx, Uplink::pause_reading);
            }
            // A session that is being closed hangs up in its own way.
            Overflow::Close if full && !self.is_closing() && !self.only_absent_clients_need_the_oldest() => {
                let why = error(
                    Code::Overflow,
                    "the log is full: the link rests until a client attaches",
                );
                self.with_uplink(ctx, |uplink, scope| uplink.rest(scope, Some(why)));
            }
            _ => {}
        }
    }

    /// Bytes that the log may take in all: the extension's budget, less what everything else takes.
    fn room(&self, ctx: &Context) -> usize {
        let rest = self.holds() - self.log.held();
        self.share(ctx).saturating_sub(rest)
    }

    /// Messages and bytes that the log may hold, with what comes before a pause is felt.
    fn most(&self) -> (usize, usize) {
        let queue = &self.options.queue;
        match queue.overflow {
            Overflow::DropOldest | Overflow::DropNewest => (queue.messages, queue.bytes),
            Overflow::Pause | Overflow::Close => (
                queue.messages.saturating_add(PAUSE_SLACK_MESSAGES),
                queue.bytes.saturating_add(PAUSE_SLACK_BYTES),
            ),
        }
    }

    /// Drops what is more than the log may hold now; one oversize message may stay.
    pub(super) fn shrink(&mut self, ctx: &Context) {
        let (messages, bytes) = self.most();
        let room = self.room(ctx);
        while self.log.messages() > messages
            || (self.log.bytes() > bytes && self.log.messages() > 1)
            || (self.log.held() > room && self.log.messages() > 0)
        {
            if !self.log.drop_oldest(GapReason::Overflow) {
                break;
            }
        }
    }

    /// The broker as a whole holds too much, and this extension most: drops what does not fit its budget any more.
    pub(crate) fn give_back(&mut self, ctx: &mut Context) {
        self.bound_partial(ctx);
        self.shrink(ctx);
        self.log.write_drops(&mut ctx.recorder());
        self.deliver(ctx);
    }

    /// A message was too large to be kept, or the newest had to go: it is lost in its place. The caller delivers
    /// once it is done, which writes the loss down.
    pub(super) fn lose_message(&mut self, ctx: &mut Context, reason: GapReason) {
        self.log.append_lost(&mut ctx.recorder(), reason);
        self.show_newest(ctx);
        self.release_held(None);
    }

    /// Whether nobody who is here needs the oldest message any more.
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
    pub(super) fn drop_aged(&mut self, ctx: &mut Context) {
        let age = Duration::from_millis(self.options.queue.age);
        let mut dropped = false;
        while self.log.oldest_message_is_older(ctx.now.awake, age) && self.log.drop_oldest(GapReason::Age) {
            dropped = true;
        }
        if dropped {
            self.listen_again(ctx);
            self.deliver(ctx);
        }
    }

    /// Reads on if it was the log that kept it from reading, and there is room again.
    pub(super) fn listen_again(&mut self, ctx: &mut Context) {
        if !self.uplink.is_reading_paused() {
            return;
        }
        let queue = &self.options.queue;
        let has_room = self.log.messages() <= queue.messages / 2
            && self.log.bytes() <= queue.bytes / 2
            && self.log.held() <= self.room(ctx) / 2;
        if has_room || self.only_absent_clients_need_the_oldest() {
            self.with_uplink(ctx, Uplink::resume_reading);
        }
    }

    /// Forgets what every client has finished.
    pub(super) fn trim(&mut self, ctx: &mut Context) {
        let clients = &self.clients;
        self.log.trim(&mut ctx.recorder(), |entry| {
            clients
                .iter()
                .all(|client| client.acked >= entry.record.seq || !entry.is_for(client.id))
        });
        self.listen_again(ctx);
    }
}
