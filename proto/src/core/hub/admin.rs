//! Requests of the command line about one session: watching it, and ending it.
//!
//! It finds the session by name, origin and profile. It holds no session and acknowledges nothing.

use crate::core::context::{Watcher, error};
use crate::core::identity::SessionKey;
use crate::core::io::{EndSession, Output, PortId, SessionSelector, Watch};
use crate::core::session::{SessionInput, Unsent};
use crate::wire::code::Code;
use crate::wire::message::BrokerFrame;
use crate::wire::record::{ErrorInfo, Name};

use super::Hub;

impl Hub {
    /// Shows the command line what a session records from now on.
    pub(super) fn watch(&mut self, port: PortId, watch: &Watch) {
        match self.select(&watch.session) {
            Ok(key) => {
                self.ctx.send(port, BrokerFrame::Ok { id: watch.id.clone() });
                let session = self.sessions.get(&key);
                let missed = session.map_or(0, |session| {
                    let name = &session.identity().name;
                    let ports = &mut self.ctx.ports();
                    session.parts().delivery.show_last(ports, name, port, watch.last)
                });
                self.ctx.watchers.push(Watcher {
                    port,
                    session: key,
                    sees_outgoing: watch.both,
                    missed,
                });
            }
            Err(why) => self.refuse_selection(port, why, &watch.id, &watch.session),
        }
    }

    /// Ends a session for every client, as its extension could.
    pub(super) fn end_session(&mut self, port: PortId, end: EndSession) {
        match self.select(&end.session) {
            Ok(key) => {
                self.ctx.send(port, BrokerFrame::Ok { id: end.id });
                self.handle_session(key, SessionInput::Close(1000, String::new(), Unsent::Write));
            }
            Err(why) => self.refuse_selection(port, why, &end.id, &end.session),
        }
    }

    fn refuse_selection(&mut self, port: PortId, why: ErrorInfo, id: &Name, selector: &SessionSelector) {
        self.ctx.send_error(port, why, Some(id), Some(&selector.session));
    }

    /// The one session that is meant.
    fn select(&self, selector: &SessionSelector) -> Result<SessionKey, ErrorInfo> {
        let name = &selector.session;
        let fits =
            |wanted: &Option<Name>, actual: &Name| wanted.as_ref().is_none_or(|wanted| wanted == actual);
        let mut meant = self.sessions.values().filter(|session| {
            session.identity().name == *name
                && fits(&selector.origin, &session.identity().owner.origin)
                && fits(&selector.profile, &session.identity().owner.profile)
        });
        match (meant.next(), meant.next()) {
            (Some(session), None) => Ok(session.identity().key),
            (None, _) => Err(error(Code::NoSession, format!("there is no session `{name}`"))),
            (Some(first), Some(second)) => {
                let origin = &first.identity().owner.origin;
                let mut others = std::iter::once(second).chain(meant);
                let flag = if others.all(|other| other.identity().owner.origin == *origin) {
                    "--profile"
                } else {
                    "--origin"
                };
                let why = format!("several sessions are called `{name}`; choose one with {flag}");
                Err(error(Code::BadFrame, why))
            }
        }
    }

    /// Shows a message that goes out to those who watch both directions.
    pub(super) fn show_outgoing(&mut self, output: &Output) {
        let Output::Transmit(dial, payload) = output else {
            return;
        };
        if let Some(key) = self.ctx.dialer.session_of(*dial)
            && let Some(session) = self.sessions.get(&key)
        {
            let time = self.ctx.now.wall;
            self.ctx
                .ports()
                .show_outgoing(key, &session.identity().name, payload, time);
        }
    }
}
