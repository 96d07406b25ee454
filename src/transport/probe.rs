//! A dial with a stopwatch: the steps of a session's dial, one by one, each with its time.
//!
//! It is for people who ask why there is no link. It keeps none: after the first message it hangs up.

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::error::{DialError, Place};
use super::handshake::Upgraded;
use super::stream::Stream;
use super::{Network, connect, handshake, place};
use crate::core::io::Target;

/// How long the server has for its first message; many say nothing until they are spoken to.
const FIRST_MESSAGE: Duration = Duration::from_secs(2);

/// A part of a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Dns,
    Proxy,
    Tcp,
    Tls,
    Upgrade,
    Message,
}

/// How a part of a dial went.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) phase: Phase,
    pub(crate) took: Duration,
    pub(crate) end: End,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    /// As it should; with what was learnt.
    Done(String),
    /// There was nothing to see, which need not be wrong.
    Nothing(String),
    /// The server closed the link at once; with its code and reason.
    Closed(String),
    /// It failed, and nothing follows.
    Failed(DialError),
}

impl Network {
    /// Dials step by step until one fails; each has `within`.
    pub(crate) async fn probe(&self, target: &Target, within: Duration) -> Vec<Step> {
        let mut walk = Walk {
            within,
            steps: Vec::new(),
        };
        // What failed stands in the last step.
        let _ = self.walk(target, &mut walk).await;
        walk.steps
    }

    async fn walk(&self, target: &Target, walk: &mut Walk) -> Option<()> {
        let (place, secure) = match place(&target.url) {
            Ok(found) => found,
            Err(error) => return walk.fail(Phase::Dns, error),
        };
        if let Ok(address) = place.bare_host().parse() {
            let address = std::net::SocketAddr::new(address, place.port);
            if let Err(error) = connect::allowed(&place, vec![address], self.names(target)) {
                return walk.fail(Phase::Dns, error);
            }
        }
        let tcp = match self.proxies.choose(&target.proxy, &place, secure) {
            Ok(Some(proxy)) => {
                let way = format!("through {}", proxy.place());
                let tunnelling = proxy.tunnel(&place, self.proxy_names(target), target);
                walk.step(Phase::Proxy, &place, "the proxy", tunnelling, |_| way)
                    .await?
            }
            Ok(None) => self.walk_to_server(target, &place, walk).await?,
            Err(error) => return walk.fail(Phase::Proxy, error),
        };
        let stream = if secure {
            let unchecked = self.tls.is_insecure(place.bare_host());
            let shown = |stream: &Stream| secrecy(stream, unchecked);
            walk.step(Phase::Tls, &place, "TLS", self.tls.wrap(tcp, &place), shown)
                .await?
        } else {
            Stream::Plain(tcp)
        };
        let jar = super::cookies::SharedJar::empty();
        let upgrading = handshake::upgrade(stream, target, &place, &jar);
        let shown = |link: &Upgraded<Stream>| match &link.subprotocol {
            Some(subprotocol) => format!("subprotocol {subprotocol}"),
            None => "no subprotocol".to_owned(),
        };
        let link = walk
            .step(
                Phase::Upgrade,
                &place,
                "the WebSocket handshake",
                upgrading,
                shown,
            )
            .await?;
        let started = Instant::now();
        let end = first_message(link).await;
        walk.steps.push(Step {
            phase: Phase::Message,
            took: started.elapsed(),
            end,
        });
        Some(())
    }

    /// Connects without a proxy.
    async fn walk_to_server(&self, target: &Target, place: &Place, walk: &mut Walk) -> Option<TcpStream> {
        let resolving = connect::resolve(place, self.names(target));
        let shown = |addresses: &Vec<std::net::SocketAddr>| {
            let shown: Vec<_> = addresses.iter().take(4).map(|one| one.ip().to_string()).collect();
            shown.join(", ")
        };
        let addresses = walk
            .step(Phase::Dns, place, "name resolution", resolving, shown)
            .await?;
        let connecting = connect::connect(place, addresses);
        let shown = |tcp: &TcpStream| {
            tcp.peer_addr()
                .map_or_else(|_| String::new(), |peer| peer.to_string())
        };
        walk.step(Phase::Tcp, place, "the connection", connecting, shown)
            .await
    }
}

struct Walk {
    within: Duration,
    steps: Vec<Step>,
}

impl Walk {
    async fn step<T>(
        &mut self,
        phase: Phase,
        place: &Place,
        stage: &'static str,
        work: impl Future<Output = Result<T, DialError>>,
        told: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let started = Instant::now();
        let result = timeout(self.within, work).await.unwrap_or_else(|_| {
            Err(DialError::Timeout {
                place: place.clone(),
                after: self.within,
                stage,
            })
        });
        let (end, kept) = match result {
            Ok(kept) => (End::Done(told(&kept)), Some(kept)),
            Err(error) => (End::Failed(error), None),
        };
        self.steps.push(Step {
            phase,
            took: started.elapsed(),
            end,
        });
        kept
    }

    fn fail(&mut self, phase: Phase, error: DialError) -> Option<()> {
        self.steps.push(Step {
            phase,
            took: Duration::ZERO,
            end: End::Failed(error),
        });
        None
    }
}

fn secrecy(stream: &Stream, unchecked: bool) -> String {
    let version = match stream {
        Stream::Tls(tls) => tls.get_ref().1.protocol_version(),
        Stream::Plain(_) => None,
    };
    let version = version.map_or_else(|| "TLS".to_owned(), |version| format!("{version:?}"));
    if unchecked {
        format!("{version}; the certificate is not checked, because of `insecure-hosts` in the settings")
    } else {
        version
    }
}

async fn first_message(link: Upgraded<Stream>) -> End {
    let early = link.early.to_vec();
    let mut socket = WebSocketStream::from_partially_read(link.stream, early, Role::Client, None).await;
    let first = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(frame))) => {
                    return End::Closed(frame.map_or_else(
                        || "without a code".to_owned(),
                        |frame| format!("code {} {}", u16::from(frame.code), frame.reason.as_str()),
                    ));
                }
                // Its words are the server's business.
                Some(Ok(message)) => return End::Done(format!("{} bytes", message.len())),
                Some(Err(error)) => return End::Closed(error.to_string()),
                None => return End::Closed("without a close frame".to_owned()),
            }
        }
    };
    let end = timeout(FIRST_MESSAGE, first).await.unwrap_or_else(|_| {
        End::Nothing(format!(
            "the server sent no message within {} s; many servers wait for the client",
            FIRST_MESSAGE.as_secs()
        ))
    });
    let _ = timeout(Duration::from_millis(500), socket.send(Message::Close(None))).await;
    end
}
