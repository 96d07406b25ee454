//! What a filter line remembers of each value of its `key`: the newest message with it, or how often it has come.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use crate::wire::filter::SampleRate;
use crate::wire::rule::{ParsedMessage, PointedValue};

/// Bytes of a value of `key` that is remembered.
const MAX_KEY_BYTES: usize = 128;
/// Bytes of a value of `key` that is distinguished from others.
const MAX_HASHED_VALUE: usize = 64 << 10;
/// Values of `key` one line remembers. Beyond that it forgets: more is delivered than was asked for, never less.
const MAX_VALUES: usize = 4096;
/// What a value that is remembered takes.
pub(super) const COST: usize = 256;

/// What one line remembers of each value of its `key`.
#[derive(Debug, Default)]
pub(super) struct KeyValues {
    /// For `conflate`: the newest number for each value. For `sample`: the count, or milliseconds of awake time.
    values: HashMap<String, u64>,
}

impl KeyValues {
    /// How many values are remembered.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The number noted for this value.
    pub(super) fn number_of(&self, value: &str) -> Option<u64> {
        self.values.get(value).copied()
    }

    /// Notes the newest number for this value.
    pub(super) fn note(&mut self, value: String, number: u64) {
        if self.values.len() >= MAX_VALUES && !self.values.contains_key(&value) {
            self.values.clear();
        }
        self.values.insert(value, number);
    }

    /// Counts one more of this value; `true` if it is among the sample.
    pub(super) fn count_sample(&mut self, value: String, rate: SampleRate, awake: Duration) -> bool {
        let last = self.number_of(&value);
        match rate {
            SampleRate::Every(every) => {
                let count = last.map_or(0, |count| (count + 1) % every);
                self.note(value, count);
                count == 0
            }
            SampleRate::Interval(interval) => {
                let now = u64::try_from(awake.as_millis()).unwrap_or(u64::MAX);
                let due = last.is_none_or(|last| now >= last.saturating_add(interval));
                if due {
                    self.note(value, now);
                }
                due
            }
        }
    }
}

/// The value at a pointer as text; messages without one share the empty text. `None` for one that is too large to be
/// distinguished from others: it equals none of them.
pub(super) fn value_at(message: &ParsedMessage<'_>, key: Option<&str>) -> Option<String> {
    let Some(key) = key else {
        return Some(String::new());
    };
    message.pointer(key.as_bytes(), |found| match found {
        None => Some(String::new()),
        Some(PointedValue {
            raw,
            value: Some(value),
            ..
        }) if raw.len() <= MAX_KEY_BYTES => Some(value.canonical()),
        Some(PointedValue { raw, .. }) if raw.len() > MAX_HASHED_VALUE => None,
        Some(PointedValue { raw, .. }) => Some(hashed(raw)),
    })
}

/// Long values are distinguished by their text alone, and not remembered whole.
fn hashed(raw: &[u8]) -> String {
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, raw).hash(&mut hasher);
        hasher.finish()
    };
    format!("{}:{:x}:{:x}", raw.len(), hash(0), hash(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::Payload;

    #[test]
    fn a_new_value_beyond_the_limit_clears_the_remembered_values() {
        let mut values = KeyValues::default();
        for number in 0..MAX_VALUES as u64 {
            values.note(number.to_string(), number);
        }
        values.note("7".to_owned(), 9);
        assert_eq!((values.len(), values.number_of("7")), (MAX_VALUES, Some(9)));
        values.note("one more".to_owned(), 10);
        assert_eq!((values.len(), values.number_of("7")), (1, None));
    }

    #[test]
    fn values_are_compared_by_content_and_long_ones_by_their_hash() {
        let at = |text: &str| {
            let payload = Payload::text(text);
            value_at(&ParsedMessage::at(&payload), Some("/k"))
        };
        assert_eq!(at(r#"{"k":"a"}"#), at(r#"{"n":1,"k": "a"}"#));
        assert_ne!(at(r#"{"k":"1"}"#), at(r#"{"k":1}"#));
        assert_eq!(
            (at("{}"), at("no JSON")),
            (Some(String::new()), Some(String::new()))
        );
        let long = |last: char| at(&format!(r#"{{"k":"{}{last}"}}"#, "x".repeat(MAX_KEY_BYTES)));
        assert!(long('a').is_some_and(|text| text.len() < MAX_KEY_BYTES));
        assert_eq!(long('a'), long('a'));
        assert_ne!(long('a'), long('b'));
        let huge = format!(r#"{{"k":"{}"}}"#, "x".repeat(MAX_HASHED_VALUE));
        assert_eq!(at(&huge), None);
    }
}
