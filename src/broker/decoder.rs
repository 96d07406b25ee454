//! Decodes a port's data: native frames, batches, parts, and the commands of the command line.
//!
//! It reads no socket and decides nothing about sessions. A frame that cannot be parsed becomes an error.

use crate::core::io::Caller;
use crate::transport::incoming::IncomingShare;
use crate::version;
use crate::wire::batch::Shape;
use crate::wire::code::Code;
use crate::wire::frame::{FROM_BROWSER, Frames, Taken};
use crate::wire::message::{BrokerFrame, ClientFrame, ErrorFrame, RefusedFrame};
use crate::wire::part::Joiner;
use crate::wire::record::{ErrorInfo, Name};

use super::wakeup::PortInput;

/// Bytes of a frame that are decoded at once: other ports would have to wait meanwhile.
const MAX_INLINE_DECODE_BYTES: usize = 256 << 10;

/// The error for an extension that sends too much at once.
const TOO_MUCH: &str = "this extension has too many incomplete frames; send it when others are complete";

/// Turns native frames into inputs: unpacks batches, joins parts.
pub(super) struct FrameDecoder {
    is_admin: bool,
    /// The caller is of a newer version than this broker.
    is_newer: bool,
    joiner: Joiner,
    incoming: IncomingShare,
    decoded: Vec<PortInput>,
}

impl FrameDecoder {
    /// A decoder for the frames of `caller`, which is of this version.
    pub(super) fn new(caller: &Caller, version: &str, incoming: IncomingShare) -> Self {
        Self {
            is_admin: *caller == Caller::Admin,
            is_newer: version::is_newer(version, version::own()),
            joiner: Joiner::default(),
            incoming,
            decoded: Vec::new(),
        }
    }

    /// Whether anything was decoded since the last call of `take`.
    pub(super) const fn has_decoded(&self) -> bool {
        !self.decoded.is_empty()
    }

    /// What was decoded since the last call.
    pub(super) fn take(&mut self) -> Vec<PortInput> {
        std::mem::take(&mut self.decoded)
    }

    /// Whether this frame takes long to decode, alone or with the parts that came before it.
    pub(super) fn takes_long(&self, taken: &Taken) -> bool {
        taken.len().max(self.joiner.held()) > MAX_INLINE_DECODE_BYTES
    }

    /// Counts a frame that takes long, and what is decoded of it; refuses it when that is too much.
    pub(super) fn admit(&mut self, taken: &Taken, frames: &Frames) -> bool {
        let fits = self
            .incoming
            .resize(frames.held() + self.joiner.held() + 2 * taken.len());
        if !fits {
            self.refuse(ErrorInfo::new(Code::Overflow, TOO_MUCH));
        }
        fits
    }

    /// Counts what is held of frames that are not whole; gives up the one that is being read when that is too much.
    pub(super) fn count(&mut self, frames: &mut Frames) {
        if self.incoming.resize(frames.held() + self.joiner.held()) {
            return;
        }
        let error = ErrorInfo::new(Code::Overflow, TOO_MUCH);
        let mut refusal = RefusedFrame::of_unfinished(frames.begun(), error);
        if let Some(length) = frames.give_up() {
            refusal.error.message = format!("a frame of {length} bytes: {TOO_MUCH}");
            self.decoded.push(PortInput::Refused(refusal));
        }
        self.incoming.resize(self.joiner.held());
    }

    /// Decodes one native frame.
    pub(super) fn decode(&mut self, taken: Taken) {
        match taken {
            Taken::Frame(frame) => self.unpack(&frame),
            Taken::TooLarge(length) => self.refuse(ErrorInfo::new(
                Code::FrameTooLarge,
                format!("a frame of {length} bytes exceeds {FROM_BROWSER}"),
            )),
        }
    }

    fn unpack(&mut self, json: &[u8]) {
        match Shape::of(json) {
            Ok(Shape::Batch(frames)) => {
                for frame in frames {
                    self.unbatched(frame.get().as_bytes());
                }
            }
            Ok(Shape::Part(_) | Shape::Single) => self.unbatched(json),
            Err(error) => self.refuse(error),
        }
    }

    /// A frame that is not in a batch, or not any more.
    fn unbatched(&mut self, json: &[u8]) {
        match Shape::of(json) {
            Ok(Shape::Single) => self.frame(json),
            Ok(Shape::Part(part)) if !self.incoming.resize(self.joiner.held() + part.data.len()) => {
                let error = self.joiner.refuse(&part, Code::Overflow, TOO_MUCH);
                self.incoming.resize(self.joiner.held());
                self.refuse(error);
            }
            Ok(Shape::Part(part)) => match self.joiner.join(&part) {
                Ok(Some(whole)) => self.frame(whole.as_bytes()),
                Ok(None) => {}
                Err(error) => self.refuse(error),
            },
            Ok(Shape::Batch(_)) => {
                self.refuse(ErrorInfo::new(Code::BadFrame, "a batch must not contain a batch"));
            }
            Err(error) => self.refuse(error),
        }
    }

