//! The part of a value that stands at some pointers.

use std::collections::BTreeMap;

use super::{Value, ValueKind, array_index, unescaped};

/// What is kept of a value: all of it, or some of what is in it, by node and so in order.
#[derive(Default)]
struct Kept<'d> {
    whole: bool,
    inside: BTreeMap<u32, Inside<'d>>,
}

struct Inside<'d> {
    value: Value<'d>,
    place: PathSegment<'d>,
    kept: usize,
}

enum PathSegment<'d> {
    Key(Value<'d>),
    Index(usize),
}

enum Todo<'d> {
    Value(Value<'d>, usize),
    Text(&'d str),
}

/// What stands at these pointers, in its place and as received. Elements that are left out become `null`.
pub(super) fn project(root: Value<'_>, pointers: &[String]) -> String {
    let all = select(root, pointers);
    let mut out = String::new();
    let mut todo = vec![Todo::Value(root, 0)];
    while let Some(next) = todo.pop() {
        let (value, kept) = match next {
            Todo::Text(text) => {
                out.push_str(text);
                continue;
            }
            Todo::Value(value, kept) => (value, &all[kept]),
        };
        if kept.whole {
            out.push_str(value.raw());
            continue;
        }
        let (begin, end) = if value.kind() == ValueKind::Array {
            ("[", "]")
        } else {
            ("{", "}")
        };
        out.push_str(begin);
        let from = todo.len();
        let mut written = 0;
        for inside in kept.inside.values() {
            if todo.len() > from {
                todo.push(Todo::Text(","));
            }
            match inside.place {
                PathSegment::Key(key) => todo.extend([Todo::Text(key.raw()), Todo::Text(":")]),
                PathSegment::Index(index) => {
                    todo.extend((written..index).map(|_| Todo::Text("null,")));
                    written = index + 1;
                }
            }
            todo.push(Todo::Value(inside.value, inside.kept));
        }
        todo[from..].reverse();
        todo.insert(from, Todo::Text(end));
    }
    out
}

/// Follows the pointers as far as they lead.
fn select<'d>(root: Value<'d>, pointers: &[String]) -> Vec<Kept<'d>> {
    let mut all = vec![Kept::default()];
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
            let inside = all[at].inside.entry(found.node).or_insert(Inside {
                value: found,
                place,
                kept: next,
            });
            at = inside.kept;
            if at == next {
                all.push(Kept::default());
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
