//! Polling: the next request to a server, and the messages in its response.
//!
//! It keeps no time; when to ask is for the dialect to know.

use std::fmt::Write as _;
use std::sync::Arc;

use url::Url;

use crate::wire::json::{Document, Elements, Outline, Pointers, ValueKind, part};
use crate::wire::payload::Payload;
use crate::wire::rule::{PARSED_WHOLE, ParsedMessage};
use crate::wire::servers::{Cursor, CursorFrom, CursorTo, Poll, cursor_text};

use crate::core::dialect::html;
use crate::core::io::Answer;
use crate::core::syntax::is_header_value;

use super::answer::{LargeAnswer, ReadAnswer};

/// Bytes of a body in which the title of a page is looked for.
const MAX_PAGE: usize = 64 << 10;
/// Bytes of a cursor, which is sent back in a header or the URL.
const MAX_CURSOR_BYTES: usize = 8 << 10;

/// What outlives a connection: where the server is to go on.
#[derive(Debug, Clone, Default)]
pub(crate) struct PollPosition {
    cursor: Option<String>,
    etag: Option<String>,
}

/// What a position means: where it is read, and where it is sent back. `start` is none of it, which is sent only before
/// there is a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PositionTerms {
    from: CursorFrom,
    to: CursorTo,
    /// The list in which it is a place, if it is read from an item.
    items: Option<String>,
}

impl PositionTerms {
    /// Nothing without a cursor.
    pub(super) fn of(poll: &Poll) -> Option<Self> {
        let cursor = poll.cursor.as_ref()?;
        Some(Self {
            from: cursor.from.clone(),
            to: cursor.to.clone(),
            items: poll.items.clone().filter(|_| poll.item_cursor().is_some()),
        })
    }
}

impl PollPosition {
    /// Whether the next request has the position of what was received.
    pub(crate) const fn is_known(&self) -> bool {
        self.cursor.is_some()
    }

    /// The URL to ask, and the headers that say where to go on.
    pub(crate) fn ask(&self, poll: &Poll, mut url: Url) -> (Url, Vec<(String, String)>) {
        let mut headers = Vec::new();
        if let Some(etag) = &self.etag {
            headers.push(("If-None-Match".to_owned(), etag.clone()));
        }
        if let Some(cursor) = &poll.cursor
            && let Some(value) = self.cursor.as_ref().or(cursor.start.as_ref())
        {
            match &cursor.to {
                CursorTo::Header(name) => headers.push((name.clone(), header_value(value))),
                CursorTo::Query(name) => {
                    // What the URL has is left as it is written, unless it has this parameter.
                    if url.query_pairs().any(|(key, _)| key == *name) {
                        let others: Vec<(String, String)> = url
                            .query_pairs()
                            .filter(|(key, _)| key != name)
                            .map(|(key, value)| (key.into_owned(), value.into_owned()))
                            .collect();
                        url.query_pairs_mut().clear().extend_pairs(others);
                    }
                    url.query_pairs_mut().append_pair(name, value);
                }
            }
        }
        (url, headers)
    }

    /// The messages of an answer with a 2xx status; remembers where to go on.
    ///
    /// # Errors
    /// A sentence when the answer is not what the options say.
    pub(crate) fn read(
        &mut self,
        poll: &Poll,
        answer: &Answer,
        json: bool,
        read: Option<Box<ReadAnswer>>,
    ) -> Result<Messages, String> {
        let body = answer.content();
        // The options may have changed while it was read.
        let read = read.filter(|read| read.items == poll.items);
        let was_read = read.is_some();
        let read = read.map_or_else(
            || LargeAnswer::new(poll, body.clone()).read(&Pointers::NONE),
            |read| *read,
        );
        let wants_json = poll.items.is_some()
            || matches!(&poll.cursor, Some(cursor) if !matches!(cursor.from, CursorFrom::Header(_)));
        let ReadAnswer {
            items: _,
            is_text,
            outline,
            large,
        } = read;
        if wants_json && !body.is_empty() && outline.is_none() {
            return Err(no_json(&body, is_text));
        }
        let position = |pointer: &str| {
            let outline = outline.as_ref()?;
            outline.at(pointer.as_bytes()).flatten()
        };
        let messages = match &poll.items {
            Some(items) => position(items).map_or_else(Messages::default, |position| match position.kind {
                ValueKind::Null => Messages::default(),
                ValueKind::Array => {
                    Messages::Elements(Elements::of_checked(body.slice(position.range.clone()), large))
                }
                _ => Messages::one(Payload::Json(part(&body, position.range.clone())), None),
            }),
            None if body.is_empty() => Messages::default(),
            None if json && outline.is_some() => {
                Messages::one(Payload::Json(body.clone()), was_read.then(|| outline.clone()))
            }
            None if is_text => Messages::one(Payload::Text(body.clone()), was_read.then(|| outline.clone())),
            None => Messages::one(Payload::Binary(body.clone()), None),
        };
        // A tag is of what was asked: it says nothing about the answer to another question.
        self.etag = answer.header("etag").map(str::to_owned);
        if let Some(cursor) = &poll.cursor {
            let found = match &cursor.from {
                CursorFrom::Header(name) => answer.header(name).map(str::to_owned),
                CursorFrom::Pointer(pointer) => {
                    position(pointer).and_then(|position| text_of(&body[position.range.clone()]))
                }
                CursorFrom::Item(_) => None,
            };
            self.go_on_from(found)?;
        }
        Ok(messages)
    }

