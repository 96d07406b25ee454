//! Any text as JSON: what serde_json reads we read, canonical text is bounded and its own canonical text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use longwire::wire::json::{Document, is_valid};

fuzz_target!(|text: &str| {
    let document = Document::parse(text);
    assert_eq!(document.is_ok(), is_valid(text.as_bytes()));
    let Ok(document) = document else {
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(text).is_err());
        return;
    };
    assert!(document.values().count() <= text.len());
    let canonical = document.root().canonical();
    assert!(
        canonical.len() <= 6 * text.len() + 64,
        "{} of {}",
        canonical.len(),
        text.len()
    );
    let again = Document::parse(&canonical).map(|document| document.root().canonical());
    assert_eq!(again.as_deref(), Ok(canonical.as_str()));
    let _ = document.root().pointer("/a/0/b");
});
