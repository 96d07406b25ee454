//! Checks `opened`: where the client resumes, what it may have lost, the state of its messages.

use std::time::Duration;

use longwire::core::io::PortId;
use longwire::wire::message::{Opened, Resumed};
use longwire::wire::options::Options;

use crate::sim::cause::Opening;
use crate::sim::client_session::{ClientSession, Progress};
use crate::sim::model::About;
use crate::sim::protocols::{is_another_dial, leads_to_its_address};
use crate::sim::session::{Alive, Session};
use crate::sim::world::{World, token_of};

impl World {
    pub(super) fn opened(&mut self, port: PortId, opened: &Opened) -> About {
        let slot = self
            .slot_named(port, &opened.session)
            .expect("a session of the port's owner");
        let asked_now = self.cause.opening.take_if(|_| self.cause.slot == Some(slot));
        let opening = asked_now.unwrap_or_else(|| self.opened_late(port, slot));
        let client = self.ports[&port].client.unwrap();
        let index = self.client_session(client, slot);
        assert!(
            self.client_sessions[index].port.is_none_or(|held| held == port),
            "two attachments of one client"
        );
        if opened.created {
            self.created(slot, &opening);
        } else {
            self.found(slot, &opening);
        }
        let session = self.slots[slot].incarnations.last_mut().unwrap();
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
            for client in 0..self.clients.len() {
                let client_session = self.client_session(client, slot);
                self.client_sessions[client_session].placed.clear();
            }
        }
        let session = self.slots[slot].incarnations.last_mut().unwrap();
        session.idle_since = None;
        let window = session.options.window;
        let taken = session.taken.len();
        let client_session = &mut self.client_sessions[index];
        match (&opening.resume, opened.resume) {
            (None, Resumed::Fresh) => {
                assert!(
                    !client_session.is_known,
                    "a client that was here is taken for a new one"
                );
                assert_eq!(opened.seq, opened.last, "a new client begins at the end");
            }
            (None, Resumed::Exact | Resumed::Gap) => {
                assert!(
                    client_session.may_be_known,
                    "a client that never was here is taken for a known one"
                );
                let fits = if client_session.is_known {
                    opened.seq == client_session.position
                } else {
                    opened.seq <= client_session.highest.max(client_session.position)
                };
                assert!(
                    fits,
                    "goes on after {}, and has acknowledged {}",
                    opened.seq, client_session.position
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
        if !client_session.is_known || matches!(opened.resume, Resumed::Fresh | Resumed::Reset) {
            // It may be new to the hub, and then has no filters.
            client_session.beginnings += 1;
        }
        client_session.leave();
        client_session.port = Some(port);
        client_session.generation += 1;
        client_session.exact = opened.resume == Resumed::Exact;
        client_session.window = window;
        client_session.delivered = opened.seq;
        client_session.position = opened.seq;
        client_session.highest = client_session.highest.max(opened.seq);
        match opened.resume {
            Resumed::Fresh => {
                client_session.placed.insert(opened.seq, Progress::at(taken));
            }
            Resumed::Reset => {
                client_session
                    .placed
                    .entry(opened.seq)
                    .or_insert(Progress::UNKNOWN);
            }
            Resumed::Exact | Resumed::Gap => {}
        }
        client_session.is_known = true;
        client_session.may_be_known = true;
        let holds = &mut self.ports.get_mut(&port).unwrap().holds;
        if !holds.contains(&slot) {
            holds.push(slot);
        }
        for item in &opened.outbox {
            let token = token_of(&item.id);
            let sent = &self.sent[token];
            assert!(
                (sent.slot, sent.client) == (slot, client) && sent.accepted,
                "`{}` is not in this outbox",
                item.id
            );
        }
        self.mix(opened.seq + opened.last + opened.outbox.len() as u64);
        self.about(port, slot)
    }

    /// What was asked for while another session of that name was being closed.
    pub(super) fn opened_late(&mut self, port: PortId, slot: usize) -> Opening {
        let at = self
            .deferred
            .iter()
            .position(|(asked, of, _)| (*asked, *of) == (port, slot));
        let (_, _, opening) = self.deferred.remove(at.expect("nobody asked to open this"));
        self.cause.opened_late.push(slot);
        opening
    }

    pub(super) fn created(&mut self, slot: usize, opening: &Opening) {
        let awake = self.now.awake;
        if let Some(before) = self.session(slot) {
            let expired = before.idle_since.is_some_and(|since| {
                awake.saturating_sub(since) >= Duration::from_millis(before.options.expire)
            });
            assert!(
                before.alive != Alive::Yes || expired || before.closing.is_some(),
                "slot {slot} had a session, and it is gone: idle since {:?} of {awake:?}, expires after {} ms",
                before.idle_since,
                before.options.expire
            );
            assert!(before.dial.is_none(), "its last dial is still alive");
            before.alive = Alive::No;
        }
        let journal = self.fresh.take().map(|(id, _)| id);
        let mut session = Session::new(opening.options.clone().unwrap_or_default(), journal);
        let address = opening.address.expect("a session without an address");
        session.reach.moves(address, self.credentials.len());
        session.reach.asks();
        self.slots[slot].incarnations.push(session);
        for client in 0..self.clients.len() {
            let client_session = self.client_session(client, slot);
            let generation = self.client_sessions[client_session].generation + 1;
            self.client_sessions[client_session] = ClientSession {
                generation,
                ..ClientSession::new()
            };
        }
    }

    pub(super) fn found(&mut self, slot: usize, opening: &Opening) {
        let credentials = self.credentials.len();
        let session = self.session(slot).expect("a session that nobody has created");
        assert!(session.alive != Alive::No, "a session that had ended is back");
        session.alive = Alive::Yes;
        let updates = session.follows_options(opening.conflict);
        if updates && (opening.options.is_some() || opening.address.is_some()) {
            session.recoverable.clear();
        }
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
            session.shortest_expire = session.shortest_expire.min(options.expire);
            (session.reach.uncertain, session.reach.may_be_fewer) = (true, true);
            session.passed.clear();
            let durability = session.options.durability;
            session.options = Options {
                durability,
                ..options
            };
            session.trusts_writes |= session.options.heartbeat.is_none();
            if let Some(dial) = session.dial
                && let Some(dial) = self.dials.get_mut(&(self.incarnation, dial))
            {
                dial.disturbed = true;
            }
            let before = self
                .cause
                .dial
                .filter(|_| is_another && self.cause.slot == Some(slot));
            let goes_on = before.is_some_and(|dial| !self.dials[&(self.incarnation, dial)].over);
            assert!(
                !goes_on,
                "slot {slot} was opened for another dial, and the old one goes on"
            );
        }
    }
}
