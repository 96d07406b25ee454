//! What tests of real processes share: scratch homes, hosts as browsers start them, waiting for a condition.
//!
//! It asserts nothing about Longwire but that every native frame fits a browser.

pub(crate) mod broker;
pub(crate) mod echo;
pub(crate) mod host;
pub(crate) mod scratch;
pub(crate) mod server;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The extension of most tests.
pub(crate) const ORIGIN: &str = "chrome-extension://ifnhjhoikpibpoclbkjnnkmfoaepmfnb/";

/// Another extension.
pub(crate) const OTHER_ORIGIN: &str = "chrome-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/";

/// Long enough for anything that is going to happen on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The program under test: the one that was built with the tests, or the build that `LONGWIRE_TEST_PROGRAM` names.
pub(crate) fn program() -> &'static std::path::Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let other = std::env::var_os("LONGWIRE_TEST_PROGRAM");
        other.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_longwire")), PathBuf::from)
    });
    &PROGRAM
}

/// Puts a program there. Written by a process of its own: a descriptor of this one, open for writing in the moment in
/// which another test forks, would keep the program from being started.
pub(crate) fn write_program(path: &std::path::Path, content: &[u8]) {
    let mut install = std::process::Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut install.stdin.take().unwrap(), content).unwrap();
    assert!(install.wait().unwrap().success());
}

/// Waits until `condition` gives something, at most `within`.
pub(crate) fn eventually<T>(within: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + within;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < until, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One field of a process's `status` file, in kilobytes.
pub(crate) fn kilobytes(process: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Ends a process, or with a negative number its whole group, as `kill -9` does.
pub(crate) fn kill(process: i32) {
    let id = rustix::process::Pid::from_raw(process.abs()).unwrap();
    let signal = rustix::process::Signal::KILL;
    let sent = if process < 0 {
        rustix::process::kill_process_group(id, signal)
    } else {
        rustix::process::kill_process(id, signal)
    };
    sent.unwrap();
}

/// Whether a process runs; one that has ended and was not buried does not.
pub(crate) fn is_alive(process: u32) -> bool {
    let folder = format!("/proc/{process}");
    let stat = std::fs::read_to_string(format!("{folder}/stat")).unwrap_or_default();
    let Some((_, state)) = stat.rsplit_once(") ") else {
        return false;
    };
    // Its first thread may be dead and others not yet: they share its files and sockets.
    let has_other_threads =
        || std::fs::read_dir(format!("{folder}/task")).is_ok_and(|tasks| tasks.count() > 1);
    !state.starts_with('Z') || has_other_threads()
}