    /// All messages of an answer were taken, this one last.
    ///
    /// # Errors
    /// A sentence when its cursor cannot be sent back.
    pub(crate) fn ended_with(&mut self, poll: &Poll, last: &Message) -> Result<(), String> {
        let Some(pointer) = poll.item_cursor() else {
            return Ok(());
        };
        let message = ParsedMessage::at(&last.0).known(last.1.clone());
        let found = message.pointer(pointer.as_bytes(), |found| text_of(found?.raw));
        self.go_on_from(found)
    }

    /// An answer without one leaves it where it was.
    fn go_on_from(&mut self, found: Option<String>) -> Result<(), String> {
        if let Some(found) = found.as_ref().filter(|found| found.len() > MAX_CURSOR_BYTES) {
            return Err(format!(
                "the cursor has {} bytes; the limit is {MAX_CURSOR_BYTES}",
                found.len()
            ));
        }
        if found.is_some() && found != self.cursor {
            self.cursor = found;
            self.etag = None;
        }
        Ok(())
    }
}

/// A message, and what was found in it if that was done before.
pub(crate) type Message = (Payload, Option<Option<Arc<Outline>>>);

/// The header in which the position is sent, with `start` as its value, if it is sent in one.
pub(super) fn headers(poll: &Poll) -> Vec<(String, String)> {
    match &poll.cursor {
        Some(Cursor {
            to: CursorTo::Header(name),
            start,
            ..
        }) => vec![(name.clone(), start.clone().unwrap_or_default())],
        _ => Vec::new(),
    }
}

/// The messages of an answer, one after the other: however many there are, they are not all held at once.
#[derive(Debug)]
pub(crate) enum Messages {
    One(Option<Message>),
    Elements(Elements),
}

impl Default for Messages {
    fn default() -> Self {
        Self::One(None)
    }
}

impl Messages {
    const fn one(message: Payload, outline: Option<Option<Arc<Outline>>>) -> Self {
        Self::One(Some((message, outline)))
    }

    /// Whether all have been taken.
    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::One(message) => message.is_none(),
            Self::Elements(elements) => elements.is_empty(),
        }
    }

    /// Bytes of what has not been taken.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::One(message) => message.as_ref().map_or(0, |(message, _)| message.len()),
            Self::Elements(elements) => elements.held(),
        }
    }
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        match self {
            Self::One(message) => message.take(),
            Self::Elements(elements) => {
                let (element, outline) = elements.next_read()?;
                Some((Payload::Json(element), outline))
            }
        }
    }
}

/// Why an answer is not the JSON that it must be.
fn no_json(body: &[u8], is_text: bool) -> String {
    // The beginning identifies a page.
    let start = String::from_utf8_lossy(&body[..body.len().min(MAX_PAGE)]);
    if let Some(page) = html::described(&start) {
        return format!("the response is not JSON: it is {page}");
    }
    if !is_text {
        return "the response is not JSON: it is not UTF-8".to_owned();
    }
    let small = std::str::from_utf8(body)
        .ok()
        .filter(|body| body.len() <= PARSED_WHOLE);
    match small.map(Document::parse) {
        Some(Err(error)) => format!("the response is not JSON: {error}"),
        Some(Ok(_)) | None => "the response is not JSON".to_owned(),
    }
}

/// A cursor as a header can hold it: what HTTP does not allow there is percent-encoded, as a query would.
fn header_value(cursor: &str) -> String {
    if is_header_value(cursor) {
        return cursor.to_owned();
    }
    let mut value = String::with_capacity(cursor.len() + 8);
    for one in cursor.chars() {
        match one {
            '%' => value.push_str("%25"),
            _ if one.is_ascii_control() => {
                let _ = write!(value, "%{:02X}", u32::from(one));
            }
            _ => value.push(one),
        }
    }
    value
}

/// A cursor's value, as it is sent to the server.
fn text_of(json: &[u8]) -> Option<String> {
    // What is longer cannot be sent back, however it is escaped.
    if json.len() > 6 * MAX_CURSOR_BYTES + 2 {
        return Some(String::from_utf8_lossy(json).into_owned());
    }
    cursor_text(Document::parse(std::str::from_utf8(json).ok()?).ok()?.root())
}

#[cfg(test)]
mod tests;
