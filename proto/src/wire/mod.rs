//! The protocol: frames, their types, options and codes. Both hops use it.
//!
//! It decides nothing and reads no clock.

mod asked;
pub mod batch;
pub mod close_codes;
pub mod code;
pub mod filter;
pub mod frame;
pub mod guard;
mod held;
pub mod json;
pub mod login;
mod long_frame;
pub mod message;
mod object;
pub mod options;
pub mod part;
pub mod payload;
pub mod preamble;
mod presets;
pub mod record;
pub mod rule;
pub mod servers;
pub mod socketio;
pub mod version;
