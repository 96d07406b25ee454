//! Why a registration could not be planned or done.
//!
//! It gives no advice; the command line does.

use std::io;
use std::path::PathBuf;

/// What went wrong, and with what.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A host name that a browser would refuse.
    #[error("{name:?} is not a host name: lower case letters, digits, `_` and single dots between them")]
    BadName { name: String },
    /// An extension id that a browser would refuse.
    #[error(
        "{id:?} is not an extension id: 32 letters a-p (Chromium), `name@domain` or `{{uuid}}` (Firefox)"
    )]
    BadExtension { id: String },
    /// An app id that the host would refuse.
    #[error("{id:?} is not an app id: 1 to 128 letters, digits, `.`, `_` or `-`, such as com.example.editor")]
    BadApp { id: String },
    /// A browser name that is not in the table.
    #[error("Longwire does not know the browser {name:?}")]
    UnknownBrowser { name: String },
    /// The browser does not exist on this system.
    #[error("{browser} does not exist on this system, or does not support this registration")]
    NotHere { browser: &'static str },
    /// A browser was asked for and no id of its family was given.
    #[error("no {family} extension id was specified for {browser}")]
    NoIds {
        browser: &'static str,
        family: &'static str,
    },
    /// No browser was found that could use the ids given.
    #[error("no browser was found that could use these extensions")]
    NoBrowser,
    /// No home folder is known.
    #[error("the home folder is unknown")]
    NoHome,
    /// JSON cannot carry the path.
    #[error("the path {} is not valid Unicode and cannot be written to a manifest", path.display())]
    NotUnicode { path: PathBuf },
    /// The receipt cannot be understood.
    #[error("the install record {} cannot be read", path.display())]
    Receipt {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// What stands in a manifest's place is neither a text file nor a link.
    #[error("{} is neither a text file nor a link", path.display())]
    Odd { path: PathBuf },
    /// Somebody else was changing registrations all the time.
    #[error("another longwire has been changing registrations in {} for {seconds} s", folder.display())]
    Busy { folder: PathBuf, seconds: u64 },
    /// The file system refused.
    #[error("cannot {what} {}", path.display())]
    Disk {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The registry refused.
    #[error("cannot {what} the registry key {key}")]
    Registry {
        what: &'static str,
        key: String,
        #[source]
        source: io::Error,
    },
    /// A step failed and some of what had been done could not be undone.
    #[error("a step failed, and these could not be rolled back: {}", left.join(", "))]
    HalfUndone {
        left: Vec<String>,
        #[source]
        source: Box<Self>,
    },
}

impl InstallError {
    pub(crate) fn disk(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { what, path, source }
    }
}
