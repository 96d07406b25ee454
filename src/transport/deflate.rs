//! permessage-deflate (RFC 7692) as a client that only receives it: the offer, the negotiation, and inflating up to a limit.
//!
//! It compresses nothing: a client may send every message as it is, and a compressor would cost 300 KB a link.

use std::borrow::Cow;
use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use super::credit::Credit;
use super::large_buffer;

/// What is offered. `client_max_window_bits` lets a server ask for a smaller window; we never fill one.
pub(crate) const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// Bytes inflated in one step.
const STEP_BYTES: usize = 16 * 1024;

/// What every compressed message's end was cut off by the sender.
const FLUSH_TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

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
pub(crate) struct InflateOutput<'a> {
    pub(crate) data: &'a mut Vec<u8>,
    /// Bytes it may have; a larger message is dropped.
    pub(crate) limit: usize,
    pub(crate) is_skipped: &'a mut bool,
    /// What it may hold.
    pub(crate) credit: &'a Credit,
    /// Bytes inflated, stored or not.
    pub(crate) inflated: &'a mut usize,
}

impl InflateOutput<'_> {
    /// Adds what was inflated; a message that grows too large is forgotten.
    fn extend(&mut self, piece: &[u8]) {
        *self.inflated += piece.len();
        if *self.is_skipped {
            return;
        }
        if piece.len() > self.limit.saturating_sub(self.data.len()) || !self.reserve(piece.len()) {
            *self.is_skipped = true;
            large_buffer::discard(std::mem::take(self.data));
            self.credit.keep_partial(0);
            return;
        }
        self.data.extend_from_slice(piece);
    }

    /// Makes room for so many bytes, within the limit; `false` if there is none.
    fn reserve(&mut self, bytes: usize) -> bool {
        if bytes <= self.data.capacity() - self.data.len() {
            return true;
        }
        let room = self.limit - self.data.len();
        let more = self.data.len().max(512).max(bytes).min(room);
        self.credit.keep_partial(self.data.len() + more) && self.data.try_reserve_exact(more).is_ok()
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

    /// Inflates a piece of a message behind what `output` holds.
    pub(crate) fn push(&mut self, input: &[u8], output: &mut InflateOutput<'_>) -> Result<(), Corrupt> {
        if *output.is_skipped && self.agreement.server_no_context_takeover {
            // Nothing refers to it: its contents are not needed.
            return Ok(());
        }
        let bits = self.agreement.server_window_bits.max(9);
        let state = self
            .state
            .get_or_insert_with(|| Decompress::new_with_window_bits(false, bits));
        inflate(state, input, output)
    }

    /// Between messages: gives the state back unless the next message may refer to it.
    pub(crate) fn release_buffers(&mut self) {
        if self.agreement.server_no_context_takeover {
            self.state = None;
        }
    }

    /// Ends a message: whatever was held back comes out.
    pub(crate) fn finish(&mut self, output: &mut InflateOutput<'_>) -> Result<(), Corrupt> {
        self.push(&FLUSH_TAIL, output)?;
        if self.agreement.server_no_context_takeover
            && let Some(state) = &mut self.state
        {
            state.reset(false);
        }
        Ok(())
    }
}

fn inflate(state: &mut Decompress, input: &[u8], output: &mut InflateOutput<'_>) -> Result<(), Corrupt> {
    thread_local! {
        /// Not the spare room of `output`: all of that would be cleared at each step.
        static INFLATED: RefCell<Box<[u8]>> = RefCell::new(vec![0; STEP_BYTES].into());
    }
    INFLATED.with_borrow_mut(|step| inflate_by(step, state, input, output))
}

/// Inflates all of it, through a buffer.
fn inflate_by(
    step: &mut [u8],
    state: &mut Decompress,
    mut input: &[u8],
    output: &mut InflateOutput<'_>,
) -> Result<(), Corrupt> {
    loop {
        let (read_before, written_before) = (state.total_in(), state.total_out());
        let status = state
            .decompress(input, step, FlushDecompress::Sync)
            .map_err(|_| Corrupt)?;
        let read = usize::try_from(state.total_in() - read_before).map_err(|_| Corrupt)?;
        let written = usize::try_from(state.total_out() - written_before).map_err(|_| Corrupt)?;
        input = input.get(read..).ok_or(Corrupt)?;
        output.extend(step.get(..written).ok_or(Corrupt)?);
        match status {
            // A final block: what follows in this message begins a stream of its own.
            Status::StreamEnd => {
                state.reset(false);
                if input.is_empty() {
                    return Ok(());
                }
            }
            Status::Ok | Status::BufError => {
                if input.is_empty() && written < step.len() {
                    return Ok(());
                }
                if read == 0 && written == 0 {
                    return Err(Corrupt);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
