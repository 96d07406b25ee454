//! Judges the manifest that a browser finds: there, valid, and none that it hides.
//!
//! The program that it names is judged in `program`.

use installer::browsers::Scope;
use installer::lookup::Seen;
use installer::manifest::{self, AcceptedManifest};

use super::super::facts::{BrowserFacts, Facts, ManifestLookup};
use super::super::finding::Finding;
use super::{DEFAULT_NAME, commands, ids, install, quoted, sudo};

/// Not registered with this browser: no fault, unless it was intended.
pub(super) fn absent(facts: &Facts, browser: &BrowserFacts) -> Finding {
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
    finding.fix(install(facts, &ids, Some(browser), Scope::User))
}

pub(super) fn manifest(facts: &Facts, browser: &BrowserFacts, found: &ManifestLookup<'_>) -> Finding {
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
            Scope::System,
        )),
        ManifestLookup::Bad(seen, why) => {
            let again = install(facts, &ids(facts, browser.family), Some(browser), seen.scope);
            // What is no text, such as a folder, `install` does not write over.
            let fix = if seen.text.is_err() {
                let aside = seen.path.with_added_extension("aside");
                let remove = commands::move_aside(&seen.path, &aside);
                format!("{}{remove} && {again}", sudo(seen.scope))
            } else {
                again
            };
            finding.fail(format!("{}: {why}", seen.path.display())).fix(fix)
        }
        ManifestLookup::Good(seen, _) if seen.open_to_all => finding
            .warn(format!("other users can change {}", seen.path.display()))
            .fix(format!("{}chmod o-w {}", sudo(seen.scope), quoted(&seen.path))),
        ManifestLookup::Good(seen, accepted) => used_manifest(finding, facts, browser, seen, accepted),
    }
}

/// A manifest that is used: whether it hides one of all users that names another program.
fn used_manifest(
    finding: Finding,
    facts: &Facts,
    browser: &BrowserFacts,
    seen: &Seen,
    accepted: &AcceptedManifest,
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
    if facts.name == DEFAULT_NAME {
        String::new()
    } else {
        format!(" --name {}", facts.name)
    }
}

fn differs(text: &Result<String, String>, accepted: &AcceptedManifest) -> bool {
    text.as_deref()
        .ok()
        .and_then(manifest::program)
        .is_some_and(|other| other != accepted.program)
}
