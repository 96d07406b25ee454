//! Secrets outside of the command line, and output that a terminal must not interpret.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tokio_tungstenite::tungstenite::{Message, accept_hdr};

use super::{run, stderr, stdout};
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually};

/// A server that reports the `Authorization` of each handshake, then sends these messages and reads to the end.
fn server(messages: &'static [&'static str]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (printed, headers) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            #[expect(clippy::result_large_err, reason = "the callback's type")]
            let callback = |request: &tokio_tungstenite::tungstenite::handshake::server::Request,
                            response| {
                let value = request.headers().get("authorization");
                let _ = printed.send(value.map_or("-", |value| value.to_str().unwrap()).to_owned());
                Ok(response)
            };
            let Ok(mut socket) = accept_hdr(stream.unwrap(), callback) else {
                continue;
            };
            for message in messages {
                let _ = socket.send(Message::text(*message));
            }
            while socket.read().is_ok() {}
        }
    });
    (url, headers)
}

/// A program on a terminal of its own.
struct OnTerminal {
    child: Child,
    terminal: File,
    shown: Receiver<String>,
    all: String,
}

impl OnTerminal {
    fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let side = || {
            File::options()
                .read(true)
                .write(true)
                .open(name.to_str().unwrap())
                .unwrap()
        };
        let mut command = Command::new("setsid");
        scratch.apply_environment(&mut command);
        let child = command
            .args(["--ctty", "--wait"])
            .arg(crate::support::program())
            .args(arguments)
            .stdin(Stdio::from(side()))
            .stdout(Stdio::from(side()))
            .stderr(Stdio::from(side()))
            .spawn()
            .unwrap();
        let terminal = File::from(terminal);
        let mut reader = terminal.try_clone().unwrap();
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..count]).into_owned();
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            terminal,
            shown,
            all: String::new(),
        }
    }

    fn wait_for(&mut self, text: &str) {
        while !self.all.contains(text) {
            match self.shown.recv_timeout(SOON) {
                Ok(more) => self.all += &more,
                Err(error) => panic!("`{text}` was not shown ({error}): {}", self.all),
            }
        }
    }

    /// Types a line that is not to be shown: once the terminal does not show it.
    fn type_secret(&mut self, line: &str) {
        eventually(SOON, "the terminal shows nothing typed", || {
            let modes = tcgetattr(&self.terminal).unwrap().local_modes;
            (!modes.contains(LocalModes::ECHO)).then_some(())
        });
        self.terminal.write_all(format!("{line}\r").as_bytes()).unwrap();
    }

    /// Everything shown, once the program has ended.
    fn end(mut self) -> (Option<i32>, String) {
        let status = eventually(SOON, "it ends", || self.child.try_wait().unwrap());
        while let Ok(more) = self.shown.try_recv() {
            self.all += &more;
        }
        (status.code(), std::mem::take(&mut self.all))
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_secret_is_prompted_for_without_echo() {
    let (url, headers) = server(&["hello"]);
    let scratch = Scratch::new();
    let header = "Authorization: Bearer prompt:";
    let arguments = ["connect", &url, "--header", header, "--expect", "1"];
    let mut connect = OnTerminal::start(&scratch, &arguments);
    connect.wait_for("Authorization: ");
    connect.type_secret("s3cret");
    assert_eq!(headers.recv_timeout(SOON).unwrap(), "Bearer s3cret");
    connect.wait_for("hello");
    let (code, shown) = connect.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn doctor_prompts_for_a_secret() {
    let (url, headers) = server(&[]);
    let scratch = Scratch::new();
    let arguments = ["doctor", "--url", &url, "--header", "Authorization: prompt:"];
    let mut doctor = OnTerminal::start(&scratch, &arguments);
    doctor.wait_for("Authorization: ");
    doctor.type_secret("s3cret");
    assert_eq!(headers.recv_timeout(SOON).unwrap(), "s3cret");
    let (_, shown) = doctor.end();
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_prompt_without_a_terminal_names_the_alternatives() {
    let output = run(&Scratch::new(), &["connect", "prompt:"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("use file:PATH or env:NAME"),
        "{}",
        stderr(&output)
    );
}

/// A control character that clears a terminal, and one that turns text around.
const HIDDEN: [char; 2] = ['\u{9b}', '\u{202e}'];

#[test]
fn server_text_cannot_control_the_terminal() {
    const HIDDEN_TEXTS: &[&str] = &["plain \u{9b}2J gpj.\u{202e}exe", "{\"a\":\"\u{9b}2J \u{202e}b\"}"];
    let (url, _headers) = server(HIDDEN_TEXTS);
    let scratch = Scratch::new();
    for form in [&["--raw"][..], &["--json"], &["--frames"], &[]] {
        let arguments = [&["connect", &url, "--expect", "2"][..], form].concat();
        let output = run(&scratch, &arguments, "");
        let piped = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{form:?}: {}", stderr(&output));
        assert!(!piped.contains(HIDDEN), "{form:?}: {piped}");
        assert!(piped.contains("202e"), "{form:?}: {piped}");
        if form == ["--raw"] {
            let json = piped.lines().nth(1).unwrap();
            let means: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(means["a"], "\u{9b}2J \u{202e}b");
        }
        let mut terminal = OnTerminal::start(&scratch, &arguments);
        terminal.wait_for("202e");
        let (_, shown) = terminal.end();
        assert!(!shown.contains(HIDDEN), "{form:?}: {shown}");
    }
}
