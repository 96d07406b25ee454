//! Which program manifests shall name, and whether one that a manifest names is a Longwire.

use std::path::{Path, PathBuf};

use super::model::InstallPaths;
use crate::environment::Environment;
use crate::lookup;
use crate::manifest;
use crate::types::{Scope, System};

/// Where the program is that manifests shall name, and whether it has to be copied there.
pub(super) fn install_path(env: &Environment, paths: &InstallPaths, scope: Scope) -> (PathBuf, bool) {
    let file = if env.system == System::Windows {
        "longwire.exe"
    } else {
        "longwire"
    };
    let copy = paths.state.join("bin").join(file);
    if paths.program == copy {
        return (copy, true);
    }
    let folder = paths.program.parent().unwrap_or(Path::new(""));
    // Homebrew's folder of one version goes with the next version.
    let is_versioned = folder.components().any(|part| part.as_os_str() == "Cellar");
    let for_all = ["usr/bin", "usr/local/bin"]
        .iter()
        .any(|stable| folder == env.root.join(stable))
        || folder.starts_with(env.root.join("opt"))
        || (env.system == System::Windows && folder.starts_with(r"C:\Program Files"));
    let for_one = [".local/bin", ".cargo/bin"]
        .iter()
        .any(|stable| folder == env.home.join(stable));
    // There `install.ps1` puts it, and puts a newer one.
    let for_one =
        for_one || (env.system == System::Windows && folder == env.local.join("Programs").join("Longwire"));
    if !is_versioned && (for_all || (for_one && scope == Scope::User)) {
        (paths.program.clone(), false)
    } else {
        (copy, true)
    }
}

/// The program of the manifest at `path`, if somebody else has written that in the place of ours. One in which only the
/// program was changed by hand is still ours.
pub(super) fn taken_over(path: &Path, program: &Path) -> Option<PathBuf> {
    let text = lookup::read(path).ok()?;
    let other = manifest::program(&text)?;
    (!is_ours(&other, program) && !manifest::is_described_as_ours(&text)).then_some(other)
}

/// Is the program in a manifest a Longwire, wherever it lies?
pub(super) fn is_ours(other: &Path, program: &Path) -> bool {
    other.file_name() == program.file_name()
}
