//! What a dial puts on the wire: URLs, headers, subprotocols and a proxy, by whichever option they come.
//!
//! `check_dial` judges a session's options, so that a mistake is told when the session is opened. `check_request` judges
//! what is about to be written; the transport asks it before every connection and every request.

use url::{Host, Url};

use crate::wire::code::Code;
use crate::wire::options::{Options, Protocol};
use crate::wire::record::ErrorInfo;
use crate::wire::servers::CursorTo;

use crate::core::address;
use crate::core::pattern::is_loopback;
use crate::core::rules::Rule;

use super::{check_enabled, check_url, read_url};

/// Headers that only the broker may set, beside `proxy-*` and `sec-*`: hop-by-hop ones, and those of the message itself.
const DENIED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Judges everything that a session's options put on the wire. `url`: the session's own.
///
/// # Errors
/// `url-denied`, `header-denied`, or `bad-option` for what HTTP does not allow; the message names the option.
pub(crate) fn check_dial(
    options: &Options,
    url: Option<&Url>,
    rule: &Rule,
    origin: &str,
) -> Result<(), ErrorInfo> {
    let mut urls = Vec::new();
    for (url, option) in dialled_urls(options, url) {
        let url = url.map_err(|error| named(&option, error))?;
        check_url(&url, rule).map_err(|error| named(&option, error))?;
        urls.push(url);
    }
    check_headers(&options.headers, rule, origin, &urls)?;
    for headers in [
        &options.socketio.polling.headers,
        &options.socketio.websocket.headers,
    ] {
        check_headers(headers, rule, origin, &urls).map_err(|error| named("socketio", error))?;
    }
    check_cookies(options)?;
    check_subprotocols(&options.subprotocols)?;
    if let Some(post) = &options.post {
        let url = read_url(&post.url).map_err(|error| named("post", error))?;
        check_url(&url, rule).map_err(|error| named("post", error))?;
        let own = [url];
        check_headers(&post.headers, rule, origin, &own).map_err(|error| named("post", error))?;
        // The session's headers are sent there as well.
        check_headers(&options.headers, rule, origin, &own).map_err(|error| named("post", error))?;
    }
    if let Some(cursor) = &options.poll.cursor
        && let CursorTo::Header(name) = &cursor.to
    {
        let header = [(name.clone(), cursor.start.clone().unwrap_or_default())];
        check_headers(&header, rule, origin, &urls).map_err(|error| named("poll", error))?;
    }
    check_proxy(options, &urls, rule)
}

/// Judges what is about to be written: the URL as it is requested, and every header beside the transport's own.
///
/// # Errors
/// `origin-denied`, `url-denied` or `header-denied`.
pub fn check_request<'a>(
    url: &Url,
    headers: impl IntoIterator<Item = &'a (String, String)>,
    rule: &Rule,
    origin: &str,
) -> Result<(), ErrorInfo> {
    check_enabled(rule)?;
    check_url(url, rule)?;
    let urls = std::slice::from_ref(url);
    headers
        .into_iter()
        .try_for_each(|(name, value)| check_header(name, value, rule, origin, urls))
}

/// Judges a proxy that an extension names, with what it is to reach.
///
/// # Errors
/// `url-denied`.
pub fn check_own_proxy(place: &Url, target: Option<&Url>, rule: &Rule) -> Result<(), ErrorInfo> {
    let denied = |why: String| Err(ErrorInfo::new(Code::UrlDenied, format!("option `proxy`: {why}")));
    if !rule.own_proxy {
        return denied(
            "the settings do not allow this extension to set one (`own-proxy`; see `longwire config`)"
                .to_owned(),
        );
    }
    let literal = match place.host() {
        Some(Host::Ipv4(four)) => address::denied(four.into()),
        Some(Host::Ipv6(six)) => address::denied(six.into()),
        _ => None,
    };
    if let Some(what) = literal {
        return denied(format!("it resolves to {what}, which is never dialled"));
    }
    if !rule.allow.iter().any(|pattern| pattern.covers_place(place)) {
        return denied(format!(
            "the settings do not allow this extension to dial `{}` (`allow` covers proxies too; see `longwire config`)",
            place.host_str().unwrap_or_default(),
        ));
    }
    let is_clear = |url: &&Url| matches!(url.scheme(), "ws" | "http") && is_loopback(url);
    if target.filter(is_clear).is_some() && !is_loopback(place) {
        return denied(
            "an unencrypted URL of this machine is not sent to a proxy on another machine".to_owned(),
        );
    }
    Ok(())
}

