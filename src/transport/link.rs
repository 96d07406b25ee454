//! One dial from its first packet to its end: commands go in, events come out, and nothing waits for anything else.
//!
//! It decides nothing and keeps no time but the two seconds a farewell may take.
//!
//! ```text
//!            HangUp                       HangUp
//! dialling ─────────> gone        open ─────────────> farewell ──> gone
//!    │  └── refused ──> Ended      │ └ close, EOF, ───> Ended ──> farewell ──> gone
//!    └───── Opened ──────────────> ┘   broken rule
//! ```

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_channel::mpsc as queue;
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

use super::credit::Credit;
use super::deflate::Inflater;
use super::frame::Violation;
use super::handshake::Upgraded;
use super::reader::{Inbox, Reader, Room};
use super::writer::Writer;
use super::{Network, Place, place};
use crate::core::io::{DialId, Fetch, Incoming, LinkEnd, LinkEvent, Target};
use crate::wire::code::Code;
use crate::wire::payload::Payload;
use crate::wire::record::ErrorInfo;

/// How much is told in one event.
const BATCH: Room = Room {
    messages: 256,
    bytes: 256 * 1024,
};
/// How much is read ahead while nobody takes it, so that pings are still answered for a while.
const AHEAD: Room = Room {
    messages: 64,
    bytes: 64 * 1024,
};
/// Bytes read in one system call.
const READ: usize = 64 * 1024;
/// Bytes an incomplete header or small frame may leave over; more than any of them.
const LEFT_OVER: usize = 4 * 1024;
/// Bytes read before other tasks get their turn.
const TURN: usize = 1024 * 1024;
/// Messages and pings taken from the commands and not yet encoded.
const QUEUE: usize = 1024;
/// How long the far end may take to hang up after a close frame.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a dial is told.
#[derive(Debug)]
pub enum Command {
    /// Send a message.
    Transmit(Payload),
    /// Ask a question; on links over HTTP only.
    Fetch(Box<Fetch>),
    /// Send a ping behind everything transmitted so far.
    Ping(u64),
    /// Stop telling messages, and reading them.
    Pause,
    /// Go on.
    Resume,
    /// Write what has been transmitted, close, and say nothing more.
    HangUp { code: u16, reason: String },
}

/// Where a dial's events go.
#[derive(Debug)]
pub struct Events<W> {
    dial: DialId,
    tx: mpsc::Sender<W>,
    credit: Credit,
}

/// A place in the events' queue, or its end.
type Permit<W> = Result<mpsc::OwnedPermit<W>, mpsc::error::SendError<()>>;

impl<W: From<(DialId, LinkEvent)> + Send + 'static> Events<W> {
    /// The events of `dial` go into `tx`, messages only as far as there is credit.
    pub const fn new(dial: DialId, tx: mpsc::Sender<W>, credit: Credit) -> Self {
        Self { dial, tx, credit }
    }

    /// Waits until more of a stream may be told.
    pub(super) async fn room(&self) {
        poll_fn(|cx| self.credit.poll_free(cx)).await;
    }

    /// Waits until more may be told, then tells messages; what they cost is given back when the loop has taken them.
    pub(super) async fn messages(&self, messages: Vec<Incoming>) -> bool {
        self.room().await;
        self.credit.spend(&messages);
        self.tell(LinkEvent::Messages(messages)).await
    }

    /// Tells a piece of a stream; what it costs is given back when the loop has taken it.
    pub(super) async fn stream(&self, bytes: Bytes) -> bool {
        self.credit.spend_for(&bytes);
        self.tell(LinkEvent::Chunk(bytes)).await
    }

    /// Waits for room; `false` when nobody listens any more.
    pub(super) async fn tell(&self, event: LinkEvent) -> bool {
        self.tx.send(W::from((self.dial, event))).await.is_ok()
    }
}

/// Runs a dial until it is over.
pub async fn run<W: From<(DialId, LinkEvent)> + Send + 'static>(
    network: Arc<Network>,
    target: Box<Target>,
    mut commands: queue::Receiver<Command>,
    events: Events<W>,
) {
    // Boxed, so that an open link does not carry the room a handshake needs.
    let mut dialling = Box::pin(async { network.dial(&target).await });
    let mut early = VecDeque::new();
    let result = loop {
        tokio::select! {
            biased;
            command = commands.next() => match command {
                None | Some(Command::HangUp { .. }) => return,
                Some(command) => early.push_back(command),
            },
            result = &mut dialling => break result,
        }
    };
    drop(dialling);
    drop(network);
    let upgraded = match result {
        Ok(upgraded) => upgraded,
        Err(error) => {
            let end = error.into_end();
            tracing::debug!(dial = events.dial.0, error = ?end.error, "no link");
            events.tell(LinkEvent::Ended(end)).await;
            return;
        }
    };
    let opened = LinkEvent::Opened {
        subprotocol: upgraded.subprotocol.clone(),
        extensions: upgraded.extensions.clone(),
    };
    let mut link = Link::new(upgraded, &target, commands, early, events);
    drop(target);
    if !link.events.tell(opened).await {
        return;
    }
    let over = poll_fn(|cx| link.poll(cx)).await;
    // Boxed, so that an open link does not carry the room a goodbye needs.
    Box::pin(link.conclude(over)).await;
}

