//! permessage-deflate (RFC 7692) as a client that only receives it: the offer, the agreement, and inflating with a bound.
//!
//! It compresses nothing: a client may send every message as it is, and a compressor would cost 300 KB a link.

use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress, Status};

use super::credit::Credit;

/// What is offered. `client_max_window_bits` lets a server ask for a smaller window; we never fill one.
pub(crate) const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// Bytes inflated at once of a message that is thrown away.
const SKIP: usize = 16 * 1024;

/// What every compressed message's end was cut off by the sender.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What the server agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// Each message begins with an empty window.
    server_no_context_takeover: bool,
    /// Window of the server's compressor, as a power of two.
    server_window_bits: u8,
}

impl Agreement {
    /// Reads the `Sec-WebSocket-Extensions` of an answer to [`OFFER`]; `None` when the server wants no compression.
    ///
    /// # Errors
    /// Says what was not offered or makes no sense; the handshake is to fail.
    pub(crate) fn read(answer: &str) -> Result<Option<Self>, String> {
        let mut agreed = None;
        for extension in answer.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let mut parts = extension.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            if !name.eq_ignore_ascii_case("permessage-deflate") {
                return Err("the server chose an extension that was not offered".to_owned());
            }
            let mut this = Self {
                server_no_context_takeover: false,
                server_window_bits: 15,
            };
            let mut seen = Vec::new();
            for part in parts {
                let (name, value) = match part.split_once('=') {
                    Some((name, value)) => (name.trim(), Some(unquoted(value.trim()))),
                    None => (part, None),
                };
                let name = name.to_ascii_lowercase();
                match (name.as_str(), value.as_deref()) {
                    ("server_no_context_takeover", None) => this.server_no_context_takeover = true,
                    ("client_no_context_takeover", None) => {}
                    ("server_max_window_bits", Some(value)) => this.server_window_bits = window_bits(value)?,
                    ("client_max_window_bits", Some(value)) => {
                        window_bits(value)?;
                    }
                    _ => {
                        return Err(
                            "the server's permessage-deflate has a parameter that makes no sense".to_owned(),
                        );
                    }
                }
                if seen.contains(&name) {
                    return Err("the server's permessage-deflate names a parameter twice".to_owned());
                }
                seen.push(name);
            }
            if agreed.replace(this).is_some() {
                return Err("the server chose permessage-deflate twice".to_owned());
            }
        }
        Ok(agreed)
    }
}

/// A parameter's value without its quotes and their escapes.
fn unquoted(value: &str) -> Cow<'_, str> {
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace('\\', "").into(),
        None => value.into(),
    }
}

/// Reads window bits: 8 to 15, without leading zeros.
fn window_bits(value: &str) -> Result<u8, String> {
    match value.parse::<u8>() {
        Ok(bits @ 8..=15) if !value.starts_with(['0', '+']) => Ok(bits),
        _ => Err("the server's permessage-deflate has window bits outside 8 to 15".to_owned()),
    }
}

/// The data is not DEFLATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// Where an inflated message goes.
pub(crate) struct Kept<'a> {
    pub(crate) data: &'a mut Vec<u8>,
    /// Bytes it may have; above them nothing of it is kept.
    pub(crate) limit: usize,
    pub(crate) is_skipped: &'a mut bool,
    /// What may be kept of it.
    pub(crate) credit: &'a Credit,
}

impl Kept<'_> {
    /// Makes room for at least one more byte.
    fn reserve(&mut self) {
        if self.data.len() < self.data.capacity() {
            return;
        }
        if !*self.is_skipped {
            // One byte above the limit tells "full" from "too large".
            let room = (self.limit + 1).saturating_sub(self.data.len());
            let more = self.data.len().max(512).min(room).max(1);
            let fits = self.credit.keep_partial(self.data.capacity() + more);
            if fits && self.data.try_reserve_exact(more).is_ok() {
                return;
            }
            self.skip();
        }
        self.data.reserve_exact(SKIP);
    }

    fn skip(&mut self) {
        *self.is_skipped = true;
        *self.data = Vec::new();
        self.credit.keep_partial(0);
    }

    /// Forgets a message that has grown too large.
    fn bound(&mut self) {
        if *self.is_skipped {
            self.data.clear();
        } else if self.data.len() > self.limit {
            self.skip();
        }
    }
}

/// The receiving half of an agreed permessage-deflate.
#[derive(Debug)]
pub(crate) struct Inflater {
    agreement: Agreement,
    /// Made at the first compressed frame: many servers agree and then send everything as it is.
    state: Option<Decompress>,
}

