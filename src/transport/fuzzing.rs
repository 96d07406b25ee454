//! Public functions around private decoders. Compiled for the targets in `fuzz/` only.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::cookies::Jars;
use super::credit::Credit;
use super::deflate::{Agreement, Inflater};
use super::handshake;
use super::inbox::{Inbox, InboxLimit};
use super::place;
use super::reader::FrameReader;
use crate::core::io::{Incoming, Target};

/// What was read of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReadResult {
    /// Payload bytes of whole messages.
    pub bytes: usize,
    pub messages: usize,
    /// Calls of the reader.
    pub steps: usize,
    /// It ended with a violation of the protocol.
    pub is_broken: bool,
}

/// Reads bytes of a WebSocket in pieces, as a link does. `compressed`: permessage-deflate was agreed upon, with or
/// without a window that is kept.
pub fn websocket(data: &[u8], piece: usize, compressed: Option<bool>, max_message: usize) -> ReadResult {
    let inflater = compressed.and_then(|keeps| {
        let answer = if keeps {
            "permessage-deflate"
        } else {
            "permessage-deflate; server_no_context_takeover"
        };
        Agreement::read(answer).ok().flatten().map(Inflater::new)
    });
    let mut reader = FrameReader::new(max_message, true, inflater).counted_by(Credit::default());
    let (mut inbox, mut read, mut output) = (Inbox::default(), ReadResult::default(), Vec::new());
    let limit = InboxLimit {
        messages: 16,
        bytes: 64 << 10,
    };
    for piece in data.chunks(piece.max(1)) {
        output.extend_from_slice(piece);
        loop {
            read.steps += 1;
            let taken = reader.read(&output, &mut inbox, limit);
            read.is_broken = taken.is_err();
            output.drain(..taken.unwrap_or(0));
            let is_full = inbox.holds(limit.messages, limit.bytes);
            for message in inbox.messages.drain(..) {
                read.messages += 1;
                if let Incoming::Message(payload) = message {
                    assert!(payload.len() <= max_message);
                    read.bytes += payload.len();
                }
            }
            (inbox.bytes, inbox.work) = (0, 0);
            inbox.pings.clear();
            inbox.pongs.clear();
            // What was read before the fault counts too, in however many pieces.
            if read.is_broken {
                return read;
            }
            if !is_full || inbox.close.is_some() {
                break;
            }
        }
        reader.release_buffers();
    }
    read
}

/// Answers a handshake with these bytes; whether it was taken.
pub async fn handshake(answer: &[u8], target: &Target) -> bool {
    let (ours, mut theirs) = tokio::io::duplex(64 << 10);
    let place = place(&target.url).map(|(place, _)| place).unwrap_or_default();
    let serve = async {
        let mut request = vec![0; 16 << 10];
        let _ = theirs.read(&mut request).await;
        let _ = theirs.write_all(answer).await;
        drop(theirs);
    };
    let jar = Jars::default().of(None, &target.url, &target.headers);
    let (upgraded, ()) = tokio::join!(handshake::upgrade(ours, target, &place, &jar), serve);
    upgraded.is_ok()
}
