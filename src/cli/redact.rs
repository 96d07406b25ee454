//! Removes private data from frames, so that a recording can be published and still be replayed.
//!
//! Everything is taken out that is not known to be harmless: of a text its length stays, of JSON its form, of a URL its
//! scheme. Names and ids that the extension has chosen stay, since the recording could not be understood without them; so do
//! pointers and the protocol's own names, since the broker would refuse the frame without them.

use serde_json::Value;

/// Fields whose text stays, wherever they stand outside of payloads.
const PUBLIC_FIELDS: &[&str] = &[
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
    // Pointers into messages.
    "out",
    "in",
    "pointer",
    "item",
    "items",
    "keep",
];

/// Fields that name something. The extension chooses the names, and may make them of an address.
const NAMES: &[&str] = &["session", "client", "profile", "key", "id"];

/// Texts that stay wherever the protocol has a fixed set of values.
const PUBLIC_VALUES: &[&str] = &[
    "websocket",
    "sse",
    "poll",
    "socket.io",
    "polling",
    "system",
    "none",
    "provider",
    // What a close code does.
    "retry",
    "auth",
    "stop",
    // What a guard asks for.
    "string",
    "number",
    "integer",
    "boolean",
    "object",
    "array",
    "null",
];

/// Addresses keep this much of them, wherever they stand.
const SCHEMES: &[&str] = &["ws", "wss", "http", "https", "socks5", "socks5h"];

/// Fields whose own fields are the user's: no name in them says that a value is harmless.
const SECRETS: &[&str] = &["headers", "cookies", "auth"];

/// Fields whose whole content is hidden, numbers too.
const PAYLOADS: &[&str] = &["text", "json", "base64", "args", "data"];

/// Takes out what is private, from frame to frame of one record.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    /// Names that hold an address: each has a number in the record, so that the sessions stay apart.
    names: Vec<String>,
}

impl Redactor {
    /// Takes out what is private.
    pub(super) fn redact(&mut self, frame: &mut Value) {
        self.walk(frame, "");
    }

    fn walk(&mut self, value: &mut Value, key: &str) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match name.as_str() {
                        "base64" => hide_bytes(value),
                        "subprotocols" if value.is_array() => number(value),
                        name if PAYLOADS.contains(&name) => hide(value),
                        // What a rule waits for stands in messages.
                        name if (SECRETS.contains(&name) || name.starts_with('/'))
                            && !value.as_str().is_some_and(is_public_value) =>
                        {
                            hide(value)
                        }
                        name => self.walk(value, name),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item, key)),
            Value::String(text) => self.text(text, key),
            _ => {}
        }
    }

    fn text(&mut self, text: &mut String, key: &str) {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_owned());
        if NAMES.contains(&key) && scheme.is_some() {
            *text = self.name(text);
        } else if let Some(scheme) = scheme.filter(|scheme| SCHEMES.contains(&scheme.as_str())) {
            *text = format!("{scheme}://redacted.invalid/");
        } else if key == "url" {
            "wss://redacted.invalid/".clone_into(text);
        } else if !PUBLIC_FIELDS.contains(&key) && !is_public_value(text) {
            *text = blank(text);
        }
    }

    /// What stands for a name that holds an address, as sockets have it that are named by their URL.
    fn name(&mut self, name: &str) -> String {
        let known = self.names.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        format!("redacted-{}", index + 1)
    }
}

/// Whether it is a name of the protocol, or the type of something that need not be there?
fn is_public_value(text: &str) -> bool {
    PUBLIC_VALUES.contains(&text.strip_suffix('?').unwrap_or(text))
}

/// Subprotocols may be credentials. Each is a token, and stands once.
fn number(value: &mut Value) {
    for (index, item) in value.as_array_mut().into_iter().flatten().enumerate() {
        *item = format!("redacted-{index}").into();
    }
}

/// Of a payload only the structure stays; the names of fields are part of it.
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

