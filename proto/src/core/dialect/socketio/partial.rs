//! An event of a Socket.IO server whose attachments are still to come.

use bytes::Bytes;

use crate::core::dialect::packet::Head;

/// What has come of it.
#[derive(Debug)]
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
