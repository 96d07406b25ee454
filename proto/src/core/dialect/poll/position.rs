//! Polling: what to ask a server next, and which messages stand in its answer.
//!
//! It keeps no time; when to ask is for the dialect to know.

use std::fmt::Write as _;

use bytes::Bytes;
use url::Url;

use crate::wire::json::{Document, Elements, Pointers, ValueKind};
use crate::wire::payload::Payload;
use crate::wire::rule::{PARSED_WHOLE, ParsedMessage};
use crate::wire::servers::{CursorFrom, CursorTo, Poll, cursor_text};

use crate::core::dialect::html;
use crate::core::io::Answer;
use crate::core::outlines::Outlines;
use crate::core::policy;

/// Bytes of a cursor, which is sent back in a header or the URL.
const MAX_CURSOR_BYTES: usize = 8 << 10;

/// What outlives a connection: where the server is to go on.
#[derive(Debug, Clone, Default)]
pub(crate) struct PollPosition {
    cursor: Option<String>,
    etag: Option<String>,
}

impl PollPosition {
    /// Whether the server will be told what was heard already.
    pub(crate) const fn is_known(&self) -> bool {
        self.cursor.is_some()
    }

    /// The URL to ask, and the headers that say where to go on.
    pub(crate) fn ask(&self, poll: &Poll, mut url: Url) -> (Url, Vec<(String, String)>) {
        let mut headers = Vec::new();
        if let Some(etag) = &self.etag {
            headers.push(("If-None-Match".to_owned(), etag.clone()));
        }
        if let Some(cursor) = &poll.cursor
            && let Some(value) = self.cursor.as_ref().or(cursor.start.as_ref())
        {
            match &cursor.to {
                CursorTo::Header(name) => headers.push((name.clone(), header_value(value))),
                CursorTo::Query(name) => {
                    // What the URL has is left as it is written, unless it has this parameter.
                    if url.query_pairs().any(|(key, _)| key == *name) {
                        let others: Vec<(String, String)> = url
                            .query_pairs()
                            .filter(|(key, _)| key != name)
                            .map(|(key, value)| (key.into_owned(), value.into_owned()))
                            .collect();
                        url.query_pairs_mut().clear().extend_pairs(others);
                    }
                    url.query_pairs_mut().append_pair(name, value);
                }
            }
        }
        (url, headers)
    }

    /// The messages of an answer with a 2xx status; remembers where to go on.
    ///
    /// # Errors
    /// A sentence when the answer is not what the options say.
    pub(crate) fn read(
        &mut self,
        poll: &Poll,
        answer: &Answer,
        json: bool,
        outlines: &Outlines,
    ) -> Result<Messages, String> {
        let body = answer.content();
        let wants_json = poll.items.is_some()
            || matches!(&poll.cursor, Some(cursor) if !matches!(cursor.from, CursorFrom::Header(_)));
        let outline = if (wants_json || json) && !body.is_empty() {
            let pointers = || {
                let mut pointers = Pointers::NONE;
                poll.add_pointers(&mut pointers);
                pointers
            };
            outlines.of_or_read(&body, pointers)
        } else {
            None
        };
        if wants_json && !body.is_empty() && outline.is_none() {
            return Err(no_json(&body));
        }
        let position = |pointer: &str| {
            let outline = outline.as_ref()?;
            outline.at(pointer.as_bytes()).flatten()
        };
        let messages = match &poll.items {
            Some(items) => position(items).map_or_else(Messages::default, |position| match position.kind {
                ValueKind::Null => Messages::default(),
                ValueKind::Array => {
                    Messages::Elements(Elements::of_checked(body.slice(position.range.clone())))
                }
                _ => Messages::one(Payload::Json(Bytes::copy_from_slice(
                    &body[position.range.clone()],
                ))),
            }),
            None if body.is_empty() => Messages::default(),
            None if json && outline.is_some() => Messages::one(Payload::Json(body.clone())),
            None => {
                let text = Payload::text_from_utf8(body.clone());
                Messages::one(text.unwrap_or_else(|| Payload::Binary(body.clone())))
            }
        };
        // A tag is of what was asked: it says nothing about the answer to another question.
        self.etag = answer.header("etag").map(str::to_owned);
        if let Some(cursor) = &poll.cursor {
            let found = match &cursor.from {
                CursorFrom::Header(name) => answer.header(name).map(str::to_owned),
                CursorFrom::Pointer(pointer) => {
                    position(pointer).and_then(|position| text_of(&body[position.range.clone()]))
                }
                CursorFrom::Item(_) => None,
            };
            self.go_on_from(found)?;
        }
        Ok(messages)
    }

    /// All messages of an answer were taken, this one last.
    ///
    /// # Errors
    /// A sentence when its cursor cannot be sent back.
    pub(crate) fn ended_with(&mut self, poll: &Poll, last: &Payload) -> Result<(), String> {
        let Some(CursorFrom::Item(pointer)) = poll.cursor.as_ref().map(|cursor| &cursor.from) else {
            return Ok(());
        };
        let found = ParsedMessage::at(last).pointer(pointer.as_bytes(), |found| text_of(found?.raw));
        self.go_on_from(found)
    }

