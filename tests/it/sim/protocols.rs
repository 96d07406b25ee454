//! Servers other than plain WebSocket: event streams and polled servers, as their transports report them. Socket.IO is
//! in `socketio`.
//!
//! It also checks what only these have: requests, their URLs, and resume positions.

use super::dial::Item;
use super::world::World;
use bytes::Bytes;
use longwire::core::io::{Answer, DialId, Fetch, Incoming, Input, LinkEvent, TransportKind};
use longwire::wire::options::{Options, Protocol};
use longwire::wire::record::{Continuity, State, StateChange};
use longwire::wire::servers::CursorTo;

/// The response header with the resume position of a polled server, and the parameters in which it may be sent back.
pub(super) const CURSOR: (&str, [&str; 2]) = ("x-next", ["after", "since"]);

/// The protocols that options allow.
pub(super) fn protocols(options: &Options) -> &[Protocol] {
    match options.transports.as_slice() {
        [] => std::slice::from_ref(&options.protocol),
        some => some,
    }
}

/// Whether another dial is needed when these options take the place of those.
pub(super) fn is_another_dial(one: &Options, other: &Options) -> bool {
    let key = |options: &Options| {
        let urls: Vec<_> = protocols(options)
            .iter()
            .map(|protocol| options.urls.get(protocol).cloned())
            .collect();
        (
            protocols(options).to_vec(),
            urls,
            options.headers.clone(),
            options.subprotocols.clone(),
            options.proxy.clone(),
            options.compression,
            // Options of another protocol do not concern the dial.
            uses_protocol(options, Protocol::SocketIo).then(|| options.socketio.clone()),
            cursor_parameter(options).filter(|_| uses_protocol(options, Protocol::Poll)),
        )
    };
    key(one) != key(other)
}

fn uses_protocol(options: &Options, protocol: Protocol) -> bool {
    protocols(options).contains(&protocol)
}

/// The parameter in which a polled server receives its resume position.
fn cursor_parameter(options: &Options) -> Option<String> {
    match &options.poll.cursor.as_ref()?.to {
        CursorTo::Query(name) => Some(name.clone()),
        CursorTo::Header(_) => None,
    }
}

/// Whether any transport leads to the session's own address: not if each has a URL of its own.
pub(super) fn leads_to_its_address(options: &Options) -> bool {
    protocols(options)
        .iter()
        .any(|protocol| !options.urls.contains_key(protocol))
}

impl World {
    pub(super) fn protocol_of(&self, id: DialId) -> Protocol {
        self.dials[&(self.incarnation, id)].protocol
    }

    /// The protocol of a dial, as far as its transport shows.
    pub(super) fn protocol_for(&self, slot: usize, transport: &TransportKind) -> Protocol {
        let options = self.options_for(slot);
        let wanted: &[Protocol] = match transport {
            TransportKind::WebSocket => &[Protocol::WebSocket],
            TransportKind::Http { .. } => &[Protocol::EventStream, Protocol::Poll],
            TransportKind::Engine(_) => &[Protocol::SocketIo],
        };
        let found = protocols(options)
            .iter()
            .find(|protocol| wanted.contains(protocol));
        *found.unwrap_or_else(|| panic!("slot {slot} is dialled by {transport:?}, which it may not speak"))
    }

    /// The options that hold for a slot while an `open` is answered.
    pub(super) fn options_for(&self, slot: usize) -> &Options {
        let session = self.slots[slot].incarnations.last().unwrap();
        let opening = self
            .cause
            .opening
            .as_ref()
            .filter(|_| self.cause.slot == Some(slot));
        let brought = opening.filter(|opening| session.follows_options(opening.conflict));
        brought
            .and_then(|opening| opening.options.as_ref())
            .unwrap_or(&session.options)
    }

    /// A request is sent: one at a time, to the URL of its dial, with a resume position that came from there.
    pub(super) fn asks(&mut self, id: DialId, fetch: &Fetch) {
        let slot = self.dials[&(self.incarnation, id)].slot;
        let protocol = if fetch.streaming {
            Protocol::EventStream
        } else {
            Protocol::Poll
        };
        assert!(
            protocols(self.options_for(slot)).contains(&protocol)
                || self.dials[&(self.incarnation, id)].disturbed,
            "slot {slot} asks as {protocol:?}, which it may not speak"
        );
        let said_header = fetch
            .headers
            .iter()
            .find_map(|(name, value)| (name == "Last-Event-ID").then(|| value.clone()));
        let said_query = fetch
            .url
            .query_pairs()
            .find(|(name, _)| CURSOR.1.contains(&name.as_ref()))
            .map(|(name, value)| (value.into_owned(), Some(name.into_owned())));
        let echoed = if fetch.streaming {
            said_header.map(|id| (id, None))
        } else {
            said_query
        };
        let mut base = fetch.url.clone();
        base.set_query(None);
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        assert!(!dial.over, "asks on a dial that is over");
        assert!(!dial.question, "two questions at once");
        assert_eq!(
            base.as_str(),
            dial.base,
            "a question leads elsewhere than its dial"
        );
        dial.question = true;
        dial.protocol = protocol;
        if !dial.open {
            dial.resumes = echoed.is_some();
        }
        let base = dial.base.clone();
        if let Some((echoed, parameter)) = echoed {
            let session = self.session(slot).unwrap();
            assert_eq!(
                session.resume_positions.get(&echoed),
                Some(&(protocol, base, parameter)),
                "slot {slot} sends `{echoed}`, which this server never gave, or not for this parameter"
            );
        }
    }

