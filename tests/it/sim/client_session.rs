//! What the model knows of a client in a session: its attachment, its position, and what it has received.

use std::collections::{BTreeMap, HashSet, VecDeque};

use longwire::core::io::PortId;
use longwire::wire::options::Window;
use longwire::wire::record::Name;

use super::filters::Filter;
use super::model::Link;

/// How far a client has got in the messages of a session: the index of the next lies between `lo` and `hi`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) lo: usize,
    pub(super) hi: usize,
    /// The link of the message seen last.
    pub(super) link: Option<Link>,
    /// A discontinuity was reported since.
    pub(super) gap_reported: bool,
}

impl Progress {
    pub(super) const fn at(index: usize) -> Self {
        Self {
            lo: index,
            hi: index,
            link: None,
            gap_reported: false,
        }
    }

    pub(super) const UNKNOWN: Self = Self {
        lo: 0,
        hi: usize::MAX,
        link: None,
        gap_reported: false,
    };
}

/// A person and a session: what the hub must have of them, and what they have seen.
pub(super) struct ClientSession {
    /// The port through which the hub delivers.
    pub(super) port: Option<PortId>,
    /// Attachments so far; what was delivered to an older one is read by no client.
    pub(super) generation: u64,
    pub(super) window: Window,
    pub(super) in_flight: VecDeque<(u64, usize)>,
    pub(super) in_flight_bytes: usize,
    /// The last number delivered to this attachment.
    pub(super) delivered: u64,
    /// The position the hub must keep.
    pub(super) position: u64,
    /// The highest position it has had: what an older journal may have.
    pub(super) highest: u64,
    /// Where the hub has put it, other than by its acknowledgement, and what it had missed by then.
    pub(super) placed: BTreeMap<u64, Progress>,
    /// The session knows this client for certain, and its position is `position`.
    pub(super) is_known: bool,
    /// It may know it: a client that never attached is not known.
    pub(super) may_be_known: bool,
    /// Whether it was ever attached, and where, is unknown.
    pub(super) attachment_unknown: bool,

    /// The filters of this client, by the keys of their subscriptions.
    pub(super) filters: BTreeMap<Name, Filter>,
    /// The number of the newest message that was delivered to any attachment.
    pub(super) newest_delivered: Option<usize>,
    /// How often the hub may have taken it for another client than before.
    pub(super) beginnings: u64,

    /// The session life and epoch that the rest is about.
    pub(super) incarnation: usize,
    pub(super) epoch: Option<Name>,
    pub(super) progress: Progress,
    /// The account after each record.
    pub(super) history: BTreeMap<u64, Progress>,
    pub(super) seen: HashSet<u64>,
    /// Everything up to here is processed.
    pub(super) processed: u64,
    /// The last number read on this attachment.
    pub(super) read: u64,
    /// Up to here `opened` promised a replay, and whether `live` has ended it.
    pub(super) last: u64,
    pub(super) live: bool,
    pub(super) exact: bool,
    pub(super) nonce: Option<String>,
}

impl ClientSession {
    pub(super) fn new() -> Self {
        Self {
            port: None,
            generation: 0,
            window: Window::default(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            delivered: 0,
            position: 0,
            highest: 0,
            placed: BTreeMap::new(),
            is_known: false,
            may_be_known: false,
            attachment_unknown: false,
            filters: BTreeMap::new(),
            newest_delivered: None,
            beginnings: 0,
            incarnation: usize::MAX,
            epoch: None,
            progress: Progress::UNKNOWN,
            history: BTreeMap::new(),
            seen: HashSet::new(),
            processed: 0,
            read: 0,
            last: 0,
            live: false,
            exact: false,
            nonce: None,
        }
    }

    /// The broker was killed.
    pub(super) fn leave(&mut self) {
        self.port = None;
        self.in_flight.clear();
        self.in_flight_bytes = 0;
    }
}
