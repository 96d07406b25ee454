//! How a client attaches and detaches: where it resumes, which attachment is fenced, what it has acknowledged.
//!
//! It decides where a client stands; what it is handed is in `deliver`.

use crate::wire::code::{Code, GapReason};
use crate::wire::message::{BrokerFrame, CloseReport, Opened, Resume, Resumed};
use crate::wire::options::Window;
use crate::wire::record::{Body, Gap, Name, Record};

use crate::core::context::{RECORD_OVERHEAD, error};
use crate::core::identity::ClientId;
use crate::core::io::PortId;
use crate::core::journal_record::JournalRecord;
use crate::core::recorded_log::Durable;

use super::client::Attachment;
use super::{Delivery, DeliveryContext};

/// Where a client goes on.
#[derive(Debug)]
struct Start {
    resumed: Resumed,
    position: u64,
    /// Records up to here may have been seen before.
    redelivered_to: u64,
    /// Records before this were acknowledged once and are gone.
    rolled_back_to: Option<u64>,
}

/// A client that has just been attached.
#[derive(Debug)]
pub(in crate::core::session) struct AttachedClient {
    pub(in crate::core::session) client: ClientId,
    start: Start,
}

impl Delivery {
    /// Attaches a client through a port, fencing any attachment it had before. `welcome` must follow.
    pub(in crate::core::session) fn attach(
        &mut self,
        ctx: &mut DeliveryContext<'_>,
        port: PortId,
        client: &Name,
        resume: Option<&Resume>,
    ) -> AttachedClient {
        let start = self.start(ctx, client, resume);
        let (id, forgotten) = self.clients.named(client, start.position, ctx.now.awake);
        if let Some(forgotten) = forgotten {
            // The next broker would take it for one that misses nothing.
            let record = JournalRecord::Forgotten(forgotten.0);
            self.log.write(&mut ctx.recorder(), &record, Durable::Written);
        }
        self.fence(ctx, id, port);
        let last = self.log.last();
        let window = ctx.options.window;
        let attachment = Attachment::new(port, start.position, start.redelivered_to, last, window);
        self.clients
            .attach(id, attachment, start.rolled_back_to.unwrap_or(0), last);
        if let Some(port) = ctx.ports.ports.get_mut(&port) {
            port.hold(ctx.who.name.clone(), ctx.who.key);
        }
        AttachedClient { client: id, start }
    }

    /// Answers `opened`, which says where the client resumes, and which acknowledged position was lost.
    pub(in crate::core::session) fn welcome(
        &mut self,
        ctx: &mut DeliveryContext<'_>,
        port: PortId,
        placed: &AttachedClient,
        mut opened: Opened,
    ) {
        let AttachedClient { client, start } = placed;
        opened.resume = start.resumed;
        opened.seq = start.position;
        opened.last = self.log.last();
        self.journal_position(ctx, *client);
        ctx.ports.send(port, BrokerFrame::Opened(Box::new(opened)));
        if let Some(to) = start.rolled_back_to {
            self.deliver_rollback(ctx, *client, start.position, to);
        }
        self.trim(ctx);
    }

    /// The broker's verdict on where a client goes on.
    fn start(&self, ctx: &DeliveryContext<'_>, client: &str, resume: Option<&Resume>) -> Start {
        let last = self.log.last();
        let first = self.log.first();
        let known = self.clients.of_name(client);
        let Some(resume) = resume else {
            let Some(known) = known else {
                return Start {
                    resumed: Resumed::Fresh,
                    position: last,
                    redelivered_to: last,
                    rolled_back_to: None,
                };
            };
            let lost_before = (known.acked < known.lost_before).then_some(known.lost_before);
            return self.start_at(known.acked, known.delivered, lost_before);
        };
        if *resume.epoch != *ctx.who.epoch || resume.seq > last {
            return Start {
                resumed: Resumed::Reset,
                position: first - 1,
                redelivered_to: last,
                rolled_back_to: None,
            };
        }
        let lost_before = (resume.seq + 1 < first).then(|| first - 1);
        match known {
            Some(known) if resume.seq >= known.acked => {
                let lost_before = (resume.seq < known.lost_before).then_some(known.lost_before);
                self.start_at(resume.seq, known.delivered, lost_before)
            }
            Some(known) => self.start_at(resume.seq, known.delivered, lost_before),
            None => self.start_at(resume.seq, last, lost_before),
        }
    }

