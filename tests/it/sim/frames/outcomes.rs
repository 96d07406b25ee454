//! Checks how messages are accepted and how they end.

use std::time::Duration;

use longwire::core::io::PortId;
use longwire::wire::record::{Name, Outcome};

use crate::sim::sent::MessageResult;
use crate::sim::world::{World, token_of};

impl World {
    pub(super) fn accepted(
        &mut self,
        port: PortId,
        slot: usize,
        id: &Name,
        durability: &str,
        duplicate: bool,
        outcome: Option<Outcome>,
    ) {
        let token = token_of(id);
        let client = self.ports[&port].client;
        let session = self.slots[slot].incarnations.last().unwrap();
        let promised = if session.journal.is_some() {
            "disk"
        } else {
            "memory"
        };
        let open = session
            .dial
            .filter(|dial| self.dials[&(self.incarnation, *dial)].open);
        let connected = open.is_some();
        let most = session.options.outbox.messages;
        let max_retry_wait = Duration::from_millis(session.options.outbox.ttl);
        let waits = (self.incarnation, self.now.boot + max_retry_wait);
        assert_eq!(durability, promised);
        let sent = &mut self.sent[token];
        assert_eq!((sent.slot, Some(sent.client)), (slot, client));
        if duplicate {
            assert!(
                sent.accepted || sent.rolled_back,
                "message {token} is called a duplicate, and is none"
            );
            sent.remembered = outcome;
            if let (Some((_, result)), false) = (&sent.result, sent.rolled_back) {
                let known = match result {
                    MessageResult::Outcome(outcome) => Some(*outcome),
                    MessageResult::Answer(_) | MessageResult::Error(_) => None,
                };
                assert_eq!(outcome, known, "message {token} ended in two ways");
            }
        } else {
            assert!(
                !sent.accepted || sent.rolled_back,
                "message {token} is accepted twice"
            );
            assert!(
                !sent.banned,
                "message {token} does not pass the guard, and is accepted"
            );
            sent.accepted = true;
            let is_plain = sent.asks.is_none() && sent.ttl.is_none() && !sent.volatile;
            sent.waits = is_plain.then_some(waits);
            if let Some(dial) = open {
                self.may_end_uncarried(dial);
            }
            let sent = &self.sent[token];
            // What is volatile does not wait, and so needs no room.
            if !connected && !sent.volatile {
                self.bounded_outbox = Some((slot, most));
            }
            self.passes_guard(slot);
        }
    }

    /// One more message has passed a session's guard: no more than its rate allows.
    pub(super) fn passes_guard(&mut self, slot: usize) {
        let boot = self.now.boot;
        let Some(session) = self.session(slot) else { return };
        let Some(rate) = session.options.guard.send.iter().find_map(|line| line.rate) else {
            return;
        };
        session.passed.push_back(boot);
        let most = rate.messages as usize;
        if session.passed.len() > 2 * most
            && let Some(first) = session.passed.pop_front()
        {
            // The first of them came from a full bucket at best; the rest had to wait for it to fill again.
            assert!(
                boot.saturating_sub(first) >= Duration::from_millis(rate.per),
                "slot {slot} takes {} messages within {:?}",
                2 * most + 1,
                boot.saturating_sub(first)
            );
        }
    }

    /// The hub reports how a message ended.
    pub(super) fn ended(
        &mut self,
        client: usize,
        slot: usize,
        token: usize,
        seq: u64,
        result: MessageResult,
    ) {
        let incarnation = self.slots[slot].incarnations.len() - 1;
        let sent = &mut self.sent[token];
        assert_eq!(
            (sent.client, sent.slot, sent.incarnation),
            (client, slot, incarnation),
            "the result of another's message"
        );
        assert!(sent.accepted && sent.has_id);
        let is_response = !matches!(result, MessageResult::Outcome(_));
        assert_eq!(is_response, sent.asks.is_some(), "{result:?} of message {token}");
        if let Some((known, before)) = &sent.result {
            assert!(
                sent.rolled_back || *known == seq,
                "message {token} ended twice: {before:?} in {known}, {result:?} in {seq}"
            );
            assert!(
                sent.rolled_back || *before == result,
                "message {token} ended in two ways"
            );
        }
        assert!(
            sent.receipt || !matches!(result, MessageResult::Outcome(Outcome::Sent | Outcome::Confirmed)),
            "a receipt that nobody wants"
        );
        sent.result = Some((seq, result));
        self.check_status(token);
    }

    /// Whether the heartbeat ends by what is being answered: what was written may be reported before `opened` is.
    pub(super) fn ends_beats(&self, slot: usize) -> bool {
        let session = self.slots[slot].incarnations.last();
        let opening = self
            .cause
            .opening
            .as_ref()
            .filter(|_| self.cause.slot == Some(slot));
        session.zip(opening).is_some_and(|(session, opening)| {
            let options = opening.options.as_ref();
            session.follows_options(opening.conflict)
                && options.is_some_and(|options| options.heartbeat.is_none())
        })
    }
}
