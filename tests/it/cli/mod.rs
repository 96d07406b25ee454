//! The command line as people and scripts use it: real processes, a real broker, a real server.

mod completions;
mod connect;
mod record;
mod secrets;
mod sessions;
mod status;
mod tail;
mod update;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use serde_json::{Value, json};

use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually};

/// Runs a command to its end with this on its stdin.
fn run(scratch: &Scratch, arguments: &[&str], input: &str) -> Output {
    let mut child = scratch
        .command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that has seen enough may not read it all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Starts a command that keeps running.
fn spawn(scratch: &Scratch, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut command = scratch.command();
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

/// A running command, and the lines it prints.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let (child, stdout) = spawn(scratch, arguments);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line with this in it; others before it are let go.
    fn line(&self, wanted: &str) -> String {
        let mut others = Vec::new();
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) if line.contains(wanted) => return line,
                Ok(line) => others.push(line),
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {
                    panic!("`{wanted}` was not printed, but {others:?}")
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An extension with an open session of this name.
fn extension(scratch: &Scratch, server: &Echo, session: &str) -> HostProcess {
    let mut host = HostProcess::chromium(scratch);
    host.hello();
    host.send(&json!({"type": "open", "id": "o", "session": session, "url": server.url()}));
    host.find("open", |frame| {
        frame["type"] == "state" && frame["state"] == "open"
    });
    host
}

/// Has the server echo a text, and waits until it has arrived.
fn echo(host: &mut HostProcess, session: &str, text: &str) -> Value {
    host.send(&json!({"type": "send", "session": session, "text": text}));
    host.find("message", |frame| {
        frame["type"] == "message" && frame["text"] == text
    })
}

#[test]
fn logs_are_found_and_filtered() {
    let scratch = Scratch::new();
    let nothing = run(&scratch, &["logs"], "");
    assert_eq!(nothing.status.code(), Some(1));
    HostProcess::chromium(&scratch).hello();
    let path = stdout(&run(&scratch, &["logs", "--path"], ""));
    assert_eq!(std::path::Path::new(path.trim()), scratch.home().join("logs"));
    assert!(stdout(&run(&scratch, &["logs"], "")).contains("broker started"));
    assert_eq!(stdout(&run(&scratch, &["logs", "--level", "error"], "")), "");
    let following = Running::start(&scratch, &["logs", "--follow"]);
    following.line("broker started");
    assert!(run(&scratch, &["stop"], "").status.success());
    following.line("broker shutting down");
}

#[test]
fn running_commands_exit_when_their_reader_closes_the_pipe() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let mut host = extension(&scratch, &server, "prices");
    echo(&mut host, "prices", "one");
    for arguments in [&["logs", "--follow"][..], &["tail", "prices"]] {
        let (child, mut stdout) = spawn(&scratch, arguments);
        let lines = channel().1;
        // It is ended with the test, however that ends.
        let mut running = Running { child, lines };
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let mut end = || running.child.try_wait().unwrap();
        assert!(end().is_none(), "{arguments:?} ended by itself");
        // As `head -1` does. Nothing is logged and nothing comes from here on.
        drop(stdout);
        let ended = eventually(SOON, "it ends with its reader", end);
        assert_eq!(ended.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn completions_and_man_pages_are_printed() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&scratch, &["completions", shell], "");
        assert!(
            output.status.success() && stdout(&output).contains("connect"),
            "{shell}"
        );
    }
    let page = run(&scratch, &["man", "status"], "");
    assert!(stdout(&page).contains(".TH") && stdout(&page).contains("watch"));
    assert_eq!(run(&scratch, &["man", "nonsense"], "").status.code(), Some(2));
    let folder = scratch.folder().join("man");
    let written = run(&scratch, &["man", "--folder", folder.to_str().unwrap()], "");
    assert!(written.status.success(), "{}", stderr(&written));
    for name in ["longwire.1", "longwire-connect.1"] {
        assert!(
            folder.join(name).exists(),
            "{name} is missing: {}",
            stdout(&written)
        );
    }
}

#[test]
fn a_stderr_that_cannot_be_written_changes_no_exit_code() {
    let scratch = Scratch::new();
    for (arguments, code) in [(&["status"][..], 3), (&["replay", "missing"], 1), (&["stop"], 0)] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        for stderr in [Stdio::from(full), Stdio::from(closed)] {
            let mut command = scratch.command();
            command
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(stderr);
            assert_eq!(command.status().unwrap().code(), Some(code), "{arguments:?}");
        }
    }
}

#[test]
fn a_write_error_fails_and_a_closed_pipe_does_not() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let _host = extension(&scratch, &server, "prices");
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--watch"],
        &["tail", "prices"],
        &["logs"],
        &["config"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let start = |stdout: Stdio| {
            let mut command = scratch.command();
            command
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(stdout)
                .stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let output = start(full.into()).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            stderr(&output).contains("cannot write to stdout"),
            "{}",
            stderr(&output)
        );
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = start(writer.into()).wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}
