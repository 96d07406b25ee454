//! What the model knows of a message that a client sends: how it is to be sent, how far it got, and how it ended.

use std::time::Duration;

use longwire::core::io::DialId;
use longwire::wire::code::Code;
use longwire::wire::payload::Payload;
use longwire::wire::record::Outcome;

use super::events::Event;

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

impl Sent {
    /// A plain message that is handed over first at this awake time.
    pub(super) const fn new(
        slot: usize,
        incarnation: usize,
        client: usize,
        payload: Payload,
        given: Duration,
    ) -> Self {
        Self {
            slot,
            incarnation,
            client,
            has_id: false,
            resend: false,
            volatile: false,
            lane: longwire::wire::message::USUAL_LANE,
            receipt: false,
            confirms: false,
            asks: None,
            ttl: None,
            payload,
            event: None,
            ack: None,
            forbidden: false,
            banned: false,
            given,
            waits: None,
            order: 0,
            accepted: false,
            transmitted: 0,
            written: false,
            reads: 0,
            confirmed: false,
            answer: None,
            cancelled: false,
            result: None,
            remembered: None,
            rolled_back: false,
        }
    }
}
