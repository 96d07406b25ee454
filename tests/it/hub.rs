//! The hub through its public face: conversations between an extension, the hub and a link.

use std::time::Duration;

use longwire::core::io::{Caller, Incoming, Input, LinkEnd, LinkEvent, Output, PortId};
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use crate::stage::{PORT, Stage};

#[test]
fn nothing_is_answered_before_hello() {
    let mut stage = Stage::new();
    stage.give(Input::PortOpened(PORT, Caller::Extension { origin: "x".into() }));
    stage.says(PORT, json!({"type": "ping", "id": "1"}));
    let error = stage.hears(PORT);
    assert_eq!(
        (&error["code"], &error["id"]),
        (&json!("hello-required"), &json!("1"))
    );
}

#[test]
fn a_message_arrives_is_acknowledged_and_forgotten() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    stage.server_says(dial, &["one", "two"]);
    let one = stage.hears(PORT);
    assert_eq!((&one["type"], &one["text"]), (&json!("message"), &json!("one")));
    let seq = stage.hears(PORT)["seq"].as_u64().unwrap();
    stage.says(PORT, json!({"type": "ack", "session": "s", "seq": seq}));
    stage.says(PORT, json!({"type": "status", "id": "1"}));
    assert_eq!(stage.hears(PORT)["total"]["queued"], 0);
    stage.says(PORT, json!({"type": "ack", "session": "s", "seq": seq + 1}));
    assert_eq!(
        stage.hears(PORT)["code"],
        "bad-frame",
        "what was never delivered cannot be acknowledged"
    );
}

#[test]
fn a_new_port_gets_what_was_not_acknowledged_and_the_old_one_is_fenced() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    stage.server_says(dial, &["one", "two", "three"]);
    let first = stage.hears(PORT)["seq"].as_u64().unwrap();
    stage.says(PORT, json!({"type": "ack", "session": "s", "seq": first}));
    let new = PortId(2);
    stage.comes(new, "main");
    stage.says(new, json!({"type": "open", "id": "o2", "session": "s"}));
    stage.hears_types(PORT);
    let opened = stage.hears(new);
    assert_eq!(
        (&opened["resume"], &opened["seq"], &opened["created"]),
        (&json!("exact"), &json!(first), &json!(false))
    );
    let two = stage.hears(new);
    assert_eq!((&two["text"], &two["redelivered"]), (&json!("two"), &json!(true)));
    assert_eq!(stage.hears_types(new), ["message", "live"]);
    stage.says(PORT, json!({"type": "ack", "session": "s", "seq": first + 2}));
    assert_eq!(stage.hears(PORT)["code"], "not-attached");
}

#[test]
fn overflow_while_away_is_one_gap_with_an_exact_count() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({"queue": {"messages": 10}}));
    stage.give(Input::PortClosed(PORT));
    for number in 0..25 {
        stage.server_says(dial, &[&number.to_string()]);
    }
    stage.comes(PORT, "main");
    stage.says(PORT, json!({"type": "open", "id": "o2", "session": "s"}));
    assert_eq!(stage.hears(PORT)["resume"], "gap");
    let types = stage
        .told
        .iter()
        .map(|(_, frame)| frame["type"].clone())
        .collect::<Vec<_>>();
    let gap = stage
        .told
        .iter()
        .map(|(_, frame)| frame)
        .find(|frame| frame["type"] == "gap")
        .cloned()
        .unwrap();
    assert_eq!(
        (&gap["count"], &gap["exact"], &gap["seq"]),
        (&json!(15), &json!(true), &gap["to"]),
        "{types:?}"
    );
    assert_eq!(types.iter().filter(|kind| **kind == "message").count(), 10);
    assert_eq!(types.last().unwrap(), "live");
}

