//! What a browser finds, or does not, of a registration.

use std::fs;

use serde_json::json;

use super::{DoctorHome, ID, NAME, OTHER, set_mode};
use crate::support::write_program;

#[test]
fn a_missing_registration_is_reported() {
    let machine = DoctorHome::new();
    let found = machine.expect("registered", "fail", "none of Chromium", &["--extension", ID]);
    machine.paste(found["fix"].as_str().unwrap());
    machine.expect("registered", "pass", "Chromium", &[]);
    fs::remove_dir_all(machine.path(".config")).unwrap();
    machine.expect("registered", "warn", "no browser", &[]);
}

#[test]
fn an_unregistered_second_browser_is_offered() {
    let machine = DoctorHome::installed();
    fs::create_dir_all(machine.path(".config/vivaldi")).unwrap();
    machine.expect_fixed("manifest.vivaldi", "skip", "not registered", &[]);
}

#[test]
fn a_broken_manifest_is_reported_with_its_fix() {
    let machine = DoctorHome::installed();
    let good = fs::read_to_string(machine.manifest()).unwrap();
    for (from, to, words) in [
        ("{", "", "not valid JSON"),
        (NAME, "com.other", "not \"com.longwire.bridge\""),
        ("stdio", "pipe", "`type`"),
        (&format!("{ID}/"), ID, "slash"),
        ("\"/", "\"", "not absolute"),
    ] {
        fs::write(machine.manifest(), good.replacen(from, to, 1)).unwrap();
        machine.expect_fixed("manifest.chromium", "fail", words, &["--extension", ID]);
    }
    fs::remove_file(machine.manifest()).unwrap();
    fs::create_dir(machine.manifest()).unwrap();
    machine.expect_fixed(
        "manifest.chromium",
        "fail",
        "Is a directory",
        &["--extension", ID],
    );
    set_mode(&machine.manifest(), 0o666);
    machine.expect_fixed("manifest.chromium", "warn", "other users can change", &[]);
}

