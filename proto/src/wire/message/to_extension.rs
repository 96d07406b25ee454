//! Frames to the extension, as types. Their JSON is in `encode`.

use serde::Serialize;

use crate::wire::code::Code;
use crate::wire::payload::Payload;
use crate::wire::record::{Body, ErrorInfo, Name, Outcome, Record, State};

/// One frame to the extension.
#[derive(Debug, Clone, PartialEq)]
pub enum BrokerFrame {
    Welcome(Box<Welcome>),
    Opened(Box<Opened>),
    /// Any record of a session's log.
    Record {
        session: Name,
        record: Record,
        redelivered: bool,
    },
    Live {
        session: Name,
        seq: u64,
    },
    Accepted {
        session: Name,
        id: Name,
        durability: &'static str,
        duplicate: bool,
        outcome: Option<Outcome>,
    },
    Subscription {
        session: Name,
        key: Name,
        state: SubscriptionState,
    },
    AuthNeeded {
        session: Name,
        question: Box<Question>,
    },
    Stalled {
        session: Name,
        messages: usize,
        bytes: usize,
        /// Age of the oldest record that the client has not acknowledged, milliseconds.
        oldest: Option<u64>,
    },
    Detached {
        session: Name,
        reason: &'static str,
        /// How the link ended, for `closed`.
        farewell: Option<Box<CloseReport>>,
    },
    Status(Box<StatusReport>),
    Pong {
        id: Name,
    },
    Ok {
        id: Name,
    },
    Error(Box<ErrorFrame>),
    Goaway {
        reason: &'static str,
        after: u64,
    },
    /// A message that goes out; only for the command line, which watches both directions.
    Outgoing {
        session: Name,
        /// Wall clock, milliseconds since 1970.
        time: u64,
        payload: Payload,
    },
    /// The command line did not keep up: so much was not shown to it.
    Missed {
        session: Name,
        count: u64,
    },
}

/// How the link of a session that was closed has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloseReport {
    /// The server's close code.
    pub code: Option<u16>,
    /// The server's close reason.
    pub reason: Option<String>,
    /// Everything accepted was written and the link ended as its protocol wants it.
    pub clean: bool,
}

/// Answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    pub version: &'static str,
    pub broker: Name,
    pub origin: Name,
    pub capabilities: &'static [&'static str],
    /// Names and values, in bytes or counts.
    pub limits: Vec<(&'static str, u64)>,
    pub sessions: Vec<SessionSummary>,
    /// The port takes `messages`. Not written: it is for whoever packs what follows.
    pub takes_messages: bool,
}

/// A session as `welcome` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    pub session: Name,
    pub state: State,
    /// Records waiting for this client.
    pub pending: usize,
}

/// Answer to `open`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub id: Name,
    pub session: Name,
    pub created: bool,
    pub epoch: Name,
    pub resume: Resumed,
    pub seq: u64,
    pub last: u64,
    pub state: State,
    pub subprotocol: Option<String>,
    pub outbox: Vec<OutboxItem>,
    pub subscriptions: Vec<(Name, SubscriptionState)>,
    pub ignored: Vec<String>,
}

/// What somebody is asked who may have credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub nonce: String,
    pub why: &'static str,
    pub attempt: u32,
    /// Milliseconds.
    pub deadline: u64,
    /// The status of the handshake that was refused.
    pub status: Option<u16>,
    /// In the middle of a login: what the server has said, a JSON object.
    pub values: Option<String>,
}

/// The broker's verdict on a resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    Fresh,
    Exact,
    Gap,
    Reset,
}

impl Resumed {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Exact => "exact",
            Self::Gap => "gap",
            Self::Reset => "reset",
        }
    }
}

/// An accepted, unsettled message as `opened` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxItem {
    pub id: Name,
    /// `queued` or `written`.
    pub state: &'static str,
}

/// Whether a subscription stands on the current connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    Pending,
    Active,
    Failed,
}

impl SubscriptionState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Failed => "failed",
        }
    }
}

/// An error that is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorFrame {
    pub error: ErrorInfo,
    pub id: Option<Name>,
    pub session: Option<Name>,
    /// For programs: the field or option that is wrong.
    pub detail: Option<String>,
}

impl ErrorFrame {
    /// An error about a frame with this `id`, for this session.
    pub fn new(error: ErrorInfo, id: Option<Name>, session: Option<Name>) -> Self {
        Self {
            detail: named_first(&error.message).map(str::to_owned),
            error,
            id,
            session,
        }
    }
}

/// The field or option that a message begins with: ``field `seq` is missing``.
fn named_first(message: &str) -> Option<&str> {
    let rest = message
        .strip_prefix("field `")
        .or_else(|| message.strip_prefix("option `"))?;
    rest.split_once('`').map(|(name, _)| name)
}

