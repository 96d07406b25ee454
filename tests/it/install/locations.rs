//! Which browsers are served, and where.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{EVERY_BROWSER, Home, ID, NAME, json, manifests};

#[test]
fn every_browser_is_registered_and_uninstall_removes_everything() {
    let home = Home::new().with(EVERY_BROWSER);
    let before = home.tree();
    let shown = home.done(&[
        "install",
        "--extension",
        ID,
        "--extension",
        "hello@longwire.example",
    ]);
    let written = manifests(&home);
    assert_eq!(written.len(), 12 + 4, "{written:#?}");
    for path in &written {
        assert!(
            shown.contains(path.to_str().unwrap()),
            "shown: {}",
            path.display()
        );
        let manifest = json(path);
        assert_eq!(manifest["name"], "com.longwire.bridge");
        assert_eq!(manifest["type"], "stdio");
        let program = PathBuf::from(manifest["path"].as_str().unwrap());
        assert_eq!(program, home.path(".local/state/longwire/bin/longwire"));
        assert_eq!(program.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        let firefox = path.to_str().unwrap().contains("native-messaging-hosts");
        if firefox {
            assert_eq!(manifest["allowed_extensions"][0], "hello@longwire.example");
            assert_eq!(manifest.get("allowed_origins"), None, "Firefox rejects it");
        } else {
            assert_eq!(
                manifest["allowed_origins"][0],
                format!("chrome-extension://{ID}/")
            );
        }
    }
    // What the test has made is as open as its umask lets it be.
    let made = home
        .tree()
        .into_iter()
        .filter(|(path, _)| !before.contains_key(path));
    for (path, entry) in made {
        let writable = u32::from_str_radix(entry.split(' ').next().unwrap(), 8).unwrap() & 0o002;
        assert!(
            entry.contains("->") || writable == 0,
            "{} is open to all",
            path.display()
        );
    }
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn each_browser_has_its_manifest_folder() {
    let config = "NativeMessagingHosts";
    let dashed = "native-messaging-hosts";
    for (browser, folder) in [
        ("chrome", format!(".config/google-chrome/{config}")),
        ("chrome-beta", format!(".config/google-chrome-beta/{config}")),
        ("chrome-dev", format!(".config/google-chrome-unstable/{config}")),
        ("chrome-canary", format!(".config/google-chrome-canary/{config}")),
        (
            "chrome-for-testing",
            format!(".config/google-chrome-for-testing/{config}"),
        ),
        ("chromium", format!(".config/chromium/{config}")),
        ("edge", format!(".config/microsoft-edge/{config}")),
        ("edge-beta", format!(".config/microsoft-edge-beta/{config}")),
        ("edge-dev", format!(".config/microsoft-edge-dev/{config}")),
        ("brave", format!(".config/BraveSoftware/Brave-Browser/{config}")),
        ("vivaldi", format!(".config/vivaldi/{config}")),
        ("opera", format!(".config/google-chrome/{config}")),
        ("yandex", format!(".config/yandex-browser/{config}")),
        ("firefox", format!(".mozilla/{dashed}")),
        ("librewolf", format!(".librewolf/{dashed}")),
        ("waterfox", format!(".waterfox/{dashed}")),
        ("floorp", format!(".mozilla/{dashed}")),
        ("zen", format!(".mozilla/{dashed}")),
        ("thunderbird", format!(".thunderbird/{dashed}")),
    ] {
        let home = Home::new();
        let ids = ["--extension", ID, "--extension", "a@b", "--browser", browser];
        let text = home.done(&[&["install", "--dry-run", "--json"], &ids[..]].concat());
        let document: Value = serde_json::from_str(&text).unwrap();
        let planned = document["manifests"].as_array().unwrap();
        let expected = home.path(&folder).join(NAME);
        let is_planned = planned
            .iter()
            .any(|one| one["path"] == expected.to_str().unwrap());
        assert!(is_planned, "{browser}: {planned:#?}");
    }
}

#[test]
fn a_system_registration_is_world_readable_and_removed_completely() {
    let home = Home::new().with(EVERY_BROWSER);
    let before = home.tree();
    let root = home.root();
    let shown = home.for_all(&["install", "--system", "--extension", ID, "--extension", "a@b"]);
    assert_eq!(home.tree(), before, "nothing of this user's is touched");
    for folder in [
        "etc/opt/chrome",
        "etc/opt/chrome_for_testing",
        "etc/opt/edge",
        "etc/chromium",
        "usr/lib/mozilla",
        "usr/lib/librewolf",
    ] {
        let path = root.join(folder).join("native-messaging-hosts").join(NAME);
        assert!(shown.contains(path.to_str().unwrap()), "{}", path.display());
        assert_eq!(
            json(&path)["path"],
            root.join("opt/longwire/bin/longwire").to_str().unwrap()
        );
        for above in path.ancestors().take_while(|above| *above != home.folder.path()) {
            let mode = above.metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(
                mode,
                if above.is_dir() { 0o755 } else { 0o644 },
                "{}",
                above.display()
            );
        }
    }
    home.for_all(&["uninstall", "--system"]);
    assert!(!root.exists(), "folders above all manifests go, too");
}

#[test]
fn sandboxed_browsers_are_skipped_unless_requested() {
    let home = Home::new().with(&[
        ".config/google-chrome",
        ".var/app/org.chromium.Chromium",
        ".var/app/org.mozilla.firefox",
        "snap/brave",
    ]);
    let before = home.tree();
    let ids = ["install", "--extension", ID, "--extension", "a@b"];
    let output = home.done(&ids);
    assert!(
        output.contains("inside Flatpak") && output.contains("use --sandboxed"),
        "{output}"
    );
    assert!(output.contains("inside Snap"), "{output}");
    assert_eq!(manifests(&home).len(), 1, "Chrome's alone");
    home.done(&[&ids[..], &["--sandboxed"]].concat());
    for (app, hosts) in [
        ("org.chromium.Chromium", "config/chromium/NativeMessagingHosts"),
        ("org.mozilla.firefox", ".mozilla/native-messaging-hosts"),
    ] {
        let app = home.path(".var/app").join(app);
        let manifest = json(&app.join(hosts).join(NAME));
        let program = PathBuf::from(manifest["path"].as_str().unwrap());
        assert_eq!(
            program,
            app.join("data/longwire/longwire"),
            "a program that the sandbox sees"
        );
        let output = Command::new(program).arg("--version").output().unwrap();
        assert!(output.status.success());
    }
    home.done(&["uninstall", "--browser", "firefox"]);
    assert!(!home.path(".var/app/org.mozilla.firefox/data").exists());
    assert!(
        home.path(".var/app/org.chromium.Chromium/data/longwire/longwire")
            .exists()
    );
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

/// What a portal serves needs nothing inside the sandbox.
#[test]
fn firefox_in_a_snap_is_registered_where_its_portal_reads() {
    let home = Home::new().with(&["snap/firefox"]);
    let before = home.tree();
    home.done(&["install", "--extension", "a@b"]);
    let manifest = home.path(".mozilla/native-messaging-hosts").join(NAME);
    assert_eq!(manifests(&home), std::slice::from_ref(&manifest));
    let program = PathBuf::from(json(&manifest)["path"].as_str().unwrap());
    assert!(
        !program.starts_with(home.path("snap")),
        "{} is outside",
        program.display()
    );
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn missing_browsers_are_skipped_unless_requested() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    home.done(&["install", "--extension", ID]);
    assert_eq!(
        manifests(&home),
        [home.path(".config/chromium/NativeMessagingHosts").join(NAME)]
    );
    home.done(&["install", "--extension", ID, "--browser", "vivaldi"]);
    assert_eq!(manifests(&home).len(), 2);
    home.done(&["uninstall", "--browser", "vivaldi"]);
    assert_eq!(manifests(&home).len(), 1);
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn a_program_in_the_path_counts_as_a_browser() {
    let home = Home::new();
    fs::create_dir(home.folder.path().join("bin")).unwrap();
    fs::write(home.folder.path().join("bin/chromium"), "").unwrap();
    home.done(&["install", "--extension", ID]);
    assert_eq!(
        manifests(&home),
        [home.path(".config/chromium/NativeMessagingHosts").join(NAME)]
    );
    home.done(&["uninstall"]);
    assert!(home.tree().is_empty(), "{:#?}", home.tree());
}

#[test]
fn without_any_browser_install_fails_with_advice() {
    let home = Home::new();
    let output = home.run(&["install", "--extension", ID]);
    assert_eq!(output.status.code(), Some(1));
    let output = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.contains("error: no browser") && output.contains("hint: "),
        "{output}"
    );
    assert!(home.tree().is_empty());
}

#[test]
fn opera_and_chrome_share_a_folder_and_neither_removes_it_from_the_other() {
    let home = Home::new().with(&[".config/opera", ".config/google-chrome"]);
    home.done(&["install", "--extension", ID]);
    let shared = home.path(".config/google-chrome/NativeMessagingHosts").join(NAME);
    assert_eq!(manifests(&home), std::slice::from_ref(&shared));
    home.done(&["uninstall", "--browser", "opera"]);
    assert_eq!(manifests(&home), [shared]);
    home.done(&["uninstall", "--browser", "chrome"]);
    assert!(manifests(&home).is_empty());
}

#[test]
fn special_characters_in_paths_are_preserved() {
    let home = Home::named("Jörg & Söhne 'x' \"日本\"").with(&[".config/chromium", ".mozilla"]);
    let before = home.tree();
    home.done(&[
        "install",
        "--extension",
        ID,
        "--extension",
        "{01234567-89ab-cdef-0123-456789abcdef}",
    ]);
    for path in manifests(&home) {
        let program = json(&path)["path"].as_str().unwrap().to_owned();
        let output = Command::new(program).arg("--version").output().unwrap();
        assert!(String::from_utf8(output.stdout).unwrap().starts_with("longwire "));
    }
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn a_user_data_folder_is_registered_by_itself() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    let folder = home.path("my profile");
    let folder = folder.to_str().unwrap();
    home.done(&["install", "--extension", ID, "--user-data-dir", folder]);
    assert_eq!(
        manifests(&home),
        [home.path("my profile/NativeMessagingHosts").join(NAME)]
    );
    home.done(&["uninstall", "--user-data-dir", folder]);
    assert_eq!(home.tree(), before);
}

#[test]
fn own_files_follow_longwire_home_and_manifests_do_not() {
    let home = Home::new().with(&["xdg/chromium"]);
    let status = home
        .command()
        .env("XDG_CONFIG_HOME", home.path("xdg"))
        .env("LONGWIRE_HOME", home.path("lw"))
        .args(["install", "--extension", ID])
        .output()
        .unwrap();
    assert!(status.status.success(), "{status:?}");
    let manifest = json(&home.path("xdg/chromium/NativeMessagingHosts").join(NAME));
    assert_eq!(
        manifest["path"],
        home.path("lw/state/bin/longwire").to_str().unwrap()
    );
    assert!(!home.path(".local").exists() && !home.path(".config").exists());
}
