//! What browsers do, by chance: ports come and go, clients open, acknowledge (rightly or not), bring credentials.
//!
//! Which of it happens next is `steps`; what clients send is in `sending`.

use longwire::core::io::{Caller, Input, PortId};
use longwire::wire::message::{Authorize, ClientFrame, Conflict, Hello, Open, Resume};
use longwire::wire::options::{Durability, Options};
use longwire::wire::record::Name;

use super::model::Port;
use super::options::{mixed_options, random_options, random_window};
use super::session::Alive;
use super::steps::StepWeights;
use super::world::World;

/// A number that no record bears.
pub(super) const NEVER: u64 = 1 << 50;

impl World {
    /// Any port, fenced ones included.
    pub(super) fn some_port(&mut self) -> Option<PortId> {
        let ports: Vec<PortId> = self.ports.keys().copied().collect();
        (!ports.is_empty()).then(|| *self.rng.pick(&ports))
    }

    /// A port and one of the sessions it may name, mostly one it holds.
    pub(super) fn some_session(&mut self) -> Option<(PortId, usize)> {
        let port = self.some_port()?;
        let known = &self.ports[&port];
        let client = known.client?;
        if !known.holds.is_empty() && self.rng.percent(92) {
            let holds = self.ports[&port].holds.clone();
            return Some((port, *self.rng.pick(&holds)));
        }
        let owner = self.clients[client].owner;
        let slots: Vec<usize> = (0..self.slots.len())
            .filter(|slot| self.slots[*slot].owner == owner)
            .collect();
        (!slots.is_empty()).then(|| (port, *self.rng.pick(&slots)))
    }

    pub(super) fn frame(&mut self, make: impl FnOnce(Name) -> ClientFrame) {
        if let Some((port, slot)) = self.some_session() {
            let frame = make(self.slots[slot].name.clone());
            self.give(Input::Frame(port, frame));
        }
    }

    pub(super) fn opens_port(&mut self) {
        if self.ports.len() >= 6 {
            return;
        }
        let slot = self.rng.below(self.slots.len());
        let owner = self.slots[slot].owner;
        let clients: Vec<usize> = (0..self.clients.len())
            .filter(|client| self.clients[*client].owner == owner)
            .collect();
        let client = *self.rng.pick(&clients);
        let port = self.port_for(client);
        if self.rng.percent(95) {
            self.hello_as(port, client);
        }
    }

    /// A new port of this person's browser, before `hello`.
    pub(super) fn port_for(&mut self, client: usize) -> PortId {
        self.last_port += 1;
        let port = PortId(self.last_port);
        let owner = self.clients[client].owner;
        let origin = self.owners[owner].origin.clone();
        self.ports.insert(
            port,
            Port {
                origin: owner,
                client: None,
                holds: Vec::new(),
                queue: std::collections::VecDeque::new(),
            },
        );
        self.give(Input::PortOpened(port, Caller::Extension { origin }));
        port
    }

    pub(super) fn hello_as(&mut self, port: PortId, client: usize) {
        let client = &self.clients[client];
        let hello = Hello {
            protocol: 1,
            profile: self.owners[client.owner].profile.clone(),
            client: client.client.clone(),
            instance: None,
            needs: Vec::new(),
            accepts: Vec::new(),
        };
        self.give(Input::Frame(port, ClientFrame::Hello(hello)));
    }

    pub(super) fn sends_hello(&mut self, port: PortId) {
        let origin = &self.owners[self.ports[&port].origin].origin;
        let clients: Vec<usize> = (0..self.clients.len())
            .filter(|client| self.owners[self.clients[*client].owner].origin == *origin)
            .collect();
        let client = *self.rng.pick(&clients);
        if self.rng.percent(90) {
            return self.hello_as(port, client);
        }
        let hello = Hello {
            protocol: if self.rng.percent(50) { 2 } else { 1 },
            profile: "default".into(),
            client: "main".into(),
            instance: None,
            needs: vec!["telepathy".to_owned()],
            accepts: Vec::new(),
        };
        self.give(Input::Frame(port, ClientFrame::Hello(hello)));
    }

    pub(super) fn opens(&mut self, weights: &StepWeights) {
        let Some(port) = self.some_port() else { return };
        let Some(client) = self.ports[&port].client else {
            return;
        };
        let owner = self.clients[client].owner;
        let slots: Vec<usize> = (0..self.slots.len())
            .filter(|slot| self.slots[*slot].owner == owner)
            .collect();
        if slots.is_empty() {
            return;
        }
        let slot = *self.rng.pick(&slots);
        if self.deferred.iter().any(|(_, of, _)| *of == slot) {
            return;
        }
        let resume = self.some_resume(client, slot);
        let is_new = self.slots[slot]
            .incarnations
            .last()
            .is_none_or(|session| session.alive == Alive::No || session.closing.is_some());
        let options = self.some_options(slot, is_new, weights);
        let moves = is_new || self.rng.percent(10);
        let address = if moves {
            self.rng.below(2)
        } else {
            self.slots[slot].incarnations.last().unwrap().reach.address
        };
        let url = self
            .rng
            .percent(85)
            .then(|| self.slots[slot].addresses[address].clone());
        let open = Open {
            id: "o".into(),
            session: self.slots[slot].name.clone(),
            url,
            options,
            ignored: Vec::new(),
            resume,
            conflict: *self.rng.pick(&[
                Conflict::Update,
                Conflict::Update,
                Conflict::Keep,
                Conflict::Error,
            ]),
        };
        self.give(Input::Frame(port, ClientFrame::Open(Box::new(open))));
    }

