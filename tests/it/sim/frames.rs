//! Judges every frame the hub has for a client, at the moment the hub says it.
//!
//! What the client makes of it once it has read it is `reader`.

use std::time::Duration;

use longwire::core::io::PortId;
use longwire::wire::code::{Code, GapReason};
use longwire::wire::message::{BrokerFrame, Opened, Resumed};
use longwire::wire::options::Options;
use longwire::wire::record::{Body, Name, Outcome, Record};

use super::model::{About, Account, Alive, Asks, Content, MessageResult, Queued, Seat, Session, number_in};
use super::protocols::{is_another_dial, leads_to_its_address};
use super::world::{ADMIN, Kind, Opening, World, token_of};

impl World {
    pub(super) fn deliver(&mut self, port: PortId, frame: BrokerFrame, cost: usize) {
        if port == ADMIN {
            assert!(
                matches!(frame, BrokerFrame::Goaway { .. }),
                "{frame:?} for the command line"
            );
            return;
        }
        assert!(
            self.ports.contains_key(&port),
            "{port:?} is gone, and is told something"
        );
        let about = match &frame {
            BrokerFrame::Opened(opened) => Some(self.opened(port, opened)),
            BrokerFrame::Record {
                session,
                record,
                redelivered: _,
            } => {
                let slot = self.must_hold(port, session);
                self.mix(record.seq);
                self.record(port, slot, record, cost);
                Some(self.about(port, slot))
            }
            BrokerFrame::Detached {
                session,
                reason,
                farewell,
            } => {
                assert_eq!(*reason == "closed", farewell.is_some());
                let slot = self.must_hold(port, session);
                let about = self.about(port, slot);
                self.release(port, slot);
                if *reason != "superseded"
                    && let Some(session) = self.session(slot)
                {
                    // As long as its journal is there it may come back, should the broker die now.
                    session.alive = match session.journal {
                        Some(_) => Alive::Perhaps,
                        None => Alive::No,
                    };
                }
                Some(about)
            }
            BrokerFrame::Live { session, .. }
            | BrokerFrame::Stalled { session, .. }
            | BrokerFrame::Subscription { session, .. }
            | BrokerFrame::AuthNeeded { session, .. } => {
                let slot = self.must_hold(port, session);
                Some(self.about(port, slot))
            }
            BrokerFrame::Accepted {
                session,
                id,
                durability,
                duplicate,
                outcome,
            } => {
                let slot = self.must_hold(port, session);
                self.accepted(port, slot, id, durability, *duplicate, *outcome);
                Some(self.about(port, slot))
            }
            BrokerFrame::Error(refusal)
                if refusal.id.as_deref() == Some("o")
                    && self.cause.opening.is_none()
                    && self.has_deferred(port) =>
            {
                // What it was to attach to has ended, and it cannot be made anew.
                let slot = refusal
                    .session
                    .as_ref()
                    .and_then(|name| self.slot_named(port, name));
                self.deferred
                    .retain(|(asked, of, _)| (*asked, Some(*of)) != (port, slot));
                None
            }
            BrokerFrame::Error(refusal) if refusal.error.code == Code::OutboxFull => {
                let token = token_of(refusal.id.as_ref().unwrap_or(&"i0".into()));
                let slot = self.cause.slot.unwrap();
                let session = self.slots[slot].lives.last();
                let connected = session.is_some_and(|session| session.dial.is_some());
                assert!(
                    connected || !self.sent[token].volatile || refusal.id.is_none(),
                    "message {token} does not wait, and there is no room for it"
                );
                None
            }
            BrokerFrame::Ok { id } if id.starts_with('c') => {
                self.brought();
                None
            }
            BrokerFrame::Welcome(welcome) => {
                let known = &self.ports[&port];
                assert_eq!(
                    welcome.origin, self.owners[known.origin].origin,
                    "welcomed as another"
                );
                for summary in &welcome.sessions {
                    let slot = self.slot_named(port, &summary.session);
                    assert!(
                        slot.is_some_and(|slot| !self.slots[slot].lives.is_empty()),
                        "is told of a session of others"
                    );
                }
                None
            }
            _ => None,
        };
        let known = self.ports.get_mut(&port).unwrap();
        known.queue.push_back(Queued { frame, cost, about });
    }

