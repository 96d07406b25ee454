//! Identifies the caller by the arguments of this process.
//!
//! It reads no frame: an extension cannot claim to be another one, since the browser writes the arguments.

use std::ffi::{OsStr, OsString};

/// The extension or app a host serves, as the local hop names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCaller {
    origin: String,
}

/// Why the arguments name no extension, although they look like a browser's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CallerError {
    #[error("`{0}` is not an extension's origin: chrome-extension:// and 32 letters a-p are expected")]
    Origin(String),
    #[error("`{0}` is not an add-on id of 1 to 255 characters")]
    AddOn(String),
    #[error(
        "`{0}` is not an app's origin: app:// and 1 to 128 letters, digits, `.`, `_` or `-` are expected"
    )]
    App(String),
}

impl HostCaller {
    /// Reads the arguments, the program's name first. `None`: no browser started this process.
    ///
    /// An app of the SDK for Node.js gives `app://<id>`. Chromium gives the origin, and on Windows `--parent-window=N` after it. Firefox gives the path of the manifest
    /// and the add-on id. Further arguments are for later versions and mean nothing here.
    ///
    /// # Errors
    /// When the arguments are a browser's, but name no extension.
    pub fn from_args(args: &[OsString]) -> Option<Result<Self, CallerError>> {
        let first = args.get(1)?;
        if let Some(rest) = first.to_string_lossy().strip_prefix("chrome-extension://") {
            return Some(Self::chromium(rest));
        }
        if let Some(id) = first.to_string_lossy().strip_prefix("app://") {
            return Some(Self::app(id));
        }
        let add_on = args.get(2)?;
        let is_manifest = std::path::Path::new(first).extension() == Some(OsStr::new("json"));
        is_manifest.then(|| Self::firefox(&add_on.to_string_lossy()))
    }

    fn chromium(rest: &str) -> Result<Self, CallerError> {
        let id = rest.split('/').next().unwrap_or_default();
        if id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'a'..=b'p')) {
            let origin = format!("chrome-extension://{id}/");
            Ok(Self { origin })
        } else {
            Err(CallerError::Origin(format!("chrome-extension://{rest}")))
        }
    }

    fn app(id: &str) -> Result<Self, CallerError> {
        let is_sound = (1..=128).contains(&id.len())
            && id.starts_with(|c: char| c.is_ascii_alphanumeric())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let origin = format!("app://{id}");
        if is_sound {
            Ok(Self { origin })
        } else {
            Err(CallerError::App(origin))
        }
    }

    fn firefox(id: &str) -> Result<Self, CallerError> {
        let is_sound = (1..=255).contains(&id.chars().count())
            && !id
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || c == '\u{fffd}');
        if is_sound {
            let origin = id.to_owned();
            Ok(Self { origin })
        } else {
            Err(CallerError::AddOn(id.to_owned()))
        }
    }

    /// `chrome-extension://<id>/`, the add-on id, or `app://<id>`.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "cfgjijgalloanpinpjgfgakgkbhlgcka";

    fn caller(args: &[&str]) -> Option<Result<String, CallerError>> {
        let args: Vec<_> = std::iter::once("longwire")
            .chain(args.iter().copied())
            .map(OsString::from)
            .collect();
        HostCaller::from_args(&args).map(|caller| caller.map(|caller| caller.origin().to_owned()))
    }

    #[test]
    fn an_app_has_an_app_origin() {
        assert_eq!(
            caller(&["app://com.example.editor"]),
            Some(Ok("app://com.example.editor".into()))
        );
        for id in ["", ".hidden", "a/b", "a b", "ä", &"a".repeat(129)] {
            let origin = format!("app://{id}");
            assert_eq!(
                caller(&[&origin]),
                Some(Err(CallerError::App(origin.clone()))),
                "{id}"
            );
        }
    }

    #[test]
    fn chromium_passes_the_origin() {
        let origin = format!("chrome-extension://{ID}/");
        for args in [
            &[origin.as_str()][..],
            &[&origin, "--parent-window=0"],
            &[&origin, "--reconnect-command=e30="],
            &[origin.trim_end_matches('/')],
        ] {
            assert_eq!(caller(args), Some(Ok(origin.clone())), "{args:?}");
        }
    }

    #[test]
    fn firefox_passes_the_manifest_and_the_add_on_id() {
        let manifest = "/home/jörg & söhne/.mozilla/native messaging/com.longwire.bridge.json";
        assert_eq!(
            caller(&[manifest, "hello@longwire"]),
            Some(Ok("hello@longwire".to_owned()))
        );
        let uuid = "{0a1b2c3d-0000-4000-8000-000000000000}";
        assert_eq!(caller(&[manifest, uuid, "--more"]), Some(Ok(uuid.to_owned())));
    }

    #[test]
    fn an_invalid_origin_is_refused() {
        for bad in ["", "abc", &"a".repeat(33), &"q".repeat(32), &ID.to_uppercase()] {
            let origin = format!("chrome-extension://{bad}/");
            assert!(
                matches!(caller(&[&origin]), Some(Err(CallerError::Origin(_)))),
                "{bad}"
            );
        }
        assert!(matches!(
            caller(&["/x.json", ""]),
            Some(Err(CallerError::AddOn(_)))
        ));
        assert!(matches!(
            caller(&["/x.json", "a b"]),
            Some(Err(CallerError::AddOn(_)))
        ));
    }

    #[test]
    fn commands_are_not_taken_for_a_browser() {
        for args in [
            &[][..],
            &["status"],
            &["connect", "ws://x"],
            &["/x.json"],
            &["install", "--json"],
        ] {
            assert_eq!(caller(args), None, "{args:?}");
        }
    }
}
