//! The events that wake the broker's loop, as types that its helper tasks and the loop share.
//!
//! It does nothing.

use tokio::sync::{mpsc, oneshot, watch};

use crate::core::dialect::outlines::Outlines;
use crate::core::io::{Caller, DialId, EndSession, Input, LinkEvent, PortId, Watch};
use crate::journal::Written;
use crate::wire::message::{ClientFrame, RefusedFrame};
use crate::wire::record::Name;

use super::connections::ConnectionSlot;

/// Dropped once everything that a port sent at once has been handled: it reads on then.
pub(super) type Handled = oneshot::Sender<()>;

/// What can wake the loop.
#[derive(Debug)]
pub(super) enum WakeUp {
    /// A connection was accepted; it has sent no preamble yet.
    Accepted,
    /// A connection has sent its preamble, and is a port now.
    PortOpened(NewConnection),
    /// A connection sent no preamble, and was closed.
    Rejected,
    /// A port sent this, and reads on when all of it is handled, if `Handled` is there.
    Received(PortId, Vec<PortInput>, Option<Handled>),
    /// What is large in an input has been read, and this found in it.
    Read(Box<Input>, Outlines),
    /// A port is closed.
    PortClosed(PortId),
    /// A port's writing task has written what it held.
    Written(PortId),
    /// An event of a dial.
    Link(DialId, LinkEvent),
    /// A journal is written.
    Journal(Written),
    /// The system asks the broker to exit.
    Signal(&'static str),
    /// The system asks the broker to read its settings again. Windows has no way to.
    #[cfg_attr(windows, expect(dead_code, reason = "only Unix has SIGHUP"))]
    Reload,
}

impl From<(DialId, LinkEvent)> for WakeUp {
    fn from((dial, event): (DialId, LinkEvent)) -> Self {
        Self::Link(dial, event)
    }
}

/// A port that has sent its preamble.
#[derive(Debug)]
pub(super) struct NewConnection {
    pub(super) port: PortId,
    pub(super) caller: Caller,
    /// Takes one buffer; the next when `WakeUp::Written` has come back.
    pub(super) writer: mpsc::Sender<Vec<u8>>,
    pub(super) read_mode: watch::Sender<ReadMode>,
    /// Counts it until it is closed.
    pub(super) slot: ConnectionSlot,
}

/// What a port's reading task is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadMode {
    /// Read.
    On,
    /// Read nothing: the port does not read its replies.
    Paused,
}

/// What a port sent.
#[derive(Debug)]
pub(super) enum PortInput {
    /// A frame for the hub.
    Frame(ClientFrame),
    /// A frame that could not be read; to be answered.
    Refused(RefusedFrame),
    /// The command line asks the broker to exit.
    Stop(Name),
    /// A newer version asks the broker to retire.
    Retire(Name),
    /// The command line wants to see what a session records.
    Watch(Watch),
    /// The command line ends a session.
    EndSession(EndSession),
    /// The command line asks the broker to read its settings again.
    Reload(Name),
}
