//! `open.options`: every option, its default, and its reading from JSON.
//!
//! It refuses values that cannot be used; whether a URL or header is allowed is policy, decided in `core`.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::close_codes::CloseCodes;
use super::code::Code;
use super::guard::Guard;
use super::login::{LoginStep, ValuePath, read_login};
use super::message::{check_size, read_payload};
use super::payload::Payload;
use super::presets::preset;
use super::record::{ErrorInfo, in_json_words};
use super::rule::Rule;
use super::servers::{Poll, Post, strings};
use super::socketio::SocketIo;

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
    pub heartbeat: Option<Heartbeat>,
    pub greeting: Vec<Payload>,
    pub ready: Option<Rule>,
    pub queue: Queue,
    pub outbox: OutboxBounds,
    pub window: Window,
    /// Milliseconds (awake) the link is kept without clients.
    pub linger: u64,
    /// Milliseconds (awake) the session is kept without clients.
    pub expire: u64,
    pub durability: Durability,
    /// `auth: "provider"`.
    pub auth_provider: bool,
    /// Where messages go of a session that hears over HTTP.
    pub post: Option<Post>,
    pub poll: Poll,
    pub socketio: SocketIo,
    /// Answers to the server's words before the connection is ready.
    pub login: Vec<LoginStep>,
    /// Milliseconds that `close` waits for messages accepted before it, and for the server's answer.
    pub close_timeout: u64,
    /// What passes, in each direction.
    pub guard: Guard,
    pub close_codes: CloseCodes,
    /// Bytes.
    pub max_message: usize,
}

/// What the server speaks.
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
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::EventStream => "sse",
            Self::Poll => "poll",
            Self::SocketIo => "socket.io",
        }
    }

    fn named(option: &str, word: &str) -> Result<Self, ErrorInfo> {
        let all = [Self::WebSocket, Self::EventStream, Self::Poll, Self::SocketIo];
        let named = all.into_iter().find(|protocol| protocol.as_str() == word);
        named.ok_or_else(|| {
            let words = all.map(Self::as_str).join(", ");
            bad(option, format!("`{word}` is no protocol; there are: {words}"))
        })
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

/// When to ask whether the server is alive.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// Silence before a beat.
    pub interval: u64,
    /// Silence after a beat before the link is given up.
    pub timeout: u64,
    /// An application-level beat in place of a WebSocket ping.
    pub message: Option<Payload>,
    /// What answers that beat, and is used up by it; without it any byte does.
    pub expect: Option<Rule>,
    /// A beat every `interval`, whatever is heard: for servers that want to hear us.
    pub always: bool,
    /// The server's own beats: used up, and answered if there is something to say.
    pub answers: Vec<(Rule, Option<Payload>)>,
    /// Where the server says in seconds how long it bears silence: beats come before that.
    pub interval_from: Option<ValuePath>,
}

/// Bounds of the log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct Queue {
    pub messages: usize,
    /// Payload bytes, in-flight records counted.
    pub bytes: usize,
    /// Awake milliseconds.
    pub age: u64,
    pub overflow: Overflow,
}

/// What happens to a message that the log has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Everything but the broker's death.
    Memory,
    /// The broker's death and a reboot too.
    Disk,
}

/// What a close code or refused handshake means for dialling again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloseClass {
    /// Dial again after a while.
    Retry,
    /// Fresh credentials first.
    Auth,
    /// Do not dial again.
    Stop,
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

