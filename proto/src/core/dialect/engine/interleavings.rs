//! Every order in which polling, POSTs and a WebSocket can meet during an upgrade, against a model of the server.
//!
//! The model does what npm `engine.io` does; it judges neither what packets mean nor how long anything takes.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::payload::SEPARATOR;
use super::*;
use crate::core::io::Answer;

/// Packets that each side sends.
const MESSAGES_EACH: usize = 3;
const GREETING: &str = r#"0{"sid":"s","upgrades":["websocket"],"maxPayload":8}"#;

#[derive(Debug, Clone)]
struct World {
    engine: Engine,
    said: usize,
    received: Vec<String>,
    written: u64,
    end: Option<LinkEnd>,
    paused: bool,
    /// It has rested once.
    rested: bool,
    get: Question,
    post: Question,
    socket: Option<Socket>,
    server: Server,
}

/// Where a question or POST is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    None,
    Sent(String),
    /// The server holds it.
    Open,
    Answered(String),
}

#[derive(Debug, Clone, Default)]
struct Socket {
    is_open: bool,
    is_cut: bool,
    up: VecDeque<String>,
    down: VecDeque<String>,
    sent: u64,
    reported: u64,
}

#[derive(Debug, Clone, Default)]
struct Server {
    on_socket: bool,
    upgrading: bool,
    emitted: usize,
    waiting: VecDeque<String>,
    got: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Emit,
    ServerSend,
    GetArrives,
    GetAnswered,
    PostArrives,
    PostAnswered,
    SocketOpens,
    UpArrives,
    DownArrives,
    AllDownArrives,
    SocketEnds,
    Wrote,
    Noop,
    Resume,
    // What need not happen.
    Pause,
    SocketRefused,
    Cut,
}

impl Step {
    const ALL: [Self; 17] = [
        Self::Emit,
        Self::ServerSend,
        Self::GetArrives,
        Self::GetAnswered,
        Self::PostArrives,
        Self::PostAnswered,
        Self::SocketOpens,
        Self::UpArrives,
        Self::DownArrives,
        Self::AllDownArrives,
        Self::SocketEnds,
        Self::Wrote,
        Self::Noop,
        Self::Resume,
        Self::Pause,
        Self::SocketRefused,
        Self::Cut,
    ];

    const fn may_stay_away(self) -> bool {
        matches!(self, Self::Pause | Self::SocketRefused | Self::Cut)
    }
}

impl World {
    /// Behind the greeting: the socket is about to be opened.
    fn new() -> Self {
        let mut world = Self {
            engine: Engine::new(
                Url::parse("http://h/").unwrap(),
                EngineTransports::default(),
                1000,
                EngineStart::default(),
            ),
            said: 0,
            received: Vec::new(),
            written: 0,
            end: None,
            paused: false,
            rested: false,
            get: Question::None,
            post: Question::None,
            socket: None,
            server: Server::default(),
        };
        world.act();
        world.engine.get_answered(&good(GREETING));
        world.get = Question::None;
        world.act();
        world.received.clear();
        world
    }

    /// Executes the engine's actions.
    fn act(&mut self) {
        while let Some(act) = self.engine.poll() {
            match act {
                Action::Get(_) => {
                    assert_eq!(self.get, Question::None, "two questions at once");
                    self.get = Question::Sent(String::new());
                }
                Action::Post(_, body) => {
                    assert_eq!(self.post, Question::None, "two POSTs at once");
                    self.post = Question::Sent(String::from_utf8(body.to_vec()).unwrap());
                }
                Action::OpenSocket(_) => self.socket = Some(Socket::default()),
                Action::Send(packet) => {
                    let packet = packet.as_str().unwrap().to_owned();
                    if packet == "5" {
                        assert_eq!(self.get, Question::None, "an answer to this would be lost");
                        assert_eq!(self.post, Question::None, "this would be overtaken");
                    }
                    if let Some(socket) = &mut self.socket {
                        socket.sent += 1;
                        socket.up.push_back(packet);
                    }
                }
                Action::DropSocket => self.drop_socket(),
                Action::Opened => {}
                Action::Packets(packets) => self.received.extend(packets.into_iter().filter_map(|packet| {
                    let Incoming::Message(packet) = packet else {
                        panic!("{packet:?}")
                    };
                    packet.as_str().filter(|text| *text != "6").map(str::to_owned)
                })),
                Action::Written(count) => {
                    assert!(count >= self.written, "fewer than before are written");
                    self.written = count;
                }
                Action::End(end) => self.end = Some(end),
            }
        }
    }

