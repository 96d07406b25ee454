//! Polling: a question, its answer, and the next question when it is due. The smallest dialect, and the one to copy.
//!
//! What to ask, and which messages stand in an answer, is in `place`.

mod place;

use std::time::Duration;

use url::Url;

use crate::wire::code::Code;
use crate::wire::options::Options;
use crate::wire::record::Continuity;

use crate::core::backoff::MAX_RETRY_AFTER;
use crate::core::io::{Answer, Fetch, Incoming, LinkEvent, Output};

pub(super) use self::place::Place;
use super::{
    Abilities, Beginning, DialContext, Face, Heard, Over, ResumeToken, Speech, check_no_event, http,
};

/// How soon a server is asked again that answers a long poll with nothing.
const EMPTY_ANSWER_INTERVAL: Duration = Duration::from_millis(500);

/// The protocol.
pub(super) const FACE: Face = Face {
    begin: |ctx, beginning| Box::new(Polling::begin(ctx, beginning)),
    abilities: |options: &Options| Abilities {
        // A long poll may be answered late: nobody should wait for that.
        has_handshake: false,
        ..http::abilities(options)
    },
    road: http::road,
    check: check_no_event,
};

/// One server that is asked again and again.
#[derive(Debug)]
struct Polling {
    url: Url,
    token: ResumeToken,
    /// The first question says where the server is to go on.
    is_resuming: bool,
    /// Boot time of the next question; `None` while one is open.
    due: Option<Duration>,
    is_open: bool,
    is_paused: bool,
    next: Option<Heard>,
    /// What the last answer brought, and how far the server has been heard once all of it is taken.
    messages: std::vec::IntoIter<Incoming>,
    heard_to: Option<Place>,
}

impl Polling {
    fn begin(ctx: &mut DialContext<'_>, Beginning { url, token, .. }: Beginning) -> Self {
        let mut polling = Self {
            is_resuming: ctx.options.poll.cursor.is_some() && token.place.is_known(),
            url,
            token,
            due: None,
            is_open: false,
            is_paused: false,
            next: None,
            messages: Vec::new().into_iter(),
            heard_to: None,
        };
        polling.ask(ctx);
        polling
    }

    fn ask(&mut self, ctx: &mut DialContext<'_>) {
        let (url, headers) = self.token.place.ask(&ctx.options.poll, self.url.clone());
        let fetch = Fetch {
            url,
            headers,
            timeout: Duration::from_millis(ctx.options.poll.timeout),
            streaming: false,
        };
        self.due = None;
        ctx.out.push_back(Output::Fetch(ctx.dial, Box::new(fetch)));
    }

    /// When the next question is due. Never while nothing is read.
    fn asks_at(&self) -> Option<Duration> {
        self.due.filter(|_| self.is_open && !self.is_paused)
    }

    fn ask_when_due(&mut self, ctx: &mut DialContext<'_>) {
        if self.asks_at().is_some_and(|at| ctx.now.boot >= at) {
            self.ask(ctx);
        }
    }

    fn answered(&mut self, ctx: &DialContext<'_>, answer: &Answer) -> Option<Heard> {
        if !answer.is_good() && answer.status != 304 {
            return Some(http::refused(answer, u64::MAX));
        }
        let options = ctx.options;
        let mut place = self.token.place.clone();
        let heard = if answer.status == 304 || answer.too_large {
            Ok(Vec::new())
        } else if let Some(why) = http::compressed(answer).filter(|_| !answer.body.is_empty()) {
            Err(why)
        } else {
            place.hear(&options.poll, answer, options.json)
        };
        let messages = match heard {
            Ok(messages) => messages,
            Err(why) => return Some(Over::given_up(Code::ServerProtocol, why)),
        };
        let pause = match (options.poll.long, messages.is_empty()) {
            (false, _) => Duration::from_millis(options.poll.interval),
            (true, true) => EMPTY_ANSWER_INTERVAL,
            (true, false) => Duration::ZERO,
        };
        let asked_for = answer.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        self.due = Some(ctx.now.boot.saturating_add(pause.max(asked_for)));
        let mut messages: Vec<Incoming> = messages.into_iter().map(Incoming::Message).collect();
        if answer.too_large {
            messages.push(Incoming::TooLarge { bytes: None });
        }
        self.messages = messages.into_iter();
        self.heard_to = Some(place);
        let was_open = std::mem::replace(&mut self.is_open, true);
        (!was_open).then_some(Heard::Opened {
            subprotocol: None,
            extensions: None,
        })
    }
}

impl Speech for Polling {
    fn hear(&mut self, ctx: &mut DialContext<'_>, event: LinkEvent) {
        self.next = match event {
            LinkEvent::Answered(answer) => self.answered(ctx, &answer),
            LinkEvent::Posted(count, answer) => Some(http::posted(count, &answer)),
            LinkEvent::Written(count) => Some(Heard::Written(count)),
            LinkEvent::Ended(end) => Some(Heard::Ended(Box::new(end))),
            LinkEvent::Opened { .. }
            | LinkEvent::Messages(_)
            | LinkEvent::Alive
            | LinkEvent::Pong(_)
            | LinkEvent::Chunk(_) => None,
        };
    }

    fn poll(&mut self, ctx: &mut DialContext<'_>) -> Option<Heard> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        match self.messages.next() {
            Some(Incoming::Message(payload)) => return Some(Heard::Message(payload, None)),
            Some(Incoming::TooLarge { .. }) => return Some(Heard::TooLarge),
            None => {}
        }
        // Only now: had the link ended in the middle, the answer would be asked for again.
        if let Some(place) = self.heard_to.take() {
            self.token.place = place;
        }
        self.ask_when_due(ctx);
        None
    }

    fn timeout(&mut self, ctx: &mut DialContext<'_>) {
        self.ask_when_due(ctx);
    }

    fn deadline(&self) -> Option<(Duration, &'static str)> {
        self.asks_at().map(|at| (at, "poll"))
    }

    fn pause(&mut self) {
        self.is_paused = true;
    }

    fn resume(&mut self, ctx: &mut DialContext<'_>) {
        self.is_paused = false;
        if self.heard_to.is_none() {
            self.ask_when_due(ctx);
        }
    }

    fn continuity(&self) -> Continuity {
        if self.is_resuming {
            Continuity::Server
        } else {
            Continuity::Unknown
        }
    }

    fn end(self: Box<Self>) -> ResumeToken {
        self.token
    }
}
