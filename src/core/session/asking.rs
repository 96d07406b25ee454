//! Servers on HTTP: event streams and polling, and what posting to them proves.
//!
//! Bytes and answers are understood in `core::dialect`; the link's life stays in `linking`.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::wire::code::Code;
use crate::wire::json::is_valid;
use crate::wire::options::Protocol;
use crate::wire::payload::{Content, Event, Payload};
use crate::wire::record::{Continuity, ErrorInfo, State, StateChange};

use crate::core::context::{Context, error};
use crate::core::dialect::engine::Roads;
use crate::core::dialect::eventsource::{Parser, Told};
use crate::core::dialect::socketio::SocketIo;
use crate::core::dialect::{Dialect, Memory, Speech};
use crate::core::io::{Answer, DialId, Fetch, Incoming, LinkEnd, Output, Road};
use crate::core::link::Link;
use crate::core::policy;

use super::Session;
use super::linking::MOST_OBEYED;

/// How soon a server is asked again that answers a long poll with nothing.
const BREATH: Duration = Duration::from_millis(500);
/// What may be told of a body that says why.
const TOLD: usize = 200;

impl Session {
    /// What a dial of this session is to become.
    pub(super) fn road(&self, protocol: Protocol) -> Road {
        match protocol {
            Protocol::WebSocket => Road::WebSocket,
            Protocol::SocketIo => Road::Engine(self.engine_roads()),
            Protocol::EventStream | Protocol::Poll => Road::Http {
                post: self.options.post.as_ref().and_then(|post| {
                    // It was read when the session was opened, and judged as the options are.
                    let url = policy::read_url(&post.url).ok()?;
                    Some((url, post.headers.clone()))
                }),
            },
        }
    }

    /// The URL as status and people see it, with the scheme it was given with.
    pub(super) fn shown_url(&self, url: &Url) -> String {
        let shown = policy::shown_url(url);
        match (self.protocol(), shown.strip_prefix("ws")) {
            (Protocol::EventStream | Protocol::Poll | Protocol::SocketIo, Some(rest)) => {
                format!("http{rest}")
            }
            _ => shown,
        }
    }

    /// Whether the server was told where to go on.
    pub(super) fn continuity(&self) -> Continuity {
        let Some(dialect) = &self.dialect else {
            return Continuity::Unknown;
        };
        match dialect.protocol {
            Protocol::EventStream if dialect.memory.id_to_say().is_some() => Continuity::Server,
            Protocol::Poll if dialect.memory.poll.is_known() => Continuity::Server,
            Protocol::SocketIo => self.socketio_continuity(),
            _ => Continuity::Unknown,
        }
    }

    /// Whether nothing can be sent on this transport.
    pub(super) fn is_deaf(&self) -> bool {
        matches!(self.protocol(), Protocol::EventStream | Protocol::Poll) && self.options.post.is_none()
    }

    /// Why a message cannot be sent to this server at all.
    pub(super) fn cannot_carry(&self, payload: &Payload) -> Option<ErrorInfo> {
        let is_deaf = self.is_deaf() && self.options.transports.is_empty();
        self.cannot_emit(payload).or_else(|| {
            is_deaf.then(|| {
                error(
                    Code::Unsupported,
                    "this session only listens; to send, open it with option `post`",
                )
            })
        })
    }

    pub(super) fn engine_roads(&self) -> Roads {
        let options = &self.options.socketio;
        let has = |wanted: &str| options.transports.iter().any(|transport| transport == wanted);
        Roads {
            path: options.path.clone(),
            polling: has("polling"),
            websocket: has("websocket"),
            websocket_first: options
                .transports
                .first()
                .is_some_and(|first| first == "websocket"),
            upgrade: options.upgrade,
        }
    }

    /// Begins to speak on a new dial.
    pub(super) fn start_dialect(&mut self, ctx: &mut Context, dial: DialId, protocol: Protocol, url: Url) {
        let address = self.address(protocol).unwrap_or_else(|| url.clone());
        let memory = Memory {
            recovered: None,
            ..self.memories.take(protocol, &address)
        };
        let speech = match protocol {
            Protocol::WebSocket => Speech::Plain,
            Protocol::SocketIo => {
                let namespaces = self.options.socketio.namespaces.clone();
                Speech::SocketIo(Box::new(SocketIo::new(namespaces)))
            }
            Protocol::EventStream => {
                let mut headers = vec![
                    ("Accept".to_owned(), "text/event-stream".to_owned()),
                    ("Cache-Control".to_owned(), "no-cache".to_owned()),
                ];
                if let Some(id) = memory.id_to_say() {
                    headers.push(("Last-Event-ID".to_owned(), id.to_owned()));
                }
                let fetch = Fetch {
                    url: url.clone(),
                    headers,
                    timeout: Duration::from_millis(self.options.connect_timeout),
                    streaming: true,
                };
                ctx.out.push_back(Output::Fetch(dial, Box::new(fetch)));
                Speech::EventStream(Box::new(Parser::new(self.options.max_message)))
            }
            Protocol::Poll => Speech::Poll { due: None },
        };
        self.dialect = Some(Box::new(Dialect {
            protocol,
            address,
            url,
            memory,
            speech,
        }));
        if protocol == Protocol::Poll {
            self.ask(ctx, dial);
        }
    }

