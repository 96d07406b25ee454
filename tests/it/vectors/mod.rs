//! Every message of the protocol once, as the files in `tests/vectors` have it: what is read must be what is meant,
//! and what is written must be these very bytes. The SDK's tests read the same files.
//!
//! It does not test how the broker handles a frame. What each vector means is in `incoming` and `outgoing`.

mod incoming;
mod options;
mod outgoing;
mod reports;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use longwire::wire::batch::{Packer, Shape};
use longwire::wire::code::{Code, GapReason};
use longwire::wire::frame::HEADER;
use longwire::wire::message::ClientFrame;
use longwire::wire::options::Options;
use longwire::wire::part::{self, Joiner};
use longwire::wire::payload::Payload;
use longwire::wire::record::Name;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use incoming::expected;
use outgoing::frame_of;
use reports::messages_in_sequence;

/// One line of a file.
#[derive(Deserialize)]
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) direction: String,
    /// Fields that may not be missing.
    #[serde(default)]
    pub(crate) required: Vec<String>,
    /// The error code it is answered with.
    #[serde(default)]
    pub(crate) refused: Option<String>,
    pub(crate) frame: Box<RawValue>,
}

pub(crate) fn to_broker() -> Vec<Vector> {
    read(include_str!("../../vectors/to-broker.json"), "to-broker")
}

pub(crate) fn to_extension() -> Vec<Vector> {
    read(include_str!("../../vectors/to-extension.json"), "to-extension")
}

fn read(text: &str, direction: &str) -> Vec<Vector> {
    let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
    let names: BTreeSet<_> = vectors.iter().map(|vector| &vector.name).collect();
    assert_eq!(names.len(), vectors.len(), "two vectors of one name");
    assert!(vectors.iter().all(|vector| vector.direction == direction));
    vectors
}

fn kind(vector: &Vector) -> String {
    let frame: Value = serde_json::from_str(vector.frame.get()).unwrap();
    frame["type"].as_str().unwrap().to_owned()
}

#[test]
fn the_vectors_contain_every_frame_type_of_both_directions() {
    let kinds = |vectors: Vec<Vector>| vectors.iter().map(kind).collect::<BTreeSet<_>>();
    let expected = |words: &str| words.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(
        kinds(to_broker()),
        expected(
            "hello open ack send request cancel subscribe unsubscribe authorize window reconnect detach close status \
             reply ping hint batch part"
        )
    );
    assert_eq!(
        kinds(to_extension()),
        expected(
            "welcome opened message messages gap state outcome response live accepted subscription auth-needed stalled \
             detached status pong ok error goaway host batch part"
        )
    );
}

#[test]
fn extension_frames_are_parsed_as_specified() {
    for vector in to_broker() {
        let bytes = vector.frame.get().as_bytes();
        if ["batch", "part"].contains(&kind(&vector).as_str()) {
            continue;
        }
        let parsed = ClientFrame::parse(bytes);
        match (&vector.refused, parsed) {
            (Some(code), Err(refusal)) => assert_eq!(refusal.error.code.as_str(), code, "{}", vector.name),
            (None, Ok(frame)) => assert_eq!(frame, expected(&vector.name), "{}", vector.name),
            (_, parsed) => panic!("{}: {parsed:?}", vector.name),
        }
    }
}

#[test]
fn a_missing_required_field_is_named_and_never_defaulted() {
    for vector in to_broker() {
        for field in &vector.required {
            let mut frame: Value = serde_json::from_str(vector.frame.get()).unwrap();
            frame.as_object_mut().unwrap().remove(field).unwrap();
            let bytes = serde_json::to_vec(&frame).unwrap();
            let error = if kind(&vector) == "part" {
                Shape::of(&bytes).unwrap_err()
            } else {
                ClientFrame::parse(&bytes).unwrap_err().error
            };
            let name = &vector.name;
            assert_eq!(error.code, Code::BadFrame, "{name} without `{field}`");
            let named = format!("`{field}`");
            assert!(error.message.contains(&named), "{name}: {}", error.message);
        }
    }
}

#[test]
fn fields_of_the_wrong_type_are_refused_without_panic() {
    for vector in to_broker() {
        let frame: Value = serde_json::from_str(vector.frame.get()).unwrap();
        for field in frame.as_object().unwrap().keys() {
            for wrong in [
                json!(null),
                json!([[]]),
                json!({"x": -1}),
                json!(-1.5),
                json!("\u{0}"),
                json!(true),
            ] {
                let mut bent = frame.clone();
                bent[field] = wrong;
                let bytes = serde_json::to_vec(&bent).unwrap();
                if let Err(refusal) = ClientFrame::parse(&bytes) {
                    assert!(!refusal.error.message.is_empty());
                }
            }
        }
    }
}

