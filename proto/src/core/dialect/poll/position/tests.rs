//! Tests of `position`.

use bytes::Bytes;

use super::*;

impl PollPosition {
    /// All messages of an answer at once.
    fn read_all(&mut self, poll: &Poll, answer: &Answer, json: bool) -> Result<Vec<Payload>, String> {
        let all: Vec<Message> = self.read(poll, answer, json, None)?.collect();
        if let Some(last) = all.last() {
            self.ended_with(poll, last)?;
        }
        Ok(all.into_iter().map(|(message, _)| message).collect())
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

fn request(position: &PollPosition, poll: &Poll) -> (String, Vec<(String, String)>) {
    let (url, headers) = position.ask(poll, Url::parse("http://localhost/tasks?a=1&since=7").unwrap());
    (url.query().unwrap().to_owned(), headers)
}

/// A large answer is read beforehand, with the options of that moment.
#[test]
fn items_are_read_with_the_current_options() {
    let (before, now) = (poll(r#"{"items":"/jobs"}"#), poll(r#"{"items":"/tasks"}"#));
    let answer = answer(&[], r#"{"jobs":[1],"tasks":[2,3]}"#);
    for (request, expected) in [(&before, ["2", "3"]), (&now, ["2", "3"])] {
        let read = LargeAnswer::new(request, answer.content()).read(&Pointers::NONE);
        let found = PollPosition::default().read(&now, &answer, false, Some(read.into()));
        let found: Vec<_> = found.unwrap().map(|(message, _)| message).collect();
        assert_eq!(
            found,
            expected.map(|text| Payload::Json(Bytes::from_static(text.as_bytes())))
        );
    }
}

#[test]
fn a_cursor_is_sent_in_the_configured_place() {
    let poll = poll(r#"{"items":"/tasks","cursor":{"item":"/id","query":"since","start":"0"}}"#);
    let mut position = PollPosition::default();
    assert_eq!(request(&position, &poll).0, "a=1&since=0");
    let messages = position
        .read_all(&poll, &answer(&[], r#"{"tasks":[{"id":3},{"id":4}]}"#), false)
        .unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(request(&position, &poll).0, "a=1&since=4");
    assert!(
        position
            .read_all(&poll, &answer(&[], r#"{"tasks":[]}"#), false)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        request(&position, &poll).0,
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
fn a_header_carries_the_cursor_and_an_etag_is_sent_as_if_none_match() {
    let poll = poll(r#"{"cursor":{"header":"X-Next","requestHeader":"X-From"}}"#);
    let mut position = PollPosition::default();
    assert!(!position.is_known() && request(&position, &poll).1.is_empty());
    let tagged = answer(&[("x-next", "n1"), ("etag", "\"e\"")], "text");
    assert_eq!(
        position.read_all(&poll, &tagged, false),
        Ok(vec![Payload::text("text")])
    );
    assert_eq!(
        request(&position, &poll).1,
        [("X-From".to_owned(), "n1".to_owned())],
        "another request has no tag yet"
    );
    position.read_all(&poll, &tagged, false).unwrap();
    // The newest tag counts, and none if there is none any more.
    let newer = answer(&[("x-next", "n1"), ("etag", "\"f\"")], "text");
    let mut later = PollPosition::default();
    later.read_all(&poll, &tagged, false).unwrap();
    for (tagged, tags) in [(&tagged, 1), (&newer, 1), (&answer(&[], "text"), 0)] {
        later.read_all(&poll, tagged, false).unwrap();
        let sent = request(&later, &poll).1;
        let sent: Vec<&str> = sent
            .iter()
            .filter(|(name, _)| name == "If-None-Match")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(sent.len(), tags);
        assert_eq!(sent.first().copied(), tagged.header("etag"));
    }
    let sent = request(&position, &poll).1;
    let sent: Vec<(&str, &str)> = sent.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(sent, [("If-None-Match", "\"e\""), ("X-From", "n1")]);
    assert!(position.is_known());
}

#[test]
fn a_cursor_invalid_in_a_header_is_encoded_or_refused() {
    let poll = poll(r#"{"cursor":{"pointer":"/next","requestHeader":"X-From"}}"#);
    for (cursor, header) in [
        (r"a\r\nHost: b", "a%0D%0AHost: b"),
        (r"50%\u0000\u007f", "50%25%00%7F"),
        (r"50%\té", "50%\té"),
    ] {
        let mut position = PollPosition::default();
        let body = format!(r#"{{"next":"{cursor}"}}"#);
        position
            .read_all(&poll, &answer(&[], body.leak()), false)
            .unwrap();
        assert_eq!(
            request(&position, &poll).1,
            [("X-From".to_owned(), header.to_owned())]
        );
    }
    let mut position = PollPosition::default();
    let body = format!(r#"{{"next":"{}"}}"#, "a".repeat(MAX_CURSOR_BYTES + 1));
    assert!(
        position
            .read_all(&poll, &answer(&[], body.leak()), false)
            .is_err()
    );
    assert!(!position.is_known());
}

#[test]
fn array_elements_are_delivered_verbatim() {
    let messages = PollPosition::default()
        .read_all(
            &poll(r#"{"items":"/x/1"}"#),
            &answer(&[], r#"{"x":[0, [{"a": 1.0}, 2]]}"#),
            false,
        )
        .unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0], Payload::Json(Bytes::from_static(b"{\"a\": 1.0}")));
}

#[test]
fn a_bom_and_deeply_nested_values_are_accepted() {
    let poll = poll(r#"{"items":"/x","cursor":{"item":"/id","query":"since"}}"#);
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let body = format!("\u{feff}{{\"x\":[{{\"id\":1}},{{\"id\":2,\"deep\":{deep}}}]}}");
    let mut position = PollPosition::default();
    let messages = position
        .read_all(&poll, &answer(&[], body.leak()), false)
        .unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(request(&position, &poll).0, "a=1&since=2");
    let plain = answer(&[], "\u{feff}text");
    let messages = PollPosition::default().read_all(&Poll::default(), &plain, false);
    assert_eq!(messages, Ok(vec![Payload::text("text")]));
}

#[test]
fn invalid_json_is_an_error_only_if_options_need_json() {
    let html = answer(&[], "<html>");
    let mut position = PollPosition::default();
    assert!(
        position
            .read_all(&poll(r#"{"items":"/tasks"}"#), &html, false)
            .is_err()
    );
    assert_eq!(
        position.read_all(&poll("{}"), &html, true),
        Ok(vec![Payload::text("<html>")])
    );
    assert_eq!(
        position.read_all(&poll("{}"), &answer(&[], ""), true),
        Ok(Vec::new())
    );
}
