//! Liveness of servers: heartbeats, answers, silence, sleep; presets of servers with heartbeats of their own.

use std::time::Duration;

use longwire::core::io::{DialId, Incoming, Input, LinkEvent, Output};
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use super::harness::{Harness, closed, refused};

const SECOND: Duration = Duration::from_secs(1);

/// A session that is open.
fn open(options: Value) -> (Harness, DialId) {
    let mut harness = Harness::new(1);
    harness.opens("s", "wss://one.example/", options);
    let (dial, _) = harness.dial();
    harness.link_opens(dial);
    harness.receive_state("open");
    (harness, dial)
}

fn send(harness: &mut Harness, dial: DialId, message: Value) {
    let message = Incoming::Message(Payload::text(message.to_string()));
    harness.link(dial, LinkEvent::Messages(vec![message]));
}

/// What was transmitted since the last look.
fn transmitted(harness: &mut Harness) -> Vec<Value> {
    let outputs = harness.outputs.drain(..);
    outputs
        .filter_map(|output| match output {
            Output::Transmit(_, payload) => Some(serde_json::from_str(payload.as_str().unwrap()).unwrap()),
            _ => None,
        })
        .collect()
}

fn messages(harness: &mut Harness) -> Vec<Value> {
    let received = harness.receive_all().into_iter();
    received.filter(|frame| frame["type"] == "message").collect()
}

#[test]
fn a_half_open_link_is_detected_within_interval_and_timeout() {
    let (mut harness, dial) = open(json!({"heartbeat": {"interval": 5000, "timeout": 2000}}));
    harness.link(dial, LinkEvent::Alive);
    harness.pass(5 * SECOND);
    assert!(matches!(harness.outputs.pop_front(), Some(Output::Ping(to, _)) if to == dial));
    harness.pass(2 * SECOND);
    assert!(matches!(harness.outputs.pop_front(), Some(Output::HangUp { dial: gone, .. }) if gone == dial));
    assert_eq!(harness.receive_state("waiting")["error"]["code"], "heartbeat");
    harness.pass(SECOND);
    harness.dial();
}

#[test]
fn after_sleep_a_link_is_pinged_immediately_with_a_timeout_of_three_seconds() {
    let (mut harness, dial) = open(json!({}));
    harness.give(Input::Resumed);
    let Some(Output::Ping(to, token)) = harness.outputs.pop_front() else {
        panic!("no ping");
    };
    assert_eq!(to, dial);
    harness.pass(2 * SECOND);
    harness.link(dial, LinkEvent::Pong(token));
    harness.pass(5 * SECOND);
    assert!(harness.outputs.is_empty(), "the link is good");
    harness.give(Input::Resumed);
    harness.pass(3 * SECOND);
    assert_eq!(harness.receive_state("waiting")["error"]["code"], "heartbeat");
}

#[test]
fn an_application_heartbeat_needs_its_expected_answer() {
    let beat = json!({"interval": 5000, "timeout": 2000, "message": {"json": {"op": "ping"}}, "expect": {"/op": "pong"}});
    let (mut harness, dial) = open(json!({"heartbeat": beat}));
    send(&mut harness, dial, json!({"op": "pong"}));
    assert_eq!(
        messages(&mut harness).len(),
        1,
        "no heartbeat was pending: an ordinary message"
    );
    harness.pass(5 * SECOND);
    assert_eq!(transmitted(&mut harness), [json!({"op": "ping"})]);
    send(&mut harness, dial, json!({"op": "news"}));
    send(&mut harness, dial, json!({"op": "pong"}));
    let frames = messages(&mut harness);
    assert_eq!(frames.len(), 1, "the answer is used up: {frames:?}");
    harness.pass(5 * SECOND);
    assert_eq!(transmitted(&mut harness), [json!({"op": "ping"})]);
    send(&mut harness, dial, json!({"op": "news"}));
    harness.pass(2 * SECOND);
    assert_eq!(
        harness.receive_state("waiting")["error"]["code"],
        "heartbeat",
        "news are no answer"
    );
}

#[test]
fn server_heartbeats_are_answered_and_not_delivered() {
    for (preset, ping, pong) in [
        ("centrifugo", json!({}), json!({})),
        (
            "pusher",
            json!({"event": "pusher:ping", "data": {}}),
            json!({"event": "pusher:pong", "data": {}}),
        ),
        (
            "graphql-transport-ws",
            json!({"type": "ping"}),
            json!({"type": "pong"}),
        ),
        (
            "discord",
            json!({"op": 1, "d": null}),
            json!({"op": 1, "d": null}),
        ),
    ] {
        let (mut harness, dial) = open(json!({"preset": preset}));
        transmitted(&mut harness);
        send(&mut harness, dial, ping);
        assert_eq!(transmitted(&mut harness), [pong], "{preset}");
        send(&mut harness, dial, json!({"news": 1}));
        assert_eq!(messages(&mut harness).len(), 1, "{preset}");
    }
}

#[test]
fn heartbeat_answers_to_a_server_that_does_not_read_are_bounded() {
    let (mut harness, dial) = open(json!({"preset": "centrifugo"}));
    for _ in 0..2000 {
        send(&mut harness, dial, json!({}));
    }
    assert!(transmitted(&mut harness).len() <= 256);
}

#[test]
fn presets_that_require_client_heartbeats_send_them_despite_traffic() {
    for (preset, interval, beat) in [
        (
            "phoenix",
            30_000,
            json!([null, "beat", "phoenix", "heartbeat", {}]),
        ),
        ("discord", 41_250, json!({"op": 1, "d": null})),
    ] {
        let (mut harness, dial) = open(json!({"preset": preset}));
        let mut passed = 0;
        while passed < interval {
            harness.pass(250 * Duration::from_millis(1));
            passed += 250;
            harness.link(dial, LinkEvent::Alive);
        }
        assert_eq!(transmitted(&mut harness), [beat], "{preset}");
        assert!(harness.due().is_some());
    }
}

