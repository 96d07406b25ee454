//! The command line, for people and scripts.
//!
//! Each command is a file; `args` has its arguments, `render` prints, `error` has its failures.

mod admin;
mod args;
mod broker;
mod completions;
mod config;
mod connect;
mod demo;
mod doctor;
mod error;
mod host_process;
mod install;
mod logs;
mod protocol_client;
mod record;
mod redact;
mod render;
mod replay;
mod root_guard;
mod secret;
mod sessions;
mod startable;
mod status;
mod status_table;
mod tail;
mod temp_home;
mod text;
mod trust;
mod units;
mod update;
mod version_guard;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::Parser as _;

use crate::paths::Paths;

use args::{Cli, Command};
use error::{Exit, Failure};

/// Runs one command; `args` begins with the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let exit = match Cli::try_parse_from(args) {
        Err(error) => render::usage(&error),
        Ok(cli) => dispatch(cli.command).unwrap_or_else(|failure| render::failure(&failure)),
    };
    render::closing(exit).into()
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Install(args) => install::install(&args),
        Command::Uninstall(args) => install::uninstall(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Status(status) => status::run(&status),
        Command::Sessions(sessions) => sessions::run(&sessions),
        Command::Demo(demo) => demo::run(&demo),
        Command::Connect(connect) => connect::run(&connect),
        Command::Broker(broker) => broker::run(&broker),
        Command::Config(config) => config::run(&config),
        Command::Tail(tail) => tail::run(&tail),
        Command::Logs(logs) => logs::run(&logs),
        Command::Record(record) => record::run(&record),
        Command::Replay(replay) => replay::run(&replay),
        Command::Update(update) => update::run(&update),
        Command::Stop => status::stop(),
        Command::Completions(wanted) => completions::completions(&wanted),
        Command::Man(man) => completions::man(&man),
    }
}

/// Runs what waits for sockets and processes.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::because("cannot start the runtime", &error).exit(Exit::Bug))?;
    let done = runtime.block_on(work);
    // A thread may hang in a read of stdin; it must not keep the process.
    runtime.shutdown_background();
    done
}

/// Longwire's own folders.
fn paths() -> Result<Paths, Failure> {
    Paths::from_env().map_err(|error| Failure::because("cannot find Longwire's folders", &error))
}
