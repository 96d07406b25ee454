//! A stream of numbers while hosts and brokers are killed.

use serde_json::json;

use super::observer::Observer;
use super::server::NumberServer;
use super::{pseudo_random, rounds};
use crate::support::scratch::Scratch;

const NUMBERS: u64 = 10_000;

#[test]
fn a_host_killed_anywhere_in_a_stream_loses_nothing() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let mut observer = Observer::new(&server.url, json!({"heartbeat": false}));
    let mut random = pseudo_random(1);
    let mut host = observer.attach(&scratch);
    server.send_up_to(NUMBERS, 20);
    for kills in 1..=rounds(40) {
        let until = observer.newest + random(NUMBERS / 50);
        observer.receive(&mut host, |seen| seen.newest >= until.min(NUMBERS));
        // What is in the pipe is lost; what was received and not acknowledged is redelivered.
        for _ in 0..random(3) {
            if observer.newest < NUMBERS
                && let Some(frame) = host.next()
            {
                observer.handle_frame(&frame);
            }
        }
        host.kill();
        host = observer.attach(&scratch);
        assert_eq!(observer.resumes.last().unwrap(), "exact", "after kill {kills}");
    }
    observer.receive(&mut host, |seen| seen.newest == NUMBERS && seen.live > 0);
    assert_eq!((observer.reported_missing, observer.gaps), (0, 0));
}

#[test]
fn a_broker_killed_anywhere_in_a_stream_reports_every_loss() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let options = json!({
        "durability": "disk", "heartbeat": false, "reconnect": {"minDelay": 1, "maxDelay": 20}, "proxy": "none",
    });
    let mut observer = Observer::new(&server.url, options);
    let mut random = pseudo_random(2);
    let mut host = observer.attach(&scratch);
    let kills = rounds(8);
    for round in 1..=kills {
        // What the server has written and the killed broker has not read is lost, and reported; so it always has more to send.
        let before = server.sent_count();
        server.send_up_to(before + NUMBERS / 4, 20);
        let until = before + 1 + random(NUMBERS / 8);
        observer.receive(&mut host, |seen| seen.newest >= until);
        scratch.kill_broker();
        observer.wait_for_broker(&mut host);
        observer.open(&mut host);
        // The kill may have cut the journal's last write; those records were not delivered, and the cut is reported.
        let resume = observer.resumes.last().unwrap();
        assert!(
            resume == "exact" || resume == "gap",
            "{resume} after kill {round}"
        );
        // A host gives up on a broker that crashes repeatedly within seconds; browsers start another.
        if round % 4 == 0 {
            host.kill();
            host = observer.attach(&scratch);
        }
    }
    observer.wait_for_link(&mut host);
    let last = server.send_one_more();
    observer.receive(&mut host, |seen| seen.newest == last);
    assert_eq!(observer.epochs.len(), 1, "a journal continues where it ended");
    assert!(
        observer.reasons.iter().all(|reason| reason == "crash"),
        "{:?}",
        observer.reasons
    );
}

#[test]
fn messages_for_a_suspended_worker_survive_the_broker() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let options =
        json!({"durability": "disk", "reconnect": {"minDelay": 1, "maxDelay": 20}, "proxy": "none"});
    let mut observer = Observer::new(&server.url, options);
    let mut host = observer.attach(&scratch);
    server.send_up_to(100, 20);
    observer.receive(&mut host, |seen| seen.newest == 100);
    host.kill();
    server.send_up_to(NUMBERS, 20);
    let mut watcher = Observer::new(&server.url, json!({}));
    // Another client of the session sees that everything has arrived.
    let mut other = crate::support::host::HostProcess::chromium(&scratch);
    other.send(&json!({"type": "hello", "protocol": 1, "client": "other"}));
    other.expect("welcome");
    other.send(&json!({"type": "open", "id": "o", "session": "s"}));
    other.expect("opened");
    crate::support::eventually(crate::support::SOON, "the broker has everything", || {
        other.send(&json!({"type": "status", "id": "q"}));
        let status = other.expect("status");
        (status["total"]["received"]["messages"] == NUMBERS).then_some(())
    });
    watcher.newest = NUMBERS;
    other.kill();
    scratch.kill_broker();
    let mut host = observer.attach(&scratch);
    assert_eq!(observer.resumes.last().unwrap(), "exact");
    observer.receive(&mut host, |seen| seen.newest == NUMBERS && seen.live > 0);
    assert_eq!((observer.reported_missing, observer.gaps), (0, 0));
}

