//! What was received: from the server's message to the acknowledgement of the last client.
//!
//! Who is attached is in `clients`, and one client in `client`; how it comes and goes in `attach`, what it is handed in
//! `deliver`. What the log keeps is in `retention`, what filters and the guard keep away in `views`; how all that comes back
//! from a journal in `restore`; how the ends of messages sent are recorded in `settled`. It knows no link and no outbox: what
//! it asks of the link comes out of `poll`, and `advance` hands clients what has changed for them.

mod attach;
mod client;
mod clients;
mod deliver;
mod frames;
mod restore;
mod retention;
mod settled;
#[cfg(test)]
mod tests;
mod views;

use std::time::Duration;

use crate::wire::message::{BrokerFrame, Filtered, SessionReport, Totals};
use crate::wire::options::Options;
use crate::wire::record::{Body, Name, Record};

use crate::core::context::PortWriter;
use crate::core::guard::ReceiveGuard;
use crate::core::identity::ClientId;
use crate::core::identity::Identity;
use crate::core::io::{Now, PortId};
use crate::core::journal::{JournalId, RawRecord};
use crate::core::journal_record::JournalRecord;
use crate::core::recorded_log::{Durable, RecordedLog, Recorder};

use super::in_millis;

use self::clients::Clients;

pub(super) use self::retention::MIN_ROOM;

/// What delivery may touch while it does something.
#[derive(Debug)]
pub(super) struct DeliveryContext<'a> {
    pub(super) now: Now,
    pub(super) who: &'a Identity,
    pub(super) options: &'a Options,
    /// Bytes that the log may take in all.
    pub(super) room: usize,
    pub(super) ports: PortWriter<'a>,
}

impl DeliveryContext<'_> {
    const fn recorder(&mut self) -> Recorder<'_> {
        Recorder {
            now: self.now.awake,
            out: self.ports.out,
        }
    }

    /// A record as a client receives it that has not received it before.
    fn frame(&self, record: Record) -> BrokerFrame {
        BrokerFrame::Record {
            session: self.who.name.clone(),
            record,
            redelivered: false,
        }
    }

    /// A record as a client receives it that may have received it before.
    fn redelivery(&self, record: Record) -> BrokerFrame {
        BrokerFrame::Record {
            session: self.who.name.clone(),
            record,
            redelivered: true,
        }
    }

    /// A session is held through this port no more.
    fn release(&mut self, port: PortId) {
        if let Some(port) = self.ports.ports.get_mut(&port) {
            port.release(&self.who.name, self.who.key);
        }
    }
}

/// The incoming direction of one session.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    log: RecordedLog,
    clients: Clients,
    guard: ReceiveGuard,
    received: Totals,
    filtered: Filtered,
    /// Something has changed since clients were handed records last.
    is_changed: bool,
    /// The link was asked to read no more, and was not asked to read on.
    is_pausing: bool,
    request: Option<ReadRequest>,
}

/// What the log asks of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadRequest {
    /// To read no more for now: the log is full.
    Pause,
    /// To read on.
    Resume,
    /// To end until a client attaches: the log is full.
    Stop,
}

impl Delivery {
    /// The records, to read, and to write others to the journal beside them.
    pub(super) const fn log(&self) -> &RecordedLog {
        &self.log
    }

    /// The journal's name, if there is one.
    pub(crate) fn journal(&self) -> Option<&JournalId> {
        self.log.journal()
    }

    /// Bytes that all this takes.
    pub(super) fn held(&self) -> usize {
        self.log.held() + self.clients.held()
    }

    /// What the log asks of the link now; after every call until `None`.
    pub(super) const fn poll(&mut self) -> Option<ReadRequest> {
        self.request.take()
    }

    /// Whether `advance` may have something to do.
    pub(super) const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Something may be delivered that could not be before.
    pub(super) const fn begin_delivery(&mut self) {
        self.is_changed = true;
    }

    /// Hands clients what there is for them since the last change, and lets the link read on when there is room again.
    pub(super) fn advance(&mut self, ctx: &mut DeliveryContext<'_>) {
        self.is_changed = false;
        self.deliver(ctx);
        if self.is_pausing && self.has_room_again(ctx.options, ctx.room) {
            self.is_pausing = false;
            self.request = Some(ReadRequest::Resume);
        }
    }

    /// Does what is due: messages that are too old go, and clients that are too slow are told.
    pub(super) fn timeout(&mut self, ctx: &mut DeliveryContext<'_>) {
        self.drop_aged(ctx);
        self.deliver(ctx);
        self.report_stalls(ctx);
    }

