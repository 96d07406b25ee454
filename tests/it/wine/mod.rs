//! `longwire.exe` under wine: what a browser on Windows sees of host and broker. `scripts/cross` builds the program and runs
//! these tests; they need `LONGWIRE_WINE_PROGRAM`, and a `WINEPREFIX` that is theirs alone.
//!
//! Wine enforces no descriptors of pipes and shows no consoles: nothing here is about those. See docs/PLATFORMS.md.

mod host;
mod job;
mod lives;
mod packed;
mod registered;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::{ORIGIN, SOON, eventually};

/// A scratch home below drive Z, which is this machine's root.
struct Machine {
    folder: tempfile::TempDir,
    home: PathBuf,
    program: PathBuf,
}

impl Machine {
    fn new() -> Self {
        Self::within("home")
    }

    /// With a home of this name, or relative path.
    fn within(name: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("longwire-wine-")
            .tempdir()
            .unwrap();
        let home = folder.path().join(name);
        std::fs::create_dir_all(&home).unwrap();
        let program =
            PathBuf::from(std::env::var_os("LONGWIRE_WINE_PROGRAM").expect("LONGWIRE_WINE_PROGRAM"));
        Self {
            folder,
            home,
            program,
        }
    }

    /// Any program of Windows in this home's environment.
    fn run(&self, program: &Path) -> Command {
        let mut command = Command::new(wine());
        command.arg(program).env_clear().envs(
            ["HOME", "WINEPREFIX", "WINEDEBUG", "WINEDLLOVERRIDES", "PATH"]
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        command
            .env("LC_ALL", "C.UTF-8")
            .env("LONGWIRE_HOME", on_windows(&self.home))
            .current_dir(self.folder.path());
        command
    }

    fn command(&self) -> Command {
        self.run(&self.program)
    }

    /// A host as Chromium starts it on Windows.
    fn host(&self) -> HostProcess {
        let mut command = self.command();
        command.args([ORIGIN, "--parent-window=0"]);
        HostProcess::spawn(command)
    }

    /// Runs a command of the program to its end.
    fn output(&self, arguments: &[&str]) -> Output {
        self.command()
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What a command of the program prints; it must succeed.
    fn prints(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.prints(arguments)).unwrap()
    }

    /// The number that Windows gave to the broker's process.
    fn broker(&self) -> u64 {
        self.json(&["status", "--json"])["pid"].as_u64().unwrap()
    }

    /// Ends a process of Windows as the task manager does.
    fn kill(&self, process: u64) {
        let mut command = self.run(Path::new("taskkill"));
        let output = command
            .args(["/f", "/pid", &process.to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        eventually(SOON, "the process has ended", || {
            (!self.lives(process)).then_some(())
        });
    }

    fn lives(&self, process: u64) -> bool {
        let output = self.run(Path::new("tasklist")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        listed.lines().any(|line| {
            let mut words = line.split(|letter: char| !letter.is_ascii_digit());
            words.any(|word| word == process.to_string())
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.output(&["stop"]);
    }
}

fn wine() -> PathBuf {
    std::env::var_os("WINE").map_or_else(|| PathBuf::from("/usr/lib/wine/wine64"), PathBuf::from)
}

/// A path of this machine as Windows writes it.
fn on_windows(path: &Path) -> String {
    format!("Z:{}", path.to_str().unwrap().replace('/', "\\"))
}

fn open(host: &mut HostProcess, session: &str, server: &Echo, options: Value) -> Value {
    host.send(&json!({
        "type": "open", "id": session, "session": session, "url": server.url(), "options": options,
    }));
    host.find("opened", |frame| {
        frame["type"] == "opened" && frame["session"] == session
    })
}

fn send(host: &mut HostProcess, session: &str, text: &str) {
    host.send(&json!({"type": "send", "session": session, "id": "m", "text": text}));
}

fn message(host: &mut HostProcess) -> Value {
    host.expect("message")
}
