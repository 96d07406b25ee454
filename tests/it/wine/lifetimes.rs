//! Lifetimes: hosts and brokers are killed, replaced, and many started at once.

use serde_json::json;

use super::{Machine, message, open, send};
use crate::support::ORIGIN;
use crate::support::echo::Echo;
use crate::support::host::HostProcess;

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn a_session_survives_its_host() {
    let (machine, server) = (Machine::new(), Echo::start());
    let mut first = machine.host();
    first.hello();
    let opened = open(&mut first, "s", &server, json!({}));
    send(&mut first, "s", "count 3");
    let seen = message(&mut first);
    first.kill();

    let mut second = machine.host();
    second.hello();
    second.send(
        &json!({"type": "open", "id": "o", "session": "s", "url": server.url(),
        "resume": {"epoch": opened["epoch"], "seq": seen["seq"]}}),
    );
    let again = second.expect("opened");
    assert_eq!(
        (&again["resume"], &again["created"]),
        (&json!("exact"), &json!(false))
    );
    assert_eq!(message(&mut second)["text"], "2");
    assert_eq!(message(&mut second)["text"], "3");
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn a_session_on_disk_survives_its_broker() {
    let (machine, server) = (Machine::new(), Echo::start());
    let mut host = machine.host();
    host.hello();
    let disk = json!({"durability": "disk"});
    let opened = open(&mut host, "s", &server, disk.clone());
    send(&mut host, "s", "count 3");
    let seen = message(&mut host);
    let killed = machine.broker();
    machine.kill(killed);

    let mut host = machine.host();
    host.hello();
    host.send(
        &json!({"type": "open", "id": "o", "session": "s", "url": server.url(), "options": disk,
        "resume": {"epoch": opened["epoch"], "seq": seen["seq"]}}),
    );
    let again = host.expect("opened");
    assert_eq!(again["epoch"], opened["epoch"], "{again}");
    assert_ne!(machine.broker(), killed);
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn concurrent_hosts_share_one_broker() {
    let machine = Machine::new();
    let mut hosts: Vec<_> = (0..8).map(|_| machine.host()).collect();
    let brokers: Vec<_> = hosts
        .iter_mut()
        .map(|host| host.hello()["broker"].clone())
        .collect();
    assert!(brokers.iter().all(|broker| *broker == brokers[0]), "{brokers:?}");
    let second = machine.output(&["broker"]);
    assert!(!second.status.success(), "one runs already: {second:?}");
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn a_newer_host_replaces_an_older_broker() {
    let (machine, server) = (Machine::new(), Echo::start());
    let host = |version: &str| {
        let mut command = machine.command();
        command.arg(ORIGIN).env("LONGWIRE_VERSION", version);
        HostProcess::spawn(command)
    };
    let mut old = host("0.0.9");
    assert_eq!(old.hello()["version"], "0.0.9");
    let opened = open(&mut old, "s", &server, json!({"durability": "disk"}));
    let mut new = host("9.0.0");
    assert_eq!(new.hello()["version"], "9.0.0");
    let again = open(&mut new, "s", &server, json!({"durability": "disk"}));
    assert_eq!(again["epoch"], opened["epoch"], "{again}");
    assert_eq!(again["created"], false);
}
