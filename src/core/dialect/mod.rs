//! What a server speaks when it is not plain WebSocket messages.
//!
//! Pure: bytes and answers in, messages and questions out. `session::asking` connects it with link and log.

pub mod engine;
pub(crate) mod eventsource;
mod greeting;
mod packet;
pub(crate) mod poll;
pub(crate) mod socketio;

use std::time::Duration;

use url::Url;

use crate::wire::options::Protocol;

/// What one dial speaks, made with it: options that change meanwhile change nothing of this.
#[derive(Debug)]
pub(crate) struct Dialect {
    pub(crate) protocol: Protocol,
    /// Where the session's options lead for this protocol, which is what the memory belongs to.
    pub(crate) address: Url,
    /// Where this dial leads: credentials may have brought another URL of the same server.
    pub(crate) url: Url,
    pub(crate) memory: Memory,
    pub(crate) speech: Speech,
}

impl Dialect {
    /// A Socket.IO connection, and what its server is remembered by.
    pub(crate) fn socketio(&mut self) -> Option<(&mut socketio::SocketIo, &mut Memory)> {
        match &mut self.speech {
            Speech::SocketIo(socketio) => Some((socketio, &mut self.memory)),
            _ => None,
        }
    }
}

/// What one connection has going on.
#[derive(Debug)]
pub(crate) enum Speech {
    /// Messages as they are.
    Plain,
    /// Server-sent events.
    EventStream(Box<eventsource::Parser>),
    /// Question and answer.
    Poll {
        /// Boot time of the next question; `None` while one is open.
        due: Option<Duration>,
    },
    /// Events.
    SocketIo(Box<socketio::SocketIo>),
}

/// What the server said that outlives the connection: where to go on.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The newest id of an event stream.
    pub(crate) last_event_id: Option<String>,
    /// The server wants to be left alone for so long after a loss.
    pub(crate) retry: Duration,
    pub(crate) poll: poll::Place,
    pub(crate) recovery: socketio::Recovery,
    /// Whether a Socket.IO server went on where the last connection ended, if it was asked to.
    pub(crate) recovered: Option<bool>,
}

impl Memory {
    /// The newest id of the stream; a server takes its id back with an empty one.
    pub(crate) fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref().filter(|id| !id.is_empty())
    }

    /// What to say after a loss. A header that has control characters cannot be written, and would end every dial.
    pub(crate) fn id_to_say(&self) -> Option<&str> {
        let is_sayable = |id: &&str| !id.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t');
        self.last_event_id().filter(is_sayable)
    }
}

/// What servers said, by protocol and URL: it can never reach another server. One for each protocol.
#[derive(Debug, Default)]
pub(crate) struct Memories(Vec<(Protocol, Url, Memory)>);

impl Memories {
    /// What this server said, to go on with it.
    pub(crate) fn take(&mut self, protocol: Protocol, address: &Url) -> Memory {
        let known = self
            .0
            .iter()
            .position(|(known, at, _)| *known == protocol && at == address);
        known.map_or_else(Memory::default, |index| self.0.swap_remove(index).2)
    }

    /// A dial has ended: what its server said outlives it.
    pub(crate) fn keep(&mut self, dialect: Dialect) {
        self.0.retain(|(protocol, ..)| *protocol != dialect.protocol);
        self.0.push((dialect.protocol, dialect.address, dialect.memory));
    }

    /// Changes what was kept last.
    pub(crate) fn change_newest(&mut self, change: impl FnOnce(&mut Memory)) {
        if let Some((.., memory)) = self.0.last_mut() {
            change(memory);
        }
    }

    /// How long this server wants to be left alone after a loss.
    pub(crate) fn retry(&self, protocol: Protocol, address: &Url) -> Duration {
        let known = self
            .0
            .iter()
            .find(|(known, at, _)| *known == protocol && at == address);
        known.map_or(Duration::ZERO, |(.., memory)| memory.retry)
    }

    /// What Socket.IO servers remember belongs to other credentials than those that come now.
    pub(crate) fn forget_recovery(&mut self) {
        for (.., memory) in &mut self.0 {
            memory.recovery = socketio::Recovery::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(protocol: Protocol, address: &str, retry: u64) -> Dialect {
        let address = Url::parse(address).unwrap();
        Dialect {
            protocol,
            url: address.clone(),
            address,
            memory: Memory {
                last_event_id: Some(retry.to_string()),
                retry: Duration::from_millis(retry),
                ..Memory::default()
            },
            speech: Speech::Plain,
        }
    }

    #[test]
    fn what_a_server_said_is_for_its_protocol_and_url_only() {
        let (here, there) = ("http://a/x", Url::parse("http://b/x").unwrap());
        let mut memories = Memories::default();
        memories.keep(ended(Protocol::EventStream, here, 7));
        let here = Url::parse(here).unwrap();
        assert_eq!(memories.take(Protocol::EventStream, &there).last_event_id, None);
        assert_eq!(memories.take(Protocol::Poll, &here).last_event_id, None);
        assert_eq!(memories.retry(Protocol::EventStream, &there), Duration::ZERO);
        assert_eq!(
            memories.retry(Protocol::EventStream, &here),
            Duration::from_millis(7)
        );
        let back = memories.take(Protocol::EventStream, &here);
        assert_eq!(back.last_event_id.as_deref(), Some("7"));
    }

    #[test]
    fn one_memory_is_kept_for_each_protocol() {
        let mut memories = Memories::default();
        memories.keep(ended(Protocol::EventStream, "http://a", 1));
        memories.keep(ended(Protocol::Poll, "http://a", 2));
        memories.keep(ended(Protocol::EventStream, "http://b", 3));
        assert_eq!(memories.0.len(), 2);
    }
}
