//! From facts to findings: every problem that doctor reports, and its fix.
//!
//! It is pure: facts in, findings out. It looks at nothing itself.

mod access;
mod browser;
mod commands;
mod development;
mod manifest;
mod program;
mod running;
mod server;
mod sessions;

use std::path::Path;

use installer::browsers::{Family, Scope};
use installer::manifest::{ExtensionId, entries};

use super::facts::{BrowserFacts, Facts};
use super::finding::Finding;
use crate::paths::quoted;

/// The host name that needs no `--name`.
const DEFAULT_NAME: &str = installer::DEFAULT_NAME;

/// Judges everything, in the order in which an extension would meet it.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![browser::registered(facts)];
    for one in &facts.browsers {
        findings.extend(browser::judge(facts, one));
    }
    findings.extend(development::judge(facts));
    findings.extend(running::launches(facts));
    findings.extend(running::broker(facts));
    findings.extend(sessions::needs(facts.broker.status.as_ref()));
    findings.extend(sessions::judge(facts.broker.status.as_ref()));
    findings.push(running::receipt(&facts.receipt));
    findings.push(running::settings(&facts.settings));
    findings.extend(running::folders(&facts.folders));
    findings.extend(facts.pac.as_ref().map(server::proxy_script));
    if let Some(dial) = &facts.dial {
        findings.extend(server::judge(dial, &facts.settings));
    }
    findings
}

/// The ids given with `--extension`, of this family.
fn asked(facts: &Facts, family: Option<Family>) -> Vec<String> {
    let fits = |id: &&ExtensionId| family.is_none_or(|family| id.family() == family);
    facts.asked.iter().filter(fits).map(ExtensionId::entry).collect()
}

/// The ids asked for, or else those that any browser of this family has.
fn ids(facts: &Facts, family: Family) -> Vec<String> {
    let asked = asked(facts, Some(family));
    if !asked.is_empty() {
        return asked;
    }
    let mut known = Vec::new();
    for browser in facts.browsers.iter().filter(|browser| browser.family == family) {
        for seen in browser.chains.iter().flatten() {
            let text = seen.text.as_deref().unwrap_or_default();
            for entry in entries(family, text) {
                if !known.contains(&entry) {
                    known.push(entry);
                }
            }
        }
    }
    known
}

/// `longwire install` with these ids, for this browser.
fn install(facts: &Facts, ids: &[String], browser: Option<&BrowserFacts>, scope: Scope) -> String {
    let mut line = sudo(scope).to_owned() + "longwire install";
    let is_app = browser.is_some_and(|browser| browser.family == Family::App);
    if ids.is_empty() {
        line.push_str(if is_app {
            " --app <id>"
        } else {
            " --extension <id>"
        });
    }
    for id in ids {
        let id = id
            .strip_prefix("chrome-extension://")
            .map_or(id.as_str(), |id| id.trim_end_matches('/'));
        let is_app = ExtensionId::parse(id).is_err() && ExtensionId::parse_app(id).is_ok();
        let flag = if is_app { "--app" } else { "--extension" };
        line.push_str(&format!(" {flag} {}", quoted(Path::new(id))));
    }
    match browser.map(|browser| (browser, &browser.folder)) {
        Some((_, Some(folder))) => line.push_str(&format!(" --user-data-dir {}", quoted(folder))),
        Some((browser, None)) if !is_app => line.push_str(&format!(" --browser {}", browser.name)),
        Some(_) | None => {}
    }
    if facts.name != DEFAULT_NAME {
        line.push_str(&format!(" --name {}", facts.name));
    }
    if scope == Scope::System {
        line.push_str(" --system");
    } else if browser.is_some_and(BrowserFacts::is_served_inside) {
        line.push_str(" --sandboxed");
    }
    line
}

/// The start of a command that changes what is there for this user, or for all.
const fn sudo(scope: Scope) -> &'static str {
    match scope {
        Scope::System if cfg!(unix) => "sudo ",
        Scope::System | Scope::User => "",
    }
}

#[cfg(test)]
mod tests;
