//! Frames from the extension: their types, and their reading from JSON.
//!
//! A missing or malformed field is refused by name and never defaulted; unknown fields are ignored. `batch` and
//! `part` are unpacked before this (see `batch`, `part`).

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::wire::code::Code;
use crate::wire::filter::{self, Line};
use crate::wire::options::{Options, Window};
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name};
use crate::wire::rule::{Correlation, Rule, check_pointer};

/// The lane of a message that names none.
pub const USUAL_LANE: u8 = 1;
/// Bytes of an event's name, at most.
const MOST_EVENT_NAME: usize = 1024;

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
    pub filter: Vec<Line>,
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

/// Fresh credentials, or word that there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorize {
    pub session: Option<Name>,
    pub id: Option<Name>,
    pub nonce: Option<String>,
    pub headers: Option<Vec<(String, String)>>,
    pub url: Option<String>,
    pub subprotocols: Option<Vec<String>>,
    /// Socket.IO's `auth` payload.
    pub auth: Option<Value>,
    pub failed: Option<String>,
}

/// A frame that could not be accepted, and what its sender needs to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub error: ErrorInfo,
    pub id: Option<Name>,
    pub session: Option<Name>,
}

/// Every field of every frame, not yet looked into: one pass over the bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    optional: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    session: Option<&'a RawValue>,
    #[serde(borrow)]
    seq: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    json: Option<&'a RawValue>,
    #[serde(borrow)]
    base64: Option<&'a RawValue>,
    #[serde(borrow)]
    protocol: Option<&'a RawValue>,
    #[serde(borrow)]
    profile: Option<&'a RawValue>,
    #[serde(borrow)]
    client: Option<&'a RawValue>,
    #[serde(borrow)]
    instance: Option<&'a RawValue>,
    #[serde(borrow)]
    needs: Option<&'a RawValue>,
    accepts: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    options: Option<&'a RawValue>,
    #[serde(borrow)]
    resume: Option<&'a RawValue>,
    #[serde(borrow)]
    conflict: Option<&'a RawValue>,
    #[serde(borrow)]
    confirm: Option<&'a RawValue>,
    #[serde(borrow)]
    lane: Option<&'a RawValue>,
    #[serde(borrow)]
    ttl: Option<&'a RawValue>,
    #[serde(borrow)]
    volatile: Option<&'a RawValue>,
    #[serde(borrow)]
    if_lost: Option<&'a RawValue>,
    #[serde(borrow)]
    receipt: Option<&'a RawValue>,
    #[serde(rename = "match", borrow)]
    matching: Option<&'a RawValue>,
    #[serde(borrow)]
    timeout: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    send: Option<&'a RawValue>,
    #[serde(borrow)]
    undo: Option<&'a RawValue>,
    #[serde(borrow)]
    filter: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    #[serde(borrow)]
    namespace: Option<&'a RawValue>,
    #[serde(borrow)]
    nonce: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    subprotocols: Option<&'a RawValue>,
    #[serde(borrow)]
    auth: Option<&'a RawValue>,
    #[serde(borrow)]
    failed: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    bytes: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
}

impl ClientFrame {
    /// Reads one frame. `Ok(None)` is an unknown type that says `"optional": true`.
    ///
    /// # Errors
    /// `bad-json`, `bad-frame` naming the field, `unknown-type`, `bad-session-name`, `bad-option`, `unsupported`.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Refusal> {
        let fields = Fields::read(bytes)?;
        fields.frame().map_err(|error| Refusal {
            error,
            id: fields.id.and_then(|raw| name("id", raw).ok()),
            session: fields.session.and_then(|raw| name("session", raw).ok()),
        })
    }

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

