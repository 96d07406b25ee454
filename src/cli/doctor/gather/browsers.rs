//! What browsers and apps find: registrations, policies, sandboxes, other hosts.
//!
//! It starts no program and evaluates nothing.

use std::path::Path;

use installer::browsers::{BROWSERS, Family, Scope};
use installer::environment::Environment;
use installer::lookup;
use installer::manifest::HostName;
use installer::plan::USER_DATA_DIR;
use installer::policy::Policy;
use installer::receipt::Receipt;

use super::super::facts::BrowserFacts;

/// Every browser of the table that is here, and every other folder the receipt names.
pub(super) fn browsers(env: &Environment, name: &HostName, receipt: &Receipt) -> Vec<BrowserFacts> {
    let mut found = Vec::new();
    for browser in BROWSERS {
        let sandboxed = browser.sandboxed(env);
        let chains = lookup::chains(env, browser, name);
        let is_here = browser.found(env).is_some();
        if !is_here && sandboxed.is_none() {
            continue;
        }
        // The manifest of one that is served through a portal lies where that of an ordinary copy would.
        let has_program = env.program(browser.on(env.system).programs).is_some();
        let sandboxed =
            sandboxed.filter(|sandboxed| !is_here || (sandboxed.is_served_outside() && !has_program));
        let inside = sandboxed.as_ref().and_then(|sandboxed| {
            let serving = sandboxed.serving.as_ref()?;
            lookup::see(&serving.hosts.join(name.file()), Scope::User)
        });
        found.push(BrowserFacts {
            name: browser.name.to_owned(),
            title: browser.title.to_owned(),
            family: browser.family,
            system: env.system,
            folder: None,
            sandboxed,
            inside,
            chains,
            policy: Policy::of(env, browser),
            neighbours: lookup::neighbours(env, browser, name),
        });
    }
    let elsewhere = receipt.manifests.iter().filter(|registered| {
        registered.name == name.to_string() && registered.browsers.iter().any(|one| one == USER_DATA_DIR)
    });
    for (index, registered) in elsewhere.enumerate() {
        let name = match index {
            0 => USER_DATA_DIR.to_owned(),
            more => format!("{USER_DATA_DIR}-{}", more + 1),
        };
        let folder = registered.path.parent().and_then(Path::parent);
        found.push(BrowserFacts {
            name,
            title: "a Chromium with --user-data-dir".to_owned(),
            family: Family::Chromium,
            system: env.system,
            folder: folder.map(Path::to_path_buf),
            sandboxed: None,
            inside: None,
            chains: vec![lookup::see(&registered.path, Scope::User).into_iter().collect()],
            policy: Policy::default(),
            neighbours: Vec::new(),
        });
    }
    found
}

/// What apps find that use the SDK for Node.js, if any is registered.
pub(super) fn apps(env: &Environment, name: &HostName, state: &Path) -> Option<BrowserFacts> {
    let chain = lookup::apps(env, state, name);
    if chain.is_empty() {
        return None;
    }
    Some(BrowserFacts {
        name: "apps".to_owned(),
        title: "apps".to_owned(),
        family: Family::App,
        system: env.system,
        folder: None,
        sandboxed: None,
        inside: None,
        chains: vec![chain],
        policy: Policy::default(),
        neighbours: Vec::new(),
    })
}
