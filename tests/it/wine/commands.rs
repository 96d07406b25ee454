//! Commands that people and scripts use: their input and output, with a broker and a server.

use std::process::Stdio;

use serde_json::{Value, json};

use super::{Machine, finish, finish_with, message, on_windows, open, send};
use crate::support::ORIGIN;
use crate::support::SOON;
use crate::support::echo::Echo;
use crate::support::host::HostProcess;

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn connect_sends_lines_and_bytes_and_prints_replies() {
    let (machine, server) = (Machine::new(), Echo::start());
    let connect = |more: &[&str], input: &str| {
        let mut command = machine.command();
        command.args(["connect", &server.url()]).args(more);
        let output = finish_with(&mut command, input.as_bytes());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // Lines as Windows ends them; what is printed ends as everywhere.
    assert_eq!(
        connect(&["--expect", "2"], "eins\r\nzwei größer\n"),
        "eins\nzwei größer\n"
    );
    // Zero, Ctrl-Z, CR LF and 255.
    assert_eq!(connect(&["--binary", "-n", "1"], "ABoNCv8=\n"), "ABoNCv8=\n");
    let mut refused = machine.command();
    refused.args(["connect", "ws://127.0.0.1:9/", "--once", "--timeout", "20"]);
    let refused = finish(&mut refused);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn sessions_are_listed_tailed_and_ended() {
    let (machine, server) = (Machine::new(), Echo::start());
    let mut host = machine.host();
    host.hello();
    open(&mut host, "prices", &server, json!({}));
    send(&mut host, "prices", "hello");
    message(&mut host);
    assert_eq!(machine.prints(&["sessions", "--names"]), "prices\n");
    let listed = machine.json(&["sessions", "--json"]);
    assert_eq!(listed["sessions"][0]["origin"], ORIGIN);

    let mut tail = machine.command();
    tail.args(["tail", "prices", "--payloads", "--json"]);
    let mut tail = tail.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(tail.stdout.take().unwrap()));
    let shown = lines
        .by_ref()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let hello = shown.into_iter().find(|record| record["text"] == "hello");
    assert!(hello.is_some(), "stored records are printed first");

    let ended = machine.prints(&["sessions", "end", "prices"]);
    assert!(ended.contains("ended session `prices`"), "{ended}");
    assert!(tail.wait().unwrap().success(), "it ends with the session");
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn a_port_is_recorded_and_replayed() {
    let (machine, server) = (Machine::new(), Echo::start());
    let file = machine.folder.path().join("port & größe.jsonl");
    let mut command = machine.command();
    command
        .args(["record", &on_windows(&file)])
        .args([ORIGIN, "--parent-window=0"]);
    let mut host = HostProcess::spawn(command);
    host.hello();
    open(&mut host, "s", &server, json!({}));
    send(&mut host, "s", "secret\r\ntext\u{1a}");
    assert_eq!(message(&mut host)["text"], "secret\r\ntext\u{1a}");
    host.close();
    assert!(host.wait(SOON).success());
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(!written.contains("secret"), "{written}");

    let other = Machine::new();
    let answers = other.prints(&["replay", &on_windows(&file), "--url", &server.url()]);
    assert!(answers.contains(r#""type":"welcome""#), "{answers}");
    assert!(answers.contains(r#""created":true"#), "{answers}");
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn the_demo_loses_nothing() {
    let machine = Machine::new();
    let report = machine.json(&["demo", "--json"]);
    assert_eq!(report["received"], report["panels"], "{report}");
    assert_eq!(report["lost"], 0, "{report}");
    assert_eq!(report["duplicates"], 0, "{report}");
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn pages_and_completions_are_written() {
    let machine = Machine::new();
    let folder = machine.folder.path().join("man pages");
    std::fs::create_dir(&folder).unwrap();
    machine.prints(&["man", "--folder", &on_windows(&folder)]);
    assert!(folder.join("longwire.1").exists());
    assert!(
        machine
            .prints(&["completions", "powershell"])
            .contains("Register-ArgumentCompleter")
    );
    let update = machine.output(&["update", "--check"]);
    let printed =
        String::from_utf8_lossy(&update.stderr).into_owned() + &String::from_utf8_lossy(&update.stdout);
    assert!(
        printed.contains("index"),
        "there is none unless somebody sets one: {printed}"
    );
}
