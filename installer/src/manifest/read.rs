//! Reads manifests: JSON as each browser parses it, and its fields.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::names::{check_origin, is_app_id, is_firefox_id};
use crate::types::Family;

/// The entries of a manifest that its browser would accept; none of one that it cannot read at all.
pub fn entries(family: Family, text: &str) -> Vec<String> {
    let accepted = |entry: &String| match family {
        Family::Chromium => check_origin(entry).is_ok(),
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
