//! Length and bytes: the frames of both hops, whole (`Frames`) or streamed through (`FrameGate`).
//!
//! It does no I/O and does not look into a frame.

use byteorder::{ByteOrder as _, NativeEndian};
use bytes::{Buf as _, Bytes, BytesMut};

/// The length prefix, in bytes.
pub const HEADER: usize = 4;

/// Largest frame a browser takes, in bytes of JSON. One more and it drops the port.
pub const TO_BROWSER: usize = 1_048_576;

/// Largest frame taken from a browser, in bytes of JSON.
pub const FROM_BROWSER: usize = 64 << 20;

/// The prefix of a frame of `length` bytes.
///
/// # Errors
/// `None` when the length does not fit 32 bits.
pub fn header(length: usize) -> Option<[u8; HEADER]> {
    let mut prefix = [0; HEADER];
    NativeEndian::write_u32(&mut prefix, u32::try_from(length).ok()?);
    Some(prefix)
}

/// The length in the prefix at the head of `bytes`; `None` when there is no whole prefix.
fn length_at(bytes: &[u8]) -> Option<usize> {
    Some(NativeEndian::read_u32(bytes.get(..HEADER)?) as usize)
}

/// Prefix and bytes in one buffer, for one write. Text longer than a prefix can say is cut to nothing.
pub fn framed(json: &[u8]) -> Vec<u8> {
    let Some(prefix) = header(json.len()) else {
        return Vec::new();
    };
    let mut out = Vec::with_capacity(HEADER + json.len());
    out.extend_from_slice(&prefix);
    out.extend_from_slice(json);
    out
}

/// What the bytes so far add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// One whole frame; empty for a length of zero.
    Frame(Bytes),
    /// A prefix above the limit. Its bytes will be skipped as they come; nothing is allocated for them.
    TooLarge(usize),
}

/// What can be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameRun {
    /// Whole frames with their prefixes, none of them empty.
    Whole(Bytes),
    /// An empty frame.
    Empty,
    /// A prefix above the limit. Its bytes will be skipped as they come.
    TooLarge(usize),
}

impl Taken {
    /// Bytes of it that were kept.
    pub const fn len(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.len(),
            Self::TooLarge(_) => 0,
        }
    }

    /// Whether nothing of it was kept.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Collects bytes, gives back whole frames.
///
/// Room grows with the bytes that came, never with the length that was announced.
#[derive(Debug)]
pub struct Frames {
    buffer: BytesMut,
    limit: usize,
    skip: usize,
    /// The buffer has grown for a large frame, and is given back once that has gone.
    grown: bool,
}

/// A buffer above this size is given back when it is empty.
const MAX_IDLE_BUFFER_BYTES: usize = 1 << 20;

impl Frames {
    /// Frames of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
            skip: 0,
            grown: false,
        }
    }

    /// Where to read into, with room for at least `room` more bytes.
    pub fn room(&mut self, room: usize) -> &mut BytesMut {
        if self.grown && self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.grown = false;
        }
        self.buffer.reserve(room);
        &mut self.buffer
    }

    /// Bytes that wait to become whole.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// What has come of the frame that is not whole yet.
    pub fn begun(&self) -> &[u8] {
        self.buffer.get(HEADER..).unwrap_or_default()
    }

    /// Gives up the frame that is not whole yet: what has come of it is forgotten, and the rest skipped. Its length.
    pub fn give_up(&mut self) -> Option<usize> {
        let length = length_at(&self.buffer).filter(|_| self.skip == 0)?;
        let missing = (HEADER + length).checked_sub(self.buffer.len())?;
        self.buffer = BytesMut::new();
        self.grown = false;
        self.skip = missing;
        Some(length)
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there.
    pub fn take(&mut self) -> Option<Taken> {
        let skipped = self.skip.min(self.buffer.len());
        self.buffer.advance(skipped);
        self.skip -= skipped;
        let length = length_at(&self.buffer)?;
        if length > self.limit {
            self.buffer.advance(HEADER);
            self.skip = length;
            return Some(Taken::TooLarge(length));
        }
        if self.buffer.len() < HEADER + length {
            self.grown |= length > MAX_IDLE_BUFFER_BYTES;
            return None;
        }
        self.buffer.advance(HEADER);
        Some(Taken::Frame(self.buffer.split_to(length).freeze()))
    }

    /// As many whole frames as are there, in one piece.
    pub fn run(&mut self) -> Option<FrameRun> {
        let skipped = self.skip.min(self.buffer.len());
        self.buffer.advance(skipped);
        self.skip -= skipped;
        let mut at = 0;
        while let Some(length) = length_at(&self.buffer[at..]) {
            if length == 0 || length > self.limit {
                if at > 0 {
                    break;
                }
                self.buffer.advance(HEADER);
                if length == 0 {
                    return Some(FrameRun::Empty);
                }
                self.skip = length;
                return Some(FrameRun::TooLarge(length));
            }
            if self.buffer.len() < at + HEADER + length {
                self.grown |= length > MAX_IDLE_BUFFER_BYTES;
                break;
            }
            at += HEADER + length;
        }
        (at > 0).then(|| FrameRun::Whole(self.buffer.split_to(at).freeze()))
    }

    /// Whether the bytes end in the middle of a frame.
    pub fn is_torn(&self) -> bool {
        self.skip > 0 || !self.buffer.is_empty()
    }
}

/// What is to become of the next bytes of a stream of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateStep {
    /// Forward this many bytes.
    Forward(usize),
    /// Leave out this many bytes.
    Leave(usize),
    /// The prefix of a frame above the limit: leave it out, and its bytes as they come.
    TooLarge(usize),
    /// Too few bytes to say; keep them and read more.
    More,
}

