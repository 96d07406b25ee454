//! From bytes to messages: frames are taken apart, fragments joined, text checked, compressed messages inflated.
//!
//! It reads no socket. It keeps no read buffer: whole messages are copied out of the caller's, once.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::credit::Credit;
use super::deflate::{Corrupt, Inflater, Kept};
use super::frame::{Header, Opcode, Violation, read_close};
use crate::core::io::Incoming;
use crate::wire::payload::Payload;
use crate::wire::rule::PARSED_WHOLE;

/// Small messages read together share one allocation of at most this many bytes.
const CHUNK: usize = 16 * 1024;
/// Messages from this size on have an allocation of their own, so that keeping one keeps no neighbours.
const ALONE: usize = 4 * 1024;
/// A frame up to this size waits in the caller's buffer until it is complete.
const WAIT: u64 = 2 * 1024;

/// Bytes of a compressed frame that are inflated at once: they may become a thousand times as many.
const INFLATED_AT_ONCE: usize = 4 * 1024;
/// Text is checked as it comes, in pieces of at least so many bytes.
const CHECKED_AT_ONCE: usize = 64 * 1024;

/// Pings of one server that are answered at most, if they come faster than answers leave.
pub(crate) const PINGS: usize = 32;

/// What has been read and not yet been told.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// In order.
    pub(crate) messages: Vec<Incoming>,
    /// Payload bytes of `messages`.
    pub(crate) bytes: usize,
    /// Payloads of pings that are not answered yet.
    pub(crate) pings: VecDeque<Vec<u8>>,
    /// Tokens of our own pings that were answered.
    pub(crate) pongs: VecDeque<u64>,
    /// Bytes that were inflated since the link looked: others' turn comes when they are many.
    pub(crate) inflated: usize,
    /// The server's close frame. Whatever follows it is ignored.
    pub(crate) close: Option<(u16, String)>,
}

impl Inbox {
    /// Whether this many messages or bytes are waiting.
    pub(crate) fn holds(&self, messages: usize, bytes: usize) -> bool {
        self.messages.len() >= messages || self.bytes.max(self.inflated) >= bytes
    }

    fn push(&mut self, payload: Payload) {
        self.bytes += payload.len();
        self.messages.push(Incoming::Message(payload));
    }
}

/// How much a reader may put into the inbox in one go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// The reading half of a link.
#[derive(Debug)]
pub(crate) struct Reader {
    max_message: usize,
    /// Valid JSON text becomes `Payload::Json`.
    json: bool,
    inflater: Option<Box<Inflater>>,
    /// The data frame whose payload is being read: is it the last of its message, and what is left of it.
    frame: Option<(bool, u64)>,
    /// The message being put together.
    message: Option<Message>,
    /// What has come of it.
    data: Vec<u8>,
    /// Bytes of it that are known to be text.
    text_upto: usize,
    /// What may be kept of it.
    credit: Credit,
    /// What small messages are copied into.
    chunk: BytesMut,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    text: bool,
    compressed: bool,
    /// It exceeds the limit: what comes of it is thrown away.
    is_skipped: bool,
    /// Bytes of all its frames up to now, as their headers say.
    announced: u64,
}

impl Reader {
    pub(crate) fn new(max_message: usize, json: bool, inflater: Option<Inflater>) -> Self {
        Self {
            max_message,
            json,
            inflater: inflater.map(Box::new),
            frame: None,
            message: None,
            data: Vec::new(),
            text_upto: 0,
            credit: Credit::default(),
            chunk: BytesMut::new(),
        }
    }

    /// What is kept of a message that is not whole counts here.
    pub(crate) fn counted_by(mut self, credit: Credit) -> Self {
        self.credit = credit;
        self
    }

