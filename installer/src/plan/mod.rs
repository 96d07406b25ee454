//! What installing or uninstalling would do, step by step, and in words for people.
//!
//! It reads the file system and writes nothing; `apply` carries the steps out.

mod install;
mod targets;
mod uninstall;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::browsers::{Browser, Scope, System};
use crate::lookup;
use crate::manifest::{self, HostName};
use crate::receipt::Before;
use crate::surroundings::Surroundings;

pub use install::install;
pub use uninstall::uninstall;

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
    /// Browsers inside Flatpak and Snap, too.
    pub sandboxed: bool,
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
    /// Write a file with this mode, over what is there.
    WriteFile {
        path: PathBuf,
        #[serde(skip)]
        text: String,
        #[serde(skip)]
        mode: u32,
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
    /// Remove a registry key, if nothing is left in it.
    RemoveEmptyKey { key: String },
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
    // Homebrew's folder of one version goes with the next version.
    let is_versioned = folder.components().any(|part| part.as_os_str() == "Cellar");
    let for_all = ["usr/bin", "usr/local/bin"]
        .iter()
        .any(|stable| folder == here.root.join(stable))
        || folder.starts_with(here.root.join("opt"))
        || (here.system == System::Windows && folder.starts_with(r"C:\Program Files"));
    let for_one = [".local/bin", ".cargo/bin"]
        .iter()
        .any(|stable| folder == here.home.join(stable));
    // There `install.ps1` puts it, and puts a newer one.
    let for_one =
        for_one || (here.system == System::Windows && folder == here.local.join("Programs").join("Longwire"));
    if !is_versioned && (for_all || (for_one && scope == Scope::User)) {
        (own.program.clone(), false)
    } else {
        (copy, true)
    }
}

/// The program of the manifest at `path`, if somebody else has written that in the place of ours. One in which only the
/// program was changed by hand is still ours.
fn taken_over(path: &Path, program: &Path) -> Option<PathBuf> {
    let text = lookup::read(path).ok()?;
    let other = manifest::program(&text)?;
    (!is_ours(&other, program) && !manifest::is_described_as_ours(&text)).then_some(other)
}

/// Is the program in a manifest a Longwire, wherever it lies?
fn is_ours(other: &Path, program: &Path) -> bool {
    other.file_name() == program.file_name()
}

#[cfg(test)]
mod tests;
