//! `messages`: plain messages of one session that follow one another, in one frame. Of a short message its envelope is
//! nearly half, and the browser's pipe is the bottleneck.
//!
//! It only decides which messages may be combined and how they are written; `batch` packs them.

use super::BrokerFrame;
use super::object::{ObjectWriter, text};
use crate::wire::payload::Payload;
use crate::wire::record::{Body, Name, Record};

/// Content beyond which a message travels in a frame of its own, in bytes: its envelope is nothing.
const MAX_RUN_BYTES: usize = 16 << 10;

/// Messages that came one after the other, in the same millisecond, alike in all but their content.
#[derive(Debug)]
pub(crate) struct MessageRun {
    session: Name,
    /// The `seq` of the message that would come next.
    next: u64,
    time: u64,
    redelivered: bool,
    is_json: bool,
}

impl MessageRun {
    /// Bytes that the beginning of a frame takes at most: its session's name, every character escaped, and numbers.
    pub(crate) const MAX_HEAD_BYTES: usize = 1024;

    /// What ends the frame.
    pub(crate) const TAIL: &[u8] = b"]}";

    /// The run that a frame begins, and the content of its first message; `None` for what is no plain, short message.
    pub(crate) fn begun_by(frame: &BrokerFrame) -> Option<(Self, &Payload)> {
        let BrokerFrame::Record {
            session,
            record:
                Record {
                    seq,
                    body: Body::Message { payload, time },
                },
            redelivered,
        } = frame
        else {
            return None;
        };
        let is_json = match payload {
            Payload::Text(_) => false,
            Payload::Json(_) => true,
            Payload::Binary(_) | Payload::Event(_) => return None,
        };
        let run = Self {
            session: session.clone(),
            next: seq + 1,
            time: *time,
            redelivered: *redelivered,
            is_json,
        };
        (payload.len() <= MAX_RUN_BYTES).then_some((run, payload))
    }

    /// Takes in the one message that `other` holds, if it comes next; `false` if it does not belong here.
    pub(crate) fn absorb(&mut self, other: &Self) -> bool {
        let fits = other.next == self.next + 1
            && other.time == self.time
            && other.redelivered == self.redelivered
            && other.is_json == self.is_json
            && other.session == self.session;
        if fits {
            self.next = other.next;
        }
        fits
    }

    /// Appends the frame of a run of one message up to where its content stands, at most `Self::MAX_HEAD_BYTES` bytes.
    pub(crate) fn write_head(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out, "messages");
        object
            .text("session", &self.session)
            .number("seq", self.next - 1)
            .number("time", self.time);
        if self.redelivered {
            object.flag("redelivered", true);
        }
        out.extend_from_slice(if self.is_json {
            b",\"json\":["
        } else {
            b",\"text\":["
        });
    }

    /// Appends one message's content.
    pub(crate) fn write(payload: &Payload, out: &mut Vec<u8>) {
        match payload {
            Payload::Json(json) => out.extend_from_slice(json),
            other => text(out, other.bytes()),
        }
    }
}
