//! Splits a frame that is too big for the pipe into `part` frames, and joins such frames again.
//!
//! It does not look into the frame that travels in parts.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Deserialize;

use super::code::Code;
use super::frame::{FROM_BROWSER, HEADER, TO_BROWSER, header};
use super::json::write_string;
use super::record::{ErrorInfo, is_name};

/// Bytes of a slice before escaping. Escaping at most doubles JSON text, so a part always fits the browser.
pub(super) const SLICE_BYTES: usize = TO_BROWSER / 2 - 256;

/// Largest frame joined from parts, in bytes: a payload of 64 MiB whose every byte had to be escaped, and its head.
pub(crate) const MAX_JOINED_BYTES: usize = 2 * FROM_BROWSER + (64 << 10);

/// Frames that may be in parts at once on one port.
pub(crate) const CONCURRENT: usize = 8;

/// One part, not yet joined.
#[derive(Debug, Deserialize)]
pub struct Part<'a> {
    /// Names the frame it belongs to.
    #[serde(borrow)]
    pub part: Cow<'a, str>,
    pub index: u32,
    pub last: bool,
    /// A slice of the frame's text.
    #[serde(borrow)]
    pub data: Cow<'a, str>,
}

/// Appends the parts of `frame` to `out`, each with its length prefix and none above `TO_BROWSER`.
pub fn split(frame: &str, number: u64, out: &mut Vec<u8>) {
    let mut rest = frame;
    let mut index = 0;
    while index == 0 || !rest.is_empty() {
        let (slice, tail) = rest.split_at(rest.floor_char_boundary(SLICE_BYTES));
        rest = tail;
        write_part(slice, number, index, rest.is_empty(), out);
        index += 1;
    }
}