impl Inflater {
    pub(crate) const fn new(agreement: Agreement) -> Self {
        Self {
            agreement,
            state: None,
        }
    }

    /// Inflates a piece of a message behind what `kept` holds.
    pub(crate) fn push(&mut self, input: &[u8], kept: &mut Kept<'_>) -> Result<(), Corrupt> {
        if *kept.is_skipped && self.agreement.server_no_context_takeover {
            // Nothing refers to it: there is no need to know what it says.
            return Ok(());
        }
        let bits = self.agreement.server_window_bits.max(9);
        let state = self
            .state
            .get_or_insert_with(|| Decompress::new_with_window_bits(false, bits));
        inflate(state, input, kept)
    }

    /// Between messages: gives the state back unless the next message may refer to it.
    pub(crate) fn rest(&mut self) {
        if self.agreement.server_no_context_takeover {
            self.state = None;
        }
    }

    /// Ends a message: whatever was held back comes out.
    pub(crate) fn finish(&mut self, kept: &mut Kept<'_>) -> Result<(), Corrupt> {
        self.push(&TAIL, kept)?;
        if *kept.is_skipped {
            *kept.data = Vec::new();
        }
        if self.agreement.server_no_context_takeover
            && let Some(state) = &mut self.state
        {
            state.reset(false);
        }
        Ok(())
    }
}

