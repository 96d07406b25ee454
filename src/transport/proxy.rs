//! Connects through a proxy, by HTTP CONNECT (RFC 9110) or SOCKS5 (RFC 1928, 1929). The choice of the proxy is `proxies`'.
//!
//! Names are always resolved by the proxy.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connect::{self, Names};
use super::error::{DialError, Place};
use super::handshake::{describe, exchange, into_stream};
use super::request_headers::USER_AGENT;
use crate::core::io::Target;

/// A proxy and how to talk to it.
pub(crate) struct Proxy {
    place: Place,
    way: Way,
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

pub(super) enum Way {
    Connect { authorization: Option<HeaderValue> },
    Socks5 { credentials: Option<(String, String)> },
}

/// The SOCKS5 reply about a server that does not listen.
const CONNECTION_REFUSED: u8 = 5;

impl Way {
    /// CONNECT, with these as Basic credentials.
    pub(super) fn http(credentials: Option<&(String, String)>) -> Self {
        let authorization = credentials.and_then(|(user, password)| basic(user, password));
        Self::Connect { authorization }
    }
}

fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let value = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Proxy {
    pub(super) const fn new(place: Place, way: Way) -> Self {
        Self { place, way }
    }

    /// Takes these credentials unless its URL has brought some.
    pub(super) fn introduce(&mut self, known: &ProxyCredentials) {
        match &mut self.way {
            Way::Connect { authorization } if authorization.is_none() => {
                *authorization = basic(&known.user, &known.password);
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
        let request = connect_request(&authority, authorization, user_agent).ok_or_else(|| {
            self.fail("the server's name contains characters that are not allowed in a CONNECT request")
        })?;
        let (response, connection) = exchange(stream, request, std::iter::empty())
            .await
            .map_err(|error| self.fail(describe(&error)))?;
        let status = response.status();
        if !status.is_success() {
            let hint = if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
                let problem = if had_credentials {
                    "does not accept this user and password"
                } else {
                    "requires a user and a password"
                };
                format!(": it {problem}{}", wanted(response.headers()))
            } else {
                String::new()
            };
            return Err(self.fail(format!("it answered CONNECT {authority} with {status}{hint}")));
        }
        drop(response);
        let (stream, early) = into_stream(connection)
            .await
            .map_err(|error| self.fail(describe(&error)))?;
        if !early.is_empty() {
            return Err(self.fail("it sent unexpected data after its CONNECT response"));
        }
        Ok(stream)
    }

    async fn socks5(
        &self,
        mut stream: TcpStream,
        place: &Place,
        credentials: Option<(&str, &str)>,
    ) -> Result<TcpStream, DialError> {
        self.socks5_log_in(&mut stream, credentials).await?;
        let request =
            socks5_request(place).ok_or_else(|| self.fail("the server's name is longer than 255 bytes"))?;
        let broke = |error| self.socks5_broke(&error);
        stream.write_all(&request).await.map_err(broke)?;
        let mut head = [0; 4];
        stream.read_exact(&mut head).await.map_err(broke)?;
        if head[0] != 5 {
            return Err(self.fail("it does not support SOCKS5"));
        }
        self.reply(head[1], place)?;
        let rest = match head[3] {
            1 => 4,
            4 => 16,
            3 => usize::from(stream.read_u8().await.map_err(broke)?),
            _ => return Err(self.fail("its SOCKS5 answer is invalid")),
        };
        // The address it dials from, and a port: of no use to us.
        let mut bound = vec![0; rest + 2];
        stream.read_exact(&mut bound).await.map_err(broke)?;
        Ok(stream)
    }

    /// Negotiates the authentication: none, or user and password if we have them.
    async fn socks5_log_in(
        &self,
        stream: &mut TcpStream,
        credentials: Option<(&str, &str)>,
    ) -> Result<(), DialError> {
        let broke = |error| self.socks5_broke(&error);
        let greeting: &[u8] = if credentials.is_some() {
            &[5, 2, 0, 2]
        } else {
            &[5, 1, 0]
        };
        stream.write_all(greeting).await.map_err(broke)?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await.map_err(broke)?;
        match (answer, credentials) {
            ([5, 0], _) => Ok(()),
            ([5, 2], Some((user, password))) => {
                let request = socks5_password(user, password)
                    .ok_or_else(|| self.fail("its user or password is longer than 255 bytes"))?;
                stream.write_all(&request).await.map_err(broke)?;
                stream.read_exact(&mut answer).await.map_err(broke)?;
                if answer[1] == 0 {
                    Ok(())
                } else {
                    Err(self.fail("it does not accept this user and password"))
                }
            }
            ([5, _], None) => Err(self.fail("it requires a user and a password")),
            ([5, _], Some(_)) => Err(self.fail("it does not accept a user and a password")),
            _ => Err(self.fail("it does not support SOCKS5")),
        }
    }

    fn socks5_broke(&self, error: &std::io::Error) -> DialError {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                self.fail("it closed the connection during the SOCKS5 handshake")
            }
            _ => self.fail(format!(
                "the connection broke during the SOCKS5 handshake: {error}"
            )),
        }
    }

