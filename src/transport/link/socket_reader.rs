//! Reads the socket of a link and decodes what came into the inbox. What is not decoded yet stays here.
//!
//! It answers nothing and reports nothing: `link` does.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use super::ending::Over;
use crate::transport::inbox::{Inbox, InboxLimit};
use crate::transport::reader::FrameReader;

/// Bytes read in one system call.
const READ_BYTES: usize = 64 * 1024;
/// Bytes an incomplete header or small frame may leave over; more than any of them.
const MAX_LEFT_OVER_BYTES: usize = 4 * 1024;

/// The reading half of an open link.
pub(super) struct SocketReader {
    frames: FrameReader,
    /// Bytes read and not yet decoded.
    undecoded: Vec<u8>,
    /// `undecoded` was left because the inbox was full, not because it is incomplete.
    unread: bool,
    /// Bytes arrived since the last event that reports it.
    alive: bool,
}

impl SocketReader {
    /// `early` is what came together with the answer to the handshake.
    pub(super) fn new(frames: FrameReader, early: Vec<u8>) -> Self {
        Self {
            frames,
            unread: !early.is_empty(),
            alive: !early.is_empty(),
            undecoded: early,
        }
    }

    /// Whether bytes arrived since the last event that reports it.
    pub(super) const fn is_alive(&self) -> bool {
        self.alive
    }

    /// The event that goes out now reports that bytes arrived; whether some did.
    pub(super) const fn take_alive(&mut self) -> bool {
        std::mem::replace(&mut self.alive, false)
    }

    /// Reads until the socket has no more or the `budget` of bytes is spent (`Pending`), or the inbox is full (`Ready`).
    pub(super) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut S,
        inbox: &mut Inbox,
        limit: InboxLimit,
        budget: &mut usize,
    ) -> Poll<Result<(), Over>> {
        thread_local! {
            /// One for all links of a thread: nothing stays in it between two reads.
            static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_LEFT_OVER_BYTES + READ_BYTES].into());
        }
        while !inbox.holds(limit.messages, limit.bytes) {
            if self.unread {
                let undecoded = std::mem::take(&mut self.undecoded);
                self.decode(&undecoded, inbox, limit)?;
                continue;
            }
            if *budget == 0 {
                return Poll::Pending;
            }
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let undecoded_len = self.undecoded.len();
                scratch[..undecoded_len].copy_from_slice(&self.undecoded);
                let mut buf = ReadBuf::new(&mut scratch[undecoded_len..]);
                let read = match Pin::new(&mut *socket).poll_read(cx, &mut buf) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) if buf.filled().is_empty() => Err(Over::Lost(None)),
                    // TLS without close_notify counts as an end without a close frame.
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        Err(Over::Lost(None))
                    }
                    Poll::Ready(Err(error)) => Err(Over::Lost(Some(error))),
                    Poll::Ready(Ok(())) => Ok(buf.filled().len()),
                };
                self.undecoded.clear();
                let n = match read {
                    Ok(n) => n,
                    Err(over) => return Poll::Ready(Err(over)),
                };
                *budget = budget.saturating_sub(n);
                self.alive = true;
                Poll::Ready(self.decode(&scratch[..undecoded_len + n], inbox, limit))
            });
            match read {
                Poll::Ready(result) => result?,
                Poll::Pending => {
                    self.frames.release_buffers();
                    if self.undecoded.is_empty() {
                        self.undecoded = Vec::new();
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn decode(&mut self, bytes: &[u8], inbox: &mut Inbox, limit: InboxLimit) -> Result<(), Over> {
        let taken = self.frames.read(bytes, inbox, limit).map_err(Over::Violated)?;
        if let Some((code, reason)) = inbox.close.take() {
            return Err(Over::Closed { code, reason });
        }
        self.undecoded.extend_from_slice(&bytes[taken..]);
        self.unread = taken < bytes.len() && inbox.holds(limit.messages, limit.bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::io::Incoming;

    const ONE: InboxLimit = InboxLimit {
        messages: 1,
        bytes: 1024,
    };

    /// A text frame as a server writes it.
    fn frame(text: &str) -> Vec<u8> {
        let length = u8::try_from(text.len()).expect("a short text");
        [&[0x81, length], text.as_bytes()].concat()
    }

    fn reader(early: &[u8]) -> SocketReader {
        SocketReader::new(FrameReader::new(1024, false, None), early.to_vec())
    }

    /// Reads once, with room for one message and this much budget: what was read, and how reading ended.
    fn read(reader: &mut SocketReader, mut socket: &[u8], mut budget: usize) -> (Vec<String>, String) {
        let mut inbox = Inbox::default();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let end = reader.poll(&mut cx, &mut socket, &mut inbox, ONE, &mut budget);
        let text = |message| match message {
            Incoming::Message(payload) => payload.as_str().unwrap_or("?").to_owned(),
            other => format!("{other:?}"),
        };
        let texts = inbox.messages.drain(..).map(text).collect();
        (texts, format!("{end:?}"))
    }

    #[test]
    fn undecoded_frames_are_decoded_before_the_next_read_of_the_socket() {
        let mut reader = reader(&[]);
        let both = [frame("one"), frame("two")].concat();
        assert_eq!(
            read(&mut reader, &both, 99),
            (vec!["one".into()], "Ready(Ok(()))".into())
        );
        assert!(reader.take_alive() && !reader.is_alive());
        let (texts, end) = read(&mut reader, &[], 99);
        assert_eq!((texts, end.as_str()), (vec!["two".into()], "Ready(Ok(()))"));
        assert!(!reader.is_alive(), "nothing new has come");
        let (texts, end) = read(&mut reader, &[], 99);
        assert_eq!((texts.len(), end.as_str()), (0, "Ready(Err(Lost(None)))"));
    }

    #[test]
    fn an_incomplete_frame_is_kept_until_the_budget_allows_the_next_read() {
        let whole = frame("one");
        let (begin, rest) = whole.split_at(3);
        let mut reader = reader(begin);
        assert!(reader.is_alive(), "it came with the handshake");
        assert_eq!(
            read(&mut reader, rest, 0),
            (vec![], "Pending".into()),
            "no budget"
        );
        assert_eq!(
            read(&mut reader, rest, 99),
            (vec!["one".into()], "Ready(Ok(()))".into())
        );
    }
}
