//! Server-sent events: the line parser of the HTML standard (section 9.2), fed with bytes as they come.
//!
//! It sends nothing and judges no HTTP status; the dialect does.

use bytes::Bytes;

/// Bytes of an event's id; servers and proxies take no longer headers.
const MAX_ID_BYTES: usize = 4096;
/// Bytes of a line beyond the limit that are kept: the field's name, a colon and a space.
const MAX_FIELD_NAME_BYTES: usize = 16;
/// Bytes of an event's name.
const MAX_NAME_BYTES: usize = 1024;

/// The contents of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ParsedEvent {
    /// An event.
    Event {
        /// `None` for the default type, `message`.
        name: Option<String>,
        data: Bytes,
    },
    /// The newest event id: what to say after a loss. Comes before the event it belongs to.
    Id(String),
    /// Milliseconds to wait before the next connection.
    Retry(u64),
    /// An event beyond the limit.
    TooLarge,
}

/// One stream, from its first byte on.
#[derive(Debug)]
pub(crate) struct Parser {
    /// Bytes of one event's data, at most.
    max_data_bytes: usize,
    line: Vec<u8>,
    /// The line is longer than anything that may be kept.
    line_cut: bool,
    /// A carriage return ended the last line: a line feed right after it belongs to it.
    after_cr: bool,
    first_line: bool,
    data: String,
    has_data: bool,
    too_large: bool,
    name: String,
    id: Option<String>,
}

impl Parser {
    /// A parser for a new stream.
    pub(crate) const fn new(max_data_bytes: usize) -> Self {
        Self {
            max_data_bytes,
            line: Vec::new(),
            line_cut: false,
            after_cr: false,
            first_line: true,
            data: String::new(),
            has_data: false,
            too_large: false,
            name: String::new(),
            id: None,
        }
    }

    /// Takes bytes, and reports what they complete. An event that the stream's end cuts off is never reported.
    pub(crate) fn push(&mut self, mut bytes: &[u8], events: &mut Vec<ParsedEvent>) {
        if std::mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
        }
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend(&bytes[..at]);
            let was_cr = bytes[at] == b'\r';
            bytes = &bytes[at + 1..];
            if was_cr {
                match bytes.first() {
                    Some(b'\n') => bytes = &bytes[1..],
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            self.end_line(events);
        }
        self.extend(bytes);
    }

    /// Bytes of one event's data, at most.
    pub(crate) const fn max_data_bytes(&self) -> usize {
        self.max_data_bytes
    }

    /// Bytes of the event that has come in part.
    pub(crate) const fn buffered(&self) -> usize {
        self.line.capacity() + self.data.capacity()
    }

    /// The event that has come in part is too large.
    pub(crate) fn give_up(&mut self) {
        self.too_large = true;
        self.data = String::new();
        if self.line.len() > MAX_FIELD_NAME_BYTES {
            self.cut_line();
        }
    }

    fn cut_line(&mut self) {
        self.line_cut = true;
        // The field's name is still needed.
        self.line.truncate(MAX_FIELD_NAME_BYTES);
        self.line.shrink_to_fit();
    }

    fn extend(&mut self, bytes: &[u8]) {
        let is_too_long =
            self.line.len() + bytes.len() > self.max_data_bytes.saturating_add(MAX_FIELD_NAME_BYTES);
        if !self.line_cut && (is_too_long || self.line.try_reserve(bytes.len()).is_err()) {
            self.cut_line();
        }
        if !self.line_cut {
            self.line.extend_from_slice(bytes);
        } else if self.line.len() < MAX_FIELD_NAME_BYTES {
            let room = MAX_FIELD_NAME_BYTES - self.line.len();
            self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn end_line(&mut self, events: &mut Vec<ParsedEvent>) {
        let raw = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.line_cut);
        let text = String::from_utf8_lossy(&raw);
        let mut line: &str = &text;
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() && !cut {
            return self.dispatch(events);
        }
        let (field, value) = match line.split_once(':') {
            Some((field, value)) => (field, value.strip_prefix(' ').unwrap_or(value)),
            None => (line, ""),
        };
        if cut {
            self.too_large |= field == "data";
            if field == "id" {
                self.id = Some(String::new());
            }
            return;
        }
        match field {
            "data" => {
                let is_too_long = self.data.len() + value.len() + 1 > self.max_data_bytes.saturating_add(1);
                if is_too_long || self.data.try_reserve(value.len() + 1).is_err() {
                    self.too_large = true;
                    self.data = String::new();
                } else if !self.too_large {
                    self.data.push_str(value);
                    self.data.push('\n');
                }
                self.has_data = true;
            }
            // A name of this size names nothing.
            "event" if value.len() > MAX_NAME_BYTES => self.too_large = true,
            "event" => value.clone_into(&mut self.name),
            // Every event carries the id: one that no header could send back anyhow is none.
            "id" if value.len() > MAX_ID_BYTES => self.id = Some(String::new()),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                events.extend(value.parse().ok().map(ParsedEvent::Retry));
            }
            // Comments begin with a colon, so their field has no name; others are of no meaning.
            _ => {}
        }
    }

