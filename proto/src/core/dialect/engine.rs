//! Engine.IO 4, the client's side: how packets travel, by polling, by WebSocket, or by the one and then the other.
//!
//! Pure: answers and socket messages in, questions and packets out. What packets mean is `socketio`'s; the transport
//! asks and connects as `poll` says.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Buf as _, Bytes};
use url::Url;

use super::greeting::Greeting;
use super::html;
use crate::core::io::{Answer, Incoming, LinkEnd};
use crate::core::policy;
use crate::wire::code::Code;
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;

/// Between packets of one body.
const SEPARATOR: char = '\u{1e}';
const SEPARATOR_BYTE: u8 = 0x1e;
/// Packets told at once, and bytes of them: more of a body is read when these have been taken.
const TOLD_PACKETS: usize = 256;
const TOLD_BYTES: usize = 1 << 20;
/// Bytes of a body that tell what it is; no greeting is longer.
const START: usize = 64 << 10;
/// A body the server surely takes, until it has said its own limit.
const BODY: usize = 100_000;
/// What is written on a socket before any packet of the core's: the probe and the word to upgrade.
const OVERHEAD: u64 = 2;

/// How an Engine.IO dial may travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roads {
    /// The path that is requested, as `/socket.io/`.
    pub path: String,
    /// Parameters beside the URL's own.
    pub query: Vec<(String, String)>,
    pub polling: bool,
    pub websocket: bool,
    /// The WebSocket is tried before polling.
    pub websocket_first: bool,
    /// Go from polling to a WebSocket.
    pub upgrade: bool,
    /// Begin with the WebSocket once an upgrade has succeeded.
    pub remember_upgrade: bool,
    /// Whether the next transport is tried when the first fails; `None`: from the WebSocket to polling only.
    pub try_all: Option<bool>,
    pub polling_look: Look,
    pub websocket_look: Look,
}

/// How the requests of one transport look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// Sent in place of the target's of the same name.
    pub headers: Vec<(String, String)>,
    /// The name of the parameter that makes each URL another one.
    pub timestamp_param: Option<String>,
    /// Bytes travel as text.
    pub base64: bool,
    /// How long the answer to a request may take.
    pub timeout: Option<Duration>,
}

impl Default for Roads {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            query: Vec::new(),
            polling: true,
            websocket: true,
            websocket_first: false,
            upgrade: true,
            remember_upgrade: false,
            try_all: None,
            polling_look: Look::default(),
            websocket_look: Look::default(),
        }
    }
}

impl Roads {
    /// Whether packets travel by polling to the end.
    const fn stay_with_polling(&self) -> bool {
        !self.websocket || (self.polling && !self.websocket_first && !self.upgrade)
    }

    /// Whether bytes travel as text to the end.
    pub(crate) const fn has_text_only(&self) -> bool {
        self.stay_with_polling() || self.websocket_look.base64
    }
}

/// What a dial knows when it begins, beside its options.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start {
    /// Makes the URLs of this dial others than those of the ones before.
    pub stamp: u64,
    /// A dial of this session was on the WebSocket before.
    pub was_on_socket: bool,
}

/// What the transport is to do.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Clone))]
pub enum Act {
    /// Ask for packets; one at a time. Answered by `got`.
    Get(Url),
    /// Post these packets; one at a time. Answered by `posted`.
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
    Tell(Vec<Incoming>),
    /// So many packets of the core's have been written since the start.
    Written(u64),
    /// It is over.
    End(LinkEnd),
}

/// Packets from the beginning of an answer: no more at once than others can wait for.
#[derive(Debug)]
pub struct Packets {
    packets: Vec<Payload>,
    /// What comes behind them.
    rest: Bytes,
    /// Why what comes behind them is none.
    fault: Option<&'static str>,
}

