//! Opening a session again with another protocol, other transports or other URLs: a change of the dial needs a new dial,
//! and what one server said about where to go on never reaches another.

use std::time::Duration;

use longwire::core::io::{DialId, Fetch, LinkEnd, LinkEvent, Output};
use serde_json::{Value, json};

use super::asking::{STREAM, opened};
use crate::stage::{PORT, Stage};

impl Stage {
    /// Opens the session again with other options.
    fn opens_again(&mut self, options: Value) {
        let open =
            json!({"type":"open","id":"o2","session":"s","url":"http://127.0.0.1:1/x?a=1","options":options});
        self.says(PORT, open);
    }

    /// The old dial ends and a new one begins, which asks this.
    #[track_caller]
    fn dials_anew(&mut self, old: DialId) -> (DialId, Fetch) {
        match self.asked.pop_front() {
            Some(Output::HangUp { dial, .. }) => assert_eq!(dial, old),
            other => panic!("the old dial goes on: {other:?}"),
        }
        let dial = self.dials();
        (dial, self.fetches())
    }

    #[track_caller]
    fn opens_link(&mut self, dial: DialId) -> Value {
        self.told.clear();
        self.is_answered(dial, 200, STREAM, "");
        loop {
            let state = self.hears_state();
            if state["state"] == "open" {
                return state;
            }
        }
    }
}

/// What a request says about where the server is to go on.
fn last_event_id(fetch: &Fetch) -> Option<&str> {
    let found = fetch.headers.iter().find(|(name, _)| name == "Last-Event-ID");
    found.map(|(_, id)| id.as_str())
}

#[test]
fn another_protocol_is_dialled_at_once() {
    let (mut stage, dial) = opened(json!({"protocol":"sse"}));
    stage.fetches();
    stage.opens_link(dial);
    stage.opens_again(json!({"protocol":"poll"}));
    let (dial, fetch) = stage.dials_anew(dial);
    assert!(!fetch.streaming, "it polls now");
    stage.opens_again(json!({"protocol":"sse"}));
    let (_, fetch) = stage.dials_anew(dial);
    assert!(fetch.streaming);
}

#[test]
fn another_url_of_the_transport_is_dialled_at_once() {
    let (mut stage, dial) = opened(json!({"protocol":"sse","urls":{"sse":"http://127.0.0.1:2/a"}}));
    assert_eq!(stage.fetches().url.path(), "/a");
    stage.opens_link(dial);
    stage.opens_again(json!({"protocol":"sse","urls":{"sse":"http://127.0.0.1:2/b"}}));
    let (dial, fetch) = stage.dials_anew(dial);
    assert_eq!(fetch.url.path(), "/b");
    // A URL for a transport that this session does not have changes nothing.
    stage.opens_link(dial);
    stage.opens_again(
        json!({"protocol":"sse","urls":{"sse":"http://127.0.0.1:2/b","poll":"http://127.0.0.1:2/c"}}),
    );
    assert!(stage.asked.is_empty(), "{:?}", stage.asked);
}

#[test]
fn a_session_that_fell_back_asks_every_transport_at_its_own_url() {
    let urls = json!({"sse":"http://127.0.0.1:2/events","poll":"http://127.0.0.1:2/poll"});
    let (mut stage, dial) = opened(json!({"transports":["sse","poll"],"urls":urls}));
    stage.fetches();
    stage.link_ends(dial, LinkEnd::default());
    stage.passes(Duration::from_secs(1));
    let dial = stage.dials();
    stage.fetches();
    stage.link_ends(dial, LinkEnd::default());
    let dial = stage.dials();
    assert_eq!(stage.fetches().url.path(), "/poll");
    stage.is_answered(dial, 200, &[], "");
    stage.told.clear();
    // The running poll goes on nowhere else: the list is dialled anew from its beginning.
    stage.opens_again(json!({"transports":["sse","poll","websocket"],"urls":urls}));
    let (_, fetch) = stage.dials_anew(dial);
    assert_eq!((fetch.url.path(), fetch.streaming), ("/events", true));
    stage.passes(Duration::from_secs(6));
    assert!(
        !stage
            .asked
            .iter()
            .any(|output| matches!(output, Output::Fetch(..)))
    );
}

#[test]
fn an_event_id_reaches_no_other_server() {
    let at = |port: u16| json!({"protocol":"sse","urls":{"sse":format!("http://127.0.0.1:{port}/events")}});
    let (mut stage, dial) = opened(at(2));
    stage.fetches();
    stage.opens_link(dial);
    stage.is_streamed(dial, "retry: 60000\nid: secret-41\ndata: x\n\n");
    stage.opens_again(at(3));
    let (dial, fetch) = stage.dials_anew(dial);
    assert_eq!(last_event_id(&fetch), None);
    assert_eq!(stage.opens_link(dial)["continuity"], "unknown");
    stage.says(PORT, json!({"type":"reconnect","session":"s"}));
    let (dial, fetch) = stage.dials_anew(dial);
    assert_eq!(last_event_id(&fetch), None);
    assert_eq!(stage.opens_link(dial)["continuity"], "unknown");
    stage.link_ends(dial, LinkEnd::default());
    let waiting = stage.hears_state();
    assert!(
        waiting["retryIn"].as_u64().unwrap() < 60_000,
        "the first server's wish to be left alone is not this one's: {waiting}"
    );
}

#[test]
fn a_cursor_reaches_no_other_server() {
    let at = |port: u16| {
        json!({"protocol":"poll","urls":{"poll":format!("http://127.0.0.1:{port}/tasks")},
            "poll":{"items":"","cursor":{"item":"/id","query":"since"}}})
    };
    let (mut stage, dial) = opened(at(2));
    stage.fetches();
    stage.is_answered(dial, 200, &[], r#"[{"id":7}]"#);
    stage.opens_again(at(3));
    let (dial, fetch) = stage.dials_anew(dial);
    assert_eq!(fetch.url.query(), None);
    stage.told.clear();
    stage.is_answered(dial, 200, &[], "[]");
    let open = std::iter::from_fn(|| Some(stage.hears_state())).find(|state| state["state"] == "open");
    assert_eq!(open.unwrap()["continuity"], "unknown");
}

#[test]
fn a_lost_link_of_the_same_server_goes_on_where_it_was() {
    let urls = json!({"sse":"http://127.0.0.1:2/events"});
    let (mut stage, dial) = opened(json!({"protocol":"sse","urls":urls}));
    stage.fetches();
    stage.opens_link(dial);
    stage.is_streamed(dial, "id: 41\ndata: x\n\n");
    // Options that are no part of the dial leave the link and its place.
    stage.opens_again(json!({"protocol":"sse","urls":urls,"linger":5000}));
    assert!(stage.asked.is_empty(), "{:?}", stage.asked);
    stage.says(PORT, json!({"type":"reconnect","session":"s"}));
    let (dial, fetch) = stage.dials_anew(dial);
    assert_eq!(last_event_id(&fetch), Some("41"));
    assert_eq!(stage.opens_link(dial)["continuity"], "server");
    stage.give(longwire::core::io::Input::Link(dial, LinkEvent::Alive));
}
