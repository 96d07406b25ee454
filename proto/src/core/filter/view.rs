//! What one client sees of a message: nothing, all of it later, or only some of its parts.

use std::sync::Arc;

use bytes::Bytes;

use crate::wire::json::{Outline, projected};
use crate::wire::payload::{Content, Event, Payload};
use crate::wire::rule::ParsedMessage;

/// Bytes of what a client gets of a large message, at most; if it is more, it gets all of it.
const MAX_PART_OF_LARGE: usize = 1 << 20;

/// How one client sees a record that it does not simply get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    /// Not at all.
    Not,
    /// Later: it goes out before the next record that is not held.
    Held,
    /// Only what stands at these pointers.
    Part(Arc<[String]>),
    /// The same of a large message, in which it was found before.
    PartOfLarge(Arc<[String]>, Arc<Outline>),
}

/// How a client sees a message of which it wants only what stands at these pointers; nothing if it gets it whole.
pub(super) fn part(message: &ParsedMessage<'_>, keep: Arc<[String]>) -> Option<View> {
    if !message.is_large() {
        return Some(View::Part(keep));
    }
    let outline = message.outline()?;
    let content = message.payload().bytes();
    projected(content, &outline, &keep, MAX_PART_OF_LARGE)?;
    Some(View::PartOfLarge(keep, outline))
}

/// The part of a message that a client sees.
pub(crate) fn seen(payload: &Payload, view: &View) -> Payload {
    match view {
        View::Part(keep) => part_of(payload, keep),
        View::PartOfLarge(keep, outline) => {
            match projected(payload.bytes(), outline, keep, MAX_PART_OF_LARGE) {
                Some(part) => with_json(payload, part.into()),
                None => payload.clone(),
            }
        }
        View::Not | View::Held => payload.clone(),
    }
}

/// What stands at these pointers, in its place; what is no JSON stays whole.
fn part_of(payload: &Payload, keep: &[String]) -> Payload {
    match payload.document() {
        Some(whole) => with_json(payload, whole.root().project(keep).into()),
        None => payload.clone(),
    }
}

fn with_json(payload: &Payload, bytes: Bytes) -> Payload {
    match payload {
        Payload::Event(event) => Payload::Event(Arc::new(Event {
            content: match event.content {
                Content::Args(_) => Content::Args(bytes),
                Content::Text(_) | Content::Json(_) => Content::Json(bytes),
            },
            ..Event::clone(event)
        })),
        _ => Payload::Json(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_keeps_the_shape_of_the_message() {
        let keep = |keep: &[&str], text: &str| {
            let keep: Vec<String> = keep.iter().map(|&pointer| pointer.to_owned()).collect();
            part_of(&Payload::text(text), &keep)
        };
        let json = |text: &'static str| Payload::Json(Bytes::from_static(text.as_bytes()));
        let text = r#"{"id":1,"a":{"b":{"c":2},"d":3},"list":[{"x":1,"y":2},{"x":3}],"big":"..."}"#;
        assert_eq!(
            keep(&["/id", "/a/b", "/list/1/x", "/none", "/big/none"], text),
            json(r#"{"id":1,"a":{"b":{"c":2}},"list":[null,{"x":3}]}"#)
        );
        assert_eq!(keep(&[""], r#"{"a": 1}"#), json(r#"{"a": 1}"#), "as received");
        assert_eq!(keep(&["/a"], "no JSON"), Payload::text("no JSON"));
        let event = part_of(
            &Payload::args(Some("e"), None, r#"[{"a":1,"b":2}]"#),
            &["/0/b".to_owned()],
        );
        assert_eq!(event, Payload::args(Some("e"), None, r#"[{"b":2}]"#));
    }
}