impl Packets {
    /// Reads packets.
    pub fn decode(body: Bytes) -> Self {
        let whole = body.len();
        let mut read = Self {
            packets: Vec::new(),
            rest: body,
            fault: None,
        };
        let mut bytes = 0;
        while !read.rest.is_empty() && read.packets.len() < TOLD_PACKETS && bytes < TOLD_BYTES {
            let end = read.rest.iter().position(|byte| *byte == SEPARATOR_BYTE);
            let mut packet = read.rest.split_to(end.unwrap_or(read.rest.len()));
            read.rest.advance(usize::from(end.is_some()));
            if packet.is_empty() {
                continue;
            }
            bytes += packet.len();
            // A small part must not keep the whole.
            if packet.len() <= whole / 2 {
                packet = Bytes::copy_from_slice(&packet);
            }
            match decoded(packet) {
                Ok(packet) => read.packets.push(packet),
                Err(why) => {
                    read.fault = Some(why);
                    break;
                }
            }
        }
        read
    }
}

fn decoded(packet: Bytes) -> Result<Payload, &'static str> {
    if let Some(encoded) = packet.strip_prefix(b"b") {
        let bytes = BASE64
            .decode(encoded)
            .map_err(|_| "a binary packet is not base64")?;
        return Ok(Payload::Binary(bytes.into()));
    }
    Payload::text_from_utf8(packet).ok_or("a polling answer is not UTF-8")
}

/// One Engine.IO session on its way.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Engine {
    url: Url,
    roads: Roads,
    most: usize,
    sid: Option<String>,
    max_body: usize,
    mode: Mode,
    /// Packets not handed to a road yet.
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
    acts: VecDeque<Act>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Polling,
    /// Polling goes on while the socket is tried.
    Probing,
    /// The server has answered the probe: polling comes to its end.
    Changing,
    /// On the socket from the first packet on.
    Direct,
    /// On the socket after an upgrade.
    Upgraded,
}

