//! `open.options`: every option and its default. They are read from JSON in `parse`.

mod parse;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use super::close_codes::CloseClass;
use super::close_codes::CloseCodes;
use super::guard::Guard;
use super::login::{LoginStep, ValuePath};
use super::payload::Payload;
use super::rule::Rule;
use super::servers::{Poll, Post};
use super::socketio::SocketIoOptions;

/// How a session dials, keeps and delivers. Times in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub protocol: Protocol,
    /// In order of preference, in place of `protocol`; empty: there is only that.
    pub transports: Vec<Protocol>,
    /// Where a transport's server is, if not at the session's URL.
    pub urls: BTreeMap<Protocol, String>,
    pub subprotocols: Vec<String>,
    /// In the order given.
    pub headers: Vec<(String, String)>,
    /// The Cookie header's text.
    pub cookies: Option<String>,
    /// `format: "json"`: valid JSON text is delivered as `json`.
    pub json: bool,
    pub connect_timeout: u64,
    /// `system`, `none`, or a proxy URL.
    pub proxy: String,
    pub compression: bool,
    /// `None`: never, a drop is `closed`.
    pub reconnect: Option<Reconnect>,
    /// `None`: no heartbeat.
    pub heartbeat: Option<HeartbeatOptions>,
    pub greeting: Vec<Payload>,
    pub ready: Option<Rule>,
    pub queue: QueueOptions,
    pub outbox: OutboxBounds,
    pub window: Window,
    /// Milliseconds (awake) the link is kept without clients.
    pub linger: u64,
    /// Milliseconds (awake) the session is kept without clients.
    pub expire: u64,
    pub durability: Durability,
    /// `auth: "provider"`.
    pub auth_provider: bool,
    /// Where messages of a session over HTTP are posted.
    pub post: Option<Post>,
    pub poll: Poll,
    pub socketio: SocketIoOptions,
    /// Answers to the server's messages before the connection is ready.
    pub login: Vec<LoginStep>,
    /// Milliseconds that `close` waits for messages accepted before it, and for the server's answer.
    pub close_timeout: u64,
    /// What passes, in each direction.
    pub guard: Guard,
    pub close_codes: CloseCodes,
    /// Bytes.
    pub max_message: usize,
}

impl Options {
    /// The protocols that the session may use, in order of preference.
    pub fn protocols(&self) -> &[Protocol] {
        match self.transports.as_slice() {
            [] => std::slice::from_ref(&self.protocol),
            some => some,
        }
    }
}

/// The server's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    WebSocket,
    /// Server-sent events.
    EventStream,
    /// Question and answer over HTTP.
    Poll,
    /// Socket.IO 5 on Engine.IO 4.
    SocketIo,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 4] = [Self::WebSocket, Self::EventStream, Self::Poll, Self::SocketIo];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::EventStream => "sse",
            Self::Poll => "poll",
            Self::SocketIo => "socket.io",
        }
    }
}

/// When to dial again after a loss.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Reconnect {
    pub min_delay: u64,
    pub max_delay: u64,
    pub factor: f64,
    /// The wait is drawn from this share of it around it; `None`: from all of it ("full jitter").
    pub randomization: Option<f64>,
    /// Dials after a loss; `None` = without end.
    pub max_attempts: Option<u32>,
    /// A link open this long clears the count of attempts.
    pub stable_after: u64,
}

/// When and how to check that the server responds.
#[derive(Debug, Clone, PartialEq)]
pub struct HeartbeatOptions {
    /// Silence before a beat.
    pub interval: u64,
    /// Silence after a beat before the link is given up.
    pub timeout: u64,
    /// An application-level beat in place of a WebSocket ping.
    pub message: Option<Payload>,
    /// What answers that beat, and is used up by it; without it any byte does.
    pub expect: Option<Rule>,
    /// A beat every `interval`, whatever is received: for servers that require heartbeats.
    pub always: bool,
    /// The server's own beats: used up, and answered if there is something to say.
    pub answers: Vec<(Rule, Option<Payload>)>,
    /// Where the server states in seconds how long the client may be silent: beats are sent before that.
    pub interval_from: Option<ValuePath>,
}

/// Bounds of the log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct QueueOptions {
    pub messages: usize,
    /// Payload bytes, in-flight records counted.
    pub bytes: usize,
    /// Awake milliseconds.
    pub age: u64,
    pub overflow: Overflow,
}

/// What happens to a message that the log has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    DropOldest,
    DropNewest,
    /// Stop reading the socket.
    Pause,
    /// Hang up, and stay `paused` until a client attaches.
    Close,
}

/// Bounds of the outbox.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct OutboxBounds {
    pub messages: usize,
    pub bytes: usize,
    /// Milliseconds a message may wait.
    pub ttl: u64,
}

/// Un-acknowledged records in flight per attachment; 0 messages or bytes pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Window {
    pub messages: usize,
    pub bytes: usize,
}

/// What a session survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Everything but the end of the broker.
    Memory,
    /// The end of the broker and a reboot too.
    Disk,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            min_delay: 500,
            max_delay: 30_000,
            factor: 2.0,
            randomization: None,
            max_attempts: None,
            stable_after: 30_000,
        }
    }
}

impl Default for HeartbeatOptions {
    fn default() -> Self {
        Self {
            interval: 20_000,
            timeout: 10_000,
            message: None,
            expect: None,
            interval_from: None,
            always: false,
            answers: Vec::new(),
        }
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            messages: 65_536,
            bytes: 16_777_216,
            age: 86_400_000,
            overflow: Overflow::DropOldest,
        }
    }
}

impl Default for OutboxBounds {
    fn default() -> Self {
        Self {
            messages: 1000,
            bytes: 8_388_608,
            ttl: 3_600_000,
        }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self {
            messages: 4096,
            bytes: 4_194_304,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocol: Protocol::WebSocket,
            transports: Vec::new(),
            urls: BTreeMap::new(),
            subprotocols: Vec::new(),
            headers: Vec::new(),
            cookies: None,
            json: false,
            connect_timeout: 15_000,
            proxy: "system".to_owned(),
            compression: true,
            reconnect: Some(Reconnect::default()),
            heartbeat: Some(HeartbeatOptions::default()),
            greeting: Vec::new(),
            ready: None,
            queue: QueueOptions::default(),
            outbox: OutboxBounds::default(),
            window: Window::default(),
            linger: 1_800_000,
            expire: 86_400_000,
            durability: Durability::Memory,
            auth_provider: false,
            post: None,
            poll: Poll::default(),
            socketio: SocketIoOptions::default(),
            login: Vec::new(),
            close_timeout: 10_000,
            guard: Guard::default(),
            close_codes: CloseCodes::default(),
            max_message: 67_108_864,
        }
    }
}
