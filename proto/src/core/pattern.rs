//! Which URLs an extension may dial: patterns that are parsed, and compared part by part.
//!
//! Nothing is compared as a prefix of text. It resolves no names; addresses are judged after DNS by `transport`.

use std::fmt;

use url::{Host, Url};

/// One pattern: `scheme://host[:port][/path]`.
///
/// - `scheme`: `ws`, `wss`, or `*` for both; `http` and `https` stand for them.
/// - `host`: a name or address, `*.name` (the name and everything below it), `*` (any), or `loopback`
///   (`localhost`, `*.localhost`, `127.0.0.0/8`, `[::1]`).
/// - `port`: a number; without one every port fits.
/// - `path`: exact, or ending in `/*` for everything below; without one every path fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// `None`: both.
    secure: Option<bool>,
    host: Hosts,
    port: Option<u16>,
    path: Option<Path>,
}

/// A name, or `*.name` for it and everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(Hosts);

impl HostPattern {
    /// Reads a name or `*.name`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match Hosts::parse(text)? {
            hosts @ (Hosts::Exact(Host::Domain(_)) | Hosts::Below(_)) => Ok(Self(hosts)),
            _ => Err("it must be a name, or `*.name`".to_owned()),
        }
    }

    /// Whether this name is meant, whatever its case.
    pub fn fits(&self, name: &str) -> bool {
        Host::parse(name.strip_suffix('.').unwrap_or(name)).is_ok_and(|host| self.0.fits_host(&host))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    Any,
    Loopback,
    Exact(Host),
    /// This name and those below it.
    Below(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Path {
    Exact(String),
    /// Ends in a slash.
    Below(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("it has no scheme; write `wss://example.com`")?;
        let secure = match scheme {
            "wss" | "https" => Some(true),
            "ws" | "http" => Some(false),
            "*" => None,
            other => return Err(format!("its scheme `{other}` is not one of `ws`, `wss` and `*`")),
        };
        if rest.contains(['?', '#', '@']) {
            return Err("it must not have a user, a query or a fragment".to_owned());
        }
        let (place, path) = match rest.find('/') {
            Some(at) => (&rest[..at], Some(&rest[at..])),
            None => (rest, None),
        };
        let (host, port) = match place.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, port)) if !port.ends_with(']') => {
                let port = port
                    .parse()
                    .map_err(|_| format!("`{port}` is not a port between 1 and 65535"))?;
                if port == 0 {
                    return Err("port 0 cannot be dialled".to_owned());
                }
                (host, Some(port))
            }
            _ => (place, None),
        };
        Ok(Self {
            text: text.to_owned(),
            secure,
            host: Hosts::parse(host)?,
            port,
            path: path.map(Path::parse).transpose()?.flatten(),
        })
    }

    /// Whether a URL is meant.
    pub(crate) fn fits(&self, url: &Url) -> bool {
        let secure = matches!(url.scheme(), "wss" | "https");
        self.secure.is_none_or(|wanted| wanted == secure)
            && self.host.fits(url)
            && self
                .port
                .is_none_or(|port| port == url.port().unwrap_or(if secure { 443 } else { 80 }))
            && match &self.path {
                None => true,
                Some(Path::Exact(path)) => url.path() == path,
                Some(Path::Below(path)) => url.path().starts_with(path.as_str()),
            }
    }
}

impl Pattern {
    /// Whether a proxy at this URL's host and port is meant: a proxy carries whichever scheme, and knows no path.
    pub(crate) fn covers_place(&self, url: &Url) -> bool {
        self.path.is_none()
            && self.host.fits(url)
            && self
                .port
                .is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Hosts {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "*" => return Ok(Self::Any),
            "loopback" => return Ok(Self::Loopback),
            _ => {}
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            return Err(format!(
                "`*` is allowed alone or at the beginning, as in `*.example.com`, not as in `{text}`"
            ));
        }
        match (Host::parse(name), below) {
            (Ok(Host::Domain(name)), true) => Ok(Self::Below(name)),
            (Ok(_), true) => Err(format!("`{text}`: an address has no subdomains")),
            (Ok(host), false) => Ok(Self::Exact(host)),
            (Err(error), _) => Err(format!("`{text}` is not a host: {error}")),
        }
    }

