//! The few file operations that journals need, with their modes: 0600 files in 0700 folders.
//!
//! It does not know what the bytes mean. In tests any operation can be made to fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Makes a folder that only its owner may enter. One that is there already is fine.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes a new file that only its owner may read; one left over by a crash under this name is replaced.
pub(super) fn create(path: &Path) -> io::Result<File> {
    #[cfg(test)]
    faults::meet("create")?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    options().write(true).create_new(true).open(path)
}

/// Opens the lock file, making it if need be.
pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    options().write(true).create(true).truncate(false).open(path)
}

/// Opens a file to write on from `at`.
pub(super) fn open_at(path: &Path, at: u64) -> io::Result<File> {
    let mut file = options().write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    Ok(file)
}

fn options() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Hands all bytes to the system.
pub(super) fn write(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    #[cfg(test)]
    if let Err(error) = faults::meet("write") {
        // A full disk takes part of a write before it refuses the rest.
        file.write_all(&bytes[..bytes.len() / 2])?;
        return Err(error);
    }
    file.write_all(bytes)
}

/// Has the file's bytes on the disk itself.
pub(super) fn sync(file: &File) -> io::Result<()> {
    #[cfg(test)]
    faults::meet("sync")?;
    file.sync_data()
}

/// Has a folder's list of names on the disk itself. Windows does so by itself.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    faults::meet("sync")?;
    #[cfg(unix)]
    return File::open(path)?.sync_all();
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

/// Whether an open file has lost its name: it was removed. Always `false` where that cannot happen.
pub(super) fn is_removed(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    return Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) == 0);
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(false)
    }
}

/// Failures to order, for tests of this thread.
#[cfg(test)]
pub(super) mod faults {
    use std::cell::RefCell;
    use std::io;

    thread_local! {
        static NEXT: RefCell<Option<(&'static str, u32)>> = const { RefCell::new(None) };
    }

    /// The `nth` next operation of this name (from 1), and all after it, fail as on a full disk.
    pub(in crate::journal) fn fail(operation: &'static str, nth: u32) {
        NEXT.with(|next| *next.borrow_mut() = Some((operation, nth)));
    }

    /// No more failures.
    pub(in crate::journal) fn stop() {
        NEXT.with(|next| *next.borrow_mut() = None);
    }

    pub(super) fn meet(operation: &str) -> io::Result<()> {
        NEXT.with(|next| match &mut *next.borrow_mut() {
            Some((wanted, left)) if *wanted == operation => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
                Ok(())
            }
            _ => Ok(()),
        })
    }
}
