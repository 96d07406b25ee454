//! The end of the broker, and what waits for its sessions to end: an `open` of a name that is still being closed.

use crate::wire::code::Code;
use crate::wire::message::BrokerFrame;
use crate::wire::record::{ErrorInfo, State};

use crate::core::context::error;
use crate::core::identity::SessionKey;
use crate::core::io::{Output, PortId};
use crate::core::session::{Leave, Session, SessionInput};

use super::{Deferred, Hub, SHUTDOWN_MS, UPGRADE};

impl Hub {
    pub(super) fn leave(&mut self, reason: &'static str) {
        self.is_leaving = true;
        let why = error(
            Code::ShuttingDown,
            "the broker is shutting down; another one will replace it",
        );
        self.refuse_deferred(None, &why);
        let ports: Vec<PortId> = self.ctx.ports.keys().copied().collect();
        for port in ports {
            self.ctx.send(
                port,
                BrokerFrame::Goaway {
                    reason,
                    after: SHUTDOWN_MS,
                },
            );
        }
        let leave = if reason == UPGRADE {
            Leave::HandOver
        } else {
            Leave::Stop
        };
        self.each(|session, ctx| session.handle(ctx, SessionInput::Leave(leave)));
        for session in self.sessions.values() {
            if let Some(journal) = session.parts().delivery.journal() {
                self.journals.insert(journal.clone(), session.identity().key);
            }
        }
    }

    /// A session has ended: its name may be opened again.
    pub(super) fn open_deferred(&mut self, ended: SessionKey) {
        let (now, later) = std::mem::take(&mut self.deferred)
            .into_iter()
            .partition(|deferred| deferred.closing == ended);
        self.deferred = later;
        for Deferred {
            port, identity, open, ..
        } in now
        {
            self.open(port, &identity, open);
        }
    }

    /// The port is another client's now, or the broker exits: its deferred requests are refused.
    pub(super) fn refuse_deferred(&mut self, port: Option<PortId>, why: &ErrorInfo) {
        let (refused, others) = std::mem::take(&mut self.deferred)
            .into_iter()
            .partition(|deferred| port.is_none_or(|port| deferred.port == port));
        self.deferred = others;
        for Deferred { port, open, .. } in refused {
            self.ctx
                .send_error(port, why.clone(), Some(&open.id), Some(&open.session));
        }
    }

    pub(super) fn report_idle(&mut self) {
        let is_idle =
            self.ctx.ports.is_empty() && self.sessions.values().all(|session| can_wait_on_disk(session));
        if self.was_idle != Some(is_idle) {
            self.was_idle = Some(is_idle);
            self.ctx.out.push_back(Output::Idle(is_idle));
        }
    }
}

/// Whether the broker could leave without losing anything of the session: it is on disk and wants no link.
fn can_wait_on_disk(session: &Session) -> bool {
    session.parts().delivery.journal().is_some()
        && matches!(
            session.parts().uplink.state(),
            State::Paused | State::Failed | State::Closed
        )
}
