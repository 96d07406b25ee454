//! A single broker for each user: many hosts at once, killed processes, leftover files.

mod access;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::skip::skip;
use crate::support::broker::RawPort;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{ORIGIN, SOON, eventually, is_alive, kill};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn twenty_concurrent_hosts_share_one_broker() {
    let scratch = Scratch::new();
    let mut hosts: Vec<_> = (0..20).map(|_| HostProcess::chromium(&scratch)).collect();
    for host in &mut hosts {
        host.send(&json!({"type": "hello", "protocol": 1}));
    }
    let brokers: BTreeSet<String> = hosts
        .iter_mut()
        .map(|host| host.expect("welcome")["broker"].to_string())
        .collect();
    assert_eq!(brokers.len(), 1, "{brokers:?}");
    scratch.broker();
}

#[test]
fn twenty_ports_reconnect_to_one_broker_after_a_crash() {
    let scratch = Scratch::new();
    let mut hosts: Vec<_> = (0..20).map(|_| HostProcess::chromium(&scratch)).collect();
    for host in &mut hosts {
        host.hello();
    }
    kill(i32::try_from(scratch.broker()).unwrap());
    let brokers: BTreeSet<String> = hosts
        .iter_mut()
        .map(|host| {
            host.find("back", |frame| frame["state"] == "back");
            host.hello()["broker"].to_string()
        })
        .collect();
    assert_eq!(brokers.len(), 1, "{brokers:?}");
    scratch.broker();
}

#[test]
fn a_stale_socket_file_is_replaced() {
    let scratch = Scratch::new();
    let mut first = HostProcess::chromium(&scratch);
    first.hello();
    first.kill();
    scratch.kill_broker();
    assert!(scratch.socket().exists(), "no process remained to remove it");
    let mut second = HostProcess::chromium(&scratch);
    second.hello();
    scratch.broker();
}

#[test]
fn the_broker_survives_the_browser_that_started_it() {
    let scratch = Scratch::new();
    let mut first = HostProcess::in_its_own_group(&scratch);
    let broker_id = first.hello()["broker"].clone();
    let broker = scratch.broker();
    let mut other = HostProcess::chromium(&scratch);
    other.hello();
    kill(-i32::try_from(first.id()).unwrap());
    first.wait(SOON);
    other.ping("still here");
    assert_eq!(HostProcess::chromium(&scratch).hello()["broker"], broker_id);
    assert_eq!(scratch.broker(), broker);
}

