//! What clients do not want: their filters, and the messages that filters keep from them.
//!
//! Lines are judged in `core::filter`. What is kept from a client is counted, never told as a gap.

use crate::wire::code::Code;
use crate::wire::filter::Line;
use crate::wire::payload::Payload;
use crate::wire::record::{Body, Name};

use crate::core::context::{Context, error};
use crate::core::filter::{Judgement, View, Why};
use crate::core::io::PortId;
use crate::core::log::ClientId;

use super::Session;

/// How the clients that have filters see a message, in the order of the clients.
pub(super) type Views = Vec<(ClientId, Judgement)>;

impl Session {
    /// Sets the filter of a subscription for the client at this port. `false` when it has too many lines.
    pub(super) fn set_filter(&mut self, port: PortId, key: &Name, lines: Vec<Line>) -> bool {
        let last = self.log.last();
        let Some(id) = self.client_at(port) else {
            return true;
        };
        let Some(client) = self.client_mut(id) else {
            return true;
        };
        // What was held under other lines is held no more.
        client.release(last);
        client.filter_mut().set(key, lines)
    }

    /// Forgets the filters of a subscription, whoever set them.
    pub(super) fn forget_filter(&mut self, key: &str) {
        let last = self.log.last();
        for client in &mut self.clients {
            if client.filter_mut().forget(key) {
                client.release(last);
            }
        }
    }

    /// Whether the session's guard lets a message of the server's pass. If not, it is counted, and told now and then.
    pub(super) fn passes(&mut self, ctx: &mut Context, payload: &Payload) -> bool {
        let lines = &self.options.guard;
        if lines.receive.is_empty() {
            return true;
        }
        let look = ctx.look(payload).for_pointers(|| self.received_pointers());
        let Err(why) = self.guard.may_receive(lines, &look, ctx.now.boot) else {
            return true;
        };
        self.counters.filtered.refused += 1;
        if self.guard.may_tell(ctx.now.boot) {
            let why = error(Code::ServerProtocol, why.message);
            for client in &self.clients {
                if let Some(attachment) = &client.attachment {
                    ctx.refuse(attachment.port, why.clone(), None, Some(&self.identity.name));
                }
            }
        }
        false
    }

    /// How the clients see a message that has just come; `None` when nobody wants it.
    pub(super) fn view(&mut self, ctx: &Context, payload: &Payload) -> Option<Views> {
        let mut views = Views::new();
        if self.clients.iter().all(|client| client.filter.is_empty()) {
            return Some(views);
        }
        let look = ctx.look(payload).for_pointers(|| self.received_pointers());
        let mut wanted = false;
        for client in &mut self.clients {
            if client.filter.is_empty() {
                wanted = true;
                continue;
            }
            let mut judgement = client.filter_mut().judge(&look, ctx.now.awake);
            wanted |= judgement.view != Some(View::Not);
            let filtered = &mut self.counters.filtered;
            match judgement.why {
                Some(Why::Dropped) => filtered.dropped += 1,
                Some(Why::Sampled) => filtered.sampled += 1,
                Some(Why::Held) => filtered.held += 1,
                Some(Why::Projected) => filtered.projected += 1,
                None => {}
            }
            // What the client has seen cannot be taken back.
            judgement.spare_up_to(client.delivered);
            views.push((client.id, judgement));
        }
        for (client, judgement) in &views {
            if let Some(seq) = judgement.replaces {
                self.withdraw(seq, *client);
            }
        }
        wanted.then_some(views)
    }

    fn withdraw(&mut self, seq: u64, client: ClientId) {
        let clients = &self.clients;
        let withdrawn = self.log.withdraw(seq, client, |entry| {
            clients
                .iter()
                .any(|client| entry.is_for(client.id) && client.acked < seq)
        });
        self.counters.filtered.conflated += u64::from(withdrawn);
    }

    /// Appends a message that clients see in their own ways.
    pub(super) fn append_viewed(&mut self, ctx: &mut Context, body: Body, views: Views) {
        if views.is_empty() {
            return self.append(ctx, body, None);
        }
        let seq = self.log.append(&mut ctx.recorder(), body, None);
        self.show_newest(ctx);
        let mut views = views.into_iter().peekable();
        let mut seen = Vec::new();
        for client in &mut self.clients {
            let view = views
                .next_if(|(id, _)| *id == client.id)
                .and_then(|(_, mut judgement)| {
                    let view = judgement.take_view();
                    client.filter_mut().numbered(judgement, seq);
                    view
                });
            if !matches!(view, Some(View::Held | View::Not)) {
                client.release(seq);
            }
            seen.extend(view.map(|view| (client.id, view)));
        }
        self.log.set_views(seen);
    }
}
