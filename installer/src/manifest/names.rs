//! Names of hosts and ids of extensions and apps, as browsers accept them.

use std::fmt;

use serde::Serialize;

use crate::error::InstallError;
use crate::types::Family;

/// The name of a native messaging host that every browser accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostName(String);

impl HostName {
    /// The longest name whose manifest every file system can hold, in bytes.
    pub const MAX_NAME_BYTES: usize = 240;

    /// Takes a name of lower case letters, digits, `_` and single dots between them.
    ///
    /// # Errors
    /// When a browser would refuse it.
    pub fn parse(name: &str) -> Result<Self, InstallError> {
        let part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if name.len() <= Self::MAX_NAME_BYTES && name.split('.').all(part) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InstallError::BadName {
                name: name.to_owned(),
            })
        }
    }

    /// The manifest's file name.
    pub fn file(&self) -> String {
        format!("{}.json", self.0)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An extension, as its browser calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtensionId {
    /// 32 letters a-p.
    Chromium(String),
    /// `name@domain` or `{uuid}`.
    Firefox(String),
    /// A program that uses the SDK for Node.js: letters, digits, `.`, `_` and `-`.
    App(String),
}

impl ExtensionId {
    /// Takes an id of either family; a Chromium origin is taken as its id.
    ///
    /// # Errors
    /// When neither family would accept it.
    pub fn parse(text: &str) -> Result<Self, InstallError> {
        let bare = text
            .strip_prefix("chrome-extension://")
            .map_or(text, |id| id.strip_suffix('/').unwrap_or(id));
        if is_chromium_id(bare) {
            Ok(Self::Chromium(bare.to_owned()))
        } else if is_firefox_id(text) {
            Ok(Self::Firefox(text.to_owned()))
        } else {
            Err(InstallError::BadExtension { id: text.to_owned() })
        }
    }

    /// Takes the id of an app, as it names itself to the SDK for Node.js.
    ///
    /// # Errors
    /// When the host would not accept it.
    pub fn parse_app(text: &str) -> Result<Self, InstallError> {
        let id = text.strip_prefix("app://").unwrap_or(text);
        if is_app_id(id) {
            Ok(Self::App(id.to_owned()))
        } else {
            Err(InstallError::BadApp { id: text.to_owned() })
        }
    }

    /// Whose id it is.
    pub const fn family(&self) -> Family {
        match self {
            Self::Chromium(_) => Family::Chromium,
            Self::Firefox(_) => Family::Firefox,
            Self::App(_) => Family::App,
        }
    }

    /// As it stands in a manifest.
    pub fn entry(&self) -> String {
        match self {
            Self::Chromium(id) => format!("chrome-extension://{id}/"),
            Self::Firefox(id) | Self::App(id) => id.clone(),
        }
    }
}

/// As the host accepts it in `app://<id>`.
pub(super) fn is_app_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_chromium_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| (b'a'..=b'p').contains(&byte))
}

/// As Firefox's schema has it: `{uuid}`, or letters, digits, `-`, `.`, `_`, an `@` and more of them.
pub(super) fn is_firefox_id(id: &str) -> bool {
    if let Some(uuid) = id.strip_prefix('{').and_then(|id| id.strip_suffix('}')) {
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        return lengths == [8, 4, 4, 4, 12]
            && uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    }
    let plain = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    id.split_once('@')
        .is_some_and(|(name, domain)| !domain.is_empty() && plain(name) && plain(domain))
}

/// Would Chromium accept this in `allowed_origins`?
pub(super) fn check_origin(entry: &str) -> Result<(), String> {
    let Some(rest) = entry.strip_prefix("chrome-extension://") else {
        return Err(format!("{entry:?} is not a `chrome-extension://` origin"));
    };
    let Some(id) = rest.strip_suffix('/') else {
        return Err(format!("{entry:?} lacks the trailing slash"));
    };
    if id.contains('*') {
        return Err(format!("{entry:?} contains a wildcard, which is not allowed"));
    }
    if is_chromium_id(id) {
        Ok(())
    } else {
        Err(format!("{entry:?} contains no extension id (32 letters a-p)"))
    }
}
