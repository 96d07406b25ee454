//! Large contents are examined outside of the broker's loop: what the hub does with them then does not grow with their size.

use bytes::Bytes;
use longwire::core::dialect::outlines::Outlines;
use longwire::core::io::{Answer, DialId, Incoming, Input, LinkEvent, Output};
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

/// Bytes of the large contents.
const SIZE: usize = 1 << 20;

/// Bytes that the hub may take for a large content, and may scan of it.
const SMALL_CHUNK: usize = 64 << 10;

/// Values without end, as JSON.
fn values() -> String {
    vec!["1"; SIZE / 2].join(",")
}

fn messages(dial: DialId, packets: &[&str]) -> Input {
    let message = |packet: &&str| Incoming::Message(Payload::text(*packet));
    Input::Link(dial, LinkEvent::Messages(packets.iter().map(message).collect()))
}

fn bytes(dial: DialId, bytes: Bytes) -> Input {
    let message = Incoming::Message(Payload::Binary(bytes));
    Input::Link(dial, LinkEvent::Messages(vec![message]))
}

#[track_caller]
fn is_small((taken, scanned): (usize, usize)) {
    assert!(taken < SMALL_CHUNK, "the hub takes {taken} bytes");
    assert!(scanned < SMALL_CHUNK, "the hub scans {scanned} bytes");
}

/// A session of this protocol that dials.
fn dialling(protocol: &str, options: Value) -> (Harness, DialId) {
    let mut harness = Harness::with_client();
    let mut all = json!({"protocol": protocol, "queue": {"bytes": 64 << 20}, "window": {"messages": 100, "bytes": 64 << 20}});
    for (name, value) in options.as_object().unwrap() {
        all[name] = value.clone();
    }
    harness.send(
        PORT,
        json!({"type": "open", "id": "o", "session": "s", "url": "http://127.0.0.1:1", "options": all}),
    );
    let dial = harness.next_dial();
    (harness, dial)
}

/// A Socket.IO session that is open.
fn socketio(options: Value) -> (Harness, DialId) {
    let (mut harness, dial) = dialling("socket.io", options);
    let greeting = r#"0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    harness.server_sends(dial, &[greeting, r#"40{"sid":"x"}"#]);
    harness.asked.clear();
    harness.receive_types(PORT);
    (harness, dial)
}

/// An event stream that is open.
fn stream(options: Value) -> (Harness, DialId) {
    let (mut harness, dial) = dialling("sse", options);
    let answer = Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
        ..Answer::default()
    };
    harness.give(Input::Link(dial, LinkEvent::Answered(answer.into())));
    harness.asked.clear();
    harness.receive_types(PORT);
    (harness, dial)
}

fn chunk(dial: DialId, text: &str) -> Input {
    Input::Link(dial, LinkEvent::Chunk(Bytes::copy_from_slice(text.as_bytes())))
}

/// The types of what the extension is delivered, and of messages a part of their content.
fn delivered(harness: &mut Harness) -> Vec<String> {
    let mut delivered = Vec::new();
    while harness.delivered.iter().any(|(to, _)| *to == PORT) {
        let frame = harness.receive(PORT);
        let content = ["text", "json", "args"].iter().find_map(|form| frame.get(form));
        let content = content.map(|content| {
            content
                .as_str()
                .map_or_else(|| content.to_string(), str::to_owned)
        });
        let content: String = content.unwrap_or_default().chars().take(12).collect();
        delivered.push(format!("{} {content}", frame["type"].as_str().unwrap()));
    }
    delivered
}

