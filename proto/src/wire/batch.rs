//! Several frames in one: packs the frames for a port, unpacks those from it.
//!
//! It never waits for more to pack; when to flush is the caller's decision.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::code::Code;
use super::frame::{HEADER, TO_BROWSER, header};
use super::long_frame::LongFrame;
use super::message::{BrokerFrame, MessageRun};
use super::object::read_object;
use super::part::{Part, split};
use super::payload::{Payload, as_text};
use super::record::{ErrorInfo, json_error_text, utf8};

/// Bytes of a batch beyond which a new one is begun.
pub const BATCH: usize = 256 << 10;

/// Frames that may come in one batch: each may be answered by an error, so their number is bounded.
pub(crate) const MAX_ELEMENTS: usize = 65_536;

/// What a frame takes beside the content it carries, about.
const ENVELOPE_BYTES: usize = 256;

/// Room for one frame that is kept between uses.
const MAX_IDLE_BUFFER_BYTES: usize = 1 << 20;

const OPENING: &[u8] = br#"{"type":"batch","frames":["#;
const CLOSING: &[u8] = b"]}";

/// Packs frames for one port into native frames: one alone goes naked, several as a batch, a big one in parts; plain
/// messages in a row as `messages`, if the port has said that it accepts them.
#[derive(Debug, Default)]
pub struct Packer {
    /// Finished native frames, then the one being packed.
    out: Vec<u8>,
    /// Where the one being packed begins.
    start: usize,
    /// Frames in it.
    count: usize,
    /// Frames sent in parts so far; names them.
    parts: u64,
    /// The port takes `messages`.
    takes_runs: bool,
    /// The run of messages at the end of what is packed; it lacks its tail.
    run: Option<MessageRun>,
    /// A frame too large for the pipe, and what waits behind it.
    waiting: VecDeque<WaitingFrame>,
    /// Bytes of it.
    held: usize,
}

/// What is packed when what comes before it has been taken.
#[derive(Debug)]
enum WaitingFrame {
    Long(Box<LongFrame>),
    Frame(BrokerFrame),
}

impl WaitingFrame {
    /// About how many bytes it takes.
    fn held(&self) -> usize {
        match self {
            Self::Long(long) => long.held(),
            Self::Frame(frame) => ENVELOPE_BYTES + frame.payload().map_or(0, Payload::len),
        }
    }
}

impl Packer {
    /// Whether the port takes `messages`, from here on.
    pub fn take_runs(&mut self, yes: bool) {
        self.end_run();
        self.takes_runs = yes;
    }

    /// Adds one frame, using `scratch` to write it.
    pub fn add(&mut self, frame: &BrokerFrame, scratch: &mut Vec<u8>) {
        let long = LongFrame::of(frame).map(|long| WaitingFrame::Long(Box::new(long)));
        if self.waiting.is_empty() && long.is_none() {
            return self.pack(frame, scratch);
        }
        let waiting = long.unwrap_or_else(|| WaitingFrame::Frame(frame.clone()));
        self.held += waiting.held();
        self.waiting.push_back(waiting);
    }

    fn pack(&mut self, frame: &BrokerFrame, scratch: &mut Vec<u8>) {
        scratch.clear();
        if self.takes_runs
            && let Some((run, payload)) = MessageRun::begun_by(frame)
        {
            self.add_message(run, payload, scratch);
        } else {
            frame.encode(scratch);
            self.add_encoded(scratch);
        }
        if scratch.capacity() > MAX_IDLE_BUFFER_BYTES {
            *scratch = Vec::new();
        }
    }

    fn add_message(&mut self, run: MessageRun, payload: &Payload, scratch: &mut Vec<u8>) {
        MessageRun::write(payload, scratch);
        let goes_on = self.has_room(scratch.len()) && self.run.as_mut().is_some_and(|now| now.absorb(&run));
        if goes_on {
            self.out.push(b',');
        } else {
            self.begin_frame(MessageRun::MAX_HEAD_BYTES + scratch.len());
            run.write_head(&mut self.out);
            self.run = Some(run);
        }
        self.out.extend_from_slice(scratch);
    }

    /// Adds one frame's JSON.
    fn add_encoded(&mut self, json: &[u8]) {
        if json.len() > TO_BROWSER {
            self.close();
            split(&as_text(json), self.parts, &mut self.out);
            self.parts += 1;
            self.start = self.out.len();
            return;
        }
        self.begin_frame(json.len());
        self.out.extend_from_slice(json);
    }

    /// Makes ready for one more frame of at most `size` bytes.
    fn begin_frame(&mut self, size: usize) {
        self.end_run();
        if self.count > 0 && !self.has_room(size) {
            self.close();
        }
        if self.count == 0 {
            self.start = self.out.len();
            self.out.extend_from_slice(&[0; HEADER]);
            self.out.extend_from_slice(OPENING);
        } else {
            self.out.push(b',');
        }
        self.count += 1;
    }

    /// Whether so many bytes more, and what ends them, stay within a batch.
    fn has_room(&self, size: usize) -> bool {
        self.out.len() - self.start + size + 1 + MessageRun::TAIL.len() + CLOSING.len() <= BATCH
    }

    fn end_run(&mut self) {
        if self.run.take().is_some() {
            self.out.extend_from_slice(MessageRun::TAIL);
        }
    }

