//! `longwire completions` and `longwire man`: what shells and `man` read, written from the command line's own types.
//!
//! It installs nothing.

use std::fs;

use clap::CommandFactory as _;

use super::args::{Cli, Completions, Man};
use super::error::{Exit, Failure};
use super::render;

/// Prints completions for a shell.
pub(super) fn completions(wanted: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(wanted.shell, &mut Cli::command(), "longwire", &mut script);
    render::give(&script);
    Ok(Exit::Done)
}

/// Prints one man page, or writes them all.
pub(super) fn man(wanted: &Man) -> Result<Exit, Failure> {
    let mut all = Cli::command();
    all.build();
    let Some(folder) = &wanted.folder else {
        let command = match &wanted.command {
            None => all,
            Some(name) => all.find_subcommand(name).cloned().ok_or_else(|| {
                Failure::new(format!("there is no command `{name}`"))
                    .hint("longwire help")
                    .exit(Exit::Usage)
            })?,
        };
        render::give(&page(command)?);
        return Ok(Exit::Done);
    };
    let failed = |path: &std::path::Path, error: &std::io::Error| {
        Failure::because(format!("cannot write {}", path.display()), error)
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let shown: Vec<_> = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .cloned()
        .collect();
    for command in std::iter::once(all).chain(shown) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page(command)?).map_err(|error| failed(&path, &error))?;
        render::line(&path.display().to_string());
    }
    Ok(Exit::Done)
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::because("the man page cannot be written", &error).exit(Exit::Bug))?;
    Ok(page)
}
