//! `longwire connect` in scripts: what goes in, what comes out, how it ends.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

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
fn more_than_the_outbox_holds_goes_out_line_by_line() {
    use std::io::Write as _;
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut command = scratch.command();
    command.args(["connect", &server.url(), "--expect", "64"]);
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let line = "x".repeat(256 << 10) + "\n";
    let all = line.repeat(64);
    let writing = std::thread::spawn(move || stdin.write_all(all.as_bytes()));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(output.stdout.len(), 64 * line.len());
    writing.join().unwrap().unwrap();
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
        stderr(&output).contains("of 2 messages within 2 s"),
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
fn a_server_that_is_not_there_and_wrong_usage_are_distinguished() {
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

#[test]
fn who_only_asks_whether_the_server_is_there_gets_an_answer() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let there = run(&scratch, &["connect", &server.url()], "");
    assert_eq!(there.status.code(), Some(0), "{}", stderr(&there));
    assert!(stderr(&there).contains("open"), "{}", stderr(&there));
    let gone = run(&scratch, &["connect", "ws://127.0.0.1:1/", "--timeout", "1"], "");
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        stderr(&gone).contains("no connection within 1 s"),
        "{}",
        stderr(&gone)
    );
    let once = run(&scratch, &["connect", "ws://127.0.0.1:1/", "--once"], "");
    assert_eq!(once.status.code(), Some(1), "{}", stderr(&once));
}

/// A server that drops the connection without a close frame.
#[test]
fn a_lost_connection_is_a_failure_when_there_is_only_one() {
    let (scratch, listener) = (
        Scratch::new(),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(tokio_tungstenite::tungstenite::accept(stream).unwrap());
    });
    let lost = run(&scratch, &["connect", &url, "--once", "--linger"], "");
    assert_eq!(lost.status.code(), Some(1), "{}", stderr(&lost));
    server.join().unwrap();
}

#[test]
fn nothing_to_expect_and_no_time_are_wrong_usage() {
    let scratch = Scratch::new();
    for flag in ["--expect", "--timeout"] {
        let wrong = run(&scratch, &["connect", "ws://127.0.0.1:1/", flag, "0"], "");
        assert_eq!(wrong.status.code(), Some(2), "{flag}");
    }
}

#[test]
fn what_was_expected_ends_it_without_a_word_about_receipts() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let output = run(
        &scratch,
        &["connect", &server.url(), "-s", "hello", "-n", "1"],
        "",
    );
    assert_eq!(stdout(&output), "hello\n");
    assert!(!stderr(&output).contains("unknown"), "{}", stderr(&output));
}

#[test]
fn bytes_that_are_no_text_are_refused_with_the_way_to_send_them() {
    use std::io::Write as _;
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut child = scratch
        .command()
        .args(["connect", &server.url()])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\xff\xfe\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--binary"), "{}", stderr(&output));
}

/// As a terminal does it: to the whole foreground group.
#[test]
fn an_interrupt_closes_the_session_and_fails_only_if_messages_were_expected() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    for (more, code) in [(&["--linger"][..], 0), (&["--expect", "9"][..], 1)] {
        let mut child = scratch
            .command()
            .args(["connect", &server.url(), "--send", "here"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut echoed = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut echoed).unwrap();
        let group = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{more:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("host"), "{}", stderr(&output));
    }
}

#[test]
fn headers_cookies_and_subprotocols_reach_the_server() {
    let (scratch, listener) = (
        Scratch::new(),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut received = Vec::new();
        let (mut stream, _) = listener.accept().unwrap();
        while !received.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
            received.push(byte[0]);
        }
        String::from_utf8(received).unwrap().to_lowercase()
    });
    let arguments = [
        "connect",
        &url,
        "--once",
        "-H",
        "Authorization: Bearer x",
        "--cookies",
        "a=b; c=d",
        "--subprotocol",
        "one",
        "--subprotocol",
        "two",
    ];
    assert_eq!(
        run(&scratch, &arguments, "").status.code(),
        Some(1),
        "it hangs up"
    );
    let received = server.join().unwrap();
    for line in [
        "authorization: bearer x",
        "cookie: a=b; c=d",
        "sec-websocket-protocol: one, two",
    ] {
        assert!(received.contains(line), "{line} in {received}");
    }
}
