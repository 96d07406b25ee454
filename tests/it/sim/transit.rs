//! What is on its way to a server: handed to the socket, written, read, and proven by the answer to a ping.
//!
//! A server never reports falsely what it has read: that could not be detected.

use longwire::core::io::{DialId, Input, LinkEvent};
use longwire::wire::options::Protocol;

use super::dial::Item;
use super::world::World;

impl World {
    /// The transport hands some more to the socket, writes some of that, and the server reads some of that.
    pub(super) fn moves_on(&mut self, id: DialId, all: bool) {
        let dial = &self.dials[&(self.incarnation, id)];
        if !dial.open {
            return;
        }
        if matches!(dial.protocol, Protocol::EventStream | Protocol::Poll) {
            let most = if all { dial.items.len() - dial.read } else { 1 };
            for _ in 0..most {
                if !self.dials[&(self.incarnation, id)].over {
                    self.posts(id);
                }
            }
            return;
        }
        let items = dial.items.len();
        let (mut taken, mut written, mut read) = (dial.taken, dial.written, dial.read);
        if all {
            (taken, written, read) = (items, items, items);
        } else {
            taken += self.rng.below(items - taken + 1);
            written += self.rng.below(taken - written + 1);
            read += self.rng.below(written - read + 1);
        }
        self.dials.get_mut(&(self.incarnation, id)).unwrap().taken = taken;
        self.transport_writes(id, written);
        self.server_reads(id, read);
        let reported = self.dials[&(self.incarnation, id)].reported_written;
        if written > reported || self.rng.percent(5) {
            // In season or not: a number may come twice, or a smaller one after a greater.
            let sends = if self.rng.percent(5) && !all {
                self.rng.below(written + 1)
            } else {
                written
            };
            self.dials
                .get_mut(&(self.incarnation, id))
                .unwrap()
                .reported_written = reported.max(sends);
            self.give(Input::Link(id, LinkEvent::Written(sends as u64)));
        }
    }

    /// The server answers a ping that it has read; older ones may stay unanswered.
    pub(super) fn pongs(&mut self, id: DialId, all: bool) -> bool {
        let dial = &self.dials[&(self.incarnation, id)];
        if !dial.open || dial.pings.is_empty() {
            return false;
        }
        let which = if all {
            dial.pings.len() - 1
        } else {
            self.rng.below(dial.pings.len())
        };
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        let (token, at) = dial.pings[which];
        dial.pings.drain(..=which);
        if token == dial.last_proof {
            dial.proven = at;
        }
        self.server_reads(id, at);
        self.give(Input::Link(id, LinkEvent::Pong(token)));
        true
    }

    /// What the server may still read of what was on its way when a link ended.
    pub(super) fn read_rest(&mut self, id: DialId, by_us: bool) -> usize {
        let Some(dial) = self.dials.get(&(self.incarnation, id)) else {
            return 0;
        };
        let (read, taken, all) = (dial.read, dial.taken, dial.items.len());
        let taken = taken + self.rng.below(all - taken + 1);
        let reads = read + self.rng.below(taken - read + 1);
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        dial.taken = taken;
        self.server_reads(id, reads);
        if by_us {
            all
        } else {
            taken + self.rng.below(all - taken + 1)
        }
    }

    /// The server reads up to so many items of a dial.
    pub(super) fn server_reads(&mut self, id: DialId, upto: usize) {
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        let from = dial.read;
        dial.read = upto.max(from);
        dial.written = dial.written.max(dial.read);
        dial.taken = dial.taken.max(dial.written);
        let items: Vec<Item> = dial.items[from..dial.read].to_vec();
        for item in items {
            let Item::Token(token) = item else { continue };
            let sent = &mut self.sent[token];
            sent.reads += 1;
            sent.written = true;
            assert!(
                sent.reads == 1 || sent.resend,
                "the server got message {token} twice"
            );
            self.check_status(token);
        }
    }

    /// The transport has written up to so many items of a dial.
    pub(super) fn transport_writes(&mut self, id: DialId, upto: usize) {
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        let from = dial.written;
        dial.written = upto.max(from);
        dial.taken = dial.taken.max(dial.written);
        let items: Vec<Item> = dial.items[from..dial.written].to_vec();
        for item in items {
            if let Item::Token(token) = item {
                self.sent[token].written = true;
            }
        }
    }
}
