//! The install record: what was created, and what it replaced, so that uninstalling is the exact reverse.
//!
//! It is read and rendered here; `plan` decides its contents and `apply` writes it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::InstallError;

/// The receipt's file name in Longwire's own state folder.
pub const FILE: &str = "installed.json";

/// Its mode: it has the files to remove, and no other user may read or change it.
pub const MODE: u32 = 0o600;

/// Everything made and not yet taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Manifests, in the order they were made.
    pub manifests: Vec<Registration>,
    /// Windows registry keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyRegistration>,
    /// Keys above those, which were made with them; the outermost first.
    #[serde(rename = "keysAbove", default, skip_serializing_if = "Vec::is_empty")]
    pub keys_above: Vec<String>,
    /// The copy of the program, if one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// Folders made, outer before inner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<PathBuf>,
}

/// A manifest that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The host's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The browsers it was written for.
    pub browsers: Vec<String>,
    /// A copy of the program made for this manifest alone, inside a sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<PathBuf>,
    /// What lay there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Previous>,
}

/// A registry key that was written; see [`crate::registry`] for how keys are spelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRegistration {
    pub name: String,
    pub key: String,
    pub browsers: Vec<String>,
    /// The value it held before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// What was in a file's place before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Previous {
    /// A text file, with its mode on unix.
    Text { text: String, mode: u32 },
    /// A symbolic link to this.
    Link(PathBuf),
}

impl Previous {
    /// Reads what lies at `path`; nothing is `None`.
    ///
    /// # Errors
    /// When it is a folder or no text, or cannot be read.
    pub fn read(path: &Path) -> Result<Option<Self>, InstallError> {
        let odd = || InstallError::Odd {
            path: path.to_path_buf(),
        };
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(InstallError::disk("look at", path)(error)),
        };
        if found.is_symlink() {
            let target = fs::read_link(path).map_err(InstallError::disk("read", path))?;
            return Ok(Some(Self::Link(target)));
        }
        // Manifests are small; what is not is none.
        if !found.is_file() || found.len() > 1 << 20 {
            return Err(odd());
        }
        let bytes = fs::read(path).map_err(InstallError::disk("read", path))?;
        let text = String::from_utf8(bytes).map_err(|_| odd())?;
        Ok(Some(Self::Text {
            text,
            mode: mode(&found),
        }))
    }
}

/// Whether this error means that there is no such file. A file in a folder's place says it too.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(unix)]
fn mode(found: &fs::Metadata) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    found.mode() & 0o7777
}

#[cfg(windows)]
fn mode(_: &fs::Metadata) -> u32 {
    0o644
}

impl Receipt {
    /// The receipt in this state folder; an empty one if there is none.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn read(state: &Path) -> Result<Self, InstallError> {
        let path = state.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| InstallError::Receipt { path, source })
            }
            Err(error) if is_absence(&error) => Ok(Self::default()),
            Err(error) => Err(InstallError::disk("read", path)(error)),
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// When a path in it is not valid Unicode.
    pub fn text(&self, state: &Path) -> Result<String, InstallError> {
        let text = serde_json::to_string_pretty(self).map_err(|source| InstallError::Receipt {
            path: state.join(FILE),
            source,
        })?;
        Ok(text + "\n")
    }

    /// Is nothing left to take back but folders?
    pub fn is_settled(&self) -> bool {
        self.manifests.is_empty() && self.keys.is_empty()
    }
}