impl Engine {
    /// A session that is about to be opened. `most`: bytes of one packet.
    pub fn new(url: Url, roads: Roads, most: usize, start: Start) -> Self {
        let is_first = roads.websocket_first
            || !roads.polling
            || (roads.remember_upgrade && roads.upgrade && start.was_on_socket);
        let direct = roads.websocket && is_first;
        let mut engine = Self {
            url,
            most,
            sid: None,
            max_body: BODY,
            mode: if direct { Mode::Direct } else { Mode::Polling },
            roads,
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
            acts: VecDeque::new(),
        };
        if direct {
            engine.open_socket();
        } else {
            engine.flow();
        }
        engine
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Act> {
        if self.acts.is_empty()
            && let Some(body) = self.unread(0)
        {
            self.read(Packets::decode(body));
        }
        self.acts.pop_front()
    }

    /// What has not been read of an answer, if it is more than this and it is time to read it; `read` must follow.
    pub fn unread(&mut self, bytes: usize) -> Option<Bytes> {
        // What has just come is told also while reading is paused: the server may ask whether we live.
        let is_wanted = self.is_fresh || !self.paused;
        let is_due = self.acts.is_empty() && self.body.len() > bytes && is_wanted && !self.over;
        is_due.then(|| {
            self.is_fresh = false;
            std::mem::take(&mut self.body)
        })
    }

    /// Some packets of an answer. The next question is asked when all of it has been read.
    pub fn read(&mut self, packets: Packets) {
        let Packets { packets, rest, fault } = packets;
        let packets = packets.into_iter().map(|packet| match packet {
            Payload::Binary(_) => self.incoming(packet),
            text => self.text_packet(text),
        });
        let packets = packets.collect();
        self.tell(packets);
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

    /// Asks for no more packets, or does again.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
        self.flow();
    }

    /// Says by polling what is left to say, and behind it that this session is over. For one that is not on the WebSocket.
    pub fn leave(&mut self) {
        // In the middle of a change neither road takes packets, and there is no time to get to its end.
        self.stay();
        self.body = Bytes::new();
        self.transmit(Payload::text("1"));
    }

    /// Whether packets go by the WebSocket now.
    pub const fn is_on_socket(&self) -> bool {
        matches!(self.mode, Mode::Direct | Mode::Upgraded)
    }

    /// The answer to `Get`.
    pub fn got(&mut self, answer: &Answer) {
        if !self.is_answer(answer) {
            return;
        }
        if answer.too_large {
            self.getting = false;
            if self.sid.is_none() {
                return self.fault(Code::TooLarge, "the server's greeting exceeds `maxMessage`");
            }
            // The server has forgotten these packets: polling goes on behind them.
            self.tell(vec![Incoming::TooLarge { bytes: None }]);
            return self.flow();
        }
        // The beginning tells a page from packets.
        let start = String::from_utf8_lossy(&answer.body[..answer.body.len().min(START)]);
        if let Some(page) = html::described(&start) {
            let why = format!("the server answered with {page}, which is no Engine.IO");
            return self.fault(Code::ServerProtocol, &why);
        }
        self.body = answer.body.clone();
        self.is_fresh = true;
        if self.body.is_empty() {
            self.getting = false;
            self.flow();
        }
    }

    /// The answer to `Post`.
    pub fn posted(&mut self, answer: &Answer) {
        if !self.is_answer(answer) {
            return;
        }
        self.posted += std::mem::take(&mut self.posting);
        self.acts.push_back(Act::Written(self.posted));
        self.flow();
    }

    /// The WebSocket is open.
    pub fn socket_opened(&mut self) {
        if self.mode == Mode::Probing {
            self.acts.push_back(Act::Send(Payload::text("2probe")));
        }
    }

    /// Messages on the WebSocket.
    pub fn socket_told(&mut self, messages: Vec<Incoming>) {
        let mut packets = Vec::new();
        for message in messages {
            if self.mode == Mode::Probing {
                let is_answer =
                    matches!(&message, Incoming::Message(payload) if payload.as_str() == Some("3probe"));
                if !is_answer {
                    return self.stay();
                }
                self.mode = Mode::Changing;
                self.flow();
                continue;
            }
            let Incoming::Message(packet @ (Payload::Text(_) | Payload::Json(_))) = message else {
                packets.push(message);
                continue;
            };
            match self.socket_packet(packet) {
                Ok(packet) => packets.push(packet),
                Err(why) => return self.fault(Code::ServerProtocol, why),
            }
        }
        self.tell(packets);
        self.flow();
    }

    /// So many messages have been written on the WebSocket.
    pub fn socket_wrote(&mut self, count: u64) {
        match self.mode {
            Mode::Direct => self.acts.push_back(Act::Written(count)),
            Mode::Upgraded => {
                let written = self.posted + count.saturating_sub(OVERHEAD);
                self.acts.push_back(Act::Written(written));
            }
            Mode::Polling | Mode::Probing | Mode::Changing => {}
        }
    }

    /// The WebSocket has ended, or never came to be.
    pub fn socket_ended(&mut self, mut end: LinkEnd) {
        match self.mode {
            // The server goes on with polling: nothing was said on the socket yet.
            Mode::Polling | Mode::Probing | Mode::Changing => self.stay(),
            // A proxy that knows no WebSockets makes servers answer with 400: polling may do where a socket does not.
            Mode::Direct if self.may_try_polling(&end) => {
                self.tried_other = true;
                self.mode = Mode::Polling;
                self.flow();
            }
            Mode::Direct => self.end(end),
            Mode::Upgraded => {
                end.taken = self.posted.saturating_add(end.taken.saturating_sub(OVERHEAD));
                self.end(end);
            }
        }
    }

    /// A question or POST got no answer.
    pub fn failed(&mut self, mut end: LinkEnd, was_post: bool, sent: bool) {
        let doubtful = if was_post && !sent { 0 } else { self.posting };
        end.taken = self.posted + doubtful;
        self.end(end);
    }

    /// A server that cannot be reached by one transport may be by the other.
    const fn may_try_polling(&self, end: &LinkEnd) -> bool {
        let may = match self.roads.try_all {
            Some(all) => all || self.roads.remember_upgrade,
            None => !matches!(end.status, Some(401 | 403)),
        };
        may && self.roads.polling && self.sid.is_none() && !self.tried_other
    }

    fn open_socket(&mut self) {
        let url = self.address("websocket");
        self.acts.push_back(Act::OpenSocket(url));
    }

    /// A text message of the WebSocket: bytes come so as well if the options ask for it.
    fn socket_packet(&mut self, packet: Payload) -> Result<Incoming, &'static str> {
        match packet.as_str().and_then(|text| text.strip_prefix('b')) {
            None => Ok(self.text_packet(packet)),
            Some(encoded) => match BASE64.decode(encoded) {
                Ok(bytes) => Ok(self.incoming(Payload::Binary(bytes.into()))),
                Err(_) => Err("a binary packet is not base64"),
            },
        }
    }