fn inflate(state: &mut Decompress, mut input: &[u8], kept: &mut Kept<'_>) -> Result<(), Corrupt> {
    loop {
        kept.reserve();
        let (read_before, written_before) = (state.total_in(), state.total_out());
        let status = state
            .decompress_vec(input, kept.data, FlushDecompress::Sync)
            .map_err(|_| Corrupt)?;
        let read = usize::try_from(state.total_in() - read_before).map_err(|_| Corrupt)?;
        input = input.get(read..).ok_or(Corrupt)?;
        let is_full = kept.data.len() == kept.data.capacity();
        let has_written = state.total_out() > written_before;
        kept.bound();
        match status {
            // A final block: what follows in this message begins a stream of its own.
            Status::StreamEnd => {
                state.reset(false);
                if input.is_empty() {
                    return Ok(());
                }
            }
            Status::Ok | Status::BufError => {
                if input.is_empty() && !is_full {
                    return Ok(());
                }
                if read == 0 && !has_written && !is_full {
                    return Err(Corrupt);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn agreement(answer: &str) -> Agreement {
        Agreement::read(answer).unwrap().unwrap()
    }

    /// Compresses a message as a server does, without its tail.
    fn deflate(state: &mut Compress, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() * 2 + 64);
        state.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
        assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - 4);
        out
    }

    /// `None` for a message above the limit.
    fn inflated(inflater: &mut Inflater, pieces: &[&[u8]], limit: usize) -> Result<Option<Vec<u8>>, Corrupt> {
        let (mut out, mut is_skipped) = (Vec::new(), false);
        let mut kept = Kept {
            data: &mut out,
            limit,
            is_skipped: &mut is_skipped,
            credit: &Credit::default(),
        };
        for piece in pieces {
            inflater.push(piece, &mut kept)?;
        }
        inflater.finish(&mut kept)?;
        Ok((!is_skipped).then_some(out))
    }

    #[test]
    fn answers_are_read_and_nonsense_is_refused() {
        assert_eq!(Agreement::read(""), Ok(None));
        assert_eq!(
            agreement(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10"
            ),
            Agreement {
                server_no_context_takeover: true,
                server_window_bits: 10
            }
        );
        assert_eq!(
            agreement("Permessage-Deflate; client_max_window_bits=\"1\\2\"").server_window_bits,
            15
        );
        for answer in [
            "x-webkit-deflate-frame",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; unheard_of",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate, permessage-deflate",
        ] {
            assert!(Agreement::read(answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let mut inflater = Inflater::new(agreement("permessage-deflate"));
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(
            inflated(&mut inflater, &[&hello], 100).unwrap().unwrap(),
            b"Hello"
        );
        // The second message refers to the first one's window.
        let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
        assert_eq!(
            inflated(&mut inflater, &[&again], 100).unwrap().unwrap(),
            b"Hello"
        );
        // Not compressed at all; a final block; two blocks.
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
        assert_eq!(
            inflated(&mut inflater, &[&stored], 100).unwrap().unwrap(),
            b"Hello"
        );
        let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        assert_eq!(inflated(&mut inflater, &[&last], 100).unwrap().unwrap(), b"Hello");
        let two = [
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ];
        assert_eq!(inflated(&mut inflater, &[&two], 100).unwrap().unwrap(), b"Hello");
        assert_eq!(inflated(&mut inflater, &[&[0x00]], 100).unwrap().unwrap(), b"");
    }

    #[test]
    fn any_split_gives_the_same_message() {
        let text: Vec<u8> = (0..3000u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_string().into_bytes())
            .collect();
        let compressed = deflate(&mut Compress::new(Compression::default(), false), &text);
        for cut in (0..compressed.len()).step_by(97) {
            let mut inflater = Inflater::new(agreement("permessage-deflate"));
            let (head, tail) = compressed.split_at(cut);
            assert_eq!(
                inflated(&mut inflater, &[head, tail], 1 << 20).unwrap().unwrap(),
                text,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn both_takeover_modes() {
        let text = b"the same words again and again, the same words";
        let mut keeping = Compress::new(Compression::default(), false);
        let mut inflater = Inflater::new(agreement("permessage-deflate"));
        for _ in 0..20 {
            let message = deflate(&mut keeping, text);
            assert_eq!(inflated(&mut inflater, &[&message], 100).unwrap().unwrap(), text);
        }
        let mut inflater = Inflater::new(agreement("permessage-deflate; server_no_context_takeover"));
        for _ in 0..20 {
            let message = deflate(&mut Compress::new(Compression::default(), false), text);
            assert_eq!(inflated(&mut inflater, &[&message], 100).unwrap().unwrap(), text);
        }
        // A server that refers back although it promised not to is found out.
        let mut keeping = Compress::new(Compression::default(), false);
        let mut inflater = Inflater::new(agreement("permessage-deflate; server_no_context_takeover"));
        inflated(&mut inflater, &[&deflate(&mut keeping, text)], 100).unwrap();
        assert_eq!(
            inflated(&mut inflater, &[&deflate(&mut keeping, text)], 100),
            Err(Corrupt)
        );
    }

    #[test]
    fn a_resting_inflater_keeps_only_what_it_needs() {
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        for (answer, kept) in [
            ("permessage-deflate", true),
            ("permessage-deflate; server_no_context_takeover", false),
        ] {
            let mut inflater = Inflater::new(agreement(answer));
            assert!(inflater.state.is_none(), "made before it is needed");
            inflated(&mut inflater, &[&hello], 100).unwrap();
            inflater.rest();
            assert_eq!(inflater.state.is_some(), kept, "{answer}");
            assert_eq!(
                inflated(&mut inflater, &[&hello], 100).unwrap().unwrap(),
                b"Hello"
            );
        }
    }

    #[test]
    fn nothing_is_kept_of_a_bomb() {
        let bomb = deflate(
            &mut Compress::new(Compression::best(), false),
            &vec![0; 10_000_000],
        );
        assert!(bomb.len() < 20_000);
        for answer in [
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover",
        ] {
            let (mut out, mut is_skipped) = (Vec::new(), false);
            let mut kept = Kept {
                data: &mut out,
                limit: 100_000,
                is_skipped: &mut is_skipped,
                credit: &Credit::default(),
            };
            Inflater::new(agreement(answer)).push(&bomb, &mut kept).unwrap();
            assert!(is_skipped);
            assert!(out.capacity() <= SKIP, "{}", out.capacity());
        }
        // Exactly at the limit is fine, one less is not.
        let message = deflate(&mut Compress::new(Compression::best(), false), &[7; 4096]);
        for (limit, fits) in [(4096, true), (4095, false)] {
            let mut inflater = Inflater::new(agreement("permessage-deflate"));
            assert_eq!(
                inflated(&mut inflater, &[&message], limit).unwrap().is_some(),
                fits,
                "{limit}"
            );
        }
    }

    #[test]
    fn rubbish_is_an_error_and_never_a_loop() {
        // The second frame spun another implementation for ever.
        for rubbish in [
            &[0xff, 0xff, 0xff][..],
            &[0x03, 0x80],
            &[0x06],
            &[0x00, 1, 2, 3, 4],
        ] {
            let mut inflater = Inflater::new(agreement("permessage-deflate"));
            let _ = inflated(&mut inflater, &[rubbish, rubbish, rubbish], 1000);
        }
        let mut inflater = Inflater::new(agreement("permessage-deflate"));
        assert_eq!(
            inflated(&mut inflater, &[&[0x07, 0xff, 0xff, 0xff]], 1000),
            Err(Corrupt)
        );
    }
}
