//! Host manifests: names and ids as browsers accept them, the text Longwire writes, and what a browser would say of one.
//!
//! It is pure: it reads and writes no file.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::InstallError;
use crate::types::{Family, System};

const CHROMIUM: &str = include_str!("../manifests/chromium.json");
const FIREFOX: &str = include_str!("../manifests/firefox.json");

/// The name of a native messaging host that every browser accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostName(String);

impl HostName {
    /// The longest name whose manifest every file system can hold, in bytes.
    pub const LONGEST: usize = 240;

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
        if name.len() <= Self::LONGEST && name.split('.').all(part) {
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
fn is_app_id(id: &str) -> bool {
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
fn is_firefox_id(id: &str) -> bool {
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

/// The entries of a manifest that its browser would accept; none of one that it cannot read at all.
pub fn entries(family: Family, text: &str) -> Vec<String> {
    let accepted = |entry: &String| match family {
        Family::Chromium => origin(entry).is_ok(),
        Family::Firefox => is_firefox_id(entry),
        Family::App => is_app_id(entry),
    };
    let Ok(object) = object(family, text) else {
        return Vec::new();
    };
    let list = object.get(family.list()).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|entry| entry.as_str().map(str::to_owned))
        .filter(accepted)
        .collect()
}

/// The program a manifest names, if it can be read.
pub fn program(text: &str) -> Option<PathBuf> {
    let object = object(Family::Chromium, text).ok()?;
    object.get("path")?.as_str().map(PathBuf::from)
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

/// A manifest that its browser accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The program, not yet looked for.
    pub program: PathBuf,
    /// Who may call.
    pub entries: Vec<String>,
}

/// Judges a manifest as its browser does. `folder` is where it lies.
///
/// # Errors
/// The first reason for which the browser would say that there is no such host.
pub fn judge(
    family: Family,
    system: System,
    name: &str,
    folder: &Path,
    text: &str,
) -> Result<Accepted, String> {
    let object = object(family, text)?;
    let field = |key: &str| {
        object
            .get(key)
            .and_then(Value::as_str)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("`{key}` is missing, empty or not a string"))
    };
    let said = field("name")?;
    if said != name {
        return Err(format!("`name` is {said:?}, not {name:?} like the file name"));
    }
    field("description")?;
    let kind = field("type")?;
    if kind != "stdio" {
        return Err(format!("`type` is {kind:?}, not \"stdio\""));
    }
    let mut program = PathBuf::from(field("path")?);
    if !is_absolute(system, &program) {
        if system != System::Windows {
            return Err(format!("`path` is not absolute: {}", program.display()));
        }
        program = folder.join(program);
    }
    if family == Family::Firefox {
        let known = ["name", "description", "path", "type", "allowed_extensions"];
        if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("Firefox rejects a manifest with the unknown key `{key}`"));
        }
    }
    let list = object
        .get(family.list())
        .and_then(Value::as_array)
        .ok_or_else(|| format!("`{}` is missing or not a list", family.list()))?;
    let mut entries = Vec::new();
    for entry in list {
        let entry = entry
            .as_str()
            .ok_or_else(|| format!("`{}` contains {entry}, which is not a string", family.list()))?;
        match family {
            Family::Chromium => origin(entry)?,
            Family::Firefox if is_firefox_id(entry) => {}
            Family::Firefox => return Err(format!("{entry:?} is not an add-on id")),
            Family::App if is_app_id(entry) => {}
            Family::App => return Err(format!("{entry:?} is not an app id")),
        }
        entries.push(entry.to_owned());
    }
    if entries.is_empty() {
        return Err(format!("`{}` is empty", family.list()));
    }
    Ok(Accepted { program, entries })
}

/// Is the path absolute on that system, whichever this one is?
fn is_absolute(system: System, path: &Path) -> bool {
    if system != System::Windows {
        return path.to_str().is_some_and(|path| path.starts_with('/'));
    }
    let text = path.to_string_lossy();
    let bytes = text.as_bytes();
    text.starts_with(r"\\")
        || (bytes.len() > 2 && bytes[1] == b':' && (bytes[2] == b'\\' || bytes[2] == b'/'))
}

/// Would Chromium accept this in `allowed_origins`?
fn origin(entry: &str) -> Result<(), String> {
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

/// Reads JSON in the family's dialect: Chromium skips a byte order mark and comments.
pub(crate) fn object(family: Family, text: &str) -> Result<Map<String, Value>, String> {
    let value = match family {
        Family::Chromium => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            serde_json::from_str(&without_comments(text))
        }
        Family::Firefox | Family::App => serde_json::from_str(text),
    };
    match value {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("it is not a JSON object".to_owned()),
        Err(error) => Err(format!("it is not valid JSON: {error}")),
    }
}

/// The text with `//` and `/* */` comments blanked, strings untouched.
fn without_comments(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let taken = match next {
            '"' => string_length(rest),
            '/' if rest.starts_with("//") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if rest.starts_with("/*") => {
                rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
                continue;
            }
            other => other.len_utf8(),
        };
        clean.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    clean
}

/// The length of the string literal that the text begins with, in bytes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