impl<'a> Fields<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(bytes).map_err(|error| {
            let code = match error.classify() {
                serde_json::error::Category::Data => Code::BadFrame,
                _ => Code::BadJson,
            };
            let error = ErrorInfo::new(code, format!("a frame must be one JSON object: {error}"));
            Refusal {
                error,
                id: None,
                session: None,
            }
        })
    }

    fn frame(&self) -> Result<Option<ClientFrame>, ErrorInfo> {
        let kind = self.kind.as_deref().ok_or_else(|| missing("type"))?;
        Ok(Some(match kind {
            "hello" => ClientFrame::Hello(self.hello()?),
            "open" => ClientFrame::Open(Box::new(self.open()?)),
            "ack" => ClientFrame::Ack {
                session: self.session()?,
                seq: required("seq", self.seq)?,
            },
            "send" => {
                let id = optional_name("id", self.id)?;
                ClientFrame::Send(self.send(id)?)
            }
            "request" => ClientFrame::Request(self.request()?),
            "cancel" => ClientFrame::Cancel {
                session: self.session()?,
                id: self.id()?,
            },
            "subscribe" => ClientFrame::Subscribe(Box::new(self.subscribe()?)),
            "unsubscribe" => ClientFrame::Unsubscribe {
                session: self.session()?,
                id: self.id()?,
                key: required_name("key", self.key)?,
            },
            "authorize" => ClientFrame::Authorize(Box::new(self.authorize()?)),
            "window" => ClientFrame::Window {
                session: self.session()?,
                window: Window {
                    messages: required("messages", self.messages)?,
                    bytes: required("bytes", self.bytes)?,
                },
                id: optional_name("id", self.id)?,
            },
            "reconnect" => ClientFrame::Reconnect {
                session: self.session()?,
                id: optional_name("id", self.id)?,
            },
            "detach" => ClientFrame::Detach {
                session: self.session()?,
                id: optional_name("id", self.id)?,
            },
            "close" => self.close()?,
            "status" => ClientFrame::Status { id: self.id()? },
            "ping" => ClientFrame::Ping { id: self.id()? },
            "reply" => ClientFrame::Reply(Reply {
                session: self.session()?,
                seq: required("seq", self.seq)?,
                args: array("args", self.args.ok_or_else(|| missing("args"))?)?,
                id: optional_name("id", self.id)?,
            }),
            _ if optional::<bool>("optional", self.optional)? == Some(true) => return Ok(None),
            unknown => {
                let shown: String = unknown.chars().take(64).collect();
                return Err(ErrorInfo::new(
                    Code::UnknownType,
                    format!("unknown frame type `{shown}`"),
                ));
            }
        }))
    }

    fn id(&self) -> Result<Name, ErrorInfo> {
        required_name("id", self.id)
    }

    fn session(&self) -> Result<Name, ErrorInfo> {
        let raw = self.session.ok_or_else(|| missing("session"))?;
        name("session", raw).map_err(|error| ErrorInfo {
            code: Code::BadSessionName,
            ..error
        })
    }

    fn hello(&self) -> Result<Hello, ErrorInfo> {
        Ok(Hello {
            protocol: required("protocol", self.protocol)?,
            profile: optional_name("profile", self.profile)?.unwrap_or_else(|| Arc::from("default")),
            client: optional_name("client", self.client)?.unwrap_or_else(|| Arc::from("main")),
            instance: optional("instance", self.instance)?,
            needs: optional("needs", self.needs)?.unwrap_or_default(),
            accepts: optional("accepts", self.accepts)?.unwrap_or_default(),
        })
    }

    fn open(&self) -> Result<Open, ErrorInfo> {
        #[derive(Deserialize)]
        struct ResumeForm {
            epoch: String,
            seq: u64,
        }
        let (options, ignored) = match self.options {
            None => (None, Vec::new()),
            Some(raw) => Options::from_json(raw).map(|(options, ignored)| (Some(options), ignored))?,
        };
        let resume = optional::<ResumeForm>("resume", self.resume)?;
        if resume.as_ref().is_some_and(|resume| resume.seq >= 1 << 53) {
            return Err(ErrorInfo::new(
                Code::BadFrame,
                "field `resume`: `seq` must be below 2^53",
            ));
        }
        Ok(Open {
            id: self.id()?,
            session: self.session()?,
            url: optional("url", self.url)?,
            options,
            ignored,
            resume: resume.map(|ResumeForm { epoch, seq }| Resume { epoch, seq }),
            conflict: match optional::<Cow<'_, str>>("conflict", self.conflict)?.as_deref() {
                None | Some("update") => Conflict::Update,
                Some("keep") => Conflict::Keep,
                Some("error") => Conflict::Error,
                Some(_) => return Err(wrong("conflict", "it must be `update`, `keep` or `error`")),
            },
        })
    }

    fn send(&self, id: Option<Name>) -> Result<Send, ErrorInfo> {
        let (confirm, ack) = match self.confirm {
            None => (None, false),
            Some(raw) if preset("confirm", raw)?.ack => (None, true),
            Some(raw) => (Some(correlation("confirm", raw)?), false),
        };
        Ok(Send {
            session: self.session()?,
            id,
            payload: self.payload()?,
            confirm,
            ack,
            lane: match optional::<u8>("lane", self.lane)? {
                None => USUAL_LANE,
                Some(lane @ 0..=3) => lane,
                Some(_) => return Err(wrong("lane", "it must lie between 0 and 3")),
            },
            ttl: optional("ttl", self.ttl)?,
            volatile: optional("volatile", self.volatile)?.unwrap_or(false),
            resend: match optional::<Cow<'_, str>>("ifLost", self.if_lost)?.as_deref() {
                None | Some("report") => false,
                Some("resend") => true,
                Some(_) => return Err(wrong("ifLost", "it must be `report` or `resend`")),
            },
            receipt: optional("receipt", self.receipt)?.unwrap_or(false),
        })
    }

    fn payload(&self) -> Result<Payload, ErrorInfo> {
        Form {
            text: self.text,
            json: self.json,
            base64: self.base64,
            event: self.event,
            args: self.args,
            namespace: self.namespace,
        }
        .payload()
    }

    fn request(&self) -> Result<Request, ErrorInfo> {
        let id = self.id()?;
        let raw = self.matching.ok_or_else(|| missing("match"))?;
        Ok(Request {
            send: self.send(Some(id.clone()))?,
            id,
            matching: matching(raw)?,
            timeout: optional("timeout", self.timeout)?.unwrap_or(30_000),
        })
    }

    fn subscribe(&self) -> Result<Subscribe, ErrorInfo> {
        let lines = optional::<Vec<Box<RawValue>>>("filter", self.filter)?.unwrap_or_default();
        if lines.len() > filter::MOST_LINES {
            let most = filter::MOST_LINES;
            return Err(wrong("filter", format!("it has more than {most} lines")));
        }
        let filter = lines
            .iter()
            .zip(1..)
            .map(|(raw, number)| {
                Line::from_json(raw.get()).map_err(|why| wrong("filter", format!("line {number}: {why}")))
            })
            .collect::<Result<_, _>>()?;
        let payloads = |field, raw: Option<&RawValue>| -> Result<Vec<Payload>, ErrorInfo> {
            optional::<Vec<Box<RawValue>>>(field, raw)?
                .unwrap_or_default()
                .iter()
                .map(|raw| read_payload(raw).map_err(|error| wrong(field, error.message)))
                .collect()
        };
        Ok(Subscribe {
            session: self.session()?,
            id: self.id()?,
            key: required_name("key", self.key)?,
            send: payloads("send", self.send)?,
            undo: payloads("undo", self.undo)?,
            confirm: optional::<Value>("confirm", self.confirm)?
                .map(|value| Rule::from_value(value).map_err(|why| wrong("confirm", why)))
                .transpose()?,
            filter,
        })
    }

    fn authorize(&self) -> Result<Authorize, ErrorInfo> {
        let headers = optional::<serde_json::Map<String, Value>>("headers", self.headers)?
            .map(|map| {
                map.into_iter()
                    .map(|(header, value)| match value {
                        Value::String(text) => Ok((header, text)),
                        _ => Err(wrong(
                            "headers",
                            format!("the value of `{header}` is not a string"),
                        )),
                    })
                    .collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        Ok(Authorize {
            session: Some(self.session()?),
            id: optional_name("id", self.id)?,
            nonce: optional("nonce", self.nonce)?,
            headers,
            url: optional("url", self.url)?,
            subprotocols: optional("subprotocols", self.subprotocols)?,
            auth: optional("auth", self.auth)?,
            failed: optional("failed", self.failed)?,
        })
    }

    fn close(&self) -> Result<ClientFrame, ErrorInfo> {
        let code: Option<u16> = optional("code", self.code)?;
        if code.is_some_and(|code| code != 1000 && !(3000..=4999).contains(&code)) {
            return Err(wrong("code", "it must be 1000 or lie between 3000 and 4999"));
        }
        let reason: Option<String> = optional("reason", self.reason)?;
        if reason.as_ref().is_some_and(|reason| reason.len() > 123) {
            return Err(wrong("reason", "it must not exceed 123 bytes of UTF-8"));
        }
        Ok(ClientFrame::Close {
            session: self.session()?,
            id: optional_name("id", self.id)?,
            code,
            reason,
        })
    }
}

/// The fields of a payload.
#[derive(Deserialize)]
struct Form<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    json: Option<&'a RawValue>,
    #[serde(borrow)]
    base64: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    #[serde(borrow)]
    namespace: Option<&'a RawValue>,
}

