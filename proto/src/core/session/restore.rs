//! The parts of a session as it begins: new, or taken back from its journal, and what it must doubt then.
//!
//! What is in a journal, and in which order, is the parts': `Spec::meta`, and a `snapshot` of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use crate::wire::options::{Durability, Options};
use crate::wire::record::{Body, Name, Outcome, Record, State};

use crate::core::context::Context;
use crate::core::identity::ClientId;
use crate::core::identity::{Identity, SessionKey};
use crate::core::io::{Now, Output};
use crate::core::journal::{Damage, JournalEntry, JournalId, RawRecord};
use crate::core::journal_record::{Accepted, JournalRecord, Meta, VERSION};
use crate::core::recorded_log::Durable;

use super::delivery::Delivery;
use super::outgoing::{Outgoing, Reach};
use super::parts::Parts;
use super::spec::Spec;
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

/// The records of a journal, gone through in the order written: records and positions are restored at once, messages when
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

impl Parts {
    /// Of a session that has no client and no record yet; begins its journal if it is to survive the broker.
    pub(super) fn new(identity: Identity, url: Url, options: Arc<Options>, ctx: &mut Context) -> Self {
        let mut parts = Self {
            spec: Spec::new(identity, options),
            uplink: Uplink::new(url),
            outgoing: Outgoing::default(),
            delivery: Delivery::default(),
        };
        if parts.spec.options.durability == Durability::Disk {
            let id = parts.spec.new_journal(&mut ctx.dialer.random);
            parts.delivery.begin_journal(id);
            parts.journal_meta(ctx, Durable::Written);
        }
        parts
    }

    /// Takes a session back from the records of its journal, in the order written, and goes on with that journal. What became of
    /// messages that were on their way is to be polled.
    ///
    /// # Errors
    /// A sentence saying why the journal cannot be used.
    pub(super) fn from_journal(
        key: SessionKey,
        id: JournalId,
        kept: &[RawRecord],
        damage: Option<Damage>,
        ctx: &mut Context,
    ) -> Result<Self, String> {
        let records: Vec<JournalRecord> = kept.iter().filter_map(JournalRecord::decode).collect();
        let meta = newest_meta(&records)?;
        let is_clean = matches!(records.last(), Some(JournalRecord::Clean));
        let trust = Trust::of(&meta, is_clean, damage, &ctx.machine_boot);
        let in_memory = meta.in_memory;
        let epoch = match trust {
            // Numbers that were reserved may have been forgotten with the rest: only a new epoch makes them new.
            Trust::Nothing => ctx.dialer.random.word().into(),
            Trust::Complete | Trust::NoTail => meta.epoch.clone(),
        };
        let mut restored = Self {
            spec: Spec::from_meta(key, meta, epoch),
            uplink: Uplink::restored(),
            outgoing: Outgoing::default(),
            delivery: Delivery::default(),
        };
        let reserved = restored.replay(ctx.now, records, trust);
        if in_memory {
            // Its journal only carried it here.
            ctx.out.push_back(Output::Journal(id, JournalEntry::Remove));
        } else {
            restored.delivery.resume_journal(id, reserved);
        }
        if trust != Trust::Complete {
            restored.record_doubt(ctx, reserved);
        }
        restored.delivery.finish_restoring(ctx.now.awake);
        // A clean end must not be the last word any more, should the power fail now.
        let durable = if is_clean {
            Durable::OnDisk
        } else {
            Durable::Written
        };
        restored.journal_meta(ctx, durable);
        restored.act_delivery(ctx, |delivery, scope| {
            delivery.shrink(scope);
            delivery.trim(scope);
        });
        Ok(restored)
    }

    /// Goes through the records; numbers up to the one that comes out may have been used.
    fn replay(&mut self, now: Now, records: Vec<JournalRecord>, trust: Trust) -> u64 {
        let mut replay = Replay::new(now, &mut self.delivery, &mut self.outgoing);
        replay.run(records);
        let reserved = replay.reserved;
        replay.restore_messages(trust);
        reserved
    }

    /// The end of the journal may be missing: says so in a gap, and for the next broker too.
    fn record_doubt(&mut self, ctx: &mut Context, reserved: u64) {
        self.delivery.append_crash_gap(&mut ctx.recorder(), reserved);
        // What may have gone may have gone for the next broker too.
        for serial in self.outgoing.maybe_sent() {
            let intent = JournalRecord::Intent(serial);
            self.delivery
                .log()
                .write(&mut ctx.recorder(), &intent, Durable::Written);
        }
    }
}

