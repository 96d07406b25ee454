//! This machine's folders as browsers see them, and which programs are there.
//!
//! It reads the environment once, in `from_env`; tests hand in folders of their own. It writes nothing.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::InstallError;
use crate::registry;
use crate::types::{Base, BaseFolder, System};

/// The environment variable that pretends another root for what browsers keep for all users. For tests.
pub const ROOT: &str = "LONGWIRE_ROOT";

/// Where Windows notes programs that were installed, for one user and for all.
const APP_PATHS: [&str; 2] = [
    r"HKCU\Software\Microsoft\Windows\CurrentVersion\App Paths",
    r"HKLM\Software\Microsoft\Windows\CurrentVersion\App Paths",
];

/// Where browsers look on this machine, for this user.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Which rows of the table count.
    pub system: System,
    /// The user's home.
    pub home: PathBuf,
    /// `$XDG_CONFIG_HOME` or `~/.config`.
    pub config: PathBuf,
    /// `%LOCALAPPDATA%` on Windows.
    pub local: PathBuf,
    /// `%APPDATA%` on Windows.
    pub roaming: PathBuf,
    /// `/`, or a pretended one.
    pub root: PathBuf,
    /// The folders of `PATH`.
    pub programs: Vec<PathBuf>,
}

impl Environment {
    /// As this process's environment says.
    ///
    /// # Errors
    /// When the home folder is unknown.
    pub fn from_env() -> Result<Self, InstallError> {
        let dirs = directories::BaseDirs::new().ok_or(InstallError::NoHome)?;
        let programs = env::var_os("PATH")
            .map(|path| {
                env::split_paths(&path)
                    .filter(|folder| folder.is_absolute())
                    .collect()
            })
            .unwrap_or_default();
        Ok(Self {
            system: System::current(),
            home: dirs.home_dir().to_path_buf(),
            config: dirs.config_dir().to_path_buf(),
            local: dirs.data_local_dir().to_path_buf(),
            roaming: dirs.data_dir().to_path_buf(),
            root: env::var_os(ROOT).map_or_else(|| PathBuf::from("/"), PathBuf::from),
            programs,
        })
    }

    /// A pretended Linux machine inside one folder: `home` and `root` lie in it, `PATH` is its `bin`.
    pub fn within(folder: &Path) -> Self {
        Self {
            system: System::Linux,
            home: folder.join("home"),
            config: folder.join("home/.config"),
            local: folder.join("home/Local"),
            roaming: folder.join("home/Roaming"),
            root: folder.join("root"),
            programs: vec![folder.join("bin")],
        }
    }

    /// The absolute path of a folder or file in the table.
    pub fn resolve(&self, base_folder: BaseFolder) -> PathBuf {
        let base = match base_folder.base {
            Base::Home => &self.home,
            Base::Config => &self.config,
            Base::Support => {
                return self
                    .home
                    .join("Library/Application Support")
                    .join(base_folder.path);
            }
            Base::Local => &self.local,
            Base::Roaming => &self.roaming,
            Base::Root => &self.root,
        };
        base.join(base_folder.path)
    }

    /// The first place where one of these programs lies. Sandboxed ones (Snap) do not count: they read other folders.
    pub fn program(&self, names: &[&str]) -> Option<PathBuf> {
        match self.system {
            System::Linux => self
                .programs
                .iter()
                .flat_map(|folder| names.iter().map(|name| folder.join(name)))
                .find(|path| path.is_file() && !is_snap(path)),
            System::MacOs => [self.root.join("Applications"), self.home.join("Applications")]
                .iter()
                .flat_map(|folder| names.iter().map(|name| folder.join(format!("{name}.app"))))
                .find(|path| path.is_dir()),
            System::Windows => names
                .iter()
                .flat_map(|name| APP_PATHS.map(|folder| format!(r"{folder}\{name}")))
                .find_map(|key| registry::read(&key))
                .map(PathBuf::from),
        }
    }
}

/// Does this program start a Snap?
fn is_snap(program: &Path) -> bool {
    let of_snap = |path: &Path| path.starts_with("/snap") || path.ends_with("usr/bin/snap");
    of_snap(program) || program.canonicalize().is_ok_and(|real| of_snap(&real))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn programs_are_found_on_the_path_and_snaps_are_not() {
        let scratch = tempfile::tempdir().unwrap();
        let env = Environment::within(scratch.path());
        fs::create_dir_all(scratch.path().join("bin")).unwrap();
        fs::write(scratch.path().join("bin/chromium"), "").unwrap();
        assert_eq!(
            env.program(&["x", "chromium"]),
            Some(scratch.path().join("bin/chromium"))
        );
        assert_eq!(env.program(&["firefox"]), None);
        assert!(is_snap(Path::new("/snap/bin/chromium")));
    }
}
