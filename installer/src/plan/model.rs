//! The types of a plan.

use std::path::PathBuf;

use serde::Serialize;

use crate::browsers::Browser;
use crate::manifest::HostName;
use crate::receipt::Previous;
use crate::types::Scope;

/// The folder Chromium reads below its user data folder.
pub(super) const FOLDER: &str = "NativeMessagingHosts";
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
pub struct InstallPaths {
    /// The running program.
    pub program: PathBuf,
    /// Where the receipt and the copy of the program lie.
    pub state: PathBuf,
}

/// One step; each is done wholly or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum PlanStep {
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
        before: Previous,
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
pub enum ManifestChange {
    Create,
    Update,
    Keep,
    Remove,
    Restore,
}

/// A manifest in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    pub change: ManifestChange,
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
    pub steps: Vec<PlanStep>,
}