    fn has_deferred(&self, port: PortId) -> bool {
        self.deferred.iter().any(|(asked, ..)| *asked == port)
    }

    /// The slot of a session that this port must hold to be told about it.
    pub(super) fn must_hold(&self, port: PortId, name: &Name) -> usize {
        let slot = self
            .slot_named(port, name)
            .expect("a session of the port's owner");
        assert!(
            self.ports[&port].holds.contains(&slot),
            "{port:?} does not hold `{name}` and is told about it"
        );
        slot
    }

    fn about(&self, port: PortId, slot: usize) -> About {
        let person = self.ports[&port].person.unwrap();
        About {
            generation: self.seats[self.seat(person, slot)].generation,
            person,
            slot,
            life: self.slots[slot].lives.len() - 1,
            taken: self.slots[slot].lives.last().unwrap().taken.len(),
        }
    }

    fn opened(&mut self, port: PortId, opened: &Opened) -> About {
        let slot = self
            .slot_named(port, &opened.session)
            .expect("a session of the port's owner");
        let asked_now = self.cause.opening.take_if(|_| self.cause.slot == Some(slot));
        let opening = asked_now.unwrap_or_else(|| self.opened_late(port, slot));
        let person = self.ports[&port].person.unwrap();
        let index = self.seat(person, slot);
        assert!(
            self.seats[index].port.is_none_or(|held| held == port),
            "two attachments of one client"
        );
        if opened.created {
            self.created(slot, &opening);
        } else {
            self.found(slot, &opening);
        }
        let session = self.slots[slot].lives.last_mut().unwrap();
        let mut has_new_epoch = false;
        if session.epoch.as_ref() != Some(&opened.epoch) {
            assert!(
                session.epoch.is_none() || session.may_change_epoch,
                "the epoch changed without need"
            );
            if session.epoch.is_some() {
                session.contents.clear();
                session.gaps.clear();
                session.rolled_back = true;
                has_new_epoch = true;
            }
            session.epoch = Some(opened.epoch.clone());
        }
        session.may_change_epoch = false;
        if has_new_epoch {
            for person in 0..self.people.len() {
                let seat = self.seat(person, slot);
                self.seats[seat].placed.clear();
            }
        }
        let session = self.slots[slot].lives.last_mut().unwrap();
        session.idle_since = None;
        let window = session.options.window;
        let taken = session.taken.len();
        let seat = &mut self.seats[index];
        match (&opening.resume, opened.resume) {
            (None, Resumed::Fresh) => {
                assert!(!seat.certain, "a client that was here is taken for a new one");
                assert_eq!(opened.seq, opened.last, "a new client begins at the end");
            }
            (None, Resumed::Exact | Resumed::Gap) => {
                assert!(
                    seat.was_here,
                    "a client that never was here is taken for a known one"
                );
                let fits = if seat.certain {
                    opened.seq == seat.position
                } else {
                    opened.seq <= seat.highest.max(seat.position)
                };
                assert!(
                    fits,
                    "goes on after {}, and has acknowledged {}",
                    opened.seq, seat.position
                );
            }
            (Some(resume), result) => {
                let is_known = resume.epoch == *opened.epoch && resume.seq <= opened.last;
                assert_eq!(is_known, result != Resumed::Reset, "{resume:?} and {opened:?}");
                assert_ne!(result, Resumed::Fresh);
                assert!(!is_known || opened.seq == resume.seq, "{resume:?} and {opened:?}");
            }
            (None, Resumed::Reset) => panic!("reset, and nothing was offered"),
        }
        assert!(opened.seq <= opened.last);
        seat.leave();
        seat.port = Some(port);
        seat.generation += 1;
        seat.exact = opened.resume == Resumed::Exact;
        seat.window = window;
        seat.delivered = opened.seq;
        seat.position = opened.seq;
        seat.highest = seat.highest.max(opened.seq);
        match opened.resume {
            Resumed::Fresh => {
                seat.placed.insert(opened.seq, Account::at(taken));
            }
            Resumed::Reset => {
                seat.placed.entry(opened.seq).or_insert(Account::UNKNOWN);
            }
            Resumed::Exact | Resumed::Gap => {}
        }
        seat.certain = true;
        seat.was_here = true;
        let holds = &mut self.ports.get_mut(&port).unwrap().holds;
        if !holds.contains(&slot) {
            holds.push(slot);
        }
        for item in &opened.outbox {
            let token = token_of(&item.id);
            let sent = &self.sent[token];
            assert!(
                (sent.slot, sent.person) == (slot, person) && sent.accepted,
                "`{}` is not in this outbox",
                item.id
            );
        }
        self.mix(opened.seq + opened.last + opened.outbox.len() as u64);
        self.about(port, slot)
    }

