//! Read-only queries about the link.

use std::time::Duration;

use crate::wire::message::SessionReport;
use crate::wire::options::Options;
use crate::wire::record::State;

use crate::core::dialect::{Abilities, ProtocolDescriptor};

use super::super::in_millis;
use super::super::link_view::LinkView;
use super::Uplink;
use super::connection::Connection;

impl Uplink {
    /// Bytes of messages that have come in part.
    pub(in crate::core::session) fn partial_held(&self) -> usize {
        self.dialect
            .as_ref()
            .map_or(0, |dialect| dialect.handler().held())
    }

    /// Bytes of messages that are being written outside of the core; `None`: there are none.
    pub(super) fn encoding(&self) -> Option<usize> {
        self.dialect.as_ref()?.handler().encoding()
    }

    /// What can be done on this link: the active one, otherwise the next one.
    pub(super) fn abilities(&self, options: &Options) -> Abilities {
        (self.protocol(options).abilities)(options)
    }

    /// The protocol of the active dial, otherwise of the next one.
    pub(super) fn protocol(&self, options: &Options) -> &'static ProtocolDescriptor {
        match &self.dialect {
            Some(dialect) => dialect.protocol(),
            None => self.next_protocol(options),
        }
    }

    /// The link's state.
    pub(crate) const fn state(&self) -> State {
        self.state.name()
    }

    /// Whether a link is up or sought.
    pub(in crate::core::session) const fn is_wanted(&self) -> bool {
        self.state.is_wanted()
    }

    /// What was negotiated.
    pub(in crate::core::session) fn subprotocol(&self) -> Option<String> {
        self.state.connection()?.subprotocol.clone()
    }

    /// Counters and the last failure, for `status`.
    pub(in crate::core::session) fn report(
        &self,
        report: &mut SessionReport,
        options: &Options,
        boot: Duration,
    ) {
        let retry_in = self.state.waits_until();
        report.url = self.shown_url(options);
        report.state = Some(self.state.name().as_str());
        report.dials = self.dials;
        report.reconnects = self.opens.saturating_sub(1);
        report.connected_since = self.state.connection().map(|connection| connection.since);
        report.rtt = self.round_trips.report();
        report.error = self.outage.error().cloned();
        report.retry_in = retry_in.map(|until| in_millis(until.saturating_sub(boot)));
    }

    /// The link at this moment.
    pub(in crate::core::session) fn view(&self, options: &Options) -> LinkView {
        let connection = self.state.connection();
        let protocol = self.protocol(options);
        let abilities = (protocol.abilities)(options);
        LinkView {
            state: self.state.name(),
            protocol,
            abilities,
            is_open: connection.is_some(),
            is_ready: connection.is_some_and(|up| up.readiness.is_ready()),
            awaits_close: connection.is_some_and(Connection::is_closing),
            has_pings: options.heartbeat.is_some() && abilities.pings,
            is_encoding: self.encoding().is_some(),
        }
    }
}
