//! Tests that this machine cannot run. Each gives its reason, `scripts/check` counts them, and under CI they fail.
//!
//! It does not decide what a test needs.

use std::io::Write as _;

/// Names the file in which `scripts/check` collects one line for each skipped test.
const LIST: &str = "LONGWIRE_SKIPPED_TESTS";

/// Records that the current test is skipped. Its caller returns right after.
///
/// # Panics
/// When `CI` is set: continuous integration runs every test.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen in its output")]
pub(crate) fn skip(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "this test cannot run, and CI skips nothing: {why}"
    );
    let thread = std::thread::current();
    let line = format!("{}: {why}", thread.name().unwrap_or("a test"));
    eprintln!("SKIPPED: {line}");
    if let Some(list) = std::env::var_os(LIST) {
        append(&list, &line);
    }
}

/// Names the file in which `scripts/check` collects the tests that it then runs by `sudo`.
#[cfg(target_os = "linux")]
const FOR_ROOT: &str = "LONGWIRE_TESTS_FOR_ROOT";

/// Whether root runs this test. If not, `scripts/check` runs it again by `sudo` where it may, and it is skipped elsewhere.
#[cfg(target_os = "linux")]
pub(crate) fn is_root(why: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    match std::env::var_os(FOR_ROOT) {
        Some(list) if !is_root => {
            let thread = std::thread::current();
            append(&list, thread.name().expect("a test has a name"));
        }
        _ if !is_root => skip(why),
        _ => {}
    }
    is_root
}

fn append(list: &std::ffi::OsStr, line: &str) {
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(list);
    opened.unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Whether `scripts/check` was told to install nothing, which binds tests as well.
pub(crate) fn may_not_install() -> bool {
    std::env::var_os("LONGWIRE_NO_INSTALL").is_some()
}
