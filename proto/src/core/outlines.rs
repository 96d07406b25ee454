//! What was found in large contents before they came in: reading them takes long, and the shell does it beside the loop.
//!
//! Contents are told apart by where they lie, not by what they say.

use std::sync::Arc;

use bytes::Bytes;

use crate::wire::json::{Outline, Pointers};
use crate::wire::payload::Payload;
use crate::wire::rule::{PARSED_WHOLE, ParsedMessage};

/// A large content that will be asked about, and what for.
#[derive(Debug)]
pub struct Unread {
    pub content: Bytes,
    pub pointers: Pointers,
}

/// What was found in the contents of one input.
#[derive(Debug, Clone, Default)]
pub struct Outlines(Vec<(Bytes, Option<Arc<Outline>>)>);

impl Unread {
    /// A content, if it is so large that it should be read before it comes in.
    pub fn new(content: &Bytes, pointers: impl FnOnce() -> Pointers) -> Option<Self> {
        (content.len() > PARSED_WHOLE).then(|| Self {
            content: content.clone(),
            pointers: pointers(),
        })
    }
}

impl Outlines {
    /// Reads them all.
    pub fn read(unread: Vec<Unread>) -> Self {
        let read = unread.into_iter().map(|Unread { content, pointers }| {
            let outline = Outline::of(&content, &pointers).map(Arc::new);
            (content, outline)
        });
        Self(read.collect())
    }

    /// A look at a message, which knows what was found in it before.
    pub(crate) fn parsed<'a>(&self, payload: &'a Payload) -> ParsedMessage<'a> {
        ParsedMessage::at(payload).known(self.of(payload.bytes()))
    }

    /// What was found in this content, if it was read; nothing in what is no JSON.
    pub(crate) fn of(&self, content: &Bytes) -> Option<Option<Arc<Outline>>> {
        let is_same = |known: &Bytes| known.as_ptr() == content.as_ptr() && known.len() == content.len();
        let (_, outline) = self.0.iter().find(|(known, _)| is_same(known))?;
        Some(outline.clone())
    }

    /// What is found in this content, now if it was not read before.
    pub(crate) fn of_or_read(
        &self,
        content: &Bytes,
        pointers: impl FnOnce() -> Pointers,
    ) -> Option<Arc<Outline>> {
        self.of(content)
            .unwrap_or_else(|| Outline::of(content, &pointers()).map(Arc::new))
    }
}
