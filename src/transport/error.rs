//! Errors of dials: one variant for each side at fault, and the messages.
//!
//! Its messages name host and port only: never a path, a query, credentials or a header's value.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::core::address;
use crate::core::io::LinkEnd;
use crate::wire::code::Code;
use crate::wire::record::ErrorInfo;

/// Host and port of a server or proxy, as messages name it. IPv6 addresses keep their brackets.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Place {
    /// A domain, or an address as it stands in a URL.
    pub host: String,
    pub port: u16,
}

impl Place {
    /// The host without the brackets of an IPv6 address.
    pub(crate) fn bare_host(&self) -> &str {
        self.host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&self.host)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why no link came of a dial.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The URL has no host, or a scheme that is not dialled.
    #[error("the address cannot be dialled: {0}")]
    Address(&'static str),
    /// A header or subprotocol cannot be sent.
    #[error("the handshake request cannot be written: {0}")]
    Request(String),
    /// The server's name could not be resolved.
    #[error("cannot resolve `{host}`")]
    Dns { host: String, source: io::Error },
    /// The settings do not allow this extension to.
    #[error("{}", .0.message)]
    Policy(ErrorInfo),
    /// The server's name resolves to an address that is never dialled.
    #[error("{place} is not dialled: its name resolves to {what}{}", local_hint(.what))]
    Denied { place: Place, what: &'static str },
    /// No address of the server could be reached.
    #[error("cannot connect to {place}")]
    Connect { place: Place, source: io::Error },
    /// The TLS handshake failed.
    #[error("cannot establish TLS with {place}: {why}")]
    Tls { place: Place, why: String },
    /// The proxy refused or could not be reached.
    #[error("cannot connect through the proxy {proxy}: {why}")]
    Proxy { proxy: String, why: String },
    /// The proxy reports that the server cannot be reached.
    #[error("the proxy {proxy} cannot reach {place}: {why}")]
    BehindProxy {
        proxy: Place,
        place: Place,
        refused: bool,
        why: &'static str,
    },
    /// The server answered with another status than 101.
    #[error("{place} answered the handshake with {status}{}", hint(*.status))]
    Status {
        place: Place,
        status: http::StatusCode,
        retry_after: Option<Duration>,
        /// The beginning of the body, if it was text.
        body: Option<String>,
    },
    /// The server's answer breaks the rules of the handshake, or the connection broke before there was one.
    #[error("the handshake with {place} failed: {why}")]
    Handshake { place: Place, why: String },
    /// The dial took longer than `connectTimeout`.
    #[error("connecting to {place} timed out after {} ms while waiting for {stage}", .after.as_millis())]
    Timeout {
        place: Place,
        after: Duration,
        stage: &'static str,
    },
}

/// Which setting lets a name lead there.
fn local_hint(what: &str) -> &'static str {
    match what {
        address::LOOPBACK | address::LINK_LOCAL => {
            " (add the name to `local-names` in the settings to allow it)"
        }
        _ => "",
    }
}

/// What a person reading the status should know.
fn hint(status: http::StatusCode) -> &'static str {
    if status.is_redirection() {
        " (redirects are not followed)"
    } else {
        ""
    }
}

impl DialError {
    /// Its stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Address(_) => Code::BadUrl,
            Self::Request(_) => Code::BadOption,
            Self::Dns { .. } => Code::Dns,
            Self::Policy(error) => error.code,
            Self::Denied { .. } => Code::UrlDenied,
            Self::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => {
                Code::Refused
            }
            Self::Connect { .. } => Code::Unreachable,
            Self::Tls { .. } => Code::Tls,
            Self::Proxy { .. } => Code::Proxy,
            Self::BehindProxy { refused: true, .. } => Code::Refused,
            Self::BehindProxy { refused: false, .. } => Code::Unreachable,
            Self::Status { .. } => Code::HttpStatus,
            Self::Handshake { .. } => Code::Handshake,
            Self::Timeout { .. } => Code::Timeout,
        }
    }

    /// The end of a dial that never became a link.
    pub fn into_end(self) -> LinkEnd {
        let code = self.code();
        let message = match std::error::Error::source(&self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        };
        let mut end = LinkEnd {
            error: Some(ErrorInfo::new(code, message)),
            ..LinkEnd::default()
        };
        if let Self::Status {
            status,
            retry_after,
            body,
            ..
        } = self
        {
            end.status = Some(status.as_u16());
            end.retry_after = retry_after;
            end.reason = body;
        }
        end
    }
}
