//! Root uses no file that another user wrote, and no other user can change the files it creates.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use super::{Home, ID};

/// Somebody who is not root.
const OTHER_USER: u32 = 65_534;

fn is_root() -> bool {
    crate::skip::is_root("only root can make files of another user")
}

fn chown_to_other_user(path: &Path) {
    chown(path, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
}

/// Refused with the owner and the command to run instead.
fn assert_refused(home: &Home, arguments: &[&str], variables: &[(&str, &Path)]) {
    let mut command = home.command();
    command.args(arguments).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {printed}");
    assert!(
        printed.contains("belongs to user 65534"),
        "{arguments:?}: {printed}"
    );
    let again = format!("sudo -H -u '#65534' longwire {}", arguments[0]);
    assert!(
        printed.contains(&again) && printed.contains("omit sudo"),
        "{printed}"
    );
}

#[test]
fn a_home_of_another_user_is_not_changed() {
    if !is_root() {
        return;
    }
    let home = Home::new().with(&[".config/chromium"]);
    for folder in ["", ".config", ".config/chromium"] {
        chown_to_other_user(&home.path(folder));
    }
    for arguments in [&["install", "--extension", ID][..], &["uninstall"], &["doctor"]] {
        assert_refused(&home, arguments, &[]);
    }
    assert!(!home.path(".config/chromium/NativeMessagingHosts").exists());
}

#[test]
fn a_longwire_home_of_another_user_is_not_changed() {
    if !is_root() {
        return;
    }
    let home = Home::new().with(&[".config/chromium"]);
    let theirs = home.folder.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    chown_to_other_user(&theirs);
    for arguments in [
        &["install", "--extension", ID][..],
        &["uninstall", "--all"],
        &["doctor"],
    ] {
        assert_refused(&home, arguments, &[("LONGWIRE_HOME", &theirs)]);
    }
    assert_eq!(fs::read_dir(&theirs).unwrap().count(), 0);
}

#[test]
fn an_install_record_of_another_user_is_not_followed() {
    if !is_root() {
        return;
    }
    let home = Home::new().with(&[".config/chromium"]);
    home.done(&["install", "--extension", ID]);
    let record = home.path(".local/state/longwire/installed.json");
    assert_eq!(
        fs::metadata(&record).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let precious = home.folder.path().join("precious");
    fs::write(&precious, "keep").unwrap();
    let text = fs::read_to_string(&record).unwrap();
    let manifest = home.path(".config/chromium/NativeMessagingHosts/com.longwire.bridge.json");
    let text = text.replace(manifest.to_str().unwrap(), precious.to_str().unwrap());
    fs::write(&record, text).unwrap();
    chown_to_other_user(&record);
    assert_refused(&home, &["uninstall"], &[]);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "keep");
}

#[test]
fn a_symlink_of_another_user_in_a_user_data_folder_is_not_followed() {
    if !is_root() {
        return;
    }
    let home = Home::new();
    let (folder, target) = (home.path("profile"), home.folder.path().join("target"));
    fs::create_dir(&folder).unwrap();
    fs::create_dir(&target).unwrap();
    let link = folder.join("NativeMessagingHosts");
    symlink(&target, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    let folder = folder.to_str().unwrap().to_owned();
    assert_refused(
        &home,
        &["install", "--extension", ID, "--user-data-dir", &folder],
        &[],
    );
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}

#[test]
fn a_program_of_another_user_is_not_started_by_roots_doctor() {
    if !is_root() {
        return;
    }
    let home = Home::new().with(&[".config/chromium/NativeMessagingHosts"]);
    let (program, mark) = (
        home.folder.path().join("longwire"),
        home.folder.path().join("mark"),
    );
    let script = format!("#!/bin/sh\n: > {}\n", mark.display());
    crate::support::write_program(&program, script.as_bytes());
    chown_to_other_user(&program);
    let manifest = serde_json::json!({
        "name": "com.longwire.bridge", "description": "x", "type": "stdio", "path": program,
        "allowed_origins": [format!("chrome-extension://{ID}/")],
    });
    let path = home.path(".config/chromium/NativeMessagingHosts/com.longwire.bridge.json");
    fs::write(path, manifest.to_string()).unwrap();
    let output = home.run(&["doctor", "--json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap();
    let found = findings
        .iter()
        .find(|finding| finding["id"] == "program.chromium");
    let detail = found.unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains("root does not start it"), "{detail}");
    assert!(!mark.exists(), "it was started");
}

#[test]
fn with_umask_zero_nothing_is_writable_by_others() {
    let home = Home::new().with(&[".config/chromium"]);
    let mut shell = std::process::Command::new("/bin/sh");
    shell
        .env_clear()
        .env("HOME", home.path(""))
        .current_dir(home.folder.path());
    let program = crate::support::program().display();
    let line = format!("umask 000; exec {program} install --extension {ID}");
    let output = shell.args(["-c", &line]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut folders = vec![
        home.path(".config/chromium/NativeMessagingHosts"),
        home.path(".local"),
    ];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path()) {
            let found = fs::symlink_metadata(&path).unwrap();
            assert_eq!(found.permissions().mode() & 0o022, 0, "{}", path.display());
            seen += 1;
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(seen > 3, "{seen}");
}
