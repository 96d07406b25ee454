//! Anything that a server says on a link of each protocol: what the hub hands out is bounded by what came in.
//!
//! The first byte chooses the protocol, the rest comes in pieces as the second byte says.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use longwire::core::hub::{Hub, HubConfig};
use longwire::core::io::{Answer, Caller, DialId, Incoming, Input, LinkEvent, Now, Output, PortId};
use longwire::wire::message::ClientFrame;
use longwire::wire::payload::Payload;

const PORT: PortId = PortId(1);
const PROTOCOLS: [&str; 4] = ["websocket", "sse", "poll", "socket.io"];

/// Bytes of what one byte may become on the pipe: escaped, and with an event of its own around it.
const FACTOR: usize = 512;

struct Broker {
    hub: Hub,
    now: Now,
    dial: Option<DialId>,
    steps: usize,
    out: usize,
}

impl Broker {
    fn give(&mut self, input: Input) {
        self.hub.handle(self.now, input);
        while let Some(output) = self.hub.poll() {
            self.steps += 1;
            match output {
                Output::Dial(dial, _) => self.dial = Some(dial),
                Output::Deliver { frame, .. } => {
                    let mut bytes = Vec::new();
                    frame.encode(&mut bytes);
                    self.out += bytes.len();
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, json: &str) {
        if let Ok(Some(frame)) = ClientFrame::parse(json.as_bytes()) {
            self.give(Input::Frame(PORT, frame));
        }
    }

    fn handle_event(&mut self, event: LinkEvent) {
        if let Some(dial) = self.dial {
            self.give(Input::Link(dial, event));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [which, pieces, rest @ ..] = data else { return };
    let protocol = PROTOCOLS[usize::from(*which) % PROTOCOLS.len()];
    let now = Now {
        awake: Duration::from_secs(1000),
        boot: Duration::from_secs(1000),
        wall: 1,
    };
    let config = HubConfig {
        version: "0",
        boot: "b".to_owned(),
        machine_boot: "m".to_owned(),
        seed: 1,
    };
    let mut broker = Broker {
        hub: Hub::new(config, now),
        now,
        dial: None,
        steps: 0,
        out: 0,
    };
    let origin = "chrome-extension://a/".into();
    broker.give(Input::PortOpened(PORT, Caller::Extension { origin }));
    broker.send(r#"{"type":"hello","protocol":1}"#);
    broker.send(&format!(
        r#"{{"type":"open","id":"1","session":"s","url":"ws://localhost/","options":{{"protocol":"{protocol}","format":"json","maxMessage":65536}}}}"#
    ));
    broker.handle_event(LinkEvent::Opened {
        subprotocol: None,
        extensions: None,
    });
    broker.handle_event(LinkEvent::Answered(Box::new(Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
        body: Bytes::copy_from_slice(rest),
        ..Answer::default()
    })));
    (broker.steps, broker.out) = (0, 0);
    for piece in rest.chunks(usize::from(*pieces).max(1)) {
        let bytes = Bytes::copy_from_slice(piece);
        match protocol {
            "sse" => broker.handle_event(LinkEvent::Chunk(bytes)),
            _ => {
                let payload = Payload::text_from_utf8(bytes.clone()).unwrap_or(Payload::Binary(bytes));
                broker.handle_event(LinkEvent::Messages(vec![Incoming::Message(payload)]));
            }
        }
    }
    assert!(
        broker.out <= FACTOR * (rest.len() + 16),
        "{} bytes of {}",
        broker.out,
        rest.len()
    );
    assert!(
        broker.steps <= 8 * (rest.len() + 16),
        "{} steps for {} bytes",
        broker.steps,
        rest.len()
    );
});
