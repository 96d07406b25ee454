//! Host manifests: names and ids as browsers accept them, the text Longwire writes, and whether a browser accepts one.
//!
//! It is pure: it reads and writes no file.

mod names;
mod read;
mod validate;

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::InstallError;
use crate::types::Family;
pub use names::{ExtensionId, HostName};
pub(crate) use read::object;
pub use read::{entries, program};
pub use validate::{AcceptedManifest, judge};

const CHROMIUM: &str = include_str!("../../manifests/chromium.json");

const FIREFOX: &str = include_str!("../../manifests/firefox.json");

/// A manifest, in the order of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    pub description: String,
    pub path: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_origins: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_extensions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_apps: Vec<String>,
}

impl Manifest {
    /// The manifest of a family; `entries` stand in it as given.
    ///
    /// # Errors
    /// When the program's path is not valid Unicode.
    pub fn new(
        family: Family,
        name: &HostName,
        program: &Path,
        entries: Vec<String>,
    ) -> Result<Self, InstallError> {
        let path = program.to_str().ok_or_else(|| InstallError::NotUnicode {
            path: program.to_path_buf(),
        })?;
        let (mut origins, mut extensions, mut apps) = (Vec::new(), Vec::new(), Vec::new());
        match family {
            Family::Chromium => origins = entries,
            Family::Firefox => extensions = entries,
            Family::App => apps = entries,
        }
        Ok(Self {
            name: name.to_string(),
            description: description(family),
            path: path.to_owned(),
            kind: "stdio".to_owned(),
            allowed_origins: origins,
            allowed_extensions: extensions,
            allowed_apps: apps,
        })
    }

    /// The file's text.
    pub fn text(&self) -> String {
        // Strings and lists of strings cannot fail to be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// The template's description.
fn description(family: Family) -> String {
    let template = match family {
        Family::Chromium | Family::App => CHROMIUM,
        Family::Firefox => FIREFOX,
    };
    serde_json::from_str(template)
        .map(|manifest: Manifest| manifest.description)
        .unwrap_or_default()
}

/// Does a manifest have the description that Longwire gives its own?
pub fn is_described_as_ours(text: &str) -> bool {
    let object = object(Family::Chromium, text).unwrap_or_default();
    let said = object.get("description").and_then(Value::as_str);
    [Family::Chromium, Family::Firefox]
        .into_iter()
        .any(|family| said == Some(&description(family)))
}

impl Family {
    /// The key under which a manifest lists who may call.
    pub const fn list(self) -> &'static str {
        match self {
            Self::Chromium => "allowed_origins",
            Self::Firefox => "allowed_extensions",
            Self::App => "allowed_apps",
        }
    }
}

#[cfg(test)]
mod tests;
