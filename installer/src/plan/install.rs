//! Plans a registration: the manifests, keys, folders and copies it needs, and the install record.
//!
//! Where browsers look is decided in `targets`.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::model::{Choice, InstallPaths, ManifestChange, Plan, PlanStep, Planned};
use super::program::{install_path, is_ours, taken_over};
use super::targets::{ManifestTarget, targets};
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
    let mut skipped = Vec::new();
    let targets = targets(env, paths, choice, extensions, &mut skipped)?;
    let receipt = Receipt::read(&paths.state)?;
    let (program, copied) = install_path(env, paths, choice.scope);
    let mut planner = InstallPlanner {
        env,
        paths,
        choice,
        extensions,
        program,
        receipt: receipt.clone(),
        folders: Folders::default(),
        manifests: Vec::new(),
        writes: Vec::new(),
        notes: ids_without_browser(extensions, &targets),
    };
    for target in targets {
        planner.add(target)?;
    }
    let mut steps = Vec::new();
    if copied {
        planner.receipt.program = Some(planner.program.clone());
        steps = planner.copy(&planner.program.clone());
    }
    let steps = planner.with_receipt(steps, &receipt)?;
    Ok(Plan {
        name: choice.name.to_string(),
        program: planner.program,
        manifests: planner.manifests,
        skipped,
        notes: planner.notes,
        steps,
    })
}

/// A note for each family of which ids were given and no browser is there.
fn ids_without_browser(extensions: &[ExtensionId], targets: &[ManifestTarget]) -> Vec<String> {
    let mut notes = Vec::new();
    for family in [Family::Chromium, Family::Firefox] {
        let given = extensions.iter().filter(|id| id.family() == family).count();
        if given > 0 && !targets.iter().any(|target| target.family == family) {
            notes.push(format!(
                "{given} {} id(s) were not registered: no such browser was found",
                family.title()
            ));
        }
    }
    notes
}

/// A plan to install in the making.
struct InstallPlanner<'a> {
    env: &'a Environment,
    paths: &'a InstallPaths,
    choice: &'a Choice,
    extensions: &'a [ExtensionId],
    program: PathBuf,
    /// As it will be afterwards.
    receipt: Receipt,
    folders: Folders,
    manifests: Vec<Planned>,
    /// The steps for manifests, keys and copies inside sandboxes.
    writes: Vec<PlanStep>,
    notes: Vec<String>,
}

