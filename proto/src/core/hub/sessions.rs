//! The sessions of the hub: adding and removing them, letting one act, and the memory that all take.

use std::sync::Arc;

use crate::wire::message::BrokerFrame;
use crate::wire::options::Options;

use crate::core::context::{Context, Watcher};
use crate::core::identity::{Identity, SessionKey};
use crate::core::session::{Session, SessionInput};

use super::{Hub, RELIEF_INTERVAL};

impl Hub {
    /// Has a session handle an input, then does what follows for the hub.
    pub(super) fn handle_session(&mut self, key: SessionKey, input: SessionInput) {
        self.with(key, |session, ctx| session.handle(ctx, input));
    }

    /// Lets `act` work on a session. What follows for the hub is done by `update_touched`.
    pub(super) fn with(&mut self, key: SessionKey, act: impl FnOnce(&mut Session, &mut Context)) {
        if self.touched != Some(key) {
            self.update_touched();
        }
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if self.touched != Some(key) {
            let origin = &session.identity().owner.origin;
            self.ctx.others = self.memory.of_origin(origin) - self.memory.of_session(key);
            self.ctx.budget = self.memory.budget(self.ctx.dialer.rules(), origin);
            self.touched = Some(key);
        }
        let journal = session.parts().delivery.journal().cloned();
        let first = self.journaled.next_number(self.ctx.out.len());
        act(session, &mut self.ctx);
        let outputs = first..self.journaled.next_number(self.ctx.out.len());
        if !outputs.is_empty()
            && let Some(journal) = session.parts().delivery.journal().cloned().or(journal)
        {
            self.journaled.add(outputs, journal);
        }
        if session.lifecycle().is_over() {
            self.remove(key);
        }
    }

    /// Brings the memory and the timers of the session that was handled last up to date.
    pub(super) fn update_touched(&mut self) {
        if let Some(key) = self.touched.take()
            && let Some(session) = self.sessions.get(&key)
        {
            let origin = &session.identity().owner.origin;
            self.memory.set(key, origin, session.parts().held());
            self.retime(key);
        }
    }

    /// Takes memory back from the largest holder when all together hold more than the broker may.
    pub(super) fn relieve(&mut self) {
        let now = self.ctx.now.boot;
        if self.memory.total() <= self.ctx.dialer.rules().memory.sessions() || now < self.relieve_from {
            return;
        }
        self.relieve_from = now + RELIEF_INTERVAL;
        let Some(largest) = self.memory.largest().cloned() else {
            return;
        };
        let theirs = self
            .sessions
            .values()
            .filter(|session| session.identity().owner.origin == largest);
        let keys: Vec<SessionKey> = theirs.map(|session| session.identity().key).collect();
        for key in keys {
            self.handle_session(key, SessionInput::MemoryIsShort);
        }
    }

    pub(super) fn each(&mut self, mut act: impl FnMut(&mut Session, &mut Context)) {
        let keys: Vec<SessionKey> = self.sessions.keys().copied().collect();
        for key in keys {
            self.with(key, &mut act);
        }
    }

    /// One copy of options for sessions opened one after the other with the same, as extensions do.
    pub(super) fn shared(&mut self, options: Options) -> Arc<Options> {
        let known = self.options.upgrade().filter(|known| **known == options);
        known.unwrap_or_else(|| {
            let options = Arc::new(options);
            self.options = Arc::downgrade(&options);
            options
        })
    }

    pub(super) const fn new_key(&mut self) -> SessionKey {
        self.last_session += 1;
        SessionKey(self.last_session)
    }

    pub(super) fn add(&mut self, session: Session) {
        let Identity { key, owner, name, .. } = session.identity();
        let key = *key;
        self.names.insert((owner.clone(), name.clone()), key);
        let count = self.counts.entry(owner.clone()).or_default();
        *count += 1;
        if *count == 1 {
            *self.profiles.entry(owner.origin.clone()).or_default() += 1;
        }
        if let Some(journal) = session.parts().delivery.journal() {
            self.journals.insert(journal.clone(), key);
        }
        self.sessions.insert(key, Box::new(session));
    }

    pub(super) fn remove(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        let Identity { owner, name, .. } = session.identity();
        self.names.remove(&(owner.clone(), name.clone()));
        if let Some(count) = self.counts.get_mut(owner) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(owner);
                if let Some(profiles) = self.profiles.get_mut(&owner.origin) {
                    *profiles -= 1;
                    if *profiles == 0 {
                        self.profiles.remove(&owner.origin);
                    }
                }
            }
        }
        self.journals.retain(|_, held| *held != key);
        let watchers = std::mem::take(&mut self.ctx.watchers);
        let (over, on): (Vec<_>, Vec<_>) = watchers.into_iter().partition(|watcher| watcher.session == key);
        self.ctx.watchers = on;
        for Watcher { port, .. } in over {
            let session = name.clone();
            self.ctx.send(
                port,
                BrokerFrame::Detached {
                    session,
                    reason: "closed",
                    close_report: None,
                },
            );
        }
        self.timers.set(key, None, None);
        self.ctx.dialer.stop_waiting(key);
        self.memory.set(key, &owner.origin, 0);
        self.open_deferred(key);
    }

    pub(super) fn retime(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let boot = session
            .parts()
            .boot_deadline(session.lifecycle())
            .map(|(at, _)| at);
        let awake = session
            .parts()
            .awake_deadline(session.lifecycle())
            .map(|(at, _)| at);
        self.timers.set(key, boot, awake);
    }
}
