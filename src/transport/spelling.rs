//! Header names on the wire as RFCs and extensions write them. hyper knows names in lower case only, and some servers
//! look for `Sec-WebSocket-Key` letter by letter.
//!
//! It changes letters in the heads of requests and nothing else: a head keeps its length.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Names that are not written with each word's first letter as a capital.
const IRREGULAR: [&str; 8] = [
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Last-Event-ID",
    "ETag",
    "DNT",
    "WWW-Authenticate",
];

/// How the names of the next request are to be written; shared with the sender.
#[derive(Debug, Clone, Default)]
pub(super) struct Spelling(Arc<Mutex<NextRequest>>);

#[derive(Debug, Default)]
struct NextRequest {
    /// A request is about to be written.
    is_due: bool,
    names: Vec<String>,
}

impl Spelling {
    /// Announces a request, whose headers have these names beside Longwire's own.
    pub(super) fn announce<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        next.is_due = true;
        next.names = names.map(str::to_owned).collect();
    }

    fn take(&self) -> Option<Vec<String>> {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut next.is_due).then(|| std::mem::take(&mut next.names))
    }
}

/// A stream whose requests are spelled as announced.
#[derive(Debug)]
pub(super) struct Spelled<S> {
    inner: S,
    spelling: Spelling,
    state: SpellingState,
}

#[derive(Debug)]
enum SpellingState {
    /// Bytes pass; a head begins when one is announced.
    Passing,
    /// The beginning of a head.
    Head { names: Vec<String>, head: Vec<u8> },
    /// A head that is spelled, and how much of it is written.
    Writing { head: Vec<u8>, written: usize },
}

impl<S> Spelled<S> {
    pub(super) fn new(inner: S, spelling: Spelling) -> Self {
        Self {
            inner,
            spelling,
            state: SpellingState::Passing,
        }
    }

    /// The stream. Whatever was written has been passed on.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: AsyncWrite + Unpin> Spelled<S> {
    /// Writes what is left of a head.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let SpellingState::Writing { head, written } = &mut self.state {
            if *written == head.len() {
                self.state = SpellingState::Passing;
                break;
            }
            match Pin::new(&mut self.inner).poll_write(cx, &head[*written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => *written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Spelled<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Spelled<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.poll_head(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
        if let SpellingState::Passing = this.state {
            match this.spelling.take() {
                Some(names) => {
                    this.state = SpellingState::Head {
                        names,
                        head: Vec::new(),
                    }
                }
                None => return Pin::new(&mut this.inner).poll_write(cx, buf),
            }
        }
        if let SpellingState::Head { names, head } = &mut this.state {
            let before = head.len();
            head.extend_from_slice(buf);
            let from = before.saturating_sub(3);
            let end = head[from..].windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end.map(|end| from + end + 4) {
                spell(&mut head[..end], names);
                let head = std::mem::take(head);
                this.state = SpellingState::Writing { head, written: 0 };
                if let Poll::Ready(Err(error)) = this.poll_head(cx) {
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.poll_head(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.inner).poll_flush(cx),
            other => other,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.poll_head(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.inner).poll_shutdown(cx),
            other => other,
        }
    }
}

/// Writes the names in a head as these do, else as the RFCs do.
fn spell(head: &mut [u8], names: &[String]) {
    let is_end = |byte: &u8| *byte == b'\n';
    for line in head.split_mut(is_end).skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = &mut line[..colon];
        let known = names.iter().map(String::as_str).chain(IRREGULAR);
        for wanted in known {
            if name.eq_ignore_ascii_case(wanted.as_bytes()) {
                name.copy_from_slice(wanted.as_bytes());
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn header_names_are_respelled_at_any_split_and_bodies_are_unchanged() {
        let request = b"POST /x:y HTTP/1.1\r\nSec-Websocket-Key: Dnt: a\r\nX-Api-Key: b\r\nDnt: 1\r\n\r\nDnt: body\r\n\r\n";
        let spelled = b"POST /x:y HTTP/1.1\r\nSec-WebSocket-Key: Dnt: a\r\nx-API-key: b\r\nDNT: 1\r\n\r\nDnt: body\r\n\r\n";
        for cut in [1, 2, 7, 40, request.len()] {
            let spelling = Spelling::default();
            let mut stream = Spelled::new(Vec::new(), spelling.clone());
            for _ in 0..2 {
                spelling.announce(["x-API-key"].into_iter());
                for piece in request.chunks(cut) {
                    stream.write_all(piece).await.unwrap();
                }
            }
            stream.flush().await.unwrap();
            let written = stream.into_inner();
            assert_eq!(written, [&spelled[..], &spelled[..]].concat(), "{cut}");
        }
    }

    #[tokio::test]
    async fn unannounced_header_names_are_unchanged() {
        let mut stream = Spelled::new(Vec::new(), Spelling::default());
        stream.write_all(b"Dnt: 1\r\n\r\n").await.unwrap();
        assert_eq!(stream.into_inner(), b"Dnt: 1\r\n\r\n");
    }
}
