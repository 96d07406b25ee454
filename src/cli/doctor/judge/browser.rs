//! Judges what each browser would find: manifests, programs, policies, other hosts, sandboxes.
//!
//! Whether the host then runs is judged in `running`.

use installer::browsers::{Family, Sandboxed, Scope};
use installer::lookup::Seen;
use installer::manifest::{self, Accepted, ExtensionId};
use installer::policy::Ruling;

use super::super::facts::{BrowserFacts, Facts, ManifestLookup, ProgramFacts};
use super::super::finding::Finding;
use super::super::program::ProgramKind;
use crate::cli::startable::Unstartable;

use super::{commands, for_all, install, quoted};

/// Is there any browser, and is the host registered with any?
pub(super) fn registered(facts: &Facts) -> Finding {
    let finding = Finding::about(
        "registered",
        format!("`{}` is registered with a browser", facts.name),
    )
    .or(format!(
        "`{}` is not registered with a browser that needs it",
        facts.name
    ));
    if facts.browsers.is_empty() {
        return finding
            .warn("no browser was found on this machine")
            .fix(install(facts, &asked(facts, None), None, false) + " --browser <name>");
    }
    let has = |browser: &&BrowserFacts| {
        browser.inside.is_some() || browser.chains.iter().any(|chain| !chain.is_empty())
    };
    let with: Vec<_> = facts
        .browsers
        .iter()
        .filter(has)
        .map(|browser| browser.title.as_str())
        .collect();
    let reaches = |family| {
        facts
            .browsers
            .iter()
            .any(|browser| browser.family == family && has(&browser))
    };
    let unheard = [Family::Chromium, Family::Firefox]
        .into_iter()
        .find(|family| !asked(facts, Some(*family)).is_empty() && !reaches(*family));
    if let (Some(family), false) = (unheard, with.is_empty()) {
        let ids = asked(facts, Some(family));
        let is_here = facts.browsers.iter().any(|browser| browser.family == family);
        let fix = install(facts, &ids, None, false);
        return finding
            .fail(format!(
                "with {}, and with no {} browser, which {} needs",
                with.join(", "),
                family.title(),
                ids.join(", ")
            ))
            .fix(if is_here { fix } else { fix + " --browser <name>" });
    }
    if with.is_empty() {
        let here: Vec<_> = facts
            .browsers
            .iter()
            .map(|browser| browser.title.as_str())
            .collect();
        return finding
            .fail(format!("with none of {}", here.join(", ")))
            .fix(install(facts, &asked(facts, None), None, false));
    }
    finding.pass(with.join(", "))
}

/// Everything about one browser.
pub(super) fn judge(facts: &Facts, browser: &BrowserFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(one) = &browser.sandboxed {
        findings.push(sandboxed(facts, browser, one));
    }
    if !browser.chains.iter().any(|chain| !chain.is_empty()) {
        if browser.sandboxed.is_none() {
            findings.push(absent(facts, browser));
        } else if browser.is_served_inside() {
            let found = browser.found(&facts.name, browser.inside.as_slice());
            findings.push(manifest(facts, browser, &found));
            if let ManifestLookup::Good(seen, accepted) = &found {
                findings.push(program(facts, browser, seen, accepted));
                findings.extend(origin(facts, browser, browser.inside.as_slice()));
            }
        }
        return findings;
    }
    if browser.family == Family::Chromium {
        findings.push(policy(facts, browser));
    }
    // Of several profile folders the worst one is told.
    let mut worst: Vec<Finding> = Vec::new();
    for chain in browser.chains.iter().filter(|chain| !chain.is_empty()) {
        let found = browser.found(&facts.name, chain);
        let mut of_chain = vec![manifest(facts, browser, &found)];
        if let ManifestLookup::Good(seen, accepted) = &found {
            of_chain.push(program(facts, browser, seen, accepted));
            of_chain.extend(origin(facts, browser, chain));
        }
        for finding in of_chain {
            match worst.iter_mut().find(|other| other.id == finding.id) {
                Some(other) if finding.verdict > other.verdict => *other = finding,
                Some(_) => {}
                None => worst.push(finding),
            }
        }
    }
    findings.extend(worst);
    if browser.family != Family::App {
        findings.push(rivals(facts, browser));
    }
    findings
}

/// The ids given with `--extension`, of this family.
fn asked(facts: &Facts, family: Option<Family>) -> Vec<String> {
    let fits = |id: &&ExtensionId| family.is_none_or(|family| id.family() == family);
    facts.asked.iter().filter(fits).map(ExtensionId::entry).collect()
}

