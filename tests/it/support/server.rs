//! A server on Node, or in Go, in a process of its own, controlled by lines on its stdin.
//!
//! Where Node, Go or their packages cannot be had, tests are skipped on a developer's machine and fail under CI.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use super::SOON;
use crate::skip::skip;

/// The process. It ends with this value.
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
    /// Told while an answer to a command was awaited.
    passed: VecDeque<Value>,
}

impl Server {
    /// Starts a script of `tests/fixtures/servers` that may need npm packages; `None`: the test is to be skipped.
    pub(crate) fn start(script: &str, options: &str) -> Option<Self> {
        Self::start_with(script, options, &[])
    }

    /// The server of an example, on any port; `None`: the test is to be skipped.
    pub(crate) fn example(name: &str, variables: &[(&str, &str)]) -> Option<Self> {
        Self::start_with(&format!("../../../examples/{name}/server.cjs"), "0", variables)
    }

    fn start_with(script: &str, options: &str, variables: &[(&str, &str)]) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/servers");
        if !installed(&folder) {
            return None;
        }
        let mut command = Command::new("node");
        command
            .args([script, options])
            .current_dir(&folder)
            .env("NODE_PATH", folder.join("node_modules"))
            .envs(variables.iter().copied());
        Some(Self::spawn(command))
    }

    /// The server of an example that is written in Go with Debian's packages; `None`: the test is to be skipped.
    pub(crate) fn go(name: &str, variables: &[(&str, &str)]) -> Option<Self> {
        let mut command = Command::new(built(name)?);
        command.arg("0").envs(variables.iter().copied());
        Some(Self::spawn(command))
    }

    /// A program that prints its port on the first line of stdout.
    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .env("END_WITH_STDIN", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        // However long a busy machine takes to start it: a server that fails ends, and that is received too.
        let port = lines.recv().expect("the server prints its port");
        Self {
            port: u16::try_from(port.as_u64().expect("a port")).unwrap(),
            stdin: child.stdin.take().unwrap(),
            child,
            lines,
            passed: VecDeque::new(),
        }
    }

    /// Gives a command and waits until it is done.
    pub(crate) fn command(&mut self, command: Value) {
        writeln!(self.stdin, "{command}").unwrap();
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) if line["done"] == true => return,
                Ok(line) => self.passed.push_back(line),
                Err(error) => panic!("no answer to {command}: {error}"),
            }
        }
    }

    /// The next thing the server reports that satisfies `wanted`; others before it are let go.
    pub(crate) fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        while let Some(line) = self.passed.pop_front() {
            if wanted(&line) {
                return line;
            }
        }
        let mut others = Vec::new();
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => others.push(line),
                Err(error) => panic!("`{what}` was not reported ({error}); but {others:?}"),
            }
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn ws(&self, path: &str) -> String {
        format!("ws://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the Go server of an example, without a network; `None` where Go or gorilla/websocket is not installed.
fn built(name: &str) -> Option<PathBuf> {
    const PACKAGES: &str = "/usr/share/gocode";
    if Command::new("go").arg("version").output().is_err()
        || !Path::new(PACKAGES)
            .join("src/github.com/gorilla/websocket")
            .is_dir()
    {
        skip("it needs the Debian packages golang-go and golang-github-gorilla-websocket-dev");
        return None;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let lock = std::fs::File::create(target.join("go.lock")).unwrap();
    lock.lock().unwrap();
    let program = target.join(format!("go-{name}"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}/server.go"));
    let output = Command::new("go")
        .args(["build", "-o"])
        .args([&program, &source])
        .env("GO111MODULE", "off")
        .env("GOPATH", PACKAGES)
        .env("GOCACHE", target.join("go-cache"))
        .env("CGO_ENABLED", "0")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} cannot be built: {text}",
        source.display()
    );
    Some(program)
}

fn installed(folder: &Path) -> bool {
    let lock = std::fs::File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("install.lock")).unwrap();
    lock.lock().unwrap();
    if folder.join("node_modules/socket.io-2/package.json").exists() {
        return true;
    }
    if crate::skip::may_not_install() {
        skip("the servers' packages are missing, and nothing may be installed");
        return false;
    }
    let status = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .status();
    let why = match status {
        Ok(status) if status.success() => return true,
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    skip(&format!("the servers' packages cannot be installed: {why}"));
    false
}
