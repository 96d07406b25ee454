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

    /// Tells a piece of a stream; what it costs is given back when the loop has taken it.
    pub(super) async fn stream(&self, bytes: Bytes) -> bool {
        self.credit.spend_for(&bytes);
        self.tell(LinkEvent::Chunk(bytes)).await
    }

    /// Waits for room; `false` when nobody listens any more.
    pub(super) async fn tell(&self, event: LinkEvent) -> bool {
        self.tx.send(W::from((self.dial, event))).await.is_ok()
    }
}
