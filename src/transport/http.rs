//! One dial over HTTP: questions are asked one at a time, messages are posted one at a time, a body may stream without end.
//!
//! It decides nothing: when to ask, what an answer means and whether to come back is the core's. It follows no
//! redirect and keeps no cookie.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_channel::mpsc as queue;
use futures_util::StreamExt as _;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use url::Url;

use super::events::{Command, Events};
use super::{DialError, Network, Place, date, handshake, place};
use crate::core::io::{Answer, DialId, Fetch, LinkEnd, LinkEvent, Road, Target};
use crate::wire::code::Code;
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;

/// How long the answer to a POST may take.
const POST: Duration = Duration::from_secs(60);
/// Bytes of a POST's answer that are kept.
const POST_BODY: usize = 64 * 1024;
/// How long posts may go on after the core hung up.
const FAREWELL: Duration = Duration::from_secs(2);
/// Bytes of an answer's head that are accepted.
const HEAD: usize = 64 * 1024;

/// A connection that can carry one exchange after the other. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Lane {
    sender: http1::SendRequest<Full<Bytes>>,
    place: Place,
    secure: bool,
    driver: AbortHandle,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why there was no answer.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: DialError,
    /// Something of the request may have left.
    pub(super) sent: bool,
}

impl Fault {
    const fn unsent(error: DialError) -> Self {
        Self { error, sent: false }
    }

    /// The end of the link. `stood`: there was an answer before, so that a connection that breaks is no handshake.
    pub(super) fn into_end(self, stood: bool) -> LinkEnd {
        match self.error {
            DialError::Handshake { place, why } if stood => {
                ended(Code::LinkLost, format!("the link with {place} was lost: {why}"))
            }
            error => error.into_end(),
        }
    }
}

/// What is asked: method, URL, headers beside the target's, body.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// Given as `Content-Type` unless a header says otherwise.
    pub(super) content: Option<&'static str>,
    /// Asking twice does no harm.
    repeatable: bool,
}

impl Ask {
    pub(super) const fn get(url: Url, headers: Vec<(String, String)>) -> Self {
        Self {
            method: Method::GET,
            url,
            headers,
            body: Bytes::new(),
            content: None,
            repeatable: true,
        }
    }

    /// A question whose answer the server gives once: asked again, it would pass over what was lost.
    pub(super) const fn get_once(url: Url, headers: Vec<(String, String)>) -> Self {
        let mut ask = Self::get(url, headers);
        ask.repeatable = false;
        ask
    }

    pub(super) const fn post(
        url: Url,
        headers: Vec<(String, String)>,
        body: Bytes,
        content: &'static str,
    ) -> Self {
        Self {
            method: Method::POST,
            url,
            headers,
            body,
            content: Some(content),
            repeatable: false,
        }
    }
}

/// Connections that may be used again: one for questions, one for posts.
#[derive(Debug, Default)]
pub(super) struct Lanes(Vec<Lane>);

impl Lanes {
    /// One that leads to this URL's host, if there is any; the one used last, as servers end those that rest.
    pub(super) fn take(&mut self, url: &Url) -> Option<Lane> {
        let (place, secure) = place(url).ok()?;
        self.0.retain(|lane| !lane.sender.is_closed());
        let fits = |lane: &Lane| lane.place == place && lane.secure == secure;
        let index = self.0.iter().rposition(fits)?;
        Some(self.0.remove(index))
    }

    pub(super) fn put(&mut self, lane: Option<Lane>) {
        self.0.extend(lane);
    }
}

/// An answer's head, its body unread.
type Headed = (Response<Incoming>, Lane);
pub(super) type Job<T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>;

/// What came of a question.
enum Asked {
    Whole(Box<Answer>, Option<Lane>),
    Streaming(Box<Answer>, Incoming, Lane),
}

