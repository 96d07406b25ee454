//! Through a proxy: which one, and HTTP CONNECT (RFC 9110) or SOCKS5 (RFC 1928, 1929) with it.
//!
//! Names are always resolved by the proxy. Loopback never goes through the system's proxy, as in browsers.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connect::{self, Names};
use super::error::{DialError, Place};
use super::handshake::{USER_AGENT, describe, exchange, take_back};
use crate::core::io::{ProxyChoice, Target};

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

/// A proxy that wants to know who we are: `host:port` in lower case, user, password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyCredentials {
    pub place: String,
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for ProxyCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProxyCredentials({})", self.place)
    }
}

/// Knows which dial goes through which proxy.
#[derive(Debug)]
pub(crate) struct Proxies {
    system: Matcher,
    credentials: Vec<ProxyCredentials>,
}

/// A proxy and how to talk to it.
pub(crate) struct Proxy {
    place: Place,
    way: Way,
}

enum Way {
    Connect { authorization: Option<HeaderValue> },
    Socks5 { credentials: Option<(String, String)> },
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
        let system = match settings {
            ProxySettings::System => Matcher::from_system(),
            ProxySettings::None => Matcher::builder().build(),
            ProxySettings::Fixed { url, no_proxy } => {
                fixed(url)?;
                Matcher::builder().all(url.as_str()).no(no_proxy.as_str()).build()
            }
        };
        Ok(Self { system, credentials })
    }

    /// The proxy for a dial, if any, with the credentials that the settings have for it.
    pub(crate) fn choose(
        &self,
        choice: &ProxyChoice,
        place: &Place,
        secure: bool,
    ) -> Result<Option<Proxy>, DialError> {
        let mut proxy = self.find(choice, place, secure)?;
        if let Some(proxy) = &mut proxy {
            let at = proxy.place.to_string().to_ascii_lowercase();
            if let Some(known) = self.credentials.iter().find(|known| known.place == at) {
                proxy.introduce(known);
            }
        }
        Ok(proxy)
    }

    fn find(&self, choice: &ProxyChoice, place: &Place, secure: bool) -> Result<Option<Proxy>, DialError> {
        match choice {
            ProxyChoice::None => Ok(None),
            ProxyChoice::Url(url) => fixed(url).map(Some),
            ProxyChoice::System if is_loopback(place.bare_host()) => Ok(None),
            ProxyChoice::System => {
                let scheme = if secure { "https" } else { "http" };
                let Ok(uri) = format!("{scheme}://{place}/").parse() else {
                    return Ok(None);
                };
                self.system
                    .intercept(&uri)
                    .map(|found| Proxy::new(&found))
                    .transpose()
            }
        }
    }
}

/// A proxy given by its URL. The URL may hold a password and is never repeated.
fn fixed(url: &str) -> Result<Proxy, DialError> {
    let anywhere = http::Uri::from_static("https://anywhere.invalid/");
    match Matcher::builder().all(url).build().intercept(&anywhere) {
        Some(found) => Proxy::new(&found),
        None => Err(DialError::Proxy {
            proxy: "given".to_owned(),
            why: "its URL cannot be read; `http://host:port` and `socks5://host:port` can".to_owned(),
        }),
    }
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => connect::is_local_name(host),
    }
}

impl Proxy {
    fn new(found: &Intercept) -> Result<Self, DialError> {
        let uri = found.uri();
        let (default_port, way) = match uri.scheme_str() {
            Some("http") => (
                80,
                Way::Connect {
                    authorization: found.basic_auth().cloned(),
                },
            ),
            Some("socks5" | "socks5h") => (
                1080,
                Way::Socks5 {
                    credentials: found
                        .raw_auth()
                        .map(|(user, password)| (user.to_owned(), password.to_owned())),
                },
            ),
            other => {
                let scheme = other.unwrap_or_default();
                return Err(DialError::Proxy {
                    proxy: uri.host().unwrap_or_default().to_owned(),
                    why: format!("`{scheme}` proxies are not supported, `http` and `socks5` are"),
                });
            }
        };
        let place = Place {
            host: uri.host().unwrap_or_default().to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
        };
        Ok(Self { place, way })
    }

    /// Takes these credentials unless its URL has brought some.
    fn introduce(&mut self, known: &ProxyCredentials) {
        match &mut self.way {
            Way::Connect { authorization } if authorization.is_none() => {
                let plain = format!("{}:{}", known.user, known.password);
                let value = format!("Basic {}", BASE64_STANDARD.encode(plain));
                *authorization = HeaderValue::from_str(&value).ok().map(|mut value| {
                    value.set_sensitive(true);
                    value
                });
            }
            Way::Socks5 { credentials } if credentials.is_none() => {
                *credentials = Some((known.user.clone(), known.password.clone()));
            }
            _ => {}
        }
    }

