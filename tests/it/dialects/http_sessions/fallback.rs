//! Fallback from one transport to the next, and back to a better one.

use super::*;

#[test]
fn the_next_transport_is_tried_after_two_failures_and_the_best_is_probed_later() {
    let (mut harness, dial) = opened(json!({"transports":["websocket","sse"],
        "urls":{"sse":"http://127.0.0.1:2/events"},"heartbeat":false}));
    harness.send(
        PORT,
        json!({"type":"send","session":"s","id":"m","text":"for a better day"}),
    );
    harness.receive(PORT);
    harness.link_ends(
        dial,
        LinkEnd {
            status: Some(404),
            ..LinkEnd::default()
        },
    );
    assert_eq!(
        harness.receive_state()["state"],
        "waiting",
        "no status of one transport is final"
    );
    harness.passes(Duration::from_secs(1));
    let dial = harness.next_dial();
    harness.link_ends(dial, LinkEnd::default());
    let dial = harness.next_dial();
    assert_eq!(harness.next_fetch().url.path(), "/events");
    harness.respond(dial, 200, STREAM, "");
    let open = std::iter::from_fn(|| Some(harness.receive_state()))
        .find(|state| state["state"] == "open")
        .unwrap();
    assert_eq!(open["transport"], "sse");
    assert!(harness.asked.is_empty(), "what cannot be posted waits");
    let volatile = json!({"type":"send","session":"s","id":"v","text":"now or never","volatile":true});
    harness.send(PORT, volatile);
    let outcome = std::iter::from_fn(|| Some(harness.receive(PORT)))
        .find(|frame| frame["type"] == "outcome" || frame["type"] == "error");
    assert_eq!(
        outcome.unwrap()["outcome"],
        "dropped",
        "this transport only listens"
    );
    harness.send(PORT, json!({"type":"cancel","session":"s","id":"m"}));
    harness.passes(Duration::from_secs(300));
    assert!(
        matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })),
        "never two at once"
    );
    let dial = harness.next_dial();
    assert!(harness.asked.is_empty());
    harness.link_ends(dial, LinkEnd::default());
    harness.next_dial();
    assert_eq!(
        harness.next_fetch().url.path(),
        "/events",
        "the working transport is used again immediately"
    );
}

/// A session with these options, whose WebSocket has failed twice: it listens to its event stream.
fn fallen_back(options: &[(&str, Value)]) -> (Harness, DialId) {
    let mut all = json!({"transports":["websocket","sse"],"heartbeat":false,
        "urls":{"sse":"http://127.0.0.1:2/events"}});
    for (name, value) in options {
        all[*name] = value.clone();
    }
    let (mut harness, dial) = opened(all);
    harness.link_ends(dial, LinkEnd::default());
    harness.passes(Duration::from_secs(1));
    let dial = harness.next_dial();
    harness.link_ends(dial, LinkEnd::default());
    let dial = harness.next_dial();
    harness.next_fetch();
    harness.respond(dial, 200, STREAM, "");
    (harness, dial)
}

#[test]
fn a_better_transport_is_tried_when_no_message_is_in_flight() {
    let (mut harness, dial) = fallen_back(&[("post", json!({"url":"http://127.0.0.1:2/post"}))]);
    harness.send(
        PORT,
        json!({"type":"send","session":"s","id":"m","text":"posted"}),
    );
    assert_eq!(harness.next_transmit(), "posted");
    harness.passes(Duration::from_secs(300));
    assert!(
        harness.asked.is_empty(),
        "its answer is awaited: {:?}",
        harness.asked
    );
    let taken = Answer {
        status: 200,
        ..Answer::default()
    };
    harness.give(Input::Link(dial, LinkEvent::Posted(1, taken.into())));
    harness.passes(Duration::from_secs(9));
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
    harness.passes(Duration::from_secs(1));
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
    harness.next_dial();
}

#[test]
fn a_message_waiting_for_a_better_transport_does_not_block_its_probe() {
    let (mut harness, _) = fallen_back(&[]);
    harness.send(PORT, json!({"type":"send","session":"s","id":"m","text":"waits"}));
    assert!(harness.asked.is_empty(), "this transport only listens");
    harness.passes(Duration::from_secs(300));
    assert!(matches!(harness.asked.pop_front(), Some(Output::HangUp { .. })));
    let dial = harness.next_dial();
    harness.give(Input::Link(
        dial,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    assert_eq!(harness.next_transmit(), "waits");
}