/// The ids asked for, or else those that any browser of this family has.
pub(super) fn ids(facts: &Facts, family: Family) -> Vec<String> {
    let asked = asked(facts, Some(family));
    if !asked.is_empty() {
        return asked;
    }
    let mut known = Vec::new();
    for browser in facts.browsers.iter().filter(|browser| browser.family == family) {
        for seen in browser.chains.iter().flatten() {
            let text = seen.text.as_deref().unwrap_or_default();
            for entry in manifest::entries(family, text) {
                if !known.contains(&entry) {
                    known.push(entry);
                }
            }
        }
    }
    known
}

fn sandboxed(facts: &Facts, browser: &BrowserFacts, sandboxed: &Sandboxed) -> Finding {
    let finding = Finding::about(
        format!("sandbox.{}", browser.name),
        format!("{} may start native hosts", browser.title),
    )
    .or(format!(
        "{} cannot start programs outside its sandbox",
        browser.title
    ));
    let by = sandboxed.by;
    if let Some(inside) = &browser.inside {
        let inside = inside.path.display();
        return finding.pass(if sandboxed.is_served_outside() {
            format!("it runs inside {by}, and its portal starts the host outside, by {inside}")
        } else {
            format!("inside {by}, by {inside}; host and broker run in the sandbox")
        });
    }
    let folder = sandboxed.folder.display();
    let fix = |more: &str| install(facts, &ids(facts, browser.family), Some(browser), false) + more;
    if sandboxed.is_served_outside() {
        let detail = format!("it runs inside {by} ({folder}), whose portal starts only registered hosts");
        return finding.warn(detail).fix(fix(""));
    }
    let detail = format!("it runs inside {by} ({folder}) and cannot start programs outside");
    if sandboxed.serving.is_some() {
        return finding.warn(detail).fix(fix(" --sandboxed"));
    }
    finding.warn(detail).fix(format!(
        "install {} as a system package instead of the {}",
        browser.title, sandboxed.by
    ))
}

/// Not registered here: no fault, unless somebody meant to.
fn absent(facts: &Facts, browser: &BrowserFacts) -> Finding {
    let ids = ids(facts, browser.family);
    let finding = Finding::about(
        format!("manifest.{}", browser.name),
        format!("{} finds the host's manifest", browser.title),
    )
    .or(format!("{} does not find the host's manifest", browser.title));
    let finding = match &browser.folder {
        Some(folder) => finding.warn(format!(
            "the manifest that `install` wrote to {} is missing",
            folder.display()
        )),
        None => finding.skip("not registered with this browser"),
    };
    finding.fix(install(facts, &ids, Some(browser), false))
}

fn policy(facts: &Facts, browser: &BrowserFacts) -> Finding {
    let finding = Finding::about(
        format!("policy.{}", browser.name),
        format!("no policy blocks the host in {}", browser.title),
    )
    .or(format!("a policy blocks the host in {}", browser.title));
    let policy = &browser.policy;
    let sources: Vec<_> = policy
        .sources
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let sources = sources.join(", ");
    let has_system = browser
        .chains
        .iter()
        .flatten()
        .any(|seen| seen.scope == Scope::System);
    match policy.ruling(&facts.name) {
        Ruling::Free if policy.sources.is_empty() => finding.pass("no policies about native messaging"),
        Ruling::Free => finding.pass(format!("{sources} allows it")),
        Ruling::SystemOnly if has_system => {
            finding.pass(format!("{sources} allows registrations for all users"))
        }
        Ruling::SystemOnly => finding
            .fail(format!(
                "NativeMessagingUserLevelHosts is false in {sources}: user-level registrations are ignored"
            ))
            .fix(install(facts, &ids(facts, browser.family), Some(browser), true)),
        Ruling::Blocked => finding
            .fail(format!(
                "NativeMessagingBlocklist in {sources} forbids `{}`",
                facts.name
            ))
            .fix(format!(
                "ask the administrator to add \"{}\" to NativeMessagingAllowlist in {sources}",
                facts.name
            )),
    }
}

fn manifest(facts: &Facts, browser: &BrowserFacts, found: &ManifestLookup<'_>) -> Finding {
    let finding = Finding::about(
        format!("manifest.{}", browser.name),
        format!("{} finds the host's manifest", browser.title),
    )
    .or(format!(
        "there is a problem with the host's manifest for {}",
        browser.title
    ));
    match found {
        ManifestLookup::Nothing => finding.fail("the policy excludes the existing one").fix(install(
            facts,
            &ids(facts, browser.family),
            Some(browser),
            true,
        )),
        ManifestLookup::Bad(seen, why) => {
            let is_system = seen.scope == Scope::System;
            let again = install(facts, &ids(facts, browser.family), Some(browser), is_system);
            // What is no text, such as a folder, `install` does not write over.
            let fix = if seen.text.is_err() {
                let aside = seen.path.with_added_extension("aside");
                let sudo = for_all(is_system);
                format!("{sudo}{} && {again}", commands::move_aside(&seen.path, &aside))
            } else {
                again
            };
            finding.fail(format!("{}: {why}", seen.path.display())).fix(fix)
        }
        ManifestLookup::Good(seen, _) if seen.open_to_all => finding
            .warn(format!("other users can change {}", seen.path.display()))
            .fix(format!(
                "{}chmod o-w {}",
                for_all(seen.scope == Scope::System),
                quoted(&seen.path)
            )),
        ManifestLookup::Good(seen, accepted) => used_manifest(finding, facts, browser, seen, accepted),
    }
}