    /// Opens a tunnel to `place`. The proxy learns the `User-Agent` of the target, and nothing else of it.
    pub(crate) async fn tunnel(
        &self,
        place: &Place,
        names: Names<'_>,
        target: &Target,
    ) -> Result<TcpStream, DialError> {
        // Whatever keeps us from the proxy is the proxy's failure, not the server's.
        let addresses = connect::resolve(&self.place, names)
            .await
            .map_err(|error| self.unreachable(&error))?;
        let stream = connect::connect(&self.place, addresses)
            .await
            .map_err(|error| self.unreachable(&error))?;
        match &self.way {
            Way::Connect { authorization } => {
                self.connect(stream, place, authorization.clone(), user_agent(target))
                    .await
            }
            Way::Socks5 { credentials } => {
                let credentials = credentials
                    .as_ref()
                    .map(|(user, password)| (user.as_str(), password.as_str()));
                self.socks5(stream, place, credentials).await
            }
        }
    }

    /// The proxy's host and port.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    fn fail(&self, why: impl Into<String>) -> DialError {
        DialError::Proxy {
            proxy: self.place.to_string(),
            why: why.into(),
        }
    }

    fn unreachable(&self, error: &DialError) -> DialError {
        match std::error::Error::source(error) {
            Some(source) => self.fail(format!("{error}: {source}")),
            None => self.fail(error.to_string()),
        }
    }

    async fn connect(
        &self,
        stream: TcpStream,
        place: &Place,
        authorization: Option<HeaderValue>,
        user_agent: HeaderValue,
    ) -> Result<TcpStream, DialError> {
        let had_credentials = authorization.is_some();
        let authority = place.to_string();
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = authority
            .parse()
            .map_err(|_| self.fail("the server's name cannot stand in a CONNECT request"))?;
        let host = HeaderValue::from_str(&authority)
            .map_err(|_| self.fail("the server's name cannot stand in a CONNECT request"))?;
        request.headers_mut().insert(header::HOST, host);
        request
            .headers_mut()
            .insert("proxy-connection", HeaderValue::from_static("keep-alive"));
        request.headers_mut().insert(header::USER_AGENT, user_agent);
        if let Some(authorization) = authorization {
            request
                .headers_mut()
                .insert(header::PROXY_AUTHORIZATION, authorization);
        }
        let (response, connection) = exchange(stream, request, std::iter::empty())
            .await
            .map_err(|error| self.fail(describe(&error)))?;
        let status = response.status();
        if !status.is_success() {
            let hint = match (status, had_credentials) {
                (StatusCode::PROXY_AUTHENTICATION_REQUIRED, false) => ": it wants a user and a password",
                (StatusCode::PROXY_AUTHENTICATION_REQUIRED, true) => {
                    ": it does not accept this user and password"
                }
                _ => "",
            };
            return Err(self.fail(format!("it answered CONNECT {authority} with {status}{hint}")));
        }
        drop(response);
        let (stream, early) = take_back(connection)
            .await
            .map_err(|error| self.fail(describe(&error)))?;
        if !early.is_empty() {
            return Err(self.fail("it spoke out of turn behind its answer to CONNECT"));
        }
        Ok(stream)
    }

    async fn socks5(
        &self,
        mut stream: TcpStream,
        place: &Place,
        credentials: Option<(&str, &str)>,
    ) -> Result<TcpStream, DialError> {
        let broke = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                self.fail("it hung up in the middle of the SOCKS5 conversation")
            }
            _ => self.fail(format!("the SOCKS5 conversation broke: {error}")),
        };
        // No authentication, and user and password if we have them.
        let greeting: &[u8] = if credentials.is_some() {
            &[5, 2, 0, 2]
        } else {
            &[5, 1, 0]
        };
        stream.write_all(greeting).await.map_err(broke)?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await.map_err(broke)?;
        match (answer, credentials) {
            ([5, 0], _) => {}
            ([5, 2], Some((user, password))) => {
                let length = |text: &str| {
                    u8::try_from(text.len()).map_err(|_| self.fail("its user or password is above 255 bytes"))
                };
                let mut request = vec![1, length(user)?];
                request.extend_from_slice(user.as_bytes());
                request.push(length(password)?);
                request.extend_from_slice(password.as_bytes());
                stream.write_all(&request).await.map_err(broke)?;
                stream.read_exact(&mut answer).await.map_err(broke)?;
                if answer[1] != 0 {
                    return Err(self.fail("it does not accept this user and password"));
                }
            }
            ([5, _], None) => return Err(self.fail("it wants a user and a password")),
            ([5, _], Some(_)) => return Err(self.fail("it accepts no user and password")),
            _ => return Err(self.fail("it does not speak SOCKS5")),
        }
        let mut request = vec![5, 1, 0];
        match place.bare_host().parse() {
            Ok(std::net::IpAddr::V4(address)) => {
                request.push(1);
                request.extend_from_slice(&address.octets());
            }
            Ok(std::net::IpAddr::V6(address)) => {
                request.push(4);
                request.extend_from_slice(&address.octets());
            }
            Err(_) => {
                let name = place.bare_host().as_bytes();
                let length = u8::try_from(name.len())
                    .map_err(|_| self.fail("the server's name is above 255 bytes"))?;
                request.extend_from_slice(&[3, length]);
                request.extend_from_slice(name);
            }
        }
        request.extend_from_slice(&place.port.to_be_bytes());
        stream.write_all(&request).await.map_err(broke)?;
        let mut head = [0; 4];
        stream.read_exact(&mut head).await.map_err(broke)?;
        if head[0] != 5 {
            return Err(self.fail("it does not speak SOCKS5"));
        }
        self.reply(head[1], place)?;
        let rest = match head[3] {
            1 => 4,
            4 => 16,
            3 => usize::from(stream.read_u8().await.map_err(broke)?),
            _ => return Err(self.fail("its SOCKS5 answer cannot be read")),
        };
        // The address it dials from, and a port: of no use to us.
        let mut bound = vec![0; rest + 2];
        stream.read_exact(&mut bound).await.map_err(broke)?;
        Ok(stream)
    }

    /// What a SOCKS5 reply says, and about whom.
    fn reply(&self, reply: u8, place: &Place) -> Result<(), DialError> {
        let behind = |refused, why| DialError::BehindProxy {
            proxy: self.place.clone(),
            place: place.clone(),
            refused,
            why,
        };
        Err(match reply {
            0 => return Ok(()),
            1 => self.fail("it says: general failure"),
            2 => self.fail("its rules do not allow this server"),
            3 => behind(false, "network unreachable"),
            4 => behind(false, "host unreachable"),
            5 => behind(true, "connection refused"),
            6 => behind(false, "time to live expired"),
            7 => self.fail("it cannot open connections"),
            8 => self.fail("it does not know this kind of address"),
            other => self.fail(format!("it says: failure {other}")),
        })
    }
}

