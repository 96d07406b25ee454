//! One test binary.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may end the test where it fails"
)]

mod hub;
mod journal;
mod layers;
mod properties;
mod transport;
mod vectors;
