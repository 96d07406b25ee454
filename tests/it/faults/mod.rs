//! Faults with real processes: hosts and brokers killed at every step, half frames, slow readers, restarts of servers.
//!
//! The observer checks every record; each test states what else must hold. Repetitions are few here; `FAULT_ROUNDS`
//! multiplies them.

mod closing;
mod crashing;
mod examining;
mod machine;
mod observer;
mod reading;
mod sending;
mod server;
mod stall;
mod stalling;
mod streaming;

/// How often each random fault is tried.
fn rounds(few: u64) -> u64 {
    let times = std::env::var("FAULT_ROUNDS")
        .ok()
        .and_then(|times| times.parse().ok());
    few * times.unwrap_or(1)
}

/// Numbers that look random and are the same every time.
fn pseudo_random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}
