//! The cases of the suites of the Engine.IO 4 and Socket.IO 5 protocols with the roles reversed: they ask what a server does with a
//! client's packets, right and wrong; here a strict server reports everything that a client must not do, and does itself
//! what clients must tolerate.
//!
//! | Engine.IO: the suite's case for a server | here, for the client |
//! |---|---|
//! | handshake, polling and WebSocket: opens a session | `a_session_opens_over_each_transport` |
//! | handshake, both: refuses a wrong `EIO`, a wrong `transport`, another method | never done: the server looks at every request of every test; `a_refused_handshake_reports_the_server_message` |
//! | message, polling: one packet, several, text and binary; WebSocket: text, binary | `events_bytes_and_acknowledgements_work_over_each_transport` |
//! | message, both: ends the session at an invalid packet | never sent; from a server: `invalid_packets_end_the_link` |
//! | message, polling: ends the session at two polls at once | never done: looked at in every test, under load in `an_upgrade_loses_nothing_and_stops_polling` |
//! | heartbeat, both: ping and pong | `pings_are_answered_on_each_transport` |
//! | heartbeat, both: ends the session when no pong comes | never late, or the server reports it; a server that does not ask: `a_silent_server_is_disconnected` |
//! | close, both: the client closes | `a_closed_session_sends_a_close_packet` |
//! | close, from the server | `a_closing_server_is_redialled` |
//! | upgrade: from polling to WebSocket | `an_upgrade_loses_nothing_and_stops_polling` |
//! | upgrade: ignores requests, and another WebSocket, of an upgraded session | never done: looked at in every test |
//!
//! | Socket.IO: the suite's case for a server | here, for the client |
//! |---|---|
//! | connect: main and other namespace, with and without payload | `namespaces_are_requested_with_and_without_credentials` |
//! | connect: refuses an unknown namespace | `an_unknown_namespace_is_reported` |
//! | connect: ends the connection at an invalid, or without any, handshake | never so: the first packet is looked at in every test; from a server: `invalid_packets_end_the_link`, `a_server_that_confirms_no_namespace_is_disconnected` |
//! | disconnect: from the main namespace, from another | `a_closed_namespace_does_not_affect_the_others` |
//! | message: text, attachments, each with an acknowledgement | `events_bytes_and_acknowledgements_work_over_each_transport` |
//! | message: ends the connection at an unknown type, a payload of another shape, a wrong id | `invalid_packets_end_the_link` |
//!
//! The suites' Engine.IO cases are in both; they are listed once.

mod engine;
mod namespaces;

use serde_json::{Value, json};

use crate::support::host::HostProcess;
use crate::support::scratch::Scratch;
use crate::support::server::Server;

/// The strict server, and an extension that dials it.
struct Peer {
    host: HostProcess,
    server: Server,
    _scratch: Scratch,
}

/// Each way to a session: by one transport alone.
const TRANSPORTS: [&str; 2] = ["polling", "websocket"];

impl Peer {
    fn new(options: Value) -> Option<Self> {
        let server = Server::start("engineio.mjs", &options.to_string())?;
        let scratch = Scratch::new();
        let mut host = HostProcess::chromium(&scratch);
        host.hello();
        Some(Self {
            host,
            server,
            _scratch: scratch,
        })
    }