/// The URLs that a session with these options requests, each with the option it comes by.
fn dialled_urls(options: &Options, url: Option<&Url>) -> Vec<(Result<Url, ErrorInfo>, String)> {
    let protocols = match options.transports.as_slice() {
        [] => std::slice::from_ref(&options.protocol),
        some => some,
    };
    let spoken = protocols.iter().filter_map(|protocol| {
        let (url, option) = match options.urls.get(protocol) {
            Some(text) => (read_url(text), format!("urls`, `{}", protocol.as_str())),
            None => (Ok(url?.clone()), String::new()),
        };
        if *protocol != Protocol::SocketIo {
            return Some((url, option));
        }
        let option = if option.is_empty() {
            "socketio".to_owned()
        } else {
            option
        };
        Some((url.map(|url| engine_url(url, &options.socketio.path)), option))
    });
    // Those that are not spoken are judged as well: what is written in the options is meant.
    let others = options
        .urls
        .iter()
        .filter(|(protocol, _)| !protocols.contains(protocol))
        .map(|(protocol, text)| (read_url(text), format!("urls`, `{}", protocol.as_str())));
    spoken.chain(others).collect()
}

/// The URL that Engine.IO requests: the server's, with the path of `options.socketio`.
pub(crate) fn engine_url(mut url: Url, path: &str) -> Url {
    url.set_path(path);
    url
}

fn named(option: &str, error: ErrorInfo) -> ErrorInfo {
    if option.is_empty() || error.message.starts_with("option ") {
        return error;
    }
    ErrorInfo {
        message: format!("option `{option}`: {}", error.message),
        ..error
    }
}

fn check_proxy(options: &Options, urls: &[Url], rule: &Rule) -> Result<(), ErrorInfo> {
    if matches!(options.proxy.as_str(), "system" | "none") {
        return Ok(());
    }
    let Some(proxy) = proxy_place(&options.proxy) else {
        let message = "option `proxy`: it must be `system`, `none`, or an `http://` or `socks5://` URL";
        return Err(ErrorInfo::new(Code::BadOption, message));
    };
    if urls.is_empty() {
        return check_own_proxy(&proxy, None, rule);
    }
    urls.iter()
        .try_for_each(|url| check_own_proxy(&proxy, Some(url), rule))
}

/// Host and port of a proxy that an option names, as a URL; `None` for what is no proxy's URL.
pub(crate) fn proxy_place(text: &str) -> Option<Url> {
    let proxy = Url::parse(text).ok()?;
    let default_port = match proxy.scheme() {
        "http" => 80,
        "socks5" | "socks5h" | "socks" => 1080,
        _ => return None,
    };
    place_url(proxy.host_str()?, proxy.port().unwrap_or(default_port))
}

/// Host and port as a URL, whatever is spoken there.
pub fn place_url(host: &str, port: u16) -> Option<Url> {
    Url::parse(&format!("ws://{host}:{port}/")).ok()
}

fn check_cookies(options: &Options) -> Result<(), ErrorInfo> {
    if options.cookies.as_deref().is_none_or(is_header_value) {
        return Ok(());
    }
    let message = "option `cookies`: it contains characters that HTTP does not allow";
    Err(ErrorInfo::new(Code::BadOption, message))
}

/// Judges headers that are sent to these URLs.
///
/// # Errors
/// `header-denied` naming the header, `bad-option` for names or values that HTTP does not allow.
pub(crate) fn check_headers(
    headers: &[(String, String)],
    rule: &Rule,
    origin: &str,
    urls: &[Url],
) -> Result<(), ErrorInfo> {
    for (name, value) in headers {
        check_header(name, value, rule, origin, urls)?;
        if !is_token(name) || !is_header_value(value) {
            let message = format!(
                "option `headers`: `{name}` or its value contains characters that HTTP does not allow"
            );
            return Err(ErrorInfo::new(Code::BadOption, message));
        }
    }
    Ok(())
}

fn check_header(name: &str, value: &str, rule: &Rule, origin: &str, urls: &[Url]) -> Result<(), ErrorInfo> {
    let lower = name.to_ascii_lowercase();
    if DENIED_HEADERS.contains(&lower.as_str()) || lower.starts_with("sec-") || lower.starts_with("proxy-") {
        let message = format!("extensions may not set the header `{name}`");
        return Err(ErrorInfo::new(Code::HeaderDenied, message));
    }
    if lower == "origin" && !rule.any_origin && !may_be_origin(value, origin, urls) {
        let message = "the settings do not allow this extension to send an `Origin` other than its own or the server's (`any-origin`; see `longwire config`)";
        return Err(ErrorInfo::new(Code::HeaderDenied, message));
    }
    Ok(())
}

/// Whether this is the extension's own origin, or that of every URL dialled.
fn may_be_origin(value: &str, own: &str, urls: &[Url]) -> bool {
    let value = value.trim_end_matches('/');
    is_own_origin(value, own)
        || (!urls.is_empty() && urls.iter().all(|url| web_origin(url).as_deref() == Some(value)))
}