    /// An answer that says nothing about it leaves it where it was.
    fn go_on_from(&mut self, found: Option<String>) -> Result<(), String> {
        if let Some(found) = found.as_ref().filter(|found| found.len() > MAX_CURSOR_BYTES) {
            return Err(format!(
                "the cursor has {} bytes; the limit is {MAX_CURSOR_BYTES}",
                found.len()
            ));
        }
        if found.is_some() && found != self.cursor {
            self.cursor = found;
            self.etag = None;
        }
        Ok(())
    }
}

/// The messages of an answer, one after the other: however many there are, they are not all held at once.
#[derive(Debug)]
pub(crate) enum Messages {
    One(Option<Payload>),
    Elements(Elements),
}

impl Default for Messages {
    fn default() -> Self {
        Self::One(None)
    }
}

impl Messages {
    const fn one(message: Payload) -> Self {
        Self::One(Some(message))
    }

    /// Whether all have been taken.
    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::One(message) => message.is_none(),
            Self::Elements(elements) => elements.is_empty(),
        }
    }

    /// Bytes of what has not been taken.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::One(message) => message.as_ref().map_or(0, Payload::len),
            Self::Elements(elements) => elements.held(),
        }
    }
}

impl Iterator for Messages {
    type Item = Payload;

    fn next(&mut self) -> Option<Payload> {
        match self {
            Self::One(message) => message.take(),
            Self::Elements(elements) => elements.next().map(Payload::Json),
        }
    }
}

/// Why an answer is not the JSON that it must be.
fn no_json(body: &[u8]) -> String {
    // The beginning tells a page from others.
    let start = String::from_utf8_lossy(&body[..body.len().min(PARSED_WHOLE)]);
    if let Some(page) = html::described(&start) {
        return format!("the response is not JSON: it is {page}");
    }
    match std::str::from_utf8(body).map(Document::parse) {
        Err(_) => "the response is not JSON: it is not UTF-8".to_owned(),
        Ok(Err(error)) => format!("the response is not JSON: {error}"),
        Ok(Ok(_)) => "the response is not JSON".to_owned(),
    }
}

/// A cursor as a header can hold it: what HTTP does not allow there is percent-encoded, as a query would.
fn header_value(cursor: &str) -> String {
    if policy::is_header_value(cursor) {
        return cursor.to_owned();
    }
    let mut value = String::with_capacity(cursor.len() + 8);
    for one in cursor.chars() {
        match one {
            '%' => value.push_str("%25"),
            _ if one.is_ascii_control() => {
                let _ = write!(value, "%{:02X}", u32::from(one));
            }
            _ => value.push(one),
        }
    }
    value
}

