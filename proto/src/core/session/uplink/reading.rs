//! Whether the link is read: not while the log is full.

use crate::core::io::Output;

use super::{Uplink, UplinkContext};

impl Uplink {
    /// Stops reading the socket: the log is full.
    pub(in crate::core::session) fn pause_reading(&mut self, ctx: &mut UplinkContext<'_>) {
        // Messages of a server that was asked to close are still handled.
        let up = self.state.connection_mut();
        let Some(connection) = up.filter(|up| !up.is_paused() && !up.is_closing()) else {
            return;
        };
        connection.pause();
        ctx.out.push_back(Output::Pause(connection.dial));
        if let Some(dialect) = &mut self.dialect {
            dialect.handler_mut().pause();
        }
    }

    /// Reads again: the log has room.
    pub(in crate::core::session) fn resume_reading(&mut self, ctx: &mut UplinkContext<'_>) {
        let Some(connection) = self.state.connection_mut().filter(|up| up.is_paused()) else {
            return;
        };
        connection.resume(ctx.now.boot);
        let dial = connection.dial;
        ctx.out.push_back(Output::Resume(dial));
        if let Some(dialect) = &mut self.dialect {
            dialect.handler_mut().resume(&mut ctx.dial(dial));
        }
    }

    /// There is no room for what has come in part.
    pub(in crate::core::session) fn give_up_partial(&mut self) {
        if let Some(dialect) = &mut self.dialect {
            dialect.handler_mut().give_up_partial();
        }
    }
}
