//! Who may dial what, and what a refusal or close code means.
//!
//! It looks at URLs, headers and codes; it resolves no names. Addresses are judged after DNS by `transport`.

use url::{Host, Url};

use crate::wire::code::Code;
use crate::wire::options::{CloseClass, Options};
use crate::wire::record::ErrorInfo;

/// Headers that only the broker may set: hop-by-hop ones, and those of the handshake itself.
const DENIED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads and judges a session's URL.
///
/// # Errors
/// `bad-url` when it cannot be dialled at all, `url-denied` when plain text would leave the machine.
pub(crate) fn parse_url(text: &str) -> Result<Url, ErrorInfo> {
    let mut url = Url::parse(text)
        .map_err(|error| ErrorInfo::new(Code::BadUrl, format!("the URL cannot be parsed: {error}")))?;
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        other => {
            let message = format!("the URL's scheme `{other}` is neither `ws` nor `wss`");
            return Err(ErrorInfo::new(Code::BadUrl, message));
        }
    };
    if url.scheme() != scheme && url.set_scheme(scheme).is_err() {
        return Err(ErrorInfo::new(
            Code::BadUrl,
            "the URL's scheme cannot be changed to a WebSocket's",
        ));
    }
    if url.fragment().is_some() {
        return Err(ErrorInfo::new(
            Code::BadUrl,
            "the URL must not have a fragment (`#`)",
        ));
    }
    if url.port() == Some(0) {
        return Err(ErrorInfo::new(Code::BadUrl, "port 0 cannot be dialled"));
    }
    if scheme == "ws" && !is_loopback(&url) {
        return Err(ErrorInfo::new(
            Code::UrlDenied,
            "`ws:` is allowed to this machine only (localhost, 127.0.0.0/8, [::1]): use `wss:`",
        ));
    }
    Ok(url)
}

/// Whether the URL names this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Scheme, host, port and path: what may be shown and logged.
pub(crate) fn shown_url(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    // Only URLs that cannot have a user or password refuse this, and those were refused before.
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.to_string()
}

/// Judges the headers and subprotocols an extension wants to send.
///
/// # Errors
/// `header-denied` naming the header, `bad-option` for names or values that HTTP does not allow.
pub(crate) fn check_dial(options: &Options) -> Result<(), ErrorInfo> {
    check_headers(&options.headers)?;
    if options
        .cookies
        .as_deref()
        .is_some_and(|text| !is_header_value(text))
    {
        return Err(ErrorInfo::new(
            Code::BadOption,
            "option `cookies`: it has characters that HTTP does not allow",
        ));
    }
    check_subprotocols(&options.subprotocols)?;
    if let Some(post) = &options.post {
        check_headers(&post.headers)?;
        parse_url(&post.url).map_err(|error| ErrorInfo {
            message: format!("option `post`: {}", error.message),
            ..error
        })?;
    }
    if !matches!(options.proxy.as_str(), "system" | "none") {
        let scheme = Url::parse(&options.proxy).map(|url| url.scheme().to_owned());
        if !matches!(scheme.as_deref(), Ok("http" | "socks5" | "socks5h")) {
            let message = "option `proxy`: it must be `system`, `none`, or an `http://` or `socks5://` URL";
            return Err(ErrorInfo::new(Code::BadOption, message));
        }
    }
    Ok(())
}

/// Judges headers alone.
///
/// # Errors
/// As [`check_dial`].
pub(crate) fn check_headers(headers: &[(String, String)]) -> Result<(), ErrorInfo> {
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if DENIED_HEADERS.contains(&lower.as_str()) || lower.starts_with("sec-") {
            let message = format!("the header `{name}` may not be set by an extension");
            return Err(ErrorInfo::new(Code::HeaderDenied, message));
        }
        if !is_token(name) || !is_header_value(value) {
            let message =
                format!("option `headers`: `{name}` or its value has characters that HTTP does not allow");
            return Err(ErrorInfo::new(Code::BadOption, message));
        }
    }
    Ok(())
}

