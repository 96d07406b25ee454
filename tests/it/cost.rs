//! What a message costs the hub, in allocations and in bytes held: the same on every machine, so that a test can assert it.
//!
//! It measures no time; `benches/` does.

use longwire::core::hub::Hub;
use longwire::core::io::{DialId, Incoming, Input, LinkEvent, Now, Output, PortId};
use longwire::wire::message::{BrokerFrame, ClientFrame};
use longwire::wire::payload::Payload;
use serde_json::json;

use crate::counting::{allocations, held};
use crate::harness::{Harness, PORT};

/// A hub with this many open sessions of one client, each with a link.
struct ManySessions {
    hub: Hub,
    now: Now,
    links: Vec<DialId>,
    /// The newest record delivered.
    last: u64,
    buffer: Vec<u8>,
}

impl ManySessions {
    fn sessions(count: usize) -> Self {
        let mut harness = Harness::new();
        for profile in 0..count.div_ceil(250) {
            let port = PortId(1000 + profile as u64);
            harness.open_port(port, &format!("client {profile}"));
        }
        let mut many = Self {
            hub: harness.hub,
            now: harness.now,
            links: Vec::new(),
            last: 0,
            buffer: Vec::with_capacity(4096),
        };
        for number in 0..count {
            let port = PortId(1000 + (number / 250) as u64);
            // One name space for all clients of a profile.
            let open = json!({
                "type": "open", "id": "o", "session": format!("s{number}"), "url": "ws://127.0.0.1:1/",
                "options": {"heartbeat": false},
            });
            many.frame(port, &open.to_string());
        }
        for dial in many.links.clone() {
            many.give(Input::Link(
                dial,
                LinkEvent::Opened {
                    subprotocol: None,
                    extensions: None,
                },
            ));
        }
        many
    }

    fn frame(&mut self, port: PortId, json: &str) {
        let frame = ClientFrame::parse(json.as_bytes()).unwrap().unwrap();
        self.give(Input::Frame(port, frame));
    }

    /// As the broker's loop: handles, drains, encodes, reports what was written.
    fn give(&mut self, input: Input) {
        self.hub.handle(self.now, input);
        let mut written = 0;
        let mut to = PORT;
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Deliver { port, frame, cost } => {
                    self.buffer.clear();
                    frame.encode(&mut self.buffer);
                    if let BrokerFrame::Record { record, .. } = &frame {
                        self.last = record.seq;
                    }
                    written += cost;
                    to = port;
                }
                Output::Dial(dial, _) => self.links.push(dial),
                _ => {}
            }
        }
        self.hub.deadline(self.now);
        if written > 0 {
            self.hub.handle(self.now, Input::Written(to, written));
            assert!(self.hub.poll().is_none());
        }
    }

    /// Messages from a server, taken and acknowledged, a batch at a time; allocations per message.
    fn down(&mut self, session: usize, messages: usize) -> f64 {
        const BATCH: usize = 256;
        let dial = self.links[session];
        let port = PortId(1000 + (session / 250) as u64);
        let payload = Payload::text("x".repeat(200));
        let mut spent = 0;
        for _ in 0..messages / BATCH {
            let batch = vec![Incoming::Message(payload.clone()); BATCH];
            spent += allocations(|| self.give(Input::Link(dial, LinkEvent::Messages(batch))));
            let ack = format!(r#"{{"type":"ack","session":"s{session}","seq":{}}}"#, self.last);
            spent += allocations(|| self.frame(port, &ack));
        }
        spent as f64 / messages as f64
    }

    /// Messages to a server, one frame each, written at once; allocations per message.
    fn up(&mut self, session: usize, messages: usize) -> f64 {
        let dial = self.links[session];
        let port = PortId(1000 + (session / 250) as u64);
        let text = "x".repeat(200);
        let send = format!(r#"{{"type":"send","session":"s{session}","text":"{text}"}}"#);
        let mut spent = 0;
        for number in 1..=messages {
            spent += allocations(|| self.frame(port, &send));
            spent += allocations(|| self.give(Input::Link(dial, LinkEvent::Written(number as u64))));
        }
        spent as f64 / messages as f64
    }
}

#[test]
fn an_incoming_message_needs_almost_no_allocations() {
    let mut hub = ManySessions::sessions(1);
    hub.down(0, 10_240);
    let each = hub.down(0, 10_240);
    assert!(each < 0.2, "{each:.3} allocations a message");
}

#[test]
fn an_outgoing_message_needs_few_allocations() {
    let mut hub = ManySessions::sessions(1);
    let each = hub.up(0, 10_000);
    assert!(each < 8.0, "{each:.3} allocations a message");
}

#[test]
fn a_message_costs_the_same_among_thousands_of_sessions() {
    let alone = ManySessions::sessions(1).down(0, 10_240);
    let mut many = ManySessions::sessions(250);
    let among = many.down(125, 10_240);
    assert!(
        among < alone + 0.1,
        "{among:.3} instead of {alone:.3} allocations"
    );
}

#[test]
fn memory_is_freed_with_its_records() {
    let mut hub = ManySessions::sessions(1);
    hub.down(0, 2560);
    let before = held();
    let payload = Payload::text("x".repeat(200));
    for _ in 0..200 {
        let batch = vec![Incoming::Message(payload.clone()); 256];
        hub.give(Input::Link(hub.links[0], LinkEvent::Messages(batch)));
    }
    let full = held() - before;
    // Messages behind the window are delivered once the others are acknowledged.
    for _ in 0..200 * 256 / 4096 + 1 {
        let ack = format!(r#"{{"type":"ack","session":"s0","seq":{}}}"#, hub.last);
        hub.frame(PortId(1000), &ack);
    }
    let left = held() - before;
    assert!(
        full > 1_000_000 && left < full / 10,
        "{left} of {full} bytes are left"
    );
}
