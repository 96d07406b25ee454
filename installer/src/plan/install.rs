//! Plans a registration: which manifests, keys, folders and copies it takes, and what the receipt will say.
//!
//! Where browsers look is decided in `targets`.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::model::{Change, Choice, InstallPaths, Plan, Planned, Step};
use super::program::{install_path, is_ours, taken_over};
use super::targets::{Target, targets};
use crate::browsers::Browser;
use crate::environment::Environment;
use crate::error::InstallError;
use crate::lookup;
use crate::manifest::{self, ExtensionId, HostName, Manifest};
use crate::receipt::{self, KeyRegistration, Previous, Receipt, Registration};
use crate::registry;
use crate::types::{Family, Scope};

/// Plans the registration of extensions.
///
/// # Errors
/// When a browser asked for does not exist or has no id of its family, when there is no browser at all, and when
/// something cannot be read.
pub fn install(
    env: &Environment,
    paths: &InstallPaths,
    choice: &Choice,
    extensions: &[ExtensionId],
) -> Result<Plan, InstallError> {
    let (mut skipped, mut notes) = (Vec::new(), Vec::new());
    let targets = targets(env, paths, choice, extensions, &mut skipped)?;
    for family in [Family::Chromium, Family::Firefox] {
        let given = extensions.iter().filter(|id| id.family() == family).count();
        if given > 0 && !targets.iter().any(|target| target.family == family) {
            notes.push(format!(
                "{given} {} id(s) went nowhere: there is no such browser here",
                family.title()
            ));
        }
    }

    let mut receipt = Receipt::read(&paths.state)?;
    let before = receipt.clone();
    let (program, copied) = install_path(env, paths, choice.scope);
    let mut folders = Folders::default();
    let (mut manifests, mut writes) = (Vec::new(), Vec::new());
    // Nobody but the user has business in Longwire's own folders, unless all users share them.
    let closed = (choice.scope == Scope::User).then_some(Path::new(""));
    for target in targets {
        let ids = extensions
            .iter()
            .filter(|id| id.family() == target.family)
            .map(ExtensionId::entry);
        let there = Previous::read(&target.path)?;
        // Through a link, too.
        let text = fs::read_to_string(&target.path).ok();
        let mut entries = text
            .as_deref()
            .map(|text| manifest::entries(target.family, text))
            .unwrap_or_default();
        for id in ids.chain(hidden(env, choice, &target)) {
            if !entries.contains(&id) {
                entries.push(id);
            }
        }
        let program = target.copy.as_ref().unwrap_or(&program);
        if let Some(inside) = &target.copy {
            writes.extend(copy(paths, inside, &mut folders, closed));
        }
        let wanted = Manifest::new(target.family, &choice.name, program, entries.clone())?.text();
        let change = match &text {
            Some(text) if *text == wanted => Change::Keep,
            _ if there.is_some() => Change::Update,
            _ => Change::Create,
        };
        let is_known = receipt.manifests.iter().any(|made| made.path == target.path);
        let foreign = there.filter(|there| match there {
            _ if is_known => taken_over(&target.path, program).is_some(),
            Previous::Link(_) => true,
            Previous::Text { text, .. } => {
                !manifest::program(text).is_some_and(|other| is_ours(&other, program))
            }
        });
        if let Some(other) = text.as_deref().and_then(manifest::program)
            && !is_ours(&other, program)
            && foreign.is_some()
        {
            notes.push(format!(
                "{} named {}; uninstall puts it back",
                target.path.display(),
                other.display()
            ));
        }
        record(&mut receipt, &choice.name, &target, foreign);
        if change != Change::Keep {
            if let Some(parent) = target.path.parent() {
                let closed = (choice.scope == Scope::User).then_some(parent);
                writes.extend(folders.make(parent, closed));
            }
            writes.push(Step::WriteFile {
                path: target.path.clone(),
                text: wanted,
                mode: 0o644,
            });
        }
        for key in &target.keys {
            let value = target.path.to_str().ok_or_else(|| InstallError::NotUnicode {
                path: target.path.clone(),
            })?;
            let current = registry::read(key);
            if current.as_deref() != Some(value) {
                for above in registry::missing_above(key) {
                    if !receipt.keys_above.contains(&above) {
                        receipt.keys_above.push(above);
                    }
                }
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
    if copied {
        receipt.program = Some(program.clone());
        steps.extend(copy(paths, &program, &mut folders, closed));
    }
    let home = folders.make(&paths.state, closed);
    steps.extend(writes);
    receipt.folders.extend(folders.made);
    if receipt != before {
        // First of all: whatever happens then, it can be taken back.
        let text = receipt.text(&paths.state)?;
        let path = paths.state.join(receipt::FILE);
        // The state folder may have been planned as the parent of the program's.
        let own_folder =
            |step: &Step| matches!(step, Step::MakeFolder { path, .. } if paths.state.starts_with(path));
        let (mut outer, rest): (Vec<_>, Vec<_>) = steps.into_iter().chain(home).partition(own_folder);
        // One may have been planned on the way to a manifest: each lies in the one before.
        outer.sort_by_key(depth);
        steps = outer;
        steps.push(Step::WriteFile {
            path,
            text,
            mode: receipt::MODE,
        });
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

/// Who may call by a manifest for all users that the new one hides: Chromium reads only the first there is.
fn hidden(env: &Environment, choice: &Choice, target: &Target) -> Vec<String> {
    if choice.scope == Scope::System || target.family != Family::Chromium || target.copy.is_some() {
        return Vec::new();
    }
    let browsers = target
        .browsers
        .iter()
        .filter_map(|name| Browser::named(name).ok());
    let mut entries = Vec::new();
    for browser in browsers {
        let seen = lookup::chains(env, browser, &choice.name).into_iter().flatten();
        let first = seen
            .filter(|seen| seen.scope == Scope::System)
            .find_map(|seen| seen.text.ok());
        entries.extend(
            first
                .map(|text| manifest::entries(target.family, &text))
                .unwrap_or_default(),
        );
    }
    entries
}

/// Steps that put a copy of the program there, unless it lies there already.
fn copy(paths: &InstallPaths, program: &Path, folders: &mut Folders, closed: Option<&Path>) -> Vec<Step> {
    if same_content(&paths.program, program) {
        return Vec::new();
    }
    let parent = program.parent().unwrap_or(Path::new(""));
    let mut steps = folders.make(parent, closed);
    steps.push(Step::PlaceProgram {
        from: paths.program.clone(),
        path: program.to_path_buf(),
    });
    steps
}

fn record(receipt: &mut Receipt, name: &HostName, target: &Target, before: Option<Previous>) {
    match receipt.manifests.iter_mut().find(|made| made.path == target.path) {
        Some(made) => {
            for browser in &target.browsers {
                if !made.browsers.contains(browser) {
                    made.browsers.push(browser.clone());
                }
            }
            // Somebody has put another in the place of ours.
            if before.is_some() {
                made.before = before;
            }
        }
        None => receipt.manifests.push(Registration {
            name: name.to_string(),
            path: target.path.clone(),
            browsers: target.browsers.clone(),
            copy: target.copy.clone(),
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
        None => receipt.keys.push(KeyRegistration {
            name: name.to_string(),
            key: key.to_owned(),
            browsers: target.browsers.clone(),
            before: current.filter(|value| Path::new(value) != target.path),
        }),
    }
}

/// How deep a folder lies that is to be made.
fn depth(step: &Step) -> usize {
    match step {
        Step::MakeFolder { path, .. } => path.components().count(),
        _ => 0,
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
