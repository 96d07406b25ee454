//! Resume positions that servers gave, kept by protocol, URL and the protocol's options.
//!
//! It sends nothing; a dialect takes its token when it begins and stores one when it ends.

use std::time::Duration;

use crate::wire::options::Protocol;

use super::dial_key::DialKey;
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

/// The tokens of one session, one for each protocol. A token is for its key: it can never reach another server, nor be
/// sent to the same one with another meaning.
#[derive(Debug, Default)]
pub(crate) struct ResumeTokens(Vec<(DialKey, ResumeToken)>);

impl ResumeTokens {
    /// The token for a dial with this key, or an empty one.
    pub(crate) fn take(&mut self, key: &DialKey) -> ResumeToken {
        let known = self.0.iter().position(|(known, _)| known == key);
        known.map_or_else(ResumeToken::default, |index| self.0.swap_remove(index).1)
    }

    /// A dial has ended.
    pub(super) fn store(&mut self, key: DialKey, token: ResumeToken) {
        self.0.retain(|(known, _)| known.protocol != key.protocol);
        if key.protocol != Protocol::WebSocket {
            self.0.push((key, token));
        }
    }

    /// How long this server wants to be left alone after a loss.
    pub(crate) fn retry(&self, key: &DialKey) -> Duration {
        let known = self.0.iter().find(|(known, _)| known == key);
        known.map_or(Duration::ZERO, |(_, token)| token.retry)
    }

    /// What Socket.IO servers remember belongs to other credentials than those that come now.
    pub(crate) fn forget_recovery(&mut self) {
        for (_, token) in &mut self.0 {
            token.recovery = Recovery::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::dial_key::ProtocolTerms;
    use super::*;
    use crate::wire::socketio::SocketIoOptions;

    fn token(retry: u64) -> ResumeToken {
        ResumeToken {
            last_event_id: Some(retry.to_string()),
            retry: Duration::from_millis(retry),
            ..ResumeToken::default()
        }
    }

    fn key(protocol: Protocol, url: &str, terms: ProtocolTerms) -> DialKey {
        DialKey {
            protocol,
            address: Url::parse(url).unwrap(),
            terms,
        }
    }

    fn socketio(path: &str) -> ProtocolTerms {
        let options = SocketIoOptions {
            path: path.to_owned(),
            ..SocketIoOptions::default()
        };
        ProtocolTerms::SocketIo(options.into())
    }

    #[test]
    fn a_resume_token_is_returned_only_for_its_own_key() {
        let here = key(Protocol::SocketIo, "http://a/x", socketio("/one/"));
        let others = [
            key(Protocol::Poll, "http://a/x", socketio("/one/")),
            key(Protocol::SocketIo, "http://b/x", socketio("/one/")),
            key(Protocol::SocketIo, "http://a/x", socketio("/two/")),
            key(Protocol::SocketIo, "http://a/x", ProtocolTerms::None),
        ];
        let mut tokens = ResumeTokens::default();
        tokens.store(here.clone(), token(7));
        for other in others {
            assert_eq!(tokens.take(&other).last_event_id, None, "{other:?}");
            assert_eq!(tokens.retry(&other), Duration::ZERO, "{other:?}");
        }
        assert_eq!(tokens.retry(&here), Duration::from_millis(7));
        assert_eq!(tokens.take(&here).last_event_id.as_deref(), Some("7"));
    }

    #[test]
    fn one_resume_token_is_stored_per_protocol() {
        let stream = |url| key(Protocol::EventStream, url, ProtocolTerms::None);
        let mut tokens = ResumeTokens::default();
        tokens.store(stream("http://a"), token(1));
        tokens.store(key(Protocol::Poll, "http://a", ProtocolTerms::None), token(2));
        tokens.store(stream("http://b"), token(3));
        assert_eq!(tokens.0.len(), 2);
        assert_eq!(tokens.take(&stream("http://a")).retry, Duration::ZERO);
    }
}