impl Trust {
    fn of(meta: &Meta, is_clean: bool, damage: Option<Damage>, machine_boot: &str) -> Self {
        if damage == Some(Damage::Corrupt) {
            Self::Nothing
        } else if is_clean || meta.machine_boot == machine_boot {
            Self::Complete
        } else {
            Self::NoTail
        }
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

    /// Goes through the records.
    fn run(&mut self, records: Vec<JournalRecord>) {
        for record in records {
            match record {
                JournalRecord::Record { record, audience } => self.record(record, audience),
                JournalRecord::Reserved(seq) => self.reserved = self.reserved.max(seq),
                JournalRecord::Position {
                    id,
                    name,
                    acked,
                    lost_before,
                } => self
                    .delivery
                    .restore_client(self.now.awake, ClientId(id), name, acked, lost_before),
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

    /// Takes back messages that had not ended; those that were on their way end or wait again.
    fn restore_messages(self, trust: Trust) {
        let may_have_gone = match trust {
            Trust::Complete => false,
            Trust::NoTail => self.was_open,
            Trust::Nothing => true,
        };
        for (serial, (accepted, reach)) in self.open {
            let reach = if may_have_gone { Reach::MaybeSent } else { reach };
            self.outgoing.restore(self.now, serial, accepted, reach);
        }
        self.outgoing.link_lost(self.now, u64::MAX);
    }
}

/// The last word on what the session is.
fn newest_meta(records: &[JournalRecord]) -> Result<Meta, String> {
    let meta = records.iter().rev().find_map(|record| match record {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        let spec = Spec::new(Identity::for_tests(), Arc::default());
        spec.meta("boot", Delivery::default().log())
    }

    fn restore(records: &[JournalRecord], damage: Option<Damage>) -> (Parts, Context) {
        let mut ctx = Context::for_tests();
        let kept: Vec<RawRecord> = records.iter().map(JournalRecord::encode).collect();
        let id = JournalId::new("chrome-extension://a/", "j");
        let restored = Parts::from_journal(SessionKey(3), id, &kept, damage, &mut ctx);
        (restored.expect("a journal that can be used"), ctx)
    }

    #[test]
    fn recovery_trust_depends_on_clean_end_boot_and_damage() {
        let meta = meta();
        let of = |is_clean, damage, boot| Trust::of(&meta, is_clean, damage, boot);
        assert_eq!(of(true, None, "later"), Trust::Complete);
        assert_eq!(of(false, None, "boot"), Trust::Complete);
        assert_eq!(of(false, None, "later"), Trust::NoTail);
        assert_eq!(of(true, Some(Damage::Corrupt), "boot"), Trust::Nothing);
    }

    #[test]
    fn a_damaged_journal_gets_a_new_epoch_and_a_gap_up_to_the_reserved_number() {
        let records = [JournalRecord::Meta(meta()), JournalRecord::Reserved(4096)];
        let (whole, _) = restore(&records, None);
        assert_eq!(&*whole.spec.identity.epoch, "e");
        assert_eq!(whole.delivery.log().last(), 0);
        let (damaged, _) = restore(&records, Some(Damage::Corrupt));
        assert_ne!(&*damaged.spec.identity.epoch, "e");
        assert_eq!(damaged.delivery.log().last(), 4096);
    }

    #[test]
    fn a_journal_needs_an_owner_and_a_known_version() {
        assert!(newest_meta(&[JournalRecord::Clean]).is_err());
        let newer = Meta {
            version: VERSION + 1,
            ..meta()
        };
        let why = newest_meta(&[JournalRecord::Meta(newer)]).expect_err("it is newer");
        assert!(why.contains("is newer than this broker's"), "{why}");
    }

    #[test]
    fn the_journal_of_a_memory_session_is_removed_after_restore() {
        let carried = Meta {
            in_memory: true,
            ..meta()
        };
        let (restored, mut ctx) = restore(&[JournalRecord::Meta(carried), JournalRecord::Clean], None);
        assert!(!restored.delivery.log().has_journal());
        let outputs = ctx.take_outputs();
        assert!(
            matches!(outputs.as_slice(), [Output::Journal(_, JournalEntry::Remove)]),
            "{outputs:?}"
        );
    }
}
