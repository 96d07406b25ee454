//! Opens settings files as ssh opens its own: no other user may be able to write them, and only regular files are read.
//!
//! It never waits for another process, and does not look at what the text means.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::paths::quoted;

use super::{SettingsError, Who};

/// The environment variable whose folder stands for the root of the file system, beside the real one.
const ROOT: &str = "LONGWIRE_ROOT";
/// The administrator's file, below the root.
const ADMINISTRATORS: &str = if cfg!(windows) {
    "ProgramData/longwire/settings.toml"
} else if cfg!(target_vendor = "apple") {
    "Library/Application Support/longwire/settings.toml"
} else {
    "etc/longwire/settings.toml"
};
/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A settings file as it was read.
pub(super) struct SettingsFile {
    pub(super) text: String,
    /// Whether other users may read it too.
    pub(super) is_exposed: bool,
}

/// The administrator's file. The environment cannot hide the one of the real root.
pub(super) fn administrators() -> PathBuf {
    let real = PathBuf::from(if cfg!(windows) { r"C:\" } else { "/" }).join(ADMINISTRATORS);
    let given = std::env::var_os(ROOT).filter(|root| !root.is_empty());
    match given {
        Some(root) if matches!(real.symlink_metadata(), Err(error) if is_missing(&error)) => {
            PathBuf::from(root).join(ADMINISTRATORS)
        }
        _ => real,
    }
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Reads the file, if there is one.
///
/// # Errors
/// It cannot be read, it is no regular file, or another user may have written it.
pub(super) fn read(path: &Path, who: Who) -> Result<Option<SettingsFile>, SettingsError> {
    let failed = |source: io::Error| match who {
        Who::Administrator if source.kind() == io::ErrorKind::PermissionDenied => {
            let folder = path.parent().unwrap_or(path);
            let fix = format!("sudo chmod a+rX {} {}", quoted(folder), quoted(path));
            refused(path, "users cannot read it".to_owned(), fix)
        }
        _ => SettingsError::Read {
            path: path.to_path_buf(),
            source,
        },
    };
    // Opening a device can have an effect, and a socket cannot be opened.
    match std::fs::metadata(path) {
        Ok(found) => check_type(path, who, &found)?,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let found = file.metadata().map_err(failed)?;
    check_type(path, who, &found)?;
    check_writers(path, who, &found)?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        let problem = format!("it is larger than {MAX_BYTES} bytes");
        return Err(refused(path, problem, move_aside(path, who)));
    }
    Ok(Some(SettingsFile {
        text,
        is_exposed: is_exposed(&found),
    }))
}

/// Writes a new file that only this user can read, whatever the umask is.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// Opens without waiting for whoever writes to a pipe that was put here meanwhile.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};

    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

fn check_type(path: &Path, who: Who, found: &Metadata) -> Result<(), SettingsError> {
    if found.is_file() {
        return Ok(());
    }
    let problem = format!("{}, not a regular file", kind(found));
    Err(refused(path, problem, move_aside(path, who)))
}

#[cfg(unix)]
fn kind(found: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;

    let kind = found.file_type();
    if kind.is_dir() {
        "Is a directory"
    } else if kind.is_fifo() {
        "it is a named pipe (FIFO)"
    } else if kind.is_socket() {
        "it is a socket"
    } else {
        "it is a device"
    }
}

#[cfg(not(unix))]
fn kind(found: &Metadata) -> &'static str {
    if found.is_dir() {
        "Is a directory"
    } else {
        "it is something special"
    }
}

/// Only root and the user may own the user's file, only root the administrator's.
#[cfg(unix)]
fn check_writers(path: &Path, who: Who, found: &Metadata) -> Result<(), SettingsError> {
    use std::os::unix::fs::MetadataExt as _;

    let own = rustix::process::geteuid().as_raw();
    // Below a root of the user's own, the user stands for root.
    let stands_for_root = who == Who::User || !path.starts_with(Path::new("/").join(ADMINISTRATORS));
    let owner = found.uid();
    if owner != 0 && !(stands_for_root && owner == own) {
        let new_owner = match who {
            Who::Administrator => "root",
            Who::User => "\"$(id -u)\"",
        };
        let file = quoted(path);
        let fix = format!(
            "sudo chown {new_owner} {file} && {}",
            sudo(who, "chmod go-w", path)
        );
        return Err(refused(
            path,
            format!("it belongs to user {owner}; check its contents before you take it over"),
            fix,
        ));
    }
    if found.mode() & 0o022 != 0 {
        let problem = format!("other users may write to it (mode {:04o})", found.mode() & 0o7777);
        return Err(refused(path, problem, sudo(who, "chmod go-w", path)));
    }
    Ok(())
}

/// Access lists are not read; the user's profile is closed to others by the system.
#[cfg(not(unix))]
fn check_writers(_: &Path, _: Who, _: &Metadata) -> Result<(), SettingsError> {
    Ok(())
}

#[cfg(unix)]
fn is_exposed(found: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(found) & 0o044 != 0
}

#[cfg(not(unix))]
fn is_exposed(_: &Metadata) -> bool {
    false
}

fn refused(path: &Path, problem: String, fix: String) -> SettingsError {
    SettingsError::Refused {
        path: path.to_path_buf(),
        problem,
        fix,
    }
}

fn sudo(who: Who, command: &str, path: &Path) -> String {
    let sudo = match who {
        Who::Administrator if cfg!(unix) => "sudo ",
        _ => "",
    };
    format!("{sudo}{command} {}", quoted(path))
}

fn move_aside(path: &Path, who: Who) -> String {
    let command = if cfg!(windows) { "move" } else { "mv" };
    let aside = path.with_added_extension("aside");
    format!("{} {}", sudo(who, command, path), quoted(&aside))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// The error about a file with this mode.
    fn with_mode(mode: u32) -> Result<Option<SettingsFile>, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs::write(&path, "[broker]\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        read(&path, Who::User)
    }

    #[test]
    fn a_settings_file_that_others_may_write_is_refused() {
        for mode in [0o666, 0o660, 0o620, 0o602] {
            let refused = with_mode(mode).err().unwrap();
            let SettingsError::Refused { problem, fix, .. } = refused else {
                panic!("{mode:o}: {refused:?}");
            };
            assert!(problem.contains(&format!("{mode:04o}")), "{problem}");
            assert!(
                fix.starts_with("chmod go-w ") && fix.contains("settings.toml"),
                "{fix}"
            );
        }
        for (mode, is_exposed) in [(0o600, false), (0o400, false), (0o640, true), (0o644, true)] {
            assert_eq!(
                with_mode(mode).unwrap().unwrap().is_exposed,
                is_exposed,
                "{mode:o}"
            );
        }
    }

    #[test]
    fn an_irregular_settings_file_is_refused_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // rustix cannot make one on macOS.
        let made = std::process::Command::new("mkfifo").arg(path("fifo")).status();
        assert!(made.unwrap().success());
        let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        std::os::unix::fs::symlink(path("fifo"), path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("device")).unwrap();
        for (name, words) in [
            ("fifo", "named pipe"),
            ("link", "named pipe"),
            ("socket", "a socket"),
            ("folder", "Is a directory"),
            ("device", "a device"),
        ] {
            let refused = read(&path(name), Who::User).err().unwrap();
            let SettingsError::Refused { problem, fix, .. } = refused else {
                panic!("{name}: {refused:?}");
            };
            assert!(problem.contains(words), "{name}: {problem}");
            assert!(fix.starts_with("mv ") && fix.contains(".aside"), "{fix}");
        }
        assert!(read(&path("none"), Who::User).unwrap().is_none());
    }

    #[test]
    fn an_oversize_settings_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let refused = read(&path, Who::User).err().unwrap();
        assert!(refused.to_string().contains("larger"), "{refused}");
    }
}
