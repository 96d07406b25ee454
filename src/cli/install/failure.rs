//! Failures of the installer with what to do about them.

use std::path::Path;

use installer::browsers::BROWSERS;
use installer::error::InstallError;

use crate::cli::args::RegistrationArgs;
use crate::cli::error::{Exit, Failure};

/// A mistake in the arguments.
pub(super) fn wrong(problem: InstallError) -> Failure {
    advise(&problem).exit(Exit::Usage)
}

/// A failure to write, which may be for want of rights.
pub(super) fn refused(action: &str, args: &RegistrationArgs, problem: &InstallError) -> Failure {
    let failure = advise(problem);
    match problem {
        InstallError::Disk { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => failure
            .hint(match (args.system, cfg!(unix)) {
                (true, true) => {
                    format!("--system requires root: sudo longwire {action} --system ...")
                }
                (true, false) => {
                    "--system requires an administrator's rights: use a terminal of an administrator"
                        .to_owned()
                }
                (false, _) => {
                    "this folder must belong to you and be accessible; nothing was changed".to_owned()
                }
            }),
        InstallError::Disk { source, path, .. }
            if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem =>
        {
            failure.hint(format!(
                "nothing was changed; `findmnt -T '{}'` shows how the file system is mounted. LONGWIRE_HOME moves \
                 Longwire's own folders to another one, and `sudo longwire install --system` writes nothing in a home",
                nearest(path).display()
            ))
        }
        InstallError::Disk { source, path, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            failure.hint(format!(
                "nothing was changed; free some disk space: df -h '{}'",
                nearest(path).display()
            ))
        }
        _ => failure,
    }
}

/// The folder that is there, of a path that may not be.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|above| above.is_dir()).unwrap_or(path)
}

/// A failure with what to do about it.
pub(in crate::cli) fn advise(problem: &InstallError) -> Failure {
    let mut failure = match std::error::Error::source(problem) {
        Some(cause) => Failure::because(problem.to_string(), cause),
        None => Failure::new(problem.to_string()),
    };
    let names = || {
        let names: Vec<_> = BROWSERS.iter().map(|browser| browser.name).collect();
        names.join(", ")
    };
    failure = match problem {
        InstallError::BadName { .. } => failure.hint("omit --name for com.longwire.bridge"),
        InstallError::BadExtension { .. } => {
            failure.hint("copy the id from chrome://extensions or about:debugging")
        }
        InstallError::UnknownBrowser { .. } => failure.hint(format!("one of {}", names())),
        InstallError::NoIds { family, .. } => {
            failure.hint(format!("add --extension with the {family} id of the extension"))
        }
        InstallError::NoBrowser => failure.hint(format!("choose one with --browser: {}", names())),
        InstallError::Receipt { path, .. } => failure.hint(format!(
            "move it away: mv '{}' '{}.broken'",
            path.display(),
            path.display()
        )),
        InstallError::Busy { .. } => failure.hint("try again when the other one has finished"),
        InstallError::Odd { path } => failure.hint(format!(
            "move it away: mv '{}' '{}.aside'",
            path.display(),
            path.display()
        )),
        _ => failure,
    };
    failure
}
