//! What a dial puts on the wire: URLs, headers, subprotocols and a proxy, by whichever option they come.
//!
//! `check_dial` judges a session's options, so that a mistake is reported when the session is opened. `check_request` judges
//! what is about to be written; the transport asks it before every connection and every request.

use url::{Host, Url};

use crate::wire::code::Code;
use crate::wire::options::{Options, Protocol};
use crate::wire::record::ErrorInfo;

use crate::core::address;
use crate::core::dialect::descriptor;
use crate::core::pattern::is_loopback;
use crate::core::rules::ExtensionRule;
use crate::core::syntax::{is_header_value, is_token, read_url};

use super::{check_enabled, check_url};

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
    rule: &ExtensionRule,
    origin: &str,
) -> Result<(), ErrorInfo> {
    let mut urls = Vec::new();
    for (url, option) in dialled_urls(options, url) {
        let url = url.map_err(|error| named(&option, error))?;
        check_url(&url, rule).map_err(|error| named(&option, error))?;
        urls.push(url);
    }
    check_headers(&options.headers, rule, origin, &urls).map_err(|error| named("headers", error))?;
    // Those of protocols that are not used are checked as well: what is written in the options is meant.
    for protocol in Protocol::ALL.map(descriptor) {
        let headers = (protocol.extra_headers)(options);
        check_headers(&headers, rule, origin, &urls).map_err(|error| named(protocol.own_option, error))?;
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
    check_proxy(options, &urls, rule)
}

/// Judges what is about to be written: the URL as it is requested, and every header beside the transport's own.
///
/// # Errors
/// `origin-denied`, `url-denied` or `header-denied`.
pub fn check_request<'a>(
    url: &Url,
    headers: impl IntoIterator<Item = &'a (String, String)>,
    rule: &ExtensionRule,
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
pub fn check_own_proxy(place: &Url, target: Option<&Url>, rule: &ExtensionRule) -> Result<(), ErrorInfo> {
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
    let protocols = options.protocols();
    let spoken = protocols.iter().filter_map(|protocol| {
        let (address, option) = match options.urls.get(protocol) {
            Some(text) => (read_url(text), format!("urls`, `{}", protocol.as_str())),
            None => (Ok(url?.clone()), String::new()),
        };
        let Ok(address) = address else {
            return Some((address, option));
        };
        let protocol = descriptor(*protocol);
        let requested = (protocol.requested_url)(options, address.clone());
        let option = match requested == address || !option.is_empty() {
            true => option,
            false => protocol.own_option.to_owned(),
        };
        Some((Ok(requested), option))
    });
    // Their URLs too.
    let others = options
        .urls
        .iter()
        .filter(|(protocol, _)| !protocols.contains(protocol))
        .map(|(protocol, text)| (read_url(text), format!("urls`, `{}", protocol.as_str())));
    spoken.chain(others).collect()
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

fn check_proxy(options: &Options, urls: &[Url], rule: &ExtensionRule) -> Result<(), ErrorInfo> {
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

/// Host and port as a URL, whichever protocol is used there.
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
    rule: &ExtensionRule,
    origin: &str,
    urls: &[Url],
) -> Result<(), ErrorInfo> {
    for (name, value) in headers {
        check_header(name, value, rule, origin, urls)?;
        if !is_token(name) || !is_header_value(value) {
            let message = format!("`{name}` or its value contains characters that HTTP does not allow");
            return Err(ErrorInfo::new(Code::BadOption, message));
        }
    }
    Ok(())
}

fn check_header(
    name: &str,
    value: &str,
    rule: &ExtensionRule,
    origin: &str,
    urls: &[Url],
) -> Result<(), ErrorInfo> {
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

/// Whether this is an extension's own origin. Firefox does not tell a host under which UUID it serves an add-on's pages;
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

#[cfg(test)]
mod tests;