/// Reads a payload object: exactly one of `text`, `json`, `base64`, or an `event` with its `args`.
///
/// # Errors
/// `bad-frame` when there is none, more than one, or its content does not fit its form.
pub fn read_payload(raw: &RawValue) -> Result<Payload, ErrorInfo> {
    let form: Form<'_> =
        serde_json::from_str(raw.get()).map_err(|error| ErrorInfo::new(Code::BadFrame, error.to_string()))?;
    form.payload()
}

impl Form<'_> {
    fn payload(&self) -> Result<Payload, ErrorInfo> {
        let plain = [self.text, self.json, self.base64].into_iter().flatten().count();
        match self.event {
            Some(name) if plain == 0 => self.event_payload(name),
            None if plain == 1 => payload_of(self.text, self.json, self.base64),
            _ => Err(no_payload()),
        }
    }

    fn event_payload(&self, name: &RawValue) -> Result<Payload, ErrorInfo> {
        let name: String = required("event", Some(name))?;
        if name.is_empty() || name.len() > MOST_EVENT_NAME {
            let why = format!("it must have 1 to {MOST_EVENT_NAME} bytes");
            return Err(wrong("event", why));
        }
        let namespace: Option<String> = optional("namespace", self.namespace)?;
        if namespace
            .as_ref()
            .is_some_and(|namespace| !is_namespace(namespace))
        {
            return Err(wrong("namespace", "it must start with `/` and have no comma"));
        }
        let args = match self.args {
            None => Bytes::from_static(b"[]"),
            Some(raw) => array("args", raw)?,
        };
        Ok(Payload::args(Some(&name), namespace.as_deref(), args))
    }
}

