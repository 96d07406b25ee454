//! Holds effects back until the journal of their session is written.
//!
//! It writes nothing and knows no disk. What goes to one port, or to one dial, keeps its order.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::core::io::{DialId, Output, PortId};
use crate::core::journal::JournalId;

/// An effect, executed once it may be.
#[derive(Debug)]
pub(super) enum Effect {
    /// An output of the hub.
    Output(Output),
    /// Let a dial read more: the messages it brought, which cost this much, are done with.
    Took(DialId, usize),
}

/// Where order matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Destination {
    Port(PortId),
    Dial(DialId),
}

impl Effect {
    /// Where it goes; `None` for what is done at once.
    const fn destination(&self) -> Option<Destination> {
        match self {
            Self::Output(output) => match output {
                Output::Deliver { port, .. } => Some(Destination::Port(*port)),
                Output::Dial(dial, _)
                | Output::Transmit(dial, _)
                | Output::Fetch(dial, _)
                | Output::Ping(dial, _)
                | Output::Pause(dial)
                | Output::Resume(dial)
                | Output::Close { dial, .. }
                | Output::HangUp { dial, .. } => Some(Destination::Dial(*dial)),
                Output::Journal(..) | Output::Encode(..) | Output::Idle(_) => None,
            },
            Self::Took(dial, _) => Some(Destination::Dial(*dial)),
        }
    }
}

/// How far the work on each journal is: only of those with work that is not done.
#[derive(Debug, Default)]
pub(super) struct Progress(HashMap<JournalId, WorkNumbers>);

/// The newest work on the journal of one effect after the other: most in a row are of one session.
#[derive(Debug)]
pub(super) struct NewestWork<'a> {
    progress: &'a Progress,
    /// The journal that was asked for last, and its newest work.
    last: Option<(JournalId, Option<u64>)>,
}

#[derive(Debug, Clone, Copy)]
struct WorkNumbers {
    sent: u64,
    done: u64,
}

impl Progress {
    /// Work with this number is under way.
    pub(super) fn sent(&mut self, journal: &JournalId, number: u64) {
        if let Some(numbers) = self.0.get_mut(journal) {
            numbers.sent = number;
        } else {
            let numbers = WorkNumbers {
                sent: number,
                done: 0,
            };
            self.0.insert(journal.clone(), numbers);
        }
    }

    /// Work up to this number is done.
    pub(super) fn done(&mut self, journal: &JournalId, number: u64) {
        if let Some(numbers) = self.0.get_mut(journal) {
            numbers.done = number;
            if numbers.sent == number {
                self.0.remove(journal);
            }
        }
    }

    /// To ask about many effects in a row.
    pub(super) const fn newest_work(&self) -> NewestWork<'_> {
        NewestWork {
            progress: self,
            last: None,
        }
    }

    /// The work on a journal that has to be done before what comes next.
    fn newest(&self, journal: &JournalId) -> Option<u64> {
        self.0.get(journal).map(|numbers| numbers.sent)
    }

    fn is_done(&self, journal: &JournalId, number: u64) -> bool {
        self.0.get(journal).is_none_or(|numbers| numbers.done >= number)
    }
}

impl NewestWork<'_> {
    fn of(&mut self, journal: JournalId) -> Option<(JournalId, u64)> {
        let newest = match &self.last {
            Some((last, newest)) if *last == journal => *newest,
            _ => {
                let newest = self.progress.newest(&journal);
                self.last = Some((journal.clone(), newest));
                newest
            }
        };
        Some((journal, newest?))
    }
}

/// What is held back, in order.
#[derive(Debug, Default)]
pub(super) struct FlushGate {
    held: VecDeque<HeldEffect>,
    /// How many are held for each destination.
    counts: BTreeMap<Destination, usize>,
}

#[derive(Debug)]
struct HeldEffect {
    /// Work on a journal that has to be done first.
    after: Option<(JournalId, u64)>,
    effect: Effect,
}

