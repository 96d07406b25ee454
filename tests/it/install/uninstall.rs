//! What a failure rolls back, what uninstall removes, and what belongs to others.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use super::{EVERY_BROWSER, Home, ID, NAME, OTHER, json, manifests};
use crate::support::write_program;

#[test]
fn every_name_can_be_uninstalled_in_one_command() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    for name in ["com.longwire.bridge", "com.semantest.bridge"] {
        home.done(&["install", "--extension", ID, "--name", name]);
    }
    home.done(&["uninstall"]);
    let other = home.path(".config/chromium/NativeMessagingHosts/com.semantest.bridge.json");
    assert!(other.exists(), "one name does not touch another");
    home.done(&["install", "--extension", ID]);
    home.done(&["uninstall", "--all"]);
    assert_eq!(home.tree(), before);
    home.done(&["uninstall", "--all"]);
}

#[test]
fn broker_data_is_reported_and_not_removed() {
    let home = Home::new().with(&[".config/chromium"]);
    home.done(&["install", "--extension", ID]);
    let logs = home.path(".local/state/longwire/logs");
    fs::create_dir(&logs).unwrap();
    let stdout = home.done(&["uninstall"]);
    assert!(
        stdout.contains("note: logs and stored sessions stay in "),
        "{stdout}"
    );
    assert!(logs.exists());
}

