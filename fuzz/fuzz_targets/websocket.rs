//! Bytes of a server on a WebSocket, plain and compressed: the same messages however they are split, and no more of them
//! than came, or than inflating can make of what came.
//!
//! The first byte chooses compression, the second the size of the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longwire::transport::fuzzing::websocket;

/// Below what is checked as text at once: a message that is neither text nor small enough may be found to be either first.
const MAX_MESSAGE: usize = 32 << 10;
/// Deflate makes at most this many bytes of one.
const INFLATED: usize = 1032;

fuzz_target!(|data: &[u8]| {
    let [which, piece, rest @ ..] = data else { return };
    let compressed = match which % 3 {
        0 => None,
        keeps => Some(keeps == 1),
    };
    let whole = websocket(rest, usize::MAX, compressed, MAX_MESSAGE);
    let split = websocket(rest, usize::from(*piece), compressed, MAX_MESSAGE);
    // What is too large need not be inflated: whether the rest of it is broken may show in one split only.
    if compressed.is_none() || !(whole.is_broken || split.is_broken) {
        assert_eq!(
            (whole.messages, whole.bytes, whole.is_broken),
            (split.messages, split.bytes, split.is_broken)
        );
    }
    let factor = if compressed.is_some() { INFLATED } else { 1 };
    assert!(
        whole.bytes <= factor * rest.len(),
        "{} bytes of {}",
        whole.bytes,
        rest.len()
    );
    // A frame of a message has two bytes at least.
    assert!(whole.messages <= rest.len() / 2);
    assert!(
        split.steps <= 2 * rest.len() + whole.bytes / 1024 + 16,
        "{} steps",
        split.steps
    );
});
