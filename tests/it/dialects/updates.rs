//! Opening a session again with another protocol, other transports or other URLs: a change of the dial needs a new dial,
//! and the resume position of one server is never sent to another.

use std::time::Duration;

use longwire::core::io::{DialId, Fetch, LinkEnd, LinkEvent, Output};
use serde_json::{Value, json};

use super::http_sessions::{STREAM, opened};
use crate::harness::{Harness, PORT};

impl Harness {
    /// Opens the session again with other options.
    fn reopen(&mut self, options: Value) {
        let open =
            json!({"type":"open","id":"o2","session":"s","url":"http://127.0.0.1:1/x?a=1","options":options});
        self.send(PORT, open);
    }

    /// The old dial ends and a new one begins, with this request.
    #[track_caller]
    fn expect_redial(&mut self, old: DialId) -> (DialId, Fetch) {
        match self.asked.pop_front() {
            Some(Output::HangUp { dial, .. }) => assert_eq!(dial, old),
            other => panic!("the old dial is still used: {other:?}"),
        }
        let dial = self.next_dial();
        (dial, self.next_fetch())
    }

    #[track_caller]
    fn open_link(&mut self, dial: DialId) -> Value {
        self.delivered.clear();
        self.respond(dial, 200, STREAM, "");
        loop {
            let state = self.receive_state();
            if state["state"] == "open" {
                return state;
            }
        }
    }
}

/// The resume position in a request.
fn last_event_id(fetch: &Fetch) -> Option<&str> {
    let found = fetch.headers.iter().find(|(name, _)| name == "Last-Event-ID");
    found.map(|(_, id)| id.as_str())
}

#[test]
fn a_changed_protocol_redials_immediately() {
    let (mut harness, dial) = opened(json!({"protocol":"sse"}));
    harness.next_fetch();
    harness.open_link(dial);
    harness.reopen(json!({"protocol":"poll"}));
    let (dial, fetch) = harness.expect_redial(dial);
    assert!(!fetch.streaming, "it polls now");
    harness.reopen(json!({"protocol":"sse"}));
    let (_, fetch) = harness.expect_redial(dial);
    assert!(fetch.streaming);
}

#[test]
fn a_changed_transport_url_redials_immediately() {
    let (mut harness, dial) = opened(json!({"protocol":"sse","urls":{"sse":"http://127.0.0.1:2/a"}}));
    assert_eq!(harness.next_fetch().url.path(), "/a");
    harness.open_link(dial);
    harness.reopen(json!({"protocol":"sse","urls":{"sse":"http://127.0.0.1:2/b"}}));
    let (dial, fetch) = harness.expect_redial(dial);
    assert_eq!(fetch.url.path(), "/b");
    // A URL for a transport that this session does not have changes nothing.
    harness.open_link(dial);
    harness.reopen(
        json!({"protocol":"sse","urls":{"sse":"http://127.0.0.1:2/b","poll":"http://127.0.0.1:2/c"}}),
    );
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
}

#[test]
fn after_fallback_every_transport_uses_its_own_url() {
    let urls = json!({"sse":"http://127.0.0.1:2/events","poll":"http://127.0.0.1:2/poll"});
    let (mut harness, dial) = opened(json!({"transports":["sse","poll"],"urls":urls}));
    harness.next_fetch();
    harness.link_ends(dial, LinkEnd::default());
    harness.passes(Duration::from_secs(1));
    let dial = harness.next_dial();
    harness.next_fetch();
    harness.link_ends(dial, LinkEnd::default());
    let dial = harness.next_dial();
    assert_eq!(harness.next_fetch().url.path(), "/poll");
    harness.respond(dial, 200, &[], "");
    harness.delivered.clear();
    // The running poll is not resumed elsewhere: the list of transports is dialled from its beginning.
    harness.reopen(json!({"transports":["sse","poll","websocket"],"urls":urls}));
    let (_, fetch) = harness.expect_redial(dial);
    assert_eq!((fetch.url.path(), fetch.streaming), ("/events", true));
    harness.passes(Duration::from_secs(6));
    assert!(
        !harness
            .asked
            .iter()
            .any(|output| matches!(output, Output::Fetch(..)))
    );
}

#[test]
fn an_event_id_is_not_sent_to_another_server() {
    let at = |port: u16| json!({"protocol":"sse","urls":{"sse":format!("http://127.0.0.1:{port}/events")}});
    let (mut harness, dial) = opened(at(2));
    harness.next_fetch();
    harness.open_link(dial);
    harness.stream_chunk(dial, "retry: 60000\nid: secret-41\ndata: x\n\n");
    harness.reopen(at(3));
    let (dial, fetch) = harness.expect_redial(dial);
    assert_eq!(last_event_id(&fetch), None);
    assert_eq!(harness.open_link(dial)["continuity"], "unknown");
    harness.send(PORT, json!({"type":"reconnect","session":"s"}));
    let (dial, fetch) = harness.expect_redial(dial);
    assert_eq!(last_event_id(&fetch), None);
    assert_eq!(harness.open_link(dial)["continuity"], "unknown");
    harness.link_ends(dial, LinkEnd::default());
    let waiting = harness.receive_state();
    assert!(
        waiting["retryIn"].as_u64().unwrap() < 60_000,
        "the first server's wish to be left alone is not this one's: {waiting}"
    );
}

