//! Which extensions are registered, under which names, with concurrent installs.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{Home, ID, NAME, OTHER, json, manifests};

#[test]
fn further_ids_are_added_to_a_registration() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    let path = home.path(".config/chromium/NativeMessagingHosts").join(NAME);
    home.done(&["install", "--extension", ID]);
    home.done(&["install", "--extension", OTHER, "--extension", ID]);
    let both = [ID, OTHER].map(|id| Value::from(format!("chrome-extension://{id}/")));
    assert_eq!(json(&path)["allowed_origins"], Value::from(both.to_vec()));
    let settled = home.tree();
    let text = home.done(&["install", "--extension", OTHER]);
    assert!(text.contains("already registered"), "{text}");
    assert_eq!(home.tree(), settled);
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn a_user_registration_includes_the_ids_of_the_system_registration() {
    let home = Home::new().with(&[".config/chromium"]);
    home.for_all(&["install", "--extension", OTHER, "--system"]);
    home.for_all(&["install", "--extension", ID]);
    // Chromium reads this one, and never the one for all.
    let own = json(&home.path(".config/chromium/NativeMessagingHosts").join(NAME));
    let origins = [ID, OTHER].map(|id| Value::from(format!("chrome-extension://{id}/")));
    assert_eq!(own["allowed_origins"].as_array().unwrap(), &origins);
    let all = json(&home.root().join("etc/chromium/native-messaging-hosts").join(NAME));
    assert_eq!(all["allowed_origins"].as_array().unwrap(), &origins[1..]);
}

#[test]
fn doctor_reads_the_install_record_of_all_users() {
    let home = Home::new();
    let receipt = home.root().join("opt/longwire/installed.json");
    fs::create_dir_all(receipt.parent().unwrap()).unwrap();
    fs::write(&receipt, "{").unwrap();
    let mut command = home.command();
    let output = command
        .env("LONGWIRE_ROOT", home.root())
        .args(["doctor", "--json"])
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["id"] == "receipt").unwrap();
    assert_eq!(found["verdict"], "fail", "{found:#}");
    let fix = found["fix"].as_str().unwrap();
    assert!(
        fix.starts_with("sudo mv ") && fix.contains(receipt.to_str().unwrap()),
        "{fix}"
    );
}

#[test]
fn wrong_arguments_are_distinguished() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    for args in [
        &["install"][..],
        &["install", "--extension", "nonsense"],
        &["install", "--extension", " , "],
        &["install", "--extension", ID, "--browser", "netscape"],
        &["install", "--extension", ID, "--name", "Com.Bad"],
        &["uninstall", "--name", "a..b"],
    ] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            String::from_utf8(output.stderr).unwrap().contains("error: "),
            "{args:?}"
        );
    }
    let output = home.run(&["install", "--extension", ID, "--browser", "firefox"]);
    assert_eq!(output.status.code(), Some(1), "no Firefox id");
    assert_eq!(home.tree(), before);
}

/// Ids that differ in one letter.
fn many_ids(count: u8) -> Vec<String> {
    (0..count)
        .map(|index| format!("{}{}", &OTHER[..31], char::from(b'a' + index)))
        .collect()
}

/// Starts all of them, then waits for all.
fn at_once(home: &Home, all: &[Vec<&str>]) -> Vec<Output> {
    let started: Vec<_> = all
        .iter()
        .map(|args| {
            let mut command = home.command();
            command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    started
        .into_iter()
        .map(|child| child.wait_with_output().unwrap())
        .collect()
}

#[test]
fn several_ids_can_follow_one_flag() {
    let home = Home::new().with(&[".config/chromium"]);
    home.done(&["install", "--extension", ID, OTHER, "--browser", "chromium"]);
    let manifest = json(&home.path(".config/chromium/NativeMessagingHosts").join(NAME));
    assert_eq!(manifest["allowed_origins"].as_array().unwrap().len(), 2);
}

#[test]
fn concurrent_installs_lose_no_id() {
    let home = Home::new().with(&[".config/chromium", ".config/vivaldi"]);
    let before = home.tree();
    let ids = many_ids(6);
    let all: Vec<_> = ids.iter().map(|id| vec!["install", "--extension", id]).collect();
    for output in at_once(&home, &all) {
        assert!(output.status.success(), "{output:?}");
    }
    for path in manifests(&home) {
        let manifest = json(&path);
        for id in &ids {
            let origin = Value::from(format!("chrome-extension://{id}/"));
            let origins = manifest["allowed_origins"].as_array().unwrap();
            assert!(origins.contains(&origin), "{id} in {origins:?}");
        }
    }
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn concurrent_install_and_uninstall_end_with_all_or_nothing() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    for _ in 0..4 {
        home.done(&["install", "--extension", ID]);
        let both = [vec!["uninstall"], vec!["install", "--extension", OTHER]];
        for output in at_once(&home, &both) {
            assert!(output.status.success(), "{output:?}");
        }
        if home.tree() != before {
            // Installed last: then it is whole.
            let path = home.path(".config/chromium/NativeMessagingHosts").join(NAME);
            let manifest = json(&path);
            assert!(manifest["allowed_origins"].to_string().contains(OTHER));
            let program = PathBuf::from(manifest["path"].as_str().unwrap());
            let text = Command::new(program).arg("--version").output().unwrap();
            assert!(text.status.success());
        }
        home.done(&["uninstall"]);
        assert_eq!(home.tree(), before);
    }
}
