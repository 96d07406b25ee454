//! What the hub writes to the journals of its sessions, before it is on the disk of the simulation.
//!
//! The disk, and what is lost of it, is `disk`.

use longwire::core::journal::{JournalEntry, JournalId, RawRecord};

use super::session::Alive;
use super::world::World;

/// The record of a journal with the identity of its session.
const META: u8 = 1;
/// How a journal marks a gap.
const GAP: u8 = 10;

impl World {
    /// The slot of the session that a journal is about, by its first record.
    fn slot_of_journal(&self, record: &RawRecord) -> Option<usize> {
        let meta: serde_json::Value = serde_json::from_slice(&record.data).ok()?;
        self.slots.iter().position(|slot| {
            let owner = &self.owners[slot.owner];
            (
                meta["session"].as_str(),
                meta["profile"].as_str(),
                meta["origin"].as_str(),
            ) == (Some(&*slot.name), Some(&*owner.profile), Some(&*owner.origin))
        })
    }

    pub(super) fn journal(&mut self, id: &JournalId, entry: JournalEntry) {
        let known = self.slots.iter().position(|slot| {
            slot.incarnations
                .last()
                .is_some_and(|session| session.journal.as_ref() == Some(id))
        });
        match (&entry, known) {
            (JournalEntry::Append { record, .. }, _) => {
                self.mix(record.seq + record.data.len() as u64);
                if record.kind == 2 {
                    self.appended += known.map_or(0, |slot| self.note_journaled(slot, record));
                }
                if known.is_none() && record.kind == META {
                    let at = self
                        .slot_of_journal(record)
                        .expect("a journal of nobody's session");
                    self.fresh = Some((id.clone(), at));
                }
            }
            (JournalEntry::Remove, Some(slot)) => {
                if let Some(session) = self.session(slot) {
                    session.journal = None;
                    session.alive = Alive::No;
                }
            }
            (JournalEntry::Trim { .. } | JournalEntry::Remove, _) => {}
        }
        self.disk.apply(id, entry);
    }

    /// How many messages a record of the log adds to those that the journal has, kept or lost.
    fn note_journaled(&mut self, slot: usize, record: &RawRecord) -> usize {
        let session = self.slots[slot].incarnations.last_mut().unwrap();
        let (seq, body) = (record.seq, record.data.get(12..).unwrap_or_default());
        match body {
            [0..=3, ..] => {
                session.journaled_upto = seq;
                1
            }
            // What has just come and is lost stands behind everything else.
            [GAP, gap @ ..] if seq > session.journaled_upto => {
                let gap: serde_json::Value = serde_json::from_slice(gap).unwrap();
                let (from, count) = (gap["from"].as_u64(), gap["count"].as_u64().unwrap());
                let before = session.journaled_gap.filter(|(known, _)| Some(*known) == from);
                session.journaled_gap = Some((from.unwrap(), count));
                usize::try_from(count - before.map_or(0, |(_, count)| count)).unwrap()
            }
            _ => 0,
        }
    }
}