/// Whether this can be a namespace of Socket.IO.
pub fn is_namespace(text: &str) -> bool {
    text.starts_with('/') && text.len() <= 256 && !text.contains(',') && !text.chars().any(char::is_control)
}

/// A JSON array, as received.
fn array(field: &str, raw: &RawValue) -> Result<Bytes, ErrorInfo> {
    if raw.get().starts_with('[') {
        Ok(Bytes::copy_from_slice(raw.get().as_bytes()))
    } else {
        Err(wrong(field, "it must be an array"))
    }
}

fn no_payload() -> ErrorInfo {
    ErrorInfo::new(
        Code::BadFrame,
        "a payload is exactly one of the fields `text`, `json` and `base64`, or an `event` with `args`",
    )
}

fn payload_of(
    text: Option<&RawValue>,
    json: Option<&RawValue>,
    base64: Option<&RawValue>,
) -> Result<Payload, ErrorInfo> {
    match (text, json, base64) {
        (Some(raw), None, None) => Ok(Payload::text(required::<String>("text", Some(raw))?)),
        (None, Some(raw), None) => Ok(Payload::Json(Bytes::copy_from_slice(raw.get().as_bytes()))),
        (None, None, Some(raw)) => {
            let text: Cow<'_, str> = required("base64", Some(raw))?;
            let bytes = BASE64
                .decode(text.as_bytes())
                .map_err(|error| wrong("base64", error))?;
            Ok(Payload::Binary(bytes.into()))
        }
        _ => Err(no_payload()),
    }
}

fn correlation(field: &str, raw: &RawValue) -> Result<Correlation, ErrorInfo> {
    #[derive(Deserialize)]
    struct Form {
        out: String,
        #[serde(rename = "in")]
        incoming: String,
    }
    let form: Form = required(field, Some(raw))?;
    for pointer in [&form.out, &form.incoming] {
        check_pointer(pointer).map_err(|why| wrong(field, why))?;
    }
    Ok(Correlation {
        out: form.out,
        incoming: form.incoming,
    })
}

#[derive(Deserialize)]
struct Preset {
    #[serde(default)]
    jsonrpc: bool,
    #[serde(default)]
    ack: bool,
}

fn preset(field: &str, raw: &RawValue) -> Result<Preset, ErrorInfo> {
    required(field, Some(raw))
}

fn matching(raw: &RawValue) -> Result<Match, ErrorInfo> {
    let preset = preset("match", raw)?;
    if preset.jsonrpc {
        return Ok(Match::JsonRpc);
    }
    if preset.ack {
        return Ok(Match::Ack);
    }
    correlation("match", raw).map(Match::Pointers)
}