    /// Asks a polled server.
    fn ask(&mut self, ctx: &mut Context, dial: DialId) {
        let Some(dialect) = &mut self.dialect else { return };
        let (url, headers) = dialect.memory.poll.ask(&self.options.poll, dialect.url.clone());
        let fetch = Fetch {
            url,
            headers,
            timeout: Duration::from_millis(self.options.poll.timeout),
            streaming: false,
        };
        dialect.speech = Speech::Poll { due: None };
        ctx.out.push_back(Output::Fetch(dial, Box::new(fetch)));
    }

    /// When the next question is due, in boot time. Never while the log is full.
    pub(super) fn asks_at(&self) -> Option<Duration> {
        match (self.speech(), self.link.connection()) {
            (Some(Speech::Poll { due }), Some(connection)) if !connection.paused => *due,
            _ => None,
        }
    }

    /// Asks the next question if it is time.
    pub(super) fn ask_when_due(&mut self, ctx: &mut Context) {
        if self.asks_at().is_some_and(|at| ctx.now.boot >= at)
            && let Some(dial) = self.link.dial()
        {
            self.ask(ctx, dial);
        }
    }

    /// An answer came to the question that was asked.
    pub(super) fn answered(&mut self, ctx: &mut Context, dial: DialId, answer: Answer) {
        if let Some(connection) = self.link.up()
            && let Some(heartbeat) = &mut connection.heartbeat
        {
            heartbeat.heard(ctx.now.boot);
        }
        match self.speech() {
            Some(Speech::EventStream(_)) => self.stream_answered(ctx, dial, &answer),
            Some(Speech::Poll { .. }) => self.poll_answered(ctx, dial, answer),
            Some(Speech::Plain | Speech::SocketIo(_)) | None => {}
        }
    }

    /// What the dial that is alive has going on.
    pub(super) fn speech(&self) -> Option<&Speech> {
        self.dialect.as_ref().map(|dialect| &dialect.speech)
    }

    fn stream_answered(&mut self, ctx: &mut Context, dial: DialId, answer: &Answer) {
        if self.link.connection().is_some() {
            return;
        }
        if answer.status == 204 {
            return self.stop(ctx, dial, answer.status);
        }
        if answer.status != 200 {
            return self.refused_by(ctx, dial, answer, u64::MAX);
        }
        let kind = answer.header("content-type").unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("text/event-stream") {
            let shown: String = essence.chars().take(64).collect();
            let why = format!("the server answered with `{shown}`; an event stream is `text/event-stream`");
            return self.fail(ctx, dial, error(Code::ServerProtocol, why));
        }
        if let Some(why) = compressed(answer) {
            return self.fail(ctx, dial, error(Code::ServerProtocol, why));
        }
        self.opened(ctx, dial, None, None);
    }

    /// Bytes of the event stream.
    pub(super) fn streamed(&mut self, ctx: &mut Context, bytes: &Bytes) {
        let json = self.options.json;
        let Some(dialect) = &mut self.dialect else { return };
        let Speech::EventStream(parser) = &mut dialect.speech else {
            return;
        };
        let memory = &mut dialect.memory;
        let mut told = Vec::new();
        parser.push(bytes, &mut told);
        let mut incoming = Vec::new();
        // What to say after a loss that follows each of them.
        let mut ids = Vec::new();
        for told in told {
            incoming.push(match told {
                Told::Id(id) => {
                    memory.last_event_id = Some(id);
                    continue;
                }
                Told::Retry(milliseconds) => {
                    memory.retry = Duration::from_millis(milliseconds);
                    continue;
                }
                Told::TooLarge => Incoming::TooLarge { bytes: None },
                Told::Event { name, data } => Incoming::Message(event(json, memory, name, data)),
            });
            ids.push(memory.last_event_id.clone());
        }
        let taken = self.received(ctx, incoming);
        if taken < ids.len()
            && let Some(last) = taken.checked_sub(1)
        {
            // The log hung up: the server is to say the rest again.
            let last_event_id = ids.swap_remove(last);
            self.remember(|memory| memory.last_event_id = last_event_id);
        }
    }

    /// Changes what the server is remembered by, whether the dial that it was heard on is still alive or not.
    fn remember(&mut self, change: impl FnOnce(&mut Memory)) {
        match &mut self.dialect {
            Some(dialect) => change(&mut dialect.memory),
            None => self.memories.change_newest(change),
        }
    }

