//! One test binary.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may end the test where it fails"
)]

#[cfg(target_os = "linux")]
mod activation;
#[cfg(target_os = "linux")]
mod broker_instance;
mod budget;
#[cfg(target_os = "linux")]
mod cli;
mod closing;
mod cost;
mod counting;
mod dialects;
mod doctor;
#[cfg(target_os = "linux")]
mod end_to_end;
#[cfg(target_os = "linux")]
mod faults;
mod flatpak;
mod golden;
mod harness;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod hostile;
mod hub;
#[cfg(target_os = "linux")]
mod import_cycles;
mod install;
mod journal;
mod json;
mod large;
mod large_events;
mod layers;
#[cfg(target_os = "linux")]
mod limits;
mod memory;
mod opening;
mod package;
mod presets;
mod properties;
mod proxied;
mod restore;
#[cfg(target_os = "linux")]
mod scripts;
mod sim;
mod skip;
#[cfg(target_os = "linux")]
mod support;
mod transport;
#[cfg(target_os = "linux")]
mod upgrade;
mod vectors;
#[cfg(target_os = "linux")]
mod wine;