#[test]
fn a_failed_install_rolls_back_everything() {
    let home = Home::new().with(EVERY_BROWSER);
    // A file where a folder should be made; Thunderbird comes last.
    fs::write(home.path(".thunderbird/native-messaging-hosts"), "").unwrap();
    let before = home.tree();
    let output = home.run(&["install", "--extension", ID, "--extension", "a@b"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains(".thunderbird"));
    assert_eq!(home.tree(), before);
}

#[test]
fn a_failed_update_keeps_the_old_registration() {
    let home = Home::new().with(&[".config/chromium", ".thunderbird"]);
    home.done(&["install", "--extension", ID]);
    let program = home.path(".local/state/longwire/bin/longwire");
    fs::write(&program, "an older one").unwrap();
    fs::write(home.path(".thunderbird/native-messaging-hosts"), "").unwrap();
    let before = home.tree();
    let output = home.run(&["install", "--extension", OTHER, "--extension", "a@b"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(home.tree(), before);
}

#[test]
fn a_newer_program_replaces_the_copy() {
    let home = Home::new().with(&[".config/chromium"]);
    home.done(&["install", "--extension", ID]);
    let program = home.path(".local/state/longwire/bin/longwire");
    fs::write(&program, "an older one").unwrap();
    home.done(&["install", "--extension", ID]);
    assert!(program.metadata().unwrap().len() > 1000);
    assert_eq!(program.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    let beside = fs::read_dir(program.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1, "no older copies");
}

#[test]
fn an_older_program_does_not_replace_a_newer_copy() {
    let home = Home::new().with(&[".config/chromium"]);
    home.done(&["install", "--extension", ID]);
    let program = home.path(".local/state/longwire/bin/longwire");
    for (send, stays) in [
        ("longwire 9.0.0", true),
        ("longwire 0.0.1", false),
        ("hello", false),
    ] {
        write_program(&program, format!("#!/bin/sh\necho {send}\n").as_bytes());
        let text = home.done(&["install", "--extension", ID, "--extension", OTHER]);
        assert_eq!(program.metadata().unwrap().len() < 100, stays, "{send}: {text}");
        assert_eq!(text.contains("is newer (9.0.0)"), stays, "{send}: {text}");
    }
    let registered = manifests(&home).pop().unwrap();
    assert_eq!(json(&registered)["allowed_origins"].as_array().unwrap().len(), 2);
}

#[test]
fn a_replaced_manifest_of_another_host_is_restored() {
    let home = Home::new().with(&[
        ".config/chromium/NativeMessagingHosts",
        ".mozilla/native-messaging-hosts",
    ]);
    let path = home.path(".config/chromium/NativeMessagingHosts/com.semantest.bridge.json");
    let old = format!(
        r#"{{"name":"com.semantest.bridge","description":"d","path":"/opt/old/bridge","type":"stdio","allowed_origins":["chrome-extension://{OTHER}/"]}}"#
    );
    fs::write(&path, &old).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let elsewhere = home.path("elsewhere.json");
    fs::write(&elsewhere, "{}").unwrap();
    symlink(
        &elsewhere,
        home.path(".mozilla/native-messaging-hosts/com.semantest.bridge.json"),
    )
    .unwrap();
    let before = home.tree();
    let name = ["--name", "com.semantest.bridge"];
    let stdout = home.done(&[&["install", "--extension", ID, "--extension", "a@b"], &name[..]].concat());
    assert!(stdout.contains("/opt/old/bridge"), "{stdout}");
    let origins = json(&path)["allowed_origins"].as_array().unwrap().len();
    assert_eq!(origins, 2, "its ids are kept");
    assert_eq!(
        fs::read_to_string(&elsewhere).unwrap(),
        "{}",
        "a link is not written through"
    );
    home.done(&["uninstall"]);
    assert_eq!(
        json(&path)["allowed_origins"].as_array().unwrap().len(),
        2,
        "another name's"
    );
    home.done(&[&["uninstall"], &name[..]].concat());
    assert_eq!(home.tree(), before);
}

#[test]
fn without_an_install_record_only_longwires_manifests_are_removed() {
    let home = Home::new().with(&[".config/chromium", ".config/vivaldi/NativeMessagingHosts"]);
    home.done(&["install", "--extension", ID, "--browser", "chromium"]);
    fs::remove_dir_all(home.path(".local")).unwrap();
    let foreign = home.path(".config/vivaldi/NativeMessagingHosts").join(NAME);
    fs::write(&foreign, r#"{"path":"/opt/other/thing"}"#).unwrap();
    let stdout = home.done(&["uninstall"]);
    assert!(
        stdout.contains("left alone") && stdout.contains("/opt/other/thing"),
        "{stdout}"
    );
    assert_eq!(manifests(&home), [foreign]);
}

/// What another product's installer would write.
fn foreign(program: &str) -> String {
    format!(
        r#"{{"name":"com.longwire.bridge","description":"d","path":"{program}","type":"stdio","allowed_origins":["chrome-extension://{OTHER}/"]}}"#
    )
}

#[test]
fn files_replacing_a_manifest_are_kept_or_restored() {
    let home = Home::new().with(&[".config/chromium"]);
    home.done(&["install", "--extension", ID]);
    let path = home.path(".config/chromium/NativeMessagingHosts").join(NAME);
    fs::write(&path, foreign("/opt/other/bridge")).unwrap();
    let stdout = home.done(&["install", "--extension", ID]);
    assert!(
        stdout.contains("/opt/other/bridge; `uninstall` restores it"),
        "{stdout}"
    );
    home.done(&["uninstall"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), foreign("/opt/other/bridge"));

    home.done(&["install", "--extension", ID]);
    fs::write(&path, foreign("/opt/newer/bridge")).unwrap();
    let stdout = home.done(&["uninstall"]);
    assert!(
        stdout.contains("left alone") && stdout.contains("/opt/newer/bridge"),
        "{stdout}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), foreign("/opt/newer/bridge"));
    assert!(!home.path(".local").exists());
}

#[test]
fn a_manually_edited_manifest_is_still_uninstalled() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    home.done(&["install", "--extension", ID]);
    let path = home.path(".config/chromium/NativeMessagingHosts").join(NAME);
    let copy = home.path(".local/state/longwire/bin/longwire");
    let own = fs::read_to_string(&path).unwrap();
    let by_hand = own.replace(copy.to_str().unwrap(), "/tmp/wrapper.sh");
    assert_ne!(own, by_hand);
    fs::write(&path, &by_hand).unwrap();
    let stdout = home.done(&["install", "--extension", ID]);
    assert!(!stdout.contains("note:"), "{stdout}");
    fs::write(&path, &by_hand).unwrap();
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn a_removed_browser_does_not_block_uninstall() {
    let home = Home::new().with(&[".config/chromium/NativeMessagingHosts", ".config/vivaldi"]);
    let path = home.path(".config/chromium/NativeMessagingHosts").join(NAME);
    fs::write(&path, foreign("/opt/other/bridge")).unwrap();
    home.done(&["install", "--extension", ID]);
    fs::remove_dir_all(home.path(".config/chromium")).unwrap();
    home.done(&["uninstall"]);
    assert_eq!(manifests(&home), Vec::<PathBuf>::new());
    assert!(!home.path(".local").exists() && !home.path(".config/chromium").exists());
}

#[test]
fn remaining_registrations_are_reported() {
    let home = Home::new().with(&[".mozilla", ".zen"]);
    home.done(&["install", "--extension", "a@b"]);
    let stdout = home.done(&["uninstall", "--browser", "firefox"]);
    assert!(stdout.contains("is kept: also used by zen"), "{stdout}");
    let stdout = home.done(&["uninstall", "--browser", "zen"]);
    assert!(!stdout.contains("stays"), "{stdout}");
    assert!(!home.path(".mozilla/native-messaging-hosts").exists());
}