    fn poll_answered(&mut self, ctx: &mut Context, dial: DialId, answer: Answer) {
        if !answer.is_good() && answer.status != 304 {
            return self.refused_by(ctx, dial, &answer, u64::MAX);
        }
        let Some(dialect) = &mut self.dialect else { return };
        let before = dialect.memory.poll.clone();
        let heard = if answer.status == 304 || answer.too_large {
            Ok(Vec::new())
        } else if let Some(why) = compressed(&answer).filter(|_| !answer.body.is_empty()) {
            Err(why)
        } else {
            dialect
                .memory
                .poll
                .hear(&self.options.poll, &answer, self.options.json)
        };
        let messages = match heard {
            Ok(messages) => messages,
            Err(why) => return self.give_up(ctx, Code::ServerProtocol, &why),
        };
        let poll = &self.options.poll;
        let pause = match (poll.long, messages.is_empty()) {
            (false, _) => Duration::from_millis(poll.interval),
            (true, true) => BREATH,
            (true, false) => Duration::ZERO,
        };
        let asked_for = answer.retry_after.unwrap_or_default().min(MOST_OBEYED);
        // Set before anything is delivered: the log may fill up and hang up.
        dialect.speech = Speech::Poll {
            due: Some(ctx.now.boot.saturating_add(pause.max(asked_for))),
        };
        if self.link.connection().is_none() {
            self.opened(ctx, dial, None, None);
        }
        let mut incoming: Vec<Incoming> = messages.into_iter().map(Incoming::Message).collect();
        if answer.too_large {
            incoming.push(Incoming::TooLarge { bytes: None });
        }
        let count = incoming.len();
        if self.received(ctx, incoming) < count {
            // The log hung up: the answer is asked for again.
            self.remember(|memory| memory.poll = before);
        }
        self.ask_when_due(ctx);
    }

    /// A message was posted and answered.
    pub(super) fn posted(&mut self, ctx: &mut Context, count: u64, answer: Answer) {
        if answer.is_not_now()
            && let Some(dial) = self.link.dial()
        {
            // Not taken, and it may be later: it waits again.
            return self.refused_by(ctx, dial, &answer, count - 1);
        }
        let failure = (!answer.is_good()).then(|| {
            let why = format!(
                "the server answered the POST with {}{}",
                answer.status,
                reason(&answer)
            );
            error(Code::HttpStatus, why)
        });
        let settled = self.outbox.answered(ctx.now.awake, count, failure);
        self.settle_all(ctx, settled);
        self.flow(ctx);
    }

    /// The server does not want to talk, now or at all: its status says which.
    fn refused_by(&mut self, ctx: &mut Context, dial: DialId, answer: &Answer, taken: u64) {
        ctx.hang_up(dial, 1000, "");
        let hint = if (300..400).contains(&answer.status) {
            " (redirects are not followed)"
        } else {
            ""
        };
        let end = LinkEnd {
            status: Some(answer.status),
            retry_after: answer.retry_after,
            reason: Some(body_told(answer)),
            error: Some(error(
                Code::HttpStatus,
                format!("the server answered with {}{hint}", answer.status),
            )),
            taken,
            ..LinkEnd::default()
        };
        self.lost(ctx, end);
    }

    /// The server wants no more questions.
    fn stop(&mut self, ctx: &mut Context, dial: DialId, status: u16) {
        ctx.hang_up(dial, 1000, "");
        self.leave_link(ctx);
        self.link = Link::Closed;
        let mut change = StateChange::new(State::Closed);
        change.dial = Some(self.counters.dials);
        change.status = Some(status);
        self.tell_state(ctx, change);
        self.settle_lost(ctx, u64::MAX);
    }

    /// What the server says makes no sense, and would not the next time either.
    pub(super) fn fail(&mut self, ctx: &mut Context, dial: DialId, why: ErrorInfo) {
        ctx.hang_up(dial, 1000, "");
        self.leave_link(ctx);
        self.link = Link::Failed;
        let mut change = StateChange::new(State::Failed);
        change.dial = Some(self.counters.dials);
        change.error = Some(why);
        self.tell_state(ctx, change);
        self.settle_lost(ctx, u64::MAX);
    }
}

/// An event of a stream as a message.
fn event(json: bool, memory: &Memory, name: Option<String>, data: String) -> Payload {
    let data = Bytes::from(data);
    let json = json && is_valid(&data);
    Payload::Event(
        Event {
            name: name.as_deref().map(Into::into),
            namespace: None,
            last_event_id: memory.last_event_id().map(str::to_owned),
            reply: false,
            content: if json {
                Content::Json(data)
            } else {
                Content::Text(data)
            },
        }
        .into(),
    )
}

/// What is wrong with an answer that cannot be read as it is.
fn compressed(answer: &Answer) -> Option<String> {
    let coding = answer.header("content-encoding")?.trim();
    let plain = coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    (!plain).then(|| {
        let shown: String = coding.chars().take(64).collect();
        format!("the server compressed its answer (`{shown}`), though nobody asked for that")
    })
}

fn reason(answer: &Answer) -> String {
    let told = body_told(answer);
    if told.is_empty() {
        told
    } else {
        format!(": {told}")
    }
}

/// The beginning of a body that is text, on one line.
fn body_told(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(TOLD)
        .collect();
    line.trim().to_owned()
}
