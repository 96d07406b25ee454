//! Rules: JSON pointers and the values they must equal.
//!
//! No code, no regular expressions: the cost of a rule is the number of its pointers.

use serde_json::Value;

/// Every pointer must equal one of its values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    terms: Vec<(String, Vec<Value>)>,
}

/// Two pointers whose values must be equal: one into what was sent, one into what comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// Into the message sent.
    pub out: String,
    /// Into the message received.
    pub incoming: String,
}

impl Rule {
    /// A rule from its JSON object; the error names the pointer that is wrong.
    pub fn from_value(value: Value) -> Result<Self, String> {
        let Value::Object(map) = value else {
            return Err("a rule is an object of JSON pointers and values".to_owned());
        };
        if map.is_empty() {
            return Err("a rule needs at least one JSON pointer".to_owned());
        }
        let mut terms = Vec::with_capacity(map.len());
        for (pointer, wanted) in map {
            check_pointer(&pointer)?;
            let wanted = match wanted {
                Value::Array(any) => any,
                one => vec![one],
            };
            terms.push((pointer, wanted));
        }
        Ok(Self { terms })
    }

    /// The rule as its JSON object.
    pub fn to_value(&self) -> Value {
        Value::Object(
            self.terms
                .iter()
                .map(|(pointer, wanted)| match wanted.as_slice() {
                    [one] if !one.is_array() => (pointer.clone(), one.clone()),
                    any => (pointer.clone(), Value::Array(any.to_vec())),
                })
                .collect(),
        )
    }

    /// Whether the message satisfies every term.
    pub fn matches(&self, message: &Value) -> bool {
        self.terms.iter().all(|(pointer, wanted)| {
            message
                .pointer(pointer)
                .is_some_and(|found| wanted.contains(found))
        })
    }
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

    #[test]
    fn every_term_must_hold_and_an_array_means_any_of() {
        let rule = Rule::from_value(json!({"/type": ["a", "b"], "/id": 7})).unwrap();
        assert!(rule.matches(&json!({"type": "b", "id": 7, "more": true})));
        assert!(!rule.matches(&json!({"type": "c", "id": 7})));
        assert!(!rule.matches(&json!({"type": "a"})));
        assert!(!rule.matches(&json!("a")));
    }

    #[test]
    fn a_bad_pointer_is_named() {
        assert!(
            Rule::from_value(json!({"type": "a"}))
                .unwrap_err()
                .contains("`type`")
        );
        assert!(Rule::from_value(json!({})).is_err());
        assert!(Rule::from_value(json!([1])).is_err());
    }
}
