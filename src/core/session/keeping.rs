//! What a disk session writes down, and when.
//!
//! Order is the point: a block of numbers before any of them, a record before its delivery, an intent before its
//! write. How it comes back is `restoring`'s; files belong to the `journal` module.

use crate::wire::code::Code;
use crate::wire::options::Durability;
use crate::wire::record::{Name, Outcome, StateChange};

use crate::core::context::{Context, error};
use crate::core::io::{Now, Output};
use crate::core::journal::{Entry, JournalId, Kept};
use crate::core::kept::{Accepted, AcceptedHead, Meta, Note, VERSION, encode_record};
use crate::core::log::{ClientId, Entry as LogEntry};
use crate::core::requests::Wanted;

use super::{Keeping, Session};

/// Numbers reserved at a time.
const BLOCK: u64 = 4096;
/// Records finished before the journal hears of it.
const TRIM_EVERY: u64 = 1024;

/// The journal entry of a record of the log.
pub(super) fn record_entry(id: &JournalId, entry: &LogEntry, sync: bool) -> Output {
    let kept = encode_record(&entry.record, entry.audience);
    Output::Journal(id.clone(), Entry::Append { kept, sync })
}

impl Session {
    /// Begins a journal if the session is to survive the broker.
    pub(super) fn start_keeping(&mut self, ctx: &mut Context) {
        if self.options.durability != Durability::Disk {
            return;
        }
        let id = JournalId::new(&self.identity.owner.origin, &ctx.dialer.random.word());
        self.keeping = Some(Keeping {
            id,
            reserved: 0,
            trimmed: 0,
            is_handing_over: false,
        });
        self.keep_meta(ctx);
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
            in_memory: self
                .keeping
                .as_ref()
                .is_some_and(|keeping| keeping.is_handing_over),
        }
    }

    /// Writes down a session that lives in memory, as the last thing this broker does with it.
    pub(super) fn hand_over(&mut self, ctx: &mut Context) {
        let id = JournalId::new(&self.identity.owner.origin, &ctx.dialer.random.word());
        self.keeping = Some(Keeping {
            id: id.clone(),
            reserved: self.log.last(),
            trimmed: 0,
            is_handing_over: true,
        });
        for kept in self.snapshot(ctx.now, &ctx.machine_boot.clone()) {
            let entry = Entry::Append { kept, sync: false };
            ctx.out.push_back(Output::Journal(id.clone(), entry));
        }
        for index in 0.. {
            let Some(entry) = self.log.get(index) else { break };
            ctx.out.push_back(record_entry(&id, entry, false));
        }
    }

    pub(super) fn note(&self, ctx: &mut Context, note: &Note, sync: bool) {
        if let Some(keeping) = &self.keeping {
            let entry = Entry::Append {
                kept: note.encode(),
                sync,
            };
            ctx.out.push_back(Output::Journal(keeping.id.clone(), entry));
        }
    }

    /// Makes sure that the next number lies in a reserved block.
    pub(super) fn reserve(&mut self, ctx: &mut Context) {
        let next = self.log.last() + 1;
        let Some(keeping) = &mut self.keeping else { return };
        if next > keeping.reserved {
            keeping.reserved = next + BLOCK - 1;
            let note = Note::Reserved(keeping.reserved);
            self.note(ctx, &note, true);
        }
    }

    /// Writes down the record just appended.
    pub(super) fn keep_newest(&mut self, ctx: &mut Context) {
        let Some(keeping) = &self.keeping else { return };
        let newest = self.log.index_after(self.log.last() - 1);
        if let Some(entry) = self.log.get_mut(newest) {
            ctx.out.push_back(record_entry(&keeping.id, entry, false));
            entry.kept = true;
        }
    }

    /// Writes down the loss behind everything else, if it has grown: a run of losses that came together is one record.
    pub(super) fn keep_losses(&mut self, ctx: &mut Context) {
        if self.keeping.is_some() && self.log.ends_in_unkept_loss() {
            self.keep_newest(ctx);
        }
    }

    /// Writes down what a client has finished.
    pub(super) fn keep_position(&self, ctx: &mut Context, id: ClientId) {
        if self.keeping.is_some()
            && let Some(client) = self.clients.iter().find(|client| client.id == id)
        {
            let note = Note::Position {
                id: id.0,
                name: client.name.clone(),
                acked: client.acked,
                gone_to: client.gone_to,
            };
            self.note(ctx, &note, false);
        }
    }

    /// Writes down that a client is forgotten: the next broker would take it for one that misses nothing.
    pub(super) fn keep_forgotten(&self, ctx: &mut Context, id: ClientId) {
        self.note(ctx, &Note::Forgotten(id.0), false);
    }

    /// Lets the journal forget what nobody needs.
    pub(super) fn keep_trim(&mut self, ctx: &mut Context, seq: u64) {
        let Some(keeping) = &mut self.keeping else { return };
        if seq >= keeping.trimmed + TRIM_EVERY || seq == self.log.last() {
            keeping.trimmed = seq;
            ctx.out
                .push_back(Output::Journal(keeping.id.clone(), Entry::Trim { seq }));
        }
    }

    /// Lets the journal forget messages that were dropped. What stands before the oldest message is written once more,
    /// in one segment with the newest record, so that the segments of the dropped ones may go.
    pub(super) fn keep_drops(&mut self, ctx: &mut Context) {
        let Some(keeping) = &mut self.keeping else { return };
        let Some(oldest) = self.log.oldest_message().map(|entry| entry.record.seq) else {
            return;
        };
        let before = self.log.index_after(oldest - 1);
        if oldest <= keeping.trimmed + TRIM_EVERY.max(2 * before as u64) {
            return;
        }
        for index in 0..before {
            if let Some(entry) = self.log.get_mut(index) {
                ctx.out.push_back(record_entry(&keeping.id, entry, false));
                entry.kept = true;
            }
        }
        keeping.trimmed = oldest - 1;
        let entry = Entry::Trim { seq: oldest - 1 };
        ctx.out.push_back(Output::Journal(keeping.id.clone(), entry));
    }

    /// Writes down a message before it is accepted.
    pub(super) fn keep_accepted(&self, ctx: &mut Context, serial: u64, wanted: Option<&Wanted>) {
        if self.keeping.is_some()
            && let Some(note) = self.accepted_note(ctx.now, serial, wanted)
        {
            self.note(ctx, &note, false);
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
    pub(super) fn keep_intent(&mut self, ctx: &mut Context, serial: u64) {
        if self.keeping.is_none() || self.outbox.get(serial).is_none_or(|item| item.id.is_none()) {
            return;
        }
        let is_first = self.uplink.mark_journaled();
        self.note(ctx, &Note::Intent(serial), is_first);
    }

    /// Writes down how a message ended of which no record tells.
    pub(super) fn keep_settled(&self, ctx: &mut Context, client: ClientId, id: Name, outcome: Outcome) {
        let note = Note::Settled {
            client: client.0,
            id,
            outcome: Some(outcome),
        };
        self.note(ctx, &note, false);
    }

    /// Writes down what has changed of what the session is.
    pub(super) fn keep_meta(&self, ctx: &mut Context) {
        let meta = self.meta(ctx.machine_boot.clone());
        self.note(ctx, &Note::Meta(meta), false);
    }

    /// The session is over: nothing of it stays on disk.
    pub(super) fn remove_journal(&mut self, ctx: &mut Context) {
        if let Some(keeping) = self.keeping.take() {
            ctx.out.push_back(Output::Journal(keeping.id, Entry::Remove));
        }
    }

    /// The broker leaves in order.
    pub(crate) fn keep_clean(&self, ctx: &mut Context) {
        self.note(ctx, &Note::Clean, true);
    }

    /// The journal failed: the session lives on in memory, and says so in place.
    pub(crate) fn journal_lost(&mut self, ctx: &mut Context, why: &str) {
        self.keeping = None;
        let mut change = StateChange::new(self.state());
        change.error = Some(error(
            Code::Internal,
            format!("the journal was lost, durability is `memory` now: {why}"),
        ));
        self.tell_state(ctx, change);
    }

    /// The state that a new segment of the journal begins with.
    pub(crate) fn snapshot(&self, now: Now, machine_boot: &str) -> Vec<Kept> {
        let Some(keeping) = &self.keeping else {
            return Vec::new();
        };
        let mut notes = vec![
            Note::Meta(self.meta(machine_boot.to_owned())),
            Note::Reserved(keeping.reserved),
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
