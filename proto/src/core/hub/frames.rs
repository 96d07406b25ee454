//! What the frames of a port ask for: `hello`, `open`, counters, and everything that is for one session.
//!
//! It finds the session and says why there is none; what a session does with a frame is the session's.

use std::borrow::Cow;

use url::Url;

use crate::wire::code::Code;
use crate::wire::json::Pointers;
use crate::wire::message::{
    BrokerFrame, ClientFrame, Conflict, ExtensionMemory, Hello, Match, MemoryReport, Open, SessionReport,
    SessionSummary, StatusReport, UnmetNeeds, Welcome,
};
use crate::wire::options::Options;
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, Name};

use crate::core::context::{ClientIdentity, error};
use crate::core::dialect::outlines::Unread;
use crate::core::identity::{Identity, Owner, SessionKey};
use crate::core::io::{Caller, PortId};
use crate::core::policy;
use crate::core::rules::Rule;
use crate::core::session::{Origin, SESSION_COST, Session, over_budget};

use super::{CAPABILITIES, Deferred, Hub, LIMITS, budget};

/// Extensions whose unmet needs are remembered, needs of each, and characters of each need.
const MAX_UNMET: usize = 64;

impl Hub {
    pub(super) fn frame(&mut self, port: PortId, frame: ClientFrame) {
        let Some(known) = self.ctx.ports.get(&port) else {
            return;
        };
        let is_admin = known.caller == Caller::Admin;
        match frame {
            ClientFrame::Status { id } if is_admin => self.status(port, id, None),
            _ if is_admin => {
                let why = error(Code::Unsupported, "the command line may only ask for `status`");
                self.ctx.send_error(port, why, frame.id(), None);
            }
            ClientFrame::Hello(hello) => self.hello(port, hello),
            frame => match known.identity.clone() {
                None => {
                    let why = error(Code::HelloRequired, "the first frame on a port must be `hello`");
                    self.ctx.send_error(port, why, frame.id(), frame.session());
                }
                Some(identity) => self.client_frame(port, &identity, frame),
            },
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
            let mut pointers = session.map_or(Pointers::NONE, |session| session.sent_pointers());
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
        // Which worker of a browser this is: its log has the same word.
        tracing::debug!(port = port.0, client = %client, instance, "hello");
        let identity = ClientIdentity { profile, client };
        let before = known.identity.replace(identity.clone());
        if before.is_some_and(|before| before != identity) {
            self.detach_all(port);
            let why = error(Code::SessionClosed, "the port has sent `hello` as another client");
            self.refuse_deferred(Some(port), &why);
        }
        self.welcome(port, &identity, &accepts);
    }

    /// Whether the broker and the settings let this caller in.
    fn check_hello(&mut self, port: PortId, hello: &Hello) -> Result<(), ErrorInfo> {
        if hello.protocol != 1 {
            let why = format!("protocol {} is not spoken here; 1 is", hello.protocol);
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
            Some(Caller::Extension { origin }) => policy::check_enabled(self.ctx.dialer.rules.of(origin)),
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
                state: session.state(),
                pending: session.pending(&identity.client),
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
        let sessions = self.ctx.dialer.rules.of(origin).sessions as u64;
        let stated = |&(name, limit)| (name, if name == "sessions" { sessions } else { limit });
        LIMITS.iter().map(stated).collect()
    }

    fn client_frame(&mut self, port: PortId, identity: &ClientIdentity, frame: ClientFrame) {
        match frame {
            ClientFrame::Open(open) => return self.open(port, identity, *open),
            ClientFrame::Status { id } => {
                let owner = self.owner(port, identity);
                return self.status(port, id, owner);
            }
            ClientFrame::Ping { id } => return self.ctx.send(port, BrokerFrame::Pong { id }),
            _ => {}
        }
        let Some(name) = frame.session().cloned() else {
            return;
        };
        let held = self.held_session(port, identity, &name).and_then(|key| {
            let session = self.sessions.get(&key);
            if asks_for_more(&frame) {
                session.map_or(Ok(()), |session| session.lifecycle().check())?;
            }
            Ok(key)
        });
        match held {
            Ok(key) => self.with(key, |session, ctx| session.frame(ctx, port, frame)),
            Err(why) => self.ctx.send_error(port, why, frame.id(), Some(&name)),
        }
    }

    /// The session of this name that the port holds.
    fn held_session(
        &self,
        port: PortId,
        identity: &ClientIdentity,
        name: &Name,
    ) -> Result<SessionKey, ErrorInfo> {
        let known = self.ctx.ports.get(&port);
        if let Some(key) = known.and_then(|port| port.attached.get(name)) {
            return Ok(*key);
        }
        let exists = self
            .owner(port, identity)
            .is_some_and(|owner| self.names.contains_key(&(owner, name.clone())));
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

    pub(super) fn open(&mut self, port: PortId, identity: &ClientIdentity, open: Open) {
        let Some(owner) = self.owner(port, identity) else {
            return;
        };
        if let Some(closing) = self.closing(&owner, &open.session) {
            let identity = identity.clone();
            return self.deferred.push(Deferred {
                closing,
                port,
                identity,
                open,
            });
        }
        let (id, name) = (open.id.clone(), open.session.clone());
        if let Err(why) = self.try_open(port, identity, owner, open) {
            self.ctx.send_error(port, why, Some(&id), Some(&name));
        }
    }

    /// The session of this name, if it is being closed.
    fn closing(&self, owner: &Owner, name: &Name) -> Option<SessionKey> {
        let key = *self.names.get(&(owner.clone(), name.clone()))?;
        self.sessions.get(&key)?.lifecycle().is_closing().then_some(key)
    }

    fn try_open(
        &mut self,
        port: PortId,
        identity: &ClientIdentity,
        owner: Owner,
        mut open: Open,
    ) -> Result<(), ErrorInfo> {
        if self.is_leaving {
            let why = "the broker is shutting down; another one will replace it";
            return Err(error(Code::ShuttingDown, why));
        }
        policy::check_enabled(self.ctx.dialer.rules.of(&owner.origin))?;
        let url = open.url.take().map(|url| policy::read_url(&url)).transpose()?;
        let options = open.options.take();
        match self.names.get(&(owner.clone(), open.session.clone())).copied() {
            Some(key) => self.reopen(port, identity, key, open, url, options),
            None => self.create(port, identity, owner, open, url, options),
        }
    }

    /// Attaches to a session that is there, and changes it if it is to be other than it is.
    fn reopen(
        &mut self,
        port: PortId,
        identity: &ClientIdentity,
        key: SessionKey,
        open: Open,
        url: Option<Url>,
        options: Option<Options>,
    ) -> Result<(), ErrorInfo> {
        let Some(session) = self.sessions.get(&key) else {
            return Ok(());
        };
        let origin = &session.identity().owner.origin;
        if url.is_some() || options.is_some() {
            let rules = &self.ctx.dialer.rules;
            session.may_become(rules.of(origin), url.as_ref(), options.as_ref())?;
            let more = options.as_ref().map_or(0, |options| session.grows_by(options));
            if more > 0 {
                self.check_budget(origin, more)?;
            }
        }
        let differs = session.differs(url.as_ref(), options.as_ref());
        if differs && session.has_url() && open.conflict == Conflict::Error {
            let why = "the session exists with another URL or other options";
            return Err(error(Code::SessionConflict, why));
        }
        let updates = differs && (open.conflict == Conflict::Update || !session.has_url());
        self.with(key, |session, ctx| {
            if updates {
                session.update(ctx, url, options);
            }
            session.attach(ctx, port, &identity.client, open, Origin::Existing);
        });
        Ok(())
    }

    fn create(
        &mut self,
        port: PortId,
        identity: &ClientIdentity,
        owner: Owner,
        open: Open,
        url: Option<Url>,
        options: Option<Options>,
    ) -> Result<(), ErrorInfo> {
        let rules = self.ctx.dialer.rules.clone();
        let rule = rules.of(&owner.origin);
        if url.is_some() || options.is_some() {
            let options = options.as_ref().map_or_else(Cow::default, Cow::Borrowed);
            policy::check_dial(&options, url.as_ref(), rule, &owner.origin)?;
        }
        let url = url.ok_or_else(|| {
            let name = &open.session;
            let why = format!("there is no session `{name}`; a `url` is needed to create it");
            error(Code::NoSession, why)
        })?;
        self.check_counts(rule, &owner)?;
        let more = SESSION_COST + options.as_ref().map_or(0, Options::held);
        self.check_budget(&owner.origin, more)?;
        let key = self.new_key();
        let options = self.shared(options.unwrap_or_default());
        let session = Identity {
            key,
            owner,
            name: open.session.clone(),
            epoch: self.ctx.dialer.random.word().into(),
        };
        let session = Session::new(session, url, options, &mut self.ctx);
        self.add(session);
        self.with(key, |session, ctx| {
            session.attach(ctx, port, &identity.client, open, Origin::Created);
        });
        Ok(())
    }

    /// Whether an extension may hold so many bytes more.
    fn check_budget(&self, origin: &Name, more: usize) -> Result<(), ErrorInfo> {
        let budget = self.budget_of(origin);
        if self.held.get(origin).copied().unwrap_or(0) + more > budget {
            return Err(over_budget(budget));
        }
        Ok(())
    }

    /// Whether the extension may have one more session in this profile.
    fn check_counts(&self, rule: &Rule, owner: &Owner) -> Result<(), ErrorInfo> {
        let sessions = self.counts.get(owner).copied().unwrap_or(0);
        if sessions >= rule.sessions {
            let why = format!(
                "this extension has {} sessions in this profile; close some",
                rule.sessions
            );
            return Err(error(Code::TooManySessions, why));
        }
        let profiles = self.profiles.get(&owner.origin).copied().unwrap_or(0);
        if sessions == 0 && profiles >= rule.profiles {
            let why = format!(
                "this extension has sessions in {} profiles; close some (`profiles` in the settings)",
                rule.profiles
            );
            return Err(error(Code::TooManySessions, why));
        }
        Ok(())
    }

    fn budget_of(&self, origin: &Name) -> usize {
        let own = self.held.get(origin).copied().unwrap_or(0);
        let extensions = self.held.len() + usize::from(own == 0);
        budget(&self.ctx.dialer.rules, origin, own, self.total_held, extensions)
    }

    /// Remembers for the command line what an extension needs and this broker lacks.
    fn note_unmet(&mut self, port: PortId, unmet: &[&str]) {
        let Some(Caller::Extension { origin }) = self.ctx.ports.get(&port).map(|known| &known.caller) else {
            return;
        };
        if unmet.is_empty() {
            self.unmet.remove(origin);
        } else if self.unmet.len() < MAX_UNMET || self.unmet.contains_key(origin) {
            let shown = unmet.iter().take(MAX_UNMET);
            let needs = shown.map(|need| need.chars().take(MAX_UNMET).collect()).collect();
            self.unmet.insert(origin.clone(), needs);
        }
    }

    /// What this extension holds; without one what all hold together, and each of them.
    fn memory(&self, owner: Option<&Owner>) -> MemoryReport {
        let of = |origin: &Name| {
            let held = self.held.get(origin).copied().unwrap_or(0);
            (held as u64, self.budget_of(origin) as u64)
        };
        if let Some(owner) = owner {
            let (held, limit) = of(&owner.origin);
            return MemoryReport {
                held,
                limit,
                extensions: Vec::new(),
            };
        }
        let extension = |origin: &Name| {
            let (held, limit) = of(origin);
            ExtensionMemory {
                origin: origin.to_string(),
                held,
                limit,
            }
        };
        MemoryReport {
            held: self.total_held as u64,
            limit: self.ctx.dialer.rules.memory.total as u64,
            extensions: self.held.keys().map(extension).collect(),
        }
    }

    fn status(&mut self, port: PortId, id: Name, owner: Option<Owner>) {
        let mut total = SessionReport::default();
        let mut sessions = Vec::new();
        for session in self.sessions.values() {
            if owner
                .as_ref()
                .is_some_and(|owner| session.identity().owner != *owner)
            {
                continue;
            }
            let report = session.report(self.ctx.now);
            total.dials += report.dials;
            total.reconnects += report.reconnects;
            total.received.messages += report.received.messages;
            total.received.bytes += report.received.bytes;
            total.sent.messages += report.sent.messages;
            total.sent.bytes += report.sent.bytes;
            total.queued += report.queued;
            total.unacknowledged += report.unacknowledged;
            total.dropped += report.dropped;
            total.outbox += report.outbox;
            total.clients += report.clients;
            total.filtered.add(report.filtered);
            sessions.push(report);
        }
        let memory = self.memory(owner.as_ref());
        let ports = self
            .ctx
            .ports
            .values()
            .filter(|port| port.caller != Caller::Admin)
            .count() as u64;
        let uptime = self.ctx.now.boot.saturating_sub(self.born).as_millis();
        let report = StatusReport {
            id,
            version: self.config.version,
            uptime: u64::try_from(uptime).unwrap_or(u64::MAX),
            pid: 0,
            rss: 0,
            insecure: Vec::new(),
            ports,
            memory,
            unmet: match owner {
                Some(_) => Vec::new(),
                None => self.unmet.iter().map(unmet_needs).collect(),
            },
            total,
            sessions,
        };
        self.ctx.send(port, BrokerFrame::Status(Box::new(report)));
    }
}

fn unmet_needs((origin, needs): (&Name, &Vec<String>)) -> UnmetNeeds {
    UnmetNeeds {
        origin: origin.to_string(),
        needs: needs.clone(),
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
