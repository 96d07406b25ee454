//! Several frames in one: packs what is ready for a port, tells apart what comes from it.
//!
//! It never waits for more to pack; when to flush is the caller's decision.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::code::Code;
use super::frame::{HEADER, TO_BROWSER, header};
use super::long_frame::LongFrame;
use super::message::{BrokerFrame, Run};
use super::part::{Part, split};
use super::payload::{Payload, as_text};
use super::record::{ErrorInfo, in_json_words};

/// Bytes of a batch beyond which a new one is begun.
pub const BATCH: usize = 256 << 10;

/// Frames that may come in one batch: each may be answered by an error, so their number is bounded.
pub const ELEMENTS: usize = 65_536;

/// What a frame takes beside the content it carries, about.
const ENVELOPE_BYTES: usize = 256;

/// Room for one frame that is kept between uses.
const MAX_KEPT_BYTES: usize = 1 << 20;

const OPENING: &[u8] = br#"{"type":"batch","frames":["#;
const CLOSING: &[u8] = b"]}";

/// Packs frames for one port into native frames: one alone goes naked, several as a batch, a big one in parts; plain
/// messages in a row as `messages`, if the port has said that it takes them.
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
    run: Option<Run>,
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
            && let Some((run, payload)) = Run::begun_by(frame)
        {
            self.add_message(run, payload, scratch);
        } else {
            frame.encode(scratch);
            self.add_encoded(scratch);
        }
        if scratch.capacity() > MAX_KEPT_BYTES {
            *scratch = Vec::new();
        }
    }

    fn add_message(&mut self, run: Run, payload: &Payload, scratch: &mut Vec<u8>) {
        Run::write(payload, scratch);
        let goes_on = self.has_room(scratch.len()) && self.run.as_mut().is_some_and(|now| now.absorb(&run));
        if goes_on {
            self.out.push(b',');
        } else {
            self.begin_frame(Run::HEAD + scratch.len());
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
        self.out.len() - self.start + size + 1 + Run::TAIL.len() + CLOSING.len() <= BATCH
    }

    fn end_run(&mut self) {
        if self.run.take().is_some() {
            self.out.extend_from_slice(Run::TAIL);
        }
    }

    /// Adds the empty frame that tells the host to end. What waits to be packed is not.
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
    /// `bad-json` or `bad-frame` for a batch or part that is malformed.
    pub fn of(json: &'a [u8]) -> Result<Self, ErrorInfo> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            #[serde(rename = "type", borrow)]
            kind: Option<Cow<'a, str>>,
        }
        #[derive(Deserialize)]
        struct Batch<'a> {
            #[serde(borrow)]
            frames: Elements<'a>,
        }
        let kind = match written_first(json) {
            Some(kind) => Cow::Borrowed(kind),
            // Malformed or not an object: whoever reads the frame itself says so.
            None => match serde_json::from_slice::<Kind<'_>>(json) {
                Ok(Kind { kind: Some(kind) }) => kind,
                Ok(Kind { kind: None }) | Err(_) => return Ok(Self::Single),
            },
        };
        match &*kind {
            "batch" => serde_json::from_slice::<Batch<'_>>(json)
                .map(|batch| Self::Batch(batch.frames.0))
                .map_err(|error| malformed("batch", &error)),
            "part" => serde_json::from_slice(json)
                .map(Self::Part)
                .map_err(|error| malformed("part", &error)),
            _ => Ok(Self::Single),
        }
    }
}

