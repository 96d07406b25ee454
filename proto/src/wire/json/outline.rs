//! The values at some pointers of a large text: found in one pass that keeps a range for each pointer and nothing else.
//!
//! A [`super::Document`] of a text costs up to sixteen times the text; this costs the pointers, however large the text is.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::scan::{Sink, ValueKind, scan};
use super::{array_index, string, unescaped};

/// JSON pointers (RFC 6901) to look for, sorted by their steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointers {
    /// The first, if there is any, is the whole text.
    nodes: Vec<PointerNode>,
    /// Where each pointer ends.
    ends: BTreeMap<Vec<u8>, usize>,
}

/// One step of some pointers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct PointerNode {
    parent: usize,
    members: HashMap<Vec<u8>, usize>,
    elements: HashMap<usize, usize>,
}

/// Where a value stands in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueLocation {
    pub kind: ValueKind,
    pub range: Range<usize>,
}

/// What was found in one text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outline(BTreeMap<Vec<u8>, Option<ValueLocation>>);

impl<P: AsRef<[u8]>, const N: usize> From<[P; N]> for Pointers {
    fn from(all: [P; N]) -> Self {
        let mut pointers = Self::NONE;
        for pointer in all {
            pointers.add(pointer);
        }
        pointers
    }
}

impl Pointers {
    /// Looks for nothing.
    pub const NONE: Self = Self {
        nodes: Vec::new(),
        ends: BTreeMap::new(),
    };

    /// Looks for this one as well. What is no pointer leads nowhere.
    pub fn add(&mut self, pointer: impl AsRef<[u8]>) {
        let pointer = pointer.as_ref();
        if self.ends.contains_key(pointer) || !(pointer.is_empty() || pointer.starts_with(b"/")) {
            return;
        }
        if self.nodes.is_empty() {
            self.nodes.push(PointerNode::default());
        }
        let mut at = 0;
        for step in pointer.split(|byte| *byte == b'/').skip(1) {
            at = self.child(at, step);
        }
        self.ends.insert(pointer.to_vec(), at);
    }

    /// Looks for all of these as well.
    pub fn add_all(&mut self, others: &Self) {
        for pointer in others.ends.keys() {
            self.add(pointer);
        }
    }

    /// Whether it looks for nothing.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn child(&mut self, parent: usize, step: &[u8]) -> usize {
        let key = unescaped(step).into_owned();
        if let Some(known) = self.nodes[parent].members.get(&key) {
            return *known;
        }
        let child = self.nodes.len();
        self.nodes.push(PointerNode {
            parent,
            ..PointerNode::default()
        });
        if let Some(index) = array_index(step) {
            self.nodes[parent].elements.insert(index, child);
        }
        self.nodes[parent].members.insert(key, child);
        child
    }
}

impl Outline {
    /// Reads a text; `None` if it is not UTF-8 or not what `JSON.parse` accepts.
    pub fn of(text: &[u8], pointers: &Pointers) -> Option<Self> {
        std::str::from_utf8(text).ok()?;
        let mut finder = Finder {
            text,
            nodes: &pointers.nodes,
            found: vec![None; pointers.nodes.len()],
            entered: 0,
            open: Vec::new(),
            coming: (!pointers.nodes.is_empty()).then_some(0),
            skipped: 0,
        };
        scan(text, &mut finder).ok()?;
        let places = pointers.ends.iter();
        let places = places.map(|(pointer, node)| (pointer.clone(), finder.place(*node)));
        Some(Self(places.collect()))
    }

    /// Where the value at this pointer stands; `None` for a pointer that was not looked for.
    pub fn at(&self, pointer: &[u8]) -> Option<Option<&ValueLocation>> {
        self.0.get(pointer).map(Option::as_ref)
    }
}

/// What was found at a node: the last of equal keys, as for JavaScript.
#[derive(Debug, Clone)]
struct LocatedNode {
    place: ValueLocation,
    /// How many nodes had been entered before.
    order: u64,
}

/// An array or object that some pointer leads into.
#[derive(Debug)]
struct OpenNode {
    node: usize,
    inside: NodePosition,
}

#[derive(Debug)]
enum NodePosition {
    Array { next: usize },
    Object { wants_key: bool },
}

struct Finder<'a> {
    text: &'a [u8],
    nodes: &'a [PointerNode],
    found: Vec<Option<LocatedNode>>,
    entered: u64,
    /// No deeper than the pointers.
    open: Vec<OpenNode>,
    /// The node of the value that comes next in the innermost object.
    coming: Option<usize>,
    /// Arrays and objects that are open and that no pointer leads into.
    skipped: usize,
}

