//! Named points at which a test can have the process die, as `kill -9` would.
//!
//! It does nothing in a release build without the feature `crash-points`; no other module reads the variable.

/// Dies here if `LONGWIRE_CRASH_AT=<point>:<n>` names this point and this is its `n`th crossing, from 1.
#[cfg(any(debug_assertions, feature = "crash-points"))]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static CROSSED: AtomicU64 = AtomicU64::new(0);

    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("LONGWIRE_CRASH_AT").ok()?;
        let (point, count) = text.rsplit_once(':')?;
        Some((point.to_owned(), count.parse().ok()?))
    });
    if let Some((point, count)) = wanted
        && point == name
        && CROSSED.fetch_add(1, Ordering::Relaxed) + 1 == *count
    {
        std::process::abort();
    }
}

/// Nothing, in a release build.
#[cfg(not(any(debug_assertions, feature = "crash-points")))]
#[inline(always)]
pub const fn point(_name: &str) {}
