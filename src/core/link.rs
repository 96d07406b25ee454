//! A session's link to its server: which state it is in, and everything that lives only as long as one connection.
//!
//! ```text
//!            attach, reconnect                    Opened
//!  paused ───────────────────────> connecting ─────────────> open
//!    ^                              ^   │ Ended                │ Ended
//!    │ linger, overflow `close`     │   v                      v
//!    └───────────────────────── waiting <───────── retry ──────┤
//!                                                              ├─ auth ──> unauthorized ── authorize ──> connecting
//!                                                              ├─ stop ──> failed ── reconnect, authorize ──> connecting
//!                                                              └─ `reconnect: false` ──> closed
//! ```
//!
//! It holds state; the transitions are in `session::linking`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::message::Rtt;
use crate::wire::record::State;

use super::heartbeat::Heartbeat;
use super::io::DialId;

/// Round trips remembered for the percentiles.
const ROUND_TRIPS: usize = 128;

/// The link's state. At most one dial is alive, and it is named here.
#[derive(Debug)]
pub(crate) enum Link {
    Paused,
    Dialing(DialId),
    Up(Box<Connection>),
    /// Until this boot time.
    Waiting(Duration),
    /// Until it is its turn to dial: `pace` knows.
    Queued,
    Unauthorized,
    Failed,
    Closed,
}

/// One connection. Made when it opens, gone when it ends: nothing of it can leak into the next.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) dial: DialId,
    /// Boot time and wall clock of its opening.
    pub(crate) opened: Duration,
    pub(crate) since: u64,
    pub(crate) subprotocol: Option<String>,
    pub(crate) heartbeat: Option<Heartbeat>,
    /// The outbox flows.
    pub(crate) ready: bool,
    /// Boot time until which the `ready` rule must match.
    pub(crate) ready_by: Option<Duration>,
    /// Reading is paused.
    pub(crate) paused: bool,
    /// The journal knows on the disk itself that messages go out here.
    pub(crate) is_kept: bool,
    token: u64,
    /// Pings under way: token, what a pong proves, when sent.
    pings: VecDeque<(u64, Option<u64>, Duration)>,
    /// Boot time of the last proving ping.
    last_proof: Option<Duration>,
}

impl Link {
    /// The word for it.
    pub(crate) const fn state(&self) -> State {
        match self {
            Self::Paused => State::Paused,
            Self::Dialing(_) => State::Connecting,
            Self::Up(_) => State::Open,
            Self::Waiting(_) | Self::Queued => State::Waiting,
            Self::Unauthorized => State::Unauthorized,
            Self::Failed => State::Failed,
            Self::Closed => State::Closed,
        }
    }

    /// How long until the next dial, while it waits for a known time.
    pub(crate) const fn retry_in(&self, boot: Duration) -> Option<Duration> {
        match self {
            Self::Waiting(until) => Some(until.saturating_sub(boot)),
            _ => None,
        }
    }

    /// The dial that is alive.
    pub(crate) const fn dial(&self) -> Option<DialId> {
        match self {
            Self::Dialing(dial) => Some(*dial),
            Self::Up(connection) => Some(connection.dial),
            _ => None,
        }
    }

    /// The connection, if it is open.
    pub(crate) fn up(&mut self) -> Option<&mut Connection> {
        match self {
            Self::Up(connection) => Some(connection),
            _ => None,
        }
    }

    /// The connection, if it is open, to look at.
    pub(crate) fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Up(connection) => Some(connection),
            _ => None,
        }
    }
}

impl Connection {
    pub(crate) const fn new(dial: DialId, opened: Duration, since: u64) -> Self {
        Self {
            dial,
            opened,
            since,
            subprotocol: None,
            heartbeat: None,
            ready: false,
            ready_by: None,
            paused: false,
            is_kept: false,
            token: 0,
            pings: VecDeque::new(),
            last_proof: None,
        }
    }

    /// Counts a ping; its token. `proves` is the place in the outbox that its pong proves.
    pub(crate) fn ping(&mut self, now: Duration, proves: Option<u64>) -> u64 {
        self.token += 1;
        if proves.is_some() {
            self.last_proof = Some(now);
        }
        self.pings.push_back((self.token, proves, now));
        self.token
    }

    /// Whether a proving ping is under way.
    pub(crate) fn is_proving(&self) -> bool {
        self.pings.iter().any(|(_, proves, _)| proves.is_some())
    }

    /// When the next proving ping may go.
    pub(crate) fn proof_due(&self, spacing: Duration) -> Duration {
        self.last_proof.map_or(Duration::ZERO, |last| last + spacing)
    }

    /// A pong came: what it proves and how long it took. A token never sent proves nothing.
    pub(crate) fn pong(&mut self, now: Duration, token: u64) -> Option<(Option<u64>, Duration)> {
        let index = self.pings.iter().position(|(sent, ..)| *sent == token)?;
        let (_, _, sent_at) = self.pings.get(index).copied()?;
        // Pongs may answer only the newest of several pings; older ones are answered by it.
        let proves = self
            .pings
            .drain(..=index)
            .filter_map(|(_, proves, _)| proves)
            .max();
        Some((proves, now.saturating_sub(sent_at)))
    }
}

/// Recent round trips, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct RoundTrips {
    recent: VecDeque<u64>,
    max: u64,
}

impl RoundTrips {
    pub(crate) fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.max = self.max.max(micros);
        if self.recent.len() == ROUND_TRIPS {
            self.recent.pop_front();
        }
        self.recent.push_back(micros);
    }

    /// Percentiles of the recent ones, and the maximum of all.
    pub(crate) fn report(&self) -> Option<Rtt> {
        let mut sorted: Vec<u64> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        let at = |part: usize| {
            sorted
                .get((sorted.len() * part / 100).min(sorted.len().checked_sub(1)?))
                .copied()
        };
        Some(Rtt {
            p50: at(50)?,
            p99: at(99)?,
            max: self.max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_proves_its_own_ping_and_those_before_it() {
        let mut connection = Connection::new(DialId(1), Duration::ZERO, 0);
        let first = connection.ping(Duration::ZERO, Some(5));
        let beat = connection.ping(Duration::from_secs(1), None);
        assert_eq!(connection.pong(Duration::from_secs(2), 99), None);
        assert_eq!(
            connection.pong(Duration::from_secs(2), beat),
            Some((Some(5), Duration::from_secs(1)))
        );
        assert!(!connection.is_proving());
        assert_eq!(
            connection.pong(Duration::from_secs(2), first),
            None,
            "answered already"
        );
    }

    #[test]
    fn round_trips_have_percentiles() {
        let mut trips = RoundTrips::default();
        assert_eq!(trips.report(), None);
        for millis in 1..=100 {
            trips.add(Duration::from_millis(millis));
        }
        let report = trips.report().unwrap();
        assert_eq!((report.p50, report.p99, report.max), (51_000, 100_000, 100_000));
    }
}
