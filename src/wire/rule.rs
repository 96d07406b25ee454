//! Rules: JSON pointers and the values they must equal; on event servers also an event's name and namespace.
//!
//! No code, no regular expressions: the cost of a rule is the number of its terms.

use std::cell::OnceCell;

use serde_json::Value;

use super::payload::Payload;

/// Every pointer must equal one of its values; an event's name and namespace, if they are named, one of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    terms: Vec<(String, Vec<Value>)>,
    /// Any of these; empty for any at all.
    event: Vec<String>,
    /// Any of these; empty for any at all.
    namespace: Vec<String>,
}

/// Two pointers whose values must be equal: one into what was sent, one into what comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// Into the message sent.
    pub out: String,
    /// Into the message received.
    pub incoming: String,
}

/// A message under a rule's eyes: parsed once, and only if a pointer asks.
#[derive(Debug)]
pub struct Look<'a> {
    payload: &'a Payload,
    value: OnceCell<Option<Value>>,
}

impl<'a> Look<'a> {
    /// A look at this message.
    pub const fn at(payload: &'a Payload) -> Self {
        Self {
            payload,
            value: OnceCell::new(),
        }
    }

    /// The message.
    pub const fn payload(&self) -> &'a Payload {
        self.payload
    }

    /// Its content as JSON, if it is any.
    pub fn value(&self) -> Option<&Value> {
        self.value.get_or_init(|| self.payload.value()).as_ref()
    }
}

impl Rule {
    /// A rule from its JSON object; the error names the term that is wrong.
    pub fn from_value(value: Value) -> Result<Self, String> {
        let Value::Object(map) = value else {
            return Err("a rule is an object of JSON pointers and values".to_owned());
        };
        if map.is_empty() {
            return Err("a rule needs at least one JSON pointer".to_owned());
        }
        Self::from_map(map)
    }

    /// A rule that may be empty, which every message satisfies.
    pub(super) fn from_map(map: serde_json::Map<String, Value>) -> Result<Self, String> {
        let mut rule = Self::default();
        for (term, wanted) in map {
            let wanted = match wanted {
                Value::Array(any) => any,
                one => vec![one],
            };
            match term.as_str() {
                "event" => rule.event = strings("event", wanted)?,
                "namespace" => rule.namespace = strings("namespace", wanted)?,
                _ => {
                    check_pointer(&term)?;
                    rule.terms.push((term, wanted));
                }
            }
        }
        Ok(rule)
    }

    /// Whether the message satisfies every term.
    pub fn matches(&self, message: &Look<'_>) -> bool {
        let named = (self.event.is_empty() && self.namespace.is_empty())
            || (one_of(&self.event, message.payload.event())
                && one_of(&self.namespace, message.payload.namespace()));
        named
            && (self.terms.is_empty()
                || message
                    .value()
                    .is_some_and(|value| self.terms.iter().all(|term| holds(term, value))))
    }
}

fn holds((pointer, wanted): &(String, Vec<Value>), message: &Value) -> bool {
    message
        .pointer(pointer)
        .is_some_and(|found| wanted.iter().any(|wanted| is_same(wanted, found)))
}

/// Whether two values are equal; numbers are, however they are written: `7` and `7.0`.
fn is_same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && other.is_number() && text_of(one) == text_of(other))
}

/// A value as JSON, the same text for equal numbers.
pub fn text_of(value: &Value) -> String {
    match value.as_f64() {
        // Beyond this, neighbours among whole numbers are one float.
        Some(float) if value.is_f64() && float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
            format!("{:.0}", float + 0.0)
        }
        _ => value.to_string(),
    }
}

fn one_of(wanted: &[String], found: Option<&str>) -> bool {
    wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|wanted| wanted == found))
}

fn strings(term: &str, wanted: Vec<Value>) -> Result<Vec<String>, String> {
    let strings: Result<Vec<String>, _> = wanted
        .into_iter()
        .map(|value| match value {
            Value::String(text) => Ok(text),
            _ => Err(format!("`{term}` must be a string or an array of strings")),
        })
        .collect();
    strings.and_then(|strings| {
        if strings.is_empty() {
            Err(format!("`{term}` names nothing"))
        } else {
            Ok(strings)
        }
    })
}

/// Refuses what is not a JSON pointer (RFC 6901).
pub fn check_pointer(pointer: &str) -> Result<(), String> {
    if pointer.is_empty() || pointer.starts_with('/') {
        Ok(())
    } else {
        Err(format!(
            "`{pointer}` is not a JSON pointer: it must start with `/`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(rule: &Rule, message: &Value) -> bool {
        rule.matches(&Look::at(&Payload::text(message.to_string())))
    }

    #[test]
    fn every_term_must_hold_and_an_array_means_any_of() {
        let rule = Rule::from_value(json!({"/type": ["a", "b"], "/id": 7})).unwrap();
        assert!(matches(&rule, &json!({"type": "b", "id": 7, "more": true})));
        assert!(!matches(&rule, &json!({"type": "c", "id": 7})));
        assert!(!matches(&rule, &json!({"type": "a"})));
        assert!(!matches(&rule, &json!("a")));
    }

    #[test]
    fn a_number_is_itself_however_it_is_written() {
        let matches = |rule: Value, text: &str| {
            let rule = Rule::from_value(rule).unwrap();
            rule.matches(&Look::at(&Payload::text(text)))
        };
        assert!(matches(json!({"/id": 7}), r#"{"id":7.0}"#));
        assert!(matches(json!({"/id": [1, 0]}), r#"{"id":-0.0}"#));
        assert!(matches(json!({"/id": 7.5}), r#"{"id":75e-1}"#));
        assert!(matches(json!({"/id": 2.0}), r#"{"id":2}"#));
        assert!(!matches(json!({"/id": 7}), r#"{"id":"7"}"#));
        assert!(!matches(
            json!({"/id": 9_007_199_254_740_993_u64}),
            r#"{"id":9007199254740992.0}"#
        ));
    }

    #[test]
    fn an_event_has_a_name_and_a_namespace_beside_its_arguments() {
        let rule = json!({"event": ["tick", "tock"], "namespace": "/prices", "/0/id": 7});
        let rule = Rule::from_value(rule).unwrap();
        let event = |name: &str, namespace: Option<&str>, args: Value| {
            Payload::args(Some(name), namespace, args.to_string())
        };
        assert!(rule.matches(&Look::at(&event("tock", Some("/prices"), json!([{"id": 7}])))));
        assert!(!rule.matches(&Look::at(&event("tock", Some("/prices"), json!([{"id": 8}])))));
        assert!(!rule.matches(&Look::at(&event("tock", None, json!([{"id": 7}])))));
        assert!(!rule.matches(&Look::at(&event("other", Some("/prices"), json!([{"id": 7}])))));
        assert!(
            !matches(&rule, &json!([{"id": 7}])),
            "a plain message has no name"
        );
        let main = Rule::from_value(json!({"namespace": "/"})).unwrap();
        assert!(main.matches(&Look::at(&event("any", None, json!([])))));
    }

    #[test]
    fn a_bad_term_is_named() {
        for (rule, named) in [
            (json!({"type": "a"}), "`type`"),
            (json!({"event": 7}), "`event`"),
            (json!({"namespace": []}), "`namespace`"),
        ] {
            assert!(Rule::from_value(rule).unwrap_err().contains(named));
        }
        assert!(Rule::from_value(json!({})).is_err());
        assert!(Rule::from_value(json!([1])).is_err());
    }
}
