//! Any JSON as a session's options: read, or refused with a sentence, and never much larger in memory than as text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longwire::wire::options::Options;

fuzz_target!(|text: &str| {
    let Ok(raw) = serde_json::value::RawValue::from_string(text.to_owned()) else {
        return;
    };
    match Options::from_json(&raw) {
        Ok((options, ignored)) => {
            assert!(
                options.held() <= 64 * text.len() + (64 << 10),
                "{} bytes",
                options.held()
            );
            assert!(ignored.iter().map(String::len).sum::<usize>() <= text.len());
        }
        Err(error) => assert!(!error.message.is_empty() && error.message.len() <= text.len() + 4096),
    }
});
