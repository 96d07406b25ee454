//! Polling: a request, its response, and the next request when it is due. The smallest dialect, and the one to copy.
//!
//! Requests, and the messages in a response, are in `position`.

mod answer;
pub(super) mod position;

use std::time::Duration;

use url::Url;

use crate::wire::code::Code;
use crate::wire::options::{Options, Protocol};
use crate::wire::record::Continuity;
use crate::wire::rule::PARSED_WHOLE;

use crate::core::backoff::MAX_RETRY_AFTER;
use crate::core::dialect::outlines::Unparsed;
use crate::core::io::{Answer, Fetch, LinkEvent, Output};

pub(crate) use self::answer::{LargeAnswer, ReadAnswer};
use self::position::{Message, Messages, PollPosition, PositionTerms};
use super::{
    Abilities, Beginning, DialContext, DialectEnd, DialectEvent, ProtocolDescriptor, ProtocolHandler,
    ProtocolTerms, Received, ResumeToken, http,
};

/// How soon a server is asked again that answers a long poll with nothing.
const EMPTY_ANSWER_INTERVAL: Duration = Duration::from_millis(500);

/// Messages of an answer that are taken at once, and bytes of them: others' turn comes first then.
const MAX_BATCH: (usize, usize) = (512, 1 << 20);

/// How soon the next ones are taken.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The protocol.
pub(super) const DESCRIPTOR: ProtocolDescriptor = ProtocolDescriptor {
    own_option: "poll",
    terms: |options| match PositionTerms::of(&options.poll) {
        Some(terms) => ProtocolTerms::Poll(terms.into()),
        None => ProtocolTerms::None,
    },
    extra_headers: |options| position::headers(&options.poll),
    ..ProtocolDescriptor::new(
        Protocol::Poll,
        |ctx, beginning| Box::new(Polling::begin(ctx, beginning)),
        |options: &Options| Abilities {
            // A long poll may be answered late: opening must not wait for that.
            has_handshake: false,
            ..http::abilities(options)
        },
        http::transport,
    )
};

/// One server that is asked again and again.
#[derive(Debug)]
struct Polling {
    url: Url,
    token: ResumeToken,
    /// The first request has the resume position.
    is_resuming: bool,
    /// Boot time of the next question; `None` while one is open.
    due: Option<Duration>,
    is_open: bool,
    is_paused: bool,
    /// Some of an answer was lost.
    is_cut: bool,
    next: Option<DialectEvent>,
    /// What the last answer brought and has not been taken, and the last of what was.
    messages: Messages,
    last: Option<Message>,
    /// The position in the server's messages once all of these are taken.
    received_upto: Option<PollPosition>,
    /// Messages and bytes that may be taken now; the next ones at `go_on`, in boot time.
    budget: (usize, usize),
    go_on: Option<Duration>,
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
            is_cut: false,
            next: None,
            messages: Messages::default(),
            last: None,
            received_upto: None,
            budget: MAX_BATCH,
            go_on: None,
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

    fn answered(&mut self, ctx: &mut DialContext<'_>, answer: &Answer) -> Option<DialectEvent> {
        let read = ctx.outlines.take_answer();
        if !answer.is_good() && answer.status != 304 {
            return Some(http::refused(answer, u64::MAX));
        }
        let options = ctx.options;
        let mut place = self.token.place.clone();
        let event = if answer.status == 304 || answer.too_large {
            Ok(Messages::default())
        } else if let Some(why) = http::unwanted_page(answer, options) {
            Err(why)
        } else {
            place.read(&options.poll, answer, options.json, read)
        };
        let messages = match event {
            Ok(messages) => messages,
            Err(why) => return Some(DialectEnd::given_up(Code::ServerProtocol, why)),
        };
        let pause = match (options.poll.long, messages.is_empty()) {
            (false, _) => Duration::from_millis(options.poll.interval),
            (true, true) => EMPTY_ANSWER_INTERVAL,
            (true, false) => Duration::ZERO,
        };
        let retry_after = answer.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        self.due = Some(ctx.now.boot.saturating_add(pause.max(retry_after)));
        self.messages = messages;
        self.received_upto = Some(place);
        self.is_cut |= answer.too_large;
        let was_open = std::mem::replace(&mut self.is_open, true);
        (!was_open).then_some(DialectEvent::Opened {
            subprotocol: None,
            extensions: None,
        })
    }

