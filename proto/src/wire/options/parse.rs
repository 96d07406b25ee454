//! How options are read from JSON. Values that cannot be used are refused, here or in `check`; whether a URL or header is
//! allowed is policy, decided in `core`.

mod check;
mod heartbeat;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use self::heartbeat::heartbeat;
use super::{Options, Protocol};
use crate::wire::code::Code;
use crate::wire::guard::Guard;
use crate::wire::login::read_login;
use crate::wire::message::{check_size, read_payload};
use crate::wire::object::{read_object, read_value};
use crate::wire::payload::Payload;
use crate::wire::presets::preset;
use crate::wire::record::ErrorInfo;
use crate::wire::rule::Rule;
use crate::wire::servers::{Poll, Post, strings};
use crate::wire::socketio::SocketIoOptions;

impl Options {
    /// Reads the options object. Unknown options are not an error; their names are returned.
    ///
    /// # Errors
    /// `bad-option`, naming the option, when a value has the wrong type or cannot be used.
    pub fn from_json(json: &RawValue) -> Result<(Self, Vec<String>), ErrorInfo> {
        check_size(json).map_err(wrong_options)?;
        let fields: BTreeMap<String, &RawValue> = read_value(json.get()).map_err(wrong_options)?;
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
            // There are no pings over HTTP: silence counts only if the extension sets a limit.
            options.heartbeat = None;
        }
        options.check()?;
        Ok((options, ignored))
    }

    /// Sets one option; `false` when there is none of that name.
    fn set(&mut self, name: &str, value: &RawValue) -> Result<bool, ErrorInfo> {
        let json = value.get();
        let why = |why: String| bad(name, why);
        match name {
            "protocol" => self.protocol = protocol(name, &read::<String>(name, value)?)?,
            "transports" => self.transports = transports(name, value)?,
            "urls" => self.urls = urls(name, value)?,
            "subprotocols" => self.subprotocols = read(name, value)?,
            "headers" => self.headers = strings(read(name, value)?).map_err(why)?,
            "cookies" => self.cookies = read(name, value)?,
            "format" => self.json = choice(name, value, ["text", "json"])? == 1,
            "connectTimeout" => self.connect_timeout = read(name, value)?,
            "proxy" => self.proxy = read(name, value)?,
            "compression" => self.compression = read(name, value)?,
            "reconnect" => self.reconnect = switch(json, || read_fields(name, value))?,
            "heartbeat" => self.heartbeat = switch(json, || heartbeat(name, value))?,
            "greeting" => {
                let messages = read::<Vec<Box<RawValue>>>(name, value)?;
                self.greeting = messages
                    .iter()
                    .map(|raw| payload(name, raw))
                    .collect::<Result<_, _>>()?;
            }
            "ready" => self.ready = Some(rule(name, value)?),
            "login" => self.login = read_login(json).map_err(why)?,
            "queue" => self.queue = read_fields(name, value)?,
            "outbox" => self.outbox = read_fields(name, value)?,
            "window" => self.window = read_fields(name, value)?,
            "linger" => self.linger = read(name, value)?,
            "expire" => self.expire = read(name, value)?,
            "durability" => self.durability = read(name, value)?,
            "auth" => self.auth_provider = choice(name, value, ["none", "provider"])? == 1,
            "post" => self.post = Some(Post::from_json(json).map_err(why)?),
            "guard" => self.guard = Guard::from_json(json).map_err(why)?,
            "socketio" => self.socketio = SocketIoOptions::from_json(json).map_err(why)?,
            "poll" => self.poll = Poll::from_json(json).map_err(why)?,
            "closeTimeout" => self.close_timeout = read(name, value)?,
            "closeCodes" => self.close_codes.add(read(name, value)?).map_err(why)?,
            "maxMessage" => self.max_message = read(name, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn wrong_options(why: String) -> ErrorInfo {
    ErrorInfo::new(Code::BadOption, format!("field `options`: {why}"))
}

fn bad(name: &str, why: impl std::fmt::Display) -> ErrorInfo {
    ErrorInfo::new(Code::BadOption, format!("option `{name}`: {why}"))
}

fn read<T: DeserializeOwned>(name: &str, value: &RawValue) -> Result<T, ErrorInfo> {
    read_value(value.get()).map_err(|why| bad(name, why))
}

/// An option that is an object.
fn read_fields<T: DeserializeOwned>(name: &str, value: &RawValue) -> Result<T, ErrorInfo> {
    read_object(value.get()).map_err(|why| bad(name, why))
}

/// An option that may be switched off, or on as it is by default.
fn switch<T: Default>(
    json: &str,
    read: impl FnOnce() -> Result<T, ErrorInfo>,
) -> Result<Option<T>, ErrorInfo> {
    match json {
        "false" => Ok(None),
        "true" => Ok(Some(T::default())),
        _ => read().map(Some),
    }
}

/// Which of two values it is.
fn choice(name: &str, value: &RawValue, names: [&str; 2]) -> Result<usize, ErrorInfo> {
    let word: String = read(name, value)?;
    let found = names.iter().position(|known| **known == word);
    let [one, other] = names;
    found.ok_or_else(|| bad(name, format!("`{word}` is neither `{one}` nor `{other}`")))
}

fn protocol(name: &str, word: &str) -> Result<Protocol, ErrorInfo> {
    let named = Protocol::ALL
        .into_iter()
        .find(|protocol| protocol.as_str() == word);
    named.ok_or_else(|| {
        let names = Protocol::ALL.map(Protocol::as_str).join(", ");
        bad(name, format!("`{word}` is not a protocol; known: {names}"))
    })
}

fn transports(name: &str, value: &RawValue) -> Result<Vec<Protocol>, ErrorInfo> {
    let names: Vec<String> = read(name, value)?;
    names.iter().map(|word| protocol(name, word)).collect()
}

fn urls(name: &str, value: &RawValue) -> Result<BTreeMap<Protocol, String>, ErrorInfo> {
    let urls: BTreeMap<String, String> = read(name, value)?;
    urls.into_iter()
        .map(|(word, url)| Ok((protocol(name, &word)?, url)))
        .collect()
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
    fn a_login_needs_a_ready_rule() {
        let login = r#""login":[{"when":{"/type":"hello"},"send":[{"text":"me"}]}]"#;
        let alone = parse(&format!("{{{login}}}")).unwrap_err();
        assert!(alone.message.contains("option `login`") && alone.message.contains("`ready`"));
        let (options, _) = parse(&format!(r#"{{{login},"ready":{{"/ok":true}}}}"#)).unwrap();
        assert_eq!(options.login.len(), 1);
    }

    #[test]
    fn unknown_options_are_reported_and_the_others_apply() {
        let (options, ignored) =
            parse(r#"{"future":1,"format":"json","reconnect":{"minDelay":100}}"#).unwrap();
        assert_eq!(ignored, ["future"]);
        assert!(options.json);
        assert_eq!(options.reconnect.unwrap().min_delay, 100);
    }

    #[test]
    fn false_disables_an_option() {
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
    fn a_bad_nested_option_value_is_named_without_rust_types() {
        for (json, names) in [
            (
                r#"{"reconnect":{"minDelay":-1}}"#,
                "option `reconnect`: `minDelay`: ",
            ),
            (
                r#"{"queue":{"overflow":3}}"#,
                "option `queue`: `overflow`: invalid type, expected a string",
            ),
            (r#"{"closeCodes":{"4000":3}}"#, "option `closeCodes`: `4000`: "),
            (
                r#"{"closeCodes":{"4000":"never"}}"#,
                "option `closeCodes`: `4000`: ",
            ),
            (
                r#"{"durability":3}"#,
                "option `durability`: invalid type, expected a string",
            ),
            (
                r#"{"heartbeat":{"answers":[{}]}}"#,
                "option `heartbeat`: `answers[0]`: missing field `when`",
            ),
            (
                r#"{"heartbeat":{"intervalFrom":3}}"#,
                "option `heartbeat`: `intervalFrom`: a value is taken from",
            ),
            (
                r#"{"heartbeat":{"intervalFrom":"a"}}"#,
                "option `heartbeat`: `intervalFrom`: `a` is not a JSON pointer",
            ),
            (
                r#"{"heartbeat":{"message":{"text":3}}}"#,
                "option `heartbeat`: `message`: field `text`: ",
            ),
            (r#"{"heartbeat":{"expect":{}}}"#, "option `heartbeat`: `expect`: "),
            (
                r#"{"heartbeat":{"answers":[{"when":3}]}}"#,
                "option `heartbeat`: `answers[0]`: ",
            ),
            (
                r#"{"poll":{"items":"tasks"}}"#,
                "option `poll`: `items`: `tasks` is not a JSON pointer",
            ),
            (
                r#"{"poll":{"cursor":{"item":"id","query":"q"}}}"#,
                "option `poll`: `cursor`: `id` is not a JSON pointer",
            ),
            (
                r#"{"guard":{"receive":[{},{"do":"no"}]}}"#,
                "option `guard`: `receive`: line 2: `no` is neither",
            ),
            (
                r#"{"poll":{"cursor":{"pointer":3}}}"#,
                "option `poll`: `cursor.pointer`: ",
            ),
            (
                r#"{"guard":{"send":[{"rate":{"messages":"1"}}]}}"#,
                "option `guard`: `send[0].rate.messages`: ",
            ),
            (r#"{"post":{"url":3}}"#, "option `post`: `url`: "),
            (r#"{"urls":{"sse":3}}"#, "option `urls`: `sse`: "),
            (
                r#"{"login":[3]}"#,
                "option `login`: `[0]`: invalid type: integer `3`, expected an object",
            ),
            (
                r#"{"login":[{"when":{},"send":[3]}]}"#,
                "option `login`: `[0].send[0]`: invalid type: integer `3`, expected an object",
            ),
            (
                r#"{"login":[{"when":{},"send":[{"text":3}]}]}"#,
                "option `login`: `[0].send[0]`: what is sent has one field",
            ),
        ] {
            let message = parse(json).unwrap_err().message;
            assert!(message.starts_with(names), "{message}");
        }
    }

    #[test]
    fn an_array_in_the_place_of_an_object_is_refused() {
        for json in [
            r#"{"reconnect":[100,200]}"#,
            r#"{"heartbeat":[]}"#,
            r#"{"queue":[]}"#,
            r#"{"outbox":[]}"#,
            r#"{"window":[1,1]}"#,
            r#"{"poll":[]}"#,
            r#"{"post":["http://localhost/"]}"#,
            r#"{"guard":[]}"#,
            r#"{"guard":{"send":[[]]}}"#,
            r#"{"login":[[{"/a":1}]]}"#,
            r#"{"poll":{"cursor":["/a"]}}"#,
            r#"{"heartbeat":{"answers":[[{"/a":1}]]}}"#,
        ] {
            let message = parse(json).unwrap_err().message;
            assert!(
                message.ends_with("invalid type: array, expected an object"),
                "{message}"
            );
        }
    }

    #[test]
    fn errors_of_values_use_the_terms_of_json() {
        for (json, names) in [
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
                "`socketio` is not a protocol; known: websocket, sse, poll, socket.io",
            ),
            (
                r#"{"durability":"hard"}"#,
                "unknown variant `hard`, expected `memory` or `disk`",
            ),
        ] {
            let (_, rest) = json.split_once('"').unwrap();
            let (name, _) = rest.split_once('"').unwrap();
            assert_eq!(
                parse(json).unwrap_err().message,
                format!("option `{name}`: {names}")
            );
        }
    }
}
