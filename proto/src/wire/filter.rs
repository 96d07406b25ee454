//! The lines of `subscribe.filter`: which messages, and what is done with them.
//!
//! It reads them; `core::filter` applies them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Document, MAX_STEPS, Pointers, Value, ValueKind};
use super::object::read_object;
use super::rule::{ParsedMessage, Rule, check_pointer};

/// Lines of one filter, at most.
pub(crate) const MAX_LINES: usize = 64;
/// Pointers a `project` may keep, at most.
const MAX_KEEP_POINTERS: usize = 64;

/// One line: the first whose `when` fits a message decides about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterLine {
    pub when: When,
    pub action: FilterAction,
}

/// Which messages a line is about. Empty: all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct When {
    rule: Rule,
    /// Any of these payload forms; empty for any at all.
    kind: Vec<String>,
    /// Payload bytes, both included.
    min: usize,
    max: Option<usize>,
}

/// What is done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterAction {
    Deliver,
    /// It waits for the next record that is not held.
    Hold,
    Drop,
    /// It replaces the one before it with the same value at `key` that waits undelivered.
    Conflate {
        key: Option<String>,
    },
    /// One of many is delivered; counted apart for each value at `key`.
    Sample {
        key: Option<String>,
        rate: SampleRate,
    },
    /// Only what stands at these pointers is delivered.
    Project {
        keep: Vec<String>,
    },
}

/// How much a `sample` lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleRate {
    /// The first of every so many.
    Every(u64),
    /// The first in every so many milliseconds.
    Interval(u64),
}

#[derive(Deserialize)]
struct FilterLineFields<'a> {
    #[serde(borrow)]
    when: Option<&'a RawValue>,
    #[serde(rename = "do", borrow)]
    act: Option<Cow<'a, str>>,
    key: Option<String>,
    every: Option<u64>,
    interval: Option<u64>,
    keep: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    #[serde(default)]
    min: usize,
    max: Option<usize>,
}

/// A pointer, and those that lead to it: what is kept of a message stands in all of them.
fn add_with_steps(pointer: &str, pointers: &mut Pointers) {
    if pointer.split('/').count() <= MAX_STEPS {
        pointers.add(pointer);
        for (at, _) in pointer.match_indices('/') {
            pointers.add(&pointer[..at]);
        }
    }
}

impl FilterLine {
    /// Bytes that it takes.
    pub fn held(&self) -> usize {
        let pointers = match &self.action {
            FilterAction::Deliver | FilterAction::Hold | FilterAction::Drop => 0,
            FilterAction::Conflate { key } | FilterAction::Sample { key, .. } => {
                key.as_ref().map_or(0, String::len)
            }
            FilterAction::Project { keep } => keep.iter().map(|pointer| 32 + pointer.len()).sum(),
        };
        size_of::<Self>() + self.when.held() + pointers
    }

    /// Adds the pointers that it asks for when a message comes.
    pub(crate) fn add_pointers(&self, pointers: &mut Pointers) {
        self.when.rule().add_pointers(pointers);
        if let FilterAction::Conflate { key: Some(key) } | FilterAction::Sample { key: Some(key), .. } =
            &self.action
        {
            pointers.add(key);
        }
        if let FilterAction::Project { keep } = &self.action {
            for pointer in keep {
                add_with_steps(pointer, pointers);
            }
        }
    }

    /// Parses one line, or returns what is wrong with it.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let form: FilterLineFields<'_> = read_object(json)?;
        for pointer in form.key.iter().chain(form.keep.iter().flatten()) {
            check_pointer(pointer)?;
        }
        let when = form.when.map_or_else(|| Ok(When::default()), When::from_json)?;
        let action = match form.act.as_deref().ok_or("`do` is missing")? {
            "deliver" => FilterAction::Deliver,
            "hold" => FilterAction::Hold,
            "drop" => FilterAction::Drop,
            "conflate" => FilterAction::Conflate { key: form.key },
            "sample" => FilterAction::Sample {
                key: form.key,
                rate: match (form.every, form.interval) {
                    (Some(every @ 1..), None) => SampleRate::Every(every),
                    (None, Some(interval @ 1..)) => SampleRate::Interval(interval),
                    (None, None) => SampleRate::Interval(1000),
                    _ => return Err("`sample` requires `every` or `interval`, at least 1".to_owned()),
                },
            },
            "project" => match form.keep {
                Some(keep) if (1..=MAX_KEEP_POINTERS).contains(&keep.len()) => FilterAction::Project { keep },
                _ => {
                    return Err(format!(
                        "`project` needs `keep`, 1 to {MAX_KEEP_POINTERS} JSON pointers"
                    ));
                }
            },
            other => return Err(format!("`{other}` is not a filter action")),
        };
        Ok(Self { when, action })
    }
}

