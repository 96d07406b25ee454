//! The clients of a session: at which position, through which port, and since when none is attached.
//!
//! It delivers nothing; that is `deliver`'s.

use std::ops::Deref;
use std::time::Duration;

use crate::wire::record::Name;

use crate::core::identity::ClientId;
use crate::core::io::PortId;

use super::client::{Attachment, Client};

/// What a client takes by itself.
const CLIENT_COST: usize = 512;
/// Clients one session remembers; the longest absent one is forgotten for a new one.
const MAX_CLIENTS: usize = 64;

/// The clients of one session, in order of their first coming.
#[derive(Debug, Default)]
pub(super) struct Clients {
    list: Vec<Client>,
    last: u32,
    /// Awake time since which no client is attached.
    idle_since: Option<Duration>,
}

impl Deref for Clients {
    type Target = [Client];

    fn deref(&self) -> &[Client] {
        &self.list
    }
}

impl Clients {
    /// Bytes that all this takes.
    pub(super) fn held(&self) -> usize {
        self.list
            .iter()
            .map(|client| CLIENT_COST + client.filter.held())
            .sum()
    }

    pub(super) const fn idle_since(&self) -> Option<Duration> {
        self.idle_since
    }

    /// Who holds the session through that port.
    pub(super) fn at(&self, port: PortId) -> Option<ClientId> {
        self.list
            .iter()
            .find(|client| client.port() == Some(port))
            .map(|client| client.id)
    }

    pub(super) fn of_name(&self, name: &str) -> Option<&Client> {
        self.list.iter().find(|client| &*client.name == name)
    }

    pub(super) fn get(&self, id: ClientId) -> Option<&Client> {
        self.list.iter().find(|client| client.id == id)
    }

    pub(super) fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.list.iter_mut().find(|client| client.id == id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.list.iter_mut()
    }

    /// The one at this index, with its attachment, if it has one.
    pub(super) fn attached_mut(&mut self, index: usize) -> Option<&mut Client> {
        self.list
            .get_mut(index)
            .filter(|client| client.attachment.is_some())
    }

    /// The client with this name, made if there is none, and the one that was forgotten for it.
    pub(super) fn named(
        &mut self,
        name: &Name,
        position: u64,
        now: Duration,
    ) -> (ClientId, Option<ClientId>) {
        if let Some(known) = self.of_name(name) {
            return (known.id, None);
        }
        let forgotten = (self.list.len() >= MAX_CLIENTS)
            .then(|| self.longest_absent())
            .flatten();
        if let Some(id) = forgotten {
            self.forget(id);
        }
        self.last += 1;
        let id = ClientId(self.last);
        // Most sessions have one; the usual room for four would be a fifth of an idle session.
        self.list.reserve_exact(1);
        self.list.push(Client::new(id, name.clone(), position, now));
        (id, forgotten)
    }

    fn longest_absent(&self) -> Option<ClientId> {
        let absent = self.list.iter().filter(|client| client.attachment.is_none());
        absent
            .min_by_key(|client| client.absent_since)
            .map(|client| client.id)
    }

    pub(super) fn forget(&mut self, id: ClientId) {
        self.list.retain(|client| client.id != id);
    }

    /// A client in a journal; its latest record counts.
    pub(super) fn restore(&mut self, client: Client) {
        self.last = self.last.max(client.id.0);
        self.list
            .retain(|known| known.name != client.name || known.id == client.id);
        match self.get_mut(client.id) {
            Some(known) => *known = client,
            None => self.list.push(client),
        }
    }

    /// Nobody has come yet since the broker started.
    pub(super) const fn begin_idle(&mut self, now: Duration) {
        self.idle_since = Some(now);
    }

    /// A client holds the session from here on; see [`Client::attach`].
    pub(super) fn attach(&mut self, id: ClientId, attachment: Attachment, lost_before: u64, last: u64) {
        if let Some(client) = self.get_mut(id) {
            client.attach(attachment, lost_before, last);
        }
        self.idle_since = None;
    }

    /// Ends the attachment of this client, and of every other one at the port that takes its place: a port holds a session
    /// for one client only. The port that this client held it through.
    pub(super) fn fence(&mut self, id: ClientId, new_port: PortId, now: Duration) -> Option<PortId> {
        for client in &mut self.list {
            if client.id != id && client.port() == Some(new_port) {
                client.detach(now);
            }
        }
        self.get_mut(id)?.detach(now)
    }

    /// Whoever held the session through that port holds it no more; the position stays.
    pub(super) fn leave(&mut self, port: PortId, now: Duration) {
        for client in &mut self.list {
            if client.port() == Some(port) {
                client.detach(now);
            }
        }
        if self.idle_since.is_none() && self.list.iter().all(|client| client.attachment.is_none()) {
            self.idle_since = Some(now);
        }
    }

    /// What filters hold goes out up to this record, to the clients that receive it.
    pub(super) fn release_held(&mut self, audience: Option<ClientId>, seq: u64) {
        for client in &mut self.list {
            if audience.is_none_or(|audience| audience == client.id) {
                client.release(seq);
            }
        }
    }
}
