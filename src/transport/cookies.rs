//! State that is kept between the dials of a session: cookies (RFC 6265), from the extension and from servers, and whether
//! Engine.IO reached its WebSocket.
//!
//! What a server sets replaces what was given, as in a browser: a balancer's stale cookie must not be sent beside its new
//! one. They are kept in memory only, for the dials of one session, and their number is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cookie_store::{Cookie, CookieStore};
use http::header::{self, HeaderMap};
use url::Url;

use super::date;
use crate::core::io::Target;

/// Cookies of one domain, as in Chromium.
const MAX_PER_DOMAIN: usize = 180;
/// Cookies of all domains.
const MAX_IN_ALL: usize = 3000;
/// Bytes of a cookie's name and value, as in browsers.
const MAX_BYTES: usize = 4096;
/// Bytes of a `Set-Cookie` header.
const MAX_LINE_BYTES: usize = 4 * MAX_BYTES;
/// Sessions whose cookies are kept between dials.
const MAX_JARS: usize = 1024;

/// The cookies of each session.
#[derive(Debug, Default)]
pub struct Jars(HashMap<u64, SharedJar>);

impl Jars {
    /// The jar of a session's dial. Other cookies that are given, or another host, are another user or another server:
    /// they begin with an empty one.
    pub(crate) fn of(&mut self, session: Option<u64>, url: &Url, headers: &[(String, String)]) -> SharedJar {
        let given = given(headers);
        let host = url.host_str().unwrap_or_default().to_owned();
        let Some(session) = session else {
            return SharedJar::new(given, host);
        };
        if let Some(known) = self.0.get(&session)
            && known.is_for(&given, &host)
        {
            return known.clone();
        }
        if self.0.len() >= MAX_JARS {
            // Those of active dials are needed.
            self.0.retain(|_, jar| Arc::strong_count(&jar.0) > 1);
        }
        let jar = SharedJar::new(given, host);
        self.0.insert(session, jar.clone());
        jar
    }
}

fn given(headers: &[(String, String)]) -> String {
    let values: Vec<&str> = headers
        .iter()
        .filter(|(name, _)| is_cookie(name))
        .map(|(_, value)| value.as_str())
        .collect();
    values.join("; ")
}

/// Whether this is the header that a jar writes.
pub(crate) fn is_cookie(name: &str) -> bool {
    name.eq_ignore_ascii_case("cookie")
}

/// The cookies of one session, for all its requests.
#[derive(Debug, Clone)]
pub struct SharedJar(Arc<Mutex<Jar>>);

#[derive(Debug)]
struct Jar {
    /// What was given, and where the session leads.
    key: (String, String),
    /// Of what was given, the cookies that no server has replaced.
    given: Vec<String>,
    store: CookieStore,
    /// A dial by Engine.IO was on its WebSocket, and none has failed since.
    on_socket: bool,
}

impl SharedJar {
    fn new(given: String, host: String) -> Self {
        let cookies = given.split(';').map(str::trim).filter(|pair| !pair.is_empty());
        Self(Arc::new(Mutex::new(Jar {
            given: cookies.map(str::to_owned).collect(),
            key: (given, host),
            store: CookieStore::default(),
            on_socket: false,
        })))
    }

    /// No cookies: for another server than the session's.
    pub(crate) fn empty() -> Self {
        Self::new(String::new(), String::new())
    }

