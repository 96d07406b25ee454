//! Paths of Longwire's own files and sockets: run, state, log and configuration folders.
//!
//! `LONGWIRE_HOME` overrides all of them. It creates nothing but the run folder, and knows no browser's folders.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

/// The environment variable that moves everything into one folder.
pub const HOME: &str = "LONGWIRE_HOME";

/// Why the folders could not be found or used.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// Neither `LONGWIRE_HOME` nor a home folder is known.
    #[error("the home folder is unknown; set HOME or LONGWIRE_HOME")]
    NoHome,
    /// `LONGWIRE_HOME` is relative and the current folder is unknown.
    #[error("the folder in LONGWIRE_HOME cannot be resolved")]
    Resolve(#[source] io::Error),
    /// The run folder could not be made.
    #[error("cannot create the run folder {}", folder.display())]
    Create {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The run folder belongs to another user, or is no folder.
    #[error("the run folder {} is not a folder that belongs to this user", folder.display())]
    OwnedByOther { folder: PathBuf },
}

/// Longwire's folders for this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Tried in order; the first that can be made and is this user's own.
    run: Vec<PathBuf>,
    state: PathBuf,
    logs: PathBuf,
    config: PathBuf,
    home: Option<PathBuf>,
}

impl Paths {
    /// The folders from the environment.
    ///
    /// # Errors
    /// When the home folder is unknown, or `LONGWIRE_HOME` cannot be made absolute.
    pub fn from_env() -> Result<Self, PathsError> {
        match env::var_os(HOME).filter(|home| !home.is_empty()) {
            Some(home) => std::path::absolute(home)
                .map(Self::within)
                .map_err(PathsError::Resolve),
            None => Self::of_system(),
        }
    }

    /// Everything in one folder.
    pub fn within(home: PathBuf) -> Self {
        Self {
            run: vec![home.join("run")],
            state: home.join("state"),
            logs: home.join("logs"),
            config: home.join("config"),
            home: Some(home),
        }
    }

    fn of_system() -> Result<Self, PathsError> {
        let folders = directories::ProjectDirs::from("", "", "longwire").ok_or(PathsError::NoHome)?;
        let state = folders
            .state_dir()
            .unwrap_or_else(|| folders.data_local_dir())
            .to_path_buf();
        Ok(Self {
            run: run_folders(&state),
            logs: state.join("logs"),
            config: folders.config_dir().to_path_buf(),
            state,
            home: None,
        })
    }

    /// What the broker keeps over restarts.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Log files.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// The settings file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The folder in `LONGWIRE_HOME`, absolute, if it is set.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The folders in which the socket and the locks may lie, the preferred one first. Nothing is made.
    pub fn run_candidates(&self) -> &[PathBuf] {
        &self.run
    }

    /// The folder of the socket and the locks, made if missing, open to this user only.
    ///
    /// Who starts a broker and the broker itself find the same folder, as long as they see the same environment.
    ///
    /// # Errors
    /// The last candidate's problem, when none can be used.
    pub fn run(&self) -> Result<PathBuf, PathsError> {
        let mut problem = PathsError::NoHome;
        for folder in &self.run {
            match ensure_private_folder(folder) {
                Ok(()) => return Ok(folder.clone()),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }
}

/// Makes a folder that only this user may enter, or makes sure that it is one.
///
/// # Errors
/// When it cannot be made, is no folder, or belongs to another user.
#[cfg(unix)]
pub fn ensure_private_folder(folder: &Path) -> Result<(), PathsError> {
    use std::fs;
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};

    let failed = |source| PathsError::Create {
        folder: folder.to_path_buf(),
        source,
    };
    if let Some(parent) = folder.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(failed)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    // Not `metadata`: a link that another user created must not be followed.
    let found = fs::symlink_metadata(folder).map_err(failed)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(PathsError::OwnedByOther {
            folder: folder.to_path_buf(),
        });
    }
    if found.mode() & 0o7777 != 0o700 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// Makes a folder; the user's profile, in which it lies, is closed to others by the system.
///
/// # Errors
/// When it cannot be made.
#[cfg(windows)]
pub fn ensure_private_folder(folder: &Path) -> Result<(), PathsError> {
    std::fs::create_dir_all(folder).map_err(|source| PathsError::Create {
        folder: folder.to_path_buf(),
        source,
    })
}

#[cfg(unix)]
fn run_folders(state: &Path) -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let mut folders = Vec::new();
    let configured = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // Browsers started outside the session lack the variable; they must find the same broker.
    let usual = PathBuf::from(format!("/run/user/{user}"));
    for runtime in configured.into_iter().chain([usual]) {
        if runtime.is_absolute() && runtime.is_dir() {
            folders.push(runtime.join("longwire"));
        }
    }
    folders.dedup();
    folders.push(state.join("run"));
    folders.push(short_folder());
    folders
}

#[cfg(windows)]
fn run_folders(state: &Path) -> Vec<PathBuf> {
    vec![state.join("run")]
}

/// A folder with a short name, for sockets whose own path would be too long for the system.
#[cfg(unix)]
pub fn short_folder() -> PathBuf {
    PathBuf::from(format!("/tmp/longwire-{}", rustix::process::geteuid().as_raw()))
}

/// A path quoted for a shell.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:\\".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text
    } else if cfg!(windows) {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A short name for a long one: the same everywhere and for ever (FNV-1a, 64 bits).
pub fn short_name(long: &[u8]) -> String {
    let hash = long.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_run_folder_is_private() {
        let scratch = tempfile::tempdir().unwrap();
        let paths = Paths::within(scratch.path().join("deep/home"));
        let run = paths.run().unwrap();
        assert_eq!(mode(&run), 0o700);
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(mode(&paths.run().unwrap()), 0o700, "closed again");
    }

    #[test]
    fn a_symlink_as_run_folder_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let elsewhere = scratch.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, scratch.path().join("run")).unwrap();
        let refused = Paths::within(scratch.path().to_path_buf()).run();
        assert!(
            matches!(refused, Err(PathsError::OwnedByOther { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn short_names_are_stable() {
        assert_eq!(short_name(b""), "cbf29ce484222325");
        assert_eq!(short_name(b"a"), "af63dc4c8601ec8c");
    }
}
