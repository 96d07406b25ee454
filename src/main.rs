//! Chooses one of the three programs: host, broker or command line.
//!
//! A manifest cannot have arguments, so those of the browser decide: an origin or a manifest's path means host.

// The threshold is in clippy.toml.
#![cfg_attr(not(test), warn(clippy::too_many_lines))]

use std::ffi::OsString;
use std::process::ExitCode;

use longwire::host::HostCaller;
use longwire::{cli, host};

fn main() -> ExitCode {
    // Before anything is started or redirected.
    #[cfg(windows)]
    host::prevent_inheritance();
    let args: Vec<OsString> = std::env::args_os().collect();
    match HostCaller::from_args(&args) {
        Some(caller) => host::run(caller),
        None => cli::run(args),
    }
}
