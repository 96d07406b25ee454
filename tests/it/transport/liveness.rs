//! Is the server alive? Beats, answers, silence, naps; presets of servers that beat in their own way.

use std::time::Duration;

use longwire::core::io::{DialId, Incoming, Input, LinkEvent, Output};
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use super::stage::{Stage, closed, refused};

const SECOND: Duration = Duration::from_secs(1);

/// A session that is open.
fn open(options: Value) -> (Stage, DialId) {
    let mut stage = Stage::new(1);
    stage.opens("s", "wss://one.example/", options);
    let (dial, _) = stage.dial();
    stage.link_opens(dial);
    stage.hears_state("open");
    (stage, dial)
}

fn says(stage: &mut Stage, dial: DialId, message: Value) {
    let message = Incoming::Message(Payload::text(message.to_string()));
    stage.link(dial, LinkEvent::Messages(vec![message]));
}

/// What was transmitted since the last look.
fn transmitted(stage: &mut Stage) -> Vec<Value> {
    let asked = stage.asked.drain(..);
    asked
        .filter_map(|output| match output {
            Output::Transmit(_, payload) => Some(serde_json::from_str(payload.as_str().unwrap()).unwrap()),
            _ => None,
        })
        .collect()
}

fn messages(stage: &mut Stage) -> Vec<Value> {
    let heard = stage.hears_all().into_iter();
    heard.filter(|frame| frame["type"] == "message").collect()
}

#[test]
fn a_half_open_link_is_found_within_interval_and_timeout() {
    let (mut stage, dial) = open(json!({"heartbeat": {"interval": 5000, "timeout": 2000}}));
    stage.link(dial, LinkEvent::Alive);
    stage.pass(5 * SECOND);
    assert!(matches!(stage.asked.pop_front(), Some(Output::Ping(to, _)) if to == dial));
    stage.pass(2 * SECOND);
    assert!(matches!(stage.asked.pop_front(), Some(Output::HangUp { dial: gone, .. }) if gone == dial));
    assert_eq!(stage.hears_state("waiting")["error"]["code"], "heartbeat");
    stage.pass(SECOND);
    stage.dial();
}

#[test]
fn a_machine_that_slept_asks_at_once_and_waits_three_seconds() {
    let (mut stage, dial) = open(json!({}));
    stage.give(Input::Resumed);
    let Some(Output::Ping(to, token)) = stage.asked.pop_front() else {
        panic!("no ping");
    };
    assert_eq!(to, dial);
    stage.pass(2 * SECOND);
    stage.link(dial, LinkEvent::Pong(token));
    stage.pass(5 * SECOND);
    assert!(stage.asked.is_empty(), "the link is good");
    stage.give(Input::Resumed);
    stage.pass(3 * SECOND);
    assert_eq!(stage.hears_state("waiting")["error"]["code"], "heartbeat");
}

#[test]
fn a_beat_of_the_applications_own_wants_its_own_answer() {
    let beat = json!({"interval": 5000, "timeout": 2000, "message": {"json": {"op": "ping"}}, "expect": {"/op": "pong"}});
    let (mut stage, dial) = open(json!({"heartbeat": beat}));
    says(&mut stage, dial, json!({"op": "pong"}));
    assert_eq!(
        messages(&mut stage).len(),
        1,
        "nobody had asked: a message like any other"
    );
    stage.pass(5 * SECOND);
    assert_eq!(transmitted(&mut stage), [json!({"op": "ping"})]);
    says(&mut stage, dial, json!({"op": "news"}));
    says(&mut stage, dial, json!({"op": "pong"}));
    let told = messages(&mut stage);
    assert_eq!(told.len(), 1, "the answer is used up: {told:?}");
    stage.pass(5 * SECOND);
    assert_eq!(transmitted(&mut stage), [json!({"op": "ping"})]);
    says(&mut stage, dial, json!({"op": "news"}));
    stage.pass(2 * SECOND);
    assert_eq!(
        stage.hears_state("waiting")["error"]["code"],
        "heartbeat",
        "news are no answer"
    );
}

#[test]
fn a_servers_own_beats_are_answered_and_kept_from_the_extension() {
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
        let (mut stage, dial) = open(json!({"preset": preset}));
        transmitted(&mut stage);
        says(&mut stage, dial, ping);
        assert_eq!(transmitted(&mut stage), [pong], "{preset}");
        says(&mut stage, dial, json!({"news": 1}));
        assert_eq!(messages(&mut stage).len(), 1, "{preset}");
    }
}

#[test]
fn a_server_that_asks_without_reading_does_not_fill_the_link() {
    let (mut stage, dial) = open(json!({"preset": "centrifugo"}));
    for _ in 0..2000 {
        says(&mut stage, dial, json!({}));
    }
    assert!(transmitted(&mut stage).len() <= 256);
}

#[test]
fn servers_that_want_to_hear_us_hear_us_however_much_they_say() {
    for (preset, interval, beat) in [
        (
            "phoenix",
            30_000,
            json!([null, "beat", "phoenix", "heartbeat", {}]),
        ),
        ("discord", 41_250, json!({"op": 1, "d": null})),
    ] {
        let (mut stage, dial) = open(json!({"preset": preset}));
        let mut passed = 0;
        while passed < interval {
            stage.pass(250 * Duration::from_millis(1));
            passed += 250;
            stage.link(dial, LinkEvent::Alive);
        }
        assert_eq!(transmitted(&mut stage), [beat], "{preset}");
        assert!(stage.due().is_some());
    }
}

#[test]
fn a_preset_waits_until_the_server_is_ready() {
    let (mut stage, dial) = open(json!({"preset": "graphql-transport-ws"}));
    assert_eq!(transmitted(&mut stage), [json!({"type": "connection_init"})]);
    stage.says(json!({"type": "send", "session": "s", "id": "1", "json": {"type": "subscribe"}}));
    assert_eq!(transmitted(&mut stage), Vec::<Value>::new());
    says(&mut stage, dial, json!({"type": "connection_ack"}));
    assert_eq!(transmitted(&mut stage), [json!({"type": "subscribe"})]);
}

#[test]
fn close_codes_of_presets_and_sessions_decide_what_follows() {
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
        let (mut stage, dial) = open(options.clone());
        stage.link_ends(dial, closed(code));
        let mut states = stage
            .hears_all()
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
        let mut stage = Stage::new(1);
        stage.opens("s", "wss://one.example/", options.clone());
        let (dial, _) = stage.dial();
        stage.link_ends(dial, refused(status));
        let last = stage.hears_all().pop().unwrap();
        assert_eq!(last["state"], state, "{options} {status}");
    }
}
