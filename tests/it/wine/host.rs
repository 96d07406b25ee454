//! The host on its pipes: arguments, bytes, paths, concurrent commands.

use std::fs;
use std::process::Stdio;

use serde_json::json;

use super::{Machine, message, on_windows, open, send};
use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::{ORIGIN, SOON};

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn a_host_starts_and_exits_with_its_port() {
    let machine = Machine::new();
    let mut host = machine.host();
    assert_eq!(host.hello()["origin"], ORIGIN);
    host.close();
    assert_eq!(host.wait(SOON).code(), Some(0));
    assert!(machine.lives(machine.broker()), "the broker keeps running");

    let mut command = machine.command();
    command.args([r"C:\manifests\com.longwire.bridge.json", "hello@longwire.example"]);
    let mut firefox = HostProcess::spawn(command);
    assert_eq!(firefox.hello()["origin"], "hello@longwire.example");
}

/// Text mode would turn line feeds into two bytes, and end at Ctrl-Z: in payloads, and in the prefix of a frame.
#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn bytes_pass_unchanged() {
    let (machine, server) = (Machine::new(), Echo::start());
    let mut host = machine.host();
    host.hello();
    open(&mut host, "s", &server, json!({}));
    let text = "one\r\ntwo\nthree\rfour\u{1a}five\0six\r\r\n";
    send(&mut host, "s", text);
    assert_eq!(message(&mut host)["text"], text);
    for length in 0..300 {
        let text = "x".repeat(length);
        send(&mut host, "s", &text);
        assert_eq!(message(&mut host)["text"], text.as_str(), "{length}");
    }
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn large_messages_arrive_in_parts() {
    let (machine, server) = (Machine::new(), Echo::start());
    let mut host = machine.host();
    host.hello();
    open(&mut host, "s", &server, json!({}));
    let text = "0123456789abcde\n".repeat(128 << 10);
    send(&mut host, "s", &text);
    let received = message(&mut host);
    assert!(received["text"] == text.as_str(), "2 MiB come as they went");
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn homes_and_programs_may_have_any_name() {
    let long = ["a folder with a long name ".repeat(4).trim_end(); 3].join("/");
    assert!(long.len() > 260);
    for name in ["with blanks", "größe-数据-ж", "a&b(c)^%TEMP%", &long] {
        let mut machine = Machine::within(&format!("{name}/home"));
        let beside = machine.folder.path().join(name);
        let source = machine.program.clone();
        // Windows itself starts no program from a path above 260 characters.
        if name != long {
            machine.program = beside.join("longwire.exe");
            fs::copy(&source, &machine.program).unwrap();
        }
        let mut host = machine.host();
        host.hello();
        let config = machine.prints(&["config", "--path"]);
        let expected = on_windows(&machine.home.join("config"));
        assert!(config.starts_with(&expected), "{config} in {expected}");
        assert!(machine.home.join("logs").is_dir(), "{name}");
    }
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn the_command_line_reaches_the_broker() {
    let (machine, server) = (Machine::new(), Echo::start());
    let mut host = machine.host();
    host.hello();
    open(&mut host, "s", &server, json!({}));
    send(&mut host, "s", "hello");
    assert_eq!(message(&mut host)["text"], "hello");
    let status = machine.json(&["status", "--json"]);
    assert_eq!(status["sessions"][0]["session"], "s");
    assert_eq!(status["sessions"][0]["state"], "open");
    assert!(machine.prints(&["status"]).contains("open"));
    assert!(machine.prints(&["logs"]).contains("INFO"));
    assert!(machine.prints(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
    let unknown = machine.output(&["no-such-command"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    host.close();
    host.wait(SOON);
    machine.prints(&["stop"]);
    let gone = machine.output(&["status"]);
    assert!(!gone.status.success(), "{gone:?}");
}

/// Between a caller and the next one the pipe has no instance that is free.
#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn concurrent_callers_find_the_broker() {
    let machine = Machine::new();
    machine.host().hello();
    for _ in 0..3 {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let mut command = machine.command();
                command.args(["status", "--json"]).stdin(Stdio::null());
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        for caller in callers {
            let output = caller.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    }
}

/// The browser sends nothing meanwhile: whether its pipe is open must be determined without blocking.
#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn an_idle_port_continues_with_the_next_broker() {
    let machine = Machine::new();
    let mut host = machine.host();
    host.hello();
    let killed = machine.broker();
    machine.kill(killed);
    host.find("the next broker", |frame| {
        frame["type"] == "host" && frame["state"] == "back"
    });
    host.hello();
    assert_ne!(machine.broker(), killed);
    host.close();
    assert_eq!(host.wait(SOON).code(), Some(0));
}
