//! Detects a server that does not answer. One object per connection, dropped with it.
//!
//! It says when a beat is due and when silence has lasted too long. It sends nothing.

use std::time::Duration;

use crate::wire::options::HeartbeatOptions;

/// How long a probe after a suspend may stay unanswered.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The liveness of one connection, in boot time.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    last_traffic: Duration,
    /// When the last beat went out.
    beaten: Duration,
    awaited: Option<Awaited>,
    resting: bool,
    /// A beat is due whatever is received.
    always: bool,
    /// Only the expected message answers a beat.
    strict: bool,
}

/// An answer that is awaited.
#[derive(Debug, Clone, Copy)]
struct Awaited {
    until: Duration,
    /// Any byte will do.
    any: bool,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeartbeatAction {
    /// Nothing yet.
    Fine,
    /// Ask now.
    Beat,
    /// The far end has been silent for too long.
    Dead,
}

impl Heartbeat {
    pub(crate) const fn new(settings: &HeartbeatOptions, now: Duration) -> Self {
        Self {
            interval: Duration::from_millis(settings.interval),
            timeout: Duration::from_millis(settings.timeout),
            last_traffic: now,
            beaten: now,
            awaited: None,
            resting: false,
            always: settings.always,
            strict: settings.message.is_some() && settings.expect.is_some(),
        }
    }

    /// Beats at least this often.
    pub(crate) fn beat_within(&mut self, longest: Duration) {
        self.interval = self.interval.min(longest);
    }

    /// Any byte came.
    pub(crate) const fn saw_traffic(&mut self, now: Duration) {
        self.last_traffic = now;
        if let Some(Awaited { any: true, .. }) = self.awaited {
            self.awaited = None;
        }
    }

    /// The expected message came; whether it was awaited.
    pub(crate) const fn answered(&mut self, now: Duration) -> bool {
        self.last_traffic = now;
        self.strict && self.awaited.take().is_some()
    }

    /// Whether an expected message is awaited.
    pub(crate) const fn awaits(&self) -> bool {
        self.strict && self.awaited.is_some()
    }

    /// Reading is paused: silence proves nothing.
    pub(crate) const fn rest(&mut self) {
        self.resting = true;
        self.awaited = None;
    }

    /// Reading goes on.
    pub(crate) const fn wake(&mut self, now: Duration) {
        self.resting = false;
        self.last_traffic = now;
        self.beaten = now;
        // A probe sent while reading was paused cannot have been answered.
        self.awaited = None;
    }

    /// The machine slept: an answer is due soon. The caller sends the ping.
    pub(crate) fn probe(&mut self, now: Duration) {
        self.awaited = Some(Awaited {
            until: now + PROBE_TIMEOUT,
            any: true,
        });
    }

    /// What is due; `Beat` is returned once per silence.
    pub(crate) fn check(&mut self, now: Duration) -> HeartbeatAction {
        if self.resting {
            return HeartbeatAction::Fine;
        }
        match self.awaited {
            Some(awaited) if now >= awaited.until => HeartbeatAction::Dead,
            Some(_) => HeartbeatAction::Fine,
            None if now >= self.due() => {
                self.beaten = now;
                self.awaited = Some(Awaited {
                    until: now + self.timeout,
                    any: !self.strict,
                });
                HeartbeatAction::Beat
            }
            None => HeartbeatAction::Fine,
        }
    }

    /// When to check next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        (!self.resting).then(|| self.awaited.map_or_else(|| self.due(), |awaited| awaited.until))
    }

    /// When the next beat is due.
    fn due(&self) -> Duration {
        let since = if self.always {
            self.beaten
        } else {
            self.last_traffic
        };
        since + self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_silent_server_is_probed_once_and_then_declared_dead() {
        let mut heartbeat = Heartbeat::new(&HeartbeatOptions::default(), SECOND);
        assert_eq!(heartbeat.check(20 * SECOND), HeartbeatAction::Fine);
        assert_eq!(heartbeat.check(21 * SECOND), HeartbeatAction::Beat);
        assert_eq!(heartbeat.check(21 * SECOND), HeartbeatAction::Fine);
        assert_eq!(heartbeat.deadline(), Some(31 * SECOND));
        assert_eq!(heartbeat.check(31 * SECOND), HeartbeatAction::Dead);
    }

    #[test]
    fn heartbeats_with_always_are_sent_despite_traffic() {
        let settings = HeartbeatOptions {
            always: true,
            ..HeartbeatOptions::default()
        };
        let mut heartbeat = Heartbeat::new(&settings, SECOND);
        heartbeat.saw_traffic(20 * SECOND);
        assert_eq!(heartbeat.deadline(), Some(21 * SECOND));
        assert_eq!(heartbeat.check(21 * SECOND), HeartbeatAction::Beat);
        heartbeat.saw_traffic(22 * SECOND);
        assert_eq!(heartbeat.deadline(), Some(41 * SECOND));
    }

    #[test]
    fn only_the_expected_answer_satisfies_a_heartbeat() {
        use crate::wire::payload::Payload;
        use crate::wire::rule::Rule;
        let settings = HeartbeatOptions {
            message: Some(Payload::text("ping")),
            expect: Some(Rule::from_json(&serde_json::json!({"/type": "pong"}).to_string()).unwrap()),
            ..HeartbeatOptions::default()
        };
        let mut heartbeat = Heartbeat::new(&settings, SECOND);
        assert!(!heartbeat.answered(SECOND), "nobody has asked");
        assert_eq!(heartbeat.check(21 * SECOND), HeartbeatAction::Beat);
        heartbeat.saw_traffic(22 * SECOND);
        assert!(heartbeat.awaits());
        assert_eq!(heartbeat.check(31 * SECOND), HeartbeatAction::Dead);
        assert!(heartbeat.answered(31 * SECOND));
        assert_eq!(heartbeat.check(31 * SECOND), HeartbeatAction::Fine);
        // After a suspend a ping is sent, and its pong is no message.
        heartbeat.probe(32 * SECOND);
        heartbeat.saw_traffic(33 * SECOND);
        assert_eq!(heartbeat.check(36 * SECOND), HeartbeatAction::Fine);
    }

    #[test]
    fn any_traffic_satisfies_a_heartbeat() {
        let mut heartbeat = Heartbeat::new(&HeartbeatOptions::default(), SECOND);
        assert_eq!(heartbeat.check(21 * SECOND), HeartbeatAction::Beat);
        heartbeat.saw_traffic(30 * SECOND);
        assert_eq!(heartbeat.check(49 * SECOND), HeartbeatAction::Fine);
        assert_eq!(heartbeat.check(50 * SECOND), HeartbeatAction::Beat);
    }

    #[test]
    fn a_paused_link_has_no_heartbeat_timeout() {
        let mut heartbeat = Heartbeat::new(&HeartbeatOptions::default(), SECOND);
        heartbeat.rest();
        assert_eq!(
            (heartbeat.check(500 * SECOND), heartbeat.deadline()),
            (HeartbeatAction::Fine, None)
        );
        heartbeat.probe(100 * SECOND);
        heartbeat.wake(500 * SECOND);
        assert_eq!(
            heartbeat.check(501 * SECOND),
            HeartbeatAction::Fine,
            "nobody could read the answer"
        );
    }
}
