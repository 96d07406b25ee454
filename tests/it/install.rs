//! `longwire install` and `uninstall` through the real program, in pretended homes.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";
pub(crate) const OTHER: &str = "abcdefghijklmnopabcdefghijklmnop";
const NAME: &str = "com.longwire.bridge.json";

/// A home of its own, with nothing in it and no browser in `PATH`.
pub(crate) struct Home {
    pub(crate) folder: TempDir,
    home: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::named("home")
    }

    fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join(name);
        fs::create_dir(&home).unwrap();
        Self { folder, home }
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.home.join(inside)
    }

    pub(crate) fn with(self, folders: &[&str]) -> Self {
        for folder in folders {
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        self
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longwire"));
        command
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", self.folder.path().join("bin"))
            .current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Runs what must succeed; returns what it printed.
    pub(crate) fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Every path in the home with its kind, mode and content.
    fn tree(&self) -> BTreeMap<PathBuf, String> {
        let (mut tree, mut folders) = (BTreeMap::new(), vec![self.home.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let found = path.symlink_metadata().unwrap();
                let mode = found.permissions().mode();
                let content = if found.is_dir() {
                    folders.push(path.clone());
                    "folder".to_owned()
                } else if found.is_symlink() {
                    format!("-> {}", fs::read_link(&path).unwrap().display())
                } else {
                    String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
                };
                tree.insert(path, format!("{mode:o} {content}"));
            }
        }
        tree
    }
}

/// Every browser's folder on Linux.
const EVERY_BROWSER: &[&str] = &[
    ".config/google-chrome",
    ".config/google-chrome-beta",
    ".config/google-chrome-unstable",
    ".config/google-chrome-for-testing",
    ".config/chromium",
    ".config/microsoft-edge",
    ".config/microsoft-edge-beta",
    ".config/microsoft-edge-dev",
    ".config/BraveSoftware/Brave-Browser",
    ".config/vivaldi",
    ".config/vivaldi-snapshot",
    ".config/yandex-browser",
    ".config/opera",
    ".mozilla/firefox",
    ".librewolf",
    ".waterfox",
    ".floorp",
    ".zen",
    ".thunderbird",
];

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn manifests(home: &Home) -> Vec<PathBuf> {
    home.tree()
        .into_keys()
        .filter(|path| path.ends_with(NAME))
        .collect()
}

#[test]
fn every_browser_is_served_and_nothing_is_left_behind() {
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
    for (path, entry) in home.tree() {
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
fn each_browser_has_its_place() {
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
fn a_registration_for_all_users_is_open_to_all_and_leaves_nothing_behind() {
    let home = Home::new().with(EVERY_BROWSER);
    let before = home.tree();
    let root = home.folder.path().join("root");
    let everywhere = |args: &[&str]| {
        let output = home
            .command()
            .env("LONGWIRE_ROOT", &root)
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = everywhere(&["install", "--system", "--extension", ID, "--extension", "a@b"]);
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
    everywhere(&["uninstall", "--system"]);
    assert!(!root.exists(), "folders above all manifests go, too");
}

#[test]
fn browsers_in_sandboxes_are_passed_over_unless_they_are_asked_for() {
    let home = Home::new().with(&[
        ".config/google-chrome",
        ".var/app/org.chromium.Chromium",
        ".var/app/org.mozilla.firefox",
        "snap/brave",
    ]);
    let before = home.tree();
    let ids = ["install", "--extension", ID, "--extension", "a@b"];
    let said = home.done(&ids);
    assert!(
        said.contains("inside Flatpak") && said.contains("--sandboxed serves it"),
        "{said}"
    );
    assert!(said.contains("inside Snap"), "{said}");
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
        let said = Command::new(program).arg("--version").output().unwrap();
        assert!(said.status.success());
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

#[test]
fn every_name_can_be_taken_back_at_once() {
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
fn what_the_broker_has_kept_is_named_and_stays() {
    let home = Home::new().with(&[".config/chromium"]);
    home.done(&["install", "--extension", ID]);
    let logs = home.path(".local/state/longwire/logs");
    fs::create_dir(&logs).unwrap();
    let said = home.done(&["uninstall"]);
    assert!(said.contains("note: logs and kept sessions stay in "), "{said}");
    assert!(logs.exists());
}

#[test]
fn browsers_that_are_not_there_are_left_alone_unless_asked_for() {
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
fn a_program_in_the_path_is_a_browser_too() {
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
fn without_any_browser_it_fails_and_says_what_to_do() {
    let home = Home::new();
    let output = home.run(&["install", "--extension", ID]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("error: no browser") && said.contains("hint: "),
        "{said}"
    );
    assert!(home.tree().is_empty());
}

#[test]
fn more_ids_are_added_and_none_is_lost() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    let path = home.path(".config/chromium/NativeMessagingHosts").join(NAME);
    home.done(&["install", "--extension", ID]);
    home.done(&["install", "--extension", OTHER, "--extension", ID]);
    let both = [ID, OTHER].map(|id| Value::from(format!("chrome-extension://{id}/")));
    assert_eq!(json(&path)["allowed_origins"], Value::from(both.to_vec()));
    let settled = home.tree();
    let said = home.done(&["install", "--extension", OTHER]);
    assert!(said.contains("in place already"), "{said}");
    assert_eq!(home.tree(), settled);
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn opera_and_chrome_share_a_folder_and_neither_takes_it_from_the_other() {
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
fn a_failure_undoes_everything() {
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
fn a_failed_update_leaves_the_old_registration() {
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
fn a_dry_run_shows_every_path_and_touches_nothing() {
    let home = Home::new().with(EVERY_BROWSER);
    let before = home.tree();
    let shown = home.done(&["install", "--extension", ID, "--dry-run"]);
    assert_eq!(home.tree(), before);
    home.done(&["install", "--extension", ID]);
    for path in home.tree().keys().filter(|path| !before.contains_key(*path)) {
        assert!(
            shown.contains(path.to_str().unwrap()),
            "not shown: {}",
            path.display()
        );
    }
    let installed = home.tree();
    let shown = home.done(&["uninstall", "--dry-run"]);
    assert_eq!(home.tree(), installed);
    for path in installed.keys().filter(|path| !before.contains_key(*path)) {
        assert!(
            shown.contains(path.to_str().unwrap()),
            "not shown: {}",
            path.display()
        );
    }
}

#[test]
fn json_is_one_document() {
    let home = Home::new().with(&[".config/chromium", ".mozilla"]);
    let text = home.done(&["install", "--extension", ID, "--dry-run", "--json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["action"], "install");
    assert_eq!(document["dryRun"], true);
    assert_eq!(document["manifests"][0]["change"], "create");
    assert_eq!(document["manifests"][0]["browsers"][0], "chromium");
    assert_eq!(document["skipped"][0]["browser"], "firefox");
    let text = home.done(&["uninstall", "--json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["changed"], false);
}

#[test]
fn all_names_are_told_in_one_document() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    let names = ["com.longwire.bridge", "com.semantest.bridge"];
    for name in names {
        home.done(&["install", "--extension", ID, "--name", name]);
    }
    let tell = |args: &[&str]| -> Value {
        let text = home.done(&[&["uninstall", "--all", "--json"], args].concat());
        serde_json::from_str(&text).unwrap()
    };
    let installed = home.tree();
    for (args, is_dry) in [(&["--dry-run"][..], true), (&[], false)] {
        assert_eq!(home.tree(), installed);
        let document = tell(args);
        assert_eq!(document["action"], "uninstall");
        assert_eq!(document["dryRun"], is_dry);
        assert_eq!(document["changed"], true);
        let hosts = document["hosts"].as_array().unwrap();
        assert_eq!(hosts.len(), names.len());
        for (host, name) in hosts.iter().zip(names) {
            assert_eq!(host["name"], name);
            assert_eq!(host["manifests"][0]["change"], "remove");
        }
    }
    assert_eq!(home.tree(), before);
    let document = tell(&[]);
    assert_eq!(document["changed"], false);
    assert_eq!(document["hosts"][0]["name"], names[0]);
}

#[test]
fn odd_characters_in_paths_survive() {
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
        let said = Command::new(program).arg("--version").output().unwrap();
        assert!(String::from_utf8(said.stdout).unwrap().starts_with("longwire "));
    }
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn a_user_data_folder_is_served_by_itself() {
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
fn another_hosts_manifest_comes_back() {
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
    let said = home.done(&[&["install", "--extension", ID, "--extension", "a@b"], &name[..]].concat());
    assert!(said.contains("/opt/old/bridge"), "{said}");
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
fn without_a_receipt_only_longwires_own_are_removed() {
    let home = Home::new().with(&[".config/chromium", ".config/vivaldi/NativeMessagingHosts"]);
    home.done(&["install", "--extension", ID, "--browser", "chromium"]);
    fs::remove_dir_all(home.path(".local")).unwrap();
    let foreign = home.path(".config/vivaldi/NativeMessagingHosts").join(NAME);
    fs::write(&foreign, r#"{"path":"/opt/other/thing"}"#).unwrap();
    let said = home.done(&["uninstall"]);
    assert!(
        said.contains("left alone") && said.contains("/opt/other/thing"),
        "{said}"
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
fn what_has_taken_the_place_of_a_manifest_is_left_or_put_back() {
    let home = Home::new().with(&[".config/chromium"]);
    home.done(&["install", "--extension", ID]);
    let path = home.path(".config/chromium/NativeMessagingHosts").join(NAME);
    fs::write(&path, foreign("/opt/other/bridge")).unwrap();
    let said = home.done(&["install", "--extension", ID]);
    assert!(
        said.contains("/opt/other/bridge; uninstall puts it back"),
        "{said}"
    );
    home.done(&["uninstall"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), foreign("/opt/other/bridge"));

    home.done(&["install", "--extension", ID]);
    fs::write(&path, foreign("/opt/newer/bridge")).unwrap();
    let said = home.done(&["uninstall"]);
    assert!(
        said.contains("left alone") && said.contains("/opt/newer/bridge"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), foreign("/opt/newer/bridge"));
    assert!(!home.path(".local").exists());
}

#[test]
fn a_manifest_that_was_changed_by_hand_is_still_ours() {
    let home = Home::new().with(&[".config/chromium"]);
    let before = home.tree();
    home.done(&["install", "--extension", ID]);
    let path = home.path(".config/chromium/NativeMessagingHosts").join(NAME);
    let copy = home.path(".local/state/longwire/bin/longwire");
    let own = fs::read_to_string(&path).unwrap();
    let by_hand = own.replace(copy.to_str().unwrap(), "/tmp/wrapper.sh");
    assert_ne!(own, by_hand);
    fs::write(&path, &by_hand).unwrap();
    let said = home.done(&["install", "--extension", ID]);
    assert!(!said.contains("note:"), "{said}");
    fs::write(&path, &by_hand).unwrap();
    home.done(&["uninstall"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn a_browser_that_has_gone_keeps_nothing_from_being_taken_back() {
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
fn a_registration_of_ones_own_loses_nobody_who_is_registered_for_all() {
    let home = Home::new().with(&[".config/chromium"]);
    let root = home.folder.path().join("root");
    let run = |args: &[&str]| {
        let output = home
            .command()
            .env("LONGWIRE_ROOT", &root)
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
    };
    run(&["install", "--extension", OTHER, "--system"]);
    run(&["install", "--extension", ID]);
    // Chromium reads this one, and never the one for all.
    let own = json(&home.path(".config/chromium/NativeMessagingHosts").join(NAME));
    let origins = [ID, OTHER].map(|id| Value::from(format!("chrome-extension://{id}/")));
    assert_eq!(own["allowed_origins"].as_array().unwrap(), &origins);
    let all = json(&root.join("etc/chromium/native-messaging-hosts").join(NAME));
    assert_eq!(all["allowed_origins"].as_array().unwrap(), &origins[1..]);
}

#[test]
fn doctor_looks_at_the_receipt_of_all_users_too() {
    let home = Home::new();
    let root = home.folder.path().join("root");
    let receipt = root.join("opt/longwire/installed.json");
    fs::create_dir_all(receipt.parent().unwrap()).unwrap();
    fs::write(&receipt, "{").unwrap();
    let mut command = home.command();
    let output = command
        .env("LONGWIRE_ROOT", &root)
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
fn what_stays_is_told() {
    let home = Home::new().with(&[".mozilla", ".zen"]);
    home.done(&["install", "--extension", "a@b"]);
    let said = home.done(&["uninstall", "--browser", "firefox"]);
    assert!(said.contains("stays: it is for zen, too"), "{said}");
    let said = home.done(&["uninstall", "--browser", "zen"]);
    assert!(!said.contains("stays"), "{said}");
    assert!(!home.path(".mozilla/native-messaging-hosts").exists());
}

#[test]
fn own_files_follow_their_variable_and_manifests_do_not() {
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

#[test]
fn wrong_arguments_are_told_apart() {
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
fn several_ids_can_stand_behind_one_flag() {
    let home = Home::new().with(&[".config/chromium"]);
    home.done(&["install", "--extension", ID, OTHER, "--browser", "chromium"]);
    let manifest = json(&home.path(".config/chromium/NativeMessagingHosts").join(NAME));
    assert_eq!(manifest["allowed_origins"].as_array().unwrap().len(), 2);
}

#[test]
fn root_registers_nothing_in_somebody_elses_home() {
    let home = Home::new().with(&[".config/chromium"]);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    // As any other user, root's home is somebody else's.
    let folder = if is_root {
        std::os::unix::fs::chown(home.path(""), Some(12345), None).unwrap();
        home.path("")
    } else {
        PathBuf::from("/usr")
    };
    let mut command = home.command();
    command.env("HOME", &folder).env("SUDO_USER", "ann");
    command.args(["install", "--extension", ID, "--browser", "chromium", "--dry-run"]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("leave out sudo"), "{said}");
}

#[test]
fn several_installs_at_once_lose_no_id() {
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
fn installing_and_uninstalling_at_once_ends_with_all_or_nothing() {
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
            let said = Command::new(program).arg("--version").output().unwrap();
            assert!(said.status.success());
        }
        home.done(&["uninstall"]);
        assert_eq!(home.tree(), before);
    }
}
