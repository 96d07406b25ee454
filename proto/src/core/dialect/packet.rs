//! How a Socket.IO packet is written: kind, attachments, namespace, id, data, and bytes among its arguments.
//!
//! It keeps nothing and knows no connection; what packets mean is `socketio`'s.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use crate::wire::json::{Document, Kind, Value};
use crate::wire::payload::{Payload, as_text};

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

/// Arguments as the extension gave them: marked bytes become attachments. All else stays as it was written.
pub(super) fn taken_apart(args: &[u8]) -> (Cow<'_, str>, Vec<Bytes>) {
    let text = as_text(args);
    let mut attachments = Vec::new();
    if !may_have_marks(&text) {
        return (text, attachments);
    }
    let rewritten = rewrite(&text, |value| {
        let (dollars, key, inner) = mark(value)?;
        if dollars == 1 {
            let bytes = BASE64.decode(inner.to_text()?.as_bytes()).ok()?;
            let number = attachments.len();
            attachments.push(bytes.into());
            return Some((value, format!(r#"{{"_placeholder":true,"num":{number}}}"#)));
        }
        (dollars % 2 == 0).then(|| (key, marked(dollars / 2)))
    });
    match rewritten {
        Some(rewritten) => (Cow::Owned(rewritten), attachments),
        None => (text, attachments),
    }
}

/// Arguments as the extension gets them: each attachment stands where its placeholder stood.
pub(super) fn restored(json: &str, attachments: &[Bytes]) -> Bytes {
    let as_received = || Bytes::copy_from_slice(json.as_bytes());
    if attachments.is_empty() && !may_have_marks(json) {
        return as_received();
    }
    let mut is_free = vec![true; attachments.len()];
    let rewritten = rewrite(json, |value| {
        // A server that names one attachment many times would have it copied as often.
        if let Some(number) = placeholder(value)
            && let Some(bytes) = attachments.get(number)
            && std::mem::take(&mut is_free[number])
        {
            return Some((value, format!(r#"{{{}:"{}"}}"#, marked(1), BASE64.encode(bytes))));
        }
        let (dollars, key, _) = mark(value)?;
        Some((key, marked(dollars * 2)))
    });
    rewritten.map_or_else(as_received, Bytes::from)
}

/// A JSON text in which some values have another text; `None` if it is no JSON. `replace` is asked about each object,
/// outer ones first, and names what is replaced: the object, or a key in it.
fn rewrite(json: &str, mut replace: impl FnMut(Value<'_>) -> Option<(Value<'_>, String)>) -> Option<String> {
    let document = Document::parse(json).ok()?;
    let mut out = String::with_capacity(json.len());
    let mut copied = 0;
    for value in document.values() {
        if value.kind() != Kind::Object || value.range().start < copied {
            continue;
        }
        if let Some((replaced, text)) = replace(value) {
            out.push_str(&json[copied..replaced.range().start]);
            out.push_str(&text);
            copied = replaced.range().end;
        }
    }
    out.push_str(&json[copied..]);
    Some(out)
}

/// Which attachment an object stands for.
fn placeholder(value: Value<'_>) -> Option<usize> {
    (value.get(b"_placeholder")?.kind() == Kind::True)
        .then(|| value.get(b"num")?.raw().parse().ok())
        .flatten()
}

/// The number of dollar signs, if the only key is a mark; that key, and its value.
fn mark(value: Value<'_>) -> Option<(usize, Value<'_>, Value<'_>)> {
    let mut members = value.members();
    let (key, inner) = members.next().filter(|_| members.next().is_none())?;
    let text = key.to_text()?;
    let dollars = text.strip_suffix(MARK)?;
    (!dollars.is_empty() && dollars.bytes().all(|byte| byte == b'$')).then_some((dollars.len(), key, inner))
}

/// A mark as a key in JSON.
fn marked(dollars: usize) -> String {
    format!("\"{}{MARK}\"", "$".repeat(dollars))
}
