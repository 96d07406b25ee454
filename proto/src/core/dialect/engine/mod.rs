//! Engine.IO 4, the client's side: how packets travel, by polling, by WebSocket, or by the one and then the other.
//!
//! Pure: responses and socket messages in, requests and packets out. The meaning of packets is `socketio`'s; the transport
//! sends requests and connects as `poll` returns.

mod payload;
mod polling;
mod socket;

/// What Engine.IO requests of a server at this URL: the path is an option of its own.
pub(super) fn requested_url(mut url: Url, path: &str) -> Url {
    url.set_path(path);
    url
}

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;
use url::Url;

use crate::wire::code::Code;
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;

use crate::core::dialect::greeting::Greeting;
use crate::core::io::{EngineTransports, Incoming, LinkEnd};

pub use self::payload::Packets;
use self::payload::in_base64;

/// Bytes of a body that are needed to recognise it; no greeting is longer.
const MAX_GREETING_BYTES: usize = 64 << 10;

/// A body the server surely takes, until it has sent its own limit.
const MAX_BODY_BYTES: usize = 100_000;

/// What is written on a socket before any packet of the core's: the probe and the upgrade packet.
const OVERHEAD: u64 = 2;

/// What a dial knows when it begins, beside its options.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineStart {
    /// Makes the URLs of this dial others than those of the ones before.
    pub stamp: u64,
    /// A dial of this session was on the WebSocket before.
    pub was_on_socket: bool,
}

/// What the transport is to do.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Clone))]
pub enum Action {
    /// Ask for packets; one at a time. Answered by `get_answered`.
    Get(Url),
    /// Post these packets; one at a time. Answered by `post_answered`.
    Post(Url, Bytes),
    /// Open a WebSocket beside.
    OpenSocket(Url),
    /// Write on it.
    Send(Payload),
    /// Leave it.
    DropSocket,
    /// The way is open: the first packet is the server's greeting.
    Opened,
    /// Packets of the server's.
    Packets(Vec<Incoming>),
    /// So many packets of the core's have been written since the start.
    Written(u64),
    /// It is over.
    End(LinkEnd),
}

/// One Engine.IO session on its way.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Engine {
    url: Url,
    transports: EngineTransports,
    max_message: usize,
    sid: Option<String>,
    max_body: usize,
    mode: Mode,
    /// Packets not handed to a transport yet.
    queue: VecDeque<Payload>,
    /// A question is open, or its answer has not been read to its end.
    getting: bool,
    /// What has not been read of an answer.
    body: Bytes,
    /// Nothing of it has been read.
    is_fresh: bool,
    /// Packets in the POST that is under way.
    posting: u64,
    /// Packets that were posted and taken.
    posted: u64,
    paused: bool,
    over: bool,
    /// A transport has failed, and another one is being tried.
    tried_other: bool,
    stamp: u64,
    actions: VecDeque<Action>,
}

/// How far a POST came that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostReach {
    /// The server has certainly not seen it.
    Unsent,
    MaybeSent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Polling,
    /// Polling goes on while the socket is tried.
    Probing,
    /// The server has answered the probe: polling comes to its end.
    Upgrading,
    /// On the socket from the first packet on.
    Direct,
    /// On the socket after an upgrade.
    Upgraded,
}

impl Engine {
    /// A session that is about to be opened. `max_message`: bytes of one packet.
    pub fn new(url: Url, transports: EngineTransports, max_message: usize, start: EngineStart) -> Self {
        let is_first = transports.websocket_first
            || !transports.polling
            || (transports.remember_upgrade && transports.upgrade && start.was_on_socket);
        let direct = transports.websocket && is_first;
        let mut engine = Self {
            url,
            max_message,
            sid: None,
            max_body: MAX_BODY_BYTES,
            mode: if direct { Mode::Direct } else { Mode::Polling },
            transports,
            queue: VecDeque::new(),
            getting: false,
            body: Bytes::new(),
            is_fresh: false,
            posting: 0,
            posted: 0,
            paused: false,
            over: false,
            tried_other: false,
            stamp: start.stamp,
            actions: VecDeque::new(),
        };
        if direct {
            engine.open_socket();
        } else {
            engine.flow();
        }
        engine
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        if self.actions.is_empty()
            && let Some(body) = self.unread(0)
        {
            self.read(Packets::decode(body));
        }
        self.actions.pop_front()
    }

    /// What has not been read of an answer, if it is more than this and it is time to read it; `read` must follow.
    pub fn unread(&mut self, bytes: usize) -> Option<Bytes> {
        // What has just arrived is reported also while reading is paused: it may be a ping of the server.
        let is_wanted = self.is_fresh || !self.paused;
        let is_due = self.actions.is_empty() && self.body.len() > bytes && is_wanted && !self.over;
        is_due.then(|| {
            self.is_fresh = false;
            std::mem::take(&mut self.body)
        })
    }

    /// Some packets of an answer. The next question is asked when all of it has been read.
    pub fn read(&mut self, packets: Packets) {
        let (packets, rest, fault) = packets.into_parts();
        let packets = packets.into_iter().map(|packet| match packet {
            Payload::Binary(_) => self.incoming(packet),
            text => self.text_packet(text),
        });
        let packets = packets.collect();
        self.report_packets(packets);
        if let Some(why) = fault {
            return self.fault(Code::ServerProtocol, why);
        }
        self.body = rest;
        if self.body.is_empty() {
            self.getting = false;
            self.flow();
        }
    }