    /// Takes what it can use of `input` and says how many bytes that was; the caller offers the rest again, together
    /// with what has come since. It stops when the inbox holds as much as `room` says.
    ///
    /// # Errors
    /// The server broke the protocol; messages before that are in the inbox.
    pub(crate) fn read(&mut self, input: &[u8], inbox: &mut Inbox, room: Room) -> Result<usize, Violation> {
        let mut at = 0;
        loop {
            if inbox.close.is_some() {
                return Ok(input.len());
            }
            if inbox.holds(room.messages, room.bytes) {
                return Ok(at);
            }
            let rest = &input[at..];
            if let Some((fin, left)) = self.frame {
                let mut take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                if self.message.is_some_and(|message| message.compressed) {
                    take = take.min(INFLATED_AT_ONCE);
                }
                let before = self.data.len();
                self.extend(&rest[..take], left)?;
                if take == INFLATED_AT_ONCE {
                    inbox.inflated += self.data.len().saturating_sub(before);
                }
                at += take;
                let left = left - take as u64;
                if left > 0 {
                    self.frame = Some((fin, left));
                    if at == input.len() {
                        return Ok(at);
                    }
                    continue;
                }
                self.frame = None;
                if fin {
                    self.complete(inbox)?;
                }
                continue;
            }
            let Some(header) = Header::parse(rest)? else {
                return Ok(at);
            };
            let body = &rest[header.size..];
            let whole = usize::try_from(header.len).ok().and_then(|len| body.get(..len));
            if header.opcode.is_control() {
                let Some(payload) = whole else { return Ok(at) };
                Self::control(header.opcode, payload, inbox)?;
                at += header.size + payload.len();
                continue;
            }
            self.check(&header)?;
            match whole {
                // The common case: a whole message in one frame.
                Some(payload)
                    if header.fin
                        && self.message.is_none()
                        && !header.rsv1
                        && payload.len() <= self.max_message =>
                {
                    let text = header.opcode == Opcode::Text;
                    let payload = self.keep(payload, rest.len());
                    inbox.push(self.finished(payload, text)?);
                    at += header.size + header.len as usize;
                }
                None if header.len <= WAIT => return Ok(at),
                _ => {
                    self.announce(&header);
                    self.frame = Some((header.fin, header.len));
                    at += header.size;
                }
            }
        }
    }

    /// Gives back what is only needed while messages flow.
    pub(crate) fn rest(&mut self) {
        self.chunk = BytesMut::new();
        if self.message.is_none() {
            self.data = Vec::new();
            if let Some(inflater) = &mut self.inflater {
                inflater.rest();
            }
        }
    }

    fn control(opcode: Opcode, payload: &[u8], inbox: &mut Inbox) -> Result<(), Violation> {
        match opcode {
            Opcode::Ping => {
                // Answering the latest would be enough (RFC 6455, 5.5.3), but some servers count.
                if inbox.pings.len() == PINGS {
                    inbox.pings.pop_front();
                }
                inbox.pings.push_back(payload.to_vec());
            }
            Opcode::Pong => {
                if let Ok(token) = payload.try_into() {
                    inbox.pongs.push_back(u64::from_be_bytes(token));
                }
            }
            _ => inbox.close = Some(read_close(payload)?),
        }
        Ok(())
    }

    /// Refuses a data frame that must not come now.
    fn check(&self, header: &Header) -> Result<(), Violation> {
        match (self.message, header.opcode) {
            (None, Opcode::Continuation) => {
                return Err(Violation::protocol("a continuation frame without a message"));
            }
            (Some(_), Opcode::Text | Opcode::Binary) => {
                return Err(Violation::protocol(
                    "a new message before the end of the previous one",
                ));
            }
            _ => {}
        }
        if header.rsv1 && (self.inflater.is_none() || self.message.is_some()) {
            return Err(Violation::protocol(
                "a compressed frame without negotiated compression",
            ));
        }
        Ok(())
    }

    /// A frame of a message begins. A message that its headers make too large is not kept from here on; what a compressed
    /// one grows to shows later.
    fn announce(&mut self, header: &Header) {
        let message = self.message.get_or_insert(Message {
            text: header.opcode == Opcode::Text,
            compressed: header.rsv1,
            is_skipped: false,
            announced: 0,
        });
        message.announced = message.announced.saturating_add(header.len);
        if !message.compressed && message.announced > self.max_message as u64 {
            self.skip();
        }
    }

    /// Keeps nothing of the message under way.
    fn skip(&mut self) {
        if let Some(message) = &mut self.message {
            message.is_skipped = true;
        }
        self.data = Vec::new();
        self.text_upto = 0;
        self.credit.keep_partial(0);
    }

