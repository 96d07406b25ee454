//! Updates the model before the hub handles an input: attachments, ended dials, acknowledgements.

use std::time::Duration;

use longwire::core::io::{DialId, Input, LinkEvent, PortId};
use longwire::wire::message::{ClientFrame, Open};
use longwire::wire::options::Protocol;

use super::cause::Kind;
use super::clients::NEVER;
use super::session::Session;
use super::world::World;

impl World {
    /// Updates the model before the hub handles the input.
    pub(super) fn before(&mut self, input: &Input) {
        match input {
            Input::PortClosed(port) => {
                self.release_all(*port);
                self.deferred.retain(|(asked, ..)| asked != port);
                self.ports.remove(port);
            }
            Input::Frame(port, ClientFrame::Hello(hello))
                if hello.protocol == 1 && hello.needs.is_empty() =>
            {
                let Some(known) = self.ports.get(port) else { return };
                let origin = known.origin;
                let owner = self.owners.iter().position(|owner| {
                    owner.origin == self.owners[origin].origin && owner.profile == hello.profile
                });
                let client = self
                    .clients
                    .iter()
                    .position(|client| Some(client.owner) == owner && client.client == hello.client)
                    .expect("only clients that the world knows send hello");
                if known.client.is_some_and(|before| before != client) {
                    self.release_all(*port);
                    self.deferred.retain(|(asked, ..)| asked != port);
                }
                if let Some(known) = self.ports.get_mut(port) {
                    known.client = Some(client);
                }
            }
            Input::Frame(port, ClientFrame::Close { discard, .. }) => {
                if let Some(slot) = self.cause.slot
                    && self.held(*port).is_some()
                {
                    self.begins_to_close(slot, *discard);
                }
            }
            Input::Frame(port, ClientFrame::Detach { .. }) => {
                if let Some(slot) = self.cause.slot {
                    self.release(*port, slot);
                }
            }
            Input::Frame(port, ClientFrame::Ack { seq, .. }) => {
                if let Some(client_session) = self.held(*port) {
                    let client_session = &mut self.client_sessions[client_session];
                    if *seq > client_session.delivered && *seq < NEVER {
                        // What is not for this client needs no delivery; how far that reaches only the hub knows.
                        client_session.is_known = false;
                        client_session.highest = client_session.highest.max(*seq);
                        // If it does, everything that was delivered is acknowledged.
                        client_session.in_flight.clear();
                        client_session.in_flight_bytes = 0;
                    }
                    if *seq <= client_session.delivered && *seq > client_session.position {
                        client_session.position = *seq;
                        client_session.highest = client_session.highest.max(*seq);
                        while let Some((_, cost)) = client_session
                            .in_flight
                            .front()
                            .copied()
                            .filter(|(first, _)| first <= seq)
                        {
                            client_session.in_flight.pop_front();
                            client_session.in_flight_bytes -= cost;
                        }
                    }
                }
            }
            Input::Frame(port, ClientFrame::Window { window, .. }) => {
                if let Some(client_session) = self.held(*port) {
                    self.client_sessions[client_session].window = *window;
                }
            }
            Input::Link(dial, LinkEvent::Ended(_)) => self.over(*dial),
            Input::Link(dial, event) => self.opens_link(*dial, event),
            Input::Frame(port, ClientFrame::Reconnect { .. }) => {
                if let Some(slot) = self.cause.slot
                    && self.held(*port).is_some()
                    && let Some(session) = self.session(slot)
                    && session.closing.is_none()
                {
                    session.reach.asks();
                    session.reach.refusals = 0;
                }
            }
            Input::Frame(_, ClientFrame::Open(open)) => self.asks_by_opening(open),
            Input::Resumed => {
                for slot in &mut self.slots {
                    if let Some(session) = slot.incarnations.last_mut() {
                        session.reach.not_before = Duration::ZERO;
                    }
                }
            }
            Input::Rules(rules) => self.allowed = !rules.default.allow.is_empty(),
            Input::JournalLost { journal, .. } => {
                for slot in &mut self.slots {
                    if let Some(session) = slot.incarnations.last_mut()
                        && session.journal.as_ref() == Some(journal)
                    {
                        session.journal = None;
                    }
                }
            }
            _ => {}
        }
    }

    /// Somebody closes a session; `discards`: what waits is cancelled.
    fn begins_to_close(&mut self, slot: usize, discards: bool) {
        let boot = self.now.boot;
        let Some(session) = self.session(slot) else { return };
        let within = Duration::from_millis(session.options.close_timeout);
        session.closing.get_or_insert(boot + within);
        if !discards {
            return;
        }
        let incarnation = self.slots[slot].incarnations.len() - 1;
        // Their outcomes may wait behind a window.
        for sent in &mut self.sent {
            if (sent.slot, sent.incarnation) == (slot, incarnation) {
                sent.waits = None;
            }
        }
    }

