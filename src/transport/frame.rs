//! WebSocket frames (RFC 6455, section 5): headers, masks, close payloads.
//!
//! It neither reads nor writes a socket and puts no message together.

use std::cell::RefCell;
use std::io;

/// Longest payload of a control frame, in bytes.
pub(crate) const MAX_CONTROL_BYTES: usize = 125;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    pub(crate) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A server broke the protocol; the link is to be closed with `close`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Close code to answer with.
    pub(crate) close: u16,
    /// What was wrong, for people.
    pub(crate) what: &'static str,
}

impl Violation {
    pub(crate) const fn protocol(what: &'static str) -> Self {
        Self { close: 1002, what }
    }

    pub(crate) const fn content(what: &'static str) -> Self {
        Self { close: 1007, what }
    }
}

/// The head of a frame from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    /// The first reserved bit: with permessage-deflate, a compressed message begins.
    pub(crate) rsv1: bool,
    pub(crate) opcode: Opcode,
    /// Payload bytes.
    pub(crate) len: u64,
    /// Bytes of the header itself.
    pub(crate) size: usize,
}

impl Header {
    /// Reads a header from the beginning of `input`; `None` when it is not complete yet.
    pub(crate) fn parse(input: &[u8]) -> Result<Option<Self>, Violation> {
        let [first, second, rest @ ..] = input else {
            return Ok(None);
        };
        if first & 0x30 != 0 {
            return Err(Violation::protocol("a reserved bit is set"));
        }
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Err(Violation::protocol("an unknown opcode")),
        };
        if second & 0x80 != 0 {
            return Err(Violation::protocol("a masked frame from a server"));
        }
        let fin = first & 0x80 != 0;
        let rsv1 = first & 0x40 != 0;
        let short = second & 0x7f;
        if opcode.is_control() {
            if !fin {
                return Err(Violation::protocol("a fragmented control frame"));
            }
            if usize::from(short) > MAX_CONTROL_BYTES {
                return Err(Violation::protocol("a control frame above 125 bytes"));
            }
            if rsv1 {
                return Err(Violation::protocol("a compressed control frame"));
            }
        }
        let (len, size) = match short {
            126 => match rest.first_chunk::<2>() {
                Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        if len > i64::MAX as u64 {
            return Err(Violation::protocol("an invalid frame length"));
        }
        Ok(Some(Self {
            fin,
            rsv1,
            opcode,
            len,
            size,
        }))
    }
}

/// Which part of its message a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// The last one, or the only one.
    Final,
    /// Others follow.
    More,
}

/// Appends the header of a client's frame, masked with `mask`.
pub(crate) fn write_header(out: &mut Vec<u8>, opcode: Opcode, fragment: Fragment, len: usize, mask: [u8; 4]) {
    let fin = match fragment {
        Fragment::Final => 0x80,
        Fragment::More => 0,
    };
    out.push(opcode as u8 | fin);
    if len < 126 {
        out.push(0x80 | len as u8);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(0x80 | 126);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(0x80 | 127);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
    out.extend_from_slice(&mask);
}

/// Appends `payload` masked; `offset` is where in its frame it stands.
pub(crate) fn write_masked(out: &mut Vec<u8>, payload: &[u8], mut mask: [u8; 4], offset: usize) {
    mask.rotate_left(offset % 4);
    let start = out.len();
    out.extend_from_slice(payload);
    let wide = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let (chunks, tail) = out[start..].as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// A new unpredictable mask.
///
/// # Errors
/// When the system gives no randomness.
pub(crate) fn fresh_mask() -> io::Result<[u8; 4]> {
    /// Randomness taken in one go, so that a mask does not cost a system call.
    struct Pool {
        bytes: [u8; 512],
        left: usize,
    }
    thread_local! {
        static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 512], left: 0 }) };
    }
    POOL.with_borrow_mut(|pool| {
        if pool.left == 0 {
            getrandom::fill(&mut pool.bytes).map_err(|error| io::Error::other(error.to_string()))?;
            pool.left = pool.bytes.len() / 4;
        }
        pool.left -= 1;
        Ok(pool.bytes.as_chunks::<4>().0[pool.left])
    })
}