impl When {
    pub(super) fn from_json(json: &RawValue) -> Result<Self, String> {
        let document = Document::parse(json.get()).map_err(|error| error.to_string())?;
        let root = document.root();
        if root.kind() != ValueKind::Object {
            return Err("`when` is an object of conditions".to_owned());
        }
        let mut when = Self::default();
        for (name, value) in root.members() {
            let name = name.to_js_string().unwrap_or_else(|| "".into());
            match name.as_str() {
                Some("kind") => when.kind = kinds(value)?,
                Some("size") => {
                    let size: Size = read_object(value.raw()).map_err(|why| format!("`size`: {why}"))?;
                    (when.min, when.max) = (size.min, size.max);
                }
                _ => when.rule.add(&name, value)?,
            }
        }
        Ok(when)
    }

    /// Bytes that it takes.
    pub fn held(&self) -> usize {
        size_of::<Self>() + self.rule.held() + self.kind.iter().map(String::len).sum::<usize>()
    }

    /// What a message must equal.
    pub const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// What it costs to hold a message against it.
    pub(crate) const fn terms(&self) -> usize {
        self.rule.terms()
    }

    /// Whether this message is meant. What costs least is looked at first.
    pub fn matches(&self, message: &ParsedMessage<'_>) -> bool {
        let payload = message.payload();
        let size = payload.len();
        size >= self.min
            && self.max.is_none_or(|max| size <= max)
            && (self.kind.is_empty() || self.kind.iter().any(|kind| kind == payload.kind()))
            && self.rule.matches(message)
    }
}

fn kinds(value: Value<'_>) -> Result<Vec<String>, String> {
    let kinds: Vec<String> = match value.kind() {
        ValueKind::Array => value
            .elements()
            .filter_map(|kind| Some(kind.to_text()?.into_owned()))
            .collect(),
        _ => value.to_text().into_iter().map(Cow::into_owned).collect(),
    };
    if value.kind() != ValueKind::Array && kinds.is_empty() || value.elements().count() > kinds.len() {
        return Err("`kind` is a string or an array of strings".to_owned());
    }
    let is_known = |kind: &String| matches!(kind.as_str(), "text" | "json" | "base64" | "args");
    match kinds.iter().find(|kind| !is_known(kind)) {
        Some(kind) => Err(format!(
            "`{kind}` is not a kind; use `text`, `json`, `base64` or `args`"
        )),
        None => Ok(kinds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::Payload;

    #[test]
    fn every_condition_must_hold() {
        let line = FilterLine::from_json(
            r#"{"when":{"/type":"tick","kind":["text","json"],"size":{"max":30}},"do":"drop"}"#,
        )
        .unwrap();
        let meant = |text: &str| line.when.matches(&ParsedMessage::at(&Payload::text(text)));
        assert!(meant(r#"{"type":"tick"}"#));
        assert!(!meant(r#"{"type":"tock"}"#));
        assert!(!meant(r#"{"type":"tick","more":"xxxxxxxxxxxxxxxxxxxx"}"#));
        assert!(
            !line
                .when
                .matches(&ParsedMessage::at(&Payload::Binary(r#"{"type":"tick"}"#.into())))
        );
    }

    #[test]
    fn an_empty_when_matches_every_message() {
        for json in [r#"{"do":"drop"}"#, r#"{"when":{},"do":"drop"}"#] {
            let line = FilterLine::from_json(json).unwrap();
            assert!(line.when.matches(&ParsedMessage::at(&Payload::text("no JSON"))));
        }
    }

    #[test]
    fn the_invalid_part_is_named() {
        for (json, named) in [
            (r#"{"when":{}}"#, "`do`"),
            (r#"{"do":"explode"}"#, "`explode`"),
            (r#"{"when":{"type":1},"do":"drop"}"#, "`type`"),
            (r#"{"when":{"kind":"xml"},"do":"drop"}"#, "`xml`"),
            (r#"{"when":{"size":{"above":1}},"do":"drop"}"#, "`size`"),
            (r#"{"do":"conflate","key":"symbol"}"#, "`symbol`"),
            (r#"{"do":"sample","every":0}"#, "`every`"),
            (r#"{"do":"sample","every":2,"interval":2}"#, "`every`"),
            (r#"{"do":"project"}"#, "`keep`"),
        ] {
            let why = FilterLine::from_json(json).unwrap_err();
            assert!(why.contains(named), "{json}: {why}");
        }
    }
}
