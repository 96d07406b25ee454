//! Chooses the proxy of a dial: by the session, the settings, the environment, or macOS's and Windows' settings.
//!
//! A proxy that is named and cannot be used is an error, never a direct dial. Loopback never goes through the system's
//! proxy, as in browsers.

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::connect;
use super::error::{DialError, Place};
use super::no_proxy::NoProxy;
use super::proxy::{Proxy, ProxyCredentials, Way};
use crate::core::io::ProxyChoice;

/// Which proxy `ProxyChoice::System` means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProxySettings {
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`; then macOS's and Windows' own settings.
    #[default]
    System,
    /// None at all.
    None,
    /// This one, for every host that `no_proxy` does not name (its syntax is that of `NO_PROXY`).
    Fixed { url: String, no_proxy: String },
}

/// Knows which dial goes through which proxy.
#[derive(Debug)]
pub(crate) struct Proxies {
    rules: ProxyRules,
    credentials: Vec<ProxyCredentials>,
}

#[derive(Debug, Default)]
struct ProxyRules {
    /// For plain connections, and for those by TLS.
    urls: [Option<String>; 2],
    no_proxy: NoProxy,
    /// Settings of the operating system, if nothing else is set.
    system: Option<Matcher>,
}

impl ProxyRules {
    /// Reads the variables of the environment; those in lower case count first.
    fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str| {
            [name.to_ascii_lowercase(), name.to_owned()]
                .iter()
                .filter_map(|name| variable(name))
                .map(|value| value.trim().to_owned())
                .find(|value| !value.is_empty())
        };
        let all = read("ALL_PROXY");
        let urls = [
            read("HTTP_PROXY").or_else(|| all.clone()),
            read("HTTPS_PROXY").or(all),
        ];
        let system = urls.iter().all(Option::is_none).then(Matcher::from_system);
        Self {
            urls,
            no_proxy: NoProxy::read(&read("NO_PROXY").unwrap_or_default()),
            system,
        }
    }

    fn find(&self, place: &Place, secure: bool) -> Result<Option<Proxy>, DialError> {
        if self.no_proxy.covers(place, secure) {
            return Ok(None);
        }
        if let Some(url) = &self.urls[usize::from(secure)] {
            return Proxy::by_url(url).map(Some);
        }
        let scheme = if secure { "https" } else { "http" };
        let uri = format!("{scheme}://{place}/").parse();
        match (&self.system, uri) {
            (Some(system), Ok(uri)) => match system.intercept(&uri) {
                Some(found) => Proxy::by_url(&found.uri().to_string()).map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }
}

impl Proxies {
    /// Reads the environment once.
    ///
    /// # Errors
    /// The fixed proxy's URL cannot be used.
    pub(crate) fn new(
        settings: &ProxySettings,
        credentials: Vec<ProxyCredentials>,
    ) -> Result<Self, DialError> {
        let rules = match settings {
            ProxySettings::System => ProxyRules::of_environment(|name| std::env::var(name).ok()),
            ProxySettings::None => ProxyRules::default(),
            ProxySettings::Fixed { url, no_proxy } => {
                Proxy::by_url(url)?;
                ProxyRules {
                    urls: [Some(url.clone()), Some(url.clone())],
                    no_proxy: NoProxy::read(no_proxy),
                    system: None,
                }
            }
        };
        Ok(Self { rules, credentials })
    }

    /// The proxy for a dial, if any, with the credentials that the settings have for it.
    pub(crate) fn choose(
        &self,
        choice: &ProxyChoice,
        place: &Place,
        secure: bool,
    ) -> Result<Option<Proxy>, DialError> {
        let mut proxy = match choice {
            ProxyChoice::None => None,
            ProxyChoice::Url(url) => Some(Proxy::by_url(url)?),
            ProxyChoice::System if is_loopback(place.bare_host()) => None,
            ProxyChoice::System => self.rules.find(place, secure)?,
        };
        if let Some(proxy) = &mut proxy {
            let at = proxy.place().to_string().to_ascii_lowercase();
            if let Some(known) = self.credentials.iter().find(|known| known.place == at) {
                proxy.introduce(known);
            }
        }
        Ok(proxy)
    }
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => connect::is_local_name(host),
    }
}

impl Proxy {
    /// A proxy given by its URL. The URL may hold a password and is never repeated.
    ///
    /// # Errors
    /// It cannot be parsed, or its kind is not supported.
    fn by_url(text: &str) -> Result<Self, DialError> {
        let fail = |proxy: &str, why: String| DialError::Proxy {
            proxy: proxy.to_owned(),
            why,
        };
        let unreadable = || {
            let why = "its URL is invalid; use `http://host:port` or `socks5://host:port`";
            fail("given", why.to_owned())
        };
        let text = text.trim();
        let url = if text.contains("://") {
            Url::parse(text)
        } else {
            Url::parse(&format!("http://{text}"))
        };
        let url = url.map_err(|_| unreadable())?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(unreadable)?;
        let user = (!url.username().is_empty() || url.password().is_some()).then(|| {
            (
                decoded(url.username()),
                decoded(url.password().unwrap_or_default()),
            )
        });
        let (port, way) = match url.scheme() {
            "http" => (80, Way::http(user.as_ref())),
            // GNOME writes `socks://` for SOCKS 5.
            "socks5" | "socks5h" | "socks" => (1080, Way::Socks5 { credentials: user }),
            other => {
                let why = format!("`{other}` proxies are not supported, `http` and `socks5` are");
                return Err(fail(host, why));
            }
        };
        let port = url.port().unwrap_or(port);
        let host = host.to_owned();
        Ok(Self::new(Place { host, port }, way))
    }
}

fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&super::request_headers::decoded(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str) -> Place {
        Place {
            host: host.to_owned(),
            port: 443,
        }
    }

    fn chosen(proxies: &Proxies, host: &str) -> Option<String> {
        proxies
            .choose(&ProxyChoice::System, &place(host), true)
            .unwrap()
            .map(|proxy| proxy.place().to_string())
    }

    fn environment(variables: &[(&str, &str)]) -> ProxyRules {
        ProxyRules::of_environment(|wanted| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn proxies_and_exclusions_are_read_from_the_environment() {
        let rules = environment(&[
            ("HTTPS_PROXY", "http://ignored:1"),
            ("https_proxy", "  proxy:3128 "),
            ("ALL_PROXY", "socks://all.example:1081/"),
            ("no_proxy", ".corp.test"),
        ]);
        let found = |host, secure| {
            rules
                .find(&place(host), secure)
                .unwrap()
                .map(|proxy| proxy.place().to_string())
        };
        assert_eq!(found("a.example", true).as_deref(), Some("proxy:3128"));
        assert_eq!(found("a.example", false).as_deref(), Some("all.example:1081"));
        assert_eq!(found("a.corp.test", true), None);
        let empty = environment(&[("HTTPS_PROXY", ""), ("https_proxy", " ")]);
        assert_eq!(empty.urls, [None, None]);
    }

    #[test]
    fn an_unusable_environment_proxy_does_not_cause_a_direct_dial() {
        for value in [
            "https://proxy",
            "socks4://proxy",
            "gopher://proxy",
            "http://[",
            "://",
        ] {
            let rules = environment(&[("ALL_PROXY", value)]);
            let found = rules.find(&place("a.example"), true);
            assert!(matches!(found, Err(DialError::Proxy { .. })), "{value}");
        }
    }

    #[test]
    fn loopback_is_dialled_directly_unless_the_session_names_a_proxy() {
        let settings = ProxySettings::Fixed {
            url: "http://proxy:3128".to_owned(),
            no_proxy: String::new(),
        };
        let proxies = Proxies::new(&settings, Vec::new()).unwrap();
        for host in ["localhost", "a.localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(chosen(&proxies, host), None, "{host}");
        }
        for (url, place_of) in [
            ("socks5://proxy", "proxy:1080"),
            ("socks://proxy:9", "proxy:9"),
            ("proxy:8", "proxy:8"),
        ] {
            let named = ProxyChoice::Url(url.to_owned());
            let proxy = proxies
                .choose(&named, &place("127.0.0.1"), true)
                .unwrap()
                .unwrap();
            assert_eq!(proxy.place().to_string(), place_of);
        }
    }

    #[test]
    fn errors_for_unusable_proxies_omit_credentials() {
        let proxies = Proxies::new(&ProxySettings::None, Vec::new()).unwrap();
        for url in [
            "https://user:canary@proxy:1",
            "socks4://user:canary@proxy:1",
            "ftp://canary@x",
            "canary canary",
        ] {
            let Err(error) = proxies.choose(&ProxyChoice::Url(url.to_owned()), &place("x"), true) else {
                panic!("{url} was accepted")
            };
            assert!(matches!(error, DialError::Proxy { .. }), "{url}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
