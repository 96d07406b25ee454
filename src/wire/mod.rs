//! What is said: frames, their types, and the words in them. Both hops speak it.
//!
//! It decides nothing and reads no clock.

pub mod code;
pub mod message;
pub mod options;
pub mod payload;
pub mod record;
pub mod rule;
