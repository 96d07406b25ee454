//! Code that event streams and polling share: refusals, posting, error texts in bodies.

use crate::wire::code::Code;
use crate::wire::options::Options;
use crate::wire::record::ErrorInfo;

use crate::core::dialect::html;
use crate::core::io::{Answer, LinkEnd, TransportKind};
use crate::core::syntax::read_url;

use super::{Abilities, DialectEnd, DialectEvent};

/// Bytes of an error text in a body that are reported.
const MAX_REASON_CHARS: usize = 200;

/// Bytes of a page in which its title is looked for.
const MAX_PAGE_BYTES: usize = 64 * 1024;

/// What a protocol over HTTP can do: it sends where the options say where to.
pub(super) const fn abilities(options: &Options) -> Abilities {
    Abilities {
        pings: false,
        sends: options.post.is_some(),
        acknowledges: false,
        is_http: true,
        has_handshake: true,
    }
}

/// A dial that asks and posts.
pub(super) fn transport(options: &Options) -> TransportKind {
    TransportKind::Http {
        post: options.post.as_ref().and_then(|post| {
            // It was read when the session was opened, and judged as the options are.
            let url = read_url(&post.url).ok()?;
            Some((url, post.headers.clone()))
        }),
    }
}

/// A message was posted and answered.
pub(super) fn posted(count: u64, answer: &Answer) -> DialectEvent {
    if answer.is_not_now() {
        // Not taken, and it may be later: it waits again.
        return refused(answer, count - 1);
    }
    let failure = (!answer.is_good()).then(|| {
        let excerpt = body_excerpt(answer);
        let colon = if excerpt.is_empty() { "" } else { ": " };
        let why = format!(
            "the server answered the POST with {}{colon}{excerpt}",
            answer.status
        );
        ErrorInfo::new(Code::HttpStatus, why)
    });
    DialectEvent::Posted(count, failure)
}

/// The server refuses, now or permanently: its status says which.
pub(super) fn refused(answer: &Answer, taken: u64) -> DialectEvent {
    let hint = if (300..400).contains(&answer.status) {
        " (a redirect that cannot be followed)"
    } else {
        ""
    };
    let end = LinkEnd {
        status: Some(answer.status),
        retry_after: answer.retry_after,
        reason: Some(body_excerpt(answer)),
        error: Some(ErrorInfo::new(
            Code::HttpStatus,
            format!("the server answered with {}{hint}", answer.status),
        )),
        taken,
        ..LinkEnd::default()
    };
    DialectEvent::End(Box::new(DialectEnd::Lost(end)))
}

/// What to say of an HTML page that answers a request for data: a captive portal's, or a proxy's. An extension that wants
/// pages says so in `Accept`.
pub(super) fn unwanted_page(answer: &Answer, options: &Options) -> Option<String> {
    let kind = answer.header_lines("content-type").last()?;
    let is_page = kind
        .get(..9)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
    let mut accepts = options
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("accept"));
    if !is_page || accepts.any(|(_, kinds)| kinds.contains("text/html")) {
        return None;
    }
    let start = &answer.body[..answer.body.len().min(MAX_PAGE_BYTES)];
    let page = html::described(&String::from_utf8_lossy(start))?;
    Some(format!(
        "the server answered with {page}; a header `Accept` with `text/html` would allow pages"
    ))
}

/// The beginning of a body that is text, on one line.
fn body_excerpt(answer: &Answer) -> String {
    let text = answer.beginning();
    if let Some(page) = html::described(&text) {
        return page;
    }
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_REASON_CHARS)
        .collect();
    line.trim().to_owned()
}
