//! The part of a value at some pointers.

use std::collections::BTreeMap;

use super::outline::{self, Outline};
use super::{Value, ValueKind, array_index, string, unescaped};

/// Steps of a pointer into a large text that is followed.
pub const MAX_STEPS: usize = 32;

/// What is kept of a value: all of it, or some of what is in it, by node and so in order.
#[derive(Default)]
struct Selection<'d> {
    whole: bool,
    inside: BTreeMap<u32, SelectedPart<'d>>,
}

struct SelectedPart<'d> {
    value: Value<'d>,
    place: PathSegment<'d>,
    selection: usize,
}

enum PathSegment<'d> {
    Key(Value<'d>),
    Index(usize),
}

enum ProjectTask<'d> {
    Value(Value<'d>, usize),
    Text(&'d str),
}

/// What stands at these pointers, in its place and as received. Elements that are left out become `null`.
pub(super) fn project(root: Value<'_>, pointers: &[String]) -> String {
    let all = select(root, pointers);
    let mut out = String::new();
    let mut tasks = vec![ProjectTask::Value(root, 0)];
    while let Some(next) = tasks.pop() {
        let (value, selection) = match next {
            ProjectTask::Text(text) => {
                out.push_str(text);
                continue;
            }
            ProjectTask::Value(value, selection) => (value, &all[selection]),
        };
        if selection.whole {
            out.push_str(value.raw());
            continue;
        }
        let (begin, end) = if value.kind() == ValueKind::Array {
            ("[", "]")
        } else {
            ("{", "}")
        };
        out.push_str(begin);
        let from = tasks.len();
        let mut written = 0;
        for inside in selection.inside.values() {
            if tasks.len() > from {
                tasks.push(ProjectTask::Text(","));
            }
            match inside.place {
                PathSegment::Key(key) => tasks.extend([ProjectTask::Text(key.raw()), ProjectTask::Text(":")]),
                PathSegment::Index(index) => {
                    tasks.extend((written..index).map(|_| ProjectTask::Text("null,")));
                    written = index + 1;
                }
            }
            tasks.push(ProjectTask::Value(inside.value, inside.selection));
        }
        tasks[from..].reverse();
        tasks.insert(from, ProjectTask::Text(end));
    }
    out
}

/// Follows the pointers as far as they lead.
fn select<'d>(root: Value<'d>, pointers: &[String]) -> Vec<Selection<'d>> {
    let mut all = vec![Selection::default()];
    for pointer in pointers {
        if root.pointer(pointer).is_none() {
            continue;
        }
        let (mut value, mut at) = (root, 0);
        for step in pointer.split('/').skip(1) {
            let Some((place, found)) = enter(value, step.as_bytes()) else {
                break;
            };
            let next = all.len();
            let inside = all[at].inside.entry(found.node).or_insert(SelectedPart {
                value: found,
                place,
                selection: next,
            });
            at = inside.selection;
            if at == next {
                all.push(Selection::default());
            }
            value = found;
        }
        all[at].whole = true;
    }
    all
}

fn enter<'d>(value: Value<'d>, step: &[u8]) -> Option<(PathSegment<'d>, Value<'d>)> {
    match value.kind() {
        ValueKind::Object => {
            let found = value.get(&unescaped(step))?;
            // A key stands right before its value.
            let key = Value {
                node: found.node - 1,
                ..found
            };
            Some((PathSegment::Key(key), found))
        }
        ValueKind::Array => {
            let index = array_index(step)?;
            Some((PathSegment::Index(index), value.at(index)?))
        }
        _ => None,
    }
}

/// A value of a large text that is kept, or in which something is kept.
#[derive(Default)]
struct Branch<'o> {
    place: Option<&'o outline::ValueLocation>,
    /// The step that leads to it.
    step: &'o str,
    whole: bool,
    /// By where they begin.
    inside: BTreeMap<usize, Self>,
}

/// As a projection of a document, of a text that is too large for one. `outline` has been asked for the pointers and those
/// that lead to them. `None` if it was not, or if the result has more bytes than `max_bytes`.
pub fn projected(text: &[u8], outline: &Outline, pointers: &[String], max_bytes: usize) -> Option<String> {
    let mut root = Branch {
        place: outline.at(b"")?,
        ..Branch::default()
    };
    for pointer in pointers {
        if outline.at(pointer.as_bytes())?.is_none() {
            continue;
        }
        let ends = pointer.match_indices('/').map(|(at, _)| at).skip(1);
        let mut branch = &mut root;
        let mut begin = 1;
        for end in ends.chain([pointer.len()]).filter(|_| !pointer.is_empty()) {
            let place = outline.at(&pointer.as_bytes()[..end])??;
            branch = branch.inside.entry(place.range.start).or_insert(Branch {
                place: Some(place),
                step: &pointer[begin..end],
                ..Branch::default()
            });
            begin = end + 1;
        }
        branch.whole = true;
    }
    let mut out = Vec::new();
    root.write(text, &mut out, max_bytes)?;
    String::from_utf8(out).ok()
}

impl Branch<'_> {
    fn write(&self, text: &[u8], out: &mut Vec<u8>, max_bytes: usize) -> Option<()> {
        let place = self.place?;
        if self.whole {
            let raw = text.get(place.range.clone())?;
            out.extend_from_slice((out.len() + raw.len() <= max_bytes).then_some(raw)?);
            return Some(());
        }
        let is_array = place.kind == ValueKind::Array;
        out.push(if is_array { b'[' } else { b'{' });
        let mut written = 0;
        for (number, inside) in self.inside.values().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            if is_array {
                let index = array_index(inside.step.as_bytes())?;
                for _ in written..index {
                    out.extend_from_slice((out.len() < max_bytes).then_some(b"null,")?);
                }
                written = index + 1;
            } else {
                string::encode(&unescaped(inside.step.as_bytes()), out);
                out.push(b':');
            }
            inside.write(text, out, max_bytes)?;
        }
        out.push(if is_array { b']' } else { b'}' });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Document, Pointers};
    use super::*;

    #[test]
    fn a_large_text_is_projected_as_a_document_is() {
        let text = r#"{"id":1,"a":{"b":{"c":2},"d":3},"list":[{"x":1,"y":2},{"x":3}],"a/b":4,"big":"..."}"#;
        for keep in [
            &["/id", "/a/b", "/list/1/x", "/none", "/big/none"][..],
            &["/list/1", "/list/0/y", "/a~1b"],
            &["/a", "/a/b"],
            &["/list"],
            &[""],
            &["/none"],
        ] {
            let keep: Vec<String> = keep.iter().map(|&pointer| pointer.to_owned()).collect();
            let mut pointers = Pointers::from([""]);
            for pointer in &keep {
                pointers.add(pointer);
                for (at, _) in pointer.match_indices('/') {
                    pointers.add(&pointer[..at]);
                }
            }
            let outline = Outline::of(text.as_bytes(), &pointers).unwrap();
            let whole = project(Document::parse(text).unwrap().root(), &keep);
            let max_bytes = whole.len();
            assert_eq!(
                projected(text.as_bytes(), &outline, &keep, max_bytes),
                Some(whole)
            );
            let nothing = projected(text.as_bytes(), &outline, &keep, 0);
            assert_eq!(nothing.is_some(), max_bytes == 2, "{keep:?}");
        }
    }
}