#[test]
fn a_large_socketio_event_is_matched_by_the_guard() {
    let guard = json!({"guard": {"receive": [{"when": {"/0/id": 7}, "do": "deny"}]}});
    let (mut harness, dial) = socketio(guard);
    let event = |id: u32| format!(r#"42["e",{{"id":{id},"\u007a":[{}]}}]"#, values());
    is_small(harness.give_large(messages(dial, &[&event(7), &event(8)]), |_| {}));
    let delivered = delivered(&mut harness);
    assert_eq!(delivered.last().unwrap(), r#"message [{"id":8,"z""#);
    assert_eq!(
        delivered
            .iter()
            .filter(|delivered| delivered.starts_with("message"))
            .count(),
        1,
        "{delivered:?}"
    );
}

#[test]
fn a_large_socketio_event_with_later_attachments_is_delivered() {
    let (mut harness, dial) = socketio(json!({}));
    harness.give(messages(
        dial,
        &[r#"452-["e",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#],
    ));
    let first = bytes(dial, Bytes::from(vec![0; SIZE]));
    assert!(harness.hub.unread(&first).is_empty(), "the event is not whole");
    harness.give(first);
    is_small(harness.give_large(bytes(dial, Bytes::from(vec![255; SIZE])), |_| {}));
    assert_eq!(delivered(&mut harness), [r#"message [{"$base64":"#]);
}

#[test]
fn a_large_socketio_acknowledgement_is_delivered() {
    let (mut harness, dial) = socketio(json!({}));
    harness.send(
        PORT,
        json!({"type": "request", "session": "s", "id": "r", "event": "e", "args": [], "match": {"ack": true}}),
    );
    harness.receive_types(PORT);
    let answer = format!("431[{}]", values());
    is_small(harness.give_large(messages(dial, &[&answer]), |_| {}));
    assert_eq!(delivered(&mut harness), ["response [1,1,1,1,1,1"]);
}

#[test]
fn large_packets_that_are_not_events_are_refused_unparsed() {
    for packet in ["0", "44", "40", "4/", "45-", "49", "x", "77"] {
        let (mut harness, dial) = socketio(json!({}));
        let input = messages(dial, &[&format!("{packet}{}", values())]);
        assert!(harness.hub.unread(&input).is_empty());
        let before = longwire::wire::json::scanned();
        let taken = crate::counting::peak(|| harness.hub.handle(harness.now, input));
        is_small((taken, longwire::wire::json::scanned() - before));
    }
}

#[test]
fn large_stream_events_and_their_successors_are_delivered_in_order() {
    for (options, expected) in [
        (json!({}), "message [1,1,1,1,1,1"),
        (json!({"format": "json"}), "message [1,1,1,1,1,1"),
        (
            json!({"guard": {"receive": [{"when": {"/0": 2}, "do": "deny"}]}}),
            "message [1,1,1,1,1,1",
        ),
    ] {
        let (mut harness, dial) = stream(options);
        let text = format!("data: [{}]", values());
        let (begin, rest) = text.split_at(SIZE / 3);
        harness.give(chunk(dial, begin));
        harness.give(chunk(dial, rest));
        assert!(delivered(&mut harness).is_empty(), "the event is not whole");
        is_small(harness.give_large(chunk(dial, "\n"), |_| {}));
        is_small(harness.give_large(chunk(dial, "\ndata: next\n\ndata: be"), |_| {}));
        harness.give(chunk(dial, "hind\n\n"));
        assert_eq!(
            delivered(&mut harness),
            [expected, "message next", "message behind"]
        );
    }
}

#[test]
fn an_event_above_the_budget_during_parsing_is_lost_alone() {
    let (mut harness, dial) = stream(json!({}));
    harness.give(chunk(dial, &format!("data: {}", values())));
    is_small(harness.give_large(chunk(dial, "\ndata: 2\n"), |harness| {
        let rules = longwire::core::rules::Rules {
            memory: longwire::core::rules::MemoryRule { total: 1 },
            ..longwire::core::rules::Rules::default()
        };
        harness.give(Input::Rules(rules.into()));
        harness.give(Input::Rules(std::sync::Arc::default()));
    }));
    harness.give(chunk(dial, "data: 3\n\ndata: next\n\n"));
    assert_eq!(delivered(&mut harness), ["gap ", "message next"]);
}

#[test]
fn a_request_made_during_parsing_is_not_answered_by_that_message() {
    let (mut harness, dial) = socketio(json!({}));
    let event = format!(r#"42["e",{{"id":7,"a":[{}]}}]"#, values());
    is_small(harness.give_large(messages(dial, &[&event]), |harness| {
        harness.send(
            PORT,
            json!({"type": "request", "session": "s", "id": "r", "event": "e", "args": [7], "match": {"out": "/0", "in": "/0/id"}}),
        );
    }));
    let delivered = delivered(&mut harness);
    assert_eq!(delivered, ["accepted ", r#"message [{"a":[1,1,1"#]);
}

/// A poll with these items, and the options of the extension.
fn answer(dial: DialId, status: u16, body: String) -> Input {
    let answer = Answer {
        status,
        body: body.into(),
        ..Answer::default()
    };
    Input::Link(dial, LinkEvent::Answered(answer.into()))
}

#[test]
fn a_large_poll_response_and_its_large_items_are_delivered() {
    let poll = json!({"items": "/items", "cursor": {"item": "/id", "query": "after"}, "interval": 1});
    for (options, messages) in [
        (json!({"poll": poll}), 3),
        (
            json!({"poll": poll, "guard": {"receive": [{"when": {"/id": 2}, "do": "deny"}]}}),
            2,
        ),
    ] {
        let (mut harness, dial) = dialling("poll", options);
        harness.asked.clear();
        let item = |id: u32| format!(r#"{{"id":{id},"values":[{}]}}"#, values());
        let body = format!(r#"{{"items":[{{"id":1}}, {} ,{}]}}"#, item(2), item(3));
        is_small(harness.give_large(answer(dial, 200, body), |_| {}));
        for _ in 0..5 {
            let before = longwire::wire::json::scanned();
            harness.passes(std::time::Duration::from_millis(1));
            let scanned = longwire::wire::json::scanned() - before;
            assert!(scanned < SMALL_CHUNK, "{scanned} bytes in a later turn");
        }
        let delivered = delivered(&mut harness);
        let count = delivered
            .iter()
            .filter(|delivered| delivered.starts_with("message"))
            .count();
        assert_eq!(count, messages, "{delivered:?}");
        let Some(Output::Fetch(_, fetch)) = harness.asked.pop_front() else {
            panic!("{:?}", harness.asked)
        };
        assert_eq!(fetch.url.query(), Some("after=3"), "the last item has the cursor");
    }
}

#[test]
fn a_large_poll_response_may_be_invalid_json_or_a_single_message() {
    for (options, body, reported_last) in [
        (json!({"poll": {"items": "/items"}}), "x".repeat(SIZE), "state "),
        (json!({}), "é".repeat(SIZE), "message éééééééééééé"),
        (
            json!({"format": "json"}),
            format!("[{}]", values()),
            "message [1,1,1,1,1,1",
        ),
        (
            json!({"poll": {"items": "/a"}}),
            format!(r#"{{"a":"{}"}}"#, "x".repeat(SIZE)),
            "message xxxxxxxxxxxx",
        ),
    ] {
        let (mut harness, dial) = dialling("poll", options);
        is_small(harness.give_large(answer(dial, 200, body), |_| {}));
        assert_eq!(delivered(&mut harness).last().unwrap(), reported_last);
    }
}

#[test]
fn a_refusal_with_a_large_body_is_reported_by_its_beginning() {
    let page = format!("<html><title>{}", "a ".repeat(SIZE));
    for protocol in ["poll", "sse"] {
        for status in [200, 500] {
            let (mut harness, dial) = dialling(protocol, json!({"poll": {"items": "/items"}}));
            let input = answer(dial, status, page.clone());
            let outlines = Outlines::read(harness.hub.unread(&input));
            let taken = crate::counting::peak(|| harness.hub.handle_read(harness.now, input, outlines));
            assert!(taken < SIZE, "{protocol}, {status}: {taken} bytes");
        }
    }
}

#[test]
fn a_projection_of_a_large_message_is_delivered() {
    let (mut harness, dial) = socketio(json!({"window": {"messages": 0, "bytes": 0}}));
    harness.send(
        PORT,
        json!({"type": "subscribe", "session": "s", "id": "f", "key": "k",
               "filter": [{"do": "project", "keep": ["/0/id", "/0/none"]}]}),
    );
    harness.receive_types(PORT);
    let event = |id: u32| format!(r#"42["e",{{"id":{id},"a":[{}]}}]"#, values());
    is_small(harness.give_large(messages(dial, &[&event(7), &event(8)]), |_| {}));
    // What waits behind the window is not read with everything that comes.
    let before = longwire::wire::json::scanned();
    harness.server_sends(dial, &[r#"42["e",1]"#]);
    assert!(longwire::wire::json::scanned() - before < SMALL_CHUNK);
    harness.send(
        PORT,
        json!({"type": "window", "session": "s", "messages": 10, "bytes": 1000}),
    );
    let delivered = delivered(&mut harness);
    assert_eq!(
        delivered[delivered.len() - 3..],
        [r#"message [{"id":7}]"#, r#"message [{"id":8}]"#, "message []"]
    );
}

#[test]
fn a_large_projection_is_delivered_as_the_whole_message() {
    let (mut harness, dial) = socketio(json!({}));
    harness.send(
        PORT,
        json!({"type": "subscribe", "session": "s", "id": "f", "key": "k",
               "filter": [{"do": "project", "keep": ["/0/values"]}]}),
    );
    harness.receive_types(PORT);
    let event = format!(r#"42["e",{{"id":7,"values":[{},{}]}}]"#, values(), values());
    let (taken, scanned) = harness.give_large(messages(dial, &[&event]), |_| {});
    assert!(
        taken < 2 * SIZE && scanned < SMALL_CHUNK,
        "{taken} bytes, {scanned} scanned"
    );
    assert_eq!(delivered(&mut harness), [r#"message [{"id":7,"va"#]);
}

#[test]
fn a_large_conflation_key_is_not_read_and_replaces_nothing() {
    let (mut harness, dial) = socketio(json!({"window": {"messages": 0, "bytes": 0}}));
    harness.send(
        PORT,
        json!({"type": "subscribe", "session": "s", "id": "f", "key": "k",
               "filter": [{"do": "conflate", "key": "/0"}]}),
    );
    let event = format!(r#"42["e",[{}]]"#, values());
    is_small(harness.give_large(
        messages(dial, &[&event, &event, r#"42["e",1]"#, r#"42["e",1]"#]),
        |_| {},
    ));
    harness.send(PORT, json!({"type": "status", "id": "status"}));
    let status = harness.delivered.pop_back().unwrap().1;
    assert_eq!(status["sessions"][0]["queued"], 3, "{status}");
}

#[test]
fn many_terms_on_one_long_value_do_not_parse_it() {
    let lines: Vec<Value> = (0..500)
        .map(|id| json!({"when": {"/0/v": id}, "do": "drop"}))
        .collect();
    let (mut harness, dial) = socketio(json!({}));
    for (key, lines) in lines.chunks(50).enumerate() {
        harness.send(
            PORT,
            json!({"type": "subscribe", "session": "s", "id": "f", "key": key.to_string(), "filter": lines}),
        );
    }
    assert!(!harness.receive_types(PORT).contains(&"error".to_owned()));
    let value = vec!["1"; 100 << 10].join(",");
    let event = format!(r#"42["e",{{"v":[{value}],"a":[{}]}}]"#, values());
    is_small(harness.give_large(messages(dial, &[&event]), |_| {}));
    assert_eq!(delivered(&mut harness), [r#"message [{"a":[1,1,1"#]);
}
