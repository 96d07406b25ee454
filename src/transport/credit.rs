//! How much of one dial may be on its way to the loop: without it one fast server would fill the queue of all.
//!
//! It counts; it neither reads sockets nor decides when the log is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::core::io::Incoming;

/// A batch may be told while less than this is on its way. What the core allows for when it says `Pause` covers it.
const MOST: usize = 1024 * 1024;
/// What a message costs beside its bytes.
const EACH: usize = 1024;

/// Shared by a link, which spends, and the loop, which gives back.
#[derive(Debug, Clone, Default)]
pub struct Credit(Arc<Account>);

#[derive(Debug, Default)]
struct Account {
    spent: AtomicUsize,
    link: AtomicWaker,
}

impl Credit {
    /// Whether another batch may be told now; if not, the task is woken when it may.
    pub(super) fn poll_free(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_free() {
            return Poll::Ready(());
        }
        self.0.link.register(cx.waker());
        // It may have been given back meanwhile.
        if self.is_free() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// These are on their way.
    pub(super) fn spend(&self, messages: &[Incoming]) {
        self.0.spent.fetch_add(cost(messages), Ordering::AcqRel);
    }

    /// A piece of a stream is on its way.
    pub(super) fn spend_for(&self, piece: &[u8]) {
        self.0.spent.fetch_add(cost_of(piece), Ordering::AcqRel);
    }

    /// The loop has taken messages that cost this much.
    pub fn give_back(&self, cost: usize) {
        if self.0.spent.fetch_sub(cost, Ordering::AcqRel) >= MOST {
            self.0.link.wake();
        }
    }

    fn is_free(&self) -> bool {
        self.0.spent.load(Ordering::Acquire) < MOST
    }
}

/// What a piece of a stream costs, in bytes.
pub const fn cost_of(piece: &[u8]) -> usize {
    EACH + piece.len()
}

/// What these messages cost, in bytes.
pub fn cost(messages: &[Incoming]) -> usize {
    messages
        .iter()
        .map(|incoming| match incoming {
            Incoming::Message(payload) => EACH + payload.len(),
            Incoming::TooLarge { .. } => EACH,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::Payload;

    #[test]
    fn a_spent_account_opens_again_when_the_loop_has_taken_enough() {
        let credit = Credit::default();
        let cx = Context::from_waker(std::task::Waker::noop());
        let large = [Incoming::Message(Payload::text("x".repeat(MOST)))];
        assert!(credit.poll_free(&cx).is_ready());
        credit.spend(&large);
        assert!(credit.poll_free(&cx).is_pending());
        credit.give_back(cost(&large));
        assert!(credit.poll_free(&cx).is_ready());
    }
}
