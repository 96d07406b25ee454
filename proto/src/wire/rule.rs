//! Rules: JSON pointers and the values they must equal; on event servers also an event's name and namespace; or the whole
//! text of a message, JSON or not.
//!
//! No code, no regular expressions: the cost of a rule is the number of its terms.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::json::{Document, JsString, Outline, Pointers, Value, ValueKind};
use super::payload::Payload;

/// Terms of one rule, at most.
const MAX_TERMS: usize = 64;
/// Values that one rule names, at most.
const MAX_VALUES: usize = 4096;
/// Bytes of all values of one rule.
const MAX_VALUE_BYTES: usize = 256 << 10;
/// Bytes of a pointer.
const MAX_POINTER_BYTES: usize = 1024;
/// How many times longer than its canonical form a value may be written, with escapes and white space, and how many bytes
/// beyond that. Many terms may ask for one value.
const MAX_SPELLING: usize = 16;
const SPELLING_ROOM: usize = 4096;

/// Every pointer must equal one of its values; an event's name and namespace, if they are named, one of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    terms: Vec<Term>,
    /// Any of these; empty for any at all.
    event: Vec<JsString>,
    /// Any of these; empty for any at all.
    namespace: Vec<JsString>,
    /// The whole text of the message is any of these; empty for any at all.
    text: Vec<JsString>,
}

/// One pointer and the values of which one must stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    pointer: JsString,
    /// In their canonical form.
    wanted: HashSet<Box<str>>,
    /// Bytes of the longest.
    longest: usize,
}

/// Two pointers whose values must be equal: one into what was sent, one into what comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// Into the message sent.
    pub out: String,
    /// Into the message received.
    pub incoming: String,
}

/// Content up to this size is parsed whole; of what is larger only the values at pointers are kept.
pub const PARSED_WHOLE: usize = 256 << 10;

/// A message as rules see it: parsed once, and only if a pointer is looked up.
pub struct ParsedMessage<'a> {
    payload: &'a Payload,
    document: OnceCell<Option<Document<'a>>>,
    /// All that will be asked for, of a large message.
    pointers: Pointers,
    outline: OnceCell<Option<Arc<Outline>>>,
    /// The outline was made before the message came in.
    is_read: bool,
}

/// What stands at a pointer of a message.
#[derive(Debug, Clone, Copy)]
pub struct PointedValue<'d> {
    pub kind: ValueKind,
    /// As received.
    pub raw: &'d [u8],
    /// `None` for what is too large to be parsed: it equals nothing.
    pub value: Option<Value<'d>>,
}

impl fmt::Debug for ParsedMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParsedMessage({} bytes)", self.payload.len())
    }
}

impl<'a> ParsedMessage<'a> {
    /// A look at this message.
    pub const fn at(payload: &'a Payload) -> Self {
        Self {
            payload,
            document: OnceCell::new(),
            pointers: Pointers::NONE,
            outline: OnceCell::new(),
            is_read: false,
        }
    }

    /// A large message is read once for all of these.
    #[must_use]
    pub(crate) fn for_pointers(mut self, pointers: impl FnOnce() -> Pointers) -> Self {
        if self.is_large() && self.outline.get().is_none() {
            self.pointers = pointers();
        }
        self
    }

    /// A large message was read before, and this found in it; nothing in what is no JSON.
    #[must_use]
    pub fn known(mut self, outline: Option<Option<Arc<Outline>>>) -> Self {
        if let Some(outline) = outline {
            self.outline = OnceCell::from(outline);
            self.is_read = true;
        }
        self
    }

    /// Whether only the values at some pointers are kept of it.
    pub fn is_large(&self) -> bool {
        self.payload.len() > PARSED_WHOLE
    }

