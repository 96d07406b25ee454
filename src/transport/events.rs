//! The commands to a dial, and the channel of its events. Messages are sent only while there is credit.
//!
//! It dials nothing; `link`, `http` and `engine` do.

use std::future::poll_fn;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::credit::Credit;
use crate::core::io::{DialId, Fetch, Incoming, LinkEvent};
use crate::wire::payload::Payload;

/// A command to a dial.
#[derive(Debug)]
pub enum DialCommand {
    /// Send a message.
    Transmit(Payload),
    /// Ask a question; on links over HTTP only.
    Fetch(Box<Fetch>),
    /// Send a ping behind everything transmitted so far.
    Ping(u64),
    /// Stop reading messages and sending them as events.
    Pause,
    /// Undo `Pause`.
    Resume,
    /// Write what has been transmitted, close, and report what the server answers.
    Close { code: u16, reason: String },
    /// Write what has been transmitted, close, and send no further event.
    HangUp { code: u16, reason: String },
}

/// Where a dial's events go.
#[derive(Debug)]
pub struct Events<W> {
    pub(super) dial: DialId,
    pub(super) tx: mpsc::Sender<W>,
    pub(super) credit: Credit,
}

/// Lines of a stream in one event for the loop: each line may end an event of the stream.
const MAX_LINES_PER_CHUNK: usize = 64;

/// Where the first lines end, at most that many.
fn end_of_lines(bytes: &[u8]) -> usize {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.nth(MAX_LINES_PER_CHUNK - 1)
        .map_or(bytes.len(), |(at, _)| at + 1)
}

/// A place in the events' queue, or its end.
pub(super) type Permit<W> = Result<mpsc::OwnedPermit<W>, mpsc::error::SendError<()>>;

impl<W: From<(DialId, LinkEvent)> + Send + 'static> Events<W> {
    /// The events of `dial` go into `tx`, messages only as far as there is credit.
    pub const fn new(dial: DialId, tx: mpsc::Sender<W>, credit: Credit) -> Self {
        Self { dial, tx, credit }
    }

    /// Waits until there is credit for more.
    pub(super) async fn room(&self) {
        poll_fn(|cx| self.credit.poll_free(cx)).await;
    }

    /// Waits for credit, then sends messages; the loop gives their cost back when it has taken them.
    pub(super) async fn messages(&self, messages: Vec<Incoming>) -> bool {
        self.room().await;
        self.credit.spend(&messages);
        self.send(LinkEvent::Messages(messages)).await
    }

    /// Sends bytes of a stream, a few lines at a time; the loop gives their cost back when it has taken them.
    pub(super) async fn stream(&self, mut bytes: Bytes) -> bool {
        while !bytes.is_empty() {
            let piece = bytes.split_to(end_of_lines(&bytes));
            self.room().await;
            self.credit.spend_for(&piece);
            if !self.send(LinkEvent::Chunk(piece)).await {
                return false;
            }
        }
        true
    }

    /// Waits for room in the channel; `false` when the receiver is gone.
    pub(super) async fn send(&self, event: LinkEvent) -> bool {
        self.tx.send(W::from((self.dial, event))).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_is_sent_in_pieces_while_credit_remains() {
        let (tx, mut rx) = mpsc::channel::<(DialId, LinkEvent)>(10_000);
        let credit = Credit::default();
        let events = Events::new(DialId(1), tx, credit.clone());
        let text = "data:x\n\n".repeat(100_000);
        let bytes = Bytes::from(text.clone());
        let sending = tokio::spawn(async move { events.stream(bytes).await });
        let mut received = Vec::new();
        while received.len() < text.len() {
            // The loop is slow: so much waits for it at most.
            tokio::task::yield_now().await;
            assert!(rx.len() * MAX_LINES_PER_CHUNK < 4096, "{}", rx.len());
            let Some((_, LinkEvent::Chunk(piece))) = rx.recv().await else {
                panic!("no piece");
            };
            assert!(piece.len() <= 8 * MAX_LINES_PER_CHUNK);
            received.extend_from_slice(&piece);
            credit.give_back(super::super::credit::cost_of(&piece));
        }
        assert!(sending.await.unwrap());
        assert_eq!(received, text.as_bytes());
    }

    #[tokio::test]
    async fn long_lines_are_not_split() {
        let (tx, mut rx) = mpsc::channel::<(DialId, LinkEvent)>(10);
        let events = Events::new(DialId(1), tx, Credit::default());
        let bytes = Bytes::from(vec![b'x'; 100_000]);
        assert!(events.stream(bytes.clone()).await);
        assert!(matches!(rx.recv().await, Some((_, LinkEvent::Chunk(piece))) if piece == bytes));
    }

    #[tokio::test]
    async fn a_closed_dial_does_not_wait_for_credit() {
        let (tx, mut rx) = mpsc::channel::<(DialId, LinkEvent)>(10_000);
        let credit = Credit::default();
        let events = Events::new(DialId(1), tx, credit.clone());
        let sending =
            tokio::spawn(async move { events.stream(Bytes::from("data:x\n\n".repeat(10_000))).await });
        tokio::task::yield_now().await;
        assert!(!sending.is_finished(), "it waits for credit");
        credit.end();
        assert!(sending.await.unwrap());
        assert!(rx.recv().await.is_some());
    }
}
