//! Resume positions that servers gave, kept by protocol and URL.
//!
//! It sends nothing; a dialect takes its token when it begins and stores one when it ends.

use std::time::Duration;

use url::Url;

use crate::wire::options::Protocol;

use super::poll::position::PollPosition;
use super::socketio::recovery::Recovery;

/// What is kept of one server beyond a dial. Each protocol uses what is its own.
#[derive(Debug, Default)]
pub(crate) struct ResumeToken {
    /// The newest id of an event stream.
    pub(super) last_event_id: Option<String>,
    /// The server wants to be left alone for so long after a loss.
    pub(super) retry: Duration,
    /// The position in the messages of a polled server.
    pub(super) place: PollPosition,
    /// What a Socket.IO server needs to know to go on.
    pub(super) recovery: Recovery,
}

/// The tokens of one session, one for each protocol. A token is for its protocol and URL: it can never reach another
/// server.
#[derive(Debug, Default)]
pub(crate) struct ResumeTokens(Vec<(Protocol, Url, ResumeToken)>);

impl ResumeTokens {
    /// The token of this server, or an empty one.
    pub(crate) fn take(&mut self, protocol: Protocol, address: &Url) -> ResumeToken {
        let known = self
            .0
            .iter()
            .position(|(known, at, _)| *known == protocol && at == address);
        known.map_or_else(ResumeToken::default, |index| self.0.swap_remove(index).2)
    }

    /// A dial has ended.
    pub(super) fn keep(&mut self, protocol: Protocol, address: Url, token: ResumeToken) {
        self.0.retain(|(known, ..)| *known != protocol);
        if protocol != Protocol::WebSocket {
            self.0.push((protocol, address, token));
        }
    }

    /// How long this server wants to be left alone after a loss.
    pub(crate) fn retry(&self, protocol: Protocol, address: &Url) -> Duration {
        let known = self
            .0
            .iter()
            .find(|(known, at, _)| *known == protocol && at == address);
        known.map_or(Duration::ZERO, |(.., token)| token.retry)
    }

    /// What Socket.IO servers remember belongs to other credentials than those that come now.
    pub(crate) fn forget_recovery(&mut self) {
        for (.., token) in &mut self.0 {
            token.recovery = Recovery::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(retry: u64) -> ResumeToken {
        ResumeToken {
            last_event_id: Some(retry.to_string()),
            retry: Duration::from_millis(retry),
            ..ResumeToken::default()
        }
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_token_is_for_its_protocol_and_url_only() {
        let (here, there) = (url("http://a/x"), url("http://b/x"));
        let mut tokens = ResumeTokens::default();
        tokens.keep(Protocol::EventStream, here.clone(), token(7));
        assert_eq!(tokens.take(Protocol::EventStream, &there).last_event_id, None);
        assert_eq!(tokens.take(Protocol::Poll, &here).last_event_id, None);
        assert_eq!(tokens.retry(Protocol::EventStream, &there), Duration::ZERO);
        assert_eq!(
            tokens.retry(Protocol::EventStream, &here),
            Duration::from_millis(7)
        );
        let back = tokens.take(Protocol::EventStream, &here);
        assert_eq!(back.last_event_id.as_deref(), Some("7"));
    }

    #[test]
    fn one_token_is_kept_for_each_protocol() {
        let mut tokens = ResumeTokens::default();
        tokens.keep(Protocol::EventStream, url("http://a"), token(1));
        tokens.keep(Protocol::Poll, url("http://a"), token(2));
        tokens.keep(Protocol::EventStream, url("http://b"), token(3));
        assert_eq!(tokens.0.len(), 2);
        assert_eq!(
            tokens.take(Protocol::EventStream, &url("http://a")).retry,
            Duration::ZERO
        );
    }
}
