//! One dial over HTTP: one request for messages at a time, one POST at a time, and a body that may stream without end.
//!
//! It decides nothing: when to send a request, what an answer means and whether to reconnect is the core's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::mpsc as queue;
use futures_util::StreamExt as _;
use hyper::body::Incoming;

use super::cookies::SharedJar;
use super::credit::Credit;
use super::decode::{Broken, DecodedBody};
use super::events::{DialCommand, Events};
use super::exchange::{
    Ask, ExchangeFailure, ExchangeFuture, HttpConnection, IdleConnections, ended, exchange_future, within,
};
use super::redirects::followed;
use super::response::{answer_of, undecodable, whole};
use super::{Network, handshake};
use crate::core::dialect::engine::PostReach;
use crate::core::io::{Answer, DialId, Fetch, LinkEnd, LinkEvent, Target, TransportKind};
use crate::wire::code::Code;
use crate::wire::payload::Payload;

/// How long the answer to a POST may take.
const POST_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a POST's answer that are read.
const MAX_POST_ANSWER_BYTES: usize = 64 * 1024;
/// How long posts may go on after the core hung up.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// What came of a `Fetch`.
enum Fetched {
    Whole(Box<Answer>, Option<HttpConnection>),
    Streaming(Box<Answer>, Box<DecodedBody>, HttpConnection),
}

/// What came of a POST.
type Posted = (Answer, Option<HttpConnection>);

/// Why a dial stops.
enum HttpStop {
    /// The core gets this end.
    Ended(LinkEnd, PostReach),
    /// The core hung up: what waits is still posted.
    HungUp,
    /// The receiver of events is gone.
    Dropped,
}

/// Runs a dial over HTTP until it is over.
pub async fn run<W: From<(DialId, LinkEvent)> + Send + 'static>(
    network: Arc<Network>,
    target: Box<Target>,
    jar: SharedJar,
    commands: queue::Receiver<DialCommand>,
    events: Events<W>,
) {
    let dial = HttpDial {
        network,
        target: target.into(),
        jar,
        events,
        fetching: None,
        posting: None,
        waiting: VecDeque::new(),
        posted: 0,
        refused: false,
        idle: IdleConnections::default(),
        stream: None,
        was_answered: false,
        paused: false,
    };
    dial.run(commands).await;
}

struct HttpDial<W> {
    network: Arc<Network>,
    target: Arc<Target>,
    jar: SharedJar,
    events: Events<W>,
    fetching: Option<ExchangeFuture<Fetched>>,
    posting: Option<ExchangeFuture<Posted>>,
    /// Messages that wait for their POST.
    waiting: VecDeque<Payload>,
    /// Messages that were posted and answered.
    posted: u64,
    /// A message was not taken: nothing is posted behind it.
    refused: bool,
    idle: IdleConnections,
    stream: Option<(Box<DecodedBody>, HttpConnection)>,
    /// A request was answered.
    was_answered: bool,
    paused: bool,
}