impl FlushGate {
    /// Gives an effect back if it may happen now. `journal` is that of the session it is of.
    pub(super) fn pass(
        &mut self,
        effect: Effect,
        journal: Option<JournalId>,
        newest: &mut NewestWork<'_>,
    ) -> Option<Effect> {
        let after = journal.and_then(|journal| newest.of(journal));
        let Some(destination) = effect.destination() else {
            return Some(effect);
        };
        if after.is_none() && !self.counts.contains_key(&destination) {
            return Some(effect);
        }
        *self.counts.entry(destination).or_default() += 1;
        self.held.push_back(HeldEffect { after, effect });
        None
    }

    /// What may happen now that more work is done, in order.
    pub(super) fn release(&mut self, progress: &Progress) -> Vec<Effect> {
        let mut released = Vec::new();
        let mut counts = BTreeMap::new();
        for held in std::mem::take(&mut self.held) {
            let Some(destination) = held.effect.destination() else {
                continue;
            };
            let waits = held
                .after
                .as_ref()
                .is_some_and(|(journal, number)| !progress.is_done(journal, *number));
            if waits || counts.contains_key(&destination) {
                *counts.entry(destination).or_default() += 1;
                self.held.push_back(held);
            } else {
                released.push(held.effect);
            }
        }
        self.counts = counts;
        released
    }

    /// How many effects are held for a port.
    pub(super) fn held_for(&self, port: PortId) -> usize {
        self.counts
            .get(&Destination::Port(port))
            .copied()
            .unwrap_or_default()
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::BrokerFrame;

    fn journal(name: &str) -> JournalId {
        JournalId::new("origin", name)
    }

    fn frame(port: u64, id: &str) -> Effect {
        Effect::Output(Output::Deliver {
            port: PortId(port),
            frame: BrokerFrame::Ok { id: id.into() },
            cost: 0,
        })
    }

    /// The ids of frames, in order.
    fn ids(effects: Vec<Effect>) -> Vec<String> {
        effects
            .into_iter()
            .map(|effect| match effect {
                Effect::Output(Output::Deliver {
                    frame: BrokerFrame::Ok { id },
                    ..
                }) => id.to_string(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn frames_of_a_session_wait_only_for_its_own_journal() {
        let (mut gate, mut progress) = (FlushGate::default(), Progress::default());
        progress.sent(&journal("a"), 1);
        let held = gate.pass(frame(1, "a"), Some(journal("a")), &mut progress.newest_work());
        assert!(held.is_none());
        assert!(
            gate.pass(frame(2, "b"), Some(journal("b")), &mut progress.newest_work())
                .is_some()
        );
        assert!(
            gate.pass(frame(2, "c"), None, &mut progress.newest_work())
                .is_some()
        );
        progress.done(&journal("a"), 1);
        assert_eq!(ids(gate.release(&progress)), ["a"]);
        assert!(gate.is_empty());
    }

    #[test]
    fn frames_of_a_port_stay_in_order_and_do_not_wait_for_later_work() {
        let (mut gate, mut progress) = (FlushGate::default(), Progress::default());
        progress.sent(&journal("a"), 1);
        gate.pass(frame(1, "first"), Some(journal("a")), &mut progress.newest_work());
        gate.pass(frame(1, "second"), None, &mut progress.newest_work());
        progress.sent(&journal("a"), 2);
        gate.pass(frame(1, "third"), Some(journal("a")), &mut progress.newest_work());
        gate.pass(frame(1, "fourth"), None, &mut progress.newest_work());
        assert_eq!(gate.held_for(PortId(1)), 4);
        progress.done(&journal("a"), 1);
        assert_eq!(ids(gate.release(&progress)), ["first", "second"]);
        assert_eq!(gate.held_for(PortId(1)), 2);
        progress.done(&journal("a"), 2);
        assert_eq!(ids(gate.release(&progress)), ["third", "fourth"]);
    }

    #[test]
    fn credit_of_a_dial_is_held_until_its_messages_are_journaled() {
        let (mut gate, mut progress) = (FlushGate::default(), Progress::default());
        progress.sent(&journal("a"), 1);
        assert!(
            gate.pass(
                Effect::Took(DialId(1), 10),
                Some(journal("a")),
                &mut progress.newest_work()
            )
            .is_none()
        );
        assert!(
            gate.pass(Effect::Took(DialId(2), 10), None, &mut progress.newest_work())
                .is_some()
        );
        progress.done(&journal("a"), 1);
        assert_eq!(gate.release(&progress).len(), 1);
    }
}
