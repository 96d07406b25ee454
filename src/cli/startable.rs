//! Whether a program can be started at its path, and the error if not.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Why a program cannot be started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unstartable {
    /// Its file system is mounted so that nothing on it may be started.
    NoExec,
    /// The system refuses, for this reason.
    Refused(String),
    /// It ended at once, without the answer that every Longwire gives.
    Ended(String),
}

impl Unstartable {
    /// What is wrong, as a sentence about the program.
    pub(crate) fn describe(&self, program: &Path) -> String {
        let shown = program.display();
        match self {
            Self::NoExec => format!(
                "{shown} cannot be started: its file system is mounted `noexec`, whatever the mode of the file"
            ),
            Self::Refused(why) => format!("{shown} cannot be started: {why}"),
            Self::Ended(how) => format!("{shown} does not run: {how}"),
        }
    }

    /// What a person can do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NoExec => {
                "keep the program elsewhere: install a package, or `sudo longwire install --system`, or set LONGWIRE_HOME \
                 to a folder on another file system; `findmnt -T FOLDER` shows how it is mounted"
            }
            Self::Refused(_) | Self::Ended(_) => {
                "a security product or policy may forbid programs in this folder; `longwire doctor` looks further"
            }
        }
    }
}

/// Whether the file system of this path, or of the folder in which it would be made, forbids programs.
#[cfg(target_os = "linux")]
pub(crate) fn is_noexec(path: &Path) -> bool {
    let there = path.ancestors().find(|path| path.exists());
    there
        .and_then(|path| rustix::fs::statvfs(path).ok())
        .is_some_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}

/// macOS does not say so in `statvfs`; starting the program shows it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_noexec(_: &Path) -> bool {
    false
}

/// Starts a Longwire and has it say its version.
pub(crate) fn try_start(program: &Path) -> Result<(), Unstartable> {
    let tried = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last = stderr.lines().last().unwrap_or_default();
            Err(Unstartable::Ended(format!("{}, {last}", output.status)))
        }
        Err(error) => Err(classify(program, &error)),
    }
}

fn classify(program: &Path, error: &io::Error) -> Unstartable {
    if error.kind() == io::ErrorKind::PermissionDenied && is_noexec(program) {
        return Unstartable::NoExec;
    }
    Unstartable::Refused(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn startable_programs_pass_and_failures_are_distinguished() {
        let folder = tempfile::tempdir().unwrap();
        let gone = try_start(&folder.path().join("gone")).unwrap_err();
        assert!(matches!(&gone, Unstartable::Refused(_)), "{gone:?}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let write = |name: &str, text: &str, mode: u32| {
                let path = folder.path().join(name);
                std::fs::write(&path, text).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
                path
            };
            assert_eq!(try_start(&write("good", "#!/bin/sh\n", 0o700)), Ok(()));
            let mode = try_start(&write("mode", "#!/bin/sh\n", 0o600)).unwrap_err();
            assert!(matches!(&mode, Unstartable::Refused(_)), "{mode:?}");
            let bad = write("bad", "#!/bin/sh\necho no such library >&2\nexit 127\n", 0o700);
            let ended = try_start(&bad).unwrap_err();
            assert!(
                ended.describe(&bad).contains("127") && ended.describe(&bad).contains("no such library"),
                "{ended:?}"
            );
        }
    }
}
