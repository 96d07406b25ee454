//! Judges what each browser would find: a registration, and whether the browser may start programs.
//!
//! The parts of a registration are judged in `manifest`, `program` and `access`; whether the host then runs in `running`.

use installer::browsers::{Family, Sandboxed, Scope};

use super::super::facts::{BrowserFacts, Facts, ManifestLookup};
use super::super::finding::Finding;
use super::access::{origin, policy, rivals};
use super::manifest::{absent, manifest};
use super::program::program;
use super::{asked, ids, install};

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
            .fix(install(facts, &asked(facts, None), None, Scope::User) + " --browser <name>");
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
        let fix = install(facts, &ids, None, Scope::User);
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
            .fix(install(facts, &asked(facts, None), None, Scope::User));
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
    // Of several profile folders the worst one is reported.
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
    let fix = |more: &str| install(facts, &ids(facts, browser.family), Some(browser), Scope::User) + more;
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
