//! The answer to `status`: counters of the broker and of its sessions, as they are written.

use serde::Serialize;

use crate::wire::record::{ErrorInfo, Name};

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
    /// The last failure of the link, as in a `state` record.
    #[serde(serialize_with = "with_retry", skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// Milliseconds until the next dial; absent unless one is scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in: Option<u64>,
    /// Age of the oldest record that an attached client has not acknowledged, milliseconds.
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
    /// Not delivered, because of a line.
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
