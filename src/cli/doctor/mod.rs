//! `longwire doctor`: diagnoses problems and suggests fixes.
//!
//! Three independent steps: `gather` collects facts, `judge` finds problems, `show` and `report` print them. It fixes nothing.

mod facts;
mod files;
mod finding;
mod gather;
mod judge;
mod launch;
mod pac;
mod processes;
mod program;
mod report;
mod show;

use installer::environment::Environment;
use installer::manifest::HostName;

use super::args::DoctorArgs;
use super::error::{Exit, Failure};
use super::install::{advise, extensions};
use super::{render, root_guard, secret};
use crate::paths::Paths;
use finding::{DoctorReport, Verdict};
use gather::DoctorRequest;
use show::{Selection, Style};

/// Root looks at no other user's registrations, and starts nothing by them.
fn check_owners(paths: &Paths) -> Result<(), Failure> {
    let env = Environment::from_env()
        .map_err(|error| Failure::because("cannot find the browsers' folders", &error))?;
    let mut folders = vec![paths.state(), paths.config(), &env.home, &env.config];
    folders.extend(paths.home());
    root_guard::check(&folders, "longwire doctor")
}

/// Gathers, judges, prints.
pub(super) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let wrong = |problem| advise(&problem).exit(Exit::Usage);
    let request = DoctorRequest {
        name: HostName::parse(&args.name).map_err(wrong)?,
        asked: extensions(&args.extensions)?,
        url: args
            .url
            .as_ref()
            .map(|url| secret::resolve(url, "the URL"))
            .transpose()?,
        headers: secret::headers(&args.headers)?,
    };
    let paths = super::paths()?;
    check_owners(&paths)?;
    let facts = super::block_on(gather::gather(&request, &args.trust, &paths))?;
    let document = DoctorReport::of(judge::judge(&facts));
    if args.json {
        render::json(&document);
    } else if args.report {
        render::line(report::bundle(&facts, &document, &paths).trim_end());
    } else {
        let selection = if args.verbose {
            Selection::All
        } else {
            Selection::Problems
        };
        let style = match render::terminal() {
            Some(terminal) if terminal.colour => Style::Coloured,
            Some(_) | None => Style::Plain,
        };
        for line in show::lines(&document, selection, style) {
            // What is to be pasted stays in one piece.
            if line.trim_start().starts_with(show::FIX) {
                render::line(&line);
            } else {
                render::folded(&line, show::INDENT);
            }
        }
    }
    Ok(if document.verdict == Verdict::Fail {
        Exit::Failed
    } else {
        Exit::Done
    })
}
