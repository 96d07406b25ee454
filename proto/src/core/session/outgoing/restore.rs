//! The outgoing direction in a journal, and its restoration.

use std::time::Duration;

use crate::wire::record::{Name, Outcome};

use crate::core::identity::ClientId;
use crate::core::io::Now;
use crate::core::journal_record::{Accepted, AcceptedHead, JournalRecord};
use crate::core::outbox::{Awaiting, Item, Terms};

use super::Outgoing;

impl Outgoing {
    /// What a journal keeps of a message that was accepted, if it has an id.
    pub(super) fn accepted(&self, now: Now, serial: u64) -> Option<JournalRecord> {
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
            is_request: item.is_request(),
            ttl,
            until: Some(now.wall.saturating_add(ttl)),
            wanted: self.requests.wanted(serial).map(Into::into),
        };
        Some(JournalRecord::Accepted(Box::new(Accepted {
            head,
            payload: item.payload.clone(),
        })))
    }

    /// Whether this message is in a journal.
    pub(super) fn is_named(&self, serial: u64) -> bool {
        self.outbox.get(serial).is_some_and(|item| item.id.is_some())
    }

    /// All that a journal keeps of it: how messages ended, those that have not, and which of them may have gone out.
    pub(in crate::core::session) fn snapshot(&self, now: Now) -> Vec<JournalRecord> {
        let remembered = self.outbox.remembered();
        let mut records: Vec<JournalRecord> = remembered
            .map(|(client, id, outcome)| JournalRecord::Settled {
                client: client.0,
                id: id.clone(),
                outcome,
            })
            .collect();
        for (serial, item) in self.outbox.iter() {
            records.extend(self.accepted(now, serial));
            if item.may_have_gone() && item.id.is_some() {
                records.push(JournalRecord::Intent(serial));
            }
        }
        records
    }

    /// Messages that may have gone out on this link or an earlier one.
    pub(in crate::core::session) fn maybe_sent(&self) -> impl Iterator<Item = u64> {
        let gone = self.outbox.iter().filter(|(_, item)| item.may_have_gone());
        gone.map(|(serial, _)| serial)
    }

    /// A message that had been accepted, and how far it had come. A volatile one that no link was given ends with that.
    pub(in crate::core::session) fn restore(
        &mut self,
        now: Now,
        serial: u64,
        accepted: Accepted,
        reach: Reach,
    ) {
        let Accepted { head, payload } = accepted;
        let left = head.until.map(|until| until.saturating_sub(now.wall));
        // A wall clock that was set back gives no message more time than it had.
        let ttl = left.map_or(head.ttl, |left| left.min(head.ttl));
        let deadline = now.boot.saturating_add(Duration::from_millis(ttl));
        let awaits = match (&head.wanted, head.is_request) {
            (_, true) => Awaiting::Answer,
            (Some(_), false) => Awaiting::Confirmation,
            (None, false) => Awaiting::Nothing,
        };
        let terms = Terms {
            resend: head.resend,
            volatile: head.volatile,
            receipt: head.receipt,
            lane: head.lane,
            awaits,
        };
        let item = Item::new(ClientId(head.client), Some(head.id), payload, deadline, terms);
        self.outbox.restore(serial, item);
        if reach == Reach::MaybeSent {
            self.outbox.restore_handed(serial);
        }
        if let Some(wanted) = head.wanted {
            self.requests.wait(serial, wanted.into());
        }
        if head.volatile && reach == Reach::Unsent {
            let dropped = self.outbox.drop_volatile(now.awake, serial);
            self.settled(dropped);
        }
    }

    /// A message of this id had ended.
    pub(in crate::core::session) fn restore_end(
        &mut self,
        now: Now,
        client: ClientId,
        id: &Name,
        outcome: Option<Outcome>,
    ) {
        if self.outbox.status(client, id).is_none() {
            self.outbox.remember(now.awake, client, id.clone(), outcome);
        }
    }
}

/// How far a message in a journal had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core::session) enum Reach {
    Unsent,
    MaybeSent,
}
