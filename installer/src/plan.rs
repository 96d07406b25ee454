//! What installing or uninstalling would do, step by step, and in words for people.
//!
//! It reads the file system and writes nothing; `apply` carries the steps out.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::browsers::{BROWSERS, Browser, Family, Hosts, Scope, System};
use crate::error::InstallError;
use crate::manifest::{self, ExtensionId, HostName, Manifest};
use crate::receipt::{self, Before, Made, MadeKey, Receipt};
use crate::registry;
use crate::surroundings::Surroundings;

/// The folder Chromium reads below its user data folder.
const FOLDER: &str = "NativeMessagingHosts";
/// In the place of a browser's name, for a folder given with `--user-data-dir`.
pub const USER_DATA_DIR: &str = "user-data-dir";

/// Which registrations are meant.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The host's name.
    pub name: HostName,
    /// Only these browsers; empty for all.
    pub browsers: Vec<&'static Browser>,
    /// For whom.
    pub scope: Scope,
    /// Only the Chromium that is started with this folder, absolute.
    pub user_data_dir: Option<PathBuf>,
}

/// Longwire's own program and folder.
#[derive(Debug, Clone)]
pub struct Own {
    /// The running program.
    pub program: PathBuf,
    /// Where the receipt and the copy of the program lie.
    pub state: PathBuf,
}

/// One step; each is done wholly or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Step {
    /// Make a folder with this mode.
    MakeFolder { path: PathBuf, mode: u32 },
    /// Put the program in its place, over an older one.
    PlaceProgram { from: PathBuf, path: PathBuf },
    /// Write a file, over what is there.
    WriteFile {
        path: PathBuf,
        #[serde(skip)]
        text: String,
    },
    /// Put back what was there before.
    RestoreFile {
        path: PathBuf,
        #[serde(skip)]
        before: Before,
    },
    /// Remove a file.
    RemoveFile { path: PathBuf },
    /// Set a registry key's default value.
    SetKey { key: String, value: String },
    /// Remove a registry key.
    RemoveKey { key: String },
    /// Remove the copy of the program.
    RemoveProgram { path: PathBuf },
    /// Remove a folder, if nothing is left in it.
    RemoveFolder { path: PathBuf },
}

/// What becomes of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Create,
    Update,
    Keep,
    Remove,
    Restore,
}

/// A manifest in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    pub change: Change,
    pub path: PathBuf,
    pub browsers: Vec<String>,
    /// Who may call, after the change.
    pub extensions: Vec<String>,
}

/// A browser that is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    pub browser: &'static str,
    pub why: String,
}

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub name: String,
    /// The program that the manifests name.
    pub program: PathBuf,
    pub manifests: Vec<Planned>,
    pub skipped: Vec<Skipped>,
    pub notes: Vec<String>,
    pub steps: Vec<Step>,
}

/// A manifest to write, and for whom.
struct Target {
    path: PathBuf,
    family: Family,
    browsers: Vec<String>,
    keys: Vec<String>,
}

