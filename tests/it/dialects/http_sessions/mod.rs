//! Event streams and polling as the hub decides about them, in virtual time.

mod fallback;
mod polling;

use std::time::Duration;

use bytes::Bytes;
use longwire::core::io::{Answer, DialId, Fetch, Input, LinkEnd, LinkEvent, Output};
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

impl Harness {
    #[track_caller]
    pub(super) fn next_fetch(&mut self) -> Fetch {
        match self.asked.pop_front() {
            Some(Output::Fetch(_, fetch)) => *fetch,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn respond(
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

    pub(super) fn stream_chunk(&mut self, dial: DialId, text: &'static str) {
        let bytes = Bytes::from_static(text.as_bytes());
        self.give(Input::Link(dial, LinkEvent::Chunk(bytes)));
    }

    #[track_caller]
    pub(super) fn receive_state(&mut self) -> Value {
        let index = self
            .delivered
            .iter()
            .position(|(_, frame)| frame["type"] == "state");
        self.delivered.remove(index.expect("a state")).unwrap().1
    }
}

pub(super) fn opened(options: Value) -> (Harness, DialId) {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"http://127.0.0.1:1/x?a=1","options":options}),
    );
    let dial = harness.next_dial();
    let opened = harness.receive(PORT);
    assert_eq!(opened["type"], "opened", "{opened}");
    assert_eq!(harness.receive_state()["state"], "connecting");
    harness.delivered.clear();
    (harness, dial)
}

pub(super) const STREAM: &[(&str, &str)] = &[("content-type", "text/event-stream;charset=utf-8")];

#[test]
fn events_have_names_and_a_lost_stream_resumes_at_its_position() {
    let (mut harness, dial) = opened(json!({"protocol":"sse","format":"json"}));
    let fetch = harness.next_fetch();
    assert!(fetch.streaming && !fetch.headers.iter().any(|(name, _)| name == "Last-Event-ID"));
    harness.respond(dial, 200, STREAM, "");
    assert_eq!(harness.receive_state()["state"], "open");
    harness.stream_chunk(
        dial,
        "retry: 7000\nid: 41\nevent: tick\ndata: {\"a\":1}\n\ndata: pl",
    );
    harness.stream_chunk(dial, "ain\n\n");
    let (tick, plain) = (harness.receive(PORT), harness.receive(PORT));
    assert_eq!(
        (&tick["event"], &tick["json"], &tick["lastEventId"]),
        (&json!("tick"), &json!({"a": 1}), &json!("41"))
    );
    assert_eq!(
        (&plain["event"], &plain["text"], &plain["lastEventId"]),
        (&Value::Null, &json!("plain"), &json!("41"))
    );
    harness.link_ends(dial, LinkEnd::default());
    let waiting = harness.receive_state();
    assert!(waiting["retryIn"].as_u64().unwrap() >= 7000, "{waiting}");
    harness.passes(Duration::from_secs(8));
    let dial = harness.next_dial();
    let fetch = harness.next_fetch();
    assert!(
        fetch
            .headers
            .contains(&("Last-Event-ID".to_owned(), "41".to_owned()))
    );
    harness.receive_state();
    harness.respond(dial, 200, STREAM, "");
    assert_eq!(harness.receive_state()["continuity"], "server");
}

#[test]
fn status_204_stops_and_another_content_type_fails() {
    let (mut harness, dial) = opened(json!({"protocol":"sse"}));
    harness.next_fetch();
    harness.respond(dial, 204, &[], "");
    let closed = harness.receive_state();
    assert_eq!(
        (&closed["state"], &closed["status"]),
        (&json!("closed"), &json!(204))
    );
    let (mut harness, dial) = opened(json!({"protocol":"sse"}));
    harness.respond(dial, 200, &[("content-type", "text/html")], "");
    let failed = harness.receive_state();
    assert_eq!(
        (&failed["state"], &failed["error"]["code"]),
        (&json!("failed"), &json!("server-protocol"))
    );
    assert!(failed["error"]["message"].as_str().unwrap().contains("text/html"));
    harness.passes(Duration::from_secs(3600));
    assert!(
        !harness
            .asked
            .iter()
            .any(|output| matches!(output, Output::Dial(..)))
    );
}

#[test]
fn an_expired_session_requests_credentials() {
    let mut harness = Harness::with_client();
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"http://127.0.0.1:1",
            "options":{"protocol":"poll","auth":"provider"}}),
    );
    harness.delivered.clear();
    let credentials = json!({"type":"authorize","session":"s","headers":{"Cookie":"sid=1"}});
    harness.send(PORT, credentials);
    let dial = harness.next_dial();
    harness.respond(dial, 401, &[], "who are you");
    let auth_needed = std::iter::from_fn(|| Some(harness.receive(PORT)))
        .find(|frame| frame["type"] == "auth-needed")
        .unwrap();
    assert_eq!(
        (&auth_needed["why"], &auth_needed["status"]),
        (&json!("refused"), &json!(401))
    );
}

