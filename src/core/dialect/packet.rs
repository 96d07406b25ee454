//! How a Socket.IO packet is written: kind, attachments, namespace, id, data, and bytes among its arguments.
//!
//! It keeps nothing and knows no connection; what packets mean is `socketio`'s.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::wire::payload::Payload;

/// Attachments one packet may have.
const MOST_ATTACHMENTS: usize = 1024;
/// The key that marks bytes among arguments.
const MARK: &str = "base64";

/// What stands before the data of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: u8,
    pub(super) attachments: usize,
    pub(super) namespace: Option<String>,
    pub(super) id: Option<u64>,
}

impl Head {
    /// `5` `2-` `/ns,` `7` `[...]`: kind, attachments, namespace, id, data.
    pub(super) fn read(text: &str) -> Option<(Self, &str)> {
        let (kind, mut rest) = text.split_at_checked(1)?;
        let kind = *kind.as_bytes().first()?;
        let mut attachments = 0;
        if matches!(kind, b'5' | b'6') {
            let (count, more) = rest.split_once('-')?;
            attachments = count.parse().ok().filter(|count| *count <= MOST_ATTACHMENTS)?;
            rest = more;
        }
        let mut namespace = None;
        if rest.starts_with('/') {
            let (name, more) = rest.split_once(',').unwrap_or((rest, ""));
            // A query may follow the name; it is the client's own.
            namespace = Some(name.split('?').next().unwrap_or(name).to_owned());
            rest = more;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (id, data) = rest.split_at_checked(digits)?;
        let id = if id.is_empty() {
            None
        } else {
            Some(id.parse().ok()?)
        };
        let namespace = namespace.filter(|namespace| namespace != "/");
        Some((
            Self {
                kind,
                attachments,
                namespace,
                id,
            },
            data,
        ))
    }
}

/// A namespace without the query that may follow it.
pub(super) fn bare(namespace: &str) -> &str {
    namespace.split('?').next().unwrap_or(namespace)
}

/// How a packet names its namespace; the main one has no name.
pub(super) fn prefix(namespace: &str) -> String {
    if namespace == "/" {
        String::new()
    } else {
        format!("{namespace},")
    }
}

/// A packet of this kind, and behind it the attachments that it counts.
pub(super) fn packets(
    kind: u8,
    namespace: Option<&str>,
    id: Option<u64>,
    data: &str,
    bytes: Vec<Bytes>,
) -> Vec<Payload> {
    let kind = if bytes.is_empty() { kind } else { kind + 3 };
    let mut text = format!("4{}", char::from(kind));
    if !bytes.is_empty() {
        text += &format!("{}-", bytes.len());
    }
    text += &prefix(namespace.unwrap_or("/"));
    if let Some(id) = id {
        text += &id.to_string();
    }
    text += data;
    let mut packets = vec![Payload::text(text)];
    packets.extend(bytes.into_iter().map(Payload::Binary));
    packets
}

/// Whether JSON may hold marks: then it has to be looked through, else it passes as received.
fn may_have_marks(json: &str) -> bool {
    json.contains(MARK) || json.contains("\\u")
}

/// Arguments as the extension gave them: marked bytes become attachments.
pub(super) fn taken_apart(args: &[u8]) -> (Cow<'_, str>, Vec<Bytes>) {
    let text = String::from_utf8_lossy(args);
    let mut attachments = Vec::new();
    if !may_have_marks(&text) {
        return (text, attachments);
    }
    let Ok(mut value) = serde_json::from_str::<Value>(&text) else {
        return (text, attachments);
    };
    take_bytes(&mut value, &mut attachments);
    (Cow::Owned(value.to_string()), attachments)
}

fn take_bytes(value: &mut Value, attachments: &mut Vec<Bytes>) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| take_bytes(value, attachments)),
        Value::Object(map) => {
            map.values_mut().for_each(|value| take_bytes(value, attachments));
            let Some((dollars, inner)) = mark(map) else { return };
            if dollars == 1 {
                if let Some(bytes) = inner.as_str().and_then(|text| BASE64.decode(text).ok()) {
                    *value = json!({"_placeholder": true, "num": attachments.len()});
                    attachments.push(bytes.into());
                }
            } else if dollars % 2 == 0 {
                *value = marked(dollars / 2, inner.clone());
            }
        }
        _ => {}
    }
}

/// Arguments as the extension gets them: attachments stand where their placeholders stood.
pub(super) fn restored(json: &str, attachments: &[Bytes]) -> Bytes {
    if attachments.is_empty() && !may_have_marks(json) {
        return Bytes::copy_from_slice(json.as_bytes());
    }
    match serde_json::from_str::<Value>(json) {
        Ok(mut value) => {
            put_bytes(&mut value, attachments);
            value.to_string().into()
        }
        Err(_) => Bytes::copy_from_slice(json.as_bytes()),
    }
}

fn put_bytes(value: &mut Value, attachments: &[Bytes]) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| put_bytes(value, attachments)),
        Value::Object(map) => {
            if map.get("_placeholder") == Some(&Value::Bool(true))
                && let Some(bytes) = map
                    .get("num")
                    .and_then(Value::as_u64)
                    .and_then(|number| attachments.get(usize::try_from(number).ok()?))
            {
                *value = marked(1, Value::String(BASE64.encode(bytes)));
                return;
            }
            map.values_mut().for_each(|value| put_bytes(value, attachments));
            if let Some((dollars, inner)) = mark(map) {
                *value = marked(dollars * 2, inner.clone());
            }
        }
        _ => {}
    }
}

/// The number of dollar signs, if the only key is a mark.
fn mark(map: &Map<String, Value>) -> Option<(usize, &Value)> {
    let (key, inner) = map.iter().next().filter(|_| map.len() == 1)?;
    let dollars = key.strip_suffix(MARK)?;
    (!dollars.is_empty() && dollars.bytes().all(|byte| byte == b'$')).then_some((dollars.len(), inner))
}

fn marked(dollars: usize, inner: Value) -> Value {
    let mut map = Map::new();
    map.insert(format!("{}{MARK}", "$".repeat(dollars)), inner);
    Value::Object(map)
}