/// Appends one part with its length prefix.
pub(super) fn write_part(slice: &str, number: u64, index: u32, last: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    out.extend_from_slice(
        format!(r#"{{"type":"part","part":"p{number}","index":{index},"last":{last},"data":"#).as_bytes(),
    );
    write_string(out, slice.as_bytes());
    out.push(b'}');
    let prefix = header(out.len() - start - HEADER).unwrap_or_default();
    out[start..start + HEADER].copy_from_slice(&prefix);
}

/// Frames that have begun to come in parts.
#[derive(Debug, Default)]
pub struct Joiner {
    begun: Vec<Begun>,
    /// Frames given up whose further parts are not worth an error each.
    broken: VecDeque<String>,
}

#[derive(Debug)]
struct Begun {
    part: String,
    next: u32,
    text: String,
}

impl Joiner {
    /// Takes one part; gives the whole frame after its last.
    ///
    /// # Errors
    /// `bad-part` when parts are out of order or too many frames come at once, `frame-too-large` when the whole
    /// exceeds `MAX_JOINED_BYTES`. What had come of that frame is forgotten.
    pub fn join(&mut self, part: &Part<'_>) -> Result<Option<String>, ErrorInfo> {
        if let Some(at) = self.broken.iter().position(|name| *name == part.part) {
            if part.index > 0 {
                if part.last {
                    self.broken.remove(at);
                }
                return Ok(None);
            }
            self.broken.remove(at);
        }
        let at = match self.begun.iter().position(|begun| begun.part == part.part) {
            // A frame begun anew replaces what was there.
            Some(at) if part.index == 0 => {
                self.begun[at].text.clear();
                at
            }
            Some(at) if part.index == self.begun[at].next => at,
            Some(at) => {
                let begun = self.begun.swap_remove(at);
                let why = format!("received part {}, expected part {}", part.index, begun.next);
                return Err(self.give_up(part, Code::BadPart, why));
            }
            None if part.index > 0 => {
                let why = format!("received part {} without the previous ones", part.index);
                return Err(self.give_up(part, Code::BadPart, why));
            }
            None if !is_name(&part.part) => {
                let why = "field `part`: it must have 1 to 128 characters and no control characters";
                return Err(ErrorInfo::new(Code::BadPart, why));
            }
            None if self.begun.len() >= CONCURRENT => {
                let why = format!("more than {CONCURRENT} frames are in parts at once");
                return Err(self.give_up(part, Code::BadPart, why));
            }
            None => {
                self.begun.push(Begun {
                    part: part.part.clone().into_owned(),
                    next: 0,
                    text: String::new(),
                });
                self.begun.len() - 1
            }
        };
        let begun = &mut self.begun[at];
        if begun.text.len() + part.data.len() > MAX_JOINED_BYTES {
            self.begun.swap_remove(at);
            let why = format!("the parts of a frame exceed {MAX_JOINED_BYTES} bytes together");
            return Err(self.give_up(part, Code::FrameTooLarge, why));
        }
        if begun.text.try_reserve(part.data.len()).is_err() {
            self.begun.swap_remove(at);
            let why = "this machine has no memory for it".to_owned();
            return Err(self.give_up(part, Code::Overflow, why));
        }
        begun.text.push_str(&part.data);
        begun.next = part.index + 1;
        Ok(part.last.then(|| self.begun.swap_remove(at).text))
    }

    /// Bytes of frames that are not whole yet.
    pub fn held(&self) -> usize {
        self.begun.iter().map(|begun| begun.text.capacity()).sum()
    }

    /// Forgets the frame that this part belongs to, and passes over its further parts.
    pub fn refuse(&mut self, part: &Part<'_>, code: Code, why: &str) -> ErrorInfo {
        self.begun.retain(|begun| begun.part != part.part);
        self.give_up(part, code, why.to_owned())
    }

    fn give_up(&mut self, part: &Part<'_>, code: Code, why: String) -> ErrorInfo {
        if !part.last && part.part.len() <= 512 {
            if self.broken.len() >= CONCURRENT {
                self.broken.pop_front();
            }
            self.broken.push_back(part.part.clone().into_owned());
        }
        let shown: String = part.part.chars().take(64).collect();
        ErrorInfo::new(code, format!("parts `{shown}`: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::{Frames, Taken};
    use proptest::prelude::*;

    fn part(name: &str, index: u32, last: bool, data: &str) -> Part<'static> {
        Part {
            part: Cow::Owned(name.to_owned()),
            index,
            last,
            data: Cow::Owned(data.to_owned()),
        }
    }

    fn round_trip(text: &str) -> (usize, String) {
        let mut bytes = Vec::new();
        split(text, 7, &mut bytes);
        let mut frames = Frames::new(TO_BROWSER);
        frames.push(&bytes);
        let mut joiner = Joiner::default();
        let mut count = 0;
        let mut whole = None;
        while let Some(taken) = frames.take() {
            let Taken::Frame(frame) = taken else {
                panic!("a part above the limit")
            };
            assert!(whole.is_none(), "nothing after the last part");
            count += 1;
            whole = joiner.join(&serde_json::from_slice(&frame).unwrap()).unwrap();
        }
        (count, whole.unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
        fn split_frames_are_joined(unit in "\\PC{1,7}|[\"\\\\]{1,3}", length in 0usize..2_500_000) {
            let text = unit.repeat(length / unit.len() + 1);
            let (count, whole) = round_trip(&text);
            prop_assert!(count >= text.len() / TO_BROWSER);
            prop_assert!(whole == text, "came out differently");
        }
    }

    #[test]
    fn parts_of_several_frames_may_interleave() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.join(&part("a", 0, false, "1")), Ok(None));
        assert_eq!(joiner.join(&part("b", 0, false, "x")), Ok(None));
        assert_eq!(joiner.join(&part("a", 1, true, "2")), Ok(Some("12".to_owned())));
        assert_eq!(joiner.join(&part("b", 1, true, "y")), Ok(Some("xy".to_owned())));
    }

    #[test]
    fn a_missing_part_is_reported_once_and_its_name_can_be_reused() {
        let mut joiner = Joiner::default();
        joiner.join(&part("a", 0, false, "1")).unwrap();
        assert_eq!(
            joiner.join(&part("a", 2, false, "3")).unwrap_err().code,
            Code::BadPart
        );
        assert_eq!(
            joiner.join(&part("a", 3, true, "4")),
            Ok(None),
            "reported already"
        );
        assert_eq!(joiner.join(&part("a", 0, true, "5")), Ok(Some("5".to_owned())));
        assert_eq!(
            joiner.join(&part("a", 1, true, "6")).unwrap_err().code,
            Code::BadPart
        );
    }

    #[test]
    fn part_names_are_bounded_like_ids() {
        let mut joiner = Joiner::default();
        for name in ["", "a\n", &"x".repeat(129)] {
            let error = joiner.join(&part(name, 0, true, "{}")).unwrap_err();
            assert_eq!(error.code, Code::BadPart);
            assert!(error.message.contains("`part`"), "{}", error.message);
        }
        assert!(joiner.join(&part(&"x".repeat(128), 0, true, "{}")).is_ok());
    }

    #[test]
    fn too_many_concurrent_or_too_large_frames_are_refused() {
        let mut joiner = Joiner::default();
        for name in 0..CONCURRENT {
            joiner.join(&part(&name.to_string(), 0, false, "")).unwrap();
        }
        assert_eq!(
            joiner.join(&part("more", 0, false, "")).unwrap_err().code,
            Code::BadPart
        );
        joiner.begun[0].text = "x".repeat(MAX_JOINED_BYTES);
        let name = joiner.begun[0].part.clone();
        let refused = joiner.join(&part(&name, 1, false, "y")).unwrap_err();
        assert_eq!(refused.code, Code::FrameTooLarge);
        assert_eq!(joiner.begun.len(), CONCURRENT - 1, "nothing is left behind");
    }

    #[test]
    fn a_refused_frame_frees_its_memory_and_its_further_parts_are_ignored() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.join(&part("a", 0, false, "12345")), Ok(None));
        assert!(joiner.held() >= 5);
        let error = joiner.refuse(&part("a", 1, false, "678"), Code::Overflow, "too much");
        assert_eq!((error.code, joiner.held()), (Code::Overflow, 0));
        assert_eq!(joiner.join(&part("a", 2, true, "9")), Ok(None));
        assert_eq!(
            joiner.join(&part("b", 0, true, "whole")),
            Ok(Some("whole".to_owned()))
        );
    }
}
