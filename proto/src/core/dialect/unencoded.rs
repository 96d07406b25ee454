//! A message of an extension to a Socket.IO server, before it is encoded as packets: the shell encodes a large one on
//! another thread.
//!
//! It knows no connection; when a message is written is `socketio::encoder`'s.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::json;

use crate::wire::code::Code;
use crate::wire::json::JsString;
use crate::wire::payload::{Content, Event, Payload, as_text};
use crate::wire::record::ErrorInfo;

use super::packet::{NoMemory, copied, packets, taken_apart};

/// A message that is not written as packets yet.
#[derive(Debug, Clone)]
pub struct UnencodedMessage(UnencodedContent);

#[derive(Debug, Clone)]
enum UnencodedContent {
    /// `id`: by which the server acknowledges it.
    Event { payload: Payload, id: Option<u64> },
    /// The acknowledgement of an event of the server's.
    Reply {
        namespace: Option<String>,
        id: u64,
        args: Bytes,
    },
}

impl UnencodedMessage {
    pub(super) const fn event(payload: Payload, id: Option<u64>) -> Self {
        Self(UnencodedContent::Event { payload, id })
    }

    pub(super) const fn reply(namespace: Option<String>, id: u64, args: Bytes) -> Self {
        Self(UnencodedContent::Reply { namespace, id, args })
    }

    /// Bytes of its content.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            UnencodedContent::Event { payload, .. } => payload.len(),
            UnencodedContent::Reply { args, .. } => args.len(),
        }
    }

    /// Writes it as packets.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn encode(self) -> Result<Vec<Payload>, ErrorInfo> {
        let packets = match self.0 {
            UnencodedContent::Event { payload, id } => {
                as_event(&payload).and_then(|event| encode_event(&event, id))
            }
            UnencodedContent::Reply { namespace, id, args } => {
                let (args, attachments) = taken_apart(&args);
                packets(b'3', namespace.as_deref(), Some(id), ("", &args), attachments)
            }
        };
        packets.map_err(|NoMemory| {
            let why = "there is not enough memory to write the message as packets";
            ErrorInfo::new(Code::TooLarge, why)
        })
    }
}

/// The packets of an event.
pub(super) fn encode_event(event: &Event, id: Option<u64>) -> Result<Vec<Payload>, NoMemory> {
    let (args, attachments) = taken_apart(event.content.bytes());
    let name = event
        .name
        .as_ref()
        .map_or_else(|| "\"\"".to_owned(), JsString::to_json);
    let args = args.trim();
    let inner = args.strip_prefix('[').unwrap_or(args).trim_start();
    let comma = if inner.starts_with(']') { "" } else { "," };
    let begin = format!("[{name}{comma}");
    packets(b'2', event.namespace.as_deref(), id, (&begin, inner), attachments)
}

/// A message as an event: what has no name is called `message`, as `socket.send()` does.
fn as_event(payload: &Payload) -> Result<Event, NoMemory> {
    let args = match payload {
        Payload::Event(event) => return Ok(Event::clone(event)),
        Payload::Text(_) => json!([payload.as_str().unwrap_or_default()]).to_string(),
        Payload::Json(bytes) => copied("[", &as_text(bytes))? + "]",
        Payload::Binary(bytes) => json!([{"$base64": BASE64.encode(bytes)}]).to_string(),
    };
    Ok(Event {
        name: Some("message".into()),
        namespace: None,
        last_event_id: None,
        reply: false,
        content: Content::Args(Bytes::from(args)),
    })
}
