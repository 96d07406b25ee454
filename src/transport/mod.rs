//! Network connections: from a target to a link by WebSocket, HTTP or Engine.IO, and the messages on it.
//!
//! It decides nothing: when to dial, what to send and when to give up is the core's.

mod connect;
pub mod cookies;
pub mod credit;
mod date;
mod decode;
mod deflate;
pub mod engine;
mod error;
pub mod events;
mod exchange;
mod fetch;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handshake;
pub mod http;
mod inbox;
pub mod incoming;
mod large_buffer;
pub mod link;
mod no_proxy;
pub(crate) mod probe;
mod proxies;
mod proxy;
mod reader;
mod redirects;
mod request_headers;
mod response;
pub mod route;
mod spelling;
mod stream;
mod tls;
mod writer;

pub use error::{DialError, Place};
pub use proxies::ProxySettings;
pub use proxy::ProxyCredentials;
pub use tls::{ClientCert, TlsSettings};

use std::sync::Arc;

use url::Url;

use crate::core::io::{ProxyChoice, Target};
use crate::core::policy;
use crate::core::rules::{ExtensionRule, Rules};
use connect::Names;
use cookies::SharedJar;
use handshake::Upgraded;
use proxies::Proxies;
use proxy::Proxy;
use stream::ServerStream;
use tls::Tls;

/// The settings about dialling.
#[derive(Debug, Default)]
pub struct NetworkSettings {
    pub tls: TlsSettings,
    pub proxy: ProxySettings,
    /// For proxies whose URL holds none.
    pub proxy_credentials: Vec<ProxyCredentials>,
    /// What each extension may dial: judged once more before every connection and every request.
    pub rules: Arc<Rules>,
}

/// How this machine reaches the internet: whom it trusts, and through which proxy it goes.
#[derive(Debug)]
pub struct Network {
    tls: Tls,
    proxies: Proxies,
    rules: Arc<Rules>,
}

impl Network {
    /// Reads the proxy variables of the environment; the trust store is read when it is first needed.
    ///
    /// # Errors
    /// The settings name a proxy that cannot be used.
    pub fn new(settings: NetworkSettings) -> Result<Self, DialError> {
        Ok(Self {
            proxies: Proxies::new(&settings.proxy, settings.proxy_credentials)?,
            tls: Tls::new(settings.tls),
            rules: settings.rules,
        })
    }

    /// Whether the settings switch the certificate check off for this URL's host.
    pub fn is_insecure(&self, url: &url::Url) -> bool {
        place(url).is_ok_and(|(place, secure)| secure && self.tls.is_insecure(place.bare_host()))
    }

    /// Dials a target, within its `connect_timeout`.
    pub(crate) async fn dial(
        &self,
        target: &Target,
        jar: &SharedJar,
    ) -> Result<Upgraded<ServerStream>, DialError> {
        self.check_policy(target, &target.url, &[])?;
        let (place, secure) = place(&target.url)?;
        let mut stage = DialStage::Waiting("name resolution");
        let attempt = self.attempt(target, jar, (&place, secure), &mut stage);
        let result = tokio::time::timeout(target.connect_timeout, attempt).await;
        in_time(result, target, place, stage)
    }

    /// Connects to the host of a URL, within the target's `connect_timeout` and through its proxy.
    pub(crate) async fn connect(&self, target: &Target, url: &url::Url) -> Result<ServerStream, DialError> {
        let (place, secure) = place(url)?;
        let mut stage = DialStage::Waiting("name resolution");
        let reach = self.reach(target, url, (&place, secure), &mut stage);
        let result = tokio::time::timeout(target.connect_timeout, reach).await;
        in_time(result, target, place, stage)
    }

    async fn attempt(
        &self,
        target: &Target,
        jar: &SharedJar,
        (place, secure): (&Place, bool),
        stage: &mut DialStage,
    ) -> Result<Upgraded<ServerStream>, DialError> {
        let stream = self.reach(target, &target.url, (place, secure), stage).await?;
        *stage = DialStage::Waiting("the WebSocket handshake");
        handshake::upgrade(stream, target, place, jar).await
    }

    /// What the settings let this dial's extension do.
    fn rule(&self, target: &Target) -> &ExtensionRule {
        self.rules.of(target.origin.as_deref().unwrap_or_default())
    }

