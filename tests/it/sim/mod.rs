//! The hub under virtual time: a hostile world of clients, servers and a disk, and a model of what must be so.
//!
//! `SEED=n` replays one run and tells its story; `STEPS=n` says how many steps all runs have together.
//!
//! docs/SIMULATION.md says what is where, and how to add a rule.

mod bookkeeping;
mod clients;
mod disk;
mod events;
mod filters;
mod final_checks;
mod frames;
mod links;
mod logins;
mod model;
mod options;
mod outputs;
mod protocols;
mod reader;
mod regressions;
mod restarts;
mod rng;
mod servers;
mod socketio;
mod steps;
mod subscribing;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::steps::StepWeights;
use self::world::World;

/// Steps of one run: short, so that many worlds are seen, and long enough for sessions to come and go in them.
const RUN: u64 = 1000;
/// Steps of all runs together, unless `STEPS` says otherwise.
const STEPS: u64 = 2_000_000;
/// The tests that share them, so that they run side by side.
const SHARDS: u64 = 4;
/// Lines of the story that are told of a run that failed.
const STORY: usize = 3000;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One run; a hash of everything the hub has said in it.
fn run(seed: u64, story: bool) -> u64 {
    let mut world = World::new(seed, story);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let weights = StepWeights::new(&mut world.rng, world.strict);
        for _ in 0..RUN {
            world.step(&weights);
        }
        world.check_the_end();
        world.digest
    }));
    ended.unwrap_or_else(|_| {
        let story = world.trace.unwrap_or_default();
        let from = story.len().saturating_sub(STORY);
        panic!(
            "{}\nthe run of seed {seed} failed; to hear its story: SEED={seed} cargo test --test it sim::",
            story[from..].join("\n")
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
fn nothing_is_lost_or_told_twice_first_shard() {
    shard(0);
}

#[test]
fn nothing_is_lost_or_told_twice_second_shard() {
    shard(1);
}

#[test]
fn nothing_is_lost_or_told_twice_third_shard() {
    shard(2);
}

#[test]
fn nothing_is_lost_or_told_twice_fourth_shard() {
    shard(3);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 1_000_000..1_000_010 {
        assert_eq!(run(seed, false), run(seed, false), "seed {seed}");
    }
}
