//! One dial by Engine.IO: executes the actions of `core::dialect::engine`, over HTTP and a WebSocket.
//!
//! It decides nothing. Cookies that the server sets go with what follows, as servers behind a balancer need.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_channel::mpsc as queue;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use url::Url;

use super::Network;
use super::cookies::{SharedJar, is_cookie};
use super::credit::{self, Credit};
use super::events::{DialCommand, Events};
use super::exchange::{
    Ask, ExchangeFailure, ExchangeFuture, HttpConnection, IdleConnections, exchange_future, within,
};
use super::link;
use super::redirects::followed;
use super::response::whole;
use crate::core::dialect::engine::{Action, Engine, EngineStart, Packets, PostReach};
use crate::core::io::{Answer, DialId, EngineTransports, LinkEnd, LinkEvent, Target, TransportKind};
use crate::wire::code::Code;
use crate::wire::record::ErrorInfo;
use crate::wire::rule::PARSED_WHOLE;

/// How long an answer may take; servers hold one until they have something, or ask whether we live.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long packets may be written after the core hung up.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// Events of the WebSocket that may wait here.
const MAX_EVENTS: usize = 64;
/// Commands that may wait for the WebSocket: more than the core hands out.
const MAX_COMMANDS: usize = 65_536;

type Answered = (Answer, Option<HttpConnection>);

/// Runs a dial by Engine.IO until it is over.
pub async fn run<W: From<(DialId, LinkEvent)> + Send + 'static>(
    network: Arc<Network>,
    target: Box<Target>,
    jar: SharedJar,
    commands: queue::Receiver<DialCommand>,
    events: Events<W>,
) {
    let TransportKind::Engine(transports) = target.transport.clone() else {
        return;
    };
    let start = EngineStart {
        stamp: now(),
        was_on_socket: jar.was_on_socket(),
    };
    let dial = EngineDial {
        engine: Engine::new(target.url.clone(), transports.clone(), target.max_message, start),
        transports,
        network,
        target: target.into(),
        events,
        getting: None,
        posting: None,
        idle: IdleConnections::default(),
        jar,
        socket: None,
        was_opened: false,
        paused: false,
    };
    dial.run(commands).await;
}

/// Microseconds since the epoch: no other dial of this session begins with the same.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0))
}

struct EngineDial<W> {
    engine: Engine,
    transports: EngineTransports,
    network: Arc<Network>,
    target: Arc<Target>,
    events: Events<W>,
    getting: Option<ExchangeFuture<Answered>>,
    posting: Option<ExchangeFuture<Answered>>,
    idle: IdleConnections,
    jar: SharedJar,
    socket: Option<EngineSocket>,
    /// The server has opened the session.
    was_opened: bool,
    paused: bool,
}

/// The WebSocket, a link of its own.
struct EngineSocket {
    commands: queue::Sender<DialCommand>,
    events: mpsc::Receiver<(DialId, LinkEvent)>,
    credit: Credit,
    task: AbortHandle,
}

