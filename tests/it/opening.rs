//! What `open`, `reconnect` and a slow client get to hear: a popup changes nothing, credentials are asked for again, and a
//! stream that is too fast is reported.

use std::time::Duration;

use longwire::core::io::{DialId, Input, LinkEnd, LinkEvent, Output};
use serde_json::{Value, json};

use crate::stage::{PORT, Stage};

/// A session with options of its own, and its dial.
fn opened(stage: &mut Stage) -> DialId {
    stage.opens(json!({"format": "json", "headers": {"X-Key": "k"}, "linger": 5000}))
}

#[test]
fn an_open_without_url_and_options_attaches_and_changes_nothing() {
    for options in [None, Some(json!({}))] {
        let mut stage = Stage::with_client();
        let dial = opened(&mut stage);
        let popup = longwire::core::io::PortId(2);
        stage.comes(popup, "popup");
        let mut open = json!({"type": "open", "id": "p", "session": "s"});
        if let Some(options) = options {
            open["options"] = options;
        }
        stage.says(popup, open);
        let answer = stage.hears(popup);
        assert_eq!(
            (&answer["type"], &answer["created"]),
            (&json!("opened"), &json!(false))
        );
        assert!(
            stage.asked.is_empty(),
            "the link is left alone: {:?}",
            stage.asked
        );
        stage.link_ends(dial, LinkEnd::default());
        stage.passes(Duration::from_secs(1));
        let target = stage.asked.iter().find_map(|output| match output {
            Output::Dial(_, target) => Some(target.clone()),
            _ => None,
        });
        let target = target.expect("it is dialled again");
        assert!(target.json, "still in its format");
        assert!(target.headers.contains(&("X-Key".to_owned(), "k".to_owned())));
    }
}

#[test]
fn nothing_to_attach_to_is_no_session() {
    let mut stage = Stage::with_client();
    stage.says(
        PORT,
        json!({"type": "open", "id": "p", "session": "s", "options": {}}),
    );
    let error = stage.hears(PORT);
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("no-session"), &json!("p"))
    );
}

#[test]
fn a_new_session_says_what_it_is_about_to_be() {
    let open = |stage: &mut Stage, url: &str, options: Value| {
        stage.says(
            PORT,
            json!({"type":"open","id":"o","session":url,"url":url,"options":options}),
        );
        let state = stage.hears(PORT)["state"].clone();
        stage.told.clear();
        state
    };
    let mut stage = Stage::with_client();
    assert_eq!(open(&mut stage, "wss://a.example", json!({})), "connecting");
    // A handshake with this server is under way already.
    assert_eq!(open(&mut stage, "wss://a.example/second", json!({})), "waiting");
    assert_eq!(
        open(&mut stage, "wss://b.example", json!({"auth": "provider"})),
        "unauthorized"
    );
}

/// Answers the question for credentials that was asked last.
fn authorizes(stage: &mut Stage, asked: &Value, bearer: &str) -> DialId {
    stage.says(
        PORT,
        json!({"type":"authorize","session":"s","nonce":asked["nonce"],"headers":{"Authorization":bearer}}),
    );
    stage.dials()
}

fn asked(stage: &mut Stage) -> Value {
    let found =
        std::iter::from_fn(|| stage.told.pop_front()).find(|(_, frame)| frame["type"] == "auth-needed");
    found.expect("the provider is asked").1
}

fn refuses(stage: &mut Stage, dial: DialId) {
    let end = LinkEnd {
        status: Some(401),
        ..LinkEnd::default()
    };
    stage.link_ends(dial, end);
}

