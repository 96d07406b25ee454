//! Outgoing messages while processes are killed: at most once at the server, exactly one outcome each.

use std::collections::BTreeMap;

use serde_json::json;

use super::observer::Observer;
use super::server::NumberServer;
use super::{pseudo_random, rounds};
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually};

fn send(host: &mut HostProcess, id: &str) {
    host.send(&json!({"type": "send", "session": "s", "id": id, "text": id, "receipt": true}));
}

fn counts(server: &NumberServer) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for text in server.received() {
        *counts.entry(text).or_default() += 1;
    }
    counts
}

#[test]
fn an_incomplete_frame_is_not_a_message_and_a_repeated_id_is_sent_once() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let mut observer = Observer::new(&server.url, json!({}));
    let mut host = observer.attach(&scratch);
    let frame = json!({"type": "send", "session": "s", "id": "m", "text": "m", "receipt": true}).to_string();
    let whole = longwire::wire::frame::framed(frame.as_bytes());
    host.send_bytes(&whole[..whole.len() / 2]);
    host.kill();
    let mut host = observer.attach(&scratch);
    host.send_bytes(&whole);
    host.send_bytes(&whole);
    host.find("the duplicate", |frame| {
        frame["type"] == "accepted" && frame["duplicate"] == true
    });
    observer.receive(&mut host, |seen| seen.outcomes.contains_key("m"));
    assert_eq!(observer.outcomes["m"], ["sent"]);
    assert_eq!(server.received(), ["m"]);
}

#[test]
fn after_a_broker_is_killed_each_message_settles_once() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let options =
        json!({"durability": "disk", "reconnect": {"minDelay": 1, "maxDelay": 20}, "proxy": "none"});
    let mut observer = Observer::new(&server.url, options);
    let mut random = pseudo_random(5);
    let mut host = observer.attach(&scratch);
    let mut sent = Vec::new();
    for round in 0..rounds(6) {
        for message in 0..30 {
            let id = format!("{round}.{message}");
            send(&mut host, &id);
            sent.push(id);
        }
        // Some rounds wait for an outcome, some for an acceptance, some for nothing.
        match random(3) {
            0 => observer.receive(&mut host, |seen| {
                seen.outcomes.len() > usize::try_from(round * 30).unwrap()
            }),
            1 => {
                host.expect("accepted");
            }
            _ => {}
        }
        scratch.kill_broker();
        observer.wait_for_broker(&mut host);
        observer.open(&mut host);
        // A host gives up on a broker that crashes repeatedly within seconds; browsers start another.
        if round % 4 == 3 {
            host.kill();
            host = observer.attach(&scratch);
        }
        // What was not accepted may be sent again under the same id; what was accepted is not.
        for id in &sent {
            if !observer.outcomes.contains_key(id) {
                send(&mut host, id);
            }
        }
    }
    observer.receive(&mut host, |seen| {
        sent.iter().all(|id| seen.outcomes.contains_key(id))
    });
    let counts = counts(&server);
    for id in &sent {
        let outcomes = &observer.outcomes[id];
        assert_eq!(outcomes.len(), 1, "{id} has the outcomes {outcomes:?}");
        let count = counts.get(id).copied().unwrap_or(0);
        assert!(count <= 1, "{id} was sent {count} times");
        match outcomes[0].as_str() {
            "sent" => assert_eq!(count, 1, "{id} is `sent` and the server has not got it"),
            "unknown" => {}
            other => panic!("{id} ended as {other}"),
        }
    }
}

#[test]
fn only_unproven_messages_are_unknown_after_a_lost_server() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let mut observer = Observer::new(&server.url, json!({"reconnect": {"minDelay": 1, "maxDelay": 20}}));
    let mut host = observer.attach(&scratch);
    for message in 0..200 {
        send(&mut host, &message.to_string());
        if message % 50 == 49 {
            server.close(1012);
        }
    }
    observer.receive(&mut host, |seen| seen.outcomes.len() == 200);
    let counts = counts(&server);
    for (id, outcomes) in &observer.outcomes {
        let count = counts.get(id).copied().unwrap_or(0);
        assert_eq!(outcomes.len(), 1);
        assert!(
            count <= 1 && (outcomes[0] != "sent" || count == 1),
            "{id}: {outcomes:?}, {count}"
        );
    }
}

#[test]
fn messages_wait_in_order_for_an_unreachable_server() {
    let scratch = Scratch::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", free.local_addr().unwrap());
    drop(free);
    let mut observer = Observer::new(&url, json!({"reconnect": {"minDelay": 1, "maxDelay": 20}}));
    let mut host = observer.attach(&scratch);
    host.find("the refusal", |frame| {
        frame["type"] == "state" && frame["error"]["code"] == "refused"
    });
    for message in 0..100 {
        send(&mut host, &format!("{message:03}"));
    }
    let server = NumberServer::start();
    host.send(&json!({"type": "open", "id": "o2", "session": "s", "url": server.url}));
    eventually(SOON, "everything is sent", || {
        (server.received().len() == 100).then_some(())
    });
    let received = server.received();
    assert!(received.is_sorted(), "{received:?}");
}
