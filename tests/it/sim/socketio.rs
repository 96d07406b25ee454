//! Socket.IO connections: namespaces that are opened, refused and dropped, and recovery. What they carry is in `events`.
//!
//! What a server remembers of a connection (its id and the last offset) it must receive, and no other server.

use longwire::core::io::{DialId, Incoming, Input, LinkEvent};
use longwire::wire::payload::Payload;
use longwire::wire::record::StateChange;
use serde_json::{Value, json};

use super::world::World;

/// Where plain messages go. It is never refused: greetings and subscriptions are sent there.
pub(super) const PLAIN: &str = "/";
/// What the session's options may ask for; the first is the one that the session stands and falls with.
pub(super) const NAMESPACES: [&[&str]; 4] = [&["/"], &["/", "/n"], &["/n", "/"], &["/", "/n", "/m?a=1"]];
/// A namespace of a dial, from the moment the server is asked for it.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) name: String,
    pub(super) state: NamespaceState,
    /// The id of an earlier connection that the server received, to recover it; and the id of this one.
    sent_id: Option<String>,
    pub(super) pid: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamespaceState {
    Asked,
    Open,
    /// Refused, or dropped.
    Dropped,
}

/// A connection that a server remembers, by its id.
#[derive(Debug)]
pub(super) struct Remembered {
    namespace: String,
    base: String,
    /// The offset of the last event: one of these, if the hub may not have read the last ones.
    offsets: Vec<Option<String>>,
}

/// Events that the hub is about to receive, with offsets, in order, by the ids of their connections.
pub(super) type Offsets = Vec<(String, String)>;

/// A packet that names its namespace.
pub(super) fn in_namespace(kind: &str, namespace: &str, data: &str) -> String {
    let name = if namespace == PLAIN { "" } else { namespace };
    let comma = if name.is_empty() { "" } else { "," };
    format!("4{kind}{name}{comma}{data}")
}

/// The namespace of a packet and what stands behind it.
pub(super) fn taken_apart(rest: &str) -> (String, &str) {
    if !rest.starts_with('/') {
        return (PLAIN.to_owned(), rest);
    }
    let (name, data) = rest.split_once(',').unwrap_or((rest, ""));
    (name.split('?').next().unwrap().to_owned(), data)
}

impl World {
    /// The server sends its greeting, and then answers for one namespace after another.
    pub(super) fn sends_greeting(&mut self, id: DialId) {
        if !self.dials[&(self.incarnation, id)].greeted {
            let opened = LinkEvent::Opened {
                subprotocol: None,
                extensions: None,
            };
            self.give(Input::Link(id, opened));
            let most = *self.rng.pick(&[1_000_000, 1_000_000, 300]);
            let greeting = format!(
                r#"0{{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":{most}}}"#
            );
            let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
            (dial.greeted, dial.max_payload) = (true, most);
            self.packet(id, &greeting);
        }
        while !self.was_killed && !self.dials[&(self.incarnation, id)].over && self.rng.percent(80) {
            let asked = self.namespaces(id, NamespaceState::Asked);
            if asked.is_empty() {
                return;
            }
            let at = *self.rng.pick(&asked);
            self.answers_connect(id, at);
        }
    }

    pub(super) fn namespaces(&self, id: DialId, state: NamespaceState) -> Vec<usize> {
        let all = self.dials[&(self.incarnation, id)].namespaces.iter().enumerate();
        all.filter(|(_, known)| known.state == state)
            .map(|(at, _)| at)
            .collect()
    }

    /// Whether the server may do without a namespace: not without the first, nor the one of plain messages.
    fn is_spare(&self, id: DialId, at: usize) -> bool {
        at > 0 && self.dials[&(self.incarnation, id)].namespaces[at].name != PLAIN
    }

