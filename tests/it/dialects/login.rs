//! Option `login`: the server's messages are answered with values from them or from the provider, before anything else.

use std::time::Duration;

use longwire::core::io::{DialId, Input, LinkEvent, Output};
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

/// Opens a session with these options; its link is open.
fn opened(options: Value) -> (Harness, DialId) {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":options}),
    );
    if options["auth"] == "provider" {
        let auth_needed = harness
            .delivered
            .iter()
            .find(|(_, frame)| frame["type"] == "auth-needed");
        let nonce = auth_needed.unwrap().1["nonce"].clone();
        let first = json!({"type":"authorize","session":"s","nonce":nonce,"auth":{"token":"first"}});
        harness.send(PORT, first);
    }
    let dial = harness.next_dial();
    harness.give(Input::Link(
        dial,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    harness.delivered.clear();
    (harness, dial)
}

/// Everything written up to now.
fn written(harness: &mut Harness) -> Vec<String> {
    std::iter::from_fn(|| harness.asked.pop_front())
        .filter_map(|output| match output {
            Output::Transmit(_, payload) => Some(payload.as_str().unwrap().to_owned()),
            _ => None,
        })
        .collect()
}

fn frames(harness: &mut Harness, kind: &str) -> Vec<Value> {
    let all = harness.delivered.drain(..).map(|(_, frame)| frame);
    all.filter(|frame| frame["type"] == kind).collect()
}

#[test]
fn a_login_challenge_is_answered_with_current_credentials() {
    let (mut harness, dial) = opened(json!({
        "auth": "provider",
        "login": [
            {"when":{"/type":"auth_required"},"send":[{"json":{"type":"auth","token":{"$auth":"/token"}}}]},
            {"when":{"/type":"auth_invalid"},"refused":true},
        ],
        "ready": {"/type":"auth_ok"},
    }));
    harness.send(PORT, json!({"type":"send","session":"s","text":"waits"}));
    harness.server_sends(dial, &[r#"{"type":"auth_required"}"#]);
    assert_eq!(written(&mut harness), [r#"{"token":"first","type":"auth"}"#]);
    harness.server_sends(dial, &[r#"{"type":"auth_ok"}"#]);
    assert_eq!(written(&mut harness), ["waits"]);
    // Nothing is answered once it is ready.
    harness.server_sends(dial, &[r#"{"type":"auth_required"}"#]);
    assert!(written(&mut harness).is_empty());
}

#[test]
fn a_refused_login_requests_new_credentials() {
    let (mut harness, dial) = opened(json!({
        "auth": "provider",
        "login": [{"when":{"/type":"auth_invalid"},"refused":true}],
        "ready": {"/type":"auth_ok"},
    }));
    harness.server_sends(dial, &[r#"{"type":"auth_invalid"}"#]);
    let auth_needed = frames(&mut harness, "auth-needed");
    assert_eq!(
        (auth_needed.len(), &auth_needed[0]["why"]),
        (1, &json!("refused"))
    );
}

#[test]
fn the_provider_receives_the_server_message() {
    let (mut harness, dial) = opened(json!({
        "login": [{
            "when": {"/event":"established"},
            "take": {"socket_id":["/data","/socket_id"]},
            "ask": true,
            "send": [{"json":{"event":"subscribe","data":{"auth":{"$auth":"/signature"},"id":{"$value":"socket_id"}}}}],
        }],
        "ready": {"/event":"subscribed"},
    }));
    harness.server_sends(
        dial,
        &[r#"{"event":"established","data":"{\"socket_id\":\"1.2\"}"}"#],
    );
    let auth_needed = frames(&mut harness, "auth-needed");
    assert_eq!(
        (&auth_needed[0]["why"], &auth_needed[0]["values"]),
        (&json!("login"), &json!({"socket_id":"1.2"}))
    );
    assert!(written(&mut harness).is_empty());
    // A worker that connects meanwhile receives the request as well.
    harness.give(Input::PortClosed(PORT));
    harness.open_port(PORT, "main");
    harness.delivered.clear();
    harness.send(PORT, json!({"type":"open","id":"o2","session":"s"}));
    let again = frames(&mut harness, "auth-needed");
    assert_eq!(again[0]["values"], json!({"socket_id":"1.2"}));
    let answer =
        json!({"type":"authorize","session":"s","nonce":again[0]["nonce"],"auth":{"signature":"sig"}});
    harness.send(PORT, answer);
    assert_eq!(
        written(&mut harness),
        [r#"{"data":{"auth":"sig","id":"1.2"},"event":"subscribe"}"#]
    );
}

#[test]
fn a_failing_provider_ends_the_login() {
    let (mut harness, dial) = opened(json!({
        "login": [{"when":{"/challenge":[1,2]},"ask":true}],
        "ready": {"/ok":true},
    }));
    harness.server_sends(dial, &[r#"{"challenge":1}"#]);
    let auth_needed = frames(&mut harness, "auth-needed");
    harness.send(
        PORT,
        json!({"type":"authorize","session":"s","nonce":auth_needed[0]["nonce"],"failed":"no password"}),
    );
    let states = frames(&mut harness, "state");
    assert_eq!(states.last().unwrap()["state"], "failed");
    assert!(
        states.last().unwrap()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("no password")
    );
}

#[test]
fn heartbeats_use_the_interval_of_the_server() {
    let (mut harness, dial) = opened(json!({"preset":"pusher"}));
    let hello = r#"{"event":"pusher:connection_established","data":"{\"activity_timeout\":10}"}"#;
    harness.server_sends(dial, &[hello]);
    written(&mut harness);
    harness.passes(Duration::from_millis(7_999));
    assert!(written(&mut harness).is_empty());
    harness.passes(Duration::from_millis(1));
    assert_eq!(written(&mut harness), [r#"{"event": "pusher:ping", "data": {}}"#]);
}