    /// Adds the empty frame that makes the host exit. What waits to be packed is not.
    pub fn add_end(&mut self) {
        self.close();
        self.out.extend_from_slice(&[0; HEADER]);
        self.start = self.out.len();
    }

    /// Bytes that have not been taken; of what is not packed yet, about.
    pub const fn len(&self) -> usize {
        self.out.len() + self.held
    }

    /// Whether everything has been taken.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty() && self.waiting.is_empty()
    }

    /// What is packed, as bytes for the pipe; what waits behind it comes with the next calls.
    pub fn take(&mut self) -> Vec<u8> {
        if self.out.is_empty() {
            self.pack_waiting();
        }
        self.close();
        self.start = 0;
        std::mem::take(&mut self.out)
    }

    /// Packs a part of a long frame, or what waits up to the next.
    fn pack_waiting(&mut self) {
        let mut scratch = Vec::new();
        while self.out.len() < BATCH {
            match self.waiting.pop_front() {
                None => return,
                Some(WaitingFrame::Frame(frame)) => {
                    self.held = self
                        .held
                        .saturating_sub(ENVELOPE_BYTES + frame.payload().map_or(0, Payload::len));
                    self.pack(&frame, &mut scratch);
                }
                Some(WaitingFrame::Long(mut long)) => {
                    self.close();
                    let before = long.held();
                    let is_last = long.write(self.parts, &mut self.out);
                    self.start = self.out.len();
                    if is_last {
                        self.held = self.held.saturating_sub(before);
                        self.parts += 1;
                    } else {
                        self.held = self.held.saturating_sub(before.saturating_sub(long.held()));
                        self.waiting.push_front(WaitingFrame::Long(long));
                    }
                }
            }
        }
    }

    fn close(&mut self) {
        self.end_run();
        match std::mem::take(&mut self.count) {
            0 => return,
            1 => drop(
                self.out
                    .drain(self.start + HEADER..self.start + HEADER + OPENING.len()),
            ),
            _ => self.out.extend_from_slice(CLOSING),
        }
        let prefix = header(self.out.len() - self.start - HEADER).unwrap_or_default();
        self.out[self.start..self.start + HEADER].copy_from_slice(&prefix);
        self.start = self.out.len();
    }
}

/// What kind of frame came.
#[derive(Debug)]
pub enum Shape<'a> {
    /// One frame of the protocol.
    Single,
    /// Several, in order.
    Batch(Vec<&'a RawValue>),
    /// A piece of one.
    Part(Part<'a>),
}

impl<'a> Shape<'a> {
    /// Tells a batch and a part from other frames, which are not looked into.
    ///
    /// # Errors
    /// `bad-json` or `bad-frame` for a batch or part that is malformed or not UTF-8.
    pub fn of(json: &'a [u8]) -> Result<Self, ErrorInfo> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            #[serde(rename = "type", borrow)]
            kind: Option<Cow<'a, str>>,
        }
        #[derive(Deserialize)]
        struct Batch<'a> {
            #[serde(borrow)]
            frames: BatchElements<'a>,
        }
        let kind = match written_first(json) {
            Some(kind) => Cow::Borrowed(kind),
            // Malformed or not an object: whoever reads the frame itself says so.
            None => match serde_json::from_slice::<Kind<'_>>(json) {
                Ok(Kind { kind: Some(kind) }) if !json.trim_ascii_start().starts_with(b"[") => kind,
                Ok(_) | Err(_) => return Ok(Self::Single),
            },
        };
        if !matches!(&*kind, "batch" | "part") {
            return Ok(Self::Single);
        }
        let text = utf8(json)?;
        if kind == "part" {
            return serde_json::from_str(text)
                .map(Self::Part)
                .map_err(|error| malformed::<Part<'_>>("part", text, &error));
        }
        serde_json::from_str::<Batch<'_>>(text)
            .map(|batch| Self::Batch(batch.frames.0))
            .map_err(|error| malformed::<Batch<'_>>("batch", text, &error))
    }
}

/// The `type` of a frame in the usual form: compact, `type` first.
fn written_first(json: &[u8]) -> Option<&str> {
    let rest = json.strip_prefix(br#"{"type":""#)?;
    let end = rest.iter().take(32).position(|byte| *byte == b'"')?;
    let word = std::str::from_utf8(&rest[..end]).ok()?;
    (!word.contains('\\')).then_some(word)
}

/// What is wrong with a frame of type `F`. It is read again for the name of the field.
fn malformed<'a, F: Deserialize<'a>>(kind: &str, json: &'a str, error: &serde_json::Error) -> ErrorInfo {
    let (code, named) = match error.classify() {
        Category::Data => (Code::BadFrame, read_object::<F>(json).err()),
        _ => (Code::BadJson, None),
    };
    let why = named.unwrap_or_else(|| json_error_text(error));
    ErrorInfo::new(code, format!("malformed `{kind}`: {why}"))
}

/// The frames of a batch, their number bounded while they are read.
struct BatchElements<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for BatchElements<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of frames")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let mut frames = Vec::new();
                while let Some(frame) = elements.next_element()? {
                    if frames.len() == MAX_ELEMENTS {
                        let why = format!("a batch holds at most {MAX_ELEMENTS} frames");
                        return Err(serde::de::Error::custom(why));
                    }
                    frames.push(frame);
                }
                Ok(frames)
            }
        }
        deserializer.deserialize_seq(Bounded).map(BatchElements)
    }
}

#[cfg(test)]
mod tests;