    /// The continuity in a state record must be true.
    pub(super) fn is_continuous(&self, slot: usize, change: &StateChange) {
        let session = self.slots[slot].incarnations.last().unwrap();
        let dial = session
            .dial
            .and_then(|dial| self.dials.get(&(self.incarnation, dial)));
        let (Some(dial), State::Open, None) = (dial, change.state, &change.namespace) else {
            return;
        };
        if dial.open && dial.opened_by == self.inputs && change.continuity == Some(Continuity::Server) {
            assert!(
                dial.resumes,
                "slot {slot} claims that the server resumed, and it got no resume position"
            );
        }
    }

    /// The far end of a dial that is no WebSocket lets it in.
    pub(super) fn accepts_dial(&mut self, id: DialId) {
        match self.protocol_of(id) {
            Protocol::EventStream if self.dials[&(self.incarnation, id)].question => {
                let answer = Answer {
                    status: 200,
                    headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
                    ..Answer::default()
                };
                self.give(Input::Link(id, LinkEvent::Answered(answer.into())));
            }
            Protocol::Poll => self.server_sends(id, 1, false),
            Protocol::SocketIo => self.sends_greeting(id),
            _ => {}
        }
    }

    /// Messages as the transport of this dial reports them; `None`: the server cannot send anything now, or its link has
    /// ended in the middle of an event.
    pub(super) fn told_by(&mut self, id: DialId, batch: Vec<Incoming>) -> Option<LinkEvent> {
        match self.protocol_of(id) {
            Protocol::WebSocket => Some(LinkEvent::Messages(batch)),
            Protocol::EventStream => {
                let text: String = batch.iter().map(|message| self.as_event(id, message)).collect();
                let cut = self.rng.below(text.find('\n').unwrap_or(0) + 1);
                if cut > 0 {
                    let piece = Bytes::copy_from_slice(&text.as_bytes()[..cut]);
                    self.give(Input::Link(id, LinkEvent::Chunk(piece)));
                    if self.was_killed || self.dials[&(self.incarnation, id)].over {
                        return None;
                    }
                }
                Some(LinkEvent::Chunk(Bytes::copy_from_slice(&text.as_bytes()[cut..])))
            }
            Protocol::Poll => {
                let question = self.dials[&(self.incarnation, id)].question;
                let [Incoming::Message(message)] = batch.as_slice() else {
                    return None;
                };
                let resume_position = format!("c{}", self.emitted.len());
                let mut answer = Answer {
                    status: 200,
                    body: message.bytes().clone(),
                    ..Answer::default()
                };
                if self.rng.percent(70) {
                    answer
                        .headers
                        .push((CURSOR.0.to_owned(), resume_position.clone()));
                    self.resume_positions(id, resume_position);
                }
                question.then(|| LinkEvent::Answered(answer.into()))
            }
            Protocol::SocketIo => Some(LinkEvent::Messages(self.as_events(id, batch))),
        }
    }

    /// An event of a stream, mostly with an id.
    fn as_event(&mut self, id: DialId, message: &Incoming) -> String {
        let Incoming::Message(payload) = message else {
            return String::new();
        };
        let data = payload.as_str().unwrap_or_default();
        if self.rng.percent(30) {
            return format!("data: {data}\n\n");
        }
        let resume_position = format!("e{}-{}", self.emitted.len(), self.rng.below(1_000_000));
        self.resume_positions(id, resume_position.clone());
        format!("id: {resume_position}\ndata: {data}\n\n")
    }

    /// The server of this dial gives a resume position.
    fn resume_positions(&mut self, id: DialId, resume_position: String) {
        let dial = &self.dials[&(self.incarnation, id)];
        let (slot, protocol, base) = (dial.slot, dial.protocol, dial.base.clone());
        let session = self.session(slot).unwrap();
        let parameter = cursor_parameter(&session.options).filter(|_| protocol == Protocol::Poll);
        session
            .resume_positions
            .insert(resume_position, (protocol, base, parameter));
    }

    /// The next message is posted: the server accepts it, refuses it permanently, or asks for a retry.
    pub(super) fn posts(&mut self, id: DialId) {
        let dial = &self.dials[&(self.incarnation, id)];
        let (slot, at) = (dial.slot, dial.read);
        let Some(item) = dial.items.get(at).copied() else {
            return;
        };
        let status = *self.rng.pick(&[200, 200, 204, 200, 200, 201, 400, 503, 401]);
        let is_taken = status < 300;
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        if is_taken {
            self.server_reads(id, at + 1);
        } else if status == 400 {
            (dial.taken, dial.written, dial.read) = (at + 1, at + 1, at + 1);
        } else {
            dial.refused = true;
            // It ends the link: what follows of it is judged where links end by themselves.
            let reach = &mut self.session(slot).unwrap().reach;
            (reach.uncertain, reach.may_be_fewer) = (true, true);
            if status == 401 {
                reach.refused = reach.bearer;
            }
        }
        if let Item::Token(token) = item
            && is_taken
        {
            self.sent[token].confirmed = true;
        }
        if let Some(dial) = self
            .dials
            .get_mut(&(self.incarnation, id))
            .filter(|_| is_taken || status == 400)
        {
            dial.reported_written = at + 1;
        }
        let answer = Answer {
            status,
            ..Answer::default()
        };
        self.give(Input::Link(id, LinkEvent::Posted(at as u64 + 1, answer.into())));
    }
}
