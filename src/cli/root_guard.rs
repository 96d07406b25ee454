//! Keeps root from using files that another user wrote: that user could make it write, run or remove anything.
//!
//! It looks at owners only, and changes nothing. For other users than root, and on Windows, it does nothing.

use std::path::Path;

use super::error::Failure;

/// Refuses when root would act in a folder that another user could have laid out. `again` is the command to run
/// instead as that user.
#[cfg(unix)]
pub(super) fn check(folders: &[&Path], again: &str) -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    match folders.iter().find_map(|folder| owned_by_other(folder)) {
        None => Ok(()),
        Some((path, owner)) => {
            let shown = path.display();
            Err(Failure::new(format!(
                "{shown} belongs to user {owner}, and root does not use files of other users"
            ))
            .hint(format!("sudo -H -u '#{owner}' {again}"))
            .hint("or omit sudo; for all users add --system"))
        }
    }
}

#[cfg(not(unix))]
pub(super) const fn check(_: &[&Path], _: &str) -> Result<(), Failure> {
    Ok(())
}

/// Whether root may run this program or read this file: no other user can have written it.
#[cfg(unix)]
pub(super) fn is_trusted(path: &Path) -> bool {
    !rustix::process::geteuid().is_root() || owned_by_other(path).is_none()
}

#[cfg(not(unix))]
pub(super) const fn is_trusted(_: &Path) -> bool {
    true
}

/// The first part of the path that belongs to another user than root, and its owner. Links count as they are and as
/// where they lead.
#[cfg(unix)]
fn owned_by_other(path: &Path) -> Option<(std::path::PathBuf, u32)> {
    use std::os::unix::fs::MetadataExt as _;

    let of_another = |part: &Path| {
        let owner = part.symlink_metadata().ok()?.uid();
        (owner != 0).then(|| (part.to_path_buf(), owner))
    };
    let as_given = path.ancestors().collect::<Vec<_>>();
    let existing = as_given.iter().find(|part| part.symlink_metadata().is_ok());
    let real = existing.and_then(|part| part.canonicalize().ok());
    let real = real.iter().flat_map(|real| real.ancestors());
    as_given.iter().rev().copied().chain(real).find_map(of_another)
}
