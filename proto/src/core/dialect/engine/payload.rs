//! Engine.IO payloads: packets in the body of one request or response, as text.
//!
//! What the packets mean is not looked at.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use bytes::{Buf as _, Bytes};

use crate::wire::payload::Payload;

/// Between packets of one body.
pub(super) const SEPARATOR: char = '\u{1e}';

const SEPARATOR_BYTE: u8 = 0x1e;

/// Packets reported at once, and bytes of them: more of a body is read when these have been taken.
pub(super) const MAX_REPORTED_PACKETS: usize = 256;

const MAX_REPORTED_BYTES: usize = 1 << 20;

/// Packets from the beginning of an answer: no more at once than others can wait for.
#[derive(Debug)]
pub struct Packets {
    packets: Vec<Payload>,
    /// What comes behind them.
    rest: Bytes,
    /// Why what comes behind them is none.
    fault: Option<&'static str>,
}

impl Packets {
    /// Reads packets.
    pub fn decode(body: Bytes) -> Self {
        let whole = body.len();
        let mut read = Self {
            packets: Vec::new(),
            rest: body,
            fault: None,
        };
        let mut bytes = 0;
        while !read.rest.is_empty() && read.packets.len() < MAX_REPORTED_PACKETS && bytes < MAX_REPORTED_BYTES
        {
            let end = read.rest.iter().position(|byte| *byte == SEPARATOR_BYTE);
            let mut packet = read.rest.split_to(end.unwrap_or(read.rest.len()));
            read.rest.advance(usize::from(end.is_some()));
            if packet.is_empty() {
                continue;
            }
            bytes += packet.len();
            // A small part must not keep the whole.
            if packet.len() <= whole / 2 {
                packet = Bytes::copy_from_slice(&packet);
            }
            match decoded(packet) {
                Ok(packet) => read.packets.push(packet),
                Err(why) => {
                    read.fault = Some(why);
                    break;
                }
            }
        }
        read
    }

    /// The packets, what comes behind them, and why that is none.
    pub(super) fn into_parts(self) -> (Vec<Payload>, Bytes, Option<&'static str>) {
        (self.packets, self.rest, self.fault)
    }
}

/// Base64 that is read without padding as well, as JavaScript clients read it.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn decoded(packet: Bytes) -> Result<Payload, &'static str> {
    if let Some(encoded) = packet.strip_prefix(b"b") {
        let bytes = BASE64
            .decode(encoded)
            .map_err(|_| "a binary packet is not base64")?;
        return Ok(Payload::Binary(bytes.into()));
    }
    Payload::text_from_utf8(packet).ok_or("a polling response is not UTF-8")
}

/// Bytes as a packet of text.
pub(super) fn in_base64(bytes: &[u8]) -> String {
    format!("b{}", BASE64.encode(bytes))
}
