//! What is due on the link, and when: the next dial, heartbeats, the `ready` rule, and what the protocol waits for.

use std::time::Duration;

use crate::wire::code::Code;

use super::heartbeat::{Heartbeat, HeartbeatAction};
use super::{Uplink, UplinkContext};

impl Uplink {
    /// Does what is due.
    pub(in crate::core::session) fn timeout(&mut self, ctx: &mut UplinkContext<'_>) {
        let boot = ctx.now.boot;
        if self.state.waits_until().is_some_and(|until| boot >= until) {
            return self.redial(ctx);
        }
        if let Some(connection) = self.state.connection_mut() {
            let is_late = connection.readiness.is_late(boot);
            let pulse = connection
                .heartbeat_mut()
                .map_or(HeartbeatAction::Fine, |beat| beat.check(boot));
            if is_late {
                let why = "the server did not satisfy the `ready` rule in time";
                return self.give_up(ctx, Code::Timeout, why);
            }
            match pulse {
                HeartbeatAction::Dead => {
                    return self.give_up(ctx, Code::Heartbeat, "the server was silent for too long");
                }
                HeartbeatAction::Beat => return self.beat(ctx),
                HeartbeatAction::Fine => {}
            }
        }
        if let (Some(dial), Some(dialect)) = (self.state.dial_id(), &mut self.dialect) {
            dialect.handler_mut().timeout(&mut ctx.dial(dial));
        }
    }

    /// When something is due next, in boot time, and what.
    pub(in crate::core::session) fn deadline(&self) -> Option<(Duration, &'static str)> {
        if let Some(until) = self.state.waits_until() {
            return Some((until, "backoff"));
        }
        let dialect = self.dialect.as_ref().filter(|_| self.state.dial_id().is_some());
        let dialect = dialect.and_then(|dialect| dialect.handler().deadline());
        let Some(connection) = self.state.connection() else {
            return dialect;
        };
        let beat = connection.heartbeat().and_then(Heartbeat::deadline);
        let beat = beat.map(|at| (at, "heartbeat"));
        let ready = connection.readiness.deadline().map(|at| (at, "ready"));
        let probe = self.fallback.probe_at().map(|at| (at, "transport"));
        [beat, ready, dialect, probe]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}
