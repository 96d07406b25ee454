//! Queries of files and folders: type, owner and permissions, free space.
//!
//! It changes nothing: whether a folder can be written is asked, not tried.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::facts::{PathFacts, ProgramFacts, Unwritable};
use super::program::{HEAD_BYTES, ProgramKind};

/// Folders deep that sizes are counted.
const MAX_DEPTH: usize = 8;

/// Looks at a program; its version is asked elsewhere.
pub(super) fn program(path: &Path) -> ProgramFacts {
    let mut head = Vec::new();
    let kind = fs::metadata(path)
        .and_then(|found| {
            if found.is_file() {
                File::open(path)?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
                Ok(())
            } else {
                Err(std::io::Error::other("it is not a file"))
            }
        })
        .map(|()| ProgramKind::of(&head))
        .map_err(|error| error.to_string());
    ProgramFacts {
        path: path.to_path_buf(),
        kind,
        executable: is_executable(path),
        noexec: crate::cli::startable::is_noexec(path),
        open_to_all: is_open_to_all(path),
        owned_by_other: !crate::cli::root_guard::is_trusted(path),
        quarantined: is_quarantined(path),
        version: None,
    }
}

/// A file or folder, links not followed; nothing there is `None`.
pub(super) fn place(path: &Path) -> Option<PathFacts> {
    let found = path.symlink_metadata().ok()?;
    Some(PathFacts {
        path: path.to_path_buf(),
        own: is_owned_by_user(&found),
        folder: found.is_dir(),
        mode: mode(&found),
    })
}

/// Why nothing can be written in this folder, or in the one in which it would be made.
pub(super) fn writing_problem(folder: &Path) -> Option<Unwritable> {
    let there = folder.ancestors().find(|path| path.symlink_metadata().is_ok())?;
    if !there.is_dir() {
        return Some(Unwritable::NoFolder(there.to_path_buf()));
    }
    let error = may_write(there).err()?;
    if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem {
        return Some(Unwritable::ReadOnly(there.to_path_buf()));
    }
    let why = error.to_string();
    let is_owned_by_other =
        there != folder && !fs::metadata(there).is_ok_and(|found| is_owned_by_user(&found));
    Some(if is_owned_by_other {
        Unwritable::OwnedByOther(there.to_path_buf(), why)
    } else {
        Unwritable::Closed(there.to_path_buf(), why)
    })
}

/// Bytes of all files in a folder.
pub(super) fn size(folder: &Path) -> u64 {
    let mut waiting: Vec<(PathBuf, usize)> = vec![(folder.to_path_buf(), 0)];
    let mut sum = 0;
    while let Some((folder, depth)) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() && depth < MAX_DEPTH => waiting.push((entry.path(), depth + 1)),
                Ok(found) if found.is_file() => sum += found.len(),
                _ => {}
            }
        }
    }
    sum
}

/// Bytes that this user may still write on the disk that holds, or would hold, this folder.
pub(super) fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|path| path.is_dir())?;
    free_at(there)
}

#[cfg(unix)]
fn free_at(folder: &Path) -> Option<u64> {
    let stats = rustix::fs::statvfs(folder).ok()?;
    Some(stats.f_bavail.saturating_mul(stats.f_frsize))
}

#[cfg(windows)]
#[expect(unsafe_code, reason = "a system call")]
fn free_at(folder: &Path) -> Option<u64> {
    use std::os::windows::ffi::OsStrExt as _;
    use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;

    let wide: Vec<u16> = folder.as_os_str().encode_wide().chain([0]).collect();
    let mut free = 0;
    // SAFETY: the path ends with a zero and outlives the call; `free` is a u64 to be written, the others may be null.
    let done = unsafe {
        GetDiskFreeSpaceExW(
            wide.as_ptr(),
            &raw mut free,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
    (done != 0).then_some(free)
}

#[cfg(unix)]
fn may_write(folder: &Path) -> std::io::Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let asked = Access::WRITE_OK | Access::EXEC_OK;
    Ok(accessat(CWD, folder, asked, AtFlags::empty())?)
}

#[cfg(windows)]
fn may_write(folder: &Path) -> std::io::Result<()> {
    // Who may write stands in descriptors that only a trial reads rightly; the user's profile is the user's own.
    fs::metadata(folder).map(drop)
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()).is_ok()
}

#[cfg(windows)]
fn is_executable(path: &Path) -> bool {
    let known = ["exe", "com", "bat", "cmd"];
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| known.contains(&extension.to_lowercase().as_str()))
}

#[cfg(unix)]
fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).is_ok_and(|found| found.mode() & 0o002 != 0)
}

#[cfg(windows)]
fn is_open_to_all(_: &Path) -> bool {
    false
}

#[cfg(target_os = "macos")]
fn is_quarantined(path: &Path) -> bool {
    rustix::fs::getxattr(path, "com.apple.quarantine", &mut [0_u8; 256]).is_ok()
}

/// What a browser has downloaded carries a stream that says so.
#[cfg(windows)]
fn is_quarantined(path: &Path) -> bool {
    let mut stream = path.as_os_str().to_owned();
    stream.push(":Zone.Identifier");
    fs::read_to_string(stream).is_ok_and(|text| text.contains("ZoneId=3") || text.contains("ZoneId=4"))
}

#[cfg(not(any(windows, target_os = "macos")))]
const fn is_quarantined(_: &Path) -> bool {
    false
}

#[cfg(unix)]
fn is_owned_by_user(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(windows)]
fn is_owned_by_user(_: &fs::Metadata) -> bool {
    true
}

#[cfg(unix)]
fn mode(found: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(found.mode() & 0o7777)
}

#[cfg(windows)]
fn mode(_: &fs::Metadata) -> Option<u32> {
    None
}