    /// A namespace is open, or refused. A server that remembers connections gives an id, and the same again when it
    /// goes on with one.
    fn answers_connect(&mut self, id: DialId, at: usize) {
        let known = &self.dials[&(self.incarnation, id)].namespaces[at];
        let (name, sent_id) = (known.name.clone(), known.sent_id.clone());
        if self.is_spare(id, at) && self.rng.percent(20) {
            self.loses_namespace(id, at);
            return self.packet(id, &in_namespace("4", &name, r#"{"message":"no"}"#));
        }
        let recovered = sent_id.filter(|_| self.rng.percent(60));
        let is_new = recovered.is_none().then(|| self.rng.percent(60));
        let pid = match is_new {
            None => recovered.clone(),
            Some(false) => None,
            Some(true) => Some(format!("p{}", self.rng.below(1_000_000_000))),
        };
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        if at == 0 {
            dial.resumes = recovered.is_some();
        }
        let base = dial.base.clone();
        let slot = dial.slot;
        let known = &mut dial.namespaces[at];
        (known.state, known.pid) = (NamespaceState::Open, pid.clone());
        let session = self.session(slot).unwrap();
        session.recoverable.remove(&name);
        if let Some(pid) = &pid {
            session
                .recoverable
                .insert(name.clone(), (base.clone(), pid.clone()));
            session.remembered.entry(pid.clone()).or_insert(Remembered {
                namespace: name.clone(),
                base,
                offsets: vec![None],
            });
        }
        let data = match pid {
            Some(pid) => json!({ "sid": "y", "pid": pid }),
            None => json!({ "sid": "y" }),
        };
        self.packet(id, &in_namespace("0", &name, &data.to_string()));
    }

    fn loses_namespace(&mut self, id: DialId, at: usize) {
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        dial.namespaces[at].state = NamespaceState::Dropped;
        let (slot, name) = (dial.slot, dial.namespaces[at].name.clone());
        self.session(slot).unwrap().lost_namespaces.insert(name);
        self.may_end_uncarried(id);
    }

    /// The server drops a namespace that the session can do without, or sends a ping.
    pub(super) fn pings(&mut self, id: DialId) {
        let open = self.namespaces(id, NamespaceState::Open);
        let spare = open.into_iter().find(|at| self.is_spare(id, *at));
        match spare.filter(|_| self.rng.percent(50)) {
            None => self.packet(id, "2"),
            Some(at) => {
                self.loses_namespace(id, at);
                let name = self.dials[&(self.incarnation, id)].namespaces[at].name.clone();
                self.packet(id, &in_namespace("1", &name, ""));
            }
        }
    }

    /// A namespace is requested. The id and offset of an earlier connection came from this server, for this namespace, and it
    /// receives those that it remembers.
    pub(super) fn connects(&mut self, id: DialId, data: &str) {
        let (name, data) = taken_apart(data);
        let data: Option<Value> = serde_json::from_str(data).ok();
        let text = |field: &str| Some(data.as_ref()?.get(field)?.as_str()?.to_owned());
        let (pid, offset) = (text("pid"), text("offset"));
        let dial = &self.dials[&(self.incarnation, id)];
        let (slot, base) = (dial.slot, dial.base.clone());
        let session = self.slots[slot].incarnations.last().unwrap();
        let known = session.recoverable.get(&name);
        assert!(
            known.is_none_or(|(at, known)| *at != base || pid.as_ref() == Some(known)),
            "slot {slot} sends `{pid:?}` to a server that remembers {known:?}"
        );
        if let Some(pid) = &pid {
            let known = session.remembered.get(pid);
            assert!(
                known.is_some_and(|known| (&known.namespace, &known.base) == (&name, &base)),
                "slot {slot} names the connection `{pid}`, which this server never gave for `{name}`: {known:?}"
            );
            assert!(
                known.is_some_and(|known| known.offsets.contains(&offset)),
                "slot {slot} sends the offset {offset:?} of connection `{pid}`, and has read up to {known:?}"
            );
        }
        let dial = self.dials.get_mut(&(self.incarnation, id)).unwrap();
        dial.namespaces.push(Namespace {
            name,
            state: NamespaceState::Asked,
            sent_id: pid,
            pid: None,
        });
    }

    /// Whether a dial is open: every namespace was answered, and the first is there.
    pub(super) fn has_namespaces(namespaces: &[Namespace]) -> bool {
        let is_answered = |known: &Namespace| known.state != NamespaceState::Asked;
        namespaces.iter().all(is_answered)
            && namespaces
                .first()
                .is_some_and(|main| main.state == NamespaceState::Open)
    }

    pub(super) fn packet(&mut self, id: DialId, packet: &str) {
        let packet = Incoming::Message(Payload::text(packet));
        self.give(Input::Link(id, LinkEvent::Messages(vec![packet])));
    }

    /// The hub receives a packet of a dial's server.
    pub(super) fn tells(&mut self, id: DialId, event: LinkEvent) {
        self.give(Input::Link(id, event));
        self.receives_offsets(id);
    }

    /// The hub has received events: their offsets are the resume positions. If it hung up, it may have read any of them.
    fn receives_offsets(&mut self, id: DialId) {
        let slot = self.dials[&(self.incarnation, id)].slot;
        let all = std::mem::take(&mut self.offsets);
        let is_certain = !self.hung_up;
        let Some(session) = self.session(slot) else { return };
        for (pid, offset) in all {
            let Some(known) = session.remembered.get_mut(&pid) else {
                continue;
            };
            if is_certain {
                known.offsets.clear();
            }
            known.offsets.push(Some(offset));
        }
    }

    /// A reported state of a namespace is true.
    pub(super) fn is_lost(&self, slot: usize, change: &StateChange) {
        let session = self.slots[slot].incarnations.last().unwrap();
        let is_so = |name: &String| session.lost_namespaces.contains(name);
        assert!(
            change.namespace.as_ref().is_none_or(is_so),
            "slot {slot} loses the namespace {:?}, and the server did not say so",
            change.namespace
        );
    }
}
