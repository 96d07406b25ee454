//! `install`, `uninstall` and `doctor`: registry keys of both kinds and views, files, and messages for Windows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Machine, finish, on_windows};

const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";
const ADD_ON: &str = "hello@longwire.example";
const BROWSERS: &[&str] = &["--browser", "chrome", "--browser", "edge", "--browser", "firefox"];

/// Everything below a key, as `reg` prints it: blocks of a key and its values. Without what wine notes there for itself.
fn registry(machine: &Machine, key: &str, view: &str) -> String {
    let mut query = machine.run(Path::new("reg"));
    let output = finish(query.args(["query", key, "/s", view]));
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let mut is_wines = false;
    text.lines()
        .filter(|line| {
            if line.starts_with("HKEY_") {
                is_wines = line.contains(r"\Software\Wine");
            }
            !is_wines
        })
        .fold(String::new(), |kept, line| kept + line + "\n")
}

fn keys(machine: &Machine) -> Vec<String> {
    [
        (r"HKCU\Software", "/reg:64"),
        (r"HKLM\Software\Google", "/reg:64"),
        (r"HKLM\Software\Google", "/reg:32"),
        (r"HKLM\Software\Mozilla", "/reg:64"),
        (r"HKLM\Software\Mozilla", "/reg:32"),
    ]
    .map(|(key, view)| registry(machine, key, view))
    .to_vec()
}

/// Every path below a folder with its size.
fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = path.symlink_metadata().unwrap();
            if about.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, if about.is_dir() { 0 } else { about.len() });
        }
    }
    found
}

/// Keys that stand for browsers which have been on this machine.
fn prepared() -> Machine {
    let machine = Machine::new();
    for key in [r"HKLM\Software\Google", r"HKLM\Software\Mozilla"] {
        for view in ["/reg:64", "/reg:32"] {
            let mut add = machine.run(Path::new("reg"));
            let done = finish(add.args(["add", key, "/f", view]));
            assert!(done.status.success(), "{done:?}");
        }
    }
    machine
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn install_writes_keys_and_manifests_and_uninstall_removes_them() {
    let machine = prepared();
    for scope in [&[][..], &["--system"]] {
        let (before, tree) = (keys(&machine), files(&machine.home));
        let extensions = ["--extension", ID, "--extension", ADD_ON];
        let plan = machine.json(
            &[
                &["install", "--dry-run", "--json"],
                &extensions[..],
                BROWSERS,
                scope,
            ]
            .concat(),
        );
        assert_eq!(keys(&machine), before, "a dry run writes nothing");
        machine.prints(&[&["install"], &extensions[..], BROWSERS, scope].concat());
        let after = keys(&machine);
        let written = after.concat();
        for vendor in [r"Google\Chrome", "Mozilla"] {
            let key = format!(r"{vendor}\NativeMessagingHosts\com.longwire.bridge");
            // In both views for all users.
            let count = if scope.is_empty() { 1 } else { 2 };
            assert_eq!(written.matches(&key).count(), count, "{key} in {written}");
        }
        for manifest in plan["manifests"].as_array().unwrap() {
            let path = manifest["path"].as_str().unwrap();
            assert!(path.starts_with(&on_windows(machine.folder.path())), "{path}");
            assert!(written.contains(path), "no key leads to {path}: {written}");
            let here = PathBuf::from(path.trim_start_matches("Z:").replace('\\', "/"));
            let text = std::fs::read_to_string(&here).unwrap();
            let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
            let program = manifest["path"].as_str().unwrap();
            assert!(program.ends_with("longwire.exe"), "{program}");
            assert!(Path::new(&program.trim_start_matches("Z:").replace('\\', "/")).exists());
        }
        machine.prints(&[&["uninstall", "--all"], scope].concat());
        assert_eq!(keys(&machine), before, "the registry is as it was");
        assert_eq!(files(&machine.home), tree, "the files are as they were");
    }
}

/// A profile of Chrome and one of Firefox, below the folders of wine's user.
fn with_browsers(machine: &Machine) {
    let user = machine.prints_of("cmd", &["/c", "echo %LOCALAPPDATA%;%APPDATA%"]);
    let (local, roaming) = user.trim().split_once(';').unwrap();
    let prefix = PathBuf::from(std::env::var_os("WINEPREFIX").unwrap());
    for folder in [
        format!(r"{local}\Google\Chrome\User Data"),
        format!(r"{roaming}\Mozilla\Firefox"),
    ] {
        let below = folder.trim_start_matches(r"C:\").replace('\\', "/");
        std::fs::create_dir_all(prefix.join("drive_c").join(below)).unwrap();
    }
}

#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn doctor_gives_advice_for_windows() {
    let machine = prepared();
    with_browsers(&machine);
    let before = machine.output(&["doctor"]);
    let printed = String::from_utf8_lossy(&before.stdout).into_owned();
    assert!(printed.contains("longwire install --extension"), "{printed}");

    machine.prints(&["install", "--extension", ID, "--extension", ADD_ON]);
    // The programs that are registered are started as the browsers would.
    let report = machine.json(&["doctor", "--json"]);
    let findings = report["findings"].as_array().unwrap();
    for id in [
        "manifest.chrome",
        "program.chrome",
        "launch.chromium",
        "manifest.firefox",
        "launch.firefox",
        "broker",
    ] {
        let finding = findings.iter().find(|finding| finding["id"] == id).unwrap();
        assert_eq!(finding["verdict"], "pass", "{finding}");
    }
    let mut words = machine.prints(&["doctor", "--verbose"]);
    assert!(words.contains("longwire.exe"), "{words}");

    // Fixes use Windows commands.
    let manifest = machine
        .home
        .join("state/manifests/chromium/com.longwire.bridge.json");
    std::fs::write(&manifest, "{").unwrap();
    let broken = machine.output(&["doctor"]);
    assert!(!broken.status.success(), "{broken:?}");
    words += &String::from_utf8_lossy(&broken.stdout);
    for word in ["/dev/null", "sudo", "chmod", "chown", "systemctl", " rm "] {
        assert!(!words.contains(word), "`{word}` is no word of Windows: {words}");
    }
    machine.prints(&["uninstall", "--all"]);
}

/// Browsers read the manifest's path from the registry and the program's from the manifest: both have characters that the
/// system's old character sets do not.
#[test]
#[ignore = "needs a build for Windows: scripts/cross"]
fn hosts_are_found_and_started_in_folders_of_any_name() {
    for name in ["with blanks", "größe-数据-ж", "a&b (c)^%TEMP%"] {
        let machine = Machine::within(&format!("{name}/home"));
        with_browsers(&machine);
        machine.prints(&[&["install", "--extension", ID, "--extension", ADD_ON], BROWSERS].concat());
        let report = machine.json(&["doctor", "--json"]);
        let findings = report["findings"].as_array().unwrap();
        for id in [
            "manifest.chrome",
            "launch.chromium",
            "manifest.firefox",
            "launch.firefox",
        ] {
            let finding = findings.iter().find(|finding| finding["id"] == id).unwrap();
            assert_eq!(finding["verdict"], "pass", "{name}: {finding}");
        }
        machine.prints(&["uninstall", "--all"]);
    }
}
