//! A temporary Longwire home for one test; its brokers are killed by their ids when it is dropped.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use longwire::paths::{short_folder, short_name};
use tempfile::TempDir;

use super::{SOON, eventually, is_alive, kill, program};

/// A scratch `LONGWIRE_HOME`.
pub(crate) struct Scratch {
    folder: TempDir,
    home: PathBuf,
    variables: Vec<(String, String)>,
}

impl Scratch {
    /// An empty home.
    pub(crate) fn new() -> Self {
        Self::within("home")
    }

    /// A home of this name, or relative path, in an empty folder.
    pub(crate) fn within(name: &str) -> Self {
        Self::of(scratch_folder(&std::env::temp_dir()), name)
    }

    /// An empty home with a path that is short wherever temporary files lie.
    pub(crate) fn short() -> Self {
        Self::of(scratch_folder(Path::new("/tmp")), "home")
    }

    fn of(folder: TempDir, name: &str) -> Self {
        let home = folder.path().join(name);
        fs::create_dir_all(&home).unwrap();
        Self {
            folder,
            home,
            variables: Vec::new(),
        }
    }

    /// Sets a variable for every process of this home.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The folder that `LONGWIRE_HOME` names.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Writes the user's settings file, and returns its path. No umask makes it writable by others.
    pub(crate) fn settings(&self, text: &str) -> PathBuf {
        let file = self.home.join("config/settings.toml");
        write_settings(&file, text);
        file
    }

    /// The parent folder, removed with the test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The broker's socket: in the home, or where the program puts it when that path is too long for the system.
    pub(crate) fn socket(&self) -> PathBuf {
        let run = self.home.join("run");
        let usual = run.join("broker.sock");
        if usual.as_os_str().len() < 104 {
            return usual;
        }
        let name = short_name(run.as_os_str().as_encoded_bytes());
        short_folder().join(name).join("broker.sock")
    }

    /// The program in this home with the little environment that a browser surely gives.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(program());
        self.apply_environment(&mut command);
        command
    }

    /// Sets this home's environment for any command.
    pub(crate) fn apply_environment(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .env("LONGWIRE_HOME", &self.home)
            // A broker is found by its environment, which only root can read otherwise.
            .env("LONGWIRE_DEBUGGABLE", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(program().parent().unwrap());
    }

    /// The processes of this home's brokers: those that were started detached and still run.
    pub(crate) fn brokers(&self) -> Vec<u32> {
        self.brokers_of(self.folder.path())
    }

    /// The same, where another folder stands for the user's home.
    pub(crate) fn brokers_of(&self, folder: &Path) -> Vec<u32> {
        let marks = [self.home.as_os_str(), folder.as_os_str()];
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
            let (line, environment) = (read("cmdline"), read("environ"));
            let is_broker = line.ends_with(b"\0broker\0--detached\0");
            if is_broker && marks.iter().any(|mark| holds(&environment, mark)) && is_alive(process) {
                found.push(process);
            }
        }
        found
    }

    /// The one broker of this home.
    pub(crate) fn broker(&self) -> u32 {
        let brokers = self.brokers();
        assert_eq!(brokers.len(), 1, "one broker is expected: {brokers:?}");
        brokers[0]
    }

    /// Ends the one broker of this home as `kill -9` does, and waits until it is dead.
    pub(crate) fn kill_broker(&self) {
        let broker = self.broker();
        kill(i32::try_from(broker).unwrap());
        eventually(SOON, "it exits", || (!is_alive(broker)).then_some(()));
    }

    /// Waits until no broker runs here. One that is killed is not seen any more before its socket is closed: for that there
    /// is `kill_broker`.
    pub(crate) fn wait_for_no_broker(&self) {
        eventually(SOON, "no broker runs", || self.brokers().is_empty().then_some(()));
    }

    /// The files in the folder of logs, by name: the order of a folder means nothing.
    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.home.join("logs")).into_iter().flatten();
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        files
    }

    /// What brokers and hosts have logged here.
    pub(crate) fn log(&self) -> String {
        let read = |file| fs::read_to_string(file).ok();
        self.logs().into_iter().filter_map(read).collect()
    }
}

fn scratch_folder(parent: &Path) -> TempDir {
    let mut folder = tempfile::Builder::new();
    folder.prefix("longwire-it-").tempdir_in(parent).unwrap()
}

/// Writes a settings file, and its folder, that only this user can read.
pub(crate) fn write_settings(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

fn holds(environment: &[u8], mark: &OsStr) -> bool {
    environment
        .split(|byte| *byte == 0)
        .filter_map(|variable| variable.splitn(2, |byte| *byte == b'=').nth(1))
        .any(|value| value == mark.as_encoded_bytes())
}

impl Drop for Scratch {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the broker did")]
    fn drop(&mut self) {
        for broker in self.brokers() {
            kill(i32::try_from(broker).unwrap());
        }
        let socket = self.socket();
        if !socket.starts_with(&self.home) {
            let _ = fs::remove_file(&socket);
            let _ = fs::remove_dir(socket.parent().unwrap());
        }
        if std::thread::panicking() {
            eprintln!("what the broker logged:\n{}", self.log());
        }
    }
}
