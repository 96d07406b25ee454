//! The address of the broker: a socket's path, or a named pipe's name.
//!
//! It opens nothing.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::paths::{self, Paths, PathsError};

/// Longest path of a socket in bytes: 104 with the final zero on the strictest system.
#[cfg(unix)]
const MAX_SOCKET_PATH_BYTES: usize = 103;

/// Why connecting or listening failed.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Nobody listens: no socket, or one that was left behind.
    #[error("no broker is listening at {0}")]
    Absent(Endpoint),
    /// A broker listens and cannot accept more connections now.
    #[error("the broker at {0} is busy")]
    Busy(Endpoint),
    /// The other side is another user's process.
    #[error("{endpoint} belongs to another user ({user})")]
    OwnedByOther { endpoint: Endpoint, user: String },
    /// A broker listens already.
    #[error("a broker is already listening at {0}")]
    Taken(Endpoint),
    /// The folder of the socket cannot be used.
    #[error("cannot find a folder for the broker's socket")]
    Folder(#[from] PathsError),
    /// The system refused.
    #[error("cannot {what} {endpoint}")]
    Io {
        what: &'static str,
        endpoint: Endpoint,
        #[source]
        source: io::Error,
    },
}

/// The broker's address on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The folder of the locks.
    folder: PathBuf,
    /// A socket, or a pipe's name.
    address: PathBuf,
}

impl Endpoint {
    /// The address that belongs to these folders; makes the run folder.
    ///
    /// # Errors
    /// When no run folder can be made.
    pub fn of(paths: &Paths) -> Result<Self, PathsError> {
        let folder = paths.run()?;
        let address = address(&folder)?;
        Ok(Self { folder, address })
    }

    /// The socket's path or the pipe's name.
    pub fn address(&self) -> &Path {
        &self.address
    }

    /// Held while a broker is being started.
    pub fn launch_lock(&self) -> PathBuf {
        self.folder.join("launch.lock")
    }

    /// Held by the broker as long as it runs.
    pub fn broker_lock(&self) -> PathBuf {
        self.folder.join("broker.lock")
    }

    /// Holds the version of the broker that has the lock, or had it last.
    pub fn broker_version(&self) -> PathBuf {
        self.folder.join("broker.version")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.display().fmt(f)
    }
}

#[cfg(unix)]
fn address(folder: &Path) -> Result<PathBuf, PathsError> {
    use std::os::unix::ffi::OsStrExt as _;

    let socket = folder.join("broker.sock");
    if socket.as_os_str().len() <= MAX_SOCKET_PATH_BYTES {
        return Ok(socket);
    }
    // Too long for the system: a folder of our own in /tmp, named after the long one. The locks stay where they are.
    let short = paths::short_folder();
    paths::ensure_private_folder(&short)?;
    let short = short.join(paths::short_name(folder.as_os_str().as_bytes()));
    paths::ensure_private_folder(&short)?;
    Ok(short.join("broker.sock"))
}

#[cfg(windows)]
fn address(folder: &Path) -> Result<PathBuf, PathsError> {
    // The folder lies in the user's profile, so its hash differs from user to user.
    let name = paths::short_name(folder.as_os_str().as_encoded_bytes());
    Ok(PathBuf::from(format!(r"\\.\pipe\longwire-{name}")))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_folder_gets_a_short_socket_path() {
        let scratch = tempfile::tempdir().unwrap();
        let long = Paths::within(scratch.path().join("a".repeat(120)));
        let endpoint = Endpoint::of(&long).unwrap();
        assert!(endpoint.address().as_os_str().len() <= MAX_SOCKET_PATH_BYTES);
        assert!(endpoint.broker_lock().starts_with(scratch.path()));
        assert_eq!(Endpoint::of(&long).unwrap(), endpoint, "everybody finds the same");
        let other = Paths::within(scratch.path().join("b".repeat(120)));
        assert_ne!(Endpoint::of(&other).unwrap().address(), endpoint.address());
        std::fs::remove_dir(endpoint.address().parent().unwrap()).unwrap();
        std::fs::remove_dir(Endpoint::of(&other).unwrap().address().parent().unwrap()).unwrap();
    }
}