    /// The message.
    pub const fn payload(&self) -> &'a Payload {
        self.payload
    }

    /// Its text, unless it is large or bytes.
    pub fn small_text(&self) -> Option<&'a str> {
        let payload = (!self.is_large()).then_some(self.payload)?;
        payload.as_str()
    }

    /// What was found in a large message; nothing in what is no JSON.
    pub fn outline(&self) -> Option<Arc<Outline>> {
        self.outline.get().cloned().flatten()
    }

    /// Looks at what stands at a pointer of its content, if that is JSON.
    pub fn pointer<R>(&self, pointer: &[u8], read: impl FnOnce(Option<PointedValue<'_>>) -> R) -> R {
        self.pointer_within(pointer, PARSED_WHOLE, read)
    }

    /// As `pointer`; a value of more bytes than `max_bytes` is not parsed.
    fn pointer_within<R>(
        &self,
        pointer: &[u8],
        max_bytes: usize,
        read: impl FnOnce(Option<PointedValue<'_>>) -> R,
    ) -> R {
        if !self.is_large() {
            let document = self.document.get_or_init(|| self.payload.document());
            let value = document
                .as_ref()
                .and_then(|document| document.root().pointer(pointer));
            return read(value.map(|value| PointedValue::of(value, max_bytes)));
        }
        if matches!(self.payload, Payload::Binary(_)) {
            return read(None);
        }
        let content = self.payload.bytes();
        let outline = self
            .outline
            .get_or_init(|| Outline::of(content, &self.pointers).map(Arc::new));
        let place = outline.as_ref().and_then(|outline| match outline.at(pointer) {
            Some(known) => known.cloned(),
            // Asked for after the message came in: it cannot be about that.
            None if self.is_read => None,
            None => Outline::of(content, &Pointers::from([pointer]))?
                .at(pointer)?
                .cloned(),
        });
        let Some(place) = place else {
            return read(None);
        };
        let raw = &content[place.range];
        let document = if raw.len() > max_bytes.min(PARSED_WHOLE) {
            None
        } else {
            std::str::from_utf8(raw)
                .ok()
                .and_then(|raw| Document::parse(raw).ok())
        };
        read(Some(PointedValue {
            kind: place.kind,
            raw,
            value: document.as_ref().map(Document::root),
        }))
    }
}

impl<'d> PointedValue<'d> {
    fn of(value: Value<'d>, max_bytes: usize) -> Self {
        let raw = value.raw().as_bytes();
        Self {
            kind: value.kind(),
            raw,
            value: (raw.len() <= max_bytes).then_some(value),
        }
    }
}

impl Rule {
    /// A rule from its JSON object; the error names the term that is wrong.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let document = Document::parse(json).map_err(|error| error.to_string())?;
        let root = document.root();
        if root.kind() != ValueKind::Object {
            return Err("a rule is an object of JSON pointers and values".to_owned());
        }
        let mut rule = Self::default();
        for (term, wanted) in root.members() {
            rule.add(&term.to_js_string().unwrap_or_else(|| "".into()), wanted)?;
        }
        if rule == Self::default() {
            return Err("a rule needs at least one JSON pointer".to_owned());
        }
        Ok(rule)
    }

    /// Adds a term.
    pub(super) fn add(&mut self, term: &JsString, wanted: Value<'_>) -> Result<(), String> {
        let wanted: Vec<Value<'_>> = match wanted.kind() {
            ValueKind::Array => wanted.elements().collect(),
            _ => vec![wanted],
        };
        if self.values() + wanted.len() > MAX_VALUES {
            return Err(format!("a rule has at most {MAX_VALUES} values"));
        }
        if wanted.iter().map(|value| value.raw().len()).sum::<usize>() > MAX_VALUE_BYTES {
            return Err(format!(
                "the values of a rule have at most {MAX_VALUE_BYTES} bytes"
            ));
        }
        if self.terms.len() >= MAX_TERMS {
            return Err(format!("a rule has at most {MAX_TERMS} terms"));
        }
        match term.as_str() {
            Some("event") => self.event = strings("event", &wanted)?,
            Some("namespace") => self.namespace = strings("namespace", &wanted)?,
            Some("text") => self.text = strings("text", &wanted)?,
            _ => {
                check_pointer(&term.to_string_lossy())?;
                let wanted: HashSet<Box<str>> =
                    wanted.into_iter().map(|value| value.canonical().into()).collect();
                self.terms.retain(|known| known.pointer != *term);
                // In order, so that equal rules are equal.
                let at = self.terms.partition_point(|known| known.pointer < *term);
                let term = Term {
                    pointer: term.clone(),
                    longest: wanted.iter().map(|text| text.len()).max().unwrap_or(0),
                    wanted,
                };
                self.terms.insert(at, term);
            }
        }
        Ok(())
    }

    /// Bytes that it takes.
    pub fn held(&self) -> usize {
        let terms = self.terms.iter().map(|term| {
            let wanted = term.wanted.iter().map(|text| 32 + text.len());
            128 + term.pointer.as_bytes().len() + wanted.sum::<usize>()
        });
        let names = self.event.iter().chain(&self.namespace).chain(&self.text);
        terms.sum::<usize>() + names.map(|name| 32 + name.as_bytes().len()).sum::<usize>()
    }

    /// How many terms it has: what it costs to hold a message against it.
    pub(crate) const fn terms(&self) -> usize {
        self.terms.len()
    }

    fn values(&self) -> usize {
        let terms = self.terms.iter().map(|term| term.wanted.len());
        terms.sum::<usize>() + self.event.len() + self.namespace.len() + self.text.len()
    }

    /// Whether the message satisfies every term.
    pub fn matches(&self, message: &ParsedMessage<'_>) -> bool {
        let named = (self.event.is_empty() && self.namespace.is_empty())
            || (one_of(&self.event, message.payload.event().map(JsString::as_bytes))
                && one_of(&self.namespace, message.payload.namespace().map(str::as_bytes)));
        named
            && one_of(&self.text, message.payload.text_bytes())
            && self.terms.iter().all(|term| term.holds(message))
    }

    /// Adds the pointers that it asks for.
    pub(crate) fn add_pointers(&self, pointers: &mut Pointers) {
        for term in &self.terms {
            pointers.add(term.pointer.as_bytes());
        }
    }
}

