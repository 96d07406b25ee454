//! What others may know of a session. It changes nothing.

use std::time::Duration;

use url::Url;

use crate::wire::json::Pointers;
use crate::wire::message::SessionReport;
use crate::wire::options::Options;
use crate::wire::record::{ErrorInfo, State};

use crate::core::context::Context;
use crate::core::identity::Identity;
use crate::core::io::{Now, PortId};
use crate::core::journal::{JournalId, RawRecord};
use crate::core::journal_record::JournalRecord;
use crate::core::rules::ExtensionRule;

use super::budget::{Budget, SESSION_COST};
use super::idle::Idle;
use super::lifecycle::Lifecycle;
use super::{Session, outgoing, pointers};

impl Session {
    pub(crate) const fn identity(&self) -> &Identity {
        &self.spec.identity
    }

    pub(crate) const fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// The link's state.
    pub(crate) const fn state(&self) -> State {
        self.uplink.state()
    }

    /// Whether it knows where to dial; one taken back from disk does not until it is opened again.
    pub(crate) const fn has_url(&self) -> bool {
        self.uplink.url().is_some()
    }

    /// The journal's name, if there is one.
    pub(crate) fn journal(&self) -> Option<&JournalId> {
        self.delivery.log().journal()
    }

    /// Whether the broker could leave without losing anything of it: it is on disk and wants no link.
    pub(crate) const fn can_wait_on_disk(&self) -> bool {
        self.delivery.log().has_journal()
            && matches!(self.state(), State::Paused | State::Failed | State::Closed)
    }

    /// Records waiting for this client.
    pub(crate) fn pending(&self, client: &str) -> usize {
        self.delivery.pending(client)
    }

    /// Counters.
    pub(crate) fn report(&self, now: Now) -> SessionReport {
        let mut report = self.spec.report();
        self.uplink.report(&mut report, &self.spec.options, now.boot);
        self.outgoing.report(&mut report);
        self.delivery.report(&mut report, now.awake);
        report
    }

    /// The state that a new segment of the journal begins with.
    pub(crate) fn snapshot(&self, now: Now, machine_boot: &str) -> Vec<RawRecord> {
        let log = self.delivery.log();
        if !log.has_journal() {
            return Vec::new();
        }
        let mut records = vec![JournalRecord::Meta(self.spec.meta(machine_boot, log))];
        records.extend(self.delivery.snapshot());
        records.extend(self.outgoing.snapshot(now));
        records.iter().map(JournalRecord::encode).collect()
    }

    /// Shows the last records still held to one who begins to watch; how many had no room.
    pub(crate) fn show_last(&self, ctx: &mut Context, port: PortId, count: usize) -> u64 {
        let name = &self.identity().name;
        self.delivery.show_last(&mut ctx.ports(), name, port, count)
    }

    /// Bytes that it takes, fixed costs included: what counts for its extension's budget.
    pub(crate) fn holds(&self) -> usize {
        SESSION_COST + self.spec.held() + self.uplink.held() + self.outgoing.held() + self.delivery.held()
    }

    pub(super) fn budget(&self, ctx: &Context) -> Budget {
        Budget::new(ctx.budget, ctx.others, self.holds())
    }

    /// Bytes that the log may take in all: the extension's budget, less what everything else takes.
    pub(super) fn log_room(&self, ctx: &Context) -> usize {
        Budget::new(ctx.budget, ctx.others, self.holds() - self.delivery.log().held()).left()
    }

    /// Bytes that it would take more with these options.
    pub(crate) fn grows_by(&self, options: &Options) -> usize {
        options.held().saturating_sub(self.spec.held())
    }

    /// Whether this URL or these options differ from the session's own.
    pub(crate) fn differs(&self, url: Option<&Url>, options: Option<&Options>) -> bool {
        url.is_some_and(|url| self.uplink.url() != Some(url))
            || options.is_some_and(|options| *self.spec.options != *options)
    }

    /// Whether the settings allow it with another URL or other options.
    pub(crate) fn may_become(
        &self,
        rule: &ExtensionRule,
        url: Option<&Url>,
        options: Option<&Options>,
    ) -> Result<(), ErrorInfo> {
        let options = options.unwrap_or(&self.spec.options);
        self.uplink.may_become(self.identity(), rule, url, options)
    }

    pub(super) fn received_pointers(&self) -> Pointers {
        pointers::received_pointers(&self.spec.options, &self.delivery, &self.outgoing)
    }

    /// All pointers that are asked for when a message is sent.
    pub(crate) fn sent_pointers(&self) -> Pointers {
        outgoing::sent_pointers(&self.spec.options)
    }

    /// The next deadline in boot time, and whose it is.
    pub(crate) fn boot_deadline(&self) -> Option<(Duration, &'static str)> {
        let proof = self.uplink.proof_due(&self.spec.options);
        let proof = proof.filter(|_| self.outgoing.wants_proof().is_some());
        [
            self.uplink.deadline(),
            self.outgoing.deadline(),
            proof.map(|at| (at, "proof")),
            self.delivery.stall_deadline().map(|at| (at, "stall")),
            self.lifecycle.deadline().map(|at| (at, "close")),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// The next deadline in awake time, and whose it is.
    pub(crate) fn awake_deadline(&self) -> Option<(Duration, &'static str)> {
        let aged = self.delivery.age_deadline(&self.spec.options);
        let aged = aged.map(|at| (at, "age"));
        let idle = self.idle().map(|idle| idle.deadline());
        [aged, idle].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Since when nobody holds it, and what is to come of that.
    pub(super) fn idle(&self) -> Option<Idle> {
        let since = self.delivery.idle_since();
        let since = since.filter(|_| !self.lifecycle.is_closing())?;
        Some(Idle::new(since, &self.spec.options, self.uplink.is_wanted()))
    }
}
