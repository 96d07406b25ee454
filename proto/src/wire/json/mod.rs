//! The reader of all JSON from servers and extensions: it accepts whatever `JSON.parse` accepts.
//!
//! That is more than serde_json's values can hold: halves of surrogate pairs, numbers beyond a double, any nesting. A text
//! is scanned once, without recursion; values are slices of it, so what passes on passes byte for byte.

mod canonical;
mod elements;
mod escape;
mod number;
mod objects;
mod outline;
mod project;
mod scan;
mod string;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

pub use elements::{Elements, LargeElement, large_elements};
pub(crate) use elements::{element_ranges, part};
pub(crate) use escape::write_inside;
pub use escape::write_string;
pub use objects::{Object, objects};
pub use outline::{Outline, Pointers, ValueLocation};
pub use project::{MAX_STEPS, projected};
#[cfg(debug_assertions)]
pub use scan::scanned;
pub use scan::{SyntaxError, ValueKind};
pub use string::JsString;

use scan::{Nothing, Sink, scan};

/// Members and elements beyond which an object or array gets an index when it is first asked for one.
const INDEX_ABOVE: usize = 16;

/// Whether this is one JSON value, as UTF-8.
pub fn is_valid(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok() && scan(text, &mut Nothing).is_ok()
}

/// A JSON text and where its values stand.
pub struct Document<'a> {
    text: &'a str,
    nodes: Vec<Node>,
    indexes: RefCell<HashMap<u32, Rc<LargeIndex>>>,
}

/// A value or a key.
#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    /// The node after this value and all in it.
    next: u32,
    kind: ValueKind,
}

/// Where to find what is in a large array or object.
enum LargeIndex {
    Elements(Vec<u32>),
    Members(HashMap<Vec<u8>, u32>),
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} values)", self.nodes.len())
    }
}

/// Notes the nodes of a text.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    open: Vec<u32>,
}

fn small(number: usize) -> u32 {
    // A text has less than 4 GiB, and no more nodes than bytes.
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Sink for Builder {
    fn scalar(&mut self, kind: ValueKind, start: usize, end: usize) {
        let next = small(self.nodes.len() + 1);
        let (start, end) = (small(start), small(end));
        self.nodes.push(Node {
            start,
            end,
            next,
            kind,
        });
    }

    fn open(&mut self, kind: ValueKind, start: usize) {
        self.open.push(small(self.nodes.len()));
        let start = small(start);
        self.nodes.push(Node {
            start,
            end: start,
            next: 0,
            kind,
        });
    }

    fn close(&mut self, end: usize) {
        let next = small(self.nodes.len());
        let node = self
            .open
            .pop()
            .and_then(|index| self.nodes.get_mut(index as usize));
        if let Some(node) = node {
            (node.end, node.next) = (small(end), next);
        }
    }
}

impl<'a> Document<'a> {
    /// Reads a text.
    ///
    /// # Errors
    /// It is not what `JSON.parse` accepts.
    pub fn parse(text: &'a str) -> Result<Self, SyntaxError> {
        let mut builder = Builder::default();
        scan(text.as_bytes(), &mut builder)?;
        Ok(Self {
            text,
            nodes: builder.nodes,
            indexes: RefCell::default(),
        })
    }

    /// The value that the text is.
    pub const fn root(&self) -> Value<'_> {
        Value {
            document: self,
            node: 0,
        }
    }

    /// Every value and key, in the order in which they begin.
    pub fn values(&self) -> impl Iterator<Item = Value<'_>> {
        (0..small(self.nodes.len())).map(|node| Value { document: self, node })
    }

    fn node(&self, index: u32) -> Node {
        self.nodes[index as usize]
    }

    fn index(&self, container: u32) -> Rc<LargeIndex> {
        if let Some(index) = self.indexes.borrow().get(&container) {
            return index.clone();
        }
        let value = Value {
            document: self,
            node: container,
        };
        let index = Rc::new(match value.kind() {
            ValueKind::Object => LargeIndex::Members(
                value
                    .members()
                    .map(|(key, value)| (key.decoded().into_owned(), value.node))
                    .collect(),
            ),
            _ => LargeIndex::Elements(value.elements().map(|element| element.node).collect()),
        });
        self.indexes.borrow_mut().insert(container, index.clone());
        index
    }
}

/// A value in a document.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    node: u32,
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw())
    }
}

impl<'d> Value<'d> {
    /// What it is.
    pub fn kind(self) -> ValueKind {
        self.document.node(self.node).kind
    }

