//! Windows registry keys of native messaging hosts; elsewhere there are none.
//!
//! It decides nothing: the table and the plan have the keys.

use crate::error::InstallError;
use crate::manifest::HostName;
use crate::types::Scope;

/// The keys of a host, `HKCU\...` or `HKLM\...`. For all users both registry views are written, since Chromium looks
/// into the 32-bit one first.
pub fn keys(scope: Scope, vendor: &str, name: &HostName) -> Vec<String> {
    let folders = folders(scope, vendor).into_iter();
    folders.map(|folder| format!(r"{folder}\{name}")).collect()
}

/// The keys of every host, whatever its name.
pub(crate) fn hosts(scope: Scope, vendor: &str) -> Vec<String> {
    let folders = folders(scope, vendor).into_iter();
    folders
        .flat_map(|folder| {
            let names = windows::below(&folder).into_iter();
            names.map(|name| format!(r"{folder}\{name}")).collect::<Vec<_>>()
        })
        .collect()
}

fn folders(scope: Scope, vendor: &str) -> Vec<String> {
    let roots: &[&str] = match scope {
        Scope::User => &[r"HKCU\Software"],
        Scope::System => &[r"HKLM\Software", r"HKLM\Software\WOW6432Node"],
    };
    roots
        .iter()
        .map(|root| format!(r"{root}\{vendor}\NativeMessagingHosts"))
        .collect()
}

#[cfg(windows)]
mod windows {
    use std::fmt::Display;
    use std::io;

    use windows_registry::{CURRENT_USER, Key, LOCAL_MACHINE};

    use crate::error::InstallError;

    fn split(key: &str) -> (&'static Key, &str) {
        match key.split_once('\\') {
            Some(("HKLM", path)) => (LOCAL_MACHINE, path),
            Some((_, path)) => (CURRENT_USER, path),
            None => (CURRENT_USER, key),
        }
    }

    fn failed(what: &'static str, key: &str, error: impl Display) -> InstallError {
        InstallError::Registry {
            what,
            key: key.to_owned(),
            source: io::Error::other(error.to_string()),
        }
    }

    pub(super) fn read(key: &str) -> Option<String> {
        let (root, path) = split(key);
        root.open(path).and_then(|key| key.get_string("")).ok()
    }

    pub(super) fn below(key: &str) -> Vec<String> {
        let (root, path) = split(key);
        let keys = root.open(path).and_then(|key| key.keys().map(Iterator::collect));
        keys.unwrap_or_default()
    }

    pub(super) fn texts(key: &str) -> Vec<String> {
        let (root, path) = split(key);
        let texts = root.open(path).and_then(|key| {
            let values = key.values()?;
            Ok(values
                .filter_map(|(name, _)| key.get_string(&name).ok())
                .collect())
        });
        texts.unwrap_or_default()
    }

    pub(super) fn number(key: &str, value: &str) -> Option<u32> {
        let (root, path) = split(key);
        root.open(path).and_then(|key| key.get_u32(value)).ok()
    }

    pub(super) fn exists(key: &str) -> bool {
        let (root, path) = split(key);
        root.open(path).is_ok()
    }

    pub(super) fn remove_empty(key: &str) {
        let (root, path) = split(key);
        let is_empty = root.open(path).and_then(|key| {
            let (mut keys, mut values) = (key.keys()?, key.values()?);
            Ok(keys.next().is_none() && values.next().is_none())
        });
        if is_empty.unwrap_or(false) {
            let _ = root.remove_tree(path);
        }
    }

    pub(super) fn write(key: &str, value: &str) -> Result<(), InstallError> {
        let (root, path) = split(key);
        root.create(path)
            .and_then(|key| key.set_string("", value))
            .map_err(|error| failed("write", key, error))
    }

    pub(super) fn remove(key: &str) -> Result<(), InstallError> {
        let (root, path) = split(key);
        if root.open(path).is_err() {
            return Ok(());
        }
        root.remove_tree(path)
            .map_err(|error| failed("remove", key, error))
    }
}

#[cfg(not(windows))]
mod windows {
    use std::io;

    use crate::error::InstallError;

    fn failed(what: &'static str, key: &str) -> InstallError {
        InstallError::Registry {
            what,
            key: key.to_owned(),
            source: io::ErrorKind::Unsupported.into(),
        }
    }

    pub(super) fn read(_: &str) -> Option<String> {
        None
    }

    pub(super) const fn below(_: &str) -> Vec<String> {
        Vec::new()
    }

    pub(super) const fn texts(_: &str) -> Vec<String> {
        Vec::new()
    }

    pub(super) const fn number(_: &str, _: &str) -> Option<u32> {
        None
    }

    pub(super) const fn exists(_: &str) -> bool {
        true
    }

    pub(super) const fn remove_empty(_: &str) {}

    pub(super) fn write(key: &str, _: &str) -> Result<(), InstallError> {
        Err(failed("write", key))
    }

    pub(super) fn remove(key: &str) -> Result<(), InstallError> {
        Err(failed("remove", key))
    }
}

/// A key's default value; nothing if there is no such key.
pub fn read(key: &str) -> Option<String> {
    windows::read(key)
}

/// The keys above this one that are not there, the outermost first.
pub(crate) fn missing_above(key: &str) -> Vec<String> {
    let above = key.match_indices('\\').map(|(at, _)| &key[..at]);
    // The first is the name of a root.
    above
        .skip(1)
        .filter(|key| !windows::exists(key))
        .map(str::to_owned)
        .collect()
}

/// Removes a key in which there is nothing; any other stays.
pub(crate) fn remove_empty(key: &str) {
    windows::remove_empty(key);
}

/// Every text value of a key.
pub(crate) fn texts(key: &str) -> Vec<String> {
    windows::texts(key)
}

/// A number below a key.
pub(crate) fn number(key: &str, value: &str) -> Option<u32> {
    windows::number(key, value)
}

/// Sets a key's default value, making the key.
///
/// # Errors
/// When the registry refuses, and always where there is none.
pub(crate) fn write(key: &str, value: &str) -> Result<(), InstallError> {
    windows::write(key, value)
}

/// Removes a key; there being none is no error.
///
/// # Errors
/// When the registry refuses, and always where there is none.
pub(crate) fn remove(key: &str) -> Result<(), InstallError> {
    windows::remove(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_registry_views_are_written_for_all_users() {
        let name = HostName::parse("com.longwire.bridge").unwrap();
        assert_eq!(
            keys(Scope::User, r"Google\Chrome", &name),
            [r"HKCU\Software\Google\Chrome\NativeMessagingHosts\com.longwire.bridge"]
        );
        assert_eq!(
            keys(Scope::System, "Mozilla", &name),
            [
                r"HKLM\Software\Mozilla\NativeMessagingHosts\com.longwire.bridge",
                r"HKLM\Software\WOW6432Node\Mozilla\NativeMessagingHosts\com.longwire.bridge"
            ]
        );
    }
}
