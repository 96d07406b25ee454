//! Content codings of answers (RFC 9110, 8.4): gzip, deflate and brotli, decoded as the bytes arrive, a bounded piece at a time.
//!
//! It waits for no further input: an event is decoded as soon as the server has flushed it.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::{Buf as _, Bytes};
use flate2::{Decompress, FlushDecompress, Status};
use http::header::{self, HeaderMap};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// The codings that are asked for, as browsers do.
pub(super) const ACCEPTED: &str = "gzip, deflate, br";
/// Codings one over the other that are undone.
const MAX_CODINGS: usize = 3;
/// Bytes decoded at once, however small what they come from.
const MAX_DECODED_BYTES: usize = 64 * 1024;

/// A body without its codings.
pub(super) struct DecodedBody {
    incoming: Incoming,
    /// In the order in which they are undone.
    stages: Vec<CodingStage>,
}

/// One coding, and of what came to it, what is not decoded yet.
struct CodingStage {
    decoder: Decoder,
    coded: Bytes,
}

/// Why a body cannot be read on.
#[derive(Debug)]
pub(super) enum Broken {
    Http(hyper::Error),
    Coding(&'static str),
}

impl DecodedBody {
    /// # Errors
    /// Names a coding that was not asked for.
    pub(super) fn new(incoming: Incoming, headers: &HeaderMap) -> Result<Self, String> {
        let stages = stages(headers)?;
        Ok(Self { incoming, stages })
    }

    /// The next piece; `None` at the end. Nothing is lost if it is not waited for to the end.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            match decode(&mut self.stages) {
                Ok(piece) if !piece.is_empty() => return Some(Ok(piece)),
                Ok(_) => {}
                Err(why) => return Some(Err(Broken::Coding(why))),
            }
            match self.incoming.frame().await? {
                Ok(frame) => {
                    if let Some(first) = self.stages.first_mut() {
                        first.coded = frame.into_data().unwrap_or_default();
                    }
                }
                Err(error) => return Some(Err(Broken::Http(error))),
            }
        }
    }
}

/// The codings of a body. As in browsers, a body with an unknown coding (`utf-8`, `none`) is taken as it is.
fn stages(headers: &HeaderMap) -> Result<Vec<CodingStage>, String> {
    let lines = headers.get_all(header::CONTENT_ENCODING).iter();
    let lines: Vec<_> = lines
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    let codings = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
    let mut decoders = Vec::new();
    for coding in codings.filter(|coding| !coding.is_empty()) {
        match coding.to_ascii_lowercase().as_str() {
            "identity" => {}
            "zstd" | "compress" | "x-compress" | "dcb" | "dcz" => {
                let why = format!("the response has the content coding `{coding}`, which was not requested");
                return Err(why);
            }
            coding => match Decoder::of(coding) {
                Some(decoder) => decoders.push(decoder),
                None => {
                    decoders.clear();
                    break;
                }
            },
        }
    }
    if decoders.len() > MAX_CODINGS {
        return Err("the response has too many content codings".to_owned());
    }
    // The last one named was applied last.
    let mut stages: Vec<_> = decoders.into_iter().rev().map(CodingStage::new).collect();
    if stages.is_empty() {
        stages.push(CodingStage::new(Decoder::Plain));
    }
    Ok(stages)
}

/// The next piece behind all stages; empty when there is nothing more without further bytes.
fn decode(stages: &mut [CodingStage]) -> Result<Bytes, &'static str> {
    let last = stages.len() - 1;
    let mut at = last;
    loop {
        let stage = &mut stages[at];
        let piece = stage.decoder.decode(&mut stage.coded)?;
        if !piece.is_empty() && at < last {
            at += 1;
            stages[at].coded = piece;
        } else if piece.is_empty() && at > 0 {
            at -= 1;
        } else {
            return Ok(piece);
        }
    }
}

impl CodingStage {
    const fn new(decoder: Decoder) -> Self {
        Self {
            decoder,
            coded: Bytes::new(),
        }
    }
}

enum Decoder {
    Plain,
    /// Not known before the first byte whether zlib's header is there; servers do both.
    Deflate,
    Inflate {
        state: Box<Decompress>,
        is_gzip: bool,
    },
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    /// What follows the end is ignored, as browsers do.
    Over,
}

impl Decoder {
    /// What undoes a coding; `None` for one that is not known.
    fn of(coding: &str) -> Option<Self> {
        match coding {
            "gzip" | "x-gzip" => Some(Self::Inflate {
                state: Box::new(Decompress::new_gzip(15)),
                is_gzip: true,
            }),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli(Box::new(BrotliState::new_strict(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            )))),
            _ => None,
        }
    }

    /// Decodes a piece of this; empty when there is nothing more without further bytes.
    fn decode(&mut self, coded: &mut Bytes) -> Result<Bytes, &'static str> {
        loop {
            if let Self::Deflate = self {
                let Some(first) = coded.first() else {
                    return Ok(Bytes::new());
                };
                // The method that zlib's header names.
                *self = Self::Inflate {
                    state: Box::new(Decompress::new(first & 0x0f == 8)),
                    is_gzip: false,
                };
            }
            match self {
                Self::Plain => return Ok(std::mem::take(coded)),
                Self::Over => {
                    coded.clear();
                    return Ok(Bytes::new());
                }
                Self::Deflate => {}
                Self::Brotli(state) => {
                    let (piece, is_over) = unbrotli(state, coded)?;
                    if is_over {
                        *self = Self::Over;
                    }
                    return Ok(piece);
                }
                Self::Inflate { state, is_gzip } => {
                    let (piece, is_over) = inflate(state, coded)?;
                    let is_next = *is_gzip && is_over && coded.first() == Some(&0x1f);
                    if is_next {
                        **state = Decompress::new_gzip(15);
                    } else if is_over {
                        *self = Self::Over;
                    }
                    if !piece.is_empty() || !is_next {
                        return Ok(piece);
                    }
                }
            }
        }
    }
}

