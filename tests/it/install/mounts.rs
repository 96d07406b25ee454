//! Homes on file systems that forbid programs or writing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{Home, ID};

/// A file system of its own in a folder, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// `None`: this process may not mount anything.
    fn new(folder: PathBuf) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "mode=700", "tmpfs"])
            .arg(&folder);
        let may = mount.output().is_ok_and(|output| output.status.success());
        may.then(|| Self(folder))
    }

    fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]).arg(&self.0);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_noexec_folder_is_reported_as_such() {
    if !crate::skip::is_root("mounting a file system takes root") {
        return;
    }
    let home = Home::new().with(&[".config/chromium"]);
    let Some(mounted) = Mounted::new(home.path(".local/state")) else {
        return crate::skip::skip("this system allows no mounts, not even by root");
    };
    home.done(&["install", "--extension", ID]);
    mounted.remount("noexec");
    let printed = home.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let program = findings
        .iter()
        .find(|one| one["id"] == "program.chromium")
        .unwrap();
    assert_eq!(program["verdict"], "fail", "{program}");
    assert!(
        program["detail"].as_str().unwrap().contains("`noexec`"),
        "{program}"
    );
    assert!(!program["fix"].as_str().unwrap().contains("chmod"), "{program}");

    home.done(&["uninstall"]);
    let before = home.tree();
    let refused = home.run(&["install", "--extension", ID]);
    let words = String::from_utf8_lossy(&refused.stderr).replace('\n', " ");
    assert_eq!(refused.status.code(), Some(1), "{words}");
    assert!(
        words.contains("noexec") && words.contains("nothing was changed"),
        "{words}"
    );
    assert_eq!(home.tree(), before);
}

#[test]
fn a_read_only_home_is_reported_as_such() {
    if !crate::skip::is_root("mounting a file system takes root") {
        return;
    }
    // Once for Longwire's own folders, and once for the browser's.
    for folder in [".local/state", ".config/chromium"] {
        let home = Home::new().with(&[".config/chromium"]);
        let Some(mounted) = Mounted::new(home.path(folder)) else {
            return crate::skip::skip("this system allows no mounts, not even by root");
        };
        mounted.remount("ro");
        let before = home.tree();
        let refused = home.run(&["install", "--extension", ID, "--browser", "chromium"]);
        let words = String::from_utf8_lossy(&refused.stderr)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(refused.status.code(), Some(1), "{words}");
        for part in ["Read-only file system", "findmnt", "nothing was changed"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(!words.contains("noexec") && !words.contains("chmod"), "{words}");
        assert_eq!(home.tree(), before, "{folder}");
        if folder == ".local/state" {
            let printed = home.run(&["doctor", "--json"]);
            let report: Value = serde_json::from_slice(&printed.stdout).unwrap();
            let findings = report["findings"].as_array().unwrap();
            let state = findings.iter().find(|one| one["id"] == "state").unwrap();
            assert!(
                state["detail"].as_str().unwrap().contains("mounted read-only"),
                "{state}"
            );
            assert!(!state["fix"].as_str().unwrap().contains("chmod"), "{state}");
        }
    }
}
