//! The first packet of an Engine.IO session: `0` and an object.
//!
//! Its numbers are read as JavaScript reads them: servers write them as text or as floats, too.

use std::time::Duration;

use crate::wire::json::{Document, Value, ValueKind};

/// Longest time that is waited for a server that is silent.
const MAX_PING_TIMEOUT_MS: f64 = 86_400_000.0;

/// A server's description of the session that it has opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) sid: Option<String>,
    /// Transports that it can go on to.
    pub(crate) upgrades: Vec<String>,
    /// How long it may be silent: both of its times.
    pub(crate) ping_timeout: Option<Duration>,
    /// Bytes of one packet that it takes.
    pub(crate) max_payload: Option<usize>,
}

impl Greeting {
    /// Reads the object.
    ///
    /// # Errors
    /// A sentence about what is wrong with it.
    pub(crate) fn read(json: &str) -> Result<Self, String> {
        let document = Document::parse(json).map_err(|error| error.to_string())?;
        let root = document.root();
        if root.kind() != ValueKind::Object {
            return Err("it is not an object".to_owned());
        }
        let upgrades = root.get(b"upgrades").map_or_else(Vec::new, |list| {
            list.elements()
                .filter_map(|upgrade| Some(upgrade.to_text()?.into_owned()))
                .collect()
        });
        let times = (root.get(b"pingInterval"), root.get(b"pingTimeout"));
        Ok(Self {
            sid: root.get(b"sid").and_then(text),
            upgrades,
            ping_timeout: match times {
                (Some(interval), Some(timeout)) => Some(milliseconds(interval)? + milliseconds(timeout)?),
                _ => None,
            },
            max_payload: root.get(b"maxPayload").and_then(Value::to_number).and_then(size),
        })
    }
}

fn text(value: Value<'_>) -> Option<String> {
    match value.kind() {
        ValueKind::String => value.to_text().map(std::borrow::Cow::into_owned),
        ValueKind::Number => Some(value.raw().to_owned()),
        _ => None,
    }
}

fn milliseconds(value: Value<'_>) -> Result<Duration, String> {
    value
        .to_number()
        .filter(|number| *number >= 0.0)
        .map(|number| Duration::from_secs_f64(number.min(MAX_PING_TIMEOUT_MS) / 1000.0))
        .ok_or_else(|| format!("`{:.40}` is not a time in milliseconds", value.raw()))
}

/// Nothing for what is no size: no limit, then.
fn size(number: f64) -> Option<usize> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates"
    )]
    (number >= 1.0).then_some(number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_parsed_in_every_notation() {
        for numbers in [
            r#""pingInterval":15000,"pingTimeout":5000,"maxPayload":1000000"#,
            r#""pingInterval":"15000","pingTimeout":"5000","maxPayload":"1e6""#,
            r#""pingInterval":15000.0,"pingTimeout":5e3,"maxPayload":1000000.0"#,
        ] {
            let greeting =
                Greeting::read(&format!(r#"{{"sid":"x","upgrades":["websocket"],{numbers}}}"#)).unwrap();
            assert_eq!(greeting.ping_timeout, Some(Duration::from_secs(20)), "{numbers}");
            assert_eq!(greeting.max_payload, Some(1_000_000), "{numbers}");
            assert_eq!(greeting.upgrades, ["websocket"]);
        }
    }

    #[test]
    fn invalid_values_are_named_or_clamped() {
        let odd = r#"{"sid":7,"pingInterval":"soon","pingTimeout":1}"#;
        assert!(Greeting::read(odd).unwrap_err().contains("soon"));
        assert!(Greeting::read("[]").is_err());
        let half =
            Greeting::read(r#"{"sid":7,"note":"\ud83d","pingInterval":1e999,"pingTimeout":0}"#).unwrap();
        assert_eq!((half.sid.as_deref(), half.max_payload), (Some("7"), None));
        assert_eq!(half.ping_timeout, Some(Duration::from_secs(86_400)));
    }
}
