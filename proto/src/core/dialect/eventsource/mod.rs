//! Server-sent events: one request whose response does not end, and the resume position after a loss.
//!
//! Lines are parsed in `parser`.

mod chunk;
mod parser;

use std::time::Duration;

use bytes::Bytes;

use crate::wire::code::Code;
use crate::wire::json::is_valid;
use crate::wire::options::{Options, Protocol};
use crate::wire::payload::{Content, Event, Payload};
use crate::wire::record::Continuity;

use crate::core::dialect::html;
use crate::core::dialect::outlines::Unparsed;
use crate::core::io::{Answer, Fetch, LinkEvent, Output};

use self::chunk::ParserState;
pub(crate) use self::chunk::{EventStreamChunk, ReadChunk};
use self::parser::ParsedEvent;
use super::{
    Abilities, Beginning, DialContext, DialectEnd, DialectEvent, ProtocolDescriptor, ProtocolHandler,
    Received, ResumeToken, http,
};

/// The protocol.
pub(super) const DESCRIPTOR: ProtocolDescriptor = ProtocolDescriptor::new(
    Protocol::EventStream,
    |ctx, beginning| Box::new(EventSource::begin(ctx, beginning)),
    |options: &Options| Abilities {
        // The head may be kept back until the first event: nobody should wait for that.
        has_handshake: false,
        ..http::abilities(options)
    },
    http::transport,
);

/// One stream.
#[derive(Debug)]
struct EventSource {
    reader: ParserState,
    token: ResumeToken,
    is_open: bool,
    parsed: std::vec::IntoIter<ParsedEvent>,
    next: Option<DialectEvent>,
}

/// Without `connectTimeout`.
const HEAD_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a stream's head may take. `EventSource` waits without end, and a proxy that buffers keeps the head until
/// the first events: where the extension says nothing, there is plenty of time.
fn head_timeout(connect_timeout: u64) -> Duration {
    if connect_timeout == Options::default().connect_timeout {
        HEAD_TIMEOUT
    } else {
        Duration::from_millis(connect_timeout)
    }
}

impl EventSource {
    fn begin(ctx: &mut DialContext<'_>, Beginning { url, token, .. }: Beginning) -> Self {
        let stream = Self {
            reader: ParserState::new(ctx.options.max_message),
            token,
            is_open: false,
            parsed: Vec::new().into_iter(),
            next: None,
        };
        let mut headers = vec![
            ("Accept".to_owned(), "text/event-stream".to_owned()),
            ("Cache-Control".to_owned(), "no-cache".to_owned()),
            ("Pragma".to_owned(), "no-cache".to_owned()),
        ];
        if let Some(id) = stream.sendable_id() {
            headers.push(("Last-Event-ID".to_owned(), id.to_owned()));
        }
        let fetch = Fetch {
            url,
            headers,
            timeout: head_timeout(ctx.options.connect_timeout),
            streaming: true,
        };
        ctx.out.push_back(Output::Fetch(ctx.dial, Box::new(fetch)));
        stream
    }

    /// Last event id; an empty `id:` field resets it (HTML 9.2.6).
    fn last_event_id(&self) -> Option<&str> {
        self.token.last_event_id.as_deref().filter(|id| !id.is_empty())
    }

    /// What to say after a loss. A header that has control characters cannot be written, and would end every dial.
    fn sendable_id(&self) -> Option<&str> {
        let is_sendable = |id: &&str| !id.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t');
        self.last_event_id().filter(is_sendable)
    }

    fn answered(&mut self, answer: &Answer) -> Option<DialectEvent> {
        if self.is_open {
            return None;
        }
        if answer.status == 204 {
            return Some(DialectEvent::End(Box::new(DialectEnd::Closed(answer.status))));
        }
        if answer.status != 200 {
            return Some(http::refused(answer, u64::MAX));
        }
        // As browsers do: of several, the last one counts.
        let kind = answer.header_lines("content-type").last().unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("text/event-stream") {
            let shown: String = essence.chars().take(64).collect();
            let page = html::described(&answer.beginning());
            let page = page.map(|page| format!(" ({page})")).unwrap_or_default();
            let why =
                format!("the server answered with `{shown}`{page}; an event stream is `text/event-stream`");
            return Some(DialectEnd::failed(Code::ServerProtocol, why));
        }
        self.is_open = true;
        Some(DialectEvent::Opened {
            subprotocol: None,
            extensions: None,
        })
    }