/// A manifest that is used: whether it hides one of all users that names another program.
fn used_manifest(
    finding: Finding,
    facts: &Facts,
    browser: &BrowserFacts,
    seen: &Seen,
    accepted: &Accepted,
) -> Finding {
    let key = seen
        .key
        .as_ref()
        .map_or_else(String::new, |key| format!("{key} -> "));
    let shadowed = browser
        .chains
        .iter()
        .flatten()
        .filter(|other| other.path != seen.path && seen.scope == Scope::User)
        .find(|other| other.scope == Scope::System && differs(&other.text, accepted));
    match shadowed {
        Some(other) => finding
            .warn(format!(
                "{} is used; {} names another program and is ignored",
                seen.path.display(),
                other.path.display()
            ))
            .fix(format!(
                "longwire uninstall --browser {}{}",
                browser.name,
                named(facts)
            )),
        None => finding.pass(format!(
            "{key}{} ({} extension{})",
            seen.path.display(),
            accepted.entries.len(),
            if accepted.entries.len() == 1 { "" } else { "s" }
        )),
    }
}

fn named(facts: &Facts) -> String {
    if facts.name == super::DEFAULT_NAME {
        String::new()
    } else {
        format!(" --name {}", facts.name)
    }
}

fn differs(text: &Result<String, String>, accepted: &Accepted) -> bool {
    text.as_deref()
        .ok()
        .and_then(manifest::program)
        .is_some_and(|other| other != accepted.program)
}

fn program(facts: &Facts, browser: &BrowserFacts, seen: &Seen, accepted: &Accepted) -> Finding {
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

/// Only when somebody asks about an extension.
fn origin(facts: &Facts, browser: &BrowserFacts, chain: &[Seen]) -> Option<Finding> {
    let callers = browser.callers(&facts.name, chain);
    let asked = asked(facts, Some(browser.family));
    let for_all_only = browser.policy.ruling(&facts.name) == Ruling::SystemOnly;
    let missing: Vec<_> = asked
        .iter()
        .filter(|entry| !callers.contains(entry))
        .cloned()
        .collect();
    let finding = Finding::about(
        format!("origin.{}", browser.name),
        format!("{} allows the extension to start the host", browser.title),
    )
    .or(format!(
        "{} does not allow the extension to start the host",
        browser.title
    ));
    if asked.is_empty() {
        None
    } else if missing.is_empty() {
        Some(finding.pass(asked.join(", ")))
    } else {
        Some(
            finding
                .fail(format!(
                    "{} may not; these may: {}",
                    missing.join(", "),
                    callers.join(", ")
                ))
                .fix(install(facts, &missing, Some(browser), for_all_only)),
        )
    }
}

/// Other hosts for the same extensions: the extension may be talking to one of them.
fn rivals(facts: &Facts, browser: &BrowserFacts) -> Finding {
    let finding = Finding::about(
        format!("rival.{}", browser.name),
        format!("no other host in {} is for the same extension", browser.title),
    )
    .or(format!(
        "another host in {} is for the same extension",
        browser.title
    ));
    let ids = ids(facts, browser.family);
    let rivals: Vec<_> = browser
        .neighbours
        .iter()
        .filter(|other| other.entries.iter().any(|entry| ids.contains(entry)))
        .collect();
    if rivals.is_empty() {
        return finding.pass("no other manifest");
    }
    let names: Vec<_> = rivals
        .iter()
        .map(|other| match &other.program {
            Some(program) => format!("`{}` ({})", other.name, program.display()),
            None => format!("`{}`", other.name),
        })
        .collect();
    let is_system = rivals.iter().any(|other| other.scope == Scope::System);
    let paths: Vec<_> = rivals.iter().map(|other| other.path.as_path()).collect();
    finding
        .warn(format!(
            "{} too; if it is not wanted, remove its manifest",
            names.join(", ")
        ))
        .fix(format!("{}{}", for_all(is_system), commands::remove(&paths)))
}
