//! A frame whose content is too large for the pipe: written part by part as the pipe takes them, never as a whole.
//!
//! Escaped twice, a message of 64 MiB could take half a gigabyte at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::frame::TO_BROWSER;
use super::json::write_inside;
use super::message::BrokerFrame;
use super::part::{SLICE_BYTES, write_part};
use super::payload::{ContentForm, as_text};

/// Bytes of content that one step writes: escaped once they fill less than a part.
const STEP: usize = SLICE_BYTES / 8;

/// A frame on its way.
#[derive(Debug)]
pub(super) struct LongFrame {
    content: Bytes,
    form: ContentForm,
    /// JSON that comes behind it.
    tail: Vec<u8>,
    /// JSON that the next part begins with.
    ready: Vec<u8>,
    /// Parts written.
    index: u32,
    /// Everything is in `ready`.
    is_read: bool,
}

impl LongFrame {
    /// A frame whose content certainly needs parts; `None` for any other.
    pub(super) fn of(frame: &BrokerFrame) -> Option<Self> {
        let payload = frame.payload().filter(|payload| payload.len() > TO_BROWSER)?;
        let content = payload.bytes().clone();
        let form = payload.form();
        let mut around = Vec::new();
        frame.hollow()?.encode(&mut around);
        // An empty value of this key stands nowhere else: quotes inside strings are escaped.
        let place = match form {
            ContentForm::Text | ContentForm::Base64 => format!("\"{}\":\"\"", payload.kind()),
            ContentForm::Json => format!("\"{}\":", payload.kind()),
        };
        let at = match form {
            ContentForm::Text | ContentForm::Base64 => find(&around, place.as_bytes())? + place.len() - 1,
            ContentForm::Json => {
                let ends = [b',', b'}'].map(|end| [place.as_bytes(), &[end]].concat());
                ends.iter().find_map(|end| find(&around, end))? + place.len()
            }
        };
        let tail = around.split_off(at);
        Some(Self {
            ready: around,
            content,
            form,
            tail,
            index: 0,
            is_read: false,
        })
    }

    /// Bytes that are still to be written, before they are escaped.
    pub(super) fn held(&self) -> usize {
        self.ready.len() + self.content.len() + self.tail.len()
    }

    /// Appends the next part; `true` if it was the last.
    pub(super) fn write(&mut self, number: u64, out: &mut Vec<u8>) -> bool {
        while self.ready.len() < SLICE_BYTES && !self.is_read {
            self.step();
        }
        let text = as_text(&self.ready);
        let end = text.floor_char_boundary(SLICE_BYTES);
        let is_last = self.is_read && end == text.len();
        write_part(&text[..end], number, self.index, is_last, out);
        self.index += 1;
        self.ready.drain(..end);
        is_last
    }

    /// Writes some more content into `ready`.
    fn step(&mut self) {
        if self.content.is_empty() {
            self.ready.append(&mut self.tail);
            self.is_read = true;
            return;
        }
        let end = match self.form {
            // Whole groups of three bytes, so that the pieces of base64 join.
            ContentForm::Base64 => (STEP / 3 * 3).min(self.content.len()),
            ContentForm::Text | ContentForm::Json => boundary(&self.content, STEP),
        };
        let piece = self.content.split_to(end);
        match self.form {
            ContentForm::Json => self.ready.extend_from_slice(&piece),
            ContentForm::Base64 => self.ready.extend_from_slice(BASE64.encode(&piece).as_bytes()),
            ContentForm::Text => write_inside(&mut self.ready, as_text(&piece).as_bytes()),
        }
    }
}

/// The last place up to `at` where a character begins.
fn boundary(text: &[u8], at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    let back = (0..4.min(at)).find(|back| text[at - back] & 0xc0 != 0x80);
    at - back.unwrap_or(0)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::frame::{Frames, Taken};
    use super::super::part::Joiner;
    use super::super::payload::{Content, Event, Payload};
    use super::super::record::{Body, Record};
    use super::*;

    fn message(payload: Payload) -> BrokerFrame {
        BrokerFrame::Record {
            session: r#"a","text":"","json":,"b"#.into(),
            record: Record {
                seq: 7,
                body: Body::Message { payload, time: 1 },
            },
            redelivered: true,
        }
    }

    fn joined(frame: &BrokerFrame) -> String {
        let mut long = LongFrame::of(frame).unwrap();
        let (mut frames, mut joiner) = (Frames::new(TO_BROWSER), Joiner::default());
        loop {
            let mut out = Vec::new();
            let is_last = long.write(3, &mut out);
            frames.push(&out);
            let Some(Taken::Frame(native)) = frames.take() else {
                panic!("one native frame at a time, none above the browser's limit")
            };
            let whole = joiner.join(&serde_json::from_slice(&native).unwrap()).unwrap();
            assert_eq!(whole.is_some(), is_last);
            if let Some(whole) = whole {
                return whole;
            }
        }
    }

    #[test]
    fn a_long_frame_equals_the_frame_encoded_whole() {
        let event = |content| {
            Payload::Event(Arc::new(Event {
                name: Some("e".into()),
                namespace: Some("/n".to_owned()),
                last_event_id: None,
                reply: true,
                content,
            }))
        };
        let json = Bytes::from(format!("[\"{}\"]", "é\\n".repeat(TO_BROWSER / 2)));
        let mut payloads = vec![
            Payload::Json(json.clone()),
            event(Content::Args(json.clone())),
            event(Content::Json(json.clone())),
            event(Content::Text(json)),
        ];
        // Every length of the last piece.
        for more in 1..5 {
            payloads.push(Payload::text("\u{1}€\"".repeat(TO_BROWSER / 4 + more)));
            payloads.push(Payload::Binary(vec![0xfe; TO_BROWSER + more].into()));
        }
        for payload in payloads {
            let frame = message(payload);
            let mut whole = Vec::new();
            frame.encode(&mut whole);
            assert!(joined(&frame).as_bytes() == whole);
        }
    }

    #[test]
    fn a_frame_that_fits_the_pipe_is_not_long() {
        assert!(LongFrame::of(&message(Payload::text("x".repeat(TO_BROWSER)))).is_none());
        assert!(LongFrame::of(&BrokerFrame::Ok { id: "1".into() }).is_none());
    }
}