/// What a server of the preset sends when it is ready.
fn greeting(preset: &str) -> Option<&'static str> {
    match preset {
        "ably" => Some(r#"{"action":4}"#),
        "graphql-transport-ws" => Some(r#"{"type":"connection_ack"}"#),
        "pusher" => Some(r#"{"event":"pusher:connection_established","data":"{\"activity_timeout\":120}"}"#),
        "signalr" => Some("{}\u{1e}"),
        _ => None,
    }
}

/// What a server answers to a heartbeat of the preset.
fn answer(preset: &str, beat: &str) -> Option<Value> {
    match preset {
        "phoenix" if beat.contains("heartbeat") => Some(json!([null, "beat", "phoenix", "phx_reply", {}])),
        "pusher" if beat.contains("ping") => Some(json!({"event": "pusher:pong", "data": {}})),
        "graphql-transport-ws" if beat.contains("ping") => Some(json!({"type": "pong"})),
        "ably" => Some(json!({"action": 0})),
        "discord" => Some(json!({"op": 11})),
        _ => None,
    }
}

#[test]
fn every_preset_keeps_an_idle_link_open_through_proxy_timeouts() {
    // SignalR answers no heartbeat: it sends its own once 15 s have passed, and looks once a second.
    let own = Incoming::Message(Payload::text("{\"type\":6}\u{1e}"));
    let step = Duration::from_millis(250);
    for &preset in crate::presets::PRESETS {
        let (mut stage, dial) = open(json!({"preset": preset}));
        if let Some(greeting) = greeting(preset) {
            let greeting = Incoming::Message(Payload::text(greeting));
            stage.link(dial, LinkEvent::Messages(vec![greeting]));
        }
        stage.outputs.clear();
        let (mut idle, mut since_own) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..800 {
            stage.pass(step);
            idle += step;
            since_own += step;
            assert!(idle < 50 * SECOND, "{preset}: nothing for 50 s");
            if preset == "signalr" && since_own == 16 * SECOND {
                since_own = Duration::ZERO;
                stage.link(dial, LinkEvent::Messages(vec![own.clone()]));
            }
            for output in std::mem::take(&mut stage.outputs) {
                match output {
                    Output::Ping(..) => stage.link(dial, LinkEvent::Alive),
                    Output::Transmit(_, payload) => {
                        if let Some(answer) = answer(preset, payload.as_str().unwrap()) {
                            send(&mut stage, dial, answer);
                        }
                    }
                    Output::HangUp { .. } => panic!("{preset}: hung up"),
                    _ => continue,
                }
                idle = Duration::ZERO;
            }
        }
    }
}

#[test]
fn a_preset_waits_until_the_server_is_ready() {
    let (mut harness, dial) = open(json!({"preset": "graphql-transport-ws"}));
    assert_eq!(transmitted(&mut harness), [json!({"type": "connection_init"})]);
    harness.send(json!({"type": "send", "session": "s", "id": "1", "json": {"type": "subscribe"}}));
    assert_eq!(transmitted(&mut harness), Vec::<Value>::new());
    send(&mut harness, dial, json!({"type": "connection_ack"}));
    assert_eq!(transmitted(&mut harness), [json!({"type": "subscribe"})]);
}

#[test]
fn close_codes_of_presets_and_sessions_determine_the_next_state() {
    for (options, code, state) in [
        (json!({}), 4010, "waiting"),
        (json!({"preset": "discord"}), 4010, "failed"),
        (json!({"preset": "discord"}), 4009, "waiting"),
        (json!({"preset": "discord", "auth": "none"}), 4004, "failed"),
        (json!({"preset": "pusher"}), 4001, "failed"),
        (json!({"preset": "pusher"}), 4200, "waiting"),
        (json!({"preset": "centrifugo"}), 3500, "failed"),
        (json!({"preset": "centrifugo"}), 3008, "waiting"),
        (json!({"preset": "phoenix"}), 1000, "failed"),
        (json!({"preset": "graphql-transport-ws"}), 4409, "failed"),
        (
            json!({"closeCodes": {"4000-4999": "stop", "4200": "retry"}}),
            4201,
            "failed",
        ),
        (
            json!({"closeCodes": {"4000-4999": "stop", "4200": "retry"}}),
            4200,
            "waiting",
        ),
        (json!({"closeCodes": {"1008": "retry"}}), 1008, "waiting"),
        (json!({"reconnect": false}), 1006, "closed"),
    ] {
        let (mut harness, dial) = open(options.clone());
        harness.link_ends(dial, closed(code));
        let mut states = harness
            .receive_all()
            .into_iter()
            .filter(|frame| frame["type"] == "state");
        let last = states.next_back().unwrap();
        assert_eq!(last["state"], state, "{options} {code}");
    }
    for (options, status, state) in [
        (json!({}), 404, "failed"),
        (json!({}), 400, "failed"),
        (json!({}), 502, "waiting"),
        (
            json!({"closeCodes": {"404": "retry", "500-599": "stop"}}),
            404,
            "waiting",
        ),
        (
            json!({"closeCodes": {"404": "retry", "500-599": "stop"}}),
            502,
            "failed",
        ),
    ] {
        let mut harness = Harness::new(1);
        harness.opens("s", "wss://one.example/", options.clone());
        let (dial, _) = harness.dial();
        harness.link_ends(dial, refused(status));
        let last = harness.receive_all().pop().unwrap();
        assert_eq!(last["state"], state, "{options} {status}");
    }
}
