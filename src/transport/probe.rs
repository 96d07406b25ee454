//! A timed dial: the steps of a session's dial, each with its duration.
//!
//! It is for diagnosis and keeps no link: it closes after the first message.

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
use super::stream::ServerStream;
use super::{Network, connect, handshake, place};
use crate::core::io::Target;

/// How long the server has for its first message; many send nothing until they receive something.
const FIRST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// A part of a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DialPhase {
    Dns,
    Proxy,
    Tcp,
    Tls,
    Upgrade,
    Message,
}

/// How a part of a dial went.
#[derive(Debug)]
pub(crate) struct DialStep {
    pub(crate) phase: DialPhase,
    pub(crate) took: Duration,
    pub(crate) end: StepEnd,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum StepEnd {
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
    pub(crate) async fn probe(&self, target: &Target, within: Duration) -> Vec<DialStep> {
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
            Err(error) => return walk.fail(DialPhase::Dns, error),
        };
        if let Ok(address) = place.bare_host().parse() {
            let address = std::net::SocketAddr::new(address, place.port);
            if let Err(error) = connect::allowed(&place, vec![address], self.names(target)) {
                return walk.fail(DialPhase::Dns, error);
            }
        }
        let tcp = match self.proxies.choose(&target.proxy, &place, secure) {
            Ok(Some(proxy)) => {
                let way = format!("through {}", proxy.place());
                let tunnelling = proxy.tunnel(&place, self.proxy_names(target), target);
                walk.step(DialPhase::Proxy, &place, "the proxy", tunnelling, |_| way)
                    .await?
            }
            Ok(None) => self.walk_to_server(target, &place, walk).await?,
            Err(error) => return walk.fail(DialPhase::Proxy, error),
        };
        let stream = if secure {
            let unchecked = self.tls.is_insecure(place.bare_host());
            let shown = |stream: &ServerStream| secrecy(stream, unchecked);
            walk.step(DialPhase::Tls, &place, "TLS", self.tls.wrap(tcp, &place), shown)
                .await?
        } else {
            ServerStream::Plain(tcp)
        };
        let jar = super::cookies::SharedJar::empty();
        let upgrading = handshake::upgrade(stream, target, &place, &jar);
        let shown = |link: &Upgraded<ServerStream>| match &link.subprotocol {
            Some(subprotocol) => format!("subprotocol {subprotocol}"),
            None => "no subprotocol".to_owned(),
        };
        let link = walk
            .step(
                DialPhase::Upgrade,
                &place,
                "the WebSocket handshake",
                upgrading,
                shown,
            )
            .await?;
        let started = Instant::now();
        let end = first_message(link).await;
        walk.steps.push(DialStep {
            phase: DialPhase::Message,
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
            .step(DialPhase::Dns, place, "name resolution", resolving, shown)
            .await?;
        let connecting = connect::connect(place, addresses);
        let shown = |tcp: &TcpStream| {
            tcp.peer_addr()
                .map_or_else(|_| String::new(), |peer| peer.to_string())
        };
        walk.step(DialPhase::Tcp, place, "the connection", connecting, shown)
            .await
    }
}

struct Walk {
    within: Duration,
    steps: Vec<DialStep>,
}

impl Walk {
    async fn step<T>(
        &mut self,
        phase: DialPhase,
        place: &Place,
        stage: &'static str,
        work: impl Future<Output = Result<T, DialError>>,
        describe_result: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let started = Instant::now();
        let result = timeout(self.within, work).await.unwrap_or_else(|_| {
            Err(DialError::Timeout {
                place: place.clone(),
                after: self.within,
                stage,
            })
        });
        let (end, value) = match result {
            Ok(value) => (StepEnd::Done(describe_result(&value)), Some(value)),
            Err(error) => (StepEnd::Failed(error), None),
        };
        self.steps.push(DialStep {
            phase,
            took: started.elapsed(),
            end,
        });
        value
    }

    fn fail(&mut self, phase: DialPhase, error: DialError) -> Option<()> {
        self.steps.push(DialStep {
            phase,
            took: Duration::ZERO,
            end: StepEnd::Failed(error),
        });
        None
    }
}

fn secrecy(stream: &ServerStream, unchecked: bool) -> String {
    let version = match stream {
        ServerStream::Tls(tls) => tls.get_ref().1.protocol_version(),
        ServerStream::Plain(_) => None,
    };
    let version = version.map_or_else(|| "TLS".to_owned(), |version| format!("{version:?}"));
    if unchecked {
        format!("{version}; the certificate is not checked, because of `insecure-hosts` in the settings")
    } else {
        version
    }
}

async fn first_message(link: Upgraded<ServerStream>) -> StepEnd {
    let early = link.early.to_vec();
    let mut socket = WebSocketStream::from_partially_read(link.stream, early, Role::Client, None).await;
    let first = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(frame))) => {
                    return StepEnd::Closed(frame.map_or_else(
                        || "without a code".to_owned(),
                        |frame| format!("code {} {}", u16::from(frame.code), frame.reason.as_str()),
                    ));
                }
                // The reason is the server's own text.
                Some(Ok(message)) => return StepEnd::Done(format!("{} bytes", message.len())),
                Some(Err(error)) => return StepEnd::Closed(error.to_string()),
                None => return StepEnd::Closed("without a close frame".to_owned()),
            }
        }
    };
    let end = timeout(FIRST_MESSAGE_TIMEOUT, first).await.unwrap_or_else(|_| {
        StepEnd::Nothing(format!(
            "the server sent no message within {} s; many servers wait for the client",
            FIRST_MESSAGE_TIMEOUT.as_secs()
        ))
    });
    let _ = timeout(Duration::from_millis(500), socket.send(Message::Close(None))).await;
    end
}