impl Term {
    fn holds(&self, message: &ParsedMessage<'_>) -> bool {
        // However it is written, what is much longer than all that is wanted is none of it.
        let max_bytes = self.longest.saturating_mul(MAX_SPELLING) + SPELLING_ROOM;
        message.pointer_within(self.pointer.as_bytes(), max_bytes, |found| {
            found
                .and_then(|found| found.value)
                .is_some_and(|value| value.is_among(|text| self.wanted.contains(text), self.longest))
        })
    }
}

fn one_of(wanted: &[JsString], found: Option<&[u8]>) -> bool {
    wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|wanted| wanted.as_bytes() == found))
}

fn strings(term: &str, wanted: &[Value<'_>]) -> Result<Vec<JsString>, String> {
    if wanted.is_empty() {
        return Err(format!("`{term}` is empty"));
    }
    let strings = wanted.iter().map(|value| value.to_js_string());
    strings
        .collect::<Option<_>>()
        .ok_or_else(|| format!("`{term}` must be a string or an array of strings"))
}

/// Refuses what is not a JSON pointer (RFC 6901).
pub(crate) fn check_pointer(pointer: &str) -> Result<(), String> {
    if pointer.len() > MAX_POINTER_BYTES {
        Err(format!("a JSON pointer has at most {MAX_POINTER_BYTES} bytes"))
    } else if !pointer.is_empty() && !pointer.starts_with('/') {
        Err(format!(
            "`{pointer}` is not a JSON pointer: it must start with `/`"
        ))
    } else if pointer
        .split('~')
        .skip(1)
        .any(|rest| !rest.starts_with(['0', '1']))
    {
        Err(format!(
            "`{pointer}` is not a JSON pointer: `~` is written `~0`, and `/` in a name `~1`"
        ))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
