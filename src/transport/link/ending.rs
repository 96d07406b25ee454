//! How an open link ends: the last events, a close frame, and at most two seconds for the server to close.
//!
//! It decides nothing: whether to dial again is the core's.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Link, MessageFlow};
use crate::core::io::{DialId, LinkEnd, LinkEvent};
use crate::transport::frame::Violation;
use crate::wire::code::Code;
use crate::wire::record::ErrorInfo;

/// How long the server may take to hang up after a close frame.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why an open link is over.
#[derive(Debug)]
pub(super) enum Over {
    /// The core does not want it any more.
    HungUp { code: u16, reason: String },
    /// The command sender or the event receiver is gone.
    Abandoned,
    /// The server sent a close frame.
    Closed { code: u16, reason: String },
    /// The server broke the protocol.
    Violated(Violation),
    /// The connection ended, cleanly or not.
    Lost(Option<io::Error>),
}

impl<S, W> Link<S, W>
where
    S: AsyncRead + AsyncWrite + Unpin,
    W: From<(DialId, LinkEvent)> + Send + 'static,
{
    /// Reports the end, if there is a receiver, and closes the connection in order.
    pub(super) async fn conclude(mut self, over: Over) {
        self.waiting = None;
        let end = match over {
            Over::Abandoned => return,
            Over::HungUp { code, reason } => {
                self.writer.close(code, &reason);
                self.commands.close();
                self.shut_down().await;
                return;
            }
            Over::Closed { code, reason } => {
                self.leave(code, "").await;
                LinkEnd {
                    code: Some(code),
                    reason: (!reason.is_empty()).then_some(reason),
                    ..LinkEnd::default()
                }
            }
            Over::Violated(violation) => {
                self.leave(violation.close, violation.what).await;
                let why = format!("{} broke the WebSocket protocol: {}", self.place, violation.what);
                lost(ErrorInfo::new(Code::ServerProtocol, why))
            }
            Over::Lost(error) => {
                self.broken = Some(io::ErrorKind::NotConnected.into());
                let what = match error {
                    None => format!("{} ended the connection without a close frame", self.place),
                    Some(error) => format!("the connection to {} broke: {error}", self.place),
                };
                lost(ErrorInfo::new(Code::LinkLost, what))
            }
        };
        let end = LinkEnd {
            taken: self.writer.taken(),
            ..end
        };
        tracing::debug!(dial = self.events.dial.0, code = ?end.code, error = ?end.error, "the link is over");
        while self.has_event(MessageFlow::Deliver) {
            if let Some(event) = self.next_event(MessageFlow::Deliver)
                && !self.events.send(event).await
            {
                return;
            }
        }
        if self.events.send(LinkEvent::Ended(end)).await && self.broken.is_none() {
            self.commands.close();
            self.shut_down().await;
        }
    }

    /// Begins no further message, and writes a close frame as far as that goes without waiting.
    async fn leave(&mut self, code: u16, reason: &str) {
        self.writer.forget();
        self.writer.close(code, reason);
        let Self { writer, socket, .. } = self;
        poll_fn(|cx| {
            let _ = writer.poll(cx, socket);
            Poll::Ready(())
        })
        .await;
    }

    /// Writes what is left, then waits for the server to hang up, so that nothing written is lost to a reset.
    async fn shut_down(&mut self) {
        let Self { writer, socket, .. } = self;
        let shutdown = async {
            poll_fn(|cx| {
                let written = writer.poll(cx, socket);
                // Reading on the way keeps a server that only writes from waiting for us.
                if drain(socket, cx).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                written
            })
            .await?;
            poll_fn(|cx| drain(socket, cx)).await;
            poll_fn(|cx| Pin::new(&mut *socket).poll_shutdown(cx)).await
        };
        // Whether it worked or not: the link is over.
        let _: Result<io::Result<()>, _> = tokio::time::timeout(SHUTDOWN_TIMEOUT, shutdown).await;
    }
}

/// Reads and forgets; `Ready` at the end of the stream.
fn drain<S: AsyncRead + Unpin>(socket: &mut S, cx: &mut Context<'_>) -> Poll<()> {
    let mut bin = [0; 4096];
    loop {
        let mut buf = ReadBuf::new(&mut bin);
        match ready!(Pin::new(&mut *socket).poll_read(cx, &mut buf)) {
            Ok(()) if !buf.filled().is_empty() => {}
            _ => return Poll::Ready(()),
        }
    }
}

/// An end without a close frame from the server.
fn lost(error: ErrorInfo) -> LinkEnd {
    LinkEnd {
        code: Some(1006),
        error: Some(error),
        ..LinkEnd::default()
    }
}
