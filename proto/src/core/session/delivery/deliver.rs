//! Delivery to clients: as much as their windows and their ports' queues have room for; and clients that are too slow.

use std::time::Duration;

use crate::wire::message::BrokerFrame;
use crate::wire::record::{Body, Record};

use crate::core::context::RECORD_OVERHEAD;
use crate::core::filter::{View, seen};
use crate::core::identity::ClientId;
use crate::core::io::Output;
use crate::core::recorded_log::{LogEntry, RecordedLog};

use super::super::in_millis;
use super::client::Attachment;
use super::{Delivery, DeliveryContext};

/// Why a client is handed no more for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// It has everything, or what is left is held back by its filter.
    CaughtUp,
    /// Its window is full.
    Window,
    /// Its port's queue is full.
    Queue,
}

impl Delivery {
    /// Hands every client what its window and its port have room for.
    pub(super) fn deliver(&mut self, ctx: &mut DeliveryContext<'_>) {
        self.log.write_losses(&mut ctx.recorder());
        for index in 0..self.clients.len() {
            self.deliver_to(ctx, index);
        }
    }

    fn deliver_to(&mut self, ctx: &mut DeliveryContext<'_>, index: usize) {
        let Some(client) = self.clients.attached_mut(index) else {
            return;
        };
        let (id, release_upto) = (client.id, client.release_upto);
        let Some(attachment) = &mut client.attachment else {
            return;
        };
        if !ctx.ports.ports.contains_key(&attachment.port) {
            return;
        }
        let mut newest = 0;
        let mut at = self.log.index_after(attachment.cursor);
        let stop = loop {
            let Some(entry) = self.log.get(at) else {
                break Stop::CaughtUp;
            };
            let seq = entry.record.seq;
            if attachment.take_live(Some(seq)) {
                send_live(ctx, attachment);
            }
            if entry.is_for(id) {
                if is_held_back(entry, id, release_upto) {
                    break Stop::CaughtUp;
                }
                // What a client sees of a message is not found out again and again while there is no room.
                if !attachment.has_room(0) {
                    break Stop::Window;
                }
                let record = as_seen(entry, id);
                if let Err(stop) = hand_over(ctx, &mut self.log, attachment, record, at) {
                    break stop;
                }
                newest = seq;
            } else {
                attachment.pass(seq);
            }
            at += 1;
        };
        match stop {
            Stop::CaughtUp => {
                attachment.catches_up();
                if attachment.take_live(None) {
                    send_live(ctx, attachment);
                }
            }
            Stop::Window => attachment.falls_behind(ctx.now.boot),
            Stop::Queue => {
                if let Some(port) = ctx.ports.ports.get_mut(&attachment.port) {
                    port.starve(ctx.who.key);
                }
            }
        }
        client.seen_up_to(newest);
    }

    /// Says `stalled` to those that are slower than the stream.
    pub(super) fn report_stalls(&mut self, ctx: &mut DeliveryContext<'_>) {
        for client in self.clients.iter_mut() {
            let Some(attachment) = client.attachment.as_mut() else {
                continue;
            };
            if attachment.stall_deadline().is_none_or(|at| ctx.now.boot < at) {
                continue;
            }
            let start = self.log.index_after(attachment.cursor);
            let waiting = (start..)
                .map_while(|index| self.log.get(index))
                .filter(|entry| entry.is_for(client.id));
            let (messages, bytes) = waiting.fold((0, 0), |(messages, bytes), entry| {
                (messages + 1, bytes + entry.record.body.cost())
            });
            if !attachment.check_backlog(ctx.now.boot, messages) {
                continue;
            }
            let oldest = self.log.oldest_after(client.acked, client.id);
            let frame = BrokerFrame::Stalled {
                session: ctx.who.name.clone(),
                messages,
                bytes,
                oldest: oldest.map(|appended| in_millis(ctx.now.awake.saturating_sub(appended))),
            };
            ctx.ports.send(attachment.port, frame);
        }
    }

    /// When the next `stalled` is due, in boot time.
    pub(in crate::core::session) fn stall_deadline(&self) -> Option<Duration> {
        self.clients
            .iter()
            .filter_map(|client| client.attachment.as_ref()?.stall_deadline())
            .min()
    }
}

/// Whether this client's filter holds the record back.
fn is_held_back(entry: &LogEntry, client: ClientId, release_upto: u64) -> bool {
    entry.view(client) == Some(&View::Held) && entry.record.seq > release_upto
}

/// The record as this client's filter shows it.
fn as_seen(entry: &LogEntry, client: ClientId) -> Record {
    let mut record = entry.record.clone();
    if let (Some(view), Body::Message { payload, .. }) = (entry.view(client), &mut record.body) {
        *payload = seen(payload, view);
    }
    record
}

/// Hands the record at this index of the log to the port of an attachment, as its client sees it.
///
/// # Errors
/// The window or the port's queue is full.
fn hand_over(
    ctx: &mut DeliveryContext<'_>,
    log: &mut RecordedLog,
    attachment: &mut Attachment,
    mut record: Record,
    at: usize,
) -> Result<(), Stop> {
    let cost = record.body.cost();
    if !attachment.has_room(cost) {
        return Err(Stop::Window);
    }
    let port = ctx.ports.ports.get_mut(&attachment.port);
    let Some(port) = port.filter(|port| port.has_room()) else {
        return Err(Stop::Queue);
    };
    port.queue(cost + RECORD_OVERHEAD);
    if let Body::Gap(gap) = &mut record.body
        && gap.from <= attachment.cursor
    {
        // The client has passed the beginning of this run: it lost only the rest.
        gap.exact &= gap.count == gap.to - gap.from + 1;
        gap.from = attachment.cursor + 1;
        gap.count = gap.count.min(gap.to - attachment.cursor);
    }
    // A gap is journalled before it is delivered: what was reported lost stays lost.
    log.mark_delivered(&mut ctx.recorder(), at);
    let redelivered = record.seq <= attachment.redelivered_to;
    attachment.delivered(record.seq, cost);
    let frame = if redelivered {
        ctx.redelivery(record)
    } else {
        ctx.frame(record)
    };
    ctx.ports.out.push_back(Output::Deliver {
        port: attachment.port,
        frame,
        cost: cost + RECORD_OVERHEAD,
    });
    Ok(())
}

fn send_live(ctx: &mut DeliveryContext<'_>, attachment: &Attachment) {
    let frame = BrokerFrame::Live {
        session: ctx.who.name.clone(),
        seq: attachment.cursor,
    };
    ctx.ports.send(attachment.port, frame);
}
