//! Event streams and polling as the hub decides about them, in virtual time.

use std::time::Duration;

use bytes::Bytes;
use longwire::core::io::{Answer, DialId, Fetch, Input, LinkEnd, LinkEvent, Output};
use serde_json::{Value, json};

use crate::stage::{PORT, Stage};

impl Stage {
    #[track_caller]
    pub(super) fn fetches(&mut self) -> Fetch {
        match self.asked.pop_front() {
            Some(Output::Fetch(_, fetch)) => *fetch,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn is_answered(
        &mut self,
        dial: DialId,
        status: u16,
        headers: &[(&str, &str)],
        body: &'static str,
    ) {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let answer = Answer {
            status,
            headers,
            body: Bytes::from_static(body.as_bytes()),
            ..Answer::default()
        };
        self.give(Input::Link(dial, LinkEvent::Answered(answer.into())));
    }

    pub(super) fn is_streamed(&mut self, dial: DialId, text: &'static str) {
        let bytes = Bytes::from_static(text.as_bytes());
        self.give(Input::Link(dial, LinkEvent::Chunk(bytes)));
    }

    #[track_caller]
    pub(super) fn hears_state(&mut self) -> Value {
        let index = self.told.iter().position(|(_, frame)| frame["type"] == "state");
        self.told.remove(index.expect("a state")).unwrap().1
    }
}

pub(super) fn opened(options: Value) -> (Stage, DialId) {
    let mut stage = Stage::with_client();
    stage.says(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"http://127.0.0.1:1/x?a=1","options":options}),
    );
    let dial = stage.dials();
    let opened = stage.hears(PORT);
    assert_eq!(opened["type"], "opened", "{opened}");
    assert_eq!(stage.hears_state()["state"], "connecting");
    stage.told.clear();
    (stage, dial)
}

pub(super) const STREAM: &[(&str, &str)] = &[("content-type", "text/event-stream;charset=utf-8")];

#[test]
fn events_come_with_their_names_and_a_lost_stream_goes_on_where_it_was() {
    let (mut stage, dial) = opened(json!({"protocol":"sse","format":"json"}));
    let asked = stage.fetches();
    assert!(asked.streaming && !asked.headers.iter().any(|(name, _)| name == "Last-Event-ID"));
    stage.is_answered(dial, 200, STREAM, "");
    assert_eq!(stage.hears_state()["state"], "open");
    stage.is_streamed(
        dial,
        "retry: 7000\nid: 41\nevent: tick\ndata: {\"a\":1}\n\ndata: pl",
    );
    stage.is_streamed(dial, "ain\n\n");
    let (tick, plain) = (stage.hears(PORT), stage.hears(PORT));
    assert_eq!(
        (&tick["event"], &tick["json"], &tick["lastEventId"]),
        (&json!("tick"), &json!({"a": 1}), &json!("41"))
    );
    assert_eq!(
        (&plain["event"], &plain["text"], &plain["lastEventId"]),
        (&Value::Null, &json!("plain"), &json!("41"))
    );
    stage.link_ends(dial, LinkEnd::default());
    let waiting = stage.hears_state();
    assert!(waiting["retryIn"].as_u64().unwrap() >= 7000, "{waiting}");
    stage.passes(Duration::from_secs(8));
    let dial = stage.dials();
    let asked = stage.fetches();
    assert!(
        asked
            .headers
            .contains(&("Last-Event-ID".to_owned(), "41".to_owned()))
    );
    stage.hears_state();
    stage.is_answered(dial, 200, STREAM, "");
    assert_eq!(stage.hears_state()["continuity"], "server");
}

#[test]
fn a_204_stops_and_another_content_type_fails() {
    let (mut stage, dial) = opened(json!({"protocol":"sse"}));
    stage.fetches();
    stage.is_answered(dial, 204, &[], "");
    let closed = stage.hears_state();
    assert_eq!(
        (&closed["state"], &closed["status"]),
        (&json!("closed"), &json!(204))
    );
    let (mut stage, dial) = opened(json!({"protocol":"sse"}));
    stage.is_answered(dial, 200, &[("content-type", "text/html")], "");
    let failed = stage.hears_state();
    assert_eq!(
        (&failed["state"], &failed["error"]["code"]),
        (&json!("failed"), &json!("server-protocol"))
    );
    assert!(failed["error"]["message"].as_str().unwrap().contains("text/html"));
    stage.passes(Duration::from_secs(3600));
    assert!(
        !stage
            .asked
            .iter()
            .any(|output| matches!(output, Output::Dial(..)))
    );
}

