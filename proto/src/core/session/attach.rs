//! Who attaches and from where: resume, delivery under windows, acknowledgement, fences.
//!
//! It decides what a client is told next. It does not look into messages; what the log takes in is in `taking`.

use std::time::Duration;

use crate::wire::code::{Code, GapReason};
use crate::wire::message::{BrokerFrame, CloseReport, Open, Opened, OutboxItem, Resume, Resumed};
use crate::wire::options::Window;
use crate::wire::record::{Body, Name, Record, State};

use crate::core::client::Attachment;
use crate::core::context::{Context, RECORD_OVERHEAD, error};
use crate::core::filter::{View, part_of};
use crate::core::io::{Output, PortId};
use crate::core::log::ClientId;
use crate::core::recorded_log::Recorder;

use super::uplink::Uplink;
use super::{Session, in_millis};

/// Where a client goes on.
struct Start {
    verdict: Resumed,
    position: u64,
    /// Records up to here may have been seen before.
    redelivered_to: u64,
    /// Records before this were acknowledged once and are gone.
    rolled_back_to: Option<u64>,
}

impl Session {
    /// Attaches a client through a port, fencing any attachment it had before, and answers `opened`.
    pub(crate) fn attach(
        &mut self,
        ctx: &mut Context,
        port: PortId,
        client: &Name,
        open: Open,
        created: bool,
    ) {
        let known = self.clients.iter().any(|known| known.name == *client);
        let start = self.start(client, open.resume.as_ref(), known);
        let id = self.client_named(ctx, client, start.position);
        self.fence(ctx, id, Some(port));
        let last = self.log.last();
        let window = self.options.window;
        if let Some(client) = self.client_mut(id) {
            let attachment = Attachment::new(port, start.position, start.redelivered_to, last, window);
            client.attach(attachment, start.rolled_back_to.unwrap_or(0), last);
        }
        self.idle_since = None;
        if let Some(seat) = ctx.ports.get_mut(&port) {
            seat.hold(self.identity.name.clone(), self.identity.key);
        }
        let mut state = self.state();
        if state == State::Paused {
            self.with_uplink(ctx, |uplink, scope| state = uplink.state_of_next_dial(scope));
        }
        let opened = Opened {
            id: open.id,
            session: self.identity.name.clone(),
            created,
            epoch: self.identity.epoch.clone(),
            resume: start.verdict,
            seq: start.position,
            last,
            state,
            subprotocol: self.uplink.subprotocol(),
            outbox: self.outbox_items(id),
            subscriptions: self.subscriptions.states(),
            ignored: open.ignored,
        };
        self.journal_position(ctx, id);
        ctx.say(port, BrokerFrame::Opened(Box::new(opened)));
        if let Some(to) = start.rolled_back_to {
            self.deliver_rollback(ctx, id, start.position, to);
        }
        match self.state() {
            State::Paused => self.drive(ctx, Uplink::dial),
            State::Unauthorized => self.ask_for_credentials(ctx),
            State::Open if self.uplink.asks_to_log_in() => self.ask_for_credentials(ctx),
            _ => {}
        }
        self.trim(ctx);
        self.deliver(ctx);
    }

    /// The broker's verdict on where a client goes on.
    fn start(&self, client: &str, resume: Option<&Resume>, known: bool) -> Start {
        let last = self.log.last();
        let first = self.log.first();
        let known = known
            .then(|| self.clients.iter().find(|known| &*known.name == client))
            .flatten();
        let Some(resume) = resume else {
            let Some(known) = known else {
                return Start {
                    verdict: Resumed::Fresh,
                    position: last,
                    redelivered_to: last,
                    rolled_back_to: None,
                };
            };
            let gone_to = (known.acked < known.gone_to).then_some(known.gone_to);
            return self.start_at(known.acked, known.delivered, gone_to);
        };
        if *resume.epoch != *self.identity.epoch || resume.seq > last {
            let position = first - 1;
            return Start {
                verdict: Resumed::Reset,
                position,
                redelivered_to: last,
                rolled_back_to: None,
            };
        }
        let gone_to = (resume.seq + 1 < first).then(|| first - 1);
        match known {
            Some(known) if resume.seq >= known.acked => {
                let gone_to = (resume.seq < known.gone_to).then_some(known.gone_to);
                self.start_at(resume.seq, known.delivered, gone_to)
            }
            Some(known) => self.start_at(resume.seq, known.delivered, gone_to),
            None => self.start_at(resume.seq, last, gone_to),
        }
    }

    fn start_at(&self, position: u64, redelivered_to: u64, rolled_back_to: Option<u64>) -> Start {
        let gap = rolled_back_to.is_some() || self.log.has_gap_after(position);
        let verdict = if gap { Resumed::Gap } else { Resumed::Exact };
        Start {
            verdict,
            position,
            redelivered_to,
            rolled_back_to,
        }
    }

