//! From messages to bytes: encodes a bounded batch of masked frames, and writes and flushes it before the next.
//!
//! It does not bound what is queued; the core hands out no more than a link may hold.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::frame::{Fragment, Opcode, close_payload, fresh_mask, write_header, write_masked};
use super::inbox::MAX_PENDING_PINGS;
use crate::wire::payload::Payload;

/// Bytes encoded ahead of the socket.
const MAX_BATCH_BYTES: usize = 64 * 1024;
/// Messages above this size go in fragments of [`FRAGMENT_BYTES`], so that pongs can pass between them.
const FRAGMENT_ABOVE_BYTES: usize = 1024 * 1024;
const FRAGMENT_BYTES: usize = 256 * 1024;

/// Something to be written.
#[derive(Debug)]
enum QueuedFrame {
    Message(Payload),
    Ping(u64),
}

/// A message too large for one batch, on its way out.
#[derive(Debug)]
struct Long {
    payload: Bytes,
    opcode: Opcode,
    /// Payload bytes encoded so far.
    at: usize,
    /// Where the frame being written began, where it ends, and its mask.
    frame: Option<(usize, usize, [u8; 4])>,
}

/// The writing half of a link.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    queue: VecDeque<QueuedFrame>,
    pongs: VecDeque<Vec<u8>>,
    close: Option<Vec<u8>>,
    /// A close frame has been encoded; nothing may follow it.
    closed: bool,
    long: Option<Box<Long>>,
    /// The batch, and how much of it the socket has taken.
    out: Vec<u8>,
    sent: usize,
    needs_flush: bool,
    /// Where messages begin in the batch.
    starts: Vec<usize>,
    /// Messages that end in the batch.
    ends: u64,
    /// Messages begun in earlier batches.
    begun: u64,
    /// Messages written and flushed.
    written: u64,
}

impl Writer {
    pub(crate) fn message(&mut self, payload: Payload) {
        self.queue.push_back(QueuedFrame::Message(payload));
    }

    /// A ping behind everything queued so far.
    pub(crate) fn ping(&mut self, token: u64) {
        self.queue.push_back(QueuedFrame::Ping(token));
    }

    /// Answers a ping, ahead of messages. The oldest answers are forgotten when too many have not left yet.
    pub(crate) fn pong(&mut self, payload: Vec<u8>) {
        if self.pongs.len() == MAX_PENDING_PINGS {
            self.pongs.pop_front();
        }
        self.pongs.push_back(payload);
    }

    /// A close frame behind everything queued so far.
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        self.close = Some(close_payload(code, reason));
    }

    /// Begins no further message: what `taken` does not count will never leave. A message too long to be finished soon
    /// is given up in its middle; then no close frame can follow either.
    pub(crate) fn forget(&mut self) {
        self.queue.clear();
        let begun = self.starts.partition_point(|start| *start < self.sent);
        if let Some(cut) = self.starts.get(begun) {
            // Only the last message of a batch can be a long one, and that has not ended.
            let unended = u64::from(self.long.take().is_some());
            self.ends -= (self.starts.len() - begun) as u64 - unended;
            self.out.truncate(*cut);
            self.starts.truncate(begun);
        }
        if self.long.take().is_some() {
            self.closed = true;
        }
    }

    /// Messages and pings waiting.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Messages written and flushed, from the link's start.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// Messages of which the socket has taken at least one byte, from the link's start.
    pub(crate) fn taken(&self) -> u64 {
        self.begun + self.starts.partition_point(|start| *start < self.sent) as u64
    }

    /// Writes until nothing is left (`Ready`) or the socket takes no more (`Pending`).
    pub(crate) fn poll<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut S,
    ) -> Poll<io::Result<()>> {
        loop {
            while self.sent < self.out.len() {
                let n = ready!(Pin::new(&mut *socket).poll_write(cx, &self.out[self.sent..]))?;
                if n == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.sent += n;
            }
            if self.needs_flush {
                ready!(Pin::new(&mut *socket).poll_flush(cx))?;
                self.needs_flush = false;
            }
            self.begun += self.starts.len() as u64;
            self.written += self.ends;
            self.ends = 0;
            self.starts.clear();
            self.out.clear();
            self.sent = 0;
            self.fill()?;
            if self.out.is_empty() {
                self.release_buffers();
                return Poll::Ready(Ok(()));
            }
            self.needs_flush = true;
        }
    }

    /// An idle link holds no buffers.
    fn release_buffers(&mut self) {
        self.out = Vec::new();
        self.starts = Vec::new();
        self.pongs = VecDeque::new();
        if self.queue.capacity() > 4 {
            self.queue = VecDeque::new();
        }
    }

    /// Encodes the next batch into the empty `out`.
    fn fill(&mut self) -> io::Result<()> {
        while self.out.len() < MAX_BATCH_BYTES && !self.closed {
            let between_frames = self.long.as_ref().is_none_or(|long| long.frame.is_none());
            if between_frames && let Some(payload) = self.pongs.pop_front() {
                self.whole(Opcode::Pong, &payload)?;
                continue;
            }
            if let Some(long) = &mut self.long {
                if long.encode(&mut self.out)? {
                    self.long = None;
                    self.ends += 1;
                }
                continue;
            }
            match self.queue.pop_front() {
                Some(QueuedFrame::Message(payload)) => self.begin(&payload)?,
                Some(QueuedFrame::Ping(token)) => self.whole(Opcode::Ping, &token.to_be_bytes())?,
                None => {
                    if let Some(payload) = self.close.take() {
                        self.whole(Opcode::Close, &payload)?;
                        self.closed = true;
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, payload: &Payload) -> io::Result<()> {
        let opcode = match payload {
            Payload::Text(_) | Payload::Json(_) | Payload::Event(_) => Opcode::Text,
            Payload::Binary(_) => Opcode::Binary,
        };
        self.starts.push(self.out.len());
        if payload.len() <= MAX_BATCH_BYTES {
            self.ends += 1;
            return self.whole(opcode, payload.bytes());
        }
        self.long = Some(Box::new(Long {
            payload: payload.bytes().clone(),
            opcode,
            at: 0,
            frame: None,
        }));
        Ok(())
    }

    fn whole(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        let mask = fresh_mask()?;
        self.out.reserve(payload.len() + 14);
        write_header(&mut self.out, opcode, Fragment::Final, payload.len(), mask);
        write_masked(&mut self.out, payload, mask, 0);
        Ok(())
    }
}

impl Long {
    /// Encodes as much as a batch holds, or the rest of a frame; `true` when the message is complete.
    fn encode(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let (begin, end, mask) = match self.frame {
            Some(frame) => frame,
            None => {
                let len = self.payload.len();
                let end = if len > FRAGMENT_ABOVE_BYTES {
                    len.min(self.at + FRAGMENT_BYTES)
                } else {
                    len
                };
                let mask = fresh_mask()?;
                let opcode = if self.at == 0 {
                    self.opcode
                } else {
                    Opcode::Continuation
                };
                out.reserve(MAX_BATCH_BYTES + 14);
                let fragment = if end == len {
                    Fragment::Final
                } else {
                    Fragment::More
                };
                write_header(out, opcode, fragment, end - self.at, mask);
                (self.at, end, mask)
            }
        };
        let stop = end.min(self.at + MAX_BATCH_BYTES.saturating_sub(out.len()).max(1));
        write_masked(out, &self.payload[self.at..stop], mask, self.at - begin);
        self.at = stop;
        self.frame = (stop < end).then_some((begin, end, mask));
        Ok(stop == self.payload.len())
    }
}

#[cfg(test)]
mod tests;