#[test]
fn reconnect_asks_the_provider_instead_of_bringing_what_was_refused() {
    let mut stage = Stage::with_client();
    stage.says(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":{"auth":"provider"}}),
    );
    for bearer in ["first", "second"] {
        let question = asked(&mut stage);
        let dial = authorizes(&mut stage, &question, bearer);
        refuses(&mut stage, dial);
    }
    assert_eq!(stage.told.back().unwrap().1["state"], "failed");
    stage.says(PORT, json!({"type": "reconnect", "session": "s"}));
    assert!(
        stage.asked.is_empty(),
        "the refused credentials are not brought again"
    );
    let question = asked(&mut stage);
    assert_eq!(
        (&question["why"], &question["status"]),
        (&json!("refused"), &json!(401))
    );
    // It has two tries again.
    let dial = authorizes(&mut stage, &question, "third");
    refuses(&mut stage, dial);
    let question = asked(&mut stage);
    let dial = authorizes(&mut stage, &question, "fourth");
    stage.give(Input::Link(
        dial,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    stage.says(PORT, json!({"type": "status", "id": "q"}));
    let status = std::iter::from_fn(|| stage.told.pop_front()).last().unwrap().1;
    assert_eq!(status["sessions"][0]["state"], "open");
}

#[test]
fn a_client_that_acknowledges_steadily_and_too_slowly_is_stalled() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({"window": {"messages": 100, "bytes": 1_000_000}}));
    let mut seq = 1;
    let mut stalls = Vec::new();
    // 200 messages a second against four acknowledgements, for 65 seconds.
    for tick in 0..65 * 4 {
        let texts: Vec<String> = (0..50).map(|number| format!("{tick}.{number}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        stage.server_says(dial, &texts);
        seq += 1;
        stage.says(PORT, json!({"type": "ack", "session": "s", "seq": seq}));
        stage.passes(Duration::from_millis(250));
        let told = std::iter::from_fn(|| stage.told.pop_front());
        stalls.extend(
            told.filter(|(_, frame)| frame["type"] == "stalled")
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
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({"window": {"messages": 10, "bytes": 1_000_000}}));
    let mut seq = 0;
    for _ in 0..100 {
        stage.server_says(dial, &["a"; 20]);
        for _ in 0..2 {
            seq += 10;
            stage.says(PORT, json!({"type": "ack", "session": "s", "seq": seq}));
        }
        stage.passes(Duration::from_millis(250));
    }
    stage.says(
        PORT,
        json!({"type": "window", "session": "s", "messages": 0, "bytes": 0}),
    );
    stage.server_says(dial, &["a"; 500]);
    stage.passes(Duration::from_secs(60));
    assert!(stage.told.iter().all(|(_, frame)| frame["type"] != "stalled"));
}

#[test]
fn a_plain_text_beat_is_answered_by_a_rule_on_text() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({"heartbeat": {
        "interval": 1000, "timeout": 500, "message": {"text": "ping"}, "expect": {"text": "pong"},
        "answers": [{"when": {"text": ["hello?", "{\"json\":1}"]}, "send": {"text": "here"}}],
    }}));
    for _ in 0..3 {
        stage.passes(Duration::from_secs(1));
        assert_eq!(stage.transmits(), "ping");
        stage.server_says(dial, &["pong"]);
        assert!(stage.told.is_empty(), "it is used up: {:?}", stage.told);
    }
    stage.server_says(dial, &["hello?", "{\"json\":1}", "pong!", "\"pong\""]);
    assert_eq!(
        (stage.transmits(), stage.transmits()),
        ("here".to_owned(), "here".to_owned())
    );
    assert_eq!(
        (&stage.hears(PORT)["text"], &stage.hears(PORT)["text"]),
        (&json!("pong!"), &json!("\"pong\""))
    );
    stage.passes(Duration::from_secs(1));
    assert_eq!(stage.transmits(), "ping");
    stage.passes(Duration::from_millis(500));
    assert!(matches!(stage.asked.pop_front(), Some(Output::HangUp { .. })));
}

#[test]
fn null_is_a_payload_like_any_other() {
    let mut stage = Stage::with_client();
    stage.opens(json!({"greeting": [{"json": null}]}));
    assert_eq!(stage.transmits(), "null");
    stage.says(
        PORT,
        json!({"type": "send", "session": "s", "id": "n", "json": null}),
    );
    assert_eq!(stage.hears(PORT)["type"], "accepted");
    assert_eq!(stage.transmits(), "null");
}
