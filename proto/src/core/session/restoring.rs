//! How a session comes back from its journal, and what it must doubt.
//!
//! What is in a journal, and in which order, is `journaling`'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::wire::code::GapReason;
use crate::wire::options::{Durability, Options, Queue};
use crate::wire::record::{Body, Name, Outcome, State};

use crate::core::client::Client;
use crate::core::context::Context;
use crate::core::io::Output;
use crate::core::journal::{Damage, Entry, JournalId, Kept};
use crate::core::kept::{Accepted, Note, VERSION};
use crate::core::log::ClientId;
use crate::core::outbox::{Item, Settled, Terms};
use crate::core::recorded_log::Durable;

use crate::core::identity::{Identity, Owner, SessionKey};

use super::Session;
use super::uplink::Uplink;

/// Messages accepted and not ended, by serial number, and whether they may have been written.
type Open = BTreeMap<u64, (Accepted, bool)>;

/// What a journal that is taken back may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Nothing that anybody has seen: within one boot of the machine the page cache has outlived the broker.
    None,
    /// What was not yet on the disk itself when the power failed.
    Tail,
    /// Anything.
    All,
}

impl Session {
    /// Takes a session back from its journal, in the order written.
    ///
    /// # Errors
    /// A sentence saying why the journal cannot be used.
    pub(crate) fn restore(
        key: SessionKey,
        id: JournalId,
        kept: &[Kept],
        damage: Option<Damage>,
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
        let doubt = if damage == Some(Damage::Corrupt) {
            Doubt::All
        } else if is_clean || meta.machine_boot == machine_boot {
            Doubt::None
        } else {
            Doubt::Tail
        };
        let epoch = match doubt {
            // Numbers that were reserved may have been forgotten with the rest: only a new epoch makes them new.
            Doubt::All => ctx.dialer.random.word().into(),
            Doubt::None | Doubt::Tail => meta.epoch,
        };
        let owner = Owner {
            origin: meta.origin,
            profile: meta.profile,
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
            owner,
            name: meta.session,
            epoch,
        };
        let mut session = Self::empty(identity, Uplink::restored(), Arc::new(options));
        let mut reserved = 0;
        let lost = session.replay(ctx, notes, &mut reserved, doubt);
        if !meta.in_memory {
            session.log.resume_journal(id.clone(), reserved);
        }
        if doubt != Doubt::None {
            let to = reserved.max(session.log.last() + 1);
            session.log.append_gap(&mut ctx.recorder(), to, GapReason::Crash);
        }
        let newest = session.log.last();
        for client in &mut session.clients {
            client.seen_up_to(newest);
        }
        if meta.in_memory {
            // Its journal only carried it here.
            ctx.out.push_back(Output::Journal(id, Entry::Remove));
        }
        if doubt != Doubt::None {
            // What may have gone may have gone for the next broker too.
            for (serial, item) in session.outbox.iter() {
                if item.may_have_gone() {
                    session.note(ctx, &Note::Intent(serial), Durable::Written);
                }
            }
        }
        session.idle_since = Some(ctx.now.awake);
        // A clean end must not be the last word any more, should the power fail now.
        let durable = if is_clean {
            Durable::OnDisk
        } else {
            Durable::Written
        };
        session.note(ctx, &Note::Meta(session.meta(machine_boot)), durable);
        session.shrink(ctx);
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
        reserved: &mut u64,
        doubt: Doubt,
    ) -> Vec<Settled> {
        let mut open = Open::new();
        // Without a word of the link's, messages may have gone out whose intents are lost.
        let mut was_open = true;
        for note in notes {
            match note {
                Note::Record { record, audience } => {
                    match &record.body {
                        Body::State(change) => was_open = change.state == State::Open,
                        Body::Outcome(report) => {
                            self.put_back_end(ctx, &mut open, audience, &report.id, Some(report.outcome));
                        }
                        Body::Response(report) => {
                            self.put_back_end(ctx, &mut open, audience, &report.id, None);
                        }
                        Body::Message { .. } | Body::Gap(_) => {}
                    }
                    self.log.restore(ctx.now.awake, record, audience);
                }
                Note::Reserved(seq) => *reserved = (*reserved).max(seq),
                Note::Position {
                    id,
                    name,
                    acked,
                    gone_to,
                } => self.put_back_client(ctx, id, name, acked, gone_to),
                Note::Accepted(accepted) => {
                    open.insert(accepted.head.serial, (*accepted, false));
                }
                Note::Intent(serial) => {
                    if let Some((_, handed)) = open.get_mut(&serial) {
                        *handed = true;
                    }
                }
                Note::Settled { client, id, outcome } => {
                    self.put_back_end(ctx, &mut open, Some(ClientId(client)), &id, outcome);
                }
                Note::Last(seq) => self.log.skip_to(seq),
                Note::Forgotten(id) => self.clients.retain(|client| client.id.0 != id),
                Note::Meta(_) | Note::Clean => {}
            }
        }
        let may_have_gone = match doubt {
            Doubt::None => false,
            Doubt::Tail => was_open,
            Doubt::All => true,
        };
        let mut settled = Vec::new();
        for (serial, (accepted, handed)) in open {
            let handed = handed || may_have_gone;
            let Accepted { head, payload } = accepted;
            let left = head.until.map(|until| until.saturating_sub(ctx.now.wall));
            // A wall clock that was put back gives nobody more time than there was.
            let ttl = left.map_or(head.ttl, |left| left.min(head.ttl));
            let deadline = ctx.now.boot.saturating_add(Duration::from_millis(ttl));
            let terms = Terms {
                resend: head.resend,
                volatile: head.volatile,
                receipt: head.receipt,
                lane: head.lane,
                is_request: head.is_request,
                confirms: head.wanted.is_some() && !head.is_request,
            };
            let item = Item::new(ClientId(head.client), Some(head.id), payload, deadline, terms);
            self.outbox.take_back(serial, item, handed);
            if let Some(wanted) = head.wanted {
                self.requests.wait(serial, wanted.into());
            }
            if head.volatile && !handed {
                settled.extend(self.outbox.drop_volatile(ctx.now.awake, serial));
            }
        }
        settled.extend(self.outbox.link_lost(ctx.now.awake, u64::MAX));
        settled.extend(self.outbox.expire(ctx.now.boot, ctx.now.awake));
        settled
    }

    /// A message had ended.
    fn put_back_end(
        &mut self,
        ctx: &Context,
        open: &mut Open,
        client: Option<ClientId>,
        id: &Name,
        outcome: Option<Outcome>,
    ) {
        let Some(client) = client else { return };
        open.retain(|_, (accepted, _)| accepted.head.client != client.0 || accepted.head.id != *id);
        if self.outbox.fate(client, id).is_none() {
            self.outbox.remember(ctx.now.awake, client, id.clone(), outcome);
        }
    }

    fn put_back_client(&mut self, ctx: &Context, id: u32, name: Name, acked: u64, gone_to: u64) {
        self.last_client = self.last_client.max(id);
        self.clients
            .retain(|client| client.name != name || client.id.0 == id);
        let client = Client::restored(ClientId(id), name, acked, gone_to, ctx.now.awake);
        match self.client_mut(ClientId(id)) {
            Some(known) => *known = client,
            None => self.clients.push(client),
        }
    }
}