    fn lock(&self) -> MutexGuard<'_, Jar> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_for(&self, given: &str, host: &str) -> bool {
        let jar = self.lock();
        jar.key.0 == given && jar.key.1 == host
    }

    /// The `Cookie` header of a request.
    pub(crate) fn header(&self, url: &Url) -> Option<String> {
        let jar = self.lock();
        let mut set = jar.store.matches(&over_http(url));
        // Longer paths first (5.4).
        set.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.as_ref().len()));
        let set = set
            .iter()
            .map(|cookie| format!("{}={}", cookie.name(), cookie.value()));
        let all: Vec<String> = jar.given.iter().cloned().chain(set).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// The same, with cookies that stand among the headers of this request alone.
    pub(crate) fn header_with(&self, url: &Url, headers: &[(String, String)]) -> Option<String> {
        let own = Some(given(headers)).filter(|own| !own.is_empty());
        let all: Vec<String> = self.header(url).into_iter().chain(own).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Puts the cookies for its URL into the headers of a target, in place of those that were given with the session.
    pub(crate) fn write(&self, target: &mut Target) {
        let known = self.lock().key.0.clone();
        target
            .headers
            .retain(|(name, value)| !is_cookie(name) || !known.contains(value.as_str()));
        let own = given(&target.headers);
        target.headers.retain(|(name, _)| !is_cookie(name));
        let own = Some(own).filter(|own| !own.is_empty());
        let all: Vec<String> = self.header(&target.url).into_iter().chain(own).collect();
        if !all.is_empty() {
            target.headers.push(("Cookie".to_owned(), all.join("; ")));
        }
    }

    /// Whether this session's last dial by Engine.IO was on its WebSocket.
    pub(crate) fn was_on_socket(&self) -> bool {
        self.lock().on_socket
    }

    /// A dial by Engine.IO is on its WebSocket.
    pub(crate) fn remember_socket(&self) {
        self.lock().on_socket = true;
    }

    /// A dial by Engine.IO has failed.
    pub(crate) fn forget_socket(&self) {
        self.lock().on_socket = false;
    }

    /// Takes the cookies of an answer to a request.
    pub(crate) fn take_from(&self, headers: &HeaderMap, url: &Url) {
        let lines = headers.get_all(header::SET_COOKIE).iter();
        let lines: Vec<_> = lines
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        self.take(lines.iter().map(|line| &**line), url);
    }

    /// Takes `Set-Cookie` headers.
    fn take<'a>(&self, lines: impl Iterator<Item = &'a str>, url: &Url) {
        let url = over_http(url);
        let mut jar = self.lock();
        for line in lines.filter(|line| line.len() <= MAX_LINE_BYTES) {
            match Cookie::parse(with_standard_date(line), &url) {
                Ok(cookie) if cookie.name().len() + cookie.value().len() <= MAX_BYTES => {
                    jar.set(&cookie.into_owned(), &url);
                }
                _ => {}
            }
        }
    }
}

impl Jar {
    fn set(&mut self, cookie: &Cookie<'static>, url: &Url) {
        let is_named = |pair: &String| pair.split('=').next().map(str::trim) == Some(cookie.name());
        // One for another path or domain stands beside what was given.
        if cookie.matches(url)
            || (cookie.is_expired() && cookie.domain.matches(url) && cookie.path.matches(url))
        {
            self.given.retain(|pair| !is_named(pair));
        }
        let is_known = self.store.iter_any().any(|known| {
            known.name() == cookie.name() && known.domain == cookie.domain && known.path == cookie.path
        });
        if !is_known && !cookie.is_expired() {
            let of_domain = self
                .store
                .iter_unexpired()
                .filter(|known| known.domain == cookie.domain)
                .count();
            if of_domain >= MAX_PER_DOMAIN || self.store.iter_unexpired().count() >= MAX_IN_ALL {
                return;
            }
        }
        // Refused is what RFC 6265 refuses, such as a foreign domain.
        let _ = self.store.insert(cookie.clone(), url);
    }
}

/// A `Set-Cookie` header whose date is written as the standard writes it. Browsers read many more forms.
fn with_standard_date(line: &str) -> String {
    let standard = |attribute: &str| {
        let (name, value) = attribute.split_once('=')?;
        let is_date = name.trim().eq_ignore_ascii_case("expires");
        let time = is_date.then(|| date::cookie_time(value)).flatten()?;
        Some(format!("{name}={}", httpdate::fmt_http_date(time)))
    };
    let parts = line.split(';').enumerate().map(|(index, part)| {
        let changed = (index > 0).then(|| standard(part)).flatten();
        changed.unwrap_or_else(|| part.to_owned())
    });
    parts.collect::<Vec<_>>().join(";")
}

