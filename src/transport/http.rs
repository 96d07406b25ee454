//! One dial over HTTP: questions are asked one at a time, messages are posted one at a time, a body may stream without end.
//!
//! It decides nothing: when to ask, what an answer means and whether to come back is the core's. Redirects are
//! followed by event streams only.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::mpsc as queue;
use futures_util::StreamExt as _;
use hyper::body::Incoming;

use super::cookies::SharedJar;
use super::credit::Credit;
use super::decode::{Body, Broken};
use super::events::{Command, Events};
use super::exchange::{
    Ask, Fault, Headed, Job, Lane, Lanes, answer_of, ended, exchange, job, undecodable, whole, within,
};
use super::{Network, handshake};
use crate::core::io::{Answer, DialId, Fetch, LinkEnd, LinkEvent, Target, TransportKind};
use crate::wire::code::Code;
use crate::wire::payload::Payload;

/// How long the answer to a POST may take.
const POST: Duration = Duration::from_secs(60);
/// Bytes of a POST's answer that are kept.
const POST_BODY: usize = 64 * 1024;
/// How long posts may go on after the core hung up.
const FAREWELL: Duration = Duration::from_secs(2);
/// Redirects that are followed, as in browsers.
const MAX_REDIRECTS: usize = 20;
/// What came of a question.
enum Asked {
    Whole(Box<Answer>, Option<Lane>),
    Streaming(Box<Answer>, Box<Body>, Lane),
}

/// Runs a dial over HTTP until it is over.
pub async fn run<W: From<(DialId, LinkEvent)> + Send + 'static>(
    network: Arc<Network>,
    target: Box<Target>,
    jar: SharedJar,
    commands: queue::Receiver<Command>,
    events: Events<W>,
) {
    let dial = Dial {
        network,
        target: target.into(),
        jar,
        events,
        asking: None,
        posting: None,
        waiting: VecDeque::new(),
        posted: 0,
        refused: false,
        lanes: Lanes::default(),
        stream: None,
        stood: false,
        paused: false,
    };
    dial.run(commands).await;
}

struct Dial<W> {
    network: Arc<Network>,
    target: Arc<Target>,
    jar: SharedJar,
    events: Events<W>,
    asking: Option<Job<Asked>>,
    posting: Option<Job<(Answer, Option<Lane>)>>,
    /// Messages that wait for their POST.
    waiting: VecDeque<Payload>,
    /// Messages that were posted and answered.
    posted: u64,
    /// A message was not taken: nothing is posted behind it.
    refused: bool,
    lanes: Lanes,
    stream: Option<(Box<Body>, Lane)>,
    /// A question was answered.
    stood: bool,
    paused: bool,
}

