//! Responses read whole: their headers as the core has them, and a body that is decoded and limited.
//!
//! Bodies that are read as they come are `http`'s.

use std::borrow::Cow;

use bytes::Bytes;
use http::Response;
use http::header::{self, HeaderMap, HeaderValue};
use hyper::body::Incoming;

use super::credit::Credit;
use super::decode::{self, Broken};
use super::exchange::{ExchangeFailure, HttpConnection, broken};
use super::{DialError, Place, date};
use crate::core::io::Answer;

/// Bytes of a body that are read before the task yields to others.
const READ_STEP_BYTES: usize = 1 << 20;

/// Reads a body of at most `most` bytes, and no more than there is room for; the connection, if it can be used again.
pub(super) async fn whole(
    response: Response<Incoming>,
    connection: HttpConnection,
    most: usize,
    credit: &Credit,
) -> Result<(Answer, Option<HttpConnection>), ExchangeFailure> {
    let (head, body) = response.into_parts();
    let mut answer = answer_of(&head.headers, head.status.as_u16());
    let mut body =
        decode::DecodedBody::new(body, &head.headers).map_err(|why| undecodable(&connection.place, why))?;
    let (mut read, mut at_once) = (Vec::new(), 0);
    while let Some(data) = body.next().await {
        let data = data.map_err(|why| match why {
            Broken::Http(error) => ExchangeFailure {
                error: broken(&connection.place, &error),
                sent: true,
            },
            Broken::Coding(why) => {
                undecodable(&connection.place, format!("the answer cannot be read: {why}"))
            }
        })?;
        let fits = read.len() + data.len() <= most && reserve(&mut read, data.len(), credit);
        if !fits {
            answer.too_large = true;
            return Ok((answer, None));
        }
        read.extend_from_slice(&data);
        at_once += data.len();
        if at_once >= READ_STEP_BYTES {
            // A few coded bytes may become very many: yield to other tasks in between.
            at_once = 0;
            tokio::task::yield_now().await;
        }
    }
    answer.body = read.into();
    Ok((answer, Some(connection)))
}

/// Makes room for so many bytes more; `false` if there is none.
fn reserve(read: &mut Vec<u8>, more: usize, credit: &Credit) -> bool {
    if read.capacity() - read.len() >= more {
        return true;
    }
    let more = more.max(read.len() / 2);
    credit.keep_partial(read.len() + more) && read.try_reserve_exact(more).is_ok()
}

/// The answer to a request that was sent cannot be understood.
pub(super) fn undecodable(place: &Place, why: String) -> ExchangeFailure {
    let place = place.clone();
    ExchangeFailure {
        error: DialError::Handshake { place, why },
        sent: true,
    }
}

/// A header's value as text. Servers write them in UTF-8, whatever the standard says.
pub(super) fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

pub(super) fn answer_of(headers: &HeaderMap, status: u16) -> Answer {
    let retry_after = headers.get(header::RETRY_AFTER).map(text);
    let date = headers.get(header::DATE).map(text);
    Answer {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value).into_owned()))
            .collect(),
        retry_after: retry_after.and_then(|value| date::retry_after(&value, date.as_deref())),
        body: Bytes::new(),
        too_large: false,
    }
}
