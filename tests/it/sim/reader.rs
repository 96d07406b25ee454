//! A client: it reads its port's queue and must find every message, or a gap for every loss.
//!
//! It knows which messages the session took (`Session::taken`); it does not query the hub.

use longwire::core::io::{Input, PortId};
use longwire::wire::code::GapReason;
use longwire::wire::message::{BrokerFrame, Opened, Resumed};
use longwire::wire::record::{Body, Record, State};

use super::client_session::Progress;
use super::model::{About, number_in};
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
        let index = self.client_session(about.client, about.slot);
        let client_session = &mut self.client_sessions[index];
        // The client at an older port is gone: its frames are read by no client.
        let is_current = client_session.port == Some(port)
            && client_session.generation == about.generation
            && self.ports[&port].client == Some(about.client)
            && about.incarnation + 1 == self.slots[about.slot].incarnations.len();
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
                    cost == 0 || client_session.live == (record.seq > client_session.last),
                    "`live` was not sent in its place"
                );
                self.reads_record(index, about, &record, redelivered);
            }
            BrokerFrame::Live { seq, .. } => {
                assert!(!client_session.live, "`live` is sent twice");
                assert!(
                    client_session.read <= seq && client_session.read <= client_session.last,
                    "`live` after record {} of {}",
                    client_session.read,
                    client_session.last
                );
                client_session.live = true;
            }
            BrokerFrame::AuthNeeded { question, .. } => client_session.nonce = Some(question.nonce),
            _ => {}
        }
    }

    fn reads_opened(&mut self, index: usize, about: About, opened: &Opened) {
        let was_damaged = self.slots[about.slot].incarnations[about.incarnation].rolled_back;
        let client_session = &mut self.client_sessions[index];
        if client_session.incarnation != about.incarnation
            || client_session.epoch.as_ref() != Some(&opened.epoch)
        {
            client_session.incarnation = about.incarnation;
            client_session.epoch = Some(opened.epoch.clone());
            client_session.history.clear();
            client_session.seen.clear();
            if !was_damaged && !client_session.attachment_unknown {
                client_session.history.insert(0, Progress::at(0));
            }
        }
        let progress = match opened.resume {
            Resumed::Fresh => Progress::at(about.taken),
            Resumed::Reset => Progress::UNKNOWN,
            Resumed::Exact | Resumed::Gap => {
                for (seq, progress) in &client_session.placed {
                    // It may never have read that it was put there.
                    client_session.history.entry(*seq).or_insert(*progress);
                }
                let before = client_session.history.range(..=opened.seq).next_back();
                before.map_or(Progress::UNKNOWN, |(_, progress)| *progress)
            }
        };
        if opened.resume != Resumed::Reset {
            client_session.history.insert(opened.seq, progress);
        }
        client_session.progress = progress;
        client_session.processed = opened.seq;
        client_session.read = opened.seq;
        client_session.last = opened.last;
        client_session.live = false;
        client_session.nonce = None;
    }

    fn reads_record(&mut self, index: usize, about: About, record: &Record, redelivered: bool) {
        let client_session = &mut self.client_sessions[index];
        let seq = record.seq;
        assert!(
            seq > client_session.read,
            "record {seq} after {}",
            client_session.read
        );
        client_session.read = seq;
        let is_rollback = matches!(record.body, Body::Gap(gap) if gap.reason == GapReason::Acknowledged);
        assert!(
            client_session.seen.insert(seq) || redelivered || is_rollback,
            "record {seq} comes again without a word"
        );
        let progress = &mut client_session.progress;
        match &record.body {
            Body::Message { payload, .. } => {
                let number = number_in(payload).unwrap();
                let at = self.emitted[number]
                    .index
                    .expect("a message that must not have been taken");
                let session = &self.slots[about.slot].incarnations[about.incarnation];
                progress.hi = session.after_withheld(progress.hi, about.client);
                assert!(
                    progress.lo <= at && at <= progress.hi,
                    "message {at} (number {number}, record {seq}) after all up to {}..{}: no loss was reported",
                    progress.lo,
                    progress.hi
                );
                let link = session.taken[at];
                assert!(
                    progress.link.is_none_or(|before| before == link) || progress.gap_reported,
                    "record {seq} came through {link:?}, the last through {:?}, and no discontinuity was reported",
                    progress.link
                );
                *progress = Progress {
                    link: Some(link),
                    ..Progress::at(at + 1)
                };
            }
            Body::Gap(gap) => {
                let count = usize::try_from(gap.count).unwrap();
                let session = &self.slots[about.slot].incarnations[about.incarnation];
                progress.hi = session.after_messages(progress.hi, count, about.client);
                if gap.exact && progress.hi < usize::MAX {
                    progress.lo += count;
                }
                progress.gap_reported |= !gap.exact;
            }
            Body::State(change) => {
                progress.gap_reported |= change.state == State::Open && change.continuity.is_some();
            }
            Body::Outcome(_) | Body::Response(_) => {}
        }
        let progress = client_session.progress;
        client_session.history.insert(seq, progress);
        client_session.processed = seq;
    }
}