#[test]
fn a_message_is_sent_once_a_pong_proves_it() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    stage.says(
        PORT,
        json!({"type": "send", "session": "s", "id": "m1", "text": "hi", "receipt": true}),
    );
    assert_eq!(stage.hears(PORT)["type"], "accepted");
    assert_eq!(stage.transmits(), "hi");
    let token = stage.pings();
    stage.give(Input::Link(dial, LinkEvent::Written(1)));
    assert!(stage.told.is_empty());
    stage.give(Input::Link(dial, LinkEvent::Pong(token)));
    assert_eq!(stage.hears(PORT)["outcome"], "sent");
    stage.says(
        PORT,
        json!({"type": "send", "session": "s", "id": "m1", "text": "hi"}),
    );
    let again = stage.hears(PORT);
    assert_eq!(
        (&again["duplicate"], &again["outcome"]),
        (&json!(true), &json!("sent"))
    );
    assert!(stage.asked.is_empty(), "it is not sent twice");
}

#[test]
fn a_lost_link_leaves_unknown_outcomes_and_comes_back() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    stage.says(
        PORT,
        json!({"type": "send", "session": "s", "id": "m1", "text": "hi"}),
    );
    stage.asked.clear();
    stage.link_ends(
        dial,
        LinkEnd {
            code: Some(1006),
            taken: 1,
            ..LinkEnd::default()
        },
    );
    stage.says(
        PORT,
        json!({"type": "send", "session": "s", "id": "m2", "text": "later"}),
    );
    assert_eq!(
        stage.hears_types(PORT),
        ["accepted", "state", "outcome", "accepted"]
    );
    stage.passes(Duration::from_secs(1));
    let next = stage.dials();
    stage.server_says(dial, &["a voice from the past"]);
    stage.give(Input::Link(
        next,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    assert_eq!(stage.hears(PORT)["state"], "connecting");
    assert_eq!(stage.hears(PORT)["continuity"], "unknown");
    assert_eq!(stage.transmits(), "later");
    assert!(stage.told.is_empty(), "{:?}", stage.told);
}

#[test]
fn a_request_is_answered_once_and_its_answer_outlives_the_worker() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    let request =
        json!({"type": "request", "session": "s", "id": "r", "json": {"id": 7}, "match": {"jsonrpc": true}});
    stage.says(PORT, request);
    stage.give(Input::PortClosed(PORT));
    stage.told.clear();
    stage.server_says(dial, &[r#"{"id":7,"result":1}"#, r#"{"id":7,"result":2}"#]);
    stage.passes(Duration::from_secs(60));
    stage.comes(PORT, "main");
    stage.says(PORT, json!({"type": "open", "id": "o2", "session": "s"}));
    stage.hears(PORT);
    let all: Vec<Value> = stage.told.drain(..).map(|(_, frame)| frame).collect();
    let responses: Vec<&Value> = all.iter().filter(|frame| frame["type"] == "response").collect();
    assert_eq!(responses.len(), 1, "{all:?}");
    assert_eq!(responses[0]["text"], r#"{"id":7,"result":1}"#);
    assert_eq!(all.iter().filter(|frame| frame["type"] == "message").count(), 1);
}

#[test]
fn refused_twice_with_fresh_credentials_is_the_end() {
    let mut stage = Stage::with_client();
    stage.says(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":{"auth":"provider"}}),
    );
    for round in 1..=2 {
        let asked = std::iter::from_fn(|| Some(stage.hears(PORT)))
            .find(|frame| frame["type"] == "auth-needed")
            .unwrap();
        assert!(stage.asked.is_empty(), "no dialling without credentials");
        let headers = json!({"Authorization": format!("Bearer {round}")});
        stage.says(
            PORT,
            json!({"type":"authorize","session":"s","nonce":asked["nonce"],"headers":headers}),
        );
        let dial = stage.dials();
        stage.link_ends(
            dial,
            LinkEnd {
                status: Some(401),
                ..LinkEnd::default()
            },
        );
    }
    let last = std::iter::from_fn(|| stage.told.pop_front()).last().unwrap().1;
    assert_eq!(
        (&last["type"], &last["state"]),
        (&json!("state"), &json!("failed"))
    );
    stage.passes(Duration::from_secs(3600));
    assert!(stage.asked.is_empty());
}

#[test]
fn one_origin_cannot_name_the_sessions_of_another() {
    let mut stage = Stage::with_client();
    stage.opens(json!({}));
    let other = PortId(2);
    stage.give(Input::PortOpened(
        other,
        Caller::Extension {
            origin: "chrome-extension://b/".into(),
        },
    ));
    stage.says(other, json!({"type": "hello", "protocol": 1}));
    assert_eq!(stage.hears(other)["sessions"], json!([]));
    stage.says(other, json!({"type": "close", "session": "s", "id": "1"}));
    assert_eq!(stage.hears(other)["code"], "no-session");
}

#[test]
fn a_silent_server_is_given_up_and_a_paused_log_is_not_judged() {
    let mut stage = Stage::with_client();
    stage.opens(json!({}));
    stage.passes(Duration::from_secs(20));
    stage.pings();
    stage.passes(Duration::from_secs(10));
    assert!(matches!(stage.asked.pop_front(), Some(Output::HangUp { .. })));
    let state = stage.hears(PORT);
    assert_eq!(
        (&state["state"], &state["error"]["code"]),
        (&json!("waiting"), &json!("heartbeat"))
    );
}

#[test]
fn a_client_that_went_behind_its_own_acknowledgement_is_told_again_until_it_acknowledges_that() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    stage.server_says(dial, &["one", "two"]);
    stage.hears(PORT);
    let seq = stage.hears(PORT)["seq"].as_u64().unwrap();
    stage.says(PORT, json!({"type": "ack", "session": "s", "seq": seq}));
    stage.says(PORT, json!({"type": "open", "id": "o2", "session": "s"}));
    let epoch = stage.hears(PORT)["epoch"].clone();
    stage.hears_types(PORT);
    let resume = json!({"epoch": epoch, "seq": 1});
    stage.says(
        PORT,
        json!({"type": "open", "id": "o3", "session": "s", "resume": resume}),
    );
    stage.hears_types(PORT);
    stage.says(PORT, json!({"type": "open", "id": "o4", "session": "s"}));
    assert_eq!(stage.hears(PORT)["resume"], "gap");
    let gap = stage.hears(PORT);
    assert_eq!(
        (&gap["from"], &gap["to"], &gap["reason"]),
        (&json!(2), &json!(seq), &json!("acknowledged"))
    );
}

#[test]
fn a_volatile_message_needs_no_room_where_nothing_can_be_sent() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({"outbox": {"messages": 1}}));
    stage.link_ends(dial, LinkEnd::default());
    stage.hears_types(PORT);
    stage.says(PORT, json!({"type":"send","session":"s","id":"waits","text":"1"}));
    stage.says(PORT, json!({"type":"send","session":"s","id":"full","text":"2"}));
    stage.says(
        PORT,
        json!({"type":"send","session":"s","id":"now or never","text":"3","volatile":true}),
    );
    assert_eq!(stage.hears(PORT)["type"], "accepted");
    assert_eq!(stage.hears(PORT)["code"], "outbox-full");
    assert_eq!(stage.hears(PORT)["type"], "accepted");
    assert_eq!(stage.hears(PORT)["outcome"], "dropped");
}