    /// Tells a client that went behind its own acknowledgement what is gone.
    fn deliver_rollback(&mut self, ctx: &mut Context, id: ClientId, position: u64, to: u64) {
        let session = self.identity.name.clone();
        let Some(attachment) = self.client_mut(id).and_then(|client| client.attachment.as_mut()) else {
            return;
        };
        attachment.delivered(to, 0);
        let gap = crate::wire::record::Gap {
            from: position + 1,
            to,
            count: to - position,
            reason: GapReason::Acknowledged,
            exact: false,
        };
        let port = attachment.port;
        if let Some(port) = ctx.ports.get_mut(&port) {
            port.queue(RECORD_OVERHEAD);
        }
        let record = Record {
            seq: to,
            body: Body::Gap(gap),
        };
        ctx.out.push_back(Output::Deliver {
            port,
            frame: BrokerFrame::Record {
                session,
                record,
                redelivered: false,
            },
            cost: RECORD_OVERHEAD,
        });
    }

    fn outbox_items(&self, client: ClientId) -> Vec<OutboxItem> {
        self.outbox
            .iter()
            .filter(|(_, item)| item.client == client)
            .filter_map(|(_, item)| {
                let state = if item.is_handed() { "written" } else { "queued" };
                item.id.clone().map(|id| OutboxItem { id, state })
            })
            .collect()
    }

    /// Ends a client's attachment because a newer one takes its place.
    fn fence(&mut self, ctx: &mut Context, id: ClientId, new_port: Option<PortId>) {
        let key = self.identity.key;
        let name = self.identity.name.clone();
        // A port holds a session for one client only: whoever else held it there is gone without a word.
        for client in &mut self.clients {
            if client.id != id && client.port() == new_port {
                client.detach(ctx.now.awake);
            }
        }
        let now = ctx.now.awake;
        let Some(old_port) = self.client_mut(id).and_then(|client| client.detach(now)) else {
            return;
        };
        if Some(old_port) != new_port {
            if let Some(port) = ctx.ports.get_mut(&old_port) {
                port.release(&name, key);
            }
            ctx.say(
                old_port,
                BrokerFrame::Detached {
                    session: name,
                    reason: "superseded",
                    farewell: None,
                },
            );
        }
    }

    /// A client leaves, or its port has gone; its position stays.
    pub(crate) fn detach(&mut self, ctx: &mut Context, port: PortId) {
        for client in &mut self.clients {
            if client.port() == Some(port) {
                client.detach(ctx.now.awake);
            }
        }
        if let Some(port) = ctx.ports.get_mut(&port) {
            port.release(&self.identity.name, self.identity.key);
        }
        if self.idle_since.is_none() && self.clients.iter().all(|client| client.attachment.is_none()) {
            self.idle_since = Some(ctx.now.awake);
        }
        self.listen_again(ctx);
    }

    /// Everything up to `seq` has been processed. Only what was delivered to this attachment can be acknowledged.
    pub(crate) fn ack(&mut self, ctx: &mut Context, port: PortId, seq: u64) {
        let Some(id) = self.client_at(port) else { return };
        let Some(client) = self.client_mut(id) else { return };
        let Some(attachment) = client.attachment.as_mut() else {
            return;
        };
        if seq > attachment.cursor {
            let message = format!(
                "field `seq`: {seq} was never delivered here; the last was {}",
                attachment.cursor
            );
            let name = self.identity.name.clone();
            return ctx.refuse(port, error(Code::BadFrame, message), None, Some(&name));
        }
        if !client.acknowledge(seq) {
            return;
        }
        self.journal_position(ctx, id);
        self.trim(ctx);
        self.deliver(ctx);
    }

    /// Changes the in-flight window.
    pub(crate) fn set_window(&mut self, ctx: &mut Context, port: PortId, window: Window) {
        if let Some(id) = self.client_at(port)
            && let Some(attachment) = self.client_mut(id).and_then(|client| client.attachment.as_mut())
        {
            attachment.set_window(window);
        }
        self.deliver(ctx);
    }

    /// Hands every client what its window and its port have room for.
    pub(crate) fn deliver(&mut self, ctx: &mut Context) {
        self.log.write_losses(&mut ctx.recorder());
        for index in 0..self.clients.len() {
            self.deliver_to(ctx, index);
        }
    }