    /// Sends a packet.
    pub fn transmit(&mut self, packet: Payload) {
        self.queue.push_back(packet);
        self.flow();
    }

    /// Asks for no more packets.
    pub fn pause(&mut self) {
        self.paused = true;
        self.flow();
    }

    /// Asks for packets again.
    pub fn resume(&mut self) {
        self.paused = false;
        self.flow();
    }

    /// Says by polling what is left to say, and behind it that this session is over. For one that is not on the WebSocket.
    pub fn leave(&mut self) {
        // In the middle of a change neither transport takes packets, and there is no time to get to its end.
        self.abort_upgrade();
        self.body = Bytes::new();
        self.transmit(Payload::text("1"));
    }

    /// Whether packets go by the WebSocket now.
    pub const fn is_on_socket(&self) -> bool {
        matches!(self.mode, Mode::Direct | Mode::Upgraded)
    }

    fn text_packet(&mut self, packet: Payload) -> Incoming {
        if self.sid.is_none()
            && packet.len() <= MAX_GREETING_BYTES
            && let Some(json) = packet.as_str().and_then(|text| text.strip_prefix('0'))
            && let Ok(greeting) = Greeting::read(json)
            && greeting.sid.is_some()
        {
            self.actions.push_back(Action::Opened);
            self.sid = greeting.sid;
            self.max_body = greeting.max_payload.unwrap_or(MAX_BODY_BYTES);
            if self.mode == Mode::Polling
                && self.transports.websocket
                && self.transports.upgrade
                && greeting.upgrades.iter().any(|upgrade| upgrade == "websocket")
            {
                self.mode = Mode::Probing;
                self.open_socket();
            }
        }
        self.incoming(packet)
    }

    fn incoming(&self, packet: Payload) -> Incoming {
        if packet.len() > self.max_message {
            Incoming::TooLarge {
                bytes: Some(packet.len() as u64),
            }
        } else {
            Incoming::Message(packet)
        }
    }

    fn report_packets(&mut self, packets: Vec<Incoming>) {
        let is_old = self.sid.is_none() && !packets.is_empty();
        if is_old {
            // Whatever this is, the core looks at it and says so.
            self.actions.push_back(Action::Opened);
        }
        if !packets.is_empty() {
            self.actions.push_back(Action::Packets(packets));
        }
    }

    /// Does what can be done now.
    fn flow(&mut self) {
        if self.over {
            return;
        }
        match self.mode {
            Mode::Polling | Mode::Probing => {
                self.post();
                if !self.getting && !self.paused {
                    self.getting = true;
                    let url = self.address("polling");
                    self.actions.push_back(Action::Get(url));
                }
            }
            Mode::Upgrading if !self.getting && self.posting == 0 => {
                self.mode = Mode::Upgraded;
                self.actions.push_back(Action::Send(Payload::text("5")));
                self.flow();
            }
            Mode::Upgrading => {}
            Mode::Direct | Mode::Upgraded => {
                if self.sid.is_some() {
                    let base64 = self.transports.websocket_requests.base64;
                    let packets = self.queue.drain(..).map(|packet| match packet {
                        Payload::Binary(bytes) if base64 => Payload::text(in_base64(&bytes)),
                        other => other,
                    });
                    self.actions.extend(packets.map(Action::Send));
                }
            }
        }
    }

    fn fault(&mut self, code: Code, why: &str) {
        let end = LinkEnd {
            error: Some(ErrorInfo::new(code, why)),
            taken: self.posted + self.posting,
            ..LinkEnd::default()
        };
        self.end(end);
    }

    fn end(&mut self, end: LinkEnd) {
        let was_polling = self.mode == Mode::Polling && self.sid.is_none();
        if was_polling
            && self.transports.try_all == Some(true)
            && self.transports.websocket
            && !self.tried_other
        {
            self.tried_other = true;
            self.mode = Mode::Direct;
            return self.open_socket();
        }
        if !std::mem::replace(&mut self.over, true) {
            self.actions.push_back(Action::End(end));
        }
    }

    /// The URL of the next request: each one another, so that no cache answers.
    fn address(&mut self, transport: &str) -> Url {
        let mut url = requested_url(self.url.clone(), &self.transports.path);
        let options = match transport {
            "polling" => &self.transports.polling_requests,
            _ => &self.transports.websocket_requests,
        };
        let mut query = url.query_pairs_mut();
        for (name, value) in &self.transports.query {
            query.append_pair(name, value);
        }
        query.append_pair("EIO", "4").append_pair("transport", transport);
        if let Some(sid) = &self.sid {
            query.append_pair("sid", sid);
        }
        if let Some(param) = &options.timestamp_param {
            self.stamp = self.stamp.wrapping_add(1);
            query.append_pair(param, &in_base36(self.stamp));
        }
        if options.base64 {
            query.append_pair("b64", "1");
        }
        drop(query);
        url
    }
}

fn in_base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
    }
    digits.reverse();
    String::from_utf8(digits).unwrap_or_default()
}
