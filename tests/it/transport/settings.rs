//! The settings file through real processes: shown, refused with its place, read again under open sessions.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::scratch::{Scratch, write_settings};

fn write(scratch: &Scratch, text: &str) {
    scratch.settings(text);
}

/// A home with these administrator settings.
fn administered(text: &str) -> Scratch {
    let scratch = Scratch::new();
    let root = scratch.folder().join("root");
    write_settings(&root.join("etc/longwire/settings.toml"), text);
    scratch.with("LONGWIRE_ROOT", root.to_str().unwrap())
}

/// The entry of this key, as `longwire config --json` has it.
fn entry(scratch: &Scratch, key: &str) -> Value {
    let (code, out, err) = longwire(scratch, &["config", "--json"]);
    assert_eq!(code, 0, "{err}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    let entries = answer["settings"].as_array().unwrap();
    let mut of_key = entries.iter().filter(|entry| entry["key"] == key);
    let found = of_key.next().cloned().unwrap_or_default();
    assert!(of_key.next().is_none(), "`{key}` is listed once: {out}");
    found
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
fn invalid_settings_are_reported_with_their_position_and_no_broker_uses_them() {
    let scratch = Scratch::new();
    write(&scratch, "[default]\nallow = [\"*.example.com\"]\n\n[brokr]\n");
    let (code, out, err) = longwire(&scratch, &["config"]);
    assert_eq!((code, out.as_str()), (1, ""));
    for place in [
        "settings.toml:2:9: ",
        "settings.toml:4:2: unknown section `brokr`",
    ] {
        assert!(err.contains(place), "{err}");
    }
    let (code, out, _) = longwire(&scratch, &["config", "--json"]);
    assert_eq!(code, 1);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&answer["faults"][0]["line"], &answer["faults"][0]["column"]),
        (&json!(2), &json!(9))
    );
    let (code, _, err) = longwire(&scratch, &["broker"]);
    assert_eq!(code, 1);
    assert!(err.contains("settings.toml:2:9: "), "{err}");
}

#[test]
fn settings_are_reloaded_with_open_sessions() {
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
    assert!(out.contains("reloaded the settings"), "{out}");
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
fn an_unchecked_certificate_is_shown_in_status() {
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

#[test]
fn a_settings_file_writable_by_others_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.settings("[default]\nsessions = 3\n");
    for mode in [0o666, 0o620] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        for command in [["config"], ["broker"]] {
            let (code, _, err) = longwire(&scratch, &command);
            assert_eq!(code, 1, "{err}");
            for words in [
                "other users may write to it",
                "chmod go-w ",
                file.to_str().unwrap(),
            ] {
                assert!(err.contains(words), "{err}");
            }
        }
    }
    let (code, out, _) = longwire(&scratch, &["config", "--json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, answer["path"].as_str()), (1, file.to_str()), "{answer}");
    assert!(
        answer["faults"][0]["fix"]
            .as_str()
            .unwrap()
            .starts_with("chmod go-w "),
        "{answer}"
    );
    fs::remove_file(&file).unwrap();
    // Whoever opens it to read waits for a writer, who never comes.
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RWXU).unwrap();
    let (code, _, err) = longwire(&scratch, &["config"]);
    assert_eq!(code, 1);
    for words in ["named pipe", "mv ", file.to_str().unwrap()] {
        assert!(err.contains(words), "{err}");
    }
    let (code, _, err) = longwire(&scratch, &["broker"]);
    assert_eq!(code, 1);
    assert!(err.contains("named pipe"), "{err}");
}

#[test]
fn users_cannot_override_administrator_settings() {
    let named = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let scratch = administered(&format!(
        "[broker]\nidle-minutes = 7\n[proxy]\nurl = \"none\"\n[default]\nsessions = 1\nprofiles = 5\n\
         [extension.{named}]\nprofiles = 6\n"
    ))
    .with("LONGWIRE_IDLE_SECONDS", "90");
    scratch.settings(&format!(
        "[broker]\nidle-minutes = 3\n[proxy]\nexcept = [\"*\"]\n[default]\nsessions = 9\nmegabytes = 64\n\
         [extension.\"chrome-extension://{named}/\"]\nsessions = 9\nprofiles = 9\nmegabytes = 32\n\
         [extension.\"add-on@example.org\"]\nsessions = 9\n"
    ));
    let of_named = |key: &str| format!("extension.\"{named}\".{key}");
    for (key, value, source, line) in [
        ("broker.idle-minutes", json!(7), "administrator", 2),
        ("proxy.url", json!("none"), "administrator", 4),
        ("default.sessions", json!(1), "administrator", 6),
        ("default.megabytes", json!(64), "file", 7),
        (&of_named("sessions"), json!(1), "administrator", 6),
        (&of_named("profiles"), json!(6), "administrator", 9),
        (&of_named("megabytes"), json!(32), "file", 11),
        (
            "extension.\"add-on@example.org\".sessions",
            json!(1),
            "administrator",
            6,
        ),
    ] {
        let expected = json!({"key": key, "value": value, "source": source, "line": line});
        assert_eq!(entry(&scratch, key), expected);
    }
    assert_eq!(
        entry(&scratch, "proxy.except")["source"],
        "default",
        "it is replaced together with `url`"
    );
    let (_, picture, _) = longwire(&scratch, &["config"]);
    assert!(
        picture.contains("root/etc/longwire/settings.toml (the administrator's"),
        "{picture}"
    );
    assert!(picture.contains("# administrator, line 6"), "{picture}");

    let server = Echo::start();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    host.send(&json!({"type": "open", "id": "1", "session": "s", "url": server.url()}));
    host.expect("opened");
    host.send(&json!({"type": "open", "id": "2", "session": "t", "url": server.url()}));
    let refused = host.find("the second is refused", |frame| frame["type"] == "error");
    assert_eq!(refused["code"], "too-many-sessions", "{refused}");
}

#[test]
fn no_broker_runs_with_invalid_administrator_settings() {
    let scratch = administered("[default]\nallow = [\"*.example.com\"]\n");
    scratch.settings("[default]\nsessions = many\n");
    for command in [["config"], ["broker"]] {
        let (code, _, err) = longwire(&scratch, &command);
        assert_eq!(code, 1);
        assert!(err.contains("root/etc/longwire/settings.toml:2:9: "), "{err}");
    }
    let file = scratch.folder().join("root/etc/longwire/settings.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let (code, _, err) = longwire(&scratch, &["config"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("sudo chmod go-w ") && err.contains(file.to_str().unwrap()),
        "{err}"
    );
}
