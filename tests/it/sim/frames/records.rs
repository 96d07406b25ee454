//! Checks records: each number once, each loss in its place.

use std::time::Duration;

use longwire::core::io::PortId;
use longwire::wire::code::GapReason;
use longwire::wire::record::{Body, Record};

use crate::sim::cause::Kind;
use crate::sim::model::number_in;
use crate::sim::sent::MessageResult;
use crate::sim::session::Content;
use crate::sim::world::{World, token_of};

impl World {
    pub(super) fn record(&mut self, port: PortId, slot: usize, record: &Record, cost: usize) {
        let client = self.ports[&port].client.unwrap();
        let index = self.client_session(client, slot);
        let client_session = &mut self.client_sessions[index];
        assert_eq!(client_session.port, Some(port), "a fenced port receives a record");
        assert!(
            record.seq > client_session.delivered,
            "record {} after {}",
            record.seq,
            client_session.delivered
        );
        client_session.delivered = record.seq;
        let size = record.body.cost();
        let is_rollback = matches!(record.body, Body::Gap(gap) if gap.reason == GapReason::Acknowledged);
        if cost > 0 {
            let fits = client_session.in_flight.is_empty()
                || (client_session.in_flight.len() < client_session.window.messages
                    && client_session.in_flight_bytes + size <= client_session.window.bytes);
            assert!(
                is_rollback
                    || (fits && client_session.window.messages > 0 && client_session.window.bytes > 0),
                "{} records and {} bytes in flight, and {size} more: the window is {:?}",
                client_session.in_flight.len(),
                client_session.in_flight_bytes,
                client_session.window
            );
            client_session.in_flight.push_back((record.seq, size));
            client_session.in_flight_bytes += size;
        } else {
            let is_ending = self.cause.kind == Kind::Timeout
                || self.slots[slot]
                    .incarnations
                    .last()
                    .is_some_and(|session| session.closing.is_some());
            assert!(is_ending, "a record bypasses the window");
        }
        if let Body::Gap(gap) = &record.body
            && self.cause.kind == Kind::Open
            && self.cause.port == Some(port)
        {
            assert!(
                !self.client_sessions[index].exact,
                "an exact resume, and then {gap:?}"
            );
        }
        match &record.body {
            Body::Outcome(report) => {
                let token = token_of(&report.id);
                self.ended(
                    client,
                    slot,
                    token,
                    record.seq,
                    MessageResult::Outcome(report.outcome),
                );
            }
            Body::Response(report) => {
                let token = token_of(&report.id);
                let result = match (&report.answer, &report.error) {
                    (Some(answer), None) => {
                        let number = number_in(answer).unwrap();
                        assert_eq!(
                            *answer.bytes(),
                            self.emitted[number].content,
                            "the answer {number}"
                        );
                        MessageResult::Answer(number)
                    }
                    (None, Some(error)) => MessageResult::Error(error.code),
                    _ => panic!("a response has both or neither"),
                };
                self.ended(client, slot, token, record.seq, result);
            }
            Body::State(change) => {
                self.is_continuous(slot, change);
                self.is_lost(slot, change);
                if let (Some((waits, most)), Some(millis)) = (self.max_retry_wait, change.retry_in)
                    && waits == slot
                    && self.cause.kind == Kind::Link
                    // The last records of a session that ends are older ones.
                    && cost > 0
                {
                    assert!(
                        Duration::from_millis(millis) <= most,
                        "slot {slot} waits {millis} ms; at most {most:?}"
                    );
                }
            }
            Body::Message { payload, .. } => self.is_shown(client, slot, payload),
            Body::Gap(_) => {}
        }
        if !is_rollback {
            self.names(slot, record);
        }
    }

    /// A number identifies one record for ever, except that a message may later be reported as lost.
    pub(super) fn names(&mut self, slot: usize, record: &Record) {
        let seq = record.seq;
        let incarnation = self.slots[slot].incarnations.len() - 1;
        let content = match &record.body {
            Body::Message { payload, .. } => {
                let number = number_in(payload).expect("a message that a server sent");
                let emitted = &self.emitted[number];
                assert_eq!(
                    (emitted.slot, emitted.incarnation),
                    (slot, incarnation),
                    "message {number} is delivered where it does not belong"
                );
                Content::Message(number)
            }
            Body::Gap(gap) => Content::Gap(*gap),
            Body::State(change) => Content::State(change.clone()),
            Body::Outcome(report) => Content::Outcome(report.clone()),
            Body::Response(report) => Content::Response(report.clone()),
        };
        let session = self.slots[slot].incarnations.last_mut().unwrap();
        let reported_lost = session.gaps.range(seq..).next().filter(|(_, from)| **from <= seq);
        match &content {
            Content::Gap(gap) => {
                assert_eq!(gap.to, seq);
                assert!(
                    gap.from <= gap.to && gap.count <= gap.to - gap.from + 1,
                    "{gap:?}"
                );
                let is_crash = matches!(gap.reason, GapReason::Crash | GapReason::Journal);
                let overlaps = session
                    .gaps
                    .range(gap.from..)
                    .next()
                    .filter(|(_, from)| **from <= seq);
                assert!(
                    is_crash || overlaps.is_none_or(|(to, _)| *to == seq),
                    "{gap:?} changes the gap that was delivered before: {overlaps:?}"
                );
                match session.contents.get(&seq) {
                    Some(Content::Gap(before)) => {
                        assert_eq!(before.reason, gap.reason);
                        if before.from == gap.from {
                            assert_eq!(before, gap, "a gap changed after it was delivered");
                        }
                        if before.from < gap.from {
                            return;
                        }
                    }
                    None | Some(Content::Message(_)) => {}
                    Some(other) => assert!(is_crash, "{other:?} became {gap:?}"),
                }
                session.gaps.insert(seq, gap.from);
            }
            _ => {
                assert!(
                    reported_lost.is_none(),
                    "record {seq} was reported as lost: {reported_lost:?}"
                );
                if let Some(before) = session.contents.get(&seq) {
                    assert_eq!(*before, content, "record {seq} named something else before");
                }
            }
        }
        session.contents.insert(seq, content);
    }
}