    /// Whether this event opens a link that was not open: each protocol has its own.
    fn opens_link(&mut self, id: DialId, event: &LinkEvent) {
        let (boot, input) = (self.now.boot, self.inputs);
        let Some(dial) = self
            .dials
            .get_mut(&(self.incarnation, id))
            .filter(|dial| !dial.over)
        else {
            return;
        };
        let opens = match (dial.protocol, event) {
            (Protocol::WebSocket, LinkEvent::Opened { .. }) => true,
            (Protocol::EventStream | Protocol::Poll, LinkEvent::Answered(answer)) => {
                dial.question = false;
                answer.is_good()
            }
            (Protocol::SocketIo, LinkEvent::Messages(_)) => Self::has_namespaces(&dial.namespaces),
            _ => false,
        };
        if opens && !dial.open {
            dial.open = true;
            (dial.opened_at, dial.opened_by) = (boot, input);
            self.may_end_uncarried(id);
        }
    }

    /// Whether an `open` asks for a dial: not if the session waits for one, and nothing changes.
    fn asks_by_opening(&mut self, open: &Open) {
        let Some(slot) = self.cause.slot else { return };
        let waits = self.status()[slot]
            .as_ref()
            .is_some_and(|report| report.state == Some("waiting"));
        let address = self.cause.opening.as_ref().and_then(|opening| opening.address);
        let Some(session) = self.session(slot) else { return };
        let moves = address.is_some_and(|address| address != session.reach.address || !session.has_url);
        if !waits || (session.follows_options(open.conflict) && (moves || open.options.is_some())) {
            session.reach.asked = true;
        }
    }

    /// The seat that the cause's port holds in the cause's session.
    pub(super) fn held(&self, port: PortId) -> Option<usize> {
        let slot = self.cause.slot?;
        let known = self.ports.get(&port)?;
        known
            .holds
            .contains(&slot)
            .then(|| self.client_session(known.client.unwrap(), slot))
    }

    pub(super) fn after(&mut self) {
        if self.cause.kind == Kind::Timeout {
            self.closes_in_time();
        }
        if let Some((slot, most)) = self.bounded_outbox.take()
            && let Some(report) = &self.status()[slot]
        {
            assert!(
                report.outbox <= most as u64,
                "the outbox holds {} of {most}",
                report.outbox
            );
        }
    }

    /// No closed session exists longer than its `closeTimeout`.
    fn closes_in_time(&mut self) {
        let boot = self.now.boot;
        let is_late = |session: &Session| session.closing.is_some_and(|by| boot >= by);
        let late: Vec<usize> = (0..self.slots.len())
            .filter(|slot| {
                self.is_closing(*slot) && self.slots[*slot].incarnations.last().is_some_and(is_late)
            })
            .collect();
        if late.is_empty() {
            return;
        }
        let reports = self.status();
        for slot in late {
            assert!(
                reports[slot].is_none(),
                "slot {slot} was closed, and does not end"
            );
        }
    }

    /// A port does not hold a session any more.
    pub(super) fn release(&mut self, port: PortId, slot: usize) {
        let Some(known) = self.ports.get_mut(&port) else {
            return;
        };
        let Some(index) = known.holds.iter().position(|held| *held == slot) else {
            return;
        };
        known.holds.swap_remove(index);
        let client = known.client.unwrap();
        let client_session = self.client_session(client, slot);
        self.client_sessions[client_session].leave();
        let attached = (0..self.clients.len()).any(|client| {
            let client_session = self.client_session(client, slot);
            self.client_sessions[client_session].port.is_some()
        });
        let awake = self.now.awake;
        if let Some(session) = self.session(slot)
            && !attached
        {
            session.idle_since.get_or_insert(awake);
        }
    }

    pub(super) fn release_all(&mut self, port: PortId) {
        let held = self.ports.get(&port).map(|port| port.holds.clone());
        for slot in held.unwrap_or_default() {
            self.release(port, slot);
        }
    }

    /// A dial has ended, whoever ended it.
    pub(super) fn over(&mut self, id: DialId) {
        if let Some(dial) = self.dials.get_mut(&(self.incarnation, id))
            && !dial.over
        {
            dial.over = true;
            dial.open = false;
            let slot = dial.slot;
            if let Some(session) = self.session(slot)
                && session.dial == Some(id)
            {
                session.dial = None;
            }
        }
    }
}
