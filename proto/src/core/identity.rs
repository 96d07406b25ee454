//! Which session something is about: its key within one broker, its owner, its name, its clients.

use crate::wire::record::Name;

/// Names a session within one broker's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionKey(pub(crate) u64);

/// A client of one session, for the session's whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientId(pub(crate) u32);

/// The owner of a session: no other can address it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) origin: Name,
    pub(crate) profile: Name,
}

/// What never changes about a session.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) key: SessionKey,
    pub(crate) owner: Owner,
    pub(crate) name: Name,
    pub(crate) epoch: Name,
}

#[cfg(test)]
impl Identity {
    /// Some session, for the units of a session's parts.
    pub(crate) fn for_tests() -> Self {
        Self {
            key: SessionKey(1),
            owner: Owner {
                origin: "chrome-extension://a/".into(),
                profile: "default".into(),
            },
            name: "s".into(),
            epoch: "e".into(),
        }
    }
}