/// Lets frames through chunk by chunk without holding them, except those that are too large.
#[derive(Debug)]
pub struct FrameGate {
    limit: usize,
    forward: usize,
    leave: usize,
}

impl FrameGate {
    /// A gate for frames of at most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            forward: 0,
            leave: 0,
        }
    }

    /// Says what becomes of the head of `bytes`; a `TooLarge` stands for the prefix alone.
    pub fn pass(&mut self, bytes: &[u8]) -> GateStep {
        if self.leave > 0 && !bytes.is_empty() {
            let count = self.leave.min(bytes.len());
            self.leave -= count;
            return GateStep::Leave(count);
        }
        // As many whole frames as lie here, and the head of the last, go in one piece.
        let mut at = self.forward.min(bytes.len());
        self.forward -= at;
        while self.forward == 0 {
            let Some(length) = length_at(&bytes[at..]) else {
                break;
            };
            if length > self.limit {
                if at > 0 {
                    break;
                }
                self.leave = length;
                return GateStep::TooLarge(length);
            }
            let end = (at + HEADER + length).min(bytes.len());
            self.forward = at + HEADER + length - end;
            at = end;
        }
        if at > 0 {
            GateStep::Forward(at)
        } else {
            GateStep::More
        }
    }

    /// The receiver has gone: leaves out the rest of a frame whose head it took with it.
    pub fn cut(&mut self) {
        self.leave += std::mem::take(&mut self.forward);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
        frames.iter().flat_map(|frame| framed(frame)).collect()
    }

    fn through_gate(
        gate: &mut FrameGate,
        pending: &mut Vec<u8>,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Vec<usize> {
        pending.extend_from_slice(chunk);
        let mut refused = Vec::new();
        loop {
            match gate.pass(pending) {
                GateStep::Forward(count) => out.extend(pending.drain(..count)),
                GateStep::Leave(count) => drop(pending.drain(..count)),
                GateStep::TooLarge(length) => {
                    refused.push(length);
                    pending.drain(..HEADER);
                }
                GateStep::More => return refused,
            }
        }
    }

    proptest! {
    #[test]
        fn frames_are_reassembled_from_any_split(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
            cuts in prop::collection::vec(1usize..9, 1..40),
        ) {
            let bytes = stream(&frames);
            let mut reader = Frames::new(24);
            let mut gate = FrameGate::new(24);
            let (mut got, mut passed, mut pending, mut refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
                rest = tail;
                reader.push(chunk);
                while let Some(taken) = reader.take() {
                    got.push(taken);
                }
                refused.extend(through_gate(&mut gate, &mut pending, chunk, &mut passed));
            }
            let wanted: Vec<_> = frames
                .iter()
                .map(|frame| if frame.len() > 24 {
                    Taken::TooLarge(frame.len())
                } else {
                    Taken::Frame(Bytes::from(frame.clone()))
                })
                .collect();
            prop_assert_eq!(got, wanted);
            prop_assert!(!reader.is_torn());
            let accepted: Vec<_> = frames.iter().filter(|frame| frame.len() <= 24).cloned().collect();
            prop_assert_eq!(passed, stream(&accepted));
            prop_assert!(pending.is_empty());
            let large: Vec<_> = frames.iter().map(Vec::len).filter(|length| *length > 24).collect();
            prop_assert_eq!(refused, large);
        }
    }

    #[test]
    fn whole_frames_pass_in_one_piece_up_to_an_empty_frame() {
        let mut frames = Frames::new(24);
        let whole = stream(&[b"a".to_vec(), b"bc".to_vec()]);
        frames.push(&whole);
        frames.push(&stream(&[Vec::new(), vec![0; 25], b"d".to_vec(), b"e".to_vec()]));
        frames.push(&[1]);
        assert_eq!(frames.run(), Some(FrameRun::Whole(whole.into())));
        assert_eq!(frames.run(), Some(FrameRun::Empty));
        assert_eq!(frames.run(), Some(FrameRun::TooLarge(25)));
        assert_eq!(
            frames.run(),
            Some(FrameRun::Whole(stream(&[b"d".to_vec(), b"e".to_vec()]).into()))
        );
        assert_eq!(frames.run(), None);
        assert!(frames.is_torn());
    }

    #[test]
    fn a_large_length_prefix_allocates_nothing() {
        let mut frames = Frames::new(FROM_BROWSER);
        frames.push(&(u32::try_from(FROM_BROWSER).unwrap()).to_ne_bytes());
        assert_eq!(frames.take(), None);
        assert!(frames.buffer.capacity() < 1024);
        assert!(frames.is_torn());
    }

    #[test]
    fn a_frame_interrupted_by_a_receiver_restart_is_skipped() {
        let mut gate = FrameGate::new(100);
        let first = framed(&[b'a'; 10]);
        assert_eq!(gate.pass(&first[..7]), GateStep::Forward(7));
        gate.cut();
        let mut rest = first[7..].to_vec();
        rest.extend(framed(b"b"));
        assert_eq!(gate.pass(&rest), GateStep::Leave(7));
        assert_eq!(gate.pass(&rest[7..]), GateStep::Forward(5));
    }

    #[test]
    fn an_abandoned_frame_is_skipped_and_the_next_is_read() {
        let mut frames = Frames::new(FROM_BROWSER);
        let large = framed(&[b'x'; 5000]);
        frames.push(&large[..3000]);
        assert_eq!(frames.take(), None);
        assert_eq!(frames.give_up(), Some(5000));
        assert_eq!(frames.held(), 0);
        frames.push(&large[3000..]);
        frames.push(&framed(b"next"));
        assert_eq!(frames.take(), Some(Taken::Frame(Bytes::from_static(b"next"))));
        assert_eq!(frames.give_up(), None);
    }
}
