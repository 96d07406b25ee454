//! What was found in large contents before the core received them: the shell examines them on another thread.
//!
//! Contents are identified by their address, not by their value. What a protocol has to do with its bytes before they
//! are messages is the dialect's; it is done here when there is much of it.

use std::sync::Arc;

use bytes::Bytes;

use crate::wire::json::{Outline, Pointers};
use crate::wire::payload::Payload;
use crate::wire::rule::{PARSED_WHOLE, ParsedMessage};

use super::{EventStreamChunk, LargeAnswer, ReadAnswer, ReadChunk, ReadPacket, SocketIoPacket};

/// Something large in an input, and what has to be found in it.
#[derive(Debug)]
pub struct Unread {
    pub(crate) content: Unparsed,
    /// What messages will be asked about.
    pub(crate) pointers: Pointers,
}

/// How large bytes become messages.
#[derive(Debug)]
pub(crate) enum Unparsed {
    /// They are the content of one.
    Message(Bytes),
    /// A packet of Socket.IO, with its attachments.
    Packet(SocketIoPacket),
    /// A piece of an event stream, with what came before it of the same event.
    Chunk(Box<EventStreamChunk>),
    /// An answer to a poll.
    Answer(Box<LargeAnswer>),
}

/// What was found in the contents of one input.
#[derive(Debug, Default)]
pub struct Outlines {
    outlines: Vec<(Bytes, Option<Arc<Outline>>)>,
    packets: Vec<ReadPacket>,
    chunk: Option<Box<ReadChunk>>,
    answer: Option<Box<ReadAnswer>>,
}

impl Unread {
    /// A content, if it is so large that it should be read before it comes in.
    pub(crate) fn new(content: &Bytes, pointers: impl FnOnce() -> Pointers) -> Option<Self> {
        (content.len() > PARSED_WHOLE).then(|| Self {
            content: Unparsed::Message(content.clone()),
            pointers: pointers(),
        })
    }
}

impl Outlines {
    /// Reads them all.
    pub fn read(unread: Vec<Unread>) -> Self {
        let mut read = Self::default();
        for Unread { content, pointers } in unread {
            match content {
                Unparsed::Message(content) => read.add(content, &pointers),
                Unparsed::Packet(packet) => {
                    let packet = packet.read();
                    if let Some(content) = packet.content() {
                        read.add(content, &pointers);
                    }
                    read.packets.push(packet);
                }
                Unparsed::Chunk(chunk) => {
                    let chunk = chunk.read();
                    for content in chunk.contents() {
                        read.add(content, &pointers);
                    }
                    read.chunk = Some(Box::new(chunk));
                }
                Unparsed::Answer(answer) => read.answer = Some(Box::new(answer.read(&pointers))),
            }
        }
        read
    }

    fn add(&mut self, content: Bytes, pointers: &Pointers) {
        if content.len() > PARSED_WHOLE {
            let outline = Outline::of(&content, pointers).map(Arc::new);
            self.outlines.push((content, outline));
        }
    }

    /// A look at a message, which knows what was found in it before.
    pub(crate) fn parsed<'a>(&self, payload: &'a Payload) -> ParsedMessage<'a> {
        ParsedMessage::at(payload).known(self.of(payload.bytes()))
    }

    /// What was found in this content, if it was read; nothing in what is no JSON.
    pub(crate) fn of(&self, content: &Bytes) -> Option<Option<Arc<Outline>>> {
        let (_, outline) = self.outlines.iter().find(|(known, _)| is_same(known, content))?;
        Some(outline.clone())
    }

    /// The contents of a Socket.IO packet, if it was read.
    pub(crate) fn take_packet(&mut self, data: &Bytes) -> Option<ReadPacket> {
        let at = self
            .packets
            .iter()
            .position(|packet| is_same(packet.data(), data))?;
        Some(self.packets.swap_remove(at))
    }

    /// The contents of an answer to a poll, if it was read.
    pub(crate) fn take_answer(&mut self) -> Option<Box<ReadAnswer>> {
        self.answer.take()
    }

    /// The contents of a piece of an event stream, if it was read.
    pub(crate) fn take_chunk(&mut self) -> Option<Box<ReadChunk>> {
        self.chunk.take()
    }
}

fn is_same(known: &Bytes, content: &Bytes) -> bool {
    known.as_ptr() == content.as_ptr() && known.len() == content.len()
}
