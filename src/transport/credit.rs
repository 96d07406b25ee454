//! Flow control of a dial: limits its events that wait for the loop, so that one fast server cannot fill the queue of all.
//!
//! It counts, also what a link holds of messages that are not whole; it neither reads sockets nor decides when the log is full.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use super::incoming::{IncomingBytes, IncomingShare};
use crate::core::io;
use crate::wire::record::Name;

/// A batch may be sent while less than this is on its way. What the core allows for when it says `Pause` covers it.
const MAX_BYTES: usize = 1024 * 1024;
/// What a message costs beside its bytes.
const MESSAGE_COST: usize = 1024;
/// What a link may hold of messages without being counted: there are many links, and most messages are smaller.
const UNCOUNTED_BYTES: usize = 64 << 10;

/// Shared by a link, which spends, and the loop, which gives back.
#[derive(Debug, Clone, Default)]
pub struct Credit(Arc<Account>);

#[derive(Debug, Default)]
struct Account {
    spent: AtomicUsize,
    /// The loop has forgotten the dial: nothing is given back any more.
    is_over: AtomicBool,
    link: AtomicWaker,
    state: Mutex<CreditState>,
}

/// What the link holds, for the extension's budget.
#[derive(Debug, Default)]
struct CreditState {
    /// `None`: not counted.
    incoming: Option<IncomingShare>,
    /// Bytes of a message that is not whole.
    partial: usize,
}

impl Credit {
    /// What is held for it counts for this extension.
    pub fn counted(all: &IncomingBytes, origin: &Name) -> Self {
        let credit = Self::default();
        credit.state().incoming = Some(all.of(origin, UNCOUNTED_BYTES));
        credit
    }

    /// Another one for the same extension.
    pub(super) fn another(&self) -> Self {
        let credit = Self::default();
        credit.state().incoming = self.state().incoming.as_ref().map(IncomingShare::another);
        credit
    }

    /// The link keeps so many bytes of a message that is not whole; `false` if that is more than it may.
    pub(super) fn keep_partial(&self, bytes: usize) -> bool {
        let mut state = self.state();
        let all = self.0.spent.load(Ordering::Acquire) + bytes;
        let fits = state
            .incoming
            .as_mut()
            .is_none_or(|incoming| incoming.resize(all));
        if fits {
            state.partial = bytes;
        }
        fits
    }

    /// Counts what is on its way.
    fn count(&self, change: usize) {
        if change < UNCOUNTED_BYTES {
            return;
        }
        let mut state = self.state();
        let all = self.0.spent.load(Ordering::Acquire) + state.partial;
        if let Some(incoming) = &mut state.incoming {
            // What is here already is here; what comes next is refused.
            incoming.resize(all);
        }
    }

    fn state(&self) -> MutexGuard<'_, CreditState> {
        // Nothing in here can panic halfway.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another batch may be sent now; if not, the task is woken when it may.
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
    pub(super) fn spend(&self, messages: &[io::Incoming]) {
        let cost = cost(messages);
        self.0.spent.fetch_add(cost, Ordering::AcqRel);
        self.count(cost);
    }

    /// A piece of a stream is on its way.
    pub(super) fn spend_for(&self, piece: &[u8]) {
        self.0.spent.fetch_add(cost_of(piece), Ordering::AcqRel);
    }

    /// The loop has taken messages that cost this much.
    pub fn give_back(&self, cost: usize) {
        if self.0.spent.fetch_sub(cost, Ordering::AcqRel) >= MAX_BYTES {
            self.0.link.wake();
        }
        self.count(cost);
    }

    /// The loop takes nothing of this dial any more: nothing has to wait for it.
    pub fn end(&self) {
        self.0.is_over.store(true, Ordering::Release);
        self.0.link.wake();
    }

    fn is_free(&self) -> bool {
        self.0.is_over.load(Ordering::Acquire) || self.0.spent.load(Ordering::Acquire) < MAX_BYTES
    }
}

/// What a piece of a stream costs, in bytes: a message may end at every other line.
pub fn cost_of(piece: &[u8]) -> usize {
    let lines = piece.iter().filter(|byte| **byte == b'\n').count();
    MESSAGE_COST + piece.len() + lines * (MESSAGE_COST / 2)
}

/// What these messages cost, in bytes.
pub fn cost(messages: &[io::Incoming]) -> usize {
    messages
        .iter()
        .map(|incoming| match incoming {
            io::Incoming::Message(payload) => MESSAGE_COST + payload.len(),
            io::Incoming::TooLarge { .. } => MESSAGE_COST,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::Payload;

    #[test]
    fn exhausted_credit_is_available_again_once_enough_is_returned() {
        let credit = Credit::default();
        let cx = Context::from_waker(std::task::Waker::noop());
        let large = [io::Incoming::Message(Payload::text("x".repeat(MAX_BYTES)))];
        assert!(credit.poll_free(&cx).is_ready());
        credit.spend(&large);
        assert!(credit.poll_free(&cx).is_pending());
        credit.give_back(cost(&large));
        assert!(credit.poll_free(&cx).is_ready());
    }
}
