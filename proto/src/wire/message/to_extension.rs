//! Frames to the extension, as types. Their JSON is in `encode`; what `status` answers is in `status_report`.

use crate::wire::code::Code;
use crate::wire::payload::Payload;
use crate::wire::record::{Body, ErrorInfo, Name, Outcome, Record, State};

use super::status_report::StatusReport;

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
        close_report: Option<Box<CloseReport>>,
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

/// A request for credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub nonce: String,
    pub why: &'static str,
    pub attempt: u32,
    /// Milliseconds.
    pub deadline: u64,
    /// The status of the handshake that was refused.
    pub status: Option<u16>,
    /// In the middle of a login: values of the server's messages, a JSON object.
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
    /// The name on the wire.
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
    /// The name on the wire.
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
            detail: named_first(&error.message)
                .or_else(|| matches!(error.code, Code::BadUrl | Code::UrlDenied).then_some("url"))
                .map(str::to_owned),
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
