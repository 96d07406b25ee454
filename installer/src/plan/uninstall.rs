//! Plans the removal of registrations: those in the install record, and those of an install without a record.
//!
//! Files of other products are not touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::model::{Choice, FOLDER, InstallPaths, ManifestChange, Plan, PlanStep, Planned, USER_DATA_DIR};
use super::program::{install_path, is_ours, taken_over};
use crate::browsers::{BROWSERS, Browser, ManifestSource};
use crate::environment::Environment;
use crate::error::InstallError;
use crate::lookup;
use crate::manifest;
use crate::receipt::{self, KeyRegistration, Previous, Receipt, Registration};

/// Plans to take registrations back.
///
/// # Errors
/// When something cannot be read.
pub fn uninstall(env: &Environment, paths: &InstallPaths, choice: &Choice) -> Result<Plan, InstallError> {
    let receipt = Receipt::read(&paths.state)?;
    let (program, _) = install_path(env, paths, choice.scope);
    let mut planner = UninstallPlanner {
        paths,
        choice,
        name: choice.name.to_string(),
        program,
        left: Receipt {
            manifests: Vec::new(),
            keys: Vec::new(),
            ..receipt.clone()
        },
        receipt: &receipt,
        gone: BTreeSet::new(),
        copies: Vec::new(),
        manifests: Vec::new(),
        steps: Vec::new(),
        notes: Vec::new(),
    };
    for registration in receipt.manifests.clone() {
        planner.remove_manifest(registration);
    }
    for registration in receipt.keys.clone() {
        planner.remove_key(registration);
    }
    for (browser, path) in registered(env, choice) {
        planner.remove_unrecorded(browser, path);
    }
    planner.finish()
}

/// A plan to uninstall in the making.
struct UninstallPlanner<'a> {
    paths: &'a InstallPaths,
    choice: &'a Choice,
    name: String,
    program: PathBuf,
    /// As it was read.
    receipt: &'a Receipt,
    /// As it will be afterwards.
    left: Receipt,
    /// Files and folders that will not exist afterwards.
    gone: BTreeSet<PathBuf>,
    /// Steps that remove copies of the program.
    copies: Vec<PlanStep>,
    manifests: Vec<Planned>,
    steps: Vec<PlanStep>,
    notes: Vec<String>,
}

