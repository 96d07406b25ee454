//! `longwire connect` in scripts: input, output and exit codes.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use super::{run, stderr, stdout};
use crate::support::echo::Echo;
use crate::support::scratch::Scratch;

#[test]
fn lines_are_sent_and_replies_printed() {
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
fn more_lines_than_the_outbox_holds_are_sent_in_order() {
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
fn an_unmet_expectation_fails_at_the_timeout() {
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
fn json_is_indented_on_a_terminal_and_unchanged_in_a_pipe() {
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
fn binary_messages_are_read_and_printed_as_base64() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let output = run(
        &scratch,
        &["connect", &server.url(), "--binary", "-n", "1"],
        "AAEC/w==\n",
    );
    assert_eq!(stdout(&output), "AAEC/w==\n", "{}", stderr(&output));
}

#[test]
fn an_unreachable_server_and_wrong_usage_have_different_exit_codes() {
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
fn connect_without_messages_tests_the_connection() {
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
fn a_lost_connection_fails_with_once() {
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
fn zero_expect_and_zero_timeout_are_wrong_usage() {
    let scratch = Scratch::new();
    for flag in ["--expect", "--timeout"] {
        let wrong = run(&scratch, &["connect", "ws://127.0.0.1:1/", flag, "0"], "");
        assert_eq!(wrong.status.code(), Some(2), "{flag}");
    }
}

#[test]
fn a_met_expectation_exits_without_a_receipt_warning() {
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
fn invalid_utf_8_input_is_refused_with_advice() {
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
