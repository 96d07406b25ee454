//! What the hub was last given, as the reason for what it does then: it may dial only if somebody asked, or time came.

use longwire::core::io::{DialId, Input, LinkEvent, PortId};
use longwire::wire::message::{ClientFrame, Conflict, Resume};
use longwire::wire::options::Options;

use super::world::World;

/// What the hub was last given.
#[derive(Default)]
pub(super) struct Cause {
    pub(super) kind: Kind,
    pub(super) port: Option<PortId>,
    pub(super) slot: Option<usize>,
    pub(super) opening: Option<Opening>,
    /// The credentials that it brings.
    pub(super) bearer: Option<Bearer>,
    /// The hub has taken them.
    pub(super) brought: bool,
    /// A link ends as both sides wanted it.
    pub(super) ends_cleanly: bool,
    /// Slots that were opened now, and asked for earlier: another session had to be closed first.
    pub(super) opened_late: Vec<usize>,
    /// The dial that the cause's session had before.
    pub(super) dial: Option<DialId>,
    /// Slots whose link was waiting before.
    pub(super) waiting: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Restore,
    /// Nothing that may bring a deadline nearer than the future.
    Quiet,
    Open,
    Send,
    /// `authorize` and `reconnect`.
    Dialling,
    Close,
    Link,
    Resumed,
    Timeout,
    Leave,
}

pub(super) struct Opening {
    pub(super) options: Option<Options>,
    pub(super) address: Option<usize>,
    pub(super) conflict: Conflict,
    pub(super) resume: Option<Resume>,
}

/// Credentials on their way, and whether the hub may take them.
#[derive(Clone, Copy)]
pub(super) struct Bearer {
    pub(super) number: usize,
    pub(super) may_pass: bool,
    pub(super) failed: bool,
}

impl World {
    /// What an input may be the cause of, before the hub gets it.
    pub(super) fn cause_of(&mut self, input: &Input) -> Cause {
        let waiting = std::mem::take(&mut self.cause.waiting);
        let mut cause = Cause {
            kind: Kind::Quiet,
            waiting,
            ..Cause::default()
        };
        if let Input::Link(_, LinkEvent::Ended(end)) = input {
            cause.ends_cleanly = end.error.is_none() && end.code != Some(1006);
        }
        match input {
            Input::Frame(port, frame) => {
                cause.port = Some(*port);
                cause.slot = frame.session().and_then(|name| self.slot_named(*port, name));
                cause.dial = cause
                    .slot
                    .and_then(|slot| self.slots[slot].incarnations.last()?.dial);
                self.adds_frame(&mut cause, *port, frame);
            }
            Input::Link(
                _,
                LinkEvent::Ended(_)
                | LinkEvent::Opened { .. }
                | LinkEvent::Answered(_)
                | LinkEvent::Posted(..),
            ) => cause.kind = Kind::Link,
            Input::Resumed => cause.kind = Kind::Resumed,
            Input::Timeout => cause.kind = Kind::Timeout,
            Input::Leave { .. } => cause.kind = Kind::Leave,
            _ => {}
        }
        cause
    }

    /// What a frame is the cause of.
    fn adds_frame(&mut self, cause: &mut Cause, port: PortId, frame: &ClientFrame) {
        match frame {
            ClientFrame::Open(open) => {
                cause.kind = Kind::Open;
                let opening = Some(Opening {
                    options: open.options.clone(),
                    address: open
                        .url
                        .as_deref()
                        .zip(cause.slot)
                        .and_then(|(url, slot)| self.address_of(slot, url)),
                    conflict: open.conflict,
                    resume: open.resume.clone(),
                });
                match cause.slot.filter(|slot| self.is_closing(*slot)) {
                    Some(slot) => self.deferred.extend(opening.map(|opening| (port, slot, opening))),
                    None => cause.opening = opening,
                }
            }
            ClientFrame::Send(_) | ClientFrame::Request(_) => cause.kind = Kind::Send,
            ClientFrame::Authorize(authorize) => {
                cause.kind = Kind::Dialling;
                cause.bearer = self.bearer_of(authorize);
            }
            ClientFrame::Reconnect { .. } => cause.kind = Kind::Dialling,
            ClientFrame::Close { .. } => cause.kind = Kind::Close,
            _ => {}
        }
    }

    fn address_of(&self, slot: usize, url: &str) -> Option<usize> {
        self.slots[slot].addresses.iter().position(|known| known == url)
    }
}
