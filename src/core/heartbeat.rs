//! Is the far end alive? One object per connection; it dies with it.
//!
//! It says when a beat is due and when silence has lasted too long. It sends nothing.

use std::time::Duration;

use crate::wire::options::Heartbeat as Settings;

/// How long a probe after a suspend may stay unanswered.
const PROBE: Duration = Duration::from_secs(3);

/// The liveness of one connection, in boot time.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    heard: Duration,
    /// Since when an answer is awaited, and until when.
    awaited: Option<Duration>,
    resting: bool,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// Nothing yet.
    Fine,
    /// Ask now.
    Beat,
    /// The far end has been silent for too long.
    Dead,
}

impl Heartbeat {
    pub(crate) const fn new(settings: &Settings, now: Duration) -> Self {
        Self {
            interval: Duration::from_millis(settings.interval),
            timeout: Duration::from_millis(settings.timeout),
            heard: now,
            awaited: None,
            resting: false,
        }
    }

    /// Any byte came.
    pub(crate) const fn heard(&mut self, now: Duration) {
        self.heard = now;
        self.awaited = None;
    }

    /// Reading is paused: silence proves nothing.
    pub(crate) const fn rest(&mut self) {
        self.resting = true;
        self.awaited = None;
    }

    /// Reading goes on.
    pub(crate) const fn wake(&mut self, now: Duration) {
        self.resting = false;
        self.heard = now;
    }

    /// The machine slept: an answer is due soon. The caller sends the ping.
    pub(crate) fn probe(&mut self, now: Duration) {
        self.awaited = Some(now + PROBE);
    }

    /// What is due; `Beat` is said once per silence.
    pub(crate) fn check(&mut self, now: Duration) -> Pulse {
        if self.resting {
            return Pulse::Fine;
        }
        match self.awaited {
            Some(until) if now >= until => Pulse::Dead,
            Some(_) => Pulse::Fine,
            None if now >= self.heard + self.interval => {
                self.awaited = Some(now + self.timeout);
                Pulse::Beat
            }
            None => Pulse::Fine,
        }
    }

    /// When to check next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        (!self.resting).then(|| self.awaited.unwrap_or(self.heard + self.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_is_asked_about_once_and_then_believed() {
        let mut heartbeat = Heartbeat::new(&Settings::default(), SECOND);
        assert_eq!(heartbeat.check(20 * SECOND), Pulse::Fine);
        assert_eq!(heartbeat.check(21 * SECOND), Pulse::Beat);
        assert_eq!(heartbeat.check(21 * SECOND), Pulse::Fine);
        assert_eq!(heartbeat.deadline(), Some(31 * SECOND));
        assert_eq!(heartbeat.check(31 * SECOND), Pulse::Dead);
    }

    #[test]
    fn any_byte_clears_the_debt() {
        let mut heartbeat = Heartbeat::new(&Settings::default(), SECOND);
        assert_eq!(heartbeat.check(21 * SECOND), Pulse::Beat);
        heartbeat.heard(30 * SECOND);
        assert_eq!(heartbeat.check(49 * SECOND), Pulse::Fine);
        assert_eq!(heartbeat.check(50 * SECOND), Pulse::Beat);
    }

    #[test]
    fn a_paused_link_is_not_judged() {
        let mut heartbeat = Heartbeat::new(&Settings::default(), SECOND);
        heartbeat.rest();
        assert_eq!(
            (heartbeat.check(500 * SECOND), heartbeat.deadline()),
            (Pulse::Fine, None)
        );
        heartbeat.wake(500 * SECOND);
        assert_eq!(heartbeat.check(501 * SECOND), Pulse::Fine);
    }
}