#[test]
fn a_server_that_asks_for_eternity_is_waited_for_and_harms_nobody() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({"reconnect": {"minDelay": u64::MAX, "maxDelay": u64::MAX}}));
    stage.link_ends(
        dial,
        LinkEnd {
            status: Some(503),
            retry_after: Some(std::time::Duration::MAX),
            ..LinkEnd::default()
        },
    );
    let state = stage.hears(PORT);
    assert_eq!(state["state"], "waiting");
    assert!(state["retryIn"].as_u64().unwrap() < 1 << 53, "{state}");
    stage.says(PORT, json!({"type":"ping","id":"p"}));
    assert_eq!(stage.hears(PORT)["type"], "pong");
}

#[test]
fn answers_that_nobody_takes_do_not_fill_the_memory() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    stage.says(
        PORT,
        json!({"type":"window","session":"s","messages":0,"bytes":0}),
    );
    let long = "x".repeat(9 << 20);
    for id in [1, 2] {
        stage.says(
            PORT,
            json!({"type":"request","session":"s","id":id.to_string(),"json":{"id":id},"match":{"out":"/id","in":"/id"}}),
        );
        stage.server_says(dial, &[&json!({"id": id, "long": long}).to_string()]);
    }
    stage.told.clear();
    stage.says(
        PORT,
        json!({"type":"window","session":"s","messages":10,"bytes":100_000_000}),
    );
    let responses: Vec<_> = std::iter::from_fn(|| stage.told.pop_front())
        .map(|(_, frame)| frame)
        .filter(|frame| frame["type"] == "response")
        .collect();
    assert_eq!(responses.len(), 2);
    assert!(responses[0]["error"].is_null());
    assert_eq!(responses[1]["error"]["code"], "overflow");
}