/// A close frame's payload as it may be sent: codes that must not travel become none, long reasons are cut.
pub(crate) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    if !may_travel(code) {
        return Vec::new();
    }
    let mut end = reason.len().min(MAX_CONTROL_BYTES - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    payload
}

/// Reads a close frame's payload: code (1005 when there is none) and reason.
pub(crate) fn read_close(payload: &[u8]) -> Result<(u16, String), Violation> {
    match payload {
        [] => Ok((1005, String::new())),
        [_] => Err(Violation::protocol("a close frame of one byte")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            // Browsers accept all but the three that are never in a frame.
            if matches!(code, 1005 | 1006 | 1015) {
                return Err(Violation::protocol("a close code that must not be sent"));
            }
            let reason = std::str::from_utf8(reason)
                .map_err(|_| Violation::content("a close reason that is not UTF-8"))?;
            Ok((code, reason.to_owned()))
        }
    }
}

/// Whether a close code may stand in a frame of ours.
const fn may_travel(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_lengths_use_the_shortest_form_and_round_trip() {
        for (len, size) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            write_header(&mut out, Opcode::Binary, Fragment::Final, len, [0; 4]);
            assert_eq!(out.len(), size + 4);
            out[1] &= 0x7f;
            let header = Header::parse(&out).unwrap().unwrap();
            assert_eq!((header.len, header.size, header.fin), (len as u64, size, true));
            for cut in 0..size {
                assert_eq!(Header::parse(&out[..cut]), Ok(None), "{len} cut at {cut}");
            }
        }
    }

    #[test]
    fn masking_in_pieces_equals_masking_in_one_call() {
        let payload: Vec<u8> = (0..100).collect();
        let mask = [1, 20, 33, 200];
        let mut whole = Vec::new();
        write_masked(&mut whole, &payload, mask, 0);
        let plain: Vec<u8> = whole
            .iter()
            .zip(mask.iter().cycle())
            .map(|(a, b)| a ^ b)
            .collect();
        assert_eq!(plain, payload);
        for cut in 0..payload.len() {
            let mut pieces = Vec::new();
            write_masked(&mut pieces, &payload[..cut], mask, 0);
            write_masked(&mut pieces, &payload[cut..], mask, cut);
            assert_eq!(pieces, whole, "cut at {cut}");
        }
    }

    #[test]
    fn invalid_server_frames_are_refused() {
        for (bytes, what) in [
            (&[0xa1, 0][..], "rsv2"),
            (&[0x83, 0], "opcode 3"),
            (&[0x8b, 0], "opcode 11"),
            (&[0x81, 0x80, 0, 0, 0, 0], "mask"),
            (&[0x09, 0], "fragmented ping"),
            (&[0x89, 126, 0, 126], "long ping"),
            (&[0xc9, 0], "compressed ping"),
            (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], "top bit"),
        ] {
            assert!(Header::parse(bytes).is_err(), "{what}");
        }
    }

    #[test]
    fn close_payloads_contain_only_valid_codes_and_reasons() {
        assert_eq!(
            read_close(&close_payload(4001, "bye")),
            Ok((4001, "bye".to_owned()))
        );
        assert_eq!(close_payload(1006, "x"), Vec::<u8>::new());
        assert_eq!(close_payload(1000, &"é".repeat(100)).len(), 124);
        assert_eq!(read_close(&[]), Ok((1005, String::new())));
        for code in [0_u16, 999, 1004, 1016, 2999, 5000, 65_535] {
            assert_eq!(read_close(&code.to_be_bytes()), Ok((code, String::new())));
        }
        for bad in [
            &[3][..],
            &[0x03, 0xed],
            &[0x03, 0xee],
            &[0x03, 0xf7],
            &[0x03, 0xe8, 0xff],
        ] {
            assert!(read_close(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn masks_differ() {
        let masks: std::collections::HashSet<_> = (0..200).map(|_| fresh_mask().unwrap()).collect();
        assert!(masks.len() > 190);
    }
}