impl UninstallPlanner<'_> {
    /// Does the choice include this browser's registrations?
    fn is_chosen(&self, browser: &str) -> bool {
        let browsers = &self.choice.browsers;
        self.choice.user_data_dir.is_none()
            && (browsers.is_empty() || browsers.iter().any(|chosen| chosen.name == browser))
    }

    /// Plans to take back a manifest that the receipt names, unless other browsers or hosts still need it.
    fn remove_manifest(&mut self, mut registration: Registration) {
        let is_in_given_folder = self
            .choice
            .user_data_dir
            .as_ref()
            .is_some_and(|folder| registration.path == folder.join(FOLDER).join(self.choice.name.file()));
        let is_named = registration.name == self.name;
        let (mut taken, kept): (Vec<_>, Vec<_>) = registration
            .browsers
            .into_iter()
            .partition(|browser| is_named && (is_in_given_folder || self.is_chosen(browser)));
        if !kept.is_empty() {
            if !taken.is_empty() && self.receipt.keys.is_empty() {
                let (path, others) = (registration.path.display(), kept.join(", "));
                self.notes.push(format!("{path} is kept: also used by {others}"));
            }
            registration.browsers = kept;
            self.left.manifests.push(registration);
            return;
        }
        if let Some(copy) = registration.copy {
            self.remove_copy(&registration.path, copy);
        }
        if let Some(other) = taken_over(&registration.path, &self.program) {
            self.notes.push(left_alone(&registration.path, &other));
            return;
        }
        let change = self.restore_or_remove(&registration.path, registration.before);
        taken.dedup();
        self.manifests.push(Planned {
            change,
            path: registration.path,
            browsers: taken,
            extensions: Vec::new(),
        });
    }

    fn restore_or_remove(&mut self, path: &Path, previous: Option<Previous>) -> ManifestChange {
        match previous {
            // Without its folder no browser reads it any more.
            Some(before) if path.parent().is_some_and(Path::is_dir) => {
                let path = path.to_path_buf();
                self.steps.push(PlanStep::RestoreFile { path, before });
                ManifestChange::Restore
            }
            _ => {
                if path.symlink_metadata().is_ok() {
                    let path = path.to_path_buf();
                    self.steps.push(PlanStep::RemoveFile { path });
                }
                self.gone.insert(path.to_path_buf());
                ManifestChange::Remove
            }
        }
    }

    /// Plans to remove the copy of the program that a manifest names, unless another host's manifest names it too.
    fn remove_copy(&mut self, manifest: &Path, copy: PathBuf) {
        let mut others = self
            .receipt
            .manifests
            .iter()
            .filter(|other| other.path != manifest && other.copy.as_ref() == Some(&copy));
        if others.any(|other| other.path.exists()) {
            return;
        }
        if copy.exists() {
            self.copies.push(PlanStep::RemoveProgram { path: copy.clone() });
        }
        self.gone.insert(copy);
    }

    fn remove_key(&mut self, mut registration: KeyRegistration) {
        let is_named = registration.name == self.name;
        registration
            .browsers
            .retain(|browser| !(is_named && self.is_chosen(browser)));
        let key = registration.key.clone();
        if !registration.browsers.is_empty() {
            self.left.keys.push(registration);
        } else if let Some(value) = registration.before {
            self.steps.push(PlanStep::SetKey { key, value });
        } else {
            self.steps.push(PlanStep::RemoveKey { key });
        }
    }

    /// Plans to remove what an install without receipt has left: a manifest is ours if it names our program; others are not touched.
    fn remove_unrecorded(&mut self, browser: &str, path: PathBuf) {
        let is_recorded = self.receipt.manifests.iter().any(|other| other.path == path);
        if is_recorded || self.gone.contains(&path) {
            return;
        }
        let Some(other) = lookup::read(&path).ok().as_deref().and_then(manifest::program) else {
            return;
        };
        if !is_ours(&other, &self.program) {
            self.notes.push(left_alone(&path, &other));
            return;
        }
        self.gone.insert(path.clone());
        self.steps.push(PlanStep::RemoveFile { path: path.clone() });
        self.manifests.push(Planned {
            change: ManifestChange::Remove,
            path,
            browsers: vec![browser.to_owned()],
            extensions: Vec::new(),
        });
    }

    /// The whole plan: after manifests and keys come the receipt, programs and folders.
    fn finish(mut self) -> Result<Plan, InstallError> {
        let is_settled = self.left.is_settled();
        let mut last = Vec::new();
        if is_settled && *self.receipt != Receipt::default() {
            self.remove_receipt(&mut last);
        }
        // Behind all that can be undone: a program that is removed is gone.
        last.append(&mut self.copies);
        self.remove_folders(&mut last);
        self.remove_keys_above(&mut last);
        if !is_settled && self.left != *self.receipt {
            self.steps.push(PlanStep::WriteFile {
                path: self.paths.state.join(receipt::FILE),
                text: self.left.text(&self.paths.state)?,
                mode: receipt::MODE,
            });
        }
        self.steps.extend(last);
        Ok(Plan {
            name: self.name,
            program: self.program,
            manifests: self.manifests,
            skipped: Vec::new(),
            notes: self.notes,
            steps: self.steps,
        })
    }

    /// The receipt goes, and with it the copy of the program that all manifests named.
    fn remove_receipt(&mut self, steps: &mut Vec<PlanStep>) {
        let path = self.paths.state.join(receipt::FILE);
        self.gone.insert(path.clone());
        steps.push(PlanStep::RemoveFile { path });
        if let Some(path) = self.left.program.take() {
            if path.exists() {
                steps.push(PlanStep::RemoveProgram { path: path.clone() });
            }
            self.gone.insert(path);
        }
    }

    fn remove_folders(&mut self, steps: &mut Vec<PlanStep>) {
        let mut kept = Vec::new();
        for folder in self.receipt.folders.iter().rev() {
            if would_be_empty(folder, &self.gone) {
                self.gone.insert(folder.clone());
                steps.push(PlanStep::RemoveFolder { path: folder.clone() });
            } else if folder.is_dir() {
                kept.insert(0, folder.clone());
            }
        }
        self.left.folders = kept;
    }

    fn remove_keys_above(&mut self, steps: &mut Vec<PlanStep>) {
        self.left.keys_above.clear();
        for key in self.receipt.keys_above.iter().rev() {
            let below = format!(r"{key}\");
            let keys = &self.left.keys;
            if keys
                .iter()
                .any(|registration| registration.key.starts_with(&below))
            {
                self.left.keys_above.insert(0, key.clone());
            } else {
                steps.push(PlanStep::RemoveEmptyKey { key: key.clone() });
            }
        }
    }
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
            if let ManifestSource::Folder(base_folder) = hosts {
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
