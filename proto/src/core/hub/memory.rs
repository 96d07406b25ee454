//! The bytes that sessions hold: each of them, all of one extension, and all together.
//!
//! It counts; how much anybody may hold is in the rules.

use std::collections::BTreeMap;

use crate::wire::record::Name;

use crate::core::identity::SessionKey;
use crate::core::rules::Rules;

/// How much memory sessions hold.
#[derive(Debug, Default)]
pub(super) struct Memory {
    sessions: BTreeMap<SessionKey, usize>,
    origins: BTreeMap<Name, usize>,
    total: usize,
}

impl Memory {
    /// A session of this extension holds so many bytes now.
    pub(super) fn set(&mut self, session: SessionKey, origin: &Name, bytes: usize) {
        let before = if bytes == 0 {
            self.sessions.remove(&session)
        } else {
            self.sessions.insert(session, bytes)
        };
        let before = before.unwrap_or(0);
        if before == bytes {
            return;
        }
        self.total = self.total + bytes - before;
        let all = self.of_origin(origin) + bytes - before;
        if all == 0 {
            self.origins.remove(origin);
        } else if let Some(held) = self.origins.get_mut(origin) {
            *held = all;
        } else {
            self.origins.insert(origin.clone(), all);
        }
    }

    /// Bytes of one session.
    pub(super) fn of_session(&self, session: SessionKey) -> usize {
        self.sessions.get(&session).copied().unwrap_or(0)
    }

    /// Bytes of an extension's sessions.
    pub(super) fn of_origin(&self, origin: &Name) -> usize {
        self.origins.get(origin).copied().unwrap_or(0)
    }

    /// Bytes of all sessions.
    pub(super) const fn total(&self) -> usize {
        self.total
    }

    /// The extensions whose sessions hold anything.
    pub(super) fn origins(&self) -> impl Iterator<Item = &Name> {
        self.origins.keys()
    }

    /// The extension whose sessions hold most.
    pub(super) fn largest(&self) -> Option<&Name> {
        let largest = self.origins.iter().max_by_key(|(_, held)| **held);
        largest.map(|(origin, _)| origin)
    }

    /// Bytes that an extension's sessions may hold together: what the settings allow it, and no more than is left of the
    /// broker's; but its fair share of that, whatever the others hold.
    pub(super) fn budget(&self, rules: &Rules, origin: &Name) -> usize {
        let own = self.of_origin(origin);
        let all = rules.memory.sessions();
        let fair = all / (self.origins.len() + usize::from(own == 0));
        let left = all.saturating_sub(self.total - own);
        rules.of(origin).bytes.min(left.max(fair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_totals_follow_the_bytes_each_session_holds() {
        let (a, b) = (Name::from("a"), Name::from("b"));
        let mut memory = Memory::default();
        memory.set(SessionKey(1), &a, 10);
        memory.set(SessionKey(2), &a, 5);
        memory.set(SessionKey(3), &b, 7);
        assert_eq!((memory.of_origin(&a), memory.total()), (15, 22));
        assert_eq!(memory.largest(), Some(&a));
        memory.set(SessionKey(1), &a, 1);
        assert_eq!((memory.of_session(SessionKey(1)), memory.total()), (1, 13));
        assert_eq!(memory.largest(), Some(&b));
        memory.set(SessionKey(3), &b, 0);
        assert_eq!((memory.of_origin(&b), memory.total()), (0, 6));
    }

    #[test]
    fn an_extension_may_hold_its_fair_share_regardless_of_others() {
        let (a, b) = (Name::from("a"), Name::from("b"));
        let rules = Rules::default();
        let all = rules.memory.sessions();
        let mut memory = Memory::default();
        memory.set(SessionKey(1), &a, 1);
        memory.set(SessionKey(2), &b, all);
        let own = rules.of(&a).bytes;
        assert_eq!(memory.budget(&rules, &a), own.min(all / 2));
    }
}