#[test]
fn messages_lost_to_a_full_log_are_requested_again_from_a_resuming_server() {
    let full = json!({"messages":2,"overflow":"close"});
    let redial_and_fetch = |harness: &mut Harness| {
        harness.delivered.clear();
        harness.asked.clear();
        harness.give(Input::PortClosed(PORT));
        harness.open_port(PORT, "main");
        harness.send(PORT, json!({"type":"open","id":"o2","session":"s"}));
        harness.next_dial();
        harness.next_fetch()
    };
    let (mut harness, dial) = opened(json!({"protocol":"sse","queue":full}));
    harness.respond(dial, 200, STREAM, "");
    harness.stream_chunk(dial, "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n");
    let fetch = redial_and_fetch(&mut harness);
    assert!(
        fetch
            .headers
            .contains(&("Last-Event-ID".to_owned(), "2".to_owned())),
        "{fetch:?}"
    );
    let (mut harness, dial) = opened(json!({"protocol":"poll","queue":full,"poll":{
        "items":"/tasks","cursor":{"item":"/id","query":"since","start":0}}}));
    harness.respond(dial, 200, &[], r#"{"tasks":[{"id":1},{"id":2},{"id":3}]}"#);
    assert_eq!(redial_and_fetch(&mut harness).url.query(), Some("a=1&since=0"));
}

#[test]
fn a_reset_or_unsendable_event_id_gives_no_continuity() {
    // A header with a control character cannot be written.
    for last in ["id\ndata: b\n\n", "id: \u{7f}\u{1}\ndata: b\n\n"] {
        let (mut harness, dial) = opened(json!({"protocol":"sse"}));
        harness.respond(dial, 200, STREAM, "");
        harness.stream_chunk(dial, "id: 1\ndata: a\n\n");
        harness.stream_chunk(dial, last);
        harness.delivered.clear();
        harness.asked.clear();
        harness.link_ends(dial, LinkEnd::default());
        harness.passes(Duration::from_secs(1));
        let dial = harness.next_dial();
        let fetch = harness.next_fetch();
        assert!(!fetch.headers.iter().any(|(name, _)| name == "Last-Event-ID"));
        harness.delivered.clear();
        harness.respond(dial, 200, STREAM, "");
        assert_eq!(harness.receive_state()["continuity"], "unknown");
    }
}

#[test]
fn a_post_is_confirmed_by_its_status_or_requeued() {
    let (mut harness, dial) = opened(json!({"protocol":"sse","post":{"url":"http://127.0.0.1:1/in"}}));
    harness.next_fetch();
    harness.respond(dial, 200, STREAM, "");
    harness.receive_state();
    for id in ["a", "b", "c"] {
        harness.send(
            PORT,
            json!({"type":"send","session":"s","id":id,"json":{"id":id},"receipt":true}),
        );
        assert_eq!(harness.receive(PORT)["type"], "accepted");
        assert_eq!(harness.next_transmit(), format!(r#"{{"id":"{id}"}}"#));
    }
    let answer = |status| Answer {
        status,
        ..Answer::default()
    };
    harness.give(Input::Link(dial, LinkEvent::Posted(1, answer(201).into())));
    assert_eq!(harness.receive(PORT)["outcome"], "confirmed");
    harness.give(Input::Link(dial, LinkEvent::Posted(2, answer(422).into())));
    let failed = harness.receive(PORT);
    assert_eq!(
        (&failed["outcome"], &failed["error"]["code"]),
        (&json!("failed"), &json!("http-status"))
    );
    let (mut dial, mut count) = (dial, 3);
    for status in [503, 429] {
        harness.give(Input::Link(dial, LinkEvent::Posted(count, answer(status).into())));
        assert_eq!(harness.receive_state()["state"], "waiting");
        harness.asked.clear();
        harness.passes(Duration::from_secs(2));
        dial = harness.next_dial();
        harness.next_fetch();
        harness.delivered.clear();
        harness.respond(dial, 200, STREAM, "");
        assert_eq!(
            harness.next_transmit(),
            r#"{"id":"c"}"#,
            "what was not taken waits again"
        );
        harness.delivered.clear();
        count = 1;
    }
}

#[test]
fn sending_on_a_receive_only_session_is_refused() {
    let (mut harness, _) = opened(json!({"protocol":"sse"}));
    harness.send(PORT, json!({"type":"send","session":"s","id":"a","text":"x"}));
    let error = harness.receive(PORT);
    assert_eq!(error["code"], "unsupported");
    assert!(error["message"].as_str().unwrap().contains("`post`"));
}

#[test]
fn a_stream_is_reopened_after_sleep() {
    let (mut harness, dial) = opened(json!({"protocol":"sse"}));
    harness.next_fetch();
    harness.respond(dial, 200, STREAM, "");
    harness.stream_chunk(dial, "id: 9\ndata: x\n\n");
    harness.hub.handle(harness.now, Input::Resumed);
    harness.give(Input::Timeout);
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
    harness.next_dial();
    let fetch = harness.next_fetch();
    assert!(
        fetch
            .headers
            .contains(&("Last-Event-ID".to_owned(), "9".to_owned()))
    );
}
