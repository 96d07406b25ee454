//! Frames to the extension: their types, and their compact JSON.
//!
//! `type` comes first. Hot frames are written by hand into the caller's buffer; nothing is built up first.

use serde::Serialize;

use super::object::Object;
use crate::wire::code::{Code, Retry};
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
        nonce: String,
        why: &'static str,
        attempt: u32,
        /// Milliseconds from now.
        deadline: u64,
        status: Option<u16>,
        /// In the middle of a login: what the server has said, a JSON object.
        values: Option<String>,
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

impl CloseReport {
    fn encode(&self, object: &mut Object<'_>) {
        if let Some(code) = self.code {
            object.number("code", u64::from(code));
        }
        if let Some(reason) = &self.reason {
            object.text("closeReason", reason);
        }
        object.flag("clean", self.clean);
    }
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
    pub const fn is_nothing(&self) -> bool {
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

    /// Appends the frame's JSON to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Record {
                session,
                record,
                redelivered,
            } => encode_record(out, session, record, *redelivered),
            Self::Welcome(welcome) => encode_welcome(out, welcome),
            Self::Opened(opened) => encode_opened(out, opened),
            Self::Live { session, seq } => {
                Object::new(out, "live")
                    .text("session", session)
                    .number("seq", *seq)
                    .end();
            }
            Self::Accepted {
                session,
                id,
                durability,
                duplicate,
                outcome,
            } => {
                let mut object = Object::new(out, "accepted");
                object
                    .text("session", session)
                    .text("id", id)
                    .text("durability", durability);
                if *duplicate {
                    object.flag("duplicate", true);
                }
                if let Some(outcome) = outcome {
                    object.text("outcome", outcome.as_str());
                }
                object.end();
            }
            Self::Subscription { session, key, state } => {
                Object::new(out, "subscription")
                    .text("session", session)
                    .text("key", key)
                    .text("state", state.as_str())
                    .end();
            }
            Self::AuthNeeded {
                session,
                nonce,
                why,
                attempt,
                deadline,
                status,
                values,
            } => {
                let mut object = Object::new(out, "auth-needed");
                object
                    .text("session", session)
                    .text("nonce", nonce)
                    .text("why", why);
                object
                    .number("attempt", u64::from(*attempt))
                    .number("deadline", *deadline);
                if let Some(status) = status {
                    object.number("status", u64::from(*status));
                }
                if let Some(values) = values {
                    object.raw("values", values);
                }
                object.end();
            }
            Self::Stalled {
                session,
                messages,
                bytes,
                oldest,
            } => {
                let mut object = Object::new(out, "stalled");
                object
                    .text("session", session)
                    .number("messages", *messages as u64)
                    .number("bytes", *bytes as u64);
                if let Some(oldest) = oldest {
                    object.number("oldest", *oldest);
                }
                object.end();
            }
            Self::Detached {
                session,
                reason,
                farewell,
            } => {
                let mut object = Object::new(out, "detached");
                object.text("session", session).text("reason", reason);
                if let Some(report) = farewell {
                    report.encode(&mut object);
                }
                object.end();
            }
            Self::Status(report) => {
                let mut object = Object::new(out, "status");
                object.text("id", &report.id).text("version", report.version);
                object
                    .number("uptime", report.uptime)
                    .number("pid", u64::from(report.pid))
                    .number("rss", report.rss)
                    .number("ports", report.ports)
                    .value("memory", &report.memory);
                if !report.insecure.is_empty() {
                    object.value("insecure", &report.insecure);
                }
                object
                    .value("total", &report.total)
                    .value("sessions", &report.sessions)
                    .end();
            }
            Self::Pong { id } => Object::new(out, "pong").text("id", id).end(),
            Self::Ok { id } => Object::new(out, "ok").text("id", id).end(),
            Self::Error(error) => encode_error(out, error),
            Self::Goaway { reason, after } => {
                Object::new(out, "goaway")
                    .text("reason", reason)
                    .number("after", *after)
                    .end();
            }
            Self::Outgoing {
                session,
                time,
                payload,
            } => {
                Object::new(out, "outgoing")
                    .text("session", session)
                    .number("time", *time)
                    .payload(payload)
                    .end();
            }
            Self::Missed { session, count } => {
                Object::new(out, "missed")
                    .text("session", session)
                    .number("count", *count)
                    .end();
            }
        }
    }
}

