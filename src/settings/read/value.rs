//! Single values: checked against the kind of their key, and shown without secrets.

use toml::de::DeValue;

use super::super::keys::{SettingKind, SettingValue};
use super::MASK;

/// A value as its key takes it.
pub(super) fn taken(value: &DeValue<'_>, kind: SettingKind) -> Result<SettingValue, String> {
    match (kind, value) {
        (SettingKind::Number(least, most), DeValue::Integer(number)) => {
            u64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .filter(|number| (least..=most).contains(number))
                .map(SettingValue::Number)
                .ok_or_else(|| format!("it must be a whole number from {least} to {most}"))
        }
        (SettingKind::Number(least, most), _) => {
            Err(format!("it must be a whole number from {least} to {most}"))
        }
        (SettingKind::Switch, DeValue::Boolean(switch)) => Ok(SettingValue::Switch(*switch)),
        (SettingKind::Switch, _) => Err("it must be `true` or `false`".to_owned()),
        (SettingKind::Text, DeValue::String(text)) => Ok(SettingValue::Text(text.clone().into_owned())),
        (SettingKind::Text, _) => Err("it must be a string in quotes".to_owned()),
        (SettingKind::List, DeValue::Array(list)) => list
            .iter()
            .map(|element| match element.get_ref() {
                DeValue::String(text) => Ok(text.clone().into_owned()),
                _ => Err("it must be a list of strings: `[\"a\", \"b\"]`".to_owned()),
            })
            .collect::<Result<_, _>>()
            .map(SettingValue::List),
        (SettingKind::List, _) => Err("it must be a list of strings: `[\"a\", \"b\"]`".to_owned()),
    }
}

/// The origin that a section's name means: a Chromium id stands for its origin.
pub(super) fn origin(name: &str) -> String {
    let name = name.trim_end_matches('/');
    if name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'a'..=b'p')) {
        format!("chrome-extension://{name}")
    } else {
        name.to_owned()
    }
}

/// A proxy's URL or credentials without the password.
pub(super) fn masked(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    match rest.rsplit_once('@') {
        Some((who, place)) => {
            let user = who.split(':').next().unwrap_or_default();
            format!("{scheme}{user}{MASK}{place}")
        }
        None => text.to_owned(),
    }
}