/// As long as it was; what begins with a slash, as paths and namespaces must, goes on to.
fn blank(text: &str) -> String {
    let slash = if text.starts_with('/') { "/" } else { "" };
    slash.to_owned() + &"x".repeat(text.chars().count() - slash.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_private_value_remains() {
        let mut frame = json!({"type": "batch", "frames": [
            {"type": "open", "id": "1", "session": "s", "url": "wss://u:SECRET@SECRET.com/SECRET?token=SECRET",
             "options": {"headers": {"Authorization": "Bearer SECRET", "key": "SECRET", "session": "SECRET"},
                         "cookies": "a=SECRET", "linger": 5, "subprotocols": ["bearer", "SECRET"],
                         "socketio": {"auth": {"key": "SECRET", "id": "SECRET", "pin": 4711}},
                         "greeting": [{"json": {"auth": "SECRET", "pin": 4711}}], "ready": {"/user": "SECRET", "/pin": 4711},
                         "post": {"url": "https://SECRET/", "headers": {"code": "SECRET"}},
                         "urls": {"sse": "https://SECRET/"}, "proxy": "http://u:SECRET@SECRET/"}},
            {"type": "send", "session": "s", "text": "SECRET", "confirm": {"out": "/id", "in": "/id"}},
            {"type": "send", "session": "s", "base64": "U0VDUkVU"},
            {"type": "authorize", "session": "s", "nonce": "SECRET", "failed": "SECRET",
             "headers": {"key": "SECRET"}, "subprotocols": ["SECRET"], "auth": {"key": "SECRET"}},
            {"type": "part", "part": "p", "index": 0, "last": true, "data": "SECRET"},
            {"type": "error", "code": "refused", "retry": "later", "message": "cannot reach SECRET"},
        ]});
        Redactor::default().redact(&mut frame);
        let redacted = frame.to_string();
        for private in ["SECRET", "U0VD", "4711"] {
            assert!(!redacted.contains(private), "{private}: {redacted}");
        }
        assert_eq!(frame["frames"][0]["url"], "wss://redacted.invalid/");
        assert_eq!(frame["frames"][0]["options"]["linger"], 5);
        assert_eq!(frame["frames"][1]["text"], "xxxxxx");
        assert_eq!(frame["frames"][2]["base64"], "AAAAAAAA");
        assert_eq!(frame["frames"][5]["code"], "refused");
    }

    #[test]
    fn session_names_that_contain_a_url_are_numbered() {
        let mut redactor = Redactor::default();
        let mut redacted = |name: &str| {
            let mut frame = json!({"type": "send", "session": name, "text": "x"});
            redactor.redact(&mut frame);
            frame["session"].as_str().unwrap().to_owned()
        };
        let one = redacted("socket wss://bank.example/accounts/4711");
        assert_eq!(one, "redacted-1");
        assert_eq!(redacted("io https://bank.example/socket.io/"), "redacted-2");
        assert_eq!(redacted("socket wss://bank.example/accounts/4711"), one);
        assert_eq!(redacted("prices"), "prices");
        let mut welcome =
            json!({"type": "welcome", "sessions": [{"session": "wss://bank.example/", "state": "open"}]});
        Redactor::default().redact(&mut welcome);
        assert!(!welcome.to_string().contains("bank"), "{welcome}");
    }

    #[test]
    fn redacted_frames_are_valid() {
        use crate::wire::message::ClientFrame;

        let vectors: Vec<Value> =
            serde_json::from_str(include_str!("../../tests/vectors/to-broker.json")).unwrap();
        let more = json!({"type": "open", "id": "o", "session": "s", "url": "wss://a/b", "options": {
            "transports": ["websocket", "sse"], "urls": {"sse": "https://a/b"}, "auth": "provider", "proxy": "system",
            "subprotocols": ["one", "two"], "closeCodes": {"4000": "stop"}, "reconnect": false,
            "socketio": {"path": "/socket.io/v2", "namespaces": ["/chat"], "transports": ["polling"], "auth": {"token": "x"}},
            "guard": {"send": [{"when": {"/op": "order"}, "types": {"/id": "integer", "/note": "string?"}}]}}});
        let filter = json!({"type": "subscribe", "session": "s", "id": "u", "key": "k", "filter": [
            {"when": {"/type": "tick"}, "do": "project", "keep": ["/symbol", "/price"]}]});
        let frames = vectors.into_iter().map(|vector| vector["frame"].clone());
        for mut frame in frames.chain([more, filter]) {
            let parsed = |frame: &Value| {
                ClientFrame::parse(frame.to_string().as_bytes()).map_err(|refusal| refusal.error)
            };
            let before = parsed(&frame);
            Redactor::default().redact(&mut frame);
            let after = parsed(&frame);
            assert_eq!(after.is_ok(), before.is_ok(), "{frame}: {after:?}");
        }
    }
}