#[test]
fn firefox_rejects_a_manifest_that_chromium_accepts() {
    let machine = DoctorHome::new();
    fs::create_dir_all(machine.path(".mozilla")).unwrap();
    let installed = machine.run(&[
        "install",
        "--extension",
        ID,
        "--extension",
        "hello@longwire.example",
    ]);
    assert!(installed.status.success());
    assert_eq!(machine.doctor(&[])["verdict"], "pass");
    let path = machine.path(".mozilla/native-messaging-hosts/com.longwire.bridge.json");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replacen('{', r#"{"allowed_origins": [],"#, 1)).unwrap();
    machine.expect_fixed(
        "manifest.firefox",
        "fail",
        "unknown key `allowed_origins`",
        &["--extension", "hello@longwire.example"],
    );
    machine.expect("launch.firefox", "pass", "welcomed", &[]);
    machine.expect("launch.chromium", "pass", "welcomed", &[]);
}

#[test]
fn an_app_alone_counts_as_a_registration() {
    let machine = DoctorHome::new();
    fs::remove_dir_all(machine.path(".config/chromium")).unwrap();
    machine.expect("registered", "warn", "no browser was found", &[]);
    let output = machine.run(&["install", "--app", "com.example.editor"]);
    assert!(output.status.success(), "{output:?}");
    machine.expect("registered", "pass", "apps", &[]);
    machine.expect("manifest.apps", "pass", "com.longwire.bridge.json", &[]);
    machine.expect("launch", "pass", "welcomed", &[]);
    fs::remove_file(machine.copy()).unwrap();
    let found = machine.expect("program.apps", "fail", "No such file", &[]);
    assert_eq!(found["fix"], "longwire install --app com.example.editor");
}

#[test]
fn a_shadowed_system_registration_is_reported() {
    let machine = DoctorHome::installed();
    let folder = machine.path("root/etc/chromium/native-messaging-hosts");
    fs::create_dir_all(&folder).unwrap();
    let own = fs::read_to_string(machine.manifest()).unwrap();
    let copy = machine.copy().to_str().unwrap().to_owned();
    fs::write(
        folder.join("com.longwire.bridge.json"),
        own.replace(&copy, "/opt/other/longwire"),
    )
    .unwrap();
    let found = machine.expect("manifest.chromium", "warn", "another program", &[]);
    assert_eq!(found["fix"], "longwire uninstall --browser chromium");
}

#[test]
fn an_unusable_program_is_reported() {
    let machine = DoctorHome::installed();
    fs::remove_file(machine.copy()).unwrap();
    machine.expect_fixed("program.chromium", "fail", "No such file", &[]);
    set_mode(&machine.copy(), 0o644);
    machine.expect_fixed("program.chromium", "fail", "not executable", &[]);
    let mut foreign = b"\x7fELF\x02\x01\x01".to_vec();
    foreign.resize(64, 0);
    foreign[18] = if cfg!(target_arch = "x86_64") { 0xb7 } else { 0x3e };
    write_program(&machine.copy(), &foreign);
    machine.expect_fixed("program.chromium", "fail", "a linux program for", &[]);
    machine.replace_program("just text");
    machine.expect_fixed("program.chromium", "fail", "not a program", &[]);
    set_mode(&machine.copy(), 0o777);
    machine.expect_fixed("program.chromium", "warn", "other users can change", &[]);
    machine.replace_program("#!/bin/sh\necho longwire 0.0.1\n");
    machine.expect_fixed("program.chromium", "warn", "version 0.0.1", &[]);
}

#[test]
fn an_extension_that_is_not_allowed_is_reported() {
    let machine = DoctorHome::installed();
    machine.expect("origin.chromium", "pass", ID, &["--extension", ID]);
    machine.expect_fixed("origin.chromium", "fail", OTHER, &["--extension", OTHER]);
    let both = format!("{ID},{OTHER}");
    machine.expect("origin.chromium", "pass", OTHER, &["--extension", &both]);
    let output = machine.run(&["doctor", "--extension", "nonsense"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn firefox_continues_to_the_next_manifest_if_an_add_on_is_not_listed() {
    let machine = DoctorHome::new();
    fs::create_dir(machine.path(".mozilla")).unwrap();
    for args in [
        &["install", "--extension", "all@example.org", "--system"][..],
        &["install", "--extension", "own@example.org"],
    ] {
        assert!(machine.run(args).status.success());
    }
    let both = ["--extension", "all@example.org", "own@example.org"];
    machine.expect("origin.firefox", "pass", "all@example.org", &both);
    machine.expect_fixed("origin.firefox", "fail", "a@b", &["--extension", "a@b"]);
}

#[test]
fn an_extension_without_a_registration_in_its_browser_is_reported() {
    let machine = DoctorHome::installed();
    let arguments = ["--extension", "a@b"];
    let found = machine.expect(
        "registered",
        "fail",
        "no Firefox browser, which a@b needs",
        &arguments,
    );
    assert!(
        found["fix"].as_str().unwrap().ends_with("--browser <name>"),
        "{found}"
    );
    fs::create_dir(machine.path(".mozilla")).unwrap();
    machine.expect_fixed("registered", "fail", "no Firefox browser", &arguments);
}

#[test]
fn a_system_registration_is_fixed_for_all_users() {
    let machine = DoctorHome::new();
    assert!(
        machine
            .run(&["install", "--extension", ID, "--system"])
            .status
            .success()
    );
    fs::remove_file(machine.copy()).unwrap();
    let found = machine.expect("program.chromium", "fail", "No such file", &[]);
    assert!(found["fix"].as_str().unwrap().ends_with(" --system"), "{found}");
    machine.expect_fixed("program.chromium", "fail", "No such file", &[]);
    set_mode(&machine.copy(), 0o644);
    let found = machine.expect("program.chromium", "fail", "not executable", &[]);
    assert!(
        found["fix"].as_str().unwrap().starts_with("sudo chmod "),
        "{found}"
    );
}

#[test]
fn another_host_for_the_same_extension_is_reported() {
    let machine = DoctorHome::installed();
    let rival = machine.manifest().with_file_name("org.old.bridge.json");
    let text = json!({"name": "org.old.bridge", "path": "/opt/old", "allowed_origins": [format!("chrome-extension://{ID}/")]});
    fs::write(&rival, text.to_string()).unwrap();
    machine.expect_fixed("rival.chromium", "warn", "`org.old.bridge` (/opt/old)", &[]);
    let folder = machine.path("root/etc/chromium/native-messaging-hosts");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("org.old.bridge.json"), text.to_string()).unwrap();
    let found = machine.expect("rival.chromium", "warn", "`org.old.bridge` (/opt/old)", &[]);
    assert!(
        found["fix"].as_str().unwrap().starts_with("sudo rm "),
        "{found:#}"
    );
    machine.expect_fixed("rival.chromium", "warn", "`org.old.bridge` (/opt/old)", &[]);
}

#[test]
fn a_policy_of_the_administrator_is_reported() {
    let machine = DoctorHome::installed();
    let folder = machine.path("root/etc/chromium/policies/managed");
    fs::create_dir_all(&folder).unwrap();
    let policy = folder.join("policy.json");
    fs::write(&policy, r#"{"NativeMessagingBlocklist": ["*"]}"#).unwrap();
    let found = machine.expect("policy.chromium", "fail", "NativeMessagingBlocklist", &[]);
    assert!(
        found["fix"]
            .as_str()
            .unwrap()
            .contains("NativeMessagingAllowlist")
    );
    fs::write(&policy, r#"{"NativeMessagingUserLevelHosts": false}"#).unwrap();
    machine.expect("manifest.chromium", "fail", "excludes the existing one", &[]);
    machine.expect_fixed("policy.chromium", "fail", "NativeMessagingUserLevelHosts", &[]);
    machine.expect("manifest.chromium", "pass", "root/etc/chromium", &[]);
}

#[test]
fn sandboxed_browsers_are_reported() {
    let machine = DoctorHome::installed();
    for folder in ["snap/firefox", ".var/app/com.brave.Browser"] {
        fs::create_dir_all(machine.path(folder)).unwrap();
    }
    machine.expect_fixed("sandbox.firefox", "warn", "Snap", &["--extension", "a@b"]);
    machine.expect_fixed("sandbox.brave", "warn", "Flatpak", &[]);
    let app = machine.path(".var/app/com.brave.Browser");
    fs::remove_file(app.join("data/longwire/longwire")).unwrap();
    machine.expect_fixed("program.brave", "fail", "No such file", &[]);
    let inside = "config/BraveSoftware/Brave-Browser/NativeMessagingHosts/com.longwire.bridge.json";
    fs::write(app.join(inside), "{").unwrap();
    machine.expect_fixed("manifest.brave", "fail", "not valid JSON", &["--extension", ID]);
    fs::create_dir_all(machine.path("snap/vivaldi")).unwrap();
    let found = machine.expect("sandbox.vivaldi", "warn", "Snap", &[]);
    assert!(found["fix"].as_str().unwrap().contains("system package"));
}

#[test]
fn an_unreadable_install_record_is_reported() {
    let machine = DoctorHome::installed();
    fs::write(machine.0.home().join("state/installed.json"), "{").unwrap();
    assert_eq!(machine.run(&["uninstall"]).status.code(), Some(1));
    machine.expect_fixed("receipt", "fail", "cannot be read", &[]);
    assert!(machine.run(&["uninstall"]).status.success());
    assert!(!machine.manifest().exists());
}

#[test]
fn every_fix_uses_the_given_host_name() {
    let machine = DoctorHome::new();
    let name = ["--name", "com.semantest.bridge", "--extension", ID];
    let found = machine.expect("registered", "fail", "none of", &name);
    machine.paste(found["fix"].as_str().unwrap());
    machine.expect("registered", "pass", "Chromium", &name);
    machine.expect("registered", "fail", "none of", &[]);
    let path = machine.manifest().with_file_name("com.semantest.bridge.json");
    fs::write(&path, "{").unwrap();
    machine.expect_fixed("manifest.chromium", "fail", "not valid JSON", &name);
}

#[test]
fn a_user_data_folder_is_examined() {
    let machine = DoctorHome::new();
    let folder = machine.path("my profile");
    let folder = folder.to_str().unwrap();
    assert!(
        machine
            .run(&["install", "--extension", ID, "--user-data-dir", folder])
            .status
            .success()
    );
    machine.expect("manifest.user-data-dir", "pass", "my profile", &[]);
    fs::write(
        machine.path("my profile/NativeMessagingHosts/com.longwire.bridge.json"),
        "{",
    )
    .unwrap();
    machine.expect_fixed(
        "manifest.user-data-dir",
        "fail",
        "not valid JSON",
        &["--extension", ID],
    );
}