/// Why an open link is over.
#[derive(Debug)]
enum Over {
    /// The core does not want it any more.
    HungUp { code: u16, reason: String },
    /// Nobody gives commands or listens any more.
    Abandoned,
    /// The server sent a close frame.
    Closed { code: u16, reason: String },
    /// The server broke the protocol.
    Violated(Violation),
    /// The connection ended, cleanly or not.
    Lost(Option<io::Error>),
}

/// An open link.
struct Link<S, W> {
    socket: S,
    commands: queue::Receiver<Command>,
    early: VecDeque<Command>,
    events: Events<W>,
    /// The place in the queue that is being waited for; made only when the queue is full.
    waiting: Option<Pin<Box<dyn Future<Output = Permit<W>> + Send>>>,
    place: Box<Place>,
    reader: Reader,
    inbox: Inbox,
    /// Bytes read and not yet understood.
    rest: Vec<u8>,
    /// `rest` was left because the inbox was full, not because it is incomplete.
    unread: bool,
    writer: Writer,
    /// Writing failed. What the server said before may still be readable.
    broken: Option<io::Error>,
    paused: bool,
    /// Our pings that were not answered yet.
    pings: VecDeque<u64>,
    /// Answers that were not told yet.
    answered: VecDeque<u64>,
    /// `Written` as last told.
    told: u64,
    /// Bytes came since the last event that says so.
    alive: bool,
}

