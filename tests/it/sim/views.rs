//! How filters show each message to each client, and what clients must and must not get then.
//!
//! `filters` says what a filter does with a message when it comes; this is what becomes of it.

use bytes::Bytes;
use longwire::wire::payload::Payload;

use super::client_session::ClientSession;
use super::model::number_in;
use super::session::Session;
use super::world::World;

/// How a filter shows a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Not at all.
    Not,
    /// Not before the next.
    Held,
    /// Only its number.
    Part,
}

/// How a client's filter shows a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    client: usize,
    sight: Sight,
    /// The broker that has judged it: the next one does not know.
    incarnation: u32,
    /// `ClientSession::beginnings` at that time; `None` if the hub may have known of no filter.
    beginnings: Option<u64>,
}

impl View {
    pub(super) const fn new(client: usize, sight: Sight, incarnation: u32, beginnings: Option<u64>) -> Self {
        Self {
            client,
            sight,
            incarnation,
            beginnings,
        }
    }
}

impl World {
    /// Messages that waited for a client were replaced by a newer one.
    pub(super) fn withdraws(&mut self, slot: usize, replaced: &[(usize, View)]) {
        for (number, view) in replaced {
            let Some(index) = self.emitted[*number].index else {
                continue;
            };
            // Nobody else may want it, and then it is gone: also for those who come later, or go back.
            let clients = 0..self.clients.len();
            let others = clients
                .filter(|client| self.client_sessions[self.client_session(*client, slot)].has_passed(index));
            let others: Vec<usize> = others.collect();
            let session = self.slots[slot].incarnations.last_mut().unwrap();
            let views = session.views.entry(index).or_default();
            views.push(*view);
            views.extend(others.into_iter().map(|client| View {
                client,
                beginnings: None,
                ..*view
            }));
        }
    }

    /// Whether a client is attached from whom no filter may withhold a message.
    pub(super) fn any_client_wants(&self, slot: usize, views: &[View]) -> bool {
        (0..self.clients.len()).any(|client| {
            let is_withheld = |view: &View| view.client == client && view.sight == Sight::Not;
            self.client_sessions[self.client_session(client, slot)]
                .port
                .is_some()
                && !views.iter().any(is_withheld)
        })
    }

    /// A client receives a message: as its filter shows it, and not at all if it does not.
    pub(super) fn is_shown(&mut self, client: usize, slot: usize, payload: &Payload) {
        let number = number_in(payload).expect("a message that a server sent");
        let client_session = self.client_session(client, slot);
        let beginnings = self.client_sessions[client_session].beginnings;
        self.client_sessions[client_session].newest_delivered = self.client_sessions[client_session]
            .newest_delivered
            .max(Some(number));
        let emitted = &self.emitted[number];
        let is_new = self
            .expected_views
            .as_ref()
            .filter(|(expected_views, _)| *expected_views == number);
        let session = self.slots[slot].incarnations.last().unwrap();
        let dial = session
            .dial
            .and_then(|dial| self.dials.get(&(self.incarnation, dial)));
        // A full log holds nothing back.
        let is_full = dial.is_some_and(|dial| dial.paused);
        let known = emitted.index.and_then(|index| session.views.get(&index));
        let views = is_new.map(|(_, views)| views).or(known);
        let mut views = views.into_iter().flatten().filter(|view| view.client == client);
        let is_certain = |view: &View, sight| {
            (view.sight, view.incarnation, view.beginnings) == (sight, self.incarnation, Some(beginnings))
        };
        let (mut may_be_part, mut must_be_part) = (false, false);
        for view in &mut views {
            assert!(
                !is_certain(view, Sight::Not),
                "client {client} receives message {number}, which its filter withholds"
            );
            assert!(
                !is_certain(view, Sight::Held) || is_new.is_none() || self.hung_up || is_full,
                "client {client} receives message {number} at once, which its filter holds back"
            );
            may_be_part |= view.sight == Sight::Part && view.incarnation == self.incarnation;
            must_be_part |= is_certain(view, Sight::Part);
        }
        assert!(
            emitted.namespace.is_none() || payload.namespace() == emitted.namespace.as_deref(),
            "message {number} came in the namespace {:?}: {payload:?}",
            emitted.namespace
        );
        let is_whole = *payload.bytes() == emitted.content;
        let is_part = *payload.bytes() == part_of(number, &emitted.content);
        assert!(
            (is_whole && !must_be_part) || (is_part && may_be_part),
            "client {client} receives message {number} as {payload:?}; it came as {:?}, and its part must be shown: {must_be_part}",
            emitted.content
        );
    }
}

/// What a `project` line keeps of a message.
fn part_of(number: usize, content: &Bytes) -> Bytes {
    if content.starts_with(b"[") {
        format!(r#"[{{"g":{number}}}]"#).into()
    } else {
        format!(r#"{{"g":{number}}}"#).into()
    }
}

impl ClientSession {
    /// Whether its position may lie behind the message at this index.
    fn has_passed(&self, index: usize) -> bool {
        let known = self.history.range(..=self.position).next_back();
        let known = known.or_else(|| self.placed.range(..=self.position).next_back());
        !self.is_known || known.is_none_or(|(_, progress)| progress.hi > index)
    }
}

impl Session {
    /// Whether this person may lack the message at this index without a gap.
    pub(super) fn may_be_withheld(&self, index: usize, client: usize) -> bool {
        let views = self.views.get(&index);
        views.is_some_and(|views| {
            views
                .iter()
                .any(|view| (view.client, view.sight) == (client, Sight::Not))
        })
    }

    /// The indices of so many messages after `index` that this person gets: where the last of them ends, at most.
    pub(super) fn after_messages(&self, mut index: usize, count: usize, client: usize) -> usize {
        if index == usize::MAX {
            return index;
        }
        for _ in 0..count {
            index = self.after_withheld(index, client) + 1;
        }
        self.after_withheld(index, client)
    }

    /// The next message that this person must receive.
    pub(super) fn after_withheld(&self, mut index: usize, client: usize) -> usize {
        while self.may_be_withheld(index, client) {
            index += 1;
        }
        index
    }
}
