//! A network namespace that a test sets up with a script, and commands inside of it.
//!
//! It needs user namespaces, `ip` and Node; where the machine does not allow that, tests are skipped with that reason.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::SOON;

/// A namespace; removed when dropped.
pub(super) struct Namespace(Child);

impl Namespace {
    /// `script` gets the folder, and writes `ready` there when everything is set up; then it waits to be ended. `unshare`: the
    /// kinds of namespaces, as `unshare` names them. `None` where the machine does not allow it.
    pub(super) fn new(unshare: &str, script: &str, folder: &Path) -> Option<Self> {
        let mut child = Command::new("unshare")
            .args([unshare, "sh", "-c", script, "sh"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let until = Instant::now() + SOON;
        while !folder.join("ready").exists() {
            if child.try_wait().unwrap().is_some() || Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self(child))
    }

    /// A command inside.
    pub(super) fn enter(&self) -> Command {
        enter(self.0.id())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command in the namespaces of that process.
pub(super) fn enter(process: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args([
        "--preserve-credentials",
        "-U",
        "-n",
        "-m",
        "-t",
        &process.to_string(),
    ]);
    command
}

/// The WebSocket server of `tests/fixtures/servers` in a namespace, until it is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
}

impl Server {
    /// `command` enters the namespace; `host` is where it listens. `None` where npm's `ws` does not run there.
    pub(super) fn start(mut command: Command, host: &str) -> Option<Self> {
        let servers = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/servers");
        // `nsenter` goes to the folder of the process that it joins, not to ours.
        command.arg(format!("--wd={servers}"));
        command.args(["node", "ws.mjs", &serde_json::json!({"host": host}).to_string()]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        let Ok(port) = line.trim().parse() else {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        };
        Some(Self { child, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
