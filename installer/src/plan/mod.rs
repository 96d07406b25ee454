//! The steps of installing or uninstalling, and their description for people.
//!
//! It reads the file system and writes nothing; `apply` executes the steps.

mod install;
mod model;
mod program;
mod targets;
mod uninstall;

pub use install::install;
pub use model::{Choice, InstallPaths, ManifestChange, Plan, PlanStep, Planned, Skipped, USER_DATA_DIR};
pub use uninstall::uninstall;

#[cfg(test)]
mod tests;
