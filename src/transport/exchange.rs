//! One request over HTTP and the head of its response, on a connection that may be reused.
//!
//! It follows no redirect; `redirects` does. `response` reads bodies. Cookies are `cookies`'. What to request when is decided by `http` and `engine`.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use url::Url;

use super::cookies::{SharedJar, is_cookie};
use super::decode;
use super::request_headers::{credentials, host, introduce, read_header, request_target};
use super::spelling::{Spelled, Spelling};
use super::{DialError, Network, Place, handshake, place};
use crate::core::io::{LinkEnd, Target};
use crate::wire::code::Code;
use crate::wire::record::ErrorInfo;

/// What is waited for once a request is sent.
const ANSWER: &str = "the answer";

/// A connection that can carry one exchange after the other. Dropping it ends it.
#[derive(Debug)]
pub(super) struct HttpConnection {
    sender: http1::SendRequest<Full<Bytes>>,
    pub(super) place: Place,
    secure: bool,
    driver: AbortHandle,
    spelling: Spelling,
}

impl HttpConnection {
    /// Whether it can carry a request for this URL.
    pub(super) fn leads_to(&self, url: &Url) -> bool {
        place(url).is_ok_and(|(place, secure)| self.place == place && self.secure == secure)
    }
}

impl Drop for HttpConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why there was no answer.
#[derive(Debug)]
pub(super) struct ExchangeFailure {
    pub(super) error: DialError,
    /// Something of the request may have left.
    pub(super) sent: bool,
}

impl ExchangeFailure {
    const fn unsent(error: DialError) -> Self {
        Self { error, sent: false }
    }

    /// The same, of an event stream: what usually keeps its head away is named.
    pub(super) fn of_stream(mut self) -> Self {
        if let DialError::Timeout { stage, .. } = &mut self.error
            && *stage == ANSWER
        {
            *stage = "the response head of the event stream; a buffering proxy may hold it back until the first event (nginx: \
                      `proxy_buffering off`, or the response header `X-Accel-Buffering: no`)";
        }
        self
    }

    /// Redirects that lead from one to the next without end.
    pub(super) fn too_many_redirects(url: &Url, followed: usize) -> Self {
        let error = match place(url) {
            Ok((place, _)) => DialError::Handshake {
                place,
                why: format!("it redirects again and again; {followed} redirects were followed"),
            },
            Err(error) => error,
        };
        Self { error, sent: true }
    }

