//! The contents of a session's journal record, and its bytes. Old journals must stay readable: kinds are append-only.
//!
//! It holds no credentials: URLs, headers, cookies and greetings are never written.

mod accepted;
mod forms;
mod log_entry;
mod payload;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::wire::record::{Name, Outcome, Record};

pub(crate) use self::accepted::{Accepted, AcceptedHead};
use self::accepted::{decode_accepted, encode_accepted};
use self::forms::OutcomeForm;
pub(crate) use self::forms::OverflowForm;
use self::log_entry::decode_record;
pub(crate) use self::log_entry::encode_record;
use super::identity::ClientId;
use super::journal::RawRecord;

/// Format of the records below; a newer one is refused.
pub(crate) const VERSION: u32 = 1;

const META: u8 = 1;
const RECORD: u8 = 2;
const RESERVED: u8 = 3;
const POSITION: u8 = 4;
const ACCEPTED: u8 = 5;
const INTENT: u8 = 6;
const SETTLED: u8 = 7;
const CLEAN: u8 = 8;
const LAST: u8 = 9;
const FORGOTTEN: u8 = 10;

/// A larger content is not copied into its record.
const MAX_COPIED: usize = 64 << 10;

/// One journal record of a session.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum JournalRecord {
    /// What the session is.
    Meta(Meta),
    /// An entry of its log.
    Record {
        record: Record,
        audience: Option<ClientId>,
    },
    /// Numbers up to here may have been used.
    Reserved(u64),
    /// A client and what it has finished.
    Position {
        id: u32,
        name: Name,
        acked: u64,
        lost_before: u64,
    },
    /// A message was accepted.
    Accepted(Box<Accepted>),
    /// It is about to be written.
    Intent(u64),
    /// It ended.
    Settled {
        client: u32,
        id: Name,
        outcome: Option<Outcome>,
    },
    /// The broker left in order: nothing was lost after this.
    Clean,
    /// Numbers up to here were used: their records may all be finished and gone.
    Last(u64),
    /// A client is not known any more: what it has not finished may be gone.
    Forgotten(u32),
}

/// What a session is, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) version: u32,
    pub(crate) origin: Name,
    pub(crate) profile: Name,
    pub(crate) session: Name,
    pub(crate) epoch: Name,
    /// Which boot of the machine wrote it: within one boot the page cache outlives the broker.
    pub(crate) machine_boot: String,
    pub(crate) expire: u64,
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) age: u64,
    /// The session is in memory: the journal carries it from one broker to the next, and is removed then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) in_memory: bool,
    pub(crate) overflow: OverflowForm,
}

impl JournalRecord {
    /// The record's bytes.
    pub(crate) fn encode(&self) -> RawRecord {
        let mut content = Bytes::new();
        let (kind, seq, data) = match self {
            Self::Meta(meta) => (META, 0, json(meta)),
            Self::Record { record, audience } => return encode_record(record, *audience),
            Self::Reserved(seq) => (RESERVED, 0, Bytes::copy_from_slice(&seq.to_le_bytes())),
            Self::Position {
                id,
                name,
                acked,
                lost_before,
            } => (POSITION, 0, json(&(id, name, acked, lost_before))),
            Self::Accepted(accepted) => {
                let (data, apart) = encode_accepted(accepted);
                content = apart;
                (ACCEPTED, 0, data)
            }
            Self::Intent(serial) => (INTENT, 0, Bytes::copy_from_slice(&serial.to_le_bytes())),
            Self::Settled { client, id, outcome } => {
                let outcome = outcome.map(OutcomeForm::from);
                (SETTLED, 0, json(&(client, id, outcome)))
            }
            Self::Clean => (CLEAN, 0, Bytes::new()),
            Self::Last(seq) => (LAST, 0, Bytes::copy_from_slice(&seq.to_le_bytes())),
            Self::Forgotten(client) => {
                let client = u64::from(*client);
                (FORGOTTEN, 0, Bytes::copy_from_slice(&client.to_le_bytes()))
            }
        };
        RawRecord {
            kind,
            seq,
            data,
            content,
        }
    }

    /// Reads a record; `None` when it makes no sense. Kinds of a later version are skipped by the caller.
    pub(crate) fn decode(record: &RawRecord) -> Option<Self> {
        if !record.content.is_empty() {
            // Only what has not been on a disk has its content apart.
            let mut whole = record.clone();
            whole.data = [&record.data[..], &record.content[..]].concat().into();
            whole.content = Bytes::new();
            return Self::decode(&whole);
        }
        let data = &record.data;
        Some(match record.kind {
            META => Self::Meta(serde_json::from_slice(data).ok()?),
            RECORD => return decode_record(record),
            RESERVED => Self::Reserved(number(data)?),
            POSITION => {
                let (id, name, acked, lost_before) = serde_json::from_slice(data).ok()?;
                Self::Position {
                    id,
                    name,
                    acked,
                    lost_before,
                }
            }
            ACCEPTED => Self::Accepted(Box::new(decode_accepted(data)?)),
            INTENT => Self::Intent(number(data)?),
            SETTLED => {
                let (client, id, outcome): (_, _, Option<OutcomeForm>) = serde_json::from_slice(data).ok()?;
                Self::Settled {
                    client,
                    id,
                    outcome: outcome.map(Outcome::from),
                }
            }
            CLEAN => Self::Clean,
            LAST => Self::Last(number(data)?),
            FORGOTTEN => Self::Forgotten(number(data)?.try_into().ok()?),
            _ => return None,
        })
    }
}

fn number(data: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(data.get(..8)?.try_into().ok()?))
}

fn json(value: &impl Serialize) -> Bytes {
    // Strings, numbers and flags in memory: this cannot fail, and an empty record is refused when it is read.
    serde_json::to_vec(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
