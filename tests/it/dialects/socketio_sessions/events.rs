//! Events: when they are delivered, acknowledged and sent, and which cannot be.

use super::*;

#[test]
fn events_wait_until_every_namespace_has_answered() {
    let (mut harness, dial) = dialling(json!({"socketio":{"namespaces":["/","/b"]},
        "greeting":[{"event":"hi","namespace":"/b"}]}));
    harness.server_sends(dial, &[GREETING]);
    assert_eq!(
        [harness.next_transmit(), harness.next_transmit()],
        ["40", "40/b,"]
    );
    harness.server_sends(dial, &[r#"40{"sid":"x"}"#, r#"420["early",1]"#]);
    assert!(
        harness.delivered.is_empty() && harness.asked.is_empty(),
        "a packet to `/b` would end the connection"
    );
    harness.server_sends(dial, &[r#"40/b,{"sid":"y"}"#]);
    assert_eq!(harness.next_transmit(), r#"42/b,["hi"]"#);
    assert_eq!(state(&mut harness)["state"], "open");
    let early = harness.receive(PORT);
    assert_eq!(
        (&early["event"], &early["reply"]),
        (&json!("early"), &json!(true))
    );
    harness.send(
        PORT,
        json!({"type":"reply","session":"s","seq":early["seq"],"args":[2],"id":"r"}),
    );
    assert_eq!(harness.receive(PORT)["type"], "ok");
    assert_eq!(harness.next_transmit(), "430[2]");
}

#[test]
fn an_event_of_an_earlier_connection_is_not_acknowledged() {
    let (mut harness, dial) = open(json!({}));
    harness.server_sends(dial, &[r#"427["question"]"#]);
    let question = harness.receive(PORT);
    harness.link_ends(dial, LinkEnd::default());
    harness.passes(Duration::from_secs(1));
    let dial = harness.next_dial();
    harness.server_sends(dial, &[GREETING, r#"40{"sid":"y"}"#]);
    harness.asked.clear();
    harness.delivered.clear();
    harness.send(
        PORT,
        json!({"type":"reply","session":"s","seq":question["seq"],"args":[]}),
    );
    assert_eq!(harness.receive(PORT)["code"], "not-sent");
    assert!(harness.asked.is_empty());
}

#[test]
fn rules_and_filters_match_events() {
    let (mut harness, dial) = open(json!({}));
    harness.send(PORT, json!({"type":"subscribe","session":"s","id":"u","key":"k",
        "send":[{"event":"join","args":["a"]}],"confirm":{"event":"joined","/0":"a"},
        "filter":[{"when":{"event":"tick"},"do":"conflate","key":"/0/s"}, {"when":{"kind":"text"},"do":"drop"}]}));
    assert_eq!(harness.next_transmit(), r#"42["join","a"]"#);
    harness.receive_types(PORT);
    harness.server_sends(dial, &[r#"42["joined","b"]"#]);
    assert_eq!(harness.receive_types(PORT), ["message"]);
    harness.server_sends(dial, &[r#"42["joined","a"]"#]);
    assert_eq!(harness.receive_types(PORT), ["subscription", "message"]);
    harness.give(Input::PortClosed(PORT));
    harness.server_sends(
        dial,
        &[
            r#"42["tick",{"s":1,"v":1}]"#,
            r#"42["tick",{"s":1,"v":2}]"#,
            r#"42["other"]"#,
        ],
    );
    harness.open_port(PORT, "main");
    harness.send(PORT, json!({"type":"open","id":"o2","session":"s"}));
    let ticks: Vec<Value> = harness
        .delivered
        .iter()
        .filter(|(_, frame)| frame["event"] == "tick")
        .map(|(_, frame)| frame["args"].clone())
        .collect();
    assert_eq!(ticks, [json!([{"s": 1, "v": 2}])]);
}

#[test]
fn an_event_with_a_packet_above_the_limit_is_one_gap_and_the_next_one_is_delivered() {
    let text = |text: &str| Incoming::Message(Payload::text(text));
    let bytes = || Incoming::Message(Payload::Binary(Bytes::from_static(&[1, 2, 3])));
    let too_large = || Incoming::TooLarge { bytes: Some(1 << 30) };
    let two = r#"452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    for (what, packets) in [
        ("its text", vec![too_large(), bytes(), bytes()]),
        ("its first attachment", vec![text(two), too_large(), bytes()]),
        ("its last attachment", vec![text(two), bytes(), too_large()]),
        ("both", vec![text(two), too_large(), too_large()]),
        ("an answer that held both", vec![text(two), too_large()]),
    ] {
        let (mut harness, dial) = open(json!({}));
        harness.give(Input::Link(dial, LinkEvent::Messages(packets)));
        let one = r#"451-["next",{"_placeholder":true,"num":0}]"#;
        let next = vec![text(one), bytes()];
        harness.give(Input::Link(dial, LinkEvent::Messages(next)));
        let gap = harness.receive(PORT);
        assert_eq!(
            (&gap["type"], &gap["reason"]),
            (&json!("gap"), &json!("too-large")),
            "{what}"
        );
        assert_eq!(gap["count"], 1, "{what}");
        let next = harness.receive(PORT);
        assert_eq!(next["event"], "next", "{what}: {next}");
        assert!(harness.asked.is_empty(), "the link stays open: {what}");
    }
}

#[test]
fn an_event_that_the_next_connection_cannot_carry_fails() {
    let (mut harness, _) = dialling(json!({}));
    harness.send(
        PORT,
        json!({"type":"send","session":"s","id":"event","event":"e"}),
    );
    harness.send(PORT, json!({"type":"send","session":"s","id":"text","text":"t"}));
    harness.send(
        PORT,
        json!({"type":"open","id":"o2","session":"s","url":"ws://127.0.0.1:1","options":{}}),
    );
    expect_hang_up(&mut harness);
    harness.send(PORT, json!({"type":"reconnect","session":"s"}));
    let dial = std::iter::from_fn(|| harness.asked.pop_front()).find_map(|output| match output {
        Output::Dial(dial, _) => Some(dial),
        _ => None,
    });
    harness.delivered.clear();
    let opened = LinkEvent::Opened {
        subprotocol: None,
        extensions: None,
    };
    harness.give(Input::Link(dial.unwrap(), opened));
    assert_eq!(
        harness.next_transmit(),
        "t",
        "an event is no message of a WebSocket"
    );
    let frames: Vec<Value> = harness.delivered.iter().map(|(_, frame)| frame.clone()).collect();
    let outcome = frames
        .iter()
        .find(|frame| frame["type"] == "outcome")
        .expect("an outcome");
    assert_eq!(
        (&outcome["id"], &outcome["outcome"], &outcome["error"]["code"]),
        (&json!("event"), &json!("failed"), &json!("not-sent"))
    );
}

#[test]
fn events_name_their_namespace_without_its_query() {
    let (mut harness, dial) = dialling(json!({"socketio":{"namespaces":["/n?a=1"]}}));
    harness.server_sends(dial, &[GREETING]);
    assert_eq!(harness.next_transmit(), "40/n?a=1,");
    harness.server_sends(dial, &[r#"40/n,{"sid":"x"}"#]);
    harness.send(
        PORT,
        json!({"type":"send","session":"s","event":"e","namespace":"/n"}),
    );
    assert_eq!(harness.next_transmit(), r#"42/n,["e"]"#);
}

#[test]
fn a_servers_event_is_acknowledged_once() {
    let (mut harness, dial) = open(json!({}));
    harness.server_sends(dial, &[r#"427["question"]"#]);
    let seq = harness
        .delivered
        .iter()
        .find_map(|(_, frame)| frame["seq"].as_u64().filter(|_| frame["reply"] == true));
    let reply = json!({"type":"reply","session":"s","id":"r","seq":seq.unwrap(),"args":["yes"]});
    harness.send(PORT, reply.clone());
    assert_eq!(harness.next_transmit(), r#"437["yes"]"#);
    harness.delivered.clear();
    harness.send(PORT, reply);
    assert_eq!(harness.receive(PORT)["code"], "not-sent");
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
}
