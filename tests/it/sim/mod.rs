//! The simulation: the hub in virtual time with hostile clients, servers and a disk, and a model of its invariants.
//!
//! `SEED=n` replays one run and prints its inputs; `STEPS=n` sets the number of steps of all runs together.
//!
//! docs/SIMULATION.md explains its files, and how to add a rule.

mod bookkeeping;
mod cause;
mod client_session;
mod clients;
mod dial;
mod disk;
mod events;
mod filters;
mod final_checks;
mod frames;
mod journals;
mod links;
mod logins;
mod misbehaving;
mod model;
mod options;
mod outputs;
mod protocols;
mod reader;
mod regressions;
mod restarts;
mod rng;
mod sending;
mod sent;
mod servers;
mod session;
mod socketio;
mod steps;
mod subscribing;
mod transit;
mod views;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::steps::StepWeights;
use self::world::World;

/// Steps of one run: short, so that there are many, and long enough for sessions to begin and end in them.
const RUN: u64 = 1000;
/// Steps of all runs together, unless `STEPS` is set.
const STEPS: u64 = 2_000_000;
/// The tests that share them, so that they run side by side.
const SHARDS: u64 = 4;
/// Lines that are printed of a run that failed.
const MAX_TRACE_LINES: usize = 3000;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One run; a hash of all outputs of the hub.
fn run(seed: u64, traced: bool) -> u64 {
    let mut world = World::new(seed, traced);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let weights = StepWeights::new(&mut world.rng, world.strict);
        for _ in 0..RUN {
            world.step(&weights);
        }
        world.check_end();
        world.digest
    }));
    ended.unwrap_or_else(|_| {
        let traced = world.trace.unwrap_or_default();
        let from = traced.len().saturating_sub(MAX_TRACE_LINES);
        panic!(
            "{}\nthe run of seed {seed} failed; to replay it: SEED={seed} cargo test --test it sim::",
            traced[from..].join("\n")
        );
    })
}

fn shard(number: u64) {
    if let Some(seed) = from_environment("SEED") {
        if number == 0 {
            run(seed, true);
        }
        return;
    }
    let runs = from_environment("STEPS").unwrap_or(STEPS).div_ceil(RUN);
    for seed in (0..runs).filter(|seed| seed % SHARDS == number) {
        run(seed, false);
    }
}

#[test]
fn nothing_is_lost_or_delivered_twice_first_shard() {
    shard(0);
}

#[test]
fn nothing_is_lost_or_delivered_twice_second_shard() {
    shard(1);
}

#[test]
fn nothing_is_lost_or_delivered_twice_third_shard() {
    shard(2);
}

#[test]
fn nothing_is_lost_or_delivered_twice_fourth_shard() {
    shard(3);
}

#[test]
fn the_same_seed_produces_the_same_run() {
    for seed in 1_000_000..1_000_010 {
        assert_eq!(run(seed, false), run(seed, false), "seed {seed}");
    }
}
