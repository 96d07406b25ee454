//! How a session comes back from its journal, and what it must doubt.
//!
//! What is in a journal, and in which order, is `journaling`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::wire::options::{Durability, Options, Queue};
use crate::wire::record::{Body, Name, Outcome, Record, State};

use crate::core::context::Context;
use crate::core::identity::{Identity, Owner, SessionKey};
use crate::core::io::{Now, Output};
use crate::core::journal::{Damage, Entry, JournalId, RawRecord};
use crate::core::journal_record::{Accepted, JournalRecord, Meta, VERSION};
use crate::core::log::ClientId;
use crate::core::outbox::Settled;
use crate::core::recorded_log::Durable;

use super::Session;
use super::delivery::Delivery;
use super::outgoing::{Outgoing, Reach};
use super::uplink::Uplink;

/// What a journal that is taken back may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Nothing that anybody has seen: within one boot of the machine the page cache has outlived the broker.
    Complete,
    /// What was not yet on the disk itself when the power failed.
    NoTail,
    /// Anything.
    Nothing,
}

/// The notes of a journal, gone through in the order written: records and positions are restored at once, messages when
/// it is known which had not ended.
#[derive(Debug)]
struct Replay<'a> {
    now: Now,
    delivery: &'a mut Delivery,
    outgoing: &'a mut Outgoing,
    /// Messages accepted and not ended, by serial number, and how far they had come.
    open: BTreeMap<u64, (Accepted, Reach)>,
    /// Numbers up to here may have been used.
    reserved: u64,
    /// Whether the link was open at the end. Without a word of it, messages may have gone out whose intents are lost.
    was_open: bool,
}

impl Session {
    /// Takes a session back from its journal, in the order written.
    ///
    /// # Errors
    /// A sentence saying why the journal cannot be used.
    pub(crate) fn restore(
        key: SessionKey,
        id: JournalId,
        kept: &[RawRecord],
        damage: Option<Damage>,
        ctx: &mut Context,
    ) -> Result<Self, String> {
        let notes: Vec<JournalRecord> = kept.iter().filter_map(JournalRecord::decode).collect();
        let meta = newest_meta(&notes)?;
        let is_clean = matches!(notes.last(), Some(JournalRecord::Clean));
        let trust = if damage == Some(Damage::Corrupt) {
            Trust::Nothing
        } else if is_clean || meta.machine_boot == ctx.machine_boot {
            Trust::Complete
        } else {
            Trust::NoTail
        };
        let in_memory = meta.in_memory;
        let mut session = Self::from_meta(key, meta, trust, ctx);
        let mut replay = Replay::new(ctx.now, &mut session.delivery, &mut session.outgoing);
        replay.run(notes);
        let reserved = replay.reserved;
        let lost = replay.restore_messages(trust);
        if in_memory {
            // Its journal only carried it here.
            ctx.out.push_back(Output::Journal(id, Entry::Remove));
        } else {
            session.delivery.resume_journal(id, reserved);
        }
        if trust != Trust::Complete {
            session.delivery.append_crash_gap(&mut ctx.recorder(), reserved);
            // What may have gone may have gone for the next broker too.
            for serial in session.outgoing.maybe_sent() {
                session.note(ctx, &JournalRecord::Intent(serial), Durable::Written);
            }
        }
        session.delivery.finish_restoring(ctx.now.awake);
        // A clean end must not be the last word any more, should the power fail now.
        let durable = if is_clean {
            Durable::OnDisk
        } else {
            Durable::Written
        };
        session.note_meta(ctx, durable);
        session.shrink(ctx);
        session.trim(ctx);
        for settled in lost {
            session.record_settled(ctx, settled);
        }
        Ok(session)
    }

