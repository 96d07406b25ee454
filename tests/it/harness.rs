//! A hub for tests: an extension at a port, a link, and everything that was sent between them.

use std::collections::VecDeque;
use std::time::Duration;

use longwire::core::dialect::outlines::Outlines;
use longwire::core::hub::{Hub, HubConfig};
use longwire::core::io::{Caller, DialId, Incoming, Input, LinkEnd, LinkEvent, Now, Output, PortId};
use longwire::wire::json::scanned;
use longwire::wire::message::ClientFrame;
use longwire::wire::payload::Payload;
use serde_json::{Value, json};

use crate::counting::peak;

/// The port of most tests.
pub(crate) const PORT: PortId = PortId(1);

/// A hub, and its outputs that the test has not taken yet.
pub(crate) struct Harness {
    pub(crate) hub: Hub,
    pub(crate) now: Now,
    pub(crate) delivered: VecDeque<(PortId, Value)>,
    pub(crate) asked: VecDeque<Output>,
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self::on("machine", 1)
    }

    /// As `new`, in this boot of the machine and with this seed.
    pub(crate) fn on(machine: &str, seed: u64) -> Self {
        let config = HubConfig {
            version: "0.0.0",
            boot: "boot".to_owned(),
            machine_boot: machine.to_owned(),
            seed,
        };
        let now = Now {
            awake: Duration::from_secs(1),
            boot: Duration::from_secs(1),
            wall: 1_000,
        };
        Self {
            hub: Hub::new(config, now),
            now,
            delivered: VecDeque::new(),
            asked: VecDeque::new(),
        }
    }

    /// A harness with an extension at a port that has sent `hello`.
    pub(crate) fn with_client() -> Self {
        let mut harness = Self::new();
        harness.open_port(PORT, "main");
        harness
    }

    pub(crate) fn open_port(&mut self, port: PortId, client: &str) {
        self.give(Input::PortOpened(
            port,
            Caller::Extension {
                origin: "chrome-extension://a/".into(),
            },
        ));
        self.send(port, json!({"type": "hello", "protocol": 1, "client": client}));
        assert_eq!(self.receive(port)["type"], "welcome");
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.hub.handle(self.now, input);
        self.drain();
    }

    /// Gives an input that the broker parses outside its loop; `meanwhile` runs during that. Returns the peak of bytes that the
    /// hub allocates for the input, and the bytes of JSON that it scans.
    #[track_caller]
    pub(crate) fn give_large(&mut self, input: Input, meanwhile: impl FnOnce(&mut Self)) -> (usize, usize) {
        let unread = self.hub.unread(&input);
        assert!(!unread.is_empty(), "it must be parsed outside the loop");
        meanwhile(self);
        let outlines = Outlines::read(unread);
        let before = scanned();
        let taken = peak(|| self.hub.handle_read(self.now, input, outlines));
        let read = scanned() - before;
        self.drain();
        (taken, read)
    }

    fn drain(&mut self) {
        let mut written = Vec::new();
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Deliver { port, frame, cost } => {
                    let mut bytes = Vec::new();
                    frame.encode(&mut bytes);
                    self.delivered
                        .push_back((port, serde_json::from_slice(&bytes).expect("valid JSON")));
                    written.push((port, cost));
                }
                Output::Idle(_) => {}
                other => self.asked.push_back(other),
            }
        }
        let due = self.hub.deadline(self.now);
        for (port, cost) in written.into_iter().filter(|(_, cost)| *cost > 0) {
            self.give(Input::Written(port, cost));
        }
        if !matches!(due, Some((Duration::ZERO, _))) {
            return;
        }
        panic!("a deadline is in the past: {due:?}");
    }

    pub(crate) fn send(&mut self, port: PortId, frame: Value) {
        let frame = ClientFrame::parse(frame.to_string().as_bytes())
            .expect("a good frame")
            .expect("known");
        self.give(Input::Frame(port, frame));
    }

    /// The next frame for this port.
    #[track_caller]
    pub(crate) fn receive(&mut self, port: PortId) -> Value {
        let index = self
            .delivered
            .iter()
            .position(|(to, _)| *to == port)
            .expect("a frame was delivered");
        self.delivered.remove(index).expect("the index is valid").1
    }

    /// The types of all frames delivered to this port up to now.
    pub(crate) fn receive_types(&mut self, port: PortId) -> Vec<String> {
        let mut types = Vec::new();
        while self.delivered.iter().any(|(to, _)| *to == port) {
            types.push(self.receive(port)["type"].as_str().unwrap().to_owned());
        }
        types
    }

    pub(crate) fn passes(&mut self, time: Duration) {
        self.now.awake += time;
        self.now.boot += time;
        self.now.wall += u64::try_from(time.as_millis()).unwrap();
        self.hub.handle(self.now, Input::Timeout);
        self.give(Input::Timeout);
    }

    #[track_caller]
    pub(crate) fn next_dial(&mut self) -> DialId {
        match self.asked.pop_front() {
            Some(Output::Dial(dial, _)) => dial,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn next_transmit(&mut self) -> String {
        match self.asked.pop_front() {
            Some(Output::Transmit(_, payload)) => payload.as_str().unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn next_ping(&mut self) -> u64 {
        match self.asked.pop_front() {
            Some(Output::Ping(_, token)) => token,
            other => panic!("{other:?}"),
        }
    }

    /// Opens a session and its link.
    pub(crate) fn opens(&mut self, options: Value) -> DialId {
        self.send(
            PORT,
            json!({"type":"open","id":"o","session":"s","url":"ws://127.0.0.1:1","options":options}),
        );
        assert_eq!(self.receive(PORT)["type"], "opened");
        let dial = self.next_dial();
        self.give(Input::Link(
            dial,
            LinkEvent::Opened {
                subprotocol: None,
                extensions: None,
            },
        ));
        self.receive_types(PORT);
        dial
    }

    pub(crate) fn server_sends(&mut self, dial: DialId, texts: &[&str]) {
        let messages = texts
            .iter()
            .map(|text| Incoming::Message(Payload::text(*text)))
            .collect();
        self.give(Input::Link(dial, LinkEvent::Messages(messages)));
    }

    pub(crate) fn link_ends(&mut self, dial: DialId, end: LinkEnd) {
        self.give(Input::Link(dial, LinkEvent::Ended(end)));
    }
}
