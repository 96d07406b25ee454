//! `longwire record` and `replay`: a port passes unchanged, and the recording contains no secret.

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
    let output = lines.iter().filter(|line| line["from"] == "extension");
    let types: Vec<_> = output
        .map(|line| line["frame"]["type"].as_str().unwrap())
        .collect();
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
fn a_file_that_is_not_a_recording_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.folder().join("other.txt");
    std::fs::write(&file, "hello").unwrap();
    let refused = run(&scratch, &["replay", file.to_str().unwrap()], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("is not a recording"));
}

#[test]
fn a_recorded_firefox_port_is_replayed_and_contains_no_paths() {
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

/// A port that is being recorded into this file.
fn recording(scratch: &Scratch, file: &std::path::Path) -> HostProcess {
    let mut command = scratch.command();
    command.arg("record").arg(file).arg(ORIGIN);
    let mut host = HostProcess::spawn(command);
    host.hello();
    host
}

#[test]
fn two_concurrent_ports_are_recorded_in_two_files() {
    let scratch = Scratch::new();
    let file = scratch.folder().join("port.jsonl");
    let mut one = recording(&scratch, &file);
    let mut two = recording(&scratch, &file);
    for (host, id) in [(&mut one, "of-one"), (&mut two, "of-two")] {
        host.ping(id);
        host.close();
        assert!(host.wait(SOON).success());
    }
    let read = |name: &str| std::fs::read_to_string(scratch.folder().join(name)).unwrap();
    let (first, second) = (read("port.jsonl"), read("port-2.jsonl"));
    assert!(first.contains("of-one") && !first.contains("of-two"), "{first}");
    assert!(
        second.contains("of-two") && !second.contains("of-one"),
        "{second}"
    );
    // Nobody writes the first any more: it is overwritten.
    let mut three = recording(&scratch, &file);
    three.close();
    assert!(three.wait(SOON).success());
    assert!(!read("port.jsonl").contains("of-one"));
}

#[test]
fn a_damaged_recording_is_refused_with_its_line() {
    let scratch = Scratch::new();
    let file = scratch.folder().join("port.jsonl");
    let head = json!({"longwire": "record", "version": "0.1.0", "arguments": [ORIGIN], "redacted": true});
    let frame = json!({"at": 0, "from": "extension", "frame": {"type": "hello", "protocol": 1}});
    let cases = [
        (
            format!("{head}\n{frame}\n{{\"at\":1,\"from\":nobody}}\n"),
            "line 3, column 17",
        ),
        (format!("{head}\n{frame}\n[]\n"), "line 3, column 1"),
        (format!("{head}\n{frame}\n{frame}"), "line 3"),
        (format!("{head}\n\n{frame}\n"), "line 2, column 1"),
    ];
    for (text, place) in cases {
        std::fs::write(&file, text).unwrap();
        let refused = run(&scratch, &["replay", file.to_str().unwrap()], "");
        let printed = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{printed}");
        assert!(
            printed.contains("is damaged") && printed.contains(place),
            "{place}: {printed}"
        );
        assert!(scratch.brokers().is_empty(), "nothing was sent");
    }
}

#[test]
fn a_recording_is_replayed_to_a_running_broker_only_on_request() {
    let (scratch, server) = (Scratch::new(), Echo::start());
    let file = scratch.folder().join("port.jsonl");
    let mut host = recording(&scratch, &file);
    host.send(&json!({"type": "open", "id": "o", "session": "s", "url": server.url()}));
    host.expect("opened");
    host.send(&json!({"type": "close", "session": "s", "id": "c"}));
    host.expect("ok");
    host.close();
    assert!(host.wait(SOON).success());
    let mut live = super::extension(&scratch, &server, "s");
    let replay = ["replay", file.to_str().unwrap(), "--url", &server.url()];
    let refused = run(&scratch, &replay, "");
    assert_eq!(refused.status.code(), Some(2));
    let printed = stderr(&refused);
    assert!(
        printed.contains(ORIGIN) && printed.contains("--yes") && printed.contains("LONGWIRE_HOME"),
        "{printed}"
    );
    super::echo(&mut live, "s", "still here");
    let output = run(&scratch, &[&replay[..], &["--yes", "--fast"]].concat(), "");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("welcome"));
}
