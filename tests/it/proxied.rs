//! Browsers in a sandbox whose native messaging goes through `xdg-native-messaging-proxy`: the real proxy, on a D-Bus of the
//! test's own. A script stands for the browser and asks the proxy as Firefox and Chromium would.
//!
//! `scripts/cross --only flatpak` installs what these tests need and runs them.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::echo::Echo;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, SOON, program};

const NAME: &str = "com.longwire.bridge";
const ADD_ON: &str = "hello@longwire.example";

/// A home with a bus and a proxy that has read where this home keeps its manifests.
struct Desktop {
    scratch: Scratch,
    bus: Child,
    address: String,
    proxy: Child,
}

impl Desktop {
    fn new() -> Self {
        let scratch = Scratch::new();
        let mut command = Command::new("dbus-daemon");
        scratch.apply_environment(&mut command);
        let mut bus = command
            .args(["--session", "--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        let address = address.trim().to_owned();
        let mut command = Command::new(
            std::env::var_os("LONGWIRE_NATIVE_MESSAGING_PROXY").expect("LONGWIRE_NATIVE_MESSAGING_PROXY"),
        );
        scratch.apply_environment(&mut command);
        let proxy = command
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            scratch,
            bus,
            address,
            proxy,
        }
    }

    fn longwire(&self, arguments: &[&str]) {
        let output = self.scratch.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// A port as the stand-in opens it; the proxy starts the host.
    fn port(&self, mode: &str, extension: &str) -> HostProcess {
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("portal-venv/bin/python");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/portal/proxied.py");
        let mut command = Command::new(python);
        self.scratch.apply_environment(&mut command);
        command
            .arg(script)
            .args([mode, NAME, extension])
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .stderr(Stdio::null());
        HostProcess::spawn(command)
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for child in [&mut self.proxy, &mut self.bus] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
#[ignore = "needs xdg-native-messaging-proxy: scripts/cross --only flatpak"]
fn the_proxy_finds_the_usual_manifests_and_starts_the_usual_host() {
    let (desktop, server) = (Desktop::new(), Echo::start());
    let home = desktop.scratch.folder();
    fs::create_dir_all(home.join(".config/chromium")).unwrap();
    desktop.longwire(&["install", "--browser", "firefox", "--extension", ADD_ON]);
    desktop.longwire(&["install", "--browser", "chromium", "--extension", ORIGIN]);
    for (mode, extension) in [("mozilla", ADD_ON), ("chromium", ORIGIN)] {
        let mut first = desktop.port(mode, extension);
        let welcome = first.hello();
        assert_eq!(welcome["origin"], extension);
        first.send(&json!({"type": "open", "id": "o", "session": "s", "url": server.url()}));
        let opened = first.expect("opened");
        first.send(&json!({"type": "send", "session": "s", "id": "m", "text": "hello"}));
        let message = first.expect("message");
        assert_eq!(message["text"], "hello", "{mode}");
        // The proxy kills the host of a port that is closed; its session stays.
        first.close();
        assert_eq!(first.wait(SOON).code(), Some(0));

        let mut second = desktop.port(mode, extension);
        assert_eq!(second.hello()["broker"], welcome["broker"], "{mode}");
        second.send(
            &json!({"type": "open", "id": "o", "session": "s", "url": server.url(),
            "resume": {"epoch": opened["epoch"], "seq": message["seq"]}}),
        );
        assert_eq!(second.expect("opened")["resume"], "exact", "{mode}");
    }
    let broker = desktop.scratch.broker();
    let started = fs::read_link(format!("/proc/{broker}/exe")).unwrap();
    assert_ne!(started, program(), "the installed copy, outside of any sandbox");
}

#[test]
#[ignore = "needs xdg-native-messaging-proxy: scripts/cross --only flatpak"]
fn without_a_manifest_the_proxy_starts_nothing() {
    let desktop = Desktop::new();
    let mut port = desktop.port("mozilla", ADD_ON);
    assert_eq!(port.next(), None);
    assert_eq!(port.wait(SOON).code(), Some(1));
    assert!(desktop.scratch.brokers().is_empty());
}
