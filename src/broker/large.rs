//! Examines large contents on another thread: what the hub looks up in them is found before it gets them.
//!
//! Later input of the same port or dial waits meanwhile. For each extension one is examined at a time: it cannot occupy
//! all processors, and others do not wait for it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::core::dialect::outlines::{Outlines, Unread};
use crate::core::dialect::unencoded::UnencodedMessage;
use crate::core::hub::Hub;
use crate::core::io::{DialId, Input, LinkEvent, PortId};
use crate::crash;
use crate::wire::code::Code;
use crate::wire::record::ErrorInfo;

use super::read_permits::ReadPermits;
use super::wakeup::{Handled, PortInput, WakeUp};

/// The port or dial that an input came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum InputSource {
    Port(PortId),
    Dial(DialId),
}

/// What waits until something before it has been read.
#[derive(Debug)]
pub(super) enum WaitingInput {
    Port(PortId, PortInput),
    Link(DialId, LinkEvent),
}

/// What is being read, and what waits behind it.
#[derive(Debug)]
pub(super) struct LargeContents {
    wake: mpsc::Sender<WakeUp>,
    read_permits: ReadPermits,
    behind: HashMap<InputSource, Behind>,
}

#[derive(Debug, Default)]
struct Behind {
    waiting: VecDeque<WaitingInput>,
    handled: Vec<Handled>,
}

impl WaitingInput {
    const fn source(&self) -> InputSource {
        match self {
            Self::Port(port, _) => InputSource::Port(*port),
            Self::Link(dial, _) => InputSource::Dial(*dial),
        }
    }
}

impl LargeContents {
    /// Nothing is read yet. What has been read goes to `wake`.
    pub(super) fn new(wake: mpsc::Sender<WakeUp>, read_permits: ReadPermits) -> Self {
        Self {
            wake,
            read_permits,
            behind: HashMap::new(),
        }
    }

    /// Lets something wait if something before it is being read; otherwise gives it back.
    pub(super) fn pass(&mut self, item: WaitingInput) -> Option<WaitingInput> {
        match self.behind.get_mut(&item.source()) {
            Some(behind) => {
                behind.waiting.push_back(item);
                None
            }
            None => Some(item),
        }
    }

    /// Reads what is large in an input; gives back one that the hub may have now.
    pub(super) fn read(&mut self, hub: &mut Hub, input: Input) -> Option<Input> {
        let source = match &input {
            Input::Frame(port, _) => InputSource::Port(*port),
            Input::Link(dial, _) => InputSource::Dial(*dial),
            _ => return Some(input),
        };
        let unread = hub.unread(&input);
        let Some(origin) = hub.origin(&input).filter(|_| !unread.is_empty()) else {
            return Some(input);
        };
        self.behind.entry(source).or_default();
        tokio::spawn(read(
            self.read_permits.of(&origin),
            self.wake.clone(),
            unread,
            input,
        ));
        None
    }

    /// Encodes a large message of a dial as packets, which come back as an event of the dial.
    pub(super) fn encode(&self, hub: &Hub, dial: DialId, message: UnencodedMessage) {
        let Some(origin) = hub.origin_of(dial) else { return };
        let (read_permit, wake) = (self.read_permits.of(&origin), self.wake.clone());
        tokio::spawn(async move {
            let _permit = read_permit.acquire_owned().await;
            let encode = || {
                crash::point("broker.encode");
                message.encode()
            };
            let packets = tokio::task::spawn_blocking(encode).await.unwrap_or_else(|_| {
                let why = "writing the message as packets failed; see the broker's log";
                Err(ErrorInfo::new(Code::Internal, why))
            });
            let _ = wake.send(WakeUp::Link(dial, LinkEvent::Encoded(packets))).await;
        });
    }

    /// A port sent something of which some waits: it reads on when all of that has been handled.
    pub(super) fn hold(&mut self, port: PortId, handled: Handled) {
        if let Some(behind) = self.behind.get_mut(&InputSource::Port(port)) {
            behind.handled.push(handled);
        }
    }

    /// Something of this port or dial has been read and handled: what waits behind it, in order.
    pub(super) fn release(&mut self, input: &Input) -> (VecDeque<WaitingInput>, Vec<Handled>) {
        let behind = match input {
            Input::Frame(port, _) => self.behind.remove(&InputSource::Port(*port)),
            Input::Link(dial, _) => self.behind.remove(&InputSource::Dial(*dial)),
            _ => None,
        };
        behind
            .map(|behind| (behind.waiting, behind.handled))
            .unwrap_or_default()
    }
}

async fn read(read_permit: Arc<Semaphore>, wake: mpsc::Sender<WakeUp>, unread: Vec<Unread>, input: Input) {
    let outlines = {
        let _permit = read_permit.acquire_owned().await;
        let read = || {
            crash::point("broker.examine");
            Outlines::read(unread)
        };
        tokio::task::spawn_blocking(read).await
    };
    // Without an outline the hub reads for itself.
    let outlines = outlines.unwrap_or_default();
    let _ = wake.send(WakeUp::Read(Box::new(input), outlines)).await;
}
