//! Frames of ports: `hello`, and everything that is for one session. `open` and `status` have files of
//! their own.
//!
//! It finds the session and says why there is none; what a session does with a frame is the session's.

use crate::wire::code::Code;
use crate::wire::json::Pointers;
use crate::wire::message::{BrokerFrame, ClientFrame, Hello, Match, SessionSummary, Welcome};
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name};

use crate::core::context::{ClientIdentity, error};
use crate::core::dialect::outlines::Unread;
use crate::core::identity::SessionKey;
use crate::core::io::{Caller, PortId};
use crate::core::policy;
use crate::core::session::{SessionInput, Unsent};

use super::{CAPABILITIES, Hub, LIMITS};

impl Hub {
    pub(super) fn frame(&mut self, port: PortId, frame: ClientFrame) {
        let Some(known) = self.ctx.ports.get(&port) else {
            return;
        };
        let is_admin = known.caller == Caller::Admin;
        match frame {
            ClientFrame::Status { id } if is_admin => self.status(port, id, None),
            _ if is_admin => {
                let why = error(Code::Unsupported, "the command line may only request `status`");
                self.ctx.send_error(port, why, frame.id(), None);
            }
            ClientFrame::Hello(hello) => self.hello(port, hello),
            frame if known.identity.is_none() => {
                let why = error(Code::HelloRequired, "the first frame on a port must be `hello`");
                self.ctx.send_error(port, why, frame.id(), frame.session());
            }
            frame => self.client_frame(port, frame),
        }
    }

    /// What a frame holds that is large and will be asked about.
    pub(super) fn unread_frame(&self, port: PortId, frame: &ClientFrame) -> Vec<Unread> {
        let (send, matching) = match frame {
            ClientFrame::Send(send) => (send, None),
            ClientFrame::Request(request) => (&request.send, Some(&request.matching)),
            _ => return Vec::new(),
        };
        let session = self
            .ctx
            .ports
            .get(&port)
            .and_then(|known| self.sessions.get(known.attached.get(&send.session)?));
        let pointers = || {
            let mut pointers = session.map_or(Pointers::NONE, |session| session.parts().spec.sent_pointers());
            match matching {
                Some(Match::JsonRpc) => pointers.add("/id"),
                Some(Match::Pointers(correlation)) => pointers.add(&correlation.out),
                Some(Match::Ack) | None => {}
            }
            if let Some(correlation) = &send.confirm {
                pointers.add(&correlation.out);
            }
            pointers
        };
        let is_text = !matches!(send.payload, Payload::Binary(_));
        let unread = is_text
            .then(|| Unread::new(send.payload.bytes(), pointers))
            .flatten();
        unread
            .into_iter()
            .filter(|unread| !unread.pointers.is_empty())
            .collect()
    }

    fn hello(&mut self, port: PortId, hello: Hello) {
        if let Err(why) = self.check_hello(port, &hello) {
            return self.ctx.send_error(port, why, None, None);
        }
        let Hello {
            profile,
            client,
            accepts,
            instance,
            ..
        } = hello;
        let Some(known) = self.ctx.ports.get_mut(&port) else {
            return;
        };
        let instance = instance.as_deref().unwrap_or_default();
        // Which worker of a browser this is: its log has the same id.
        tracing::debug!(port = port.0, client = %client, instance, "hello");
        let identity = ClientIdentity { profile, client };
        let before = known.identity.replace(identity.clone());
        if before.is_some_and(|before| before != identity) {
            // First of all: a session that ends now must not be opened again for a client that is gone.
            let why = error(Code::SessionClosed, "the port has sent `hello` as another client");
            self.refuse_deferred(Some(port), &why);
            self.detach_all(port);
        }
        self.welcome(port, &identity, &accepts);
    }

    /// Whether the broker and the settings let this caller in.
    fn check_hello(&mut self, port: PortId, hello: &Hello) -> Result<(), ErrorInfo> {
        if hello.protocol != 1 {
            let why = format!(
                "protocol version {} is not supported; this broker supports version 1",
                hello.protocol
            );
            return Err(error(Code::Unsupported, why));
        }
        let needs = hello.needs.iter().map(String::as_str);
        let unmet: Vec<&str> = needs.filter(|need| !CAPABILITIES.contains(need)).collect();
        self.note_unmet(port, &unmet);
        if !unmet.is_empty() {
            let why = format!("this broker lacks: {}", unmet.join(", "));
            return Err(error(Code::Unsupported, why));
        }
        match self.ctx.ports.get(&port).map(|known| &known.caller) {
            Some(Caller::Extension { origin }) => policy::check_enabled(self.ctx.dialer.rules().of(origin)),
            _ => Ok(()),
        }
    }

