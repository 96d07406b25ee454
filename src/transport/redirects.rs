//! Redirects of requests over HTTP, followed as `EventSource`, `fetch` and `XMLHttpRequest` do.
//!
//! Each URL is judged like the first one. A WebSocket's handshake follows none, as in browsers.

use http::{Method, StatusCode, header};
use hyper::body::Incoming;
use url::Url;

use super::Network;
use super::cookies::SharedJar;
use super::exchange::{Ask, ExchangeFailure, Headed, HttpConnection, exchange};
use super::response::text;
use crate::core::io::Target;

/// Redirects that are followed, as in browsers.
const MAX_REDIRECTS: usize = 20;

/// The response behind all redirects. Another origin does not get what the extension gave for this one.
pub(super) async fn followed(
    network: &Network,
    target: &Target,
    jar: &SharedJar,
    mut connection: Option<HttpConnection>,
    mut ask: Ask,
) -> Result<Headed, ExchangeFailure> {
    let first = ask.url.clone();
    let mut foreign = None;
    for _ in 0..MAX_REDIRECTS {
        let (response, used) = if keeps_secrets(&first, &ask.url) {
            exchange(network, target, jar, connection.take(), ask.clone()).await?
        } else {
            let (target, jar) = foreign.get_or_insert_with(|| (without_secrets(target), SharedJar::empty()));
            exchange(network, target, jar, None, ask.clone()).await?
        };
        let Some(next) = next(&response, &ask) else {
            return Ok((response, used));
        };
        connection = Some(used).filter(|used| used.leads_to(&next));
        ask.url = next;
    }
    Err(ExchangeFailure::too_many_redirects(&first, MAX_REDIRECTS))
}

/// The same, for another server: who asks is no secret.
fn without_secrets(target: &Target) -> Target {
    let mut target = target.clone();
    target
        .headers
        .retain(|(name, _)| name.eq_ignore_ascii_case("user-agent"));
    target
}

/// Whether headers and cookies go along: to the same origin, and from a host's `http:` to its `https:`.
fn keeps_secrets(first: &Url, next: &Url) -> bool {
    let is_upgrade = !is_secure(first) && is_secure(next) && first.port().is_none() && next.port().is_none();
    let is_same =
        is_secure(first) == is_secure(next) && first.port_or_known_default() == next.port_or_known_default();
    first.host_str() == next.host_str() && (is_same || is_upgrade)
}

/// `ws` is `http`, as browsers compare origins.
fn is_secure(url: &Url) -> bool {
    matches!(url.scheme(), "wss" | "https")
}

/// The target of a redirect; nothing for other responses. A POST is only repeated if the status requires it:
/// browsers turn it into a GET otherwise, which would lose the message.
fn next(response: &http::Response<Incoming>, ask: &Ask) -> Option<Url> {
    let is_followed = match response.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => {
            ask.method == Method::GET
        }
        _ => false,
    };
    if !is_followed {
        return None;
    }
    let location = text(response.headers().get(header::LOCATION)?);
    if location.is_empty() {
        return None;
    }
    let mut next = ask.url.join(&location).ok()?;
    next.set_fragment(None);
    matches!(next.scheme(), "ws" | "wss" | "http" | "https").then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_follow_redirects_only_to_the_same_origin_or_its_tls_upgrade() {
        for (first, next, keeps) in [
            ("http://a.example/x", "http://a.example/y?z", true),
            ("ws://a.example/", "http://a.example:80/", true),
            ("http://a.example/", "https://a.example/", true),
            ("https://a.example/", "http://a.example/", false),
            ("http://a.example:8080/", "https://a.example/", false),
            ("http://a.example/", "https://a.example:8443/", false),
            ("https://a.example/", "https://www.a.example/", false),
            ("https://a.example/", "https://a.example:8443/", false),
        ] {
            let url = |text| Url::parse(text).unwrap();
            assert_eq!(keeps_secrets(&url(first), &url(next)), keeps, "{first} to {next}");
        }
    }
}
