//! Single fields of frames from the extension: names, payloads, what confirms a message.
//!
//! Which frame has which fields is in `reading`.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::from_extension::Match;
use crate::wire::code::Code;
use crate::wire::json::{JsString, element_ranges};
use crate::wire::object::{read_object, read_value};
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name, is_name, json_error_text};
use crate::wire::rule::{Correlation, check_pointer};

/// Bytes of an event's name, at most.
const MAX_EVENT_NAME_BYTES: usize = 1024;

/// Bytes of a field that carries no message: its values are read one by one, and each takes more than its text.
pub(crate) const MAX_FIELD_BYTES: usize = 1 << 20;
/// Messages that one field may list.
pub(crate) const MAX_LISTED: usize = 1024;

/// The fields of a payload.
#[derive(Deserialize)]
pub(super) struct PayloadFields<'a> {
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) json: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) base64: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) event: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) namespace: Option<&'a RawValue>,
}

/// A field that is there with any value, `null` included.
pub(super) fn present<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads a payload object: exactly one of `text`, `json`, `base64`, or an `event` with its `args`.
///
/// # Errors
/// `bad-frame` when there is none, more than one, or its content does not fit its form.
pub fn read_payload(raw: &RawValue) -> Result<Payload, ErrorInfo> {
    let form: PayloadFields<'_> =
        read_object(raw.get()).map_err(|why| ErrorInfo::new(Code::BadFrame, why))?;
    form.payload()
}

impl PayloadFields<'_> {
    pub(super) fn payload(&self) -> Result<Payload, ErrorInfo> {
        let plain = [self.text, self.json, self.base64].into_iter().flatten().count();
        match self.event {
            Some(name) if plain == 0 => self.event_payload(name),
            None if plain == 1 => {
                self.check_no_event_fields()?;
                payload_of(self.text, self.json, self.base64)
            }
            _ => Err(no_payload()),
        }
    }

    /// They belong to an `event`: a message that is none has a place of its own.
    fn check_no_event_fields(&self) -> Result<(), ErrorInfo> {
        for (field, value) in [("args", self.args), ("namespace", self.namespace)] {
            if value.is_some() {
                return Err(wrong(field, "it needs an `event`"));
            }
        }
        Ok(())
    }

    fn event_payload(&self, name: &RawValue) -> Result<Payload, ErrorInfo> {
        check_size(name).map_err(|why| wrong("event", why))?;
        let name = js_string("event", name)?;
        if !(1..=MAX_EVENT_NAME_BYTES).contains(&name.as_bytes().len()) {
            let why = format!("it must have 1 to {MAX_EVENT_NAME_BYTES} bytes");
            return Err(wrong("event", why));
        }
        let namespace: Option<String> = optional("namespace", self.namespace)?;
        if namespace
            .as_ref()
            .is_some_and(|namespace| !is_namespace(namespace))
        {
            return Err(wrong("namespace", "it must start with `/` and have no comma"));
        }
        let args = match self.args {
            None => Bytes::from_static(b"[]"),
            Some(raw) => array("args", raw)?,
        };
        Ok(Payload::event_with(name, namespace.as_deref(), args))
    }
}

/// Whether this can be a namespace of Socket.IO.
pub(crate) fn is_namespace(text: &str) -> bool {
    text.starts_with('/') && text.len() <= 256 && !text.contains(',') && !text.chars().any(char::is_control)
}

/// A JSON array, as received.
pub(super) fn array(field: &str, raw: &RawValue) -> Result<Bytes, ErrorInfo> {
    if raw.get().starts_with('[') {
        Ok(Bytes::copy_from_slice(raw.get().as_bytes()))
    } else {
        Err(wrong(field, "it must be an array"))
    }
}

/// The text of a message. Nearly every one is a string that serde reads at half the cost.
fn text_of(raw: &RawValue) -> Result<String, ErrorInfo> {
    match serde_json::from_str(raw.get()) {
        Ok(text) => Ok(text),
        Err(_) => js_string("text", raw).map(|text| text.to_string_lossy().into_owned()),
    }
}

/// A string as `JSON.stringify` writes it: it may hold half of an emoji.
fn js_string(field: &str, raw: &RawValue) -> Result<JsString, ErrorInfo> {
    if !raw.get().starts_with('"') {
        return Err(wrong(field, "it must be a string"));
    }
    Ok(JsString::from_json(raw.get()))
}

fn no_payload() -> ErrorInfo {
    ErrorInfo::new(
        Code::BadFrame,
        "a payload is exactly one of the fields `text`, `json` and `base64`, or an `event` with `args`",
    )
}

