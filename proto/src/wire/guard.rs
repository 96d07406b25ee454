//! The lines of `options.guard`: which messages an extension may send and receive, and of which shape.
//!
//! It reads them; `core::guard` applies them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::filter::When;
use super::json::{Pointers, Value, ValueKind};
use super::object::{objects, optional_object, read_object};
use super::rule::{ParsedMessage, PointedValue, check_pointer};

/// Lines of one direction, at most.
const MAX_LINES: usize = 64;
/// Terms of all lines of one direction: each message is held against them.
const MAX_TERMS: usize = 256;
/// Pointers of one line, at most.
const MAX_TYPES: usize = 64;

/// Both directions. No line: everything passes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guard {
    pub send: Vec<GuardLine>,
    pub receive: Vec<GuardLine>,
}

/// One line: the first that fits a message decides about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardLine {
    pub when: When,
    pub allow: bool,
    /// What must stand at these pointers.
    types: Vec<(String, Type, bool)>,
    /// Messages in so many milliseconds, at most.
    pub rate: Option<MessageRate>,
}

/// How many messages in how many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct MessageRate {
    pub messages: u32,
    pub per: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    String,
    Number,
    Integer,
    Boolean,
    Object,
    Array,
    Null,
}

#[derive(Deserialize)]
struct GuardForm {
    #[serde(default, deserialize_with = "objects")]
    send: Vec<GuardLineFields>,
    #[serde(default, deserialize_with = "objects")]
    receive: Vec<GuardLineFields>,
}

#[derive(Deserialize)]
struct GuardLineFields {
    when: Option<Box<RawValue>>,
    #[serde(rename = "do")]
    act: Option<String>,
    #[serde(default)]
    types: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "optional_object")]
    rate: Option<MessageRate>,
}

impl Guard {
    /// Bytes that it takes.
    pub fn held(&self) -> usize {
        let line = |line: &GuardLine| {
            let types = line.types.iter().map(|(pointer, ..)| 48 + pointer.len());
            size_of::<GuardLine>() + line.when.held() + types.sum::<usize>()
        };
        self.send.iter().chain(&self.receive).map(line).sum()
    }

    /// Parses `options.guard`, or returns what is wrong.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let form: GuardForm = read_object(json)?;
        Ok(Self {
            send: lines(form.send).map_err(|why| format!("`send`: {why}"))?,
            receive: lines(form.receive).map_err(|why| format!("`receive`: {why}"))?,
        })
    }
}

fn lines(forms: Vec<GuardLineFields>) -> Result<Vec<GuardLine>, String> {
    if forms.len() > MAX_LINES {
        return Err(format!("it has more than {MAX_LINES} lines for one direction"));
    }
    let lines: Vec<GuardLine> = forms
        .into_iter()
        .zip(1..)
        .map(|(line, number)| line.read().map_err(|why| format!("line {number}: {why}")))
        .collect::<Result<_, _>>()?;
    if lines.iter().map(|line| line.when.terms()).sum::<usize>() > MAX_TERMS {
        return Err(format!(
            "its lines have more than {MAX_TERMS} terms for one direction"
        ));
    }
    Ok(lines)
}

impl GuardLineFields {
    fn read(self) -> Result<GuardLine, String> {
        let allow = match self.act.as_deref() {
            None | Some("allow") => true,
            Some("deny") => false,
            Some(other) => return Err(format!("`{other}` is neither `allow` nor `deny`")),
        };
        if self.types.len() > MAX_TYPES {
            return Err(format!("`types` has more than {MAX_TYPES} pointers"));
        }
        let mut types = Vec::with_capacity(self.types.len());
        for (pointer, word) in self.types {
            check_pointer(&pointer)?;
            let (name, optional) = match word.strip_suffix('?') {
                Some(name) => (name, true),
                None => (word.as_str(), false),
            };
            let kind = Type::named(name).ok_or_else(|| format!("`{word}` is not a type"))?;
            types.push((pointer, kind, optional));
        }
        if self.rate.is_some_and(|rate| rate.messages == 0 || rate.per == 0) {
            return Err("`rate` has `messages` and `per`, at least 1".to_owned());
        }
        Ok(GuardLine {
            when: self
                .when
                .as_deref()
                .map_or_else(|| Ok(When::default()), When::from_json)?,
            allow,
            types,
            rate: self.rate,
        })
    }
}

