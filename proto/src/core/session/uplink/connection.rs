//! The state of a single connection: it is dropped with it, so nothing of it can leak into the next.
//!
//! It counts pings and what their pongs prove; the other files of the uplink send them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::message::Rtt;

use crate::core::io::DialId;

use super::heartbeat::Heartbeat;
use super::login::Login;
use super::readiness::Readiness;

/// Round trips remembered for the percentiles.
const MAX_ROUND_TRIPS: usize = 128;

/// One connection. Made when it opens, gone when it ends: nothing of it can leak into the next.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) dial: DialId,
    /// Boot time and wall clock of its opening.
    pub(super) opened: Duration,
    pub(super) since: u64,
    pub(super) subprotocol: Option<String>,
    heartbeat: Option<Heartbeat>,
    /// Whether the outbox flows.
    pub(super) readiness: Readiness,
    /// How far logging in has come.
    pub(super) login: Login,
    is_paused: bool,
    is_closing: bool,
    /// The journal knows on the disk itself that messages go out here.
    is_journaled: bool,
    token: u64,
    /// Pings under way: token, what a pong proves, when sent.
    pings: VecDeque<(u64, Option<u64>, Duration)>,
    /// Boot time of the last proving ping.
    last_proof: Option<Duration>,
}

impl Connection {
    pub(super) fn new(dial: DialId, opened: Duration, since: u64) -> Self {
        Self {
            dial,
            opened,
            since,
            subprotocol: None,
            heartbeat: None,
            readiness: Readiness::default(),
            login: Login::default(),
            is_paused: false,
            is_closing: false,
            is_journaled: false,
            token: 0,
            pings: VecDeque::new(),
            last_proof: None,
        }
    }

    /// Reading is paused: the server's silence proves nothing.
    pub(super) const fn pause(&mut self) {
        self.is_paused = true;
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.rest();
        }
    }

    /// Reading goes on.
    pub(super) const fn resume(&mut self, now: Duration) {
        self.is_paused = false;
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.wake(now);
        }
    }

    /// Whether reading is paused.
    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// The server is asked to close.
    pub(super) const fn begin_closing(&mut self) {
        self.is_closing = true;
    }

    /// Whether the server has been asked to close.
    pub(super) const fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// The journal is told on the disk itself that messages go out here; `true` the first time.
    pub(super) const fn journal_first(&mut self) -> bool {
        !std::mem::replace(&mut self.is_journaled, true)
    }

    /// The heartbeat begins anew, with these settings or none.
    pub(super) fn set_heartbeat(&mut self, heartbeat: Option<Heartbeat>) {
        self.heartbeat = heartbeat;
        if self.is_paused {
            // What is not read cannot answer.
            self.pause();
        }
    }

    pub(super) const fn heartbeat(&self) -> Option<&Heartbeat> {
        self.heartbeat.as_ref()
    }

    pub(super) const fn heartbeat_mut(&mut self) -> Option<&mut Heartbeat> {
        self.heartbeat.as_mut()
    }

    /// Counts a ping; its token. `proves` is the place in the outbox that its pong proves.
    pub(super) fn ping(&mut self, now: Duration, proves: Option<u64>) -> u64 {
        self.token += 1;
        if proves.is_some() {
            self.last_proof = Some(now);
        }
        self.pings.push_back((self.token, proves, now));
        self.token
    }

    /// Whether a proving ping is under way.
    pub(super) fn is_proving(&self) -> bool {
        self.pings.iter().any(|(_, proves, _)| proves.is_some())
    }

    /// When the next proving ping may go.
    pub(super) fn proof_due(&self, spacing: Duration) -> Duration {
        self.last_proof.map_or(Duration::ZERO, |last| last + spacing)
    }

    /// A pong came: what it proves and how long it took. A token never sent proves nothing.
    pub(super) fn pong(&mut self, now: Duration, token: u64) -> Option<(Option<u64>, Duration)> {
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
pub(super) struct RoundTrips {
    recent: VecDeque<u64>,
    max: u64,
}

impl RoundTrips {
    pub(super) fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.max = self.max.max(micros);
        if self.recent.len() == MAX_ROUND_TRIPS {
            self.recent.pop_front();
        }
        self.recent.push_back(micros);
    }

    /// Percentiles of the recent ones, and the maximum of all.
    pub(super) fn report(&self) -> Option<Rtt> {
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