/// Judges subprotocols alone.
///
/// # Errors
/// `bad-option` for what is no token, or stands twice.
pub(crate) fn check_subprotocols(subprotocols: &[String]) -> Result<(), ErrorInfo> {
    for (index, subprotocol) in subprotocols.iter().enumerate() {
        if !is_token(subprotocol) || subprotocols[..index].contains(subprotocol) {
            let message = "option `subprotocols`: each must be a token of HTTP, and stand once";
            return Err(ErrorInfo::new(Code::BadOption, message));
        }
    }
    Ok(())
}

/// A token of RFC 9110.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A field value of RFC 9110: visible characters, spaces and tabs.
fn is_header_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// What a close code means for dialling again.
pub(crate) fn close_class(options: &Options, code: u16) -> CloseClass {
    if let Some(class) = options.close_codes.get(&code) {
        return *class;
    }
    match code {
        1002 | 1003 | 1007 | 1008 | 1010 => CloseClass::Stop,
        4401 | 4403 => CloseClass::Auth,
        _ => CloseClass::Retry,
    }
}

/// What a refused handshake means for dialling again.
pub(crate) fn status_class(options: &Options, status: u16) -> CloseClass {
    if let Some(class) = options.close_codes.get(&status) {
        return *class;
    }
    match status {
        401 | 403 => CloseClass::Auth,
        400 | 404 => CloseClass::Stop,
        _ => CloseClass::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        for allowed in [
            "ws://localhost:1",
            "ws://127.8.8.8/x",
            "ws://[::1]:9/",
            "wss://example.com/?q=1",
            "ws://a.localhost",
        ] {
            assert!(parse_url(allowed).is_ok(), "{allowed}");
        }
        for (denied, code) in [
            ("ws://example.com", Code::UrlDenied),
            ("ws://localhost.example.com", Code::UrlDenied),
            ("ws://127.0.0.1.example.com", Code::UrlDenied),
            ("ftp://localhost", Code::BadUrl),
            ("ws://localhost/#a", Code::BadUrl),
            ("localhost", Code::BadUrl),
            ("ws://localhost:0", Code::BadUrl),
            ("", Code::BadUrl),
        ] {
            assert_eq!(parse_url(denied).unwrap_err().code, code, "{denied}");
        }
    }

    #[test]
    fn what_is_shown_has_no_secrets() {
        let url = parse_url("wss://user:secret@example.com/path?token=secret").unwrap();
        assert_eq!(shown_url(&url), "wss://example.com/path");
    }

    #[test]
    fn headers_of_the_handshake_are_refused_whatever_their_case() {
        for name in ["Host", "SEC-WebSocket-Key", "connection", "Transfer-Encoding"] {
            let options = Options {
                headers: vec![(name.to_owned(), "x".to_owned())],
                ..Options::default()
            };
            assert_eq!(
                check_dial(&options).unwrap_err().code,
                Code::HeaderDenied,
                "{name}"
            );
        }
        for (name, value) in [("A", "a\r\nB: c"), ("a b", "c"), ("", "c")] {
            let options = Options {
                headers: vec![(name.to_owned(), value.to_owned())],
                ..Options::default()
            };
            assert_eq!(
                check_dial(&options).unwrap_err().code,
                Code::BadOption,
                "{name}: {value}"
            );
        }
        let fine = Options {
            headers: vec![("Origin".to_owned(), "https://a".to_owned())],
            ..Options::default()
        };
        assert!(check_dial(&fine).is_ok());
    }

    #[test]
    fn close_codes_follow_the_table_and_the_session() {
        let mut options = Options::default();
        for (code, class) in [
            (1000, CloseClass::Retry),
            (1006, CloseClass::Retry),
            (1008, CloseClass::Stop),
            (4401, CloseClass::Auth),
        ] {
            assert_eq!(close_class(&options, code), class, "{code}");
        }
        options.close_codes.insert(1008, CloseClass::Auth);
        assert_eq!(close_class(&options, 1008), CloseClass::Auth);
        assert_eq!(status_class(&options, 403), CloseClass::Auth);
        assert_eq!(status_class(&options, 404), CloseClass::Stop);
    }
}
