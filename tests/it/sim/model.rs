//! Who there is in the model: owners, clients and their ports, the names of sessions, and what servers have sent.
//!
//! What is known of each session, dial and message is in `session`, `client_session`, `dial` and `sent`. The model queries
//! nothing from the hub; `world` and `reader` compare the hub's outputs with it.

use std::collections::VecDeque;

use bytes::Bytes;
use longwire::core::io::DialId;
use longwire::wire::message::BrokerFrame;
use longwire::wire::payload::Payload;
use longwire::wire::record::Name;

use super::session::Session;

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

/// The first number in a text: messages bear theirs so.
pub(super) fn number_in(payload: &Payload) -> Option<usize> {
    let bytes = payload.bytes();
    let start = bytes.iter().position(u8::is_ascii_digit)?;
    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}