    fn drop_socket(&mut self) {
        self.socket = None;
        self.server.upgrading = false;
    }

    fn can(&self, step: Step) -> bool {
        let socket = self.socket.as_ref();
        let is_open = socket.is_some_and(|socket| socket.is_open);
        match step {
            Step::Emit => self.server.emitted < MESSAGES_EACH,
            Step::ServerSend => self.said < MESSAGES_EACH,
            Step::GetArrives => matches!(self.get, Question::Sent(_)),
            Step::GetAnswered => matches!(self.get, Question::Answered(_)),
            Step::PostArrives => matches!(self.post, Question::Sent(_)),
            Step::PostAnswered => matches!(self.post, Question::Answered(_)),
            Step::SocketOpens | Step::SocketRefused => socket.is_some_and(|socket| !socket.is_open),
            Step::UpArrives => socket.is_some_and(|socket| !socket.is_cut && !socket.up.is_empty()),
            Step::DownArrives => socket.is_some_and(|socket| !socket.down.is_empty()),
            Step::AllDownArrives => socket.is_some_and(|socket| socket.down.len() > 1),
            Step::SocketEnds => socket.is_some_and(|socket| socket.is_cut && socket.down.is_empty()),
            Step::Wrote => socket.is_some_and(|socket| socket.reported < socket.sent),
            Step::Noop => self.server.upgrading && self.get == Question::Open,
            Step::Resume => self.paused,
            Step::Pause => !self.rested,
            // The server's patience with an upgrade is over.
            Step::Cut => is_open && !self.server.on_socket && socket.is_some_and(|socket| !socket.is_cut),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Emit => {
                self.server.emitted += 1;
                self.server
                    .waiting
                    .push_back(format!("4e{}", self.server.emitted));
                self.flush();
            }
            Step::ServerSend => {
                self.said += 1;
                self.engine.transmit(Payload::text(format!("4c{}", self.said)));
            }
            Step::GetArrives => {
                self.get = Question::Open;
                self.flush();
            }
            Step::GetAnswered => {
                let answer = take(&mut self.get);
                self.engine.get_answered(&good(&answer));
            }
            Step::PostArrives => {
                let body = take(&mut self.post);
                self.server.got.extend(body.split(SEPARATOR).map(str::to_owned));
                self.post = Question::Answered("ok".to_owned());
            }
            Step::PostAnswered => {
                let answer = take(&mut self.post);
                self.engine.post_answered(&good(&answer));
            }
            Step::SocketOpens => {
                self.socket.as_mut().unwrap().is_open = true;
                self.engine.socket_opened();
            }
            Step::UpArrives => self.up_arrives(),
            Step::DownArrives | Step::AllDownArrives => {
                let down = &mut self.socket.as_mut().unwrap().down;
                let count = if step == Step::DownArrives { 1 } else { down.len() };
                let reported = down
                    .drain(..count)
                    .map(|text| Incoming::Message(Payload::text(text)));
                self.engine.socket_messages(reported.collect());
            }
            Step::SocketEnds | Step::SocketRefused => {
                let taken = self.socket.as_ref().map_or(0, |socket| socket.sent);
                self.drop_socket();
                self.engine.socket_ended(LinkEnd {
                    taken,
                    ..LinkEnd::default()
                });
            }
            Step::Wrote => {
                let socket = self.socket.as_mut().unwrap();
                socket.reported = socket.sent;
                self.engine.socket_wrote(socket.sent);
            }
            Step::Noop => self.get = Question::Answered("6".to_owned()),
            Step::Pause => {
                (self.paused, self.rested) = (true, true);
                self.engine.pause();
            }
            Step::Resume => {
                self.paused = false;
                self.engine.resume();
            }
            Step::Cut => {
                self.server.upgrading = false;
                self.socket.as_mut().unwrap().is_cut = true;
            }
        }
        self.act();
    }

