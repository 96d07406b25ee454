//! One extension at one hub, in virtual time: what it opens, what is dialled, what it receives.
//!
//! It dials nothing; the test is the network.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use longwire::core::hub::{Hub, HubConfig};
use longwire::core::io::{Caller, DialId, Input, LinkEnd, LinkEvent, Now, Output, PortId, Target};
use longwire::core::rules::Rules;
use longwire::wire::message::ClientFrame;
use serde_json::{Value, json};

const PORT: PortId = PortId(1);

/// A hub with one port, seated.
pub(super) struct Harness {
    hub: Hub,
    now: Now,
    /// Frames that the extension received and has not looked at.
    frames: VecDeque<Value>,
    /// Dials that the test has not looked at.
    pub(super) dials: VecDeque<(DialId, Box<Target>)>,
    /// Other outputs for the network.
    pub(super) outputs: VecDeque<Output>,
}

impl Harness {
    pub(super) fn new(seed: u64) -> Self {
        let config = HubConfig {
            version: "0.0.0",
            boot: "boot".to_owned(),
            machine_boot: "machine".to_owned(),
            seed,
        };
        let start = Duration::from_secs(1000);
        let now = Now {
            awake: start,
            boot: start,
            wall: 1_000_000,
        };
        let mut harness = Self {
            hub: Hub::new(config, now),
            now,
            frames: VecDeque::new(),
            dials: VecDeque::new(),
            outputs: VecDeque::new(),
        };
        let origin = "chrome-extension://a/".into();
        harness.give(Input::PortOpened(PORT, Caller::Extension { origin }));
        harness.send(json!({"type": "hello", "protocol": 1}));
        harness
    }

    /// Time since the machine started.
    pub(super) const fn now(&self) -> Duration {
        self.now.boot
    }

    pub(super) fn rules(&mut self, rules: Rules) {
        self.give(Input::Rules(Arc::new(rules)));
    }

    pub(super) fn give(&mut self, input: Input) {
        self.hub.handle(self.now, input);
        let mut written = 0;
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Deliver { frame, cost, .. } => {
                    let mut bytes = Vec::new();
                    frame.encode(&mut bytes);
                    self.frames.push_back(serde_json::from_slice(&bytes).unwrap());
                    written += cost;
                }
                Output::Dial(dial, target) => self.dials.push_back((dial, target)),
                Output::Idle(_) => {}
                other => self.outputs.push_back(other),
            }
        }
        if written > 0 {
            self.give(Input::Written(PORT, written));
        }
    }

    pub(super) fn send(&mut self, frame: Value) {
        let frame = ClientFrame::parse(frame.to_string().as_bytes()).unwrap().unwrap();
        self.give(Input::Frame(PORT, frame));
    }

    pub(super) fn opens(&mut self, session: &str, url: &str, options: Value) {
        self.send(json!({"type": "open", "id": "o", "session": session, "url": url, "options": options}));
    }

    /// The next frame of this type that the extension receives; what came before it is forgotten.
    #[track_caller]
    pub(super) fn receive(&mut self, kind: &str) -> Value {
        loop {
            let frame = self
                .frames
                .pop_front()
                .unwrap_or_else(|| panic!("no `{kind}` was delivered"));
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The next `state` record with this state.
    #[track_caller]
    pub(super) fn receive_state(&mut self, state: &str) -> Value {
        loop {
            let frame = self.receive("state");
            if frame["state"] == state {
                return frame;
            }
        }
    }

    /// Everything it has received and not looked at.
    pub(super) fn receive_all(&mut self) -> Vec<Value> {
        self.frames.drain(..).collect()
    }

    /// The next dial.
    #[track_caller]
    pub(super) fn dial(&mut self) -> (DialId, Box<Target>) {
        self.dials.pop_front().expect("nothing was dialled")
    }

    pub(super) fn link(&mut self, dial: DialId, event: LinkEvent) {
        self.give(Input::Link(dial, event));
    }

    pub(super) fn link_opens(&mut self, dial: DialId) {
        let event = LinkEvent::Opened {
            subprotocol: None,
            extensions: None,
        };
        self.link(dial, event);
    }

    pub(super) fn link_ends(&mut self, dial: DialId, end: LinkEnd) {
        self.link(dial, LinkEvent::Ended(end));
    }

    /// How long until the hub's deadline.
    pub(super) fn due(&mut self) -> Option<Duration> {
        self.hub.deadline(self.now).map(|(due, _)| due)
    }

    /// Lets time pass, and the hub act whenever it wants to.
    pub(super) fn pass(&mut self, span: Duration) {
        let until = self.now.boot + span;
        while let Some(due) = self.due()
            && self.now.boot + due <= until
        {
            self.forward(due);
            self.give(Input::Timeout);
        }
        self.forward(until - self.now.boot);
    }

    fn forward(&mut self, span: Duration) {
        self.now.boot += span;
        self.now.awake += span;
        self.now.wall += u64::try_from(span.as_millis()).unwrap();
    }
}

/// An end with this close code from the server.
pub(super) fn closed(code: u16) -> LinkEnd {
    LinkEnd {
        code: Some(code),
        ..LinkEnd::default()
    }
}

/// A handshake refused with this status.
pub(super) fn refused(status: u16) -> LinkEnd {
    LinkEnd {
        status: Some(status),
        ..LinkEnd::default()
    }
}
