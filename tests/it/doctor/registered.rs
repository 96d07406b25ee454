//! What a browser finds, or does not, of a registration.

use std::fs;

use serde_json::json;

use super::{DoctorHome, ID, NAME, OTHER, set_mode};
use crate::support::write_program;

#[test]
fn nothing_is_registered() {
    let ward = DoctorHome::new();
    let found = ward.expect("registered", "fail", "none of Chromium", &["--extension", ID]);
    ward.paste(found["fix"].as_str().unwrap());
    ward.expect("registered", "pass", "Chromium", &[]);
    fs::remove_dir_all(ward.path(".config")).unwrap();
    ward.expect("registered", "warn", "no browser", &[]);
}

#[test]
fn an_unregistered_second_browser_is_offered() {
    let ward = DoctorHome::installed();
    fs::create_dir_all(ward.path(".config/vivaldi")).unwrap();
    ward.mends("manifest.vivaldi", "skip", "not registered", &[]);
}

#[test]
fn a_broken_manifest() {
    let ward = DoctorHome::installed();
    let good = fs::read_to_string(ward.manifest()).unwrap();
    for (from, to, words) in [
        ("{", "", "not valid JSON"),
        (NAME, "com.other", "not \"com.longwire.bridge\""),
        ("stdio", "pipe", "`type`"),
        (&format!("{ID}/"), ID, "slash"),
        ("\"/", "\"", "not absolute"),
    ] {
        fs::write(ward.manifest(), good.replacen(from, to, 1)).unwrap();
        ward.mends("manifest.chromium", "fail", words, &["--extension", ID]);
    }
    fs::remove_file(ward.manifest()).unwrap();
    fs::create_dir(ward.manifest()).unwrap();
    ward.mends(
        "manifest.chromium",
        "fail",
        "Is a directory",
        &["--extension", ID],
    );
    set_mode(&ward.manifest(), 0o666);
    ward.mends("manifest.chromium", "warn", "other users can change", &[]);
}

