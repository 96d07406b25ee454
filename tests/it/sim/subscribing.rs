//! Subscriptions, as clients set and remove them: what is sent on each connection, and which filters there are.

use longwire::core::io::{Input, PortId};
use longwire::wire::message::{BrokerFrame, ClientFrame, Subscribe};
use longwire::wire::payload::Payload;
use longwire::wire::record::Name;

use super::filters::{ACTIONS, Action, Filter};
use super::model::Queued;
use super::options::READY;
use super::world::World;

impl World {
    pub(super) fn subscribes(&mut self) {
        let Some((port, slot)) = self.some_session() else {
            return;
        };
        if !self.ports[&port].holds.contains(&slot) {
            return;
        }
        let key: Name = format!("k{}", self.rng.below(3)).into();
        if self.rng.percent(30) {
            return self.subscribes_to(port, slot, &key, None);
        }
        let some = *self.rng.pick(&[0, 30, 60]);
        let actions = ACTIONS.into_iter().filter(|_| self.rng.percent(some)).collect();
        self.subscribes_to(port, slot, &key, Some(actions));
    }

    /// Sets a subscription with a filter that does all this, or forgets it.
    pub(super) fn subscribes_to(
        &mut self,
        port: PortId,
        slot: usize,
        key: &Name,
        actions: Option<Vec<Action>>,
    ) {
        let name = self.slots[slot].name.clone();
        let number = self.rng.below(1_000_000);
        let incarnation = self.incarnation;
        let session = self.slots[slot].incarnations.last_mut().unwrap();
        if let Some(dial) = session.dial
            && let Some(dial) = self.dials.get_mut(&(incarnation, dial))
        {
            dial.disturbed = true;
        }
        let earlier = session.subscriptions.clone();
        session.subscriptions.retain(|(known, _)| known != key);
        let frame = match &actions {
            None => ClientFrame::Unsubscribe {
                session: name,
                id: "u".into(),
                key: key.clone(),
            },
            Some(actions) => {
                session.subscriptions.push((key.clone(), number));
                ClientFrame::Subscribe(Box::new(Subscribe {
                    session: name,
                    id: "u".into(),
                    key: key.clone(),
                    send: vec![Payload::text(format!("sub{number}"))],
                    undo: vec![Payload::text("undo")],
                    confirm: self.rng.percent(30).then(|| READY.clone()),
                    filter: actions.iter().flat_map(|action| action.lines()).collect(),
                }))
            }
        };
        let before = self.confirmations(port);
        self.give(Input::Frame(port, frame));
        if self.confirmations(port) > before {
            self.filter_changes(port, slot, key, actions);
        } else if let Some(session) = self.slots[slot]
            .incarnations
            .last_mut()
            .filter(|_| !self.was_killed)
        {
            // Refused: what there was before goes on.
            session.subscriptions = earlier;
        }
    }

    /// Subscriptions that were accepted at a port, of those whose answers it has not read.
    fn confirmations(&self, port: PortId) -> usize {
        let queue = self.ports.get(&port).map(|port| port.queue.iter());
        let is_confirmation =
            |queued: &&Queued| matches!(&queued.frame, BrokerFrame::Ok { id } if &**id == "u");
        queue.map_or(0, |queue| queue.filter(is_confirmation).count())
    }

    /// Which filters there are, once a subscription has changed: its own is replaced, and removed for all clients.
    fn filter_changes(&mut self, port: PortId, slot: usize, key: &Name, actions: Option<Vec<Action>>) {
        for client in 0..self.clients.len() {
            let is_own = self.ports[&port].client == Some(client);
            let client_session = self.client_session(client, slot);
            let client_session = &mut self.client_sessions[client_session];
            if is_own || actions.is_none() {
                client_session.filters.remove(key);
            }
            if let Some(actions) = actions.as_ref().filter(|actions| is_own && !actions.is_empty()) {
                let filter = Filter::new(actions.clone(), client_session.beginnings);
                client_session.filters.insert(key.clone(), filter);
            }
        }
    }
}
