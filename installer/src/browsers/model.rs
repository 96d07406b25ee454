//! The types of a row in the browser table.

use std::path::PathBuf;

use crate::types::{BaseFolder, Family, System};

/// Where a browser looks for manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestSource {
    /// A folder of manifests.
    Folder(BaseFolder),
    /// A registry key under `Software\`, holding one key a host; the value is the manifest's path.
    Key(&'static str),
}

/// One place a browser reads, and the folder that shows that it does.
#[derive(Debug, Clone, Copy)]
pub struct Location {
    pub sign: BaseFolder,
    pub hosts: ManifestSource,
}

/// A browser on one system.
#[derive(Debug, Clone, Copy)]
pub struct Locations {
    /// Programs in `PATH`; on macOS the application's name; on Windows what it is called below `App Paths`, if no other
    /// browser is called that.
    pub programs: &'static [&'static str],
    /// For one user; the first is the browser's own.
    pub user: &'static [Location],
    /// For all; the first is the browser's own.
    pub system: &'static [Location],
}

/// A row of the table.
#[derive(Debug)]
pub struct Browser {
    /// As given to `--browser`.
    pub name: &'static str,
    /// As people call it.
    pub title: &'static str,
    pub family: Family,
    pub linux: Locations,
    pub macos: Locations,
    pub windows: Locations,
    /// How Flatpak calls it, if it is there.
    pub flatpak: Option<&'static str>,
    /// How Snap calls it, if it is there.
    pub snap: Option<&'static str>,
}

/// A browser inside a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandboxed {
    /// What confines it.
    pub by: &'static str,
    /// The folder that shows that it is there, and that it keeps to.
    pub folder: PathBuf,
    /// How it can be served, if that is known.
    pub serving: Option<Serving>,
}

impl Sandboxed {
    /// Whether a portal outside reads the usual manifest for it and starts the usual program.
    pub fn is_served_outside(&self) -> bool {
        self.serving
            .as_ref()
            .is_some_and(|serving| serving.copy.is_none())
    }
}

/// How a browser inside a sandbox can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Where it looks for manifests.
    pub hosts: PathBuf,
    /// Where a program must lie that it can start: host and broker run inside, too. `None`: they run outside.
    pub copy: Option<PathBuf>,
}

impl Browser {
    /// This browser on a system.
    pub const fn on(&self, system: System) -> &Locations {
        match system {
            System::Linux => &self.linux,
            System::MacOs => &self.macos,
            System::Windows => &self.windows,
        }
    }
}