#[test]
fn firefox_rejects_a_manifest_that_chromium_accepts() {
    let ward = DoctorHome::new();
    fs::create_dir_all(ward.path(".mozilla")).unwrap();
    let installed = ward.run(&[
        "install",
        "--extension",
        ID,
        "--extension",
        "hello@longwire.example",
    ]);
    assert!(installed.status.success());
    assert_eq!(ward.doctor(&[])["verdict"], "pass");
    let path = ward.path(".mozilla/native-messaging-hosts/com.longwire.bridge.json");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replacen('{', r#"{"allowed_origins": [],"#, 1)).unwrap();
    ward.mends(
        "manifest.firefox",
        "fail",
        "unknown key `allowed_origins`",
        &["--extension", "hello@longwire.example"],
    );
    ward.expect("launch.firefox", "pass", "welcomed", &[]);
    ward.expect("launch.chromium", "pass", "welcomed", &[]);
}

#[test]
fn an_app_alone_counts_as_a_registration() {
    let ward = DoctorHome::new();
    fs::remove_dir_all(ward.path(".config/chromium")).unwrap();
    ward.expect("registered", "warn", "no browser was found", &[]);
    let output = ward.run(&["install", "--app", "com.example.editor"]);
    assert!(output.status.success(), "{output:?}");
    ward.expect("registered", "pass", "apps", &[]);
    ward.expect("manifest.apps", "pass", "com.longwire.bridge.json", &[]);
    ward.expect("launch", "pass", "welcomed", &[]);
    fs::remove_file(ward.copy()).unwrap();
    let found = ward.expect("program.apps", "fail", "No such file", &[]);
    assert_eq!(found["fix"], "longwire install --app com.example.editor");
}

#[test]
fn a_registration_for_all_is_shadowed() {
    let ward = DoctorHome::installed();
    let folder = ward.path("root/etc/chromium/native-messaging-hosts");
    fs::create_dir_all(&folder).unwrap();
    let own = fs::read_to_string(ward.manifest()).unwrap();
    let copy = ward.copy().to_str().unwrap().to_owned();
    fs::write(
        folder.join("com.longwire.bridge.json"),
        own.replace(&copy, "/opt/other/longwire"),
    )
    .unwrap();
    let found = ward.expect("manifest.chromium", "warn", "another program", &[]);
    assert_eq!(found["fix"], "longwire uninstall --browser chromium");
}

#[test]
fn the_program_cannot_be_run() {
    let ward = DoctorHome::installed();
    fs::remove_file(ward.copy()).unwrap();
    ward.mends("program.chromium", "fail", "No such file", &[]);
    set_mode(&ward.copy(), 0o644);
    ward.mends("program.chromium", "fail", "not executable", &[]);
    let mut foreign = b"\x7fELF\x02\x01\x01".to_vec();
    foreign.resize(64, 0);
    foreign[18] = if cfg!(target_arch = "x86_64") { 0xb7 } else { 0x3e };
    write_program(&ward.copy(), &foreign);
    ward.mends("program.chromium", "fail", "a linux program for", &[]);
    ward.replace_program("just text");
    ward.mends("program.chromium", "fail", "not a program", &[]);
    set_mode(&ward.copy(), 0o777);
    ward.mends("program.chromium", "warn", "other users can change", &[]);
    ward.replace_program("#!/bin/sh\necho longwire 0.0.1\n");
    ward.mends("program.chromium", "warn", "version 0.0.1", &[]);
}

#[test]
fn an_extension_that_is_not_allowed() {
    let ward = DoctorHome::installed();
    ward.expect("origin.chromium", "pass", ID, &["--extension", ID]);
    ward.mends("origin.chromium", "fail", OTHER, &["--extension", OTHER]);
    let both = format!("{ID},{OTHER}");
    ward.expect("origin.chromium", "pass", OTHER, &["--extension", &both]);
    let output = ward.run(&["doctor", "--extension", "nonsense"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn firefox_continues_to_the_next_manifest_if_an_add_on_is_not_listed() {
    let ward = DoctorHome::new();
    fs::create_dir(ward.path(".mozilla")).unwrap();
    for args in [
        &["install", "--extension", "all@example.org", "--system"][..],
        &["install", "--extension", "own@example.org"],
    ] {
        assert!(ward.run(args).status.success());
    }
    let both = ["--extension", "all@example.org", "own@example.org"];
    ward.expect("origin.firefox", "pass", "all@example.org", &both);
    ward.mends("origin.firefox", "fail", "a@b", &["--extension", "a@b"]);
}

#[test]
fn an_extension_whose_browser_has_no_registered_host() {
    let ward = DoctorHome::installed();
    let asked = ["--extension", "a@b"];
    let found = ward.expect(
        "registered",
        "fail",
        "no Firefox browser, which a@b needs",
        &asked,
    );
    assert!(
        found["fix"].as_str().unwrap().ends_with("--browser <name>"),
        "{found}"
    );
    fs::create_dir(ward.path(".mozilla")).unwrap();
    ward.mends("registered", "fail", "no Firefox browser", &asked);
}

#[test]
fn a_system_registration_is_fixed_for_all_users() {
    let ward = DoctorHome::new();
    assert!(
        ward.run(&["install", "--extension", ID, "--system"])
            .status
            .success()
    );
    fs::remove_file(ward.copy()).unwrap();
    let found = ward.expect("program.chromium", "fail", "No such file", &[]);
    assert!(found["fix"].as_str().unwrap().ends_with(" --system"), "{found}");
    ward.mends("program.chromium", "fail", "No such file", &[]);
    set_mode(&ward.copy(), 0o644);
    let found = ward.expect("program.chromium", "fail", "not executable", &[]);
    assert!(
        found["fix"].as_str().unwrap().starts_with("sudo chmod "),
        "{found}"
    );
}

#[test]
fn another_host_for_the_same_extension() {
    let ward = DoctorHome::installed();
    let rival = ward.manifest().with_file_name("org.old.bridge.json");
    let text = json!({"name": "org.old.bridge", "path": "/opt/old", "allowed_origins": [format!("chrome-extension://{ID}/")]});
    fs::write(&rival, text.to_string()).unwrap();
    ward.mends("rival.chromium", "warn", "`org.old.bridge` (/opt/old)", &[]);
    let folder = ward.path("root/etc/chromium/native-messaging-hosts");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("org.old.bridge.json"), text.to_string()).unwrap();
    let found = ward.expect("rival.chromium", "warn", "`org.old.bridge` (/opt/old)", &[]);
    assert!(
        found["fix"].as_str().unwrap().starts_with("sudo rm "),
        "{found:#}"
    );
    ward.mends("rival.chromium", "warn", "`org.old.bridge` (/opt/old)", &[]);
}

#[test]
fn the_administrator_forbids_it() {
    let ward = DoctorHome::installed();
    let folder = ward.path("root/etc/chromium/policies/managed");
    fs::create_dir_all(&folder).unwrap();
    let policy = folder.join("policy.json");
    fs::write(&policy, r#"{"NativeMessagingBlocklist": ["*"]}"#).unwrap();
    let found = ward.expect("policy.chromium", "fail", "NativeMessagingBlocklist", &[]);
    assert!(
        found["fix"]
            .as_str()
            .unwrap()
            .contains("NativeMessagingAllowlist")
    );
    fs::write(&policy, r#"{"NativeMessagingUserLevelHosts": false}"#).unwrap();
    ward.expect("manifest.chromium", "fail", "excludes the existing one", &[]);
    ward.mends("policy.chromium", "fail", "NativeMessagingUserLevelHosts", &[]);
    ward.expect("manifest.chromium", "pass", "root/etc/chromium", &[]);
}

#[test]
fn browsers_in_sandboxes() {
    let ward = DoctorHome::installed();
    for folder in ["snap/firefox", ".var/app/com.brave.Browser"] {
        fs::create_dir_all(ward.path(folder)).unwrap();
    }
    ward.mends("sandbox.firefox", "warn", "Snap", &["--extension", "a@b"]);
    ward.mends("sandbox.brave", "warn", "Flatpak", &[]);
    let app = ward.path(".var/app/com.brave.Browser");
    fs::remove_file(app.join("data/longwire/longwire")).unwrap();
    ward.mends("program.brave", "fail", "No such file", &[]);
    let inside = "config/BraveSoftware/Brave-Browser/NativeMessagingHosts/com.longwire.bridge.json";
    fs::write(app.join(inside), "{").unwrap();
    ward.mends("manifest.brave", "fail", "not valid JSON", &["--extension", ID]);
    fs::create_dir_all(ward.path("snap/vivaldi")).unwrap();
    let found = ward.expect("sandbox.vivaldi", "warn", "Snap", &[]);
    assert!(found["fix"].as_str().unwrap().contains("system package"));
}

#[test]
fn a_receipt_that_cannot_be_read() {
    let ward = DoctorHome::installed();
    fs::write(ward.0.home().join("state/installed.json"), "{").unwrap();
    assert_eq!(ward.run(&["uninstall"]).status.code(), Some(1));
    ward.mends("receipt", "fail", "cannot be read", &[]);
    assert!(ward.run(&["uninstall"]).status.success());
    assert!(!ward.manifest().exists());
}

#[test]
fn every_fix_uses_the_given_host_name() {
    let ward = DoctorHome::new();
    let name = ["--name", "com.semantest.bridge", "--extension", ID];
    let found = ward.expect("registered", "fail", "none of", &name);
    ward.paste(found["fix"].as_str().unwrap());
    ward.expect("registered", "pass", "Chromium", &name);
    ward.expect("registered", "fail", "none of", &[]);
    let path = ward.manifest().with_file_name("com.semantest.bridge.json");
    fs::write(&path, "{").unwrap();
    ward.mends("manifest.chromium", "fail", "not valid JSON", &name);
}

#[test]
fn a_user_data_folder_is_examined() {
    let ward = DoctorHome::new();
    let folder = ward.path("my profile");
    let folder = folder.to_str().unwrap();
    assert!(
        ward.run(&["install", "--extension", ID, "--user-data-dir", folder])
            .status
            .success()
    );
    ward.expect("manifest.user-data-dir", "pass", "my profile", &[]);
    fs::write(
        ward.path("my profile/NativeMessagingHosts/com.longwire.bridge.json"),
        "{",
    )
    .unwrap();
    ward.mends(
        "manifest.user-data-dir",
        "fail",
        "not valid JSON",
        &["--extension", ID],
    );
}
