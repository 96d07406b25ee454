//! The programs that manifests name: what they are, which version, and what happens when one is started as a host.
//!
//! Programs inside sandboxes are looked at, and not started outside.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use installer::browsers::Family;

use super::super::facts::{BrowserFacts, LaunchFacts, ManifestLookup, ProgramFacts};
use super::super::{files, launch};
use super::CHECK_TIMEOUT;

/// Hosts started at most: one a program and family is enough, and there are seldom more than two.
const MAX_LAUNCHES: usize = 6;

/// A program as a browser would start it.
pub(super) struct Wanted {
    program: PathBuf,
    family: Family,
    manifest: PathBuf,
    entry: String,
}

pub(super) fn wanted_programs(name: &str, browsers: &[BrowserFacts]) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for browser in browsers {
        for chain in &browser.chains {
            if let ManifestLookup::Good(seen, accepted) = browser.found(name, chain) {
                wanted.push(Wanted {
                    program: accepted.program,
                    family: browser.family,
                    manifest: seen.path.clone(),
                    entry: accepted.entries.into_iter().next().unwrap_or_default(),
                });
            }
        }
    }
    wanted
}

pub(super) async fn programs(name: &str, wanted: &[Wanted], browsers: &[BrowserFacts]) -> Vec<ProgramFacts> {
    let named = wanted.iter().map(|wanted| wanted.program.clone());
    let mut programs = Vec::new();
    for path in unique(named.chain(inside(name, browsers))) {
        let facts = files::program(&path);
        programs.push(ProgramFacts {
            version: version(&facts).await,
            ..facts
        });
    }
    programs
}

/// The programs that manifests inside sandboxes name. They are looked at, and not started outside.
fn inside(name: &str, browsers: &[BrowserFacts]) -> Vec<PathBuf> {
    let all = browsers
        .iter()
        .filter_map(|browser| match browser.found(name, browser.inside.as_slice()) {
            ManifestLookup::Good(_, accepted) => Some(accepted.program),
            _ => None,
        });
    all.collect()
}

fn unique<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut unique, one| {
        if !unique.contains(&one) {
            unique.push(one);
        }
        unique
    })
}

/// The version that a Longwire reports; other programs are not started.
async fn version(program: &ProgramFacts) -> Option<String> {
    let is_longwire = program.path.file_stem().is_some_and(|stem| stem == "longwire");
    if !is_longwire || !program.executable || program.owned_by_other {
        return None;
    }
    let asked = tokio::process::Command::new(&program.path)
        .arg("--version")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(CHECK_TIMEOUT, asked).await.ok()?.ok()?;
    let output = String::from_utf8(output.stdout).ok()?;
    output.trim().strip_prefix("longwire ").map(str::to_owned)
}

pub(super) async fn launches(wanted: &[Wanted], runnable: impl Fn(&Path) -> bool) -> Vec<LaunchFacts> {
    let mut once: Vec<&Wanted> = Vec::new();
    for one in wanted.iter().filter(|one| runnable(&one.program)) {
        let again = once
            .iter()
            .any(|other| (&other.program, other.family) == (&one.program, one.family));
        if !again && once.len() < MAX_LAUNCHES {
            once.push(one);
        }
    }
    let all = once
        .iter()
        .map(|one| launch::launch(&one.program, one.family, &one.manifest, &one.entry, CHECK_TIMEOUT));
    join_all(all).await
}
