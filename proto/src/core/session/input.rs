//! What can happen to a session, and which of its parts the frame of a port is for.

use crate::wire::message::ClientFrame;

use crate::core::io::{DialId, LinkEvent, PortId};

use super::lifecycle::Unsent;

/// What happens to a session.
#[derive(Debug)]
pub(crate) enum SessionInput {
    /// Something is due.
    Timeout,
    Uplink(UplinkInput),
    Delivery(DeliveryInput),
    /// A frame of a port that holds it; `close` is `Close`.
    Frame(PortId, ClientFrame),
    /// The broker as a whole holds too much, and this extension most.
    MemoryIsShort,
    /// It is to be closed with this code, for this reason.
    Close(u16, String, Unsent),
    /// Its journal failed, for this reason.
    JournalLost(String),
    /// The broker leaves.
    Leave(Leave),
}

/// What happens to its link.
#[derive(Debug)]
pub(crate) enum UplinkInput {
    /// An event of a dial; that of another than the present one changes nothing.
    Link(DialId, LinkEvent),
    /// It may dial.
    DialGranted,
    /// The machine slept, or its network changed.
    Resumed,
    /// The settings have changed.
    RulesChanged,
}

/// What happens to the ports of its clients.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DeliveryInput {
    /// A port holds it no more; the client's position stays.
    Detach(PortId),
    /// A port that had no room for its records has room again.
    PortHasRoom,
}

/// How the broker leaves a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// What is not on disk is lost.
    Stop,
    /// A session in memory gets a journal for the time until the next broker.
    HandOver,
}

/// A part of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionPart {
    Uplink,
    Outgoing,
    Delivery,
}

/// The part that a frame is for; `None` if it is for several, or for the hub.
pub(super) const fn part_of(frame: &ClientFrame) -> Option<SessionPart> {
    match frame {
        ClientFrame::Send(_)
        | ClientFrame::Request(_)
        | ClientFrame::Cancel { .. }
        | ClientFrame::Unsubscribe { .. } => Some(SessionPart::Outgoing),
        ClientFrame::Reply(_) | ClientFrame::Authorize(_) | ClientFrame::Reconnect { .. } => {
            Some(SessionPart::Uplink)
        }
        ClientFrame::Ack { .. } | ClientFrame::Window { .. } | ClientFrame::Detach { .. } => {
            Some(SessionPart::Delivery)
        }
        ClientFrame::Subscribe(_)
        | ClientFrame::Close { .. }
        | ClientFrame::Hello(_)
        | ClientFrame::Open(_)
        | ClientFrame::Status { .. }
        | ClientFrame::Ping { .. } => None,
    }
}
