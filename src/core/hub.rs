//! Who is here, which sessions live, who hears which.
//!
//! It does no I/O: the shell calls `handle`, then `poll` until `None`, then waits for `deadline`.

use std::time::Duration;

use super::io::{Input, Now, Output};
use super::journal::{JournalId, Kept};

/// What the hub is told once, at its birth.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Longwire's version.
    pub version: &'static str,
    /// This broker's boot id.
    pub boot: String,
    /// Seed of the hub's own generator: same inputs and seed, same outputs.
    pub seed: u64,
}

/// Every session of one broker.
#[derive(Debug)]
pub struct Hub {
    config: HubConfig,
}

impl Hub {
    /// An empty hub.
    pub fn new(config: HubConfig, _now: Now) -> Self {
        Self { config }
    }

    /// Takes one input. `poll` must be drained to `None` afterwards.
    pub fn handle(&mut self, _now: Now, _input: Input) {
        let _ = &self.config;
    }

    /// The next thing to do, in order.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }

    /// How long until `Input::Timeout` is due, and whose timer it is; `None` for never.
    pub fn deadline(&self, _now: Now) -> Option<(Duration, &'static str)> {
        None
    }

    /// The state a journal's new segment must begin with; empty for an unknown journal.
    pub fn snapshot(&self, _journal: &JournalId) -> Vec<Kept> {
        Vec::new()
    }

    /// Takes a session back from its journal, in the order written. `damaged`: records after these were lost.
    ///
    /// # Errors
    /// A sentence saying why the journal cannot be used; the shell removes it.
    pub fn restore(
        &mut self,
        _now: Now,
        _journal: JournalId,
        _kept: Vec<Kept>,
        _damaged: bool,
    ) -> Result<(), String> {
        Ok(())
    }
}
