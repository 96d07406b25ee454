//! Polling: when the next request is sent, and which responses count.

use super::*;

#[test]
fn a_server_is_polled_at_its_interval_from_its_cursor() {
    let (mut harness, dial) = opened(json!({"protocol":"poll","poll":{
        "interval":5000,"items":"/tasks","cursor":{"item":"/id","query":"since"}}}));
    assert_eq!(harness.next_fetch().url.query(), Some("a=1"));
    harness.respond(
        dial,
        200,
        &[("etag", "\"e1\"")],
        r#"{"tasks":[{"id": 1},{"id": 2}]}"#,
    );
    assert_eq!(harness.receive_state()["state"], "open");
    assert_eq!(harness.receive(PORT)["json"], json!({"id": 1}));
    assert_eq!(harness.receive(PORT)["json"], json!({"id": 2}));
    harness.passes(Duration::from_millis(4999));
    assert!(harness.asked.is_empty());
    harness.passes(Duration::from_millis(1));
    let fetch = harness.next_fetch();
    assert_eq!(fetch.url.query(), Some("a=1&since=2"));
    assert_eq!(fetch.headers, [], "the tag belonged to another request");
    harness.passes(Duration::from_secs(30));
    assert!(harness.asked.is_empty(), "one request at a time");
    harness.respond(dial, 200, &[("etag", "\"e2\"")], r#"{"tasks":[]}"#);
    harness.passes(Duration::from_secs(5));
    let fetch = harness.next_fetch();
    assert_eq!(fetch.headers, [("If-None-Match".to_owned(), "\"e2\"".to_owned())]);
    harness.respond(dial, 304, &[], "");
    assert!(harness.delivered.is_empty());
    harness.passes(Duration::from_secs(5));
    harness.next_fetch();
    harness.respond(dial, 503, &[], "");
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
    let waiting = harness.receive_state();
    assert_eq!(
        (&waiting["state"], &waiting["status"]),
        (&json!("waiting"), &json!(503))
    );
    harness.passes(Duration::from_secs(1));
    let dial = harness.next_dial();
    assert_eq!(harness.next_fetch().url.query(), Some("a=1&since=2"));
    harness.respond(dial, 200, &[], r#"{"tasks":[]}"#);
    harness.receive_state();
    assert_eq!(harness.receive_state()["continuity"], "server");
}

#[test]
fn retry_after_of_a_polled_server_is_honoured() {
    let (mut harness, dial) = opened(json!({"protocol":"poll","poll":{"interval":1000}}));
    harness.next_fetch();
    let wait = |seconds: u64| Some(Duration::from_secs(seconds));
    let answer = |status, retry_after| Answer {
        status,
        retry_after,
        ..Answer::default()
    };
    // After a successful response the next request waits, after an error the next dial.
    harness.give(Input::Link(
        dial,
        LinkEvent::Answered(answer(204, wait(60)).into()),
    ));
    harness.passes(Duration::from_millis(59_999));
    assert!(harness.asked.is_empty());
    harness.passes(Duration::from_millis(1));
    harness.next_fetch();
    harness.delivered.clear();
    harness.give(Input::Link(
        dial,
        LinkEvent::Answered(answer(429, wait(90)).into()),
    ));
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
    let waiting = harness.receive_state();
    assert_eq!(
        (&waiting["state"], &waiting["status"]),
        (&json!("waiting"), &json!(429))
    );
    assert!(waiting["retryIn"].as_u64().unwrap() >= 90_000, "{waiting}");
    harness.passes(Duration::from_millis(89_999));
    assert!(harness.asked.is_empty());
}

#[test]
fn a_long_poll_is_repeated_immediately_but_rate_limited() {
    let (mut harness, dial) = opened(json!({"protocol":"poll","poll":{"long":true}}));
    harness.next_fetch();
    harness.respond(dial, 200, &[], "one");
    harness.next_fetch();
    harness.respond(dial, 204, &[], "");
    assert!(harness.asked.is_empty(), "an empty answer is worth a breath");
    harness.passes(Duration::from_millis(500));
    harness.next_fetch();
}

#[test]
fn a_full_log_stops_polling_until_there_is_room() {
    let (mut harness, dial) = opened(json!({"protocol":"poll","poll":{"long":true},
        "queue":{"messages":1,"overflow":"pause"}}));
    harness.next_fetch();
    harness.respond(dial, 200, &[], "one");
    assert!(matches!(harness.asked.pop_front(), Some(Output::Pause(_))));
    assert!(harness.asked.is_empty());
    let message = std::iter::from_fn(|| Some(harness.receive(PORT)))
        .find(|frame| frame["type"] == "message")
        .unwrap();
    harness.send(PORT, json!({"type":"ack","session":"s","seq":message["seq"]}));
    assert!(matches!(harness.asked.pop_front(), Some(Output::Resume(_))));
    harness.next_fetch();
}

#[test]
fn an_html_page_is_not_a_poll_response_unless_allowed() {
    let html = &[("content-type", "Text/HTML; charset=utf-8")];
    let page = "<!DOCTYPE html><title>Log in</title>";
    let (mut harness, dial) = opened(json!({"protocol":"poll"}));
    harness.respond(dial, 200, html, page);
    let waiting = harness.receive_state();
    assert_eq!(waiting["error"]["code"], "server-protocol", "{waiting}");
    let message = waiting["error"]["message"].as_str().unwrap();
    assert!(message.contains("HTML page titled `Log in`"), "{message}");
    let wanted = json!({"protocol":"poll","headers":{"Accept":"text/html"}});
    for (options, body) in [(wanted, page), (json!({"protocol":"poll"}), "no page at all")] {
        let (mut harness, dial) = opened(options);
        harness.respond(dial, 200, html, body);
        assert_eq!(harness.receive_state()["state"], "open");
    }
}

#[test]
fn the_last_of_several_content_types_counts() {
    let html = ("content-type", "text/html");
    let events = ("content-type", "Text/Event-Stream; charset=utf-8");
    for (types, state) in [([html, events], "open"), ([events, html], "failed")] {
        let (mut harness, dial) = opened(json!({"protocol":"sse"}));
        harness.respond(dial, 200, &types, "");
        assert_eq!(harness.receive_state()["state"], state, "{types:?}");
    }
}

#[test]
fn a_cursor_in_the_first_response_gives_no_continuity() {
    let poll = json!({"protocol": "poll", "poll": {"cursor": {"header": "x-next", "query": "after"}}});
    let (mut harness, dial) = opened(poll);
    harness.next_fetch();
    harness.delivered.clear();
    harness.respond(dial, 200, &[], "first");
    assert_eq!(harness.receive_state()["continuity"], Value::Null);
    // The server has sent no cursor, so the next dial cannot send one.
    harness.send(PORT, json!({"type": "reconnect", "session": "s"}));
    harness.asked.pop_front();
    let dial = harness.next_dial();
    harness.next_fetch();
    harness.delivered.clear();
    harness.respond(dial, 200, &[("x-next", "7")], "second");
    assert_eq!(harness.receive_state()["continuity"], "unknown");
    harness.send(PORT, json!({"type": "reconnect", "session": "s"}));
    harness.asked.pop_front();
    let dial = harness.next_dial();
    assert!(harness.next_fetch().url.query().unwrap().contains("after=7"));
    harness.delivered.clear();
    harness.respond(dial, 200, &[], "third");
    assert_eq!(harness.receive_state()["continuity"], "server");
}
