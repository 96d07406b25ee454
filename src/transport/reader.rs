//! From bytes to messages: decodes frames, joins fragments, checks text, inflates compressed messages.
//!
//! It reads no socket. It keeps no read buffer: whole messages are copied out of the caller's, once.

use bytes::{Bytes, BytesMut};

use super::credit::Credit;
use super::deflate::{Corrupt, InflateOutput, Inflater};
use super::frame::{Header, Opcode, Violation};
use super::inbox::{Inbox, InboxLimit};
use super::large_buffer;
use crate::core::io::Incoming;
use crate::wire::payload::Payload;
use crate::wire::rule::PARSED_WHOLE;

/// Small messages read together share one allocation of at most this many bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// Messages from this size on have an allocation of their own, so that keeping one keeps no neighbours.
const MIN_OWN_ALLOCATION_BYTES: usize = 4 * 1024;

/// A frame up to this size waits in the caller's buffer until it is complete.
const MAX_WAITING_FRAME_BYTES: u64 = 2 * 1024;

/// Bytes of a compressed frame that are inflated at once: they may become a thousand times as many.
const INFLATE_STEP_BYTES: usize = 512;

/// What reading a frame's header costs beside the frame's bytes, in bytes. A message that is one frame counts by itself.
const FRAME_WORK_BYTES: usize = 256;

/// Text is checked as it comes, in pieces of at least so many bytes.
const UTF8_CHECK_BYTES: usize = 64 * 1024;

/// The reading half of a link.
#[derive(Debug)]
pub(crate) struct FrameReader {
    max_message: usize,
    /// Valid JSON text becomes `Payload::Json`.
    json: bool,
    inflater: Option<Box<Inflater>>,
    /// The data frame whose payload is being read: is it the last of its message, and what is left of it.
    frame: Option<(bool, u64)>,
    /// The message being put together.
    message: Option<PartialMessage>,
    /// What has come of it.
    data: Vec<u8>,
    /// Bytes of it that are known to be text.
    text_upto: usize,
    /// What it may hold.
    credit: Credit,
    /// What small messages are copied into.
    chunk: BytesMut,
}

#[derive(Debug, Clone, Copy)]
struct PartialMessage {
    text: bool,
    compressed: bool,
    /// It exceeds the limit: what comes of it is thrown away.
    is_skipped: bool,
    /// Bytes of all its frames up to now, as their headers say.
    announced: u64,
}

impl FrameReader {
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

    /// The bytes of incomplete messages count against this credit.
    pub(crate) fn counted_by(mut self, credit: Credit) -> Self {
        self.credit = credit;
        self
    }

    /// Takes what it can use of `input` and returns how many bytes that was; the caller offers the rest again, together
    /// with what has come since. It stops when the inbox holds as much as `limit` allows.
    ///
    /// # Errors
    /// The server broke the protocol; messages before that are in the inbox.
    pub(crate) fn read(
        &mut self,
        input: &[u8],
        inbox: &mut Inbox,
        limit: InboxLimit,
    ) -> Result<usize, Violation> {
        let mut at = 0;
        loop {
            if inbox.close.is_some() {
                return Ok(input.len());
            }
            if inbox.holds(limit.messages, limit.bytes) {
                return Ok(at);
            }
            let rest = &input[at..];
            let taken = match self.frame {
                Some(frame) => Some(self.read_payload(frame, rest, inbox)?),
                None => self.read_header(rest, inbox)?,
            };
            match taken {
                Some(taken) => at += taken,
                None => return Ok(at),
            }
            if at == input.len() && self.frame.is_some_and(|(_, left)| left > 0) {
                return Ok(at);
            }
        }
    }

    /// Reads on in a data frame of which `left` bytes are missing; how many bytes that took.
    fn read_payload(
        &mut self,
        (fin, left): (bool, u64),
        input: &[u8],
        inbox: &mut Inbox,
    ) -> Result<usize, Violation> {
        let mut take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        if self.message.is_some_and(|message| message.compressed) {
            take = take.min(INFLATE_STEP_BYTES);
        }
        let promised = if fin { left } else { u64::MAX };
        self.extend(&input[..take], promised, inbox)?;
        let left = left - take as u64;
        self.frame = (left > 0).then_some((fin, left));
        if fin && left == 0 {
            self.complete(inbox)?;
        }
        Ok(take)
    }