    fn event(&self, ctx: &DialContext<'_>, name: Option<String>, data: Bytes) -> Received {
        // What is large was read before it came in.
        let is_json = || match ctx.outlines.of(&data) {
            Some(outline) => outline.is_some(),
            None => is_valid(&data),
        };
        let json = ctx.options.json && is_json();
        let event = Payload::Event(
            Event {
                name: name.as_deref().map(Into::into),
                namespace: None,
                last_event_id: self.last_event_id().map(str::to_owned),
                reply: false,
                content: if json {
                    Content::Json(data)
                } else {
                    Content::Text(data)
                },
            }
            .into(),
        );
        Received::new(event, ctx.outlines)
    }
}

impl ProtocolHandler for EventSource {
    fn unread(&mut self, _: &Options, event: &LinkEvent) -> Vec<Unparsed> {
        let chunk = match event {
            LinkEvent::Chunk(bytes) if self.is_open => self.reader.give_away(bytes),
            _ => None,
        };
        let chunk = chunk.map(|chunk| Unparsed::Chunk(Box::new(chunk)));
        chunk.into_iter().collect()
    }

    fn handle_event(&mut self, ctx: &mut DialContext<'_>, event: LinkEvent) {
        self.next = match event {
            LinkEvent::Answered(answer) => self.answered(&answer),
            LinkEvent::Chunk(bytes) if self.is_open => {
                let read = ctx.outlines.take_chunk();
                self.parsed = self.reader.push(&bytes, read).into_iter();
                None
            }
            LinkEvent::Posted(count, answer) => Some(http::posted(count, &answer)),
            LinkEvent::Written(count) => Some(DialectEvent::Written(count)),
            LinkEvent::Ended(end) => Some(DialectEvent::Ended(Box::new(end))),
            LinkEvent::Opened { .. }
            | LinkEvent::Messages(_)
            | LinkEvent::Alive
            | LinkEvent::Encoded(_)
            | LinkEvent::Pong(_)
            | LinkEvent::Chunk(_) => None,
        };
    }

    fn poll(&mut self, ctx: &mut DialContext<'_>) -> Option<DialectEvent> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        loop {
            match self.parsed.next()? {
                ParsedEvent::Id(id) => self.token.last_event_id = Some(id),
                ParsedEvent::Retry(milliseconds) => self.token.retry = Duration::from_millis(milliseconds),
                ParsedEvent::TooLarge => return Some(DialectEvent::TooLarge),
                ParsedEvent::Event { name, data } => {
                    return Some(DialectEvent::Message(self.event(ctx, name, data)));
                }
            }
        }
    }

    fn held(&self) -> usize {
        self.reader.buffered()
    }

    fn give_up_partial(&mut self) {
        self.reader.give_up();
    }

    fn continuity(&self) -> Continuity {
        match self.sendable_id() {
            Some(_) => Continuity::Server,
            None => Continuity::Unknown,
        }
    }

    fn end(self: Box<Self>) -> ResumeToken {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use url::Url;

    use super::*;
    use crate::core::dialect::outlines::Outlines;
    use crate::core::io::{DialId, Now};

    fn context<'a>(
        options: &'a Options,
        out: &'a mut VecDeque<Output>,
        outlines: &'a mut Outlines,
    ) -> DialContext<'a> {
        DialContext {
            now: Now::default(),
            dial: DialId(1),
            options,
            out,
            outlines,
        }
    }

    fn begin(ctx: &mut DialContext<'_>, token: ResumeToken) -> EventSource {
        let url = Url::parse("http://a/").unwrap();
        EventSource::begin(
            ctx,
            Beginning {
                url,
                token,
                auth: None,
            },
        )
    }

    #[test]
    fn undelivered_events_are_requested_again() {
        let (options, mut out, mut outlines) = (Options::default(), VecDeque::new(), Outlines::default());
        let mut ctx = context(&options, &mut out, &mut outlines);
        let mut stream = begin(&mut ctx, ResumeToken::default());
        let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
        let answer = Answer {
            status: 200,
            headers,
            ..Answer::default()
        };
        stream.handle_event(&mut ctx, LinkEvent::Answered(answer.into()));
        assert!(matches!(stream.poll(&mut ctx), Some(DialectEvent::Opened { .. })));
        let bytes = Bytes::from_static(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
        stream.handle_event(&mut ctx, LinkEvent::Chunk(bytes));
        assert!(matches!(stream.poll(&mut ctx), Some(DialectEvent::Message(..))));
        let token = Box::new(stream).end();
        assert_eq!(
            token.last_event_id.as_deref(),
            Some("1"),
            "the second was not taken"
        );
        begin(&mut ctx, token);
        let Some(Output::Fetch(_, fetch)) = out.pop_back() else {
            panic!("it asks for the rest");
        };
        assert!(
            fetch
                .headers
                .contains(&("Last-Event-ID".to_owned(), "1".to_owned()))
        );
    }
}
