//! The objects of a text, each reported when it ends: code that rewrites some of them needs no document of them all.

use super::scan::{Sink, ValueKind, scan};

/// Objects nested deeper are not reported.
const MAX_DEPTH: usize = 4096;

/// An object that has ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Object<'a> {
    /// All of it, and where it begins.
    pub raw: &'a str,
    pub start: usize,
    /// How many members it has.
    pub members: usize,
    /// The key and value of the first one, as they were written, and where the key begins.
    pub key: &'a str,
    pub value: &'a str,
    pub key_start: usize,
}

/// Visits every object of a text that is JSON, inner ones before those they stand in; `None` for what is no JSON.
pub fn objects<'a>(text: &'a str, mut visit: impl FnMut(Object<'a>)) -> Option<()> {
    let mut reader = ObjectReader {
        text,
        open: Vec::new(),
        deeper: 0,
        visit: &mut visit,
    };
    scan(text.as_bytes(), &mut reader).ok()
}

/// An array or object that is open.
#[derive(Debug)]
struct OpenContainer {
    kind: ValueKind,
    start: usize,
    /// Keys and values so far; elements of an array are not counted.
    nodes: usize,
    key: (usize, usize),
    value: (usize, usize),
}

struct ObjectReader<'a, 't> {
    text: &'a str,
    open: Vec<OpenContainer>,
    deeper: usize,
    visit: &'t mut dyn FnMut(Object<'a>),
}

impl ObjectReader<'_, '_> {
    fn node(&mut self, start: usize, end: usize) {
        if self.deeper > 0 {
            return;
        }
        if let Some(open) = self.open.last_mut().filter(|open| open.kind == ValueKind::Object) {
            match open.nodes {
                0 => open.key = (start, end),
                1 => open.value = (start, end),
                _ => {}
            }
            open.nodes += 1;
        }
    }
}

impl Sink for ObjectReader<'_, '_> {
    fn scalar(&mut self, _: ValueKind, start: usize, end: usize) {
        self.node(start, end);
    }

    fn open(&mut self, kind: ValueKind, start: usize) {
        if self.deeper > 0 || self.open.len() == MAX_DEPTH {
            self.deeper += 1;
            return;
        }
        self.open.push(OpenContainer {
            kind,
            start,
            nodes: 0,
            key: (0, 0),
            value: (0, 0),
        });
    }

    fn close(&mut self, end: usize) {
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        let Some(open) = self.open.pop() else { return };
        if open.kind == ValueKind::Object {
            let slice = |(start, end): (usize, usize)| self.text.get(start..end).unwrap_or_default();
            (self.visit)(Object {
                raw: slice((open.start, end)),
                start: open.start,
                members: open.nodes / 2,
                key: slice(open.key),
                value: slice(open.value),
                key_start: open.key.0,
            });
        }
        self.node(open.start, end);
    }
}
