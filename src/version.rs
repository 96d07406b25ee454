//! The program's own version.
//!
//! It decides nothing: host and broker do.

pub use crate::wire::version::is_newer;

/// This program's version, as it states it to others.
#[cfg(not(any(debug_assertions, feature = "crash-points")))]
pub const fn own() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// This program's version, as it states it to others; tests may have it state another with `LONGWIRE_VERSION`.
#[cfg(any(debug_assertions, feature = "crash-points"))]
pub fn own() -> &'static str {
    static STATED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    STATED.get_or_init(|| {
        std::env::var("LONGWIRE_VERSION").unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned())
    })
}