    fn dispatch(&mut self, events: &mut Vec<ParsedEvent>) {
        events.extend(self.id.take().map(ParsedEvent::Id));
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        let has_data = std::mem::take(&mut self.has_data);
        if std::mem::take(&mut self.too_large) {
            events.push(ParsedEvent::TooLarge);
        } else if has_data {
            data.pop();
            let name = (!name.is_empty() && name != "message").then_some(name);
            events.push(ParsedEvent::Event {
                name,
                data: data.into(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(stream: &str) -> Vec<ParsedEvent> {
        let mut whole = Vec::new();
        Parser::new(1 << 20).push(stream.as_bytes(), &mut whole);
        let mut bytewise = Vec::new();
        let mut parser = Parser::new(1 << 20);
        for byte in stream.as_bytes() {
            parser.push(&[*byte], &mut bytewise);
        }
        assert_eq!(whole, bytewise, "however the bytes come");
        whole
    }

    #[test]
    fn an_id_or_name_of_any_size_is_not_copied_into_events() {
        let long = "a".repeat(5000);
        let stream =
            format!("id: 7\ndata: 1\n\nid: {long}\ndata: 2\n\nevent: {long}\ndata: 3\n\ndata: 4\n\n");
        assert_eq!(
            parsed(&stream),
            [
                ParsedEvent::Id("7".to_owned()),
                event(None, "1"),
                ParsedEvent::Id(String::new()),
                event(None, "2"),
                ParsedEvent::TooLarge,
                event(None, "4"),
            ]
        );
    }

    fn event(name: Option<&str>, data: &str) -> ParsedEvent {
        ParsedEvent::Event {
            name: name.map(str::to_owned),
            data: Bytes::copy_from_slice(data.as_bytes()),
        }
    }

    #[test]
    fn the_examples_of_the_standard_are_parsed() {
        assert_eq!(
            parsed("data: YHOO\ndata: +2\ndata: 10\n\n"),
            [event(None, "YHOO\n+2\n10")]
        );
        assert_eq!(
            parsed(
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
            ),
            [
                ParsedEvent::Id("1".to_owned()),
                event(None, "first event"),
                ParsedEvent::Id(String::new()),
                event(None, "second event"),
                event(None, " third event"),
            ]
        );
        assert_eq!(
            parsed("data\n\ndata\ndata\n\ndata:"),
            [event(None, ""), event(None, "\n")]
        );
        assert_eq!(
            parsed("data:test\n\ndata: test\n\n"),
            [event(None, "test"), event(None, "test")]
        );
    }

    #[test]
    fn all_three_line_endings_and_a_leading_bom_are_accepted() {
        assert_eq!(
            parsed("\u{feff}event: a\r\ndata: 1\r\rdata: 2\n\r\n"),
            [event(Some("a"), "1"), event(None, "2")]
        );
    }

    #[test]
    fn invalid_fields_and_incomplete_events_are_ignored() {
        assert_eq!(
            parsed("retry: 1000\nretry: x\nretry\nid: a\0b\nfoo: bar\nevent: message\ndata: x\n\n"),
            [ParsedEvent::Retry(1000), event(None, "x")]
        );
        assert_eq!(parsed("event: a\n\ndata: x\n\n"), [event(None, "x")]);
        assert_eq!(parsed("data: cut off"), []);
    }

    #[test]
    fn an_event_above_the_limit_is_reported_and_the_next_is_parsed() {
        let mut parser = Parser::new(10);
        let mut events = Vec::new();
        parser.push(
            b"data: 0123456789\n\ndata: 012345678901234567890123456789\n\n",
            &mut events,
        );
        parser.push(b"data: 01234\ndata: 56789\n\nid: 7\ndata: fine\n\n", &mut events);
        assert_eq!(
            events,
            [
                event(None, "0123456789"),
                ParsedEvent::TooLarge,
                ParsedEvent::TooLarge,
                ParsedEvent::Id("7".to_owned()),
                event(None, "fine"),
            ]
        );
    }
}