fn inflate(state: &mut Decompress, coded: &mut Bytes) -> Result<(Bytes, bool), &'static str> {
    let mut piece = Vec::with_capacity(MAX_DECODED_BYTES);
    let before = state.total_in();
    let status = state
        .decompress_vec(coded, &mut piece, FlushDecompress::None)
        .map_err(|_| "its gzip or deflate coding is broken")?;
    let used = usize::try_from(state.total_in() - before).unwrap_or(usize::MAX);
    coded.advance(used.min(coded.len()));
    Ok((piece.into(), status == Status::StreamEnd))
}

fn unbrotli(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    coded: &mut Bytes,
) -> Result<(Bytes, bool), &'static str> {
    let mut piece = vec![0; MAX_DECODED_BYTES];
    let (mut left, mut used) = (coded.len(), 0);
    let (mut room, mut written, mut total) = (MAX_DECODED_BYTES, 0, 0);
    let result = BrotliDecompressStream(
        &mut left,
        &mut used,
        coded,
        &mut room,
        &mut written,
        &mut piece,
        &mut total,
        state,
    );
    coded.advance(used.min(coded.len()));
    piece.truncate(written);
    match result {
        BrotliResult::ResultFailure => Err("its brotli coding is broken"),
        BrotliResult::ResultSuccess => Ok((piece.into(), true)),
        BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok((piece.into(), false)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn of(coding: &'static str) -> Result<Vec<CodingStage>, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, coding.parse().unwrap());
        stages(&headers)
    }

    /// Everything of these frames, and the largest piece.
    fn decoded(coding: &'static str, frames: &[&[u8]]) -> Result<(Vec<u8>, usize), &'static str> {
        let mut stages = of(coding).unwrap();
        let (mut all, mut largest) = (Vec::new(), 0);
        for frame in frames {
            stages[0].coded = Bytes::copy_from_slice(frame);
            loop {
                let piece = decode(&mut stages)?;
                if piece.is_empty() {
                    break;
                }
                largest = largest.max(piece.len());
                all.extend_from_slice(&piece);
            }
            let is_decoded = stages.iter().all(|stage| stage.coded.is_empty());
            assert!(is_decoded, "{coding} leaves nothing of a frame");
        }
        Ok((all, largest))
    }

    /// Two events, flushed one by one, as a server of events does.
    fn flushed() -> (Vec<u8>, usize) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"data: one\n\n").unwrap();
        encoder.flush().unwrap();
        let first = encoder.get_ref().len();
        encoder.write_all(b"data: two\n\n").unwrap();
        encoder.flush().unwrap();
        (encoder.get_ref().clone(), first)
    }

    #[test]
    fn a_flushed_event_is_decoded_immediately_at_any_split() {
        let (coded, first) = flushed();
        assert_eq!(decoded("gzip", &[&coded[..first]]).unwrap().0, b"data: one\n\n");
        for cut in 0..coded.len() {
            let (all, _) = decoded("x-gzip", &[&coded[..cut], &coded[cut..]]).unwrap();
            assert_eq!(all, b"data: one\n\ndata: two\n\n", "cut at {cut}");
        }
    }

    #[test]
    fn every_accepted_content_coding_is_decoded() {
        let zlib = [
            0x78, 0x9c, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x06, 0x2c, 0x02, 0x15,
        ];
        // Metablock of bytes as they are, then the empty last one.
        let brotli = [0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];
        for (coding, bytes) in [
            ("deflate", &zlib[..]),
            ("deflate", &zlib[2..9]),
            ("br", &brotli[..]),
        ] {
            assert_eq!(decoded(coding, &[bytes]).unwrap().0, b"hello", "{coding}");
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(decoded(coding, &single).unwrap().0, b"hello", "{coding}");
        }
        let twice = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(decoded("gzip", &[&twice]).unwrap().0, b"one two");
        for coding in ["identity", "none", "utf-8", "gzip, utf-8", " , "] {
            assert_eq!(
                decoded(coding, &[b"as it is"]).unwrap().0,
                b"as it is",
                "{coding}"
            );
        }
        let over = [0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];
        assert_eq!(
            decoded("BR, identity, gzip", &[&gzip(&over)]).unwrap().0,
            b"hello"
        );
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_decompression_bomb_is_decoded_in_bounded_pieces() {
        let bomb = gzip(&vec![0; 32 << 20]);
        assert!(bomb.len() < 64 * 1024);
        let (all, largest) = decoded("gzip", &[&bomb]).unwrap();
        assert_eq!(all.len(), 32 << 20);
        assert!(largest <= MAX_DECODED_BYTES, "{largest}");
    }

    #[test]
    fn undecodable_bodies_are_reported() {
        for coding in ["gzip", "br"] {
            assert!(decoded(coding, &[&[0xff; 64]]).unwrap_err().contains("broken"));
        }
        assert!(of("zstd").is_err_and(|why| why.contains("`zstd`")));
        assert!(of("br, br, br, br").is_err());
    }
}
