//! The WebSocket handshake (RFC 6455, section 4) by hyper's HTTP/1.1 client: sends the request, checks the
//! response, takes the stream back.
//!
//! It follows no redirect, keeps no cookie, and does not decide whether a refusal is final.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::cookies::SharedJar;
use super::date;
use super::deflate::{self, Agreement};
use super::error::{DialError, Place};
use super::request_headers::{credentials, host, introduce, read_header, request_target};
use super::spelling::{Spelled, Spelling};
use crate::core::dialect::html;
use crate::core::io::Target;

/// Bytes of a refusal's body that are read.
const MAX_BODY_BYTES: usize = 4 * 1024;

/// Characters of it that the error contains.
const MAX_EXCERPT_CHARS: usize = 500;

/// How long a refusal's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes of a response's head that are accepted, as in Chromium.
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// Header lines of a response that are accepted.
const MAX_HEADERS: usize = 1024;

/// A connection, driven beside its one request.
type UpgradeConnection<S> = http1::Connection<TokioIo<Spelled<S>>, Empty<Bytes>>;

/// A connection that was upgraded to WebSocket.
#[derive(Debug)]
pub(crate) struct Upgraded<S> {
    pub(crate) stream: S,
    /// Bytes that came behind the answer.
    pub(crate) early: Bytes,
    pub(crate) subprotocol: Option<String>,
    /// The extensions as the server named them.
    pub(crate) extensions: Option<String>,
    pub(crate) deflate: Option<Agreement>,
}

/// Asks the server to switch to WebSocket.
///
/// The cookies of the answer are kept as browsers do, also those of a refusal.
pub(crate) async fn upgrade<S>(
    stream: S,
    target: &Target,
    place: &Place,
    jar: &SharedJar,
) -> Result<Upgraded<S>, DialError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let key = generate_key();
    let request = request(target, place, &key)?;
    let broken = |error: hyper::Error| match tls_fault(&error) {
        // With TLS 1.3 a refused client certificate is reported only now.
        Some(why) => DialError::Tls {
            place: place.clone(),
            why,
        },
        None => DialError::Handshake {
            place: place.clone(),
            why: describe(&error),
        },
    };
    let names = target.headers.iter().map(|(name, _)| name.as_str());
    let (response, mut connection) = exchange(stream, request, names).await.map_err(broken)?;
    jar.take_from(response.headers(), &target.url);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(response, &mut connection, place).await);
    }
    let agreed = check(response.headers(), target, &key).map_err(|why| DialError::Handshake {
        place: place.clone(),
        why,
    })?;
    let (stream, early) = into_stream(connection).await.map_err(broken)?;
    Ok(Upgraded {
        stream,
        early,
        subprotocol: agreed.subprotocol,
        extensions: agreed.extensions,
        deflate: agreed.deflate,
    })
}

/// An HTTP/1.1 client that reads responses as leniently as browsers do: folded lines, blanks before the colon, and
/// header lines that are invalid, which are ignored.
pub(super) fn client() -> http1::Builder {
    let mut client = http1::Builder::new();
    client
        .title_case_headers(true)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    client
}

/// Sends a request without a body and waits for the answer's head. `names`: of headers, as they are to be written.
pub(crate) async fn exchange<'a, S>(
    stream: S,
    request: Request<Empty<Bytes>>,
    names: impl Iterator<Item = &'a str>,
) -> Result<(Response<Incoming>, UpgradeConnection<S>), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let spelling = Spelling::default();
    spelling.announce(names);
    let (mut sender, mut connection) = client()
        .handshake(TokioIo::new(Spelled::new(stream, spelling)))
        .await?;
    let response = drive(&mut connection, sender.send_request(request)).await?;
    Ok((response, connection))
}

/// Takes the stream out of a connection whose request ended in an upgrade.
pub(crate) async fn into_stream<S>(mut connection: UpgradeConnection<S>) -> Result<(S, Bytes), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    poll_fn(|cx| connection.poll_without_shutdown(cx)).await?;
    let parts = connection.into_parts();
    Ok((parts.io.into_inner().into_inner(), parts.read_buf))
}

/// Polls the connection beside what waits for it. Its own errors reach the one who waits.
async fn drive<S, F>(connection: &mut UpgradeConnection<S>, work: F) -> F::Output
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future,
{
    let mut work = pin!(work);
    let mut over = false;
    poll_fn(|cx| {
        if let Poll::Ready(output) = work.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        if !over {
            over = connection.poll_without_shutdown(cx).is_ready();
        }
        work.as_mut().poll(cx)
    })
    .await
}

/// What TLS has to say about a broken connection, if anything.
pub(crate) fn tls_fault(error: &hyper::Error) -> Option<String> {
    let source = std::error::Error::source(error)?.downcast_ref::<std::io::Error>()?;
    let fault = source.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(super::tls::explained(&fault.to_string()))
}

