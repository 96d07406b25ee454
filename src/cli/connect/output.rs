//! What `longwire connect` shows of frames: messages, states of the link, counters.
//!
//! It prints nothing itself.

use serde_json::Value;

use super::super::args::ConnectArgs;
use super::super::text::{harmless, harmless_json};
use super::json_text::{indented, is_json};

/// How messages are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageFormat {
    /// JSON over several lines.
    is_indented: bool,
    /// Bytes as base64 without a mark, as `--binary` reads them.
    is_bare_base64: bool,
}

impl MessageFormat {
    /// What the flags ask for; where they do not say, a person gets JSON indented.
    pub(super) const fn new(connect: &ConnectArgs, is_person: bool) -> Self {
        Self {
            is_indented: connect.json || (is_person && !connect.raw),
            is_bare_base64: connect.binary,
        }
    }

    /// The content of a `message` frame.
    pub(super) fn text(self, frame: &Value) -> String {
        let text = match (&frame["text"], &frame["base64"]) {
            (Value::String(text), _) => text.clone(),
            (_, Value::String(bytes)) if self.is_bare_base64 => bytes.clone(),
            (_, Value::String(bytes)) => format!("base64:{bytes}"),
            _ => frame["json"].to_string(),
        };
        if let Some(indented) = indented(&text).filter(|_| self.is_indented) {
            harmless_json(&indented)
        } else if is_json(&text) {
            harmless_json(&text)
        } else {
            let lines: Vec<String> = text.split('\n').map(harmless).collect();
            lines.join("\n")
        }
    }
}

/// A `state` frame in one line.
pub(super) fn state_line(frame: &Value) -> String {
    let state = frame["state"].as_str().unwrap_or_default();
    let why = ["code", "status", "reason", "subprotocol"]
        .iter()
        .filter(|key| !frame[**key].is_null())
        .map(|key| format!(" {key} {}", frame[*key]))
        .collect::<String>();
    let error = frame["error"]["message"]
        .as_str()
        .map(|message| format!(": {message}"))
        .unwrap_or_default();
    harmless(&format!("{state}{why}{error}"))
}

/// The counters of this session in a `status` frame, a line for each; of one that answers `/ping`, the round trip.
pub(super) fn counter_lines(frame: &Value, session: &str) -> Vec<String> {
    let sessions = frame["sessions"].as_array().into_iter().flatten();
    let mut mine = sessions.filter(|other| other["session"] == session);
    let Some(session) = mine.next() else {
        return Vec::new();
    };
    if frame["id"] == "ping" {
        let trip = session["rtt"]["p50"].as_u64();
        let trip = trip.map_or_else(|| "not measured yet".to_owned(), |trip| format!("{trip} us"));
        return vec![format!("server: {trip}")];
    }
    let keys = [
        "state",
        "received",
        "sent",
        "queued",
        "outbox",
        "reconnects",
        "rtt",
    ];
    keys.iter()
        .filter(|key| !session[**key].is_null())
        .map(|key| format!("{key}: {}", session[*key]))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_is_printed_with_its_reason_and_no_control_character() {
        let closed = json!({"state": "closed", "code": 1000, "reason": "so\u{1b}[2J long"});
        assert_eq!(state_line(&json!({"state": "open"})), "open");
        let line = state_line(&closed);
        assert!(line.starts_with("closed code 1000 reason "), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }

    #[test]
    fn counters_belong_to_the_given_session() {
        let mut frame = json!({"id": "status", "sessions": [
            {"session": "other", "queued": 9},
            {"session": "connect", "queued": 3, "rtt": {"p50": 250}},
        ]});
        assert_eq!(
            counter_lines(&frame, "connect"),
            ["queued: 3", "rtt: {\"p50\":250}"]
        );
        frame["id"] = "ping".into();
        assert_eq!(counter_lines(&frame, "connect"), ["server: 250 us"]);
        assert!(counter_lines(&frame, "neither").is_empty());
    }
}