    /// Adds a piece of the message under way; `left` is what its frame still holds, this piece included.
    fn extend(&mut self, piece: &[u8], left: u64) -> Result<(), Violation> {
        if self.message.is_some_and(|message| message.compressed) {
            return self.inflate(|inflater, kept| inflater.push(piece, kept));
        }
        if self.message.is_some_and(|message| message.is_skipped) {
            return Ok(());
        }
        let free = self.data.capacity() - self.data.len();
        if free < piece.len() {
            // Doubling, but never past the frame's end; and not all at once, for the length is only a promise.
            let promised = usize::try_from(left).unwrap_or(usize::MAX);
            let more = self.data.len().max(64 * 1024).max(piece.len()).min(promised);
            let all = self.data.capacity() + more;
            if !self.credit.keep_partial(all) || self.data.try_reserve_exact(more).is_err() {
                self.skip();
                return Ok(());
            }
        }
        self.data.extend_from_slice(piece);
        self.check_text(CHECKED_AT_ONCE)
    }

    /// Checks what has come of a text, once it is as much as this.
    fn check_text(&mut self, least: usize) -> Result<(), Violation> {
        let unchecked = self.data.get(self.text_upto..).unwrap_or_default();
        let is_text = self.message.is_some_and(|message| message.text);
        if !is_text || unchecked.len() < least {
            return Ok(());
        }
        match std::str::from_utf8(unchecked) {
            Ok(_) => self.text_upto = self.data.len(),
            // It ends in the middle of a character.
            Err(error) if error.error_len().is_none() => self.text_upto += error.valid_up_to(),
            Err(_) => return Err(Violation::content("a text message that is not UTF-8")),
        }
        Ok(())
    }