/// A cursor's value, as it is said to the server.
fn text_of(json: &[u8]) -> Option<String> {
    // What is longer cannot be sent back, however it is escaped.
    if json.len() > 6 * MAX_CURSOR_BYTES + 2 {
        return Some(String::from_utf8_lossy(json).into_owned());
    }
    cursor_text(Document::parse(std::str::from_utf8(json).ok()?).ok()?.root())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl PollPosition {
        /// All messages of an answer at once.
        fn hear(&mut self, poll: &Poll, answer: &Answer, json: bool) -> Result<Vec<Payload>, String> {
            let all: Vec<Payload> = self.read(poll, answer, json, &Outlines::default())?.collect();
            if let Some(last) = all.last() {
                self.ended_with(poll, last)?;
            }
            Ok(all)
        }
    }

    fn poll(json: &str) -> Poll {
        Poll::from_json(json).unwrap()
    }

    fn answer(headers: &[(&str, &str)], body: &'static str) -> Answer {
        Answer {
            status: 200,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Bytes::from_static(body.as_bytes()),
            ..Answer::default()
        }
    }

    fn asked(position: &PollPosition, poll: &Poll) -> (String, Vec<(String, String)>) {
        let (url, headers) = position.ask(poll, Url::parse("http://localhost/tasks?a=1&since=7").unwrap());
        (url.query().unwrap().to_owned(), headers)
    }

    #[test]
    fn a_cursor_goes_where_it_belongs() {
        let poll = poll(r#"{"items":"/tasks","cursor":{"item":"/id","query":"since","start":"0"}}"#);
        let mut position = PollPosition::default();
        assert_eq!(asked(&position, &poll).0, "a=1&since=0");
        let heard = position
            .hear(&poll, &answer(&[], r#"{"tasks":[{"id":3},{"id":4}]}"#), false)
            .unwrap();
        assert_eq!(heard.len(), 2);
        assert_eq!(asked(&position, &poll).0, "a=1&since=4");
        assert!(
            position
                .hear(&poll, &answer(&[], r#"{"tasks":[]}"#), false)
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            asked(&position, &poll).0,
            "a=1&since=4",
            "nothing new moves nothing"
        );
        let signed = Url::parse("http://localhost/?flag&sig=a%20b%2B").unwrap();
        let (url, _) = position.ask(&poll, signed);
        assert_eq!(
            url.query(),
            Some("flag&sig=a%20b%2B&since=4"),
            "a signature stays one"
        );
    }

    #[test]
    fn a_header_carries_the_cursor_both_ways_and_a_tag_is_said_again() {
        let poll = poll(r#"{"cursor":{"header":"X-Next","requestHeader":"X-From"}}"#);
        let mut position = PollPosition::default();
        assert!(!position.is_known() && asked(&position, &poll).1.is_empty());
        let tagged = answer(&[("x-next", "n1"), ("etag", "\"e\"")], "text");
        assert_eq!(
            position.hear(&poll, &tagged, false),
            Ok(vec![Payload::text("text")])
        );
        assert_eq!(
            asked(&position, &poll).1,
            [("X-From".to_owned(), "n1".to_owned())],
            "another question has no tag yet"
        );
        position.hear(&poll, &tagged, false).unwrap();
        // The newest tag counts, and none if there is none any more.
        let newer = answer(&[("x-next", "n1"), ("etag", "\"f\"")], "text");
        let mut later = PollPosition::default();
        later.hear(&poll, &tagged, false).unwrap();
        for (tagged, tags) in [(&tagged, 1), (&newer, 1), (&answer(&[], "text"), 0)] {
            later.hear(&poll, tagged, false).unwrap();
            let said = asked(&later, &poll).1;
            let said: Vec<&str> = said
                .iter()
                .filter(|(name, _)| name == "If-None-Match")
                .map(|(_, value)| value.as_str())
                .collect();
            assert_eq!(said.len(), tags);
            assert_eq!(said.first().copied(), tagged.header("etag"));
        }
        let said = asked(&position, &poll).1;
        let said: Vec<(&str, &str)> = said.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(said, [("If-None-Match", "\"e\""), ("X-From", "n1")]);
        assert!(position.is_known());
    }

    #[test]
    fn a_cursor_that_no_header_can_hold_is_encoded_or_refused() {
        let poll = poll(r#"{"cursor":{"pointer":"/next","requestHeader":"X-From"}}"#);
        for (cursor, header) in [
            (r"a\r\nHost: b", "a%0D%0AHost: b"),
            (r"50%\u0000\u007f", "50%25%00%7F"),
            (r"50%\té", "50%\té"),
        ] {
            let mut position = PollPosition::default();
            let body = format!(r#"{{"next":"{cursor}"}}"#);
            position.hear(&poll, &answer(&[], body.leak()), false).unwrap();
            assert_eq!(
                asked(&position, &poll).1,
                [("X-From".to_owned(), header.to_owned())]
            );
        }
        let mut position = PollPosition::default();
        let body = format!(r#"{{"next":"{}"}}"#, "a".repeat(MAX_CURSOR_BYTES + 1));
        assert!(position.hear(&poll, &answer(&[], body.leak()), false).is_err());
        assert!(!position.is_known());
    }

    #[test]
    fn elements_stay_as_they_were_received() {
        let heard = PollPosition::default()
            .hear(
                &poll(r#"{"items":"/x/1"}"#),
                &answer(&[], r#"{"x":[0, [{"a": 1.0}, 2]]}"#),
                false,
            )
            .unwrap();
        assert_eq!(heard.len(), 2);
        assert_eq!(heard[0], Payload::Json(Bytes::from_static(b"{\"a\": 1.0}")));
    }

    #[test]
    fn a_mark_before_json_and_deep_values_are_nothing_special() {
        let poll = poll(r#"{"items":"/x","cursor":{"item":"/id","query":"since"}}"#);
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let body = format!("\u{feff}{{\"x\":[{{\"id\":1}},{{\"id\":2,\"deep\":{deep}}}]}}");
        let mut position = PollPosition::default();
        let heard = position.hear(&poll, &answer(&[], body.leak()), false).unwrap();
        assert_eq!(heard.len(), 2);
        assert_eq!(asked(&position, &poll).0, "a=1&since=2");
        let plain = answer(&[], "\u{feff}text");
        let heard = PollPosition::default().hear(&Poll::default(), &plain, false);
        assert_eq!(heard, Ok(vec![Payload::text("text")]));
    }

    #[test]
    fn what_is_no_json_is_an_error_only_where_json_is_needed() {
        let html = answer(&[], "<html>");
        let mut position = PollPosition::default();
        assert!(
            position
                .hear(&poll(r#"{"items":"/tasks"}"#), &html, false)
                .is_err()
        );
        assert_eq!(
            position.hear(&poll("{}"), &html, true),
            Ok(vec![Payload::text("<html>")])
        );
        assert_eq!(position.hear(&poll("{}"), &answer(&[], ""), true), Ok(Vec::new()));
    }
}
