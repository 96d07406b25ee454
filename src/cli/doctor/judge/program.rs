//! Judges the program that a manifest names: a file that this system and this user can start.
//!
//! Whether it then works as a host is judged in `running`.

use installer::lookup::Seen;
use installer::manifest::AcceptedManifest;

use super::super::facts::{BrowserFacts, Facts, ProgramFacts};
use super::super::finding::Finding;
use super::super::program::ProgramKind;
use super::{install, quoted, sudo};
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
    let inside = browser.is_served_inside().then_some(browser);
    let again = || install(facts, &accepted.entries, inside, seen.scope);
    let sudo = sudo(seen.scope);
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
    judge_version(finding, program, kind, &facts.version, again)
}

/// The last question about a program that can be run: is it this version?
fn judge_version(
    finding: Finding,
    program: &ProgramFacts,
    kind: &ProgramKind,
    ours: &str,
    again: impl FnOnce() -> String,
) -> Finding {
    let shown = program.path.display();
    match (&program.version, kind) {
        (Some(version), _) if version != ours => finding
            .warn(format!("{shown} is version {version}; this is {ours}"))
            .fix(again()),
        (Some(version), _) => finding.pass(format!("{shown} (version {version})")),
        (None, ProgramKind::Script { .. }) => finding.pass(format!("{shown}, {}", kind.describe())),
        (None, _) => finding.pass(shown.to_string()),
    }
}

fn release(program: &ProgramFacts) -> String {
    if cfg!(windows) {
        format!("powershell Unblock-File -Path {}", quoted(&program.path))
    } else {
        format!("xattr -d com.apple.quarantine {}", quoted(&program.path))
    }
}
