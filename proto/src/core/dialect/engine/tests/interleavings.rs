//! Every order in which polling, POSTs and a WebSocket can meet during an upgrade, against the model of a server.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::super::*;
use super::server_model::{Request, Server, Socket};
use crate::core::io::Answer;

/// Packets that each side sends.
const MESSAGES_EACH: usize = 3;
const GREETING: &str = r#"0{"sid":"s","upgrades":["websocket"],"maxPayload":8}"#;

#[derive(Debug, Clone)]
struct World {
    engine: Engine,
    transmitted: usize,
    received: Vec<String>,
    written: u64,
    end: Option<LinkEnd>,
    paused: bool,
    was_paused: bool,
    get: Request,
    post: Request,
    socket: Option<Socket>,
    server: Server,
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

    const fn is_optional(self) -> bool {
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
            transmitted: 0,
            received: Vec::new(),
            written: 0,
            end: None,
            paused: false,
            was_paused: false,
            get: Request::None,
            post: Request::None,
            socket: None,
            server: Server::default(),
        };
        world.act();
        world.engine.get_answered(&good(GREETING));
        world.get = Request::None;
        world.act();
        world.received.clear();
        world
    }

    /// Executes the engine's actions.
    fn act(&mut self) {
        while let Some(act) = self.engine.poll() {
            match act {
                Action::Get(_) => {
                    assert_eq!(self.get, Request::None, "two GETs at once");
                    self.get = Request::Sent(String::new());
                }
                Action::Post(_, body) => {
                    assert_eq!(self.post, Request::None, "two POSTs at once");
                    self.post = Request::Sent(String::from_utf8(body.to_vec()).unwrap());
                }
                Action::OpenSocket(_) => self.socket = Some(Socket::default()),
                Action::Send(packet) => {
                    let packet = packet.as_str().unwrap().to_owned();
                    if packet == "5" {
                        assert_eq!(self.get, Request::None, "an answer to this would be lost");
                        assert_eq!(self.post, Request::None, "this would be overtaken");
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
        self.server.abort_upgrade();
    }

    fn can(&self, step: Step) -> bool {
        let socket = self.socket.as_ref();
        let is_open = socket.is_some_and(|socket| socket.is_open);
        match step {
            Step::Emit => self.server.emitted() < MESSAGES_EACH,
            Step::ServerSend => self.transmitted < MESSAGES_EACH,
            Step::GetArrives => matches!(self.get, Request::Sent(_)),
            Step::GetAnswered => matches!(self.get, Request::Answered(_)),
            Step::PostArrives => matches!(self.post, Request::Sent(_)),
            Step::PostAnswered => matches!(self.post, Request::Answered(_)),
            Step::SocketOpens | Step::SocketRefused => socket.is_some_and(|socket| !socket.is_open),
            Step::UpArrives => socket.is_some_and(|socket| !socket.is_cut && !socket.up.is_empty()),
            Step::DownArrives => socket.is_some_and(|socket| !socket.down.is_empty()),
            Step::AllDownArrives => socket.is_some_and(|socket| socket.down.len() > 1),
            Step::SocketEnds => socket.is_some_and(|socket| socket.is_cut && socket.down.is_empty()),
            Step::Wrote => socket.is_some_and(|socket| socket.reported < socket.sent),
            Step::Noop => self.server.is_upgrading() && self.get == Request::Open,
            Step::Resume => self.paused,
            Step::Pause => !self.was_paused,
            // The server's upgrade timeout has passed.
            Step::Cut => {
                is_open && !self.server.is_on_socket() && socket.is_some_and(|socket| !socket.is_cut)
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Emit => {
                self.server.emit();
                self.flush();
            }
            Step::ServerSend => {
                self.transmitted += 1;
                self.engine
                    .transmit(Payload::text(format!("4c{}", self.transmitted)));
            }
            Step::GetArrives => {
                self.get = Request::Open;
                self.flush();
            }
            Step::GetAnswered => {
                let answer = self.get.take();
                self.engine.get_answered(&good(&answer));
            }
            Step::PostArrives => {
                let body = self.post.take();
                self.server.read_body(&body);
                self.post = Request::Answered("ok".to_owned());
            }
            Step::PostAnswered => {
                let answer = self.post.take();
                self.engine.post_answered(&good(&answer));
            }
            Step::SocketOpens => {
                self.socket.as_mut().unwrap().is_open = true;
                self.engine.socket_opened();
            }
            Step::UpArrives => {
                let socket = self.socket.as_mut().unwrap();
                self.server.read_packet(socket, &self.get);
                self.flush();
            }
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
            Step::Noop => self.get = Request::Answered("6".to_owned()),
            Step::Pause => {
                (self.paused, self.was_paused) = (true, true);
                self.engine.pause();
            }
            Step::Resume => {
                self.paused = false;
                self.engine.resume();
            }
            Step::Cut => {
                self.server.abort_upgrade();
                self.socket.as_mut().unwrap().is_cut = true;
            }
        }
        self.act();
    }

    /// The server sends what it has, if a transport is free.
    fn flush(&mut self) {
        self.server.flush(&mut self.get, self.socket.as_mut());
    }

    /// Holds always: in order, nothing twice, nothing left out.
    fn check(&self) {
        assert_eq!(self.received, numbered('e', self.received.len()));
        assert_eq!(
            self.server.received(),
            numbered('c', self.server.received().len())
        );
        if let Some(end) = &self.end {
            assert!(
                end.taken >= self.server.received().len() as u64,
                "sent again after it was read"
            );
        }
    }

    /// Nothing is on its way any more.
    fn check_final_state(&self) {
        if self.end.is_none() {
            assert_eq!(self.received, numbered('e', MESSAGES_EACH));
            assert_eq!(self.server.received(), numbered('c', MESSAGES_EACH));
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
            if self.post == Request::None {
                break;
            }
            if self.can(step) {
                self.step(step);
            }
        }
        let mut all = numbered('c', self.transmitted);
        all.push("1".to_owned());
        assert_eq!(self.server.received(), all);
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
fn an_upgrade_loses_and_duplicates_nothing_in_any_order() {
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
        if steps.iter().all(|step| step.is_optional()) {
            world.check_final_state();
            *(if world.server.is_on_socket() {
                &mut upgraded
            } else {
                &mut stayed
            }) += 1;
        }
        world.check_leaving();
    }
    assert!(upgraded > 0 && stayed > 0, "{upgraded} {stayed}");
}
