//! The broker with a socket that a service manager keeps. Here the test listens, and passes the socket as descriptor 3; there
//! systemd's own tool does.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::skip::skip;
use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually, program};

/// As `systemd.socket(5)` and `sd_listen_fds(3)` describe it.
fn activated(scratch: &Scratch, socket: &UnixListener) -> Child {
    let mut command = Command::new("sh");
    scratch.apply_environment(&mut command);
    command
        .args([
            "-c",
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" broker",
        ])
        .arg(program())
        .stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())))
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The folder of the socket, for this user only.
fn make_private(folder: &Path) {
    let mut private = fs::DirBuilder::new();
    private.recursive(true).mode(0o700).create(folder).unwrap();
}

/// Whether this program of systemd is here; otherwise the test is skipped. No systemd has to run.
fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        skip(&format!("{tool} is missing"));
    }
    found
}

fn stop(scratch: &Scratch, broker: &mut Child) {
    let output = scratch.command().arg("stop").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let ended = eventually(SOON, "the broker leaves", || broker.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_passed_socket_is_used_and_not_removed() {
    let scratch = Scratch::new();
    let path = scratch.socket();
    make_private(path.parent().unwrap());
    let socket = UnixListener::bind(&path).unwrap();

    // A connection waits in the socket until the broker runs.
    let mut early = HostProcess::chromium(&scratch);
    let mut first = activated(&scratch, &socket);
    let welcome = early.hello();
    assert_eq!(
        HostProcess::chromium(&scratch).hello()["broker"],
        welcome["broker"]
    );
    assert!(scratch.brokers().is_empty(), "no host had to start another");
    drop(early);
    stop(&scratch, &mut first);
    assert!(path.exists(), "the socket is not the broker's to remove");

    let mut second = activated(&scratch, &socket);
    let again = HostProcess::chromium(&scratch).hello();
    assert_ne!(again["broker"], welcome["broker"]);
    stop(&scratch, &mut second);
}

#[test]
fn systemd_starts_the_broker_with_the_first_connection() {
    if !has("systemd-socket-activate") {
        return;
    }
    let scratch = Scratch::new();
    let path = scratch.socket();
    make_private(path.parent().unwrap());
    let mut command = Command::new("systemd-socket-activate");
    scratch.apply_environment(&mut command);
    command.arg("--setenv=LONGWIRE_HOME").arg("--listen").arg(&path);
    command.arg(program()).arg("broker");
    let mut broker = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually(SOON, "systemd listens", || UnixStream::connect(&path).ok());
    let welcome = HostProcess::chromium(&scratch).hello();
    let again = HostProcess::chromium(&scratch).hello();
    assert_eq!(again["broker"], welcome["broker"]);
    assert!(scratch.brokers().is_empty(), "no host had to start another");
    stop(&scratch, &mut broker);
    assert!(path.exists(), "the socket is not the broker's to remove");
}

#[test]
fn systemd_accepts_the_units() {
    if !has("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let units = ["longwire.socket", "longwire.service"].map(|unit| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("installer/package/systemd");
        let text = fs::read_to_string(source.join(unit)).unwrap();
        let path = folder.path().join(unit);
        // Where the packages put it there is none now.
        let here = text.replace("/usr/bin/longwire", program().to_str().unwrap());
        fs::write(&path, here).unwrap();
        // systemd warns of files that others may write to, as a umask would have it.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    });
    let mut command = Command::new("systemd-analyze");
    // TMPDIR may be too long for the path of a socket.
    let runtime = tempfile::tempdir_in("/tmp").unwrap();
    command.env("XDG_RUNTIME_DIR", runtime.path());
    let output = command
        .args(["--user", "--man=no", "verify"])
        .args(units)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