#[test]
fn the_loss_of_a_memory_session_is_reported() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let options = json!({"reconnect": {"minDelay": 1, "maxDelay": 20}, "proxy": "none"});
    let mut observer = Observer::new(&server.url, options);
    let mut random = pseudo_random(3);
    let mut host = observer.attach(&scratch);
    for round in 1..=rounds(6) {
        let before = server.sent_count();
        server.send_up_to(before + NUMBERS / 4, 20);
        let until = before + 1 + random(NUMBERS / 8);
        observer.receive(&mut host, |seen| seen.newest >= until);
        scratch.kill_broker();
        observer.wait_for_broker(&mut host);
        observer.open(&mut host);
        assert_eq!(observer.resumes.last().unwrap(), "reset", "after kill {round}");
        assert_eq!(observer.epochs.len(), usize::try_from(round).unwrap() + 1);
        if round % 4 == 0 {
            host.kill();
            host = observer.attach(&scratch);
        }
    }
    observer.wait_for_link(&mut host);
    let last = server.send_one_more();
    observer.receive(&mut host, |seen| seen.newest == last);
}

#[test]
fn replay_completes_despite_repeatedly_killed_hosts() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let mut observer = Observer::new(
        &server.url,
        json!({"window": {"messages": 64, "bytes": 1_000_000}}),
    );
    let mut host = observer.attach(&scratch);
    observer.receive(&mut host, |_| true);
    host.kill();
    server.send_up_to(3000, 20);
    let mut random = pseudo_random(4);
    while observer.newest < 3000 {
        let mut host = observer.attach(&scratch);
        let until = (observer.newest + 1 + random(200)).min(3000);
        observer.receive(&mut host, |seen| seen.newest >= until);
        host.kill();
    }
    assert_eq!(observer.reported_missing, 0);
}

#[test]
fn a_large_message_interrupted_between_parts_is_redelivered_whole() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let mut observer = Observer::new(&server.url, json!({}));
    for round in 1..=3 {
        let mut host = observer.attach(&scratch);
        server.send_up_to(round, 5_000_000);
        if round < 3 {
            // The reader joins parts: a whole message has not come yet when the host is killed.
            crate::support::eventually(crate::support::SOON, "the server has sent it", || {
                (server.sent_count() >= round).then_some(())
            });
            host.kill();
        } else {
            observer.receive(&mut host, |seen| seen.newest == 3);
        }
    }
    assert_eq!((observer.reported_missing, observer.gaps), (0, 0));
}

#[test]
fn a_restarted_server_is_reconnected_and_the_interruption_reported() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let mut observer = Observer::new(&server.url, json!({"reconnect": {"minDelay": 1, "maxDelay": 20}}));
    let mut host = observer.attach(&scratch);
    for (round, code) in [(1, 1012), (2, 1001), (3, 1000)] {
        server.send_up_to(round * 100, 10);
        observer.receive(&mut host, |seen| seen.newest == round * 100);
        server.close(code);
        let lost = host.find("the loss", |frame| {
            frame["type"] == "state" && frame["code"] == code
        });
        assert_eq!(lost["state"], "waiting");
        let open = host.find("the return", |frame| {
            frame["type"] == "state" && frame["state"] == "open"
        });
        assert_eq!(open["continuity"], "unknown");
    }
}
