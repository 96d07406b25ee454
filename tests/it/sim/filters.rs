//! Filters: what subscriptions withhold from their client, hold back, or shorten. What clients get then is in `views`.
//!
//! A message is made for one action, and its field `f` names it: lines look at nothing else, and so the model needs to
//! know no rules. Its field `k` is the key by which messages are conflated and sampled.

use std::collections::HashMap;

use longwire::core::io::{DialId, Incoming};
use longwire::wire::filter::FilterLine;
use longwire::wire::options::Protocol;

use super::client_session::ClientSession;
use super::views::{Sight, View};
use super::world::World;

/// What a line does. `deliver` is what no line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Drop,
    Hold,
    Conflate,
    Sample,
    Project,
}

pub(super) const ACTIONS: [Action; 5] = [
    Action::Drop,
    Action::Hold,
    Action::Conflate,
    Action::Sample,
    Action::Project,
];

/// One in so many is among a sample.
const EVERY: usize = 3;

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Hold => "hold",
            Self::Conflate => "conflate",
            Self::Sample => "sample",
            Self::Project => "project",
        }
    }

    /// Its lines: one for messages that are JSON, one for events, of which the first argument is.
    pub(super) fn lines(self) -> [FilterLine; 2] {
        let name = self.name();
        ["", "/0"].map(|place| {
            let more = match self {
                Self::Drop | Self::Hold => String::new(),
                Self::Conflate => format!(r#","key":"{place}/k""#),
                Self::Sample => format!(r#","key":"{place}/k","every":{EVERY}"#),
                Self::Project => format!(r#","keep":["{place}/g"]"#),
            };
            FilterLine::from_json(&format!(
                r#"{{"when":{{"{place}/f":"{name}"}},"do":"{name}"{more}}}"#
            ))
            .unwrap()
        })
    }
}

/// A message that filters know.
#[derive(Debug, Clone, Copy)]
struct Made {
    action: Action,
    /// The line that sees it, and the key that it finds: a line for each way in which messages may come.
    key: (bool, usize),
}

/// The filter of one subscription of a client.
#[derive(Debug)]
pub(super) struct Filter {
    actions: Vec<Action>,
    /// `ClientSession::beginnings` when it was set: the hub may take the client for another since, who has none.
    set_at: u64,
    /// Another with the same action may have been asked instead: what it has counted is not known.
    is_muddled: bool,
    /// Messages of a sample, and the number of the last that may be conflated, by their keys.
    sampled: HashMap<(bool, usize), usize>,
    newest: HashMap<(bool, usize), usize>,
}

impl Filter {
    pub(super) fn new(actions: Vec<Action>, set_at: u64) -> Self {
        Self {
            actions,
            set_at,
            is_muddled: false,
            sampled: HashMap::new(),
            newest: HashMap::new(),
        }
    }
}

impl World {
    /// The server sends a message that filters match.
    pub(super) fn sends_filtered(&mut self, id: DialId) {
        let slot = self.dials[&(self.incarnation, id)].slot;
        let client_sessions =
            (0..self.clients.len()).map(|client| &self.client_sessions[self.client_session(client, slot)]);
        let filters = client_sessions.flat_map(|client_session| client_session.filters.values());
        let wanted: Vec<Action> = filters.flat_map(|filter| filter.actions.clone()).collect();
        let action = match wanted.is_empty() || self.rng.percent(20) {
            true => *self.rng.pick(&ACTIONS),
            false => *self.rng.pick(&wanted),
        };
        self.sends_for(id, action);
    }

    /// The server sends a message for an action of filters. Whether any client gets it, and so whether the session takes
    /// it, shows in its counters.
    pub(super) fn sends_for(&mut self, id: DialId, action: Action) {
        let dial = &self.dials[&(self.incarnation, id)];
        let (slot, listens) = (dial.slot, dial.open && !dial.over);
        let is_known = self.status()[slot].is_some();
        let has_journal = self
            .session(slot)
            .is_some_and(|session| session.journal.is_some());
        let (key, name) = (self.rng.below(2), action.name());
        let (number, payload) = self.emits(slot, |number| {
            format!(r#"{{"g":{number},"f":"{name}","k":{key}}}"#)
        });
        let Some(event) = self.told_by(id, vec![Incoming::Message(payload)]) else {
            return;
        };
        if !is_known {
            return self.tells(id, event);
        }
        let made = Made {
            action,
            key: (self.protocol_of(id) == Protocol::SocketIo, key),
        };
        let before = self.messages_of(slot);
        let (views, replaced) = self.checks_views(slot, made);
        self.expected_views = Some((number, views));
        let incarnations = self.slots[slot].incarnations.len();
        self.tells(id, event);
        let (_, views) = self.expected_views.take().unwrap();
        if self.slots[slot].incarnations.len() > incarnations {
            // It was being closed, and another has its name.
            return;
        }
        // A poll's first answer opens the link that carries it.
        let listens = listens || self.protocol_of(id) == Protocol::Poll;
        let is_taken = if self.was_killed {
            self.appended > 0
        } else if self.status()[slot].is_none() {
            // It was being closed, and is over.
            self.appended > 0 || !has_journal
        } else if matches!(action, Action::Drop | Action::Sample) {
            self.messages_of(slot) > before
        } else {
            listens
        };
        assert!(listens || !is_taken, "a message of a dial that is over was taken");
        let is_wanted = listens && !self.was_killed && !self.hung_up && self.any_client_wants(slot, &views);
        assert!(
            is_taken || !is_wanted,
            "message {number} was dropped, and a client's filter does not say so"
        );
        if listens && !self.was_killed {
            self.counts(slot, made, number);
        }
        if is_taken {
            let link = (self.incarnation, id);
            let session = self.session(slot).unwrap();
            let index = session.taken.len();
            session.taken.push(link);
            session.views.insert(index, views);
            self.emitted[number].index = Some(index);
        }
        if listens {
            self.withdraws(slot, &replaced);
        }
    }

    /// How the filters of all clients show a message, and which messages it replaces, by their numbers.
    fn checks_views(&mut self, slot: usize, made: Made) -> (Vec<View>, Vec<(usize, View)>) {
        let (mut views, mut replaced) = (Vec::new(), Vec::new());
        for client in 0..self.clients.len() {
            let client_session = self.client_session(client, slot);
            let client_session = &self.client_sessions[client_session];
            let filters: Vec<&Filter> = client_session.filters_for(made.action).collect();
            let is_set = filters
                .iter()
                .any(|filter| filter.set_at == client_session.beginnings);
            // Where filters count it must be known which of them does.
            let has_counted = filters.len() == 1 && !filters[0].is_muddled;
            let view = |sight, is_certain: bool| {
                let beginnings = is_certain.then_some(client_session.beginnings);
                View::new(client, sight, self.incarnation, beginnings)
            };
            for filter in filters {
                match made.action {
                    Action::Drop => views.push(view(Sight::Not, is_set)),
                    Action::Hold => views.push(view(Sight::Held, is_set)),
                    Action::Project => views.push(view(Sight::Part, is_set)),
                    Action::Sample => {
                        let count = filter.sampled.get(&made.key).copied().unwrap_or(0);
                        let is_certain = is_set && has_counted;
                        if !is_certain || count % EVERY != 0 {
                            views.push(view(Sight::Not, is_certain));
                        }
                    }
                    // What was delivered to the client cannot be withdrawn.
                    Action::Conflate => replaced.extend(
                        filter
                            .newest
                            .get(&made.key)
                            .filter(|newest| {
                                client_session
                                    .newest_delivered
                                    .is_none_or(|delivered| delivered < **newest)
                            })
                            .map(|newest| (*newest, view(Sight::Not, is_set && has_counted))),
                    ),
                }
            }
        }
        (views, replaced)
    }

    /// Filters have seen a message.
    fn counts(&mut self, slot: usize, made: Made, number: usize) {
        for client in 0..self.clients.len() {
            let client_session = self.client_session(client, slot);
            let client_session = &mut self.client_sessions[client_session];
            let are_many = client_session.filters_for(made.action).count() > 1;
            let filters = client_session.filters.values_mut();
            for filter in filters.filter(|filter| filter.actions.contains(&made.action)) {
                filter.is_muddled |= are_many;
                if made.action == Action::Sample {
                    *filter.sampled.entry(made.key).or_default() += 1;
                }
                if made.action == Action::Conflate {
                    filter.newest.insert(made.key, number);
                }
            }
        }
    }
}

impl ClientSession {
    /// Its filters that do this.
    fn filters_for(&self, action: Action) -> impl Iterator<Item = &Filter> {
        let filters = self.filters.values();
        filters.filter(move |filter| filter.actions.contains(&action))
    }
}
