//! `options.socketio`: how to connect to a Socket.IO server, named as in socket.io-client and engine.io-client.
//!
//! Every option of theirs is read here, or refused by name with what to use instead.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::json::{Document, Value, ValueKind};
use super::message::is_namespace;
use super::object::read_value;

/// How to connect to a Socket.IO server: `options.socketio`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketIoOptions {
    /// On the server, as it is requested: with a slash at its end unless the options say otherwise.
    pub path: String,
    /// Parameters in addition to the URL's own.
    pub query: Vec<(String, String)>,
    /// Requested on every connection; without the first there is no link.
    pub namespaces: Vec<String>,
    /// A JSON object, sent when a namespace is requested.
    pub auth: Option<String>,
    /// In the order given, each once: `polling`, `websocket`.
    pub transports: Vec<String>,
    /// Go from polling to a WebSocket.
    pub upgrade: bool,
    /// Begin with the WebSocket once an upgrade has succeeded.
    pub remember_upgrade: bool,
    /// Whether the next transport is tried when the first fails; `None`: from the WebSocket to polling only.
    pub try_all_transports: Option<bool>,
    pub polling: TransportOptions,
    pub websocket: TransportOptions,
}

/// How the requests of one transport look: the options, and in `transportOptions` what is different for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportOptions {
    /// Sent in place of the session's of the same name.
    pub headers: Vec<(String, String)>,
    /// The name of the parameter that makes each URL another one.
    pub timestamp_param: Option<String>,
    /// Bytes travel as text.
    pub base64: bool,
    /// Milliseconds that the answer to a request may take.
    pub request_timeout: Option<u64>,
}

impl Default for SocketIoOptions {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            query: Vec::new(),
            namespaces: vec!["/".to_owned()],
            auth: None,
            transports: vec!["polling".to_owned(), "websocket".to_owned()],
            upgrade: true,
            remember_upgrade: false,
            try_all_transports: None,
            polling: TransportOptions {
                timestamp_param: Some(TIMESTAMP.to_owned()),
                ..TransportOptions::NONE
            },
            websocket: TransportOptions::NONE,
        }
    }
}

impl TransportOptions {
    /// Nothing special.
    pub const NONE: Self = Self {
        headers: Vec::new(),
        timestamp_param: None,
        base64: false,
        request_timeout: None,
    };
}

/// Namespaces of one session, at most.
const MAX_NAMESPACES: usize = 64;
/// The parameter that makes a URL another one, unless the options name another.
const TIMESTAMP: &str = "t";

/// Options of socket.io-client and engine.io-client that are not supported, and what to use instead.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["host", "hostname", "port", "secure", "uri"],
        "set the server's address in the session's URL",
    ),
    (
        &["withCredentials"],
        "pass the browser's cookies in the session's option `cookies`",
    ),
    (&["parser"], "only Socket.IO's default parser is supported"),
    (
        &["retries"],
        "the broker keeps waiting messages itself; see `ifLost`, `confirm` and `request`",
    ),
    (&["ackTimeout"], "use the `timeout` of `request`"),
    (
        &[
            "reconnection",
            "reconnectionAttempts",
            "reconnectionDelay",
            "reconnectionDelayMax",
            "randomizationFactor",
        ],
        "use the session's option `reconnect`",
    ),
    (&["timeout"], "use the session's option `connectTimeout`"),
    (
        &[
            "autoConnect",
            "forceNew",
            "multiplex",
            "closeOnBeforeunload",
            "autoUnref",
            "useNativeTimers",
        ],
        "sessions are opened, shared and closed by name",
    ),
    (&["protocols"], "use the session's option `subprotocols`"),
    (&["perMessageDeflate"], "use the session's option `compression`"),
    (
        &["agent", "localAddress"],
        "use the session's option `proxy` or the user's settings",
    ),
    (
        &["ca", "rejectUnauthorized", "ciphers"],
        "trusted certificates are set in the user's settings (`ca-files`, `insecure-hosts`)",
    ),
    (
        &["pfx", "key", "passphrase", "cert"],
        "client certificates are set in the user's settings (`client-certificate`)",
    ),
    (
        &["transportImplementations"],
        "`transports` are `polling` and `websocket`",
    ),
];