impl Default for Heartbeat {
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

impl Default for Queue {
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
            heartbeat: Some(Heartbeat::default()),
            greeting: Vec::new(),
            ready: None,
            queue: Queue::default(),
            outbox: OutboxBounds::default(),
            window: Window::default(),
            linger: 1_800_000,
            expire: 86_400_000,
            durability: Durability::Memory,
            auth_provider: false,
            post: None,
            poll: Poll::default(),
            socketio: SocketIo::default(),
            login: Vec::new(),
            close_timeout: 10_000,
            guard: Guard::default(),
            close_codes: CloseCodes::default(),
            max_message: 67_108_864,
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct HeartbeatForm {
    interval: u64,
    timeout: u64,
    message: Option<Box<RawValue>>,
    expect: Option<Box<RawValue>>,
    always: bool,
    answers: Vec<AnswerForm>,
    #[serde(rename = "intervalFrom")]
    interval_from: Option<ValuePath>,
}

#[derive(Deserialize)]
struct AnswerForm {
    when: Box<RawValue>,
    send: Option<Box<RawValue>>,
}

impl Default for HeartbeatForm {
    fn default() -> Self {
        let Heartbeat {
            interval, timeout, ..
        } = Heartbeat::default();
        Self {
            interval,
            timeout,
            message: None,
            expect: None,
            always: false,
            answers: Vec::new(),
            interval_from: None,
        }
    }
}

impl Options {
    /// Reads the options object. Unknown options are not an error; their names are returned.
    ///
    /// # Errors
    /// `bad-option`, naming the option, when a value has the wrong type or cannot be used.
    pub fn from_json(json: &RawValue) -> Result<(Self, Vec<String>), ErrorInfo> {
        check_size(json).map_err(|why| ErrorInfo::new(Code::BadOption, format!("`options`: {why}")))?;
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(json.get()).map_err(|error| {
            ErrorInfo::new(Code::BadOption, format!("`options`: {}", in_json_words(&error)))
        })?;
        let mut options = Self::default();
        let mut ignored = Vec::new();
        let has_heartbeat = fields.contains_key("heartbeat");
        if let Some(value) = fields.get("preset") {
            let fields = preset(&read::<String>("preset", value)?).map_err(|why| bad("preset", why))?;
            for (name, value) in fields {
                options.set(&name, &value)?;
            }
        }
        for (name, value) in fields.into_iter().filter(|(name, _)| name != "preset") {
            if !options.set(&name, value)? {
                ignored.push(name);
            }
        }
        for (name, value) in options.socketio.take_common_headers() {
            options
                .headers
                .retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            options.headers.push((name, value));
        }
        let has_socket =
            options.protocol == Protocol::WebSocket || options.transports.contains(&Protocol::WebSocket);
        if !has_socket && !has_heartbeat {
            // There are no pings over HTTP: silence is judged only if the extension says for how long.
            options.heartbeat = None;
        }
        options.check()?;
        Ok((options, ignored))
    }

