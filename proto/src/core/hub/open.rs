//! `open`: creates a session, or attaches to one and perhaps changes it, within what the settings allow.

use std::borrow::Cow;

use url::Url;

use crate::wire::code::Code;
use crate::wire::message::{Conflict, Open};
use crate::wire::options::Options;
use crate::wire::record::{ErrorInfo, Name};

use crate::core::context::{ClientIdentity, error};
use crate::core::identity::{Identity, Owner, SessionKey};
use crate::core::io::PortId;
use crate::core::policy;
use crate::core::rules::ExtensionRule;
use crate::core::session::{Origin, SESSION_COST, Session, over_budget};
use crate::core::syntax::read_url;

use super::{Deferred, Hub};

impl Hub {
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
        policy::check_enabled(self.ctx.dialer.rules().of(&owner.origin))?;
        let url = open.url.take().map(|url| read_url(&url)).transpose()?;
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
            let rules = self.ctx.dialer.rules();
            let wanted = options.as_ref().unwrap_or(session.parts().spec.options());
            let rule = rules.of(origin);
            session
                .parts()
                .uplink
                .may_become(session.identity(), rule, url.as_ref(), wanted)?;
            let more = options
                .as_ref()
                .map_or(0, |options| session.parts().spec.grows_by(options));
            if more > 0 {
                self.check_budget(origin, more)?;
            }
        }
        let known = session.parts().uplink.url();
        let differs = url.as_ref().is_some_and(|url| known != Some(url))
            || options
                .as_ref()
                .is_some_and(|options| !session.parts().spec.has(options));
        let has_url = known.is_some();
        if differs && has_url && open.conflict == Conflict::Error {
            let why = "the session exists with another URL or other options";
            return Err(error(Code::SessionConflict, why));
        }
        let updates = differs && (open.conflict == Conflict::Update || !has_url);
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
        let rules = self.ctx.dialer.rules().clone();
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
        let budget = self.memory.budget(self.ctx.dialer.rules(), origin);
        if self.memory.of_origin(origin) + more > budget {
            return Err(over_budget(budget));
        }
        Ok(())
    }

    /// Whether the extension may have one more session in this profile.
    fn check_counts(&self, rule: &ExtensionRule, owner: &Owner) -> Result<(), ErrorInfo> {
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
}