    /// The next message, unless it is others' turn first.
    fn message(&mut self, now: Duration) -> Option<DialectEvent> {
        if self.messages.is_empty() {
            return None;
        }
        if self.budget.0 == 0 || self.budget.1 == 0 {
            self.go_on = Some(now + MIN_POLL_INTERVAL);
            return None;
        }
        let message = self.messages.next()?;
        self.budget = (self.budget.0 - 1, self.budget.1.saturating_sub(message.0.len()));
        self.last = Some(message.clone());
        let (payload, outline) = message;
        Some(DialectEvent::Message(Received::with(payload, outline)))
    }

    /// All of an answer was taken. Only now the server goes on behind it: had the link ended in the middle, the answer
    /// would be asked for again.
    fn finish_answer(&mut self, ctx: &DialContext<'_>) -> Option<DialectEvent> {
        let mut place = self.received_upto.take()?;
        if let Some(last) = self.last.take()
            && let Err(why) = place.ended_with(&ctx.options.poll, &last)
        {
            return Some(DialectEnd::given_up(Code::ServerProtocol, why));
        }
        self.token.place = place;
        None
    }
}

impl ProtocolHandler for Polling {
    fn unread(&mut self, options: &Options, event: &LinkEvent) -> Vec<Unparsed> {
        let LinkEvent::Answered(answer) = event else {
            return Vec::new();
        };
        let body = answer.content();
        let is_large = body.len() > PARSED_WHOLE && answer.is_good();
        let large = is_large.then(|| Unparsed::Answer(LargeAnswer::new(&options.poll, body).into()));
        large.into_iter().collect()
    }

    fn handle_event(&mut self, ctx: &mut DialContext<'_>, event: LinkEvent) {
        self.next = match event {
            LinkEvent::Answered(answer) => {
                (self.budget, self.go_on) = (MAX_BATCH, None);
                self.answered(ctx, &answer)
            }
            LinkEvent::Posted(count, answer) => Some(http::posted(count, &answer)),
            LinkEvent::Written(count) => Some(DialectEvent::Written(count)),
            LinkEvent::Ended(end) => Some(DialectEvent::Ended(Box::new(end))),
            LinkEvent::Opened { .. }
            | LinkEvent::Messages(_)
            | LinkEvent::Alive
            | LinkEvent::Encoded(_)
            | LinkEvent::Pong(_)
            | LinkEvent::Chunk(_) => None,
        };
    }

    fn poll(&mut self, ctx: &mut DialContext<'_>) -> Option<DialectEvent> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        if std::mem::take(&mut self.is_cut) {
            return Some(DialectEvent::TooLarge);
        }
        if !self.is_paused
            && let Some(event) = self.message(ctx.now.boot)
        {
            return Some(event);
        }
        if self.messages.is_empty() {
            if let Some(over) = self.finish_answer(ctx) {
                return Some(over);
            }
            self.ask_when_due(ctx);
        }
        None
    }

    fn timeout(&mut self, ctx: &mut DialContext<'_>) {
        if self.go_on.is_some_and(|at| ctx.now.boot >= at) {
            (self.budget, self.go_on) = (MAX_BATCH, None);
        }
    }

    fn deadline(&self) -> Option<(Duration, &'static str)> {
        if self.is_paused {
            return None;
        }
        let go_on = self.go_on.map(|at| (at, "more of a response"));
        go_on.or_else(|| self.asks_at().map(|at| (at, "poll")))
    }

    fn pause(&mut self) {
        self.is_paused = true;
    }

    fn resume(&mut self, ctx: &mut DialContext<'_>) {
        self.is_paused = false;
        if self.received_upto.is_some() {
            self.go_on = Some(ctx.now.boot + MIN_POLL_INTERVAL);
        } else {
            self.ask_when_due(ctx);
        }
    }

    fn held(&self) -> usize {
        self.messages.held()
    }

    fn give_up_partial(&mut self) {
        if !self.messages.is_empty() {
            self.messages = Messages::default();
            self.is_cut = true;
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