    /// Where a client says it was: mostly nowhere or right, sometimes earlier or somewhere that never was.
    fn some_resume(&mut self, client: usize, slot: usize) -> Option<Resume> {
        let client_session = &self.client_sessions[self.client_session(client, slot)];
        let right = client_session.epoch.as_ref().map(|epoch| Resume {
            epoch: epoch.to_string(),
            seq: client_session.processed,
        });
        let history: Vec<u64> = client_session
            .history
            .keys()
            .copied()
            .filter(|seq| *seq <= client_session.processed)
            .collect();
        match self.rng.below(20) {
            0..=7 => None,
            8..=14 => right,
            15 | 16 if !history.is_empty() => right.map(|right| Resume {
                seq: *self.rng.pick(&history),
                ..right
            }),
            17 => right.map(|right| Resume {
                seq: (1 << 52) + 1,
                ..right
            }),
            18 => Some(Resume {
                epoch: "another".to_owned(),
                seq: self.rng.between(0, 10_000),
            }),
            _ => right.map(|right| Resume { seq: 0, ..right }),
        }
    }

    /// Options for a session that is new, and now and then others for one that is not.
    fn some_options(&mut self, slot: usize, is_new: bool, weights: &StepWeights) -> Option<Options> {
        let options = if is_new || self.rng.percent(15) {
            let disk = self.slots[slot].disk;
            if self.mixed {
                let own = self.slots[slot].addresses[0].clone();
                Some(mixed_options(&mut self.rng, disk, &own))
            } else if self.rng.percent(weights.plain) {
                disk.then(|| Options {
                    durability: Durability::Disk,
                    ..Options::default()
                })
            } else {
                Some(random_options(&mut self.rng, disk))
            }
        } else {
            None
        };
        if self.strict && is_new {
            let options = options.unwrap_or_default();
            Some(Options {
                auth_provider: true,
                ..options
            })
        } else {
            options
        }
    }

    pub(super) fn acknowledges(&mut self) {
        let Some((port, slot)) = self.some_session() else {
            return;
        };
        let Some(client) = self.ports[&port].client else {
            return;
        };
        let client_session = &self.client_sessions[self.client_session(client, slot)];
        if client_session.port != Some(port) {
            return;
        }
        let processed = client_session.processed;
        // Mostly the last one; sometimes one before it, which changes nothing or less.
        let back = if self.rng.percent(70) {
            0
        } else {
            self.rng.below(4)
        };
        let before = client_session.history.range(..=processed).nth_back(back);
        let seq = before.map_or(processed, |(seq, _)| *seq);
        let session = self.slots[slot].name.clone();
        self.give(Input::Frame(port, ClientFrame::Ack { session, seq }));
    }

    /// Late ones from fenced ports, ones for what was never delivered.
    pub(super) fn acknowledges_wrongly(&mut self) {
        let Some(port) = self.some_port() else { return };
        let Some(client) = self.ports[&port].client else {
            return;
        };
        let owner = self.clients[client].owner;
        let slot = self.rng.below(self.slots.len());
        if self.slots[slot].owner != owner {
            return;
        }
        let client_session = &self.client_sessions[self.client_session(client, slot)];
        let is_fenced = client_session.port != Some(port);
        let seq = if is_fenced && self.rng.percent(80) {
            // A worker that was replaced may have processed what its successor has not.
            client_session.delivered
        } else {
            NEVER + self.rng.between(0, 100)
        };
        let session = self.slots[slot].name.clone();
        self.give(Input::Frame(port, ClientFrame::Ack { session, seq }));
    }

    pub(super) fn changes_window(&mut self) {
        let window = random_window(&mut self.rng);
        let id = self.rng.percent(30).then(|| "w".into());
        self.frame(|session| ClientFrame::Window { session, window, id });
    }

    pub(super) fn authorizes(&mut self) {
        let Some((port, slot)) = self.some_session() else {
            return;
        };
        let client = self.ports[&port].client.unwrap();
        let nonce = self.client_sessions[self.client_session(client, slot)]
            .nonce
            .clone();
        self.authorize(port, slot, nonce);
    }

    /// An answer to `auth-needed`, mostly a good one.
    fn authorize(&mut self, port: PortId, slot: usize, nonce: Option<String>) {
        let number = self.credentials.len();
        self.credentials.push(slot);
        let known = self.slots[slot].incarnations.last();
        let address = known.map_or(0, |session| session.reach.address);
        let addresses = &self.slots[slot].addresses;
        let url = match self.rng.below(10) {
            0 => Some(format!("{}?ticket={number}", addresses[1 - address])),
            1 => Some(format!(
                "{}?ticket={number}",
                addresses[address].replacen("ws", "wss", 1)
            )),
            2..=4 => Some(format!("{}?ticket={number}", addresses[address])),
            _ => None,
        };
        let frame = Authorize {
            session: Some(self.slots[slot].name.clone()),
            id: Some(format!("c{number}").into()),
            nonce: match self.rng.below(10) {
                0 => Some("another".to_owned()),
                1 | 2 => None,
                _ => nonce,
            },
            headers: Some(vec![("Authorization".to_owned(), format!("Bearer {number}"))]),
            url,
            subprotocols: None,
            auth: None,
            failed: self.rng.percent(10).then(|| "nobody is here".to_owned()),
        };
        self.give(Input::Frame(port, ClientFrame::Authorize(Box::new(frame))));
    }
}