    /// A session without records that is what a journal says it was.
    fn from_meta(key: SessionKey, meta: Meta, trust: Trust, ctx: &mut Context) -> Self {
        let epoch = match trust {
            // Numbers that were reserved may have been forgotten with the rest: only a new epoch makes them new.
            Trust::Nothing => ctx.dialer.random.word().into(),
            Trust::Complete | Trust::NoTail => meta.epoch,
        };
        let options = Options {
            durability: if meta.in_memory {
                Durability::Memory
            } else {
                Durability::Disk
            },
            expire: meta.expire,
            queue: Queue {
                messages: meta.messages,
                bytes: meta.bytes,
                age: meta.age,
                overflow: meta.overflow,
            },
            ..Options::default()
        };
        let identity = Identity {
            key,
            owner: Owner {
                origin: meta.origin,
                profile: meta.profile,
            },
            name: meta.session,
            epoch,
        };
        Self::empty(identity, Uplink::restored(), Arc::new(options))
    }
}

impl<'a> Replay<'a> {
    fn new(now: Now, delivery: &'a mut Delivery, outgoing: &'a mut Outgoing) -> Self {
        Self {
            now,
            delivery,
            outgoing,
            open: BTreeMap::new(),
            reserved: 0,
            was_open: true,
        }
    }

    /// Goes through the notes.
    fn run(&mut self, notes: Vec<JournalRecord>) {
        for note in notes {
            match note {
                JournalRecord::Record { record, audience } => self.record(record, audience),
                JournalRecord::Reserved(seq) => self.reserved = self.reserved.max(seq),
                JournalRecord::Position {
                    id,
                    name,
                    acked,
                    gone_to,
                } => self
                    .delivery
                    .restore_client(self.now.awake, ClientId(id), name, acked, gone_to),
                JournalRecord::Accepted(accepted) => {
                    self.open.insert(accepted.head.serial, (*accepted, Reach::Unsent));
                }
                JournalRecord::Intent(serial) => {
                    if let Some((_, reach)) = self.open.get_mut(&serial) {
                        *reach = Reach::MaybeSent;
                    }
                }
                JournalRecord::Settled { client, id, outcome } => self.end(ClientId(client), &id, outcome),
                JournalRecord::Last(seq) => self.delivery.skip_to(seq),
                JournalRecord::Forgotten(id) => self.delivery.forget_client(ClientId(id)),
                JournalRecord::Meta(_) | JournalRecord::Clean => {}
            }
        }
    }

    fn record(&mut self, record: Record, audience: Option<ClientId>) {
        match (&record.body, audience) {
            (Body::State(change), _) => self.was_open = change.state == State::Open,
            (Body::Outcome(report), Some(client)) => self.end(client, &report.id, Some(report.outcome)),
            (Body::Response(report), Some(client)) => self.end(client, &report.id, None),
            _ => {}
        }
        self.delivery.restore_record(self.now.awake, record, audience);
    }

    /// A message had ended.
    fn end(&mut self, client: ClientId, id: &Name, outcome: Option<Outcome>) {
        self.open
            .retain(|_, (accepted, _)| accepted.head.client != client.0 || accepted.head.id != *id);
        self.outgoing.restore_end(self.now, client, id, outcome);
    }

    /// Takes back messages that had not ended; how those ended that were on their way.
    fn restore_messages(self, trust: Trust) -> Vec<Settled> {
        let may_have_gone = match trust {
            Trust::Complete => false,
            Trust::NoTail => self.was_open,
            Trust::Nothing => true,
        };
        let mut settled = Vec::new();
        for (serial, (accepted, reach)) in self.open {
            let reach = if may_have_gone { Reach::MaybeSent } else { reach };
            settled.extend(self.outgoing.restore(self.now, serial, accepted, reach));
        }
        settled.extend(self.outgoing.link_lost(self.now, u64::MAX));
        settled
    }
}

/// The last word on what the session is.
fn newest_meta(notes: &[JournalRecord]) -> Result<Meta, String> {
    let meta = notes.iter().rev().find_map(|note| match note {
        JournalRecord::Meta(meta) => Some(meta.clone()),
        _ => None,
    });
    let meta = meta.ok_or("it does not name its owner")?;
    if meta.version > VERSION {
        let theirs = meta.version;
        return Err(format!(
            "its version {theirs} is newer than this broker's {VERSION}"
        ));
    }
    Ok(meta)
}
