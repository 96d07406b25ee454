//! The messages that were handed over and whose outcome has not come.
//!
//! It sends nothing; it decides when to wait before sending more.

use std::collections::BTreeMap;

/// Messages above which no more of stdin is read.
const MAX_UNSETTLED: usize = 256;

/// Bytes of theirs above which none is read either: half of what the outbox holds, so that a long line fits behind them.
const MAX_UNSETTLED_BYTES: usize = 4 << 20;

/// Messages by id, with their bytes. Ids count from 1.
#[derive(Debug, Default)]
pub(super) struct UnsettledMessages {
    bytes_of: BTreeMap<u64, usize>,
    last: u64,
}

impl UnsettledMessages {
    /// The id of one more message of so many bytes.
    pub(super) fn add(&mut self, bytes: usize) -> u64 {
        self.last += 1;
        self.bytes_of.insert(self.last, bytes);
        self.last
    }

    /// The outcome of this message has come.
    pub(super) fn settle(&mut self, id: u64) {
        self.bytes_of.remove(&id);
    }

    /// The ids of those whose outcome will not be reported any more.
    pub(super) fn take(&mut self) -> impl Iterator<Item = u64> + use<> {
        std::mem::take(&mut self.bytes_of).into_keys()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes_of.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes_of.is_empty()
    }

    /// Whether outcomes have to come before more is handed over.
    pub(super) fn is_full(&self) -> bool {
        self.bytes_of.len() >= MAX_UNSETTLED || self.bytes_of.values().sum::<usize>() >= MAX_UNSETTLED_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsettled_messages_are_limited_by_count_and_bytes() {
        let mut many = UnsettledMessages::default();
        let last = (0..MAX_UNSETTLED).map(|_| many.add(1)).last().unwrap();
        assert!(many.is_full());
        many.settle(last);
        assert!(!many.is_full());

        let mut large = UnsettledMessages::default();
        let id = large.add(MAX_UNSETTLED_BYTES);
        assert!(large.is_full());
        large.settle(id);
        assert!(large.is_empty());
        assert_eq!(large.add(1), id + 1);
    }
}
