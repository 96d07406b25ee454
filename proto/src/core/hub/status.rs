//! The contents of `status`: counters of sessions, the memory they take, and what extensions need that this broker lacks.

use crate::wire::message::{
    BrokerFrame, ExtensionMemory, MemoryReport, SessionReport, StatusReport, UnmetNeeds,
};
use crate::wire::record::Name;

use crate::core::identity::Owner;
use crate::core::io::{Caller, PortId};

use super::Hub;

/// Extensions whose unmet needs are remembered, needs of each, and characters of each need.
const MAX_UNMET: usize = 64;

impl Hub {
    /// Remembers for the command line what an extension needs and this broker lacks.
    pub(super) fn note_unmet(&mut self, port: PortId, unmet: &[&str]) {
        let Some(Caller::Extension { origin }) = self.ctx.ports.get(&port).map(|known| &known.caller) else {
            return;
        };
        if unmet.is_empty() {
            self.unmet.remove(origin);
        } else if self.unmet.len() < MAX_UNMET || self.unmet.contains_key(origin) {
            let shown = unmet.iter().take(MAX_UNMET);
            let needs = shown.map(|need| need.chars().take(MAX_UNMET).collect()).collect();
            self.unmet.insert(origin.clone(), needs);
        }
    }

    /// What this extension holds; without one what all hold together, and each of them.
    fn memory(&self, owner: Option<&Owner>) -> MemoryReport {
        let of = |origin: &Name| {
            let held = self.memory.of_origin(origin);
            (
                held as u64,
                self.memory.budget(self.ctx.dialer.rules(), origin) as u64,
            )
        };
        if let Some(owner) = owner {
            let (held, limit) = of(&owner.origin);
            return MemoryReport {
                held,
                limit,
                extensions: Vec::new(),
            };
        }
        let extension = |origin: &Name| {
            let (held, limit) = of(origin);
            ExtensionMemory {
                origin: origin.to_string(),
                held,
                limit,
            }
        };
        MemoryReport {
            held: self.memory.total() as u64,
            limit: self.ctx.dialer.rules().memory.total as u64,
            extensions: self.memory.origins().map(extension).collect(),
        }
    }

    pub(super) fn status(&mut self, port: PortId, id: Name, owner: Option<Owner>) {
        let mut total = SessionReport::default();
        let mut sessions = Vec::new();
        for session in self.sessions.values() {
            if owner
                .as_ref()
                .is_some_and(|owner| session.identity().owner != *owner)
            {
                continue;
            }
            let report = session.parts().report(self.ctx.now);
            total.dials += report.dials;
            total.reconnects += report.reconnects;
            total.received.messages += report.received.messages;
            total.received.bytes += report.received.bytes;
            total.sent.messages += report.sent.messages;
            total.sent.bytes += report.sent.bytes;
            total.queued += report.queued;
            total.unacknowledged += report.unacknowledged;
            total.dropped += report.dropped;
            total.outbox += report.outbox;
            total.clients += report.clients;
            total.filtered.add(report.filtered);
            sessions.push(report);
        }
        let memory = self.memory(owner.as_ref());
        let ports = self
            .ctx
            .ports
            .values()
            .filter(|port| port.caller != Caller::Admin)
            .count() as u64;
        let uptime = self.ctx.now.boot.saturating_sub(self.started).as_millis();
        let report = StatusReport {
            id,
            version: self.config.version,
            uptime: u64::try_from(uptime).unwrap_or(u64::MAX),
            pid: 0,
            rss: 0,
            insecure: Vec::new(),
            ports,
            memory,
            unmet: match owner {
                Some(_) => Vec::new(),
                None => self.unmet.iter().map(unmet_needs).collect(),
            },
            total,
            sessions,
        };
        self.ctx.send(port, BrokerFrame::Status(Box::new(report)));
    }
}

fn unmet_needs((origin, needs): (&Name, &Vec<String>)) -> UnmetNeeds {
    UnmetNeeds {
        origin: origin.to_string(),
        needs: needs.clone(),
    }
}
