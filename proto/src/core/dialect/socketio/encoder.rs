//! Encoding of an extension's messages as packets. A large one is encoded outside of the core, since that takes long;
//! later messages on the same connection wait for it.
//!
//! It neither writes packets (`unencoded` does) nor knows who may send: `socketio` asks it.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::wire::payload::Payload;
use crate::wire::rule::PARSED_WHOLE;

/// What is handed to the link when its turn comes.
#[derive(Debug)]
pub(super) enum Handed {
    /// A message of the outbox, at this place; `serial` names it if it awaits an acknowledgement.
    Event {
        payload: Payload,
        place: u64,
        serial: Option<u64>,
    },
    /// The acknowledgement of a record.
    Reply { to: ReplyTo, args: Bytes },
}

/// What a reply answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReplyTo {
    pub(super) seq: u64,
    pub(super) namespace: Option<String>,
    pub(super) id: u64,
}

/// Whose packets are being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PacketOwner {
    Event {
        namespace: Option<String>,
        place: u64,
        serial: Option<u64>,
    },
    Reply(ReplyTo),
}

impl PacketOwner {
    pub(super) const fn namespace(&self) -> &Option<String> {
        match self {
            Self::Event { namespace, .. } => namespace,
            Self::Reply(to) => &to.namespace,
        }
    }
}

/// The large message that becomes packets, and what waits behind it.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// With the bytes of its content.
    under_way: Option<(PacketOwner, usize)>,
    behind: VecDeque<Handed>,
}

impl Encoder {
    /// Whether what comes now has to wait.
    pub(super) const fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn wait(&mut self, handed: Handed) {
        self.behind.push_back(handed);
    }

    /// Takes on a message that is large; gives back others: they are written at once.
    pub(super) fn takes(&mut self, owner: PacketOwner, bytes: usize) -> Option<PacketOwner> {
        if bytes <= PARSED_WHOLE {
            return Some(owner);
        }
        self.under_way = Some((owner, bytes));
        None
    }

    /// No acknowledgement is awaited for this message any more.
    pub(super) fn forget(&mut self, forgotten: u64) {
        for handed in &mut self.behind {
            if let Handed::Event { serial, .. } = handed {
                serial.take_if(|serial| *serial == forgotten);
            }
        }
    }

    /// The packets have come: whose they are.
    pub(super) fn finish(&mut self) -> Option<PacketOwner> {
        self.under_way.take().map(|(owner, _)| owner)
    }

    /// What is to be handed over next.
    pub(super) fn next(&mut self) -> Option<Handed> {
        if self.is_busy() {
            return None;
        }
        let next = self.behind.pop_front();
        if self.behind.is_empty() {
            self.behind = VecDeque::new();
        }
        next
    }

    /// The first place of the outbox of which the link has nothing yet.
    pub(super) fn first_place(&self) -> Option<u64> {
        let under_way = self.under_way.as_ref().and_then(|(owner, _)| match owner {
            PacketOwner::Event { place, .. } => Some(*place),
            PacketOwner::Reply(_) => None,
        });
        under_way.or_else(|| {
            self.behind.iter().find_map(|handed| match handed {
                Handed::Event { place, .. } => Some(*place),
                Handed::Reply { .. } => None,
            })
        })
    }

    /// Bytes that it takes beside the outbox, which has what waits: the packets that are being written, and replies. `None`:
    /// nothing is being written.
    pub(super) fn held(&self) -> Option<usize> {
        let (_, packets) = self.under_way.as_ref()?;
        let replies = self.behind.iter().map(|handed| match handed {
            Handed::Event { .. } => 0,
            Handed::Reply { args, .. } => args.len(),
        });
        Some(packets + replies.sum::<usize>())
    }
}
