//! `longwire status`: as a table, as a document, live.

use serde_json::json;

use super::{Running, echo, extension, run, stderr, stdout};
use crate::support::ORIGIN;
use crate::support::echo::Echo;
use crate::support::scratch::Scratch;

#[test]
fn status_without_a_broker_reports_that() {
    let output = run(&Scratch::new(), &["status"], "");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("the broker is not running"));
}

#[test]
fn sessions_are_shown_and_a_pipe_gets_no_colour() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = extension(&scratch, &server, "prices");
    echo(&mut host, "prices", "hello");
    let output = run(&scratch, &["status"], "");
    let table = stdout(&output);
    let line = table.lines().find(|line| line.starts_with("prices")).unwrap();
    assert!(
        line.contains("open") && line.contains("memory") && line.contains("ws://127.0.0.1"),
        "{line}"
    );
    assert!(!table.contains('\x1b'), "{table}");
    let document: serde_json::Value =
        serde_json::from_str(&stdout(&run(&scratch, &["status", "--json"], ""))).unwrap();
    assert_eq!(document["sessions"][0]["received"]["messages"], 1);
    let memory = &document["memory"];
    assert_eq!(memory["limit"], 1 << 30);
    let own = &memory["extensions"][0];
    assert_eq!(
        (&own["origin"], &own["limit"]),
        (&json!(ORIGIN), &json!(256 << 20))
    );
    assert!(
        own["held"].as_u64().unwrap() > 0 && own["held"] == memory["held"],
        "{memory}"
    );
    assert!(table.contains(" of 256 MB: "), "{table}");
    host.send(&json!({"type": "status", "id": "own"}));
    let own = host.expect("status");
    assert_eq!(own["memory"], json!({"held": memory["held"], "limit": 256 << 20}));
}

#[test]
fn watching_continues_across_brokers() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let watching = Running::start(&scratch, &["status", "--watch"]);
    watching.line("the broker is not running");
    let _host = extension(&scratch, &server, "prices");
    watching.line("prices");
    watching.line("in/s");
}

#[test]
fn watching_as_json_prints_one_document_per_line() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let watching = Running::start(&scratch, &["status", "--watch", "--json"]);
    let read = |line: &str| -> serde_json::Value { serde_json::from_str(line).unwrap() };
    let idle = read(&watching.line("type"));
    assert_eq!((&idle["pid"], &idle["sessions"]), (&json!(null), &json!([])));
    let _host = extension(&scratch, &server, "prices");
    let seen = read(&watching.line("prices"));
    assert_eq!(seen["sessions"][0]["session"], "prices");
    assert!(seen["pid"].is_u64());
}
