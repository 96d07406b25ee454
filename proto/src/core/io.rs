//! What goes into the core and what comes out: plain data, no sockets, no clock.
//!
//! It does not decide anything. `Hub::handle` takes an `Input`, `Hub::poll` yields `Output` until `None`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::wire::message::{BrokerFrame, ClientFrame};
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name};

use super::dialect::unencoded::UnencodedMessage;
use super::journal::{JournalEntry, JournalId};
use super::rules::Rules;

/// One port: a host process, or a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u64);

/// One attempt to reach a server, and the link it becomes. Never reused within a broker's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialId(pub u64);

/// The time, read by the shell. The two spans start at an arbitrary moment and never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Time the machine was awake: how long state is kept counts this.
    pub awake: Duration,
    /// Time since boot, sleep included: liveness of links counts this.
    pub boot: Duration,
    /// Wall clock, milliseconds since 1970, for display only.
    pub wall: u64,
}

/// Who is at a port, as the host's argv says; never taken from a frame.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A browser extension: `chrome-extension://<id>/` or a Firefox add-on id.
    Extension { origin: Name },
    /// The command line of the same user: sees every session's counters, owns none.
    Admin,
}

/// What happened outside.
#[derive(Debug, Clone)]
pub enum Input {
    /// A port was opened.
    PortOpened(PortId, Caller),
    /// A frame from a port, already parsed. Frames that cannot be parsed are answered by the shell.
    Frame(PortId, ClientFrame),
    /// A port was closed. Nothing is delivered to it any more.
    PortClosed(PortId),
    /// Frames handed out by `Deliver` with this total cost have left the port's queue.
    Written(PortId, usize),
    /// The command line wants to see what a session records from now on. It holds nothing and acknowledges nothing.
    Watch(PortId, Watch),
    /// The command line ends a session for every client.
    EndSession(PortId, EndSession),
    /// An event of a dial.
    Link(DialId, LinkEvent),
    /// The machine slept, or its network changed: links are to be probed, and waits for a dial to end, at once.
    Resumed,
    /// The settings allow this from now on.
    Rules(Arc<Rules>),
    /// A journal can be written no more (disk full, quota, damage): its session continues in memory.
    JournalLost { journal: JournalId, why: String },
    /// A deadline may have passed. Early or repeated ones are harmless.
    Timeout,
    /// The broker will exit: notify every port, close every link, flush journals.
    Leave { reason: &'static str },
}

/// Which session the command line means.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct SessionSelector {
    /// The session's name.
    pub session: Name,
    /// Whose, if several extensions have one of that name.
    #[serde(default)]
    pub origin: Option<Name>,
    /// In which profile, if several have one.
    #[serde(default)]
    pub profile: Option<Name>,
}

/// A session to watch.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Watch {
    /// For the answer: `ok`, or an error.
    pub id: Name,
    #[serde(flatten)]
    pub session: SessionSelector,
    /// So many of the records that are still held come first.
    #[serde(default)]
    pub last: usize,
    /// Show what goes out as well.
    #[serde(default)]
    pub both: bool,
}

/// A session to end.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct EndSession {
    /// For the answer: `ok`, or an error.
    pub id: Name,
    #[serde(flatten)]
    pub session: SessionSelector,
}

/// Word from a dial to the core.
#[derive(Debug, Clone)]
pub enum LinkEvent {
    /// The handshake is done.
    Opened {
        subprotocol: Option<String>,
        extensions: Option<String>,
    },
    /// Messages, in order. Also counts as a sign of life.
    Messages(Vec<Incoming>),
    /// Bytes came that are no message (a ping, part of a large message): a sign of life.
    Alive,
    /// Messages given by `Transmit` to this dial that have been written to the socket, counted from its start.
    Written(u64),
    /// The answer to `Ping` with this token. Everything transmitted before that ping has been read by the far endpoint.
    Pong(u64),
    /// The answer to `Fetch`. If that was streaming and this is a 200, the body follows as `Chunk`s.
    Answered(Box<Answer>),
    /// Bytes of a streamed body, in order.
    Chunk(Bytes),
    /// The message of `Transmit` with this number, counted from the dial's start, was posted and answered.
    Posted(u64, Box<Answer>),
    /// The answer to `Encode`.
    Encoded(Result<Vec<Payload>, ErrorInfo>),
    /// The dial is over; its last event.
    Ended(LinkEnd),
}

