//! Closing a session: everything accepted before it is written or has an outcome, then the server is asked, then it is over.

use std::time::Duration;

use longwire::core::io::{DialId, Input, LinkEnd, LinkEvent, Output, PortId};
use serde_json::{Value, json};

use crate::stage::{PORT, Stage};

fn sends(stage: &mut Stage, id: &str) {
    stage.says(
        PORT,
        json!({"type": "send", "session": "s", "id": id, "text": id, "receipt": true}),
    );
}

fn closes(stage: &mut Stage) {
    stage.says(
        PORT,
        json!({"type": "close", "session": "s", "id": "c", "code": 4000, "reason": "done"}),
    );
}

fn written(stage: &mut Stage, dial: DialId, count: u64) {
    stage.give(Input::Link(dial, LinkEvent::Written(count)));
}

/// Everything said up to now.
fn told(stage: &mut Stage) -> Vec<Value> {
    stage.told.drain(..).map(|(_, frame)| frame).collect()
}

fn outcomes(frames: &[Value]) -> Vec<(&str, &str)> {
    frames
        .iter()
        .filter(|frame| frame["type"] == "outcome")
        .map(|frame| (frame["id"].as_str().unwrap(), frame["outcome"].as_str().unwrap()))
        .collect()
}

/// The code and reason of the close frame that the link is told to write now.
fn close_frame(stage: &mut Stage) -> Option<(u16, String)> {
    stage.asked.drain(..).find_map(|output| match output {
        Output::Close { code, reason, .. } => Some((code, reason)),
        _ => None,
    })
}

fn answered(code: u16, reason: &str) -> LinkEnd {
    LinkEnd {
        code: Some(code),
        reason: Some(reason.to_owned()),
        ..LinkEnd::default()
    }
}

#[test]
fn the_close_frame_waits_for_everything_accepted_and_the_end_for_the_servers_answer() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    for number in 0..1000 {
        sends(&mut stage, &format!("m{number}"));
    }
    closes(&mut stage);
    let first = told(&mut stage);
    assert_eq!(first.last().unwrap(), &json!({"type": "ok", "id": "c"}));
    for count in (256..1000).step_by(31) {
        written(&mut stage, dial, count);
        assert_eq!(close_frame(&mut stage), None, "after {count} messages");
    }
    written(&mut stage, dial, 1000);
    let token = stage.asked.iter().rev().find_map(|output| match output {
        Output::Ping(_, token) => Some(*token),
        _ => None,
    });
    assert_eq!(close_frame(&mut stage), Some((4000, "done".to_owned())));
    assert_eq!(outcomes(&told(&mut stage)), [], "nothing is proven yet");
    stage.give(Input::Link(dial, LinkEvent::Pong(token.unwrap())));
    stage.link_ends(dial, answered(4000, "bye"));
    let last = told(&mut stage);
    assert_eq!(outcomes(&last).len(), 1000);
    assert!(outcomes(&last).iter().all(|(_, outcome)| *outcome == "sent"));
    assert_eq!(
        last.last().unwrap(),
        &json!({"type": "detached", "session": "s", "reason": "closed", "code": 4000, "closeReason": "bye", "clean": true})
    );
    stage.passes(Duration::from_secs(60));
    assert_eq!(stage.hub.deadline(stage.now), None, "nothing is left");
}

#[test]
fn what_cannot_be_written_in_time_is_told_and_so_is_what_may_have_been() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({"closeTimeout": 3000}));
    for number in 0..300 {
        sends(&mut stage, &format!("m{number}"));
    }
    closes(&mut stage);
    stage.told.clear();
    written(&mut stage, dial, 10);
    stage.asked.clear();
    stage.passes(Duration::from_millis(2999));
    assert!(told(&mut stage).is_empty());
    stage.passes(Duration::from_millis(1));
    assert!(matches!(stage.asked.back(), Some(Output::HangUp { .. })));
    let frames = told(&mut stage);
    let unknown = outcomes(&frames)
        .iter()
        .filter(|(_, word)| *word == "unknown")
        .count();
    let cancelled = outcomes(&frames)
        .iter()
        .filter(|(_, word)| *word == "cancelled")
        .count();
    assert_eq!((unknown, cancelled), (266, 34));
    assert_eq!(
        frames.last().unwrap(),
        &json!({"type": "detached", "session": "s", "reason": "closed", "clean": false})
    );
}