impl InstallPlanner<'_> {
    /// Plans a manifest with its registry keys.
    fn add(&mut self, target: ManifestTarget) -> Result<(), InstallError> {
        let previous = Previous::read(&target.path)?;
        // Through a link, too.
        let text = fs::read_to_string(&target.path).ok();
        let entries = self.entries(&target, text.as_deref());
        let program = target.copy.as_ref().unwrap_or(&self.program).clone();
        if let Some(inside) = &target.copy {
            let steps = self.copy(inside);
            self.writes.extend(steps);
        }
        let wanted = Manifest::new(target.family, &self.choice.name, &program, entries.clone())?.text();
        let change = match &text {
            Some(text) if *text == wanted => ManifestChange::Keep,
            _ if previous.is_some() => ManifestChange::Update,
            _ => ManifestChange::Create,
        };
        let foreign = previous.filter(|previous| self.is_foreign(&target.path, previous, &program));
        if let Some(other) = text.as_deref().and_then(manifest::program)
            && !is_ours(&other, &program)
            && foreign.is_some()
        {
            self.notes.push(format!(
                "{} pointed to {}; `uninstall` restores it",
                target.path.display(),
                other.display()
            ));
        }
        record(&mut self.receipt, &self.choice.name, &target, foreign);
        if change != ManifestChange::Keep {
            self.write(&target.path, wanted);
        }
        for key in &target.keys {
            self.set_key(&target, key)?;
        }
        self.manifests.push(Planned {
            change,
            path: target.path,
            browsers: target.browsers,
            extensions: entries,
        });
        Ok(())
    }

    /// Who may call afterwards: those of the manifest that is there, and the new ones.
    fn entries(&self, target: &ManifestTarget, text: Option<&str>) -> Vec<String> {
        let ids = self
            .extensions
            .iter()
            .filter(|id| id.family() == target.family)
            .map(ExtensionId::entry);
        let mut entries = text
            .map(|text| manifest::entries(target.family, text))
            .unwrap_or_default();
        for id in ids.chain(hidden(self.env, self.choice, target)) {
            if !entries.contains(&id) {
                entries.push(id);
            }
        }
        entries
    }

    /// Is the file that is there somebody else's, so that uninstalling has to restore it?
    fn is_foreign(&self, path: &Path, previous: &Previous, program: &Path) -> bool {
        let is_known = self.receipt.manifests.iter().any(|other| other.path == path);
        match previous {
            _ if is_known => taken_over(path, program).is_some(),
            Previous::Link(_) => true,
            Previous::Text { text, .. } => {
                !manifest::program(text).is_some_and(|other| is_ours(&other, program))
            }
        }
    }

    fn write(&mut self, path: &Path, text: String) {
        if let Some(parent) = path.parent() {
            let closed = (self.choice.scope == Scope::User).then_some(parent);
            self.writes.extend(self.folders.make(parent, closed));
        }
        self.writes.push(PlanStep::WriteFile {
            path: path.to_path_buf(),
            text,
            mode: 0o644,
        });
    }

    fn set_key(&mut self, target: &ManifestTarget, key: &str) -> Result<(), InstallError> {
        let value = target.path.to_str().ok_or_else(|| InstallError::NotUnicode {
            path: target.path.clone(),
        })?;
        let current = registry::read(key);
        if current.as_deref() != Some(value) {
            for above in registry::missing_above(key) {
                if !self.receipt.keys_above.contains(&above) {
                    self.receipt.keys_above.push(above);
                }
            }
            self.writes.push(PlanStep::SetKey {
                key: key.to_owned(),
                value: value.to_owned(),
            });
        }
        record_key(&mut self.receipt, &self.choice.name, target, key, current);
        Ok(())
    }

    /// Nobody but the user has business in Longwire's own folders, unless all users share them.
    fn closed(&self) -> Option<&'static Path> {
        (self.choice.scope == Scope::User).then_some(Path::new(""))
    }

    /// Steps that put a copy of the program there, unless it lies there already.
    fn copy(&mut self, program: &Path) -> Vec<PlanStep> {
        if same_content(&self.paths.program, program) {
            return Vec::new();
        }
        let parent = program.parent().unwrap_or(Path::new(""));
        let mut steps = self.folders.make(parent, self.closed());
        steps.push(PlanStep::PlaceProgram {
            from: self.paths.program.clone(),
            path: program.to_path_buf(),
        });
        steps
    }

    /// All steps in order, given those for the program. A changed receipt is written as soon as its folder is there.
    fn with_receipt(
        &mut self,
        mut steps: Vec<PlanStep>,
        before: &Receipt,
    ) -> Result<Vec<PlanStep>, InstallError> {
        let state = &self.paths.state;
        let home = self.folders.make(state, self.closed());
        steps.append(&mut self.writes);
        self.receipt.folders.append(&mut self.folders.made);
        if self.receipt == *before {
            return Ok(steps);
        }
        // First of all: whatever happens then, it can be taken back.
        let receipt = PlanStep::WriteFile {
            path: state.join(receipt::FILE),
            text: self.receipt.text(state)?,
            mode: receipt::MODE,
        };
        // The state folder may have been planned as the parent of the program's.
        let own_folder =
            |step: &PlanStep| matches!(step, PlanStep::MakeFolder { path, .. } if state.starts_with(path));
        let (mut outer, rest): (Vec<_>, Vec<_>) = steps.into_iter().chain(home).partition(own_folder);
        // One may have been planned on the way to a manifest: each lies in the one before.
        outer.sort_by_key(depth);
        outer.push(receipt);
        outer.extend(rest);
        Ok(outer)
    }
}

/// Who may call by a manifest for all users that the new one hides: Chromium reads only the first there is.
fn hidden(env: &Environment, choice: &Choice, target: &ManifestTarget) -> Vec<String> {
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

fn record(receipt: &mut Receipt, name: &HostName, target: &ManifestTarget, before: Option<Previous>) {
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

fn record_key(
    receipt: &mut Receipt,
    name: &HostName,
    target: &ManifestTarget,
    key: &str,
    current: Option<String>,
) {
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
fn depth(step: &PlanStep) -> usize {
    match step {
        PlanStep::MakeFolder { path, .. } => path.components().count(),
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
    fn make(&mut self, folder: &Path, closed: Option<&Path>) -> Vec<PlanStep> {
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
                PlanStep::MakeFolder { path, mode }
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
