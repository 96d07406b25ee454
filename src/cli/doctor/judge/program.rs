//! Judges the program that a manifest names: a file that this system and this user can start.
//!
//! Whether it then works as a host is judged in `running`.

use installer::browsers::Scope;
use installer::lookup::Seen;
use installer::manifest::AcceptedManifest;

use super::super::facts::{BrowserFacts, Facts, ProgramFacts};
use super::super::finding::Finding;
use super::super::program::ProgramKind;
use super::{for_all, install, quoted};
use crate::cli::startable::Unstartable;

pub(super) fn program(
    facts: &Facts,
    browser: &BrowserFacts,
    seen: &Seen,
    accepted: &AcceptedManifest,
) -> Finding {
    let finding = Finding::about(
        format!("program.{}", browser.name),
        format!("the program that {} starts can be run", browser.title),
    )
    .or(format!(
        "there is a problem with the program that {} starts",
        browser.title
    ));
    let is_system = seen.scope == Scope::System;
    let inside = browser.is_served_inside().then_some(browser);
    let again = || install(facts, &accepted.entries, inside, is_system);
    let sudo = for_all(is_system);
    let shown = accepted.program.display();
    let Some(program) = facts.programs.iter().find(|one| one.path == accepted.program) else {
        return finding.skip(format!("{shown} was not checked"));
    };
    let kind = match &program.kind {
        Ok(kind) => kind,
        Err(why) => return finding.fail(format!("{shown}: {why}")).fix(again()),
    };
    if program.noexec {
        let problem = Unstartable::NoExec;
        return finding.fail(problem.describe(&program.path)).fix(problem.hint());
    }
    if !program.executable {
        let fix = format!("{sudo}chmod 755 {}", quoted(&program.path));
        return finding.fail(format!("{shown} is not executable")).fix(fix);
    }
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    if !kind.runs_on(system, machine) {
        let problem = format!("{shown} is {}; this is {system} on {machine}", kind.describe());
        return finding.fail(problem).fix(again());
    }
    if program.quarantined {
        let problem = format!("{shown} is marked as downloaded, and the system blocks it");
        return finding.fail(problem).fix(release(program));
    }
    if program.owned_by_other {
        return finding
            .fail(format!("{shown} belongs to another user; root does not start it"))
            .fix(again());
    }
    if program.open_to_all {
        return finding
            .warn(format!("other users can change {shown}"))
            .fix(format!("{sudo}chmod o-w {}", quoted(&program.path)));
    }
    match (&program.version, kind) {
        (Some(version), _) if *version != facts.version => finding
            .warn(other_version(program, version, &facts.version))
            .fix(again()),
        (Some(version), _) => finding.pass(format!("{shown} (version {version})")),
        (None, ProgramKind::Script { .. }) => finding.pass(format!("{shown}, {}", kind.describe())),
        (None, _) => finding.pass(shown.to_string()),
    }
}

fn other_version(program: &ProgramFacts, version: &str, ours: &str) -> String {
    format!("{} is version {version}; this is {ours}", program.path.display())
}

fn release(program: &ProgramFacts) -> String {
    if cfg!(windows) {
        format!("powershell Unblock-File -Path {}", quoted(&program.path))
    } else {
        format!("xattr -d com.apple.quarantine {}", quoted(&program.path))
    }
}
