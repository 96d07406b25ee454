//! `longwire install` and `uninstall` through the real program, in pretended homes.

#![cfg(target_os = "linux")]

mod apps;
mod ids;
mod locations;
mod messages;
mod mounts;
mod root;
mod uninstall;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
        let mut command = Command::new(crate::support::program());
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

    /// What stands for the system's root.
    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Runs, with a root of its own, what must succeed; returns what it printed.
    fn for_all(&self, args: &[&str]) -> String {
        let output = self
            .command()
            .env("LONGWIRE_ROOT", self.root())
            .args(args)
            .output()
            .unwrap();
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