impl Drop for EngineSocket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<W: From<(DialId, LinkEvent)> + Send + 'static> EngineDial<W> {
    async fn run(mut self, mut commands: queue::Receiver<DialCommand>) {
        loop {
            while let Some(action) = self.next_action().await {
                if !self.perform(action).await {
                    return;
                }
            }
            tokio::select! {
                command = commands.next() => match command {
                    Some(DialCommand::Transmit(packet)) => self.engine.transmit(packet),
                    Some(DialCommand::Pause) => self.pause(),
                    Some(DialCommand::Resume) => self.resume(),
                    Some(DialCommand::Ping(_) | DialCommand::Fetch(_)) => {}
                    Some(close @ DialCommand::Close { .. }) => {
                        if !self.engine.is_on_socket() {
                            return self.close_polling().await;
                        }
                        // Its end is this dial's.
                        self.command(close);
                    }
                    Some(DialCommand::HangUp { .. }) => return self.hang_up().await,
                    None => return,
                },
                answered = exchange_future(&mut self.getting) => {
                    self.getting = None;
                    match answered {
                        Ok(answered) => {
                            let answer = self.store_connection(answered);
                            self.engine.get_answered(&answer);
                        }
                        Err(fault) => self.engine.get_failed(fault.into_end(self.was_opened)),
                    }
                }
                answered = exchange_future(&mut self.posting) => self.posted(answered),
                event = next_event(&mut self.socket) => self.handle_socket_event(event),
            }
        }
    }

    /// What to do next. A large answer is read beside the loop: that takes long.
    async fn next_action(&mut self) -> Option<Action> {
        let Some(body) = self.engine.unread(PARSED_WHOLE) else {
            return self.engine.poll();
        };
        match tokio::task::spawn_blocking(|| Packets::decode(body)).await {
            Ok(packets) => {
                self.engine.read(packets);
                self.engine.poll()
            }
            Err(_) => Some(Action::End(LinkEnd {
                error: Some(ErrorInfo::new(Code::Internal, "an answer could not be read")),
                taken: u64::MAX,
                ..LinkEnd::default()
            })),
        }
    }

    /// Executes the engine's actions; `false` when it is over.
    async fn perform(&mut self, action: Action) -> bool {
        match action {
            Action::Get(url) => {
                let ask = Ask::get_once(url, self.transports.polling_requests.headers.clone());
                self.getting = Some(self.ask(ask));
            }
            Action::Post(url, body) => {
                self.posting = Some(self.post(url, body));
            }
            Action::OpenSocket(url) => self.open_socket(url),
            Action::Send(packet) => {
                if self.engine.is_on_socket() {
                    self.jar.remember_socket();
                }
                self.command(DialCommand::Transmit(packet));
            }
            Action::DropSocket => self.socket = None,
            Action::Opened => {
                self.was_opened = true;
                let opened = LinkEvent::Opened {
                    subprotocol: None,
                    extensions: None,
                };
                return self.events.send(opened).await;
            }
            Action::Packets(packets) => return self.events.messages(packets).await,
            Action::Written(count) => return self.events.send(LinkEvent::Written(count)).await,
            Action::End(end) => {
                tracing::debug!(error = ?end.error, "an Engine.IO session is over");
                if !self.was_opened {
                    self.jar.forget_socket();
                }
                self.events.send(LinkEvent::Ended(end)).await;
                return false;
            }
        }
        true
    }

    fn post(&mut self, url: Url, body: Bytes) -> ExchangeFuture<Answered> {
        let headers = self.transports.polling_requests.headers.clone();
        self.ask(Ask::post(url, headers, body, "text/plain;charset=UTF-8"))
    }

    fn ask(&mut self, ask: Ask) -> ExchangeFuture<Answered> {
        let time = self.transports.polling_requests.timeout.unwrap_or(ANSWER_TIMEOUT);
        let connection = self.idle.take(&ask.url);
        let (network, target, jar) = (self.network.clone(), self.target.clone(), self.jar.clone());
        let credit = self.events.credit.another();
        Box::pin(async move {
            let url = ask.url.clone();
            let exchange = async {
                let (response, connection) = followed(&network, &target, &jar, connection, ask).await?;
                whole(
                    response,
                    connection,
                    target.max_message.saturating_mul(2),
                    &credit,
                )
                .await
            };
            within(exchange, &target, (url, time)).await
        })
    }

    fn posted(&mut self, answered: Result<Answered, ExchangeFailure>) {
        self.posting = None;
        match answered {
            Ok(answered) => {
                let answer = self.store_connection(answered);
                self.engine.post_answered(&answer);
            }
            Err(fault) => {
                let reach = if fault.sent {
                    PostReach::MaybeSent
                } else {
                    PostReach::Unsent
                };
                self.engine.post_failed(fault.into_end(self.was_opened), reach);
            }
        }
    }

    /// Keeps the connection of an answer.
    fn store_connection(&mut self, (answer, connection): Answered) -> Answer {
        self.idle.put(connection);
        answer
    }

    fn open_socket(&mut self, url: Url) {
        let mut target = Target::clone(&self.target);
        target.url = url;
        target.transport = TransportKind::WebSocket;
        target.json = false;
        let own = &self.transports.websocket_requests.headers;
        let is_own = |name: &str| own.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        target
            .headers
            .retain(|(name, _)| is_cookie(name) || !is_own(name));
        target.headers.extend(own.iter().cloned());
        let (commands, inbox) = queue::channel(MAX_COMMANDS);
        let (tx, events) = mpsc::channel(MAX_EVENTS);
        let credit = self.events.credit.another();
        let to_us = Events::new(DialId(0), tx, credit.clone());
        let run = link::run(
            self.network.clone(),
            target.into(),
            self.jar.clone(),
            inbox,
            to_us,
        );
        self.socket = Some(EngineSocket {
            commands,
            events,
            credit,
            task: tokio::spawn(run).abort_handle(),
        });
        if self.paused {
            self.command(DialCommand::Pause);
        }
    }

    fn command(&mut self, command: DialCommand) {
        if let Some(socket) = &mut self.socket
            && let Err(refused) = socket.commands.try_send(command)
            && refused.is_full()
        {
            // The core breaks its own bound. The link cannot be kept whole.
            self.socket = None;
            self.engine.socket_ended(LinkEnd {
                taken: u64::MAX,
                ..LinkEnd::default()
            });
        }
    }

    fn pause(&mut self) {
        self.paused = true;
        self.engine.pause();
        self.command(DialCommand::Pause);
    }

    fn resume(&mut self) {
        self.paused = false;
        self.engine.resume();
        self.command(DialCommand::Resume);
    }

    fn handle_socket_event(&mut self, event: Option<LinkEvent>) {
        match event {
            Some(LinkEvent::Opened { .. }) => self.engine.socket_opened(),
            Some(LinkEvent::Messages(messages)) => {
                if let Some(socket) = &self.socket {
                    socket.credit.give_back(credit::cost(&messages));
                }
                self.engine.socket_messages(messages);
            }
            Some(LinkEvent::Written(count)) => self.engine.socket_wrote(count),
            Some(LinkEvent::Ended(end)) => {
                self.socket = None;
                self.engine.socket_ended(end);
            }
            Some(_) => {}
            None => {
                self.socket = None;
                self.engine.socket_ended(LinkEnd::default());
            }
        }
    }

    /// Ends polling with a close packet; there is no other answer to it than the POST's.
    async fn close_polling(mut self) {
        self.post_remaining().await;
        self.events.send(LinkEvent::Ended(LinkEnd::default())).await;
    }

    /// Writes what was handed over, for a while; the server notices the end by itself.
    async fn hang_up(mut self) {
        let socket = self.socket.take().filter(|_| self.engine.is_on_socket());
        if let Some(mut socket) = socket {
            let hang_up = DialCommand::HangUp {
                code: 1000,
                reason: String::new(),
            };
            if socket.commands.try_send(hang_up).is_ok() {
                let remaining = async { while socket.events.recv().await.is_some() {} };
                let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, remaining).await;
            }
            return;
        }
        self.post_remaining().await;
    }

    /// Posts what was handed over, and that the session is over.
    async fn post_remaining(&mut self) {
        let remaining = async {
            let mut actions = VecDeque::new();
            // The question that is open meanwhile stays open: a server takes its end for a fault.
            self.engine.leave();
            loop {
                actions.extend(std::iter::from_fn(|| self.engine.poll()));
                while let Some(action) = actions.pop_front() {
                    if let Action::Post(url, body) = action {
                        self.posting = Some(self.post(url, body));
                    }
                }
                if self.posting.is_none() {
                    return;
                }
                let answered = exchange_future(&mut self.posting).await;
                self.posted(answered);
            }
        };
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, remaining).await;
    }
}

async fn next_event(socket: &mut Option<EngineSocket>) -> Option<LinkEvent> {
    match socket {
        Some(socket) => socket.events.recv().await.map(|(_, event)| event),
        None => std::future::pending().await,
    }
}