fn payload_of(
    text: Option<&RawValue>,
    json: Option<&RawValue>,
    base64: Option<&RawValue>,
) -> Result<Payload, ErrorInfo> {
    match (text, json, base64) {
        (Some(raw), None, None) => Ok(Payload::text(text_of(raw)?)),
        (None, Some(raw), None) => Ok(Payload::Json(Bytes::copy_from_slice(raw.get().as_bytes()))),
        (None, None, Some(raw)) => {
            let text: Cow<'_, str> =
                serde_json::from_str(raw.get()).map_err(|error| wrong("base64", json_error_text(&error)))?;
            let bytes = BASE64
                .decode(text.as_bytes())
                .map_err(|error| wrong("base64", error))?;
            Ok(Payload::Binary(bytes.into()))
        }
        _ => Err(no_payload()),
    }
}

pub(super) fn correlation(field: &str, raw: &RawValue) -> Result<Correlation, ErrorInfo> {
    #[derive(Deserialize)]
    struct CorrelationFields {
        out: String,
        #[serde(rename = "in")]
        incoming: String,
    }
    let form: CorrelationFields = fields(field, raw)?;
    for pointer in [&form.out, &form.incoming] {
        check_pointer(pointer).map_err(|why| wrong(field, why))?;
    }
    Ok(Correlation {
        out: form.out,
        incoming: form.incoming,
    })
}

#[derive(Deserialize)]
pub(super) struct Preset {
    #[serde(default)]
    jsonrpc: bool,
    #[serde(default)]
    pub(super) ack: bool,
}

pub(super) fn preset(field: &str, raw: &RawValue) -> Result<Preset, ErrorInfo> {
    fields(field, raw)
}

/// A field that is an object.
pub(super) fn fields<T: DeserializeOwned>(field: &str, raw: &RawValue) -> Result<T, ErrorInfo> {
    check_size(raw).map_err(|why| wrong(field, why))?;
    read_object(raw.get()).map_err(|why| wrong(field, why))
}

pub(super) fn matching(raw: &RawValue) -> Result<Match, ErrorInfo> {
    let preset = preset("match", raw)?;
    if preset.jsonrpc {
        return Ok(Match::JsonRpc);
    }
    if preset.ack {
        return Ok(Match::Ack);
    }
    correlation("match", raw).map(Match::Pointers)
}

/// A name or id: 1 to 128 characters, no control characters.
pub(super) fn name(field: &str, raw: &RawValue) -> Result<Name, ErrorInfo> {
    let text: Cow<'_, str> = required(field, Some(raw))?;
    if !is_name(&text) {
        return Err(wrong(
            field,
            "it must have 1 to 128 characters and no control characters",
        ));
    }
    Ok(Arc::from(&*text))
}

pub(super) fn required_name(field: &str, raw: Option<&RawValue>) -> Result<Name, ErrorInfo> {
    name(field, raw.ok_or_else(|| missing(field))?)
}

pub(super) fn optional_name(field: &str, raw: Option<&RawValue>) -> Result<Option<Name>, ErrorInfo> {
    raw.map(|raw| name(field, raw)).transpose()
}

pub(super) fn required<T: serde::de::DeserializeOwned>(
    field: &str,
    raw: Option<&RawValue>,
) -> Result<T, ErrorInfo> {
    let raw = raw.ok_or_else(|| missing(field))?;
    check_size(raw).map_err(|why| wrong(field, why))?;
    serde_json::from_str(raw.get()).or_else(|_| read_value(raw.get()).map_err(|why| wrong(field, why)))
}

/// Refuses what is too large for a field that carries no message.
pub(crate) fn check_size(raw: &RawValue) -> Result<(), String> {
    match raw.get().len() {
        0..=MAX_FIELD_BYTES => Ok(()),
        bytes => Err(format!(
            "it has {bytes} bytes; at most {MAX_FIELD_BYTES} are read"
        )),
    }
}

/// Messages that a field lists.
pub(super) fn payloads(field: &str, raw: Option<&RawValue>) -> Result<Vec<Payload>, ErrorInfo> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let is_array = raw.get().starts_with('[');
    if is_array && element_ranges(raw.get().as_bytes()).nth(MAX_LISTED).is_some() {
        return Err(wrong(field, format!("it lists more than {MAX_LISTED} messages")));
    }
    let listed: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|error| wrong(field, json_error_text(&error)))?;
    let read = |raw: &RawValue| read_payload(raw).map_err(|error| wrong(field, error.message));
    listed.into_iter().map(read).collect()
}

pub(super) fn optional<T: DeserializeOwned>(
    field: &str,
    raw: Option<&RawValue>,
) -> Result<Option<T>, ErrorInfo> {
    raw.map(|raw| required(field, Some(raw))).transpose()
}

pub(super) fn missing(field: &str) -> ErrorInfo {
    ErrorInfo::new(Code::BadFrame, format!("field `{field}` is missing"))
}

pub(super) fn wrong(field: &str, why: impl std::fmt::Display) -> ErrorInfo {
    ErrorInfo::new(Code::BadFrame, format!("field `{field}`: {why}"))
}
