//! The AI canvas: a token in the query, subscriptions, batches, large and compressed messages.

use serde_json::json;

use super::System;

#[test]
fn greets_batches_and_refuses_without_a_token() {
    let Some(mut system) = System::of("canvas", &[("PING", "300")]) else {
        return;
    };
    let url = |query: &str| system.server.ws(&format!("/ws{query}"));
    let (bare, good) = (url(""), url("?userId=u1&sessionId=s1&token=a.secret.token"));
    let options = json!({"format":"json","auth":"provider","closeCodes":{"1008":"auth"},"reconnect":{"minDelay":5},
        "ready":{"/type":"connection"},
        "heartbeat":{"interval":50,"timeout":10000,"message":{"json":{"type":"ping"}},"expect":{"/type":"pong"}}});
    system.opens("canvas", bare.clone(), options);
    let asked = system.host.expect("auth-needed");
    system.says(json!({"type":"authorize","session":"canvas","nonce":asked["nonce"],"url":bare}));
    let asked = system.host.expect("auth-needed");
    assert_eq!(asked["why"], "refused");
    system.says(json!({"type":"authorize","session":"canvas","nonce":asked["nonce"],"url":good}));
    assert_eq!(system.told("connection")["sessionId"], "s1");
    system.says(
        json!({"type":"subscribe","session":"canvas","id":"d","key":"drawing",
        "send":[{"json":{"type":"subscribe","topic":"drawing"}}],
        "undo":[{"json":{"type":"unsubscribe","topic":"drawing"}}],
        "confirm":{"/type":"subscribed","/topic":"drawing"},
        "filter":[{"when":{"/type":"subscribed"},"do":"drop"}]}),
    );
    system.host.find("active", |frame| {
        frame["type"] == "subscription" && frame["state"] == "active"
    });
    system.says(json!({"type":"send","session":"canvas","json":{"type":"draw","topic":"drawing","steps":3,"size":2000}}));
    let batch = system.told("batch");
    let kinds: Vec<&str> = batch["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "ai_start",
            "ai_progress",
            "ai_progress",
            "ai_progress",
            "ai_complete"
        ]
    );
    system
        .says(json!({"type":"send","session":"canvas","json":{"type":"draw","topic":"drawing","steps":-1}}));
    assert_eq!(system.told("batch")["events"][1]["type"], "ai_error");
    // The application's own beats arrive; their answers are used up.
    let statistics = system.server.url("/api/ws/stats");
    let options = json!({"protocol":"poll","format":"json","poll":{"interval":20}});
    system.opens("statistics", statistics, options);
    let statistics = system.host.find("beats in the statistics", |frame| {
        frame["session"] == "statistics" && frame["json"]["messagesReceived"].as_u64() > Some(8)
    });
    assert_eq!(statistics["json"]["active"], 1);
    assert_eq!(
        statistics["json"]["bySession"][0]["subscriptions"],
        json!(["drawing"])
    );
    system.says(json!({"type":"send","session":"canvas","json":{"type":"vanish"}}));
    system.state("waiting");
    system.told("connection");
    let status = system.status().to_string();
    assert!(!status.contains("secret") && !system.scratch.log().contains("secret"));
}
