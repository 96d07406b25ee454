//! The next deadline of each session: by boot time, by awake time.
//!
//! It sets no timer; the hub tells the shell when the next is due.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::core::identity::SessionKey;
use crate::core::io::Now;

/// Which clock a timer goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// It goes on while the machine sleeps.
    Boot,
    Awake,
}

/// When each session wants to be asked, on both clocks.
#[derive(Debug, Default)]
pub(super) struct Timers {
    boot: BTreeSet<(Duration, SessionKey)>,
    awake: BTreeSet<(Duration, SessionKey)>,
    set: HashMap<SessionKey, (Option<Duration>, Option<Duration>)>,
}

impl Timers {
    /// A session wants to be asked at these times, and at no others.
    pub(super) fn set(&mut self, key: SessionKey, boot: Option<Duration>, awake: Option<Duration>) {
        let before = self.set.get(&key).copied().unwrap_or_default();
        if before == (boot, awake) {
            return;
        }
        if let Some(at) = before.0 {
            self.boot.remove(&(at, key));
        }
        if let Some(at) = before.1 {
            self.awake.remove(&(at, key));
        }
        self.boot.extend(boot.map(|at| (at, key)));
        self.awake.extend(awake.map(|at| (at, key)));
        if boot.is_none() && awake.is_none() {
            self.set.remove(&key);
        } else {
            self.set.insert(key, (boot, awake));
        }
    }

    /// How long until the next timer is due, whose it is, and by which clock.
    pub(super) fn next(&self, now: Now) -> Option<(Duration, SessionKey, Clock)> {
        let first = |timers: &BTreeSet<(Duration, SessionKey)>, now: Duration, clock| {
            let (at, key) = timers.first()?;
            Some((at.saturating_sub(now), *key, clock))
        };
        let boot = first(&self.boot, now.boot, Clock::Boot);
        let awake = first(&self.awake, now.awake, Clock::Awake);
        [boot, awake].into_iter().flatten().min_by_key(|(span, ..)| *span)
    }

    /// The sessions with a timer that is due.
    pub(super) fn due(&self, now: Now) -> BTreeSet<SessionKey> {
        let boot = self.boot.iter().take_while(|(at, _)| *at <= now.boot);
        let awake = self.awake.iter().take_while(|(at, _)| *at <= now.awake);
        boot.chain(awake).map(|(_, key)| *key).collect()
    }
}