impl GuardLine {
    /// What is wrong with the shape of a message: the first pointer, what was wanted and what stands there.
    pub(crate) fn misshapen(&self, message: &ParsedMessage<'_>) -> Option<String> {
        self.types.iter().find_map(|(pointer, wanted, optional)| {
            message.pointer(pointer.as_bytes(), |found| match found {
                None if *optional => None,
                None => Some(format!("`{pointer}` is missing; it must be {}", wanted.name())),
                Some(found) if wanted.fits(found) => None,
                Some(found) => {
                    let found = Type::of(found.kind).name();
                    Some(format!("`{pointer}` is {found}; it must be {}", wanted.name()))
                }
            })
        })
    }

    /// Adds the pointers that it asks for.
    pub(crate) fn add_pointers(&self, pointers: &mut Pointers) {
        self.when.rule().add_pointers(pointers);
        for (pointer, ..) in &self.types {
            pointers.add(pointer);
        }
    }
}

impl Type {
    const ALL: [Self; 7] = [
        Self::String,
        Self::Number,
        Self::Integer,
        Self::Boolean,
        Self::Object,
        Self::Array,
        Self::Null,
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().rsplit(' ').next() == Some(name))
    }

    /// With its article, for people.
    const fn name(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Number => "a number",
            Self::Integer => "an integer",
            Self::Boolean => "a boolean",
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Null => "null",
        }
    }

    fn fits(self, found: PointedValue<'_>) -> bool {
        match self {
            // `7.0` as well: some servers keep every number as a float.
            Self::Integer => found.value.is_some_and(Value::is_integer),
            _ => Self::of(found.kind) == self,
        }
    }

    const fn of(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Null => Self::Null,
            ValueKind::True | ValueKind::False => Self::Boolean,
            ValueKind::Number => Self::Number,
            ValueKind::String => Self::String,
            ValueKind::Array => Self::Array,
            ValueKind::Object => Self::Object,
        }
    }
}

/// What a message is called where it is refused: its event, or its kind.
pub fn called(message: &ParsedMessage<'_>) -> Cow<'static, str> {
    match message.payload().event() {
        Some(event) => {
            let name: String = event.to_string_lossy().chars().take(64).collect();
            format!("the event `{name}`").into()
        }
        None => "the message".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::Payload;

    #[test]
    fn message_shapes_are_checked_by_pointers_and_types() {
        let guard = Guard::from_json(
            r#"{"receive":[{"types":{"/id":"integer","/name":"string?","/list":"array"}}]}"#,
        )
        .unwrap();
        let wrong = |text: &str| guard.receive[0].misshapen(&ParsedMessage::at(&Payload::text(text)));
        assert_eq!(wrong(r#"{"id":1,"list":[]}"#), None);
        assert_eq!(wrong(r#"{"id":7.0,"list":[]}"#), None);
        assert_eq!(
            wrong(r#"{"id":1.5,"list":[]}"#).unwrap(),
            "`/id` is a number; it must be an integer"
        );
        assert_eq!(
            wrong(r#"{"id":1}"#).unwrap(),
            "`/list` is missing; it must be an array"
        );
        assert!(
            wrong(r#"{"id":1,"list":[],"name":null}"#)
                .unwrap()
                .contains("`/name` is null")
        );
        assert!(wrong("no JSON").is_some());
    }

    #[test]
    fn the_invalid_part_is_named() {
        for (json, named) in [
            (r#"{"send":[{"do":"drop"}]}"#, "`drop`"),
            (r#"{"send":[{"types":{"/a":"date"}}]}"#, "`date`"),
            (r#"{"send":[{"types":{"a":"string"}}]}"#, "`a`"),
            (r#"{"receive":[{"rate":{"messages":0,"per":1}}]}"#, "`rate`"),
        ] {
            let why = Guard::from_json(json).unwrap_err();
            assert!(why.contains(named), "{json}: {why}");
        }
    }
}
