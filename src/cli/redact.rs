//! Frames without what is private: fit for a bug report, and still fit to be sent again.
//!
//! Everything is taken out that is not known to be harmless: of a text its length stays, of JSON its form, of a URL its
//! scheme. Names and ids that the extension has chosen stay, since nobody could follow the talk without them.

use serde_json::Value;

/// Fields whose text stays, wherever they stand outside of payloads.
const KEPT: &[&str] = &[
    "type",
    "id",
    "session",
    "client",
    "profile",
    "instance",
    "sdk",
    "origin",
    "version",
    "broker",
    "state",
    "code",
    "retry",
    "resume",
    "epoch",
    "conflict",
    "outcome",
    "durability",
    "continuity",
    "overflow",
    "format",
    "protocol",
    "part",
    "key",
    "do",
    "ifLost",
    "kind",
    "preset",
    "capabilities",
    "needs",
    "accepts",
    "ignored",
    "subprotocol",
    "subprotocols",
];

/// Fields whose whole content is hidden, numbers too.
const PAYLOADS: &[&str] = &["text", "json", "base64", "args", "data"];

/// Takes out what is private.
pub(super) fn redact(frame: &mut Value) {
    walk(frame, "");
}

fn walk(value: &mut Value, key: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "base64" => hide_bytes(value),
                    name if PAYLOADS.contains(&name) => hide(value),
                    name => walk(value, name),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, key)),
        Value::String(text) if key == "url" => {
            let scheme = text.split_once(':').map_or("wss", |(scheme, _)| scheme);
            *text = format!("{scheme}://redacted.invalid/");
        }
        Value::String(text) if !KEPT.contains(&key) => *text = blank(text),
        _ => {}
    }
}

/// Of what is said only the form stays; the names of fields are part of it.
fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(hide),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::String(text) => *text = blank(text),
        Value::Number(_) => *value = 0.into(),
        Value::Bool(_) | Value::Null => {}
    }
}

fn hide_bytes(value: &mut Value) {
    match value {
        Value::String(text) => *text = "A".repeat(text.len() / 4 * 4),
        other => hide(other),
    }
}

fn blank(text: &str) -> String {
    "x".repeat(text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_private_is_left() {
        let mut frame = json!({"type": "batch", "frames": [
            {"type": "open", "id": "1", "session": "s", "url": "wss://u:SECRET@SECRET.com/SECRET?token=SECRET",
             "options": {"headers": {"Authorization": "Bearer SECRET"}, "cookies": "a=SECRET", "linger": 5,
                         "greeting": [{"json": {"auth": "SECRET", "pin": 4711}}], "ready": {"/user": "SECRET"},
                         "post": {"url": "https://SECRET/"}}},
            {"type": "send", "session": "s", "text": "SECRET", "confirm": {"out": "/id", "in": "/id"}},
            {"type": "send", "session": "s", "base64": "U0VDUkVU"},
            {"type": "authorize", "session": "s", "nonce": "SECRET", "failed": "SECRET"},
            {"type": "part", "part": "p", "index": 0, "last": true, "data": "SECRET"},
            {"type": "error", "code": "refused", "retry": "later", "message": "cannot reach SECRET"},
        ]});
        redact(&mut frame);
        let told = frame.to_string();
        for private in ["SECRET", "U0VD", "4711"] {
            assert!(!told.contains(private), "{private}: {told}");
        }
        assert_eq!(frame["frames"][0]["url"], "wss://redacted.invalid/");
        assert_eq!(frame["frames"][0]["options"]["linger"], 5);
        assert_eq!(frame["frames"][1]["text"], "xxxxxx");
        assert_eq!(frame["frames"][2]["base64"], "AAAAAAAA");
        assert_eq!(frame["frames"][5]["code"], "refused");
    }
}