    /// Sets one option; `false` when there is none of that name.
    fn set(&mut self, name: &str, value: &RawValue) -> Result<bool, ErrorInfo> {
        match name {
            "protocol" => self.protocol = Protocol::named(name, &read::<String>(name, value)?)?,
            "transports" => {
                self.transports = read::<Vec<String>>(name, value)?
                    .iter()
                    .map(|word| Protocol::named(name, word))
                    .collect::<Result<_, _>>()?;
            }
            "urls" => {
                self.urls = read::<BTreeMap<String, String>>(name, value)?
                    .into_iter()
                    .map(|(word, url)| Ok((Protocol::named(name, &word)?, url)))
                    .collect::<Result<_, _>>()?;
            }
            "subprotocols" => self.subprotocols = read(name, value)?,
            "headers" => {
                self.headers = strings(read(name, value)?).map_err(|why| bad(name, why))?;
            }
            "cookies" => self.cookies = read(name, value)?,
            "format" => {
                self.json = match read::<String>(name, value)?.as_str() {
                    "text" => false,
                    "json" => true,
                    other => return Err(bad(name, format!("`{other}` is neither `text` nor `json`"))),
                }
            }
            "connectTimeout" => self.connect_timeout = read(name, value)?,
            "proxy" => self.proxy = read(name, value)?,
            "compression" => self.compression = read(name, value)?,
            "reconnect" => {
                self.reconnect = match value.get() {
                    "false" => None,
                    "true" => Some(Reconnect::default()),
                    _ => Some(read(name, value)?),
                }
            }
            "heartbeat" => {
                self.heartbeat = match value.get() {
                    "false" => None,
                    "true" => Some(Heartbeat::default()),
                    _ => {
                        let form: HeartbeatForm = read(name, value)?;
                        Some(Heartbeat {
                            interval: form.interval,
                            timeout: form.timeout,
                            message: form.message.map(|raw| payload(name, &raw)).transpose()?,
                            expect: form.expect.map(|json| rule(name, &json)).transpose()?,
                            interval_from: form.interval_from,
                            always: form.always,
                            answers: form
                                .answers
                                .into_iter()
                                .map(|answer| {
                                    let send = answer.send.map(|raw| payload(name, &raw)).transpose()?;
                                    Ok((rule(name, &answer.when)?, send))
                                })
                                .collect::<Result<_, _>>()?,
                        })
                    }
                }
            }
            "greeting" => {
                self.greeting = read::<Vec<Box<RawValue>>>(name, value)?
                    .iter()
                    .map(|raw| payload(name, raw))
                    .collect::<Result<_, _>>()?;
            }
            "ready" => self.ready = Some(rule(name, value)?),
            "login" => self.login = read_login(value.get()).map_err(|why| bad(name, why))?,
            "queue" => self.queue = read(name, value)?,
            "outbox" => self.outbox = read(name, value)?,
            "window" => self.window = read(name, value)?,
            "linger" => self.linger = read(name, value)?,
            "expire" => self.expire = read(name, value)?,
            "durability" => self.durability = read(name, value)?,
            "auth" => {
                self.auth_provider = match read::<String>(name, value)?.as_str() {
                    "none" => false,
                    "provider" => true,
                    other => return Err(bad(name, format!("`{other}` is neither `none` nor `provider`"))),
                }
            }
            "post" => self.post = Some(Post::from_json(value.get()).map_err(|why| bad(name, why))?),
            "guard" => self.guard = Guard::from_json(value.get()).map_err(|why| bad(name, why))?,
            "socketio" => {
                self.socketio = SocketIo::from_json(value.get()).map_err(|why| bad(name, why))?;
            }
            "poll" => self.poll = Poll::from_json(value.get()).map_err(|why| bad(name, why))?,
            "closeTimeout" => self.close_timeout = read(name, value)?,
            "closeCodes" => {
                let codes = read(name, value)?;
                self.close_codes.add(codes).map_err(|why| bad(name, why))?;
            }
            "maxMessage" => self.max_message = read(name, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Refuses values that parse but cannot work.
    fn check(&self) -> Result<(), ErrorInfo> {
        if let Some(reconnect) = &self.reconnect {
            if !(1.0..=100.0).contains(&reconnect.factor) {
                return Err(bad("reconnect", "`factor` must lie between 1 and 100"));
            }
            if !reconnect
                .randomization
                .is_none_or(|share| (0.0..=1.0).contains(&share))
            {
                return Err(bad("reconnect", "`randomization` must lie between 0 and 1"));
            }
            if reconnect.min_delay == 0 || reconnect.min_delay > reconnect.max_delay {
                return Err(bad(
                    "reconnect",
                    "`minDelay` must be at least 1 and at most `maxDelay`",
                ));
            }
        }
        if self
            .heartbeat
            .as_ref()
            .is_some_and(|beat| beat.interval == 0 || beat.timeout == 0)
        {
            return Err(bad("heartbeat", "`interval` and `timeout` must be at least 1 ms"));
        }
        if self.connect_timeout == 0 {
            return Err(bad("connectTimeout", "it must be at least 1 ms"));
        }
        if self.queue.messages == 0 || self.queue.bytes == 0 || self.queue.age == 0 {
            return Err(bad("queue", "`messages`, `bytes` and `age` must be at least 1"));
        }
        let speaks = |protocol: &Protocol| match self.transports.as_slice() {
            [] => self.protocol == *protocol,
            some => some.contains(protocol),
        };
        if (1..self.transports.len()).any(|index| self.transports[..index].contains(&self.transports[index]))
        {
            return Err(bad("transports", "each may stand once"));
        }
        let is_http = [Protocol::EventStream, Protocol::Poll].iter().any(speaks);
        if !is_http && self.post.is_some() {
            return Err(bad("post", "this session sends on its own connection"));
        }
        if is_http && self.post.is_none() && !self.greeting.is_empty() {
            return Err(bad("greeting", "it needs `post`, which says where to"));
        }
        let has_event = self
            .greeting
            .iter()
            .any(|payload| matches!(payload, Payload::Event(_)));
        if has_event && !speaks(&Protocol::SocketIo) {
            return Err(bad("greeting", "an `event` is for Socket.IO servers"));
        }
        if !self.login.is_empty() && self.ready.is_none() {
            return Err(bad("login", "it needs `ready`, which says when it has succeeded"));
        }
        if self.max_message == 0 || self.max_message > 67_108_864 {
            return Err(bad("maxMessage", "it must lie between 1 and 67108864 bytes"));
        }
        Ok(())
    }
}

fn bad(name: &str, why: impl std::fmt::Display) -> ErrorInfo {
    ErrorInfo::new(Code::BadOption, format!("option `{name}`: {why}"))
}

fn read<T: DeserializeOwned>(name: &str, value: &RawValue) -> Result<T, ErrorInfo> {
    serde_json::from_str(value.get()).map_err(|error| bad(name, in_json_words(&error)))
}

fn rule(name: &str, json: &RawValue) -> Result<Rule, ErrorInfo> {
    Rule::from_json(json.get()).map_err(|why| bad(name, why))
}

fn payload(name: &str, raw: &RawValue) -> Result<Payload, ErrorInfo> {
    read_payload(raw).map_err(|error| bad(name, error.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<(Options, Vec<String>), ErrorInfo> {
        Options::from_json(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn a_login_needs_to_say_when_it_has_succeeded() {
        let login = r#""login":[{"when":{"/type":"hello"},"send":[{"text":"me"}]}]"#;
        let alone = parse(&format!("{{{login}}}")).unwrap_err();
        assert!(alone.message.contains("option `login`") && alone.message.contains("`ready`"));
        let (options, _) = parse(&format!(r#"{{{login},"ready":{{"/ok":true}}}}"#)).unwrap();
        assert_eq!(options.login.len(), 1);
    }

    #[test]
    fn unknown_options_are_named_and_the_rest_applies() {
        let (options, ignored) =
            parse(r#"{"future":1,"format":"json","reconnect":{"minDelay":100}}"#).unwrap();
        assert_eq!(ignored, ["future"]);
        assert!(options.json);
        assert_eq!(options.reconnect.unwrap().min_delay, 100);
    }

    #[test]
    fn false_switches_off() {
        let (options, _) = parse(r#"{"reconnect":false,"heartbeat":false}"#).unwrap();
        assert_eq!((options.reconnect, options.heartbeat), (None, None));
    }

    #[test]
    fn a_bad_value_names_its_option() {
        for json in [
            r#"{"queue":{"messages":"many"}}"#,
            r#"{"reconnect":{"factor":0}}"#,
            r#"{"format":"xml"}"#,
            r#"{"ready":{"type":1}}"#,
            r#"{"greeting":[{"text":"a","json":1}]}"#,
            r#"{"headers":{"A":1}}"#,
        ] {
            let error = parse(json).unwrap_err();
            assert_eq!(error.code, Code::BadOption, "{json}");
            assert!(
                error.message.contains(json.split('"').nth(1).unwrap()),
                "{}",
                error.message
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_value_is_said_in_words_of_json() {
        for (json, words) in [
            (
                r#"{"reconnect":5}"#,
                "invalid type: integer `5`, expected an object",
            ),
            (
                r#"{"linger":"5s"}"#,
                "invalid type: string \"5s\", expected a whole number, 0 or more",
            ),
            (
                r#"{"subprotocols":"v1"}"#,
                "invalid type: string \"v1\", expected an array",
            ),
            (
                r#"{"post":"https://x"}"#,
                "invalid type: string \"https://x\", expected an object",
            ),
            (r#"{"closeCodes":[]}"#, "invalid type: array, expected an object"),
            (
                r#"{"protocol":"socketio"}"#,
                "`socketio` is no protocol; there are: websocket, sse, poll, socket.io",
            ),
            (
                r#"{"durability":"hard"}"#,
                "unknown variant `hard`, expected `memory` or `disk`",
            ),
        ] {
            let (_, said) = json.split_once('"').unwrap();
            let (name, _) = said.split_once('"').unwrap();
            assert_eq!(
                parse(json).unwrap_err().message,
                format!("option `{name}`: {words}")
            );
        }
    }
}
