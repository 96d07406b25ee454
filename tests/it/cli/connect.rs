//! `longwire connect` in scripts: what goes in, what comes out, how it ends.

use super::{run, stderr, stdout};
use crate::support::echo::Echo;
use crate::support::scratch::Scratch;

#[test]
fn lines_go_out_and_come_back() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let output = run(
        &scratch,
        &["connect", &server.url(), "--expect", "3"],
        "one\ntwo\nthree\n",
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "one\ntwo\nthree\n");
}

#[test]
fn an_expectation_that_is_not_met_in_time_fails() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let arguments = [
        "connect",
        &server.url(),
        "--send",
        "only",
        "--expect",
        "2",
        "--timeout",
        "2",
    ];
    let output = run(&scratch, &arguments, "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("of 2 messages came within 2 s"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn json_can_be_read_by_people_and_is_left_alone_for_programs() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let text = r#"{"b":1.50,"a":[]}"#;
    let plain = run(&scratch, &["connect", &server.url(), "-s", text, "-n", "1"], "");
    assert_eq!(stdout(&plain), format!("{text}\n"));
    let pretty = run(
        &scratch,
        &["connect", &server.url(), "-s", text, "-n", "1", "--json"],
        "",
    );
    assert_eq!(stdout(&pretty), "{\n  \"b\": 1.50,\n  \"a\": []\n}\n");
}

#[test]
fn bytes_travel_as_base64() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let output = run(
        &scratch,
        &["connect", &server.url(), "--binary", "-n", "1"],
        "AAEC/w==\n",
    );
    assert_eq!(stdout(&output), "AAEC/w==\n", "{}", stderr(&output));
}

#[test]
fn a_server_that_is_not_there_and_wrong_usage_are_told_apart() {
    let scratch = Scratch::new();
    let refused = run(
        &scratch,
        &["connect", "ws://127.0.0.1:1/", "--once", "-n", "1", "-t", "10"],
        "",
    );
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    let wrong = run(
        &scratch,
        &["connect", "ws://127.0.0.1:1/", "--header", "nonsense"],
        "",
    );
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("is not a header"));
    let options = run(&scratch, &["connect", "ws://127.0.0.1:1/", "--options", "{"], "");
    assert_eq!(options.status.code(), Some(2));
    let url = run(&scratch, &["connect", "gopher://x/"], "");
    assert_eq!(url.status.code(), Some(2), "{}", stderr(&url));
}
