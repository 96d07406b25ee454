//! Whether a browser would accept a manifest, and the first reason why not.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::names::{check_origin, is_app_id, is_firefox_id};
use super::read::object;
use crate::types::{Family, System};

/// A manifest that its browser accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedManifest {
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
) -> Result<AcceptedManifest, String> {
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
            Family::Chromium => check_origin(entry)?,
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
    Ok(AcceptedManifest { program, entries })
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
