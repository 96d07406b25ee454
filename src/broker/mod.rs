//! The per-user process that keeps the sessions.
//!
//! It decides nothing; `core` does.

pub mod dials;
