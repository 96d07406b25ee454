//! Judges browsers that run with a folder of their own, as WXT, web-ext and test runners start them.
//!
//! Such a Chromium looks for manifests in that folder and in the system's, and not where `install` usually writes.

use installer::browsers::{Family, Scope};

use super::super::facts::{Facts, RunningBrowser};
use super::super::finding::Finding;
use super::{ids, install, quoted};

/// One finding for each of them.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    facts.running.iter().map(|running| one(facts, running)).collect()
}

fn one(facts: &Facts, running: &RunningBrowser) -> Finding {
    let (program, folder) = (&running.program, running.folder.display());
    let finding = Finding::about(
        format!("running.{program}"),
        format!("the running {program} with its own profile folder finds the host's manifest"),
    )
    .or(format!(
        "the running {program} with its own profile folder does not find the host's manifest"
    ));
    match running.family {
        Family::Chromium if running.has_manifest => finding.pass(folder.to_string()),
        Family::Chromium if has_system_manifest(facts) => {
            finding.pass(format!("{folder}: the manifest for all users is found"))
        }
        Family::Chromium => {
            let ids = ids(facts, Family::Chromium);
            let fix = install(facts, &ids, None, Scope::User);
            finding
                .warn(format!(
                    "it was started with --user-data-dir, and reads manifests only from {folder}"
                ))
                .fix(format!("{fix} --user-data-dir {}", quoted(&running.folder)))
        }
        // Firefox looks in the user's folder, whatever its profile.
        Family::Firefox | Family::App if has_manifest(facts, Family::Firefox) => {
            finding.pass(folder.to_string())
        }
        Family::Firefox | Family::App => {
            let ids = ids(facts, Family::Firefox);
            finding
                .warn(format!(
                    "the host is not registered with Firefox ({folder} makes no difference)"
                ))
                .fix(install(facts, &ids, None, Scope::User) + " --browser firefox")
        }
    }
}

fn has_manifest(facts: &Facts, family: Family) -> bool {
    let mut of_family = facts.browsers.iter().filter(|browser| browser.family == family);
    of_family.any(|browser| browser.chains.iter().any(|chain| !chain.is_empty()))
}

/// Whether every Chromium of this machine that has a manifest at all has one for all users.
fn has_system_manifest(facts: &Facts) -> bool {
    let registered = facts
        .browsers
        .iter()
        .filter(|browser| browser.family == Family::Chromium && browser.folder.is_none())
        .map(|browser| browser.chains.iter().flatten().collect::<Vec<_>>())
        .filter(|chain| !chain.is_empty());
    let mut any = false;
    for chain in registered {
        any = true;
        if !chain.iter().any(|seen| seen.scope == Scope::System) {
            return false;
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::super::tests::healthy;
    use super::*;
    use crate::cli::doctor::finding::Verdict;

    fn finding_for(family: Family, has_manifest: bool) -> Finding {
        let mut facts = healthy();
        facts.running = vec![RunningBrowser {
            program: "chrome".into(),
            family,
            folder: "/tmp/wxt x".into(),
            has_manifest,
        }];
        judge(&facts).remove(0)
    }

    #[test]
    fn a_chromium_with_its_own_user_data_folder_needs_a_manifest_there() {
        let finding = finding_for(Family::Chromium, false);
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.title.contains("does not find"), "{}", finding.title);
        let fix = finding.fix.unwrap();
        assert!(
            fix.starts_with("longwire install --extension cfgjijgalloanpinpjgfgakgkbhlgcka"),
            "{fix}"
        );
        assert!(
            fix.contains("--user-data-dir '/tmp/wxt x'") || cfg!(windows),
            "{fix}"
        );
        assert_eq!(finding_for(Family::Chromium, true).verdict, Verdict::Pass);
    }

    #[test]
    fn a_firefox_needs_any_registration() {
        let finding = finding_for(Family::Firefox, false);
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.fix.unwrap().ends_with("--browser firefox"));
    }
}