/// The `User-Agent` that the target gives, or our own.
fn user_agent(target: &Target) -> HeaderValue {
    let given = target
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
    given
        .and_then(|(_, value)| HeaderValue::from_str(value).ok())
        .unwrap_or(HeaderValue::from_static(USER_AGENT))
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

    fn fixed_for(url: &str, no_proxy: &str, host: &str) -> Option<String> {
        let settings = ProxySettings::Fixed {
            url: url.to_owned(),
            no_proxy: no_proxy.to_owned(),
        };
        Proxies::new(&settings, Vec::new())
            .unwrap()
            .choose(&ProxyChoice::System, &place(host), true)
            .unwrap()
            .map(|proxy| proxy.place.to_string())
    }

    #[test]
    fn no_proxy_names_hosts_domains_and_networks() {
        let through =
            |host| fixed_for("http://proxy:3128", ".corp.example, 10.0.0.0/8, plain.org", host).is_some();
        assert!(through("example.org"));
        assert!(through("notplain.org"));
        assert!(!through("plain.org"));
        assert!(!through("a.corp.example"));
        assert!(!through("10.1.2.3"));
    }

    #[test]
    fn loopback_is_dialled_directly_unless_the_session_names_a_proxy() {
        for host in ["localhost", "a.localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(fixed_for("http://proxy:3128", "", host), None, "{host}");
        }
        let proxies = Proxies::new(&ProxySettings::None, Vec::new()).unwrap();
        let named = ProxyChoice::Url("socks5://proxy".to_owned());
        let proxy = proxies
            .choose(&named, &place("127.0.0.1"), true)
            .unwrap()
            .unwrap();
        assert_eq!(proxy.place.to_string(), "proxy:1080");
    }

    #[test]
    fn proxies_that_cannot_be_used_say_so_without_their_credentials() {
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
