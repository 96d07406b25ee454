//! How a Socket.IO packet is written: kind, attachments, namespace, id, data, and bytes among its arguments.
//!
//! It keeps nothing and knows no connection; what packets mean is `socketio`'s.

use std::borrow::Cow;
use std::collections::TryReserveError;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use crate::wire::json::{self, Document, Object, ValueKind, objects};
use crate::wire::payload::{Payload, as_text};

/// Attachments one packet may have.
pub(super) const MAX_ATTACHMENTS: usize = 1024;
/// Bytes of an object that stands for an attachment, and of a key that marks bytes: a server or an extension that means
/// them writes few.
const MAX_PLACEHOLDER_BYTES: usize = 256;
const MAX_KEY_BYTES: usize = 1024;
/// Bytes of a namespace.
const MAX_NAMESPACE_BYTES: usize = 1024;
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
            attachments = count.parse().ok().filter(|count| *count <= MAX_ATTACHMENTS)?;
            rest = more;
        }
        let mut namespace = None;
        if rest.starts_with('/') {
            let (name, more) = rest.split_once(',').unwrap_or((rest, ""));
            if name.len() > MAX_NAMESPACE_BYTES {
                return None;
            }
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

/// A packet of this kind, and behind it the attachments that it counts. Its data comes in two pieces.
///
/// # Errors
/// There is no memory for it.
pub(super) fn packets(
    kind: u8,
    namespace: Option<&str>,
    id: Option<u64>,
    (begin, rest): (&str, &str),
    bytes: Vec<Bytes>,
) -> Result<Vec<Payload>, NoMemory> {
    let kind = if bytes.is_empty() { kind } else { kind + 3 };
    let mut head = format!("4{}", char::from(kind));
    if !bytes.is_empty() {
        head += &format!("{}-", bytes.len());
    }
    head += &prefix(namespace.unwrap_or("/"));
    if let Some(id) = id {
        head += &id.to_string();
    }
    head += begin;
    let mut packets = vec![Payload::text(copied(&head, rest)?)];
    packets.extend(bytes.into_iter().map(Payload::Binary));
    Ok(packets)
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
    // Without memory for another text it stays as it is, and the server gets the marks.
    let rewritten = rewrite(&text, &[], |object| {
        let dollars = mark(object)?;
        // One more than there may be says that there are too many.
        if dollars == 1 && attachments.len() <= MAX_ATTACHMENTS {
            let inner = Document::parse(object.value).ok()?;
            let bytes = BASE64.decode(inner.root().to_text()?.as_bytes()).ok()?;
            attachments.push(bytes.into());
            return Some(Edit::Placeholder(attachments.len() - 1));
        }
        dollars.is_multiple_of(2).then_some(Edit::Mark(dollars / 2))
    });
    match rewritten {
        Ok(Some(rewritten)) => (Cow::Owned(rewritten), attachments),
        Ok(None) | Err(NoMemory) => (text, Vec::new()),
    }
}

/// Arguments as the extension gets them: each attachment stands where its placeholder stood.
///
/// # Errors
/// There is no memory for them.
pub(super) fn restored(json: String, attachments: &[Bytes]) -> Result<Bytes, NoMemory> {
    if attachments.is_empty() && !may_have_marks(&json) {
        return Ok(json.into());
    }
    let mut is_free = vec![true; attachments.len()];
    let rewritten = rewrite(&json, attachments, |object| {
        // A server that names one attachment many times would have it copied as often.
        if let Some(number) = placeholder(object)
            && let Some(is_free) = is_free.get_mut(number)
            && std::mem::take(is_free)
        {
            return Some(Edit::Attachment(number));
        }
        Some(Edit::Mark(mark(object)? * 2))
    });
    Ok(rewritten?.map_or_else(|| json.into(), Bytes::from))
}

/// There is no memory for a text of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoMemory;

impl From<TryReserveError> for NoMemory {
    fn from(_: TryReserveError) -> Self {
        Self
    }
}

/// What an object becomes, or its key.
#[derive(Debug, Clone, Copy)]
enum Edit {
    /// The object becomes this attachment, as marked base64.
    Attachment(usize),
    /// The object becomes a placeholder with this number.
    Placeholder(usize),
    /// Its key becomes a mark with so many dollar signs.
    Mark(usize),
}

/// A JSON text in which some objects are changed; `None` if it is no JSON. An object that is replaced takes what is in it
/// along.
///
/// # Errors
/// There is no memory for it.
fn rewrite<'a>(
    json: &'a str,
    attachments: &[Bytes],
    mut edit: impl FnMut(Object<'a>) -> Option<Edit>,
) -> Result<Option<String>, NoMemory> {
    let mut edits: Vec<(usize, usize, Edit)> = Vec::new();
    let mut has_memory = true;
    let is_json = objects(json, |object| {
        has_memory = has_memory && edits.try_reserve(1).is_ok();
        let Some(what) = edit(object).filter(|_| has_memory) else {
            return;
        };
        let (start, text) = match what {
            Edit::Mark(_) => (object.key_start, object.key),
            Edit::Attachment(_) | Edit::Placeholder(_) => {
                while edits.last().is_some_and(|(inner, ..)| *inner >= object.start) {
                    edits.pop();
                }
                (object.start, object.raw)
            }
        };
        edits.push((start, start + text.len(), what));
    });
    if is_json.is_none() {
        return Ok(None);
    }
    if !has_memory {
        return Err(NoMemory);
    }
    edits.sort_unstable_by_key(|(start, ..)| *start);
    let mut more: usize = attachments
        .iter()
        .map(|bytes| 32 + bytes.len().div_ceil(3) * 4)
        .sum();
    more += edits.iter().map(|(.., what)| what.len()).sum::<usize>();
    let mut out = String::new();
    out.try_reserve_exact(json.len() + more)?;
    Ok(write_changed(json, edits, attachments, &mut out).map(|()| out))
}

fn write_changed(
    json: &str,
    edits: Vec<(usize, usize, Edit)>,
    attachments: &[Bytes],
    out: &mut String,
) -> Option<()> {
    let mut copied = 0;
    for (start, end, what) in edits {
        out.push_str(json.get(copied..start)?);
        match what {
            Edit::Mark(dollars) => push_mark(out, dollars),
            Edit::Placeholder(number) => {
                let _ = write!(out, r#"{{"_placeholder":true,"num":{number}}}"#);
            }
            Edit::Attachment(number) => {
                out.push('{');
                push_mark(out, 1);
                out.push_str(":\"");
                BASE64.encode_string(attachments.get(number)?, out);
                out.push_str("\"}");
            }
        }
        copied = end;
    }
    out.push_str(json.get(copied..)?);
    Some(())
}

impl Edit {
    /// Bytes that it writes, but for an attachment itself.
    const fn len(self) -> usize {
        match self {
            Self::Attachment(_) | Self::Placeholder(_) => 64,
            Self::Mark(dollars) => dollars + MARK.len() + 2,
        }
    }
}

/// Which attachment an object stands for.
fn placeholder(object: Object<'_>) -> Option<usize> {
    if object.raw.len() > MAX_PLACEHOLDER_BYTES {
        return None;
    }
    let document = Document::parse(object.raw).ok()?;
    let value = document.root();
    (value.get(b"_placeholder")?.kind() == ValueKind::True)
        .then(|| value.get(b"num")?.raw().parse().ok())
        .flatten()
}

/// The number of dollar signs, if the only key is a mark.
fn mark(object: Object<'_>) -> Option<usize> {
    let is_short = object.members == 1 && object.key.len() <= MAX_KEY_BYTES;
    let key = Document::parse(is_short.then_some(object.key)?).ok()?;
    let key = key.root().to_text()?;
    let dollars = key.strip_suffix(MARK)?;
    (!dollars.is_empty() && dollars.bytes().all(|byte| byte == b'$')).then_some(dollars.len())
}

/// Writes a mark as a key in JSON.
fn push_mark(out: &mut String, dollars: usize) {
    out.push('"');
    out.extend(std::iter::repeat_n('$', dollars));
    out.push_str(MARK);
    out.push('"');
}

/// The name of an event, as JSON; its arguments, a JSON array; and the last of them.
pub(super) struct Args<'a> {
    pub(super) name: &'a str,
    pub(super) args: String,
    pub(super) last: Option<&'a str>,
}

impl<'a> Args<'a> {
    /// Takes apart the array that an event's data is; `None` if it is none.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn read(data: &'a str) -> Result<Option<Self>, NoMemory> {
        let data = data.trim();
        if !data.starts_with('[') || !json::is_valid(data.as_bytes()) {
            return Ok(None);
        }
        let mut ranges = json::element_ranges(data.as_bytes());
        let Some(name) = ranges.next().and_then(|name| data.get(name)) else {
            return Ok(None);
        };
        let first = ranges.next();
        let rest = first.as_ref().and_then(|first| data.get(first.start..));
        let last = ranges.last().or(first);
        Ok(Some(Self {
            name,
            args: copied("[", rest.unwrap_or("]"))?,
            last: last.and_then(|last| data.get(last)),
        }))
    }
}

/// A copy of two texts, one behind the other.
///
/// # Errors
/// There is no memory for it.
pub(super) fn copied(first: &str, second: &str) -> Result<String, NoMemory> {
    let mut copy = String::new();
    copy.try_reserve_exact(first.len() + second.len())?;
    copy.push_str(first);
    copy.push_str(second);
    Ok(copy)
}