#[test]
fn a_link_that_is_lost_meanwhile_is_dialled_again_for_what_still_waits() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({"heartbeat": false}));
    for number in 0..300 {
        sends(&mut stage, &format!("m{number}"));
    }
    closes(&mut stage);
    written(&mut stage, dial, 100);
    stage.link_ends(
        dial,
        LinkEnd {
            code: Some(1006),
            taken: 120,
            ..LinkEnd::default()
        },
    );
    stage.asked.clear();
    stage.passes(Duration::from_secs(1));
    let dial = stage.dials();
    stage.give(Input::Link(
        dial,
        LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        },
    ));
    assert_eq!(stage.asked.len(), 180);
    written(&mut stage, dial, 180);
    assert!(close_frame(&mut stage).is_some());
    stage.link_ends(dial, answered(1000, ""));
    let frames = told(&mut stage);
    let sent = outcomes(&frames)
        .iter()
        .filter(|(_, word)| *word == "sent")
        .count();
    assert_eq!((sent, outcomes(&frames).len()), (280, 300));
    assert_eq!(frames.last().unwrap()["clean"], true);
}

#[test]
fn nothing_to_write_and_no_link_is_the_end_at_once() {
    let mut stage = Stage::with_client();
    stage.says(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1"}),
    );
    closes(&mut stage);
    assert!(matches!(stage.asked.back(), Some(Output::HangUp { .. })));
    assert_eq!(told(&mut stage).last().unwrap()["type"], "detached");
}

#[test]
fn with_discard_only_what_a_link_has_is_written() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    for number in 0..300 {
        sends(&mut stage, &format!("m{number}"));
    }
    stage.told.clear();
    stage.says(PORT, json!({"type": "close", "session": "s", "discard": true}));
    let frames = told(&mut stage);
    assert_eq!(outcomes(&frames).len(), 44);
    assert!(outcomes(&frames).iter().all(|(_, word)| *word == "cancelled"));
    assert_eq!(close_frame(&mut stage), None);
    written(&mut stage, dial, 256);
    assert_eq!(close_frame(&mut stage), Some((1000, String::new())));
}

#[test]
fn a_session_that_is_being_closed_takes_nothing_new_and_its_name_is_free_afterwards() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    sends(&mut stage, "m");
    closes(&mut stage);
    stage.told.clear();
    sends(&mut stage, "late");
    assert_eq!(stage.hears(PORT)["code"], "session-closed");
    sends(&mut stage, "m");
    assert_eq!(stage.hears(PORT)["duplicate"], true);
    stage.says(
        PORT,
        json!({"type":"subscribe","session":"s","id":"k","key":"k","send":[{"text":"more"}]}),
    );
    assert_eq!(stage.hears(PORT)["code"], "session-closed");
    stage.says(
        PORT,
        json!({"type":"open","id":"again","session":"s","url":"ws://127.0.0.1:2"}),
    );
    let other = PortId(2);
    stage.comes(other, "popup");
    stage.says(other, json!({"type":"open","id":"mine","session":"s"}));
    assert!(
        stage.told.is_empty(),
        "the name is not free yet: {:?}",
        stage.told
    );
    written(&mut stage, dial, 1);
    stage.link_ends(dial, answered(1000, ""));
    let frames = told(&mut stage);
    let of_type = |kind: &str| frames.iter().position(|frame| frame["type"] == kind).unwrap();
    assert!(of_type("detached") < of_type("opened"), "{frames:?}");
    let opened: Vec<&Value> = frames.iter().filter(|frame| frame["type"] == "opened").collect();
    assert_eq!(opened.len(), 2);
    assert_eq!(
        (&opened[0]["id"], &opened[0]["created"]),
        (&json!("again"), &json!(true))
    );
    assert_eq!(
        (&opened[1]["id"], &opened[1]["created"]),
        (&json!("mine"), &json!(false))
    );
}

#[test]
fn a_broker_that_leaves_begins_nothing_new() {
    let mut stage = Stage::with_client();
    let dial = stage.opens(json!({}));
    sends(&mut stage, "m");
    written(&mut stage, dial, 1);
    closes(&mut stage);
    stage.says(
        PORT,
        json!({"type":"open","id":"again","session":"s","url":"ws://127.0.0.1:2"}),
    );
    stage.told.clear();
    stage.give(Input::Leave { reason: "stop" });
    let frames = told(&mut stage);
    let find = |kind: &str| frames.iter().find(|frame| frame["type"] == kind).unwrap();
    assert_eq!(find("error")["code"], "shutting-down");
    assert_eq!(find("detached")["reason"], "closed");
    stage.says(
        PORT,
        json!({"type":"open","id":"more","session":"t","url":"ws://127.0.0.1:2"}),
    );
    assert_eq!(stage.hears(PORT)["code"], "shutting-down");
}