/// One message from a server, or the place where one was too large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A message of at most `max_message` bytes, copied out of any larger buffer.
    Message(Payload),
    /// A message above `max_message`; `bytes` if known.
    TooLarge { bytes: Option<u64> },
}

/// How a dial ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkEnd {
    /// WebSocket close code: the server's, 1005 for none given, 1006 for no close frame at all.
    pub code: Option<u16>,
    /// The server's close reason.
    pub reason: Option<String>,
    /// HTTP status of a refused handshake.
    pub status: Option<u16>,
    /// `Retry-After` of a refused handshake.
    pub retry_after: Option<Duration>,
    /// What went wrong; `None` after a close handshake.
    pub error: Option<ErrorInfo>,
    /// Messages of `Transmit` that the dial has begun to hand to the socket: later ones were certainly not sent.
    pub taken: u64,
}

/// What the shell is to do, in this order.
#[derive(Debug, Clone)]
pub enum Output {
    /// Queue a frame for a port. `cost` comes back in `Input::Written` once it has left.
    Deliver {
        port: PortId,
        frame: BrokerFrame,
        cost: usize,
    },
    /// Start a dial.
    Dial(DialId, Box<Target>),
    /// Send a message on an open dial. Over HTTP they are posted one at a time.
    Transmit(DialId, Payload),
    /// Write a large message as packets, which takes long; they come back as `LinkEvent::Encoded`.
    Encode(DialId, UnencodedMessage),
    /// Ask a question on a dial over HTTP; there is one at a time.
    Fetch(DialId, Box<Fetch>),
    /// Send a ping after everything transmitted so far; the answer is `LinkEvent::Pong` with the token.
    Ping(DialId, u64),
    /// Stop reading the socket (but keep answering pings as far as that is possible).
    Pause(DialId),
    /// Read again.
    Resume(DialId),
    /// Write what has been transmitted, then close with this code and reason. The dial still reports what it receives, the
    /// server's answer last: `LinkEvent::Ended`.
    Close { dial: DialId, code: u16, reason: String },
    /// Close with this code and reason; the core will not listen to this dial any more.
    HangUp { dial: DialId, code: u16, reason: String },
    /// Append to a session's journal before anything that follows is delivered.
    Journal(JournalId, JournalEntry),
    /// No port, no session: the broker may leave after its idle time (`true`), or may not any more (`false`).
    Idle(bool),
}

/// A question over HTTP: a GET on a dial whose transport is `Http`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    pub url: url::Url,
    /// Beside those of the target.
    pub headers: Vec<(String, String)>,
    /// For the head if `streaming`, otherwise for the whole answer. Connecting has its own.
    pub timeout: Duration,
    /// Tell a body with status 200 as it comes, without end.
    pub streaming: bool,
}

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub retry_after: Option<Duration>,
    /// Empty if it is streamed or was too large.
    pub body: Bytes,
    /// The body exceeded `max_message`.
    pub too_large: bool,
}

/// Bytes of a body that are needed to recognise it.
const MAX_BEGINNING: usize = 64 << 10;

impl Answer {
    /// The body without the mark that servers on Windows begin with; that is no part of JSON or text.
    pub fn content(&self) -> Bytes {
        match self.body.strip_prefix("\u{feff}".as_bytes()) {
            Some(rest) => self.body.slice_ref(rest),
            None => self.body.clone(),
        }
    }

