//! Which manifests a choice of browsers comes to: each place once, with the browsers that read it.
//!
//! It plans no step and reads no manifest.

use std::path::{Path, PathBuf};

use super::model::{Choice, FOLDER, InstallPaths, Skipped, USER_DATA_DIR};
use crate::browsers::{BROWSERS, Browser, ManifestSource, Sandboxed, Serving};
use crate::environment::Environment;
use crate::error::InstallError;
use crate::lookup;
use crate::manifest::ExtensionId;
use crate::registry;
use crate::types::{Family, Scope};

/// A manifest to write, and for whom.
pub(super) struct ManifestTarget {
    pub(super) path: PathBuf,
    pub(super) family: Family,
    pub(super) browsers: Vec<String>,
    pub(super) keys: Vec<String>,
    /// The copy of the program that it names, if not the one that all name.
    pub(super) copy: Option<PathBuf>,
}

/// The manifests to write; browsers that are skipped are reported.
pub(super) fn targets(
    env: &Environment,
    paths: &InstallPaths,
    choice: &Choice,
    extensions: &[ExtensionId],
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<ManifestTarget>, InstallError> {
    let has_apps = extensions.iter().any(|id| id.family() == Family::App);
    let has_extensions = extensions.iter().any(|id| id.family() != Family::App);
    let mut targets = match &choice.user_data_dir {
        Some(folder) => vec![in_user_data_dir(folder, choice, extensions)?],
        None if !has_extensions && choice.browsers.is_empty() => Vec::new(),
        None => in_browsers(env, paths, choice, extensions, skipped)?,
    };
    if has_apps {
        targets.push(for_apps(env, paths, choice));
    }
    if targets.is_empty() {
        return Err(InstallError::NoBrowser);
    }
    Ok(targets)
}

/// The manifest that the SDK for Node.js reads, in Longwire's own folder or the system's.
fn for_apps(env: &Environment, paths: &InstallPaths, choice: &Choice) -> ManifestTarget {
    ManifestTarget {
        path: lookup::apps_folder(env, &paths.state, choice.scope).join(choice.name.file()),
        family: Family::App,
        browsers: vec!["apps".to_owned()],
        keys: Vec::new(),
        copy: None,
    }
}

fn in_user_data_dir(
    folder: &Path,
    choice: &Choice,
    extensions: &[ExtensionId],
) -> Result<ManifestTarget, InstallError> {
    if extensions.iter().all(|id| id.family() != Family::Chromium) {
        return Err(InstallError::NoIds {
            browser: "a user data folder",
            family: Family::Chromium.title(),
        });
    }
    Ok(ManifestTarget {
        path: folder.join(FOLDER).join(choice.name.file()),
        family: Family::Chromium,
        browsers: vec![USER_DATA_DIR.to_owned()],
        keys: Vec::new(),
        copy: None,
    })
}

fn in_browsers(
    env: &Environment,
    paths: &InstallPaths,
    choice: &Choice,
    extensions: &[ExtensionId],
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<ManifestTarget>, InstallError> {
    let mut targets: Vec<ManifestTarget> = Vec::new();
    for browser in BROWSERS {
        let asked = choice.browsers.iter().any(|one| one.name == browser.name);
        if !asked && !choice.browsers.is_empty() {
            continue;
        }
        let places = browser.places(env, choice.scope);
        if places.is_empty() {
            if asked {
                return Err(InstallError::NotHere {
                    browser: browser.title,
                });
            }
            continue;
        }
        let is_here = browser.found(env).is_some();
        let sandboxed = browser.sandboxed(env).filter(|_| choice.scope == Scope::User);
        if !choice.sandboxed {
            let is_served_outside = sandboxed.as_ref().is_some_and(Sandboxed::is_served_outside);
            if !asked && !is_here && !is_served_outside {
                skipped.extend(sandboxed.map(|sandboxed| passed_over(browser, &sandboxed)));
                continue;
            }
        } else if !is_here && sandboxed.is_none() && !asked {
            continue;
        }
        let family = browser.family;
        if extensions.iter().all(|id| id.family() != family) {
            if asked {
                return Err(InstallError::NoIds {
                    browser: browser.title,
                    family: family.title(),
                });
            }
            skipped.push(without_id(browser));
            continue;
        }
        let serving = sandboxed
            .filter(|_| choice.sandboxed)
            .and_then(|sandboxed| sandboxed.serving);
        if let Some(serving) = &serving {
            targets.push(in_sandbox(choice, browser, serving));
            if !is_here {
                continue;
            }
        }
        for hosts in places {
            merge(&mut targets, target(env, paths, choice, browser, hosts));
        }
    }
    Ok(targets)
}

/// The manifest of a browser that runs inside a sandbox.
fn in_sandbox(choice: &Choice, browser: &Browser, serving: &Serving) -> ManifestTarget {
    ManifestTarget {
        path: serving.hosts.join(choice.name.file()),
        family: browser.family,
        browsers: vec![browser.name.to_owned()],
        keys: Vec::new(),
        copy: serving.copy.clone(),
    }
}

/// The manifest of a browser in one of the places that it reads.
fn target(
    env: &Environment,
    paths: &InstallPaths,
    choice: &Choice,
    browser: &Browser,
    hosts: ManifestSource,
) -> ManifestTarget {
    let family = browser.family;
    let (folder, keys) = match hosts {
        ManifestSource::Folder(base_folder) => (env.resolve(base_folder), Vec::new()),
        ManifestSource::Key(vendor) => (
            paths.state.join("manifests").join(family.title().to_lowercase()),
            registry::keys(choice.scope, vendor, &choice.name),
        ),
    };
    ManifestTarget {
        path: folder.join(choice.name.file()),
        family,
        browsers: vec![browser.name.to_owned()],
        keys,
        copy: None,
    }
}

/// Adds a target; several browsers may read the same manifest.
fn merge(targets: &mut Vec<ManifestTarget>, new: ManifestTarget) {
    let Some(target) = targets.iter_mut().find(|target| target.path == new.path) else {
        targets.push(new);
        return;
    };
    for browser in new.browsers {
        if !target.browsers.contains(&browser) {
            target.browsers.push(browser);
        }
    }
    target.keys.extend(new.keys);
    target.keys.sort();
    target.keys.dedup();
}

fn without_id(browser: &Browser) -> Skipped {
    Skipped {
        browser: browser.name,
        why: format!("no {} extension id was specified", browser.family.title()),
    }
}

fn passed_over(browser: &Browser, sandboxed: &Sandboxed) -> Skipped {
    let advice = match &sandboxed.serving {
        Some(_) => "use --sandboxed to register it there",
        None => "install it as a system package",
    };
    Skipped {
        browser: browser.name,
        why: format!(
            "it runs inside {} and uses only {}; {advice}",
            sandboxed.by,
            sandboxed.folder.display()
        ),
    }
}
