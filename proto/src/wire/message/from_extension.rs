//! Frames from the extension as types.
//!
//! It reads nothing: see `reading`. `batch` and `part` are unpacked before that (see `batch`, `part`).

use bytes::Bytes;

use crate::wire::filter::FilterLine;
use crate::wire::options::{Options, Window};
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name};
use crate::wire::rule::{Correlation, Rule};

/// The lane of a message that names none.
pub const USUAL_LANE: u8 = 1;

/// One frame from the extension.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    Hello(Hello),
    Open(Box<Open>),
    Ack {
        session: Name,
        seq: u64,
    },
    Send(Send),
    Request(Request),
    Cancel {
        session: Name,
        id: Name,
    },
    Subscribe(Box<Subscribe>),
    Unsubscribe {
        session: Name,
        id: Name,
        key: Name,
    },
    Authorize(Box<Authorize>),
    Window {
        session: Name,
        window: Window,
        id: Option<Name>,
    },
    Reconnect {
        session: Name,
        id: Option<Name>,
    },
    Detach {
        session: Name,
        id: Option<Name>,
    },
    Close {
        session: Name,
        id: Option<Name>,
        code: Option<u16>,
        reason: Option<String>,
        /// Messages that still wait are cancelled, not sent.
        discard: bool,
    },
    /// Acknowledges an event of the server's.
    Reply(Reply),
    Status {
        id: Name,
    },
    Ping {
        id: Name,
    },
}

/// The first frame on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    pub protocol: u32,
    pub profile: Name,
    pub client: Name,
    pub instance: Option<String>,
    pub needs: Vec<String>,
    /// Frames beyond the usual that the extension takes; unknown ones are ignored.
    pub accepts: Vec<String>,
}

/// Create or get a session, and attach.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    pub id: Name,
    pub session: Name,
    pub url: Option<String>,
    pub options: Option<Options>,
    /// Names of options this broker does not know.
    pub ignored: Vec<String>,
    pub resume: Option<Resume>,
    pub conflict: Conflict,
}

/// The position a client has finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    pub epoch: String,
    pub seq: u64,
}

/// What a different URL or different options do to an existing session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conflict {
    #[default]
    Update,
    Keep,
    Error,
}

/// Hand a message over.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    pub session: Name,
    pub id: Option<Name>,
    pub payload: Payload,
    pub confirm: Option<Correlation>,
    /// `confirm: {"ack": true}`: the server's acknowledgement confirms it (Socket.IO).
    pub ack: bool,
    /// 0 goes first, 3 last.
    pub lane: u8,
    /// Milliseconds it may wait; the session's default otherwise.
    pub ttl: Option<u64>,
    pub volatile: bool,
    /// `ifLost: "resend"`.
    pub resend: bool,
    pub receipt: bool,
}

/// Send, and expect one correlated answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub id: Name,
    pub send: Send,
    pub matching: Match,
    /// Milliseconds.
    pub timeout: u64,
}

/// How an answer is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Two pointers that must be equal.
    Pointers(Correlation),
    /// JSON-RPC 2.0: the same `id`, and no `method`.
    JsonRpc,
    /// The server's acknowledgement (Socket.IO).
    Ack,
}

/// Remember what to say on every connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribe {
    pub session: Name,
    pub id: Name,
    pub key: Name,
    pub send: Vec<Payload>,
    pub undo: Vec<Payload>,
    pub confirm: Option<Rule>,
    /// First match wins; empty: everything is delivered.
    pub filter: Vec<FilterLine>,
}

/// The answer to an event whose server awaits one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub session: Name,
    /// The record it answers.
    pub seq: u64,
    /// A JSON array.
    pub args: Bytes,
    pub id: Option<Name>,
}

/// New credentials, or the answer that there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorize {
    pub session: Option<Name>,
    pub id: Option<Name>,
    pub nonce: Option<String>,
    pub headers: Option<Vec<(String, String)>>,
    pub url: Option<String>,
    pub subprotocols: Option<Vec<String>>,
    /// Socket.IO's `auth`: a JSON object.
    pub auth: Option<String>,
    pub failed: Option<String>,
}

/// A frame that could not be accepted, and what its sender needs to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFrame {
    pub error: ErrorInfo,
    pub id: Option<Name>,
    pub session: Option<Name>,
}

impl ClientFrame {
    /// The `id` that an answer to this frame carries.
    pub const fn id(&self) -> Option<&Name> {
        match self {
            Self::Hello(_) | Self::Ack { .. } => None,
            Self::Open(open) => Some(&open.id),
            Self::Send(send) => send.id.as_ref(),
            Self::Request(request) => Some(&request.id),
            Self::Subscribe(subscribe) => Some(&subscribe.id),
            Self::Authorize(authorize) => authorize.id.as_ref(),
            Self::Reply(reply) => reply.id.as_ref(),
            Self::Cancel { id, .. }
            | Self::Unsubscribe { id, .. }
            | Self::Status { id }
            | Self::Ping { id } => Some(id),
            Self::Window { id, .. }
            | Self::Reconnect { id, .. }
            | Self::Detach { id, .. }
            | Self::Close { id, .. } => id.as_ref(),
        }
    }

    /// The session it is about.
    pub const fn session(&self) -> Option<&Name> {
        match self {
            Self::Hello(_) | Self::Status { .. } | Self::Ping { .. } => None,
            Self::Open(open) => Some(&open.session),
            Self::Send(send) => Some(&send.session),
            Self::Request(request) => Some(&request.send.session),
            Self::Subscribe(subscribe) => Some(&subscribe.session),
            Self::Authorize(authorize) => authorize.session.as_ref(),
            Self::Reply(reply) => Some(&reply.session),
            Self::Ack { session, .. }
            | Self::Cancel { session, .. }
            | Self::Unsubscribe { session, .. }
            | Self::Window { session, .. }
            | Self::Reconnect { session, .. }
            | Self::Detach { session, .. }
            | Self::Close { session, .. } => Some(session),
        }
    }
}