    fn text_packet(&mut self, packet: Payload) -> Incoming {
        if self.sid.is_none()
            && packet.len() <= START
            && let Some(json) = packet.as_str().and_then(|text| text.strip_prefix('0'))
            && let Ok(greeting) = Greeting::read(json)
            && greeting.sid.is_some()
        {
            self.acts.push_back(Act::Opened);
            self.sid = greeting.sid;
            self.max_body = greeting.max_payload.unwrap_or(BODY);
            if self.mode == Mode::Polling
                && self.roads.websocket
                && self.roads.upgrade
                && greeting.upgrades.iter().any(|upgrade| upgrade == "websocket")
            {
                self.mode = Mode::Probing;
                self.open_socket();
            }
        }
        self.incoming(packet)
    }

    fn incoming(&self, packet: Payload) -> Incoming {
        if packet.len() > self.most {
            Incoming::TooLarge {
                bytes: Some(packet.len() as u64),
            }
        } else {
            Incoming::Message(packet)
        }
    }

    fn tell(&mut self, packets: Vec<Incoming>) {
        let is_old = self.sid.is_none() && !packets.is_empty();
        if is_old {
            // Whatever this is, the core looks at it and says so.
            self.acts.push_back(Act::Opened);
        }
        if !packets.is_empty() {
            self.acts.push_back(Act::Tell(packets));
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
                    self.acts.push_back(Act::Get(url));
                }
            }
            Mode::Changing if !self.getting && self.posting == 0 => {
                self.mode = Mode::Upgraded;
                self.acts.push_back(Act::Send(Payload::text("5")));
                self.flow();
            }
            Mode::Changing => {}
            Mode::Direct | Mode::Upgraded => {
                if self.sid.is_some() {
                    let base64 = self.roads.websocket_look.base64;
                    let packets = self.queue.drain(..).map(|packet| match packet {
                        Payload::Binary(bytes) if base64 => Payload::text(in_base64(&bytes)),
                        other => other,
                    });
                    self.acts.extend(packets.map(Act::Send));
                }
            }
        }
    }

    fn post(&mut self) {
        if self.posting > 0 || self.sid.is_none() || self.queue.is_empty() {
            return;
        }
        let mut body = String::new();
        while let Some(packet) = self.queue.front() {
            let encoded = match packet {
                Payload::Binary(bytes) => in_base64(bytes),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            if !body.is_empty() {
                if body.len() + 1 + encoded.len() > self.max_body {
                    break;
                }
                body.push(SEPARATOR);
            }
            body.push_str(&encoded);
            self.queue.pop_front();
            self.posting += 1;
        }
        let url = self.address("polling");
        self.acts.push_back(Act::Post(url, body.into()));
    }

    /// The socket is of no use: polling goes on.
    fn stay(&mut self) {
        if matches!(self.mode, Mode::Probing | Mode::Changing) {
            self.mode = Mode::Polling;
            self.acts.push_back(Act::DropSocket);
        }
        self.flow();
    }

    fn is_answer(&mut self, answer: &Answer) -> bool {
        if answer.is_good() {
            return true;
        }
        let text = String::from_utf8_lossy(&answer.body);
        let told: String = html::described(&text).unwrap_or_else(|| {
            let chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            chars.take(200).collect()
        });
        let mut end = LinkEnd {
            error: Some(ErrorInfo::new(
                Code::HttpStatus,
                format!("the server answered with {}: {told}", answer.status),
            )),
            retry_after: answer.retry_after,
            reason: Some(told),
            taken: self.posted + self.posting,
            ..LinkEnd::default()
        };
        // In the middle a status means that the server has forgotten this session: another one may be had.
        end.status = self.sid.is_none().then_some(answer.status);
        self.end(end);
        false
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
        if was_polling && self.roads.try_all == Some(true) && self.roads.websocket && !self.tried_other {
            self.tried_other = true;
            self.mode = Mode::Direct;
            return self.open_socket();
        }
        if !std::mem::replace(&mut self.over, true) {
            self.acts.push_back(Act::End(end));
        }
    }

    /// The URL of the next request: each one another, so that no cache answers.
    fn address(&mut self, transport: &str) -> Url {
        let mut url = policy::engine_url(self.url.clone(), &self.roads.path);
        let look = match transport {
            "polling" => &self.roads.polling_look,
            _ => &self.roads.websocket_look,
        };
        let mut query = url.query_pairs_mut();
        for (name, value) in &self.roads.query {
            query.append_pair(name, value);
        }
        query.append_pair("EIO", "4").append_pair("transport", transport);
        if let Some(sid) = &self.sid {
            query.append_pair("sid", sid);
        }
        if let Some(param) = &look.timestamp_param {
            self.stamp = self.stamp.wrapping_add(1);
            query.append_pair(param, &in_base36(self.stamp));
        }
        if look.base64 {
            query.append_pair("b64", "1");
        }
        drop(query);
        url
    }
}

