//! `longwire doctor` through the real program: every finding provoked for real, and its fix tried where it is a command.

#![cfg(target_os = "linux")]

mod dialling;
mod registered;
mod running;
mod sessions;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::scratch::Scratch;
use crate::support::{program, write_program};

const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";
const OTHER: &str = "abcdefghijklmnopabcdefghijklmnop";
/// What people read of it.
const PAGE: &str = include_str!("../../../docs/DOCTOR.md");
const NAME: &str = "com.longwire.bridge";

/// A machine with one Chromium and nothing else, in which tests create problems.
struct DoctorHome(Scratch);

impl DoctorHome {
    fn new() -> Self {
        let scratch = Scratch::new();
        let root = scratch.folder().to_path_buf();
        let variable = |path: &str| root.join(path).to_str().unwrap().to_owned();
        let machine = Self(
            scratch
                .with("PATH", variable("bin"))
                .with("LONGWIRE_ROOT", variable("root"))
                .with("LONGWIRE_IDLE_SECONDS", "5"),
        );
        fs::create_dir_all(machine.path(".config/chromium")).unwrap();
        machine
    }

    /// The same, with the host registered.
    fn installed() -> Self {
        let machine = Self::new();
        let output = machine.run(&["install", "--extension", ID]);
        assert!(output.status.success(), "{output:?}");
        machine
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.folder().join(inside)
    }

    fn manifest(&self) -> PathBuf {
        self.path(".config/chromium/NativeMessagingHosts/com.longwire.bridge.json")
    }

    /// The copy of the program that browsers start.
    fn copy(&self) -> PathBuf {
        self.0.home().join("state/bin/longwire")
    }

    fn run(&self, args: &[&str]) -> Output {
        self.0.command().args(args).output().unwrap()
    }

