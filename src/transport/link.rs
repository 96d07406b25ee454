//! One dial from its first packet to its end: commands go in, events come out, and nothing waits for anything else.
//!
//! It decides nothing and keeps no time; how it ends is `ending`'s.
//!
//! ```text
//!            HangUp                       HangUp
//! dialling ─────────> gone        open ─────────────> shutdown ──> gone
//!    │  └── refused ──> Ended      │ └ close, EOF, ───> Ended ──> shutdown ──> gone
//!    └───── Opened ──────────────> ┘   broken rule
//! ```

mod ending;
mod pings;
mod socket_reader;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_channel::mpsc as queue;
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::cookies::SharedJar;
use super::deflate::Inflater;
use super::events::{DialCommand, Events, Permit};
use super::handshake::Upgraded;
use super::inbox::{Inbox, InboxLimit};
use super::reader::FrameReader;
use super::stream::ServerStream;
use super::writer::Writer;
use super::{Network, Place, place};
use crate::core::io::{DialId, LinkEvent, Target};
use ending::Over;
use pings::Pings;
use socket_reader::SocketReader;

/// The most that one event carries.
const MAX_EVENT: InboxLimit = InboxLimit {
    messages: 256,
    bytes: 256 * 1024,
};
/// How much is read ahead while the core takes nothing, so that pings are still answered for a while.
const MAX_READ_AHEAD: InboxLimit = InboxLimit {
    messages: 64,
    bytes: 64 * 1024,
};
/// Bytes read before the task yields to others.
const MAX_READ_BYTES_PER_POLL: usize = 64 * 1024;
/// Messages and pings taken from the commands and not yet encoded.
const MAX_QUEUED_MESSAGES: usize = 1024;

/// Runs a dial until it is over.
pub async fn run<W: From<(DialId, LinkEvent)> + Send + 'static>(
    network: Arc<Network>,
    target: Box<Target>,
    jar: SharedJar,
    commands: queue::Receiver<DialCommand>,
    events: Events<W>,
) {
    // Both boxed, so that an open link does not carry the memory that opening and closing need.
    let Some(mut link) = Box::pin(open(network, target, jar, commands, events)).await else {
        return;
    };
    let over = poll_fn(|cx| link.poll(cx)).await;
    Box::pin(link.conclude(over)).await;
}

/// Dials; `None` if there is no link, which has been reported.
async fn open<W: From<(DialId, LinkEvent)> + Send + 'static>(
    network: Arc<Network>,
    mut target: Box<Target>,
    jar: SharedJar,
    mut commands: queue::Receiver<DialCommand>,
    events: Events<W>,
) -> Option<Link<ServerStream, W>> {
    jar.write(&mut target);
    let mut early = VecDeque::new();
    let result = {
        let mut dialling = std::pin::pin!(network.dial(&target, &jar));
        loop {
            tokio::select! {
                biased;
                command = commands.next() => match command {
                    None | Some(DialCommand::HangUp { .. }) => return None,
                    Some(command) => early.push_back(command),
                },
                result = &mut dialling => break result,
            }
        }
    };
    let upgraded = match result {
        Ok(upgraded) => upgraded,
        Err(error) => {
            let end = error.into_end();
            tracing::debug!(dial = events.dial.0, error = ?end.error, "no link");
            events.send(LinkEvent::Ended(end)).await;
            return None;
        }
    };
    let opened = LinkEvent::Opened {
        subprotocol: upgraded.subprotocol.clone(),
        extensions: upgraded.extensions.clone(),
    };
    let link = Link::new(upgraded, &target, commands, early, events);
    link.events.send(opened).await.then_some(link)
}

/// Whether messages are among the events that may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageFlow {
    Deliver,
    /// They wait: the core takes none, or has no room.
    Hold,
}

/// An open link.
struct Link<S, W> {
    socket: S,
    commands: queue::Receiver<DialCommand>,
    early: VecDeque<DialCommand>,
    events: Events<W>,
    /// The place in the queue that is being waited for; made only when the queue is full.
    waiting: Option<Pin<Box<dyn Future<Output = Permit<W>> + Send>>>,
    place: Box<Place>,
    reader: SocketReader,
    inbox: Inbox,
    writer: Writer,
    /// Writing failed. What the server sent before may still be readable.
    broken: Option<io::Error>,
    paused: bool,
    pings: Pings,
    /// `Written` as last reported.
    reported: u64,
}

