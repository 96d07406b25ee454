//! Replies to `open`, `reconnect` and a slow client: a popup changes nothing, credentials are requested again, and a
//! stream that is too fast is reported.

use std::time::Duration;

use longwire::core::io::{DialId, Input, LinkEnd, LinkEvent, Output};
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

/// A session with options of its own, and its dial.
fn opened(harness: &mut Harness) -> DialId {
    harness.opens(json!({"format": "json", "headers": {"X-Key": "k"}, "linger": 5000}))
}

#[test]
fn an_open_without_url_and_options_attaches_and_changes_nothing() {
    for options in [None, Some(json!({}))] {
        let mut harness = Harness::with_client();
        let dial = opened(&mut harness);
        let popup = longwire::core::io::PortId(2);
        harness.open_port(popup, "popup");
        let mut open = json!({"type": "open", "id": "p", "session": "s"});
        if let Some(options) = options {
            open["options"] = options;
        }
        harness.send(popup, open);
        let answer = harness.receive(popup);
        assert_eq!(
            (&answer["type"], &answer["created"]),
            (&json!("opened"), &json!(false))
        );
        assert!(
            harness.asked.is_empty(),
            "the link is left alone: {:?}",
            harness.asked
        );
        harness.link_ends(dial, LinkEnd::default());
        harness.passes(Duration::from_secs(1));
        let target = harness.asked.iter().find_map(|output| match output {
            Output::Dial(_, target) => Some(target.clone()),
            _ => None,
        });
        let target = target.expect("it is dialled again");
        assert!(target.json, "still in its format");
        assert!(target.headers.contains(&("X-Key".to_owned(), "k".to_owned())));
    }
}

#[test]
fn attaching_to_a_missing_session_is_an_error() {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type": "open", "id": "p", "session": "s", "options": {}}),
    );
    let error = harness.receive(PORT);
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("no-session"), &json!("p"))
    );
}

#[test]
fn a_new_session_reports_its_initial_state() {
    let open = |harness: &mut Harness, url: &str, options: Value| {
        harness.send(
            PORT,
            json!({"type":"open","id":"o","session":url,"url":url,"options":options}),
        );
        let state = harness.receive(PORT)["state"].clone();
        harness.delivered.clear();
        state
    };
    let mut harness = Harness::with_client();
    assert_eq!(open(&mut harness, "wss://a.example", json!({})), "connecting");
    // A handshake with this server is under way already.
    assert_eq!(open(&mut harness, "wss://a.example/second", json!({})), "waiting");
    assert_eq!(
        open(&mut harness, "wss://b.example", json!({"auth": "provider"})),
        "unauthorized"
    );
}

/// Answers the latest request for credentials.
fn authorize(harness: &mut Harness, auth_needed: &Value, bearer: &str) -> DialId {
    harness.send(
        PORT,
        json!({"type":"authorize","session":"s","nonce":auth_needed["nonce"],"headers":{"Authorization":bearer}}),
    );
    harness.next_dial()
}

fn receive_auth_needed(harness: &mut Harness) -> Value {
    let found = std::iter::from_fn(|| harness.delivered.pop_front())
        .find(|(_, frame)| frame["type"] == "auth-needed");
    found.expect("the provider is asked").1
}

fn refuses(harness: &mut Harness, dial: DialId) {
    let end = LinkEnd {
        status: Some(401),
        ..LinkEnd::default()
    };
    harness.link_ends(dial, end);
}