impl SocketIoOptions {
    /// Parses `options.socketio`, or returns what is wrong.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let fields: BTreeMap<String, &RawValue> = read_value(json)?;
        refuse_impossible(&fields)?;
        let mut socketio = Self::default();
        if let Some(path) = read::<String>(&fields, "path")? {
            if !path.starts_with('/') || path.contains(['?', '#']) {
                return Err("`path` must start with `/` and have no query".to_owned());
            }
            socketio.path = path;
        }
        socketio.path = requested_path(&socketio.path, read(&fields, "addTrailingSlash")?.unwrap_or(true));
        if let Some(namespaces) = read(&fields, "namespaces")? {
            socketio.namespaces = check_namespaces(namespaces)?;
        }
        socketio.auth = fields.get("auth").map_or(Ok(None), |raw| auth_object(raw))?;
        if let Some(transports) = read::<Vec<String>>(&fields, "transports")? {
            let known = |transport: &String| matches!(transport.as_str(), "polling" | "websocket");
            if transports.is_empty() || !transports.iter().all(known) {
                return Err("`transports` are `polling` and `websocket`".to_owned());
            }
            socketio.transports = transports;
        }
        socketio.query = text_map(&fields, "query")?.unwrap_or_default();
        socketio.upgrade = read(&fields, "upgrade")?.unwrap_or(true);
        socketio.remember_upgrade = read(&fields, "rememberUpgrade")?.unwrap_or(false);
        socketio.try_all_transports = read(&fields, "tryAllTransports")?;
        let each: Option<BTreeMap<String, Box<RawValue>>> = read(&fields, "transportOptions")?;
        let each = each.unwrap_or_default();
        if let Some(name) = each
            .keys()
            .find(|name| !matches!(name.as_str(), "polling" | "websocket" | "webtransport"))
        {
            return Err(format!(
                "`transportOptions` are those of `polling` and `websocket`, not of `{name}`"
            ));
        }
        let own = |name: &str| each.get(name).map(AsRef::as_ref);
        socketio.polling = TransportOptions::of(&fields, own("polling"), Timestamps::ByDefault)?;
        socketio.websocket = TransportOptions::of(&fields, own("websocket"), Timestamps::OnRequest)?;
        Ok(socketio)
    }

    /// Takes the headers that go with the requests of all transports.
    pub(super) fn take_common_headers(&mut self) -> Vec<(String, String)> {
        if self.polling.headers != self.websocket.headers {
            return Vec::new();
        }
        self.polling.headers.clear();
        std::mem::take(&mut self.websocket.headers)
    }
}

/// Whether URLs have a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timestamps {
    /// Unless the options say otherwise.
    ByDefault,
    /// Only if the options say so.
    OnRequest,
}

impl TransportOptions {
    fn of(
        all: &BTreeMap<String, &RawValue>,
        own: Option<&RawValue>,
        timestamps: Timestamps,
    ) -> Result<Self, String> {
        let own: BTreeMap<String, &RawValue> = own.map_or(Ok(BTreeMap::new()), |own| {
            read_value(own.get()).map_err(|why| format!("`transportOptions`: {why}"))
        })?;
        refuse_impossible(&own)?;
        let known = [
            "extraHeaders",
            "timestampRequests",
            "timestampParam",
            "forceBase64",
            "requestTimeout",
        ];
        if let Some(name) = own.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!(
                "`{name}` in `transportOptions` is not supported: only {} are",
                known.map(|name| format!("`{name}`")).join(", ")
            ));
        }
        let mut fields = all.clone();
        fields.extend(own);
        let is_stamped = read(&fields, "timestampRequests")?.unwrap_or(timestamps == Timestamps::ByDefault);
        let param = read(&fields, "timestampParam")?.unwrap_or_else(|| TIMESTAMP.to_owned());
        Ok(Self {
            headers: text_map(&fields, "extraHeaders")?.unwrap_or_default(),
            timestamp_param: is_stamped.then_some(param),
            base64: read(&fields, "forceBase64")?.unwrap_or(false),
            request_timeout: number(&fields, "requestTimeout")?.filter(|timeout| *timeout > 0),
        })
    }
}