/// Runs a dial over HTTP until it is over.
pub async fn run<W: From<(DialId, LinkEvent)> + Send + 'static>(
    network: Arc<Network>,
    target: Box<Target>,
    commands: queue::Receiver<Command>,
    events: Events<W>,
) {
    let dial = Dial {
        network,
        target: target.into(),
        events,
        asking: None,
        posting: None,
        waiting: VecDeque::new(),
        posted: 0,
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
    events: Events<W>,
    asking: Option<Job<Asked>>,
    posting: Option<Job<(Answer, Option<Lane>)>>,
    /// Messages that wait for their POST.
    waiting: VecDeque<Payload>,
    /// Messages that were posted and answered.
    posted: u64,
    lanes: Lanes,
    stream: Option<(Incoming, Lane)>,
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
                frame = async {
                    self.events.room().await;
                    next_frame(&mut self.stream).await
                }, if !self.paused && self.stream.is_some() => match frame {
                    Some(Ok(frame)) => {
                        if let Ok(bytes) = frame.into_data()
                            && !self.events.stream(bytes).await
                        {
                            return;
                        }
                    }
                    Some(Err(error)) => {
                        let why = format!("the stream broke: {}", handshake::describe(&error));
                        return self.end(ended(Code::LinkLost, why), false).await;
                    }
                    None => {
                        let why = "the server ended the stream".to_owned();
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
        let (network, target) = (self.network.clone(), self.target.clone());
        self.asking = Some(Box::pin(async move {
            let fresh = (ask.url.clone(), timeout);
            let exchange = async {
                let (response, lane) = exchange(&network, &target, lane, ask).await?;
                if streaming && response.status() == http::StatusCode::OK {
                    let (head, body) = response.into_parts();
                    let answer = answer_of(&head.headers, head.status.as_u16());
                    return Ok(Asked::Streaming(answer.into(), body, lane));
                }
                let (answer, lane) = whole(response, lane, target.max_message).await?;
                Ok(Asked::Whole(answer.into(), lane))
            };
            within(exchange, &target, fresh).await
        }));
    }

    fn post_next(&mut self) {
        if self.posting.is_some() {
            return;
        }
        let Road::Http {
            post: Some((url, headers)),
        } = &self.target.road
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
        let (network, target) = (self.network.clone(), self.target.clone());
        self.posting = Some(Box::pin(async move {
            let fresh = (ask.url.clone(), POST);
            let exchange = async {
                let (response, lane) = exchange(&network, &target, lane, ask).await?;
                whole(response, lane, POST_BODY).await
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

/// Waits for a job; for ever if there is none.
pub(super) async fn job<T>(job: &mut Option<Job<T>>) -> Result<T, Fault> {
    match job {
        Some(job) => job.await,
        None => std::future::pending().await,
    }
}

async fn next_frame(
    stream: &mut Option<(Incoming, Lane)>,
) -> Option<Result<hyper::body::Frame<Bytes>, hyper::Error>> {
    match stream {
        Some((body, _)) => body.frame().await,
        None => None,
    }
}

fn ended(code: Code, why: String) -> LinkEnd {
    LinkEnd {
        error: Some(ErrorInfo::new(code, why)),
        ..LinkEnd::default()
    }
}

/// An exchange and its time; connecting has its own on top.
pub(super) async fn within<T>(
    exchange: impl Future<Output = Result<T, Fault>>,
    target: &Target,
    (url, time): (Url, Duration),
) -> Result<T, Fault> {
    let after = time + target.connect_timeout;
    match tokio::time::timeout(after, exchange).await {
        Ok(result) => result,
        Err(_) => Err(Fault {
            sent: true,
            error: match place(&url) {
                Ok((place, _)) => DialError::Timeout {
                    place,
                    after,
                    stage: "the answer",
                },
                Err(error) => error,
            },
        }),
    }
}

/// Sends a request, on this lane if it still lives, and waits for the answer's head.
pub(super) async fn exchange(
    network: &Network,
    target: &Target,
    lane: Option<Lane>,
    ask: Ask,
) -> Result<Headed, Fault> {
    let mut used = lane;
    loop {
        let was_used = used.is_some();
        let mut lane = match used.take() {
            Some(lane) => lane,
            None => open(network, target, &ask.url).await.map_err(Fault::unsent)?,
        };
        let request = request(target, &lane.place, &ask).map_err(Fault::unsent)?;
        let result = match lane.sender.ready().await {
            Ok(()) => lane.sender.try_send_request(request).await,
            Err(_) if was_used => continue,
            Err(error) => return Err(Fault::unsent(broken(&lane.place, &error))),
        };
        match result {
            Ok(response) => return Ok((response, lane)),
            Err(mut failed) => {
                let unsent = failed.take_message().is_some();
                // A kept connection may end at any moment.
                if was_used && (unsent || ask.repeatable) {
                    continue;
                }
                return Err(Fault {
                    error: broken(&lane.place, failed.error()),
                    sent: !unsent,
                });
            }
        }
    }
}

async fn open(network: &Network, target: &Target, url: &Url) -> Result<Lane, DialError> {
    let (place, secure) = place(url)?;
    let stream = network.connect(target, url).await?;
    let (sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_headers(256)
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&place, &error))?;
    // Its faults reach whoever waits for an answer.
    let driver = tokio::spawn(async move {
        let _ = connection.await;
    })
    .abort_handle();
    Ok(Lane {
        sender,
        place,
        secure,
        driver,
    })
}

fn broken(place: &Place, error: &hyper::Error) -> DialError {
    let place = place.clone();
    match handshake::tls_fault(error) {
        Some(why) => DialError::Tls { place, why },
        None => DialError::Handshake {
            place,
            why: handshake::describe(error),
        },
    }
}

fn request(target: &Target, place: &Place, ask: &Ask) -> Result<Request<Full<Bytes>>, DialError> {
    let path = match ask.url.query() {
        Some(query) => format!("{}?{query}", ask.url.path()),
        None => ask.url.path().to_owned(),
    };
    let mut request = Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = ask.method.clone();
    *request.uri_mut() = path
        .parse()
        .map_err(|_| DialError::Request("the URL's path or query cannot stand in a request".to_owned()))?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, handshake::host(&ask.url, place)?);
    for (name, value) in &target.headers {
        let (name, value) = handshake::read_header(name, value)?;
        headers.append(name, value);
    }
    for (name, value) in &ask.headers {
        let (name, value) = handshake::read_header(name, value)?;
        headers.insert(name, value);
    }
    if let Some(content) = ask.content
        && !headers.contains_key(header::CONTENT_TYPE)
    {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    }
    if let Some(value) = handshake::credentials(&ask.url, headers)? {
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

/// Reads a body of at most `most` bytes; the lane, if it can be used again.
pub(super) async fn whole(
    response: Response<Incoming>,
    lane: Lane,
    most: usize,
) -> Result<(Answer, Option<Lane>), Fault> {
    let (head, mut body) = response.into_parts();
    let mut answer = answer_of(&head.headers, head.status.as_u16());
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Fault {
            error: broken(&lane.place, &error),
            sent: true,
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > most {
            answer.too_large = true;
            return Ok((answer, None));
        }
        read.extend_from_slice(&data);
    }
    answer.body = read.freeze();
    Ok((answer, Some(lane)))
}

fn answer_of(headers: &HeaderMap, status: u16) -> Answer {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    Answer {
        status,
        headers: headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect(),
        retry_after: text(header::RETRY_AFTER).and_then(|value| date::retry_after(value, text(header::DATE))),
        body: Bytes::new(),
        too_large: false,
    }
}
