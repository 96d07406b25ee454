//! What a server speaks when it is not plain WebSocket messages.
//!
//! Pure: bytes and answers in, messages and questions out. `session::asking` connects it with link and log.

pub mod engine;
pub(crate) mod eventsource;
mod packet;
pub(crate) mod poll;
pub(crate) mod socketio;

use std::time::Duration;

/// What one connection has going on; made with each dial.
#[derive(Debug, Default)]
pub(crate) enum Dialect {
    /// Messages as they are.
    #[default]
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