    /// Reads the header of a frame, and the whole frame if it is there; how many bytes that took, or nothing as long
    /// as more of it has to come.
    fn read_header(&mut self, input: &[u8], inbox: &mut Inbox) -> Result<Option<usize>, Violation> {
        let Some(header) = Header::parse(input)? else {
            return Ok(None);
        };
        let body = &input[header.size..];
        let whole = usize::try_from(header.len).ok().and_then(|len| body.get(..len));
        if header.opcode.is_control() {
            // A frame that is not whole yet is no work: a caller with a small limit would read it again for ever.
            let Some(payload) = whole else { return Ok(None) };
            inbox.work += FRAME_WORK_BYTES;
            inbox.push_control(header.opcode, payload)?;
            return Ok(Some(header.size + payload.len()));
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
                let taken = header.size + payload.len();
                let text = header.opcode == Opcode::Text;
                let payload = self.copy_payload(payload, input.len());
                inbox.push(self.finished(payload, text)?);
                Ok(Some(taken))
            }
            None if header.len <= MAX_WAITING_FRAME_BYTES => Ok(None),
            _ => {
                inbox.work += FRAME_WORK_BYTES;
                self.announce(&header);
                self.frame = Some((header.fin, header.len));
                Ok(Some(header.size))
            }
        }
    }

    /// Gives back what is only needed while messages flow.
    pub(crate) fn release_buffers(&mut self) {
        self.chunk = BytesMut::new();
        if self.message.is_none() {
            self.data = Vec::new();
            if let Some(inflater) = &mut self.inflater {
                inflater.release_buffers();
            }
        }
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
        let message = self.message.get_or_insert(PartialMessage {
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
        large_buffer::discard(std::mem::take(&mut self.data));
        self.text_upto = 0;
        self.credit.keep_partial(0);
    }

    /// Adds a piece of the message under way, which ends within `promised` bytes, this piece included.
    fn extend(&mut self, piece: &[u8], promised: u64, inbox: &mut Inbox) -> Result<(), Violation> {
        if self.message.is_some_and(|message| message.compressed) {
            return self.inflate(inbox, |inflater, output| inflater.push(piece, output));
        }
        if self.message.is_some_and(|message| message.is_skipped) {
            return Ok(());
        }
        let free = self.data.capacity() - self.data.len();
        if free < piece.len() {
            // Doubling, but never past the message's end; and not all at once, for the length is only a promise.
            let promised = usize::try_from(promised).unwrap_or(usize::MAX);
            let least = if promised == usize::MAX { 512 } else { 64 * 1024 };
            let limit = self.max_message.saturating_sub(self.data.len()).max(piece.len());
            let more = self
                .data
                .len()
                .max(least)
                .max(piece.len())
                .min(promised)
                .min(limit);
            let all = self.data.capacity() + more;
            if !self.credit.keep_partial(all) || self.data.try_reserve_exact(more).is_err() {
                self.skip();
                return Ok(());
            }
        }
        self.data.extend_from_slice(piece);
        self.check_text(UTF8_CHECK_BYTES)
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
        inbox: &mut Inbox,
        step: impl FnOnce(&mut Inflater, &mut InflateOutput<'_>) -> Result<(), Corrupt>,
    ) -> Result<(), Violation> {
        let (Some(inflater), Some(message)) = (&mut self.inflater, &mut self.message) else {
            return Err(Violation::protocol(
                "a compressed frame without negotiated compression",
            ));
        };
        let mut output = InflateOutput {
            data: &mut self.data,
            limit: self.max_message,
            is_skipped: &mut message.is_skipped,
            credit: &self.credit,
            inflated: &mut inbox.work,
        };
        step(inflater, &mut output)
            .map_err(|Corrupt| Violation::content("a compressed message that cannot be inflated"))?;
        if message.is_skipped {
            self.text_upto = 0;
            return Ok(());
        }
        self.check_text(UTF8_CHECK_BYTES)
    }

    /// The last frame of the message under way has been read.
    fn complete(&mut self, inbox: &mut Inbox) -> Result<(), Violation> {
        if self.message.is_some_and(|message| message.compressed) {
            self.inflate(inbox, Inflater::finish)?;
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
        let payload = if data.len() < MIN_OWN_ALLOCATION_BYTES {
            let payload = self.copy_payload(&data, data.len());
            data.clear();
            if data.capacity() <= CHUNK_BYTES {
                self.data = data;
            }
            payload
        } else {
            if data.capacity() - data.len() > data.len() / 8 {
                data.shrink_to_fit();
            }
            large_buffer::freeze(data)
        };
        inbox.push(self.checked(payload, message.text));
        Ok(())
    }

    /// Copies a message out of a buffer that holds `expected` more bytes.
    fn copy_payload(&mut self, payload: &[u8], expected: usize) -> Bytes {
        if payload.is_empty() {
            return Bytes::new();
        }
        if payload.len() >= MIN_OWN_ALLOCATION_BYTES {
            return Bytes::copy_from_slice(payload);
        }
        if self.chunk.capacity() < payload.len() {
            self.chunk = BytesMut::with_capacity(expected.min(CHUNK_BYTES).max(payload.len()));
        }
        self.chunk.extend_from_slice(payload);
        self.chunk.split().freeze()
    }

    fn finished(&self, payload: Bytes, text: bool) -> Result<Payload, Violation> {
        let payload = self.checked(payload, text);
        // JSON has been checked already.
        if let Payload::Text(text) = &payload
            && std::str::from_utf8(text).is_err()
        {
            return Err(Violation::content("a text message that is not UTF-8"));
        }
        Ok(payload)
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
mod tests;
