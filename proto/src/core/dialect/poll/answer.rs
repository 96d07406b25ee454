//! The contents of an answer to a poll. A large one takes long to read, and so do large items in it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::wire::json::{LargeElement, Outline, Pointers, ValueKind, large_elements};
use crate::wire::servers::Poll;

/// An answer that has not been read.
#[derive(Debug)]
pub(crate) struct LargeAnswer {
    body: Bytes,
    /// Pointers into it.
    pointers: Pointers,
    /// Where its items stand, and where a cursor stands in each of them.
    items: Option<String>,
    item_cursor: Option<String>,
}

/// What was found in an answer.
#[derive(Debug)]
pub(crate) struct ReadAnswer {
    /// Where its items were looked for.
    pub(super) items: Option<String>,
    pub(super) is_text: bool,
    /// Nothing if it is no JSON.
    pub(super) outline: Option<Arc<Outline>>,
    /// Items that are large.
    pub(super) large: VecDeque<LargeElement>,
}

impl LargeAnswer {
    /// A body, and what options look for in it.
    pub(super) fn new(poll: &Poll, body: Bytes) -> Self {
        let mut pointers = Pointers::NONE;
        poll.add_pointers(&mut pointers);
        Self {
            body,
            pointers,
            items: poll.items.clone(),
            item_cursor: poll.item_cursor().map(str::to_owned),
        }
    }

    /// Reads it. `asked`: what messages will be asked about.
    pub(crate) fn read(self, asked: &Pointers) -> ReadAnswer {
        let mut pointers = self.pointers;
        pointers.add_all(asked);
        let outline = Outline::of(&self.body, &pointers).map(Arc::new);
        let items = self.items.as_ref().zip(outline.as_ref());
        let items = items.and_then(|(items, outline)| outline.at(items.as_bytes())?);
        let large = match items {
            Some(place) if place.kind == ValueKind::Array => {
                let mut asked = asked.clone();
                if let Some(cursor) = &self.item_cursor {
                    asked.add(cursor);
                }
                large_elements(&self.body.slice(place.range.clone()), &asked)
            }
            _ => VecDeque::new(),
        };
        ReadAnswer {
            items: self.items,
            is_text: outline.is_some() || std::str::from_utf8(&self.body).is_ok(),
            outline,
            large,
        }
    }
}
