//! The elements of an array, one after the other: however many there are, they are not all held at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::{Outline, Pointers, is_valid};

/// Bytes of an element from which on it takes long to find its end.
const LARGE: usize = 256 << 10;

/// The elements that have not been taken. It holds the text until then.
#[derive(Debug, Clone, Default)]
pub struct Elements {
    /// An array, checked to be one.
    text: Bytes,
    at: usize,
    /// Those that are large, as far as it is known.
    large: VecDeque<LargeElement>,
}

/// An element that is large, and what was found in it.
#[derive(Debug, Clone)]
pub struct LargeElement {
    range: Range<usize>,
    content: Bytes,
    outline: Option<Arc<Outline>>,
}

/// The large elements of a text that is a JSON array.
pub fn large_elements(array: &Bytes, pointers: &Pointers) -> VecDeque<LargeElement> {
    let large = element_ranges(array).filter(|range| range.len() > LARGE);
    let large = large.map(|range| {
        let content = part(array, range.clone());
        LargeElement {
            outline: Outline::of(&content, pointers).map(Arc::new),
            content,
            range,
        }
    });
    large.collect()
}

/// A part of a text. A small one must not keep the whole.
pub(crate) fn part(text: &Bytes, range: Range<usize>) -> Bytes {
    let part = text.slice(range);
    let mut copy = Vec::new();
    if part.len() > text.len() / 2 || copy.try_reserve_exact(part.len()).is_err() {
        return part;
    }
    copy.extend_from_slice(&part);
    copy.into()
}

impl Elements {
    /// Those of an array; of anything else, none.
    pub fn of(array: Bytes) -> Self {
        if is_valid(&array) {
            Self::of_checked(array, VecDeque::new())
        } else {
            Self::default()
        }
    }

    /// Those of an array that stands in a text which was read before, and in which these were found to be large.
    pub(crate) fn of_checked(array: Bytes, large: VecDeque<LargeElement>) -> Self {
        let is_array = array.first() == Some(&b'[');
        let mut elements = Self {
            text: if is_array { array } else { Bytes::new() },
            at: 1,
            large,
        };
        elements.step();
        elements
    }

    /// Bytes of the text.
    pub fn held(&self) -> usize {
        self.text.len() + self.large.iter().map(|large| large.content.len()).sum::<usize>()
    }

    /// The next element, and what was found in it if that was done before.
    pub(crate) fn next_read(&mut self) -> Option<(Bytes, Option<Option<Arc<Outline>>>)> {
        if self.is_empty() {
            return None;
        }
        if let Some(large) = self.large.pop_front_if(|large| large.range.start == self.at) {
            self.at = large.range.end;
            self.step();
            return Some((large.content, Some(large.outline)));
        }
        let end = end_of_value(&self.text, self.at);
        let element = part(&self.text, self.at..end);
        self.at = end;
        self.step();
        Some((element, None))
    }

    /// Whether all have been taken.
    pub const fn is_empty(&self) -> bool {
        self.at >= self.text.len()
    }

    /// To the beginning of the next element.
    fn step(&mut self) {
        match next_element(&self.text, self.at) {
            Some(at) => self.at = at,
            None => *self = Self::default(),
        }
    }
}

impl Iterator for Elements {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.next_read().map(|(element, _)| element)
    }
}

/// Where the elements stand of a text that is a JSON array and nothing else.
pub(crate) fn element_ranges(array: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = next_element(array, 1);
    std::iter::from_fn(move || {
        let start = at?;
        let end = end_of_value(array, start);
        at = next_element(array, end);
        Some(start..end)
    })
}

/// Where the next element begins.
fn next_element(array: &[u8], mut at: usize) -> Option<usize> {
    while matches!(array.get(at), Some(b' ' | b'\t' | b'\n' | b'\r' | b',')) {
        at += 1;
    }
    array.get(at).is_some_and(|byte| *byte != b']').then_some(at)
}

/// Where a value ends that begins here, in a text that is JSON.
fn end_of_value(text: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(text, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => match depth {
                0 => return at,
                1 => return at + 1,
                _ => depth -= 1,
            },
            b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match text.get(at) {
            None => return text.len(),
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Document;
    use super::*;

    fn elements(text: &str) -> Vec<String> {
        Elements::of(Bytes::copy_from_slice(text.as_bytes()))
            .map(|element| String::from_utf8(element.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn elements_are_returned_verbatim() {
        assert_eq!(
            elements(r#"[ 1 ,"a\"],", {"b":[2, 3]} ,[] , null,-0.5e1]"#),
            ["1", r#""a\"],""#, r#"{"b":[2, 3]}"#, "[]", "null", "-0.5e1"]
        );
        for none in ["[]", "[ ]", "{}", "7", "[1", ""] {
            assert!(elements(none).is_empty(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn elements_equal_those_of_the_document_parser(text in r#"\[( ?(1|"\\\\"|"[\[\],\\"]{0,3}"|\[1,\{"a": \[2\]\}\]|\{\}|true) ?,?){0,5}\]"#) {
            let document = Document::parse(&text);
            let expected: Vec<String> = document.iter().flat_map(|document| {
                document.root().elements().map(|element| element.raw().to_owned()).collect::<Vec<_>>()
            }).collect();
            prop_assert_eq!(elements(&text), expected);
        }
    }
}
