//! What happens to the link, and frames of ports about it: reply to the server, credentials, dial again.

use crate::wire::message::{Authorize, ClientFrame};

use crate::core::io::PortId;

use super::super::input::UplinkInput;
use super::{Uplink, UplinkContext};

impl Uplink {
    /// Handles what happens to the link. `poll` must follow.
    pub(in crate::core::session) fn handle(&mut self, ctx: &mut UplinkContext<'_>, input: UplinkInput) {
        match input {
            UplinkInput::Link(dial, event) => self.handle_event(ctx, dial, event),
            UplinkInput::DialGranted => self.dial_granted(ctx),
            UplinkInput::Resumed => self.resumed(ctx),
            UplinkInput::RulesChanged => self.rules_changed(ctx),
        }
    }

    /// Does what this frame asks of the link, and answers it. `poll` must follow.
    pub(in crate::core::session) fn frame(
        &mut self,
        ctx: &mut UplinkContext<'_>,
        port: PortId,
        frame: ClientFrame,
    ) {
        match frame {
            ClientFrame::Reply(reply) => {
                let replied = self.reply(ctx, reply.seq, reply.args);
                ctx.answer(port, reply.id, replied);
            }
            ClientFrame::Authorize(authorize) => self.take_credentials(ctx, port, *authorize),
            ClientFrame::Reconnect { id, .. } => {
                ctx.answer(port, id, Ok(()));
                self.start_over(ctx);
            }
            _ => {}
        }
    }

    /// Credentials came, asked for or not.
    fn take_credentials(&mut self, ctx: &mut UplinkContext<'_>, port: PortId, authorize: Authorize) {
        let id = authorize.id.clone();
        match self.check_credentials(ctx, &authorize) {
            Err(why) => ctx.answer(port, id, Err(why)),
            Ok(url) => {
                ctx.answer(port, id, Ok(()));
                self.authorize(ctx, url, authorize);
            }
        }
    }
}