impl Finder<'_> {
    /// The node of a value that begins here.
    fn enter(&mut self) -> Option<usize> {
        if self.skipped > 0 {
            return None;
        }
        match self.open.last_mut() {
            None => self.coming.take(),
            Some(open) => match &mut open.inside {
                NodePosition::Array { next } => {
                    let index = *next;
                    *next += 1;
                    self.nodes[open.node].elements.get(&index).copied()
                }
                NodePosition::Object { wants_key } => {
                    *wants_key = true;
                    self.coming.take()
                }
            },
        }
    }

    fn note(&mut self, node: usize, kind: ValueKind, range: Range<usize>) {
        self.entered += 1;
        self.found[node] = Some(LocatedNode {
            place: ValueLocation { kind, range },
            order: self.entered,
        });
    }

    /// What stands at a node, unless a later one of equal keys above it has taken its place.
    fn place(&self, node: usize) -> Option<ValueLocation> {
        let found = self.found[node].as_ref()?;
        let mut above = node;
        while above != 0 {
            above = self.nodes[above].parent;
            if self.found[above].as_ref()?.order > found.order {
                return None;
            }
        }
        Some(found.place.clone())
    }
}

impl Sink for Finder<'_> {
    fn scalar(&mut self, kind: ValueKind, start: usize, end: usize) {
        if self.skipped > 0 {
            return;
        }
        if let Some(OpenNode {
            node,
            inside: NodePosition::Object { wants_key },
        }) = self.open.last_mut()
            && *wants_key
        {
            *wants_key = false;
            let members = &self.nodes[*node].members;
            self.coming = match &self.text[start..end] {
                // A key without escapes is found as it stands.
                [b'"', key @ .., b'"'] if !key.contains(&b'\\') => members.get(key).copied(),
                _ => {
                    let raw = std::str::from_utf8(&self.text[start..end]).unwrap_or("\"\"");
                    members.get(&*string::decoded(raw)).copied()
                }
            };
            return;
        }
        if let Some(node) = self.enter() {
            self.note(node, kind, start..end);
        }
    }

    fn open(&mut self, kind: ValueKind, start: usize) {
        let Some(node) = self.enter() else {
            self.skipped += 1;
            return;
        };
        self.note(node, kind, start..start);
        let inside = match kind {
            ValueKind::Object => NodePosition::Object { wants_key: true },
            _ => NodePosition::Array { next: 0 },
        };
        self.open.push(OpenNode { node, inside });
    }

    fn close(&mut self, end: usize) {
        if self.skipped > 0 {
            self.skipped -= 1;
        } else if let Some(open) = self.open.pop()
            && let Some(found) = &mut self.found[open.node]
        {
            found.place.range.end = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Document;
    use super::*;

    fn at<'t>(text: &'t str, pointer: &str) -> Option<&'t str> {
        // Others beside it change nothing.
        let pointers = Pointers::from([pointer, "", "/a", "/a/0", "/a/b", "/b/a", "/0"]);
        let outline = Outline::of(text.as_bytes(), &pointers).unwrap();
        let place = outline.at(pointer.as_bytes()).unwrap();
        place.map(|place| &text[place.range.clone()])
    }

    #[test]
    fn an_outline_finds_what_a_document_finds() {
        for (text, pointer, found) in [
            (r#" {"a":[1,{"b":2}]} "#, "", Some(r#"{"a":[1,{"b":2}]}"#)),
            (r#"{"a":[1,{"b":2}]}"#, "/a/1/b", Some("2")),
            (r#"{"x":{"a":1},"a":2}"#, "/a", Some("2")),
            (r#"{"a":{"b":1},"a":{"c":2}}"#, "/a/b", None),
            (r#"{"a":{"b":1},"a":3}"#, "/a/b", None),
            (r#"{"a":3,"a":{"b":1}}"#, "/a/b", Some("1")),
            (r#"{"\u0061":1,"a/b":2,"~":3}"#, "/a", Some("1")),
            (r#"{"a/b":2,"~":3}"#, "/a~1b", Some("2")),
            (r#"{"0":"key"}"#, "/0", Some(r#""key""#)),
            (r#"["element"]"#, "/0", Some(r#""element""#)),
            ("[1]", "/00", None),
            ("7", "/a", None),
            ("7", "", Some("7")),
        ] {
            assert_eq!(at(text, pointer), found, "{pointer} in {text}");
            let document = Document::parse(text).unwrap();
            assert_eq!(document.root().pointer(pointer).map(|value| value.raw()), found);
        }
    }

    #[test]
    fn invalid_json_has_no_outline() {
        for text in ["", "{", "[1,]", "{\"a\":1}x"] {
            assert!(Outline::of(text.as_bytes(), &Pointers::NONE).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn outline_and_document_agree(
            text in r#"[\[\]{}",:ab01 ]{0,40}|\{"a":(\{("[ab]":(1|\[[0-3](,"b")?\]),?){0,3}\}|\[1,\{"a":2\}\])(,"[ab]":[0-9]{1,2}){0,2}\}"#,
        ) {
            for pointer in ["", "/a", "/b", "/a/0", "/a/a", "/a/b", "/a/b/0", "/0", "/a/1/a"] {
                match Document::parse(&text) {
                    Ok(document) => {
                        let found = document.root().pointer(pointer).map(|value| value.raw());
                        prop_assert_eq!(at(&text, pointer), found);
                    }
                    Err(_) => prop_assert!(Outline::of(text.as_bytes(), &Pointers::NONE).is_none()),
                }
            }
        }
    }
}
