//! Tests of `deflate`.

use super::*;
use flate2::{Compress, Compression, FlushCompress};

fn agreement(answer: &str) -> Agreement {
    Agreement::read(answer).unwrap().unwrap()
}

/// Compresses a message as a server does, without its tail.
fn deflate(state: &mut Compress, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2 + 64);
    state.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
    assert!(out.ends_with(&FLUSH_TAIL));
    out.truncate(out.len() - 4);
    out
}

/// `None` for a message above the limit.
fn inflated(inflater: &mut Inflater, pieces: &[&[u8]], limit: usize) -> Result<Option<Vec<u8>>, Corrupt> {
    let (mut out, mut is_skipped, mut bytes) = (Vec::new(), false, 0);
    let mut output = InflateOutput {
        data: &mut out,
        limit,
        is_skipped: &mut is_skipped,
        credit: &Credit::default(),
        inflated: &mut bytes,
    };
    for piece in pieces {
        inflater.push(piece, &mut output)?;
    }
    inflater.finish(&mut output)?;
    Ok((!is_skipped).then_some(out))
}

#[test]
fn deflate_responses_are_parsed_and_invalid_ones_refused() {
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
fn the_examples_of_the_rfc_are_inflated() {
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
fn messages_inflate_in_both_takeover_modes() {
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
fn an_idle_inflater_keeps_only_the_window_it_needs() {
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    for (answer, output) in [
        ("permessage-deflate", true),
        ("permessage-deflate; server_no_context_takeover", false),
    ] {
        let mut inflater = Inflater::new(agreement(answer));
        assert!(inflater.state.is_none(), "made before it is needed");
        inflated(&mut inflater, &[&hello], 100).unwrap();
        inflater.release_buffers();
        assert_eq!(inflater.state.is_some(), output, "{answer}");
        assert_eq!(
            inflated(&mut inflater, &[&hello], 100).unwrap().unwrap(),
            b"Hello"
        );
    }
}

#[test]
fn a_decompression_bomb_leaves_no_memory_allocated() {
    let bomb = deflate(
        &mut Compress::new(Compression::best(), false),
        &vec![0; 10_000_000],
    );
    assert!(bomb.len() < 20_000);
    for answer in [
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover",
    ] {
        let (mut out, mut is_skipped, mut bytes) = (Vec::new(), false, 0);
        let mut output = InflateOutput {
            data: &mut out,
            limit: 100_000,
            is_skipped: &mut is_skipped,
            credit: &Credit::default(),
            inflated: &mut bytes,
        };
        Inflater::new(agreement(answer)).push(&bomb, &mut output).unwrap();
        assert!(is_skipped);
        assert_eq!(out.capacity(), 0);
        // It was work all the same.
        assert_eq!(bytes, 10_000_000);
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
fn invalid_deflate_data_is_an_error_and_never_loops() {
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
