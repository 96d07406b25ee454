//! Logins: before a server is ready it sends a message with a value, and must be answered with that value, once.

use std::sync::LazyLock;

use longwire::core::io::{DialId, Incoming};
use longwire::wire::login::LoginStep;
use longwire::wire::options::{Options, Protocol};
use serde_json::value::RawValue;

use super::world::World;

/// One step: the number in the server's message comes back.
pub(super) static LOGIN: LazyLock<Vec<LoginStep>> = LazyLock::new(|| {
    let json = r#"{"ready": {"/type": "ready"}, "login": [{"when": {"/type": "hello"}, "take": {"number": "/g"},
        "send": [{"json": {"login": {"$value": "number"}}}]}]}"#;
    let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
    Options::from_json(&raw).unwrap().0.login
});

impl World {
    /// The server of a dial wants a login.
    pub(super) fn wants_login(&mut self, id: DialId) {
        let dial = &self.dials[&(self.incarnation, id)];
        let (slot, protocol) = (dial.slot, dial.protocol);
        let (number, payload) = self.emits(slot, |number| format!(r#"{{"g":{number},"type":"hello"}}"#));
        let session = self.slots[slot].incarnations.last().unwrap();
        let has_login = !session.options.login.is_empty();
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        if has_login && !dial.ready && !dial.closing {
            dial.wants = Some(number);
        }
        self.gives_messages(id, vec![Incoming::Message(payload)], &[Some(number)]);
        let dial = &self.dials[&(self.incarnation, id)];
        // Not every session over HTTP can send.
        let may_be_silent = protocol != Protocol::WebSocket || dial.over || dial.disturbed || self.was_killed;
        assert!(
            dial.wants.is_none() || may_be_silent,
            "the server's word {number} is not answered"
        );
    }

    /// A login is sent: it answers the server's last message, before the server is ready.
    pub(super) fn logs_in(&mut self, id: DialId, number: usize) {
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        assert!(!dial.ready, "a login for a server that is ready");
        assert_eq!(
            dial.wants.take(),
            Some(number),
            "a login that this server does not want"
        );
    }
}
