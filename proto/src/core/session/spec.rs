//! What a session is: its identity and its options. Every part may read them; none changes them.

use std::sync::Arc;

use crate::wire::json::Pointers;
use crate::wire::message::{Open, Opened, Resumed, SessionReport};
use crate::wire::options::{Durability, Options, QueueOptions};
use crate::wire::record::{Name, State};

use crate::core::context::Context;
use crate::core::identity::{Identity, Owner, SessionKey};
use crate::core::journal::JournalId;
use crate::core::journal_record::{Meta, VERSION};
use crate::core::random::Random;
use crate::core::recorded_log::RecordedLog;

use super::delivery::DeliveryContext;
use super::outgoing::sent_pointers;
use super::uplink::UplinkContext;

/// Whether `open` made the session that it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Created,
    Existing,
}

/// The identity and the options of one session.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(super) identity: Identity,
    /// Shared with sessions that were opened alike.
    pub(super) options: Arc<Options>,
    /// Bytes that the options take.
    options_held: usize,
}

impl Spec {
    pub(super) fn new(identity: Identity, options: Arc<Options>) -> Self {
        Self {
            identity,
            options_held: options.held(),
            options,
        }
    }

    /// Bytes that the options take.
    pub(super) const fn held(&self) -> usize {
        self.options_held
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Whether these are its options.
    pub(crate) fn has(&self, options: &Options) -> bool {
        *self.options == *options
    }

    /// Bytes that it would take more with these options.
    pub(crate) fn grows_by(&self, options: &Options) -> usize {
        options.held().saturating_sub(self.options_held)
    }

    /// All pointers that are asked for when a message is sent.
    pub(crate) fn sent_pointers(&self) -> Pointers {
        sent_pointers(&self.options)
    }

    /// Replaces the options; those before.
    pub(super) fn replace_options(&mut self, options: Options) -> Arc<Options> {
        // What a session survives is settled when it is made.
        let durability = self.options.durability;
        let options = Arc::new(Options {
            durability,
            ..options
        });
        self.options_held = options.held();
        std::mem::replace(&mut self.options, options)
    }

    /// What the uplink may touch while it handles an input.
    pub(super) fn for_uplink<'a>(&'a self, ctx: &'a mut Context) -> UplinkContext<'a> {
        UplinkContext {
            now: ctx.now,
            who: &self.identity,
            options: &self.options,
            dialer: &mut ctx.dialer,
            out: &mut ctx.out,
            outlines: &mut ctx.outlines,
        }
    }

    /// What delivery may touch while it handles an input. `room`: bytes that the log may take in all.
    pub(super) fn for_delivery<'a>(&'a self, ctx: &'a mut Context, room: usize) -> DeliveryContext<'a> {
        DeliveryContext {
            now: ctx.now,
            who: &self.identity,
            options: &self.options,
            room,
            ports: ctx.ports(),
        }
    }

    /// The answer to an `open`, but for what the parts know.
    pub(super) fn opened(&self, open: Open, origin: Origin) -> Opened {
        Opened {
            id: open.id,
            session: self.identity.name.clone(),
            created: origin == Origin::Created,
            epoch: self.identity.epoch.clone(),
            resume: Resumed::Fresh,
            seq: 0,
            last: 0,
            state: State::Paused,
            subprotocol: None,
            outbox: Vec::new(),
            subscriptions: Vec::new(),
            ignored: open.ignored,
        }
    }

    /// Counters of it, for `status`, of which the parts know the values.
    pub(super) fn report(&self) -> SessionReport {
        let Identity { owner, name, .. } = &self.identity;
        SessionReport {
            session: Some(name.to_string()),
            origin: Some(owner.origin.to_string()),
            profile: Some(owner.profile.to_string()),
            ..SessionReport::default()
        }
    }

    /// A name for a new journal.
    pub(super) fn new_journal(&self, random: &mut Random) -> JournalId {
        JournalId::new(&self.identity.owner.origin, &random.word())
    }

    /// What the journal of this log says of it.
    pub(super) fn meta(&self, machine_boot: &str, log: &RecordedLog) -> Meta {
        let Identity {
            owner, name, epoch, ..
        } = &self.identity;
        let queue = &self.options.queue;
        Meta {
            version: VERSION,
            origin: owner.origin.clone(),
            profile: owner.profile.clone(),
            session: name.clone(),
            epoch: epoch.clone(),
            machine_boot: machine_boot.to_owned(),
            expire: self.options.expire,
            messages: queue.messages,
            bytes: queue.bytes,
            age: queue.age,
            overflow: queue.overflow.into(),
            in_memory: log.is_handing_over(),
        }
    }

    /// What a journal said of it, under this epoch.
    pub(super) fn from_meta(key: SessionKey, meta: Meta, epoch: Name) -> Self {
        let options = Options {
            durability: if meta.in_memory {
                Durability::Memory
            } else {
                Durability::Disk
            },
            expire: meta.expire,
            queue: QueueOptions {
                messages: meta.messages,
                bytes: meta.bytes,
                age: meta.age,
                overflow: meta.overflow.into(),
            },
            ..Options::default()
        };
        let owner = Owner {
            origin: meta.origin,
            profile: meta.profile,
        };
        let identity = Identity {
            key,
            owner,
            name: meta.session,
            epoch,
        };
        Self::new(identity, Arc::new(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_restored_from_its_journal_records() {
        let options = Options {
            durability: Durability::Disk,
            expire: 7,
            ..Options::default()
        };
        let before = Spec::new(Identity::for_tests(), Arc::new(options));
        let mut log = RecordedLog::default();
        let after = Spec::from_meta(SessionKey(9), before.meta("boot", &log), "epoch".into());
        assert_eq!(after.options, before.options);
        assert_eq!(after.identity.name, before.identity.name);
        assert_eq!(
            (after.identity.key, &*after.identity.epoch),
            (SessionKey(9), "epoch")
        );
        log.begin_handover(JournalId::new("a", "b"));
        let carried = Spec::from_meta(SessionKey(9), before.meta("boot", &log), "epoch".into());
        assert_eq!(carried.options.durability, Durability::Memory);
    }

    #[test]
    fn changed_options_do_not_change_durability_or_expiry() {
        let mut spec = Spec::new(Identity::for_tests(), Arc::default());
        let held = spec.held();
        let options = Options {
            durability: Durability::Disk,
            greeting: vec![crate::wire::payload::Payload::text("hello")],
            ..Options::default()
        };
        let before = spec.replace_options(options);
        assert!(before.greeting.is_empty());
        assert_eq!(spec.options.durability, Durability::Memory);
        assert!(spec.held() > held);
    }
}