/// Messages and payload bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    pub messages: u64,
    pub bytes: u64,
}

/// Counters of one session, or of all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Scheme, host and path; never a query or credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<&'static str>,
    pub dials: u64,
    pub reconnects: u64,
    /// Wall clock, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_since: Option<u64>,
    pub received: Totals,
    pub sent: Totals,
    pub queued: u64,
    pub unacknowledged: u64,
    pub dropped: u64,
    pub outbox: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt: Option<Rtt>,
    pub clients: u64,
    /// The server's certificate is not checked; filled in by the shell.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// What filters kept from clients; absent while there was nothing.
    #[serde(skip_serializing_if = "Filtered::is_nothing")]
    pub filtered: Filtered,
    /// The last failure of the link, as a `state` record tells it.
    #[serde(serialize_with = "with_retry", skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// Milliseconds until the next dial; absent unless one is scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in: Option<u64>,
    /// Age of the oldest record that somebody attached has not acknowledged, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<u64>,
}

/// An error as records have it: with what is to be done about it.
fn with_retry<S: serde::Serializer>(error: &Option<ErrorInfo>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Full<'a> {
        code: &'static str,
        message: &'a str,
        retry: &'static str,
    }
    let full = error.as_ref().map(|error| Full {
        code: error.code.as_str(),
        message: &error.message,
        retry: error.code.retry().as_str(),
    });
    full.serialize(serializer)
}

/// Messages that filters kept from clients, counted for each client apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Filtered {
    /// Not delivered, as a line says.
    pub dropped: u64,
    /// Replaced by a newer one before they were delivered.
    pub conflated: u64,
    /// Not among the sample.
    pub sampled: u64,
    /// Delivered later than they could have been.
    pub held: u64,
    /// Delivered in part.
    pub projected: u64,
    /// Not what the session's guard lets pass.
    pub refused: u64,
}

impl Filtered {
    /// Whether no filter has done anything.
    pub(crate) const fn is_nothing(&self) -> bool {
        matches!(
            self,
            Self {
                dropped: 0,
                conflated: 0,
                sampled: 0,
                held: 0,
                projected: 0,
                refused: 0,
            }
        )
    }

    /// Adds another session's.
    pub const fn add(&mut self, other: Self) {
        self.dropped += other.dropped;
        self.conflated += other.conflated;
        self.sampled += other.sampled;
        self.held += other.held;
        self.projected += other.projected;
        self.refused += other.refused;
    }
}

/// Round trips of pings, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Rtt {
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

/// Bytes that are held, and that may be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MemoryReport {
    pub held: u64,
    pub limit: u64,
    /// Each extension's part; only for the command line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<ExtensionMemory>,
}

/// What one extension holds, in all its profiles, and may hold at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExtensionMemory {
    pub origin: String,
    pub held: u64,
    pub limit: u64,
}

/// What an extension needed last in `hello` that this broker lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnmetNeeds {
    pub origin: String,
    pub needs: Vec<String>,
}

/// Answer to `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusReport {
    #[serde(skip)]
    pub id: Name,
    pub version: &'static str,
    /// Milliseconds.
    pub uptime: u64,
    /// The broker's process; filled in by the shell, like `rss`.
    pub pid: u32,
    /// Resident bytes.
    pub rss: u64,
    pub ports: u64,
    /// The asking extension's; all together for the command line.
    pub memory: MemoryReport,
    /// Only for the command line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<UnmetNeeds>,
    /// Hosts whose certificate the settings do not check; filled in by the shell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub insecure: Vec<String>,
    pub total: SessionReport,
    pub sessions: Vec<SessionReport>,
}

impl BrokerFrame {
    /// What it carries of a message.
    pub(crate) fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Outgoing { payload, .. } => Some(payload),
            Self::Record { record, .. } => match &record.body {
                Body::Message { payload, .. } => Some(payload),
                Body::Response(report) => report.answer.as_ref(),
                Body::Gap(_) | Body::State(_) | Body::Outcome(_) => None,
            },
            _ => None,
        }
    }

    /// The same with an empty content; `None` for what carries none.
    pub(crate) fn hollow(&self) -> Option<Self> {
        let hollow = self.payload()?.hollow();
        let mut frame = self.clone();
        match &mut frame {
            Self::Outgoing { payload, .. } => *payload = hollow,
            Self::Record { record, .. } => match &mut record.body {
                Body::Message { payload, .. } => *payload = hollow,
                Body::Response(report) => std::sync::Arc::make_mut(report).answer = Some(hollow),
                Body::Gap(_) | Body::State(_) | Body::Outcome(_) => return None,
            },
            _ => return None,
        }
        Some(frame)
    }

    /// An error frame.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::Error(Box::new(ErrorFrame::new(
            ErrorInfo::new(code, message),
            None,
            None,
        )))
    }
}
