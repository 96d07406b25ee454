//! Credentials: requesting them, accepting them, and the effect of their refusal.
//!
//! They are kept in memory only, and passed to the dial only.

use std::time::Duration;

use url::Url;

use crate::wire::code::Code;
use crate::wire::message::{Authorize, Question};
use crate::wire::options::Options;
use crate::wire::record::{ErrorInfo, StateChange};

use crate::core::policy;
use crate::core::syntax::read_url;

use super::{Uplink, UplinkContext, UplinkEvent};

/// How long an asked provider may take, as `auth-needed` says.
pub(super) const AUTHORIZE_TIMEOUT_MS: u64 = 10_000;
/// Refusals of fresh credentials before the session gives up.
const MAX_FRESH_REFUSALS: u32 = 2;
/// A server that lets a link stand this long has accepted its credentials; one that opens and closes has not.
const ACCEPTED_AFTER: Duration = Duration::from_secs(10);

/// What the provider gave, in memory only.
#[derive(Default)]
pub(super) struct Credentials {
    given: Option<Box<GivenCredentials>>,
    /// Given since the server last accepted or refused some.
    is_fresh: bool,
    fresh_refusals: u32,
    /// The server refused those that were given last, with this status.
    refused: Option<Option<u16>>,
    asked: u32,
    question: Option<Box<Question>>,
}

#[derive(Default)]
struct GivenCredentials {
    url: Option<Url>,
    headers: Option<Vec<(String, String)>>,
    subprotocols: Option<Vec<String>>,
    /// A JSON object.
    auth: Option<String>,
}

/// Why credentials are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthorizeReason {
    First,
    Refused,
    /// The server has asked for something that only the provider knows.
    Login,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("given", &self.given.is_some())
            .field("fresh", &self.is_fresh)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    pub(super) fn url(&self) -> Option<&Url> {
        self.given.as_ref()?.url.as_ref()
    }

    pub(super) fn headers(&self) -> &[(String, String)] {
        let headers = self.given.as_ref().and_then(|given| given.headers.as_deref());
        headers.unwrap_or_default()
    }

    pub(super) fn subprotocols(&self) -> Option<&[String]> {
        self.given.as_ref()?.subprotocols.as_deref()
    }

    pub(super) fn auth(&self) -> Option<&str> {
        self.given.as_ref()?.auth.as_deref()
    }

    /// Bytes that they take.
    fn held(&self) -> usize {
        let headers = self.headers().iter();
        headers
            .map(|(name, value)| 64 + name.len() + value.len())
            .sum::<usize>()
            + self.url().map_or(0, |url| url.as_str().len())
            + self.auth().map_or(0, str::len)
    }

    /// A link that stood for a while shows that its credentials were good: what is refused next has expired.
    pub(super) fn link_lasted(&mut self, stood: Duration) {
        if stood >= ACCEPTED_AFTER {
            self.is_fresh = false;
            self.fresh_refusals = 0;
            self.asked = 0;
        }
    }

    /// Refusals count from the beginning again.
    pub(super) fn start_over(&mut self) {
        self.fresh_refusals = 0;
    }

    /// The server refused them; whether others are worth asking for.
    fn refuse(&mut self, status: Option<u16>) -> bool {
        self.refused = Some(status);
        if self.is_fresh {
            self.fresh_refusals += 1;
            self.is_fresh = false;
        }
        self.fresh_refusals < MAX_FRESH_REFUSALS
    }

    /// No question is open any more.
    pub(super) fn answered(&mut self) {
        self.question = None;
    }

    /// What the provider gave for a login.
    pub(super) fn give_auth(&mut self, auth: Option<String>) {
        if auth.is_some() {
            self.given.get_or_insert_default().auth = auth;
        }
    }

    /// What is given again replaces what was given before.
    fn give(&mut self, url: Option<Url>, authorize: Authorize) {
        let given = self.given.get_or_insert_default();
        given.url = url.or_else(|| given.url.take());
        given.headers = authorize.headers.or_else(|| given.headers.take());
        given.subprotocols = authorize.subprotocols.or_else(|| given.subprotocols.take());
        given.auth = authorize.auth.or_else(|| given.auth.take());
        self.is_fresh = true;
        self.refused = None;
    }
}

impl Uplink {
    /// The server refused the credentials; `change` says how.
    pub(super) fn refused(&mut self, ctx: &mut UplinkContext<'_>, mut change: StateChange, taken: u64) {
        let is_worth_asking = self.credentials.refuse(change.status) && ctx.options.auth_provider;
        if is_worth_asking {
            let status = change.status;
            let _ = self.state.refuse();
            change.state = self.state.name();
            self.report_change(change);
            self.need_credentials(ctx, AuthorizeReason::Refused, status);
        } else {
            change.state = self.state.fail().state;
            self.report_change(change);
        }
        self.events.push_back(UplinkEvent::Left { taken });
    }