#[test]
fn unknown_fields_are_ignored() {
    for vector in to_broker().iter().filter(|vector| vector.refused.is_none()) {
        let text = vector.frame.get();
        let more = format!(r#"{},"future":{{"x":[1,2]}}}}"#, &text[..text.len() - 1]);
        assert_eq!(
            ClientFrame::parse(more.as_bytes()),
            ClientFrame::parse(text.as_bytes()),
            "{}",
            vector.name
        );
    }
}

#[test]
fn batches_and_parts_are_unpacked() {
    let vectors = to_broker();
    let find = |name: &str| {
        let found = vectors.iter().find(|vector| vector.name == name);
        found.unwrap().frame.get().as_bytes()
    };
    let Shape::Batch(frames) = Shape::of(find("batch")).unwrap() else {
        panic!("no batch")
    };
    let texts: Vec<_> = frames.iter().map(|frame| frame.get()).collect();
    assert_eq!(
        texts,
        [
            r#"{"type":"ack","session":"prices","seq":1}"#,
            r#"{"type":"ping","id":"p2"}"#
        ]
    );
    let mut joiner = Joiner::default();
    let mut join = |name| match Shape::of(find(name)).unwrap() {
        Shape::Part(part) => joiner.join(&part).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(join("part"), None);
    assert_eq!(join("last part").unwrap(), r#"{"type":"ping","id":"p3"}"#);
}

#[test]
fn broker_frames_are_encoded_to_the_exact_bytes() {
    for vector in to_extension() {
        let expected = vector.frame.get();
        let mut written = Vec::new();
        match kind(&vector).as_str() {
            // Written by the host, which has its own test.
            "host" => continue,
            "batch" => {
                let mut packer = Packer::default();
                for name in ["live", "pong"] {
                    packer.add(&frame_of(name), &mut Vec::new());
                }
                written.extend_from_slice(&packer.take()[HEADER..]);
            }
            "messages" => {
                let mut packer = Packer::default();
                packer.take_runs(true);
                for frame in messages_in_sequence(&vector.name) {
                    packer.add(&frame, &mut Vec::new());
                }
                written.extend_from_slice(&packer.take()[HEADER..]);
            }
            "part" => {
                let mut native = Vec::new();
                part::split(r#"{"type":"pong","id":"p3"}"#, 0, &mut native);
                written.extend_from_slice(&native[HEADER..]);
            }
            _ => frame_of(&vector.name).encode(&mut written),
        }
        assert_eq!(String::from_utf8(written).unwrap(), expected, "{}", vector.name);
    }
}

#[test]
fn the_page_has_every_type_code_and_reason() {
    let page = include_str!("../../../docs/PROTOCOL.md");
    let kinds = to_broker()
        .iter()
        .chain(&to_extension())
        .map(kind)
        .collect::<BTreeSet<_>>();
    let codes = Code::ALL.iter().map(|code| code.as_str().to_owned());
    let reasons = GapReason::ALL.iter().map(|reason| reason.as_str().to_owned());
    for word in kinds
        .into_iter()
        .filter(|kind| kind != "hint")
        .chain(codes)
        .chain(reasons)
    {
        let documented = page.contains(&format!("`{word}`")) || page.contains(&format!(r#""type":"{word}""#));
        assert!(documented, "`{word}` is not in docs/PROTOCOL.md");
    }
}

#[test]
fn the_page_has_every_option_and_capability_and_no_other_option() {
    let page = include_str!("../../../docs/PROTOCOL.md");
    for capability in longwire::core::hub::CAPABILITIES {
        assert!(page.contains(&format!("`{capability}`")), "`{capability}`");
    }
    let (_, section) = page.split_once("\n## 7. ").unwrap();
    let (table, _) = section.split_once("\n\nWhat may be dialled").unwrap();
    let documented: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|names| names.split('`').skip(1).step_by(2))
        .collect();
    // Known is what is not ignored, though nothing of the kind has a number for its value.
    for name in &documented {
        let options = RawValue::from_string(format!(r#"{{"{name}":-1}}"#)).unwrap();
        let ignored = Options::from_json(&options).is_ok_and(|(_, ignored)| !ignored.is_empty());
        assert!(!ignored, "`{name}` is in docs/PROTOCOL.md and is no option");
    }
    let arms = include_str!("../../../proto/src/wire/options/parse.rs");
    let known = arms
        .lines()
        .filter_map(|line| line.strip_prefix("            \"")?.split_once("\" => "));
    for (name, _) in known {
        assert!(documented.contains(name), "`{name}` is not in docs/PROTOCOL.md");
    }
}

/// A different retry class would make extensions react wrongly.
#[test]
fn every_error_in_the_vectors_has_the_retry_class_of_its_code() {
    fn walk(value: &Value) {
        if let (Some(code), Some(retry)) = (value["code"].as_str(), value["retry"].as_str()) {
            let known = Code::ALL.iter().find(|known| known.as_str() == code);
            assert_eq!(known.unwrap().retry().as_str(), retry, "{code}");
        }
        match value {
            Value::Object(map) => map.values().for_each(walk),
            Value::Array(list) => list.iter().for_each(walk),
            _ => {}
        }
    }
    for vector in to_extension() {
        walk(&serde_json::from_str(vector.frame.get()).unwrap());
    }
}

fn name(text: &str) -> Name {
    Arc::from(text)
}

fn some(text: &str) -> Option<Name> {
    Some(name(text))
}

fn json_payload(text: &'static str) -> Payload {
    Payload::Json(Bytes::from_static(text.as_bytes()))
}

fn binary(bytes: &'static [u8]) -> Payload {
    Payload::Binary(Bytes::from_static(bytes))
}
