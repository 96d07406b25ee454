//! Browsers inside Flatpak: real sandboxes from a repository of the test's own. A script stands for the browser; it looks
//! for the manifest where that browser looks inside, and starts the program that is named there.
//!
//! `scripts/cross --only flatpak` installs flatpak and runs these tests.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::{ORIGIN, SOON, program};

const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";
const ADD_ON: &str = "hello@longwire.example";
/// What the stand-in ends with when no host is registered.
const UNREGISTERED: i32 = 3;

/// A browser as its Flatpak sees it.
struct Browser {
    app: &'static str,
    /// What its manifest of the Flatpak asks for beside the network.
    context: &'static str,
    manifest: &'static str,
    arguments: String,
}

fn browsers() -> [Browser; 2] {
    [
        Browser {
            app: "org.chromium.Chromium",
            context: "",
            manifest: "$XDG_CONFIG_HOME/chromium/NativeMessagingHosts/com.longwire.bridge.json",
            arguments: ORIGIN.to_owned(),
        },
        Browser {
            app: "org.mozilla.firefox",
            context: "persistent=.mozilla;\n",
            manifest: "$HOME/.mozilla/native-messaging-hosts/com.longwire.bridge.json",
            arguments: format!("\"$manifest\" {ADD_ON}"),
        },
    ]
}

impl Browser {
    fn script(&self) -> String {
        format!(
            r#"#!/bin/sh
manifest="{}"
[ -f "$manifest" ] || exit {UNREGISTERED}
while IFS= read -r line; do
  case $line in *'"path": "'*) line=${{line#*'"path": "'}} program=${{line%%'"'*}} ;; esac
done <"$manifest"
# As a browser does: it starts the host, and ends with it.
"$program" {}
"#,
            self.manifest, self.arguments
        )
    }
}

/// A home with both browsers installed, and brokers that are stopped in the end.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for folder in ["home", "runtime", "bin"] {
            fs::create_dir(machine.path(folder)).unwrap();
        }
        fs::write(machine.path("bin/google-chrome"), "").unwrap();
        fs::set_permissions(machine.path("runtime"), fs::Permissions::from_mode(0o700)).unwrap();
        machine.build_platform();
        for browser in browsers() {
            machine.build_app(&browser);
        }
        let repository = machine.path("repository");
        done(machine.flatpak("build-update-repo").arg(&repository));
        done(
            machine
                .flatpak("remote-add")
                .args(["--user", "--no-gpg-verify", "here"])
                .arg(&repository),
        );
        for browser in browsers() {
            let mut install = machine.flatpak("install");
            done(install.args(["--user", "--assumeyes", "--noninteractive", "here", browser.app]));
        }
        machine
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("runtime"))
            .stdin(Stdio::null())
            .current_dir(self.0.path());
        command
    }

    fn flatpak(&self, verb: &str) -> Command {
        let mut command = self.command("flatpak");
        command.arg(verb);
        command
    }

    /// The sandbox of a browser, with its own program or another one in it.
    fn inside(&self, app: &str, program: Option<&Path>) -> Command {
        let mut command = self.flatpak("run");
        command.arg("--user");
        if let Some(program) = program {
            command.arg(format!("--command={}", program.display()));
        }
        command.arg(app);
        command
    }

    /// Starts the browser with a port that is closed at once; gives its exit code. Without pipes: a broker that it leaves behind
    /// keeps the sandbox, and the sandbox keeps them.
    fn start(&self, browser: &Browser) -> Option<i32> {
        let mut command = self.inside(browser.app, None);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().code()
    }

    /// A port of the browser.
    fn host(&self, browser: &Browser) -> HostProcess {
        HostProcess::spawn(self.inside(browser.app, None))
    }

    /// The copy of the program in a folder that the sandbox can see.
    fn copy(&self, browser: &Browser) -> PathBuf {
        self.path(&format!("home/.var/app/{}/data/longwire/longwire", browser.app))
    }

    /// A runtime that holds a shell and the libraries of the shell and the program.
    fn build_platform(&self) {
        let folder = self.path("platform");
        let files = folder.join("usr");
        for part in ["usr/bin", "files", "var"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        fs::copy("/bin/sh", files.join("bin/sh")).unwrap();
        for user in [Path::new("/bin/sh"), program()] {
            let needed = String::from_utf8(done(Command::new("ldd").arg(user)).stdout).unwrap();
            for library in needed.split_whitespace().filter(|word| word.starts_with('/')) {
                let inside = library.trim_start_matches("/usr").trim_start_matches('/');
                let to = files.join(inside);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(library, to).unwrap();
            }
        }
        let machine = std::env::consts::ARCH;
        let name = format!("org.example.Platform/{machine}/1");
        let about = format!("[Runtime]\nname=org.example.Platform\nruntime={name}\nsdk={name}\n");
        fs::write(folder.join("metadata"), about).unwrap();
        let mut export = self.flatpak("build-export");
        done(
            export
                .arg("--runtime")
                .arg(self.path("repository"))
                .arg(folder)
                .arg("1"),
        );
    }

    fn build_app(&self, browser: &Browser) {
        let folder = self.path(browser.app);
        for part in ["files/bin", "export", "var"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let script = folder.join("files/bin/browser");
        fs::write(&script, browser.script()).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let about = format!(
            "[Application]\nname={}\nruntime=org.example.Platform/{}/1\ncommand=browser\n\n\
             [Context]\nshared=network;\n{}",
            browser.app,
            std::env::consts::ARCH,
            browser.context
        );
        fs::write(folder.join("metadata"), about).unwrap();
        let mut export = self.flatpak("build-export");
        done(export.arg(self.path("repository")).arg(folder).arg("stable"));
    }

    /// The program outside, where one browser is installed beside those of Flatpak.
    fn longwire(&self, arguments: &[&str]) -> String {
        let mut command = self.command(program());
        let output = done(command.env("PATH", self.path("bin")).args(arguments));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Everything in the home but what Flatpak itself keeps.
    fn tree(&self) -> BTreeSet<PathBuf> {
        let (mut found, mut folders) = (BTreeSet::new(), vec![self.path("home")]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with(".local/share/flatpak") || path.ends_with("cache") {
                    continue;
                }
                if path.symlink_metadata().unwrap().is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path);
            }
        }
        found
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for browser in browsers() {
            let program = self.copy(&browser);
            if program.exists() {
                let _ = self.inside(browser.app, Some(&program)).arg("stop").output();
            }
        }
    }
}