/// The URL as cookies know it: a WebSocket's belong to the same server.
fn over_http(url: &Url) -> Url {
    let mut url = url.clone();
    let scheme = if matches!(url.scheme(), "wss" | "https") {
        "https"
    } else {
        "http"
    };
    // Both are special schemes, so that this cannot fail.
    let _ = url.set_scheme(scheme);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn jar(given: &str) -> SharedJar {
        SharedJar::new(given.to_owned(), "a.example".to_owned())
    }

    fn sent(jar: &SharedJar, to: &str) -> String {
        jar.header(&url(to)).unwrap_or_default()
    }

    #[test]
    fn a_server_cookie_replaces_the_configured_one() {
        let here = url("ws://a.example/io/?x");
        let jar = jar("user=me; LB=stale; gone=there; other=given");
        let lines = [
            "LB=A; Path=/; HttpOnly",
            "gone=; Max-Age=0; Path=/",
            "other=x; Path=/admin",
            "new=1",
            "foreign=1; Domain=b.example",
        ];
        jar.take(lines.into_iter(), &here);
        assert_eq!(
            sent(&jar, "http://a.example/io/"),
            "user=me; other=given; new=1; LB=A"
        );
        jar.take(["LB=B; Path=/"].into_iter(), &here);
        assert_eq!(sent(&jar, "ws://a.example/"), "user=me; other=given; LB=B");
        jar.take(
            ["LB=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"].into_iter(),
            &here,
        );
        assert_eq!(sent(&jar, "http://a.example/"), "user=me; other=given");
    }

    #[test]
    fn cookies_are_matched_by_path_domain_and_secure() {
        let jar = jar("");
        let here = url("wss://www.a.example/dir/x");
        let lines = [
            "all=1; Path=/",
            "deep=1; Path=/dir",
            "wide=1; Domain=a.example; Path=/",
            "safe=1; Secure; Path=/",
        ];
        jar.take(lines.into_iter(), &here);
        assert_eq!(
            sent(&jar, "https://www.a.example/dir/y").split("; ").next(),
            Some("deep=1")
        );
        assert!(!sent(&jar, "https://www.a.example/directory").contains("deep"));
        assert_eq!(sent(&jar, "https://b.a.example/"), "wide=1");
        assert!(!sent(&jar, "http://www.a.example/").contains("safe"));
        assert_eq!(sent(&jar, "https://other.example/"), "");
    }

    #[test]
    fn the_number_of_cookies_is_bounded() {
        let jar = jar("");
        let here = url("http://a.example/");
        for n in 0..1000 {
            jar.take([format!("k{n}=v").as_str()].into_iter(), &here);
        }
        assert_eq!(
            sent(&jar, "http://a.example/").split("; ").count(),
            MAX_PER_DOMAIN
        );
        jar.take(
            ["k0=again", &format!("long={}", "x".repeat(MAX_BYTES))].into_iter(),
            &here,
        );
        let sent = sent(&jar, "http://a.example/");
        assert!(sent.contains("k0=again") && !sent.contains("long="), "{sent}");
    }

    #[test]
    fn the_size_of_a_cookie_counts_name_and_value_only() {
        let jar = jar("");
        let here = url("http://a.example/");
        let long = "x".repeat(MAX_BYTES - 1);
        let mut headers = HeaderMap::new();
        let attributes = "; Path=/; HttpOnly; SameSite=Lax; Expires=Fri, 31 Dec 9999 23:59:59 GMT";
        headers.append(
            header::SET_COOKIE,
            format!("a={long}{attributes}").parse().unwrap(),
        );
        headers.append(header::SET_COOKIE, format!("bb={long}").parse().unwrap());
        headers.append(header::SET_COOKIE, "c=\u{4e2d}".parse().unwrap());
        jar.take_from(&headers, &here);
        let sent = sent(&jar, "http://a.example/");
        assert!(
            sent.contains(&format!("a={long}")) && sent.contains("c=\u{4e2d}"),
            "{sent}"
        );
        assert!(!sent.contains("bb="), "{sent}");
    }

    #[test]
    fn dials_of_a_session_share_a_jar_until_credentials_change() {
        let mut jars = Jars::default();
        let here = url("http://a.example/");
        let me = [("Cookie".to_owned(), "user=me".to_owned())];
        jars.of(Some(1), &here, &me).take(["LB=A"].into_iter(), &here);
        assert_eq!(
            sent(&jars.of(Some(1), &here, &me), "http://a.example/"),
            "user=me; LB=A"
        );
        assert_eq!(
            sent(&jars.of(Some(2), &here, &me), "http://a.example/"),
            "user=me"
        );
        assert_eq!(sent(&jars.of(Some(1), &here, &[]), "http://a.example/"), "");
        assert_eq!(
            sent(&jars.of(Some(1), &here, &me), "http://a.example/"),
            "user=me"
        );
    }
}
