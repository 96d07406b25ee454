//! How long the server may be silent: between its pings, and before it has answered for every namespace.
//!
//! Times are of the boot clock, which goes on while the machine sleeps.

use std::time::Duration;

/// The server's silence on one connection.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// How long it may be, as its greeting says.
    ping_timeout: Duration,
    /// When the server must have sent something.
    alive_by: Option<Duration>,
    /// When every namespace must have been answered.
    connect_by: Option<Duration>,
    /// Nothing is read: it is not known whether the server is silent.
    is_paused: bool,
}

impl Silence {
    /// The greeting has come, which says how long the server may be silent.
    pub(super) fn begin(&mut self, now: Duration, ping_timeout: Duration, connect_timeout: Duration) {
        self.ping_timeout = ping_timeout;
        self.alive_by = Some(now + ping_timeout);
        self.connect_by = Some(now + connect_timeout);
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.alive_by.is_some()
    }

    /// The server has sent a ping.
    pub(super) fn broken(&mut self, now: Duration) {
        self.alive_by = Some(now + self.ping_timeout);
    }

    /// The server has answered for every namespace.
    pub(super) const fn all_answered(&mut self) {
        self.connect_by = None;
    }

    /// Whether the server has not answered for every namespace in time. It may have sent other things meanwhile.
    pub(super) fn is_connecting_too_long(&self, now: Duration) -> bool {
        self.connect_by.is_some_and(|connect_by| now >= connect_by)
    }

    pub(super) const fn pause(&mut self) {
        self.is_paused = true;
    }

    /// What the server sent meanwhile is still to be read, its pings among it.
    pub(super) fn resume(&mut self, now: Duration) {
        self.is_paused = false;
        if let Some(alive_by) = &mut self.alive_by {
            *alive_by = now + self.ping_timeout;
        }
    }

    /// When the silence, or the server's slowness to open a namespace, is too long.
    pub(super) fn ends_at(&self) -> Option<Duration> {
        let alive = self.alive_by.filter(|_| !self.is_paused);
        [alive, self.connect_by].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_ping_resets_the_silence_timer_and_a_pause_stops_it() {
        let mut silence = Silence::default();
        assert_eq!(silence.ends_at(), None);
        silence.begin(at(0), at(45), at(10));
        assert_eq!(silence.ends_at(), Some(at(10)));
        assert!(!silence.is_connecting_too_long(at(9)) && silence.is_connecting_too_long(at(10)));
        silence.all_answered();
        assert!(!silence.is_connecting_too_long(at(10)));
        assert_eq!(silence.ends_at(), Some(at(45)));
        silence.broken(at(25));
        assert_eq!(silence.ends_at(), Some(at(70)));
        silence.pause();
        assert_eq!(silence.ends_at(), None);
        silence.resume(at(100));
        assert_eq!(silence.ends_at(), Some(at(145)));
    }
}
