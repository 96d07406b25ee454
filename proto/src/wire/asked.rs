//! Which pointers options ask for in a message that comes, so that a large one is read once for all of them.

use super::json::Pointers;
use super::options::Options;
use super::servers::{CursorFrom, Poll};

impl Options {
    /// Adds the pointers that they ask for; those of the guard are the guard's own.
    pub(crate) fn add_pointers(&self, pointers: &mut Pointers) {
        let beat = self.heartbeat.iter().flat_map(|beat| {
            let answers = beat.answers.iter().map(|(when, _)| when);
            beat.expect.iter().chain(answers)
        });
        let login = self.login.iter().map(|step| &step.when);
        for rule in beat.chain(login).chain(&self.ready) {
            rule.add_pointers(pointers);
        }
    }
}

impl Poll {
    /// The pointer into the last of the items at which the cursor stands.
    pub fn item_cursor(&self) -> Option<&str> {
        match &self.cursor.as_ref()?.from {
            CursorFrom::Item(pointer) => Some(pointer),
            CursorFrom::Pointer(_) | CursorFrom::Header(_) => None,
        }
    }

    /// Adds the pointers into an answer.
    pub(crate) fn add_pointers(&self, pointers: &mut Pointers) {
        if let Some(items) = &self.items {
            pointers.add(items);
        }
        if let Some(CursorFrom::Pointer(cursor)) = self.cursor.as_ref().map(|cursor| &cursor.from) {
            pointers.add(cursor);
        }
    }
}
