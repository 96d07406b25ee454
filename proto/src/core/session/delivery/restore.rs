//! How the incoming direction comes back from a journal.

use std::time::Duration;

use crate::wire::code::GapReason;
use crate::wire::record::{Name, Record};

use crate::core::identity::ClientId;
use crate::core::journal::JournalId;
use crate::core::recorded_log::Recorder;

use super::Delivery;
use super::client::Client;

impl Delivery {
    /// A record; a later one with the same `seq` replaces an earlier.
    pub(in crate::core::session) fn restore_record(
        &mut self,
        now: Duration,
        record: Record,
        audience: Option<ClientId>,
    ) {
        self.log.restore(now, record, audience);
    }

    /// What a client had finished.
    pub(in crate::core::session) fn restore_client(
        &mut self,
        now: Duration,
        id: ClientId,
        name: Name,
        acked: u64,
        lost_before: u64,
    ) {
        self.clients
            .restore(Client::restored(id, name, acked, lost_before, now));
    }

    /// A client was forgotten.
    pub(in crate::core::session) fn forget_client(&mut self, id: ClientId) {
        self.clients.forget(id);
    }

    /// Numbers up to `seq` were given once; their records are finished and gone, or come back later.
    pub(in crate::core::session) fn skip_to(&mut self, seq: u64) {
        self.log.skip_to(seq);
    }

    /// Goes on with the journal that it was taken back from, in which numbers up to `reserved` are reserved.
    pub(in crate::core::session) fn resume_journal(&mut self, id: JournalId, reserved: u64) {
        self.log.resume_journal(id, reserved);
    }

    /// Records may be missing at the end, up to the number that is the last reserved: a gap says so.
    pub(in crate::core::session) fn append_crash_gap(&mut self, to: &mut Recorder<'_>, reserved: u64) {
        let up_to = reserved.max(self.log.last() + 1);
        self.log.append_gap(to, up_to, GapReason::Crash);
    }

    /// All of it is restored: any of it may have been delivered, and no client is attached.
    pub(in crate::core::session) fn finish_restoring(&mut self, now: Duration) {
        let newest = self.log.last();
        for client in self.clients.iter_mut() {
            client.seen_up_to(newest);
        }
        self.clients.begin_idle(now);
    }
}
