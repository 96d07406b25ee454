//! Packets of a Socket.IO server until they are whole, with all their attachments.

use bytes::Bytes;

use crate::core::dialect::packet::Head;

/// Bytes of a packet in which its head lies: kind, count, namespace and id are much shorter together.
const MAX_HEAD_BYTES: usize = 4096;

/// A packet whose attachments are still to come, and what has come of it.
#[derive(Debug, Clone)]
pub(super) struct Partial {
    pub(super) head: Head,
    pub(super) data: Bytes,
    pub(super) attachments: Vec<Bytes>,
    /// Attachments that are still to come.
    pub(super) missing: usize,
    /// There was no room for it: what comes of it is thrown away.
    pub(super) is_given_up: bool,
}

impl Partial {
    /// A packet of which the text has come.
    pub(super) const fn new(head: Head, data: Bytes) -> Self {
        Self {
            missing: head.attachments,
            head,
            data,
            attachments: Vec::new(),
            is_given_up: false,
        }
    }

    /// Takes an attachment; whether it was the last. `max_bytes`: bytes of the whole.
    pub(super) fn attach(&mut self, bytes: &Bytes, max_bytes: usize) -> bool {
        self.missing = self.missing.saturating_sub(1);
        if !self.is_given_up {
            self.attachments.push(bytes.clone());
        }
        if self.held() > max_bytes {
            self.give_up();
        }
        self.missing == 0
    }

    /// Bytes that it takes.
    pub(super) fn held(&self) -> usize {
        let attachments = self.attachments.iter().map(|bytes| 64 + bytes.len());
        self.data.len() + attachments.sum::<usize>()
    }

    /// Keeps nothing of it.
    pub(super) fn give_up(&mut self) {
        self.is_given_up = true;
        self.data = Bytes::new();
        self.attachments = Vec::new();
    }
}

/// Text without what is too far from its beginning to be part of a head.
pub(super) fn beginning(text: &[u8]) -> &str {
    let start = &text[..text.len().min(MAX_HEAD_BYTES)];
    match std::str::from_utf8(start) {
        Ok(start) => start,
        // The cut may go through a character.
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// The head of a packet, and its data, which is what stands behind it. `packet` is that of Engine.IO, with its `4`.
pub(super) fn taken_apart(packet: &Bytes) -> Option<(Head, Bytes)> {
    let text = packet.get(1..)?;
    let start = beginning(text);
    let (head, data) = Head::read(start)?;
    let at = 1 + start.len() - data.len();
    Some((head, packet.slice(at..)))
}
