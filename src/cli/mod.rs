//! The command line: what a person or a script may ask for.
//!
//! Each command is a file; `args` says what it takes, `render` prints, `error` says how it fails.

mod args;
mod broker;
mod error;
mod render;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use error::{Exit, Failure};

/// Runs one command; `args` begins with the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let exit = match Cli::try_parse_from(args) {
        Err(error) => render::usage(&error),
        Ok(cli) => dispatch(cli.command).unwrap_or_else(|failure| render::failure(&failure)),
    };
    exit.into()
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Broker(broker) => broker::run(&broker),
    }
}
