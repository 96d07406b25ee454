//! Credentials: asking for them, taking them, and what their refusal means.
//!
//! It keeps them in memory only, and shows them to nobody but the dial (`dialling`).

use std::time::Duration;

use url::Url;

use crate::wire::code::Code;
use crate::wire::message::{Authorize, BrokerFrame};
use crate::wire::record::{ErrorInfo, State, StateChange};

use crate::core::context::{Context, error};
use crate::core::io::PortId;
use crate::core::link::Link;
use crate::core::policy;
use crate::core::rules::Rule;

use super::Session;

/// How long an asked provider may take, as `auth-needed` says.
const AUTHORIZE_WITHIN: u64 = 10_000;
/// Refusals of fresh credentials before the session gives up.
const FRESH_REFUSALS: u32 = 2;
/// A server that lets a link stand this long has accepted its credentials; one that opens and closes has not.
const ACCEPTED_AFTER: Duration = Duration::from_secs(10);

impl Session {
    /// The server refused the credentials.
    pub(super) fn refused(&mut self, ctx: &mut Context, mut change: StateChange, taken: u64) {
        if self.credentials.fresh {
            self.credentials.refused_fresh += 1;
            self.credentials.fresh = false;
        }
        self.credentials.is_refused = true;
        self.credentials.status = change.status;
        if !self.options.auth_provider || self.credentials.refused_fresh >= FRESH_REFUSALS {
            self.link = Link::Failed;
            change.state = State::Failed;
            self.tell_state(ctx, change);
        } else {
            let status = change.status;
            change.state = State::Unauthorized;
            self.link = Link::Unauthorized;
            self.tell_state(ctx, change);
            self.need_credentials(ctx, "refused", status);
        }
        self.settle_lost(ctx, taken);
    }

    /// A link that stood for a while shows that its credentials were good: what is refused next has expired.
    pub(super) fn credit_credentials(&mut self, ctx: &Context) {
        if self
            .link
            .connection()
            .is_some_and(|connection| ctx.now.boot.saturating_sub(connection.opened) >= ACCEPTED_AFTER)
        {
            self.credentials.fresh = false;
            self.credentials.refused_fresh = 0;
            self.credentials.asked = 0;
        }
    }

    /// Why the provider must be asked before the next dial, and the HTTP status that says so; `None`: there is no need.
    pub(super) fn wanted_credentials(&self) -> Option<(&'static str, Option<u16>)> {
        if !self.options.auth_provider {
            return None;
        }
        if self.credentials.is_refused {
            // They would be refused again.
            return Some(("refused", self.credentials.status));
        }
        (!self.credentials.given).then_some(("first", None))
    }

    /// No dialling until somebody brings credentials.
    pub(super) fn need_credentials(&mut self, ctx: &mut Context, why: &'static str, status: Option<u16>) {
        if !matches!(self.link, Link::Unauthorized) {
            self.link = Link::Unauthorized;
            self.tell_state(ctx, StateChange::new(State::Unauthorized));
        }
        self.credentials.asked += 1;
        self.credentials.nonce = Some(ctx.random.word());
        self.credentials.why = why;
        self.credentials.status = status;
        self.ask_for_credentials(ctx);
    }

    /// Asks the client that came last; one that comes later is asked when it attaches.
    pub(super) fn ask_for_credentials(&mut self, ctx: &mut Context) {
        let Some(nonce) = self.credentials.nonce.clone() else {
            return;
        };
        let newest = self
            .clients
            .iter()
            .filter_map(|client| client.attachment.as_ref())
            .map(|seat| seat.port)
            .max();
        let Some(port) = newest else { return };
        let frame = BrokerFrame::AuthNeeded {
            session: self.name.clone(),
            nonce,
            why: self.credentials.why,
            attempt: self.credentials.asked,
            deadline: AUTHORIZE_WITHIN,
            status: self.credentials.status,
        };
        ctx.say(port, frame);
    }

    /// Credentials came, asked for or not.
    pub(crate) fn authorize(&mut self, ctx: &mut Context, port: PortId, authorize: Authorize) {
        let Authorize {
            id,
            nonce,
            headers,
            url,
            subprotocols,
            auth,
            failed,
            ..
        } = authorize;
        let name = self.name.clone();
        let url = match self.check_credentials(
            ctx.rules.of(&self.owner.origin),
            url.as_deref(),
            headers.as_deref(),
            subprotocols.as_deref(),
        ) {
            Ok(url) => url,
            Err(why) => return ctx.refuse(port, why, id.as_ref(), Some(&name)),
        };
        if nonce.is_some() && nonce != self.credentials.nonce {
            let why = error(
                Code::BadFrame,
                "field `nonce`: it answers a question that is not open any more",
            );
            return ctx.refuse(port, why, id.as_ref(), Some(&name));
        }
        ctx.ok(port, id);
        if nonce.is_none() && self.link.connection().is_some() {
            // Others than those of this link: what the server remembers of it is somebody else's.
            self.forget_recovery();
        }
        self.credentials.nonce = None;
        // Before they change: how long this link stood speaks for those before.
        self.pause_link(ctx, 1000);
        if let Some(why) = failed {
            self.link = Link::Failed;
            let mut change = StateChange::new(State::Failed);
            change.error = Some(error(
                Code::HttpStatus,
                "the extension has no credentials for this server",
            ));
            change.reason = Some(why);
            return self.tell_state(ctx, change);
        }
        self.credentials.url = url.or_else(|| self.credentials.url.take());
        self.credentials.headers = headers.or_else(|| self.credentials.headers.take());
        self.credentials.subprotocols = subprotocols.or_else(|| self.credentials.subprotocols.take());
        self.credentials.auth = auth.or_else(|| self.credentials.auth.take());
        self.credentials.given = true;
        self.credentials.is_refused = false;
        self.credentials.fresh = true;
        self.reconnect(ctx);
    }

    fn check_credentials(
        &self,
        rule: &Rule,
        url: Option<&str>,
        headers: Option<&[(String, String)]>,
        subprotocols: Option<&[String]>,
    ) -> Result<Option<Url>, ErrorInfo> {
        policy::check_subprotocols(subprotocols.unwrap_or_default())?;
        let url = url.map(policy::read_url).transpose()?;
        let dialled = url.clone().or_else(|| self.dial_url());
        policy::check_headers(
            headers.unwrap_or_default(),
            rule,
            &self.owner.origin,
            dialled.as_slice(),
        )?;
        let Some(url) = url else { return Ok(None) };
        policy::check_dial(&self.options, Some(&url), rule, &self.owner.origin)?;
        if self
            .url
            .as_ref()
            .is_none_or(|known| known.origin() != url.origin())
        {
            return Err(error(
                Code::BadUrl,
                "field `url`: credentials may not lead to another scheme, host or port than the session's own URL",
            ));
        }
        Ok(Some(url))
    }
}
