//! Keeps `install` from putting an older program in the place of a newer one: products that bring Longwire share it.
//!
//! The installer plans; this only removes steps from its plan.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use installer::plan::{Plan, PlanStep};

use super::block_on;
use super::error::Failure;
use crate::version;

/// How long a program may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(2);

/// Leaves programs in their places that say they are newer than this one, and notes it.
pub(super) fn spare_newer(plan: &mut Plan) {
    plan.steps.retain(|step| {
        let PlanStep::PlaceProgram { path, .. } = step else {
            return true;
        };
        let newer = version_of(path).filter(|theirs| version::is_newer(theirs, version::own()));
        if let Some(theirs) = &newer {
            plan.notes.push(format!(
                "{} is newer ({theirs}) than this program ({}) and is kept; to downgrade, uninstall first",
                path.display(),
                version::own()
            ));
        }
        newer.is_none()
    });
}

/// Whether a file of this user's is there: root runs nothing that others could have put there.
#[cfg(unix)]
fn is_own(program: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let found = program.metadata();
    found.is_ok_and(|found| found.is_file() && found.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(windows)]
fn is_own(program: &Path) -> bool {
    program.is_file()
}

/// The version of the program there; `None` if there is none, or one that does not report it.
fn version_of(program: &Path) -> Option<String> {
    if !is_own(program) {
        return None;
    }
    let asking = async {
        let output = tokio::process::Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output();
        let stdout = tokio::time::timeout(VERSION_TIMEOUT, output).await;
        Ok::<_, Failure>(stdout.ok().and_then(Result::ok))
    };
    let output = block_on(asking).ok()??;
    let stdout = String::from_utf8(output.stdout).ok()?;
    Some(stdout.trim().strip_prefix("longwire ")?.to_owned())
}
