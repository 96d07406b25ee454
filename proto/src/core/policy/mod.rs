//! Who may dial what, and what a refusal or close code means.
//!
//! It looks at URLs, headers and codes; it resolves no names. What a session's options put on the wire is in `dial`;
//! `transport` asks `dial::check_request` once more before each connection and request, and judges addresses after DNS.

mod dial;

use url::{Host, Url};

use crate::wire::code::Code;
use crate::wire::options::{CloseClass, Options};
use crate::wire::record::ErrorInfo;

use super::address;
use super::rules::ExtensionRule;
use super::syntax::read_url;

pub(crate) use dial::{check_dial, check_headers, check_subprotocols, default_origin, proxy_place};
pub use dial::{check_own_proxy, check_request, place_url};

/// Reads and judges a session's URL.
///
/// # Errors
/// `bad-url` when it cannot be dialled at all, `url-denied` when the rule does not allow it.
pub fn parse_url(text: &str, rule: &ExtensionRule) -> Result<Url, ErrorInfo> {
    let url = read_url(text)?;
    check_url(&url, rule)?;
    Ok(url)
}

/// Whether the extension may use Longwire at all.
///
/// # Errors
/// `origin-denied`.
pub(crate) fn check_enabled(rule: &ExtensionRule) -> Result<(), ErrorInfo> {
    if rule.enabled {
        return Ok(());
    }
    let message =
        "the settings do not allow this extension to use Longwire (`enabled`; see `longwire config`)";
    Err(ErrorInfo::new(Code::OriginDenied, message))
}

/// Judges a URL that has been read before: rules change, and a session outlives them.
///
/// # Errors
/// `url-denied` with what is allowed.
pub(crate) fn check_url(url: &Url, rule: &ExtensionRule) -> Result<(), ErrorInfo> {
    let literal = match url.host() {
        Some(Host::Ipv4(four)) => address::denied(four.into()),
        Some(Host::Ipv6(six)) => address::denied(six.into()),
        _ => None,
    };
    if let Some(what) = literal {
        let message = format!("the URL resolves to {what}, which is never dialled");
        return Err(ErrorInfo::new(Code::UrlDenied, message));
    }
    if rule.allow.iter().any(|pattern| pattern.fits(url)) {
        return Ok(());
    }
    let allowed: Vec<String> = rule.allow.iter().map(|pattern| format!("`{pattern}`")).collect();
    let message = format!(
        "the settings do not allow this extension to dial `{}://{}`; allowed: {} (`allow`; see `longwire config`)",
        url.scheme(),
        url.authority().rsplit('@').next().unwrap_or_default(),
        if allowed.is_empty() {
            "nothing".to_owned()
        } else {
            allowed.join(", ")
        },
    );
    Err(ErrorInfo::new(Code::UrlDenied, message))
}

/// Scheme, host, port and path: what may be shown and logged.
pub fn shown_url(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    // Only URLs that cannot have a user or password refuse this, and those were refused before.
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.to_string()
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

/// Close codes that a server sends to all its clients when it goes or has too many.
pub(crate) const fn closes_everybody(code: u16) -> bool {
    matches!(code, 1001 | 1012 | 1013)
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
    fn unencrypted_urls_are_allowed_only_for_loopback() {
        for allowed in [
            "ws://localhost:1",
            "ws://127.8.8.8/x",
            "ws://[::1]:9/",
            "wss://example.com/?q=1",
            "ws://a.localhost",
        ] {
            assert!(parse_url(allowed, &ExtensionRule::default()).is_ok(), "{allowed}");
        }
        for (denied, code) in [
            ("ws://example.com", Code::UrlDenied),
            ("ws://localhost.example.com", Code::UrlDenied),
            ("ws://127.0.0.1.example.com", Code::UrlDenied),
            ("ftp://localhost", Code::BadUrl),
            ("ws://localhost/#a", Code::BadUrl),
            ("wss://localhost/#", Code::BadUrl),
            ("localhost", Code::BadUrl),
            ("ws://localhost:0", Code::BadUrl),
            ("", Code::BadUrl),
            ("wss://169.254.169.254/latest", Code::UrlDenied),
            ("wss://[fe80::1]/", Code::UrlDenied),
            ("wss://0xa9fea9fe/", Code::UrlDenied),
        ] {
            assert_eq!(
                parse_url(denied, &ExtensionRule::default()).unwrap_err().code,
                code,
                "{denied}"
            );
        }
        let streamed = parse_url("http://localhost/a?b#c", &ExtensionRule::default()).unwrap();
        assert_eq!(streamed.as_str(), "ws://localhost/a?b");
    }

    #[test]
    fn a_refusal_names_what_to_change() {
        let refused = |url| parse_url(url, &ExtensionRule::default()).unwrap_err().message;
        assert_eq!(
            refused("example.org/x"),
            "the URL must begin with its scheme, such as `wss://`"
        );
        assert_eq!(
            refused("localhost:8787"),
            "the URL must begin with `ws://` or `wss://`, and not with `localhost:`"
        );
        let message = refused("ws://me:secret@example.org:81/feed/a?token=secret");
        assert!(message.contains("dial `ws://example.org:81`"), "{message}");
        assert!(message.contains("`allow`; see `longwire config`"));
    }

    #[test]
    fn a_shown_url_contains_no_secrets() {
        let url = parse_url(
            "wss://user:secret@example.com/path?token=secret",
            &ExtensionRule::default(),
        )
        .unwrap();
        assert_eq!(shown_url(&url), "wss://example.com/path");
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
