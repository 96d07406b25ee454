//! Longwire: connections that outlive a browser extension's service worker.
//!
//! Modules, lowest row first; a module may import only modules of lower rows (a test checks the table):
//!
//! | row | modules |
//! |--:|---|
//! | 0 | `wire`, `clock`, `paths`, `log`, `crash`, `hardening`, `version` |
//! | 1 | `core` (all decisions), `local` (the socket between host and broker) |
//! | 2 | `transport` (the internet), `journal` (the disk), `settings` |
//! | 3 | `broker`, `host` |
//! | 4 | `cli` |
//!
//! `wire` and `core` are the crate `longwire-proto`, which has no I/O.

// The threshold is in clippy.toml.
#![cfg_attr(not(test), warn(clippy::too_many_lines))]

pub mod broker;
pub mod cli;
pub mod clock;
pub mod crash;
pub mod hardening;
pub mod host;
pub mod journal;
pub mod local;
pub mod log;
pub mod paths;
pub mod settings;
pub mod transport;
pub mod version;

#[doc(no_inline)]
pub use longwire_proto::{core, wire};
