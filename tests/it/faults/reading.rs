//! Slow and frozen readers, overflow without clients, two ports racing.

use serde_json::json;

use super::observer::Observer;
use super::server::NumberServer;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually, kilobytes};

#[test]
fn a_stalled_reader_is_reported_without_memory_growth_in_its_host() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let options = json!({"window": {"messages": 100, "bytes": 1_000_000}, "queue": {"messages": 500}});
    let mut observer = Observer::new(&server.url, options);
    let mut host = observer.attach(&scratch);
    server.send_up_to(5000, 1000);
    host.expect("stalled");
    eventually(SOON, "the server is read all the same", || {
        (server.sent_count() == 5000).then_some(())
    });
    let held = kilobytes(host.id(), "RssAnon");
    assert!(held < 2048, "the host holds {held} kB of its own");
    // It reads again: everything stored arrives, and dropped messages are counted.
    observer.receive(&mut host, |seen| seen.newest == 5000);
    assert_eq!(observer.reported_missing, observer.gaps);
    assert!(observer.gaps > 4000, "{}", observer.gaps);
}

#[test]
fn overflow_pause_stops_the_server_instead_of_dropping() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let options = json!({"queue": {"messages": 200, "overflow": "pause"}, "window": {"messages": 50}});
    let mut observer = Observer::new(&server.url, options);
    let mut host = observer.attach(&scratch);
    server.send_up_to(20_000, 2000);
    host.expect("stalled");
    observer.receive(&mut host, |seen| seen.newest == 20_000);
    assert_eq!((observer.reported_missing, observer.gaps), (0, 0));
}

#[test]
fn drop_newest_drops_the_last_messages() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let options = json!({
        "queue": {"messages": 200, "overflow": "drop-newest"}, "window": {"messages": 50, "bytes": 1_000_000},
    });
    let mut observer = Observer::new(&server.url, options);
    let mut host = observer.attach(&scratch);
    server.send_up_to(5000, 10);
    host.expect("stalled");
    eventually(SOON, "the server is read all the same", || {
        (server.sent_count() == 5000).then_some(())
    });
    observer.receive(&mut host, |seen| seen.newest >= 200);
    // The gap is where the loss was: behind stored messages, before those that arrive when there is room again.
    server.send_up_to(5001, 10);
    observer.receive(&mut host, |seen| seen.newest == 5001);
    assert_eq!(observer.reported_missing, observer.gaps);
    assert!(observer.gaps > 4000, "{}", observer.gaps);
    assert_eq!(observer.reasons.iter().collect::<Vec<_>>(), ["overflow"]);
}

#[test]
fn overflow_without_clients_is_one_gap_with_an_exact_count() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let mut observer = Observer::new(&server.url, json!({"queue": {"messages": 4096}}));
    let mut host = observer.attach(&scratch);
    server.send_up_to(1, 10);
    observer.receive(&mut host, |seen| seen.newest == 1);
    host.kill();
    server.send_up_to(10_000, 10);
    eventually(SOON, "everything is sent", || {
        (server.sent_count() == 10_000).then_some(())
    });
    // The last ones are in the broker once they can be seen.
    let mut host = observer.attach(&scratch);
    observer.receive(&mut host, |seen| seen.newest == 10_000);
    assert_eq!(observer.reported_missing, observer.gaps);
    assert!(observer.gaps >= 10_000 - 1 - 4096 - 4096, "{}", observer.gaps);
}

#[test]
fn a_newer_port_replaces_the_older_which_receives_no_more_frames() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let mut observer = Observer::new(&server.url, json!({}));
    let mut old = observer.attach(&scratch);
    server.send_up_to(50, 10);
    observer.receive(&mut old, |seen| seen.newest == 50);
    let mut new = observer.attach(&scratch);
    assert_eq!(old.expect("detached")["reason"], "superseded");
    server.send_up_to(100, 10);
    observer.receive(&mut new, |seen| seen.newest == 100);
    old.send(&json!({"type": "ack", "session": "s", "seq": 1_000_000}));
    old.send(&json!({"type": "ping", "id": "p"}));
    let received: Vec<_> = std::iter::from_fn(|| old.next())
        .take_while(|frame| frame["type"] != "pong")
        .map(|frame| frame["type"].clone())
        .collect();
    assert!(
        received.is_empty(),
        "its acknowledgement is ignored, and no record was delivered: {received:?}"
    );
}

#[test]
fn of_twenty_ports_of_one_client_one_receives_everything() {
    let scratch = Scratch::new();
    let server = NumberServer::start();
    let mut observer = Observer::new(&server.url, json!({}));
    let mut last: Option<HostProcess> = None;
    for round in 1..=20 {
        let mut host = observer.attach(&scratch);
        server.send_up_to(round * 10, 10);
        observer.receive(&mut host, |seen| seen.newest == round * 10);
        last = Some(host);
    }
    drop(last);
    assert_eq!(observer.reported_missing, 0);
}
