//! Writes a frame's JSON into a buffer, field by field; nothing is built up first.
//!
//! It does not know the frames.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::wire::json::write_string;
use crate::wire::payload::{Content, Event, Payload, as_text};
use crate::wire::record::ErrorInfo;

/// Builds one JSON object into a buffer, `type` first.
pub(super) struct ObjectWriter<'a>(&'a mut Vec<u8>);

impl<'a> ObjectWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, kind: &str) -> Self {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        Self(out)
    }

    fn key(&mut self, key: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    pub(super) fn text(&mut self, key: &str, text: &str) -> &mut Self {
        self.key(key);
        write_string(self.0, text.as_bytes());
        self
    }

    /// `json` is JSON already.
    pub(super) fn raw(&mut self, key: &str, json: &str) -> &mut Self {
        self.key(key);
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    pub(super) fn number(&mut self, key: &str, number: u64) -> &mut Self {
        self.key(key);
        self.0
            .extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self
    }

    pub(super) fn text_if(&mut self, key: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(key, value);
        }
        self
    }

    pub(super) fn number_if(&mut self, key: &str, value: Option<u64>) -> &mut Self {
        if let Some(value) = value {
            self.number(key, value);
        }
        self
    }

    pub(super) fn flag(&mut self, key: &str, flag: bool) -> &mut Self {
        self.key(key);
        self.0.extend_from_slice(if flag { b"true" } else { b"false" });
        self
    }

    pub(super) fn value(&mut self, key: &str, value: &impl Serialize) -> &mut Self {
        self.key(key);
        json(self.0, value);
        self
    }

    pub(super) fn payload(&mut self, payload: &Payload) -> &mut Self {
        match payload {
            Payload::Text(bytes) => {
                self.key("text");
                text(self.0, bytes);
            }
            Payload::Json(bytes) => {
                self.key("json");
                self.0.extend_from_slice(bytes);
            }
            Payload::Binary(bytes) => {
                self.key("base64");
                self.0.push(b'"');
                let start = self.0.len();
                let encoded = base64::encoded_len(bytes.len(), true).unwrap_or(0);
                self.0.resize(start + encoded, 0);
                let written = BASE64.encode_slice(bytes, &mut self.0[start..]).unwrap_or(0);
                self.0.truncate(start + written);
                self.0.push(b'"');
            }
            Payload::Event(event) => self.event(event),
        }
        self
    }

    fn event(&mut self, event: &Event) {
        if let Some(name) = &event.name {
            self.raw("event", &name.to_json());
        }
        match &event.content {
            Content::Text(bytes) => {
                self.text("text", &as_text(bytes));
            }
            Content::Json(bytes) | Content::Args(bytes) => {
                let key = if matches!(event.content, Content::Json(_)) {
                    "json"
                } else {
                    "args"
                };
                self.key(key);
                self.0.extend_from_slice(bytes);
            }
        }
        if let Some(namespace) = &event.namespace {
            self.text("namespace", namespace);
        }
        if let Some(id) = &event.last_event_id {
            self.text("lastEventId", id);
        }
        if event.reply {
            self.flag("reply", true);
        }
    }

    pub(super) fn error(&mut self, error: &ErrorInfo) -> &mut Self {
        self.key("error");
        self.0.extend_from_slice(b"{\"code\":\"");
        self.0.extend_from_slice(error.code.as_str().as_bytes());
        self.0.extend_from_slice(b"\",\"message\":");
        write_string(self.0, error.message.as_bytes());
        self.0.extend_from_slice(b",\"retry\":\"");
        self.0.extend_from_slice(error.code.retry().as_str().as_bytes());
        self.0.extend_from_slice(b"\"}");
        self
    }

    pub(super) fn end(&mut self) {
        self.0.push(b'}');
    }
}

/// Appends text as a JSON string.
pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    write_string(out, as_text(bytes).as_bytes());
}

fn json(out: &mut Vec<u8>, value: &impl Serialize) {
    if serde_json::to_writer(&mut *out, value).is_err() {
        // Writing to memory cannot fail for these types; `null` keeps the frame whole if it ever does.
        let _ = out.write_all(b"null");
    }
}
