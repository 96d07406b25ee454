//! What is held for clients, what is dropped when it is too much, and when a link is not read.

use super::*;

#[test]
fn overflow_while_away_is_one_gap_with_an_exact_count() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({"queue": {"messages": 10}}));
    harness.give(Input::PortClosed(PORT));
    for number in 0..25 {
        harness.server_sends(dial, &[&number.to_string()]);
    }
    harness.open_port(PORT, "main");
    harness.send(PORT, json!({"type": "open", "id": "o2", "session": "s"}));
    assert_eq!(harness.receive(PORT)["resume"], "gap");
    let types = harness
        .delivered
        .iter()
        .map(|(_, frame)| frame["type"].clone())
        .collect::<Vec<_>>();
    let gap = harness
        .delivered
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
fn a_client_behind_its_own_acknowledgement_receives_the_gap_until_it_acknowledges_it() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    harness.server_sends(dial, &["one", "two"]);
    harness.receive(PORT);
    let seq = harness.receive(PORT)["seq"].as_u64().unwrap();
    harness.send(PORT, json!({"type": "ack", "session": "s", "seq": seq}));
    harness.send(PORT, json!({"type": "open", "id": "o2", "session": "s"}));
    let epoch = harness.receive(PORT)["epoch"].clone();
    harness.receive_types(PORT);
    let resume = json!({"epoch": epoch, "seq": 1});
    harness.send(
        PORT,
        json!({"type": "open", "id": "o3", "session": "s", "resume": resume}),
    );
    harness.receive_types(PORT);
    harness.send(PORT, json!({"type": "open", "id": "o4", "session": "s"}));
    assert_eq!(harness.receive(PORT)["resume"], "gap");
    let gap = harness.receive(PORT);
    assert_eq!(
        (&gap["from"], &gap["to"], &gap["reason"]),
        (&json!(2), &json!(seq), &json!("acknowledged"))
    );
}

#[test]
fn unread_answers_do_not_fill_the_memory() {
    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    harness.send(
        PORT,
        json!({"type":"window","session":"s","messages":0,"bytes":0}),
    );
    let long = "x".repeat(9 << 20);
    for id in [1, 2] {
        harness.send(
            PORT,
            json!({"type":"request","session":"s","id":id.to_string(),"json":{"id":id},"match":{"out":"/id","in":"/id"}}),
        );
        harness.server_sends(dial, &[&json!({"id": id, "long": long}).to_string()]);
    }
    harness.delivered.clear();
    harness.send(
        PORT,
        json!({"type":"window","session":"s","messages":10,"bytes":100_000_000}),
    );
    let responses: Vec<_> = std::iter::from_fn(|| harness.delivered.pop_front())
        .map(|(_, frame)| frame)
        .filter(|frame| frame["type"] == "response")
        .collect();
    assert_eq!(responses.len(), 2);
    assert!(responses[0]["error"].is_null());
    assert_eq!(responses[1]["error"]["code"], "overflow");
}

/// Says `number` messages at a slow client and one that is away: the log is full and the socket is not read.
fn pauses(harness: &mut Harness, number: usize) -> u64 {
    let options = json!({"queue": {"messages": number, "overflow": "pause"}});
    let dial = harness.opens(options);
    let away = PortId(2);
    harness.open_port(away, "away");
    harness.send(away, json!({"type": "open", "id": "o", "session": "s"}));
    harness.give(Input::PortClosed(away));
    harness.receive_types(PORT);
    harness.server_sends(dial, &vec!["x"; number]);
    assert!(matches!(harness.asked.pop_front(), Some(Output::Pause(_))));
    let seqs: Vec<_> = (0..number)
        .map(|_| harness.receive(PORT)["seq"].clone())
        .collect();
    seqs.last().and_then(Value::as_u64).unwrap()
}

#[test]
fn a_detached_client_does_not_pause_reading() {
    let mut harness = Harness::with_client();
    let last = pauses(&mut harness, 4);
    harness.send(PORT, json!({"type": "ack", "session": "s", "seq": last}));
    assert!(
        matches!(harness.asked.pop_front(), Some(Output::Resume(_))),
        "who is here has finished with all of it"
    );
}

#[test]
fn a_client_that_detaches_from_a_full_log_does_not_block_others() {
    let mut harness = Harness::with_client();
    pauses(&mut harness, 4);
    let quick = PortId(3);
    harness.open_port(quick, "quick");
    harness.send(quick, json!({"type": "open", "id": "o", "session": "s"}));
    assert!(harness.asked.is_empty(), "the slow one is still here");
    harness.send(PORT, json!({"type": "detach", "session": "s"}));
    assert!(matches!(harness.asked.pop_front(), Some(Output::Resume(_))));
}

#[test]
fn a_paused_link_has_no_timeout_after_changed_options_and_resumes_if_they_make_room() {
    let mut harness = Harness::with_client();
    pauses(&mut harness, 4);
    let open =
        |options| json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":options});
    harness.send(
        PORT,
        open(json!({"queue": {"messages": 5, "overflow": "pause"}, "heartbeat": {"interval": 10_000}})),
    );
    harness.passes(Duration::from_secs(600));
    assert!(harness.asked.is_empty(), "{:?}", harness.asked);
    harness.send(PORT, open(json!({"queue": {"messages": 8, "overflow": "pause"}})));
    assert!(matches!(harness.asked.pop_front(), Some(Output::Resume(_))));
}

#[test]
fn a_slow_watcher_receives_the_number_of_missed_records() {
    use longwire::core::io::{SessionSelector, Watch};

    let mut harness = Harness::with_client();
    let dial = harness.opens(json!({}));
    let terminal = PortId(9);
    harness.give(Input::PortOpened(terminal, Caller::Admin));
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
    harness.give(Input::Watch(terminal, watch));
    assert_eq!(harness.receive_types(terminal), ["ok"]);
    harness.send(PORT, json!({"type": "send", "session": "s", "text": "out"}));
    let outgoing = harness.receive(terminal);
    assert_eq!(
        (&outgoing["type"], &outgoing["text"]),
        (&json!("outgoing"), &json!("out"))
    );
    // Nothing is written to the terminal any more: its room fills.
    let large = "x".repeat(1 << 20);
    let mut frames = Vec::new();
    for _ in 0..40 {
        let content = LinkEvent::Messages(vec![Incoming::Message(Payload::Text(large.clone().into()))]);
        harness.hub.handle(harness.now, Input::Link(dial, content));
        while let Some(output) = harness.hub.poll() {
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
        harness.give(Input::Written(terminal, cost));
    }
    harness.server_sends(dial, &["last"]);
    let missed = harness.receive(terminal);
    assert_eq!(
        (&missed["type"], &missed["count"]),
        (&json!("missed"), &json!(40 - shown))
    );
    assert_eq!(harness.receive(terminal)["text"], "last");
}
