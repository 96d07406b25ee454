//! The parts of a request's head that every request has: target, `Host`, `User-Agent`, credentials, headers given as text.
//!
//! What is special to WebSocket is `handshake`'s, what is special to other requests `exchange`'s.

use base64::prelude::{BASE64_STANDARD, Engine};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::error::{DialError, Place};

/// `User-Agent` where the extension gives none.
pub(crate) const USER_AGENT: &str = concat!("longwire/", env!("CARGO_PKG_VERSION"));

/// Path and query as Chromium writes them, which also escapes `^` and `|` of a path.
pub(super) fn request_target(url: &url::Url) -> String {
    let path = url.path().replace('^', "%5E").replace('|', "%7C");
    match url.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

/// Adds `User-Agent` unless the extension gives one: servers and firewalls refuse requests without it.
pub(crate) fn introduce(headers: &mut HeaderMap) {
    headers
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(USER_AGENT));
}

/// The `Host` header. The port is left out where it is the scheme's own, as browsers do.
pub(crate) fn host(url: &url::Url, place: &Place) -> Result<HeaderValue, DialError> {
    let host = match url.port() {
        Some(_) => place.to_string(),
        None => place.host.clone(),
    };
    HeaderValue::from_str(&host).map_err(|_| DialError::Request("the host cannot be sent".to_owned()))
}

/// A header as HTTP has it. Values are secret: `Debug` does not show them.
pub(crate) fn read_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), DialError> {
    let refuse = |why: String| DialError::Request(why);
    let header = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| refuse("a header's name has characters that cannot be sent".to_owned()))?;
    let mut value = HeaderValue::from_str(value)
        .or_else(|_| HeaderValue::from_bytes(value.as_bytes()))
        .map_err(|_| {
            refuse(format!(
                "the value of `{header}` has characters that cannot be sent"
            ))
        })?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// The URL's user and password as Basic credentials, unless the headers have some.
pub(crate) fn credentials(url: &url::Url, headers: &HeaderMap) -> Result<Option<HeaderValue>, DialError> {
    let has_some = !url.username().is_empty() || url.password().is_some();
    if headers.contains_key(header::AUTHORIZATION) || !has_some {
        return Ok(None);
    }
    basic(url.username(), url.password().unwrap_or_default()).map(Some)
}

/// The URL's user and password, percent-decoded, as Basic credentials.
fn basic(user: &str, password: &str) -> Result<HeaderValue, DialError> {
    let mut plain = decoded(user);
    plain.push(b':');
    plain.extend(decoded(password));
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(plain)))
        .map_err(|_| DialError::Request("the URL's credentials cannot be sent".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    out
}
