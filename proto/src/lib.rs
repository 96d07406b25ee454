//! Longwire's protocol and decisions, without I/O: the wire format, and the core that turns inputs into outputs.
//!
//! It has no clock, socket, file, thread or runtime, and no randomness but the seed it is given: its dependencies have none
//! either, and `proto/clippy.toml` forbids those of the standard library. `wire` does not use `core`.

// The order of a hash map differs from run to run: the same inputs and seed would not give the same outputs.
#![warn(clippy::iter_over_hash_type)]
#![cfg_attr(not(test), warn(clippy::too_many_lines))]

pub mod core;
pub mod wire;