impl<S, W> Link<S, W>
where
    S: AsyncRead + AsyncWrite + Unpin,
    W: From<(DialId, LinkEvent)> + Send + 'static,
{
    fn new(
        upgraded: Upgraded<S>,
        target: &Target,
        commands: queue::Receiver<DialCommand>,
        early: VecDeque<DialCommand>,
        events: Events<W>,
    ) -> Self {
        let place = place(&target.url).map(|(place, _)| place).unwrap_or_default();
        let inflater = upgraded.deflate.map(Inflater::new);
        let frames =
            FrameReader::new(target.max_message, target.json, inflater).counted_by(events.credit.clone());
        Self {
            socket: upgraded.stream,
            commands,
            early,
            waiting: None,
            place: Box::new(place),
            reader: SocketReader::new(frames, upgraded.early.into()),
            events,
            inbox: Inbox::default(),
            writer: Writer::default(),
            broken: None,
            paused: false,
            pings: Pings::default(),
            reported: 0,
        }
    }

    /// Does everything that can be done without waiting.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        let mut budget = MAX_READ_BYTES_PER_POLL;
        loop {
            if let Poll::Ready(over) = self.poll_commands(cx) {
                return Poll::Ready(over);
            }
            if self.broken.is_none()
                && let Poll::Ready(Err(error)) = self.writer.poll(cx, &mut self.socket)
            {
                self.broken = Some(error);
            }
            let limit = self.limit();
            let read = self
                .reader
                .poll(cx, &mut self.socket, &mut self.inbox, limit, &mut budget);
            let asked = self.answer();
            if let Poll::Ready(Err(over)) = read {
                return Poll::Ready(over);
            }
            let reported = match self.poll_send_events(cx) {
                Poll::Ready(true) => true,
                Poll::Ready(false) => return Poll::Ready(Over::Abandoned),
                Poll::Pending => false,
            };
            if std::mem::take(&mut self.inbox.work) >= self.limit().bytes {
                // There is more to do; yield to other tasks first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if asked && self.broken.is_none() {
                continue;
            }
            match read {
                // The inbox was full and may have room again.
                Poll::Ready(Ok(()))
                    if reported && !self.inbox.holds(self.limit().messages, self.limit().bytes) => {}
                Poll::Ready(_) => return Poll::Pending,
                Poll::Pending if budget == 0 => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => {
                    return match self.broken.take() {
                        // Nothing is left to read, and nothing can be written.
                        Some(error) => Poll::Ready(Over::Lost(Some(error))),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        while self.writer.waiting() < MAX_QUEUED_MESSAGES {
            let command = match self.early.pop_front() {
                Some(command) => Some(command),
                None => ready!(self.commands.poll_next_unpin(cx)),
            };
            match command {
                Some(DialCommand::Transmit(payload)) => self.writer.message(payload),
                Some(DialCommand::Fetch(_)) => {}
                Some(DialCommand::Ping(token)) => {
                    self.pings.sent(token);
                    self.writer.ping(token);
                }
                Some(DialCommand::Pause) => self.paused = true,
                Some(DialCommand::Resume) => self.paused = false,
                Some(DialCommand::Close { code, reason }) => self.writer.close(code, &reason),
                Some(DialCommand::HangUp { code, reason }) => {
                    return Poll::Ready(Over::HungUp { code, reason });
                }
                None => return Poll::Ready(Over::Abandoned),
            }
        }
        Poll::Pending
    }

    /// How much the inbox may hold.
    const fn limit(&self) -> InboxLimit {
        if self.paused || self.waiting.is_some() {
            MAX_READ_AHEAD
        } else {
            MAX_EVENT
        }
    }

    /// Answers pings (`true`: there is something to write), and sorts the answers to ours.
    fn answer(&mut self) -> bool {
        let asked = !self.inbox.pings.is_empty();
        for payload in std::mem::take(&mut self.inbox.pings) {
            self.writer.pong(payload);
        }
        while let Some(token) = self.inbox.pongs.pop_front() {
            self.pings.answered(token);
        }
        asked
    }

    /// The next event to send.
    fn next_event(&mut self, messages: MessageFlow) -> Option<LinkEvent> {
        // `Written` first: a reply must not arrive before its request is known to be written.
        if self.writer.written() > self.reported {
            self.reported = self.writer.written();
            return Some(LinkEvent::Written(self.reported));
        }
        if messages == MessageFlow::Deliver && !self.inbox.messages.is_empty() {
            self.reader.take_alive();
            self.inbox.bytes = 0;
            let messages = std::mem::take(&mut self.inbox.messages);
            self.events.credit.spend(&messages);
            return Some(LinkEvent::Messages(messages));
        }
        if let Some(token) = self.pings.next_answered() {
            self.reader.take_alive();
            return Some(LinkEvent::Pong(token));
        }
        self.reader.take_alive().then_some(LinkEvent::Alive)
    }

    fn has_event(&self, messages: MessageFlow) -> bool {
        self.writer.written() > self.reported
            || (messages == MessageFlow::Deliver && !self.inbox.messages.is_empty())
            || self.pings.has_answered()
            || self.reader.is_alive()
    }

    /// Sends the events that are ready, while the channel has room; `false` when the receiver is gone.
    fn poll_send_events(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            let full = !self.inbox.messages.is_empty() && self.events.credit.poll_free(cx).is_pending();
            let messages = if self.paused || full {
                MessageFlow::Hold
            } else {
                MessageFlow::Deliver
            };
            if !self.has_event(messages) {
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
            if let Some(event) = self.next_event(messages) {
                permit.send(W::from((self.events.dial, event)));
            }
        }
        // A place that is not used must not be held: others wait for it.
        self.waiting = None;
        Poll::Ready(true)
    }
}
