//! The stable codes of the protocol: errors, what to do about them, and why records were lost.
//!
//! Append-only: a code never changes its meaning and is never reused. It does not decide when an error is due.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the extension may do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same request will fail again.
    No,
    /// The same request may be repeated at once.
    Now,
    /// The same request may succeed after a while.
    Later,
    /// Fresh credentials are needed first.
    Auth,
    /// A person has to change something first.
    Action,
}

impl Retry {
    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Now => "now",
            Self::Later => "later",
            Self::Auth => "auth",
            Self::Action => "action",
        }
    }
}

/// Generates the enum, its codes and its retry classes from one table, so that they cannot diverge.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $retry:ident;)*) => {
        /// Why something was refused or failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl Code {
            /// Every code, in the order of the protocol's table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What the extension may do about it.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)* }
            }
        }
    };
}

codes! {
    /// A field is missing, has the wrong type, or makes no sense here.
    BadFrame = "bad-frame", No;
    /// The bytes are not one JSON object.
    BadJson = "bad-json", No;
    /// This broker does not know the frame's `type`.
    UnknownType = "unknown-type", No;
    /// A capability in `hello.needs`, a protocol version or an option value is not offered.
    Unsupported = "unsupported", No;
    /// The first frame on a port must be `hello`.
    HelloRequired = "hello-required", Now;
    /// A frame from the browser exceeded 64 MiB.
    FrameTooLarge = "frame-too-large", No;
    /// `part` frames came out of order, too many at once, or never ended.
    BadPart = "bad-part", Now;
    /// No session of that name exists for this origin and profile.
    NoSession = "no-session", No;
    /// The session's name is empty, too long, or has control characters.
    BadSessionName = "bad-session-name", No;
    /// The URL cannot be parsed or its scheme does not fit the protocol.
    BadUrl = "bad-url", No;
    /// An option has a value that cannot be used.
    BadOption = "bad-option", No;
    /// The session exists with another URL or other options, and `conflict` is `error`.
    SessionConflict = "session-conflict", No;
    /// This port does not hold the session.
    NotAttached = "not-attached", Now;
    /// The session has ended.
    SessionClosed = "session-closed", No;
    /// The outbox holds as many messages or bytes as it may.
    OutboxFull = "outbox-full", Later;
    /// The message is larger than `maxMessage`.
    TooLarge = "too-large", No;
    /// The origin and profile hold as many sessions as they may.
    TooManySessions = "too-many-sessions", Later;
    /// Too much was asked in too short a time.
    RateLimited = "rate-limited", Later;
    /// A bound was exceeded and the overflow policy ended the session's link.
    Overflow = "overflow", Later;
    /// The settings do not let this extension use Longwire.
    OriginDenied = "origin-denied", Action;
    /// The settings do not let this extension dial this URL.
    UrlDenied = "url-denied", Action;
    /// A header that only the broker may set.
    HeaderDenied = "header-denied", No;
    /// The server's name could not be resolved.
    Dns = "dns", Later;
    /// Nobody listens at the server's address.
    Refused = "refused", Later;
    /// The server's address cannot be reached.
    Unreachable = "unreachable", Later;
    /// The TLS handshake failed.
    Tls = "tls", Action;
    /// The proxy refused, or could not be reached.
    Proxy = "proxy", Later;
    /// The server answered the handshake with another status than 101.
    HttpStatus = "http-status", Later;
    /// The server's handshake answer breaks the rules, or the connection broke before there was one.
    Handshake = "handshake", Later;
    /// The server closed the connection.
    ClosedByServer = "closed-by-server", Later;
    /// The server was silent for too long.
    Heartbeat = "heartbeat", Later;
    /// A deadline passed.
    Timeout = "timeout", Later;
    /// The link was lost. A message was written before that: it may have been processed.
    LinkLost = "link-lost", Later;
    /// The message was certainly not sent.
    NotSent = "not-sent", Now;
    /// The extension withdrew it.
    Cancelled = "cancelled", No;
    /// The server broke its own protocol.
    ServerProtocol = "server-protocol", Later;
    /// The broker is being started.
    BrokerStarting = "broker-starting", Later;
    /// No broker could be found or started.
    BrokerUnreachable = "broker-unreachable", Action;
    /// The broker ended; another is being found.
    BrokerLost = "broker-lost", Later;
    /// The broker is about to leave.
    ShuttingDown = "shutting-down", Later;
    /// A fault of Longwire's own.
    Internal = "internal", Later;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why messages were lost, in a `gap` record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// The log was full.
    Overflow,
    /// The messages were older than the log keeps.
    Age,
    /// The server's message exceeded `maxMessage`.
    TooLarge,
    /// The broker crashed before it could store them.
    Crash,
    /// The journal on disk was damaged.
    Journal,
    /// The client offers a position before its own acknowledgement: those records are gone.
    Acknowledged,
}

impl GapReason {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::Overflow,
        Self::Age,
        Self::TooLarge,
        Self::Crash,
        Self::Journal,
        Self::Acknowledged,
    ];

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Age => "age",
            Self::TooLarge => "too-large",
            Self::Crash => "crash",
            Self::Journal => "journal",
            Self::Acknowledged => "acknowledged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_error_code_is_unique_and_lower_case() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(
            names
                .iter()
                .all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        );
    }
}
