//! `longwire tail`: shows new records, hides payloads, and does not affect clients.

use serde_json::json;

use super::{Running, echo, extension, run, stderr};
use crate::support::broker::FakeBroker;
use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;

#[test]
fn records_are_shown_live_with_hidden_payloads() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = extension(&scratch, &server, "prices");
    let before = echo(&mut host, "prices", "before");
    let hidden = Running::start(&scratch, &["tail", "prices"]);
    let shown = Running::start(&scratch, &["tail", "prices", "--payloads", "--json"]);
    // What is still held comes first.
    assert!(hidden.line("of 6 bytes").contains("message"));
    shown.line("before");
    host.send(&json!({"type": "send", "session": "prices", "id": "1", "text": "secret", "receipt": true}));
    let line = shown.line("secret");
    let record: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(record["type"], "message");
    assert!(!hidden.line("of 6 bytes").contains("secret"));
    assert!(hidden.line("outcome").contains("sent id 1"));
    // The extension's own place is where it was: it has acknowledged nothing, and gets everything again.
    host.kill();
    let mut again = HostProcess::chromium(&scratch);
    again.hello();
    again.send(&json!({"type": "open", "id": "o", "session": "prices"}));
    let opened = again.expect("opened");
    assert_eq!(opened["resume"], "exact");
    let message = again.expect("message");
    assert_eq!(
        (&message["seq"], &message["text"]),
        (&before["seq"], &json!("before"))
    );
    again.send(&json!({"type": "close", "session": "prices", "id": "c"}));
    again.expect("ok");
    let mut hidden = hidden;
    let ended = crate::support::eventually(crate::support::SOON, "it ends with the session", || {
        hidden.child.try_wait().unwrap()
    });
    assert!(ended.success());
}

#[test]
fn a_session_that_does_not_exist_is_reported() {
    let scratch = Scratch::new();
    assert_eq!(run(&scratch, &["tail", "s"], "").status.code(), Some(3));
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let output = run(&scratch, &["tail", "s"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no session `s`"));
}

#[test]
fn sessions_with_the_same_name_are_distinguished_by_profile() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut hosts = Vec::new();
    for profile in ["home", "work"] {
        let mut host = HostProcess::chromium(&scratch);
        host.send(&json!({"type": "hello", "protocol": 1, "profile": profile}));
        host.send(&json!({"type": "open", "id": "o", "session": "s", "url": server.url()}));
        host.find("open", |frame| {
            frame["type"] == "state" && frame["state"] == "open"
        });
        hosts.push(host);
    }
    let output = run(&scratch, &["tail", "s"], "");
    assert!(
        stderr(&output).contains("several sessions"),
        "{}",
        stderr(&output)
    );
    let tail = Running::start(&scratch, &["tail", "s", "--profile", "work", "--payloads"]);
    tail.line("state");
    echo(&mut hosts[0], "s", "for home");
    echo(&mut hosts[1], "s", "for work");
    assert!(tail.line("message").contains("for work"));
}

#[test]
fn a_silent_broker_is_given_up_after_a_timeout() {
    let scratch = Scratch::new();
    let _silent = FakeBroker::listen(&scratch);
    for arguments in [&["tail", "s"][..], &["status"], &["stop"]] {
        let output = run(&scratch, arguments, "");
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        assert!(stderr(&output).contains("did not answer within 5 s"));
    }
}

#[test]
fn sent_messages_are_shown_on_request() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = extension(&scratch, &server, "prices");
    let incoming = Running::start(&scratch, &["tail", "prices", "--payloads"]);
    let both = Running::start(&scratch, &["tail", "prices", "--payloads", "--both"]);
    let as_json = Running::start(&scratch, &["tail", "prices", "--both", "--json"]);
    for tail in [&incoming, &both, &as_json] {
        tail.line("open");
    }
    echo(&mut host, "prices", "secret");
    assert!(both.line("outgoing").contains("text secret"));
    both.line("message");
    let out: serde_json::Value = serde_json::from_str(&as_json.line("outgoing")).unwrap();
    assert_eq!(out["text"], json!({"bytes": 6}));
    assert!(out["time"].is_u64() && out["seq"].is_null(), "{out}");
    let first = incoming.line("secret");
    assert!(first.contains("message"), "{first}");
}

#[test]
fn records_replaced_only_by_states_are_not_reported_as_dropped() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = extension(&scratch, &server, "prices");
    let mut command = scratch.command();
    command
        .args(["tail", "prices"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut shown = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut shown, &mut String::new()).unwrap();
    // No client is attached: undelivered states are replaced by the next, and their numbers are skipped.
    host.send(&json!({"type": "detach", "session": "prices", "id": "d"}));
    host.expect("ok");
    for _ in 0..3 {
        host.send(&json!({"type": "open", "id": "o", "session": "prices"}));
        host.expect("opened");
        host.send(&json!({"type": "reconnect", "session": "prices"}));
        host.send(&json!({"type": "detach", "session": "prices", "id": "d"}));
        host.expect("ok");
    }
    host.send(&json!({"type": "open", "id": "o", "session": "prices"}));
    host.expect("opened");
    host.send(&json!({"type": "close", "session": "prices", "id": "c"}));
    crate::support::eventually(crate::support::SOON, "it ends with the session", || {
        child.try_wait().unwrap()
    });
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(!printed.contains("not shown"), "{printed}");
    assert!(printed.contains("the session has ended"), "{printed}");
}