/// Plans the registration of extensions.
///
/// # Errors
/// When a browser asked for does not exist or has no id of its family, when there is no browser at all, and when
/// something cannot be read.
pub fn install(
    here: &Surroundings,
    own: &Own,
    choice: &Choice,
    extensions: &[ExtensionId],
) -> Result<Plan, InstallError> {
    let (mut skipped, mut notes) = (Vec::new(), Vec::new());
    let targets = match &choice.user_data_dir {
        Some(folder) => vec![in_user_data_dir(folder, choice, extensions)?],
        None => in_browsers(here, own, choice, extensions, &mut skipped)?,
    };
    if targets.is_empty() {
        return Err(InstallError::NoBrowser);
    }
    for family in [Family::Chromium, Family::Firefox] {
        let given = extensions.iter().filter(|id| id.family() == family).count();
        if given > 0 && !targets.iter().any(|target| target.family == family) {
            notes.push(format!(
                "{given} {} id(s) went nowhere: there is no such browser here",
                family.title()
            ));
        }
    }

    let mut receipt = Receipt::read(&own.state)?;
    let before = receipt.clone();
    let (program, copied) = resting_place(here, own, choice.scope);
    let mut folders = Folders::default();
    let (mut manifests, mut writes) = (Vec::new(), Vec::new());
    for target in targets {
        let ids = extensions
            .iter()
            .filter(|id| id.family() == target.family)
            .map(ExtensionId::entry);
        let there = Before::read(&target.path)?;
        // Through a link, too.
        let text = fs::read_to_string(&target.path).ok();
        let mut entries = text
            .as_deref()
            .map(|text| manifest::entries(target.family, text))
            .unwrap_or_default();
        for id in ids {
            if !entries.contains(&id) {
                entries.push(id);
            }
        }
        let wanted = Manifest::new(target.family, &choice.name, &program, entries.clone())?.text();
        let change = match &text {
            Some(text) if *text == wanted => Change::Keep,
            _ if there.is_some() => Change::Update,
            _ => Change::Create,
        };
        if let Some(other) = text.as_deref().and_then(manifest::program)
            && !is_ours(&other, &program)
        {
            notes.push(format!(
                "{} named {}; uninstall puts it back",
                target.path.display(),
                other.display()
            ));
        }
        let foreign = there.filter(|there| match there {
            Before::Link(_) => true,
            Before::Text { text, .. } => {
                !manifest::program(text).is_some_and(|other| is_ours(&other, &program))
            }
        });
        record(&mut receipt, &choice.name, &target, foreign);
        if change != Change::Keep {
            if let Some(parent) = target.path.parent() {
                let closed = (choice.scope == Scope::User).then_some(parent);
                writes.extend(folders.make(parent, closed));
            }
            writes.push(Step::WriteFile {
                path: target.path.clone(),
                text: wanted,
            });
        }
        for key in &target.keys {
            let value = target.path.to_str().ok_or_else(|| InstallError::NotUnicode {
                path: target.path.clone(),
            })?;
            let current = registry::read(key);
            if current.as_deref() != Some(value) {
                writes.push(Step::SetKey {
                    key: key.clone(),
                    value: value.to_owned(),
                });
            }
            record_key(&mut receipt, &choice.name, &target, key, current);
        }
        manifests.push(Planned {
            change,
            path: target.path,
            browsers: target.browsers,
            extensions: entries,
        });
    }

    let mut steps = Vec::new();
    // Nobody but the user has business in Longwire's own folders, unless all users share them.
    let closed = (choice.scope == Scope::User).then_some(Path::new(""));
    if copied {
        receipt.program = Some(program.clone());
        if !same_content(&own.program, &program) {
            if let Some(parent) = program.parent() {
                steps.extend(folders.make(parent, closed));
            }
            steps.push(Step::PlaceProgram {
                from: own.program.clone(),
                path: program.clone(),
            });
        }
    }
    let home = folders.make(&own.state, closed);
    steps.extend(writes);
    receipt.folders.extend(folders.made);
    if receipt != before {
        // First of all: whatever happens then, it can be taken back.
        let text = receipt.text(&own.state)?;
        let path = own.state.join(receipt::FILE);
        // The state folder may have been planned as the parent of the program's.
        let own_folder =
            |step: &Step| matches!(step, Step::MakeFolder { path, .. } if own.state.starts_with(path));
        let (outer, rest): (Vec<_>, Vec<_>) = steps.into_iter().chain(home).partition(own_folder);
        steps = outer;
        steps.push(Step::WriteFile { path, text });
        steps.extend(rest);
    }
    Ok(Plan {
        name: choice.name.to_string(),
        program,
        manifests,
        skipped,
        notes,
        steps,
    })
}