impl<W: From<(DialId, LinkEvent)> + Send + 'static> Dial<W> {
    async fn run(mut self, mut commands: queue::Receiver<Command>) {
        loop {
            self.post_next();
            tokio::select! {
                command = commands.next() => match command {
                    Some(Command::Fetch(fetch)) => self.ask(*fetch),
                    Some(Command::Transmit(payload)) => self.waiting.push_back(payload),
                    Some(Command::Pause) => self.paused = true,
                    Some(Command::Resume) => self.paused = false,
                    Some(Command::Ping(_)) => {}
                    // Posts are answered one by one, so there is nothing left to wait for.
                    Some(Command::Close { .. }) => return self.end(LinkEnd::default(), false).await,
                    Some(Command::HangUp { .. }) => return self.farewell().await,
                    None => return,
                },
                asked = job(&mut self.asking) => {
                    self.asking = None;
                    let event = match asked {
                        Ok(Asked::Whole(answer, lane)) => {
                            self.lanes.put(lane);
                            LinkEvent::Answered(answer)
                        }
                        Ok(Asked::Streaming(answer, body, lane)) => {
                            self.stream = Some((body, lane));
                            LinkEvent::Answered(answer)
                        }
                        Err(fault) => {
                            let end = fault.into_end(self.stood);
                            return self.end(end, false).await;
                        }
                    };
                    self.stood = true;
                    if !self.events.tell(event).await {
                        return;
                    }
                }
                posted = job(&mut self.posting) => {
                    self.posting = None;
                    match posted {
                        Ok((answer, lane)) => {
                            // The core ends this dial, and what follows goes by the next.
                            self.refused |= answer.is_not_now();
                            self.posted += 1;
                            self.lanes.put(lane);
                            if !self.events.tell(LinkEvent::Posted(self.posted, answer.into())).await {
                                return;
                            }
                        }
                        Err(fault) => {
                            let sent = fault.sent;
                            let end = fault.into_end(self.stood);
                            return self.end(end, sent).await;
                        }
                    }
                }
                piece = async {
                    self.events.room().await;
                    next_piece(&mut self.stream).await
                }, if !self.paused && self.stream.is_some() => match piece {
                    Some(Ok(bytes)) => {
                        if !self.events.stream(bytes).await {
                            return;
                        }
                    }
                    Some(Err(error)) => {
                        let why = match error {
                            Broken::Http(error) => handshake::describe(&error),
                            Broken::Coding(why) => why.to_owned(),
                        };
                        let why = format!("the stream broke: {why}");
                        return self.end(ended(Code::LinkLost, why), false).await;
                    }
                    None => {
                        let why = "the server closed the stream".to_owned();
                        return self.end(ended(Code::ClosedByServer, why), false).await;
                    }
                },
            }
        }
    }

    fn ask(&mut self, fetch: Fetch) {
        let Fetch {
            url,
            headers,
            timeout,
            streaming,
        } = fetch;
        let ask = Ask::get(url, headers);
        let lane = self.lanes.take(&ask.url);
        let (network, target, jar) = (self.network.clone(), self.target.clone(), self.jar.clone());
        let credit = self.events.credit.another();
        self.asking = Some(Box::pin(async move {
            let fresh = (ask.url.clone(), timeout);
            let exchange = async {
                let (response, lane) = if streaming {
                    followed(&network, &target, &jar, lane, ask).await?
                } else {
                    exchange(&network, &target, &jar, lane, ask).await?
                };
                if streaming && response.status() == http::StatusCode::OK && !is_page(&response) {
                    let (head, body) = response.into_parts();
                    let answer = answer_of(&head.headers, head.status.as_u16());
                    let body = Body::new(body, &head.headers).map_err(|why| undecodable(&lane.place, why))?;
                    return Ok(Asked::Streaming(answer.into(), body.into(), lane));
                }
                let (answer, lane) = whole(response, lane, target.max_message, &credit).await?;
                Ok(Asked::Whole(answer.into(), lane))
            };
            let asked = within(exchange, &target, fresh).await;
            asked.map_err(|fault| if streaming { fault.of_stream() } else { fault })
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
        let lane = self.lanes.take(&ask.url);
        let (network, target, jar) = (self.network.clone(), self.target.clone(), self.jar.clone());
        self.posting = Some(Box::pin(async move {
            let fresh = (ask.url.clone(), POST);
            let exchange = async {
                let (response, lane) = exchange(&network, &target, &jar, lane, ask).await?;
                whole(response, lane, POST_BODY, &Credit::default()).await
            };
            within(exchange, &target, fresh).await
        }));
    }

    /// Says the last word. `sent`: the message whose POST failed may have been read.
    async fn end(self, mut end: LinkEnd, sent: bool) {
        end.taken = self.posted + u64::from(sent || self.posting.is_some());
        tracing::debug!(error = ?end.error, "a link over HTTP is over");
        self.events.tell(LinkEvent::Ended(end)).await;
    }

    /// Posts what was handed over, for a while.
    async fn farewell(mut self) {
        self.asking = None;
        self.stream = None;
        let rest = async {
            loop {
                self.post_next();
                if self.posting.is_none() {
                    return;
                }
                let posted = job(&mut self.posting).await;
                self.posting = None;
                match posted {
                    Ok((_, lane)) => self.lanes.put(lane),
                    Err(_) => return,
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, rest).await;
    }
}

/// The answer behind redirects, followed as `EventSource` does. Each URL is judged like the first; another origin is not
/// sent what the extension gave for this one.
async fn followed(
    network: &Network,
    target: &Target,
    jar: &SharedJar,
    lane: Option<Lane>,
    mut ask: Ask,
) -> Result<Headed, Fault> {
    let first = ask.url.clone();
    let mut lane = lane;
    for _ in 0..MAX_REDIRECTS {
        let is_home = same_origin(&ask.url, &first);
        let (response, used) = if is_home {
            exchange(network, target, jar, lane.take(), ask.clone()).await?
        } else {
            let mut foreign = target.clone();
            foreign
                .headers
                .retain(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
            exchange(network, &foreign, &SharedJar::empty(), None, ask.clone()).await?
        };
        let Some(next) = redirected(&response, &ask.url) else {
            return Ok((response, used));
        };
        ask.url = next;
    }
    exchange(network, target, jar, None, ask).await
}

/// Browsers compare origins as of HTTP: `ws` is `http`.
fn same_origin(one: &url::Url, other: &url::Url) -> bool {
    let secure = |url: &url::Url| matches!(url.scheme(), "wss" | "https");
    secure(one) == secure(other)
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Where an answer sends its reader; nothing for what is no redirect.
fn redirected(response: &http::Response<Incoming>, from: &url::Url) -> Option<url::Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(http::header::LOCATION)?.to_str().ok()?;
    let mut next = from.join(location).ok()?;
    next.set_fragment(None);
    matches!(next.scheme(), "ws" | "wss" | "http" | "https").then_some(next)
}

/// Whether the answer is a page, which ends, and whose title is told.
fn is_page(response: &http::Response<Incoming>) -> bool {
    let kind = response.headers().get(http::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/html"))
}

async fn next_piece(stream: &mut Option<(Box<Body>, Lane)>) -> Option<Result<Bytes, Broken>> {
    match stream {
        Some((body, _)) => body.next().await,
        None => None,
    }
}