/// The `type` of a frame that is written as the protocol says: compactly, `type` first.
fn written_first(json: &[u8]) -> Option<&str> {
    let rest = json.strip_prefix(br#"{"type":""#)?;
    let end = rest.iter().take(32).position(|byte| *byte == b'"')?;
    let word = std::str::from_utf8(&rest[..end]).ok()?;
    (!word.contains('\\')).then_some(word)
}

fn malformed(kind: &str, error: &serde_json::Error) -> ErrorInfo {
    let code = match error.classify() {
        serde_json::error::Category::Data => Code::BadFrame,
        _ => Code::BadJson,
    };
    ErrorInfo::new(code, format!("malformed `{kind}`: {}", in_json_words(error)))
}

/// The frames of a batch, their number bounded while they are read.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
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
                    if frames.len() == ELEMENTS {
                        let why = format!("a batch holds at most {ELEMENTS} frames");
                        return Err(serde::de::Error::custom(why));
                    }
                    frames.push(frame);
                }
                Ok(frames)
            }
        }
        deserializer.deserialize_seq(Bounded).map(Elements)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::wire::frame::{Frames, Taken};
    use crate::wire::part::Joiner;
    use crate::wire::record::{Body, Record};

    fn natives(bytes: &[u8]) -> Vec<String> {
        let mut frames = Frames::new(TO_BROWSER);
        frames.push(bytes);
        let mut texts = Vec::new();
        while let Some(taken) = frames.take() {
            let Taken::Frame(frame) = taken else {
                panic!("above the browser's limit")
            };
            texts.push(String::from_utf8(frame.to_vec()).unwrap());
        }
        assert!(!frames.is_torn());
        texts
    }

    #[test]
    fn one_goes_naked_and_several_in_a_batch() {
        let mut packer = Packer::default();
        packer.add_encoded(br#"{"type":"pong","id":"1"}"#);
        assert_eq!(natives(&packer.take()), [r#"{"type":"pong","id":"1"}"#]);
        packer.add_encoded(br#"{"a":1}"#);
        packer.add_encoded(br#"{"b":2}"#);
        assert_eq!(
            natives(&packer.take()),
            [r#"{"type":"batch","frames":[{"a":1},{"b":2}]}"#]
        );
        assert!(packer.take().is_empty());
    }

    #[test]
    fn a_batch_ends_before_it_grows_too_large() {
        let mut packer = Packer::default();
        let big = format!("[{}]", "1".repeat(BATCH / 2));
        for _ in 0..3 {
            packer.add_encoded(big.as_bytes());
        }
        packer.add_encoded(b"{}");
        packer.add_end();
        let texts = natives(&packer.take());
        assert_eq!(texts.len(), 4, "one, one, two together, and the end");
        assert!(texts.iter().all(|text| text.len() <= BATCH));
        assert_eq!(texts[0], big);
        assert!(texts[2].starts_with(r#"{"type":"batch""#) && texts[2].ends_with(",{}]}"));
        assert_eq!(texts[3], "");
    }

    #[test]
    fn a_frame_at_the_limit_goes_whole_and_one_byte_more_in_parts() {
        let mut packer = Packer::default();
        packer.add_encoded(b"1");
        let whole = "2".repeat(TO_BROWSER);
        packer.add_encoded(whole.as_bytes());
        let parted = format!("\"{}", "3".repeat(TO_BROWSER));
        packer.add_encoded(parted.as_bytes());
        packer.add_encoded(b"4");
        let texts = natives(&packer.take());
        assert_eq!((texts[0].as_str(), texts[1] == whole), ("1", true));
        assert_eq!(texts.last().unwrap(), "4");
        let mut joiner = Joiner::default();
        let joined: Vec<_> = texts[2..texts.len() - 1]
            .iter()
            .filter_map(|text| joiner.join(&serde_json::from_str(text).unwrap()).unwrap())
            .collect();
        assert!(joined == [parted]);
    }

    /// What is alike in a run: session, time, whether it comes again, whether it is JSON.
    type Kind = (&'static str, u64, bool, bool);

    const KIND: Kind = ("s", 7, false, false);

    fn message(seq: u64, (session, time, redelivered, is_json): Kind, text: &str) -> BrokerFrame {
        let payload = if is_json {
            Payload::Json(Bytes::from(serde_json::to_vec(&[text]).unwrap()))
        } else {
            Payload::text(text)
        };
        BrokerFrame::Record {
            session: session.into(),
            record: Record {
                seq,
                body: Body::Message { payload, time },
            },
            redelivered,
        }
    }

    fn packed(takes_runs: bool, frames: &[BrokerFrame]) -> Vec<String> {
        let mut packer = Packer::default();
        packer.take_runs(takes_runs);
        let mut scratch = Vec::new();
        for frame in frames {
            packer.add(frame, &mut scratch);
        }
        natives(&packer.take())
    }

    /// The frames that were packed, batches and runs taken apart.
    fn unpacked(natives: &[String]) -> Vec<Value> {
        let mut frames = Vec::new();
        let mut joiner = Joiner::default();
        for native in natives {
            let native = match Shape::of(native.as_bytes()).unwrap() {
                Shape::Part(part) => joiner.join(&part).unwrap(),
                _ => Some(native.clone()),
            };
            let mut value: Value = match native {
                Some(native) => serde_json::from_str(&native).unwrap(),
                None => continue,
            };
            let all = match value.get_mut("frames").map(Value::take) {
                Some(Value::Array(frames)) => frames,
                _ => vec![value],
            };
            frames.extend(all.iter().flat_map(unrolled));
        }
        frames
    }

    fn unrolled(frame: &Value) -> Vec<Value> {
        if frame["type"] != "messages" {
            return vec![frame.clone()];
        }
        let form = if frame.get("text").is_some() {
            "text"
        } else {
            "json"
        };
        let contents = frame[form].as_array().unwrap().iter();
        let single = |(index, content): (usize, &Value)| {
            let mut single = frame.clone();
            single["type"] = "message".into();
            single["seq"] = (frame["seq"].as_u64().unwrap() + index as u64).into();
            single[form] = content.clone();
            single
        };
        contents.enumerate().map(single).collect()
    }

    #[test]
    fn messages_in_a_row_stand_in_one_frame_for_a_port_that_takes_it() {
        let frames = [
            message(5, KIND, "a\""),
            message(6, KIND, "b"),
            message(7, KIND, "c"),
        ];
        assert_eq!(
            packed(true, &frames),
            [r#"{"type":"messages","session":"s","seq":5,"time":7,"text":["a\"","b","c"]}"#]
        );
        let asked = packed(false, &frames);
        assert!(asked[0].starts_with(r#"{"type":"batch","frames":[{"type":"message","#));
        let again = message(5, ("s", 7, true, true), "a");
        assert_eq!(
            packed(true, &[again]),
            [r#"{"type":"messages","session":"s","seq":5,"time":7,"redelivered":true,"json":[["a"]]}"#]
        );
    }

    #[test]
    fn what_is_not_alike_or_does_not_follow_stands_apart() {
        for (seq, kind) in [
            (7, KIND),
            (5, KIND),
            (6, ("other", 7, false, false)),
            (6, ("s", 8, false, false)),
            (6, ("s", 7, true, false)),
            (6, ("s", 7, false, true)),
        ] {
            let natives = packed(true, &[message(5, KIND, "a"), message(seq, kind, "b")]);
            let batch: Value = serde_json::from_str(&natives[0]).unwrap();
            assert_eq!(batch["frames"].as_array().map(Vec::len), Some(2), "{natives:?}");
        }
        let pong = BrokerFrame::Pong { id: "p".into() };
        let natives = packed(true, &[message(5, KIND, "a"), pong, message(6, KIND, "b")]);
        let batch: Value = serde_json::from_str(&natives[0]).unwrap();
        let kinds: Vec<_> = batch["frames"]
            .as_array()
            .unwrap()
            .iter()
            .map(|frame| &frame["type"])
            .collect();
        assert_eq!(json!(kinds), json!(["messages", "pong", "messages"]));
    }

    #[test]
    fn a_run_stays_within_a_batch_and_what_is_large_travels_alone() {
        let text = "\u{1}".repeat(10_000);
        let frames: Vec<_> = (1..=12).map(|seq| message(seq, KIND, &text)).collect();
        let natives = packed(true, &frames);
        assert!(natives.len() > 1 && natives.iter().all(|native| native.len() <= BATCH));
        assert_eq!(unpacked(&natives).len(), 12);
        let natives = packed(
            true,
            &[message(1, KIND, &"x".repeat(20_000)), message(2, KIND, "y")],
        );
        assert!(natives[0].starts_with(r#"{"type":"batch","frames":[{"type":"message","#));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whoever_takes_runs_hears_what_others_hear(
            steps in prop::collection::vec((0..3u64, 0..3usize, 0..3u64, any::<bool>(), any::<bool>(), prop_oneof![99 => 0..4usize, 1 => Just(4)]), 0..40)
        ) {
            let mut seq = 1;
            let frames: Vec<_> = steps
                .iter()
                .map(|&(jump, session, time, redelivered, is_json, size)| {
                    seq += jump;
                    let kind = (["s", "t", "\"\u{7f}é"][session], time / 2, redelivered && jump == 2, is_json);
                    let sizes = [0, 2, 300, 9_000, 1_100_000];
                    match jump {
                        0 => BrokerFrame::Live { session: kind.0.into(), seq },
                        _ => message(seq, kind, &"z\"".repeat(sizes[size] / 2)),
                    }
                })
                .collect();
            let natives = packed(true, &frames);
            prop_assert!(natives.iter().all(|native| native.len() <= TO_BROWSER));
            prop_assert!(unpacked(&natives) == unpacked(&packed(false, &frames)));
        }
    }

    #[test]
    fn batches_and_parts_are_told_from_other_frames_however_they_are_written() {
        for json in [
            r#"{"type":"batch","frames":[{},2]}"#,
            r#" {"frames":[{},2], "type" : "b\u0061tch"}"#,
        ] {
            assert!(
                matches!(Shape::of(json.as_bytes()), Ok(Shape::Batch(frames)) if frames.len() == 2),
                "{json}"
            );
        }
        let part = br#"{"index":3,"type":"part","part":"p","last":true,"data":"\"x"}"#;
        assert!(
            matches!(Shape::of(part), Ok(Shape::Part(Part { index: 3, last: true, data, .. })) if data == "\"x")
        );
        for json in ["{}", "42", "", "{not json", r#"{"type":"send","text":"batch"}"#] {
            assert!(matches!(Shape::of(json.as_bytes()), Ok(Shape::Single)), "{json}");
        }
    }

    #[test]
    fn a_malformed_batch_or_part_is_refused() {
        let many = format!(r#"{{"type":"batch","frames":[{}1]}}"#, "1,".repeat(ELEMENTS));
        for (json, code) in [
            (r#"{"type":"batch"}"#, Code::BadFrame),
            (r#"{"type":"batch","frames":{}}"#, Code::BadFrame),
            (r#"{"type":"batch","frames":[{},]}"#, Code::BadJson),
            (
                r#"{"type":"part","part":"p","index":0,"data":""}"#,
                Code::BadFrame,
            ),
            (
                r#"{"type":"part","part":"p","index":-1,"last":true,"data":""}"#,
                Code::BadFrame,
            ),
            (many.as_str(), Code::BadFrame),
        ] {
            assert_eq!(Shape::of(json.as_bytes()).unwrap_err().code, code, "{json:.80}");
        }
    }
}