    fn frame(&mut self, json: &[u8]) {
        if self.is_admin
            && let Some(command) = admin_command(json, self.is_newer)
        {
            self.decoded.push(command);
            return;
        }
        match ClientFrame::parse(json) {
            Ok(Some(frame)) => self.decoded.push(PortInput::Frame(frame)),
            Ok(None) => {}
            Err(refusal) => self.decoded.push(PortInput::Refused(refusal)),
        }
    }

    fn refuse(&mut self, error: ErrorInfo) {
        self.decoded.push(PortInput::Refused(RefusedFrame {
            error,
            id: None,
            session: None,
        }));
    }
}

/// A `stop`, `retire`, `watch`, `end` or `reload`, which only the command line and newer versions may send.
fn admin_command(json: &[u8], is_newer: bool) -> Option<PortInput> {
    #[derive(serde::Deserialize)]
    struct AdminFrame {
        #[serde(rename = "type")]
        kind: String,
        id: Name,
    }
    let command = serde_json::from_slice::<AdminFrame>(json).ok()?;
    match command.kind.as_str() {
        _ if command.id.len() > 128 => None,
        "stop" => Some(PortInput::Stop(command.id)),
        "retire" if is_newer => Some(PortInput::Retire(command.id)),
        "retire" => Some(PortInput::Refused(RefusedFrame {
            error: ErrorInfo::new(
                Code::Unsupported,
                format!("this broker is not older: {}", version::own()),
            ),
            id: Some(command.id),
            session: None,
        })),
        "watch" => serde_json::from_slice(json).ok().map(PortInput::Watch),
        "end" => serde_json::from_slice(json).ok().map(PortInput::EndSession),
        "reload" => Some(PortInput::Reload(command.id)),
        _ => None,
    }
}

/// The answer to a frame that could not be read.
pub(super) fn answer(refusal: RefusedFrame) -> BrokerFrame {
    let RefusedFrame { error, id, session } = refusal;
    BrokerFrame::Error(Box::new(ErrorFrame::new(error, id, session)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::incoming::IncomingBytes;

    fn decoder(is_admin: bool) -> FrameDecoder {
        FrameDecoder {
            is_admin,
            is_newer: false,
            joiner: Joiner::default(),
            incoming: IncomingBytes::default().of(&"".into(), 0),
            decoded: Vec::new(),
        }
    }

    fn summaries(inputs: &[PortInput]) -> Vec<String> {
        inputs
            .iter()
            .map(|input| match input {
                PortInput::Frame(frame) => frame.id().map_or_else(|| "-".to_owned(), ToString::to_string),
                PortInput::Refused(refusal) => refusal.error.code.to_string(),
                PortInput::Stop(id) => format!("stop {id}"),
                PortInput::Retire(id) => format!("retire {id}"),
                PortInput::Watch(watch) => format!("watch {}", watch.id),
                PortInput::EndSession(end) => format!("end {}", end.id),
                PortInput::Reload(id) => format!("reload {id}"),
            })
            .collect()
    }

    #[test]
    fn a_bad_element_yields_one_error_and_the_others_are_decoded() {
        let mut decoder = decoder(false);
        decoder.unpack(
            br#"{"type":"batch","frames":[{"type":"ping","id":"1"},7,{"type":"what"},
            {"type":"batch","frames":[]},{"type":"ping","id":"2"}]}"#,
        );
        assert_eq!(
            summaries(&decoder.decoded),
            ["1", "bad-frame", "unknown-type", "bad-frame", "2"]
        );
    }

    #[test]
    fn parts_inside_batches_are_joined() {
        let mut decoder = decoder(false);
        decoder.unpack(br#"{"type":"part","part":"p","index":0,"last":false,"data":"{\"type\":\"ping\","}"#);
        assert!(decoder.decoded.is_empty());
        decoder.unpack(
            br#"{"type":"batch","frames":[{"type":"part","part":"p","index":1,"last":true,"data":"\"id\":\"3\"}"}]}"#,
        );
        assert_eq!(summaries(&decoder.decoded), ["3"]);
    }

    #[test]
    fn only_a_newer_version_may_replace_the_broker() {
        let json = br#"{"type":"retire","id":"1"}"#;
        let (mut extension, mut same, mut newer) = (decoder(false), decoder(true), decoder(true));
        (extension.is_newer, newer.is_newer) = (true, true);
        extension.unpack(json);
        same.unpack(json);
        newer.unpack(json);
        assert_eq!(summaries(&extension.decoded), ["unknown-type"]);
        assert_eq!(summaries(&same.decoded), ["unsupported"]);
        assert_eq!(summaries(&newer.decoded), ["retire 1"]);
    }

    #[test]
    fn only_the_command_line_may_stop_the_broker() {
        let json = br#"{"type":"stop","id":"1"}"#;
        let (mut extension, mut admin) = (decoder(false), decoder(true));
        extension.unpack(json);
        admin.unpack(json);
        assert_eq!(summaries(&extension.decoded), ["unknown-type"]);
        assert_eq!(summaries(&admin.decoded), ["stop 1"]);
    }
}
