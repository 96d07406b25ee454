//! The install lock: two that plan and write at once would lose each other's ids, or leave half of each.
//!
//! It plans and writes nothing. The lock goes with the process that holds it, and leaves no file behind.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::InstallError;

/// How long another may take: copying the program is the longest of it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a held lock is tried again.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The right to read, plan and write registrations; it ends when this is dropped.
#[derive(Debug)]
pub struct InstallLock {
    /// Where nothing can be locked, such as on some network disks, there is nothing to hold.
    _file: Option<File>,
}

impl InstallLock {
    /// Locks the registrations below this folder, waiting at most 30 s for whoever holds the lock.
    ///
    /// # Errors
    /// When another process has held the lock all that time.
    pub fn acquire(folder: &Path) -> Result<Self, InstallError> {
        Self::acquire_within(folder, LOCK_TIMEOUT)
    }

    fn acquire_within(folder: &Path, timeout: Duration) -> Result<Self, InstallError> {
        let until = Instant::now() + timeout;
        loop {
            match try_lock(folder) {
                Ok(file) => return Ok(Self { _file: Some(file) }),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Ok(Self { _file: None }),
                Err(_) if Instant::now() >= until => {
                    return Err(InstallError::Busy {
                        folder: folder.to_path_buf(),
                        seconds: timeout.as_secs(),
                    });
                }
                Err(_) => std::thread::sleep(POLL_INTERVAL),
            }
        }
    }
}

/// Locks the folder itself, or the one in which it would be made.
#[cfg(unix)]
fn try_lock(folder: &Path) -> io::Result<File> {
    let there = folder.ancestors().find(|path| path.is_dir());
    let file = File::open(there.unwrap_or(folder))?;
    file.try_lock()?;
    Ok(file)
}

/// Folders cannot be locked there: a file of the user's that nobody else can open, and that goes when it is closed.
#[cfg(windows)]
fn try_lock(_: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt as _;
    const READ_WRITE_DELETE: u32 = 0xC001_0000;
    const DELETE_ON_CLOSE: u32 = 0x0400_0000;
    // Somebody has it open; or it is just going.
    const SHARING_VIOLATION: i32 = 32;
    const ACCESS_DENIED: i32 = 5;
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .access_mode(READ_WRITE_DELETE)
        .share_mode(0)
        .custom_flags(DELETE_ON_CLOSE)
        .open(std::env::temp_dir().join("longwire-install.lock"));
    opened.map_err(|error| match error.raw_os_error() {
        Some(SHARING_VIOLATION | ACCESS_DENIED) => io::ErrorKind::WouldBlock.into(),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_the_lock() {
        let scratch = tempfile::tempdir().unwrap();
        let held = InstallLock::acquire(scratch.path()).unwrap();
        let second = InstallLock::acquire_within(scratch.path(), Duration::ZERO);
        assert!(matches!(second, Err(InstallError::Busy { .. })), "{second:?}");
        drop(held);
        InstallLock::acquire_within(scratch.path(), Duration::ZERO).unwrap();
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}
