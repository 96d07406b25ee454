//! Options for servers with other protocols than WebSocket: event streams, polling, where to post. Those of
//! Socket.IO are `socketio`'s.
//!
//! It reads and refuses; what the options do is in `core::dialect`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::json::{self, Document, ValueKind};
use super::object::{optional_object, read_object};
use super::rule::check_pointer;

/// Where messages to a server go that only listens on HTTP: `options.post`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    pub url: String,
    /// Sent in addition to the session's own.
    pub headers: Vec<(String, String)>,
}

/// How a server is polled: `options.poll`. Times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// From a response to the next request.
    pub interval: u64,
    /// The server answers when it has data: the next request is sent at once.
    pub long: bool,
    /// Timeout for a response.
    pub timeout: u64,
    /// Pointer to an array in the answer, whose elements are the messages; otherwise the answer is one message.
    pub items: Option<String>,
    pub cursor: Option<Cursor>,
}

/// How the server gets the position of what was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub from: CursorFrom,
    pub to: CursorTo,
    /// Sent before there is any.
    pub start: Option<String>,
}

/// Where the cursor is in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorFrom {
    /// A pointer into the answer.
    Pointer(String),
    /// A pointer into the last of the items.
    Item(String),
    /// A response header.
    Header(String),
}

/// Where the cursor is in the next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorTo {
    /// A parameter of the URL's query.
    Query(String),
    /// A request header.
    Header(String),
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            interval: 5_000,
            long: false,
            timeout: 60_000,
            items: None,
            cursor: None,
        }
    }
}

#[derive(Deserialize)]
struct PostForm {
    url: String,
    #[serde(default)]
    headers: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(default)]
struct PollForm {
    interval: u64,
    long: bool,
    timeout: u64,
    items: Option<String>,
    #[serde(deserialize_with = "optional_object")]
    cursor: Option<CursorForm>,
}

impl Default for PollForm {
    fn default() -> Self {
        let poll = Poll::default();
        Self {
            interval: poll.interval,
            long: poll.long,
            timeout: poll.timeout,
            items: None,
            cursor: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CursorForm {
    pointer: Option<String>,
    item: Option<String>,
    header: Option<String>,
    query: Option<String>,
    request_header: Option<String>,
    start: Option<Box<RawValue>>,
}

impl Post {
    /// Parses `options.post`, or returns what is wrong.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let form: PostForm = read_object(json)?;
        Ok(Self {
            url: form.url,
            headers: strings(form.headers)?,
        })
    }
}

/// Headers in the order given.
///
/// # Errors
/// Names the header whose value is no string.
pub(super) fn strings(map: Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    map.into_iter()
        .map(|(header, value)| match value {
            Value::String(text) => Ok((header, text)),
            _ => Err(format!("the value of `{header}` is not a string")),
        })
        .collect()
}

impl Poll {
    /// Parses `options.poll`, or returns what is wrong.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let form: PollForm = read_object(json)?;
        if form.interval == 0 || form.timeout == 0 {
            return Err("`interval` and `timeout` must be at least 1 ms".to_owned());
        }
        if let Some(items) = &form.items {
            check_pointer(items).map_err(|why| format!("`items`: {why}"))?;
        }
        Ok(Self {
            interval: form.interval,
            long: form.long,
            timeout: form.timeout,
            items: form.items,
            cursor: form.cursor.map(CursorForm::read).transpose()?,
        })
    }
}

impl CursorForm {
    fn read(self) -> Result<Cursor, String> {
        let from = match (self.pointer, self.item, self.header) {
            (Some(pointer), None, None) => CursorFrom::Pointer(pointer),
            (None, Some(item), None) => CursorFrom::Item(item),
            (None, None, Some(header)) => CursorFrom::Header(header),
            _ => return Err("`cursor` is read from one of `pointer`, `item` and `header`".to_owned()),
        };
        if let CursorFrom::Pointer(pointer) | CursorFrom::Item(pointer) = &from {
            check_pointer(pointer).map_err(|why| format!("`cursor`: {why}"))?;
        }
        let to = match (self.query, self.request_header) {
            (Some(query), None) => CursorTo::Query(query),
            (None, Some(header)) => CursorTo::Header(header),
            _ => return Err("`cursor` is sent in one of `query` and `requestHeader`".to_owned()),
        };
        Ok(Cursor {
            from,
            to,
            start: self.start.and_then(|start| {
                let document = Document::parse(start.get()).ok()?;
                cursor_text(document.root())
            }),
        })
    }
}

/// A cursor's value as it is sent to the server: strings without their quotes. Nothing for null and structures.
pub(crate) fn cursor_text(value: json::Value<'_>) -> Option<String> {
    match value.kind() {
        ValueKind::String => value.to_text().map(Cow::into_owned),
        ValueKind::Number | ValueKind::True | ValueKind::False => Some(value.raw().to_owned()),
        ValueKind::Null | ValueKind::Array | ValueKind::Object => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_one_source_and_one_target() {
        let poll = Poll::from_json(r#"{"items":"/tasks","cursor":{"item":"/id","query":"since","start":0}}"#)
            .unwrap();
        assert_eq!(
            poll.cursor,
            Some(Cursor {
                from: CursorFrom::Item("/id".to_owned()),
                to: CursorTo::Query("since".to_owned()),
                start: Some("0".to_owned()),
            })
        );
        for bad in [
            r#"{"interval":0}"#,
            r#"{"items":"tasks"}"#,
            r#"{"cursor":{"query":"since"}}"#,
            r#"{"cursor":{"pointer":"/a","header":"X","query":"since"}}"#,
            r#"{"cursor":{"pointer":"/a"}}"#,
        ] {
            assert!(Poll::from_json(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_invalid_post_option_is_named() {
        let why = Post::from_json(r#"{"url":"x","headers":{"X-A":1}}"#).unwrap_err();
        assert!(why.contains("`X-A`"), "{why}");
        assert!(Post::from_json(r#"{"headers":{}}"#).is_err());
    }
}
