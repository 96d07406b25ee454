//! A temporary folder that is removed when it is dropped.
//!
//! It removes only what it made.

use std::io;
use std::path::{Path, PathBuf};

/// A folder of its own among the system's temporary ones.
#[derive(Debug)]
pub(crate) struct TempHome(PathBuf);

impl TempHome {
    /// A new folder, open to this user only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn new() -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let name = format!("longwire-{:016x}", u64::from_ne_bytes(random));
        let folder = std::env::temp_dir().join(name);
        #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempHome {
    fn drop(&mut self) {
        // A process that is just ending may still hold a file; the system's cleaner takes the rest.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
