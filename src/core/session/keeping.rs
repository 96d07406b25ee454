//! What a disk session writes down, when, and how it comes back.
//!
//! Order is the point: a block of numbers before any of them, a record before its delivery, an intent before its
//! write. Files belong to the `journal` module.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::wire::code::{Code, GapReason};
use crate::wire::options::{Durability, Queue};
use crate::wire::record::{Name, StateChange};

use crate::core::client::Client;
use crate::core::context::{Context, SessionKey, error};
use crate::core::io::Output;
use crate::core::journal::{Entry, JournalId, Kept};
use crate::core::kept::{Accepted, AcceptedHead, Meta, Note, VERSION, encode_record};
use crate::core::log::{ClientId, Entry as LogEntry, Log};
use crate::core::outbox::{Item, Verdict};
use crate::core::requests::Wanted;

use super::{Keeping, Owner, Session};

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
        let id = JournalId(format!("{}{}", ctx.random.word(), ctx.random.word()));
        self.keeping = Some(Keeping {
            id,
            reserved: 0,
            trimmed: 0,
            is_handing_over: false,
        });
        self.note(ctx, &Note::Meta(self.meta(ctx.machine_boot.clone())), false);
    }

    fn meta(&self, machine_boot: String) -> Meta {
        Meta {
            version: VERSION,
            origin: self.owner.origin.clone(),
            profile: self.owner.profile.clone(),
            session: self.name.clone(),
            epoch: self.epoch.clone(),
            machine_boot,
            expire: self.options.expire,
            messages: self.options.queue.messages,
            bytes: self.options.queue.bytes,
            age: self.options.queue.age,
            in_memory: self
                .keeping
                .as_ref()
                .is_some_and(|keeping| keeping.is_handing_over),
        }
    }

    /// Writes down a session that lives in memory, as the last thing this broker does with it.
    pub(super) fn hand_over(&mut self, ctx: &mut Context) {
        let id = JournalId(format!("{}{}", ctx.random.word(), ctx.random.word()));
        self.keeping = Some(Keeping {
            id: id.clone(),
            reserved: self.log.last(),
            trimmed: 0,
            is_handing_over: true,
        });
        for kept in self.snapshot(ctx.now.boot, &ctx.machine_boot.clone()) {
            let entry = Entry::Append { kept, sync: false };
            ctx.out.push_back(Output::Journal(id.clone(), entry));
        }
        for index in 0.. {
            let Some(entry) = self.log.get(index) else { break };
            ctx.out.push_back(record_entry(&id, entry, false));
        }
    }

    fn note(&self, ctx: &mut Context, note: &Note, sync: bool) {
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

    /// Writes down what a client has finished.
    pub(super) fn keep_position(&self, ctx: &mut Context, id: ClientId) {
        if self.keeping.is_some()
            && let Some(client) = self.clients.iter().find(|client| client.id == id)
        {
            let note = Note::Position {
                id: id.0,
                name: client.name.clone(),
                acked: client.acked,
            };
            self.note(ctx, &note, false);
        }
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

    /// Writes down a message before it is accepted.
    pub(super) fn keep_accepted(&self, ctx: &mut Context, serial: u64, wanted: Option<&Wanted>) {
        if self.keeping.is_some()
            && let Some(note) = self.accepted_note(ctx.now.boot, serial, wanted)
        {
            self.note(ctx, &note, false);
        }
    }

    fn accepted_note(&self, boot: Duration, serial: u64, wanted: Option<&Wanted>) -> Option<Note> {
        let item = self.outbox.get(serial)?;
        let head = AcceptedHead {
            serial,
            client: item.client.0,
            id: item.id.clone()?,
            resend: item.resend,
            receipt: item.receipt,
            is_request: item.is_request,
            ttl: u64::try_from(item.deadline.saturating_sub(boot).as_millis()).unwrap_or(u64::MAX),
            wanted: wanted.cloned(),
        };
        Some(Note::Accepted(Box::new(Accepted {
            head,
            payload: item.payload.clone(),
        })))
    }

    /// Writes down that a message is about to be written: after a crash nobody can say whether it was.
    pub(super) fn keep_intent(&self, ctx: &mut Context, serial: u64) {
        if self.keeping.is_some() && self.outbox.get(serial).is_some_and(|item| item.id.is_some()) {
            self.note(ctx, &Note::Intent(serial), false);
        }
    }

    /// Writes down how a message ended before anybody hears of it.
    pub(super) fn keep_settled(&self, ctx: &mut Context, client: ClientId, id: &Name, verdict: &Verdict) {
        let outcome = match verdict {
            Verdict::Outcome(outcome, _) => Some(*outcome),
            Verdict::Response(_) => None,
        };
        self.note(
            ctx,
            &Note::Settled {
                client: client.0,
                id: id.clone(),
                outcome,
            },
            false,
        );
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
    pub(crate) fn snapshot(&self, boot: Duration, machine_boot: &str) -> Vec<Kept> {
        let Some(keeping) = &self.keeping else {
            return Vec::new();
        };
        let mut notes = vec![
            Note::Meta(self.meta(machine_boot.to_owned())),
            Note::Reserved(keeping.reserved),
        ];
        notes.extend(self.clients.iter().map(|client| Note::Position {
            id: client.id.0,
            name: client.name.clone(),
            acked: client.acked,
        }));
        let remembered = self.outbox.remembered();
        notes.extend(remembered.map(|(client, id, outcome)| Note::Settled {
            client: client.0,
            id: id.clone(),
            outcome,
        }));
        for (serial, item) in self.outbox.iter() {
            notes.extend(self.accepted_note(boot, serial, self.requests.wanted(serial).as_ref()));
            if item.is_handed() && item.id.is_some() {
                notes.push(Note::Intent(serial));
            }
        }
        notes.iter().map(Note::encode).collect()
    }

    /// Takes a session back from its journal, in the order written.
    ///
    /// # Errors
    /// A sentence saying why the journal cannot be used.
    pub(crate) fn restore(
        key: SessionKey,
        id: JournalId,
        kept: &[Kept],
        damaged: bool,
        ctx: &mut Context,
    ) -> Result<Self, String> {
        let notes: Vec<Note> = kept.iter().filter_map(Note::decode).collect();
        let meta = notes.iter().rev().find_map(|note| match note {
            Note::Meta(meta) => Some(meta.clone()),
            _ => None,
        });
        let meta = meta.ok_or("it does not say whose it is")?;
        if meta.version > VERSION {
            return Err(format!(
                "its version {} is newer than this broker's {VERSION}",
                meta.version
            ));
        }
        let is_clean = matches!(notes.last(), Some(Note::Clean));
        let machine_boot = ctx.machine_boot.clone();
        // Within one boot of the machine the page cache has outlived the broker: nothing that was seen is missing.
        let is_whole = !damaged && (is_clean || meta.machine_boot == machine_boot);
        let owner = Owner {
            origin: meta.origin,
            profile: meta.profile,
        };
        let mut session = Self::empty(key, owner, meta.session, meta.epoch, Log::default());
        session.restored = true;
        session.options.durability = Durability::Disk;
        session.options.expire = meta.expire;
        session.options.queue = Queue {
            messages: meta.messages,
            bytes: meta.bytes,
            age: meta.age,
            ..Queue::default()
        };
        let mut keeping = Keeping {
            id,
            reserved: 0,
            trimmed: 0,
            is_handing_over: false,
        };
        let lost = session.replay(ctx, notes, &mut keeping);
        let last = session.log.last();
        if !is_whole {
            let to = keeping.reserved.max(last + 1);
            session
                .log
                .append_gap(ctx.now.awake, last + 1, to, to - last, GapReason::Crash);
        }
        let newest = session.log.last();
        for client in &mut session.clients {
            client.delivered = newest;
        }
        if meta.in_memory {
            // It has done its duty: this session is not to be found on any disk.
            session.options.durability = Durability::Memory;
            ctx.out.push_back(Output::Journal(keeping.id, Entry::Remove));
        } else {
            session.keeping = Some(keeping);
        }
        session.idle_since = Some(ctx.now.awake);
        session.note(ctx, &Note::Meta(session.meta(machine_boot)), false);
        session.trim(ctx);
        for settled in lost {
            session.record_settled(ctx, settled);
        }
        Ok(session)
    }

    /// Goes through the notes; how the messages ended that were on their way.
    fn replay(
        &mut self,
        ctx: &mut Context,
        notes: Vec<Note>,
        keeping: &mut Keeping,
    ) -> Vec<crate::core::outbox::Settled> {
        let mut open: BTreeMap<u64, (Accepted, bool)> = BTreeMap::new();
        for note in notes {
            match note {
                Note::Record { record, audience } => self.log.put_back(ctx.now.awake, record, audience),
                Note::Reserved(seq) => keeping.reserved = keeping.reserved.max(seq),
                Note::Position { id, name, acked } => self.put_back_client(ctx, id, name, acked),
                Note::Accepted(accepted) => {
                    open.insert(accepted.head.serial, (*accepted, false));
                }
                Note::Intent(serial) => {
                    if let Some((_, handed)) = open.get_mut(&serial) {
                        *handed = true;
                    }
                }
                Note::Settled { client, id, outcome } => {
                    open.retain(|_, (accepted, _)| accepted.head.client != client || accepted.head.id != id);
                    if self.outbox.fate(ClientId(client), &id).is_none() {
                        self.outbox.remember(ctx.now.awake, ClientId(client), id, outcome);
                    }
                }
                Note::Meta(_) | Note::Clean => {}
            }
        }
        for (serial, (accepted, handed)) in open {
            let Accepted { head, payload } = accepted;
            let deadline = ctx.now.boot.saturating_add(Duration::from_millis(head.ttl));
            let mut item = Item::new(ClientId(head.client), Some(head.id), payload, deadline);
            item.resend = head.resend;
            item.receipt = head.receipt;
            item.is_request = head.is_request;
            item.confirms = head.wanted.is_some() && !head.is_request;
            self.outbox.take_back(serial, item, handed);
            if let Some(wanted) = head.wanted {
                self.requests.wait(serial, wanted);
            }
        }
        self.outbox.link_lost(ctx.now.awake, u64::MAX)
    }

    fn put_back_client(&mut self, ctx: &Context, id: u32, name: Name, acked: u64) {
        self.last_client = self.last_client.max(id);
        self.clients
            .retain(|client| client.name != name || client.id.0 == id);
        if let Some(client) = self.client_mut(ClientId(id)) {
            client.acked = acked;
        } else {
            self.clients
                .push(Client::new(ClientId(id), name, acked, ctx.now.awake));
        }
    }
}