fn done(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

#[test]
#[ignore = "needs flatpak: scripts/cross --only flatpak"]
fn a_sandbox_registration_works_inside_and_is_removed_completely() {
    let machine = Machine::new();
    for browser in browsers() {
        assert_eq!(machine.start(&browser), Some(UNREGISTERED), "{}", browser.app);
    }
    let before = machine.tree();
    let ids = ["install", "--extension", ID, "--extension", ADD_ON];

    let printed = machine.longwire(&ids);
    assert!(printed.contains("runs inside Flatpak"), "{printed}");
    for browser in browsers() {
        assert_eq!(machine.start(&browser), Some(UNREGISTERED), "{}", browser.app);
    }
    machine.longwire(&["uninstall"]);
    assert_eq!(machine.tree(), before);

    machine.longwire(&[&ids[..], &["--sandboxed"]].concat());
    for browser in browsers() {
        assert!(machine.copy(&browser).exists());
        // The port is closed at once, in order.
        assert_eq!(machine.start(&browser), Some(0), "{}", browser.app);
        done(
            machine
                .inside(browser.app, Some(&machine.copy(&browser)))
                .args(["stop"]),
        );
    }
    machine.longwire(&["uninstall"]);
    let state = Path::new(".local/state");
    let left: Vec<_> = machine.tree().difference(&before).cloned().collect();
    for path in left {
        let is_state = path.ancestors().any(|folder| folder.ends_with(state));
        assert!(is_state, "{} is neither log nor journal", path.display());
    }
}

#[test]
#[ignore = "needs flatpak: scripts/cross --only flatpak"]
fn inside_a_sandbox_a_session_survives_the_browser() {
    let (machine, server) = (Machine::new(), Echo::start());
    for browser in browsers() {
        machine.start(&browser);
    }
    machine.longwire(&["install", "--extension", ID, "--extension", ADD_ON, "--sandboxed"]);
    for browser in browsers() {
        let mut first = machine.host(&browser);
        let broker = first.hello()["broker"].clone();
        first.send(&json!({"type": "open", "id": "o", "session": "s", "url": server.url()}));
        let opened = first.expect("opened");
        first.send(&json!({"type": "send", "session": "s", "id": "m", "text": "hello"}));
        let message = first.expect("message");
        assert_eq!(message["text"], "hello", "{}", browser.app);
        first.close();
        assert_eq!(first.wait(SOON).code(), Some(0));

        // Another sandbox of the same app, and the same broker.
        let mut second = machine.host(&browser);
        assert_eq!(second.hello()["broker"], broker, "{}", browser.app);
        second.send(
            &json!({"type": "open", "id": "o", "session": "s", "url": server.url(),
            "resume": {"epoch": opened["epoch"], "seq": message["seq"]}}),
        );
        let again = second.expect("opened");
        assert_eq!(again["resume"], "exact", "{again}");
    }
}
