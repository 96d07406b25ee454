//! The first frame on the local socket: the identity of the caller. Frozen; fields are only added.
//!
//! It does not judge the caller; the socket's permissions and the peer's user id do.

use serde::{Deserialize, Serialize};

/// Largest preamble accepted, in bytes.
pub const MAX_BYTES: usize = 64 << 10;

/// The form of the preamble; it changes only if nothing can be understood any more.
pub(crate) const PREAMBLE_VERSION: u32 = 1;

/// The first frame of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preamble {
    /// Always `PREAMBLE_VERSION`.
    pub longwire: u32,
    pub kind: PeerKind,
    /// Whom the host serves: an extension's origin or add-on id. Only with `PeerKind::Host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The caller's process, for the log.
    pub pid: u32,
    /// The caller's version. A broker leaves only for a newer caller.
    pub version: String,
}

/// What the caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerKind {
    /// A host process: frames of an extension follow.
    Host,
    /// The command line, or a host that is to replace the broker: `status`, `stop`, `retire` and the like follow.
    Admin,
}

/// Why a first frame is no preamble.
#[derive(Debug, thiserror::Error)]
pub enum PreambleError {
    #[error("the first frame is not a preamble")]
    Json(#[from] serde_json::Error),
    #[error("preamble version {0} is not supported")]
    Form(u32),
    #[error("the preamble of a host must have an origin of 1 to 512 characters")]
    Origin,
}

impl Preamble {
    /// The preamble of this process of a program of `version`.
    pub fn new(kind: PeerKind, origin: Option<&str>, version: &str) -> Self {
        Self {
            longwire: PREAMBLE_VERSION,
            kind,
            origin: origin.map(str::to_owned),
            pid: std::process::id(),
            version: version.to_owned(),
        }
    }

    /// The frame's JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers only: writing them to memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the first frame.
    ///
    /// # Errors
    /// When it is not JSON of this shape, of another form, or a host without an origin.
    pub fn parse(json: &[u8]) -> Result<Self, PreambleError> {
        let preamble: Self = serde_json::from_slice(json)?;
        if preamble.longwire != PREAMBLE_VERSION {
            return Err(PreambleError::Form(preamble.longwire));
        }
        let sound = |origin: &String| {
            (1..=512).contains(&origin.chars().count()) && !origin.chars().any(char::is_control)
        };
        if preamble.kind == PeerKind::Host && !preamble.origin.as_ref().is_some_and(sound) {
            return Err(PreambleError::Origin);
        }
        Ok(preamble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preamble_of_a_later_version_is_accepted() {
        let json = br#"{"longwire":1,"kind":"host","origin":"a@b","pid":7,"version":"9.0.0","more":{"x":1}}"#;
        let preamble = Preamble::parse(json).unwrap();
        assert_eq!(
            (preamble.kind, preamble.origin.as_deref()),
            (PeerKind::Host, Some("a@b"))
        );
        assert_eq!(Preamble::parse(&preamble.to_json()).unwrap(), preamble);
    }

    #[test]
    fn a_host_preamble_needs_an_origin() {
        for json in [
            r#"{"longwire":1,"kind":"host","pid":7,"version":"1"}"#,
            r#"{"longwire":1,"kind":"host","origin":"","pid":7,"version":"1"}"#,
            r#"{"longwire":2,"kind":"admin","pid":7,"version":"1"}"#,
            r#"{"longwire":1,"kind":"other","pid":7,"version":"1"}"#,
            "GET / HTTP/1.1",
        ] {
            assert!(Preamble::parse(json.as_bytes()).is_err(), "{json}");
        }
    }
}
