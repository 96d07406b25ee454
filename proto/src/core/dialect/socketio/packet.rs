//! The data of a whole Socket.IO packet, and its contents: a large one takes long to read.

use bytes::Bytes;

use crate::core::dialect::packet::{Args, NoMemory, copied, restored};
use crate::core::io::Incoming;
use crate::wire::json::{JsString, is_valid};
use crate::wire::payload::Payload;
use crate::wire::rule::PARSED_WHOLE;

use super::partial::{Partial, taken_apart};

/// Bytes of a connection id or offset that is sent back to a server that remembers connections.
pub(super) const MAX_OFFSET_BYTES: usize = 4096;

/// The data of a packet, with its attachments.
#[derive(Debug)]
pub(crate) struct SocketIoPacket {
    is_event: bool,
    data: Bytes,
    attachments: Vec<Bytes>,
}

/// The contents of a packet.
#[derive(Debug)]
pub(crate) struct ReadPacket {
    data: Bytes,
    pub(super) said: EventPacket,
}

/// An event or an acknowledgement; nothing where it makes no sense.
#[derive(Debug)]
pub(super) enum EventPacket {
    Event(Option<EventData>),
    /// Arguments, each attachment in its place.
    Answer(Option<Bytes>),
    /// There is no memory for its contents.
    NoMemory,
}

/// The contents of an event.
#[derive(Debug)]
pub(super) struct EventData {
    pub(super) name: JsString,
    /// As those of an acknowledgement.
    pub(super) args: Bytes,
    /// Its last argument, if that is a short text.
    pub(super) last: Option<String>,
}

impl SocketIoPacket {
    /// A whole packet; `None` if it is neither an event nor an acknowledgement.
    pub(super) fn of(packet: Partial) -> Option<Self> {
        let is_event = match packet.head.kind {
            b'2' | b'5' => true,
            b'3' | b'6' => false,
            _ => return None,
        };
        Some(Self {
            is_event,
            data: packet.data,
            attachments: packet.attachments,
        })
    }

    /// Reads it.
    pub(crate) fn read(self) -> ReadPacket {
        let data = std::str::from_utf8(&self.data).unwrap_or_default();
        let said = match self.is_event {
            true => read_event(data, &self.attachments).map(EventPacket::Event),
            false => read_answer(data, &self.attachments).map(EventPacket::Answer),
        };
        ReadPacket {
            data: self.data,
            said: said.unwrap_or(EventPacket::NoMemory),
        }
    }
}

impl ReadPacket {
    /// The data that was read.
    pub(crate) const fn data(&self) -> &Bytes {
        &self.data
    }

    /// The content of the message that it becomes.
    pub(crate) fn content(&self) -> Option<Bytes> {
        match &self.said {
            EventPacket::Event(event) => event.as_ref().map(|event| event.args.clone()),
            EventPacket::Answer(args) => args.clone(),
            EventPacket::NoMemory => None,
        }
    }
}

fn read_event(data: &str, attachments: &[Bytes]) -> Result<Option<EventData>, NoMemory> {
    let Some(Args { name, args, last }) = Args::read(data)? else {
        return Ok(None);
    };
    // The parser of JavaScript takes a number as well.
    let is_number = name.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let name = match name.starts_with('"') {
        true => JsString::from_json(name),
        false if is_number => name.into(),
        false => return Ok(None),
    };
    let last = last.filter(|last| last.starts_with('"') && last.len() <= MAX_OFFSET_BYTES);
    let last = last.and_then(|last| JsString::from_json(last).as_str().map(str::to_owned));
    Ok(Some(EventData {
        name,
        args: restored(args, attachments)?,
        last,
    }))
}

fn read_answer(data: &str, attachments: &[Bytes]) -> Result<Option<Bytes>, NoMemory> {
    let args = data.trim();
    if !args.starts_with('[') || !is_valid(args.as_bytes()) {
        return Ok(None);
    }
    restored(copied("", args)?, attachments).map(Some)
}

/// The packets that become whole with these messages, and are so large that it takes long to understand them. `partial`: what
/// came before; `max_bytes`: bytes of one.
pub(super) fn large_packets(
    mut partial: Option<Partial>,
    messages: &[Incoming],
    max_bytes: usize,
) -> Vec<SocketIoPacket> {
    let mut large = Vec::new();
    for message in messages {
        let whole = match message {
            Incoming::Message(Payload::Binary(bytes)) => {
                // Behind a packet that was too large to be read; otherwise the connection ends here.
                let Some(known) = &mut partial else { continue };
                if !known.attach(bytes, max_bytes) {
                    continue;
                }
                partial.take()
            }
            Incoming::Message(text) if text.bytes().first() == Some(&b'4') => {
                // Attachments are missing, or it is no packet: the connection ends here.
                if partial.is_some() {
                    break;
                }
                let Some((head, data)) = taken_apart(text.bytes()) else {
                    break;
                };
                let begun = Partial::new(head, data);
                if begun.head.attachments > 0 {
                    partial = Some(begun);
                    continue;
                }
                Some(begun)
            }
            Incoming::TooLarge { .. } => {
                partial = None;
                continue;
            }
            Incoming::Message(_) => continue,
        };
        let whole = whole.filter(|whole| !whole.is_given_up && whole.held() > PARSED_WHOLE);
        large.extend(whole.and_then(SocketIoPacket::of));
    }
    large
}