#[test]
fn a_cursor_is_not_sent_to_another_server() {
    let at = |port: u16| {
        json!({"protocol":"poll","urls":{"poll":format!("http://127.0.0.1:{port}/tasks")},
            "poll":{"items":"","cursor":{"item":"/id","query":"since"}}})
    };
    let (mut harness, dial) = opened(at(2));
    harness.next_fetch();
    harness.respond(dial, 200, &[], r#"[{"id":7}]"#);
    harness.reopen(at(3));
    let (dial, fetch) = harness.expect_redial(dial);
    assert_eq!(fetch.url.query(), None);
    harness.delivered.clear();
    harness.respond(dial, 200, &[], "[]");
    let open = std::iter::from_fn(|| Some(harness.receive_state())).find(|state| state["state"] == "open");
    assert_eq!(open.unwrap()["continuity"], "unknown");
}

#[test]
fn a_cursor_is_sent_only_with_the_options_that_produced_it() {
    let with = |poll: Value| json!({"protocol":"poll","poll":poll});
    let by_id = json!({"items":"","cursor":{"item":"/id","query":"since"}});
    let others = [
        json!({"items":"","cursor":{"item":"/at","query":"since"}}),
        json!({"items":"","cursor":{"item":"/id","query":"after"}}),
        json!({"items":"/tasks","cursor":{"item":"/id","query":"since"}}),
        json!({"items":"","cursor":{"header":"x-next","query":"since"}}),
        json!({"items":""}),
    ];
    for other in others {
        let (mut harness, dial) = opened(with(by_id.clone()));
        harness.next_fetch();
        harness.respond(dial, 200, &[("etag", "\"1\"")], r#"[{"id":7,"at":1}]"#);
        harness.reopen(with(other.clone()));
        let (dial, fetch) = harness.expect_redial(dial);
        assert_eq!(
            (fetch.url.query(), fetch.headers.len()),
            (Some("a=1"), 0),
            "{other}"
        );
        harness.delivered.clear();
        harness.respond(dial, 200, &[], r#"{"tasks":[]}"#);
        let open =
            std::iter::from_fn(|| Some(harness.receive_state())).find(|state| state["state"] == "open");
        assert_eq!(open.unwrap()["continuity"], "unknown", "{other}");
    }
}

#[test]
fn options_unrelated_to_the_position_do_not_affect_link_or_position() {
    let with = |interval: u64, start: u64| {
        json!({"protocol":"poll","poll":{"interval":interval,"items":"",
            "cursor":{"item":"/id","query":"since","start":start}}})
    };
    let (mut harness, dial) = opened(with(1000, 0));
    harness.next_fetch();
    harness.respond(dial, 200, &[], r#"[{"id":7}]"#);
    harness.reopen(with(2000, 3));
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
    harness.send(PORT, json!({"type":"reconnect","session":"s"}));
    let (_, fetch) = harness.expect_redial(dial);
    assert_eq!(fetch.url.query(), Some("a=1&since=7"));
}

#[test]
fn options_of_an_unused_protocol_do_not_redial() {
    let with = |namespace: &str, cursor: &str| {
        json!({"protocol":"sse","socketio":{"namespaces":[namespace]},
            "poll":{"cursor":{"header":cursor,"query":"since"}}})
    };
    let (mut harness, dial) = opened(with("/", "x-one"));
    harness.next_fetch();
    harness.open_link(dial);
    harness.reopen(with("/admin", "x-two"));
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
}

#[test]
fn a_lost_link_to_the_same_server_resumes_at_its_position() {
    let urls = json!({"sse":"http://127.0.0.1:2/events"});
    let (mut harness, dial) = opened(json!({"protocol":"sse","urls":urls}));
    harness.next_fetch();
    harness.open_link(dial);
    harness.stream_chunk(dial, "id: 41\ndata: x\n\n");
    // Options that are not part of the dial do not affect the link and its position.
    harness.reopen(json!({"protocol":"sse","urls":urls,"linger":5000}));
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
    harness.send(PORT, json!({"type":"reconnect","session":"s"}));
    let (dial, fetch) = harness.expect_redial(dial);
    assert_eq!(last_event_id(&fetch), Some("41"));
    assert_eq!(harness.open_link(dial)["continuity"], "server");
    harness.give(longwire::core::io::Input::Link(dial, LinkEvent::Alive));
}
