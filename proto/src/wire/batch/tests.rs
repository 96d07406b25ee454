//! Tests of `batch`.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::frame::{Frames, Taken};
use crate::wire::part::Joiner;
use crate::wire::record::{Body, Record};

fn natives(bytes: &[u8]) -> Vec<String> {
    let mut frames = Frames::new(TO_BROWSER);
    frames.push(bytes);
    let mut texts = Vec::new();
    while let Some(taken) = frames.take() {
        let Taken::Frame(frame) = taken else {
            panic!("above the browser's limit")
        };
        texts.push(String::from_utf8(frame.to_vec()).unwrap());
    }
    assert!(!frames.is_torn());
    texts
}

#[test]
fn one_frame_is_sent_alone_and_several_in_a_batch() {
    let mut packer = Packer::default();
    packer.add_encoded(br#"{"type":"pong","id":"1"}"#);
    assert_eq!(natives(&packer.take()), [r#"{"type":"pong","id":"1"}"#]);
    packer.add_encoded(br#"{"a":1}"#);
    packer.add_encoded(br#"{"b":2}"#);
    assert_eq!(
        natives(&packer.take()),
        [r#"{"type":"batch","frames":[{"a":1},{"b":2}]}"#]
    );
    assert!(packer.take().is_empty());
}

#[test]
fn a_batch_is_closed_before_it_exceeds_its_limit() {
    let mut packer = Packer::default();
    let big = format!("[{}]", "1".repeat(BATCH / 2));
    for _ in 0..3 {
        packer.add_encoded(big.as_bytes());
    }
    packer.add_encoded(b"{}");
    packer.add_end();
    let texts = natives(&packer.take());
    assert_eq!(texts.len(), 4, "one, one, two together, and the end");
    assert!(texts.iter().all(|text| text.len() <= BATCH));
    assert_eq!(texts[0], big);
    assert!(texts[2].starts_with(r#"{"type":"batch""#) && texts[2].ends_with(",{}]}"));
    assert_eq!(texts[3], "");
}

#[test]
fn a_frame_at_the_limit_is_sent_whole_and_a_larger_one_in_parts() {
    let mut packer = Packer::default();
    packer.add_encoded(b"1");
    let whole = "2".repeat(TO_BROWSER);
    packer.add_encoded(whole.as_bytes());
    let parted = format!("\"{}", "3".repeat(TO_BROWSER));
    packer.add_encoded(parted.as_bytes());
    packer.add_encoded(b"4");
    let texts = natives(&packer.take());
    assert_eq!((texts[0].as_str(), texts[1] == whole), ("1", true));
    assert_eq!(texts.last().unwrap(), "4");
    let mut joiner = Joiner::default();
    let joined: Vec<_> = texts[2..texts.len() - 1]
        .iter()
        .filter_map(|text| joiner.join(&serde_json::from_str(text).unwrap()).unwrap())
        .collect();
    assert!(joined == [parted]);
}

/// What is alike in a run: session, time, whether it comes again, whether it is JSON.
type Kind = (&'static str, u64, bool, bool);

const KIND: Kind = ("s", 7, false, false);

fn message(seq: u64, (session, time, redelivered, is_json): Kind, text: &str) -> BrokerFrame {
    let payload = if is_json {
        Payload::Json(Bytes::from(serde_json::to_vec(&[text]).unwrap()))
    } else {
        Payload::text(text)
    };
    BrokerFrame::Record {
        session: session.into(),
        record: Record {
            seq,
            body: Body::Message { payload, time },
        },
        redelivered,
    }
}

fn packed(takes_runs: bool, frames: &[BrokerFrame]) -> Vec<String> {
    let mut packer = Packer::default();
    packer.take_runs(takes_runs);
    let mut scratch = Vec::new();
    for frame in frames {
        packer.add(frame, &mut scratch);
    }
    natives(&packer.take())
}

/// The frames that were packed, batches and runs taken apart.
fn unpacked(natives: &[String]) -> Vec<Value> {
    let mut frames = Vec::new();
    let mut joiner = Joiner::default();
    for native in natives {
        let native = match Shape::of(native.as_bytes()).unwrap() {
            Shape::Part(part) => joiner.join(&part).unwrap(),
            _ => Some(native.clone()),
        };
        let mut value: Value = match native {
            Some(native) => serde_json::from_str(&native).unwrap(),
            None => continue,
        };
        let all = match value.get_mut("frames").map(Value::take) {
            Some(Value::Array(frames)) => frames,
            _ => vec![value],
        };
        frames.extend(all.iter().flat_map(unrolled));
    }
    frames
}

fn unrolled(frame: &Value) -> Vec<Value> {
    if frame["type"] != "messages" {
        return vec![frame.clone()];
    }
    let form = if frame.get("text").is_some() {
        "text"
    } else {
        "json"
    };
    let contents = frame[form].as_array().unwrap().iter();
    let single = |(index, content): (usize, &Value)| {
        let mut single = frame.clone();
        single["type"] = "message".into();
        single["seq"] = (frame["seq"].as_u64().unwrap() + index as u64).into();
        single[form] = content.clone();
        single
    };
    contents.enumerate().map(single).collect()
}

#[test]
fn consecutive_messages_share_one_frame_if_the_port_accepts_it() {
    let frames = [
        message(5, KIND, "a\""),
        message(6, KIND, "b"),
        message(7, KIND, "c"),
    ];
    assert_eq!(
        packed(true, &frames),
        [r#"{"type":"messages","session":"s","seq":5,"time":7,"text":["a\"","b","c"]}"#]
    );
    let asked = packed(false, &frames);
    assert!(asked[0].starts_with(r#"{"type":"batch","frames":[{"type":"message","#));
    let again = message(5, ("s", 7, true, true), "a");
    assert_eq!(
        packed(true, &[again]),
        [r#"{"type":"messages","session":"s","seq":5,"time":7,"redelivered":true,"json":[["a"]]}"#]
    );
}

#[test]
fn messages_that_differ_or_are_not_consecutive_get_their_own_frame() {
    for (seq, kind) in [
        (7, KIND),
        (5, KIND),
        (6, ("other", 7, false, false)),
        (6, ("s", 8, false, false)),
        (6, ("s", 7, true, false)),
        (6, ("s", 7, false, true)),
    ] {
        let natives = packed(true, &[message(5, KIND, "a"), message(seq, kind, "b")]);
        let batch: Value = serde_json::from_str(&natives[0]).unwrap();
        assert_eq!(batch["frames"].as_array().map(Vec::len), Some(2), "{natives:?}");
    }
    let pong = BrokerFrame::Pong { id: "p".into() };
    let natives = packed(true, &[message(5, KIND, "a"), pong, message(6, KIND, "b")]);
    let batch: Value = serde_json::from_str(&natives[0]).unwrap();
    let kinds: Vec<_> = batch["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| &frame["type"])
        .collect();
    assert_eq!(json!(kinds), json!(["messages", "pong", "messages"]));
}

#[test]
fn a_run_fits_a_batch_and_large_messages_are_sent_alone() {
    let text = "\u{1}".repeat(10_000);
    let frames: Vec<_> = (1..=12).map(|seq| message(seq, KIND, &text)).collect();
    let natives = packed(true, &frames);
    assert!(natives.len() > 1 && natives.iter().all(|native| native.len() <= BATCH));
    assert_eq!(unpacked(&natives).len(), 12);
    let natives = packed(
        true,
        &[message(1, KIND, &"x".repeat(20_000)), message(2, KIND, "y")],
    );
    assert!(natives[0].starts_with(r#"{"type":"batch","frames":[{"type":"message","#));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn runs_deliver_the_same_messages_as_single_frames(
        steps in prop::collection::vec((0..3u64, 0..3usize, 0..3u64, any::<bool>(), any::<bool>(), prop_oneof![99 => 0..4usize, 1 => Just(4)]), 0..40)
    ) {
        let mut seq = 1;
        let frames: Vec<_> = steps
            .iter()
            .map(|&(jump, session, time, redelivered, is_json, size)| {
                seq += jump;
                let kind = (["s", "t", "\"\u{7f}é"][session], time / 2, redelivered && jump == 2, is_json);
                let sizes = [0, 2, 300, 9_000, 1_100_000];
                match jump {
                    0 => BrokerFrame::Live { session: kind.0.into(), seq },
                    _ => message(seq, kind, &"z\"".repeat(sizes[size] / 2)),
                }
            })
            .collect();
        let natives = packed(true, &frames);
        prop_assert!(natives.iter().all(|native| native.len() <= TO_BROWSER));
        prop_assert!(unpacked(&natives) == unpacked(&packed(false, &frames)));
    }
}

#[test]
fn batches_and_parts_are_recognised_in_any_json_formatting() {
    for json in [
        r#"{"type":"batch","frames":[{},2]}"#,
        r#" {"frames":[{},2], "type" : "b\u0061tch"}"#,
    ] {
        assert!(
            matches!(Shape::of(json.as_bytes()), Ok(Shape::Batch(frames)) if frames.len() == 2),
            "{json}"
        );
    }
    let part = br#"{"index":3,"type":"part","part":"p","last":true,"data":"\"x"}"#;
    assert!(
        matches!(Shape::of(part), Ok(Shape::Part(Part { index: 3, last: true, data, .. })) if data == "\"x")
    );
    for json in ["{}", "42", "", "{not json", r#"{"type":"send","text":"batch"}"#] {
        assert!(matches!(Shape::of(json.as_bytes()), Ok(Shape::Single)), "{json}");
    }
}

#[test]
fn a_malformed_batch_or_part_is_refused() {
    let many = format!(r#"{{"type":"batch","frames":[{}1]}}"#, "1,".repeat(MAX_ELEMENTS));
    for (json, code) in [
        (r#"{"type":"batch"}"#, Code::BadFrame),
        (r#"{"type":"batch","frames":{}}"#, Code::BadFrame),
        (r#"{"type":"batch","frames":[{},]}"#, Code::BadJson),
        (
            r#"{"type":"part","part":"p","index":0,"data":""}"#,
            Code::BadFrame,
        ),
        (
            r#"{"type":"part","part":"p","index":-1,"last":true,"data":""}"#,
            Code::BadFrame,
        ),
        (many.as_str(), Code::BadFrame),
    ] {
        assert_eq!(Shape::of(json.as_bytes()).unwrap_err().code, code, "{json:.80}");
    }
}

#[test]
fn an_invalid_field_of_a_part_or_batch_is_named() {
    for (json, names) in [
        (
            r#"{"type":"part","part":"p","index":"0","last":true,"data":""}"#,
            "`index`: invalid type: string \"0\"",
        ),
        (
            r#"{"type":"part","part":"p","index":0,"last":1,"data":""}"#,
            "`last`: ",
        ),
        (
            r#"{"type":"part","part":"p","index":0,"last":true,"data":null}"#,
            "`data`: ",
        ),
        (r#"{"type":"batch","frames":{}}"#, "`frames`: "),
    ] {
        let error = Shape::of(json.as_bytes()).unwrap_err();
        assert!(error.message.contains(names), "{}", error.message);
    }
    for array in [r#"["part","p",0,true,"{}"]"#, r#" ["batch",[]]"#] {
        assert!(
            matches!(Shape::of(array.as_bytes()), Ok(Shape::Single)),
            "{array}"
        );
    }
}
