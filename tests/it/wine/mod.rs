//! `longwire.exe` under wine: what a browser on Windows sees of host and broker. `scripts/cross` builds the program and runs
//! these tests; they need `LONGWIRE_WINE_PROGRAM`, and a `WINEPREFIX` that is theirs alone.
//!
//! Wine enforces no descriptors of pipes and shows no consoles: nothing here is about those. See docs/PLATFORMS.md.

mod commands;
mod host;
mod job;
mod lifetimes;
mod packed;
mod pipe;
mod registered;

use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

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

    /// Any program of Windows in this home's environment; wine's own by their names.
    fn run(&self, program: &Path) -> Command {
        let mut command = Command::new(wine());
        let is_wines = program.components().count() == 1;
        if is_wines {
            let system = r"C:\windows\system32";
            command.arg(format!(r"{system}\{}.exe", program.display()));
        } else {
            command.arg(program);
        }
        command.env_clear().envs(
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
        finish(self.command().args(arguments))
    }

    /// What a command of the program prints; it must succeed.
    fn prints(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What another program of Windows prints.
    fn prints_of(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = self.run(Path::new(program));
        let output = finish(command.args(arguments));
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
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
        let output = finish(command.args(["/f", "/pid", &process.to_string()]));
        assert!(output.status.success(), "{output:?}");
        eventually(SOON, "the process has ended", || {
            (!self.lives(process)).then_some(())
        });
    }

    /// Wine's `tasklist` prints nothing; its `wmic` lists the processes, in UTF-16.
    fn lives(&self, process: u64) -> bool {
        let mut command = self.run(Path::new(r"wbem\wmic"));
        let output = finish(command.args(["process", "get", "processid"]));
        assert!(output.status.success(), "{output:?}");
        let listed: String = output
            .stdout
            .iter()
            .filter(|byte| byte.is_ascii() && **byte != 0)
            .map(|byte| char::from(*byte))
            .collect();
        let lives = listed.split_whitespace().any(|word| word == process.to_string());
        assert!(listed.contains("ProcessID"), "{listed}");
        lives
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Of a test that has failed.
        if self.home.join("state/installed.json").exists() {
            let _ = self.output(&["uninstall", "--all"]);
        }
        let _ = self.output(&["stop"]);
    }
}

/// Runs a command to its end, without input.
fn finish(command: &mut Command) -> Output {
    finish_with(command, b"")
}

/// Runs a command to its end. What it prints goes into files: wine's desktop, which any program may start, would keep pipes.
fn finish_with(command: &mut Command, input: &[u8]) -> Output {
    let mut files = [(); 2].map(|()| tempfile::tempfile().unwrap());
    let [stdout, stderr] = files.each_ref().map(|file| file.try_clone().unwrap());
    let mut stdin = tempfile::tempfile().unwrap();
    stdin.write_all(input).unwrap();
    stdin.rewind().unwrap();
    let status = command
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .status()
        .unwrap();
    let [stdout, stderr] = files.each_mut().map(|file| {
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    });
    Output {
        status,
        stdout,
        stderr,
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

/// Sends a message under an id of its own.
fn send(host: &mut HostProcess, session: &str, text: &str) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    host.send(&json!({"type": "send", "session": session, "id": id, "text": text}));
}

fn message(host: &mut HostProcess) -> Value {
    host.expect("message")
}
