//! Frames from the extension: reading them from JSON.
//!
//! A missing or malformed field is refused by name and never defaulted; unknown fields are ignored. How a single field
//! is read stands in `field`, what the frames are in `from_extension`; those that carry messages are read in `messages`.

mod messages;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::field::{
    array, check_size, fields, missing, name, optional, optional_name, present, required, required_name,
    wrong,
};
use super::from_extension::{Authorize, ClientFrame, Conflict, Hello, Open, RefusedFrame, Reply, Resume};
use crate::wire::code::Code;
use crate::wire::object::read_object;
use crate::wire::options::{Options, Window};
use crate::wire::record::{ErrorInfo, Name, json_error_text, utf8};
use crate::wire::socketio::auth_object;

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
    #[serde(borrow, default, deserialize_with = "present")]
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
    #[serde(borrow)]
    discard: Option<&'a RawValue>,
}

impl ClientFrame {
    /// Reads one frame. `Ok(None)` is an unknown type that says `"optional": true`.
    ///
    /// # Errors
    /// `bad-json` (of what is not UTF-8 too), `bad-frame` naming the field, `unknown-type`, `bad-session-name`, `bad-option`, `unsupported`.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, RefusedFrame> {
        let fields = Fields::read(bytes)?;
        fields.frame().map_err(|error| RefusedFrame {
            error,
            id: fields.id.and_then(|raw| name("id", raw).ok()),
            session: fields.session.and_then(|raw| name("session", raw).ok()),
        })
    }
}

impl<'a> Fields<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, RefusedFrame> {
        let parsed = utf8(bytes).and_then(|text| match serde_json::from_str(text) {
            // The fields of an array would be read in their order.
            Ok(fields) if !text.trim_ascii_start().starts_with('[') => Ok(fields),
            read => Err(malformed_frame(text, read.err().as_ref())),
        });
        parsed.map_err(|error| RefusedFrame {
            error,
            id: None,
            session: None,
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
            unknown => return Err(unknown_type(unknown)),
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
        let url = optional("url", self.url)?;
        let (options, ignored) = match self.options {
            None => (None, Vec::new()),
            // Nothing is asked for but to attach.
            Some(raw) if url.is_none() && is_empty_object(raw) => (None, Vec::new()),
            Some(raw) => Options::from_json(raw).map(|(options, ignored)| (Some(options), ignored))?,
        };
        let resume: Option<ResumeForm> = self.resume.map(|raw| fields("resume", raw)).transpose()?;
        if resume.as_ref().is_some_and(|resume| resume.seq >= 1 << 53) {
            return Err(ErrorInfo::new(
                Code::BadFrame,
                "field `resume`: `seq` must be below 2^53",
            ));
        }
        Ok(Open {
            id: self.id()?,
            session: self.session()?,
            url,
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
            auth: self
                .auth
                .map_or(Ok(None), |raw| check_size(raw).and_then(|()| auth_object(raw)))
                .map_err(|why| wrong("auth", why))?,
            failed: optional("failed", self.failed)?,
        })
    }

    fn close(&self) -> Result<ClientFrame, ErrorInfo> {
        let code: Option<u16> = optional("code", self.code)?;
        // 1005 never travels: it asks for a close frame that has no code, as `WebSocket.close()` sends.
        if code.is_some_and(|code| !matches!(code, 1000 | 1001 | 1005 | 3000..=4999)) {
            return Err(wrong(
                "code",
                "it must be 1000, 1001, 1005 or between 3000 and 4999",
            ));
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
            discard: optional("discard", self.discard)?.unwrap_or(false),
        })
    }
}

fn unknown_type(kind: &str) -> ErrorInfo {
    if matches!(kind, "batch" | "part") {
        // Others are unpacked before.
        let why = format!("a `{kind}` must not travel in parts");
        return ErrorInfo::new(Code::BadFrame, why);
    }
    let shown: String = kind.chars().take(64).collect();
    ErrorInfo::new(Code::UnknownType, format!("unknown frame type `{shown}`"))
}

/// What is wrong with a frame whose fields cannot be told apart.
fn malformed_frame(json: &str, error: Option<&serde_json::Error>) -> ErrorInfo {
    if let Some(error) = error.filter(|error| !error.is_data()) {
        let why = format!("a frame must be one JSON object: {}", json_error_text(error));
        return ErrorInfo::new(Code::BadJson, why);
    }
    let why = read_object::<Fields<'_>>(json).err().unwrap_or_default();
    let subject = if why.starts_with('`') {
        "field "
    } else {
        "a frame must be one JSON object: "
    };
    ErrorInfo::new(Code::BadFrame, format!("{subject}{why}"))
}

fn is_empty_object(raw: &RawValue) -> bool {
    check_size(raw).is_ok()
        && serde_json::from_str::<serde_json::Map<String, Value>>(raw.get()).is_ok_and(|map| map.is_empty())
}

#[cfg(test)]
mod tests;