    /// The last judgement before the wire: this URL is about to be requested, with these headers beside the target's.
    /// What the user dials from a terminal is not an extension's.
    fn check_policy(
        &self,
        target: &Target,
        url: &Url,
        headers: &[(String, String)],
    ) -> Result<(), DialError> {
        let Some(origin) = &target.origin else {
            return Ok(());
        };
        let headers = target.headers.iter().chain(headers);
        policy::check_request(url, headers, self.rule(target), origin).map_err(DialError::Policy)
    }

    /// The proxy for a dial, if any. One that the extension names is judged as it was read.
    fn proxy(
        &self,
        target: &Target,
        url: &Url,
        place: &Place,
        secure: bool,
    ) -> Result<Option<Proxy>, DialError> {
        let proxy = self.proxies.choose(&target.proxy, place, secure)?;
        if let (Some(proxy), ProxyChoice::Url(_), Some(_)) = (&proxy, &target.proxy, &target.origin) {
            let at = proxy.place();
            let at = policy::place_url(&at.host, at.port)
                .ok_or(DialError::Address("the proxy's host is invalid"))?;
            policy::check_own_proxy(&at, Some(url), self.rule(target)).map_err(DialError::Policy)?;
        }
        Ok(proxy)
    }

    /// Which proxies' names may: those that the user has chosen lead where the user wants.
    fn proxy_names<'a>(&'a self, target: &'a Target) -> Names<'a> {
        match target.proxy {
            ProxyChoice::Url(_) => self.names(target),
            ProxyChoice::System | ProxyChoice::None => Names::Any,
        }
    }

    /// Which names may lead to this machine.
    fn names<'a>(&'a self, target: &'a Target) -> Names<'a> {
        Names::Listed(&self.rule(target).local_names)
    }

    async fn reach(
        &self,
        target: &Target,
        url: &Url,
        (place, secure): (&Place, bool),
        stage: &mut DialStage,
    ) -> Result<ServerStream, DialError> {
        let names = self.names(target);
        if let Ok(address) = place.bare_host().parse() {
            // A proxy would resolve a name, but an address is what it is.
            connect::allowed(place, vec![std::net::SocketAddr::new(address, place.port)], names)?;
        }
        let tcp = match self.proxy(target, url, place, secure)? {
            Some(proxy) => {
                *stage = DialStage::Proxy(proxy.place().clone());
                tracing::debug!(%place, proxy = %proxy.place(), "dialling through a proxy");
                proxy.tunnel(place, self.proxy_names(target), target).await?
            }
            None => {
                let addresses = connect::resolve(place, names).await?;
                *stage = DialStage::Waiting("the connection");
                connect::connect(place, addresses).await?
            }
        };
        Ok(if secure {
            *stage = DialStage::Waiting("TLS");
            if self.tls.is_insecure(place.bare_host()) {
                tracing::warn!(%place, "the certificate is not checked, because of `insecure-hosts` in the settings");
            }
            self.tls.wrap(tcp, place).await?
        } else {
            ServerStream::Plain(tcp)
        })
    }
}

/// Says who was waited for when the time was up.
fn in_time<T>(
    result: Result<Result<T, DialError>, tokio::time::error::Elapsed>,
    target: &Target,
    place: Place,
    stage: DialStage,
) -> Result<T, DialError> {
    match (result, stage) {
        (Ok(result), _) => result,
        (Err(_), DialStage::Waiting(stage)) => Err(DialError::Timeout {
            place,
            after: target.connect_timeout,
            stage,
        }),
        (Err(_), DialStage::Proxy(proxy)) => Err(DialError::Proxy {
            proxy: proxy.to_string(),
            why: format!(
                "cannot connect to {place} within {} ms",
                target.connect_timeout.as_millis()
            ),
        }),
    }
}

/// What a dial is waiting for: who is to blame when its time is up.
#[derive(Debug)]
enum DialStage {
    Waiting(&'static str),
    Proxy(Place),
}

/// Host and port of a URL, and whether it wants TLS.
fn place(url: &url::Url) -> Result<(Place, bool), DialError> {
    let (secure, default_port) = match url.scheme() {
        "ws" | "http" => (false, 80),
        "wss" | "https" => (true, 443),
        _ => return Err(DialError::Address("its scheme is neither `ws` nor `wss`")),
    };
    let host = url.host_str().ok_or(DialError::Address("it has no host"))?;
    let place = Place {
        host: host.to_owned(),
        port: url.port().unwrap_or(default_port),
    };
    Ok((place, secure))
}
