//! A client: it reads its port's queue and must find every message, or a gap for every loss.
//!
//! It knows which messages the session took (`Session::taken`); it does not query the hub.

use longwire::core::io::{Input, PortId};
use longwire::wire::code::GapReason;
use longwire::wire::message::{BrokerFrame, Opened, Resumed};
use longwire::wire::record::{Body, Record, State};

use super::model::{About, Account, number_in};
use super::world::World;

impl World {
    /// A client reads so many frames of its port's queue.
    pub(super) fn reads(&mut self, port: PortId, most: usize) -> usize {
        let mut written = 0;
        let mut count = 0;
        while count < most {
            let Some(queued) = self.ports.get_mut(&port).and_then(|port| port.queue.pop_front()) else {
                break;
            };
            count += 1;
            written += queued.cost;
            if let Some(about) = queued.about {
                self.reads_frame(port, about, queued.frame, queued.cost);
            }
        }
        if written > 0 {
            self.give(Input::Written(port, written));
        }
        count
    }

    fn reads_frame(&mut self, port: PortId, about: About, frame: BrokerFrame, cost: usize) {
        let index = self.seat(about.person, about.slot);
        let seat = &mut self.seats[index];
        // The client at an older port is gone: its frames are read by no client.
        let is_current = seat.port == Some(port)
            && seat.generation == about.generation
            && self.ports[&port].person == Some(about.person)
            && about.life + 1 == self.slots[about.slot].lives.len();
        if !is_current {
            return;
        }
        match frame {
            BrokerFrame::Opened(opened) => self.reads_opened(index, about, &opened),
            BrokerFrame::Record {
                record, redelivered, ..
            } => {
                // The last records of a session that ends bypass the window, and what the window held back.
                assert!(
                    cost == 0 || seat.live == (record.seq > seat.last),
                    "`live` was not said in its place"
                );
                self.reads_record(index, about, &record, redelivered);
            }
            BrokerFrame::Live { seq, .. } => {
                assert!(!seat.live, "`live` is said twice");
                assert!(
                    seat.read <= seq && seat.read <= seat.last,
                    "`live` after record {} of {}",
                    seat.read,
                    seat.last
                );
                seat.live = true;
            }
            BrokerFrame::AuthNeeded { question, .. } => seat.nonce = Some(question.nonce),
            _ => {}
        }
    }

    fn reads_opened(&mut self, index: usize, about: About, opened: &Opened) {
        let was_damaged = self.slots[about.slot].lives[about.life].rolled_back;
        let seat = &mut self.seats[index];
        if seat.life != about.life || seat.epoch.as_ref() != Some(&opened.epoch) {
            seat.life = about.life;
            seat.epoch = Some(opened.epoch.clone());
            seat.history.clear();
            seat.seen.clear();
            if !was_damaged && !seat.doubtful {
                seat.history.insert(0, Account::at(0));
            }
        }
        let account = match opened.resume {
            Resumed::Fresh => Account::at(about.taken),
            Resumed::Reset => Account::UNKNOWN,
            Resumed::Exact | Resumed::Gap => {
                for (seq, account) in &seat.placed {
                    // It may never have read that it was put there.
                    seat.history.entry(*seq).or_insert(*account);
                }
                let before = seat.history.range(..=opened.seq).next_back();
                before.map_or(Account::UNKNOWN, |(_, account)| *account)
            }
        };
        if opened.resume != Resumed::Reset {
            seat.history.insert(opened.seq, account);
        }
        seat.account = account;
        seat.processed = opened.seq;
        seat.read = opened.seq;
        seat.last = opened.last;
        seat.live = false;
        seat.nonce = None;
    }

    fn reads_record(&mut self, index: usize, about: About, record: &Record, redelivered: bool) {
        let seat = &mut self.seats[index];
        let seq = record.seq;
        assert!(seq > seat.read, "record {seq} after {}", seat.read);
        seat.read = seq;
        let is_rollback = matches!(record.body, Body::Gap(gap) if gap.reason == GapReason::Acknowledged);
        assert!(
            seat.seen.insert(seq) || redelivered || is_rollback,
            "record {seq} comes again without a word"
        );
        let account = &mut seat.account;
        match &record.body {
            Body::Message { payload, .. } => {
                let number = number_in(payload).unwrap();
                let at = self.emitted[number]
                    .index
                    .expect("a message that must not have been taken");
                let session = &self.slots[about.slot].lives[about.life];
                account.hi = session.after_withheld(account.hi, about.person);
                assert!(
                    account.lo <= at && at <= account.hi,
                    "message {at} (number {number}, record {seq}) after all up to {}..{}: nobody said what is lost",
                    account.lo,
                    account.hi
                );
                let link = session.taken[at];
                assert!(
                    account.link.is_none_or(|before| before == link) || account.told,
                    "record {seq} came through {link:?}, the last through {:?}, and nobody said so",
                    account.link
                );
                *account = Account {
                    link: Some(link),
                    ..Account::at(at + 1)
                };
            }
            Body::Gap(gap) => {
                let count = usize::try_from(gap.count).unwrap();
                let session = &self.slots[about.slot].lives[about.life];
                account.hi = session.after_messages(account.hi, count, about.person);
                if gap.exact && account.hi < usize::MAX {
                    account.lo += count;
                }
                account.told |= !gap.exact;
            }
            Body::State(change) => {
                account.told |= change.state == State::Open && change.continuity.is_some();
            }
            Body::Outcome(_) | Body::Response(_) => {}
        }
        let account = seat.account;
        seat.history.insert(seq, account);
        seat.processed = seq;
    }
}
