//! What one message carries: text, JSON kept as received, or bytes.
//!
//! It does not parse JSON for its content; rules and pointers do that on demand.

use bytes::Bytes;
use serde_json::Value;

/// One message's content, shared and never copied once kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// UTF-8 text. The bytes are valid UTF-8 by construction.
    Text(Bytes),
    /// One valid JSON value, as received.
    Json(Bytes),
    /// Bytes.
    Binary(Bytes),
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
        serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
            .is_ok()
            .then_some(Self::Json(bytes))
    }

    /// The content's size in bytes, before any encoding.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content as it goes to the server.
    pub const fn bytes(&self) -> &Bytes {
        match self {
            Self::Text(bytes) | Self::Json(bytes) | Self::Binary(bytes) => bytes,
        }
    }

    /// The content as text; `None` for bytes.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) | Self::Json(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Binary(_) => None,
        }
    }

    /// The content as a JSON value, if it is one.
    pub fn value(&self) -> Option<Value> {
        self.as_str().and_then(|text| serde_json::from_str(text).ok())
    }
}