/// Plans to take registrations back.
///
/// # Errors
/// When something cannot be read.
pub fn uninstall(here: &Surroundings, own: &Own, choice: &Choice) -> Result<Plan, InstallError> {
    let receipt = Receipt::read(&own.state)?;
    let name = choice.name.to_string();
    let (program, _) = resting_place(here, own, choice.scope);
    let (mut manifests, mut steps, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut gone: BTreeSet<PathBuf> = BTreeSet::new();
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
            made.browsers = kept;
            left.manifests.push(made);
            continue;
        }
        let change = match made.before {
            Some(before) => {
                steps.push(Step::RestoreFile {
                    path: made.path.clone(),
                    before,
                });
                Change::Restore
            }
            None => {
                if made.path.symlink_metadata().is_ok() {
                    steps.push(Step::RemoveFile {
                        path: made.path.clone(),
                    });
                }
                gone.insert(made.path.clone());
                Change::Remove
            }
        };
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
    for (browser, path) in registered(here, choice) {
        let known = |made: &Made| made.path == path;
        if receipt.manifests.iter().any(known) || gone.contains(&path) {
            continue;
        }
        let Some(other) = fs::read_to_string(&path)
            .ok()
            .as_deref()
            .and_then(manifest::program)
        else {
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
            notes.push(format!(
                "left alone: {} belongs to {}",
                path.display(),
                other.display()
            ));
        }
    }

    let settled = left.is_settled();
    let mut last = Vec::new();
    if settled && receipt != Receipt::default() {
        let path = own.state.join(receipt::FILE);
        gone.insert(path.clone());
        last.push(Step::RemoveFile { path });
        if let Some(path) = left.program.take() {
            if path.exists() {
                last.push(Step::RemoveProgram { path: path.clone() });
            }
            gone.insert(path);
        }
    }
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
    if !settled && left != receipt {
        steps.push(Step::WriteFile {
            path: own.state.join(receipt::FILE),
            text: left.text(&own.state)?,
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

/// Where manifests of this name lie or would lie, of every browser in the choice.
pub fn registered(here: &Surroundings, choice: &Choice) -> Vec<(&'static str, PathBuf)> {
    let mut found: Vec<(&'static str, PathBuf)> = Vec::new();
    if let Some(folder) = &choice.user_data_dir {
        return vec![(USER_DATA_DIR, folder.join(FOLDER).join(choice.name.file()))];
    }
    let chosen = |browser: &&Browser| {
        choice.browsers.is_empty() || choice.browsers.iter().any(|one| one.name == browser.name)
    };
    for browser in BROWSERS.iter().filter(chosen) {
        for hosts in browser.places(here, choice.scope) {
            if let Hosts::Folder(spot) = hosts {
                let path = here.resolve(spot).join(choice.name.file());
                if !found.iter().any(|(_, other)| *other == path) {
                    found.push((browser.name, path));
                }
            }
        }
    }
    found
}

fn in_user_data_dir(
    folder: &Path,
    choice: &Choice,
    extensions: &[ExtensionId],
) -> Result<Target, InstallError> {
    if extensions.iter().all(|id| id.family() != Family::Chromium) {
        return Err(InstallError::NoIds {
            browser: "a user data folder",
            family: Family::Chromium.title(),
        });
    }
    Ok(Target {
        path: folder.join(FOLDER).join(choice.name.file()),
        family: Family::Chromium,
        browsers: vec![USER_DATA_DIR.to_owned()],
        keys: Vec::new(),
    })
}

fn in_browsers(
    here: &Surroundings,
    own: &Own,
    choice: &Choice,
    extensions: &[ExtensionId],
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Target>, InstallError> {
    let mut targets: Vec<Target> = Vec::new();
    for browser in BROWSERS {
        let asked = choice.browsers.iter().any(|one| one.name == browser.name);
        if !asked && !choice.browsers.is_empty() {
            continue;
        }
        let places = browser.places(here, choice.scope);
        if places.is_empty() {
            if asked {
                return Err(InstallError::NotHere {
                    browser: browser.title,
                });
            }
            continue;
        }
        if !asked && browser.found(here).is_none() {
            if let Some((confined, folder)) = browser.confined(here) {
                skipped.push(Skipped {
                    browser: browser.name,
                    why: format!("it runs inside {confined} and reads only {}", folder.display()),
                });
            }
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
            skipped.push(Skipped {
                browser: browser.name,
                why: format!("no {} extension id was given", family.title()),
            });
            continue;
        }
        for hosts in places {
            let (path, keys) = match hosts {
                Hosts::Folder(spot) => (here.resolve(spot).join(choice.name.file()), Vec::new()),
                Hosts::Key(vendor) => (
                    own.state
                        .join("manifests")
                        .join(family.title().to_lowercase())
                        .join(choice.name.file()),
                    registry::keys(choice.scope, vendor, &choice.name),
                ),
            };
            let title = browser.name.to_owned();
            match targets.iter_mut().find(|target| target.path == path) {
                Some(target) => {
                    if !target.browsers.contains(&title) {
                        target.browsers.push(title);
                    }
                    target.keys.extend(keys);
                    target.keys.sort();
                    target.keys.dedup();
                }
                None => targets.push(Target {
                    path,
                    family,
                    browsers: vec![title],
                    keys,
                }),
            }
        }
    }
    Ok(targets)
}

/// Where the program is that manifests shall name, and whether it has to be copied there.
fn resting_place(here: &Surroundings, own: &Own, scope: Scope) -> (PathBuf, bool) {
    let file = if here.system == System::Windows {
        "longwire.exe"
    } else {
        "longwire"
    };
    let copy = own.state.join("bin").join(file);
    if own.program == copy {
        return (copy, true);
    }
    let folder = own.program.parent().unwrap_or(Path::new(""));
    let for_all = ["usr/bin", "usr/local/bin"]
        .iter()
        .any(|stable| folder == here.root.join(stable))
        || folder.starts_with(here.root.join("opt"))
        || (here.system == System::Windows && folder.starts_with(r"C:\Program Files"));
    let for_one = [".local/bin", ".cargo/bin"]
        .iter()
        .any(|stable| folder == here.home.join(stable));
    if for_all || (for_one && scope == Scope::User) {
        (own.program.clone(), false)
    } else {
        (copy, true)
    }
}

/// Is the program in a manifest a Longwire, wherever it lies?
fn is_ours(other: &Path, program: &Path) -> bool {
    other.file_name() == program.file_name()
}

fn record(receipt: &mut Receipt, name: &HostName, target: &Target, before: Option<Before>) {
    match receipt.manifests.iter_mut().find(|made| made.path == target.path) {
        Some(made) => {
            for browser in &target.browsers {
                if !made.browsers.contains(browser) {
                    made.browsers.push(browser.clone());
                }
            }
        }
        None => receipt.manifests.push(Made {
            name: name.to_string(),
            path: target.path.clone(),
            browsers: target.browsers.clone(),
            before,
        }),
    }
}

fn record_key(receipt: &mut Receipt, name: &HostName, target: &Target, key: &str, current: Option<String>) {
    match receipt.keys.iter_mut().find(|made| made.key == key) {
        Some(made) => {
            for browser in &target.browsers {
                if !made.browsers.contains(browser) {
                    made.browsers.push(browser.clone());
                }
            }
        }
        None => receipt.keys.push(MadeKey {
            name: name.to_string(),
            key: key.to_owned(),
            browsers: target.browsers.clone(),
            before: current.filter(|value| Path::new(value) != target.path),
        }),
    }
}

/// The folders planned so far.
#[derive(Default)]
struct Folders {
    made: Vec<PathBuf>,
}

impl Folders {
    /// Steps that make a folder and those above it, as far as they are missing. With `closed`, folders above it are
    /// closed to others, and so is the folder itself unless it is `closed`.
    fn make(&mut self, folder: &Path, closed: Option<&Path>) -> Vec<Step> {
        let mut missing: Vec<_> = folder
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.is_dir())
            .filter(|path| !self.made.iter().any(|made| made == path))
            .map(Path::to_path_buf)
            .collect();
        missing.reverse();
        self.made.extend(missing.iter().cloned());
        missing
            .into_iter()
            .map(|path| {
                let open = closed.is_none_or(|open| path == open);
                let mode = if open { 0o755 } else { 0o700 };
                Step::MakeFolder { path, mode }
            })
            .collect()
    }
}

/// Would the folder be empty without these?
fn would_be_empty(folder: &Path, gone: &BTreeSet<PathBuf>) -> bool {
    fs::read_dir(folder)
        .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| gone.contains(&entry.path()))))
}

/// Do two files hold the same bytes? If in doubt, no.
fn same_content(one: &Path, other: &Path) -> bool {
    let compare = || -> io::Result<bool> {
        let (one, other) = (File::open(one)?, File::open(other)?);
        if one.metadata()?.len() != other.metadata()?.len() {
            return Ok(false);
        }
        let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
        let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            let read = one.read(&mut left)?;
            if read == 0 {
                return Ok(true);
            }
            other.read_exact(&mut right[..read])?;
            if left[..read] != right[..read] {
                return Ok(false);
            }
        }
    };
    compare().unwrap_or(false)
}