    /// What was asked for while another session of that name was being closed.
    fn opened_late(&mut self, port: PortId, slot: usize) -> Opening {
        let at = self
            .deferred
            .iter()
            .position(|(asked, of, _)| (*asked, *of) == (port, slot));
        let (_, _, opening) = self.deferred.remove(at.expect("nobody asked to open this"));
        self.cause.opened_late.push(slot);
        opening
    }

    fn created(&mut self, slot: usize, opening: &Opening) {
        let awake = self.now.awake;
        if let Some(before) = self.session(slot) {
            let expired = before.idle_since.is_some_and(|since| {
                awake.saturating_sub(since) >= Duration::from_millis(before.options.expire)
            });
            assert!(
                before.alive != Alive::Yes || expired || before.closing.is_some(),
                "slot {slot} had a session, and it is gone"
            );
            assert!(before.dial.is_none(), "its last dial is still alive");
            before.alive = Alive::No;
        }
        let journal = self.fresh.take().map(|(id, _)| id);
        let mut session = Session::new(opening.options.clone().unwrap_or_default(), journal);
        let address = opening.address.expect("a session without an address");
        session.reach.moves(address, self.credentials.len());
        session.reach.asks();
        self.slots[slot].lives.push(session);
        for person in 0..self.people.len() {
            let seat = self.seat(person, slot);
            let generation = self.seats[seat].generation + 1;
            self.seats[seat] = Seat {
                generation,
                ..Seat::new()
            };
        }
    }

    fn found(&mut self, slot: usize, opening: &Opening) {
        let credentials = self.credentials.len();
        let session = self.session(slot).expect("a session that nobody has created");
        assert!(session.alive != Alive::No, "a session that had ended is back");
        session.alive = Alive::Yes;
        let updates = session.obeys(opening.conflict);
        if let Some(address) = opening.address.filter(|_| updates)
            && (!session.has_url || address != session.reach.address)
        {
            let after = opening.options.as_ref().unwrap_or(&session.options);
            if !session.has_url || leads_to_its_address(&session.options) || leads_to_its_address(after) {
                session.reach.moves(address, credentials);
            } else {
                session.reach.address = address;
            }
        }
        session.has_url |= opening.address.is_some();
        if let Some(options) = opening.options.clone().filter(|_| updates) {
            let is_another = is_another_dial(&session.options, &options);
            (session.reach.uncertain, session.reach.doubted) = (true, true);
            session.passed.clear();
            let durability = session.options.durability;
            session.options = Options {
                durability,
                ..options
            };
            session.trusts_writes |= session.options.heartbeat.is_none();
            if let Some(dial) = session.dial
                && let Some(dial) = self.dials.get_mut(&(self.life, dial))
            {
                dial.disturbed = true;
            }
            let before = self
                .cause
                .dial
                .filter(|_| is_another && self.cause.slot == Some(slot));
            let goes_on = before.is_some_and(|dial| !self.dials[&(self.life, dial)].over);
            assert!(
                !goes_on,
                "slot {slot} was opened for another dial, and the old one goes on"
            );
        }
    }

