//! A newer program takes over from an older broker: ports stay, sessions are passed on, no process is killed.
//!
//! The older program is this build with another version, or with `LONGWIRE_OLDER_PROGRAM` one that was built from an
//! older commit (`scripts/upgrade-check`).

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::broker::RawPort;
use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, program};

const OLDER: &str = "0.0.9";
const NEWER: &str = "9.0.0";

fn host(scratch: &Scratch, version: &str) -> HostProcess {
    let mut command = match std::env::var_os("LONGWIRE_OLDER_PROGRAM") {
        Some(older) if version == OLDER => Command::new(older),
        _ => Command::new(program()),
    };
    scratch.apply_environment(&mut command);
    command.arg(ORIGIN).env("LONGWIRE_VERSION", version);
    HostProcess::spawn(command)
}

fn open(host: &mut HostProcess, session: &str, server: &Echo, more: Value) -> Value {
    let mut frame = json!({"type": "open", "id": session, "session": session, "url": server.url()});
    frame
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    host.send(&frame);
    host.find("opened", |frame| {
        frame["type"] == "opened" && frame["session"] == session
    })
}

fn message(host: &mut HostProcess, session: &str) -> Value {
    host.find("message", |frame| {
        frame["type"] == "message" && frame["session"] == session
    })
}

fn journals(scratch: &Scratch) -> usize {
    let folder = std::fs::read_dir(scratch.home().join("state/journal")).unwrap();
    folder.flatten().filter(|entry| entry.path().is_dir()).count()
}

#[test]
fn a_newer_host_replaces_an_older_broker_and_nothing_is_lost() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut old = host(&scratch, OLDER);
    assert_eq!(old.hello()["version"], OLDER);
    let mut epochs = Vec::new();
    for (session, durability) in [("m", "memory"), ("d", "disk")] {
        let opened = open(
            &mut old,
            session,
            &server,
            json!({"options": {"durability": durability}}),
        );
        epochs.push(opened["epoch"].clone());
        old.send(
            &json!({"type": "send", "session": session, "text": "count 30", "id": "ask", "receipt": true}),
        );
        for number in 1..=30 {
            let got = message(&mut old, session);
            assert_eq!(got["text"], number.to_string());
            if number == 10 {
                old.send(&json!({"type": "ack", "session": session, "seq": got["seq"]}));
            }
        }
        old.find("outcome", |frame| {
            frame["type"] == "outcome" && frame["session"] == session && frame["outcome"] == "sent"
        });
    }
    assert_eq!(journals(&scratch), 1, "what lives in memory is not on the disk");

    let mut new = host(&scratch, NEWER);
    assert_eq!(new.hello()["version"], NEWER);
    assert_eq!(old.expect("goaway")["reason"], "upgrade");
    old.find("lost", |frame| frame["state"] == "lost");
    old.find("back", |frame| frame["state"] == "back");
    let welcome = old.hello();
    assert_eq!(welcome["version"], NEWER);
    assert_eq!(welcome["sessions"].as_array().unwrap().len(), 2, "{welcome}");
    assert_eq!(
        journals(&scratch),
        1,
        "handed over journals are removed from the disk"
    );
    for (session, epoch) in ["m", "d"].into_iter().zip(epochs) {
        let opened = open(&mut old, session, &server, json!({}));
        assert_eq!(opened["epoch"], epoch);
        assert_eq!(
            (&opened["resume"], &opened["created"]),
            (&json!("exact"), &json!(false))
        );
        for number in 11..=30 {
            let got = message(&mut old, session);
            assert_eq!(
                (&got["text"], &got["redelivered"]),
                (&json!(number.to_string()), &json!(true))
            );
        }
        old.send(&json!({"type": "send", "session": session, "text": "count 30", "id": "ask"}));
        // It is not sent twice.
        old.find("duplicate", |frame| {
            frame["type"] == "accepted" && frame["session"] == session && frame["duplicate"] == true
        });
        old.send(&json!({"type": "send", "session": session, "text": "on"}));
        assert_eq!(message(&mut old, session)["text"], "on");
    }
    let mut admin = RawPort::admin(&scratch);
    admin.send(&json!({"type": "status", "id": "1"}));
    let status = admin.next().unwrap();
    let kept: BTreeSet<_> = status["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| format!("{} {}", session["session"], session["durability"]))
        .collect();
    let expected = [r#""d" "disk""#, r#""m" "memory""#].map(str::to_owned);
    assert_eq!(kept, BTreeSet::from(expected));
    scratch.broker();
}

#[test]
fn an_older_program_never_replaces_a_newer_broker() {
    let scratch = Scratch::new();
    let mut new = host(&scratch, NEWER);
    let broker = new.hello()["broker"].clone();
    assert_eq!(host(&scratch, OLDER).hello()["broker"], broker);
    let mut asking = RawPort::connect(&scratch);
    asking.send(&json!({"longwire": 1, "kind": "admin", "pid": 1, "version": OLDER}));
    asking.send(&json!({"type": "retire", "id": "1"}));
    assert_eq!(asking.next().unwrap()["code"], "unsupported");
    new.ping("still here");
}

#[test]
fn twenty_concurrent_newer_hosts_cause_one_replacement() {
    let scratch = Scratch::new();
    let mut old: Vec<_> = (0..5).map(|_| host(&scratch, OLDER)).collect();
    for host in &mut old {
        host.hello();
    }
    let mut new: Vec<_> = (0..20).map(|_| host(&scratch, NEWER)).collect();
    let mut brokers = BTreeSet::new();
    for host in &mut new {
        let welcome = host.hello();
        assert_eq!(welcome["version"], NEWER);
        brokers.insert(welcome["broker"].to_string());
    }
    for host in &mut old {
        host.find("back", |frame| frame["state"] == "back");
        brokers.insert(host.hello()["broker"].to_string());
    }
    assert_eq!(brokers.len(), 1, "{brokers:?}");
    scratch.broker();
}

#[test]
fn installing_a_newer_program_replaces_the_running_broker() {
    let scratch = Scratch::new();
    let mut old = host(&scratch, OLDER);
    old.hello();
    let profile = scratch.folder().join("profile");
    std::fs::create_dir(&profile).unwrap();
    let install = |version: &str| {
        let output = scratch
            .command()
            .env("LONGWIRE_VERSION", version)
            .args(["install", "--extension", "ifnhjhoikpibpoclbkjnnkmfoaepmfnb"])
            .arg("--user-data-dir")
            .arg(&profile)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = install(NEWER);
    assert!(printed.contains("has been replaced"), "{printed}");
    old.find("back", |frame| frame["state"] == "back");
    assert_eq!(old.hello()["version"], NEWER);
    let printed = install(OLDER);
    assert!(!printed.contains("has been replaced"), "{printed}");
    old.ping("still here");
}
