//! Tests that this machine cannot run. Each says why, `scripts/check` counts them, and under CI they fail.
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
    let line = format!("{}: {why}\n", thread.name().unwrap_or("a test"));
    eprint!("SKIPPED: {line}");
    if let Some(list) = std::env::var_os(LIST) {
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(list);
        opened.unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// Whether `scripts/check` was told to install nothing, which binds tests as well.
pub(crate) fn may_not_install() -> bool {
    std::env::var_os("LONGWIRE_NO_INSTALL").is_some()
}