    /// A session whose main namespace is open.
    fn open(transport: &str, options: Value) -> Option<Self> {
        let mut peer = Self::new(options)?;
        peer.dial(json!([transport]), json!({}));
        peer.packet("40");
        peer.server.command(json!({"say":[r#"40{"sid":"x"}"#]}));
        peer.state("open");
        Some(peer)
    }

    fn dial(&mut self, transports: Value, socketio: Value) {
        let mut options = json!({"protocol":"socket.io","socketio":socketio,"reconnect":{"minDelay":5},
            "connectTimeout":20_000});
        options["socketio"]["transports"] = transports;
        self.dial_with(options);
    }

    fn dial_with(&mut self, options: Value) {
        let url = self.server.url("/");
        self.send(json!({"type":"open","id":"o","session":"s","url":url,"options":options}));
        let opened = self.host.find("opened or error", |frame| {
            frame["type"] == "opened" || frame["type"] == "error"
        });
        assert_eq!(opened["type"], "opened", "{opened}");
    }

    fn send(&mut self, frame: Value) {
        self.host.send(&frame);
    }

    fn state(&mut self, state: &str) -> Value {
        self.host
            .find(state, |frame| frame["type"] == "state" && frame["state"] == state)
    }

    fn event(&mut self, event: &str) -> Value {
        self.host.find(event, |frame| frame["event"] == event)
    }

    /// The next thing of this kind that the server received. What a client must not do fails the test.
    #[track_caller]
    fn receive(&mut self, field: &str) -> Value {
        let line = self.server.wait_for(field, |line| {
            assert_eq!(line["violation"], Value::Null, "the client broke the protocol");
            !line[field].is_null()
        });
        line[field].clone()
    }

    /// The next packet that the server received, except pongs.
    #[track_caller]
    fn packet(&mut self, expected: &str) {
        loop {
            let packet = self.receive("packet");
            if packet != "3" {
                assert_eq!(packet, expected);
                return;
            }
        }
    }

    /// That nothing was wrong up to now.
    fn assert_no_errors(mut self) {
        self.server.command(json!({"tell":"all"}));
        self.receive("told");
    }
}

#[test]
fn a_session_opens_over_each_transport() {
    for transport in TRANSPORTS {
        let Some(mut peer) = Peer::open(transport, json!({})) else {
            return;
        };
        peer.server.command(json!({"say":[r#"42["hello"]"#]}));
        assert_eq!(peer.event("hello")["args"], json!([]), "{transport}");
        peer.assert_no_errors();
    }
}

#[test]
fn a_refused_handshake_reports_the_server_message() {
    for (code, words) in [
        (0, "Transport unknown"),
        (2, "Bad handshake method"),
        (3, "Bad request"),
        (5, "Unsupported protocol version"),
    ] {
        for transport in TRANSPORTS {
            let Some(mut peer) = Peer::new(json!({"refuse":{"code":code,"message":words}})) else {
                return;
            };
            peer.dial(json!([transport]), json!({}));
            let failed = peer.state("failed");
            assert_eq!(failed["status"], 400, "{failed}");
            assert!(failed["reason"].as_str().unwrap().contains(words), "{failed}");
            peer.assert_no_errors();
        }
    }
}

#[test]
fn events_bytes_and_acknowledgements_work_over_each_transport() {
    let marks =
        |count: usize| -> Vec<Value> { (0..count).map(|n| json!({"_placeholder":true,"num":n})).collect() };
    let bytes = json!([{"$base64":"AQID"},{"$base64":"BAUG"}]);
    for transport in TRANSPORTS {
        let Some(mut peer) = Peer::open(transport, json!({})) else {
            return;
        };
        // Plain, alone and several at once.
        let args = json!([1,"2",{"3":[true]}]);
        peer.send(json!({"type":"send","session":"s","event":"message","args":args}));
        peer.packet(r#"42["message",1,"2",{"3":[true]}]"#);
        let one = r#"42["message-back",1,"2",{"3":[true]}]"#;
        peer.server.command(json!({"say":[one]}));
        peer.server.command(json!({"say":[one, "42[\"x\"]", one]}));
        for event in ["message-back", "message-back", "message-back"] {
            assert_eq!(peer.event(event)["args"], args, "{transport}");
        }
        // With attachments.
        peer.send(json!({"type":"send","session":"s","event":"message","args":bytes}));
        peer.packet(&format!("452-{}", json!(["message", marks(2)[0], marks(2)[1]])));
        assert_eq!(
            [peer.receive("bytes"), peer.receive("bytes")],
            [json!([1, 2, 3]), json!([4, 5, 6])]
        );
        let head = format!("452-{}", json!(["binary-back", marks(2)[0], marks(2)[1]]));
        let attachments = [json!({"bytes":[1,2,3]}), json!({"bytes":[4,5,6]})];
        peer.server
            .command(json!({"say":[head, attachments[0], attachments[1], one]}));
        assert_eq!(peer.event("binary-back")["args"], bytes);
        // Acknowledged, by both sides.
        peer.send(
            json!({"type":"request","session":"s","id":"1","event":"ask","args":[1],"match":{"ack":true}}),
        );
        peer.packet(r#"421["ask",1]"#);
        peer.server
            .command(json!({"say":[r#"431[1,"2",{"3":[false]}]"#]}));
        assert_eq!(peer.host.expect("response")["args"], json!([1,"2",{"3":[false]}]));
        peer.send(
            json!({"type":"request","session":"s","id":"2","event":"ask","args":[],"match":{"ack":true}}),
        );
        peer.packet(r#"422["ask"]"#);
        let head = format!("462-2{}", json!(marks(2)));
        peer.server
            .command(json!({"say":[head, attachments[0], attachments[1]]}));
        assert_eq!(peer.host.expect("response")["args"], bytes);
        peer.server.command(json!({"say":[r#"42789["question"]"#]}));
        let question = peer.event("question");
        peer.send(json!({"type":"reply","session":"s","seq":question["seq"],"args":bytes}));
        peer.packet(&format!("462-789{}", json!(marks(2))));
        assert_eq!(peer.receive("bytes"), json!([1, 2, 3]));
        peer.assert_no_errors();
    }
}

#[test]
fn invalid_packets_end_the_link() {
    for transport in TRANSPORTS {
        let Some(mut peer) = Peer::open(transport, json!({})) else {
            return;
        };
        for (dial, sent) in [
            "abc",
            "4abc",
            "42{}",
            r#"42abc["message-with-ack",1]"#,
            "43[1]x",
            r#"451-["cut off",{"_placeholder":true,"num":0}]"#,
        ]
        .into_iter()
        .enumerate()
        {
            // After a packet that lacks its attachments comes another.
            peer.server.command(json!({"say":[sent, r#"42["next"]"#]}));
            let waiting = peer.state("waiting");
            assert_eq!(
                (&waiting["error"]["code"], &waiting["dial"]),
                (&json!("server-protocol"), &json!(dial + 1)),
                "{transport}: {sent}"
            );
            // The next session has nothing of it.
            peer.packet_of_a_new_session();
        }
        let next = peer.host.passed().find(|frame| frame["event"] == "next");
        assert_eq!(next, None);
        peer.assert_no_errors();
    }
}

impl Peer {
    /// Another session is dialled and opened.
    fn packet_of_a_new_session(&mut self) {
        loop {
            // The old one is closed meanwhile.
            let packet = self.receive("packet");
            if packet == "40" {
                break;
            }
            assert!(packet == "1" || packet == "3" || packet == "41", "{packet}");
        }
        self.server.command(json!({"say":[r#"40{"sid":"y"}"#]}));
        self.state("open");
    }
}
