//! Which URLs, header names and header values there are, whatever the rules allow.

use url::{ParseError, Url};

use crate::wire::code::Code;
use crate::wire::record::ErrorInfo;

/// Reads a URL, and leaves it to others whether it is allowed.
///
/// # Errors
/// `bad-url`.
pub(crate) fn read_url(text: &str) -> Result<Url, ErrorInfo> {
    let mut url = Url::parse(text).map_err(|error| {
        let message = match error {
            ParseError::RelativeUrlWithoutBase => {
                "the URL must begin with its scheme, such as `wss://`".to_owned()
            }
            error => format!("the URL cannot be parsed: {error}"),
        };
        ErrorInfo::new(Code::BadUrl, message)
    })?;
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        other => {
            let message = format!("the URL must begin with `ws://` or `wss://`, and not with `{other}:`");
            return Err(ErrorInfo::new(Code::BadUrl, message));
        }
    };
    if url.scheme() == scheme && url.fragment().is_some() {
        let message = "a `ws:` URL must not have a fragment (`#`)";
        return Err(ErrorInfo::new(Code::BadUrl, message));
    }
    // `EventSource` and `fetch` take one and do not send it.
    url.set_fragment(None);
    if url.scheme() != scheme && url.set_scheme(scheme).is_err() {
        return Err(ErrorInfo::new(
            Code::BadUrl,
            "the URL's scheme cannot be changed to `ws` or `wss`",
        ));
    }
    if url.port() == Some(0) {
        return Err(ErrorInfo::new(Code::BadUrl, "port 0 cannot be dialled"));
    }
    Ok(url)
}

/// A token of RFC 9110.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A field value of RFC 9110: visible characters, spaces and tabs.
pub(crate) fn is_header_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}
