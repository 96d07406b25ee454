//! Tests of `rule`.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::*;

fn matches(rule: &Rule, message: &Value) -> bool {
    rule.matches(&ParsedMessage::at(&Payload::text(message.to_string())))
}

#[test]
fn every_term_must_hold_and_an_array_means_any_of() {
    let rule = Rule::from_json(&json!({"/type": ["a", "b"], "/id": 7}).to_string()).unwrap();
    assert!(matches(&rule, &json!({"type": "b", "id": 7, "more": true})));
    assert!(!matches(&rule, &json!({"type": "c", "id": 7})));
    assert!(!matches(&rule, &json!({"type": "a"})));
    assert!(!matches(&rule, &json!("a")));
}

#[test]
fn the_cost_of_a_rule_is_bounded() {
    let many = |count: usize| {
        (0..count)
            .map(|index| (format!("/{index}"), index))
            .collect::<HashMap<_, _>>()
    };
    for (rule, why) in [
        (json!({"/id": (0..5000).collect::<Vec<_>>()}), "values"),
        (
            json!({"/a": (0..3000).collect::<Vec<_>>(), "/b": (0..3000).collect::<Vec<_>>()}),
            "values",
        ),
        (json!({"event": vec!["a"; 5000]}), "values"),
        (json!({"/id": "x".repeat(MAX_VALUE_BYTES)}), "bytes"),
        (json!(many(65)), "terms"),
        (
            json!({format!("/{}", "x".repeat(MAX_POINTER_BYTES)): 1}),
            "pointer",
        ),
    ] {
        let error = Rule::from_json(&rule.to_string()).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
    assert!(Rule::from_json(&json!({"/id": (0..4096).collect::<Vec<_>>()}).to_string()).is_ok());
    assert!(Rule::from_json(&json!(many(64)).to_string()).is_ok());
}

#[test]
fn numbers_match_in_every_notation() {
    let matches = |rule: Value, text: &str| {
        let rule = Rule::from_json(&rule.to_string()).unwrap();
        rule.matches(&ParsedMessage::at(&Payload::text(text)))
    };
    assert!(matches(json!({"/id": 7}), r#"{"id":7.0}"#));
    assert!(matches(json!({"/id": [1, 0]}), r#"{"id":-0.0}"#));
    assert!(matches(json!({"/id": 7.5}), r#"{"id":75e-1}"#));
    assert!(matches(json!({"/id": 2.0}), r#"{"id":2}"#));
    assert!(!matches(json!({"/id": 7}), r#"{"id":"7"}"#));
    assert!(!matches(
        json!({"/id": 9_007_199_254_740_993_u64}),
        r#"{"id":9007199254740992.0}"#
    ));
}

#[test]
fn rules_match_the_name_and_namespace_of_an_event() {
    let rule = json!({"event": ["tick", "tock"], "namespace": "/prices", "/0/id": 7});
    let rule = Rule::from_json(&rule.to_string()).unwrap();
    let event = |name: &str, namespace: Option<&str>, args: Value| {
        Payload::args(Some(name), namespace, args.to_string())
    };
    assert!(rule.matches(&ParsedMessage::at(&event(
        "tock",
        Some("/prices"),
        json!([{"id": 7}])
    ))));
    assert!(!rule.matches(&ParsedMessage::at(&event(
        "tock",
        Some("/prices"),
        json!([{"id": 8}])
    ))));
    assert!(!rule.matches(&ParsedMessage::at(&event("tock", None, json!([{"id": 7}])))));
    assert!(!rule.matches(&ParsedMessage::at(&event(
        "other",
        Some("/prices"),
        json!([{"id": 7}])
    ))));
    assert!(
        !matches(&rule, &json!([{"id": 7}])),
        "a plain message has no name"
    );
    let main = Rule::from_json(&json!({"namespace": "/"}).to_string()).unwrap();
    assert!(main.matches(&ParsedMessage::at(&event("any", None, json!([])))));
}

#[test]
fn an_invalid_term_is_named() {
    for (rule, named) in [
        (json!({"type": "a"}), "`type`"),
        (json!({"event": 7}), "`event`"),
        (json!({"namespace": []}), "`namespace`"),
        (json!({"/a~": 1}), "`/a~`"),
        (json!({"/a~2b": 1}), "`/a~2b`"),
    ] {
        assert!(Rule::from_json(&rule.to_string()).unwrap_err().contains(named));
    }
    assert!(Rule::from_json(&json!({"/a~0~1b/": 1}).to_string()).is_ok());
    assert!(Rule::from_json(&json!({}).to_string()).is_err());
    assert!(Rule::from_json(&json!([1]).to_string()).is_err());
}
