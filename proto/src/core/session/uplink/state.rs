//! The states of a link, and the only ways from one to another.
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
//! Every transition returns the change to report; when one happens is decided in the other files of the uplink.

use std::time::Duration;

use crate::wire::record::{State, StateChange};

use crate::core::io::DialId;

use super::connection::Connection;

/// The link's state. At most one dial is active, and it is named here.
#[derive(Debug, Default)]
pub(super) struct LinkState {
    inner: Inner,
}

#[derive(Debug, Default)]
enum Inner {
    #[default]
    Paused,
    Dialing(DialId),
    Up(Box<Connection>),
    /// Until this boot time.
    Waiting(Duration),
    /// Until it is its turn to dial.
    Queued,
    Unauthorized,
    Failed,
    Closed,
}

impl LinkState {
    fn go(&mut self, inner: Inner) -> StateChange {
        self.inner = inner;
        StateChange::new(self.name())
    }

    /// A dial begins. The one before must have been left.
    pub(super) fn dial(&mut self, dial: DialId) -> StateChange {
        debug_assert!(self.dial_id().is_none(), "never two dials alive");
        self.go(Inner::Dialing(dial))
    }

    /// The dial has become a connection.
    pub(super) fn open(&mut self, connection: Connection) -> StateChange {
        self.go(Inner::Up(Box::new(connection)))
    }

    /// The next dial is due at this boot time.
    pub(super) fn wait(&mut self, until: Duration) -> StateChange {
        self.go(Inner::Waiting(until))
    }

    /// The next dial waits for its turn. `None`: it was waiting before, and there is no news.
    pub(super) fn queue(&mut self) -> Option<StateChange> {
        let is_news = !matches!(self.inner, Inner::Waiting(_) | Inner::Queued);
        let change = self.go(Inner::Queued);
        is_news.then_some(change)
    }

    /// The next dial is due now, if it waits for its time.
    pub(super) const fn hasten(&mut self, now: Duration) {
        if let Inner::Waiting(until) = &mut self.inner {
            *until = now;
        }
    }

    /// No link is wanted for now.
    pub(super) fn pause(&mut self) -> StateChange {
        self.go(Inner::Paused)
    }

    /// No dialling until credentials come. `None`: they were awaited before.
    pub(super) fn refuse(&mut self) -> Option<StateChange> {
        let is_news = !matches!(self.inner, Inner::Unauthorized);
        let change = self.go(Inner::Unauthorized);
        is_news.then_some(change)
    }

    /// Dialling again would not help.
    pub(super) fn fail(&mut self) -> StateChange {
        self.go(Inner::Failed)
    }

    /// The link has ended for good.
    pub(super) fn close(&mut self) -> StateChange {
        self.go(Inner::Closed)
    }

    /// Its name.
    pub(super) const fn name(&self) -> State {
        match self.inner {
            Inner::Paused => State::Paused,
            Inner::Dialing(_) => State::Connecting,
            Inner::Up(_) => State::Open,
            Inner::Waiting(_) | Inner::Queued => State::Waiting,
            Inner::Unauthorized => State::Unauthorized,
            Inner::Failed => State::Failed,
            Inner::Closed => State::Closed,
        }
    }

    /// The active dial.
    pub(super) const fn dial_id(&self) -> Option<DialId> {
        match &self.inner {
            Inner::Dialing(dial) => Some(*dial),
            Inner::Up(connection) => Some(connection.dial),
            _ => None,
        }
    }

    /// Whether a dial has not opened yet.
    pub(super) const fn is_dialing(&self) -> bool {
        matches!(self.inner, Inner::Dialing(_))
    }

    /// Whether the next dial waits for its turn.
    pub(super) const fn is_queued(&self) -> bool {
        matches!(self.inner, Inner::Queued)
    }

    /// Whether a link is up or sought.
    pub(super) const fn is_wanted(&self) -> bool {
        matches!(
            self.inner,
            Inner::Dialing(_) | Inner::Up(_) | Inner::Waiting(_) | Inner::Queued
        )
    }

    /// Boot time of the next dial, while it waits for its time.
    pub(super) const fn waits_until(&self) -> Option<Duration> {
        match self.inner {
            Inner::Waiting(until) => Some(until),
            _ => None,
        }
    }

    /// The connection, if it is open.
    pub(super) fn connection_mut(&mut self) -> Option<&mut Connection> {
        match &mut self.inner {
            Inner::Up(connection) => Some(connection),
            _ => None,
        }
    }

    /// The connection, if it is open, to look at.
    pub(super) fn connection(&self) -> Option<&Connection> {
        match &self.inner {
            Inner::Up(connection) => Some(connection),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_returns_the_change_to_report() {
        let mut state = LinkState::default();
        assert_eq!((state.name(), state.dial_id()), (State::Paused, None));
        assert_eq!(state.dial(DialId(1)).state, State::Connecting);
        assert!(state.is_dialing() && state.is_wanted());
        let connection = Connection::new(DialId(1), Duration::ZERO, 0);
        assert_eq!(state.open(connection).state, State::Open);
        assert_eq!(state.dial_id(), Some(DialId(1)));
        assert_eq!(state.wait(Duration::from_secs(1)).state, State::Waiting);
        assert_eq!((state.dial_id(), state.connection().is_none()), (None, true));
        assert_eq!(state.fail().state, State::Failed);
        assert!(!state.is_wanted());
    }

    #[test]
    fn queueing_for_a_dial_reports_waiting_only_once() {
        let mut state = LinkState::default();
        assert_eq!(state.queue().map(|change| change.state), Some(State::Waiting));
        assert_eq!(state.queue(), None);
        let _ = state.wait(Duration::from_secs(9));
        assert_eq!(state.queue(), None);
        assert_eq!(
            state.refuse().map(|change| change.state),
            Some(State::Unauthorized)
        );
        assert_eq!(state.refuse(), None);
    }

    #[test]
    fn only_a_timed_wait_can_be_shortened() {
        let mut state = LinkState::default();
        state.hasten(Duration::from_secs(1));
        assert_eq!(state.waits_until(), None);
        let _ = state.wait(Duration::from_secs(9));
        state.hasten(Duration::from_secs(1));
        assert_eq!(state.waits_until(), Some(Duration::from_secs(1)));
    }
}
