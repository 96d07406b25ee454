//! Limits the memory of incomplete frames and messages, for each extension and in total.
//!
//! It reads nothing; the reader of a port or a link holds an `IncomingShare` and asks it before it stores more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::rules::Rules;
use crate::wire::record::Name;

/// The incomplete bytes that all ports and links hold.
#[derive(Debug, Clone, Default)]
pub struct IncomingBytes(Arc<Mutex<ByteCounts>>);

#[derive(Debug, Default)]
struct ByteCounts {
    rules: Arc<Rules>,
    total: usize,
    extensions: HashMap<Name, usize>,
}

/// The share of one port or link, until it is dropped.
#[derive(Debug)]
pub struct IncomingShare {
    all: IncomingBytes,
    origin: Name,
    /// Bytes it may hold without being counted: most messages are smaller.
    free: usize,
    held: usize,
}

impl IncomingBytes {
    /// These rules hold from now on.
    pub fn set_rules(&self, rules: Arc<Rules>) {
        self.with(|counts| counts.rules = rules);
    }

    /// A share for this extension, nothing yet; so many bytes are not counted.
    pub fn of(&self, origin: &Name, free: usize) -> IncomingShare {
        IncomingShare {
            all: self.clone(),
            origin: origin.clone(),
            free,
            held: 0,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut ByteCounts) -> T) -> T {
        // Nothing in here can panic halfway.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl IncomingShare {
    /// One more share for the same extension.
    pub fn another(&self) -> Self {
        self.all.of(&self.origin, self.free)
    }

    /// Holds this many bytes from now on; `false`, and nothing changes, if that is more than the bounds allow.
    pub fn resize(&mut self, bytes: usize) -> bool {
        let wanted = bytes.saturating_sub(self.free);
        let held = self.held;
        if wanted == held {
            return true;
        }
        let origin = &self.origin;
        let fits = self.all.with(|counts| {
            let own = counts.extensions.get(origin).copied().unwrap_or(0) - held + wanted;
            let total = counts.total - held + wanted;
            let bound = counts.rules.of(origin).bytes;
            if wanted > held && (own > bound || total > counts.rules.memory.on_the_way()) {
                return false;
            }
            counts.total = total;
            if own == 0 {
                counts.extensions.remove(origin);
            } else {
                counts.extensions.insert(origin.clone(), own);
            }
            true
        });
        if fits {
            self.held = wanted;
        }
        fits
    }
}

impl Drop for IncomingShare {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rules::{ExtensionRule, MemoryRule};

    const UNCOUNTED_BYTES: usize = 256 << 10;

    #[test]
    fn incoming_bytes_are_bounded_per_extension_and_in_total() {
        let all = IncomingBytes::default();
        all.set_rules(Arc::new(Rules {
            default: ExtensionRule {
                bytes: 4 << 20,
                ..ExtensionRule::default()
            },
            memory: MemoryRule { total: 24 << 20 },
            ..Rules::default()
        }));
        let port = |name: &str| all.of(&name.into(), UNCOUNTED_BYTES);
        let (mut first, mut second) = (port("a"), port("a"));
        assert!(first.resize(3 << 20));
        assert!(!second.resize(3 << 20), "the same extension");
        assert!(second.resize(UNCOUNTED_BYTES), "small frames always fit");
        let mut other = port("b");
        assert!(other.resize(3 << 20));
        let mut third = port("c");
        assert!(!third.resize(3 << 20), "all together");
        drop(first);
        assert!(third.resize(3 << 20) && second.resize(0));
        drop((second, other, third));
        assert_eq!(all.with(|counts| (counts.total, counts.extensions.len())), (0, 0));
    }
}