    /// The meaning of a SOCKS5 reply (RFC 1928, section 6), and which side it is about.
    fn reply(&self, reply: u8, place: &Place) -> Result<(), DialError> {
        let behind = |why| DialError::BehindProxy {
            proxy: self.place.clone(),
            place: place.clone(),
            refused: reply == CONNECTION_REFUSED,
            why,
        };
        Err(match reply {
            0 => return Ok(()),
            1 => self.fail("it reports a general failure"),
            2 => self.fail("its rules do not allow this server"),
            3 => behind("network unreachable"),
            4 => behind("host unreachable"),
            CONNECTION_REFUSED => behind("connection refused"),
            6 => behind("time to live expired"),
            7 => self.fail("it cannot open connections"),
            8 => self.fail("it does not support this type of address"),
            other => self.fail(format!("it reports failure {other}")),
        })
    }
}

/// A CONNECT request, unless the server's name cannot stand in one.
fn connect_request(
    authority: &str,
    authorization: Option<HeaderValue>,
    user_agent: HeaderValue,
) -> Option<Request<Empty<Bytes>>> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = authority.parse().ok()?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(authority).ok()?);
    headers.insert("proxy-connection", HeaderValue::from_static("keep-alive"));
    headers.insert(header::USER_AGENT, user_agent);
    if let Some(authorization) = authorization {
        headers.insert(header::PROXY_AUTHORIZATION, authorization);
    }
    Some(request)
}

/// The SOCKS5 request to connect, unless the name is too long for one.
fn socks5_request(place: &Place) -> Option<Vec<u8>> {
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
            request.extend_from_slice(&[3, u8::try_from(name.len()).ok()?]);
            request.extend_from_slice(name);
        }
    }
    request.extend_from_slice(&place.port.to_be_bytes());
    Some(request)
}

/// User and password as RFC 1929 has them, unless one is longer than 255 bytes.
fn socks5_password(user: &str, password: &str) -> Option<Vec<u8>> {
    let mut request = vec![1, u8::try_from(user.len()).ok()?];
    request.extend_from_slice(user.as_bytes());
    request.push(u8::try_from(password.len()).ok()?);
    request.extend_from_slice(password.as_bytes());
    Some(request)
}

/// The authentication schemes of a proxy, if `Basic`, the only one supported, is not among them.
fn wanted(headers: &header::HeaderMap) -> String {
    let schemes: Vec<&str> = headers
        .get_all(header::PROXY_AUTHENTICATE)
        .iter()
        .filter_map(|value| {
            value
                .to_str()
                .ok()?
                .split([' ', ','])
                .find(|word| !word.is_empty())
        })
        .filter(|scheme| {
            scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        .take(8)
        .collect();
    if schemes.is_empty() {
        return String::new();
    }
    let spoken = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
    let advice = if spoken {
        ""
    } else {
        "; Longwire supports `Basic` only: run a local proxy such as px or cntlm in between"
    };
    format!(" by {}{advice}", schemes.join(", "))
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
