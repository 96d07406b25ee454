//! What a disk session writes down beside its log, and when.
//!
//! The log's own records are `core::recorded_log`'s. How a session comes back is `restoring`'s.

use crate::wire::code::Code;
use crate::wire::options::Durability;
use crate::wire::record::{Name, Outcome, StateChange};

use crate::core::context::{Context, error};
use crate::core::io::Now;
use crate::core::journal::{JournalId, Kept};
use crate::core::kept::{Accepted, AcceptedHead, Meta, Note, VERSION};
use crate::core::log::ClientId;
use crate::core::recorded_log::Durable;
use crate::core::requests::Wanted;

use super::Session;

impl Session {
    /// Begins a journal if the session is to survive the broker.
    pub(super) fn start_journal(&mut self, ctx: &mut Context) {
        if self.options.durability != Durability::Disk {
            return;
        }
        let id = JournalId::new(&self.identity.owner.origin, &ctx.dialer.random.word());
        self.log.begin_journal(id);
        self.journal_meta(ctx);
    }

    pub(super) fn meta(&self, machine_boot: String) -> Meta {
        Meta {
            version: VERSION,
            origin: self.identity.owner.origin.clone(),
            profile: self.identity.owner.profile.clone(),
            session: self.identity.name.clone(),
            epoch: self.identity.epoch.clone(),
            machine_boot,
            expire: self.options.expire,
            messages: self.options.queue.messages,
            bytes: self.options.queue.bytes,
            age: self.options.queue.age,
            overflow: self.options.queue.overflow,
            in_memory: self.log.is_handing_over(),
        }
    }

    /// Writes down a session that lives in memory, as the last thing this broker does with it.
    pub(super) fn hand_over(&mut self, ctx: &mut Context) {
        let id = JournalId::new(&self.identity.owner.origin, &ctx.dialer.random.word());
        self.log.begin_handover(id);
        let snapshot = self.snapshot(ctx.now, &ctx.machine_boot);
        self.log.hand_over(&mut ctx.recorder(), snapshot);
    }

    pub(super) fn note(&self, ctx: &mut Context, note: &Note, durable: Durable) {
        self.log.note(&mut ctx.recorder(), note, durable);
    }

    /// Writes down what a client has finished.
    pub(super) fn journal_position(&self, ctx: &mut Context, id: ClientId) {
        if self.log.has_journal()
            && let Some(client) = self.clients.iter().find(|client| client.id == id)
        {
            let note = Note::Position {
                id: id.0,
                name: client.name.clone(),
                acked: client.acked,
                gone_to: client.gone_to,
            };
            self.note(ctx, &note, Durable::Written);
        }
    }

    /// Writes down that a client is forgotten: the next broker would take it for one that misses nothing.
    pub(super) fn journal_forgotten(&self, ctx: &mut Context, id: ClientId) {
        self.note(ctx, &Note::Forgotten(id.0), Durable::Written);
    }

    /// Writes down a message before it is accepted.
    pub(super) fn journal_accepted(&self, ctx: &mut Context, serial: u64, wanted: Option<&Wanted>) {
        if self.log.has_journal()
            && let Some(note) = self.accepted_note(ctx.now, serial, wanted)
        {
            self.note(ctx, &note, Durable::Written);
        }
    }

    fn accepted_note(&self, now: Now, serial: u64, wanted: Option<&Wanted>) -> Option<Note> {
        let item = self.outbox.get(serial)?;
        let left = item.deadline.saturating_sub(now.boot).as_millis();
        let ttl = u64::try_from(left).unwrap_or(u64::MAX);
        let head = AcceptedHead {
            serial,
            client: item.client.0,
            id: item.id.clone()?,
            resend: item.resend,
            volatile: item.volatile,
            receipt: item.receipt,
            lane: item.lane,
            is_request: item.is_request,
            ttl,
            until: Some(now.wall.saturating_add(ttl)),
            wanted: wanted.cloned().map(Into::into),
        };
        Some(Note::Accepted(Box::new(Accepted {
            head,
            payload: item.payload.clone(),
        })))
    }

    /// Writes down that a message is about to be written: after a crash nobody can say whether it was. The first on a
    /// connection goes to the disk itself, so that even after a power cut it is known that this link was open.
    pub(super) fn journal_intent(&mut self, ctx: &mut Context, serial: u64) {
        if !self.log.has_journal() || self.outbox.get(serial).is_none_or(|item| item.id.is_none()) {
            return;
        }
        let is_first = self.uplink.mark_journaled();
        let durable = if is_first {
            Durable::OnDisk
        } else {
            Durable::Written
        };
        self.note(ctx, &Note::Intent(serial), durable);
    }

    /// Writes down how a message ended of which no record tells.
    pub(super) fn journal_settled(&self, ctx: &mut Context, client: ClientId, id: Name, outcome: Outcome) {
        let note = Note::Settled {
            client: client.0,
            id,
            outcome: Some(outcome),
        };
        self.note(ctx, &note, Durable::Written);
    }

    /// Writes down what has changed of what the session is.
    pub(super) fn journal_meta(&self, ctx: &mut Context) {
        let meta = self.meta(ctx.machine_boot.clone());
        self.note(ctx, &Note::Meta(meta), Durable::Written);
    }

    /// The session is over: nothing of it stays on disk.
    pub(super) fn remove_journal(&mut self, ctx: &mut Context) {
        self.log.remove_journal(&mut ctx.recorder());
    }

    /// The broker leaves in order.
    pub(crate) fn journal_clean(&self, ctx: &mut Context) {
        self.note(ctx, &Note::Clean, Durable::OnDisk);
    }

    /// The journal failed: the session lives on in memory, and says so in place.
    pub(crate) fn journal_lost(&mut self, ctx: &mut Context, why: &str) {
        self.log.lose_journal();
        let mut change = StateChange::new(self.state());
        change.error = Some(error(
            Code::Internal,
            format!("the journal was lost, durability is `memory` now: {why}"),
        ));
        self.tell_state(ctx, change);
    }

    /// The state that a new segment of the journal begins with.
    pub(crate) fn snapshot(&self, now: Now, machine_boot: &str) -> Vec<Kept> {
        if !self.log.has_journal() {
            return Vec::new();
        }
        let mut notes = vec![
            Note::Meta(self.meta(machine_boot.to_owned())),
            Note::Reserved(self.log.reserved()),
            Note::Last(self.log.last()),
        ];
        notes.extend(self.clients.iter().map(|client| Note::Position {
            id: client.id.0,
            name: client.name.clone(),
            acked: client.acked,
            gone_to: client.gone_to,
        }));
        let remembered = self.outbox.remembered();
        notes.extend(remembered.map(|(client, id, outcome)| Note::Settled {
            client: client.0,
            id: id.clone(),
            outcome,
        }));
        for (serial, item) in self.outbox.iter() {
            notes.extend(self.accepted_note(now, serial, self.requests.wanted(serial).as_ref()));
            if item.may_have_gone() && item.id.is_some() {
                notes.push(Note::Intent(serial));
            }
        }
        notes.iter().map(Note::encode).collect()
    }
}