    fn accepted(
        &mut self,
        port: PortId,
        slot: usize,
        id: &Name,
        durability: &str,
        duplicate: bool,
        outcome: Option<Outcome>,
    ) {
        let token = token_of(id);
        let person = self.ports[&port].person;
        let session = self.slots[slot].lives.last().unwrap();
        let promised = if session.journal.is_some() {
            "disk"
        } else {
            "memory"
        };
        let connected = session
            .dial
            .is_some_and(|dial| self.dials[&(self.life, dial)].open);
        let most = session.options.outbox.messages;
        let patience = Duration::from_millis(session.options.outbox.ttl);
        let waits = (self.life, self.now.boot + patience);
        assert_eq!(durability, promised);
        let sent = &mut self.sent[token];
        assert_eq!((sent.slot, Some(sent.person)), (slot, person));
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
            // What is volatile does not wait, and so needs no room.
            if !connected && !sent.volatile {
                self.crowded = Some((slot, most));
            }
            self.passes_guard(slot);
        }
    }

    /// One more message has passed a session's guard: no more than its rate allows.
    fn passes_guard(&mut self, slot: usize) {
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

    fn record(&mut self, port: PortId, slot: usize, record: &Record, cost: usize) {
        let person = self.ports[&port].person.unwrap();
        let index = self.seat(person, slot);
        let seat = &mut self.seats[index];
        assert_eq!(seat.port, Some(port), "a fenced port is told a record");
        assert!(
            record.seq > seat.delivered,
            "record {} after {}",
            record.seq,
            seat.delivered
        );
        seat.delivered = record.seq;
        let size = record.body.cost();
        let is_rollback = matches!(record.body, Body::Gap(gap) if gap.reason == GapReason::Acknowledged);
        if cost > 0 {
            let fits = seat.in_flight.is_empty()
                || (seat.in_flight.len() < seat.window.messages
                    && seat.in_flight_bytes + size <= seat.window.bytes);
            assert!(
                is_rollback || (fits && seat.window.messages > 0 && seat.window.bytes > 0),
                "{} records and {} bytes in flight, and {size} more: the window is {:?}",
                seat.in_flight.len(),
                seat.in_flight_bytes,
                seat.window
            );
            seat.in_flight.push_back((record.seq, size));
            seat.in_flight_bytes += size;
        } else {
            let is_ending = self.cause.kind == Kind::Timeout
                || self.slots[slot]
                    .lives
                    .last()
                    .is_some_and(|session| session.closing.is_some());
            assert!(is_ending, "a record bypasses the window");
        }
        if let Body::Gap(gap) = &record.body
            && self.cause.kind == Kind::Open
            && self.cause.port == Some(port)
        {
            assert!(!self.seats[index].exact, "an exact resume, and then {gap:?}");
        }
        match &record.body {
            Body::Outcome(report) => {
                let token = token_of(&report.id);
                self.ended(
                    person,
                    slot,
                    token,
                    record.seq,
                    MessageResult::Outcome(report.outcome),
                );
            }
            Body::Response(report) => {
                let token = token_of(&report.id);
                let result = match (&report.answer, &report.error) {
                    (Some(answer), None) => MessageResult::Answer(number_in(answer).unwrap()),
                    (None, Some(error)) => MessageResult::Error(error.code),
                    _ => panic!("a response says both or neither"),
                };
                self.ended(person, slot, token, record.seq, result);
            }
            Body::State(change) => {
                self.is_continuous(slot, change);
                if let (Some((waits, most)), Some(millis)) = (self.patience, change.retry_in)
                    && waits == slot
                    && self.cause.kind == Kind::Link
                {
                    assert!(
                        Duration::from_millis(millis) <= most,
                        "slot {slot} waits {millis} ms; at most {most:?}"
                    );
                }
            }
            Body::Message { .. } | Body::Gap(_) => {}
        }
        if !is_rollback {
            self.names(slot, record);
        }
    }

    /// A number names one thing for ever, except that a message may later be told as lost.
    fn names(&mut self, slot: usize, record: &Record) {
        let seq = record.seq;
        let life = self.slots[slot].lives.len() - 1;
        let content = match &record.body {
            Body::Message { payload, .. } => {
                let number = number_in(payload).expect("a message that a server said");
                let emitted = &self.emitted[number];
                assert_eq!(
                    (emitted.slot, emitted.life, emitted.length),
                    (slot, life, payload.len()),
                    "message {number} is told where it does not belong"
                );
                Content::Message(number)
            }
            Body::Gap(gap) => Content::Gap(*gap),
            Body::State(change) => Content::State(change.clone()),
            Body::Outcome(report) => Content::Outcome(report.clone()),
            Body::Response(report) => Content::Response(report.clone()),
        };
        let session = self.slots[slot].lives.last_mut().unwrap();
        let told_lost = session.gaps.range(seq..).next().filter(|(_, from)| **from <= seq);
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
                    "{gap:?} changes the gap that was told before: {overlaps:?}"
                );
                match session.contents.get(&seq) {
                    Some(Content::Gap(before)) => {
                        assert_eq!(before.reason, gap.reason);
                        if before.from == gap.from {
                            assert_eq!(before, gap, "a gap changed after it was told");
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
                    told_lost.is_none(),
                    "record {seq} was told as lost: {told_lost:?}"
                );
                if let Some(before) = session.contents.get(&seq) {
                    assert_eq!(*before, content, "record {seq} named something else before");
                }
            }
        }
        session.contents.insert(seq, content);
    }

    /// The hub says how a message ended.
    fn ended(&mut self, person: usize, slot: usize, token: usize, seq: u64, result: MessageResult) {
        let life = self.slots[slot].lives.len() - 1;
        let sent = &mut self.sent[token];
        assert_eq!(
            (sent.person, sent.slot, sent.life),
            (person, slot, life),
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
        self.check_truth(token);
    }

    /// Whether the heartbeat ends by what is being answered: what was written may be told before `opened` is.
    fn ends_beats(&self, slot: usize) -> bool {
        let session = self.slots[slot].lives.last();
        let opening = self
            .cause
            .opening
            .as_ref()
            .filter(|_| self.cause.slot == Some(slot));
        session.zip(opening).is_some_and(|(session, opening)| {
            let options = opening.options.as_ref();
            session.obeys(opening.conflict) && options.is_some_and(|options| options.heartbeat.is_none())
        })
    }

    /// Whether what was told of a message is so.
    pub(super) fn check_truth(&self, token: usize) {
        let sent = &self.sent[token];
        let Some((_, result)) = &sent.result else { return };
        let session = &self.slots[sent.slot].lives[sent.life];
        let is_true = match result {
            MessageResult::Outcome(Outcome::Sent) => {
                let trusts_writes = session.trusts_writes || self.ends_beats(sent.slot);
                sent.reads > 0 || (trusts_writes && sent.written)
            }
            MessageResult::Outcome(Outcome::Confirmed) => sent.confirmed,
            MessageResult::Outcome(Outcome::Unknown) => true,
            MessageResult::Outcome(Outcome::Cancelled) => sent.cancelled || sent.reads == 0,
            MessageResult::Outcome(Outcome::Failed | Outcome::Expired | Outcome::Dropped)
            | MessageResult::Error(Code::NotSent) => sent.reads == 0,
            MessageResult::Answer(number) => sent.answer == Some(*number) || sent.rolled_back,
            MessageResult::Error(_) => true,
        };
        let asks = sent.asks.map_or("", |asks| match asks {
            Asks::Pointers => "pointers",
            Asks::JsonRpc => "jsonrpc",
        });
        assert!(
            is_true,
            "message {token} ended as {result:?}, and that is not so: read {} times, written: {}, confirmed: {}, {asks}",
            sent.reads, sent.written, sent.confirmed
        );
    }
}
