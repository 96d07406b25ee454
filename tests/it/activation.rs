//! The broker with a socket that a service manager keeps. The test stands in for systemd: it listens, and passes the
//! socket as descriptor 3.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::{SOON, eventually, program};

/// As `systemd.socket(5)` and `sd_listen_fds(3)` describe it.
fn activated(scratch: &Scratch, socket: &UnixListener) -> Child {
    let mut command = Command::new("sh");
    scratch.dress(&mut command);
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

fn stop(scratch: &Scratch, broker: &mut Child) {
    let output = scratch.command().arg("stop").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let ended = eventually(SOON, "the broker leaves", || broker.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_socket_that_is_passed_is_used_and_stays() {
    let scratch = Scratch::new();
    let path = scratch.socket();
    let mut private = fs::DirBuilder::new();
    private
        .recursive(true)
        .mode(0o700)
        .create(path.parent().unwrap())
        .unwrap();
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
