//! The types of the model: which message is which, which client has received what, how each message sent must end.
//!
//! It queries nothing from the hub; `world` and `reader` compare the hub's outputs with it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longwire::core::io::{DialId, PortId};
use longwire::core::journal::JournalId;
use longwire::wire::code::Code;
use longwire::wire::message::BrokerFrame;
use longwire::wire::options::{Options, Protocol, Window};
use longwire::wire::payload::Payload;
use longwire::wire::record::{Gap, Name, Outcome, OutcomeReport, ResponseReport, StateChange};

use super::events::{Event, Unfinished};
use super::filters::{Filter, View};
use super::socketio::{Namespace, Remembered};

/// A dial, over all restarts of the broker: each numbers its dials anew.
pub(super) type Link = (u32, DialId);

/// Who may hold sessions: an origin and a profile.
pub(super) struct Owner {
    pub(super) origin: Name,
    pub(super) profile: Name,
}

/// Somebody who consumes sessions: an owner's client.
pub(super) struct SimClient {
    pub(super) owner: usize,
    pub(super) client: Name,
}

/// A session's name and address; what bears the name are its incarnations, one after another.
pub(super) struct Slot {
    pub(super) owner: usize,
    pub(super) name: Name,
    /// Where it may lead: the session's address is one of these, and changes.
    pub(super) addresses: [String; 2],
    pub(super) disk: bool,
    pub(super) incarnations: Vec<Session>,
}

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

/// A port and what waits in its queue.
pub(super) struct Port {
    pub(super) origin: usize,
    pub(super) client: Option<usize>,
    /// Slots the hub must hold attached here.
    pub(super) holds: Vec<usize>,
    pub(super) queue: VecDeque<Queued>,
}

/// A frame on its way to a client, and the state when the hub sent it.
pub(super) struct Queued {
    pub(super) frame: BrokerFrame,
    pub(super) cost: usize,
    pub(super) about: Option<About>,
}

/// The attachment a frame is about.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) generation: u64,
    pub(super) client: usize,
    pub(super) slot: usize,
    pub(super) incarnation: usize,
    /// Messages the session had taken by then.
    pub(super) taken: usize,
}

/// A message that a server sent. Its text has its number in `World::emitted`.
pub(super) struct Emitted {
    pub(super) slot: usize,
    pub(super) incarnation: usize,
    /// Its index among the messages the session took; `None` for what it must not take.
    pub(super) index: Option<usize>,
    /// What clients get of it, as bytes of a payload.
    pub(super) content: Bytes,
    /// Where it came as an event.
    pub(super) namespace: Option<String>,
}

/// How a request is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    Pointers,
    JsonRpc,
    /// By the acknowledgement of a Socket.IO server.
    Ack,
}

/// How a message ended, as the hub reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MessageResult {
    Outcome(Outcome),
    Answer(usize),
    Error(Code),
}

/// A message of a client; its number is its token, in its id and in its payload.
pub(super) struct Sent {
    pub(super) slot: usize,
    pub(super) incarnation: usize,
    pub(super) client: usize,
    pub(super) has_id: bool,
    pub(super) resend: bool,
    pub(super) volatile: bool,
    pub(super) lane: u8,
    pub(super) receipt: bool,
    pub(super) confirms: bool,
    pub(super) asks: Option<Asks>,
    pub(super) ttl: Option<u64>,
    pub(super) payload: Payload,
    /// How it is sent to a Socket.IO server, if not as a plain message.
    pub(super) event: Option<Event>,
    /// What its acknowledgement must have: on which dial, in which namespace, with which id.
    pub(super) ack: Option<(DialId, String, String)>,
    /// What the session's guard does not let pass, if it has one.
    pub(super) forbidden: bool,
    /// It was handed over last while the guard forbade it.
    pub(super) banned: bool,
    /// Awake time, over all boots, at which it was handed over first.
    pub(super) given: Duration,
    /// The broker that accepted it, and the boot time until which it waits for certain.
    pub(super) waits: Option<(u32, Duration)>,
    /// Its place among everything handed over.
    pub(super) order: u64,
    pub(super) accepted: bool,
    pub(super) transmitted: u32,
    /// The far transport had it whole.
    pub(super) written: bool,
    pub(super) reads: u32,
    pub(super) confirmed: bool,
    /// The message that answered it, once the hub has used that up.
    pub(super) answer: Option<usize>,
    pub(super) cancelled: bool,
    pub(super) result: Option<(u64, MessageResult)>,
    /// The outcome that came with the answer to its repetition.
    pub(super) remembered: Option<Outcome>,
    /// What the broker knows of it may have been rolled back.
    pub(super) rolled_back: bool,
}

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

/// The first number in a text: messages bear theirs so.
pub(super) fn number_in(payload: &Payload) -> Option<usize> {
    let bytes = payload.bytes();
    let start = bytes.iter().position(u8::is_ascii_digit)?;
    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}
