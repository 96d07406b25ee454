//! What dialling needs of everything around a session: numbers for dials, whose they are, and whose turn it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::core::dial_limiter::{DialKind, DialLimiter, DialSlot};
use crate::core::identity::SessionKey;
use crate::core::io::DialId;
use crate::core::random::Random;
use crate::core::rules::Rules;

/// What dialling needs of everything around a session.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) random: Random,
    /// Active dials, and their sessions.
    dials: HashMap<DialId, SessionKey>,
    last_dial: u64,
    /// What the settings allow.
    rules: Arc<Rules>,
    /// Whose turn it is to dial.
    limiter: DialLimiter,
}

impl Dialer {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            dials: HashMap::new(),
            last_dial: 0,
            rules: Arc::default(),
            limiter: DialLimiter::default(),
        }
    }

    /// What the settings allow.
    pub(crate) const fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// The settings allow this from now on.
    pub(crate) fn set_rules(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
    }

    /// A number for a new dial; from now on only its events count for this session.
    pub(crate) fn new_dial(&mut self, session: SessionKey) -> DialId {
        self.last_dial += 1;
        let dial = DialId(self.last_dial);
        self.dials.insert(dial, session);
        dial
    }

    /// The session of a dial, while it is active.
    pub(crate) fn session_of(&self, dial: DialId) -> Option<SessionKey> {
        self.dials.get(&dial).copied()
    }

    /// A dial is over; its later events are ignored.
    pub(crate) fn forget(&mut self, dial: DialId) {
        self.dials.remove(&dial);
        self.limiter.end(dial);
    }

    /// Whether a session may dial at this moment. If so, `begin` must follow.
    pub(crate) fn may_dial(&self, now: Duration, slot: &DialSlot, kind: DialKind) -> bool {
        self.limiter.may(now, &self.rules, slot, kind)
    }

    /// A dial begins that takes its turn.
    pub(crate) fn begin(&mut self, now: Duration, slot: DialSlot, dial: DialId) {
        self.limiter.begin(now, &self.rules, slot, dial);
    }

    /// The handshake of a dial is over, or it has none: others may dial the same host.
    pub(crate) fn end_handshake(&mut self, dial: DialId) {
        self.limiter.end(dial);
    }

    /// A session waits for its turn to dial. One that waits already keeps its place.
    pub(crate) fn wait(&mut self, session: SessionKey, slot: DialSlot, kind: DialKind) {
        self.limiter.wait(session, slot, kind);
    }

    /// A session does not wait any more.
    pub(crate) fn stop_waiting(&mut self, session: SessionKey) {
        self.limiter.leave(session);
    }

    /// When to ask `next_granted` again, in boot time.
    pub(crate) fn next_turn(&self) -> Option<Duration> {
        self.limiter.due()
    }

    /// The next session whose turn it is to dial.
    pub(crate) fn next_granted(&mut self, now: Duration) -> Option<SessionKey> {
        self.limiter.next(now, &self.rules)
    }
}
