//! What one message carries: text, JSON kept as received, bytes, or an event with a name.
//!
//! It does not parse JSON for its content; rules and pointers do that on demand.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::json::{self, Document, JsString};

/// How content is written in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentForm {
    /// A string.
    Text,
    /// As it is.
    Json,
    /// A string of base64.
    Base64,
}

/// One message's content, shared and never copied once kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// UTF-8 text. The bytes are valid UTF-8 by construction.
    Text(Bytes),
    /// One valid JSON value, as received.
    Json(Bytes),
    /// Bytes.
    Binary(Bytes),
    /// An event of Socket.IO or of an event stream.
    Event(Arc<Event>),
}

/// A message that has a name beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event's name; a plain message of an event stream and an acknowledgement have none.
    pub name: Option<JsString>,
    /// Socket.IO's namespace; `None` for the main one, `/`.
    pub namespace: Option<String>,
    /// The newest id an event stream has given.
    pub last_event_id: Option<String>,
    /// The server awaits an acknowledgement.
    pub reply: bool,
    pub content: Content,
}

/// What an event carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A JSON array: Socket.IO's arguments. Bytes among them stand as `{"$base64":"..."}`.
    Args(Bytes),
    /// UTF-8 text.
    Text(Bytes),
    /// One valid JSON value.
    Json(Bytes),
}

impl Content {
    /// The bytes of the JSON or text.
    pub const fn bytes(&self) -> &Bytes {
        match self {
            Self::Args(bytes) | Self::Text(bytes) | Self::Json(bytes) => bytes,
        }
    }
}

impl Payload {
    /// Text from a string.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Bytes::from(text.into()))
    }

    /// Text, if the bytes are valid UTF-8.
    pub fn text_from_utf8(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self::Text(bytes))
    }

    /// JSON, if the bytes are one valid JSON value.
    pub fn json_from_slice(bytes: Bytes) -> Option<Self> {
        json::is_valid(&bytes).then_some(Self::Json(bytes))
    }

    /// An event of Socket.IO with these arguments, a JSON array.
    pub fn args(name: Option<&str>, namespace: Option<&str>, args: impl Into<Bytes>) -> Self {
        Self::Event(Arc::new(Event {
            name: name.map(JsString::from),
            namespace: namespace.filter(|namespace| *namespace != "/").map(str::to_owned),
            last_event_id: None,
            reply: false,
            content: Content::Args(args.into()),
        }))
    }

    /// An event with a name that may be no UTF-8.
    pub(super) fn event_with(name: JsString, namespace: Option<&str>, args: Bytes) -> Self {
        let mut event = Self::args(None, namespace, args);
        if let Self::Event(event) = &mut event
            && let Some(event) = Arc::get_mut(event)
        {
            event.name = Some(name);
        }
        event
    }

    /// The content's size in bytes, before any encoding.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Bytes of what it carries beside its content: an event, its name and its ids.
    pub(crate) fn extras(&self) -> usize {
        match self {
            Self::Event(event) => {
                size_of::<Event>()
                    + event.name.as_ref().map_or(0, |name| name.as_bytes().len())
                    + event.namespace.as_ref().map_or(0, String::len)
                    + event.last_event_id.as_ref().map_or(0, |id| id.len())
            }
            Self::Text(_) | Self::Json(_) | Self::Binary(_) => 0,
        }
    }

    /// Bytes that it takes in memory.
    pub fn held(&self) -> usize {
        size_of::<Self>() + self.len() + self.extras()
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content as it goes to the server; of an event, its arguments or data.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Json(bytes) | Self::Binary(bytes) => bytes,
            Self::Event(event) => event.content.bytes(),
        }
    }

    /// The content as text; `None` for bytes.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Binary(_) => None,
            _ => std::str::from_utf8(self.bytes()).ok(),
        }
    }

    /// The content as JSON, if it is any. Of an event, the array of its arguments.
    pub fn document(&self) -> Option<Document<'_>> {
        self.as_str().and_then(|text| Document::parse(text).ok())
    }

    /// The bytes of a message that is text as a whole; `None` for bytes and for the arguments of an event.
    pub fn text_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) | Self::Json(bytes) => Some(bytes),
            Self::Binary(_) => None,
            Self::Event(event) => match &event.content {
                Content::Text(bytes) | Content::Json(bytes) => Some(bytes),
                Content::Args(_) => None,
            },
        }
    }

    /// The event's name; `None` for what is no event.
    pub fn event(&self) -> Option<&JsString> {
        match self {
            Self::Event(event) => event.name.as_ref(),
            _ => None,
        }
    }

    /// The event's namespace; `None` for what is no event.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Event(event) => Some(event.namespace.as_deref().unwrap_or("/")),
            _ => None,
        }
    }

    /// How the content is written in that field.
    pub(super) fn form(&self) -> ContentForm {
        match self {
            Self::Text(_) => ContentForm::Text,
            Self::Json(_) => ContentForm::Json,
            Self::Binary(_) => ContentForm::Base64,
            Self::Event(event) => match event.content {
                Content::Text(_) => ContentForm::Text,
                Content::Args(_) | Content::Json(_) => ContentForm::Json,
            },
        }
    }

    /// The same without its content.
    pub(super) fn hollow(&self) -> Self {
        match self {
            Self::Text(_) => Self::Text(Bytes::new()),
            Self::Json(_) => Self::Json(Bytes::new()),
            Self::Binary(_) => Self::Binary(Bytes::new()),
            Self::Event(event) => {
                let content = match event.content {
                    Content::Args(_) => Content::Args(Bytes::new()),
                    Content::Text(_) => Content::Text(Bytes::new()),
                    Content::Json(_) => Content::Json(Bytes::new()),
                };
                Self::Event(Arc::new(Event {
                    content,
                    ..Event::clone(event)
                }))
            }
        }
    }

    /// The field that carries the content: `text`, `json`, `base64` or `args`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Json(_) => "json",
            Self::Binary(_) => "base64",
            Self::Event(event) => match event.content {
                Content::Args(_) => "args",
                Content::Text(_) => "text",
                Content::Json(_) => "json",
            },
        }
    }
}

/// Bytes that were checked to be text. Should they ever not be, replacement characters are better than a closed port.
pub(crate) fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    // Much faster than the lossy way alone.
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}
