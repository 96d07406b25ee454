//! Logging in on a connection: answers to the server's messages by option `login`, with their values or the provider's.
//!
//! It ends when the `ready` rule matches; before that neither subscriptions nor the outbox flow.

use std::time::Duration;

use crate::wire::code::Code;
use crate::wire::login::{LoginStep, Values};
use crate::wire::message::Authorize;
use crate::wire::payload::Payload;
use crate::wire::record::{ErrorInfo, State, StateChange};
use crate::wire::rule::ParsedMessage;

use crate::core::dialect::DialectEnd;

use super::credentials::{AUTHORIZE_TIMEOUT_MS, AuthorizeReason};
use super::{Uplink, UplinkContext, UplinkEvent};

/// How far logging in has come on one connection.
#[derive(Debug, Default)]
pub(super) struct Login {
    /// Values of the server's messages so far.
    values: Values,
    /// The step that waits for the provider.
    asking: Option<usize>,
}

impl Uplink {
    /// Takes the step that answers this message, if there is one; what it sends.
    pub(super) fn log_in(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        message: &ParsedMessage<'_>,
    ) -> Vec<Payload> {
        let steps = &ctx.options.login;
        let Some(connection) = self.state.connection_mut().filter(|up| !up.readiness.is_ready()) else {
            return Vec::new();
        };
        let matches = |(_, step): &(usize, &LoginStep)| step.when.matches(message);
        let Some((index, step)) = steps.iter().enumerate().find(matches) else {
            return Vec::new();
        };
        connection.login.values.extend(step.values(message));
        if step.refused {
            self.login_refused(ctx);
        } else if step.ask {
            connection.login.asking = Some(index);
            let asking = Duration::from_millis(AUTHORIZE_TIMEOUT_MS);
            connection.readiness.await_rule(ctx.now.boot + asking);
            self.ask(ctx, AuthorizeReason::Login, None);
        } else {
            return self.login_messages(ctx, step);
        }
        Vec::new()
    }

    /// Whether the provider was asked in the middle of a login.
    pub(super) fn asks_to_log_in(&self) -> bool {
        let connection = self.state.connection();
        connection.is_some_and(|connection| connection.login.asking.is_some())
    }

    /// Values of the server's messages, as a JSON object, while the provider is asked about it.
    pub(super) fn login_values(&self) -> Option<String> {
        let login = &self.state.connection()?.login;
        login.asking?;
        let members = login.values.iter();
        let members =
            members.map(|(name, json)| format!("{}:{json}", serde_json::Value::from(name.as_str())));
        Some(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
    }

    /// The provider has answered in the middle of a login.
    pub(super) fn continue_login(&mut self, ctx: &mut UplinkContext<'_>, authorize: Authorize) {
        let asking = self.state.connection_mut().and_then(|up| up.login.asking.take());
        self.credentials.answered();
        if let Some(why) = authorize.failed {
            return self.login_failed(ctx, &why);
        }
        self.credentials.give_auth(authorize.auth);
        let steps = &ctx.options.login;
        if let Some(step) = asking.and_then(|index| steps.get(index)) {
            let messages = self.login_messages(ctx, step);
            self.events.extend(messages.into_iter().map(UplinkEvent::Login));
        }
    }

    fn login_messages(&mut self, ctx: &mut UplinkContext<'_>, step: &LoginStep) -> Vec<Payload> {
        let Some(connection) = self.state.connection() else {
            return Vec::new();
        };
        let (values, auth) = (&connection.login.values, self.credentials.auth());
        let filled: Result<Vec<_>, _> = step
            .send
            .iter()
            .map(|template| template.fill(values, auth))
            .collect();
        filled.unwrap_or_else(|why| {
            self.login_failed(ctx, &why);
            Vec::new()
        })
    }

    /// As a handshake that was refused: other credentials are asked for, or the session has failed.
    fn login_refused(&mut self, ctx: &mut UplinkContext<'_>) {
        let mut change = StateChange::new(State::Unauthorized);
        change.error = Some(ErrorInfo::new(Code::Handshake, "the server refused the login"));
        self.end_link(ctx, DialectEnd::Refused(change));
    }

    fn login_failed(&mut self, ctx: &mut UplinkContext<'_>, why: &str) {
        let error = ErrorInfo::new(Code::Handshake, format!("the login failed: {why}"));
        self.end_link(ctx, DialectEnd::Failed(error));
    }
}
