//! Refuses options that can be read and cannot work, alone or together.

use super::bad;
use crate::wire::options::{Options, Protocol};
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;

impl Options {
    /// Refuses values that parse but cannot work.
    pub(super) fn check(&self) -> Result<(), ErrorInfo> {
        self.check_numbers()?;
        let speaks = |protocol: &Protocol| self.protocols().contains(protocol);
        if (1..self.transports.len()).any(|index| self.transports[..index].contains(&self.transports[index]))
        {
            return Err(bad("transports", "each is allowed once"));
        }
        let is_http = [Protocol::EventStream, Protocol::Poll].iter().any(speaks);
        if !is_http && self.post.is_some() {
            return Err(bad(
                "post",
                "this session sends on its connection and needs no `post`",
            ));
        }
        if is_http && self.post.is_none() && !self.greeting.is_empty() {
            return Err(bad("greeting", "it needs `post`, the URL for messages"));
        }
        let has_event = self
            .greeting
            .iter()
            .any(|payload| matches!(payload, Payload::Event(_)));
        if has_event && !speaks(&Protocol::SocketIo) {
            return Err(bad("greeting", "an `event` is for Socket.IO servers"));
        }
        if !self.login.is_empty() && self.ready.is_none() {
            return Err(bad("login", "it needs `ready`, the rule that ends the login"));
        }
        if self.max_message == 0 || self.max_message > 67_108_864 {
            return Err(bad("maxMessage", "it must be between 1 and 67108864 bytes"));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), ErrorInfo> {
        if let Some(reconnect) = &self.reconnect {
            if !(1.0..=100.0).contains(&reconnect.factor) {
                return Err(bad("reconnect", "`factor` must be between 1 and 100"));
            }
            if !reconnect
                .randomization
                .is_none_or(|share| (0.0..=1.0).contains(&share))
            {
                return Err(bad("reconnect", "`randomization` must lie between 0 and 1"));
            }
            if reconnect.min_delay == 0 || reconnect.min_delay > reconnect.max_delay {
                return Err(bad(
                    "reconnect",
                    "`minDelay` must be at least 1 and at most `maxDelay`",
                ));
            }
        }
        if self
            .heartbeat
            .as_ref()
            .is_some_and(|beat| beat.interval == 0 || beat.timeout == 0)
        {
            return Err(bad("heartbeat", "`interval` and `timeout` must be at least 1 ms"));
        }
        if self.connect_timeout == 0 {
            return Err(bad("connectTimeout", "it must be at least 1 ms"));
        }
        if self.queue.messages == 0 || self.queue.bytes == 0 || self.queue.age == 0 {
            return Err(bad("queue", "`messages`, `bytes` and `age` must be at least 1"));
        }
        Ok(())
    }
}
