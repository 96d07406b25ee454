//! What clients do not get: messages that their filters drop or hold, and those that the session's guard denies.
//!
//! Lines are judged in `core::filter` and `core::guard`. What a filter drops is counted, never reported as a gap.

use crate::wire::code::Code;
use crate::wire::filter::FilterLine;
use crate::wire::json::Pointers;
use crate::wire::record::{Body, ErrorInfo, Name};
use crate::wire::rule::ParsedMessage;

use crate::core::context::error;
use crate::core::filter::{FilterDecision, FilterReason, View};
use crate::core::identity::ClientId;
use crate::core::io::{Now, PortId};

use super::super::budget::too_many_subscriptions;
use super::{Delivery, DeliveryContext};

/// How the clients that have filters see a message, in the order of the clients.
pub(in crate::core::session) type Views = Vec<(ClientId, FilterDecision)>;

impl Delivery {
    /// Sets the filter of a subscription for the client at this port.
    ///
    /// # Errors
    /// `rate-limited` when it has too many lines.
    pub(in crate::core::session) fn set_filter(
        &mut self,
        port: PortId,
        key: &Name,
        lines: Vec<FilterLine>,
    ) -> Result<(), ErrorInfo> {
        let last = self.log.last();
        let client = self.client_at(port).and_then(|id| self.clients.get_mut(id));
        let Some(client) = client else {
            return Ok(());
        };
        // What was held under other lines is held no more.
        client.release(last);
        self.is_changed = true;
        if client.filter_mut().set(key, lines) {
            return Ok(());
        }
        Err(too_many_subscriptions())
    }

    /// Forgets the filters of a subscription, whoever set them.
    pub(in crate::core::session) fn forget_filter(&mut self, key: &str) {
        let last = self.log.last();
        for client in self.clients.iter_mut() {
            if client.filter_mut().forget(key) {
                client.release(last);
                self.is_changed = true;
            }
        }
    }

    /// Whether any client's filter looks into messages.
    pub(in crate::core::session) fn has_filters(&self) -> bool {
        self.clients.iter().any(|client| !client.filter.is_empty())
    }

    /// Adds the pointers that filters ask for.
    pub(in crate::core::session) fn add_pointers(&self, pointers: &mut Pointers) {
        for client in self.clients.iter() {
            client.filter.add_pointers(pointers);
        }
    }

    /// Judges a message of the server's that has just come: how clients see it, `None` if no client gets it.
    pub(in crate::core::session) fn admit(
        &mut self,
        ctx: &mut DeliveryContext<'_>,
        message: &ParsedMessage<'_>,
    ) -> Option<Views> {
        if !self.pass_guard(ctx, message) {
            return None;
        }
        self.decide(ctx.now, message)
    }

    /// Lets a message pass the session's guard; `false` when it does not: it is counted, and reported now and then.
    fn pass_guard(&mut self, ctx: &mut DeliveryContext<'_>, message: &ParsedMessage<'_>) -> bool {
        let lines = &ctx.options.guard;
        if lines.receive.is_empty() {
            return true;
        }
        let Err(why) = self.guard.pass(lines, message, ctx.now.boot) else {
            return true;
        };
        self.filtered.refused += 1;
        if self.guard.take_report(ctx.now.boot) {
            let why = error(Code::ServerProtocol, why.message);
            for port in self.clients.iter().filter_map(|client| client.port()) {
                ctx.ports.send_error(port, why.clone(), None, Some(&ctx.who.name));
            }
        }
        false
    }

    /// Has every filter judge a message; `None` if no client gets it.
    fn decide(&mut self, now: Now, message: &ParsedMessage<'_>) -> Option<Views> {
        let mut views = Views::new();
        if !self.has_filters() {
            return Some(views);
        }
        let mut wanted = false;
        for client in self.clients.iter_mut() {
            if client.filter.is_empty() {
                wanted = true;
                continue;
            }
            let mut decision = client.filter_mut().decide(message, now.awake);
            wanted |= decision.view != Some(View::Not);
            let filtered = &mut self.filtered;
            match decision.why {
                Some(FilterReason::Dropped) => filtered.dropped += 1,
                Some(FilterReason::Sampled) => filtered.sampled += 1,
                Some(FilterReason::Held) => filtered.held += 1,
                Some(FilterReason::Projected) => filtered.projected += 1,
                None => {}
            }
            // What the client has seen cannot be taken back.
            decision.spare_up_to(client.delivered);
            views.push((client.id, decision));
        }
        for (client, decision) in &views {
            if let Some(seq) = decision.replaces {
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
        self.filtered.conflated += u64::from(withdrawn);
    }

    /// Appends a message that clients see in their own ways; its `seq`.
    pub(super) fn append_viewed(&mut self, ctx: &mut DeliveryContext<'_>, body: Body, views: Views) -> u64 {
        if views.is_empty() {
            self.append(ctx, body, None);
            return self.log.last();
        }
        let seq = self.log.append(&mut ctx.recorder(), body, None);
        self.begin_delivery();
        self.show_newest(ctx);
        let mut views = views.into_iter().peekable();
        let mut seen = Vec::new();
        for client in self.clients.iter_mut() {
            let view = views
                .next_if(|(id, _)| *id == client.id)
                .and_then(|(_, mut decision)| {
                    let view = decision.take_view();
                    client.filter_mut().numbered(decision, seq);
                    view
                });
            if !matches!(view, Some(View::Held | View::Not)) {
                client.release(seq);
            }
            seen.extend(view.map(|view| (client.id, view)));
        }
        self.log.set_views(seen);
        seq
    }
}
