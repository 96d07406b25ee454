//! All decisions: sessions, logs, outboxes, and which client receives what.
//!
//! No clock, no socket, no runtime, and no randomness but the seed it is given.

pub mod address;
mod backoff;
mod context;
mod dial_limiter;
pub mod dialect;
mod filter;
mod guard;
pub mod hub;
mod identity;
pub mod io;
pub mod journal;
mod journal_record;
mod lane_queues;
mod outbox;
mod pattern;
pub mod policy;
mod random;
mod recorded_log;
mod requests;
pub mod rules;
mod session;
mod subscriptions;
mod syntax;