/// Says `number` messages at a slow client and one that is away: the log is full and the socket is not read.
fn pauses(stage: &mut Stage, number: usize) -> u64 {
    let options = json!({"queue": {"messages": number, "overflow": "pause"}});
    let dial = stage.opens(options);
    let away = PortId(2);
    stage.comes(away, "away");
    stage.says(away, json!({"type": "open", "id": "o", "session": "s"}));
    stage.give(Input::PortClosed(away));
    stage.hears_types(PORT);
    stage.server_says(dial, &vec!["x"; number]);
    assert!(matches!(stage.asked.pop_front(), Some(Output::Pause(_))));
    let seqs: Vec<_> = (0..number).map(|_| stage.hears(PORT)["seq"].clone()).collect();
    seqs.last().and_then(Value::as_u64).unwrap()
}

#[test]
fn a_client_that_is_away_does_not_keep_the_socket_from_being_read() {
    let mut stage = Stage::with_client();
    let last = pauses(&mut stage, 4);
    stage.says(PORT, json!({"type": "ack", "session": "s", "seq": last}));
    assert!(
        matches!(stage.asked.pop_front(), Some(Output::Resume(_))),
        "who is here has finished with all of it"
    );
}

#[test]
fn who_leaves_a_full_log_does_not_keep_others_waiting() {
    let mut stage = Stage::with_client();
    pauses(&mut stage, 4);
    let quick = PortId(3);
    stage.comes(quick, "quick");
    stage.says(quick, json!({"type": "open", "id": "o", "session": "s"}));
    assert!(stage.asked.is_empty(), "the slow one is still here");
    stage.says(PORT, json!({"type": "detach", "session": "s"}));
    assert!(matches!(stage.asked.pop_front(), Some(Output::Resume(_))));
}

#[test]
fn a_link_that_is_not_read_is_not_judged_by_other_options_either_and_is_read_if_they_make_room() {
    let mut stage = Stage::with_client();
    pauses(&mut stage, 4);
    let open =
        |options| json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":options});
    stage.says(
        PORT,
        open(json!({"queue": {"messages": 5, "overflow": "pause"}, "heartbeat": {"interval": 10_000}})),
    );
    stage.passes(Duration::from_secs(600));
    assert!(stage.asked.is_empty(), "{:?}", stage.asked);
    stage.says(PORT, open(json!({"queue": {"messages": 8, "overflow": "pause"}})));
    assert!(matches!(stage.asked.pop_front(), Some(Output::Resume(_))));
}