#[test]
fn the_broker_inherits_no_environment_or_descriptors() {
    let scratch = Scratch::new().with("GOOGLE_API_KEY", "secret");
    // Firefox leaks a pipe above stderr; so does this shell.
    let mut shell = std::process::Command::new("/bin/sh");
    scratch.apply_environment(&mut shell);
    shell
        .args(["-c", r#"exec 7<&0; exec "$0" "$1""#])
        .arg(crate::support::program())
        .arg(crate::support::ORIGIN);
    let mut host = HostProcess::spawn(shell);
    host.hello();
    let broker = scratch.broker();
    let at = |name: &str| format!("/proc/{broker}/{name}");

    let stat = fs::read_to_string(at("stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!(fields[2], broker.to_string(), "its own process group");
    assert_eq!(fields[3], broker.to_string(), "its own session");
    assert_eq!(fs::read_link(at("cwd")).unwrap(), Path::new("/"));
    let environment = fs::read(at("environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("secret"));
    for entry in fs::read_dir(at("fd")).unwrap().flatten() {
        let open = fs::metadata(entry.path());
        let is_pipe = open.is_ok_and(|open| open.file_type().is_fifo());
        assert!(!is_pipe, "{:?} is a pipe", entry.file_name());
    }
}

#[test]
fn a_log_folder_that_cannot_be_written_is_not_fatal() {
    let scratch = Scratch::new();
    fs::write(scratch.home().join("logs"), "in the way").unwrap();
    HostProcess::chromium(&scratch).hello();
}

#[test]
fn a_state_folder_that_cannot_be_written_is_not_fatal() {
    let scratch = Scratch::new();
    fs::write(scratch.home().join("state"), "in the way").unwrap();
    HostProcess::chromium(&scratch).hello();
}

#[test]
fn a_missing_runtime_folder_is_not_fatal() {
    // So short that the socket fits, wherever TMPDIR is.
    let folder = tempfile::Builder::new().prefix("lw").tempdir_in("/tmp").unwrap();
    let scratch = Scratch::new()
        .with("LONGWIRE_HOME", "")
        .with("HOME", folder.path().to_str().unwrap())
        .with("XDG_RUNTIME_DIR", "/nonexistent/run");
    let mut command = scratch.command();
    let usual = format!("/run/user/{}", rustix::process::geteuid().as_raw());
    if Path::new(&usual).exists() {
        // The user's own broker lives there, and is none of this test's business: the host sees an empty folder.
        let inside = || {
            let mut inside = Command::new("unshare");
            inside.args(["--map-current-user", "--keep-caps", "-m", "sh", "-c"]);
            inside.args(["mount -t tmpfs none /run/user && exec \"$@\"", "sh"]);
            inside
        };
        if !inside().arg("true").status().is_ok_and(|status| status.success()) {
            skip("this machine allows no mount namespaces, and the user has a runtime folder");
            return;
        }
        let mut inside = inside();
        inside.arg(command.get_program());
        scratch.apply_environment(&mut inside);
        command = inside;
    }
    command.arg(ORIGIN);
    HostProcess::spawn(command).hello();
    let socket = folder.path().join(".local/state/longwire/run/broker.sock");
    assert_eq!(mode(&socket), 0o600);
    for broker in scratch.brokers_of(folder.path()) {
        kill(i32::try_from(broker).unwrap());
    }
}

#[test]
fn a_home_with_a_long_path_gets_a_short_socket() {
    let scratch = Scratch::within(&"deep/".repeat(30));
    let mut host = HostProcess::chromium(&scratch);
    let broker = host.hello()["broker"].clone();
    assert_eq!(HostProcess::chromium(&scratch).hello()["broker"], broker);
    assert!(!scratch.home().join("run/broker.sock").exists());
    kill(i32::try_from(scratch.broker()).unwrap());
    host.find("back", |frame| frame["state"] == "back");
    // The short folder is the only thing outside the home.
    let socket = scratch.socket();
    let short = socket.parent().unwrap();
    let user = rustix::process::geteuid().as_raw();
    assert!(short.starts_with(format!("/tmp/longwire-{user}")));
    assert_eq!(mode(short), 0o700);
    drop(host);
}

#[test]
fn an_idle_broker_exits_and_the_next_host_starts_another() {
    let scratch = Scratch::new().with("LONGWIRE_IDLE_SECONDS", "1");
    let mut host = HostProcess::chromium(&scratch);
    let first = host.hello()["broker"].clone();
    host.close();
    host.wait(SOON);
    scratch.wait_for_no_broker();
    assert!(!scratch.socket().exists(), "it took its socket with it");
    assert_ne!(HostProcess::chromium(&scratch).hello()["broker"], first);
}

#[test]
fn a_broker_with_a_port_is_not_idle() {
    let scratch = Scratch::new().with("LONGWIRE_IDLE_SECONDS", "0");
    let mut host = HostProcess::chromium(&scratch);
    let first = host.hello()["broker"].clone();
    for number in 0..20 {
        // Others come and go; none of them makes it look idle.
        assert_eq!(HostProcess::chromium(&scratch).hello()["broker"], first);
        host.ping(&number.to_string());
    }
}

#[test]
fn stop_is_answered_and_exits_cleanly() {
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    let first = host.hello()["broker"].clone();
    let broker = scratch.broker();
    let mut admin = RawPort::admin(&scratch);
    admin.send(&json!({"type": "status", "id": "1"}));
    let status = admin.next().unwrap();
    assert_eq!((&status["type"], &status["ports"]), (&json!("status"), &json!(1)));
    assert!(status["rss"].as_u64().unwrap() > 100_000);
    admin.send(&json!({"type": "stop", "id": "2"}));
    let mut answers = Vec::new();
    while let Some(frame) = admin.next() {
        answers.push(frame.to_string());
    }
    assert!(
        answers.concat().contains(r#"{"id":"2","type":"ok"}"#),
        "{answers:?}"
    );
    assert_eq!(host.expect("goaway")["reason"], "stop");
    eventually(SOON, "the broker leaves", || (!is_alive(broker)).then_some(()));
    // The port stays: its host meets another broker, as after an update.
    host.find("back", |frame| frame["state"] == "back");
    assert_ne!(host.hello()["broker"], first);
}

#[test]
fn a_signal_makes_the_broker_exit_cleanly() {
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let broker = scratch.broker();
    let id = rustix::process::Pid::from_raw(i32::try_from(broker).unwrap()).unwrap();
    host.close();
    host.wait(SOON);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    scratch.wait_for_no_broker();
    assert!(!scratch.socket().exists());
}

#[test]
fn a_second_broker_is_refused() {
    let scratch = Scratch::new();
    let mut host = HostProcess::chromium(&scratch);
    host.hello();
    let output = scratch.command().arg("broker").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("is already running") && text.contains("hint: longwire stop"),
        "{text}"
    );
    host.ping("still here");
}
