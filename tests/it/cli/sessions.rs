//! `longwire sessions`: sessions of several extensions and profiles are distinguished, and one of them is ended.

use serde_json::{Value, json};

use super::{echo, extension, run, stderr, stdout};
use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, SOON, eventually};

/// A session `s` of the test's extension in this profile.
fn in_profile(scratch: &Scratch, server: &Echo, profile: &str) -> HostProcess {
    let mut host = HostProcess::chromium(scratch);
    host.send(&json!({"type": "hello", "protocol": 1, "profile": profile}));
    host.send(&json!({"type": "open", "id": "o", "session": "s", "url": server.url()}));
    host.find("open", |frame| {
        frame["type"] == "state" && frame["state"] == "open"
    });
    host
}

fn listed(scratch: &Scratch, arguments: &[&str]) -> Vec<Value> {
    let output = run(scratch, &[&["sessions", "--json"], arguments].concat(), "");
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    document["sessions"].as_array().unwrap().clone()
}

#[test]
fn sessions_are_listed_by_owner() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    assert_eq!(run(&scratch, &["sessions"], "").status.code(), Some(3));
    let _home = in_profile(&scratch, &server, "home");
    let _work = in_profile(&scratch, &server, "work");
    let table = stdout(&run(&scratch, &["sessions"], ""));
    for part in [ORIGIN, "home", "work", "open"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    assert_eq!(listed(&scratch, &[]).len(), 2);
    let work = listed(&scratch, &["--profile", "work", "--origin", ORIGIN]);
    assert_eq!((work.len(), &work[0]["profile"]), (1, &json!("work")));
    let id = ORIGIN
        .trim_start_matches("chrome-extension://")
        .trim_end_matches('/');
    assert_eq!(listed(&scratch, &["--origin", id]).len(), 2);
    assert_eq!(listed(&scratch, &["--origin", "nobody@example.org"]).len(), 0);
    assert_eq!(stdout(&run(&scratch, &["sessions", "--names"], "")), "s\ns\n");
}

#[test]
fn ending_a_session_affects_all_its_clients_and_no_other_session() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut home = in_profile(&scratch, &server, "home");
    let mut work = in_profile(&scratch, &server, "work");
    let ambiguous = run(&scratch, &["sessions", "end", "s"], "");
    assert_eq!(ambiguous.status.code(), Some(1));
    assert!(stderr(&ambiguous).contains("--profile"), "{}", stderr(&ambiguous));
    let ended = run(&scratch, &["sessions", "end", "s", "--profile", "work"], "");
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert!(stdout(&ended).contains("ended session `s`"));
    assert_eq!(work.expect("detached")["reason"], "closed");
    echo(&mut home, "s", "still here");
    let left = listed(&scratch, &[]);
    assert_eq!((left.len(), &left[0]["profile"]), (1, &json!("home")));
    let missing = run(&scratch, &["sessions", "end", "s", "--profile", "work"], "");
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("there is no session `s`"));
}

#[test]
fn only_the_command_line_may_end_a_session_by_name() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = extension(&scratch, &server, "s");
    host.send(&json!({"type": "end", "id": "e", "session": "s"}));
    assert_eq!(host.expect("error")["code"], "unknown-type");
    assert_eq!(listed(&scratch, &[]).len(), 1);
    host.kill();
    eventually(SOON, "no client is attached", || {
        (listed(&scratch, &[])[0]["clients"] == 0).then_some(())
    });
}
