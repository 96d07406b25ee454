//! Network connections, against scripted peers and real servers, through `Dials` as the broker uses it.

mod autobahn;
#[cfg(target_os = "linux")]
mod canary;
mod compressed;
#[cfg(target_os = "linux")]
mod cost;
mod credentials;
mod dial_limits;
mod faults;
mod flow;
#[cfg(target_os = "linux")]
mod happy_eyeballs;
mod harness;
mod headers;
mod liveness;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod netns;
#[cfg(target_os = "linux")]
mod network_faults;
mod policy;
mod proxies;
mod real;
mod servers;
#[cfg(target_os = "linux")]
mod settings;
mod streams;
#[cfg(target_os = "linux")]
mod system_proxy;
mod thundering_herd;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longwire::broker::dials::Dials;
use longwire::core::io::{DialId, Incoming, LinkEnd, LinkEvent, ProxyChoice, Target};
use longwire::transport::{Network, NetworkSettings, ProxySettings, credit};
use longwire::wire::payload::Payload;
use tokio::sync::mpsc;

/// How long anything that must happen may take.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

const DIAL: DialId = DialId(7);

/// A broker's view of one dial.
struct TestLink {
    dials: Dials<(DialId, LinkEvent)>,
    events: mpsc::Receiver<(DialId, LinkEvent)>,
}

impl TestLink {
    fn dial(target: Target) -> Self {
        Self::dial_by(NetworkSettings::default(), target, 64)
    }

    /// `room`: how many events may wait for us.
    fn dial_by(mut settings: NetworkSettings, target: Target, room: usize) -> Self {
        if settings.proxy == ProxySettings::System {
            // Tests must not depend on the proxy of the environment.
            settings.proxy = ProxySettings::None;
        }
        let (tx, events) = mpsc::channel(room);
        let mut dials = Dials::new(Arc::new(Network::new(settings).unwrap()), tx, 4096);
        dials.dial(DIAL, Box::new(target));
        Self { dials, events }
    }

    /// The next event, taken as the broker takes it.
    async fn next(&mut self) -> LinkEvent {
        let event = self.next_on_its_way().await;
        if let LinkEvent::Messages(messages) = &event {
            self.dials.took(DIAL, credit::cost(messages));
        }
        event
    }

    /// The next event; the link believes that it is still on its way.
    async fn next_on_its_way(&mut self) -> LinkEvent {
        let (dial, event) = tokio::time::timeout(TEST_TIMEOUT, self.events.recv())
            .await
            .expect("no event within the timeout")
            .expect("the dials were dropped");
        assert_eq!(dial, DIAL);
        event
    }

    /// The first event, which must be `Opened`: subprotocol and extensions.
    async fn opened(&mut self) -> (Option<String>, Option<String>) {
        match self.next().await {
            LinkEvent::Opened {
                subprotocol,
                extensions,
            } => (subprotocol, extensions),
            other => panic!("not opened: {other:?}"),
        }
    }

    /// Messages until there are `count`.
    async fn messages(&mut self, count: usize) -> Vec<Incoming> {
        let mut messages = Vec::new();
        while messages.len() < count {
            match self.next().await {
                LinkEvent::Messages(more) => messages.extend(more),
                LinkEvent::Ended(end) => panic!("ended after {} messages: {end:?}", messages.len()),
                _ => {}
            }
        }
        messages
    }

    async fn message(&mut self) -> Payload {
        match self.messages(1).await.pop() {
            Some(Incoming::Message(payload)) => payload,
            other => panic!("not a message: {other:?}"),
        }
    }

    /// Everything to the end: the messages, and how it ended.
    async fn ended(&mut self) -> (Vec<Incoming>, LinkEnd) {
        let mut messages = Vec::new();
        loop {
            match self.next().await {
                LinkEvent::Messages(more) => messages.extend(more),
                LinkEvent::Ended(end) => return (messages, end),
                _ => {}
            }
        }
    }

    /// Waits until `count` messages are written; how many are.
    async fn written(&mut self, count: u64) -> u64 {
        loop {
            match self.next().await {
                LinkEvent::Written(written) if written >= count => return written,
                LinkEvent::Ended(end) => panic!("ended: {end:?}"),
                _ => {}
            }
        }
    }

    async fn pong(&mut self) -> u64 {
        loop {
            match self.next().await {
                LinkEvent::Pong(token) => return token,
                LinkEvent::Ended(end) => panic!("ended: {end:?}"),
                _ => {}
            }
        }
    }

    fn transmit(&mut self, payload: Payload) {
        self.dials.transmit(DIAL, payload);
    }
}

fn target(url: impl AsRef<str>) -> Target {
    Target {
        jar: None,
        origin: None,
        url: url.as_ref().parse().unwrap(),
        subprotocols: Vec::new(),
        headers: Vec::new(),
        connect_timeout: TEST_TIMEOUT,
        proxy: ProxyChoice::System,
        compression: false,
        json: false,
        max_message: 64 * 1024 * 1024,
        transport: longwire::core::io::TransportKind::WebSocket,
    }
}

fn text(text: impl Into<String>) -> Incoming {
    Incoming::Message(Payload::text(text))
}

fn binary(bytes: impl Into<Vec<u8>>) -> Incoming {
    Incoming::Message(Payload::Binary(Bytes::from(bytes.into())))
}

/// What the servers of `fixtures/servers` send in `/flood` and `/fragments`.
fn expected_message(index: usize, size: usize) -> String {
    const WORDS: [&str; 6] = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"];
    let mut text = String::new();
    let mut n = index;
    while text.len() < size {
        text += WORDS[(n * 7 + index) % WORDS.len()];
        text += &format!("{n} ");
        n += 1;
    }
    text.truncate(size);
    text
}
