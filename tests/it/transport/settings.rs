//! The settings file through real processes: shown, refused with its place, read again under open sessions.

use std::fs;

use serde_json::{Value, json};

use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;

fn write(scratch: &Scratch, text: &str) {
    let folder = scratch.home().join("config");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("settings.toml"), text).unwrap();
}

/// `longwire` with these arguments: exit code, stdout, stderr.
fn longwire(scratch: &Scratch, arguments: &[&str]) -> (i32, String, String) {
    let output = scratch.command().args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn status(scratch: &Scratch) -> Value {
    let (code, out, err) = longwire(scratch, &["status", "--json"]);
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn the_sample_is_a_settings_file_and_changes_nothing() {
    let scratch = Scratch::new();
    let entries = |scratch: &Scratch| {
        let (code, out, err) = longwire(scratch, &["config", "--json"]);
        assert_eq!(code, 0, "{err}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let before = entries(&scratch);
    assert_eq!(before["exists"], false);
    let (code, sample, _) = longwire(&scratch, &["config", "--sample"]);
    assert_eq!(code, 0);
    write(&scratch, &sample);
    let after = entries(&scratch);
    assert_eq!(after["exists"], true);
    assert_eq!(after["settings"], before["settings"]);
    let (_, path, _) = longwire(&scratch, &["config", "--path"]);
    assert_eq!(json!(path.trim()), after["path"]);
    let (_, picture, _) = longwire(&scratch, &["config"]);
    assert!(picture.contains("default.allow"), "{picture}");
}

#[test]
fn what_cannot_be_used_is_told_with_its_place_and_no_broker_runs_by_it() {
    let scratch = Scratch::new();
    write(&scratch, "[default]\nallow = [\"*.example.com\"]\n\n[brokr]\n");
    let (code, out, err) = longwire(&scratch, &["config"]);
    assert_eq!((code, out.as_str()), (1, ""));
    for place in [
        "settings.toml:2:9: ",
        "settings.toml:4:2: there is no section `brokr`",
    ] {
        assert!(err.contains(place), "{err}");
    }
    let (code, out, _) = longwire(&scratch, &["config", "--json"]);
    assert_eq!(code, 1);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&told["faults"][0]["line"], &told["faults"][0]["column"]),
        (&json!(2), &json!(9))
    );
    let (code, _, err) = longwire(&scratch, &["broker"]);
    assert_eq!(code, 1);
    assert!(err.contains("settings.toml:2:9: "), "{err}");
}

#[test]
fn settings_are_read_again_under_open_sessions() {
    let scratch = Scratch::new();
    let server = Echo::start();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    host.send(&json!({"type": "open", "id": "1", "session": "s", "url": server.url()}));
    host.find("open", |frame| {
        frame["type"] == "state" && frame["state"] == "open"
    });
    let since = status(&scratch)["sessions"][0]["connectedSince"].clone();

    write(&scratch, "[default]\nsessions = 1\n");
    let (code, out, err) = longwire(&scratch, &["config", "--reload"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("read the settings again"), "{out}");
    host.send(&json!({"type": "open", "id": "2", "session": "t", "url": server.url()}));
    let refused = host.expect("error");
    assert_eq!(refused["code"], "too-many-sessions", "{refused}");
    let report = status(&scratch);
    assert_eq!(report["sessions"][0]["connectedSince"], since, "the link stayed");
    assert_eq!(report["sessions"][0]["dials"], 1);

    write(&scratch, "[default]\nsessions = many\n");
    assert_eq!(longwire(&scratch, &["config", "--reload"]).0, 1);
    host.send(&json!({"type": "open", "id": "3", "session": "t", "url": server.url()}));
    assert_eq!(
        host.expect("error")["code"],
        "too-many-sessions",
        "the old ones hold"
    );

    write(&scratch, "[default]\nallow = [\"wss://*\"]\n");
    let broker = i32::try_from(scratch.broker()).unwrap();
    let broker = rustix::process::Pid::from_raw(broker).unwrap();
    rustix::process::kill_process(broker, rustix::process::Signal::HUP).unwrap();
    let failed = host.find("failed", |frame| {
        frame["type"] == "state" && frame["state"] == "failed"
    });
    assert_eq!(failed["error"]["code"], "url-denied", "{failed}");
    assert_eq!(
        status(&scratch)["sessions"].as_array().unwrap().len(),
        1,
        "the session stayed"
    );

    write(&scratch, "");
    assert_eq!(longwire(&scratch, &["config", "--reload"]).0, 0);
    host.send(&json!({"type": "reconnect", "session": "s"}));
    host.find("open", |frame| {
        frame["type"] == "state" && frame["state"] == "open"
    });
}

#[test]
fn a_certificate_that_is_not_checked_is_shown_in_status() {
    let scratch = Scratch::new();
    write(&scratch, "[tls]\ninsecure-hosts = [\"localhost\"]\n");
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    for (session, url) in [("a", "wss://localhost:9/"), ("b", "wss://127.0.0.1:9/")] {
        host.send(&json!({"type": "open", "id": session, "session": session, "url": url}));
        host.expect("opened");
    }
    let report = status(&scratch);
    assert_eq!(report["insecure"], json!(["localhost"]));
    assert_eq!(report["sessions"][0]["insecure"], true);
    assert_eq!(report["sessions"][1]["insecure"], Value::Null);
    let (_, picture, _) = longwire(&scratch, &["status"]);
    assert!(picture.contains("(insecure)"), "{picture}");
}
