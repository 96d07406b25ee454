//! What any dial is told, and where its events go: messages only as far as there is credit.
//!
//! It dials nothing; `link`, `http` and `engine` do.

use std::future::poll_fn;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::credit::Credit;
use crate::core::io::{DialId, Fetch, Incoming, LinkEvent};
use crate::wire::payload::Payload;

/// What a dial is told.
#[derive(Debug)]
pub enum Command {
    /// Send a message.
    Transmit(Payload),
    /// Ask a question; on links over HTTP only.
    Fetch(Box<Fetch>),
    /// Send a ping behind everything transmitted so far.
    Ping(u64),
    /// Stop telling messages, and reading them.
    Pause,
    /// Go on.
    Resume,
    /// Write what has been transmitted, close, and tell what the server answers.
    Close { code: u16, reason: String },
    /// Write what has been transmitted, close, and say nothing more.
    HangUp { code: u16, reason: String },
}

/// Where a dial's events go.
#[derive(Debug)]
pub struct Events<W> {
    pub(super) dial: DialId,
    pub(super) tx: mpsc::Sender<W>,
    pub(super) credit: Credit,
}

/// Lines of a stream that the loop gets at once: each may end an event.
const LINES: usize = 64;

/// Where these lines end.
fn end_of_lines(bytes: &[u8]) -> usize {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.nth(LINES - 1).map_or(bytes.len(), |(at, _)| at + 1)
}

/// A place in the events' queue, or its end.
pub(super) type Permit<W> = Result<mpsc::OwnedPermit<W>, mpsc::error::SendError<()>>;

impl<W: From<(DialId, LinkEvent)> + Send + 'static> Events<W> {
    /// The events of `dial` go into `tx`, messages only as far as there is credit.
    pub const fn new(dial: DialId, tx: mpsc::Sender<W>, credit: Credit) -> Self {
        Self { dial, tx, credit }
    }

    /// Waits until more of a stream may be told.
    pub(super) async fn room(&self) {
        poll_fn(|cx| self.credit.poll_free(cx)).await;
    }

    /// Waits until more may be told, then tells messages; what they cost is given back when the loop has taken them.
    pub(super) async fn messages(&self, messages: Vec<Incoming>) -> bool {
        self.room().await;
        self.credit.spend(&messages);
        self.tell(LinkEvent::Messages(messages)).await
    }

    /// Tells bytes of a stream, a few lines at a time; what they cost is given back when the loop has taken them.
    pub(super) async fn stream(&self, mut bytes: Bytes) -> bool {
        while !bytes.is_empty() {
            let piece = bytes.split_to(end_of_lines(&bytes));
            self.room().await;
            self.credit.spend_for(&piece);
            if !self.tell(LinkEvent::Chunk(piece)).await {
                return false;
            }
        }
        true
    }

    /// Waits for room; `false` when nobody listens any more.
    pub(super) async fn tell(&self, event: LinkEvent) -> bool {
        self.tx.send(W::from((self.dial, event))).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_of_short_lines_is_told_in_pieces_and_only_as_far_as_there_is_credit() {
        let (tx, mut rx) = mpsc::channel::<(DialId, LinkEvent)>(10_000);
        let credit = Credit::default();
        let events = Events::new(DialId(1), tx, credit.clone());
        let text = "data:x\n\n".repeat(100_000);
        let bytes = Bytes::from(text.clone());
        let told = tokio::spawn(async move { events.stream(bytes).await });
        let mut heard = Vec::new();
        while heard.len() < text.len() {
            // The loop is slow: so much waits for it at most.
            tokio::task::yield_now().await;
            assert!(rx.len() * LINES < 4096, "{}", rx.len());
            let Some((_, LinkEvent::Chunk(piece))) = rx.recv().await else {
                panic!("no piece");
            };
            assert!(piece.len() <= 8 * LINES);
            heard.extend_from_slice(&piece);
            credit.give_back(super::super::credit::cost_of(&piece));
        }
        assert!(told.await.unwrap());
        assert_eq!(heard, text.as_bytes());
    }

    #[tokio::test]
    async fn long_lines_stay_whole() {
        let (tx, mut rx) = mpsc::channel::<(DialId, LinkEvent)>(10);
        let events = Events::new(DialId(1), tx, Credit::default());
        let bytes = Bytes::from(vec![b'x'; 100_000]);
        assert!(events.stream(bytes.clone()).await);
        assert!(matches!(rx.recv().await, Some((_, LinkEvent::Chunk(piece))) if piece == bytes));
    }

    #[tokio::test]
    async fn nothing_waits_for_credit_of_a_dial_that_was_hung_up() {
        let (tx, mut rx) = mpsc::channel::<(DialId, LinkEvent)>(10_000);
        let credit = Credit::default();
        let events = Events::new(DialId(1), tx, credit.clone());
        let told = tokio::spawn(async move { events.stream(Bytes::from("data:x\n\n".repeat(10_000))).await });
        tokio::task::yield_now().await;
        assert!(!told.is_finished(), "it waits for credit");
        credit.end();
        assert!(told.await.unwrap());
        assert!(rx.recv().await.is_some());
    }
}
