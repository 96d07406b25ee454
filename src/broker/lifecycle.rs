//! When the broker exits: its listener, its claim to be the only one, the idle timer, the reason.
//!
//! It knows no session and ends no port.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use crate::core::rules::Rules;
use crate::local::Endpoint;

use super::idle::{IdleAction, IdleTimer};
use super::instance::{Claim, launch_lock};
use super::listener::PortListener;

/// How often the broker checks that its socket and lock are still in place.
const LISTENER_INTERVAL: Duration = Duration::from_secs(60);

/// Whether it is time to tidy up, once a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upkeep {
    NotDue,
    Due,
}

/// The state that decides when the broker exits.
#[derive(Debug)]
pub(super) struct BrokerLifecycle {
    listener: PortListener,
    endpoint: Endpoint,
    claim: Claim,
    idle: IdleTimer,
    /// Held while the socket is removed: no other broker is started meanwhile.
    held_launch_lock: Option<File>,
    /// When to check socket and lock, awake time.
    next_listener_check: Duration,
    leaving: Option<&'static str>,
}

impl BrokerLifecycle {
    pub(super) fn new(
        listener: PortListener,
        endpoint: Endpoint,
        claim: Claim,
        idle: Duration,
        now: Duration,
    ) -> Self {
        Self {
            listener,
            endpoint,
            claim,
            idle: IdleTimer::new(idle),
            held_launch_lock: None,
            next_listener_check: now + LISTENER_INTERVAL,
            leaving: None,
        }
    }

    /// The address of the broker.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Makes the broker exit, for this reason.
    pub(super) const fn leave(&mut self, reason: &'static str) {
        self.leaving = Some(reason);
    }

    /// Why the broker exits.
    pub(super) const fn leaving(&self) -> Option<&'static str> {
        self.leaving
    }

    /// Applies new settings.
    pub(super) fn set(&mut self, rules: Arc<Rules>, idle: Duration) {
        self.listener.set_rules(rules);
        self.idle.set(idle);
    }

    /// Removes the socket; earlier connections are still accepted.
    pub(super) fn close(&self) {
        self.listener.close();
    }

    /// How long nothing has to be done here. `now` is awake time.
    pub(super) fn until_check(&self, now: Duration) -> Duration {
        let until = self.next_listener_check.saturating_sub(now);
        self.idle
            .due()
            .map_or(until, |idle| until.min(idle.saturating_sub(now)))
    }

    /// Decides to exit when nothing needs the broker; puts the socket back when it has been removed.
    pub(super) async fn check(&mut self, now: Duration, is_needed: bool) -> Upkeep {
        let is_needed = is_needed || self.listener.pending() > 0;
        match self.idle.check(now, is_needed) {
            IdleAction::Nothing => {}
            IdleAction::Close => match launch_lock(&self.endpoint) {
                Some(lock) => {
                    self.listener.close();
                    self.held_launch_lock = Some(lock);
                }
                // Another process is about to start a broker, and will find this one.
                None => self.idle.postpone(now),
            },
            IdleAction::Reopen => {
                self.reopen().await;
                self.held_launch_lock = None;
            }
            IdleAction::Leave => self.leaving = Some("idle"),
        }
        if now < self.next_listener_check || self.idle.is_closing() {
            return Upkeep::NotDue;
        }
        self.next_listener_check = now + LISTENER_INTERVAL;
        if !self.claim.is_in_place() {
            tracing::warn!("the run folder has been removed");
            self.leaving = Some("removed");
        } else if !self.listener.is_in_place() {
            self.reopen().await;
        }
        Upkeep::Due
    }

    async fn reopen(&mut self) {
        tracing::info!("reopening the socket");
        if let Err(problem) = self.listener.reopen().await {
            tracing::warn!(%problem, "cannot reopen the socket");
            self.leaving = Some("removed");
        }
    }
}
