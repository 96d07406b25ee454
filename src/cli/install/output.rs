//! What `install` and `uninstall` print: every path that would be touched, and the plan as JSON.

use std::path::Path;

use installer::plan::{ManifestChange, Plan, PlanStep, Planned};
use serde::Serialize;

use crate::cli::args::RegistrationArgs;

/// What `--json` prints.
#[derive(Serialize)]
pub(super) struct InstallReport<'a> {
    pub(super) action: &'a str,
    #[serde(rename = "dryRun")]
    pub(super) dry_run: bool,
    /// Whether anything was or would be changed.
    pub(super) changed: bool,
    #[serde(flatten)]
    pub(super) plan: &'a Plan,
}

/// What `uninstall --all --json` prints: a plan for each host name.
#[derive(Serialize)]
pub(super) struct Documents<'a> {
    pub(super) action: &'a str,
    #[serde(rename = "dryRun")]
    pub(super) dry_run: bool,
    /// Whether anything was or would be changed, under any name.
    pub(super) changed: bool,
    pub(super) hosts: &'a [Plan],
}

/// The last line: what was done, or would be.
pub(super) fn closing(action: &str, args: &RegistrationArgs, plan: &Plan) -> &'static str {
    let is_changed = !plan.steps.is_empty();
    match (action, args.dry_run, is_changed) {
        ("uninstall", _, false) => "Nothing is registered.",
        (_, _, false) => "Everything is already registered.",
        (_, true, true) => "Nothing was changed: this was a dry run.",
        ("uninstall", false, true) => "Done. This registration is removed.",
        (_, false, true) => "Done. No browser needs a restart. To check: longwire doctor",
    }
}

/// Every path that would be touched, a line each.
pub(super) fn describe(action: &str, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let line = |verb: &str, path: &Path, more: String| format!("  {verb:<8} {}{more}", path.display());
    if !plan.steps.is_empty() {
        lines.push(format!("{action} {}:", plan.name));
    }
    for step in &plan.steps {
        match step {
            PlanStep::MakeFolder { path, .. } => lines.push(line("folder", path, String::new())),
            PlanStep::PlaceProgram { path, .. } => lines.push(line("program", path, String::new())),
            PlanStep::WriteFile { path, .. }
            | PlanStep::RestoreFile { path, .. }
            | PlanStep::RemoveFile { path } => {
                let planned = plan.manifests.iter().find(|planned| planned.path == *path);
                lines.push(match planned {
                    Some(planned) => line(verb(planned.change), path, about(planned)),
                    None if matches!(step, PlanStep::RemoveFile { .. }) => {
                        line("remove", path, String::new())
                    }
                    None => line("receipt", path, String::new()),
                });
            }
            PlanStep::SetKey { key, .. } => lines.push(line("key", Path::new(key), String::new())),
            PlanStep::RemoveKey { key } | PlanStep::RemoveEmptyKey { key } => {
                lines.push(line("remove", Path::new(key), String::new()));
            }
            PlanStep::RemoveProgram { path } | PlanStep::RemoveFolder { path } => {
                lines.push(line("remove", path, String::new()));
            }
        }
    }
    for planned in plan
        .manifests
        .iter()
        .filter(|planned| planned.change == ManifestChange::Keep)
    {
        lines.push(line("keep", &planned.path, about(planned)));
    }
    for skipped in &plan.skipped {
        lines.push(format!("  {:<8} {}: {}", "skip", skipped.browser, skipped.why));
    }
    lines.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    lines
}

const fn verb(change: ManifestChange) -> &'static str {
    match change {
        ManifestChange::Create => "create",
        ManifestChange::Update => "update",
        ManifestChange::Keep => "keep",
        ManifestChange::Remove => "remove",
        ManifestChange::Restore => "restore",
    }
}

fn about(planned: &Planned) -> String {
    let browsers = planned.browsers.join(", ");
    match planned.extensions.len() {
        0 => format!("  ({browsers})"),
        1 => format!("  ({browsers}; 1 extension)"),
        count => format!("  ({browsers}; {count} extensions)"),
    }
}
