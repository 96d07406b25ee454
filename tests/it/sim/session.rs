//! What the model knows of a session: its options, where it leads, and which of its numbers is which message.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use longwire::core::io::DialId;
use longwire::core::journal::JournalId;
use longwire::wire::options::{Options, Protocol};
use longwire::wire::record::{Gap, Name, OutcomeReport, ResponseReport, StateChange};

use super::model::Link;
use super::socketio::Remembered;
use super::views::View;

/// Whether a session is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alive {
    Yes,
    /// The broker was killed while the session was ending.
    Perhaps,
    No,
}

/// One session from its creation to its end.
pub(super) struct Session {
    pub(super) alive: Alive,
    pub(super) epoch: Option<Name>,
    /// Its journal was damaged: it may come back with another epoch.
    pub(super) may_change_epoch: bool,
    pub(super) options: Options,
    /// The shortest `expire` it ever had: what a journal that was rolled back may have.
    pub(super) shortest_expire: u64,
    pub(super) has_url: bool,
    /// Heartbeats were off at some time: `sent` may mean written.
    pub(super) trusts_writes: bool,
    pub(super) journal: Option<JournalId>,
    /// The link each message came through, in the order the hub took them; their indices are their names.
    pub(super) taken: Vec<Link>,
    /// What each number identified when it was delivered.
    pub(super) contents: HashMap<u64, Content>,
    /// Gaps that were delivered: last number to first.
    pub(super) gaps: BTreeMap<u64, u64>,
    /// Power failed, or the journal was damaged: positions and outcomes may be older than they were.
    pub(super) rolled_back: bool,
    pub(super) dial: Option<DialId>,
    /// Awake time since which no client is attached.
    pub(super) idle_since: Option<Duration>,
    /// What is sent on each connection before the outbox.
    pub(super) subscriptions: Vec<(Name, usize)>,
    /// Where it leads and what is offered there.
    pub(super) reach: Reach,
    /// The last message that its journal has, and the gap behind it: its beginning and its count.
    pub(super) journaled_upto: u64,
    pub(super) journaled_gap: Option<(u64, u64)>,
    /// A client has closed it: boot time at which it must be over.
    pub(super) closing: Option<Duration>,
    /// Resume positions of servers: by which protocol, at which URL, and in which parameter it is sent
    /// back, if in any.
    pub(super) resume_positions: HashMap<String, (Protocol, String, Option<String>)>,
    /// Connections that Socket.IO servers remember, by their ids; by namespace, at which URL one is certain to be gone on
    /// with; and the namespaces that servers ever refused or dropped.
    pub(super) remembered: HashMap<String, Remembered>,
    pub(super) recoverable: HashMap<String, (String, String)>,
    pub(super) lost_namespaces: HashSet<String>,
    /// When messages were taken since the guard was set, in boot time.
    pub(super) passed: VecDeque<Duration>,
    /// How filters show messages, by the index among those taken.
    pub(super) views: HashMap<usize, Vec<View>>,
}

/// Where a session leads, what it offers there, and what is owed to the server before the next dial.
#[derive(Debug, Clone, Default)]
pub(super) struct Reach {
    /// Which of its addresses it has.
    pub(super) address: usize,
    /// Credentials with a smaller number were for something else.
    pub(super) since: usize,
    /// The credentials brought last.
    pub(super) bearer: Option<usize>,
    /// Those that the server refused last.
    pub(super) refused: Option<usize>,
    /// They were never accepted, and so many such were refused, one after another.
    pub(super) fresh: bool,
    pub(super) refusals: u32,
    /// They may be fewer, since options changed.
    pub(super) may_be_fewer: bool,
    /// Dials since a client asked or a link was stable; they may be fewer, since options changed.
    pub(super) attempts: u32,
    pub(super) uncertain: bool,
    /// Boot time before which it may not dial of its own accord.
    pub(super) not_before: Duration,
    /// Somebody has asked for the next dial.
    pub(super) asked: bool,
}

impl Session {
    pub(super) fn new(options: Options, journal: Option<JournalId>) -> Self {
        Self {
            alive: Alive::Yes,
            epoch: None,
            may_change_epoch: false,
            trusts_writes: options.heartbeat.is_none(),
            shortest_expire: options.expire,
            options,
            has_url: true,
            journal,
            taken: Vec::new(),
            contents: HashMap::new(),
            gaps: BTreeMap::new(),
            rolled_back: false,
            dial: None,
            idle_since: None,
            subscriptions: Vec::new(),
            reach: Reach::default(),
            journaled_upto: 0,
            journaled_gap: None,
            closing: None,
            resume_positions: HashMap::new(),
            remembered: HashMap::new(),
            recoverable: HashMap::new(),
            lost_namespaces: HashSet::new(),
            passed: VecDeque::new(),
            views: HashMap::new(),
        }
    }
}

/// What a number names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    Message(usize),
    Gap(Gap),
    State(Arc<StateChange>),
    Outcome(Arc<OutcomeReport>),
    Response(Arc<ResponseReport>),
}
