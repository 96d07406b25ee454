//! Judges who may start the host in a browser: policies, the extensions that a manifest allows, and other hosts for the
//! same extensions.

use installer::browsers::Scope;
use installer::lookup::Seen;
use installer::policy::Ruling;

use super::super::facts::{BrowserFacts, Facts};
use super::super::finding::Finding;
use super::{asked, commands, ids, install, sudo};

pub(super) fn policy(facts: &Facts, browser: &BrowserFacts) -> Finding {
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
            .fix(install(
                facts,
                &ids(facts, browser.family),
                Some(browser),
                Scope::System,
            )),
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

/// Only if the user names an extension.
pub(super) fn origin(facts: &Facts, browser: &BrowserFacts, chain: &[Seen]) -> Option<Finding> {
    let callers = browser.callers(&facts.name, chain);
    let asked = asked(facts, Some(browser.family));
    let scope = match browser.policy.ruling(&facts.name) {
        Ruling::SystemOnly => Scope::System,
        Ruling::Free | Ruling::Blocked => Scope::User,
    };
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
                .fix(install(facts, &missing, Some(browser), scope)),
        )
    }
}

/// Other hosts for the same extensions: the extension may be talking to one of them.
pub(super) fn rivals(facts: &Facts, browser: &BrowserFacts) -> Finding {
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
    let scope = if rivals.iter().any(|other| other.scope == Scope::System) {
        Scope::System
    } else {
        Scope::User
    };
    let paths: Vec<_> = rivals.iter().map(|other| other.path.as_path()).collect();
    finding
        .warn(format!(
            "{} too; if it is not wanted, remove its manifest",
            names.join(", ")
        ))
        .fix(format!("{}{}", sudo(scope), commands::remove(&paths)))
}