    fn welcome(&mut self, port: PortId, identity: &ClientIdentity, accepts: &[String]) {
        let Some(owner) = self.owner(port, identity) else {
            return;
        };
        let sessions = self
            .sessions
            .values()
            .filter(|session| session.identity().owner == owner)
            .map(|session| SessionSummary {
                session: session.identity().name.clone(),
                state: session.parts().uplink.state(),
                pending: session.parts().delivery.pending(&identity.client),
            })
            .collect();
        let welcome = Welcome {
            version: self.config.version,
            broker: self.config.boot.as_str().into(),
            limits: self.limits(&owner.origin),
            origin: owner.origin,
            capabilities: CAPABILITIES,
            sessions,
            takes_messages: accepts.iter().any(|word| word == "messages"),
        };
        self.ctx.send(port, BrokerFrame::Welcome(Box::new(welcome)));
    }

    fn limits(&self, origin: &str) -> Vec<(&'static str, u64)> {
        let sessions = self.ctx.dialer.rules().of(origin).sessions as u64;
        let stated = |&(name, limit)| (name, if name == "sessions" { sessions } else { limit });
        LIMITS.iter().map(stated).collect()
    }

    fn client_frame(&mut self, port: PortId, frame: ClientFrame) {
        match frame {
            ClientFrame::Open(open) => {
                if let Some(identity) = self.identity_of(port).cloned() {
                    self.open(port, &identity, *open);
                }
            }
            ClientFrame::Status { id } => {
                let owner = self.identity_of(port);
                let owner = owner.and_then(|identity| self.owner(port, identity));
                self.status(port, id, owner);
            }
            ClientFrame::Ping { id } => self.ctx.send(port, BrokerFrame::Pong { id }),
            frame => self.session_frame(port, frame),
        }
    }

    fn identity_of(&self, port: PortId) -> Option<&ClientIdentity> {
        self.ctx.ports.get(&port)?.identity.as_ref()
    }

    /// Gives a frame to the session that it names, if the port holds that.
    fn session_frame(&mut self, port: PortId, frame: ClientFrame) {
        let Some(name) = frame.session() else {
            return;
        };
        let held = self.held_session(port, name).and_then(|key| {
            let session = self.sessions.get(&key);
            if asks_for_more(&frame) {
                session.map_or(Ok(()), |session| session.lifecycle().check())?;
            }
            Ok(key)
        });
        match held {
            Ok(key) => {
                let input = self.session_input(port, frame);
                self.handle_session(key, input);
            }
            Err(_) if self.is_late(port, &frame) => {}
            Err(why) => self.ctx.send_error(port, why, frame.id(), Some(name)),
        }
    }

    /// Whether this is an acknowledgement that was sent before the extension knew that its attachment had ended.
    fn is_late(&self, port: PortId, frame: &ClientFrame) -> bool {
        let ClientFrame::Ack { session, .. } = frame else {
            return false;
        };
        let known = self.ctx.ports.get(&port);
        known.is_some_and(|known| known.has_released(session))
    }

    /// What a frame asks of a session that the port holds. `close` is answered at once.
    fn session_input(&mut self, port: PortId, frame: ClientFrame) -> SessionInput {
        match frame {
            ClientFrame::Close {
                id,
                code,
                reason,
                discard,
                ..
            } => {
                self.ctx.send_ok(port, id);
                let unsent = if discard { Unsent::Discard } else { Unsent::Write };
                SessionInput::Close(code.unwrap_or(1000), reason.unwrap_or_default(), unsent)
            }
            frame => SessionInput::Frame(port, frame),
        }
    }

    /// The session of this name that the port holds.
    fn held_session(&self, port: PortId, name: &Name) -> Result<SessionKey, ErrorInfo> {
        let known = self.ctx.ports.get(&port);
        if let Some(key) = known.and_then(|port| port.attached.get(name)) {
            return Ok(*key);
        }
        let owner = self
            .identity_of(port)
            .and_then(|identity| self.owner(port, identity));
        let exists = owner.is_some_and(|owner| self.names.contains_key(&(owner, name.clone())));
        Err(if exists {
            error(
                Code::NotAttached,
                format!("this port is not attached to session `{name}`; send `open` first"),
            )
        } else {
            error(
                Code::NoSession,
                format!("there is no session `{name}`; send `open` with a `url`"),
            )
        })
    }
}

/// Whether a session that is being closed does not do this any more. Messages are refused where their ids are known.
const fn asks_for_more(frame: &ClientFrame) -> bool {
    matches!(
        frame,
        ClientFrame::Subscribe(_)
            | ClientFrame::Unsubscribe { .. }
            | ClientFrame::Reply(_)
            | ClientFrame::Reconnect { .. }
    )
}