    /// The output of `doctor --json`; the exit code must agree.
    fn doctor(&self, args: &[&str]) -> Value {
        let output = self.run(&[&["doctor", "--json"], args].concat());
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("one JSON document: {error}: {output:?}"));
        let code = if document["verdict"] == "fail" { 1 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{document:#}");
        for finding in document["findings"].as_array().unwrap() {
            let id = finding["id"].as_str().unwrap();
            let kind = id.split('.').next().unwrap();
            let written = [
                format!("| `{id}` |"),
                format!("| `{kind}` |"),
                format!("| `{kind}.<browser>` |"),
                format!("| `{kind}.<session>` |"),
            ];
            assert!(
                written.iter().any(|row| PAGE.contains(row)),
                "`{id}` has no row in docs/DOCTOR.md"
            );
        }
        document
    }

    fn finding(&self, id: &str, args: &[&str]) -> Value {
        let document = self.doctor(args);
        let findings = document["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["id"] == id);
        found
            .unwrap_or_else(|| panic!("no `{id}` in {document:#}"))
            .clone()
    }

    /// The finding must be reported, with this verdict and text.
    fn expect(&self, id: &str, verdict: &str, words: &str, args: &[&str]) -> Value {
        let found = self.finding(id, args);
        assert_eq!(found["verdict"], verdict, "{found:#}");
        assert!(found["detail"].as_str().unwrap().contains(words), "{found:#}");
        found
    }

    /// Expects the finding, runs its fix, and expects it to pass.
    fn expect_fixed(&self, id: &str, verdict: &str, words: &str, args: &[&str]) {
        let found = self.expect(id, verdict, words, args);
        self.paste(
            found["fix"]
                .as_str()
                .unwrap_or_else(|| panic!("no fix: {found:#}")),
        );
        let found = self.finding(id, args);
        assert_eq!(found["verdict"], "pass", "after its fix: {found:#}");
    }

    /// What a person would do with a fix.
    fn paste(&self, fix: &str) {
        let tools = self.path("tools");
        fs::create_dir_all(&tools).unwrap();
        let _ = symlink(program(), tools.join("longwire"));
        let mut shell = Command::new("/bin/sh");
        self.0.apply_environment(&mut shell);
        let output = shell
            .env("PATH", format!("{}:/usr/bin:/bin", tools.display()))
            .arg("-c")
            // Nothing here belongs to anybody else.
            .arg(fix.replace("sudo ", ""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{fix}: {output:?}");
    }

    /// A program of the test's own in the place of the one that browsers start.
    fn replace_program(&self, script: &str) {
        write_program(&self.copy(), script.as_bytes());
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A server for one connection: answers with these bytes and closes.
fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/live?token=secret", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer);
    });
    url
}

#[test]
fn no_problems_is_one_line_and_no_process_remains() {
    let machine = DoctorHome::installed();
    let output = machine.run(&["doctor"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.starts_with("No problems found: ") && text.lines().count() == 1,
        "{text}"
    );
    machine.0.wait_for_no_broker();
    let document = machine.doctor(&[]);
    assert_eq!(document["verdict"], "pass");
    for finding in document["findings"].as_array().unwrap() {
        assert!(
            ["pass", "skip"].contains(&finding["verdict"].as_str().unwrap()),
            "{finding:#}"
        );
        assert!(finding["title"].is_string() && finding["detail"].is_string());
    }
}

#[test]
fn the_report_redacts_private_data() {
    let machine = DoctorHome::installed();
    let url = answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let output = machine.run(&["doctor", "--report", "--url", &url]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "### Findings",
        "### Status",
        "### End of the log",
        "url.upgrade",
        "broker started",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    for private in [machine.0.folder().to_str().unwrap(), "secret", "/live"] {
        assert!(!text.contains(private), "{private} in {text}");
    }
}

/// Is there a call in these tests that waits for this finding not to pass?
fn is_provoked(tests: &str, id: &str) -> bool {
    let kind = id.split(".<").next().unwrap_or(id);
    tests.match_indices(&format!("\"{kind}")).any(|(at, found)| {
        let Some((rest, after)) = tests[at + found.len()..].split_once('"') else {
            return false;
        };
        let is_it = rest.is_empty() || (rest.starts_with('.') && id.contains('<'));
        let after = after.trim_start_matches([',', ' ', '\n']);
        is_it && (after.starts_with("\"fail\"") || after.starts_with("\"warn\""))
    })
}

#[test]
fn every_finding_is_documented_and_tested() {
    let code = include_str!("../../../src/cli/doctor/finding.rs");
    let (_, table) = code.split_once("const IDS").unwrap();
    let (table, _) = table.split_once("];").unwrap();
    let (_, table) = table.split_once("= &[").unwrap();
    let mut known: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
    let (_, page) = PAGE.split_once("## Findings").unwrap();
    let (page, _) = page.split_once("\n## ").unwrap();
    let mut written: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    known.sort_unstable();
    written.sort_unstable();
    assert_eq!(known, written, "the table of the code, and the page");
    let tests = [
        include_str!("registered.rs"),
        include_str!("running.rs"),
        include_str!("dialling.rs"),
        include_str!("sessions.rs"),
        include_str!("mod.rs"),
    ]
    .concat();
    for id in known.into_iter().filter(|id| *id != "home") {
        assert!(is_provoked(&tests, id), "no test provokes `{id}`");
    }
    assert!(!is_provoked(&tests, "no-such-finding"));
}

#[test]
fn a_custom_longwire_home_is_reported() {
    let machine = DoctorHome::installed();
    let home = machine.0.home().to_str().unwrap().to_owned();
    machine.expect("home", "pass", &home, &[]);
}

#[test]
fn doctor_creates_no_folders() {
    let machine = DoctorHome::new();
    machine.doctor(&[]);
    let left: Vec<_> = fs::read_dir(machine.0.home()).unwrap().flatten().collect();
    assert!(left.is_empty(), "there is nothing to keep yet: {left:?}");
}
