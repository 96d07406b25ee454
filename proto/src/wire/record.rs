//! Records: the entries of a session's log as the extension sees them.
//!
//! It does not know positions, windows or acknowledgements.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::code::{Code, GapReason};
use super::payload::Payload;

/// The name of a session, client, profile or key, or an id: 1 to 128 characters, no control characters.
pub type Name = Arc<str>;

/// One entry of a session's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 1, increasing within an epoch.
    pub seq: u64,
    /// What happened.
    pub body: Body,
}

/// The contents of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A message from the server, received at `time` (wall clock, milliseconds since 1970).
    Message { payload: Payload, time: u64 },
    /// Messages lost, in their place.
    Gap(Gap),
    /// The link changed.
    State(Arc<StateChange>),
    /// How a `send` ended.
    Outcome(Arc<OutcomeReport>),
    /// How a `request` ended.
    Response(Arc<ResponseReport>),
}

impl Body {
    /// Whether it is a message of the server's.
    pub const fn is_message(&self) -> bool {
        matches!(self, Self::Message { .. })
    }

    /// The bytes it counts for in windows and bounds.
    pub fn cost(&self) -> usize {
        match self {
            Self::Message { payload, .. } => payload.len(),
            Self::Response(response) => response.answer.as_ref().map_or(0, Payload::len),
            Self::Gap(_) | Self::State(_) | Self::Outcome(_) => 0,
        }
    }

    /// Bytes of what a message carries beside its payload.
    pub(crate) fn extras(&self) -> usize {
        match self {
            Self::Message { payload, .. } => payload.extras(),
            _ => 0,
        }
    }
}

/// A run of lost records, `from..=to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// First lost `seq`.
    pub from: u64,
    /// Last lost `seq`.
    pub to: u64,
    /// Messages lost among them.
    pub count: u64,
    /// Why.
    pub reason: GapReason,
    /// Whether `count` is exact or an upper bound.
    pub exact: bool,
}

/// The link's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// A dial is under way.
    Connecting,
    /// The link is up.
    Open,
    /// The next dial is scheduled.
    Waiting,
    /// Credentials are wanted; no dialling until they come.
    Unauthorized,
    /// No link is wanted until a client attaches.
    Paused,
    /// The link failed for good, until `reconnect` or `authorize`.
    Failed,
    /// The link ended and will not come back by itself.
    Closed,
}

impl State {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Unauthorized => "unauthorized",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

/// Whether the server went on where the last link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// The server proved that it resumed.
    Server,
    /// The server started anew.
    None,
    /// Nobody can say what was missed.
    Unknown,
}

impl Continuity {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

/// An error as it travels: a code and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// The stable code.
    pub code: Code,
    /// For people.
    pub message: String,
}

impl ErrorInfo {
    /// An error of this code, with this message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// A frame as text: looking at all of it once takes less than looking at each of its strings.
pub(crate) fn utf8(json: &[u8]) -> Result<&str, ErrorInfo> {
    std::str::from_utf8(json).map_err(|error| {
        let at = error.valid_up_to();
        ErrorInfo::new(
            Code::BadJson,
            format!("a frame must be UTF-8, its byte {at} is not"),
        )
    })
}

/// Whether this can be a name or an id.
pub(super) fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// What is wrong with a value, in JSON's terms: without Rust's names for what was expected, and without a place in a text
/// that nobody sees.
pub(crate) fn json_error_text(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let Some((said, _)) = said.rsplit_once(" at line ").filter(|_| error.is_data()) else {
        return said;
    };
    let Some((found, expected)) = said.split_once("expected ") else {
        return said.to_owned();
    };
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        "any valid JSON value" => "any JSON value",
        "string or map" => "a string or an object",
        rust if rust.starts_with("struct ") => "an object",
        plain => plain,
    };
    let found = found
        .replace("invalid type: map", "invalid type: object")
        .replace("invalid type: sequence", "invalid type: array");
    format!("{found}expected {expected}")
}

/// The contents of a `state` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    pub state: State,
    /// Number of the dial it is about.
    pub dial: Option<u64>,
    /// Dials since the link was last stable.
    pub attempt: Option<u32>,
    /// Milliseconds until the next dial.
    pub retry_in: Option<u64>,
    /// WebSocket close code.
    pub code: Option<u16>,
    /// HTTP status of a refused handshake.
    pub status: Option<u16>,
    /// The server's close reason.
    pub reason: Option<String>,
    pub error: Option<ErrorInfo>,
    pub continuity: Option<Continuity>,
    pub subprotocol: Option<String>,
    pub extensions: Option<String>,
    /// Socket.IO's namespace that the change is about; the session's link stays.
    pub namespace: Option<String>,
    /// Which of several transports carries the link.
    pub transport: Option<String>,
    /// JSON that the server gave with its refusal (Socket.IO). Not kept on disk.
    pub data: Option<String>,
}

impl StateChange {
    /// A bare state.
    pub const fn new(state: State) -> Self {
        Self {
            state,
            dial: None,
            attempt: None,
            retry_in: None,
            code: None,
            status: None,
            reason: None,
            error: None,
            continuity: None,
            subprotocol: None,
            extensions: None,
            namespace: None,
            transport: None,
            data: None,
        }
    }
}

/// How a `send` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Written, and the far endpoint has since answered a ping.
    Sent,
    /// A rule or an acknowledgement proved it.
    Confirmed,
    /// Written, link lost before any proof.
    Unknown,
    /// It could not be sent.
    Failed,
    /// Its `ttl` passed before it was written.
    Expired,
    /// Volatile, and the link was not open.
    Dropped,
    /// Withdrawn before it was written; or not waited for any more, as its error says then.
    Cancelled,
}

impl Outcome {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Confirmed => "confirmed",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it is reported only when a receipt was requested.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Sent | Self::Confirmed)
    }
}

/// The contents of an `outcome` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeReport {
    pub id: Name,
    pub outcome: Outcome,
    pub error: Option<ErrorInfo>,
}

/// The contents of a `response` record: an answer or an error, never both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseReport {
    pub id: Name,
    pub answer: Option<Payload>,
    pub error: Option<ErrorInfo>,
}
