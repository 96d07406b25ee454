//! The next deadline of each session: by boot time, by awake time.
//!
//! It sets no timer; the hub tells the shell when the next is due.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::core::identity::SessionKey;

/// When each session wants to be asked, on both clocks.
#[derive(Debug, Default)]
pub(super) struct Timers {
    pub(super) boot: BTreeSet<(Duration, SessionKey)>,
    pub(super) awake: BTreeSet<(Duration, SessionKey)>,
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
}