fn encode_record(out: &mut Vec<u8>, session: &str, record: &Record, redelivered: bool) {
    let kind = match record.body {
        Body::Message { .. } => "message",
        Body::Gap(_) => "gap",
        Body::State(_) => "state",
        Body::Outcome(_) => "outcome",
        Body::Response(_) => "response",
    };
    let mut object = Object::new(out, kind);
    object.text("session", session).number("seq", record.seq);
    match &record.body {
        Body::Message { payload, time } => {
            object.payload(payload).number("time", *time);
        }
        Body::Gap(gap) => {
            object
                .number("from", gap.from)
                .number("to", gap.to)
                .number("count", gap.count);
            object
                .text("reason", gap.reason.as_str())
                .flag("exact", gap.exact);
        }
        Body::State(change) => {
            object.text("state", change.state.as_str());
            if let Some(dial) = change.dial {
                object.number("dial", dial);
            }
            if let Some(attempt) = change.attempt {
                object.number("attempt", u64::from(attempt));
            }
            if let Some(retry_in) = change.retry_in {
                object.number("retryIn", retry_in);
            }
            if let Some(code) = change.code {
                object.number("code", u64::from(code));
            }
            if let Some(status) = change.status {
                object.number("status", u64::from(status));
            }
            if let Some(reason) = &change.reason {
                object.text("reason", reason);
            }
            if let Some(error) = &change.error {
                object.error(error);
            }
            if let Some(continuity) = change.continuity {
                object.text("continuity", continuity.as_str());
            }
            if let Some(subprotocol) = &change.subprotocol {
                object.text("subprotocol", subprotocol);
            }
            if let Some(extensions) = &change.extensions {
                object.text("extensions", extensions);
            }
            if let Some(namespace) = &change.namespace {
                object.text("namespace", namespace);
            }
            if let Some(transport) = &change.transport {
                object.text("transport", transport);
            }
            if let Some(data) = &change.data {
                object.raw("data", data);
            }
        }
        Body::Outcome(report) => {
            object
                .text("id", &report.id)
                .text("outcome", report.outcome.as_str());
            if let Some(error) = &report.error {
                object.error(error);
            }
        }
        Body::Response(report) => {
            object.text("id", &report.id);
            if let Some(answer) = &report.answer {
                object.payload(answer);
            }
            if let Some(error) = &report.error {
                object.error(error);
            }
        }
    }
    if redelivered {
        object.flag("redelivered", true);
    }
    object.end();
}

fn encode_welcome(out: &mut Vec<u8>, welcome: &Welcome) {
    #[derive(Serialize)]
    struct Summary<'a> {
        session: &'a str,
        state: &'static str,
        pending: usize,
    }
    let limits: serde_json::Map<_, _> = welcome
        .limits
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    let sessions: Vec<_> = welcome
        .sessions
        .iter()
        .map(|summary| Summary {
            session: &summary.session,
            state: summary.state.as_str(),
            pending: summary.pending,
        })
        .collect();
    let mut object = Object::new(out, "welcome");
    object
        .number("protocol", 1)
        .text("version", welcome.version)
        .text("broker", &welcome.broker);
    object
        .text("origin", &welcome.origin)
        .value("capabilities", &welcome.capabilities);
    object.value("limits", &limits).value("sessions", &sessions).end();
}

fn encode_opened(out: &mut Vec<u8>, opened: &Opened) {
    #[derive(Serialize)]
    struct Item<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        state: &'static str,
    }
    let outbox: Vec<_> = opened
        .outbox
        .iter()
        .map(|item| Item {
            id: Some(&item.id),
            key: None,
            state: item.state,
        })
        .collect();
    let subscriptions: Vec<_> = opened
        .subscriptions
        .iter()
        .map(|(key, state)| Item {
            id: None,
            key: Some(key),
            state: state.as_str(),
        })
        .collect();
    let mut object = Object::new(out, "opened");
    object
        .text("id", &opened.id)
        .text("session", &opened.session)
        .flag("created", opened.created);
    object
        .text("epoch", &opened.epoch)
        .text("resume", opened.resume.as_str());
    object
        .number("seq", opened.seq)
        .number("last", opened.last)
        .text("state", opened.state.as_str());
    if let Some(subprotocol) = &opened.subprotocol {
        object.text("subprotocol", subprotocol);
    }
    object
        .value("outbox", &outbox)
        .value("subscriptions", &subscriptions)
        .value("ignored", &opened.ignored)
        .end();
}

fn encode_error(out: &mut Vec<u8>, error: &ErrorFrame) {
    let mut object = Object::new(out, "error");
    let retry: Retry = error.error.code.retry();
    object
        .text("code", error.error.code.as_str())
        .text("message", &error.error.message);
    object.text("retry", retry.as_str());
    if let Some(id) = &error.id {
        object.text("id", id);
    }
    if let Some(session) = &error.session {
        object.text("session", session);
    }
    if let Some(detail) = &error.detail {
        object.text("detail", detail);
    }
    object.end();
}
