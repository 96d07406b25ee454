//! From messages to bytes: a bounded batch of masked frames at a time, written out and flushed before the next.
//!
//! It does not bound what is queued; the core hands out no more than a link may hold.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::frame::{Opcode, close_payload, fresh_mask, write_header, write_masked};
use super::reader::PINGS;
use crate::wire::payload::Payload;

/// Bytes encoded ahead of the socket.
const BATCH: usize = 64 * 1024;
/// Messages above this size go in fragments of [`FRAGMENT`], so that pongs can pass between them.
const FRAGMENT_ABOVE: usize = 1024 * 1024;
const FRAGMENT: usize = 256 * 1024;

/// Something to be written.
#[derive(Debug)]
enum Outgoing {
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
    queue: VecDeque<Outgoing>,
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
        self.queue.push_back(Outgoing::Message(payload));
    }

    /// A ping behind everything queued so far.
    pub(crate) fn ping(&mut self, token: u64) {
        self.queue.push_back(Outgoing::Ping(token));
    }

    /// Answers a ping, ahead of messages. The oldest answers are forgotten when too many have not left yet.
    pub(crate) fn pong(&mut self, payload: Vec<u8>) {
        if self.pongs.len() == PINGS {
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
                self.rest();
                return Poll::Ready(Ok(()));
            }
            self.needs_flush = true;
        }
    }

    /// An idle link holds no buffers.
    fn rest(&mut self) {
        self.out = Vec::new();
        self.starts = Vec::new();
        self.pongs = VecDeque::new();
        if self.queue.capacity() > 4 {
            self.queue = VecDeque::new();
        }
    }

    /// Encodes the next batch into the empty `out`.
    fn fill(&mut self) -> io::Result<()> {
        while self.out.len() < BATCH && !self.closed {
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
                Some(Outgoing::Message(payload)) => self.begin(&payload)?,
                Some(Outgoing::Ping(token)) => self.whole(Opcode::Ping, &token.to_be_bytes())?,
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
        if payload.len() <= BATCH {
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
        write_header(&mut self.out, opcode, true, payload.len(), mask);
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
                let end = if len > FRAGMENT_ABOVE {
                    len.min(self.at + FRAGMENT)
                } else {
                    len
                };
                let mask = fresh_mask()?;
                let opcode = if self.at == 0 {
                    self.opcode
                } else {
                    Opcode::Continuation
                };
                out.reserve(BATCH + 14);
                write_header(out, opcode, end == len, end - self.at, mask);
                (self.at, end, mask)
            }
        };
        let stop = end.min(self.at + BATCH.saturating_sub(out.len()).max(1));
        write_masked(out, &self.payload[self.at..stop], mask, self.at - begin);
        self.at = stop;
        self.frame = (stop < end).then_some((begin, end, mask));
        Ok(stop == self.payload.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
    use tokio_tungstenite::tungstenite::{Message, WebSocket};

    /// Takes `limit` bytes, then blocks.
    struct Slow {
        taken: Vec<u8>,
        limit: usize,
    }

    impl AsyncWrite for Slow {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let this = self.get_mut();
            let n = buf.len().min(this.limit - this.taken.len());
            if n == 0 {
                return Poll::Pending;
            }
            this.taken.extend_from_slice(&buf[..n]);
            Poll::Ready(Ok(n))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn poll(writer: &mut Writer, socket: &mut Slow) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match writer.poll(&mut cx, socket) {
            Poll::Ready(result) => {
                result.unwrap();
                true
            }
            Poll::Pending => false,
        }
    }

    /// What another implementation reads out of the bytes.
    fn understood(bytes: Vec<u8>) -> Vec<Message> {
        struct Fixed(io::Cursor<Vec<u8>>);
        impl io::Read for Fixed {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.read(buf)
            }
        }
        impl io::Write for Fixed {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                Ok(buf.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let config = WebSocketConfig::default()
            .max_frame_size(None)
            .max_message_size(None);
        let mut socket =
            WebSocket::from_raw_socket(Fixed(io::Cursor::new(bytes)), Role::Server, Some(config));
        std::iter::from_fn(|| socket.read().ok()).collect()
    }

    #[test]
    fn another_implementation_reads_what_was_written_in_order() {
        let sizes = [
            0, 1, 125, 126, 65_535, 65_536, 65_537, 200_000, 1_048_576, 1_048_577, 3_000_001,
        ];
        let mut writer = Writer::default();
        for size in sizes {
            writer.message(Payload::text("x".repeat(size)));
            writer.message(Payload::Binary(Bytes::from(vec![7; size])));
        }
        writer.ping(42);
        writer.close(4000, "done");
        let mut socket = Slow {
            taken: Vec::new(),
            limit: usize::MAX,
        };
        assert!(poll(&mut writer, &mut socket));
        assert_eq!(
            (writer.written(), writer.taken()),
            (2 * sizes.len() as u64, 2 * sizes.len() as u64)
        );
        let read = understood(socket.taken);
        for (index, size) in sizes.into_iter().enumerate() {
            assert_eq!(read[2 * index], Message::text("x".repeat(size)), "{size}");
            assert_eq!(read[2 * index + 1], Message::binary(vec![7; size]), "{size}");
        }
        assert_eq!(
            read[2 * sizes.len()],
            Message::Ping(Bytes::copy_from_slice(&42u64.to_be_bytes()))
        );
        assert!(
            matches!(&read[2 * sizes.len() + 1], Message::Close(Some(frame)) if u16::from(frame.code) == 4000)
        );
    }

    #[test]
    fn taken_counts_exactly_the_messages_of_which_a_byte_has_left() {
        let mut writer = Writer::default();
        let mut socket = Slow {
            taken: Vec::new(),
            limit: 0,
        };
        for _ in 0..3 {
            writer.message(Payload::text("abc"));
        }
        // A frame of three bytes is nine bytes long.
        for (limit, taken, written) in [
            (0, 0, 0),
            (1, 1, 0),
            (9, 1, 0),
            (10, 2, 0),
            (26, 3, 0),
            (27, 3, 3),
        ] {
            socket.limit = limit;
            poll(&mut writer, &mut socket);
            assert_eq!(
                (writer.taken(), writer.written()),
                (taken, written),
                "after {limit} bytes"
            );
        }
    }

    #[test]
    fn what_was_not_taken_when_the_rest_is_forgotten_never_leaves() {
        for (limit, left) in [(0, 0), (1, 1), (9, 1), (12, 2)] {
            let mut writer = Writer::default();
            let mut socket = Slow {
                taken: Vec::new(),
                limit,
            };
            for _ in 0..3 {
                writer.message(Payload::text("abc"));
            }
            writer.message(Payload::text("x".repeat(100_000)));
            poll(&mut writer, &mut socket);
            assert_eq!(writer.taken(), left);
            writer.forget();
            writer.close(1001, "");
            socket.limit = usize::MAX;
            assert!(poll(&mut writer, &mut socket));
            let read = understood(socket.taken);
            assert_eq!(read.len() as u64, left + 1, "after {limit} bytes");
            assert_eq!(
                (writer.taken(), writer.written()),
                (left, left),
                "after {limit} bytes"
            );
            assert!(matches!(read.last(), Some(Message::Close(_))));
        }
    }

    #[test]
    fn a_pong_passes_a_long_message_between_its_fragments_and_never_inside_a_frame() {
        let mut writer = Writer::default();
        let mut socket = Slow {
            taken: Vec::new(),
            limit: 100_000,
        };
        writer.message(Payload::Binary(Bytes::from(vec![1; 2_000_000])));
        assert!(!poll(&mut writer, &mut socket));
        writer.pong(b"alive".to_vec());
        socket.limit = usize::MAX;
        assert!(poll(&mut writer, &mut socket));
        let read = understood(socket.taken);
        assert_eq!(
            read,
            [
                Message::Pong(Bytes::from_static(b"alive")),
                Message::binary(vec![1; 2_000_000])
            ]
        );
    }

    #[test]
    fn nothing_follows_a_close_frame_and_an_idle_writer_is_empty() {
        let mut writer = Writer::default();
        let mut socket = Slow {
            taken: Vec::new(),
            limit: usize::MAX,
        };
        for _ in 0..100 {
            writer.message(Payload::text("before"));
        }
        writer.close(1000, "");
        assert!(poll(&mut writer, &mut socket));
        writer.message(Payload::text("after"));
        writer.pong(Vec::new());
        assert!(poll(&mut writer, &mut socket));
        assert_eq!(understood(socket.taken).len(), 101);
        assert_eq!(writer.out.capacity() + writer.starts.capacity(), 0);
    }
}
