//! Large messages of an extension to a Socket.IO server: the shell encodes them as packets, and later messages
//! wait.

use longwire::core::io::{DialId, Incoming, Input, LinkEnd, LinkEvent, Output};
use longwire::wire::code::Code;
use longwire::wire::payload::Payload;
use longwire::wire::record::ErrorInfo;
use serde_json::{Value, json};

use crate::harness::{Harness, PORT};

const LARGE: usize = 300 << 10;

/// A session that is open, with a server that takes packets of this size.
fn open(max_payload: usize) -> (Harness, DialId) {
    let mut harness = Harness::with_client();
    let url = "http://127.0.0.1:1/";
    let options = json!({"protocol":"socket.io","outbox":{"bytes":64 << 20}});
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":url,"options":options}),
    );
    harness.receive_types(PORT);
    let dial = harness.next_dial();
    let greeting =
        json!({"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":max_payload});
    harness.server_sends(dial, &[&format!("0{greeting}"), r#"40{"sid":"s"}"#]);
    assert_eq!(harness.next_transmit(), "40");
    harness.receive_types(PORT);
    (harness, dial)
}

/// The session's next connection opens.
fn reopen(harness: &mut Harness) {
    let dial = harness
        .asked
        .iter()
        .find_map(|output| match output {
            Output::Dial(dial, _) => Some(*dial),
            _ => None,
        })
        .expect("a new dial");
    harness.asked.clear();
    harness.server_sends(
        dial,
        &[
            r#"0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#,
            r#"40{"sid":"t"}"#,
        ],
    );
    assert_eq!(harness.next_transmit(), "40");
}

fn send(harness: &mut Harness, id: &str, args: Value) {
    harness.send(
        PORT,
        json!({"type":"send","id":id,"session":"s","event":"e","args":args,"receipt":true}),
    );
}

/// The packets of the next large message, as an event of its dial.
#[track_caller]
fn encode(harness: &mut Harness) {
    let Some(Output::Encode(dial, message)) = harness.asked.pop_front() else {
        panic!("nothing is to be encoded");
    };
    harness.give(Input::Link(dial, LinkEvent::Encoded(message.encode())));
}

#[track_caller]
fn packet(harness: &mut Harness) -> Payload {
    match harness.asked.pop_front() {
        Some(Output::Transmit(_, payload)) => payload,
        other => panic!("{other:?}"),
    }
}

/// The outcomes that the extension receives, by id.
fn outcomes(harness: &mut Harness) -> Vec<(String, String)> {
    let mut outcomes = Vec::new();
    while harness.delivered.iter().any(|(port, _)| *port == PORT) {
        let frame = harness.receive(PORT);
        if frame["type"] == "outcome" {
            let text = |field: &str| frame[field].as_str().unwrap().to_owned();
            outcomes.push((text("id"), text("outcome")));
        }
    }
    outcomes
}

#[test]
fn messages_behind_a_large_event_wait_and_are_sent_in_order() {
    let (mut harness, dial) = open(64 << 20);
    send(&mut harness, "1", json!(["x".repeat(LARGE), {"$base64": "AQID"}]));
    send(&mut harness, "2", json!([2]));
    send(&mut harness, "3", json!(["y".repeat(LARGE)]));
    send(&mut harness, "4", json!([4]));
    assert_eq!(
        harness.asked.len(),
        1,
        "the first is being encoded, nothing else is sent"
    );
    encode(&mut harness);
    let first = packet(&mut harness);
    assert!(first.as_str().unwrap().starts_with(r#"451-["e","xxx"#));
    assert_eq!(packet(&mut harness).bytes().as_ref(), [1, 2, 3]);
    assert_eq!(packet(&mut harness).as_str(), Some(r#"42["e",2]"#));
    encode(&mut harness);
    assert!(
        packet(&mut harness)
            .as_str()
            .unwrap()
            .starts_with(r#"42["e","yyy"#)
    );
    assert_eq!(packet(&mut harness).as_str(), Some(r#"42["e",4]"#));
    assert!(harness.asked.is_empty());
    // The server's packet counts first: `40` was the first that the link has written.
    harness.give(Input::Link(dial, LinkEvent::Written(4)));
    let ended: Vec<_> = outcomes(&mut harness).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ended, ["1", "2"]);
}

#[test]
fn pings_are_answered_while_a_large_event_is_encoded() {
    let (mut harness, dial) = open(64 << 20);
    send(&mut harness, "1", json!(["x".repeat(LARGE)]));
    let encoding = harness.asked.pop_front().unwrap();
    harness.server_sends(dial, &["2"]);
    assert_eq!(harness.next_transmit(), "3");
    harness.asked.push_front(encoding);
    encode(&mut harness);
    assert!(packet(&mut harness).len() > LARGE);
}

#[test]
fn a_large_event_above_the_server_limit_fails_alone() {
    let (mut harness, dial) = open(LARGE);
    send(&mut harness, "1", json!(["x".repeat(LARGE)]));
    send(&mut harness, "2", json!([2]));
    // Above the limit as text, and below it as attachments.
    let bytes = "A".repeat(LARGE);
    send(&mut harness, "3", json!([{"$base64": bytes}, {"$base64": bytes}]));
    encode(&mut harness);
    assert_eq!(outcomes(&mut harness), [("1".to_owned(), "failed".to_owned())]);
    assert_eq!(packet(&mut harness).as_str(), Some(r#"42["e",2]"#));
    encode(&mut harness);
    assert!(packet(&mut harness).as_str().unwrap().starts_with("452-"));
    assert_eq!(packet(&mut harness).len(), LARGE / 4 * 3);
    assert_eq!(packet(&mut harness).len(), LARGE / 4 * 3);
    harness.give(Input::Link(dial, LinkEvent::Written(5)));
    let ended = outcomes(&mut harness);
    assert_eq!(
        ended.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
        ["2", "3"]
    );
    assert!(ended.iter().all(|(_, outcome)| outcome == "sent"), "{ended:?}");
}

#[test]
fn events_not_encoded_when_the_link_is_lost_are_unsent() {
    let (mut harness, dial) = open(64 << 20);
    send(&mut harness, "1", json!([1]));
    assert_eq!(packet(&mut harness).as_str(), Some(r#"42["e",1]"#));
    harness.give(Input::Link(dial, LinkEvent::Written(2)));
    send(&mut harness, "2", json!(["x".repeat(LARGE)]));
    send(&mut harness, "3", json!([3]));
    let Some(Output::Encode(_, message)) = harness.asked.pop_front() else {
        panic!("nothing is to be encoded");
    };
    let end = LinkEnd {
        code: Some(1006),
        taken: 2,
        ..LinkEnd::default()
    };
    harness.give(Input::Link(dial, LinkEvent::Ended(end)));
    // It comes too late and is ignored.
    harness.give(Input::Link(dial, LinkEvent::Encoded(message.encode())));
    let ended: Vec<_> = outcomes(&mut harness).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ended, ["1"], "the others go on the next connection");
    harness.passes(std::time::Duration::from_secs(60));
    reopen(&mut harness);
    encode(&mut harness);
    assert!(
        packet(&mut harness)
            .as_str()
            .unwrap()
            .starts_with(r#"42["e","xxx"#)
    );
    assert_eq!(packet(&mut harness).as_str(), Some(r#"42["e",3]"#));
}

#[test]
fn a_large_reply_is_sent_in_order_and_refused_above_the_limit() {
    let (mut harness, dial) = open(2 * LARGE);
    harness.server_sends(dial, &[r#"421["a"]"#, r#"422["b"]"#]);
    let seqs: Vec<u64> = std::iter::from_fn(|| harness.delivered.pop_front())
        .filter(|(_, frame)| frame["type"] == "message")
        .map(|(_, frame)| frame["seq"].as_u64().unwrap())
        .collect();
    let reply = |harness: &mut Harness, seq: u64, size: usize| {
        harness.send(
            PORT,
            json!({"type":"reply","id":format!("r{seq}"),"session":"s","seq":seq,"args":["z".repeat(size)]}),
        );
    };
    reply(&mut harness, seqs[0], LARGE);
    reply(&mut harness, seqs[1], 3 * LARGE);
    send(&mut harness, "1", json!([1]));
    assert_eq!(harness.asked.len(), 1);
    encode(&mut harness);
    assert!(packet(&mut harness).as_str().unwrap().starts_with(r#"431["zzz"#));
    harness.receive_types(PORT);
    encode(&mut harness);
    let error = harness.receive(PORT);
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("error"), &json!("too-large"))
    );
    assert_eq!(packet(&mut harness).as_str(), Some(r#"42["e",1]"#));
}

#[test]
fn messages_without_a_name_are_events_of_any_size() {
    let (mut harness, _) = open(64 << 20);
    for payload in [
        json!({"text": "x".repeat(LARGE)}),
        json!({"json": ["x".repeat(LARGE)]}),
        json!({"base64": "AAAA".repeat(LARGE / 3)}),
    ] {
        let mut frame = json!({"type":"send","session":"s"});
        frame
            .as_object_mut()
            .unwrap()
            .extend(payload.as_object().unwrap().clone());
        harness.send(PORT, frame);
        encode(&mut harness);
        let text = packet(&mut harness);
        let text = text.as_str().unwrap();
        if payload["base64"].is_null() {
            assert!(text.starts_with(r#"42["message","#), "{}", &text[..40]);
        } else {
            assert!(text.starts_with(r#"451-["message","#));
            assert_eq!(packet(&mut harness).len(), LARGE / 3 * 3);
        }
    }
}

#[test]
fn an_attachment_of_the_server_is_read_while_a_large_event_is_encoded() {
    let (mut harness, dial) = open(64 << 20);
    send(&mut harness, "1", json!(["x".repeat(LARGE)]));
    harness.server_sends(dial, &[r#"451-["a",{"_placeholder":true,"num":0}]"#]);
    let attachment = Incoming::Message(Payload::Binary(vec![1, 2, 3].into()));
    harness.give(Input::Link(dial, LinkEvent::Messages(vec![attachment])));
    let types = harness.receive_types(PORT);
    assert!(types.contains(&"message".to_owned()), "{types:?}");
    encode(&mut harness);
    assert!(packet(&mut harness).len() > LARGE);
}

#[test]
fn array_arguments_remain_arrays() {
    let (mut harness, _) = open(64 << 20);
    for (args, packet_text) in [
        (json!([[1, 2], 3]), r#"42["e",[1,2],3]"#),
        (json!([[]]), r#"42["e",[]]"#),
        (json!([]), r#"42["e"]"#),
    ] {
        send(&mut harness, &args.to_string(), args);
        assert_eq!(packet(&mut harness).as_str(), Some(packet_text));
    }
    harness.send(PORT, json!({"type":"send","session":"s","json":[[1],2]}));
    assert_eq!(packet(&mut harness).as_str(), Some(r#"42["message",[[1],2]]"#));
}

#[test]
fn events_not_encoded_at_a_reconnect_are_sent_on_the_next_connection() {
    let (mut harness, _) = open(64 << 20);
    send(&mut harness, "1", json!(["x".repeat(LARGE)]));
    send(&mut harness, "2", json!([2]));
    harness.asked.clear();
    harness.send(PORT, json!({"type":"reconnect","session":"s"}));
    assert_eq!(outcomes(&mut harness), [], "they wait again");
    reopen(&mut harness);
    encode(&mut harness);
    assert!(
        packet(&mut harness)
            .as_str()
            .unwrap()
            .starts_with(r#"42["e","xxx"#)
    );
    assert_eq!(packet(&mut harness).as_str(), Some(r#"42["e",2]"#));
}

#[test]
fn closing_waits_for_a_large_reply() {
    let (mut harness, dial) = open(64 << 20);
    harness.server_sends(dial, &[r#"421["a"]"#]);
    let seq = std::iter::from_fn(|| harness.delivered.pop_front())
        .find(|(_, frame)| frame["type"] == "message")
        .map(|(_, frame)| frame["seq"].clone())
        .unwrap();
    harness.send(
        PORT,
        json!({"type":"reply","session":"s","seq":seq,"args":["z".repeat(LARGE)]}),
    );
    harness.send(PORT, json!({"type":"close","session":"s"}));
    assert_eq!(harness.asked.len(), 1, "only the packets are asked for");
    encode(&mut harness);
    assert!(packet(&mut harness).as_str().unwrap().starts_with(r#"431["zzz"#));
    let end = harness.asked.pop_front();
    assert!(matches!(end, Some(Output::HangUp { .. })), "{end:?}");
}

#[test]
fn a_large_event_does_not_go_to_a_namespace_that_closed_meanwhile() {
    let mut harness = Harness::with_client();
    let options = json!({"protocol":"socket.io","socketio":{"namespaces":["/","/n"]}});
    harness.send(
        PORT,
        json!({"type":"open","id":"o","session":"s","url":"http://127.0.0.1:1/","options":options}),
    );
    harness.receive_types(PORT);
    let dial = harness.next_dial();
    let greeting =
        r#"0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":10000000}"#;
    harness.server_sends(dial, &[greeting, r#"40{"sid":"s"}"#, r#"40/n,{"sid":"n"}"#]);
    harness.asked.clear();
    harness.receive_types(PORT);
    harness.send(
        PORT,
        json!({"type":"send","id":"1","session":"s","event":"e","namespace":"/n","args":["x".repeat(LARGE)]}),
    );
    harness.server_sends(dial, &["41/n,"]);
    encode(&mut harness);
    assert_eq!(outcomes(&mut harness), [("1".to_owned(), "failed".to_owned())]);
    assert!(harness.asked.is_empty());
}

#[test]
fn an_event_that_cannot_be_encoded_fails_and_the_next_is_sent() {
    let (mut harness, dial) = open(64 << 20);
    send(&mut harness, "1", json!(["x".repeat(LARGE)]));
    send(&mut harness, "2", json!([2]));
    harness.asked.clear();
    let why = ErrorInfo::new(Code::Internal, "it cannot be done");
    harness.give(Input::Link(dial, LinkEvent::Encoded(Err(why))));
    assert_eq!(outcomes(&mut harness), [("1".to_owned(), "failed".to_owned())]);
    assert_eq!(packet(&mut harness).as_str(), Some(r#"42["e",2]"#));
}

#[test]
fn a_reply_behind_a_large_message_is_checked_immediately() {
    let (mut harness, _) = open(64 << 20);
    send(&mut harness, "1", json!(["x".repeat(LARGE)]));
    harness.receive_types(PORT);
    harness.send(
        PORT,
        json!({"type":"reply","id":"r","session":"s","seq":99,"args":[]}),
    );
    let error = harness.receive(PORT);
    assert_eq!((&error["code"], &error["id"]), (&json!("not-sent"), &json!("r")));
}