/// hyper's message without the addresses and values that its source may contain.
pub(crate) fn describe(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        "the connection ended before there was an answer".to_owned()
    } else if error.is_parse() && error.to_string().contains("too large") {
        "the response head is larger than 256 KB, or has more than 1024 header lines".to_owned()
    } else if error.is_parse()
        && ["content-length", "transfer-encoding"]
            .iter()
            .any(|name| error.to_string().contains(name))
    {
        "the response head has an invalid `Content-Length` or `Transfer-Encoding`, or several that differ"
            .to_owned()
    } else if error.is_parse() && error.to_string().contains("header") {
        "the response head has an invalid header".to_owned()
    } else if error.is_parse() {
        "the response is not HTTP/1.1; Longwire requires HTTP/1.1, and the server may support HTTP/2 only"
            .to_owned()
    } else {
        match std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>()) {
            Some(source) => format!("the connection broke: {source}"),
            None => "the connection broke during the exchange".to_owned(),
        }
    }
}

fn request(target: &Target, place: &Place, key: &str) -> Result<Request<Empty<Bytes>>, DialError> {
    let refuse = |why: String| DialError::Request(why);
    let url = &target.url;
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = request_target(url).parse().map_err(|_| {
        refuse("the URL's path or query contains characters that are not allowed in a request".to_owned())
    })?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, host(url, place)?);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    // As browsers have it: an answer out of a cache is no handshake.
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let key = HeaderValue::from_str(key).map_err(|_| refuse("the key cannot be sent".to_owned()))?;
    headers.insert(header::SEC_WEBSOCKET_KEY, key);
    if !target.subprotocols.is_empty() {
        let offer = HeaderValue::from_str(&target.subprotocols.join(", "))
            .map_err(|_| refuse("a subprotocol has characters that cannot be sent".to_owned()))?;
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offer);
    }
    if target.compression {
        let offer = HeaderValue::from_static(deflate::OFFER);
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, offer);
    }
    for (name, value) in &target.headers {
        let (header, value) = read_header(name, value)?;
        if headers.contains_key(&header) && is_ours(&header) {
            return Err(refuse(format!("Longwire sets the header `{header}` itself")));
        }
        if matches!(header, header::PRAGMA | header::CACHE_CONTROL) {
            headers.insert(header, value);
        } else {
            headers.append(header, value);
        }
    }
    introduce(headers);
    if let Some(value) = credentials(url, headers)? {
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

fn is_ours(header: &HeaderName) -> bool {
    matches!(*header, header::HOST | header::CONNECTION | header::UPGRADE)
        || header.as_str().starts_with("sec-websocket-")
}

/// What an answer settles.
#[derive(Debug)]
struct Agreed {
    subprotocol: Option<String>,
    extensions: Option<String>,
    deflate: Option<Agreement>,
}

/// Checks the head of a 101. Its errors do not repeat header values.
fn check(headers: &HeaderMap, target: &Target, key: &str) -> Result<Agreed, String> {
    if !has_token(headers, &header::UPGRADE, "websocket") {
        return Err("the answer does not upgrade to `websocket`".to_owned());
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err("the answer's `Connection` header lacks `Upgrade`".to_owned());
    }
    let accept = headers
        .get(header::SEC_WEBSOCKET_ACCEPT)
        .map(HeaderValue::as_bytes);
    if accept.map(<[u8]>::trim_ascii) != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err("the answer's `Sec-WebSocket-Accept` does not match the key".to_owned());
    }
    let mut chosen = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let subprotocol = match (chosen.next(), chosen.next()) {
        (None, _) => None,
        (Some(value), None) => match value.to_str().map(str::trim) {
            Ok(chosen) if target.subprotocols.iter().any(|offered| offered == chosen) => {
                Some(chosen.to_owned())
            }
            _ => return Err("the server chose a subprotocol that was not offered".to_owned()),
        },
        (Some(_), Some(_)) => return Err("the server chose two subprotocols".to_owned()),
    };
    let mut named = Vec::new();
    for value in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        named.push(
            value
                .to_str()
                .map_err(|_| "the answer's `Sec-WebSocket-Extensions` header is invalid".to_owned())?,
        );
    }
    let extensions = named.join(", ");
    let deflate = Agreement::read(&extensions)?;
    if deflate.is_some() && !target.compression {
        return Err("the server chose an extension that was not offered".to_owned());
    }
    Ok(Agreed {
        subprotocol,
        extensions: (!extensions.trim().is_empty()).then_some(extensions),
        deflate,
    })
}

/// Whether a header, as a list over all its lines, has this token.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// The refusal of a server.
async fn refusal<S>(
    response: Response<Incoming>,
    connection: &mut UpgradeConnection<S>,
    place: &Place,
) -> DialError
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (head, body) = response.into_parts();
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after =
        text(header::RETRY_AFTER).and_then(|value| date::retry_after(value, text(header::DATE)));
    let mut read = Vec::new();
    let reading = drive(connection, read_body(body, &mut read));
    // A body that does not end is cut; the status alone is enough.
    let _ = tokio::time::timeout(BODY_TIMEOUT, reading).await;
    DialError::Status {
        place: place.clone(),
        status: head.status,
        retry_after,
        body: excerpt(&read),
    }
}

async fn read_body(mut body: Incoming, into: &mut Vec<u8>) {
    while into.len() < MAX_BODY_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Some(data) = frame.data_ref() {
            into.extend_from_slice(&data[..data.len().min(MAX_BODY_BYTES - into.len())]);
        }
    }
}

/// The beginning of a body, if it is text, on one line; of a page, its title.
fn excerpt(body: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        // Cut in the middle of a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&body[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    if let Some(page) = html::described(text) {
        return Some(page);
    }
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_EXCERPT_CHARS)
        .collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests;
