//! Any text as a settings file: read, or refused with faults that have a place in it.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(faults) = longwire::settings::parse(text, Path::new("/nonexistent")) {
        assert!(!faults.is_empty());
        assert!(
            faults
                .iter()
                .all(|fault| fault.line >= 1 && fault.line <= text.lines().count() + 1)
        );
    }
});