    /// The beginning of the body as text, for an error about a body that is no message.
    pub fn beginning(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body[..self.body.len().min(MAX_BEGINNING)])
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_lines(name).next()
    }

    /// All header lines of this name, in any case.
    pub(crate) fn header_lines(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        let is_named = move |line: &&(String, String)| line.0.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(is_named)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the status says of a POST that it was not taken, and may be later.
    pub const fn is_not_now(&self) -> bool {
        matches!(self.status, 401 | 403 | 429 | 503)
    }

    /// Whether the status is a 2xx.
    pub const fn is_good(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// What a dial is to become.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TransportKind {
    /// A WebSocket: reports `Opened`.
    #[default]
    WebSocket,
    /// Questions and answers: every `Fetch` is a request, every `Transmit` a POST to this URL with these headers
    /// beside the target's.
    Http {
        post: Option<(url::Url, Vec<(String, String)>)>,
    },
    /// Packets of Engine.IO as messages, by whichever transport: reports `Opened` with the first of them.
    Engine(EngineTransports),
}

/// How an Engine.IO dial may travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineTransports {
    /// The path that is requested, as `/socket.io/`.
    pub path: String,
    /// Parameters beside the URL's own.
    pub query: Vec<(String, String)>,
    pub polling: bool,
    pub websocket: bool,
    /// The WebSocket is tried before polling.
    pub websocket_first: bool,
    /// Go from polling to a WebSocket.
    pub upgrade: bool,
    /// Begin with the WebSocket once an upgrade has succeeded.
    pub remember_upgrade: bool,
    /// Whether the next transport is tried when the first fails; `None`: from the WebSocket to polling only.
    pub try_all: Option<bool>,
    pub polling_requests: RequestOptions,
    pub websocket_requests: RequestOptions,
}

/// What is special about the requests of one transport.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestOptions {
    /// Sent in place of the target's of the same name.
    pub headers: Vec<(String, String)>,
    /// The name of the parameter that makes each URL another one.
    pub timestamp_param: Option<String>,
    /// Bytes travel as text.
    pub base64: bool,
    /// How long the answer to a request may take.
    pub timeout: Option<Duration>,
}

impl Default for EngineTransports {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            query: Vec::new(),
            polling: true,
            websocket: true,
            websocket_first: false,
            upgrade: true,
            remember_upgrade: false,
            try_all: None,
            polling_requests: RequestOptions::default(),
            websocket_requests: RequestOptions::default(),
        }
    }
}

impl EngineTransports {
    /// Whether packets travel by polling to the end.
    const fn stay_with_polling(&self) -> bool {
        !self.websocket || (self.polling && !self.websocket_first && !self.upgrade)
    }

    /// Whether bytes travel as text to the end.
    pub(crate) const fn has_text_only(&self) -> bool {
        self.stay_with_polling() || self.websocket_requests.base64
    }
}

/// Where and how to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The extension that dials, for the settings' rules; `None`: the user.
    pub origin: Option<Name>,
    /// Cookies that servers set are kept for the dials with the same number.
    pub jar: Option<u64>,
    /// As the extension gave it, parsed and allowed.
    pub url: url::Url,
    /// Offered in this order.
    pub subprotocols: Vec<String>,
    /// Sent as they are; `Origin` and `Cookie` among them.
    pub headers: Vec<(String, String)>,
    /// DNS, proxy, TCP, TLS and upgrade together.
    pub connect_timeout: Duration,
    pub proxy: ProxyChoice,
    /// Offer permessage-deflate.
    pub compression: bool,
    /// Deliver valid JSON text as `Payload::Json`.
    pub json: bool,
    /// Largest message accepted, in bytes.
    pub max_message: usize,
    pub transport: TransportKind,
}

/// Through which proxy a dial goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProxyChoice {
    /// As the environment and the settings say.
    #[default]
    System,
    /// Directly.
    None,
    /// Through this one: `http://` or `socks5://`.
    Url(String),
}