#[test]
fn a_heartbeat_that_is_turned_off_ends_at_once_and_so_does_the_wait_for_its_proof() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    for id in ["pinged", "not yet pinged"] {
        stage.says(
            PORT,
            json!({"type":"send","session":"s","id":id,"text":"x","receipt":true}),
        );
    }
    stage.give(Input::Link(dial, LinkEvent::Written(2)));
    stage.asked.clear();
    stage.hears_types(PORT);
    let options = json!({"heartbeat": false});
    stage.says(
        PORT,
        json!({"type":"open","id":"o2","session":"s","url":"ws://127.0.0.1:1","options":options}),
    );
    let told = std::iter::from_fn(|| stage.told.pop_front()).map(|(_, frame)| frame);
    let outcomes: Vec<_> = told
        .filter(|frame| frame["type"] == "outcome" && frame["redelivered"] != true)
        .collect();
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    stage.passes(Duration::from_secs(60));
    assert!(stage.asked.is_empty(), "{:?}", stage.asked);
}

#[test]
fn status_reports_the_last_failure_the_next_dial_and_the_oldest_record() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    let status = |stage: &mut Stage| {
        stage.hears_types(PORT);
        stage.says(PORT, json!({"type": "status", "id": "1"}));
        stage.hears(PORT)["sessions"][0].clone()
    };
    stage.server_says(dial, &["one"]);
    stage.passes(Duration::from_millis(1200));
    let up = status(&mut stage);
    assert_eq!((&up["error"], &up["retryIn"]), (&json!(null), &json!(null)));
    assert!(up["oldest"].as_u64().is_some_and(|age| age >= 1200), "{up}");
    let end = LinkEnd {
        code: Some(1012),
        ..LinkEnd::default()
    };
    stage.give(Input::Link(dial, LinkEvent::Ended(end)));
    let down = status(&mut stage);
    assert_eq!(down["state"], "waiting");
    assert_eq!(down["error"]["code"], "closed-by-server");
    assert_eq!(down["error"]["retry"], "later");
    assert!(down["retryIn"].is_u64(), "{down}");
    let last = down["oldest"].as_u64().unwrap();
    stage.says(PORT, json!({"type": "ack", "session": "s", "seq": 3}));
    let later = status(&mut stage);
    assert!(later["oldest"].as_u64().is_none_or(|age| age < last), "{later}");
}

#[test]
fn one_that_watches_and_does_not_keep_up_is_told_how_much_it_missed() {
    use longwire::core::io::{SessionSelector, Watch};

    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    let terminal = PortId(9);
    stage.give(Input::PortOpened(terminal, Caller::Admin));
    let watch = Watch {
        id: "w".into(),
        session: SessionSelector {
            session: "s".into(),
            origin: None,
            profile: None,
        },
        last: 0,
        both: true,
    };
    stage.give(Input::Watch(terminal, watch));
    assert_eq!(stage.hears_types(terminal), ["ok"]);
    stage.says(PORT, json!({"type": "send", "session": "s", "text": "out"}));
    let outgoing = stage.hears(terminal);
    assert_eq!(
        (&outgoing["type"], &outgoing["text"]),
        (&json!("outgoing"), &json!("out"))
    );
    // Nothing is written to the terminal any more: its room fills.
    let large = "x".repeat(1 << 20);
    let mut frames = Vec::new();
    for _ in 0..40 {
        let said = LinkEvent::Messages(vec![Incoming::Message(Payload::Text(large.clone().into()))]);
        stage.hub.handle(stage.now, Input::Link(dial, said));
        while let Some(output) = stage.hub.poll() {
            if let Output::Deliver { port, frame, cost } = output
                && port == terminal
            {
                frames.push((frame, cost));
            }
        }
    }
    let shown = frames.len() as u64;
    assert!(shown < 40, "the room is bounded");
    for (_, cost) in frames {
        stage.give(Input::Written(terminal, cost));
    }
    stage.server_says(dial, &["last"]);
    let missed = stage.hears(terminal);
    assert_eq!(
        (&missed["type"], &missed["count"]),
        (&json!("missed"), &json!(40 - shown))
    );
    assert_eq!(stage.hears(terminal)["text"], "last");
}
