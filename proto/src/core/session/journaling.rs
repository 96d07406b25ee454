//! What a disk session writes down beside its log, and when.
//!
//! The log's own records are `core::recorded_log`'s. How a session comes back is `restoring`'s.

use crate::wire::code::Code;
use crate::wire::options::Durability;
use crate::wire::record::{Name, Outcome, StateChange};

use crate::core::context::{Context, error};
use crate::core::io::Now;
use crate::core::journal::{JournalId, RawRecord};
use crate::core::journal_record::{JournalRecord, Meta, VERSION};
use crate::core::log::ClientId;
use crate::core::recorded_log::Durable;

use super::Session;

impl Session {
    /// Begins a journal if the session is to survive the broker.
    pub(super) fn start_journal(&mut self, ctx: &mut Context) {
        if self.options.durability != Durability::Disk {
            return;
        }
        let id = JournalId::new(&self.identity.owner.origin, &ctx.dialer.random.word());
        self.delivery.begin_journal(id);
        self.journal_meta(ctx);
    }

    fn meta(&self, machine_boot: String) -> Meta {
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
            in_memory: self.delivery.log().is_handing_over(),
        }
    }

    /// Writes down a session that lives in memory, as the last thing this broker does with it.
    pub(super) fn hand_over_to_next_broker(&mut self, ctx: &mut Context) {
        let id = JournalId::new(&self.identity.owner.origin, &ctx.dialer.random.word());
        self.delivery.begin_handover(id);
        let snapshot = self.snapshot(ctx.now, &ctx.machine_boot);
        self.delivery.hand_over(&mut ctx.recorder(), snapshot);
    }

    pub(super) fn note(&self, ctx: &mut Context, note: &JournalRecord, durable: Durable) {
        self.delivery.log().note(&mut ctx.recorder(), note, durable);
    }

    /// Writes down a message before it is accepted.
    pub(super) fn journal_accepted(&self, ctx: &mut Context, serial: u64) {
        if self.delivery.log().has_journal()
            && let Some(note) = self.outgoing.accepted(ctx.now, serial)
        {
            self.note(ctx, &note, Durable::Written);
        }
    }

    /// Writes down that a message is about to be written: after a crash nobody can say whether it was. The first on a
    /// connection goes to the disk itself, so that even after a power cut it is known that this link was open.
    pub(super) fn journal_intent(&mut self, ctx: &mut Context, serial: u64) {
        if !self.delivery.log().has_journal() || !self.outgoing.is_named(serial) {
            return;
        }
        let is_first = self.uplink.mark_journaled();
        let durable = if is_first {
            Durable::OnDisk
        } else {
            Durable::Written
        };
        self.note(ctx, &JournalRecord::Intent(serial), durable);
    }

    /// Writes down how a message ended of which no record tells.
    pub(super) fn journal_settled(&self, ctx: &mut Context, client: ClientId, id: Name, outcome: Outcome) {
        let note = JournalRecord::Settled {
            client: client.0,
            id,
            outcome: Some(outcome),
        };
        self.note(ctx, &note, Durable::Written);
    }

    /// Writes down what has changed of what the session is.
    pub(super) fn journal_meta(&self, ctx: &mut Context) {
        self.note_meta(ctx, Durable::Written);
    }

    pub(super) fn note_meta(&self, ctx: &mut Context, durable: Durable) {
        let meta = self.meta(ctx.machine_boot.clone());
        self.note(ctx, &JournalRecord::Meta(meta), durable);
    }

    /// The broker leaves in order.
    pub(super) fn journal_clean(&self, ctx: &mut Context) {
        self.note(ctx, &JournalRecord::Clean, Durable::OnDisk);
    }

    /// The journal failed: the session lives on in memory, and says so in place.
    pub(crate) fn journal_lost(&mut self, ctx: &mut Context, why: &str) {
        self.delivery.lose_journal();
        let mut change = StateChange::new(self.state());
        change.error = Some(error(
            Code::Internal,
            format!("the journal was lost, durability is `memory` now: {why}"),
        ));
        self.tell_state(ctx, change);
    }

    /// The state that a new segment of the journal begins with.
    pub(crate) fn snapshot(&self, now: Now, machine_boot: &str) -> Vec<RawRecord> {
        let log = self.delivery.log();
        if !log.has_journal() {
            return Vec::new();
        }
        let mut notes = vec![
            JournalRecord::Meta(self.meta(machine_boot.to_owned())),
            JournalRecord::Reserved(log.reserved()),
            JournalRecord::Last(log.last()),
        ];
        notes.extend(self.delivery.positions());
        notes.extend(self.outgoing.snapshot(now));
        notes.iter().map(JournalRecord::encode).collect()
    }
}
