//! Watches the machine: its clocks, which show that it slept, and its routes, which show another network.
//!
//! It polls when asked to and sets no timer.

use std::time::Duration;

use crate::clock::ClockReading;
use crate::core::io::Now;
use crate::transport::route::Route;

/// Clocks that diverge by more than this show that the machine slept.
const MIN_SLEEP: Duration = Duration::from_secs(5);

/// How often clocks and routes are looked at while sessions are held: a machine that slept, or another network, is
/// noticed this soon.
const NETWORK_INTERVAL: Duration = Duration::from_secs(10);

/// The time, in the core's form.
pub(super) fn now() -> Now {
    core_time(ClockReading::now())
}

const fn core_time(reading: ClockReading) -> Now {
    Now {
        awake: reading.awake,
        boot: reading.boot,
        wall: reading.wall,
    }
}

/// The clocks and routes as they were last.
#[derive(Debug)]
pub(super) struct MachineWatch {
    clock: ClockReading,
    route: Route,
    /// When to look at the routes, awake time.
    next_network_check: Duration,
}

impl MachineWatch {
    pub(super) fn new() -> Self {
        let clock = ClockReading::now();
        Self {
            clock,
            route: Route::now(),
            next_network_check: clock.awake + NETWORK_INTERVAL,
        }
    }

    /// The time of the last check, in the core's form.
    pub(super) const fn now(&self) -> Now {
        core_time(self.clock)
    }

    /// Time awake, as of the last check.
    pub(super) const fn awake(&self) -> Duration {
        self.clock.awake
    }

    /// Looks at the clocks, and at the routes when it is time. `true` if links have to be tried: the machine slept, or
    /// the network is another.
    pub(super) fn check(&mut self) -> bool {
        let before = std::mem::replace(&mut self.clock, ClockReading::now());
        let slept = self.clock.slept_since(&before);
        let mut has_changed = slept > MIN_SLEEP;
        if has_changed {
            tracing::info!(seconds = slept.as_secs(), "the machine slept");
        }
        if self.clock.awake >= self.next_network_check {
            self.next_network_check = self.clock.awake + NETWORK_INTERVAL;
            let before = std::mem::replace(&mut self.route, Route::now());
            if self.route.is_new_since(&before) {
                tracing::info!("the network has changed");
                has_changed = true;
            }
        }
        has_changed
    }

    /// How long until the routes are to be looked at.
    pub(super) const fn until_check(&self) -> Duration {
        self.next_network_check.saturating_sub(self.clock.awake)
    }
}
