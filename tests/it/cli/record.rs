//! `longwire record` and `replay`: a port passes unchanged, and what is written down betrays nothing.

use serde_json::{Value, json};

use super::{run, stderr, stdout};
use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, SOON};

#[test]
fn a_recorded_port_works_and_can_be_replayed() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let file = scratch.folder().join("port.jsonl");
    let mut command = scratch.command();
    command
        .arg("record")
        .arg(&file)
        .args([ORIGIN, "--parent-window=0"]);
    let mut host = HostProcess::spawn(command);
    host.hello();
    let options = json!({"headers": {"X-Token": "secret-header"}});
    let url = format!("{}secret-path", server.url());
    host.send(&json!({"type": "open", "id": "o", "session": "s", "url": url, "options": options}));
    host.find("open", |frame| {
        frame["type"] == "state" && frame["state"] == "open"
    });
    host.send(&json!({"type": "send", "session": "s", "text": "secret-text"}));
    assert_eq!(
        host.expect("message")["text"],
        "secret-text",
        "it passes unchanged"
    );
    host.close();
    assert!(host.wait(SOON).success());

    let written = std::fs::read_to_string(&file).unwrap();
    assert!(!written.contains("secret"), "{written}");
    let lines: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["arguments"][0], ORIGIN);
    let said = lines.iter().filter(|line| line["from"] == "extension");
    let types: Vec<_> = said.map(|line| line["frame"]["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["hello", "open", "send"]);

    let other = Scratch::new();
    let arguments = ["replay", file.to_str().unwrap(), "--url", &server.url()];
    let replayed = run(&other, &arguments, "");
    assert!(replayed.status.success(), "{}", stderr(&replayed));
    let answers = stdout(&replayed);
    for answer in [
        r#""type":"welcome""#,
        r#""created":true"#,
        r#""text":"xxxxxxxxxxx""#,
    ] {
        assert!(answers.contains(answer), "{answer}: {answers}");
    }
}

#[test]
fn only_a_host_is_recorded() {
    let scratch = Scratch::new();
    let file = scratch.folder().join("port.jsonl");
    for arguments in [
        &["status"][..],
        &["chrome-extension://short/"],
        &["uninstall", "--all"],
    ] {
        let output = run(
            &scratch,
            &[&["record", file.to_str().unwrap()], arguments].concat(),
            "",
        );
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(!file.exists());
    }
}

#[test]
fn what_is_no_record_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.folder().join("other.txt");
    std::fs::write(&file, "hello").unwrap();
    let refused = run(&scratch, &["replay", file.to_str().unwrap()], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("is no record"));
}

#[test]
fn a_firefox_port_is_replayed_too_and_its_folders_are_not_told() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let file = scratch.folder().join("port.jsonl");
    let mut command = scratch.command();
    command.arg("record").arg(&file);
    command.args([
        "/home/ann/.mozilla/com.longwire.bridge.json",
        "hello@longwire.example",
    ]);
    let mut host = HostProcess::spawn(command);
    assert_eq!(host.hello()["origin"], "hello@longwire.example");
    host.close();
    assert!(host.wait(SOON).success());
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(!written.contains("/home/ann"), "{written}");
    let other = Scratch::new();
    let arguments = ["replay", file.to_str().unwrap(), "--url", &server.url()];
    let replayed = run(&other, &arguments, "");
    assert!(replayed.status.success(), "{}", stderr(&replayed));
    let answers = stdout(&replayed);
    assert!(
        answers.contains(r#""origin":"hello@longwire.example""#),
        "{answers}"
    );
}