impl<W: From<(DialId, LinkEvent)> + Send + 'static> HttpDial<W> {
    async fn run(mut self, commands: queue::Receiver<DialCommand>) {
        match self.serve(commands).await {
            HttpStop::Ended(end, reach) => self.end(end, reach).await,
            HttpStop::HungUp => self.finish_posts().await,
            HttpStop::Dropped => {}
        }
    }

    /// Runs until there is a reason to stop.
    async fn serve(&mut self, mut commands: queue::Receiver<DialCommand>) -> HttpStop {
        loop {
            self.post_next();
            let step = tokio::select! {
                command = commands.next() => self.command(command),
                fetched = exchange_future(&mut self.fetching) => self.fetched(fetched).await,
                posted = exchange_future(&mut self.posting) => self.posted(posted).await,
                piece = async {
                    self.events.room().await;
                    next_piece(&mut self.stream).await
                }, if !self.paused && self.stream.is_some() => self.streamed(piece).await,
            };
            if let Err(stop) = step {
                return stop;
            }
        }
    }

    fn command(&mut self, command: Option<DialCommand>) -> Result<(), HttpStop> {
        match command {
            Some(DialCommand::Fetch(fetch)) => self.fetch(*fetch),
            Some(DialCommand::Transmit(payload)) => self.waiting.push_back(payload),
            Some(DialCommand::Pause) => self.paused = true,
            Some(DialCommand::Resume) => self.paused = false,
            Some(DialCommand::Ping(_)) => {}
            // Posts are answered one by one, so there is nothing left to wait for.
            Some(DialCommand::Close { .. }) => {
                return Err(HttpStop::Ended(LinkEnd::default(), PostReach::Unsent));
            }
            Some(DialCommand::HangUp { .. }) => return Err(HttpStop::HungUp),
            None => return Err(HttpStop::Dropped),
        }
        Ok(())
    }

    async fn fetched(&mut self, fetched: Result<Fetched, ExchangeFailure>) -> Result<(), HttpStop> {
        self.fetching = None;
        let event = match fetched {
            Ok(Fetched::Whole(answer, connection)) => {
                self.idle.put(connection);
                LinkEvent::Answered(answer)
            }
            Ok(Fetched::Streaming(answer, body, connection)) => {
                self.stream = Some((body, connection));
                LinkEvent::Answered(answer)
            }
            Err(fault) => {
                return Err(HttpStop::Ended(
                    fault.into_end(self.was_answered),
                    PostReach::Unsent,
                ));
            }
        };
        self.was_answered = true;
        self.report(event).await
    }

    async fn posted(&mut self, posted: Result<Posted, ExchangeFailure>) -> Result<(), HttpStop> {
        self.posting = None;
        match posted {
            Ok((answer, connection)) => {
                // The core ends this dial, and what follows goes by the next.
                self.refused |= answer.is_not_now();
                self.posted += 1;
                self.idle.put(connection);
                self.report(LinkEvent::Posted(self.posted, answer.into())).await
            }
            Err(fault) => {
                let reach = if fault.sent {
                    PostReach::MaybeSent
                } else {
                    PostReach::Unsent
                };
                Err(HttpStop::Ended(fault.into_end(self.was_answered), reach))
            }
        }
    }

    async fn streamed(&mut self, piece: Option<Result<Bytes, Broken>>) -> Result<(), HttpStop> {
        let (code, why) = match piece {
            Some(Ok(bytes)) => {
                return if self.events.stream(bytes).await {
                    Ok(())
                } else {
                    Err(HttpStop::Dropped)
                };
            }
            Some(Err(Broken::Http(error))) => {
                let why = handshake::describe(&error);
                (Code::LinkLost, format!("the stream broke: {why}"))
            }
            Some(Err(Broken::Coding(why))) => (Code::LinkLost, format!("the stream broke: {why}")),
            None => (Code::ClosedByServer, "the server closed the stream".to_owned()),
        };
        Err(HttpStop::Ended(ended(code, why), PostReach::Unsent))
    }

    async fn report(&mut self, event: LinkEvent) -> Result<(), HttpStop> {
        if self.events.send(event).await {
            Ok(())
        } else {
            Err(HttpStop::Dropped)
        }
    }

    fn fetch(&mut self, fetch: Fetch) {
        let Fetch {
            url,
            headers,
            timeout,
            streaming,
        } = fetch;
        let ask = Ask::get(url, headers);
        let connection = self.idle.take(&ask.url);
        let (network, target, jar) = (self.network.clone(), self.target.clone(), self.jar.clone());
        let credit = self.events.credit.another();
        self.fetching = Some(Box::pin(async move {
            let fresh = (ask.url.clone(), timeout);
            let exchange = async {
                let (response, connection) = followed(&network, &target, &jar, connection, ask).await?;
                if streaming && response.status() == http::StatusCode::OK && !is_page(&response) {
                    let (head, body) = response.into_parts();
                    let answer = answer_of(&head.headers, head.status.as_u16());
                    let body = DecodedBody::new(body, &head.headers)
                        .map_err(|why| undecodable(&connection.place, why))?;
                    return Ok(Fetched::Streaming(answer.into(), body.into(), connection));
                }
                let (answer, connection) = whole(response, connection, target.max_message, &credit).await?;
                Ok(Fetched::Whole(answer.into(), connection))
            };
            let fetched = within(exchange, &target, fresh).await;
            fetched.map_err(|fault| if streaming { fault.of_stream() } else { fault })
        }));
    }

    fn post_next(&mut self) {
        if self.posting.is_some() || self.refused {
            return;
        }
        let TransportKind::Http {
            post: Some((url, headers)),
        } = &self.target.transport
        else {
            return;
        };
        let Some(payload) = self.waiting.pop_front() else {
            return;
        };
        let content = match payload {
            Payload::Text(_) => "text/plain;charset=UTF-8",
            Payload::Binary(_) => "application/octet-stream",
            Payload::Json(_) | Payload::Event(_) => "application/json",
        };
        let ask = Ask::post(url.clone(), headers.clone(), payload.bytes().clone(), content);
        let connection = self.idle.take(&ask.url);
        let (network, target, jar) = (self.network.clone(), self.target.clone(), self.jar.clone());
        self.posting = Some(Box::pin(async move {
            let fresh = (ask.url.clone(), POST_TIMEOUT);
            let exchange = async {
                let (response, connection) = followed(&network, &target, &jar, connection, ask).await?;
                whole(response, connection, MAX_POST_ANSWER_BYTES, &Credit::default()).await
            };
            within(exchange, &target, fresh).await
        }));
    }

    /// Reports the end.
    async fn end(self, mut end: LinkEnd, reach: PostReach) {
        let may_be_read = reach == PostReach::MaybeSent || self.posting.is_some();
        end.taken = self.posted + u64::from(may_be_read);
        tracing::debug!(error = ?end.error, "a link over HTTP is over");
        self.events.send(LinkEvent::Ended(end)).await;
    }

    /// Posts what was handed over, for a limited time.
    async fn finish_posts(mut self) {
        self.fetching = None;
        self.stream = None;
        let remaining = async {
            loop {
                self.post_next();
                if self.posting.is_none() {
                    return;
                }
                let posted = exchange_future(&mut self.posting).await;
                self.posting = None;
                match posted {
                    Ok((_, connection)) => self.idle.put(connection),
                    Err(_) => return,
                }
            }
        };
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, remaining).await;
    }
}

/// Whether the answer is a page, which ends, and whose title is reported.
fn is_page(response: &http::Response<Incoming>) -> bool {
    let kind = response.headers().get(http::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/html"))
}

async fn next_piece(
    stream: &mut Option<(Box<DecodedBody>, HttpConnection)>,
) -> Option<Result<Bytes, Broken>> {
    match stream {
        Some((body, _)) => body.next().await,
        None => None,
    }
}