    fn start_at(&self, position: u64, redelivered_to: u64, rolled_back_to: Option<u64>) -> Start {
        let gap = rolled_back_to.is_some() || self.log.has_gap_after(position);
        let resumed = if gap { Resumed::Gap } else { Resumed::Exact };
        Start {
            resumed,
            position,
            redelivered_to,
            rolled_back_to,
        }
    }

    /// Tells a client that went behind its own acknowledgement what is gone.
    fn deliver_rollback(&mut self, ctx: &mut DeliveryContext<'_>, id: ClientId, position: u64, to: u64) {
        let client = self.clients.get_mut(id);
        let Some(attachment) = client.and_then(|client| client.attachment.as_mut()) else {
            return;
        };
        attachment.delivered(to, 0);
        let gap = Gap {
            from: position + 1,
            to,
            count: to - position,
            reason: GapReason::Acknowledged,
            exact: false,
        };
        let record = Record {
            seq: to,
            body: Body::Gap(gap),
        };
        let frame = ctx.frame(record);
        ctx.ports.send_queued(attachment.port, frame, RECORD_OVERHEAD);
    }

    /// Ends a client's attachment because a newer one takes its place.
    fn fence(&mut self, ctx: &mut DeliveryContext<'_>, id: ClientId, new_port: PortId) {
        let Some(old_port) = self.clients.fence(id, new_port, ctx.now.awake) else {
            return;
        };
        if old_port != new_port {
            ctx.release(old_port);
            let frame = BrokerFrame::Detached {
                session: ctx.who.name.clone(),
                reason: "superseded",
                close_report: None,
            };
            ctx.ports.send(old_port, frame);
        }
    }

    /// A client leaves, or its port has gone; its position stays.
    pub(in crate::core::session) fn detach(&mut self, ctx: &mut DeliveryContext<'_>, port: PortId) {
        self.clients.leave(port, ctx.now.awake);
        ctx.release(port);
        self.begin_delivery();
    }

    /// Everything up to `seq` has been processed; `true` when that makes room. Only what was delivered to this attachment
    /// can be acknowledged.
    pub(super) fn acknowledge(&mut self, ctx: &mut DeliveryContext<'_>, port: PortId, seq: u64) -> bool {
        let Some(id) = self.client_at(port) else {
            return false;
        };
        let Some(client) = self.clients.get_mut(id) else {
            return false;
        };
        let newest = client
            .attachment
            .as_ref()
            .map_or(0, |attachment| attachment.cursor);
        if seq > newest {
            let message =
                format!("field `seq`: {seq} was never delivered to this client; the last was {newest}");
            let why = error(Code::BadFrame, message);
            ctx.ports.send_error(port, why, None, Some(&ctx.who.name));
            return false;
        }
        let is_news = client.acknowledge(seq);
        if is_news {
            self.journal_position(ctx, id);
            self.trim(ctx);
        }
        is_news
    }

    /// Changes the in-flight window.
    pub(super) fn set_window(&mut self, port: PortId, window: Window) {
        let client = self.client_at(port).and_then(|id| self.clients.get_mut(id));
        if let Some(attachment) = client.and_then(|client| client.attachment.as_mut()) {
            attachment.set_window(window);
        }
    }

    /// Ends the session for every client: what ended last is delivered although windows are full, then all clients are
    /// detached, and nothing stays on disk.
    pub(in crate::core::session) fn end(
        &mut self,
        ctx: &mut DeliveryContext<'_>,
        report: &CloseReport,
        why: &'static str,
    ) {
        self.deliver(ctx);
        for client in self.clients.iter_mut() {
            let Some(attachment) = &client.attachment else {
                continue;
            };
            let (id, cursor) = (client.id, attachment.cursor);
            let Some(port) = client.detach(ctx.now.awake) else {
                continue;
            };
            let start = self.log.index_after(cursor);
            for entry in (start..).map_while(|index| self.log.get(index)) {
                let is_ending = matches!(
                    entry.record.body,
                    Body::Outcome(_) | Body::Response(_) | Body::State(_)
                );
                if is_ending && entry.is_for(id) {
                    let frame = ctx.frame(entry.record.clone());
                    ctx.ports.send(port, frame);
                }
            }
            ctx.release(port);
            let frame = BrokerFrame::Detached {
                session: ctx.who.name.clone(),
                reason: why,
                close_report: (why == "closed").then(|| Box::new(report.clone())),
            };
            ctx.ports.send(port, frame);
        }
        self.log.remove_journal(&mut ctx.recorder());
    }
}
