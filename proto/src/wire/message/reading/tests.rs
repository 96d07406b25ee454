//! Tests of `reading`.

use bytes::Bytes;

use super::*;
use crate::wire::payload::Payload;

fn refused(json: &str) -> RefusedFrame {
    ClientFrame::parse(json.as_bytes()).expect_err(json)
}

#[test]
fn a_frame_that_is_not_utf8_is_refused_with_the_byte() {
    for bytes in [
        &b"{\"type\":\"ping\",\"id\":\"\xff\"}"[..],
        b"{\"type\":\"ping\",\"id\":\"1\",\"x\":\"\xff\"}",
    ] {
        let refusal = ClientFrame::parse(bytes).unwrap_err();
        let at = bytes.iter().position(|byte| *byte == 0xff).unwrap();
        assert_eq!(refusal.error.code, Code::BadJson);
        assert!(
            refusal.error.message.contains(&format!("byte {at} ")),
            "{refusal:?}"
        );
    }
}

#[test]
fn close_accepts_application_codes_or_no_code() {
    for code in [1000, 1001, 1005, 3000, 4999] {
        let json = format!(r#"{{"type":"close","session":"s","code":{code}}}"#);
        assert!(ClientFrame::parse(json.as_bytes()).is_ok(), "{code}");
    }
    for code in [0, 999, 1002, 1004, 1006, 2999, 5000] {
        let refusal = refused(&format!(r#"{{"type":"close","session":"s","code":{code}}}"#));
        assert!(refusal.error.message.contains("`code`"), "{code}");
    }
}

#[test]
fn a_missing_field_is_named_together_with_the_present_ids() {
    let refusal = refused(r#"{"type":"send","session":"s","id":"1"}"#);
    assert_eq!(refusal.error.code, Code::BadFrame);
    assert_eq!(
        (refusal.id.as_deref(), refusal.session.as_deref()),
        (Some("1"), Some("s"))
    );
    assert!(
        refused(r#"{"type":"ack","session":"s"}"#)
            .error
            .message
            .contains("`seq`")
    );
    assert!(
        refused(r#"{"type":"hello"}"#)
            .error
            .message
            .contains("`protocol`")
    );
    assert!(refused(r#"{"session":"s"}"#).error.message.contains("`type`"));
}

#[test]
fn a_frame_that_is_not_an_object_is_bad() {
    assert_eq!(refused("{not json").error.code, Code::BadJson);
    assert_eq!(refused("42").error.code, Code::BadFrame);
    assert_eq!(refused("").error.code, Code::BadJson);
    let array = refused(r#"["ping",null,"1"]"#).error;
    assert_eq!(
        (array.code, array.message.as_str()),
        (
            Code::BadFrame,
            "a frame must be one JSON object: invalid type: array, expected an object"
        )
    );
    let deep = format!(
        r#"{{"type":"ping","id":"1","x":{}{}}}"#,
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let _ = ClientFrame::parse(deep.as_bytes());
}

#[test]
fn a_nested_field_of_the_wrong_type_is_named() {
    for (json, names) in [
        (r#"{"type":3}"#, "field `type`: invalid type: integer `3`"),
        (
            r#"{"type":"open","id":"1","session":"s","resume":{"epoch":3,"seq":0}}"#,
            "field `resume`: `epoch`: ",
        ),
        (
            r#"{"type":"open","id":"1","session":"s","resume":["e",0]}"#,
            "field `resume`: invalid type: array",
        ),
        (
            r#"{"type":"send","session":"s","text":"a","confirm":["/a","/b"]}"#,
            "field `confirm`: invalid type: array",
        ),
        (
            r#"{"type":"request","id":"1","session":"s","text":"a","match":{"out":"/a","in":7}}"#,
            "field `match`: `in`: ",
        ),
        (
            r#"{"type":"hello","protocol":1,"needs":["ack",3]}"#,
            "field `needs`: `[1]`: ",
        ),
        (
            r#"{"type":"subscribe","id":"1","session":"s","key":"k","filter":[["drop"]]}"#,
            "field `filter`: line 1: invalid type: array",
        ),
    ] {
        let error = refused(json).error;
        assert_eq!(error.code, Code::BadFrame, "{json}");
        assert!(error.message.starts_with(names), "{}", error.message);
    }
}

#[test]
fn a_namespace_or_arguments_without_an_event_are_refused() {
    for field in [r#""namespace":"/rooms""#, r#""args":[1]"#] {
        let error = refused(&format!(r#"{{"type":"send","session":"s","text":"a",{field}}}"#)).error;
        assert!(
            error.message.ends_with("it needs an `event`"),
            "{}",
            error.message
        );
    }
    let none = br#"{"type":"send","session":"s","text":"a","namespace":null}"#;
    assert!(ClientFrame::parse(none).is_ok());
}

#[test]
fn a_batch_sent_in_parts_is_refused_by_name() {
    let error = refused(r#"{"type":"batch","frames":[]}"#).error;
    assert_eq!(error.code, Code::BadFrame);
    assert!(error.message.contains("`batch`"), "{}", error.message);
}

#[test]
fn an_unknown_type_is_refused_unless_optional() {
    assert_eq!(
        refused(r#"{"type":"new","id":"1"}"#).error.code,
        Code::UnknownType
    );
    assert_eq!(ClientFrame::parse(br#"{"type":"new","optional":true}"#), Ok(None));
}

#[test]
fn a_send_needs_exactly_one_payload() {
    for json in [
        r#"{"type":"send","session":"s","text":"a","json":1}"#,
        r#"{"type":"send","session":"s","base64":"*"}"#,
        r#"{"type":"send","session":"s","text":1}"#,
    ] {
        assert_eq!(refused(json).error.code, Code::BadFrame, "{json}");
    }
    let frame = ClientFrame::parse(br#"{"type":"send","session":"s","json":{"a": 1.0}}"#)
        .unwrap()
        .unwrap();
    let ClientFrame::Send(send) = frame else {
        panic!("{frame:?}")
    };
    assert_eq!(
        send.payload,
        Payload::Json(Bytes::from_static(br#"{"a": 1.0}"#)),
        "kept as received"
    );
}

#[test]
fn name_lengths_and_characters_are_bounded() {
    let long = "x".repeat(129);
    for bad in ["", "a\\u0000b", long.as_str()] {
        let refusal = refused(&format!(r#"{{"type":"ack","session":"{bad}","seq":1}}"#));
        assert_eq!(refusal.error.code, Code::BadSessionName);
    }
    assert!(
        ClientFrame::parse(format!(r#"{{"type":"ping","id":"{}"}}"#, "é".repeat(128)).as_bytes()).is_ok()
    );
}