impl<S, W> Link<S, W>
where
    S: AsyncRead + AsyncWrite + Unpin,
    W: From<(DialId, LinkEvent)> + Send + 'static,
{
    fn new(
        upgraded: Upgraded<S>,
        target: &Target,
        commands: queue::Receiver<Command>,
        early: VecDeque<Command>,
        events: Events<W>,
    ) -> Self {
        let place = place(&target.url).map_or_else(
            |_| Place {
                host: String::new(),
                port: 0,
            },
            |(place, _)| place,
        );
        Self {
            socket: upgraded.stream,
            commands,
            early,
            events,
            waiting: None,
            place: Box::new(place),
            reader: Reader::new(
                target.max_message,
                target.json,
                upgraded.deflate.map(Inflater::new),
            ),
            inbox: Inbox::default(),
            unread: !upgraded.early.is_empty(),
            alive: !upgraded.early.is_empty(),
            rest: Vec::from(upgraded.early),
            writer: Writer::default(),
            broken: None,
            paused: false,
            pings: VecDeque::new(),
            answered: VecDeque::new(),
            told: 0,
        }
    }

    /// Does everything that can be done without waiting.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        let mut turn = TURN;
        loop {
            if let Poll::Ready(over) = self.poll_commands(cx) {
                return Poll::Ready(over);
            }
            if self.broken.is_none()
                && let Poll::Ready(Err(error)) = self.writer.poll(cx, &mut self.socket)
            {
                self.broken = Some(error);
            }
            let read = self.poll_read(cx, &mut turn);
            let asked = self.answer();
            if let Poll::Ready(Err(over)) = read {
                return Poll::Ready(over);
            }
            let told = match self.poll_tell(cx) {
                Poll::Ready(true) => true,
                Poll::Ready(false) => return Poll::Ready(Over::Abandoned),
                Poll::Pending => false,
            };
            if asked && self.broken.is_none() {
                continue;
            }
            match read {
                // The inbox was full and may have room again.
                Poll::Ready(Ok(())) if told && !self.inbox.holds(self.room().messages, self.room().bytes) => {
                }
                Poll::Ready(_) => return Poll::Pending,
                Poll::Pending if turn == 0 => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => {
                    return match self.broken.take() {
                        // Nothing left to hear from a server that cannot be spoken to.
                        Some(error) => Poll::Ready(Over::Lost(Some(error))),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        while self.writer.waiting() < QUEUE {
            let command = match self.early.pop_front() {
                Some(command) => Some(command),
                None => ready!(self.commands.poll_next_unpin(cx)),
            };
            match command {
                Some(Command::Transmit(payload)) => self.writer.message(payload),
                Some(Command::Fetch(_)) => {}
                Some(Command::Ping(token)) => {
                    self.pings.push_back(token);
                    self.writer.ping(token);
                }
                Some(Command::Pause) => self.paused = true,
                Some(Command::Resume) => self.paused = false,
                Some(Command::HangUp { code, reason }) => return Poll::Ready(Over::HungUp { code, reason }),
                None => return Poll::Ready(Over::Abandoned),
            }
        }
        Poll::Pending
    }

    /// How much may be held for the listener.
    const fn room(&self) -> Room {
        if self.paused || self.waiting.is_some() {
            AHEAD
        } else {
            BATCH
        }
    }

    /// Reads until the socket has no more (`Pending`) or the inbox is full (`Ready`).
    fn poll_read(&mut self, cx: &mut Context<'_>, turn: &mut usize) -> Poll<Result<(), Over>> {
        thread_local! {
            /// One for all links of a thread: nothing stays in it between two reads.
            static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; LEFT_OVER + READ].into());
        }
        let room = self.room();
        while !self.inbox.holds(room.messages, room.bytes) {
            if self.unread {
                let rest = std::mem::take(&mut self.rest);
                self.understand(&rest, room)?;
                continue;
            }
            if *turn == 0 {
                return Poll::Pending;
            }
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let kept = self.rest.len();
                scratch[..kept].copy_from_slice(&self.rest);
                let mut buf = ReadBuf::new(&mut scratch[kept..]);
                let read = match Pin::new(&mut self.socket).poll_read(cx, &mut buf) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) if buf.filled().is_empty() => Err(Over::Lost(None)),
                    // TLS without its farewell is as good as an end without a close frame.
                    Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        Err(Over::Lost(None))
                    }
                    Poll::Ready(Err(error)) => Err(Over::Lost(Some(error))),
                    Poll::Ready(Ok(())) => Ok(buf.filled().len()),
                };
                self.rest.clear();
                let n = match read {
                    Ok(n) => n,
                    Err(over) => return Poll::Ready(Err(over)),
                };
                *turn = turn.saturating_sub(n);
                self.alive = true;
                Poll::Ready(self.understand(&scratch[..kept + n], room))
            });
            match read {
                Poll::Ready(result) => result?,
                Poll::Pending => {
                    self.reader.rest();
                    if self.rest.is_empty() {
                        self.rest = Vec::new();
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn understand(&mut self, bytes: &[u8], room: Room) -> Result<(), Over> {
        let taken = self
            .reader
            .read(bytes, &mut self.inbox, room)
            .map_err(Over::Violated)?;
        if let Some((code, reason)) = self.inbox.close.take() {
            return Err(Over::Closed { code, reason });
        }
        self.rest.extend_from_slice(&bytes[taken..]);
        self.unread = taken < bytes.len() && self.inbox.holds(room.messages, room.bytes);
        Ok(())
    }

    /// Answers pings (`true`: there is something to write), and sorts the answers to ours.
    fn answer(&mut self) -> bool {
        let asked = !self.inbox.pings.is_empty();
        for payload in std::mem::take(&mut self.inbox.pings) {
            self.writer.pong(payload);
        }
        while let Some(token) = self.inbox.pongs.pop_front() {
            // A server may answer the latest only; then the earlier ones have been read as well.
            if let Some(at) = self.pings.iter().position(|ping| *ping == token) {
                self.answered.extend(self.pings.drain(..=at));
            }
        }
        if self.pings.is_empty() {
            self.pings = VecDeque::new();
        }
        asked
    }

    /// The next event to tell.
    fn next_event(&mut self, hold: bool) -> Option<LinkEvent> {
        // Written first: an answer must not be heard before its question is known to be out.
        if self.writer.written() > self.told {
            self.told = self.writer.written();
            return Some(LinkEvent::Written(self.told));
        }
        if !hold && !self.inbox.messages.is_empty() {
            self.alive = false;
            self.inbox.bytes = 0;
            let messages = std::mem::take(&mut self.inbox.messages);
            self.events.credit.spend(&messages);
            return Some(LinkEvent::Messages(messages));
        }
        if let Some(token) = self.answered.pop_front() {
            self.alive = false;
            return Some(LinkEvent::Pong(token));
        }
        std::mem::take(&mut self.alive).then_some(LinkEvent::Alive)
    }

    fn has_event(&self, hold: bool) -> bool {
        self.writer.written() > self.told
            || (!hold && !self.inbox.messages.is_empty())
            || !self.answered.is_empty()
            || self.alive
    }

    /// Tells what there is to tell, as far as there is room; `false` when nobody listens.
    fn poll_tell(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            let full = !self.inbox.messages.is_empty() && self.events.credit.poll_free(cx).is_pending();
            let hold = self.paused || full;
            if !self.has_event(hold) {
                break;
            }
            let permit = match &mut self.waiting {
                Some(waiting) => {
                    let permit = ready!(waiting.as_mut().poll(cx));
                    self.waiting = None;
                    permit
                }
                None => match self.events.tx.clone().try_reserve_owned() {
                    Ok(permit) => Ok(permit),
                    Err(mpsc::error::TrySendError::Full(tx)) => {
                        self.waiting = Some(Box::pin(tx.reserve_owned()));
                        continue;
                    }
                    Err(mpsc::error::TrySendError::Closed(_)) => return Poll::Ready(false),
                },
            };
            let Ok(permit) = permit else {
                return Poll::Ready(false);
            };
            if let Some(event) = self.next_event(hold) {
                permit.send(W::from((self.events.dial, event)));
            }
        }
        // A place that is not used must not be held: others wait for it.
        self.waiting = None;
        Poll::Ready(true)
    }

    /// Tells the end, if anybody wants to know, and leaves politely.
    async fn conclude(mut self, over: Over) {
        self.waiting = None;
        let end = match over {
            Over::Abandoned => return,
            Over::HungUp { code, reason } => {
                self.writer.close(code, &reason);
                self.commands.close();
                self.farewell().await;
                return;
            }
            Over::Closed { code, reason } => {
                self.leave(code, "").await;
                LinkEnd {
                    code: Some(code),
                    reason: (!reason.is_empty()).then_some(reason),
                    ..LinkEnd::default()
                }
            }
            Over::Violated(violation) => {
                self.leave(violation.close, violation.what).await;
                let error = match violation.close {
                    1009 => ErrorInfo::new(Code::TooLarge, format!("{} sent {}", self.place, violation.what)),
                    _ => ErrorInfo::new(
                        Code::ServerProtocol,
                        format!("{} broke the WebSocket protocol: {}", self.place, violation.what),
                    ),
                };
                lost(error)
            }
            Over::Lost(error) => {
                self.broken = Some(io::ErrorKind::NotConnected.into());
                let what = match error {
                    None => format!("{} ended the connection without a close frame", self.place),
                    Some(error) => format!("the connection to {} broke: {error}", self.place),
                };
                lost(ErrorInfo::new(Code::LinkLost, what))
            }
        };
        let end = LinkEnd {
            taken: self.writer.taken(),
            ..end
        };
        tracing::debug!(dial = self.events.dial.0, code = ?end.code, error = ?end.error, "the link is over");
        while self.has_event(false) {
            if let Some(event) = self.next_event(false)
                && !self.events.tell(event).await
            {
                return;
            }
        }
        if self.events.tell(LinkEvent::Ended(end)).await && self.broken.is_none() {
            self.commands.close();
            self.farewell().await;
        }
    }

    /// Begins no further message, and writes a close frame as far as that goes without waiting.
    async fn leave(&mut self, code: u16, reason: &str) {
        self.writer.forget();
        self.writer.close(code, reason);
        let Self { writer, socket, .. } = self;
        poll_fn(|cx| {
            let _ = writer.poll(cx, socket);
            Poll::Ready(())
        })
        .await;
    }

    /// Writes what is left, then waits for the far end to hang up, so that nothing written is lost to a reset.
    async fn farewell(&mut self) {
        let Self { writer, socket, .. } = self;
        let parting = async {
            poll_fn(|cx| {
                let written = writer.poll(cx, socket);
                // Reading on the way keeps a server that only writes from waiting for us.
                if drain(socket, cx).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                written
            })
            .await?;
            poll_fn(|cx| drain(socket, cx)).await;
            poll_fn(|cx| Pin::new(&mut *socket).poll_shutdown(cx)).await
        };
        // Whether it worked or not: the link is over.
        let _: Result<io::Result<()>, _> = tokio::time::timeout(FAREWELL, parting).await;
    }
}

/// Reads and forgets; `Ready` at the end of the stream.
fn drain<S: AsyncRead + Unpin>(socket: &mut S, cx: &mut Context<'_>) -> Poll<()> {
    let mut bin = [0; 4096];
    loop {
        let mut buf = ReadBuf::new(&mut bin);
        match ready!(Pin::new(&mut *socket).poll_read(cx, &mut buf)) {
            Ok(()) if !buf.filled().is_empty() => {}
            _ => return Poll::Ready(()),
        }
    }
}

/// An end without a close frame from the server.
fn lost(error: ErrorInfo) -> LinkEnd {
    LinkEnd {
        code: Some(1006),
        error: Some(error),
        ..LinkEnd::default()
    }
}
