//! What the session lends the uplink while it handles an input, and what the uplink does with it in several places.

use std::collections::VecDeque;

use crate::wire::message::{BrokerFrame, ErrorFrame};
use crate::wire::options::Options;
use crate::wire::record::{ErrorInfo, Name};

use crate::core::context::Dialer;
use crate::core::dialect::DialContext;
use crate::core::dialect::outlines::Outlines;
use crate::core::identity::Identity;
use crate::core::io::{DialId, Now, Output, PortId};

/// What an uplink may touch while it does something.
#[derive(Debug)]
pub(in crate::core::session) struct UplinkContext<'a> {
    pub(in crate::core::session) now: Now,
    pub(in crate::core::session) who: &'a Identity,
    pub(in crate::core::session) options: &'a Options,
    pub(in crate::core::session) dialer: &'a mut Dialer,
    pub(in crate::core::session) out: &'a mut VecDeque<Output>,
    pub(in crate::core::session) outlines: &'a mut Outlines,
}

impl UplinkContext<'_> {
    pub(super) fn dial(&mut self, dial: DialId) -> DialContext<'_> {
        DialContext {
            now: self.now,
            dial,
            options: self.options,
            out: self.out,
            outlines: self.outlines,
        }
    }

    /// Ends a dial; its later events are ignored.
    pub(super) fn hang_up(&mut self, dial: DialId, code: u16, reason: &str) {
        self.dialer.forget(dial);
        self.out.push_back(Output::HangUp {
            dial,
            code,
            reason: reason.to_owned(),
        });
    }

    /// Answers a frame: `ok` if it has an id, or why it was not done.
    pub(super) fn answer(&mut self, port: PortId, id: Option<Name>, done: Result<(), ErrorInfo>) {
        let frame = match (done, id) {
            (Ok(()), Some(id)) => BrokerFrame::Ok { id },
            (Ok(()), None) => return,
            (Err(why), id) => {
                let session = self.who.name.clone();
                BrokerFrame::Error(Box::new(ErrorFrame::new(why, id, Some(session))))
            }
        };
        self.out.push_back(Output::Deliver { port, frame, cost: 0 });
    }
}