    /// Why the provider must be asked before the next dial, and the HTTP status that says so; `None`: it need not.
    pub(super) fn wanted_credentials(&self, options: &Options) -> Option<(AuthorizeReason, Option<u16>)> {
        if !options.auth_provider {
            return None;
        }
        if let Some(status) = self.credentials.refused {
            // They would be refused again.
            return Some((AuthorizeReason::Refused, status));
        }
        self.credentials
            .given
            .is_none()
            .then_some((AuthorizeReason::First, None))
    }

    /// No dialling until a client sends credentials.
    pub(super) fn need_credentials(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        why: AuthorizeReason,
        status: Option<u16>,
    ) {
        if let Some(change) = self.state.refuse() {
            self.report_change(change);
        }
        self.ask(ctx, why, status);
    }

    /// Asks those who may have credentials.
    pub(super) fn ask(&mut self, ctx: &mut UplinkContext<'_>, why: AuthorizeReason, status: Option<u16>) {
        self.credentials.asked += 1;
        self.credentials.question = Some(Box::new(Question {
            nonce: ctx.dialer.random.word(),
            why: match why {
                AuthorizeReason::First => "first",
                AuthorizeReason::Refused => "refused",
                AuthorizeReason::Login => "login",
            },
            attempt: self.credentials.asked,
            deadline: AUTHORIZE_TIMEOUT_MS,
            status,
            values: self.login_values(),
        }));
        self.events.push_back(UplinkEvent::CredentialsWanted);
    }

    /// Bytes that what was given for the link takes, and what has come in part.
    pub(in crate::core::session) fn held(&self) -> usize {
        self.credentials.held() + self.partial_held() + self.encoding().unwrap_or(0)
    }

    /// What to ask those who may have credentials, while they are wanted.
    pub(in crate::core::session) fn question(&self) -> Option<Question> {
        self.credentials.question.as_deref().cloned()
    }

    /// Judges credentials that came; the URL they lead to.
    ///
    /// # Errors
    /// They are not allowed, lead to another server, or answer a question that is not open.
    pub(super) fn check_credentials(
        &self,
        ctx: &UplinkContext<'_>,
        authorize: &Authorize,
    ) -> Result<Option<Url>, ErrorInfo> {
        let origin = &ctx.who.owner.origin;
        let rule = ctx.dialer.rules().of(origin);
        policy::check_subprotocols(authorize.subprotocols.as_deref().unwrap_or_default())?;
        let url = authorize.url.as_deref().map(read_url).transpose();
        let url = url.map_err(|error| of_field("url", error))?;
        let dialled = url.clone().or_else(|| self.dial_url(ctx.options));
        let headers = authorize.headers.as_deref().unwrap_or_default();
        policy::check_headers(headers, rule, origin, dialled.as_slice())
            .map_err(|error| of_field("headers", error))?;
        if url.is_some() {
            policy::check_dial(ctx.options, url.as_ref(), rule, origin)?;
        }
        let is_elsewhere = |url: &Url| {
            let own = self.url.as_ref();
            own.is_none_or(|own| own.origin() != url.origin())
        };
        if url.as_ref().is_some_and(is_elsewhere) {
            let why =
                "field `url`: credentials must not change the scheme, host or port of the session's URL";
            return Err(ErrorInfo::new(Code::BadUrl, why));
        }
        let open = self.credentials.question.as_ref().map(|question| &question.nonce);
        if authorize.nonce.is_some() && authorize.nonce.as_ref() != open {
            let why = "field `nonce`: the request that it answers has ended";
            return Err(ErrorInfo::new(Code::BadFrame, why));
        }
        Ok(url)
    }

    /// Credentials came that were judged before, asked for or not.
    pub(super) fn authorize(&mut self, ctx: &mut UplinkContext<'_>, url: Option<Url>, authorize: Authorize) {
        if authorize.nonce.is_some() && self.asks_to_log_in() {
            return self.continue_login(ctx, authorize);
        }
        if authorize.nonce.is_none() && self.state.connection().is_some() {
            // Others than those of this link: what the server remembers of it is another user's.
            self.forget_recovery();
        }
        self.credentials.question = None;
        // Before they change: how long this link stood speaks for those before.
        let _ = self.pause(ctx, 1000);
        if let Some(why) = authorize.failed {
            let mut change = self.state.fail();
            let error = "the extension has no credentials for this server";
            change.error = Some(ErrorInfo::new(Code::HttpStatus, error));
            change.reason = Some(why);
            return self.report_change(change);
        }
        self.credentials.give(url, authorize);
        self.reconnect(ctx);
    }

    /// The dial is another: credentials were for what was dialled before.
    pub(super) fn forget_credentials(&mut self) {
        self.credentials = Credentials::default();
        self.forget_recovery();
    }

    fn forget_recovery(&mut self) {
        self.tokens.forget_recovery();
        if let Some(dialect) = &mut self.dialect {
            dialect.handler_mut().forget_recovery();
        }
    }
}

/// An error about a field of `authorize`.
fn of_field(field: &str, error: ErrorInfo) -> ErrorInfo {
    ErrorInfo {
        message: format!("field `{field}`: {}", error.message),
        ..error
    }
}