    /// Appends a record for everybody, or for one client, and writes it down.
    pub(super) fn append(&mut self, ctx: &mut DeliveryContext<'_>, body: Body, audience: Option<ClientId>) {
        self.log.append(&mut ctx.recorder(), body, audience);
        self.begin_delivery();
        self.show_newest(ctx);
        self.clients.release_held(audience, self.log.last());
    }

    /// Shows the newest record to those who watch.
    fn show_newest(&self, ctx: &mut DeliveryContext<'_>) {
        if !ctx.ports.has_watchers() {
            return;
        }
        let newest = self.log.index_after(self.log.last() - 1);
        if let Some(entry) = self.log.get(newest) {
            ctx.ports.show_newest(ctx.who.key, &ctx.who.name, &entry.record);
        }
    }

    /// Shows the last records still held to one who begins to watch; how many had no room.
    pub(crate) fn show_last(
        &self,
        ports: &mut PortWriter<'_>,
        session: &Name,
        port: PortId,
        count: usize,
    ) -> u64 {
        let end = self.log.index_after(self.log.last());
        let held = (end.saturating_sub(count)..end).filter_map(|index| self.log.get(index));
        let left_out = held.filter(|entry| !ports.show_held(port, session, &entry.record));
        left_out.count() as u64
    }

    /// A message of the server's came.
    pub(super) const fn count(&mut self, bytes: usize) {
        self.received.messages += 1;
        self.received.bytes += bytes as u64;
    }

    /// Records waiting for this client.
    pub(crate) fn pending(&self, client: &str) -> usize {
        let Some(known) = self.clients.of_name(client) else {
            return 0;
        };
        let start = self.log.index_after(known.acked);
        (start..)
            .map_while(|index| self.log.get(index))
            .filter(|entry| entry.is_for(known.id))
            .count()
    }

    /// Counters, for `status`.
    pub(super) fn report(&self, report: &mut SessionReport, awake: Duration) {
        let attached = self.clients.iter().filter(|client| client.attachment.is_some());
        let oldest = attached
            .clone()
            .filter_map(|client| self.log.oldest_after(client.acked, client.id))
            .min();
        let unacknowledged = attached.clone().map(|client| client.unacknowledged() as u64);
        report.unacknowledged = unacknowledged.sum();
        report.clients = attached.count() as u64;
        report.oldest = oldest.map(|appended| in_millis(awake.saturating_sub(appended)));
        report.durability = Some(self.durability());
        report.received = self.received;
        report.filtered = self.filtered;
        report.queued = self.log.messages() as u64;
        report.dropped = self.log.dropped();
    }

    /// What new messages are promised.
    pub(super) const fn durability(&self) -> &'static str {
        if self.log.has_journal() { "disk" } else { "memory" }
    }

    /// Who holds the session through that port.
    pub(super) fn client_at(&self, port: PortId) -> Option<ClientId> {
        self.clients.at(port)
    }

    /// Awake time since which no client is attached.
    pub(super) const fn idle_since(&self) -> Option<Duration> {
        self.clients.idle_since()
    }

    /// Other options: a guard with other lines counts its rates anew.
    pub(super) fn options_changed(&mut self, before: &Options, after: &Options) {
        if after.guard != before.guard {
            self.guard = ReceiveGuard::default();
        }
        self.begin_delivery();
    }

    /// Begins a journal.
    pub(super) fn begin_journal(&mut self, id: JournalId) {
        self.log.begin_journal(id);
    }

    /// Begins a journal that carries a session in memory to the next broker.
    pub(super) fn begin_handover(&mut self, id: JournalId) {
        self.log.begin_handover(id);
    }

    /// The journal failed: from here on nothing is written down.
    pub(super) fn lose_journal(&mut self) {
        self.log.lose_journal();
    }

    /// Writes down what a client has finished.
    fn journal_position(&self, ctx: &mut DeliveryContext<'_>, id: ClientId) {
        if self.log.has_journal()
            && let Some(client) = self.clients.get(id)
        {
            self.log
                .write(&mut ctx.recorder(), &client.position(), Durable::Written);
        }
    }

    /// What a new segment of the journal begins with: the numbers, and what each client has finished.
    pub(super) fn snapshot(&self) -> impl Iterator<Item = JournalRecord> {
        let numbers = [
            JournalRecord::Reserved(self.log.reserved()),
            JournalRecord::Last(self.log.last()),
        ];
        numbers.into_iter().chain(self.positions())
    }

    /// What each client has finished.
    fn positions(&self) -> impl Iterator<Item = JournalRecord> {
        self.clients.iter().map(|client| client.position())
    }

    /// Writes down `snapshot` and every record that is held.
    pub(super) fn hand_over(&self, to: &mut Recorder<'_>, snapshot: Vec<RawRecord>) {
        self.log.hand_over(to, snapshot);
    }
}