/// A name or id: 1 to 128 characters, no control characters.
fn name(field: &str, raw: &RawValue) -> Result<Name, ErrorInfo> {
    let text: Cow<'_, str> = required(field, Some(raw))?;
    let count = text.chars().count();
    if !(1..=128).contains(&count) || text.chars().any(char::is_control) {
        return Err(wrong(
            field,
            "it must have 1 to 128 characters and no control characters",
        ));
    }
    Ok(Arc::from(&*text))
}

fn required_name(field: &str, raw: Option<&RawValue>) -> Result<Name, ErrorInfo> {
    name(field, raw.ok_or_else(|| missing(field))?)
}

fn optional_name(field: &str, raw: Option<&RawValue>) -> Result<Option<Name>, ErrorInfo> {
    raw.map(|raw| name(field, raw)).transpose()
}

fn required<T: serde::de::DeserializeOwned>(field: &str, raw: Option<&RawValue>) -> Result<T, ErrorInfo> {
    let raw = raw.ok_or_else(|| missing(field))?;
    serde_json::from_str(raw.get()).map_err(|error| wrong(field, error))
}

fn optional<T: DeserializeOwned>(field: &str, raw: Option<&RawValue>) -> Result<Option<T>, ErrorInfo> {
    raw.map(|raw| required(field, Some(raw))).transpose()
}

fn missing(field: &str) -> ErrorInfo {
    ErrorInfo::new(Code::BadFrame, format!("field `{field}` is missing"))
}

fn wrong(field: &str, why: impl std::fmt::Display) -> ErrorInfo {
    ErrorInfo::new(Code::BadFrame, format!("field `{field}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> Refusal {
        ClientFrame::parse(json.as_bytes()).expect_err(json)
    }

    #[test]
    fn what_is_missing_is_named_with_the_ids_that_are_there() {
        let refusal = refused(r#"{"type":"send","session":"s","id":"1"}"#);
        assert_eq!(refusal.error.code, Code::BadFrame);
        assert_eq!(
            (refusal.id.as_deref(), refusal.session.as_deref()),
            (Some("1"), Some("s"))
        );
        assert!(
            refused(r#"{"type":"ack","session":"s"}"#)
                .error
                .message
                .contains("`seq`")
        );
        assert!(
            refused(r#"{"type":"hello"}"#)
                .error
                .message
                .contains("`protocol`")
        );
        assert!(refused(r#"{"session":"s"}"#).error.message.contains("`type`"));
    }

    #[test]
    fn what_is_not_an_object_is_bad() {
        assert_eq!(refused("{not json").error.code, Code::BadJson);
        assert_eq!(refused("42").error.code, Code::BadFrame);
        assert_eq!(refused("").error.code, Code::BadJson);
        assert_eq!(refused(&"[".repeat(100_000)).error.code, Code::BadFrame);
        let deep = format!(
            r#"{{"type":"ping","id":"1","x":{}{}}}"#,
            "[".repeat(50_000),
            "]".repeat(50_000)
        );
        let _ = ClientFrame::parse(deep.as_bytes());
    }

    #[test]
    fn an_unknown_type_is_refused_unless_optional() {
        assert_eq!(
            refused(r#"{"type":"new","id":"1"}"#).error.code,
            Code::UnknownType
        );
        assert_eq!(ClientFrame::parse(br#"{"type":"new","optional":true}"#), Ok(None));
    }

    #[test]
    fn exactly_one_payload() {
        for json in [
            r#"{"type":"send","session":"s","text":"a","json":1}"#,
            r#"{"type":"send","session":"s","base64":"*"}"#,
            r#"{"type":"send","session":"s","text":1}"#,
        ] {
            assert_eq!(refused(json).error.code, Code::BadFrame, "{json}");
        }
        let frame = ClientFrame::parse(br#"{"type":"send","session":"s","json":{"a": 1.0}}"#)
            .unwrap()
            .unwrap();
        let ClientFrame::Send(send) = frame else {
            panic!("{frame:?}")
        };
        assert_eq!(
            send.payload,
            Payload::Json(Bytes::from_static(br#"{"a": 1.0}"#)),
            "kept as received"
        );
    }

    #[test]
    fn names_have_bounds() {
        let long = "x".repeat(129);
        for bad in ["", "a\\u0000b", long.as_str()] {
            let refusal = refused(&format!(r#"{{"type":"ack","session":"{bad}","seq":1}}"#));
            assert_eq!(refusal.error.code, Code::BadSessionName);
        }
        assert!(
            ClientFrame::parse(format!(r#"{{"type":"ping","id":"{}"}}"#, "é".repeat(128)).as_bytes()).is_ok()
        );
    }
}