/// Bytes as a packet of text.
fn in_base64(bytes: &[u8]) -> String {
    format!("b{}", BASE64.encode(bytes))
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

#[cfg(test)]
mod interleavings;

#[cfg(test)]
mod tests {
    use super::*;

    const GREETING: &str =
        r#"0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":20}"#;

    fn engine(polling: bool, websocket: bool) -> Engine {
        let roads = Roads {
            polling,
            websocket,
            ..Roads::default()
        };
        start(roads)
    }

    fn start(roads: Roads) -> Engine {
        let url = Url::parse("http://localhost/?a=1").unwrap();
        Engine::new(url, roads, 1000, Start::default())
    }

    fn acts(engine: &mut Engine) -> Vec<String> {
        std::iter::from_fn(|| engine.poll())
            .map(|act| match act {
                Act::Get(url) => format!("get {}", url.query().unwrap()),
                Act::Post(_, body) => format!("post {}", String::from_utf8_lossy(&body)),
                Act::OpenSocket(url) => format!("open {}", url.query().unwrap()),
                Act::Send(packet) => format!("send {}", packet.as_str().unwrap_or("bytes")),
                Act::Tell(packets) => format!("tell {}", packets.len()),
                Act::End(end) => format!("end {:?} {}", end.status, end.taken),
                Act::Written(count) => format!("written {count}"),
                Act::Opened => "opened".to_owned(),
                Act::DropSocket => "drop".to_owned(),
            })
            .collect()
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            body: Bytes::from(body.to_owned()),
            ..Answer::default()
        }
    }

    fn text(text: &str) -> Vec<Incoming> {
        vec![Incoming::Message(Payload::text(text))]
    }

    #[test]
    fn polling_is_opened_and_posts_what_fits() {
        let mut engine = engine(true, false);
        assert_eq!(acts(&mut engine), ["get a=1&EIO=4&transport=polling"]);
        engine.transmit(Payload::text("40"));
        assert!(
            acts(&mut engine).is_empty(),
            "nothing is said before the greeting"
        );
        engine.got(&answer(200, GREETING));
        assert_eq!(
            acts(&mut engine),
            [
                "opened",
                "tell 1",
                "post 40",
                "get a=1&EIO=4&transport=polling&sid=abc"
            ]
        );
        for packet in ["4aaaaaaaa", "4bbbbbbbb", "4cccc"] {
            engine.transmit(Payload::text(packet));
        }
        engine.posted(&answer(200, "ok"));
        assert_eq!(acts(&mut engine), ["written 1", "post 4aaaaaaaa\u{1e}4bbbbbbbb"]);
        engine.transmit(Payload::Binary(Bytes::from_static(&[1, 2])));
        engine.posted(&answer(200, "ok"));
        assert_eq!(acts(&mut engine), ["written 3", "post 4cccc\u{1e}bAQI="]);
        engine.got(&answer(200, "4x\u{1e}bAQI=\u{1e}2"));
        assert_eq!(acts(&mut engine)[0], "tell 3");
    }

    #[test]
    fn an_upgrade_ends_polling_before_it_says_so() {
        let mut engine = engine(true, true);
        engine.got(&answer(200, GREETING));
        assert!(acts(&mut engine).contains(&"open a=1&EIO=4&transport=websocket&sid=abc".to_owned()));
        engine.transmit(Payload::text("40"));
        assert_eq!(acts(&mut engine), ["post 40"], "polling goes on meanwhile");
        engine.socket_opened();
        assert_eq!(acts(&mut engine), ["send 2probe"]);
        engine.socket_told(text("3probe"));
        engine.transmit(Payload::text("4later"));
        assert!(acts(&mut engine).is_empty());
        engine.posted(&answer(200, "ok"));
        assert_eq!(acts(&mut engine), ["written 1"]);
        engine.got(&answer(200, "6"));
        assert_eq!(acts(&mut engine), ["tell 1", "send 5", "send 4later"]);
        engine.socket_wrote(3);
        assert_eq!(acts(&mut engine), ["written 2"]);
        engine.socket_ended(LinkEnd {
            taken: 3,
            ..LinkEnd::default()
        });
        assert_eq!(acts(&mut engine), ["end None 2"]);
    }

    #[test]
    fn a_socket_that_does_not_come_leaves_polling_as_it_is() {
        let mut engine = engine(true, true);
        engine.got(&answer(200, GREETING));
        acts(&mut engine);
        engine.socket_ended(LinkEnd {
            status: Some(502),
            ..LinkEnd::default()
        });
        assert_eq!(acts(&mut engine), ["drop"]);
        engine.transmit(Payload::text("4x"));
        engine.got(&answer(200, "4y"));
        assert_eq!(
            acts(&mut engine),
            ["post 4x", "tell 1", "get a=1&EIO=4&transport=polling&sid=abc"]
        );
    }

    #[test]
    fn a_socket_alone_says_nothing_before_the_greeting() {
        let mut engine = engine(false, true);
        assert_eq!(acts(&mut engine), ["open a=1&EIO=4&transport=websocket"]);
        engine.transmit(Payload::text("40"));
        engine.socket_opened();
        assert!(acts(&mut engine).is_empty());
        engine.socket_told(text(GREETING));
        assert_eq!(acts(&mut engine), ["opened", "tell 1", "send 40"]);
    }

    #[test]
    fn a_body_of_very_many_packets_is_told_in_pieces_and_nothing_is_asked_before_its_end() {
        let mut engine = engine(true, false);
        engine.got(&answer(200, GREETING));
        acts(&mut engine);
        let body = vec!["4x"; 3 * TOLD_PACKETS - 1].join("\u{1e}");
        engine.got(&answer(200, &body));
        let Some(Act::Tell(first)) = engine.poll() else {
            panic!("packets come first")
        };
        assert_eq!(first.len(), TOLD_PACKETS);
        engine.pause(true);
        assert!(engine.poll().is_none(), "the rest waits while reading rests");
        engine.pause(false);
        assert_eq!(
            acts(&mut engine),
            [
                format!("tell {TOLD_PACKETS}"),
                format!("tell {}", TOLD_PACKETS - 1),
                "get a=1&EIO=4&transport=polling&sid=abc".to_owned()
            ]
        );
    }

    #[test]
    fn nothing_is_asked_while_reading_rests() {
        let mut engine = engine(true, false);
        engine.got(&answer(200, GREETING));
        acts(&mut engine);
        engine.pause(true);
        engine.got(&answer(200, "4x"));
        assert_eq!(acts(&mut engine), ["tell 1"]);
        engine.transmit(Payload::text("4y"));
        assert_eq!(acts(&mut engine), ["post 4y"], "saying goes on");
        engine.pause(false);
        assert_eq!(acts(&mut engine), ["get a=1&EIO=4&transport=polling&sid=abc"]);
    }

    #[test]
    fn polling_is_tried_where_a_socket_does_not_come_unless_nobody_is_let_in() {
        for (status, tried) in [
            (None, true),
            (Some(400), true),
            (Some(502), true),
            (Some(401), false),
        ] {
            let mut engine = engine(false, true);
            engine.roads.polling = true;
            engine.roads.websocket_first = true;
            acts(&mut engine);
            engine.socket_ended(LinkEnd {
                status,
                ..LinkEnd::default()
            });
            let now = acts(&mut engine);
            assert_eq!(now[0].starts_with("get"), tried, "{status:?}: {now:?}");
        }
    }

    #[test]
    fn the_other_transport_is_tried_once_and_only_if_that_is_wanted() {
        for (try_all, tried) in [(Some(true), true), (Some(false), false), (None, false)] {
            let mut engine = start(Roads {
                try_all,
                ..Roads::default()
            });
            acts(&mut engine);
            engine.got(&answer(404, "no"));
            let now = acts(&mut engine);
            assert_eq!(now[0].starts_with("open"), tried, "{try_all:?}: {now:?}");
            engine.socket_ended(LinkEnd::default());
            assert_eq!(acts(&mut engine).len(), usize::from(tried), "it is over");
        }
        let mut engine = start(Roads {
            try_all: Some(false),
            websocket_first: true,
            ..Roads::default()
        });
        acts(&mut engine);
        engine.socket_ended(LinkEnd::default());
        assert_eq!(acts(&mut engine), ["end None 0"]);
    }

    #[test]
    fn an_upgrade_is_remembered_if_that_is_wanted() {
        for (remember_upgrade, was_on_socket, direct) in
            [(true, true, true), (true, false, false), (false, true, false)]
        {
            let roads = Roads {
                remember_upgrade,
                ..Roads::default()
            };
            let known = Start {
                was_on_socket,
                ..Start::default()
            };
            let url = Url::parse("http://localhost/").unwrap();
            let mut engine = Engine::new(url, roads, 1000, known);
            assert_eq!(acts(&mut engine)[0].starts_with("open"), direct);
            engine.socket_ended(LinkEnd::default());
            assert!(
                !direct || acts(&mut engine)[0].starts_with("get"),
                "it is polled again"
            );
        }
    }

    #[test]
    fn urls_are_written_as_the_options_say() {
        let look = |param: &str| Look {
            timestamp_param: Some(param.to_owned()),
            base64: true,
            ..Look::default()
        };
        let mut engine = start(Roads {
            query: vec![("room".to_owned(), "7".to_owned())],
            polling_look: look("t"),
            websocket_look: look("ts"),
            ..Roads::default()
        });
        let first = "get a=1&room=7&EIO=4&transport=polling";
        assert_eq!(acts(&mut engine), [format!("{first}&t=1&b64=1")]);
        engine.got(&answer(200, GREETING));
        let now = acts(&mut engine);
        let socket = "open a=1&room=7&EIO=4&transport=websocket&sid=abc&ts=2&b64=1";
        assert!(now.contains(&socket.to_owned()), "{now:?}");
        assert!(now.contains(&format!("{first}&sid=abc&t=3&b64=1")), "{now:?}");
        engine.socket_opened();
        engine.socket_told(text("3probe"));
        engine.got(&answer(200, "6"));
        acts(&mut engine);
        engine.transmit(Payload::Binary(Bytes::from_static(&[1, 2])));
        assert_eq!(acts(&mut engine), ["send bAQI="]);
        engine.socket_told(text("bAQI="));
        assert_eq!(
            engine.poll(),
            Some(Act::Tell(vec![Incoming::Message(Payload::Binary(
                Bytes::from_static(&[1, 2])
            ))]))
        );
    }

    #[test]
    fn a_status_is_the_servers_word_only_before_the_session() {
        let mut refused = engine(true, false);
        acts(&mut refused);
        refused.got(&answer(403, "no"));
        assert_eq!(acts(&mut refused), ["end Some(403) 0"]);
        let mut forgotten = engine(true, false);
        forgotten.got(&answer(200, GREETING));
        forgotten.transmit(Payload::text("4x"));
        acts(&mut forgotten);
        forgotten.got(&answer(400, r#"{"code":1,"message":"Session ID unknown"}"#));
        assert_eq!(
            acts(&mut forgotten),
            ["end None 1"],
            "what was being posted is in doubt"
        );
    }
}