    fn deliver_to(&mut self, ctx: &mut Context, index: usize) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        let Some(attachment) = client.attachment.as_mut() else {
            return;
        };
        let Some(port) = ctx.ports.get_mut(&attachment.port) else {
            return;
        };
        let mut at = self.log.index_after(attachment.cursor);
        let mut newest = 0;
        let caught_up = loop {
            let index = at;
            let Some(entry) = self.log.get(index) else {
                break true;
            };
            let seq = entry.record.seq;
            if attachment.becomes_live(Some(seq)) {
                let frame = BrokerFrame::Live {
                    session: self.identity.name.clone(),
                    seq: attachment.cursor,
                };
                ctx.out.push_back(Output::Deliver {
                    port: attachment.port,
                    frame,
                    cost: 0,
                });
            }
            at += 1;
            if !entry.is_for(client.id) {
                attachment.pass(seq);
                continue;
            }
            let view = entry.view(client.id);
            if view == Some(&View::Held) && seq > client.due {
                break true;
            }
            let mut record = entry.record.clone();
            if let (Some(View::Part(keep)), Body::Message { payload, .. }) = (view, &mut record.body) {
                *payload = part_of(payload, keep);
            }
            let cost = record.body.cost();
            if !attachment.has_room(cost) {
                attachment.falls_behind(ctx.now.boot);
                break false;
            }
            if !port.has_room() {
                port.starve(self.identity.key);
                break false;
            }
            if let Body::Gap(gap) = &mut record.body
                && gap.from <= attachment.cursor
            {
                // The client has passed the beginning of this run: it lost only the rest.
                gap.exact &= gap.count == gap.to - gap.from + 1;
                gap.from = attachment.cursor + 1;
                gap.count = gap.count.min(gap.to - attachment.cursor);
            }
            // A gap is written down before anybody hears of it: what was told lost stays lost.
            let mut recorder = Recorder {
                now: ctx.now.awake,
                out: &mut ctx.out,
            };
            self.log.mark_delivered(&mut recorder, index);
            let redelivered = seq <= attachment.redelivered_to;
            attachment.delivered(seq, cost);
            newest = seq;
            port.queue(cost + RECORD_OVERHEAD);
            ctx.out.push_back(Output::Deliver {
                port: attachment.port,
                frame: BrokerFrame::Record {
                    session: self.identity.name.clone(),
                    record,
                    redelivered,
                },
                cost: cost + RECORD_OVERHEAD,
            });
        };
        if caught_up {
            attachment.catches_up();
        }
        if caught_up && attachment.becomes_live(None) {
            let frame = BrokerFrame::Live {
                session: self.identity.name.clone(),
                seq: attachment.cursor,
            };
            ctx.out.push_back(Output::Deliver {
                port: attachment.port,
                frame,
                cost: 0,
            });
        }
        client.seen_up_to(newest);
    }

    /// Says `stalled` to those that are slower than the stream.
    pub(super) fn tell_stalls(&mut self, ctx: &mut Context) {
        for client in &mut self.clients {
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
            if !attachment.judge_backlog(ctx.now.boot, messages) {
                continue;
            }
            let oldest = self.log.oldest_after(client.acked, client.id);
            let frame = BrokerFrame::Stalled {
                session: self.identity.name.clone(),
                messages,
                bytes,
                oldest: oldest.map(|appended| in_millis(ctx.now.awake.saturating_sub(appended))),
            };
            ctx.out.push_back(Output::Deliver {
                port: attachment.port,
                frame,
                cost: 0,
            });
        }
    }

    /// When the next `stalled` is due, in boot time.
    pub(super) fn stall_deadline(&self) -> Option<Duration> {
        self.clients
            .iter()
            .filter_map(|client| client.attachment.as_ref()?.stall_deadline())
            .min()
    }

    /// Ends the session for every client: everything is settled and told, then nothing is left.
    pub(super) fn end(&mut self, ctx: &mut Context, report: CloseReport, why: &'static str) {
        let mut change = self.uplink.close();
        change.code = report.code;
        change.reason.clone_from(&report.reason);
        for settled in self.outbox.end(ctx.now.awake) {
            self.record_settled(ctx, settled);
        }
        self.tell_state(ctx, change);
        for index in 0..self.clients.len() {
            self.tell_endings(ctx, index);
            let now = ctx.now.awake;
            let held_through = self.clients.get_mut(index).and_then(|client| client.detach(now));
            let Some(port_id) = held_through else {
                continue;
            };
            if let Some(port) = ctx.ports.get_mut(&port_id) {
                port.release(&self.identity.name, self.identity.key);
            }
            ctx.say(
                port_id,
                BrokerFrame::Detached {
                    session: self.identity.name.clone(),
                    reason: why,
                    farewell: (why == "closed").then(|| Box::new(report.clone())),
                },
            );
        }
        self.remove_journal(ctx);
        self.over = true;
    }

    /// Tells a client how its messages ended although its window is full: there will be no later.
    fn tell_endings(&mut self, ctx: &mut Context, index: usize) {
        let Some(client) = self.clients.get(index) else {
            return;
        };
        let Some(attachment) = client.attachment.as_ref() else {
            return;
        };
        let start = self.log.index_after(attachment.cursor);
        for entry in (start..).map_while(|index| self.log.get(index)) {
            let is_ending = matches!(
                entry.record.body,
                Body::Outcome(_) | Body::Response(_) | Body::State(_)
            );
            if is_ending && entry.is_for(client.id) {
                let record = entry.record.clone();
                let frame = BrokerFrame::Record {
                    session: self.identity.name.clone(),
                    record,
                    redelivered: false,
                };
                ctx.out.push_back(Output::Deliver {
                    port: attachment.port,
                    frame,
                    cost: 0,
                });
            }
        }
    }
}
