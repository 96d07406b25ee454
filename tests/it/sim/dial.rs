//! What the model knows of a dial: what went over it, and how far the transport and the server are.

use std::collections::VecDeque;
use std::time::Duration;

use longwire::wire::options::Protocol;
use longwire::wire::record::Name;

use super::events::Unfinished;
use super::socketio::Namespace;

/// What went over a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Token(usize),
    Greeting,
    Subscription(usize),
    Login(usize),
    Other,
}

/// The far end of a dial.
pub(super) struct Dial {
    pub(super) slot: usize,
    pub(super) incarnation: usize,
    pub(super) open: bool,
    pub(super) over: bool,
    pub(super) paused: bool,
    pub(super) items: Vec<Item>,
    /// Items handed to the socket, written to it, read by the server; each at most the one before.
    pub(super) taken: usize,
    pub(super) written: usize,
    pub(super) read: usize,
    /// The last number given to the hub in `Written`.
    pub(super) reported_written: usize,
    /// Pings under way: token, and the items before it.
    pub(super) pings: VecDeque<(u64, usize)>,
    /// The items before the last ping that was answered and was no beat.
    pub(super) proven: usize,
    /// The last ping that no timer asked for.
    pub(super) last_proof: u64,
    /// The place of the last message of each lane.
    pub(super) last_order: [u64; 4],
    /// Whose handshake it is, and with whom.
    pub(super) lane: (Name, String),
    /// Boot time at which it opened.
    pub(super) opened_at: Duration,
    /// The input that opened it.
    pub(super) opened_by: u64,
    /// A message that satisfies the `ready` rule was sent; the message of the server that a login must answer.
    pub(super) ready: bool,
    pub(super) wants: Option<usize>,
    /// A close frame is on its way, or written.
    pub(super) closing: bool,
    /// The protocol, and the URL without its query.
    pub(super) protocol: Protocol,
    pub(super) base: String,
    /// It has refused a message for now: its transport posts no other.
    pub(super) refused: bool,
    /// A question waits for its answer.
    pub(super) question: bool,
    /// The server received a resume position.
    pub(super) resumes: bool,
    /// The namespaces that a Socket.IO server was asked for, in order; the bytes of a packet that it takes; and an event
    /// of which attachments are to follow.
    pub(super) namespaces: Vec<Namespace>,
    pub(super) max_payload: usize,
    pub(super) unfinished: Option<Unfinished>,
    /// A Socket.IO server has sent its greeting.
    pub(super) greeted: bool,
    /// The options and subscriptions changed while it was open: their order cannot be judged.
    pub(super) disturbed: bool,
}

impl Dial {
    /// One that the hub has just begun.
    pub(super) fn new(
        slot: usize,
        incarnation: usize,
        lane: (Name, String),
        protocol: Protocol,
        base: String,
    ) -> Self {
        Self {
            slot,
            incarnation,
            open: false,
            over: false,
            paused: false,
            items: Vec::new(),
            taken: 0,
            written: 0,
            read: 0,
            reported_written: 0,
            pings: VecDeque::new(),
            proven: 0,
            last_proof: 0,
            last_order: [0; 4],
            lane,
            opened_at: Duration::ZERO,
            opened_by: 0,
            ready: false,
            wants: None,
            closing: false,
            protocol,
            base,
            refused: false,
            question: false,
            resumes: false,
            namespaces: Vec::new(),
            max_payload: usize::MAX,
            unfinished: None,
            greeted: false,
            disturbed: false,
        }
    }
}
