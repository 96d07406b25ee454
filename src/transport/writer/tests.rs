//! Tests of `writer`.

use super::*;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// Takes `limit` bytes, then blocks.
struct SlowSocket {
    taken: Vec<u8>,
    limit: usize,
}

impl AsyncWrite for SlowSocket {
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

fn poll(writer: &mut Writer, socket: &mut SlowSocket) -> bool {
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
fn decoded(bytes: Vec<u8>) -> Vec<Message> {
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
    let mut socket = WebSocket::from_raw_socket(Fixed(io::Cursor::new(bytes)), Role::Server, Some(config));
    std::iter::from_fn(|| socket.read().ok()).collect()
}

#[test]
fn another_implementation_reads_the_written_messages_in_order() {
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
    let mut socket = SlowSocket {
        taken: Vec::new(),
        limit: usize::MAX,
    };
    assert!(poll(&mut writer, &mut socket));
    assert_eq!(
        (writer.written(), writer.taken()),
        (2 * sizes.len() as u64, 2 * sizes.len() as u64)
    );
    let read = decoded(socket.taken);
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
fn taken_counts_messages_with_at_least_one_byte_sent() {
    let mut writer = Writer::default();
    let mut socket = SlowSocket {
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
fn discarded_messages_are_never_sent() {
    for (limit, left) in [(0, 0), (1, 1), (9, 1), (12, 2)] {
        let mut writer = Writer::default();
        let mut socket = SlowSocket {
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
        let read = decoded(socket.taken);
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
fn a_pong_is_sent_between_fragments_and_never_inside_a_frame() {
    let mut writer = Writer::default();
    let mut socket = SlowSocket {
        taken: Vec::new(),
        limit: 100_000,
    };
    writer.message(Payload::Binary(Bytes::from(vec![1; 2_000_000])));
    assert!(!poll(&mut writer, &mut socket));
    writer.pong(b"alive".to_vec());
    socket.limit = usize::MAX;
    assert!(poll(&mut writer, &mut socket));
    let read = decoded(socket.taken);
    assert_eq!(
        read,
        [
            Message::Pong(Bytes::from_static(b"alive")),
            Message::binary(vec![1; 2_000_000])
        ]
    );
}

#[test]
fn no_frame_follows_a_close_frame_and_an_idle_writer_is_empty() {
    let mut writer = Writer::default();
    let mut socket = SlowSocket {
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
    assert_eq!(decoded(socket.taken).len(), 101);
    assert_eq!(writer.out.capacity() + writer.starts.capacity(), 0);
}
