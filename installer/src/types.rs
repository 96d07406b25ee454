//! What the other modules have in common: browser families, systems, scopes, and paths below a base folder.
//!
//! It imports nothing, so that every module may import it.

/// Which manifest a browser reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `allowed_origins`.
    Chromium,
    /// `allowed_extensions`; any other key has the manifest rejected.
    Firefox,
    /// `allowed_apps`: programs that use the SDK for Node.js, and read Longwire's own folder.
    App,
}

impl Family {
    /// The family's name, as people say it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Chromium => "Chromium",
            Self::Firefox => "Firefox",
            Self::App => "app",
        }
    }
}

/// An operating system of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Linux,
    MacOs,
    Windows,
}

impl System {
    /// The one this program was built for.
    pub const fn current() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }
}

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The user who runs the command.
    User,
    /// Everybody on this machine.
    System,
}

/// What a path of the table is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    Home,
    Config,
    Support,
    Local,
    Roaming,
    Root,
}

/// A path of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseFolder {
    pub base: Base,
    pub path: &'static str,
}
