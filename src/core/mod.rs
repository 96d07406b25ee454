//! What is decided: sessions, logs, outboxes, who hears what.
//!
//! No clock, no socket, no runtime, and no randomness but the seed it is given.

pub mod hub;
pub mod io;
pub mod journal;