fn refuse_impossible(fields: &BTreeMap<String, &RawValue>) -> Result<(), String> {
    for (names, instead) in REFUSED {
        if let Some(name) = names.iter().find(|name| fields.contains_key(**name)) {
            return Err(format!("`{name}` is not supported: {instead}"));
        }
    }
    Ok(())
}

/// As engine.io-client makes it of `path` and `addTrailingSlash`.
fn requested_path(path: &str, trailing_slash: bool) -> String {
    let path = path.strip_suffix('/').unwrap_or(path);
    format!("{path}{}", if trailing_slash { "/" } else { "" })
}

fn check_namespaces(namespaces: Vec<String>) -> Result<Vec<String>, String> {
    if !(1..=MAX_NAMESPACES).contains(&namespaces.len()) {
        return Err(format!("`namespaces` has 1 to {MAX_NAMESPACES} names"));
    }
    match namespaces.iter().find(|namespace| !is_namespace(namespace)) {
        Some(bad) => Err(format!(
            "`{bad}` is not a namespace: it must start with `/` and have no comma"
        )),
        None => Ok(namespaces),
    }
}

/// A field that may be absent or null.
fn read<T: DeserializeOwned>(fields: &BTreeMap<String, &RawValue>, name: &str) -> Result<Option<T>, String> {
    let Some(raw) = fields.get(name) else {
        return Ok(None);
    };
    read_value(raw.get()).map_err(|why| format!("`{name}`: {why}"))
}

/// Milliseconds, as JavaScript reads them: `"5000"` and `5000.0` are numbers too.
fn number(fields: &BTreeMap<String, &RawValue>, name: &str) -> Result<Option<u64>, String> {
    let Some(raw) = fields.get(name).filter(|raw| raw.get() != "null") else {
        return Ok(None);
    };
    let document = Document::parse(raw.get()).ok();
    let number = document.and_then(|document| document.root().to_number());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    match number {
        Some(number) if number >= 0.0 => Ok(Some(number as u64)),
        _ => Err(format!("`{name}` is not a number of milliseconds")),
    }
}

/// Names and their values as JavaScript writes them into a URL or header, in the order given.
fn text_map(
    fields: &BTreeMap<String, &RawValue>,
    name: &str,
) -> Result<Option<Vec<(String, String)>>, String> {
    let Some(raw) = fields.get(name).filter(|raw| raw.get() != "null") else {
        return Ok(None);
    };
    let document = Document::parse(raw.get()).map_err(|_| format!("`{name}` is not an object"))?;
    let root = document.root();
    if root.kind() != ValueKind::Object {
        return Err(format!("`{name}` is not an object"));
    }
    let pair = |(key, value): (Value<'_>, Value<'_>)| {
        let key = key.to_text().unwrap_or_default().into_owned();
        let value = match value.kind() {
            ValueKind::String => value.to_text().unwrap_or_default().into_owned(),
            ValueKind::Number if value.is_integer() => value.canonical(),
            ValueKind::Number => value.to_number().unwrap_or_default().to_string(),
            ValueKind::True | ValueKind::False | ValueKind::Null => value.raw().to_owned(),
            ValueKind::Array | ValueKind::Object => {
                return Err(format!(
                    "`{name}`: the value of `{key}` is neither text nor a number"
                ));
            }
        };
        Ok((key, value))
    };
    root.members().map(pair).collect::<Result<_, _>>().map(Some)
}

/// Socket.IO's `auth`: an object, or `null` for none.
pub(super) fn auth_object(raw: &RawValue) -> Result<Option<String>, String> {
    match raw.get() {
        "null" => Ok(None),
        object if object.starts_with('{') => Ok(Some(object.to_owned())),
        _ => Err("`auth` is an object".to_owned()),
    }
}

#[cfg(test)]
mod tests;
