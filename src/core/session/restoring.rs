//! How a session comes back from its journal, and what it must doubt.
//!
//! What is in a journal, and in which order, is `keeping`'s.

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
use crate::core::outbox::{Item, Settled};

use crate::core::identity::{Identity, Owner, SessionKey};

use super::uplink::Uplink;
use super::{Keeping, Session};

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
        let mut keeping = Keeping {
            id,
            reserved: 0,
            trimmed: 0,
            is_handing_over: false,
        };
        let lost = session.replay(ctx, notes, &mut keeping, doubt);
        let last = session.log.last();
        if doubt != Doubt::None {
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
            // Its journal only carried it here.
            ctx.out.push_back(Output::Journal(keeping.id, Entry::Remove));
        } else {
            session.keeping = Some(keeping);
        }
        if doubt != Doubt::None {
            // Without it the numbers that it skips would be given again by the next broker.
            session.keep_newest(ctx);
            // And what may have gone may have gone for the next broker too.
            for (serial, item) in session.outbox.iter() {
                if item.may_have_gone() {
                    session.note(ctx, &Note::Intent(serial), false);
                }
            }
        }
        session.idle_since = Some(ctx.now.awake);
        // A clean end must not be the last word any more, should the power fail now.
        session.note(ctx, &Note::Meta(session.meta(machine_boot)), is_clean);
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
        keeping: &mut Keeping,
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
                    self.log.put_back(ctx.now.awake, record, audience);
                }
                Note::Reserved(seq) => keeping.reserved = keeping.reserved.max(seq),
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
            let mut item = Item::new(ClientId(head.client), Some(head.id), payload, deadline);
            item.resend = head.resend;
            item.volatile = head.volatile;
            item.receipt = head.receipt;
            item.lane = head.lane;
            item.is_request = head.is_request;
            item.confirms = head.wanted.is_some() && !head.is_request;
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
        if self.client_mut(ClientId(id)).is_none() {
            self.clients
                .push(Client::new(ClientId(id), name, acked, ctx.now.awake));
        }
        if let Some(client) = self.client_mut(ClientId(id)) {
            client.acked = acked;
            client.gone_to = gone_to;
        }
    }
}