    /// The end of the link. `was_answered`: there was an answer before, so that a connection that breaks is no failed handshake.
    pub(super) fn into_end(self, was_answered: bool) -> LinkEnd {
        match self.error {
            DialError::Handshake { place, why } if was_answered => {
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

/// Connections that may be used again: one for requests, one for posts.
#[derive(Debug, Default)]
pub(super) struct IdleConnections(Vec<HttpConnection>);

impl IdleConnections {
    /// One that leads to this URL's host, if there is any; the one used last, as servers close idle ones.
    pub(super) fn take(&mut self, url: &Url) -> Option<HttpConnection> {
        self.0.retain(|connection| !connection.sender.is_closed());
        let index = self.0.iter().rposition(|connection| connection.leads_to(url))?;
        Some(self.0.remove(index))
    }

    pub(super) fn put(&mut self, connection: Option<HttpConnection>) {
        self.0.extend(connection);
    }
}

/// An answer's head, its body unread.
pub(super) type Headed = (Response<Incoming>, HttpConnection);

/// An exchange that goes on.
pub(super) type ExchangeFuture<T> = Pin<Box<dyn Future<Output = Result<T, ExchangeFailure>> + Send>>;

/// Waits for a job; for ever if there is none.
pub(super) async fn exchange_future<T>(
    exchange_future: &mut Option<ExchangeFuture<T>>,
) -> Result<T, ExchangeFailure> {
    match exchange_future {
        Some(exchange_future) => exchange_future.await,
        None => std::future::pending().await,
    }
}

/// An exchange and its time; connecting has its own on top.
pub(super) async fn within<T>(
    exchange: impl Future<Output = Result<T, ExchangeFailure>>,
    target: &Target,
    (url, time): (Url, Duration),
) -> Result<T, ExchangeFailure> {
    let after = time + target.connect_timeout;
    match tokio::time::timeout(after, exchange).await {
        Ok(result) => result,
        Err(_) => Err(ExchangeFailure {
            sent: true,
            error: match place(&url) {
                Ok((place, _)) => DialError::Timeout {
                    place,
                    after,
                    stage: ANSWER,
                },
                Err(error) => error,
            },
        }),
    }
}

/// Sends a request, on this connection if it is still open, and waits for the answer's head.
pub(super) async fn exchange(
    network: &Network,
    target: &Target,
    jar: &SharedJar,
    connection: Option<HttpConnection>,
    ask: Ask,
) -> Result<Headed, ExchangeFailure> {
    network
        .check_policy(target, &ask.url, &ask.headers)
        .map_err(ExchangeFailure::unsent)?;
    let mut used = connection;
    loop {
        let was_used = used.is_some();
        let mut connection = match used.take() {
            Some(connection) => connection,
            None => open(network, target, &ask.url)
                .await
                .map_err(ExchangeFailure::unsent)?,
        };
        let request = request(target, jar, &connection.place, &ask).map_err(ExchangeFailure::unsent)?;
        let result = match connection.sender.ready().await {
            Ok(()) => {
                let names = ask.headers.iter().chain(&target.headers);
                connection.spelling.announce(names.map(|(name, _)| name.as_str()));
                connection.sender.try_send_request(request).await
            }
            Err(_) if was_used => continue,
            Err(error) => return Err(ExchangeFailure::unsent(broken(&connection.place, &error))),
        };
        match result {
            Ok(response) => {
                jar.take_from(response.headers(), &ask.url);
                return Ok((response, connection));
            }
            Err(mut failed) => {
                let unsent = failed.take_message().is_some();
                // A kept connection may end at any moment.
                if was_used && (unsent || ask.repeatable) {
                    continue;
                }
                return Err(ExchangeFailure {
                    error: broken(&connection.place, failed.error()),
                    sent: !unsent,
                });
            }
        }
    }
}

async fn open(network: &Network, target: &Target, url: &Url) -> Result<HttpConnection, DialError> {
    let (place, secure) = place(url)?;
    let stream = network.connect(target, url).await?;
    let spelling = Spelling::default();
    let (sender, driver) = handshake::client()
        .handshake(TokioIo::new(Spelled::new(stream, spelling.clone())))
        .await
        .map_err(|error| broken(&place, &error))?;
    // Its errors reach the caller that waits for an answer.
    let driver = tokio::spawn(async move {
        let _ = driver.await;
    })
    .abort_handle();
    Ok(HttpConnection {
        sender,
        place,
        secure,
        driver,
        spelling,
    })
}

pub(super) fn broken(place: &Place, error: &hyper::Error) -> DialError {
    let place = place.clone();
    match handshake::tls_fault(error) {
        Some(why) => DialError::Tls { place, why },
        None => DialError::Handshake {
            place,
            why: handshake::describe(error),
        },
    }
}

fn request(
    target: &Target,
    jar: &SharedJar,
    place: &Place,
    ask: &Ask,
) -> Result<Request<Full<Bytes>>, DialError> {
    let mut request = Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = ask.method.clone();
    *request.uri_mut() = request_target(&ask.url).parse().map_err(|_| {
        DialError::Request(
            "the URL's path or query contains characters that are not allowed in a request".to_owned(),
        )
    })?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, host(&ask.url, place)?);
    for (name, value) in target.headers.iter().filter(|(name, _)| !is_cookie(name)) {
        let (name, value) = read_header(name, value)?;
        headers.append(name, value);
    }
    if let Some(cookies) = jar.header_with(&ask.url, &ask.headers) {
        let (name, value) = read_header("Cookie", &cookies)?;
        headers.append(name, value);
    }
    for (name, value) in ask.headers.iter().filter(|(name, _)| !is_cookie(name)) {
        let (name, value) = read_header(name, value)?;
        let is_wish = matches!(name, header::ACCEPT | header::CACHE_CONTROL);
        if !(is_wish && headers.contains_key(&name)) {
            headers.insert(name, value);
        }
    }
    if let Some(content) = ask.content
        && !headers.contains_key(header::CONTENT_TYPE)
    {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    }
    introduce(headers);
    if !headers.contains_key(header::ACCEPT) {
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    }
    if !headers.contains_key(header::ACCEPT_ENCODING) {
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static(decode::ACCEPTED),
        );
    }
    if let Some(value) = credentials(&ask.url, headers)? {
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

/// An end without a status of the server.
pub(super) fn ended(code: Code, why: String) -> LinkEnd {
    LinkEnd {
        error: Some(ErrorInfo::new(code, why)),
        ..LinkEnd::default()
    }
}