    fn up_arrives(&mut self) {
        let socket = self.socket.as_mut().unwrap();
        match socket.up.pop_front().unwrap().as_str() {
            "2probe" => {
                self.server.upgrading = true;
                socket.down.push_back("3probe".to_owned());
            }
            "5" => {
                assert!(self.server.upgrading && self.get == Question::None);
                (self.server.upgrading, self.server.on_socket) = (false, true);
                self.flush();
            }
            packet => {
                assert!(self.server.on_socket, "`{packet}` before the word to upgrade");
                self.server.got.push(packet.to_owned());
            }
        }
    }

    /// The server sends what it has, if a transport is free.
    fn flush(&mut self) {
        let waiting = &mut self.server.waiting;
        if waiting.is_empty() {
            return;
        }
        if self.server.on_socket {
            let socket = self.socket.as_mut().unwrap();
            socket.down.extend(waiting.drain(..));
        } else if self.get == Question::Open {
            let body: Vec<String> = waiting.drain(..).collect();
            self.get = Question::Answered(body.join(&SEPARATOR.to_string()));
        }
    }

    /// Holds always: in order, nothing twice, nothing left out.
    fn check(&self) {
        assert_eq!(self.received, numbered('e', self.received.len()));
        assert_eq!(self.server.got, numbered('c', self.server.got.len()));
        if let Some(end) = &self.end {
            assert!(
                end.taken >= self.server.got.len() as u64,
                "said again after it was read"
            );
        }
    }

    /// Nothing is on its way any more.
    fn check_final_state(&self) {
        if self.end.is_none() {
            assert_eq!(self.received, numbered('e', MESSAGES_EACH));
            assert_eq!(self.server.got, numbered('c', MESSAGES_EACH));
            assert_eq!(self.written, MESSAGES_EACH as u64);
        }
    }

    /// The core hangs up now: what it sent before is posted completely.
    fn check_leaving(mut self) {
        if self.engine.is_on_socket() || self.end.is_some() {
            return;
        }
        self.drop_socket();
        self.engine.leave();
        self.act();
        for step in [Step::PostArrives, Step::PostAnswered].into_iter().cycle() {
            if self.post == Question::None {
                break;
            }
            if self.can(step) {
                self.step(step);
            }
        }
        let mut all = numbered('c', self.said);
        all.push("1".to_owned());
        assert_eq!(self.server.got, all);
    }
}

fn take(question: &mut Question) -> String {
    match std::mem::replace(question, Question::None) {
        Question::Sent(text) | Question::Answered(text) => text,
        other => panic!("{other:?}"),
    }
}

fn good(body: &str) -> Answer {
    Answer {
        status: 200,
        body: body.to_owned().into(),
        ..Answer::default()
    }
}

fn numbered(side: char, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("4{side}{number}")).collect()
}

#[test]
fn an_upgrade_loses_and_doubles_nothing_whatever_comes_first() {
    let mut known = HashSet::new();
    let mut left = vec![World::new()];
    let (mut upgraded, mut stayed) = (0, 0);
    while let Some(world) = left.pop() {
        world.check();
        let steps: Vec<Step> = Step::ALL.into_iter().filter(|step| world.can(*step)).collect();
        if world.end.is_none() {
            for step in &steps {
                let mut next = world.clone();
                next.step(*step);
                let mut hasher = DefaultHasher::new();
                format!("{next:?}").hash(&mut hasher);
                if known.insert(hasher.finish()) {
                    left.push(next);
                }
            }
        }
        if steps.iter().all(|step| step.may_stay_away()) {
            world.check_final_state();
            *(if world.server.on_socket {
                &mut upgraded
            } else {
                &mut stayed
            }) += 1;
        }
        world.check_leaving();
    }
    assert!(upgraded > 0 && stayed > 0, "{upgraded} {stayed}");
}