#[test]
fn an_expired_session_asks_for_credentials() {
    let mut stage = Stage::with_client();
    stage.says(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"http://127.0.0.1:1",
            "options":{"protocol":"poll","auth":"provider"}}),
    );
    stage.told.clear();
    let credentials = json!({"type":"authorize","session":"s","headers":{"Cookie":"sid=1"}});
    stage.says(PORT, credentials);
    let dial = stage.dials();
    stage.is_answered(dial, 401, &[], "who are you");
    let asked = std::iter::from_fn(|| Some(stage.hears(PORT)))
        .find(|frame| frame["type"] == "auth-needed")
        .unwrap();
    assert_eq!(
        (&asked["why"], &asked["status"]),
        (&json!("refused"), &json!(401))
    );
}

#[test]
fn a_polled_server_is_asked_at_its_interval_from_where_it_was() {
    let (mut stage, dial) = opened(json!({"protocol":"poll","poll":{
        "interval":5000,"items":"/tasks","cursor":{"item":"/id","query":"since"}}}));
    assert_eq!(stage.fetches().url.query(), Some("a=1"));
    stage.is_answered(
        dial,
        200,
        &[("etag", "\"e1\"")],
        r#"{"tasks":[{"id": 1},{"id": 2}]}"#,
    );
    assert_eq!(stage.hears_state()["state"], "open");
    assert_eq!(stage.hears(PORT)["json"], json!({"id": 1}));
    assert_eq!(stage.hears(PORT)["json"], json!({"id": 2}));
    stage.passes(Duration::from_millis(4999));
    assert!(stage.asked.is_empty());
    stage.passes(Duration::from_millis(1));
    let asked = stage.fetches();
    assert_eq!(asked.url.query(), Some("a=1&since=2"));
    assert_eq!(asked.headers, [], "the tag was another question's");
    stage.passes(Duration::from_secs(30));
    assert!(stage.asked.is_empty(), "one question at a time");
    stage.is_answered(dial, 200, &[("etag", "\"e2\"")], r#"{"tasks":[]}"#);
    stage.passes(Duration::from_secs(5));
    let asked = stage.fetches();
    assert_eq!(asked.headers, [("If-None-Match".to_owned(), "\"e2\"".to_owned())]);
    stage.is_answered(dial, 304, &[], "");
    assert!(stage.told.is_empty());
    stage.passes(Duration::from_secs(5));
    stage.fetches();
    stage.is_answered(dial, 503, &[], "");
    assert!(matches!(stage.asked.pop_front(), Some(Output::HangUp { .. })));
    let waiting = stage.hears_state();
    assert_eq!(
        (&waiting["state"], &waiting["status"]),
        (&json!("waiting"), &json!(503))
    );
    stage.passes(Duration::from_secs(1));
    let dial = stage.dials();
    assert_eq!(stage.fetches().url.query(), Some("a=1&since=2"));
    stage.is_answered(dial, 200, &[], r#"{"tasks":[]}"#);
    stage.hears_state();
    assert_eq!(stage.hears_state()["continuity"], "server");
}

#[test]
fn a_polled_server_that_wants_to_be_left_alone_is() {
    let (mut stage, dial) = opened(json!({"protocol":"poll","poll":{"interval":1000}}));
    stage.fetches();
    let wait = |seconds: u64| Some(Duration::from_secs(seconds));
    let answer = |status, retry_after| Answer {
        status,
        retry_after,
        ..Answer::default()
    };
    // With a good answer the next question waits, with a bad one the next dial.
    stage.give(Input::Link(
        dial,
        LinkEvent::Answered(answer(204, wait(60)).into()),
    ));
    stage.passes(Duration::from_millis(59_999));
    assert!(stage.asked.is_empty());
    stage.passes(Duration::from_millis(1));
    stage.fetches();
    stage.told.clear();
    stage.give(Input::Link(
        dial,
        LinkEvent::Answered(answer(429, wait(90)).into()),
    ));
    assert!(matches!(stage.asked.pop_front(), Some(Output::HangUp { .. })));
    let waiting = stage.hears_state();
    assert_eq!(
        (&waiting["state"], &waiting["status"]),
        (&json!("waiting"), &json!(429))
    );
    assert!(waiting["retryIn"].as_u64().unwrap() >= 90_000, "{waiting}");
    stage.passes(Duration::from_millis(89_999));
    assert!(stage.asked.is_empty());
}

#[test]
fn a_long_poll_is_asked_again_at_once_but_never_in_a_frenzy() {
    let (mut stage, dial) = opened(json!({"protocol":"poll","poll":{"long":true}}));
    stage.fetches();
    stage.is_answered(dial, 200, &[], "one");
    stage.fetches();
    stage.is_answered(dial, 204, &[], "");
    assert!(stage.asked.is_empty(), "an empty answer is worth a breath");
    stage.passes(Duration::from_millis(500));
    stage.fetches();
}

#[test]
fn a_full_log_asks_no_more_until_there_is_room() {
    let (mut stage, dial) = opened(json!({"protocol":"poll","poll":{"long":true},
        "queue":{"messages":1,"overflow":"pause"}}));
    stage.fetches();
    stage.is_answered(dial, 200, &[], "one");
    assert!(matches!(stage.asked.pop_front(), Some(Output::Pause(_))));
    assert!(stage.asked.is_empty());
    let message = std::iter::from_fn(|| Some(stage.hears(PORT)))
        .find(|frame| frame["type"] == "message")
        .unwrap();
    stage.says(PORT, json!({"type":"ack","session":"s","seq":message["seq"]}));
    assert!(matches!(stage.asked.pop_front(), Some(Output::Resume(_))));
    stage.fetches();
}

#[test]
fn what_a_full_log_hangs_up_on_is_said_again_by_a_server_that_can() {
    let full = json!({"messages":2,"overflow":"close"});
    let comes_back = |stage: &mut Stage| {
        stage.told.clear();
        stage.asked.clear();
        stage.give(Input::PortClosed(PORT));
        stage.comes(PORT, "main");
        stage.says(PORT, json!({"type":"open","id":"o2","session":"s"}));
        stage.dials();
        stage.fetches()
    };
    let (mut stage, dial) = opened(json!({"protocol":"sse","queue":full}));
    stage.is_answered(dial, 200, STREAM, "");
    stage.is_streamed(dial, "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n");
    let asked = comes_back(&mut stage);
    assert!(
        asked
            .headers
            .contains(&("Last-Event-ID".to_owned(), "2".to_owned())),
        "{asked:?}"
    );
    let (mut stage, dial) = opened(json!({"protocol":"poll","queue":full,"poll":{
        "items":"/tasks","cursor":{"item":"/id","query":"since","start":0}}}));
    stage.is_answered(dial, 200, &[], r#"{"tasks":[{"id":1},{"id":2},{"id":3}]}"#);
    assert_eq!(comes_back(&mut stage).url.query(), Some("a=1&since=0"));
}

#[test]
fn an_id_that_was_taken_back_or_cannot_be_said_promises_nothing() {
    // A header with a control character cannot be written.
    for last in ["id\ndata: b\n\n", "id: \u{7f}\u{1}\ndata: b\n\n"] {
        let (mut stage, dial) = opened(json!({"protocol":"sse"}));
        stage.is_answered(dial, 200, STREAM, "");
        stage.is_streamed(dial, "id: 1\ndata: a\n\n");
        stage.is_streamed(dial, last);
        stage.told.clear();
        stage.asked.clear();
        stage.link_ends(dial, LinkEnd::default());
        stage.passes(Duration::from_secs(1));
        let dial = stage.dials();
        let asked = stage.fetches();
        assert!(!asked.headers.iter().any(|(name, _)| name == "Last-Event-ID"));
        stage.told.clear();
        stage.is_answered(dial, 200, STREAM, "");
        assert_eq!(stage.hears_state()["continuity"], "unknown");
    }
}

#[test]
fn of_several_content_types_the_last_one_counts() {
    let html = ("content-type", "text/html");
    let events = ("content-type", "Text/Event-Stream; charset=utf-8");
    for (types, state) in [([html, events], "open"), ([events, html], "failed")] {
        let (mut stage, dial) = opened(json!({"protocol":"sse"}));
        stage.is_answered(dial, 200, &types, "");
        assert_eq!(stage.hears_state()["state"], state, "{types:?}");
    }
}

#[test]
fn a_post_is_confirmed_by_its_status_or_waits_again() {
    let (mut stage, dial) = opened(json!({"protocol":"sse","post":{"url":"http://127.0.0.1:1/in"}}));
    stage.fetches();
    stage.is_answered(dial, 200, STREAM, "");
    stage.hears_state();
    for id in ["a", "b", "c"] {
        stage.says(
            PORT,
            json!({"type":"send","session":"s","id":id,"json":{"id":id},"receipt":true}),
        );
        assert_eq!(stage.hears(PORT)["type"], "accepted");
        assert_eq!(stage.transmits(), format!(r#"{{"id":"{id}"}}"#));
    }
    let answer = |status| Answer {
        status,
        ..Answer::default()
    };
    stage.give(Input::Link(dial, LinkEvent::Posted(1, answer(201).into())));
    assert_eq!(stage.hears(PORT)["outcome"], "confirmed");
    stage.give(Input::Link(dial, LinkEvent::Posted(2, answer(422).into())));
    let failed = stage.hears(PORT);
    assert_eq!(
        (&failed["outcome"], &failed["error"]["code"]),
        (&json!("failed"), &json!("http-status"))
    );
    let (mut dial, mut count) = (dial, 3);
    for status in [503, 429] {
        stage.give(Input::Link(dial, LinkEvent::Posted(count, answer(status).into())));
        assert_eq!(stage.hears_state()["state"], "waiting");
        stage.asked.clear();
        stage.passes(Duration::from_secs(2));
        dial = stage.dials();
        stage.fetches();
        stage.told.clear();
        stage.is_answered(dial, 200, STREAM, "");
        assert_eq!(
            stage.transmits(),
            r#"{"id":"c"}"#,
            "what was not taken waits again"
        );
        stage.told.clear();
        count = 1;
    }
}

#[test]
fn a_session_that_only_listens_says_so() {
    let (mut stage, _) = opened(json!({"protocol":"sse"}));
    stage.says(PORT, json!({"type":"send","session":"s","id":"a","text":"x"}));
    let error = stage.hears(PORT);
    assert_eq!(error["code"], "unsupported");
    assert!(error["message"].as_str().unwrap().contains("`post`"));
}

#[test]
fn a_machine_that_slept_asks_anew() {
    let (mut stage, dial) = opened(json!({"protocol":"sse"}));
    stage.fetches();
    stage.is_answered(dial, 200, STREAM, "");
    stage.is_streamed(dial, "id: 9\ndata: x\n\n");
    stage.hub.handle(stage.now, Input::Resumed);
    stage.give(Input::Timeout);
    assert!(matches!(stage.asked.pop_front(), Some(Output::HangUp { .. })));
    stage.dials();
    let asked = stage.fetches();
    assert!(
        asked
            .headers
            .contains(&("Last-Event-ID".to_owned(), "9".to_owned()))
    );
}

#[test]
fn the_next_transport_is_tried_after_two_failures_and_the_best_again_after_a_while() {
    let (mut stage, dial) = opened(json!({"transports":["websocket","sse"],
        "urls":{"sse":"http://127.0.0.1:2/events"},"heartbeat":false}));
    stage.says(
        PORT,
        json!({"type":"send","session":"s","id":"m","text":"for a better day"}),
    );
    stage.hears(PORT);
    stage.link_ends(
        dial,
        LinkEnd {
            status: Some(404),
            ..LinkEnd::default()
        },
    );
    assert_eq!(
        stage.hears_state()["state"],
        "waiting",
        "no status of one transport is final"
    );
    stage.passes(Duration::from_secs(1));
    let dial = stage.dials();
    stage.link_ends(dial, LinkEnd::default());
    let dial = stage.dials();
    assert_eq!(stage.fetches().url.path(), "/events");
    stage.is_answered(dial, 200, STREAM, "");
    let open = std::iter::from_fn(|| Some(stage.hears_state()))
        .find(|state| state["state"] == "open")
        .unwrap();
    assert_eq!(open["transport"], "sse");
    assert!(stage.asked.is_empty(), "what cannot be posted waits");
    stage.says(PORT, json!({"type":"cancel","session":"s","id":"m"}));
    stage.passes(Duration::from_secs(300));
    assert!(
        matches!(stage.asked.pop_front(), Some(Output::HangUp { .. })),
        "never two at once"
    );
    let dial = stage.dials();
    assert!(stage.asked.is_empty());
    stage.link_ends(dial, LinkEnd::default());
    stage.dials();
    assert_eq!(
        stage.fetches().url.path(),
        "/events",
        "what worked comes back at once"
    );
}

#[test]
fn a_cursor_in_the_first_answer_proves_nothing_about_what_came_before() {
    let poll = json!({"protocol": "poll", "poll": {"cursor": {"header": "x-next", "query": "after"}}});
    let (mut stage, dial) = opened(poll);
    stage.fetches();
    stage.told.clear();
    stage.is_answered(dial, 200, &[], "first");
    assert_eq!(stage.hears_state()["continuity"], Value::Null);
    // The server has not said where to go on, so that the next dial cannot tell it.
    stage.says(PORT, json!({"type": "reconnect", "session": "s"}));
    stage.asked.pop_front();
    let dial = stage.dials();
    stage.fetches();
    stage.told.clear();
    stage.is_answered(dial, 200, &[("x-next", "7")], "second");
    assert_eq!(stage.hears_state()["continuity"], "unknown");
    stage.says(PORT, json!({"type": "reconnect", "session": "s"}));
    stage.asked.pop_front();
    let dial = stage.dials();
    assert!(stage.fetches().url.query().unwrap().contains("after=7"));
    stage.told.clear();
    stage.is_answered(dial, 200, &[], "third");
    assert_eq!(stage.hears_state()["continuity"], "server");
}