/// Whether this is an extension's own origin. Firefox does not tell a host by which UUID it serves an add-on's pages;
/// whoever has an add-on id may give any.
fn is_own_origin(value: &str, own: &str) -> bool {
    let uuid = value
        .strip_prefix("moz-extension://")
        .filter(|_| !own.contains("://"));
    let is_uuid = |text: &str| {
        text.len() == 36
            && text.bytes().zip(0..).all(|(byte, at)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    };
    value == own.trim_end_matches('/') || uuid.is_some_and(is_uuid)
}

/// The `Origin` of dials whose extension gives none: nothing for an add-on id, which is no origin.
pub(crate) fn default_origin(own: &str) -> Option<&str> {
    own.contains("://").then(|| own.trim_end_matches('/'))
}

/// The origin that a page of this server has.
fn web_origin(url: &Url) -> Option<String> {
    let scheme = match url.scheme() {
        "ws" | "http" => "http",
        _ => "https",
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{}{port}", url.host_str()?))
}

/// Judges subprotocols alone.
///
/// # Errors
/// `bad-option` for what is no token, or stands twice.
pub(crate) fn check_subprotocols(subprotocols: &[String]) -> Result<(), ErrorInfo> {
    for (index, subprotocol) in subprotocols.iter().enumerate() {
        if !is_token(subprotocol) || subprotocols[..index].contains(subprotocol) {
            let message = "option `subprotocols`: each must be an HTTP token, listed once";
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
pub(crate) fn is_header_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rules::Pattern;
    use crate::wire::servers::Poll;
    use serde_json::json;

    const ORIGIN: &str = "chrome-extension://a/";

    fn rule(allow: &[&str]) -> Rule {
        Rule {
            allow: allow.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
            ..Rule::default()
        }
    }

    fn options(json: serde_json::Value) -> Options {
        let raw = serde_json::value::to_raw_value(&json).unwrap();
        Options::from_json(&raw).unwrap().0
    }

    fn refused(json: serde_json::Value, url: &str, rule: &Rule) -> Option<Code> {
        let url = read_url(url).unwrap();
        check_dial(&options(json), Some(&url), rule, ORIGIN)
            .err()
            .map(|error| error.code)
    }

    #[test]
    fn a_header_is_refused_by_whichever_option_it_comes() {
        let rule = Rule::default();
        for name in [
            "Host",
            "SEC-WebSocket-Key",
            "connection",
            "Transfer-Encoding",
            "Proxy-Any",
            "Content-Length",
        ] {
            for options in [
                json!({"headers": {name: "x"}}),
                json!({"protocol": "sse", "post": {"url": "http://localhost/", "headers": {name: "x"}}}),
                json!({"protocol": "poll", "poll": {"cursor": {"header": "x", "requestHeader": name, "start": "1"}}}),
            ] {
                let shown = options.to_string();
                assert_eq!(
                    refused(options, "http://localhost/", &rule),
                    Some(Code::HeaderDenied),
                    "{shown}"
                );
            }
        }
        for (name, value) in [("A", "a\r\nB: c"), ("a b", "c"), ("", "c")] {
            for options in [
                json!({"headers": {name: value}}),
                json!({"protocol": "poll", "poll": {"cursor": {"header": "x", "requestHeader": name, "start": value}}}),
            ] {
                assert_eq!(
                    refused(options, "http://localhost/", &rule),
                    Some(Code::BadOption),
                    "{name}: {value}"
                );
            }
        }
        let fine = Poll::from_json(r#"{"cursor":{"header":"x","requestHeader":"X-Since"}}"#);
        assert!(fine.is_ok());
        assert_eq!(
            refused(
                json!({"headers": {"Origin": "chrome-extension://a"}}),
                "wss://a.b",
                &rule
            ),
            None
        );
    }

    #[test]
    fn the_servers_own_origin_is_allowed_and_others_need_the_settings() {
        let mut rule = Rule::default();
        let origin = |value: &str| json!({"headers": {"origin": value}});
        for (url, value, fine) in [
            ("wss://app.example/socket", "https://app.example", true),
            ("wss://app.example:8443/socket", "https://app.example:8443", true),
            ("ws://localhost:8000/", "http://localhost:8000", true),
            ("wss://app.example/", "http://app.example", false),
            ("wss://app.example/", "https://app.example:8443", false),
            ("wss://app.example/", "https://app.example.evil", false),
            ("wss://app.example/", "https://bank.example", false),
            ("wss://app.example/", "null", false),
        ] {
            let code = refused(origin(value), url, &rule);
            assert_eq!(code, (!fine).then_some(Code::HeaderDenied), "{url} {value}");
        }
        let two = json!({"protocol": "sse", "headers": {"Origin": "https://a.example"},
            "post": {"url": "https://b.example/"}});
        assert_eq!(
            refused(two, "https://a.example/", &rule),
            Some(Code::HeaderDenied)
        );
        rule.any_origin = true;
        assert_eq!(
            refused(origin("https://bank.example"), "wss://app.example/", &rule),
            None
        );
    }

    #[test]
    fn an_add_on_may_name_its_pages_and_its_id_is_no_origin() {
        let may = |value: &str, own: &str| may_be_origin(value, own, &[]);
        let page = "moz-extension://12345678-9abc-def0-1234-56789abcdef0";
        assert!(may(page, "addon@example"));
        assert!(!may(page, ORIGIN));
        assert!(!may("moz-extension://x", "addon@example"));
        assert_eq!(default_origin("addon@example"), None);
        assert_eq!(default_origin(ORIGIN), Some("chrome-extension://a"));
    }

    #[test]
    fn every_path_that_is_requested_must_be_allowed() {
        let rule = rule(&["ws://loopback/feed/*"]);
        let socketio = |path: &str| json!({"protocol": "socket.io", "socketio": {"path": path}});
        for path in ["/admin", "/feed/../admin", "/feed/%2e%2e/admin", "/", "/feedx"] {
            assert_eq!(
                refused(socketio(path), "ws://localhost/feed/x", &rule),
                Some(Code::UrlDenied),
                "{path}"
            );
        }
        assert_eq!(
            refused(socketio("/feed/io"), "ws://localhost/", &rule),
            None,
            "only this path is requested"
        );
        for options in [
            json!({"urls": {"sse": "http://localhost/admin"}}),
            json!({"transports": ["sse"], "urls": {"sse": "http://localhost/admin"}}),
            json!({"protocol": "sse", "post": {"url": "http://localhost/admin"}}),
            json!({"transports": ["websocket", "socket.io"], "socketio": {"path": "/admin"}}),
        ] {
            let shown = options.to_string();
            assert_eq!(
                refused(options, "ws://localhost/feed/x", &rule),
                Some(Code::UrlDenied),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_proxy_needs_leave_and_must_be_allowed_itself() {
        let proxy = |url: &str| json!({"proxy": url});
        let target = "wss://only.example/";
        let mut only = rule(&["wss://only.example", "wss://proxy.example:3128"]);
        let listed = proxy("http://proxy.example:3128");
        assert_eq!(
            refused(listed.clone(), target, &Rule::default()),
            Some(Code::UrlDenied),
            "off by default"
        );
        only.own_proxy = false;
        assert_eq!(
            refused(listed.clone(), target, &only),
            Some(Code::UrlDenied),
            "switched off"
        );
        only.own_proxy = true;
        assert_eq!(refused(listed, target, &only), None);
        for other in [
            "http://127.0.0.1:22",
            "socks5://user:pw@[::1]:25",
            "http://proxy.example",
            "http://proxy.example:3129",
            "socks5://10.0.0.1:3128",
        ] {
            assert_eq!(
                refused(proxy(other), target, &only),
                Some(Code::UrlDenied),
                "{other}"
            );
        }
        let all = Rule {
            own_proxy: true,
            ..Rule::default()
        };
        for (target, proxy_url, fine) in [
            ("wss://a.example/", "socks5://proxy.example", true),
            ("ws://localhost/", "http://127.0.0.1:3128", true),
            ("ws://localhost/", "http://192.0.2.7:3128", false),
            ("ws://a.example/", "http://127.0.0.1:3128", false),
            ("wss://a.example/", "http://169.254.169.254:80", false),
        ] {
            let code = refused(proxy(proxy_url), target, &all);
            assert_eq!(code, (!fine).then_some(Code::UrlDenied), "{target} {proxy_url}");
        }
        assert_eq!(refused(proxy("ftp://a"), target, &all), Some(Code::BadOption));
    }

    #[test]
    fn what_is_requested_is_judged_by_itself() {
        let rule = rule(&["ws://loopback/feed/*"]);
        let ask = |url: &str, name: &str, value: &str| {
            let header = (name.to_owned(), value.to_owned());
            check_request(&Url::parse(url).unwrap(), [&header], &rule, ORIGIN)
                .err()
                .map(|error| error.code)
        };
        assert_eq!(ask("ws://localhost/feed/a?b=c", "Last-Event-ID", "7"), None);
        assert_eq!(ask("ws://localhost/admin", "A", "b"), Some(Code::UrlDenied));
        assert_eq!(
            ask("ws://localhost/feed/a", "Host", "b"),
            Some(Code::HeaderDenied)
        );
        assert_eq!(
            ask("ws://localhost/feed/a", "Origin", "https://b"),
            Some(Code::HeaderDenied)
        );
        let off = Rule {
            enabled: false,
            ..rule.clone()
        };
        let url = Url::parse("ws://localhost/feed/a").unwrap();
        assert_eq!(
            check_request(&url, [], &off, ORIGIN).unwrap_err().code,
            Code::OriginDenied
        );
    }
}
