//! Plans to take registrations back: what the receipt names, and what an install without a receipt has left.
//!
//! What belongs to others it leaves alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::model::{Change, Choice, FOLDER, InstallPaths, Plan, Planned, Step, USER_DATA_DIR};
use super::program::{install_path, is_ours, taken_over};
use crate::browsers::{BROWSERS, Browser, Hosts};
use crate::environment::Environment;
use crate::error::InstallError;
use crate::lookup;
use crate::manifest;
use crate::receipt::{self, Receipt, Registration};

/// Plans to take registrations back.
///
/// # Errors
/// When something cannot be read.
pub fn uninstall(env: &Environment, paths: &InstallPaths, choice: &Choice) -> Result<Plan, InstallError> {
    let receipt = Receipt::read(&paths.state)?;
    let name = choice.name.to_string();
    let (program, _) = install_path(env, paths, choice.scope);
    let (mut manifests, mut steps, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut gone: BTreeSet<PathBuf> = BTreeSet::new();
    let mut copies = Vec::new();
    let mut left = Receipt {
        manifests: Vec::new(),
        keys: Vec::new(),
        ..receipt.clone()
    };

    let wanted = |browser: &String| {
        choice.user_data_dir.is_none()
            && (choice.browsers.is_empty() || choice.browsers.iter().any(|chosen| chosen.name == browser))
    };
    for mut made in receipt.manifests.clone() {
        let given = choice
            .user_data_dir
            .as_ref()
            .is_some_and(|folder| made.path == folder.join(FOLDER).join(choice.name.file()));
        let (mut taken, kept): (Vec<_>, Vec<_>) = made
            .browsers
            .into_iter()
            .partition(|browser| made.name == name && (given || wanted(browser)));
        if !kept.is_empty() {
            if !taken.is_empty() && receipt.keys.is_empty() {
                let (path, others) = (made.path.display(), kept.join(", "));
                notes.push(format!("{path} stays: it is for {others}, too"));
            }
            made.browsers = kept;
            left.manifests.push(made);
            continue;
        }
        let other = taken_over(&made.path, &program);
        let change = match made.before {
            _ if other.is_some() => Change::Keep,
            // Without its folder nobody reads it any more.
            Some(before) if made.path.parent().is_some_and(Path::is_dir) => {
                steps.push(Step::RestoreFile {
                    path: made.path.clone(),
                    before,
                });
                Change::Restore
            }
            _ => {
                if made.path.symlink_metadata().is_ok() {
                    steps.push(Step::RemoveFile {
                        path: made.path.clone(),
                    });
                }
                gone.insert(made.path.clone());
                Change::Remove
            }
        };
        // Another name may have the same copy.
        let copy = made.copy.filter(|copy| {
            let others = receipt.manifests.iter().filter(|other| other.path != made.path);
            !others
                .filter(|other| other.copy.as_ref() == Some(copy))
                .any(|other| other.path.exists())
        });
        if let Some(copy) = copy {
            if copy.exists() {
                copies.push(Step::RemoveProgram { path: copy.clone() });
            }
            gone.insert(copy);
        }
        if let Some(other) = other {
            notes.push(left_alone(&made.path, &other));
            continue;
        }
        taken.dedup();
        manifests.push(Planned {
            change,
            path: made.path,
            browsers: taken,
            extensions: Vec::new(),
        });
    }
    for mut made in receipt.keys.clone() {
        let chosen = made.name == name;
        made.browsers.retain(|browser| !(chosen && wanted(browser)));
        if !made.browsers.is_empty() {
            left.keys.push(made);
        } else if let Some(value) = made.before {
            steps.push(Step::SetKey { key: made.key, value });
        } else {
            steps.push(Step::RemoveKey { key: made.key });
        }
    }

    // What an install without receipt has left: ours by its program, nobody's business otherwise.
    for (browser, path) in registered(env, choice) {
        let known = |made: &Registration| made.path == path;
        if receipt.manifests.iter().any(known) || gone.contains(&path) {
            continue;
        }
        let Some(other) = lookup::read(&path).ok().as_deref().and_then(manifest::program) else {
            continue;
        };
        if is_ours(&other, &program) {
            gone.insert(path.clone());
            steps.push(Step::RemoveFile { path: path.clone() });
            manifests.push(Planned {
                change: Change::Remove,
                path,
                browsers: vec![browser.to_owned()],
                extensions: Vec::new(),
            });
        } else {
            notes.push(left_alone(&path, &other));
        }
    }

    let settled = left.is_settled();
    let mut last = Vec::new();
    if settled && receipt != Receipt::default() {
        let path = paths.state.join(receipt::FILE);
        gone.insert(path.clone());
        last.push(Step::RemoveFile { path });
        if let Some(path) = left.program.take() {
            if path.exists() {
                last.push(Step::RemoveProgram { path: path.clone() });
            }
            gone.insert(path);
        }
    }
    // Behind all that can be undone: a program that is removed is gone.
    last.extend(copies);
    let mut kept = Vec::new();
    for folder in receipt.folders.iter().rev() {
        if would_be_empty(folder, &gone) {
            gone.insert(folder.clone());
            last.push(Step::RemoveFolder { path: folder.clone() });
        } else if folder.is_dir() {
            kept.insert(0, folder.clone());
        }
    }
    left.folders = kept;
    left.keys_above.clear();
    for key in receipt.keys_above.iter().rev() {
        let below = format!(r"{key}\");
        if left.keys.iter().any(|made| made.key.starts_with(&below)) {
            left.keys_above.insert(0, key.clone());
        } else {
            last.push(Step::RemoveEmptyKey { key: key.clone() });
        }
    }
    if !settled && left != receipt {
        steps.push(Step::WriteFile {
            path: paths.state.join(receipt::FILE),
            text: left.text(&paths.state)?,
            mode: receipt::MODE,
        });
    }
    steps.extend(last);
    Ok(Plan {
        name,
        program,
        manifests,
        skipped: Vec::new(),
        notes,
        steps,
    })
}

fn left_alone(path: &Path, other: &Path) -> String {
    format!("left alone: {} belongs to {}", path.display(), other.display())
}

/// Where manifests of this name lie or would lie, of every browser in the choice.
fn registered(env: &Environment, choice: &Choice) -> Vec<(&'static str, PathBuf)> {
    let mut found: Vec<(&'static str, PathBuf)> = Vec::new();
    if let Some(folder) = &choice.user_data_dir {
        return vec![(USER_DATA_DIR, folder.join(FOLDER).join(choice.name.file()))];
    }
    let chosen = |browser: &&Browser| {
        choice.browsers.is_empty() || choice.browsers.iter().any(|one| one.name == browser.name)
    };
    for browser in BROWSERS.iter().filter(chosen) {
        for hosts in browser.places(env, choice.scope) {
            if let Hosts::Folder(base_folder) = hosts {
                let path = env.resolve(base_folder).join(choice.name.file());
                if !found.iter().any(|(_, other)| *other == path) {
                    found.push((browser.name, path));
                }
            }
        }
    }
    found
}

/// Would the folder be empty without these?
fn would_be_empty(folder: &Path, gone: &BTreeSet<PathBuf>) -> bool {
    fs::read_dir(folder)
        .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| gone.contains(&entry.path()))))
}