    /// Its text, as received.
    pub fn raw(self) -> &'d str {
        let Node { start, end, .. } = self.document.node(self.node);
        &self.document.text[start as usize..end as usize]
    }

    /// Where its text stands in that of the document.
    pub fn range(self) -> std::ops::Range<usize> {
        let Node { start, end, .. } = self.document.node(self.node);
        start as usize..end as usize
    }

    /// The string that it is.
    pub fn to_js_string(self) -> Option<JsString> {
        (self.kind() == ValueKind::String).then(|| JsString::from_json(self.raw()))
    }

    /// The string that it is, with U+FFFD for each half of a surrogate pair.
    pub fn to_text(self) -> Option<Cow<'d, str>> {
        (self.kind() == ValueKind::String).then(|| string::lossy(self.decoded()))
    }

    /// Whether it is a number without a fraction.
    pub(crate) fn is_integer(self) -> bool {
        self.kind() == ValueKind::Number && number::is_integer(self.raw())
    }

    /// The number that JavaScript makes of it: of a string as well, if it is one.
    pub fn to_number(self) -> Option<f64> {
        match self.kind() {
            ValueKind::Number => self.raw().parse().ok(),
            ValueKind::String => {
                let text = self.to_text()?;
                let text = text.trim();
                // Rust reads `inf` and `nan` as well.
                let is_plain = text
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
                if is_plain { text.parse().ok() } else { None }
            }
            _ => None,
        }
    }

    fn decoded(self) -> Cow<'d, [u8]> {
        string::decoded(self.raw())
    }

    /// The elements of an array; of what is none, nothing.
    pub fn elements(self) -> impl Iterator<Item = Value<'d>> {
        let end = match self.kind() {
            ValueKind::Array => self.document.node(self.node).next,
            _ => 0,
        };
        let mut node = self.node + 1;
        std::iter::from_fn(move || {
            let value = Value { node, ..self };
            (node < end).then(|| {
                node = self.document.node(node).next;
                value
            })
        })
    }

    /// The keys and values of an object as they were written; of what is none, nothing.
    pub fn members(self) -> impl Iterator<Item = (Value<'d>, Value<'d>)> {
        let end = match self.kind() {
            ValueKind::Object => self.document.node(self.node).next,
            _ => 0,
        };
        let mut node = self.node + 1;
        std::iter::from_fn(move || {
            let (key, value) = (
                Value { node, ..self },
                Value {
                    node: node + 1,
                    ..self
                },
            );
            (node < end).then(|| {
                node = self.document.node(node + 1).next;
                (key, value)
            })
        })
    }

    /// The member of an object with this key, in WTF-8: the last one, as for JavaScript.
    pub fn get(self, key: &[u8]) -> Option<Value<'d>> {
        if self.kind() != ValueKind::Object {
            return None;
        }
        if !self.is_large() {
            let mut found = None;
            for (name, value) in self.members() {
                if *name.decoded() == *key {
                    found = Some(value);
                }
            }
            return found;
        }
        match &*self.document.index(self.node) {
            LargeIndex::Members(members) => members.get(key).map(|node| Value { node: *node, ..self }),
            LargeIndex::Elements(_) => None,
        }
    }

    /// An element of an array.
    pub fn at(self, index: usize) -> Option<Value<'d>> {
        if self.kind() != ValueKind::Array || index < INDEX_ABOVE {
            return self.elements().nth(index);
        }
        match &*self.document.index(self.node) {
            LargeIndex::Elements(elements) => elements.get(index).map(|node| Value { node: *node, ..self }),
            LargeIndex::Members(_) => None,
        }
    }

    fn is_large(self) -> bool {
        self.members().nth(INDEX_ABOVE).is_some()
    }

    /// What stands at a JSON pointer (RFC 6901), in WTF-8.
    pub fn pointer(self, pointer: impl AsRef<[u8]>) -> Option<Value<'d>> {
        let mut steps = pointer.as_ref().split(|byte| *byte == b'/');
        if steps.next().is_some_and(|before| !before.is_empty()) {
            return None;
        }
        steps.try_fold(self, |value, step| match value.kind() {
            ValueKind::Object => value.get(&unescaped(step)),
            ValueKind::Array => value.at(array_index(step)?),
            _ => None,
        })
    }

    /// The part of it that stands at these pointers, in its place; elements that are left out become `null`.
    pub fn project(self, pointers: &[String]) -> String {
        project::project(self, pointers)
    }
}

fn unescaped(step: &[u8]) -> Cow<'_, [u8]> {
    if !step.contains(&b'~') {
        return Cow::Borrowed(step);
    }
    let mut out = Vec::with_capacity(step.len());
    let mut rest = step.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        out.push(match (byte, rest.peek()) {
            (b'~', Some(b'0')) => {
                rest.next();
                b'~'
            }
            (b'~', Some(b'1')) => {
                rest.next();
                b'/'
            }
            _ => byte,
        });
    }
    Cow::Owned(out)
}

/// An index as RFC 6901 has it: no sign, no zero in front.
fn array_index(step: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(step).ok()?;
    let is_plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if is_plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