    /// Inflates into the message under way, or past it when it has grown too large.
    fn inflate(
        &mut self,
        step: impl FnOnce(&mut Inflater, &mut Kept<'_>) -> Result<(), Corrupt>,
    ) -> Result<(), Violation> {
        let (Some(inflater), Some(message)) = (&mut self.inflater, &mut self.message) else {
            return Err(Violation::protocol(
                "a compressed frame without negotiated compression",
            ));
        };
        let mut kept = Kept {
            data: &mut self.data,
            limit: self.max_message,
            is_skipped: &mut message.is_skipped,
            credit: &self.credit,
        };
        step(inflater, &mut kept)
            .map_err(|Corrupt| Violation::content("a compressed message that cannot be inflated"))?;
        if message.is_skipped {
            self.text_upto = 0;
            return Ok(());
        }
        self.check_text(CHECKED_AT_ONCE)
    }

    /// The last frame of the message under way has been read.
    fn complete(&mut self, inbox: &mut Inbox) -> Result<(), Violation> {
        if self.message.is_some_and(|message| message.compressed) {
            self.inflate(Inflater::finish)?;
        }
        self.check_text(0)?;
        let Some(message) = self.message.take() else {
            return Ok(());
        };
        if message.is_skipped {
            // How large a compressed message would have been is not known where it need not be inflated.
            let bytes = (!message.compressed).then_some(message.announced);
            inbox.messages.push(Incoming::TooLarge { bytes });
            return Ok(());
        }
        if message.text && self.text_upto < self.data.len() {
            return Err(Violation::content("a text message that is not UTF-8"));
        }
        self.text_upto = 0;
        self.credit.keep_partial(0);
        let mut data = std::mem::take(&mut self.data);
        let payload = if data.len() < ALONE {
            let payload = self.keep(&data, data.len());
            data.clear();
            if data.capacity() <= CHUNK {
                self.data = data;
            }
            payload
        } else {
            if data.capacity() - data.len() > data.len() / 8 {
                data.shrink_to_fit();
            }
            Bytes::from(data)
        };
        inbox.push(self.checked(payload, message.text));
        Ok(())
    }

    /// Copies a message out of a buffer that holds `expected` more bytes.
    fn keep(&mut self, payload: &[u8], expected: usize) -> Bytes {
        if payload.is_empty() {
            return Bytes::new();
        }
        if payload.len() >= ALONE {
            return Bytes::copy_from_slice(payload);
        }
        if self.chunk.capacity() < payload.len() {
            self.chunk = BytesMut::with_capacity(expected.min(CHUNK).max(payload.len()));
        }
        self.chunk.extend_from_slice(payload);
        self.chunk.split().freeze()
    }

    fn finished(&self, payload: Bytes, text: bool) -> Result<Payload, Violation> {
        if text && std::str::from_utf8(&payload).is_err() {
            return Err(Violation::content("a text message that is not UTF-8"));
        }
        Ok(self.checked(payload, text))
    }

    /// A message; whether a large text is JSON is found out beside the loop.
    fn checked(&self, payload: Bytes, text: bool) -> Payload {
        if !text {
            return Payload::Binary(payload);
        }
        let json = (self.json && payload.len() <= PARSED_WHOLE)
            .then(|| Payload::json_from_slice(payload.clone()))
            .flatten();
        json.unwrap_or(Payload::Text(payload))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::deflate::Agreement;
    use super::super::incoming::IncomingBytes;
    use super::*;
    use crate::core::rules::{Rule, Rules};
    use proptest::prelude::*;

    const ALL: Room = Room {
        messages: usize::MAX,
        bytes: usize::MAX,
    };

    /// A frame as a server writes it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            len @ 0..126 => out.push(len as u8),
            len @ 126..65_536 => {
                out.push(126);
                out.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                out.push(127);
                out.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(payload);
        out
    }

    /// Feeds the reader as a link does: in pieces of these sizes, over and over, keeping what was not taken.
    fn feed(
        reader: &mut Reader,
        input: &[u8],
        sizes: &[usize],
        room: Room,
    ) -> (Inbox, Result<(), Violation>) {
        let mut inbox = Inbox::default();
        let mut kept = Vec::new();
        let mut sizes = sizes.iter().copied().cycle();
        let mut input = input;
        let mut told = Inbox::default();
        while !input.is_empty() {
            let (piece, rest) = input.split_at(sizes.next().unwrap_or(1).clamp(1, input.len()));
            input = rest;
            kept.extend_from_slice(piece);
            loop {
                let taken = match reader.read(&kept, &mut inbox, room) {
                    Ok(taken) => taken,
                    Err(violation) => {
                        told.messages.append(&mut inbox.messages);
                        return (told, Err(violation));
                    }
                };
                kept.drain(..taken);
                let full = inbox.holds(room.messages, room.bytes);
                told.messages.append(&mut inbox.messages);
                (inbox.bytes, inbox.inflated) = (0, 0);
                if !full {
                    break;
                }
            }
            reader.rest();
        }
        told.pongs = inbox.pongs;
        told.pings = inbox.pings;
        told.close = inbox.close;
        (told, Ok(()))
    }

    fn reader(max: usize) -> Reader {
        Reader::new(max, false, None)
    }

    fn read(input: &[u8]) -> (Inbox, Result<(), Violation>) {
        feed(&mut reader(1 << 20), input, &[usize::MAX], ALL)
    }

    fn texts(inbox: &Inbox) -> Vec<&str> {
        inbox
            .messages
            .iter()
            .map(|message| match message {
                Incoming::Message(payload) => payload.as_str().unwrap_or("<binary>"),
                Incoming::TooLarge { .. } => "<too large>",
            })
            .collect()
    }

    #[test]
    fn a_message_that_the_budget_has_no_room_for_is_skipped_and_the_next_is_read() {
        let all = IncomingBytes::default();
        all.set_rules(Arc::new(Rules {
            default: Rule {
                bytes: 1 << 20,
                ..Rule::default()
            },
            ..Rules::default()
        }));
        let origin = "chrome-extension://a/".into();
        let credit = || Credit::counted(&all, &origin);
        let large = frame(0x82, &vec![b'x'; 900 << 10]);
        let mut first = reader(64 << 20).counted_by(credit());
        let half = &large[..600 << 10];
        let (inbox, result) = feed(&mut first, half, &[4096], ALL);
        assert!(result.is_ok() && inbox.messages.is_empty(), "it is not whole");
        let mut second = reader(64 << 20).counted_by(credit());
        let mut input = large.clone();
        input.extend(frame(0x81, b"small"));
        let (inbox, _) = feed(&mut second, &input, &[4096], ALL);
        assert_eq!(
            texts(&inbox),
            ["<too large>", "small"],
            "the first holds the budget"
        );
        // The extension's other links have room again when that one ends.
        drop(first);
        let mut third = reader(64 << 20).counted_by(credit());
        let (inbox, _) = feed(&mut third, &large, &[4096], ALL);
        assert_eq!(texts(&inbox), ["<binary>"]);
    }

    #[test]
    fn control_frames_pass_between_fragments() {
        let mut bytes = frame(0x01, b"Hel");
        bytes.extend(frame(0x89, b"ping"));
        bytes.extend(frame(0x00, b""));
        bytes.extend(frame(0x8a, &7u64.to_be_bytes()));
        bytes.extend(frame(0x8a, b"not ours"));
        bytes.extend(frame(0x8a, b"short"));
        bytes.extend(frame(0x80, b"lo"));
        bytes.extend(frame(0x88, &[0x0f, 0xa1, b'x']));
        bytes.extend(frame(0x81, b"too late"));
        let (inbox, result) = read(&bytes);
        assert_eq!(result, Ok(()));
        assert_eq!(texts(&inbox), ["Hello"]);
        assert_eq!(inbox.pings, [b"ping"]);
        assert_eq!(inbox.pongs, [7, u64::from_be_bytes(*b"not ours")]);
        assert_eq!(inbox.close, Some((4001, "x".to_owned())));
    }

    #[test]
    fn json_is_told_from_text() {
        let mut reader = Reader::new(1000, true, None);
        let mut bytes = frame(0x81, br#"{"a": [1, 2]}"#);
        bytes.extend(frame(0x81, b"{nonsense"));
        bytes.extend(frame(0x82, b"1"));
        let (inbox, _) = feed(&mut reader, &bytes, &[usize::MAX], ALL);
        assert_eq!(
            inbox.messages,
            [
                Payload::Json(Bytes::from_static(br#"{"a": [1, 2]}"#)),
                Payload::Text(Bytes::from_static(b"{nonsense")),
                Payload::Binary(Bytes::from_static(b"1")),
            ]
            .map(Incoming::Message)
        );
    }

    #[test]
    fn what_breaks_the_rules_is_a_violation() {
        let split_char = [frame(0x01, &[0xc3]), frame(0x80, &[0x28])].concat();
        for (bytes, close) in [
            (frame(0x80, b"x"), 1002),
            ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), 1002),
            (frame(0xc1, b"x"), 1002),
            (frame(0x81, &[0xff]), 1007),
            (split_char, 1007),
            (frame(0x88, &[1]), 1002),
        ] {
            let (_, result) = read(&bytes);
            assert_eq!(
                result.map_err(|violation| violation.close),
                Err(close),
                "{bytes:?}"
            );
        }
        let character = [frame(0x01, &[0xc3]), frame(0x80, &[0xa4])].concat();
        assert_eq!(texts(&read(&character).0), ["ä"]);
    }

    #[test]
    fn a_message_too_large_is_skipped_in_its_place_and_reading_goes_on() {
        for large in [
            frame(0x82, &[0; 101]),
            frame(0x82, &[0; 70_000]),
            [frame(0x02, &[0; 60]), frame(0x80, &[0; 41])].concat(),
            [
                frame(0x01, &[0; 99]),
                frame(0x89, b"between"),
                frame(0x00, &[0; 9000]),
                frame(0x80, b""),
            ]
            .concat(),
        ] {
            let bytes: u64 = match large.len() {
                103 => 101,
                ..200 => 101,
                70_010 => 70_000,
                _ => 9099,
            };
            let input = [frame(0x81, b"before"), large, frame(0x81, b"behind")].concat();
            for size in [1, 7, 4096, usize::MAX] {
                let mut reader = reader(100);
                let (inbox, result) = feed(&mut reader, &input, &[size], ALL);
                assert_eq!(result, Ok(()));
                assert_eq!(texts(&inbox), ["before", "<too large>", "behind"]);
                assert_eq!(inbox.messages[1], Incoming::TooLarge { bytes: Some(bytes) });
                assert!(
                    reader.data.capacity() <= 100,
                    "{} bytes are held",
                    reader.data.capacity()
                );
            }
        }
        let (inbox, result) = feed(&mut reader(100), &frame(0x82, &[0; 100]), &[7], ALL);
        assert_eq!((inbox.messages.len(), result), (1, Ok(())));
    }

    #[test]
    fn nothing_is_held_of_a_message_that_never_ends() {
        let mut reader = reader(100);
        let mut inbox = Inbox::default();
        let head = [0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(reader.read(&head, &mut inbox, ALL), Ok(head.len()));
        for _ in 0..100 {
            assert_eq!(reader.read(&[1; 65_536], &mut inbox, ALL), Ok(65_536));
        }
        assert_eq!((inbox.messages.len(), reader.data.capacity()), (0, 0));
    }

    #[test]
    fn a_compressed_bomb_is_skipped_and_what_follows_is_understood() {
        for (answer, keeps_window) in [
            ("permessage-deflate", true),
            ("permessage-deflate; server_no_context_takeover", false),
        ] {
            let mut state = flate2::Compress::new(flate2::Compression::best(), false);
            let mut input = Vec::new();
            for content in [
                b"one and two".to_vec(),
                vec![b'a'; 5_000_000],
                b"one and two, aaaa".to_vec(),
            ] {
                let mut wire = Vec::with_capacity(1 << 20);
                state
                    .compress_vec(&content, &mut wire, flate2::FlushCompress::Sync)
                    .unwrap();
                wire.truncate(wire.len() - 4);
                let (head, tail) = wire.split_at(wire.len() / 2);
                input.extend([frame(0x41, head), frame(0x80, tail)].concat());
                if !keeps_window {
                    state.reset();
                }
            }
            for size in [1, 1000, usize::MAX] {
                let agreement = Agreement::read(answer).unwrap().unwrap();
                let mut reader = Reader::new(1000, false, Some(Inflater::new(agreement)));
                let (inbox, result) = feed(&mut reader, &input, &[size], ALL);
                assert_eq!(result, Ok(()), "{answer}");
                assert_eq!(texts(&inbox), ["one and two", "<too large>", "one and two, aaaa"]);
                assert!(reader.data.capacity() <= 64 * 1024, "{}", reader.data.capacity());
            }
        }
    }

    #[test]
    fn kept_messages_do_not_keep_the_read_buffer() {
        let small = frame(0x82, &[1; 100]);
        let (inbox, _) = read(&small);
        let Some(Incoming::Message(Payload::Binary(bytes))) = inbox.messages.into_iter().next() else {
            panic!("no message")
        };
        assert!(bytes.try_into_mut().is_ok_and(|bytes| bytes.capacity() <= 128));
    }

    proptest! {
        /// However the bytes arrive, and however little room there is, the messages are the same.
        #[test]
        fn any_split_gives_the_same_messages(
            messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..6000), 1..4usize, any::<bool>()), 1..8),
            sizes in prop::collection::vec(1..5000usize, 1..6),
            room in (1..4usize, 1..10_000usize),
        ) {
            let mut state = flate2::Compress::new(flate2::Compression::fast(), false);
            let mut bytes = Vec::new();
            for (content, fragments, compress) in &messages {
                let mut wire = content.clone();
                if *compress {
                    wire = Vec::with_capacity(content.len() * 2 + 100);
                    state.compress_vec(content, &mut wire, flate2::FlushCompress::Sync).unwrap();
                    // An empty message behind an empty one flushes nothing; RFC 7692 (7.2.3.6) writes it so.
                    wire = if wire.is_empty() { vec![0] } else { wire };
                    wire.truncate(wire.len().saturating_sub(4).max(1));
                }
                let step = wire.len() / fragments + 1;
                let count = wire.chunks(step).count().max(1);
                for index in 0..count {
                    let piece = wire.get(index * step..).unwrap_or_default();
                    let piece = &piece[..piece.len().min(step)];
                    let opcode = if index == 0 { 2 | if *compress { 0x40 } else { 0 } } else { 0 };
                    let fin = if index + 1 == count { 0x80 } else { 0 };
                    bytes.extend(frame(opcode | fin, piece));
                    bytes.extend(frame(0x89, b"between"));
                }
            }
            let agreement = Agreement::read("permessage-deflate").unwrap().unwrap();
            let mut reader = Reader::new(1 << 20, false, Some(Inflater::new(agreement)));
            let room = Room { messages: room.0, bytes: room.1 };
            let (inbox, result) = feed(&mut reader, &bytes, &sizes, room);
            prop_assert_eq!(result, Ok(()));
            let expected: Vec<_> = messages
                .into_iter()
                .map(|(content, ..)| Incoming::Message(Payload::Binary(Bytes::from(content))))
                .collect();
            prop_assert_eq!(inbox.messages, expected);
        }

        /// No input makes it panic, loop or take more than it was given.
        #[test]
        fn any_rubbish_is_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), sizes in prop::collection::vec(1..50usize, 1..4)) {
            let agreement = Agreement::read("permessage-deflate").unwrap().unwrap();
            let mut reader = Reader::new(1000, true, Some(Inflater::new(agreement)));
            let _ = feed(&mut reader, &bytes, &sizes, ALL);
        }
    }
}