#[test]
fn reconnect_requests_new_credentials_after_a_refusal() {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":{"auth":"provider"}}),
    );
    for bearer in ["first", "second"] {
        let auth_needed = receive_auth_needed(&mut harness);
        let dial = authorize(&mut harness, &auth_needed, bearer);
        refuses(&mut harness, dial);
    }
    assert_eq!(harness.delivered.back().unwrap().1["state"], "failed");
    harness.send(PORT, json!({"type": "reconnect", "session": "s"}));
    assert!(
        harness.asked.is_empty(),
        "the refused credentials are not brought again"
    );
    let auth_needed = receive_auth_needed(&mut harness);
    assert_eq!(
        (&auth_needed["why"], &auth_needed["status"]),
        (&json!("refused"), &json!(401))
    );
    // It has two tries again.
    let dial = authorize(&mut harness, &auth_needed, "third");
    refuses(&mut harness, dial);
    let auth_needed = receive_auth_needed(&mut harness);
    let dial = authorize(&mut harness, &auth_needed, "fourth");
    harness.give(Input::Link(
        dial,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    harness.send(PORT, json!({"type": "status", "id": "q"}));
    let status = std::iter::from_fn(|| harness.delivered.pop_front())
        .last()
        .unwrap()
        .1;
    assert_eq!(status["sessions"][0]["state"], "open");
}

#[test]
fn a_client_that_acknowledges_too_slowly_is_stalled() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({"window": {"messages": 100, "bytes": 1_000_000}}));
    let mut seq = 1;
    let mut stalls = Vec::new();
    // 200 messages a second against four acknowledgements, for 65 seconds.
    for tick in 0..65 * 4 {
        let texts: Vec<String> = (0..50).map(|number| format!("{tick}.{number}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        harness.server_sends(dial, &texts);
        seq += 1;
        harness.send(PORT, json!({"type": "ack", "session": "s", "seq": seq}));
        harness.passes(Duration::from_millis(250));
        let frames = std::iter::from_fn(|| harness.delivered.pop_front());
        stalls.extend(
            frames
                .filter(|(_, frame)| frame["type"] == "stalled")
                .map(|(_, frame)| (tick / 4, frame)),
        );
    }
    let seconds: Vec<i32> = stalls.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds, [2, 32, 62]);
    let (_, first) = &stalls[0];
    assert!(first["messages"].as_u64().unwrap() > 200, "{first}");
    assert!(first["bytes"].as_u64().unwrap() > 600, "{first}");
    assert!(
        (1000..3000).contains(&first["oldest"].as_u64().unwrap()),
        "{first}"
    );
    assert!(stalls[2].1["messages"].as_u64() > first["messages"].as_u64());
}

#[test]
fn a_client_that_keeps_up_or_has_paused_is_not_stalled() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({"window": {"messages": 10, "bytes": 1_000_000}}));
    let mut seq = 0;
    for _ in 0..100 {
        harness.server_sends(dial, &["a"; 20]);
        for _ in 0..2 {
            seq += 10;
            harness.send(PORT, json!({"type": "ack", "session": "s", "seq": seq}));
        }
        harness.passes(Duration::from_millis(250));
    }
    harness.send(
        PORT,
        json!({"type": "window", "session": "s", "messages": 0, "bytes": 0}),
    );
    harness.server_sends(dial, &["a"; 500]);
    harness.passes(Duration::from_secs(60));
    assert!(
        harness
            .delivered
            .iter()
            .all(|(_, frame)| frame["type"] != "stalled")
    );
}

#[test]
fn a_text_heartbeat_is_answered_by_a_text_rule() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({"heartbeat": {
        "interval": 1000, "timeout": 500, "message": {"text": "ping"}, "expect": {"text": "pong"},
        "answers": [{"when": {"text": ["hello?", "{\"json\":1}"]}, "send": {"text": "here"}}],
    }}));
    for _ in 0..3 {
        harness.passes(Duration::from_secs(1));
        assert_eq!(harness.next_transmit(), "ping");
        harness.server_sends(dial, &["pong"]);
        assert!(
            harness.delivered.is_empty(),
            "it is used up: {:?}",
            harness.delivered
        );
    }
    harness.server_sends(dial, &["hello?", "{\"json\":1}", "pong!", "\"pong\""]);
    assert_eq!(
        (harness.next_transmit(), harness.next_transmit()),
        ("here".to_owned(), "here".to_owned())
    );
    assert_eq!(
        (&harness.receive(PORT)["text"], &harness.receive(PORT)["text"]),
        (&json!("pong!"), &json!("\"pong\""))
    );
    harness.passes(Duration::from_secs(1));
    assert_eq!(harness.next_transmit(), "ping");
    harness.passes(Duration::from_millis(500));
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
}

#[test]
fn null_is_a_valid_payload() {
    let mut harness = Harness::with_client();
    harness.opens(json!({"greeting": [{"json": null}]}));
    assert_eq!(harness.next_transmit(), "null");
    harness.send(
        PORT,
        json!({"type": "send", "session": "s", "id": "n", "json": null}),
    );
    assert_eq!(harness.receive(PORT)["type"], "accepted");
    assert_eq!(harness.next_transmit(), "null");
}
