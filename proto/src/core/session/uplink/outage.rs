//! The last failure of a session's link: what `status` reports, and one line in the log when a link is lost, given up
//! and back.
//!
//! It changes nothing about the link. What a server says in a close reason is reported to clients only, never logged.

use crate::wire::code::Code;
use crate::wire::record::{ErrorInfo, State, StateChange};

use crate::core::identity::Owner;

/// How far the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Logged {
    /// The link is up, or nothing has gone wrong yet.
    #[default]
    Nothing,
    Lost,
    GaveUp,
}

/// What the log is to say now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutageEvent {
    Lost,
    GaveUp,
    Back,
}

/// The last failure, and what of it has been logged.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Boxed: most sessions have none.
    error: Option<Box<ErrorInfo>>,
    logged: Logged,
}

impl Outage {
    /// The last failure.
    pub(super) fn error(&self) -> Option<&ErrorInfo> {
        self.error.as_deref()
    }

    /// Takes a change of the link's state; what the log is to say of it.
    pub(super) fn changed(&mut self, change: &StateChange) -> Option<OutageEvent> {
        if change.namespace.is_some() {
            return None;
        }
        let failure = failure(change);
        let is_failure = failure.is_some();
        if let Some(failure) = failure {
            self.error = Some(Box::new(failure));
        }
        let (logged, event) = match change.state {
            State::Open if self.logged != Logged::Nothing => (Logged::Nothing, OutageEvent::Back),
            State::Failed | State::Closed if is_failure && self.logged != Logged::GaveUp => {
                (Logged::GaveUp, OutageEvent::GaveUp)
            }
            State::Waiting | State::Unauthorized | State::Paused
                if is_failure && self.logged == Logged::Nothing =>
            {
                (Logged::Lost, OutageEvent::Lost)
            }
            _ => return None,
        };
        self.logged = logged;
        Some(event)
    }

    /// Writes the line.
    pub(super) fn log(&self, event: OutageEvent, owner: &Owner, session: &str) {
        let (origin, profile) = (&*owner.origin, &*owner.profile);
        let code = self.error().map_or("none", |error| error.code.as_str());
        let error = self.error().map_or("", |error| error.message.as_str());
        match event {
            OutageEvent::Lost => tracing::info!(origin, profile, session, code, error, "link lost"),
            OutageEvent::GaveUp => {
                tracing::info!(origin, profile, session, code, error, "link failed permanently")
            }
            OutageEvent::Back => tracing::info!(origin, profile, session, "link restored"),
        }
    }
}

/// The failure in a change of the state, if there is one.
fn failure(change: &StateChange) -> Option<ErrorInfo> {
    let is_up = matches!(change.state, State::Open | State::Connecting);
    match (&change.error, change.status, change.code) {
        _ if is_up => None,
        (Some(error), ..) if error.code == Code::Internal => None,
        (Some(error), ..) => Some(error.clone()),
        (None, Some(status), _) => Some(ErrorInfo::new(
            Code::HttpStatus,
            format!("the server answered with status {status}"),
        )),
        // The extension's own close is no failure.
        (None, None, Some(_)) if change.state == State::Closed && change.dial.is_none() => None,
        (None, None, Some(code)) => Some(ErrorInfo::new(
            Code::ClosedByServer,
            format!("the server closed the connection with code {code}"),
        )),
        (None, None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(state: State, error: Option<Code>) -> StateChange {
        let mut change = StateChange::new(state);
        change.error = error.map(|code| ErrorInfo::new(code, "why"));
        change
    }

    #[test]
    fn an_outage_is_logged_once_when_it_begins_ends_or_fails_finally() {
        let mut outage = Outage::default();
        let refused = || change(State::Waiting, Some(Code::Refused));
        assert_eq!(outage.changed(&change(State::Connecting, None)), None);
        assert_eq!(outage.changed(&refused()), Some(OutageEvent::Lost));
        assert_eq!(outage.changed(&change(State::Connecting, None)), None);
        assert_eq!(outage.changed(&refused()), None);
        assert_eq!(
            outage.changed(&change(State::Failed, Some(Code::HttpStatus))),
            Some(OutageEvent::GaveUp)
        );
        assert_eq!(outage.error().map(|error| error.code), Some(Code::HttpStatus));
        assert_eq!(
            outage.changed(&change(State::Open, None)),
            Some(OutageEvent::Back)
        );
        assert_eq!(outage.changed(&change(State::Open, None)), None);
        assert_eq!(outage.changed(&refused()), Some(OutageEvent::Lost));
    }

    #[test]
    fn a_close_frame_is_a_failure_unless_the_extension_asked_for_it() {
        let mut outage = Outage::default();
        let mut closed = change(State::Waiting, None);
        (closed.code, closed.dial) = (Some(1001), Some(1));
        assert_eq!(outage.changed(&closed), Some(OutageEvent::Lost));
        let error = outage.error().unwrap();
        assert_eq!(error.code, Code::ClosedByServer);
        assert!(error.message.contains("1001"), "{}", error.message);
        let mut own = change(State::Closed, None);
        own.code = Some(1000);
        assert_eq!(Outage::default().changed(&own), None);
    }

    #[test]
    fn a_first_link_and_a_closed_namespace_are_not_outages() {
        let mut outage = Outage::default();
        assert_eq!(outage.changed(&change(State::Open, None)), None);
        let mut namespace = change(State::Closed, Some(Code::ClosedByServer));
        namespace.namespace = Some("/a".to_owned());
        assert_eq!(outage.changed(&namespace), None);
        assert_eq!(outage.error(), None);
    }
}
