//! Any bytes as the first frame of a connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longwire::wire::preamble::Preamble;

fuzz_target!(|data: &[u8]| {
    if let Ok(preamble) = Preamble::parse(data) {
        assert!(preamble.origin.is_none_or(|origin| origin.len() <= data.len()));
    }
});
