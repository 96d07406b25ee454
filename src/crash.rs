//! Named points at which a test can abort the process, as `kill -9` would, or make a thread wait, as on a slow disk.
//!
//! It does nothing in a release build without the feature `crash-points`; no other module reads the variables.

/// Dies here if `LONGWIRE_CRASH_AT=<point>:<n>` names this point and this is its `n`th crossing, from 1. Waits here if
/// `LONGWIRE_STALL_AT=<point>:<fifo>` names this point, until a process has the FIFO open for writing.
#[cfg(any(debug_assertions, feature = "crash-points"))]
pub fn point(name: &str) {
    if is_due(name) {
        std::process::abort();
    }
    if let Some((point, fifo)) = stall()
        && point == name
    {
        let _ = std::fs::File::open(fifo);
    }
}

#[cfg(any(debug_assertions, feature = "crash-points"))]
fn stall() -> Option<&'static (String, String)> {
    static STALL: std::sync::OnceLock<Option<(String, String)>> = std::sync::OnceLock::new();
    let read = || {
        let text = std::env::var("LONGWIRE_STALL_AT").ok()?;
        let (point, fifo) = text.split_once(':')?;
        Some((point.to_owned(), fifo.to_owned()))
    };
    STALL.get_or_init(read).as_ref()
}

/// Whether the process is to abort in the middle of what begins here: the caller does half of it, then aborts.
#[cfg(any(debug_assertions, feature = "crash-points"))]
pub fn is_due(name: &str) -> bool {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static CROSSED: AtomicU64 = AtomicU64::new(0);

    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("LONGWIRE_CRASH_AT").ok()?;
        let (point, count) = text.rsplit_once(':')?;
        Some((point.to_owned(), count.parse().ok()?))
    });
    wanted
        .as_ref()
        .is_some_and(|(point, count)| point == name && CROSSED.fetch_add(1, Ordering::Relaxed) + 1 == *count)
}

/// Nothing, in a release build.
#[cfg(not(any(debug_assertions, feature = "crash-points")))]
#[inline(always)]
pub const fn point(_name: &str) {}

/// Never, in a release build.
#[cfg(not(any(debug_assertions, feature = "crash-points")))]
#[inline(always)]
pub const fn is_due(_name: &str) -> bool {
    false
}