    fn fits(&self, url: &Url) -> bool {
        match (self, url.host()) {
            (Self::Any, Some(_)) => true,
            (Self::Loopback, _) => is_loopback(url),
            (_, Some(host)) => self.fits_host(&host.to_owned()),
            (_, None) => false,
        }
    }

    /// The same without a URL, which `Any` and `Loopback` do not stand without.
    fn fits_host(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(wanted), host) => wanted == host,
            (Self::Below(wanted), Host::Domain(name)) => {
                name == wanted
                    || name
                        .strip_suffix(wanted.as_str())
                        .is_some_and(|rest| rest.ends_with('.'))
            }
            _ => false,
        }
    }
}

impl Path {
    /// `None`: every path.
    fn parse(text: &str) -> Result<Option<Self>, String> {
        let (below, path) = match text.strip_suffix('*') {
            Some(path) if path.ends_with('/') => (true, path),
            Some(_) => return Err(format!("in the path `{text}`, `*` must follow a `/`")),
            None => (false, text),
        };
        if path.contains('*') {
            return Err(format!("in the path `{text}`, `*` is allowed only at the end"));
        }
        if below && path == "/" {
            return Ok(None);
        }
        // As URLs are written once they have been parsed: percent signs, dots.
        let url = Url::parse(&format!("ws://host{path}")).map_err(|error| error.to_string())?;
        let path = url.path().to_owned();
        Ok(Some(if below {
            Self::Below(path)
        } else {
            Self::Exact(path)
        }))
    }
}

/// Whether the URL names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_by_url_component() {
        for (pattern, fits, misses) in [
            (
                "wss://*",
                &["wss://a.example/x?y", "https://[2001:db8::1]:1/"][..],
                &["ws://a.example/"][..],
            ),
            (
                "ws://loopback",
                &[
                    "ws://localhost:1/",
                    "ws://127.9.9.9/",
                    "ws://[::1]/",
                    "ws://a.localhost",
                ],
                &[
                    "ws://loopback/",
                    "ws://localhost.example.com/",
                    "ws://127.0.0.1.example.com/",
                    "wss://localhost/",
                ],
            ),
            (
                "wss://example.com",
                &["wss://example.com/", "wss://EXAMPLE.com:8443/a"],
                &[
                    "wss://example.com.evil.net/",
                    "wss://a.example.com/",
                    "wss://notexample.com/",
                ],
            ),
            (
                "*://*.example.com:443",
                &[
                    "wss://example.com/",
                    "wss://a.b.example.com/",
                    "ws://a.example.com:443/",
                ],
                &[
                    "wss://evilexample.com/",
                    "wss://a.example.com:8443/",
                    "ws://example.com/",
                ],
            ),
            (
                "wss://a/feed",
                &["wss://a/feed", "wss://a/feed?token=1"],
                &["wss://a/feed/", "wss://a/feeds", "wss://a/"],
            ),
            (
                "wss://a/feed/*",
                &["wss://a/feed/", "wss://a/feed/1/2"],
                &[
                    "wss://a/feed",
                    "wss://a/feeds",
                    "wss://a/feed/../admin",
                    "wss://a/feed/%2e%2e/admin",
                ],
            ),
            (
                "wss://192.0.2.1",
                &["wss://192.0.2.1/", "wss://3221225985/"],
                &["wss://192.0.2.10/"],
            ),
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
            for url in fits {
                assert!(pattern.fits(&Url::parse(url).unwrap()), "{pattern} and {url}");
            }
            for url in misses {
                assert!(!pattern.fits(&Url::parse(url).unwrap()), "{pattern} and {url}");
            }
        }
    }

    #[test]
    fn an_invalid_pattern_is_reported() {
        for text in [
            "",
            "*",
            "example.com",
            "ftp://a",
            "wss://",
            "wss://a*",
            "wss://a.*.b",
            "wss://*.1.2.3.4",
            "wss://a:0",
            "wss://a:x",
            "wss://a/b*",
            "wss://a/*/b",
            "wss://u@a/",
            "wss://a/?q=*",
            "wss://a b",
        ] {
            assert!(Pattern::parse(text).is_err(), "`{text}` was read");
        }
    }
}
